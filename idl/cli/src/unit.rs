//! The files of a unit, read and compiled; and files written.

use crate::args::Files;
use crate::failure::Failure;
use crate::found;
use std::io::Write as _;
use std::path::Path;
use xenidl::{Diagnostics, Model, Source, backend, compile};

/// The sources of a unit. A prelude is a file like the others, but for its place: before the first of them.
pub(crate) fn read(files: &Files) -> Result<Vec<Source>, Failure> {
    files.prelude.iter().chain(&files.files).map(|name| read_one(name)).collect()
}

/// One source.
pub(crate) fn read_one(name: &str) -> Result<Source, Failure> {
    match std::fs::read_to_string(name) {
        Ok(text) => Ok(Source::new(name, text)),
        Err(source) => Err(Failure::Read { path: name.to_owned(), source }),
    }
}

/// The failure that is errors in sources.
pub(crate) fn errors(diags: &Diagnostics, sources: &[Source]) -> Failure {
    Failure::Found(found::errors(diags, sources))
}

/// The model of a unit.
pub(crate) fn model(sources: &[Source]) -> Result<Model, Failure> {
    compile(sources).map_err(|d| errors(&d, sources))
}

/// The model of a unit that every back end can make something of.
pub(crate) fn checked(sources: &[Source]) -> Result<Model, Failure> {
    let model = model(sources)?;
    for backend in backend::all() {
        backend.generate(&model).map_err(|d| errors(&d, sources))?;
    }
    Ok(model)
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

/// The IDL files of a folder, in order of their names.
pub(crate) fn folder(path: &Path) -> Result<Vec<String>, Failure> {
    let fail = |source| Failure::Read { path: path.display().to_string(), source };
    let mut found = Vec::new();
    for entry in path.read_dir().map_err(fail)? {
        let file = entry.map_err(fail)?.path();
        if file.extension().is_some_and(|e| e == "idl") {
            found.push(file.display().to_string());
        }
    }
    found.sort();
    Ok(found)
}
