//! The store in SQLite. Owns the connection, the writer's lock, the reserve and the latch; nothing else of this crate keeps state.
//!
//! ```text
//!   call -> guard (latched? still the same file?) -> BEGIN IMMEDIATE -> rows -> COMMIT (synced) -> back to the caller
//!              |                                        |                  |
//!              refused                              full disk: give the reserve up, once more (not for new work)
//!                                                   other errors: latch
//!   settle, when there is nothing more urgent: files of the records that changed; an error is kept for `sidecar_trouble`
//! ```

use std::path::PathBuf;

use rusqlite::Connection;
use uuid::Uuid;
use xensnap::contract::{
    Domain, Facts, JournalEntry, JournalState, OperationId, Outcome, Plan, Snapshot, SnapshotName,
};
use xensnap::wire::Timestamp;

use std::ops::ControlFlow;

use crate::error::{Result, StoreError};
use crate::location::{Installed, Location};
use crate::lock::WriterLock;
use crate::read::{Read, Reader, SnapshotHead};
use crate::reserve::Reserve;
use crate::sidecar::Sidecars;
use crate::store::{Change, Committed, Store};
use crate::text::word;
use crate::{engine, files, journal, records, tree};

/// A store opened for writing: one at a time on a host.
#[derive(Debug)]
pub struct SqliteStore {
    at: Location,
    db: Reader,
    reserve: Reserve,
    sidecars: Sidecars,
    /// The row after which sidecars are still to be compared since the opening.
    refreshing: Option<i64>,
    /// Device and inode of the database when it was opened.
    file: (u64, u64),
    /// The error since which nothing is written.
    latched: Option<String>,
    // Last: given up when the connection is closed.
    _lock: WriterLock,
}

/// Sidecars compared at once after an opening: well below a millisecond when they agree.
const PASS: usize = 16;

/// Sidecars that may wait: with more they are settled even if nobody asked.
const WAITING_MAX: usize = 64;

/// Rolls back what is open when it goes. Instead of the engine's own `Transaction`, which compiles both of its statements anew each time.
struct Undo<'a>(&'a Connection);

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        // Some errors have rolled back already.
        if !self.0.is_autocommit() {
            // If this fails too, the next beginning says so.
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}

/// What a write may use up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Space {
    /// New work: needs the reserve whole.
    KeepReserve,
    /// Brings what has begun to its end: may take the reserve.
    TakeReserve,
}

impl SqliteStore {
    /// Makes a store where none ever was, and opens it.
    ///
    /// # Errors
    /// [`StoreError::Exists`], or [`StoreError::NotMounted`] where the install mark says that there is one.
    pub fn create(at: &Location) -> Result<Self> {
        match at.installed()? {
            Installed::Database => return Err(StoreError::Exists { database: at.database() }),
            Installed::MarkOnly => return Err(at.missing()?),
            Installed::Nothing => {}
        }
        at.prepare()?;
        at.check_dir()?;
        let lock = WriterLock::take(at)?;
        // Once more, under the lock.
        if at.installed()? != Installed::Nothing {
            return Err(StoreError::Exists { database: at.database() });
        }
        engine::create(at, Uuid::new_v4())?;
        Self::open_locked(at, lock)
    }

    /// Opens a store for writing: migrates it, writes sidecars that a crash left behind, makes the reserve.
    ///
    /// # Errors
    /// Every way in which a store can be unusable has its own: see [`StoreError`]. None of them changes anything.
    pub fn open(at: &Location) -> Result<Self> {
        if at.installed()? != Installed::Database {
            return Err(at.missing()?);
        }
        at.check_dir()?;
        let lock = WriterLock::take(at)?;
        Self::open_locked(at, lock)
    }

    /// Opens the store, or makes it where none ever was: what an agent does at its start.
    pub fn open_or_create(at: &Location) -> Result<Self> {
        match at.installed()? {
            Installed::Nothing => Self::create(at),
            Installed::Database | Installed::MarkOnly => Self::open(at),
        }
    }

    fn open_locked(at: &Location, lock: WriterLock) -> Result<Self> {
        let database = at.database();
        let file =
            files::identity(&database)?.ok_or_else(|| StoreError::Vanished { database: database.clone() })?;
        let db = Reader::of(engine::open_writer(at)?, database);
        at.check_mark(db.store_id()?)?;
        let mut store = Self {
            sidecars: Sidecars::open(&db)?,
            db,
            reserve: Reserve::open(at.reserve()),
            refreshing: Some(0),
            file,
            latched: None,
            _lock: lock,
            at: at.clone(),
        };
        store.settle_sidecars();
        Ok(store)
    }

