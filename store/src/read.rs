//! The read side: all that list, show and tree need, by the agent's own connection or by a [`Reader`] beside it or while it is down.
//!
//! Each call sees the store as of one commit. A reader never waits for the writer and never holds it up.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Params, Row};
use uuid::Uuid;
use xensnap::contract::{
    Consistency, Domain, Facts, JournalEntry, JournalState, OperationId, Snapshot, SnapshotKind, SnapshotName,
};
use xensnap::wire::Timestamp;

use crate::error::{Result, StoreError};
use crate::location::Location;
use crate::text::{decode, unword};
use crate::{engine, names, records};

/// What the store knows.
pub trait Read {
    /// All domains, by name.
    fn domains(&self) -> Result<Vec<Domain>>;
    /// One domain.
    fn domain(&self, uuid: Uuid) -> Result<Option<Domain>>;
    /// A domain's snapshots, in order of `taken_at`.
    fn snapshots(&self, domain: Uuid) -> Result<Vec<Snapshot>>;
    /// How many snapshots a domain has, of both kinds.
    fn count_snapshots(&self, domain: Uuid) -> Result<u64>;
    /// All snapshots of all domains, in the order in which they were committed, one at a time; until `f` breaks.
    fn for_each_snapshot(&self, f: &mut dyn FnMut(Snapshot) -> ControlFlow<()>) -> Result<()>;
    /// The same as the JSON of their records, not decoded.
    fn for_each_snapshot_json(&self, f: &mut dyn FnMut(&str) -> ControlFlow<()>) -> Result<()>;
    /// The same as what a table shows, from columns alone.
    fn for_each_head(&self, f: &mut dyn FnMut(SnapshotHead) -> ControlFlow<()>) -> Result<()>;
    /// What a table of one domain's snapshots shows, in order of `taken_at`.
    fn heads(&self, domain: Uuid) -> Result<Vec<SnapshotHead>>;
    /// One snapshot, by its id.
    fn snapshot(&self, id: &OperationId) -> Result<Option<Snapshot>>;
    /// A domain's snapshot by its name or, where it has none of that name, by its id.
    fn find_snapshot(&self, domain: Uuid, name_or_id: &str) -> Result<Option<Snapshot>>;
    /// `base` if no snapshot of the domain has that name, else `base-2`, `base-3` and so on.
    fn free_name(&self, domain: Uuid, base: &SnapshotName) -> Result<SnapshotName>;
    /// One operation, ended or not.
    fn journal(&self, id: &OperationId) -> Result<Option<JournalEntry>>;
    /// The operations that have not ended, oldest first.
    fn open_journal(&self) -> Result<Vec<JournalEntry>>;
    /// The operations that have ended and whose disks may still hold tags that their outcome made obsolete, oldest first.
    fn uncleaned(&self) -> Result<Vec<JournalEntry>>;
    /// The newest operations, newest first.
    fn recent_journal(&self, limit: usize) -> Result<Vec<JournalEntry>>;
}

/// What a table of snapshots shows of each. The full record is [`Read::snapshot`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotHead {
    /// Id of the snapshot.
    pub id: OperationId,
    /// Its name.
    pub name: SnapshotName,
    /// Its domain.
    pub domain: Uuid,
    /// Id of the snapshot before it.
    pub parent: Option<OperationId>,
    /// The instant that it shows.
    pub taken_at: Timestamp,
    /// Of a whole domain or of disks.
    pub kind: SnapshotKind,
    /// What the instant promises.
    pub consistency: Consistency,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// How many disks it holds.
    pub disks: u32,
    /// Their virtual sizes together, in bytes.
    pub disk_bytes: u64,
    /// Size of the memory image in bytes; 0 without one.
    pub memory_bytes: u64,
}

/// A store opened for reading. Needs no agent and no lock.
#[derive(Debug)]
pub struct Reader {
    pub(crate) conn: Connection,
    pub(crate) database: PathBuf,
    /// Snapshots whose sidecars no longer agree by what the present transaction did; of no use where nothing is written.
    pub(crate) touched: RefCell<Vec<(Uuid, String)>>,
}

