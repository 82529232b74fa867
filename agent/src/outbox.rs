//! What xenstore shows: operations, domains, the agent. All of it can be lost at any moment and is written again.
//!
//! ```text
//!   tasks --> board (latest value of each key) --> writer task --> xenstore
//!               ^                                      |
//!           Ticket (one operation's progress)     on a resync: everything again
//! ```
//!
//! Owner of the board: [`Outbox`]. The writer always writes the newest value; values that were overtaken are never written, so a fast operation costs two
//! writes and a slow one no more than one every 100 ms. An operation is shown as done only from an [`Ended`], which holds the proof of its commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;
use xensnap::contract::{
    self, AgentStatus, DomainStatus, JournalEntry, Operation, OperationId, OperationState, ResultFile,
    StepKind,
};
use xensnap::wire::{self, Timestamp};
use xensnap::xenstore::{Connection, Error as XsError, Permission};
use xensnap::{journal, paths};

use crate::guests::{self, Address, Answers};
use crate::host::HostError;
use crate::journal::{Ended, Unsettled};
use crate::log;

/// How long an ended operation is shown.
const SHOWN: Duration = Duration::from_secs(600);
/// How many ended operations are shown at the most.
const SHOWN_MAX: usize = 256;
/// Progress is written no more often than this.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// What is to be seen in xenstore.
#[derive(Debug, Default)]
struct Board {
    operations: BTreeMap<OperationId, Operation>,
    ended: Vec<(Timestamp, OperationId)>,
    domains: BTreeMap<Uuid, DomainStatus>,
    agent: Option<AgentStatus>,
    /// What guests are told, besides.
    answers: Answers,
    dirty: BTreeSet<Key>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Agent,
    Domain(Uuid),
    Operation(OperationId),
    /// The same for the guest that asked.
    Answer(Address),
    /// A request that is journalled or refused: to be removed. After its operation, so that one of the two is always there.
    Request(OperationId),
    /// The same, of a guest.
    Asked(Address),
}

impl Board {
    /// A key is to be written, and with an operation what its guest is told of it.
    fn mark(&mut self, key: Key) {
        if let Key::Operation(id) = &key
            && let Some(address) = self.answers.address(id)
        {
            self.dirty.insert(Key::Answer(address.clone()));
        }
        self.dirty.insert(key);
    }
}

/// The board and its writer's bell.
#[derive(Debug, Default)]
pub struct Outbox {
    board: Mutex<Board>,
    /// Something is to be written now.
    bell: Notify,
    /// Something is to be written soon.
    soon: Notify,
}

