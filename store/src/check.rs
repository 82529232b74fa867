//! `xensnap store check`: compares everything with everything else, changes nothing. The agent may run meanwhile.
//!
//! ```text
//!   medium, mark, reserve -> SQLite's own checks -> domains -> snapshots (columns, tree, files, sidecars) -> journal -> strays
//! ```

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::PathBuf;

use rusqlite::Row;
use uuid::Uuid;
use xensnap::contract::{OperationId, Snapshot};

use crate::error::{Result, StoreError};
use crate::files;
use crate::folder::{self, Entry};
use crate::location::{self, Location};
use crate::read::{Read, Reader, text};
use crate::records::{self, Columns};
use crate::report::{CheckReport, Finding};
use crate::sidecar::{self, SIDECAR_BYTES_MAX};
use crate::text::{decode, word};

/// Lines that SQLite's own checks may add.
const INTEGRITY_LINES_MAX: usize = 100;

/// Checks a store.
///
/// # Errors
/// Only where there is no store to look at. What is wrong in it is in the report.
pub fn check(at: &Location) -> Result<CheckReport> {
    let db = Reader::open(at)?;
    let store = db.store_id()?;
    let mut check = Check {
        at,
        db: &db,
        report: CheckReport { store, domains: 0, snapshots: 0, operations: 0, findings: Vec::new() },
        currents: Vec::new(),
        parents: HashMap::new(),
        memory: HashSet::new(),
        suspects: Vec::new(),
        open: HashSet::new(),
    };
    check.surroundings(store)?;
    {
        let _as_of_one_commit = db.sorted("checking", db.conn.unchecked_transaction())?;
        for (part, result) in [
            ("the database", check.integrity()),
            ("the domains", check.domains()),
            ("the snapshots", check.snapshots()),
            ("the journal", check.journal()),
        ] {
            if let Err(e) = result {
                check.find(Finding::Integrity { detail: format!("{part} cannot be read to the end: {e}") });
            }
        }
    }
    check.tree();
    check.sidecars()?;
    check.strays()?;
    Ok(check.report)
}

struct Check<'a> {
    at: &'a Location,
    db: &'a Reader,
    report: CheckReport,
    currents: Vec<(Uuid, String)>,
    /// Snapshot -> its domain and parent.
    parents: HashMap<String, (Uuid, Option<String>)>,
    /// Memory images that a record names.
    memory: HashSet<PathBuf>,
    /// Sidecars that did not agree at first sight.
    suspects: Vec<(Uuid, String)>,
    /// Operations that have not ended.
    open: HashSet<String>,
}

