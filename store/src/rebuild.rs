//! `xensnap store rebuild`: a new database from what is left. The agent does not run meanwhile.
//!
//! ```text
//!   old database, as far as it reads ---> domains, snapshots, journal --+
//!   sidecars, as somebody else's -------> vetted -> snapshots ----------+--> xensnap.db.rebuilding -> .rebuilt
//!                        \-> torn, foreign: set aside                                                   |
//!   old database (and its log) renamed to *.set-aside-N  <----------------------------------------------+--> xensnap.db
//! ```
//!
//! Nothing is deleted. What the old database says wins over a sidecar. Interrupted before `.rebuilt`, nothing has happened; after it, the next rebuild goes on.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};

use rusqlite::params;
use rusqlite::types::Value;
use uuid::Uuid;
use xensnap::contract::{Disk, Domain, OperationId, Snapshot, SnapshotPart};
use xensnap::wire::{RawJson, Timestamp};

use crate::error::{Result, StoreError};
use crate::files::{self, Refused};
use crate::folder::{self, Entry};
use crate::location::Location;
use crate::lock::WriterLock;
use crate::read::{Read, Reader, text, uuid};
use crate::report::{RebuildReport, SetAside};
use crate::sidecar::{self, SIDECAR_BYTES_MAX};
use crate::text::decode;
use crate::{engine, records};

/// What a rebuild may do.
#[derive(Clone, Debug, Default)]
pub struct RebuildOptions {
    /// Make an empty store if neither a database nor a single sidecar is there: otherwise that is taken for an unmounted volume.
    pub empty_accepted: bool,
    /// Folders besides the store's own in which a sidecar's memory image may lie. Deleting a snapshot removes that file, so a sidecar must not name any other.
    pub memory_dirs: Vec<PathBuf>,
}

/// Makes a new database. The old one and what is not taken in are renamed, never removed.
///
/// # Errors
/// Only what keeps the new database from being made; what is lost or not taken in is in the report.
pub fn rebuild(at: &Location, options: &RebuildOptions) -> Result<RebuildReport> {
    let database = at.database();
    if !files::exists(&at.dir)? {
        return Err(at.missing()?);
    }
    at.check_dir()?;
    let _lock = WriterLock::take(at)?;
    let rebuilt = engine::beside(&database, ".rebuilt");
    let had_database = files::exists(&database)?;
    if files::exists(&rebuilt)? {
        return finish(at, &rebuilt, RebuildReport { finished_earlier: true, ..RebuildReport::default() });
    }
    if !had_database && !options.empty_accepted && !any_sidecar(at)? {
        return Err(at.missing()?);
    }
    let old = match had_database.then(|| Reader::open(at)) {
        // Nothing wrong with that database but that this program is the wrong one.
        Some(Err(e @ (StoreError::Newer { .. } | StoreError::Older { .. } | StoreError::Denied { .. }))) => {
            return Err(e);
        }
        other => other,
    };
    // The same store, if anything still says which it was.
    let old_id = old.as_ref().and_then(|old| old.as_ref().ok()?.store_id().ok());
    let id = match at.marked()?.or(old_id) {
        Some(id) => id,
        None => Uuid::new_v4(),
    };
    let new = engine::beside(&database, ".rebuilding");
    engine::create_at(&new, id)?;
    let db = Reader::of(engine::open_new(&new)?, new.clone());
    let mut rebuild = Rebuild {
        at,
        options,
        db: &db,
        report: RebuildReport::default(),
        derived: HashMap::new(),
        gone: HashSet::new(),
    };
    rebuild.fill(old)?;
    let report = rebuild.report;
    db.conn.close().map_err(|(_, e)| engine::sort(&new, "closing the new database", e))?;
    files::sync_file(&new)?;
    std::fs::rename(&new, &rebuilt).map_err(|e| StoreError::io("name", &rebuilt, e))?;
    files::sync_parent(&rebuilt)?;
    finish(at, &rebuilt, report)
}

