//! What goes out: results to the output, everything else to the error output. With `--json` the output holds JSON Lines and nothing else: one document of the
//! contract a line, so that a list of any length can be written and read as a stream.

use std::io::{self, BufWriter, StdoutLock, Write};

use serde::Serialize;
use xensnap::wire;

use crate::error::{CliError, Result};
use crate::text::plain;

/// The output.
#[derive(Debug)]
pub(crate) struct Out {
    to: BufWriter<StdoutLock<'static>>,
}

impl Out {
    /// The process's output. Held for the whole run.
    pub(crate) fn new() -> Self {
        Self { to: BufWriter::with_capacity(1 << 16, io::stdout().lock()) }
    }

    /// Text that is made of whole lines already.
    pub(crate) fn text(&mut self, text: &str) -> Result<()> {
        Ok(self.to.write_all(text.as_bytes())?)
    }

    /// One line.
    pub(crate) fn line(&mut self, line: &str) -> Result<()> {
        self.text(line)?;
        self.text("\n")
    }

    /// One document.
    pub(crate) fn document<T: Serialize + ?Sized>(&mut self, document: &T) -> Result<()> {
        let json = wire::to_string(document)?;
        self.line(&json)
    }

    /// The stream itself.
    pub(crate) fn stream(&mut self) -> &mut impl Write {
        &mut self.to
    }

    /// Writes out what is held back.
    pub(crate) fn flush(&mut self) -> Result<()> {
        Ok(self.to.flush()?)
    }
}

/// A warning about what was done, on the error output.
pub(crate) fn warning(text: &str) {
    let _ = writeln!(io::stderr().lock(), "warning: {}", plain(text));
}

/// A remark on the error output that changes nothing about the result.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "note: {}", plain(text));
}

/// An error with its sources in brackets, and its hints, each on a line of its own.
pub(crate) fn complain(error: &CliError) {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message.push_str(&format!(" ({cause})"));
        source = cause.source();
    }
    let mut out = io::stderr().lock();
    let _ = writeln!(out, "error: {}", plain(&message));
    for hint in error.hints() {
        let _ = writeln!(out, "hint: {}", plain(&hint));
    }
}
