//! Why a verb did not do what it was asked: each has an exit code (in [`crate::exit`]) and, where something can be done, hints.

use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;
use xensnap::client::Error as ClientError;
use xensnap::contract::{self, OperationId, OperationState};
use xensnap::xenstore::Error as XsError;
use xensnap_store::StoreError;

use crate::exit::Exit;
use crate::text;

/// Result of every verb.
pub(crate) type Result<T> = std::result::Result<T, CliError>;

/// An error of the command line tool.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// No agent has written its status, or it ended.
    #[error("xensnapd is not running")]
    NoAgent,
    /// The agent's status is old.
    #[error("xensnapd is not running: its last sign of life is {} old", text::duration(seconds(*age)))]
    StaleAgent {
        /// The heartbeat's age.
        age: Duration,
    },
    /// The agent was there when the operation was asked for, and is not any more.
    #[error("xensnapd stopped while operation {id} was going on")]
    AgentLost {
        /// The operation.
        id: OperationId,
    },
    /// `--timeout` is over.
    #[error("operation {id} has not ended after {}; it goes on", text::duration(nanoseconds(*after)))]
    Timeout {
        /// The operation.
        id: OperationId,
        /// The time given.
        after: Duration,
    },
    /// The second Ctrl-C.
    #[error("left operation {id}, which goes on")]
    Left {
        /// The operation.
        id: OperationId,
    },
    /// The operation ended with an error.
    #[error("{}", error.message.as_str())]
    Operation {
        /// The operation.
        id: OperationId,
        /// Its error.
        error: Box<contract::Error>,
    },
    /// The operation ended otherwise than asked and says no more about it.
    #[error("operation {id} ended: {state}")]
    Ended {
        /// The operation.
        id: OperationId,
        /// How.
        state: OperationState,
    },
    /// What the agent left to be read is not a document of the contract.
    #[error("the result of operation {id}, {}, is not understood", path.display())]
    BadResult {
        /// The operation.
        id: OperationId,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: xensnap::wire::DecodeError,
    },
    /// A dry run ended without a plan.
    #[error("operation {id} is done but left no plan")]
    NoPlan {
        /// The operation.
        id: OperationId,
    },
    /// No such domain.
    #[error("no domain {reference} {where_}")]
    NoDomain {
        /// As it was written.
        reference: String,
        /// Where it was looked for.
        where_: &'static str,
    },
    /// Two domains of one name.
    #[error("{} domains have the name {reference}: {}", uuids.len(), list(uuids))]
    Ambiguous {
        /// As it was written.
        reference: String,
        /// The domains.
        uuids: Vec<Uuid>,
    },
    /// No such snapshot.
    #[error("domain {domain} has no snapshot {reference}")]
    NoSnapshot {
        /// The domain.
        domain: String,
        /// As it was written.
        reference: String,
    },
    /// A snapshot of the other kind.
    #[error("{name} is not a {asked} but a {is}")]
    OtherKind {
        /// Its name.
        name: String,
        /// What was asked for.
        asked: &'static str,
        /// What it is.
        is: &'static str,
        /// The verb that takes it.
        verb: String,
    },
    /// No such operation.
    #[error("no operation {id}")]
    NoOperation {
        /// Its id.
        id: OperationId,
    },
    /// `store check` found something.
    #[error("{count} findings need attention")]
    Findings {
        /// How many.
        count: usize,
    },
    /// The way to the agent.
    #[error(transparent)]
    Client(ClientError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A document that cannot be written as JSON.
    #[error("what was read cannot be written as a document of the contract")]
    Encode(#[from] xensnap::wire::EncodeError),
    /// The configuration.
    #[error("{} {what}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file that cannot be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The output.
    #[error("cannot write the output")]
    Output(#[from] std::io::Error),
    /// The system.
    #[error("cannot {what}")]
    System {
        /// What.
        what: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
}

impl CliError {
    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::NoAgent | Self::StaleAgent { .. } | Self::AgentLost { .. } => Exit::NoAgent,
            Self::Timeout { .. } => Exit::Timeout,
            Self::Left { .. } => Exit::Left,
            Self::Operation { error, .. } => Exit::of(&error.kind),
            Self::Ended { state, .. } => match state {
                OperationState::Cancelled => Exit::Cancelled,
                _ => Exit::Failed,
            },
            Self::BadResult { .. } => Exit::Changed,
            Self::NoPlan { .. } | Self::Encode(_) => Exit::Internal,
            Self::NoDomain { .. } | Self::Ambiguous { .. } => Exit::NoDomain,
            Self::NoSnapshot { .. } | Self::OtherKind { .. } => Exit::NoSnapshot,
            Self::NoOperation { .. } => Exit::NoOperation,
            Self::Findings { .. } => Exit::Findings,
            Self::Client(error) => of_client(error),
            Self::Store(error) => of_store(error),
            Self::Settings { .. } | Self::File { .. } | Self::Output(_) | Self::System { .. } => Exit::Failed,
        }
    }

    /// What to do about it.
    pub(crate) fn hints(&self) -> Vec<String> {
        match self {
            Self::NoAgent => vec!["systemctl start xensnapd".to_owned()],
            Self::StaleAgent { .. } => {
                vec![
                    "systemctl start xensnapd (or restart, if it hangs: systemctl status xensnapd)"
                        .to_owned(),
                ]
            }
            Self::AgentLost { id } => vec![
                "systemctl status xensnapd".to_owned(),
                format!("it is taken up or taken back when xensnapd starts: xensnap operation watch {id}"),
            ],
            Self::Timeout { id, .. } | Self::Left { id } => {
                vec![format!("xensnap operation watch {id}"), format!("xensnap operation cancel {id}")]
            }
            Self::Operation { error, .. } => error.hint.iter().map(|hint| hint.as_str().to_owned()).collect(),
            Self::Ended { id, .. } | Self::BadResult { id, .. } => {
                vec![format!("xensnap operation show {id}")]
            }
            Self::NoDomain { .. } => {
                vec!["xensnap domain list shows the domains that the store knows".to_owned()]
            }
            Self::Ambiguous { .. } => vec!["name it by its UUID".to_owned()],
            Self::NoSnapshot { domain, .. } => {
                vec![format!("xensnap vm-snapshot-list {domain} and disk-snapshot-list {domain} show them")]
            }
            Self::OtherKind { verb, .. } => vec![format!("xensnap {verb}")],
            Self::NoOperation { .. } | Self::Client(ClientError::NoOperation { .. }) => {
                vec!["xensnap operation list shows the newest".to_owned()]
            }
            Self::Client(ClientError::Xenstore(XsError::Connect { .. })) => {
                vec!["systemctl status xenstored (on another socket: --xenstore SOCKET)".to_owned()]
            }
            Self::Store(StoreError::Denied { .. }) => vec!["run it as root".to_owned()],
            _ => Vec::new(),
        }
    }

    /// Whether the reader of the output has gone away: nothing to complain about.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        let error = match self {
            Self::Output(error) | Self::Store(StoreError::Io { source: error, .. }) => error,
            _ => return false,
        };
        error.kind() == std::io::ErrorKind::BrokenPipe
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NoAgent => Self::NoAgent,
            ClientError::StaleAgent { age } => Self::StaleAgent { age },
            other => Self::Client(other),
        }
    }
}