    /// Where it is.
    pub fn location(&self) -> &Location {
        &self.at
    }

    /// The id of the store.
    pub fn store_id(&self) -> Result<Uuid> {
        self.db.store_id()
    }

    /// Writes and removes the sidecars of all records that changed.
    pub fn settle_sidecars(&mut self) {
        while self.sidecars.settle_one(&self.db, &self.at) {}
    }

    /// The next of the passes that follow an opening.
    fn refresh(&mut self, after: i64) {
        // What cannot be read now is found by whoever needs it, or by `check`.
        let pass = self.sidecars.refresh(&self.db, &self.at, after, PASS);
        self.refreshing = pass.ok().and_then(|(next, _)| next);
    }

    fn guard(&mut self) -> Result<()> {
        if let Some(since) = &self.latched {
            return Err(StoreError::Latched { since: since.clone() });
        }
        let database = self.at.database();
        if files::identity(&database)? != Some(self.file) {
            return self.latch(Err(StoreError::Vanished { database }));
        }
        Ok(())
    }

    fn no_reserve(&self) -> StoreError {
        StoreError::NoSpace { dir: self.at.dir.clone(), what: "new operations: the reserve cannot be kept" }
    }

    fn latch<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(e) = &result
            && e.latches()
        {
            self.latched.get_or_insert_with(|| e.to_string());
        }
        result
    }

    /// One transaction, synced when this returns.
    fn write<T>(
        &mut self,
        space: Space,
        what: &'static str,
        f: &mut dyn FnMut(&Reader) -> Result<T>,
    ) -> Result<T> {
        self.guard()?;
        if space == Space::KeepReserve && !self.reserve.ensure() {
            return Err(self.no_reserve());
        }
        let mut result = self.attempt(what, f);
        if space == Space::TakeReserve
            && matches!(&result, Err(e) if e.is_no_space())
            && self.reserve.give_up()
        {
            result = self.attempt(what, f);
            self.reserve.ensure();
        }
        self.latch(result)
    }

    fn attempt<T>(&self, what: &'static str, f: &mut dyn FnMut(&Reader) -> Result<T>) -> Result<T> {
        let _undone_unless_committed = Undo(&self.db.conn);
        self.db.execute(what, "BEGIN IMMEDIATE", [])?;
        self.db.touched.borrow_mut().clear();
        let value = f(&self.db)?;
        self.db.execute(what, "COMMIT", [])?;
        Ok(value)
    }

    /// A transaction that may touch sidecars, and strikes off those that are gone.
    fn write_noting<T>(
        &mut self,
        space: Space,
        what: &'static str,
        f: &mut dyn FnMut(&Reader) -> Result<T>,
    ) -> Result<T> {
        if self.sidecars.waiting() >= WAITING_MAX {
            self.settle_sidecars();
        }
        let sidecars = std::mem::take(&mut self.sidecars);
        let result = self.write(space, what, &mut |db| {
            sidecars.strike_off(db)?;
            f(db)
        });
        self.sidecars = sidecars;
        let value = result?;
        self.sidecars.committed(self.db.touched.take());
        Ok(value)
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        if self.guard().is_ok() {
            self.settle_sidecars();
        }
    }
}

impl Store for SqliteStore {
    fn put_domain(&mut self, domain: &Domain) -> Result<()> {
        self.write(Space::KeepReserve, "writing a domain", &mut |db| records::see_domain(db, domain))
    }

    fn adopt_domain(&mut self, old: Uuid, new: Uuid) -> Result<()> {
        self.write_noting(Space::KeepReserve, "adopting a domain", &mut |db| tree::adopt(db, None, old, new))
    }

    fn forget_domain(&mut self, uuid: Uuid) -> Result<()> {
        self.write(Space::TakeReserve, "forgetting a domain", &mut |db| tree::forget(db, None, uuid))
    }

    fn begin(&mut self, entry: &JournalEntry) -> Result<()> {
        self.write_noting(Space::KeepReserve, "journalling", &mut |db| journal::begin(db, entry))
    }

