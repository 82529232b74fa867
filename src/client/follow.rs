//! An operation, as it goes on.
//!
//! ```text
//! watch event -----> look: read the operation --- other bytes than last ---> the caller
//! every third of            |- none, and xenstored died since it was sent --> send the request again
//! the longest               |- none any more --> NoOperation
//! heartbeat -------> is the agent alive? --- not for too long ---> NoAgent, StaleAgent
//! ```
//! Nothing else wakes it. What it knows is in [`Follow`] alone, and a call that is dropped in the middle loses nothing.

use std::sync::Arc;

use tokio::time::Instant;

use super::error::{Error, Result};
use super::requests::{Client, decode};
use crate::contract::{Operation, OperationId};
use crate::paths;
use crate::xenstore::{self, Watch};

/// The states of one operation, up to its end.
#[derive(Debug)]
pub struct Follow {
    client: Client,
    id: OperationId,
    watch: Watch,
    /// The request, if it was sent here.
    sent: Option<Sent>,
    /// There may be something that was not read yet.
    look: bool,
    /// What was read last, and on which connection.
    seen: Option<Seen>,
    ended: bool,
    /// When the agent was last known to be alive.
    alive: Instant,
    next_check: Instant,
}

/// A request, and the connection that it was sent on.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) bytes: Arc<[u8]>,
    pub(super) generation: u64,
}

#[derive(Debug)]
struct Seen {
    bytes: Vec<u8>,
    operation: Operation,
    generation: u64,
}

impl Follow {
    pub(super) fn new(client: Client, id: OperationId, watch: Watch, sent: Option<Sent>) -> Self {
        let now = Instant::now();
        let next_check = now + client.heartbeat_max() / 3;
        Self { client, id, watch, sent, look: true, seen: None, ended: false, alive: now, next_check }
    }

    /// The operation's id.
    #[must_use]
    pub fn id(&self) -> &OperationId {
        &self.id
    }

    /// What [`Follow::next`] returned last.
    #[must_use]
    pub fn last(&self) -> Option<&Operation> {
        self.seen.as_ref().map(|seen| &seen.operation)
    }

    /// The operation's next state. States may be skipped, the end is not: after it comes `None`. Survives xenstored's
    /// restart, and the agent's if it is back within the longest heartbeat.
    ///
    /// # Errors
    /// [`Error::NoAgent`], [`Error::StaleAgent`]: the agent has been away for too long; call again to go on waiting.
    /// [`Error::NoOperation`]: somebody else acknowledged it.
    pub async fn next(&mut self) -> Result<Option<Operation>> {
        while !self.ended {
            if self.look {
                match self.read().await {
                    Ok(Some(operation)) => return Ok(Some(operation)),
                    Ok(None) => {}
                    Err(error) if error.is_disconnected() => {} // the watch tells when it is back
                    Err(error) => return Err(error),
                }
            }
            tokio::select! {
                event = self.watch.next() => {
                    event.ok_or(xenstore::Error::Closed)?;
                    self.look = true;
                }
                () = tokio::time::sleep_until(self.next_check) => self.check_agent().await?,
            }
        }
        Ok(None)
    }

    /// The operation at its end. Errors as [`Follow::next`].
    pub async fn end(&mut self) -> Result<Operation> {
        while self.next().await?.is_some() {}
        let last = self.last().cloned();
        last.ok_or_else(|| Error::NoOperation { id: self.id.clone() })
    }

    /// Reads the operation; it, if it is another than last time.
    async fn read(&mut self) -> Result<Option<Operation>> {
        let generation = self.client.connection().generation();
        let path = paths::operation(&self.id);
        let bytes = self.client.value(&path).await?;
        if self.client.connection().generation() != generation {
            return Ok(None); // read from an empty store, maybe; the watch tells to look again
        }
        let Some(bytes) = bytes else {
            self.missing(generation).await?;
            self.look = false;
            return Ok(None);
        };
        self.look = false;
        self.alive = Instant::now();
        if let Some(seen) = self.seen.as_mut().filter(|seen| seen.bytes == bytes) {
            seen.generation = generation; // shown again after xenstored's restart
            return Ok(None);
        }
        let operation: Operation = decode(&path, &bytes)?;
        self.ended = operation.state.is_end();
        self.seen = Some(Seen { bytes, operation: operation.clone(), generation });
        Ok(Some(operation))
    }

    /// There is no operation in xenstore.
    async fn missing(&mut self, generation: u64) -> Result<()> {
        if self.seen.as_ref().is_some_and(|seen| seen.generation == generation) {
            return Err(Error::NoOperation { id: self.id.clone() });
        }
        // Not yet; or xenstored died and the agent has not shown it again; or the request died with xenstored before the
        // agent read it. If so it is sent again: the same bytes under the same id are the same operation.
        if let Some(sent) = &mut self.sent
            && sent.generation < generation
            && self.client.value(&paths::request(&self.id)).await?.is_none()
        {
            self.client.put(&self.id, &sent.bytes).await?;
            sent.generation = generation;
        }
        Ok(())
    }

    async fn check_agent(&mut self) -> Result<()> {
        let longest = self.client.heartbeat_max();
        self.next_check = Instant::now() + longest / 3;
        match self.client.agent_status().await {
            Ok(_) => self.alive = Instant::now(),
            Err(error) if self.alive.elapsed() > longest => return Err(error),
            Err(_) => {} // it may be restarting, or xenstored
        }
        Ok(())
    }
}
