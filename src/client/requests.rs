//! The client: everything but the following.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::Instant;
use uuid::Uuid;

use super::error::{Error, Result};
use super::follow::{Follow, Sent};
use super::result;
use crate::contract::{
    AgentStatus, Cancel, DomainStatus, Operation, OperationId, Request, RequestOp, ResultFile,
};
use crate::paths;
use crate::wire::{self, Timestamp};
use crate::xenstore::{self, Connection, Options, Permission};

/// The version of the contract that this library speaks.
pub const CONTRACT: u32 = 1;
/// An agent whose heartbeat is older has stopped or hangs. It writes one every 10 s.
pub const HEARTBEAT_MAX: Duration = Duration::from_secs(30);

/// How often a request is written again when xenstored goes away in the middle. Each waits for it to come back, up to the
/// connection's deadline.
const SEND_ATTEMPTS: u32 = 3;
const COMMIT_RETRIES: u32 = 20;

/// Sends requests to this host's agent. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Client {
    xs: Connection,
    heartbeat_max: Duration,
}

impl Client {
    /// A client on a connection that is there.
    #[must_use]
    pub fn new(xs: Connection) -> Self {
        Self { xs, heartbeat_max: HEARTBEAT_MAX }
    }

    /// A client on a connection of its own.
    ///
    /// # Errors
    /// [`xenstore::Error::Connect`].
    pub async fn connect(options: &Options) -> Result<Self> {
        Ok(Self::new(Connection::connect(options).await?))
    }

    /// The same with another idea of when an agent is dead. [`HEARTBEAT_MAX`] is the contract's.
    #[must_use]
    pub fn with_heartbeat_max(self, heartbeat_max: Duration) -> Self {
        Self { heartbeat_max, ..self }
    }