    fn set_plan(&mut self, id: &OperationId, plan: &Plan) -> Result<()> {
        self.write_noting(Space::KeepReserve, "journalling", &mut |db| journal::set_plan(db, id, plan))
    }

    fn advance(&mut self, id: &OperationId, state: JournalState, done: u32, facts: &Facts) -> Result<()> {
        self.write(Space::TakeReserve, "journalling", &mut |db| journal::advance(db, id, &state, done, facts))
    }

    fn apply(&mut self, entry: &JournalEntry, outcome: &Outcome) -> Result<()> {
        self.write_noting(Space::TakeReserve, "journalling", &mut |db| {
            journal::advance(db, &entry.id, &entry.state, entry.done, &entry.facts)?;
            tree::apply(db, entry, outcome)
        })
    }

    fn finish_with(&mut self, entry: &JournalEntry, change: Change<'_>) -> Result<Committed> {
        self.write_noting(Space::TakeReserve, "journalling", &mut |db| journal::finish(db, entry, change))?;
        Ok(Committed::after_commit(entry.id.clone()))
    }

    fn cleaned(&mut self, id: &OperationId) -> Result<()> {
        self.write(Space::TakeReserve, "journalling", &mut |db| journal::cleaned(db, id))
    }

    fn expire(&mut self, before: Timestamp) -> Result<u64> {
        let before = word(&before)?;
        self.write_noting(Space::TakeReserve, "forgetting old operations", &mut |db| {
            journal::expire(db, &before)
        })
    }

    fn settle(&mut self) -> bool {
        if self.latched.is_some() {
            return false;
        }
        if self.sidecars.waiting() > 0 {
            self.sidecars.settle_one(&self.db, &self.at);
        } else if let Some(after) = self.refreshing {
            self.refresh(after);
        }
        self.sidecars.waiting() > 0 || self.refreshing.is_some()
    }

    fn trouble(&mut self) -> Option<StoreError> {
        self.guard().err().or_else(|| (!self.reserve.ensure()).then(|| self.no_reserve()))
    }

    fn sidecar_trouble(&mut self) -> Vec<(PathBuf, StoreError)> {
        self.sidecars.take_trouble()
    }
}

impl Read for SqliteStore {
    fn domains(&self) -> Result<Vec<Domain>> {
        self.db.domains()
    }

    fn domain(&self, uuid: Uuid) -> Result<Option<Domain>> {
        self.db.domain(uuid)
    }

    fn snapshots(&self, domain: Uuid) -> Result<Vec<Snapshot>> {
        self.db.snapshots(domain)
    }

    fn count_snapshots(&self, domain: Uuid) -> Result<u64> {
        self.db.count_snapshots(domain)
    }

    fn for_each_snapshot(&self, f: &mut dyn FnMut(Snapshot) -> ControlFlow<()>) -> Result<()> {
        self.db.for_each_snapshot(f)
    }

    fn for_each_snapshot_json(&self, f: &mut dyn FnMut(&str) -> ControlFlow<()>) -> Result<()> {
        self.db.for_each_snapshot_json(f)
    }

    fn for_each_head(&self, f: &mut dyn FnMut(SnapshotHead) -> ControlFlow<()>) -> Result<()> {
        self.db.for_each_head(f)
    }

    fn heads(&self, domain: Uuid) -> Result<Vec<SnapshotHead>> {
        self.db.heads(domain)
    }

    fn snapshot(&self, id: &OperationId) -> Result<Option<Snapshot>> {
        self.db.snapshot(id)
    }

    fn find_snapshot(&self, domain: Uuid, name_or_id: &str) -> Result<Option<Snapshot>> {
        self.db.find_snapshot(domain, name_or_id)
    }

    fn free_name(&self, domain: Uuid, base: &SnapshotName) -> Result<SnapshotName> {
        self.db.free_name(domain, base)
    }

    fn journal(&self, id: &OperationId) -> Result<Option<JournalEntry>> {
        self.db.journal(id)
    }

    fn open_journal(&self) -> Result<Vec<JournalEntry>> {
        self.db.open_journal()
    }

    fn uncleaned(&self) -> Result<Vec<JournalEntry>> {
        self.db.uncleaned()
    }

    fn recent_journal(&self, limit: usize) -> Result<Vec<JournalEntry>> {
        self.db.recent_journal(limit)
    }
}
