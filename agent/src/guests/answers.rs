//! What guests are told: their operations, without what is the host's business.
//!
//! Owner: the outbox's board. An answer either repeats an operation of the board, or is a refusal of its own, which dom0 is not shown: a guest that floods the
//! agent with nonsense must not push out of sight what toolstacks asked.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use uuid::Uuid;
use xensnap::contract::{ErrorKind, JournalEntry, Line, Operation, OperationId};
use xensnap::paths;
use xensnap::wire::{self, Timestamp};
use xensnap::xenstore::{Access, Connection, Error as XsError, Permission};

use crate::host::HostError;

/// How many ended operations are shown to one guest.
const SHOWN_MAX: usize = 32;
/// How often a write is tried again when it meets another.
const TRIES: u32 = 10;

/// Where an answer goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    /// The guest.
    pub(crate) uuid: Uuid,
    /// The id by which it asked.
    pub(crate) name: OperationId,
}

/// All answers.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// By the operation's id.
    addresses: BTreeMap<OperationId, Address>,
    refusals: BTreeMap<OperationId, Operation>,
    /// Ended, the oldest first.
    ended: Vec<(Timestamp, OperationId)>,
    running: HashMap<Uuid, u32>,
}

impl Answers {
    /// Where the operation of this id is answered; none when no guest asked for it.
    pub(crate) fn address(&self, id: &OperationId) -> Option<&Address> {
        self.addresses.get(id)
    }

    /// A guest asks.
    pub(crate) fn asked(&mut self, id: &OperationId, address: Address) {
        self.addresses.insert(id.clone(), address);
    }

    /// A guest asked, if the journal says so.
    pub(crate) fn recall(&mut self, entry: &JournalEntry) {
        if let (Some(uuid), Some(name)) = (entry.domain, entry.guest_id.clone()) {
            self.asked(&entry.id, Address { uuid, name });
        }
    }

    /// A request of a guest's that was not begun.
    pub(crate) fn refuse(&mut self, id: &OperationId, operation: Operation) {
        self.refusals.insert(id.clone(), operation);
    }

    /// An operation goes on; what was refused under its id is no more.
    pub(crate) fn begun(&mut self, id: &OperationId) {
        self.refusals.remove(id);
    }

    /// An operation has ended. Returns what is not shown any more in its place.
    pub(crate) fn ended(&mut self, id: &OperationId, at: Timestamp) -> Option<Address> {
        let address = self.addresses.get(id)?.clone();
        self.ended.retain(|(_, other)| other != id);
        self.ended.push((at, id.clone()));
        let of_guest = |id: &OperationId| self.addresses.get(id).is_some_and(|a| a.uuid == address.uuid);
        if self.ended.iter().filter(|(_, id)| of_guest(id)).count() <= SHOWN_MAX {
            return None;
        }
        let oldest = self.ended.iter().position(|(_, id)| of_guest(id))?;
        let (_, id) = self.ended.remove(oldest);
        self.forget(&id)
    }

    fn forget(&mut self, id: &OperationId) -> Option<Address> {
        self.refusals.remove(id);
        self.addresses.remove(id)
    }

    /// What ended longer ago than this is not shown any more.
    pub(crate) fn expire(&mut self, now: Timestamp, shown: Duration) -> Vec<Address> {
        let (old, kept) =
            std::mem::take(&mut self.ended).into_iter().partition(|(at, _)| now.since(*at) >= shown);
        self.ended = kept;
        let old: Vec<(Timestamp, OperationId)> = old;
        old.iter().filter_map(|(_, id)| self.forget(id)).collect()
    }

    /// Which guests run, and where. Returns the answers of those that run elsewhere than before: after a reboot, say.
    pub(crate) fn run(&mut self, running: HashMap<Uuid, u32>) -> Vec<Address> {
        let before = std::mem::replace(&mut self.running, running);
        let moved = |a: &&Address| self.running.get(&a.uuid).is_some_and(|d| before.get(&a.uuid) != Some(d));
        self.addresses.values().filter(moved).cloned().collect()
    }

    /// All addresses.
    pub(crate) fn all(&self) -> Vec<Address> {
        self.addresses.values().cloned().collect()
    }

    /// Where a guest runs.
    pub(crate) fn domid(&self, address: &Address) -> Option<u32> {
        self.running.get(&address.uuid).copied()
    }

    /// What a guest is told, given what dom0 is.
    pub(crate) fn answer(
        &self,
        address: &Address,
        operations: &BTreeMap<OperationId, Operation>,
    ) -> Option<Operation> {
        let (id, _) = self.addresses.iter().find(|(_, a)| *a == address)?;
        let told = self.refusals.get(id).or_else(|| operations.get(id))?;
        Some(for_guest(told, &address.name))
    }
}

/// An operation as its guest may see it: by its own id, and no error that tells of the host's files and tools.
fn for_guest(operation: &Operation, name: &OperationId) -> Operation {
    let error = operation.error.clone().map(|e| match e.kind {
        ErrorKind::BadRequest
        | ErrorKind::NoSnapshot
        | ErrorKind::NameExists
        | ErrorKind::NoDisk
        | ErrorKind::Limit
        | ErrorKind::Denied
        | ErrorKind::Cancelled => e,
        kind => {
            let text = format!("the host says why, in its operation {}", operation.id.as_str());
            let mut told: xensnap::contract::Error = HostError::new(kind, text).into();
            told.hint = Some(Line::lossy("ask the host's administrator"));
            told
        }
    });
    Operation { id: name.clone(), error, result: None, domid: None, ..operation.clone() }
}

/// Writes one answer, or removes it. Nothing is written for a domain that has gone: its folder would stay for ever.
pub(crate) async fn write(
    xs: &Connection,
    domid: u32,
    name: &OperationId,
    operation: Option<Operation>,
) -> Result<(), XsError> {
    let path = paths::guest_operation(domid, name);
    let Some(operation) = operation else { return removed(xs, &path).await };
    let Ok(text) = wire::to_xenstore(&operation) else { return Ok(()) };
    let (home, folder) = (format!("/local/domain/{domid}"), paths::guest_operations(domid));
    let readable = [Permission::owner(0), Permission::new(domid, Access::Read)];
    let done = xs.transaction(TRIES, |tx| {
        let (home, folder, path, text) = (home.clone(), folder.clone(), path.clone(), text.clone());
        async move {
            tx.permissions(&home).await?;
            match tx.permissions(&folder).await {
                Ok(_) => {}
                Err(e) if e.is_no_entry() => {
                    // `xensnap`, then `xensnap/operation`.
                    for folder in [folder.trim_end_matches("/operation"), &folder] {
                        tx.mkdir(folder).await?;
                        tx.set_permissions(folder, &readable).await?;
                    }
                }
                Err(e) => return Err(e),
            }
            tx.write(&path, text.as_bytes()).await?;
            tx.set_permissions(&path, &readable).await
        }
    });
    match done.await {
        Err(e) if e.is_no_entry() => Ok(()),
        other => other,
    }
}

/// Removes a node; one that is not there is removed already.
pub(crate) async fn removed(xs: &Connection, path: &str) -> Result<(), XsError> {
    match xs.rm(path).await {
        Err(e) if e.is_no_entry() => Ok(()),
        other => other,
    }
}
