//! `xenidl check`: the files compile, and every back end can make something of them.

use crate::args::Files;
use crate::failure::Failure;
use crate::unit;
use xenidl::backend;

/// Counts the types, when nothing is wrong.
pub(crate) fn run(files: &Files) -> Result<String, Failure> {
    let sources = unit::read(files)?;
    let model = unit::model(&sources)?;
    for backend in backend::all() {
        backend.generate(&model).map_err(|d| Failure::Errors(d.render(&sources)))?;
    }
    Ok(format!("{} types, no errors\n", model.decls.len()))
}
