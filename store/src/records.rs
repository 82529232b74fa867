//! Rows of domains and snapshots. Called within a transaction; every change of a snapshot also notes that its sidecar is to be brought into agreement.

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
    let uuid = domain.uuid.to_string();
    let json = encode("domain", &uuid, domain)?;
    db.execute(
        "writing a domain",
        "INSERT INTO domain (uuid, name, json) VALUES (?1, ?2, ?3)
         ON CONFLICT (uuid) DO UPDATE SET name = excluded.name, json = excluded.json",
        params![uuid, domain.name.as_str(), json],
    )?;
    Ok(())
}

/// Writes a domain as seen: `current` and `diverged` stay as they are stored.
pub(crate) fn see_domain(db: &Reader, domain: &Domain) -> Result<()> {
    let stored = db.domain(domain.uuid)?;
    let mut domain = domain.clone();
    (domain.current, domain.diverged) = stored.map_or((None, false), |d| (d.current, d.diverged));
    set_domain(db, &domain)
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

/// What can be said against adding a snapshot, but for its parent.
pub(crate) fn check_new(db: &Reader, snapshot: &Snapshot) -> Result<()> {
    let domain = snapshot.domain;
    let taken =
        |sql, params: &[&dyn rusqlite::ToSql]| db.conn.prepare_cached(sql).and_then(|mut s| s.exists(params));
    let known = taken("SELECT 1 FROM domain WHERE uuid = ?1", &[&domain.to_string()]);
    if !db.sorted("looking for the domain", known)? {
        return Err(StoreError::NoDomain { domain });
    }
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

/// Adds a snapshot that [`check_new`] had nothing against.
pub(crate) fn insert_snapshot(db: &Reader, snapshot: &Snapshot) -> Result<()> {
    let (id, domain) = (snapshot.id.as_str(), snapshot.domain.to_string());
    let json = encode("snapshot", id, snapshot)?;
    let columns = Columns::of(snapshot)?;
    db.execute(
        "writing a snapshot",
        "INSERT INTO snapshot (id, domain, name, parent, taken_at, kind, consistency, deleting, disks, disk_bytes, memory_bytes, json)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
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
    note_sidecar(db, &domain, id)
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
    note_sidecar(db, &domain, id)
}

/// Removes a snapshot's row.
pub(crate) fn delete_snapshot(db: &Reader, snapshot: &Snapshot) -> Result<()> {
    let id = snapshot.id.as_str();
    db.execute("removing a snapshot", "DELETE FROM snapshot WHERE id = ?1", [id])?;
    note_sidecar(db, &snapshot.domain.to_string(), id)
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
        let id = OperationId::new(id.clone()).map_err(|e| StoreError::BadRecord {
            what: "snapshot",
            id,
            detail: e.to_string(),
        })?;
        all.push(need_snapshot(db, domain, &id)?);
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

/// Notes that the sidecar of that name does not agree with the records.
pub(crate) fn note_sidecar(db: &Reader, domain: &str, id: &str) -> Result<()> {
    db.execute("noting a sidecar", "INSERT INTO sidecar (domain, id) VALUES (?1, ?2)", [domain, id])?;
    Ok(())
}

/// The JSON of a record as it is stored, if that domain has it.
pub(crate) fn json(db: &Reader, domain: &str, id: &str) -> Result<Option<String>> {
    let sql = "SELECT json FROM snapshot WHERE domain = ?1 AND id = ?2";
    let row =
        db.conn.prepare_cached(sql).and_then(|mut s| s.query_row([domain, id], |row| row.get(0)).optional());
    db.sorted("reading a record", row)
}

/// A snapshot's memory image, if it has one.
pub(crate) fn memory(snapshot: &Snapshot) -> Option<&MemoryImage> {
    match &snapshot.part {
        SnapshotPart::Vm(vm) => vm.memory.as_ref(),
        SnapshotPart::Disk(_) | SnapshotPart::Unknown { .. } => None,
    }
}