/// Puts the new database in the place of the old one. Its log goes with the old one: it would be taken for the new one's.
fn finish(at: &Location, rebuilt: &Path, mut report: RebuildReport) -> Result<RebuildReport> {
    let database = at.database();
    if files::exists(&database)? {
        let aside = files::set_aside(&database)?;
        report.old_database = Some(aside);
    }
    let log = engine::beside(&database, "-wal");
    if files::exists(&log)? {
        match &report.old_database {
            // So named that SQLite finds it when the old database is opened there.
            Some(aside) => {
                let now = engine::beside(aside, "-wal");
                std::fs::rename(&log, &now).map_err(|e| StoreError::io("set aside", &log, e))?;
            }
            None => drop(files::set_aside(&log)?),
        }
    }
    // Only an index of the log, made anew at need.
    files::remove_if_there(&engine::beside(&database, "-shm"))?;
    std::fs::rename(rebuilt, &database).map_err(|e| StoreError::io("name", &database, e))?;
    files::sync_parent(&database)?;
    let db = Reader::open(at)?;
    at.write_mark(db.store_id()?)?;
    // Those of records that were changed. What cannot be written now the agent writes when it starts.
    for id in report.renamed.iter().map(|(id, _, _)| id).chain(&report.orphaned) {
        if let Some(snapshot) = OperationId::new(id.as_str()).ok().and_then(|id| db.snapshot(&id).transpose())
        {
            let _ = sidecar::agree(&db, at, snapshot?.domain, id);
        }
    }
    Ok(report)
}

fn any_sidecar(at: &Location) -> Result<bool> {
    let mut any = false;
    folder::each(at, &mut |_, _, entry| {
        any |= matches!(entry, Entry::Sidecar(_));
        Ok(())
    })?;
    Ok(any)
}

struct Rebuild<'a> {
    at: &'a Location,
    options: &'a RebuildOptions,
    db: &'a Reader,
    report: RebuildReport,
    /// Domains known from their snapshots only, as of the newest.
    derived: HashMap<Uuid, Timestamp>,
    /// Snapshots that the old database had dropped, though their sidecars may still be there.
    gone: HashSet<String>,
}