impl Outbox {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, key: Key, change: impl FnOnce(&mut Board)) {
        {
            let mut board = self.board();
            change(&mut board);
            board.mark(key);
        }
        self.bell.notify_one();
    }

    /// Shows an operation as its entry stands; the ticket shows its progress from then on.
    pub fn show(self: &Arc<Self>, entry: &JournalEntry) -> Ticket {
        let operation = journal::operation(entry);
        self.put(Key::Operation(entry.id.clone()), |b| {
            b.answers.recall(entry);
            b.answers.begun(&entry.id);
            b.operations.insert(entry.id.clone(), operation);
        });
        self.ticket(&entry.id)
    }

    /// A ticket of an operation that need not be shown.
    pub fn ticket(self: &Arc<Self>, id: &OperationId) -> Ticket {
        Ticket { outbox: Arc::clone(self), id: id.clone(), cancel: Arc::new(AtomicBool::new(false)) }
    }

    /// Shows an operation's end. That it is on disk is proved by `ended`.
    pub fn ended(&self, ended: &Ended, result: Option<ResultFile>) {
        debug_assert_eq!(ended.proof.operation(), &ended.entry.id, "a proof is of its own operation");
        let mut operation = journal::operation(&ended.entry);
        operation.result = result;
        self.show_end(operation, Some(&ended.entry));
    }

    /// A guest asks, by an id of its own, for what becomes the operation of this id.
    pub fn asked_by_guest(&self, id: &OperationId, uuid: Uuid, name: &OperationId) {
        self.board().answers.asked(id, Address { uuid, name: name.clone() });
    }

    /// Which guests that may ask run, by UUID and domid.
    pub fn guests_run(&self, running: impl Iterator<Item = (Uuid, u32)>) {
        let moved = {
            let mut board = self.board();
            let moved = board.answers.run(running.collect());
            board.dirty.extend(moved.iter().cloned().map(Key::Answer));
            moved
        };
        if !moved.is_empty() {
            self.bell.notify_one();
        }
    }

    /// Shows an operation that was not begun. To the guest alone, if a guest asked.
    pub fn refused(
        &self,
        id: &OperationId,
        op: Option<contract::OpKind>,
        domain: Option<Uuid>,
        error: &HostError,
    ) {
        let now = Timestamp::now();
        let mut operation = Operation::new(crate::CONTRACT, id.clone(), OperationState::Refused, 0, 0, now);
        operation.op = op;
        operation.domain = domain;
        operation.ended_at = Some(now);
        operation.error = Some(error.clone().into());
        let answered = {
            let mut board = self.board();
            let Some(address) = board.answers.address(id).cloned() else {
                drop(board);
                return self.show_end(operation, None);
            };
            board.answers.refuse(id, operation);
            let gone = board.answers.ended(id, now);
            [Some(address), gone]
        };
        self.board().dirty.extend(answered.into_iter().flatten().map(Key::Answer));
        self.bell.notify_one();
    }

    /// Shows an operation whose end could not be journalled; the next start of the agent settles it.
    pub fn unsettled(&self, unsettled: &Unsettled) {
        let mut operation = journal::operation(&unsettled.entry);
        operation.state = OperationState::Failed;
        operation.ended_at = Some(Timestamp::now());
        operation.error = Some(unsettled.error.clone().into());
        self.show_end(operation, Some(&unsettled.entry));
    }

    /// Shows an operation as the store has it: still open, or ended long ago.
    pub fn recalled(&self, entry: &JournalEntry) {
        let operation = journal::operation(entry);
        if operation.ended_at.is_some() {
            return self.show_end(operation, Some(entry));
        }
        self.put(Key::Operation(entry.id.clone()), |b| {
            b.answers.recall(entry);
            b.operations.entry(entry.id.clone()).or_insert(operation);
        });
    }

    fn show_end(&self, operation: Operation, entry: Option<&JournalEntry>) {
        let id = operation.id.clone();
        self.put(Key::Operation(id.clone()), |b| {
            let at = operation.ended_at.unwrap_or(operation.created_at);
            if let Some(entry) = entry {
                b.answers.recall(entry);
                b.answers.begun(&id);
                let gone = b.answers.ended(&id, at);
                b.dirty.extend(gone.map(Key::Answer));
            }
            b.ended.retain(|(_, other)| *other != id);
            b.ended.push((at, id.clone()));
            b.operations.insert(id, operation);
        });
    }

    /// The request's key can go: the operation's is there.
    pub fn consumed(&self, id: &OperationId) {
        let address = self.board().answers.address(id).cloned();
        self.put(address.map_or_else(|| Key::Request(id.clone()), Key::Asked), |_| {});
    }

    /// Shows what a domain has.
    pub fn domain(&self, uuid: Uuid, status: Option<DomainStatus>) {
        self.put(Key::Domain(uuid), |b| match status {
            Some(s) => {
                b.domains.insert(uuid, s);
            }
            None => {
                b.domains.remove(&uuid);
            }
        });
    }

    /// Shows which operation is being carried out on a domain, if the domain is shown.
    pub fn domain_operation(&self, uuid: Uuid, id: &OperationId) {
        {
            let mut board = self.board();
            let Some(status) = board.domains.get_mut(&uuid) else { return };
            status.operation = Some(id.clone());
            board.dirty.insert(Key::Domain(uuid));
        }
        self.soon.notify_one();
    }

    /// Shows the agent.
    pub fn agent(&self, status: AgentStatus) {
        self.put(Key::Agent, |b| b.agent = Some(status));
    }

    /// Shows the agent soon: what changes often is not written each time.
    pub fn agent_soon(&self, status: AgentStatus) {
        {
            let mut board = self.board();
            board.agent = Some(status);
            board.dirty.insert(Key::Agent);
        }
        self.soon.notify_one();
    }

    /// Forgets operations that ended long ago, or before the newest 256.
    pub fn expire(&self, now: Timestamp) {
        let mut gone = Vec::new();
        let idle;
        {
            let mut board = self.board();
            let surplus = board.ended.len().saturating_sub(SHOWN_MAX);
            let mut n = 0;
            board.ended.retain(|(at, id)| {
                n += 1;
                let keep = n > surplus && now.since(*at) < SHOWN;
                if !keep {
                    gone.push(id.clone());
                }
                keep
            });
            for id in &gone {
                board.mark(Key::Operation(id.clone()));
                board.operations.remove(id);
            }
            let unanswered = board.answers.expire(now, SHOWN);
            idle = gone.is_empty() && unanswered.is_empty();
            board.dirty.extend(unanswered.into_iter().map(Key::Answer));
        }
        if !idle {
            self.bell.notify_one();
        }
    }

    /// Takes over what an agent before this one has left to be seen, after the journal's operations are shown: what it refused is shown for its time, what
    /// the journal does not know (the store was replaced) is removed, else it would be "running" for ever.
    ///
    /// # Errors
    /// When xenstore cannot be read.
    pub async fn inherit(&self, xs: &Connection) -> Result<(), XsError> {
        for name in xs.directory(paths::OPERATIONS).await? {
            let Ok(id) = OperationId::new(&name) else { continue };
            if self.board().operations.contains_key(&id) {
                continue;
            }
            let value = match xs.read(&paths::operation(&id)).await {
                Err(e) if e.is_no_entry() => continue,
                value => value?,
            };
            match wire::from_slice::<Operation>(&value) {
                Ok(left) if left.ended_at.is_some() && left.id == id => self.show_end(left, None),
                _ => self.put(Key::Operation(id), |_| {}),
            }
        }
        Ok(())
    }

    /// Everything is to be written again: xenstore may have lost it.
    pub fn resync(&self) {
        {
            let mut board = self.board();
            let all: Vec<Key> = std::iter::once(Key::Agent)
                .chain(board.domains.keys().copied().map(Key::Domain))
                .chain(board.operations.keys().cloned().map(Key::Operation))
                .chain(board.answers.all().into_iter().map(Key::Answer))
                .collect();
            board.dirty.extend(all);
        }
        self.bell.notify_one();
    }

    /// Writes the board to xenstore, for ever.
    pub async fn write(self: Arc<Self>, xs: Connection) {
        loop {
            tokio::select! {
                () = self.bell.notified() => {}
                () = self.soon.notified() => {
                    // An end that comes meanwhile is not held back.
                    let _ = tokio::time::timeout(PROGRESS_EVERY, self.bell.notified()).await;
                }
            }
            loop {
                let dirty: Vec<Key> = std::mem::take(&mut self.board().dirty).into_iter().collect();
                if dirty.is_empty() {
                    break;
                }
                for key in dirty {
                    if let Err(e) = self.write_key(&xs, &key).await {
                        self.board().dirty.insert(key);
                        if !e.is_disconnected() {
                            log::line(&format!("outbox: {e}"));
                        }
                        // A resync rings the bell; until then a slow retry.
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                }
            }
        }
    }

    /// What a guest is told, and where it runs; nothing is told to one that does not.
    fn answer(&self, address: &Address) -> Option<(u32, Option<Operation>)> {
        let board = self.board();
        Some((board.answers.domid(address)?, board.answers.answer(address, &board.operations)))
    }

    async fn write_key(&self, xs: &Connection, key: &Key) -> Result<(), XsError> {
        if let Key::Answer(address) = key {
            let Some((domid, answer)) = self.answer(address) else { return Ok(()) };
            return guests::write(xs, domid, &address.name, answer).await;
        }
        let (path, value) = {
            let board = self.board();
            match key {
                Key::Answer(_) => return Ok(()), // above
                Key::Asked(address) => {
                    let Some(domid) = board.answers.domid(address) else { return Ok(()) };
                    (paths::guest_request(domid, &address.name), None)
                }
                Key::Agent => (paths::AGENT.to_owned(), board.agent.as_ref().map(wire::to_xenstore)),
                Key::Domain(u) => (paths::domain(*u), board.domains.get(u).map(wire::to_xenstore)),
                Key::Operation(id) => (paths::operation(id), board.operations.get(id).map(wire::to_xenstore)),
                Key::Request(id) => (paths::request(id), None),
            }
        };
        match value {
            Some(Ok(text)) => xs.write(&path, text.as_bytes()).await,
            Some(Err(e)) => {
                log::line(&format!("outbox: {path} cannot be written: {e}"));
                Ok(())
            }
            None => match xs.rm(&path).await {
                Err(e) if e.is_no_entry() => Ok(()),
                other => other,
            },
        }
    }
}

