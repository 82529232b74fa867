//! Rows of domains and snapshots. Called within a transaction; every change of a snapshot also says that its sidecar is to be brought into agreement.

use rusqlite::{OptionalExtension as _, params};
use uuid::Uuid;
use xensnap::contract::{Domain, MemoryImage, OperationId, Snapshot, SnapshotPart};

use crate::error::{Result, StoreError};
use crate::read::{Read, Reader};
use crate::text::{encode, word};

impl Reader {
    pub(crate) fn execute(
        &self,
        what: &'static str,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<usize> {
        let mut statement = self.sorted(what, self.conn.prepare_cached(sql))?;
        self.sorted(what, statement.execute(params))
    }
}

/// Writes a domain whole, `current` and `diverged` included.
pub(crate) fn set_domain(db: &Reader, domain: &Domain) -> Result<()> {
    see_domain(db, domain)?;
    set_state(db, domain.uuid, domain.current.as_ref().map(OperationId::as_str), domain.diverged)
}

/// Writes a domain as seen: `current` and `diverged` stay as they are stored.
pub(crate) fn see_domain(db: &Reader, domain: &Domain) -> Result<()> {
    let mut domain = domain.clone();
    (domain.current, domain.diverged) = (None, false);
    let uuid = domain.uuid.to_string();
    let json = encode("domain", &uuid, &domain)?;
    db.execute(
        "writing a domain",
        "INSERT INTO domain (uuid, name, json) VALUES (?1, ?2, ?3)
         ON CONFLICT (uuid) DO UPDATE SET name = excluded.name, json = excluded.json",
        params![uuid, domain.name.as_str(), json],
    )?;
    Ok(())
}

