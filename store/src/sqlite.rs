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

use rusqlite::{Transaction, TransactionBehavior};
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
    /// Commits since the sidecars were last settled.
    waiting: u32,
    /// The snapshot after which sidecars are still to be compared since the opening.
    refreshing: Option<Option<OperationId>>,
    /// Device and inode of the database when it was opened.
    file: (u64, u64),
    /// The error since which nothing is written.
    latched: Option<String>,
    // Last: given up when the connection is closed.
    _lock: WriterLock,
}

/// Sidecars done at once, so that the caller can do something else in between.
const AT_ONCE_MAX: usize = 256;

/// Sidecars compared at once after an opening: well below a millisecond when they agree.
const PASS: usize = 16;

/// Commits after which the sidecars are settled even if nobody asked.
const WAITING_MAX: u32 = 64;

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
        let db = Reader { conn: engine::open_writer(at)?, database };
        at.check_mark(db.store_id()?)?;
        let mut store = Self {
            db,
            reserve: Reserve::open(at.reserve()),
            sidecars: Sidecars::default(),
            waiting: 0,
            refreshing: Some(None),
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

    /// Compares up to `limit` sidecars after the snapshot `after` with their records and rewrites those that are missing or differ: to be called at start and
    /// again until nothing is left, between other work. About 10 microseconds each when warm.
    pub fn refresh_sidecars(&mut self, after: Option<&OperationId>, limit: usize) -> Result<SidecarPass> {
        let (seen, last, rewritten) = self.sidecars.refresh(&self.db, &self.at, after, limit)?;
        Ok(SidecarPass { rewritten, next: last.filter(|_| seen == limit) })
    }

    /// Writes and removes the sidecars of the records that changed, some hundreds at most; true when there are more.
    pub fn settle_sidecars(&mut self) -> bool {
        self.waiting = 0;
        self.sidecars.settle(&self.db, &self.at, AT_ONCE_MAX)
    }

    /// The next of the passes that follow an opening.
    fn refresh(&mut self, after: Option<OperationId>) -> bool {
        match self.refresh_sidecars(after.as_ref(), PASS) {
            Ok(pass) => self.refreshing = pass.next.map(Some),
            // What cannot be read now is found by whoever needs it, or by `check`.
            Err(_) => self.refreshing = None,
        }
        self.refreshing.is_some()
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
        // Not nested: `write` is the only caller, and holds the store exclusively.
        let tx = Transaction::new_unchecked(&self.db.conn, TransactionBehavior::Immediate);
        let tx = self.db.sorted(what, tx)?;
        let value = f(&self.db)?;
        self.db.sorted(what, tx.commit())?;
        Ok(value)
    }

    /// A transaction that may note sidecars, and strikes off those that were settled before.
    fn write_noting<T>(
        &mut self,
        space: Space,
        what: &'static str,
        f: &mut dyn FnMut(&Reader) -> Result<T>,
    ) -> Result<T> {
        if self.waiting >= WAITING_MAX {
            self.settle_sidecars();
        }
        let settled = self.sidecars.settled().to_vec();
        let value = self.write(space, what, &mut |db| {
            for seq in &settled {
                db.execute("striking off a sidecar", "DELETE FROM sidecar WHERE seq = ?1", [seq])?;
            }
            f(db)
        })?;
        self.sidecars.struck_off();
        self.waiting += 1;
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

/// How far [`SqliteStore::refresh_sidecars`] came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SidecarPass {
    /// How many were rewritten.
    pub rewritten: u64,
    /// Where to go on; nothing when all were compared.
    pub next: Option<OperationId>,
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
        self.write(Space::KeepReserve, "journalling", &mut |db| journal::begin(db, entry))?;
        // It may have marked a record.
        self.waiting += 1;
        Ok(())
    }

    fn set_plan(&mut self, id: &OperationId, plan: &Plan) -> Result<()> {
        self.write(Space::KeepReserve, "journalling", &mut |db| journal::set_plan(db, id, plan))?;
        self.waiting += 1;
        Ok(())
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
        if self.waiting > 0 {
            let more = self.sidecars.settle(&self.db, &self.at, 1);
            self.waiting = if more { self.waiting } else { 0 };
            return more || self.refreshing.is_some();
        }
        match self.refreshing.take() {
            Some(after) => self.refresh(after),
            None => false,
        }
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

    fn recent_journal(&self, limit: usize) -> Result<Vec<JournalEntry>> {
        self.db.recent_journal(limit)
    }
}
