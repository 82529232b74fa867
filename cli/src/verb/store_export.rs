//! `xensnap store export`: the whole store as JSON Lines, each line one key that says what it is; the agent may run. With `--to` the file appears whole or not
//! at all.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::{CliError, Result};
use crate::flags::StoreExport;
use crate::output::note;
use crate::session::Session;

pub(super) fn run(session: &mut Session, flags: &StoreExport) -> Result<()> {
    session.read_ahead();
    let location = &session.settings.location;
    let report = match &flags.to {
        None => xensnap_store::export(location, session.out.stream())?,
        Some(path) => {
            let failed = |source| CliError::File { path: path.clone(), source };
            let part = part(path);
            let mut file = BufWriter::with_capacity(1 << 16, create(&part).map_err(failed)?);
            let report = xensnap_store::export(location, &mut file)?;
            place(file, &part, path).map_err(failed)?;
            report
        }
    };
    note(&format!(
        "{} domains, {} snapshots, {} operations",
        report.domains, report.snapshots, report.operations
    ));
    Ok(())
}

/// The name of the file while it is written: beside it, so that the rename stays on one file system.
fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn create(part: &Path) -> io::Result<File> {
    match std::fs::remove_file(part) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)
}

fn place(mut file: BufWriter<File>, part: &Path, path: &Path) -> io::Result<()> {
    file.flush()?;
    file.get_ref().sync_all()?;
    std::fs::rename(part, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