    /// Its connection.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.xs
    }

    /// The agent's status, if it lives. [`AgentStatus::trouble`] says whether it can do anything.
    ///
    /// # Errors
    /// [`Error::NoAgent`], [`Error::StaleAgent`].
    pub async fn agent_status(&self) -> Result<AgentStatus> {
        let status: AgentStatus = self.document(paths::AGENT).await?.ok_or(Error::NoAgent)?;
        let age = Timestamp::now().since(status.heartbeat_at);
        if age > self.heartbeat_max { Err(Error::StaleAgent { age }) } else { Ok(status) }
    }

    /// Writes a request under a fresh UUID, whether an agent lives or not: it will take it when it does. The request is lost
    /// when xenstored dies before; [`Client::run`] and [`Follow`] see to that.
    pub async fn send(&self, request: &Request) -> Result<OperationId> {
        let id = fresh_id()?;
        self.send_as(&id, request).await?;
        Ok(id)
    }

    /// Writes a request under an id of the caller's. Doing it again with the same id and request is no second operation;
    /// another request under a used id is ignored by the agent.
    pub async fn send_as(&self, id: &OperationId, request: &Request) -> Result<()> {
        self.put(id, wire::to_xenstore(request)?.as_bytes()).await
    }

    /// Sends a request and follows its operation.
    ///
    /// # Errors
    /// [`Error::NoAgent`], [`Error::StaleAgent`]: nothing was sent.
    pub async fn start(&self, request: &Request) -> Result<Follow> {
        self.start_as(fresh_id()?, request).await
    }

    /// The same under an id of the caller's.
    pub async fn start_as(&self, id: OperationId, request: &Request) -> Result<Follow> {
        let bytes: Arc<[u8]> = wire::to_xenstore(request)?.into_bytes().into();
        self.agent_status().await?;
        let watch = self.xs.watch(&paths::operation(&id)).await?;
        let generation = self.xs.generation();
        self.put(&id, &bytes).await?;
        Ok(Follow::new(self.clone(), id, watch, Some(Sent { bytes, generation })))
    }

    /// Follows an operation that was sent before, by this program or another.
    ///
    /// # Errors
    /// [`Error::NoOperation`] when there is neither operation nor request.
    pub async fn follow(&self, id: &OperationId) -> Result<Follow> {
        let watch = self.xs.watch(&paths::operation(id)).await?;
        let request = paths::request(id);
        // The agent removes the request after it wrote the operation, so one of the two is always there.
        let there = self.operation(id).await?.is_some()
            || self.value(&request).await?.is_some()
            || self.operation(id).await?.is_some();
        if !there {
            return Err(Error::NoOperation { id: id.clone() });
        }
        Ok(Follow::new(self.clone(), id.clone(), watch, None))
    }

    /// Sends a request and waits for its end, whichever: see the operation's state.
    ///
    /// # Errors
    /// [`Error::NoAgent`], [`Error::StaleAgent`]: nothing was sent, or the agent died meanwhile. [`Error::Timeout`]: the
    /// operation goes on. In each of the latter it can be followed again by its id.
    pub async fn run(&self, request: &Request, timeout: Duration) -> Result<Operation> {
        let limit = Instant::now() + timeout;
        let mut follow = self.start(request).await?;
        match tokio::time::timeout_at(limit, follow.end()).await {
            Ok(ended) => ended,
            Err(_) => Err(Error::Timeout {
                id: follow.id().clone(),
                after: timeout,
                last: follow.last().cloned().map(Box::new),
            }),
        }
    }

    /// Asks the agent to cancel an operation; the id is that of the cancel, an operation of its own, which ends when the
    /// agent has decided. What became of the cancelled one, following that one tells.
    pub async fn cancel(&self, id: &OperationId) -> Result<OperationId> {
        let cancel = RequestOp::Cancel(Cancel { operation: id.clone() });
        self.send(&Request::new(CONTRACT, cancel)).await
    }

    /// An operation as it stands now; `None` when xenstore shows none.
    pub async fn operation(&self, id: &OperationId) -> Result<Option<Operation>> {
        self.document(&paths::operation(id)).await
    }

    /// All operations that xenstore shows. One that goes away meanwhile is left out.
    pub async fn operations(&self) -> Result<Vec<Operation>> {
        let names = match self.xs.directory(paths::OPERATIONS).await {
            Err(error) if error.is_no_entry() => Vec::new(),
            names => names?,
        };
        let mut all = Vec::with_capacity(names.len());
        for name in names {
            let Ok(id) = OperationId::new(name) else { continue };
            all.extend(self.operation(&id).await?);
        }
        Ok(all)
    }

    /// What xenstore shows of a domain that has snapshots.
    pub async fn domain_status(&self, uuid: Uuid) -> Result<Option<DomainStatus>> {
        self.document(&paths::domain(uuid)).await
    }

    /// Says that the end of an operation has been seen: xenstore shows it no longer. Fine when it shows it no longer already.
    ///
    /// # Errors
    /// [`Error::NotEnded`].
    pub async fn acknowledge(&self, id: &OperationId) -> Result<()> {
        match self.operation(id).await? {
            None => Ok(()),
            Some(operation) if operation.state.is_end() => match self.xs.rm(&paths::operation(id)).await {
                Err(error) if error.is_no_entry() => Ok(()),
                removed => Ok(removed?),
            },
            Some(_) => Err(Error::NotEnded { id: id.clone() }),
        }
    }

    /// The result of an operation that is too large for xenstore (a plan, a long error), of at most 1 MiB; its size and
    /// SHA-256 are checked.
    ///
    /// # Errors
    /// [`Error::ReadResult`], [`Error::WrongResult`].
    pub async fn read_result(&self, named: &ResultFile) -> Result<Vec<u8>> {
        let (path, file) = (named.path.clone(), named.clone());
        match tokio::task::spawn_blocking(move || result::read(&file)).await {
            Ok(read) => read,
            Err(stopped) => {
                Err(Error::ReadResult { path: path.as_path().to_owned(), source: stopped.into() })
            }
        }
    }

    pub(super) fn heartbeat_max(&self) -> Duration {
        self.heartbeat_max
    }

    /// Writes the request's bytes, for dom0 only: a new node has its folder's permissions. No transaction around it: on C
    /// xenstored every request written meanwhile, beside it, would be a conflict.
    pub(super) async fn put(&self, id: &OperationId, bytes: &[u8]) -> Result<()> {
        let path = paths::request(id);
        let mut attempt = 1;
        loop {
            let written = async {
                self.make_private_folder().await?;
                self.xs.write(&path, bytes).await
            };
            match written.await {
                // Written or not: the same bytes under the same id do no harm.
                Err(error) if error.is_disconnected() && attempt < SEND_ATTEMPTS => attempt += 1,
                written => return Ok(written?),
            }
        }
    }

    /// The agent makes it; but a request may come before the agent.
    async fn make_private_folder(&self) -> xenstore::Result<()> {
        let private = &[Permission::owner(0)];
        match self.xs.permissions(paths::REQUESTS).await {
            Ok(permissions) if permissions == private => return Ok(()),
            Err(error) if !error.is_no_entry() => return Err(error),
            _ => {}
        }
        self.xs
            .transaction(COMMIT_RETRIES, async |t| {
                t.mkdir(paths::REQUESTS).await?;
                t.set_permissions(paths::REQUESTS, private).await
            })
            .await
    }

    pub(super) async fn value(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match self.xs.read(path).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_no_entry() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn document<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        self.value(path).await?.map(|bytes| decode(path, &bytes)).transpose()
    }
}

pub(super) fn decode<T: DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T> {
    wire::from_xenstore(bytes).map_err(|source| Error::Decode { path: path.to_owned(), source })
}

fn fresh_id() -> Result<OperationId> {
    let uuid = Uuid::new_v4().hyphenated().to_string();
    OperationId::new(uuid).map_err(|_| Error::Xenstore(xenstore::Error::Protocol("a UUID that is no id")))
}
