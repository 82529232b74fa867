//! How a run fails: what it says, and with which exit code it ends.

use std::path::PathBuf;

/// Why a verb ended without its work done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The files have errors: what the compiler says of them, as it is to be shown.
    #[error("{0}")]
    Errors(String),
    /// Wrong use, beyond what the flags' own check sees.
    #[error("xenidl: {0}\n")]
    Usage(String),
    /// A file cannot be read.
    #[error("xenidl: cannot read {path}: {source}\n")]
    Read { path: String, source: std::io::Error },
    /// A file cannot be written.
    #[error("xenidl: cannot write {}: {source}\n", path.display())]
    Write { path: PathBuf, source: std::io::Error },
}

impl Failure {
    /// What goes to stderr.
    pub(crate) fn said(&self) -> String {
        self.to_string()
    }

    /// The exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Errors(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Read { .. } | Failure::Write { .. } => 3,
        }
    }
}
