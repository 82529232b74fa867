//! `xenidl fmt`: files in the one layout.

use crate::args::Fmt;
use crate::failure::{Failure, Outcome};
use crate::unit;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;
use xenidl::{Source, fmt};

/// Writes the files that are laid out otherwise, and names them. Either all files have the right form, or none is touched.
pub(crate) fn run(args: &Fmt) -> Result<Outcome, Failure> {
    if args.files == ["-"] {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|source| Failure::Read { path: "stdin".into(), source })?;
        return Ok(Outcome::fine(format(&Source::new("stdin", text))?));
    }
    let mut changed = Vec::new();
    for name in &args.files {
        let source = unit::read_one(name)?;
        let text = format(&source)?;
        if text != source.text {
            changed.push((name, text));
        }
    }
    let mut said = String::new();
    for (name, text) in &changed {
        if !args.check {
            unit::write(Path::new(name), text)?;
        }
        let _ = writeln!(said, "{name}");
    }
    Ok(Outcome { text: said, code: u8::from(args.check && !changed.is_empty()) })
}

fn format(source: &Source) -> Result<String, Failure> {
    let sources = std::slice::from_ref(source);
    fmt::format(source).map_err(|d| unit::errors(&d, sources))
}
