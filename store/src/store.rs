//! The write side as a trait. An engine for pools of hosts would be another implementation in this crate.
//!
//! ```text
//!   put_domain            begin --------> advance* --------> finish ----> Committed
//!   (seen, config, disks) intent          step by step       outcome and end of the entry,
//!                         + `deleting`    state, done, facts  one transaction
//! ```
//!
//! Whatever returns `Ok` is synced. Whatever returns `Err` has changed nothing, but for one case: when the sync itself failed, what was written may or may not
//! be there when the store is opened again; the store is latched then, and the journal tells after the restart.

use std::path::PathBuf;

use uuid::Uuid;
use xensnap::contract::{Domain, Facts, JournalEntry, JournalState, OperationId, Outcome, Plan};
use xensnap::wire::Timestamp;

use crate::error::{Result, StoreError};
use crate::read::Read;

/// Proof that an operation's end, and what it made, is on disk. Only [`Store::finish`] and [`Store::finish_with`] make one, after their commit:
///
/// ```compile_fail,E0451
/// # fn id() -> xensnap::contract::OperationId { unimplemented!() }
/// let forged = xensnap_store::Committed { operation: id() };
/// ```
#[derive(Debug)]
#[must_use = "the answer `done` is made from it"]
pub struct Committed {
    operation: OperationId,
}

impl Committed {
    /// Only to be called with the commit done.
    pub(crate) fn after_commit(operation: OperationId) -> Self {
        Self { operation }
    }

    /// The operation that ended.
    pub fn operation(&self) -> &OperationId {
        &self.operation
    }
}

/// What an operation changes when it ends.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// Nothing: it failed, was cancelled, or had nothing to change.
    Nothing,
    /// The outcome of its plan.
    Outcome(&'a Outcome),
    /// All that the store has under one UUID goes to another.
    Adopt {
        /// The UUID that the store knows.
        old: Uuid,
        /// The UUID that the domain has now.
        new: Uuid,
    },
    /// A domain without snapshots is forgotten.
    Forget(Uuid),
}

/// A store that can be written. One thread of one process has it.
pub trait Store: Read {
    /// Keeps a domain as last seen. `current` and `diverged` of a domain that is known stay as they are stored: only an outcome changes them.
    fn put_domain(&mut self, domain: &Domain) -> Result<()>;

    /// Gives `old`'s snapshots, `current` and `diverged` to `new`. Memory images stay where they are.
    ///
    /// # Errors
    /// When `old` is unknown, `new` has snapshots of its own, or an operation is open on either.
    fn adopt_domain(&mut self, old: Uuid, new: Uuid) -> Result<()>;

    /// Forgets a domain.
    ///
    /// # Errors
    /// When it has snapshots, or an operation is open on it.
    fn forget_domain(&mut self, uuid: Uuid) -> Result<()>;

    /// Journals the intent. If the entry's plan drops a snapshot, that is marked `deleting` in the same commit.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`](crate::StoreError::Duplicate) for an id that is known; `NoSpace` while the reserve cannot be made; the names and ids of the
    /// snapshots that the plan adds are checked here too, before anything is touched.
    fn begin(&mut self, entry: &JournalEntry) -> Result<()>;

    /// Adds or replaces the plan of an operation that was begun (while it waited, say), with the same checks and marks as [`Store::begin`].
    fn set_plan(&mut self, id: &OperationId, plan: &Plan) -> Result<()>;

    /// Journals where an operation stands.
    fn advance(&mut self, id: &OperationId, state: JournalState, done: u32, facts: &Facts) -> Result<()>;

    /// Makes a part of what an operation makes known, in one transaction with where it stands; the operation goes on. It is in the past then: the entry's `done` has
    /// to be beyond that step, so that a recovery does not apply it again.
    fn apply(&mut self, entry: &JournalEntry, outcome: &Outcome) -> Result<()>;

    /// Ends an operation and makes what it made known, in one transaction. Its plan is the one of [`Store::begin`] or [`Store::set_plan`], or none.
    fn finish(&mut self, entry: &JournalEntry, outcome: Option<&Outcome>) -> Result<Committed> {
        self.finish_with(entry, outcome.map_or(Change::Nothing, Change::Outcome))
    }

    /// Ends an operation with a change of any kind, in one transaction. A mark `deleting` that the operation set and whose snapshot it does not drop is taken
    /// back, unless the operation had passed its point of no return.
    fn finish_with(&mut self, entry: &JournalEntry, change: Change<'_>) -> Result<Committed>;

    /// The disks no longer hold the tags that this operation's outcome made obsolete.
    fn cleaned(&mut self, id: &OperationId) -> Result<()>;

    /// Forgets operations that ended before a time, but for those that are to be cleaned up after. Returns how many.
    fn expire(&mut self, before: Timestamp) -> Result<u64>;

    /// Does one small piece of what can wait: sidecars of records that changed, and once after each opening a comparison of all of them. True when there may be more.
    /// To be called while no call waits; each piece costs a sync or two. Never called, it happens when the store is closed, opened again, or too much waits.
    fn settle(&mut self) -> bool;

    /// Why nothing can be begun now, if that is so: for the agent's `trouble`.
    fn trouble(&mut self) -> Option<StoreError>;

    /// The sidecars that could not be written or removed since the last call. They are tried again later; the database is right meanwhile.
    fn sidecar_trouble(&mut self) -> Vec<(PathBuf, StoreError)>;
}