impl Rebuild<'_> {
    fn fill(&mut self, old: Option<Result<Reader>>) -> Result<()> {
        let tx = self.db.sorted("filling the new database", self.db.conn.unchecked_transaction())?;
        match old {
            Some(Ok(old)) => self.salvage(&old)?,
            Some(Err(e)) => self.report.lost.push(format!("the old database: {e}")),
            None => {}
        }
        self.import()?;
        self.mend_parents()?;
        self.mend_currents()?;
        self.report.domains = self.db.domains()?.len() as u64;
        self.report.domains_derived = self.derived.keys().copied().collect();
        self.report.domains_derived.sort_unstable();
        self.db.sorted("filling the new database", tx.commit())
    }

    /// Takes over what the old database still gives. An error ends its table, not the rebuild.
    fn salvage(&mut self, old: &Reader) -> Result<()> {
        // A failure of the new database's is one of the rebuild; the old one's are only noted.
        let mut failed = Ok(());
        for (what, sql) in [
            ("domains", "SELECT uuid, json, current, diverged FROM domain"),
            ("snapshots", "SELECT id, json FROM snapshot ORDER BY seq"),
            (
                "journal",
                "SELECT id, json, plan, state, done, facts, drops, ended_at, uncleaned FROM journal ORDER BY seq",
            ),
            (
                "notes of sidecars",
                "SELECT s.id, s.domain FROM sidecar s WHERE NOT EXISTS (SELECT 1 FROM snapshot n WHERE n.id = s.id)",
            ),
        ] {
            let read = old.each("reading the old database", sql, [], |row| {
                let (id, second) = (text(&old.database, row, 0)?, text(&old.database, row, 1)?);
                let kept = match what {
                    "domains" => old.domain_row(row).map(|domain| records::set_domain(self.db, &domain)),
                    "snapshots" => decode::<Snapshot>("snapshot", id, second).map(|snapshot| {
                        self.report.snapshots_kept += 1;
                        self.add(snapshot).map(drop)
                    }),
                    "journal" => old.entry(row).map(|_| self.keep_operation(row)),
                    _ => Ok({
                        self.gone.insert(id.to_owned());
                        Ok(())
                    }),
                };
                match kept {
                    Ok(Ok(())) => Ok(ControlFlow::Continue(())),
                    Ok(Err(e)) => {
                        failed = Err(e);
                        Ok(ControlFlow::Break(()))
                    }
                    Err(unreadable) => {
                        self.report.lost.push(unreadable.to_string());
                        Ok(ControlFlow::Continue(()))
                    }
                }
            });
            if let Err(e) = read {
                self.report.lost.push(format!("the rest of the {what}: {e}"));
            }
            std::mem::replace(&mut failed, Ok(()))?;
        }
        Ok(())
    }

    /// Columns: id, json, plan, state, done, facts, drops, ended_at, uncleaned.
    fn keep_operation(&mut self, row: &rusqlite::Row<'_>) -> Result<()> {
        let value = |at| self.db.sorted("reading the old journal", row.get::<_, Value>(at));
        self.db.execute(
            "writing the journal",
            "INSERT INTO journal (id, json, plan, state, done, facts, drops, ended_at, uncleaned) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![value(0)?, value(1)?, value(2)?, value(3)?, value(4)?, value(5)?, value(6)?, value(7)?, value(8)?],
        )?;
        self.report.operations_kept += 1;
        Ok(())
    }

    /// Takes in the sidecars, in order of their names so that a rebuild can be repeated.
    fn import(&mut self) -> Result<()> {
        let mut found = Vec::new();
        folder::each(self.at, &mut |domain, path, entry| {
            if let Entry::Sidecar(id) = entry {
                found.push((domain, id, path));
            }
            Ok(())
        })?;
        found.sort();
        for (domain, id, path) in found {
            let read = files::read_untrusted(&path, SIDECAR_BYTES_MAX)?;
            let vetted = match read {
                None => continue,
                Some(Ok(text)) => vet(self.at, self.options, domain, &id, &text),
                Some(Err(Refused::NotAFile)) => Err("not a file".into()),
                Some(Err(Refused::TooLarge(bytes))) => {
                    Err(format!("{bytes} bytes; at most {SIDECAR_BYTES_MAX}"))
                }
                Some(Err(Refused::NotText)) => Err("not UTF-8".into()),
            };
            let why = match vetted {
                Ok(_) if self.gone.contains(&id) => "the old database had dropped this snapshot".into(),
                Ok(snapshot) => match self.add(snapshot)? {
                    Added::New => {
                        self.report.snapshots_imported += 1;
                        continue;
                    }
                    Added::Known => continue,
                    Added::OtherDomain(other) => format!("domain {other} has a snapshot of that id"),
                },
                Err(why) => why,
            };
            let now = files::set_aside(&path)?;
            self.report.set_aside.push(SetAside { path, now, why });
        }
        Ok(())
    }

    /// Adds a snapshot and, where it is not known, its domain. Its parent is looked at when all are there.
    fn add(&mut self, mut snapshot: Snapshot) -> Result<Added> {
        if let Some(known) = self.db.snapshot(&snapshot.id)? {
            return Ok(if known.domain == snapshot.domain {
                Added::Known
            } else {
                Added::OtherDomain(known.domain)
            });
        }
        let newest = self.derived.get(&snapshot.domain).copied();
        if newest.is_some_and(|newest| newest < snapshot.taken_at)
            || (newest.is_none() && self.db.domain(snapshot.domain)?.is_none())
        {
            records::set_domain(self.db, &derive(&snapshot)?)?;
            self.derived.insert(snapshot.domain, snapshot.taken_at);
        }
        match records::check_new(self.db, &snapshot) {
            Err(StoreError::NameExists { name, .. }) => {
                snapshot.name = self.db.free_name(snapshot.domain, &snapshot.name)?;
                let id = snapshot.id.as_str().to_owned();
                self.report.renamed.push((id, name, snapshot.name.as_str().to_owned()));
            }
            other => other?,
        }
        records::insert_snapshot(self.db, &snapshot)?;
        Ok(Added::New)
    }

    /// Changes a record.
    fn change(&self, id: &str, f: &mut dyn FnMut(&mut Snapshot)) -> Result<()> {
        if let Some(mut snapshot) = self.db.snapshot(&records::operation_id("snapshot", id)?)? {
            f(&mut snapshot);
            records::update_snapshot(self.db, &snapshot)?;
        }
        Ok(())
    }

    /// A parent that is not there, is of another domain, or descends from its child is taken away.
    fn mend_parents(&mut self) -> Result<()> {
        let mut orphans = Vec::new();
        let sql = "SELECT s.id FROM snapshot s WHERE s.parent IS NOT NULL
                   AND NOT EXISTS (SELECT 1 FROM snapshot p WHERE p.id = s.parent AND p.domain = s.domain)";
        self.db.each("looking for parents", sql, [], |row| {
            orphans.push(text(&self.db.database, row, 0)?.to_owned());
            Ok(ControlFlow::Continue(()))
        })?;
        let mut parents = HashMap::new();
        self.db.each("looking for parents", "SELECT id, parent FROM snapshot", [], |row| {
            let parent: Option<String> = self.db.sorted("looking for parents", row.get(1))?;
            parents.insert(text(&self.db.database, row, 0)?.to_owned(), parent);
            Ok(ControlFlow::Continue(()))
        })?;
        for orphan in &orphans {
            parents.insert(orphan.clone(), None);
        }
        orphans.extend(folder::cycles(&parents));
        orphans.sort();
        for id in &orphans {
            self.change(id, &mut |snapshot| snapshot.parent = None)?;
        }
        self.report.orphaned = orphans;
        Ok(())
    }

    fn mend_currents(&mut self) -> Result<()> {
        for domain in self.db.domains()? {
            let Some(current) = domain.current.clone() else { continue };
            if records::need_snapshot(self.db, domain.uuid, &current).is_err() {
                self.report.lost.push(format!("domain {}: its current snapshot {current}", domain.uuid));
                records::set_state(self.db, domain.uuid, None, domain.diverged)?;
            }
        }
        Ok(())
    }
}