fn of_client(error: &ClientError) -> Exit {
    match error {
        ClientError::Xenstore(_) => Exit::NoXenstore,
        // More than a request may hold.
        ClientError::Encode(_) => Exit::BadRequest,
        ClientError::Decode { .. } => Exit::Failed,
        ClientError::NoAgent | ClientError::StaleAgent { .. } => Exit::NoAgent,
        ClientError::NoOperation { .. } => Exit::NoOperation,
        ClientError::NotEnded { .. } => Exit::DomainState,
        ClientError::Timeout { .. } => Exit::Timeout,
        ClientError::ReadResult { .. } | ClientError::WrongResult { .. } => Exit::Changed,
    }
}

fn of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::Denied { .. } => Exit::Denied,
        StoreError::NoSpace { .. } => Exit::NoSpace,
        StoreError::NoDomain { .. } => Exit::NoDomain,
        StoreError::NoSnapshot { .. } => Exit::NoSnapshot,
        StoreError::NoOperation { .. } => Exit::NoOperation,
        StoreError::NameExists { .. } => Exit::NameExists,
        error if error.is_unavailable() => Exit::StoreUnavailable,
        _ => Exit::Internal,
    }
}

fn list(uuids: &[Uuid]) -> String {
    let texts: Vec<String> = uuids.iter().map(Uuid::to_string).collect();
    texts.join(", ")
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Whole seconds, in nanoseconds.
fn seconds(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000_000)
}
