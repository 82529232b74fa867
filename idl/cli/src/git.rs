//! Older versions of files, out of git.

use crate::failure::Failure;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use xenidl::Source;

/// The same files at a revision. When the files given are all IDL files of their folder, then it is all of that folder at
/// the revision, so that a file that is gone is seen.
pub(crate) fn at(rev: &str, files: &[String]) -> Result<Vec<Source>, Failure> {
    let mut names: Vec<(PathBuf, String)> = Vec::new();
    for file in files {
        let (folder, name) = split(file);
        if !git(
            &folder,
            &["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{rev}^{{commit}}")],
        )?
        .status
        .success()
        {
            return Err(Failure::Usage(format!(
                "`{rev}` is no file, and no revision in the git repository of {file}"
            )));
        }
        if whole(&folder, files) {
            let listed = git(&folder, &["ls-tree", "--name-only", "-z", rev, "./"])?;
            for old in String::from_utf8_lossy(&listed.stdout).split('\0') {
                // Names come relative to the folder that git is run in.
                if old.ends_with(".idl") && !names.contains(&(folder.clone(), old.to_owned())) {
                    names.push((folder.clone(), old.to_owned()));
                }
            }
        } else {
            names.push((folder, name));
        }
    }
    let mut sources = Vec::new();
    for (folder, name) in names {
        let shown = git(&folder, &["show", "--end-of-options", &format!("{rev}:./{name}")])?;
        // A file that was not there yet had nothing in it.
        if shown.status.success() {
            let path = format!("{}@{rev}", folder.join(&name).display());
            sources.push(Source::new(path, String::from_utf8_lossy(&shown.stdout)));
        }
    }
    if sources.is_empty() {
        return Err(Failure::Usage(format!("none of the files is in revision `{rev}`")));
    }
    Ok(sources)
}

fn split(file: &str) -> (PathBuf, String) {
    let path = Path::new(file);
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_owned(),
        _ => PathBuf::from("."),
    };
    (folder, path.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned()))
}

/// Whether the files hold every IDL file of the folder.
fn whole(folder: &Path, files: &[String]) -> bool {
    let Ok(entries) = folder.read_dir() else { return false };
    entries
        .filter_map(|e| Some(e.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|n| n.ends_with(".idl"))
        .all(|n| files.iter().any(|f| split(f) == (folder.to_owned(), n.clone())))
}

#[expect(clippy::disallowed_methods, reason = "the one place of this command that starts another")]
fn git(folder: &Path, args: &[&str]) -> Result<Output, Failure> {
    Command::new("git").arg("-C").arg(folder).args(args).output().map_err(Failure::Git)
}