enum Added {
    New,
    Known,
    OtherDomain(Uuid),
}

/// A domain as its snapshot shows it. What its present state descends from is not known.
fn derive(snapshot: &Snapshot) -> Result<Domain> {
    let disks = snapshot
        .disks
        .iter()
        .map(|disk| Disk::new(disk.vdev.clone(), disk.path.clone(), disk.format.clone()))
        .collect();
    let config = match &snapshot.part {
        SnapshotPart::Vm(vm) => vm.config.clone(),
        // Not known: found out when the domain is next seen.
        SnapshotPart::Disk(_) | SnapshotPart::Unknown { .. } => {
            decode::<RawJson>("config", snapshot.id.as_str(), "{}")?
        }
    };
    Ok(Domain::new(
        snapshot.contract,
        snapshot.domain,
        snapshot.domain_name.clone(),
        snapshot.driver.clone(),
        config,
        disks,
        snapshot.taken_at,
    ))
}

/// Looks at a sidecar as at something that anybody may have put there.
fn vet(
    at: &Location,
    options: &RebuildOptions,
    domain: Uuid,
    id: &str,
    text: &str,
) -> std::result::Result<Snapshot, String> {
    let snapshot: Snapshot = xensnap::wire::from_str(text).map_err(|e| e.to_string())?;
    if snapshot.id.as_str() != id {
        return Err(format!("it describes snapshot {}", snapshot.id));
    }
    if snapshot.domain != domain {
        return Err(format!("it describes a snapshot of domain {}", snapshot.domain));
    }
    for disk in &snapshot.disks {
        if !is_plain(disk.path.as_path()) {
            return Err(format!("disk {}: {} is not a plain absolute path", disk.vdev, disk.path));
        }
    }
    if let Some(memory) = records::memory(&snapshot) {
        let path = memory.path.as_path();
        if !is_plain(path) || !may_hold_memory(at, options, id, path) {
            return Err(format!("its memory image {} is not where memory images are", memory.path));
        }
    }
    Ok(snapshot)
}

/// Absolute, and without `.` and `..` in any place.
fn is_plain(path: &Path) -> bool {
    let parts = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    // `components` passes over `.` and doubled slashes.
    let same = path.components().collect::<PathBuf>().as_os_str() == path.as_os_str();
    path.is_absolute() && parts && same
}

/// `<id>.save` in a domain's folder (not always this domain's: an adopted one keeps its files), or in a folder that the caller allows.
fn may_hold_memory(at: &Location, options: &RebuildOptions, id: &str, path: &Path) -> bool {
    let named = path.file_name().and_then(|name| name.to_str()) == Some(&format!("{id}.save"));
    let Some(folder) = path.parent().filter(|_| named) else { return false };
    let is_domains = folder.parent() == Some(&at.dir)
        && folder
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| uuid("domain", id, name).is_ok());
    is_domains || options.memory_dirs.iter().any(|dir| folder.starts_with(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_pass() {
        for (path, plain) in [
            ("/a/b", true),
            ("/", true),
            ("a/b", false),
            ("/a/../b", false),
            ("/a/./b", false),
            ("/a//b", false),
            ("/a/b/", false),
        ] {
            assert_eq!(is_plain(Path::new(path)), plain, "{path}");
        }
    }

    #[test]
    fn memory_images_lie_in_domains_folders() {
        let at = Location::default();
        let options = RebuildOptions { memory_dirs: vec!["/srv/mem".into()], ..RebuildOptions::default() };
        let domain = "/var/lib/xen/snapshots/8d3cf1a4-8a11-4a7e-9d13-0f6c5b9d7e21";
        for (path, may) in [
            (format!("{domain}/s1.save"), true),
            (format!("{domain}/s2.save"), false),
            (format!("{domain}/x/s1.save"), false),
            ("/var/lib/xen/snapshots/s1.save".into(), false),
            ("/var/lib/xen/snapshots/etc/s1.save".into(), false),
            ("/srv/mem/any/s1.save".into(), true),
            ("/etc/s1.save".into(), false),
            ("/etc/shadow".into(), false),
        ] {
            assert_eq!(may_hold_memory(&at, &options, "s1", Path::new(&path)), may, "{path}");
        }
    }
}