/// A domain's `current` and `diverged`. The domain has to be there.
pub(crate) fn state(db: &Reader, uuid: Uuid) -> Result<(Option<String>, bool)> {
    let sql = "SELECT current, diverged FROM domain WHERE uuid = ?1";
    let row = db.conn.prepare_cached(sql).and_then(|mut statement| {
        statement.query_row([uuid.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    });
    db.sorted("looking up a domain", row)?.ok_or(StoreError::NoDomain { domain: uuid })
}

/// Sets them.
pub(crate) fn set_state(db: &Reader, uuid: Uuid, current: Option<&str>, diverged: bool) -> Result<()> {
    let sql = "UPDATE domain SET current = ?2, diverged = ?3 WHERE uuid = ?1";
    db.execute("writing a domain", sql, params![uuid.to_string(), current, diverged])?;
    Ok(())
}

/// A domain that has to be there.
pub(crate) fn need_domain(db: &Reader, uuid: Uuid) -> Result<Domain> {
    db.domain(uuid)?.ok_or(StoreError::NoDomain { domain: uuid })
}

/// A snapshot that has to be there, and of that domain.
pub(crate) fn need_snapshot(db: &Reader, domain: Uuid, id: &OperationId) -> Result<Snapshot> {
    db.snapshot(id)?
        .filter(|snapshot| snapshot.domain == domain)
        .ok_or_else(|| StoreError::NoSnapshot { domain, id: id.as_str().to_owned() })
}

/// The same, where nothing of it is asked for.
pub(crate) fn need_known(db: &Reader, domain: Uuid, id: &OperationId) -> Result<()> {
    let sql = "SELECT 1 FROM snapshot WHERE id = ?1 AND domain = ?2";
    let known = db.conn.prepare_cached(sql).and_then(|mut s| s.exists([id.as_str(), &domain.to_string()]));
    if db.sorted("looking up a snapshot", known)? {
        Ok(())
    } else {
        Err(StoreError::NoSnapshot { domain, id: id.as_str().to_owned() })
    }
}

/// What can be said against adding a snapshot to a domain that is there, but for its parent.
pub(crate) fn check_new(db: &Reader, snapshot: &Snapshot) -> Result<()> {
    let domain = snapshot.domain;
    let taken =
        |sql, params: &[&dyn rusqlite::ToSql]| db.conn.prepare_cached(sql).and_then(|mut s| s.exists(params));
    let id = snapshot.id.as_str();
    if db.sorted("looking for the id", taken("SELECT 1 FROM snapshot WHERE id = ?1", &[&id]))? {
        return Err(StoreError::SnapshotExists { id: id.to_owned() });
    }
    let name = snapshot.name.as_str();
    let sql = "SELECT 1 FROM snapshot WHERE domain = ?1 AND name = ?2";
    if db.sorted("looking for the name", taken(sql, &[&domain.to_string(), &name]))? {
        return Err(StoreError::NameExists { domain, name: name.to_owned() });
    }
    Ok(())
}

/// What the columns hold of a record besides its identity.
pub(crate) struct Columns {
    pub(crate) kind: String,
    pub(crate) consistency: String,
    pub(crate) taken_at: String,
    pub(crate) disks: i64,
    pub(crate) disk_bytes: i64,
    pub(crate) memory_bytes: i64,
}

impl Columns {
    pub(crate) fn of(snapshot: &Snapshot) -> Result<Self> {
        let disk_bytes = snapshot.disks.iter().fold(0u64, |sum, disk| sum.saturating_add(disk.virtual_size));
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        Ok(Self {
            kind: snapshot.part.kind().as_str().to_owned(),
            consistency: snapshot.consistency.as_str().to_owned(),
            taken_at: word(&snapshot.taken_at)?,
            disks: i64::try_from(snapshot.disks.len()).unwrap_or(i64::MAX),
            disk_bytes: signed(disk_bytes),
            memory_bytes: signed(memory(snapshot).map_or(0, |memory| memory.size)),
        })
    }
}

/// Adds a snapshot.
///
/// # Errors
/// As [`check_new`].
pub(crate) fn insert_snapshot(db: &Reader, snapshot: &Snapshot) -> Result<()> {
    let (id, domain) = (snapshot.id.as_str(), snapshot.domain.to_string());
    let json = encode("snapshot", id, snapshot)?;
    let columns = Columns::of(snapshot)?;
    let added = db.execute(
        "writing a snapshot",
        "INSERT INTO snapshot (id, domain, name, parent, taken_at, kind, consistency, deleting, disks, disk_bytes, memory_bytes, json)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO NOTHING",
        params![
            id,
            domain,
            snapshot.name.as_str(),
            snapshot.parent.as_ref().map(OperationId::as_str),
            columns.taken_at,
            columns.kind,
            columns.consistency,
            snapshot.deleting,
            columns.disks,
            columns.disk_bytes,
            columns.memory_bytes,
            json,
        ],
    )?;
    if added == 0 {
        // Says which of the two it is.
        let detail = "its snapshot cannot be added".to_owned();
        return check_new(db, snapshot)
            .and_then(|()| Err(StoreError::Inconsistent { id: id.to_owned(), detail }));
    }
    touch(db, snapshot.domain, id);
    Ok(())
}

/// Writes a snapshot again whose domain, name, parent or mark changed.
pub(crate) fn update_snapshot(db: &Reader, snapshot: &Snapshot) -> Result<()> {
    let (id, domain) = (snapshot.id.as_str(), snapshot.domain.to_string());
    let json = encode("snapshot", id, snapshot)?;
    let parent = snapshot.parent.as_ref().map(OperationId::as_str);
    db.execute(
        "writing a snapshot",
        "UPDATE snapshot SET domain = ?2, name = ?3, parent = ?4, deleting = ?5, json = ?6 WHERE id = ?1",
        params![id, domain, snapshot.name.as_str(), parent, snapshot.deleting, json],
    )?;
    touch(db, snapshot.domain, id);
    Ok(())
}

/// Removes a snapshot's row.
pub(crate) fn delete_snapshot(db: &Reader, snapshot: &Snapshot) -> Result<()> {
    let id = snapshot.id.as_str();
    db.execute("removing a snapshot", "DELETE FROM snapshot WHERE id = ?1", [id])?;
    note_gone(db, snapshot.domain, id)
}

/// The snapshots of a domain that have this parent.
pub(crate) fn children(db: &Reader, domain: Uuid, parent: &OperationId) -> Result<Vec<Snapshot>> {
    let mut all = Vec::new();
    // By the domain's index; a domain has few.
    let sql = "SELECT id FROM snapshot WHERE domain = ?1 AND parent = ?2 ORDER BY seq";
    let mut ids = Vec::new();
    db.each("looking for children", sql, [domain.to_string().as_str(), parent.as_str()], |row| {
        ids.push(db.sorted::<String>("looking for children", row.get(0))?);
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    for id in ids {
        all.push(need_snapshot(db, domain, &operation_id("snapshot", &id)?)?);
    }
    Ok(all)
}

/// Sets or takes back the mark `deleting`.
pub(crate) fn mark_deleting(db: &Reader, snapshot: &mut Snapshot, deleting: bool) -> Result<()> {
    if snapshot.deleting != deleting {
        snapshot.deleting = deleting;
        update_snapshot(db, snapshot)?;
    }
    Ok(())
}

/// Says that a sidecar does not agree with its record. After a crash it is found by comparing.
fn touch(db: &Reader, domain: Uuid, id: &str) {
    db.touched.borrow_mut().push((domain, id.to_owned()));
}

/// Notes that a sidecar has no record (there) any more. After a crash nothing else would tell it from one that was put there.
pub(crate) fn note_gone(db: &Reader, domain: Uuid, id: &str) -> Result<()> {
    touch(db, domain, id);
    let sql = "INSERT OR IGNORE INTO sidecar (domain, id) VALUES (?1, ?2)";
    db.execute("noting a sidecar", sql, [domain.to_string().as_str(), id])?;
    Ok(())
}

/// Takes that back, where a record comes to be again.
pub(crate) fn unnote(db: &Reader, domain: Uuid, id: &str) -> Result<()> {
    let sql = "DELETE FROM sidecar WHERE domain = ?1 AND id = ?2";
    db.execute("striking off a sidecar", sql, [domain.to_string().as_str(), id])?;
    Ok(())
}

/// The JSON of a record as it is stored, if that domain has it.
pub(crate) fn json(db: &Reader, domain: &str, id: &str) -> Result<Option<String>> {
    let sql = "SELECT json FROM snapshot WHERE domain = ?1 AND id = ?2";
    let row =
        db.conn.prepare_cached(sql).and_then(|mut s| s.query_row([domain, id], |row| row.get(0)).optional());
    db.sorted("reading a record", row)
}

/// An id as a column has it.
pub(crate) fn operation_id(what: &'static str, id: &str) -> Result<OperationId> {
    OperationId::new(id).map_err(|e| StoreError::BadRecord { what, id: id.to_owned(), detail: e.to_string() })
}

/// A snapshot's memory image, if it has one.
pub(crate) fn memory(snapshot: &Snapshot) -> Option<&MemoryImage> {
    match &snapshot.part {
        SnapshotPart::Vm(vm) => vm.memory.as_ref(),
        SnapshotPart::Disk(_) | SnapshotPart::Unknown { .. } => None,
    }
}