impl Reader {
    /// Opens the store for reading.
    ///
    /// # Errors
    /// Where there is none, says whether there never was one ([`StoreError::NotInstalled`]) or its volume is missing ([`StoreError::NotMounted`]).
    pub fn open(at: &Location) -> Result<Self> {
        let reader = Self::of(engine::open_reader(at)?, at.database());
        // A torn head is found here and not in the middle of a list.
        reader.store_id()?;
        Ok(reader)
    }

    pub(crate) fn of(conn: Connection, database: PathBuf) -> Self {
        Self { conn, database, touched: RefCell::new(Vec::new()) }
    }

    /// The id of the store.
    pub fn store_id(&self) -> Result<Uuid> {
        let id: String = self.sorted(
            "reading the store's id",
            self.conn.query_row("SELECT id FROM store", [], |row| row.get(0)),
        )?;
        id.parse().map_err(|_| StoreError::BadRecord { what: "store", id, detail: "not a UUID".into() })
    }

    /// The JSON of a domain's snapshot, not decoded.
    pub fn snapshot_json(&self, domain: Uuid, id: &OperationId) -> Result<Option<String>> {
        records::json(self, &domain.to_string(), id.as_str())
    }

    /// A result of SQLite as one of ours.
    pub(crate) fn sorted<T>(&self, what: &'static str, result: rusqlite::Result<T>) -> Result<T> {
        result.map_err(|e| engine::sort(&self.database, what, e))
    }

    /// Runs a query and hands each row to `f`.
    pub(crate) fn each(
        &self,
        what: &'static str,
        sql: &str,
        params: impl Params,
        mut f: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        each(&self.conn, &self.database, what, sql, params, &mut f)
    }

