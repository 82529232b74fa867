//! What can go wrong between a toolstack and the agent. That an operation failed is not one of these: it is its end state.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::contract::{Operation, OperationId};
use crate::{wire, xenstore};

/// Of any call of the client.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the client cannot say more about an operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// xenstore cannot be reached or refuses.
    #[error(transparent)]
    Xenstore(#[from] xenstore::Error),
    /// The request is not one that the contract allows; nothing was sent.
    #[error("the request cannot be written")]
    Encode(#[from] wire::EncodeError),
    /// What xenstore holds is not what the contract says.
    #[error("{path} in xenstore is not understood; is the agent newer than this program?")]
    Decode {
        /// The node.
        path: String,
        /// What is wrong with its value.
        source: wire::DecodeError,
    },
    /// No agent has shown itself.
    #[error("no agent runs on this host; start xensnapd")]
    NoAgent,
    /// The agent has stopped or hangs.
    #[error("the agent has not been heard of for {} s; restart xensnapd", age.as_secs())]
    StaleAgent {
        /// Since its last heartbeat.
        age: Duration,
    },
    /// No such operation: never sent, acknowledged, or ended too long ago.
    #[error(
        "there is no operation {id}; it was never sent, or ended and was forgotten (its snapshot is listed all the same)"
    )]
    NoOperation {
        /// As asked for.
        id: OperationId,
    },
    /// It cannot be acknowledged yet.
    #[error("the operation {id} has not ended; cancel it, or wait")]
    NotEnded {
        /// As asked for.
        id: OperationId,
    },
    /// The operation goes on; only the waiting has ended.
    #[error("the operation {id} has not ended within {} s; it goes on: follow it, or cancel it", after.as_secs())]
    Timeout {
        /// The operation.
        id: OperationId,
        /// How long it was waited for.
        after: Duration,
        /// What was last seen of it; `None`: the agent has not taken it yet.
        last: Option<Box<Operation>>,
    },
    /// The file that holds an operation's result cannot be read.
    #[error("cannot read the result {}; results are readable by root in dom0 only", path.display())]
    ReadResult {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file that holds an operation's result is not the one that the operation names.
    #[error("the result {} is not what the operation says: {what}", path.display())]
    WrongResult {
        /// The file.
        path: PathBuf,
        /// What is different.
        what: &'static str,
    },
}

impl Error {
    /// Trying the same again may help: nothing was refused, something was away.
    pub(super) fn is_disconnected(&self) -> bool {
        matches!(self, Self::Xenstore(error) if error.is_disconnected())
    }
}
