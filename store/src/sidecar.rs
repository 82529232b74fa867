//! Sidecars: each record again, beside what it describes, as `<domain_uuid>/snapshotdata-<id>.json`. For people, and for copying to another host. Never read back
//! but by `rebuild`, as somebody else's.
//!
//! ```text
//!   transaction: record changes + (domain, id) noted --commit--> compare, write or remove the file --> struck off by a later transaction
//! ```
//!
//! A crash in between leaves the note, and the next open does the file again: it only looks at the record as it is then.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::params;
use uuid::Uuid;
use xensnap::contract::OperationId;

use crate::error::{Result, StoreError};
use crate::files;
use crate::location::{Location, make_dir};
use crate::read::{Reader, uuid};
use crate::records;

/// Largest sidecar that is read, in bytes: the contract's largest document and a newline.
pub(crate) const SIDECAR_BYTES_MAX: u64 = (1 << 20) + 1;

/// Which notes are done, and what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Sidecars {
    /// Rows of notes whose files agree, to be deleted by the next transaction.
    settled: Vec<i64>,
    /// The last row that was tried since then.
    tried: Option<i64>,
    trouble: Vec<(PathBuf, StoreError)>,
}

impl Sidecars {
    pub(crate) fn take_trouble(&mut self) -> Vec<(PathBuf, StoreError)> {
        std::mem::take(&mut self.trouble)
    }

    pub(crate) fn settled(&self) -> &[i64] {
        &self.settled
    }

    /// The transaction that deletes the settled rows was committed.
    pub(crate) fn struck_off(&mut self) {
        self.settled.clear();
        self.tried = None;
    }

    /// Does the files of the next notes; true when there may be more. Errors are kept: nothing of this may fail a commit that was made.
    pub(crate) fn settle(&mut self, db: &Reader, at: &Location, limit: usize) -> bool {
        match notes(db, self.tried.unwrap_or(0), limit) {
            Ok(notes) => {
                let more = notes.len() == limit;
                for note in notes {
                    self.tried = Some(note.seq);
                    match agree(db, at, note.domain, &note.id) {
                        Ok(_) => self.settled.push(note.seq),
                        Err(e) => self.fail(at.sidecar(note.domain, &note.id), e),
                    }
                }
                more
            }
            Err(e) => {
                self.fail(at.dir.clone(), e);
                false
            }
        }
    }

    fn fail(&mut self, path: PathBuf, error: StoreError) {
        // The first is kept; a full disk would fail them all, again and again.
        if !self.trouble.iter().any(|(known, _)| *known == path) {
            self.trouble.push((path, error));
        }
    }

    /// Compares up to `limit` records after a snapshot with their files. Returns how many there were, the last of them and how many files were written.
    pub(crate) fn refresh(
        &mut self,
        db: &Reader,
        at: &Location,
        after: Option<&OperationId>,
        limit: usize,
    ) -> Result<(usize, Option<OperationId>, u64)> {
        let sql = "SELECT domain, id FROM snapshot
                   WHERE seq > coalesce((SELECT seq FROM snapshot WHERE id = ?1), 0) ORDER BY seq LIMIT ?2";
        let mut found = Vec::new();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        db.each("comparing sidecars", sql, params![after.map(OperationId::as_str), limit], |row| {
            let id: String = db.sorted("comparing sidecars", row.get(1))?;
            let domain: String = db.sorted("comparing sidecars", row.get(0))?;
            found.push((uuid("snapshot", &id, &domain)?, id));
            Ok(ControlFlow::Continue(()))
        })?;
        let mut rewritten = 0;
        for (domain, id) in &found {
            match agree(db, at, *domain, id) {
                Ok(changed) => rewritten += u64::from(changed),
                Err(e) => self.fail(at.sidecar(*domain, id), e),
            }
        }
        let last = found.last().and_then(|(_, id)| OperationId::new(id.as_str()).ok());
        Ok((found.len(), last, rewritten))
    }
}

struct Note {
    seq: i64,
    domain: Uuid,
    id: String,
}

/// Notes after those that are settled; all of them again once those are struck off, so that what failed is tried again.
fn notes(db: &Reader, after: i64, limit: usize) -> Result<Vec<Note>> {
    let mut notes = Vec::new();
    let sql = "SELECT seq, domain, id FROM sidecar WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    db.each(
        "reading the notes of sidecars",
        sql,
        params![after, i64::try_from(limit).unwrap_or(i64::MAX)],
        |row| {
            let id: String = db.sorted("reading the notes of sidecars", row.get(2))?;
            let domain: String = db.sorted("reading the notes of sidecars", row.get(1))?;
            let seq = db.sorted("reading the notes of sidecars", row.get(0))?;
            notes.push(Note { seq, domain: uuid("sidecar", &id, &domain)?, id });
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(notes)
}

/// The bytes of a sidecar.
pub(crate) fn content(json: &str) -> String {
    format!("{json}\n")
}

/// Makes a sidecar what the record says: written, or removed where there is no record. Returns whether anything had to be done.
fn agree(db: &Reader, at: &Location, domain: Uuid, id: &str) -> Result<bool> {
    let path = at.sidecar(domain, id);
    match records::json(db, &domain.to_string(), id)? {
        Some(json) => {
            let content = content(&json);
            if is_same(&path, &content) {
                return Ok(false);
            }
            make_dir(&at.domain_dir(domain), 0o700)?;
            files::write_durably(&path, content.as_bytes())?;
            Ok(true)
        }
        None => {
            let removed = files::remove_if_there(&path)?;
            if removed {
                files::sync_parent(&path)?;
                // Goes when it was the domain's last file; anything else in it keeps it.
                let _ = rustix::fs::rmdir(at.domain_dir(domain));
            }
            Ok(removed)
        }
    }
}

pub(crate) fn is_same(path: &Path, content: &str) -> bool {
    matches!(files::read_untrusted(path, SIDECAR_BYTES_MAX), Ok(Some(Ok(found))) if found == content)
}
