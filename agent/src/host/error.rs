//! What can go wrong at the door to the world.

use xensnap::contract::{self, ErrorKind, Line};

/// Result of a verb of the host.
pub type Result<T, E = HostError> = std::result::Result<T, E>;

/// An error of the host. The message says what happened and names the thing; the hint says what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct HostError {
    /// What kind, by what the reader can do about it.
    pub kind: ErrorKind,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl HostError {
    /// An error without a hint.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<HostError> for contract::Error {
    fn from(e: HostError) -> Self {
        Self {
            kind: e.kind,
            message: Line::lossy(&e.message),
            hint: e.hint.as_deref().map(|h| Line::lossy_max(h, Self::HINT_MAX)),
            extra: Default::default(),
        }
    }
}
