//! `xenidl lock`: the interface as it is agreed upon, written, or compared with.

use crate::args::Lock;
use crate::failure::{Failure, Outcome};
use crate::unit;
use std::path::{Path, PathBuf};
use xenidl::evolve::{Surface, compare};
use xenidl::{compile_undocumented, lock};

/// Writes the lock; with `--check` tells what changed since it was written.
pub(crate) fn run(args: &Lock) -> Result<Outcome, Failure> {
    let sources = unit::read(&args.files)?;
    let text = lock::lock(&sources).map_err(|d| unit::errors(&d, &sources))?;
    let path = args.out.clone().unwrap_or_else(|| beside(args.files.files.first()));
    let name = path.display().to_string();
    if !args.check {
        unit::write(&path, &text)?;
        return Ok(Outcome::fine(format!("{name}\n")));
    }
    let old = [unit::read_one(&name)?];
    if old.iter().any(|o| o.text == text) {
        return Ok(Outcome::fine(String::new()));
    }
    let before = compile_undocumented(&old).map_err(|d| unit::errors(&d, &old))?;
    let report = compare(&before, &unit::model(&sources)?);
    Ok(Outcome {
        text: format!(
            "{}{name} is of before; when this is meant: xenidl lock {}\n",
            report.text(Surface::ALL, false),
            args.files.files.join(" ")
        ),
        code: 1,
    })
}

fn beside(file: Option<&String>) -> PathBuf {
    file.map(Path::new).and_then(Path::parent).unwrap_or(Path::new("")).join("schema.lock")
}
