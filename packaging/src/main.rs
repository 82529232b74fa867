//! Makes the package's man pages and completions from the programs' own tables of flags. Run by `packaging/build`; not shipped.
//!
//! ```text
//!   clap's tables of xensnap and xensnapd --+
//!   packaging/man/* (written by hand) ------+--> OUT/man/*.8, *.5
//!   packaging/xensnapd.toml (comments) -----+    OUT/completions/{bash,zsh,fish}/..
//! ```

mod man;
mod settings;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap_complete::aot::{Bash, Fish, Generator, Zsh, generate_to};

/// Why the documents cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file or folder.
    #[error("{0}: {1}")]
    File(PathBuf, #[source] std::io::Error),
    /// A template asks for something that is not there.
    #[error("{page}: nothing is known of {word}")]
    Word {
        /// The template.
        page: PathBuf,
        /// What it asks for.
        word: String,
    },
    /// The commented configuration has another form than described in [`settings`].
    #[error("xensnapd.toml: {0}")]
    Settings(String),
}

impl Error {
    fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |e| Self::File(path.to_owned(), e)
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let (Some(out), None) = (args.next(), args.next()) else {
        eprintln!("usage: xensnap-documents OUT");
        return ExitCode::from(2);
    };
    match make(Path::new(env!("CARGO_MANIFEST_DIR")), Path::new(&out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xensnap-documents: {e}");
            ExitCode::FAILURE
        }
    }
}

fn make(sources: &Path, out: &Path) -> Result<(), Error> {
    let pages = sources.join("man");
    let entries = fs::read_dir(&pages).map_err(Error::file(&pages))?;
    for entry in entries {
        let path = entry.map_err(Error::file(&pages))?.path();
        let text = fs::read_to_string(&path).map_err(Error::file(&path))?;
        let page = man::page(sources, &path, &text)?;
        write(&out.join("man").join(path.file_name().unwrap_or_default()), &page)?;
    }
    complete(Bash, &out.join("completions/bash"))?;
    complete(Zsh, &out.join("completions/zsh"))?;
    complete(Fish, &out.join("completions/fish"))
}

fn complete(shell: impl Generator + Copy, folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::file(folder))?;
    for (mut command, name) in [(xensnap_cli::command(), "xensnap"), (xensnapd::flags::command(), "xensnapd")]
    {
        generate_to(shell, &mut command, name, folder).map_err(Error::file(folder))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Error::file(folder))?;
    }
    File::create(path).and_then(|mut f| f.write_all(text.as_bytes())).map_err(Error::file(path))
}
