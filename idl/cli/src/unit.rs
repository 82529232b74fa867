//! The files of a unit, read and compiled; and files written.

use crate::args::Files;
use crate::failure::Failure;
use std::io::Write as _;
use std::path::Path;
use xenidl::{Model, Source, compile};

/// The sources of a unit. A prelude is a file like the others, but for its place: before the first of them.
pub(crate) fn read(files: &Files) -> Result<Vec<Source>, Failure> {
    files.prelude.iter().chain(&files.files).map(|name| read_one(name)).collect()
}

fn read_one(name: &str) -> Result<Source, Failure> {
    match std::fs::read_to_string(name) {
        Ok(text) => Ok(Source::new(name, text)),
        Err(source) => Err(Failure::Read { path: name.to_owned(), source }),
    }
}

/// The model of a unit.
pub(crate) fn model(sources: &[Source]) -> Result<Model, Failure> {
    compile(sources).map_err(|d| Failure::Errors(d.render(sources)))
}

/// Writes a file, with the folders it lies in.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let written = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::File::create(path)?.write_all(text.as_bytes())
    };
    written().map_err(|source| Failure::Write { path: path.to_owned(), source })
}
