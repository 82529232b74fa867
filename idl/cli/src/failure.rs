//! How a run ends: with text and an exit code, or with a failure.

use crate::found::Found;
use std::path::PathBuf;

/// What a verb has to say.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// For stdout.
    pub(crate) text: String,
    /// The exit code.
    pub(crate) code: u8,
}

impl Outcome {
    /// All is fine.
    pub(crate) fn fine(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: 0 }
    }
}

/// Why a verb ended without its work done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The files have errors.
    #[error("{}", crate::found::text(.0))]
    Found(Vec<Found>),
    /// Wrong use, beyond what the flags' own check sees.
    #[error("xenidl: {0}\n")]
    Usage(String),
    /// A file cannot be read.
    #[error("xenidl: cannot read {path}: {source}\n")]
    Read { path: String, source: std::io::Error },
    /// A file cannot be written.
    #[error("xenidl: cannot write {}: {source}\n", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    /// A template has an error: where and which.
    #[error("xenidl: template {0}\n")]
    Template(String),
    /// Git cannot be started.
    #[error("xenidl: cannot start git, which `--against` a revision needs: {0}\n")]
    Git(std::io::Error),
}

impl Failure {
    /// The exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Found(_) | Failure::Template(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Read { .. } | Failure::Write { .. } | Failure::Git(_) => 3,
        }
    }
}