/// Makes the folders of the contract, for dom0 only.
pub async fn prepare(xs: &Connection) -> Result<(), XsError> {
    for folder in [paths::ROOT, paths::REQUESTS, paths::OPERATIONS, paths::DOMAINS] {
        xs.mkdir(folder).await?;
        xs.set_permissions(folder, &[Permission::owner(0)]).await?;
    }
    Ok(())
}

/// One operation's line on the board.
#[derive(Clone, Debug)]
pub struct Ticket {
    outbox: Arc<Outbox>,
    id: OperationId,
    cancel: Arc<AtomicBool>,
}

impl Ticket {
    /// Asks the operation to stop before its next step.
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Release);
    }

    /// Whether it was asked to stop.
    pub fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Acquire)
    }

    /// Shows the step that is being done.
    pub fn step(&self, at: usize, of: usize, kind: StepKind) {
        self.change(|o| {
            o.state = OperationState::Running;
            o.step = u32::try_from(at + 1).unwrap_or(u32::MAX);
            o.steps = u32::try_from(of).unwrap_or(u32::MAX);
            o.doing = Some(kind);
            o.progress = None;
            o.total = None;
        });
    }

    /// Shows how much of the step's data is done, in bytes.
    pub fn progress(&self, done: u64, total: u64) {
        self.change(|o| {
            o.progress = Some(done);
            o.total = Some(total);
        });
    }

    /// Shows that the operation is being taken back.
    pub fn undoing(&self, why: &HostError) {
        self.change(|o| {
            o.state = OperationState::Undoing;
            o.error = Some(why.clone().into());
        });
    }

    /// Shows what holds the operation up.
    pub fn trouble(&self, why: &HostError) {
        log::line(&format!("operation {}: {}, trying again", self.id.as_str(), why.message));
        self.change(|o| o.error = Some(why.clone().into()));
    }

    fn change(&self, change: impl FnOnce(&mut Operation)) {
        {
            let mut board = self.outbox.board();
            if let Some(o) = board.operations.get_mut(&self.id) {
                change(o);
                board.mark(Key::Operation(self.id.clone()));
            }
        }
        self.outbox.soon.notify_one();
    }
}