impl Check<'_> {
    fn find(&mut self, finding: Finding) {
        self.report.findings.push(finding);
    }

    fn surroundings(&mut self, store: Uuid) -> Result<()> {
        let dir = self.at.dir.clone();
        match location::medium(&dir)? {
            location::Medium::Local => {}
            location::Medium::Volatile(kind) => self.find(Finding::Volatile { dir, kind }),
            location::Medium::Remote(kind) => self.find(Finding::Remote { dir, kind }),
        }
        let mark = self.at.mark.clone();
        match self.at.marked()? {
            Some(id) if id == store => {}
            Some(_) => self.find(Finding::OtherMark { mark, found: store }),
            None => self.find(Finding::NoMark { mark }),
        }
        let path = self.at.reserve();
        if !files::exists(&path)? {
            self.find(Finding::NoReserve { path });
        }
        Ok(())
    }

    fn integrity(&mut self) -> Result<()> {
        let mut lines = Vec::new();
        for sql in [
            "PRAGMA integrity_check(100)",
            "SELECT 'a row of ' || \"table\" || ' refers to none of ' || parent FROM pragma_foreign_key_check",
        ] {
            self.db.each("checking the database", sql, [], |row| {
                let line = text(&self.db.database, row, 0)?;
                if line != "ok" {
                    lines.push(line.to_owned());
                }
                Ok(if lines.len() < INTEGRITY_LINES_MAX {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                })
            })?;
        }
        for detail in lines {
            self.find(Finding::Integrity { detail });
        }
        Ok(())
    }

    fn domains(&mut self) -> Result<()> {
        let db = self.db;
        db.each("checking domains", "SELECT uuid, json, current, diverged, name FROM domain", [], |row| {
            self.report.domains += 1;
            let id = text(&db.database, row, 0)?;
            let domain = match db.domain_row(row) {
                Ok(domain) => domain,
                Err(e) => return Ok(self.bad("domain", id, &e)),
            };
            self.column("domain", id, "uuid", domain.uuid.to_string() == id);
            self.column("domain", id, "name", domain.name.as_str() == text(&db.database, row, 4)?);
            if let Some(current) = &domain.current {
                self.currents.push((domain.uuid, current.as_str().to_owned()));
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn bad(&mut self, what: &'static str, id: &str, error: &StoreError) -> ControlFlow<()> {
        let detail = match error {
            StoreError::BadRecord { detail, .. } => detail.clone(),
            other => other.to_string(),
        };
        self.find(Finding::BadRecord { what, id: id.to_owned(), detail });
        ControlFlow::Continue(())
    }

    fn column(&mut self, what: &'static str, id: &str, column: &'static str, agrees: bool) {
        if !agrees {
            self.find(Finding::Column { what, id: id.to_owned(), column });
        }
    }

    fn snapshots(&mut self) -> Result<()> {
        let db = self.db;
        let sql = "SELECT id, json, domain, name, parent, taken_at, kind, consistency, deleting, disks, disk_bytes, memory_bytes
                   FROM snapshot ORDER BY seq";
        db.each("checking snapshots", sql, [], |row| {
            self.report.snapshots += 1;
            let id = text(&db.database, row, 0)?;
            let read = text(&db.database, row, 1)
                .and_then(|json| Ok((json, decode::<Snapshot>("snapshot", id, json)?)));
            let (json, snapshot) = match read {
                Ok(read) => read,
                Err(e) => return Ok(self.bad("snapshot", id, &e)),
            };
            self.snapshot_columns(row, id, &snapshot)?;
            self.snapshot_files(id, &snapshot)?;
            let parent = snapshot.parent.as_ref().map(|parent| parent.as_str().to_owned());
            self.parents.insert(id.to_owned(), (snapshot.domain, parent));
            if !sidecar::is_same(&self.at.sidecar(snapshot.domain, id), &sidecar::content(json)) {
                self.suspects.push((snapshot.domain, id.to_owned()));
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn snapshot_columns(&mut self, row: &Row<'_>, id: &str, snapshot: &Snapshot) -> Result<()> {
        let columns = Columns::of(snapshot)?;
        let same = |at: usize, expected: &str| {
            row.get_ref(at).is_ok_and(|v| v.as_str().is_ok_and(|v| v == expected))
        };
        let number = |at: usize, expected: i64| row.get::<_, i64>(at).is_ok_and(|v| v == expected);
        let parent: Option<String> = self.db.sorted("checking snapshots", row.get(4))?;
        let agree = [
            ("id", snapshot.id.as_str() == id),
            ("domain", same(2, &snapshot.domain.to_string())),
            ("name", same(3, snapshot.name.as_str())),
            ("parent", parent.as_deref() == snapshot.parent.as_ref().map(OperationId::as_str)),
            ("taken_at", same(5, &columns.taken_at)),
            ("kind", same(6, &columns.kind)),
            ("consistency", same(7, &columns.consistency)),
            ("deleting", number(8, i64::from(snapshot.deleting))),
            ("disks", number(9, columns.disks)),
            ("disk_bytes", number(10, columns.disk_bytes)),
            ("memory_bytes", number(11, columns.memory_bytes)),
        ];
        for (column, agrees) in agree {
            self.column("snapshot", id, column, agrees);
        }
        Ok(())
    }

    fn snapshot_files(&mut self, id: &str, snapshot: &Snapshot) -> Result<()> {
        if let Some(memory) = records::memory(snapshot) {
            let path = memory.path.as_path().to_path_buf();
            match files::size(&path)? {
                None if snapshot.deleting => {}
                None => self.find(Finding::FileMissing { id: id.to_owned(), path: path.clone() }),
                Some(found) if found == memory.size => {}
                Some(found) => {
                    let recorded = memory.size;
                    self.find(Finding::FileSize { id: id.to_owned(), path: path.clone(), found, recorded });
                }
            }
            self.memory.insert(path);
        }
        for disk in &snapshot.disks {
            let (path, recorded) = (disk.path.as_path().to_path_buf(), disk.file.as_str().to_owned());
            match files::identity(&path)? {
                None => self.find(Finding::FileMissing { id: id.to_owned(), path }),
                Some((dev, ino)) if format!("{dev}:{ino}") == recorded => {}
                Some((dev, ino)) => {
                    let found = format!("{dev}:{ino}");
                    self.find(Finding::FileReplaced { id: id.to_owned(), path, found, recorded });
                }
            }
        }
        Ok(())
    }

    fn journal(&mut self) -> Result<()> {
        let db = self.db;
        let sql = "SELECT id, json, plan, state, done, facts, ended_at, uncleaned FROM journal";
        db.each("checking the journal", sql, [], |row| {
            self.report.operations += 1;
            let id = text(&db.database, row, 0)?;
            let entry = match db.entry(row) {
                Ok(entry) => entry,
                Err(e) => return Ok(self.bad("operation", id, &e)),
            };
            let ended: Option<String> = db.sorted("checking the journal", row.get(6))?;
            let state: Option<String> = db.sorted("checking the journal", row.get(3))?;
            let expected = entry.ended_at.as_ref().map(word).transpose()?;
            self.column("operation", id, "id", entry.id.as_str() == id);
            self.column("operation", id, "ended_at", expected == ended);
            let uncleaned: Option<i64> = db.sorted("checking the journal", row.get(7))?;
            self.column("operation", id, "uncleaned", uncleaned.is_none() || ended.is_some());
            // Only an open one is anywhere else than its record says.
            self.column("operation", id, "state", ended.is_none() || state.is_none());
            if ended.is_none() {
                self.open.insert(id.to_owned());
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn tree(&mut self) {
        let mut found = Vec::new();
        for (id, (domain, parent)) in &self.parents {
            let Some(parent) = parent else { continue };
            if self.parents.get(parent).is_none_or(|(theirs, _)| theirs != domain) {
                found.push(Finding::NoParent { domain: *domain, id: id.clone(), parent: parent.clone() });
            }
        }
        let parents = self.parents.iter().map(|(id, (_, parent))| (id.clone(), parent.clone())).collect();
        found.extend(folder::cycles(&parents).into_iter().map(|id| Finding::Cycle { id }));
        for (domain, id) in &self.currents {
            if self.parents.get(id).is_none_or(|(theirs, _)| theirs != domain) {
                found.push(Finding::NoCurrent { domain: *domain, id: id.clone() });
            }
        }
        found.sort_by_key(ToString::to_string);
        self.report.findings.extend(found);
    }

    /// A second look at the sidecars that did not agree: the agent writes them after its commits.
    fn sidecars(&mut self) -> Result<()> {
        for (domain, id) in std::mem::take(&mut self.suspects) {
            let path = self.at.sidecar(domain, &id);
            let Some(json) = records::json(self.db, &domain.to_string(), &id)? else { continue };
            match files::read_untrusted(&path, SIDECAR_BYTES_MAX)? {
                None => self.find(Finding::SidecarMissing { path }),
                Some(Ok(found)) if found == sidecar::content(&json) => {}
                Some(_) => self.find(Finding::SidecarDiffers { path }),
            }
        }
        Ok(())
    }

    fn strays(&mut self) -> Result<()> {
        let mut found = Vec::new();
        folder::each(self.at, &mut |domain, path, entry| {
            match entry {
                Entry::Sidecar(id) => {
                    if records::json(self.db, &domain.to_string(), &id)?.is_none() {
                        found.push(Finding::SidecarStray { path });
                    }
                }
                Entry::Memory(id) => {
                    // One that is being written belongs to an operation.
                    let open = || OperationId::new(id.as_str()).ok().map(|id| self.db.journal(&id));
                    if !self.memory.contains(&path)
                        && !self.open.contains(&id)
                        && open().transpose()?.flatten().is_none_or(|entry| entry.ended_at.is_some())
                        && records::json(self.db, &domain.to_string(), &id)?.is_none()
                    {
                        found.push(Finding::MemoryStray { path });
                    }
                }
            }
            Ok(())
        })?;
        found.sort_by_key(ToString::to_string);
        self.report.findings.extend(found);
        Ok(())
    }
}