    fn collect<T>(
        &self,
        what: &'static str,
        sql: &str,
        params: impl Params,
        mut f: impl FnMut(&Self, &Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        self.each(what, sql, params, |row| {
            all.push(f(self, row)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(all)
    }

    fn first<T>(
        &self,
        what: &'static str,
        sql: &str,
        params: impl Params,
        mut f: impl FnMut(&Self, &Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut one = None;
        self.each(what, sql, params, |row| {
            one = Some(f(self, row)?);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(one)
    }

    fn text<'r>(&self, row: &'r Row<'_>, column: usize) -> Result<&'r str> {
        text(&self.database, row, column)
    }

    /// Columns: id, json.
    fn record<T: serde::de::DeserializeOwned>(&self, what: &'static str, row: &Row<'_>) -> Result<T> {
        decode(what, self.text(row, 0)?, self.text(row, 1)?)
    }

    /// Columns as in [`HEAD`].
    fn head(&self, row: &Row<'_>) -> Result<SnapshotHead> {
        let id = self.text(row, 0)?;
        let bad = |detail: String| StoreError::BadRecord { what: "snapshot", id: id.to_owned(), detail };
        let number =
            |at| self.sorted("reading a snapshot's columns", row.get::<_, i64>(at)).map(i64::unsigned_abs);
        let parent = self.sorted("reading a snapshot's columns", row.get_ref(3).map(|v| v.as_str().ok()))?;
        // What a newer version wrote is kept as a word: then by way of JSON, as in a record.
        let kind = self.text(row, 5)?;
        let kind = SnapshotKind::from_name(kind).map_or_else(|| unword("snapshot", id, kind), Ok)?;
        let consistency = self.text(row, 6)?;
        let consistency =
            Consistency::from_name(consistency).map_or_else(|| unword("snapshot", id, consistency), Ok)?;
        Ok(SnapshotHead {
            id: OperationId::new(id).map_err(|e| bad(e.to_string()))?,
            name: SnapshotName::new(self.text(row, 1)?).map_err(|e| bad(e.to_string()))?,
            domain: uuid("snapshot", id, self.text(row, 2)?)?,
            parent: parent.map(OperationId::new).transpose().map_err(|e| bad(e.to_string()))?,
            taken_at: self.text(row, 4)?.parse().map_err(|e: xensnap::wire::Invalid| bad(e.to_string()))?,
            kind,
            consistency,
            deleting: number(7)? != 0,
            disks: u32::try_from(number(8)?).unwrap_or(u32::MAX),
            disk_bytes: number(9)?,
            memory_bytes: number(10)?,
        })
    }

    /// Columns: uuid, json, current, diverged.
    pub(crate) fn domain_row(&self, row: &Row<'_>) -> Result<Domain> {
        let mut domain: Domain = self.record("domain", row)?;
        let current: Option<String> = self.sorted("reading a domain", row.get(2))?;
        domain.diverged = self.sorted("reading a domain", row.get(3))?;
        domain.current = current.map(|id| records::operation_id("domain", &id)).transpose()?;
        Ok(domain)
    }

    /// Columns: id, json, plan, and of an open operation that has advanced: state, done, facts.
    pub(crate) fn entry(&self, row: &Row<'_>) -> Result<JournalEntry> {
        let id = self.text(row, 0)?;
        let mut entry: JournalEntry = self.record("operation", row)?;
        let there = |at| self.sorted("reading the journal", row.get_ref(at).map(|v| v.as_str().is_ok()));
        if there(2)? {
            entry.plan = Some(decode("operation", id, self.text(row, 2)?)?);
        }
        if there(3)? {
            entry.state = unword::<JournalState>("operation", id, self.text(row, 3)?)?;
            entry.done = self.sorted("reading the journal", row.get(4))?;
            entry.facts = decode::<Facts>("operation", id, self.text(row, 5)?)?;
        }
        Ok(entry)
    }
}

/// Runs a query and hands each row to `f`, until it breaks.
pub(crate) fn each(
    conn: &Connection,
    database: &Path,
    what: &'static str,
    sql: &str,
    params: impl Params,
    f: &mut dyn FnMut(&Row<'_>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let failed = |e| engine::sort(database, what, e);
    let mut statement = conn.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(params).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        if f(row)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// A column of text, not copied.
pub(crate) fn text<'r>(database: &Path, row: &'r Row<'_>, column: usize) -> Result<&'r str> {
    let value = row.get_ref(column).map_err(|e| engine::sort(database, "reading a column", e))?;
    value.as_str().map_err(|e| StoreError::Damaged {
        database: database.to_path_buf(),
        detail: format!("a column is not text: {e}"),
    })
}

/// A UUID in a column.
pub(crate) fn uuid(what: &'static str, id: &str, column: &str) -> Result<Uuid> {
    column.parse().map_err(|_| StoreError::BadRecord {
        what,
        id: id.to_owned(),
        detail: format!("{column} is not a UUID"),
    })
}

const HEAD: &str =
    "id, name, domain, parent, taken_at, kind, consistency, deleting, disks, disk_bytes, memory_bytes";
const DOMAIN: &str = "SELECT uuid, json, current, diverged FROM domain";
const SNAPSHOT: &str = "SELECT id, json FROM snapshot";
/// For [`Reader::entry`].
pub(crate) const ENTRY: &str = "SELECT id, json, plan, state, done, facts FROM journal";

impl Read for Reader {
    fn domains(&self) -> Result<Vec<Domain>> {
        let sql = format!("{DOMAIN} ORDER BY name, uuid");
        self.collect("listing domains", &sql, [], Self::domain_row)
    }

    fn domain(&self, uuid: Uuid) -> Result<Option<Domain>> {
        let sql = format!("{DOMAIN} WHERE uuid = ?1");
        self.first("looking up a domain", &sql, [uuid.to_string()], Self::domain_row)
    }

    fn snapshots(&self, domain: Uuid) -> Result<Vec<Snapshot>> {
        let sql = format!("{SNAPSHOT} WHERE domain = ?1 ORDER BY taken_at, seq");
        self.collect("listing snapshots", &sql, [domain.to_string()], |me, row| me.record("snapshot", row))
    }

    fn count_snapshots(&self, domain: Uuid) -> Result<u64> {
        let sql = "SELECT count(*) FROM snapshot WHERE domain = ?1";
        self.sorted("counting snapshots", self.conn.query_row(sql, [domain.to_string()], |row| row.get(0)))
            .map(i64::unsigned_abs)
    }

    fn for_each_snapshot(&self, f: &mut dyn FnMut(Snapshot) -> ControlFlow<()>) -> Result<()> {
        let sql = format!("{SNAPSHOT} ORDER BY seq");
        self.each("listing snapshots", &sql, [], |row| Ok(f(self.record("snapshot", row)?)))
    }

    fn for_each_snapshot_json(&self, f: &mut dyn FnMut(&str) -> ControlFlow<()>) -> Result<()> {
        let sql = format!("{SNAPSHOT} ORDER BY seq");
        self.each("listing snapshots", &sql, [], |row| Ok(f(self.text(row, 1)?)))
    }

    fn for_each_head(&self, f: &mut dyn FnMut(SnapshotHead) -> ControlFlow<()>) -> Result<()> {
        let sql = format!("SELECT {HEAD} FROM snapshot ORDER BY seq");
        self.each("listing snapshots", &sql, [], |row| Ok(f(self.head(row)?)))
    }

    fn heads(&self, domain: Uuid) -> Result<Vec<SnapshotHead>> {
        let sql = format!("SELECT {HEAD} FROM snapshot WHERE domain = ?1 ORDER BY taken_at, seq");
        self.collect("listing snapshots", &sql, [domain.to_string()], Self::head)
    }

    fn snapshot(&self, id: &OperationId) -> Result<Option<Snapshot>> {
        let sql = format!("{SNAPSHOT} WHERE id = ?1");
        self.first("looking up a snapshot", &sql, [id.as_str()], |me, row| me.record("snapshot", row))
    }

    fn find_snapshot(&self, domain: Uuid, name_or_id: &str) -> Result<Option<Snapshot>> {
        let sql = format!(
            "{SNAPSHOT} WHERE domain = ?1 AND (name = ?2 OR id = ?2) ORDER BY name = ?2 DESC LIMIT 1"
        );
        self.first("looking up a snapshot", &sql, [domain.to_string().as_str(), name_or_id], |me, row| {
            me.record("snapshot", row)
        })
    }

    fn free_name(&self, domain: Uuid, base: &SnapshotName) -> Result<SnapshotName> {
        let mut taken = self
            .conn
            .prepare_cached("SELECT 1 FROM snapshot WHERE domain = ?1 AND name = ?2")
            .map_err(|e| engine::sort(&self.database, "looking for a free name", e))?;
        let domain = domain.to_string();
        names::free(base, |name| {
            self.sorted("looking for a free name", taken.exists([domain.as_str(), name]))
        })
    }

    fn journal(&self, id: &OperationId) -> Result<Option<JournalEntry>> {
        let sql = format!("{ENTRY} WHERE id = ?1");
        self.first("reading the journal", &sql, [id.as_str()], Self::entry)
    }

    fn open_journal(&self) -> Result<Vec<JournalEntry>> {
        let sql = format!("{ENTRY} WHERE ended_at IS NULL ORDER BY seq");
        self.collect("reading the journal", &sql, [], Self::entry)
    }

    fn uncleaned(&self) -> Result<Vec<JournalEntry>> {
        let sql = format!("{ENTRY} WHERE uncleaned = 1 ORDER BY seq");
        self.collect("reading the journal", &sql, [], Self::entry)
    }

    fn recent_journal(&self, limit: usize) -> Result<Vec<JournalEntry>> {
        let sql = format!("{ENTRY} ORDER BY seq DESC LIMIT ?1");
        self.collect("reading the journal", &sql, [i64::try_from(limit).unwrap_or(i64::MAX)], Self::entry)
    }
}
