//! Sidecars: each record again, beside what it describes, as `<domain_uuid>/snapshotdata-<id>.json`. For people, and for copying to another host. Never read back
//! but by `rebuild`, as somebody else's.
//!
//! ```text
//!   transaction: records change --commit--> touched --(nobody waits)--> compare, write or remove the file
//!                  \- a record goes: noted in the database ----------------------> struck off by a later transaction
//! ```
//!
//! A crash in between loses what was touched: after each opening all are compared once, in passes. A file whose record is gone is removed by its note.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::params;
use uuid::Uuid;

use crate::error::{Result, StoreError};
use crate::files;
use crate::location::{Location, make_dir};
use crate::read::{Reader, uuid};
use crate::records;

/// Largest sidecar that is read, in bytes: the contract's largest document and a newline.
pub(crate) const SIDECAR_BYTES_MAX: u64 = (1 << 20) + 1;

/// Files that do not agree yet, and what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Sidecars {
    waiting: VecDeque<(Uuid, String)>,
    /// Tried, and to be tried again after the next commit.
    failed: Vec<(Uuid, String)>,
    /// Files that are gone, whose notes the next transaction deletes.
    gone: Vec<(Uuid, String)>,
    trouble: Vec<(PathBuf, StoreError)>,
}

impl Sidecars {
    /// With what an earlier process noted.
    pub(crate) fn open(db: &Reader) -> Result<Self> {
        let mut waiting = VecDeque::new();
        db.each("reading the notes of sidecars", "SELECT domain, id FROM sidecar", [], |row| {
            let id: String = db.sorted("reading the notes of sidecars", row.get(1))?;
            let domain: String = db.sorted("reading the notes of sidecars", row.get(0))?;
            waiting.push_back((uuid("sidecar", &id, &domain)?, id));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(Self { waiting, ..Self::default() })
    }

    pub(crate) fn take_trouble(&mut self) -> Vec<(PathBuf, StoreError)> {
        std::mem::take(&mut self.trouble)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Within a transaction: deletes the notes of files that are gone.
    pub(crate) fn strike_off(&self, db: &Reader) -> Result<()> {
        for (domain, id) in &self.gone {
            records::unnote(db, *domain, id)?;
        }
        Ok(())
    }

    /// After its commit: what it touched, and what failed before.
    pub(crate) fn committed(&mut self, touched: Vec<(Uuid, String)>) {
        self.gone.clear();
        for one in std::mem::take(&mut self.failed).into_iter().chain(touched) {
            if !self.waiting.contains(&one) {
                self.waiting.push_back(one);
            }
        }
    }

    /// Does one file; true when more wait. An error is kept: nothing of this may fail a commit that was made.
    pub(crate) fn settle_one(&mut self, db: &Reader, at: &Location) -> bool {
        let Some((domain, id)) = self.waiting.pop_front() else { return false };
        match agree(db, at, domain, &id) {
            Ok(Agreed::Gone) => self.gone.push((domain, id)),
            Ok(Agreed::Same | Agreed::Written) => {}
            Err(e) => {
                self.fail(at.sidecar(domain, &id), e);
                self.failed.push((domain, id));
            }
        }
        !self.waiting.is_empty()
    }

    fn fail(&mut self, path: PathBuf, error: StoreError) {
        // The first is kept; a full disk would fail them all, again and again.
        if !self.trouble.iter().any(|(known, _)| *known == path) {
            self.trouble.push((path, error));
        }
    }

    /// Compares up to `limit` records after a row with their files. Returns the row to go on after, if there may be more, and how many files were written.
    pub(crate) fn refresh(
        &mut self,
        db: &Reader,
        at: &Location,
        after: i64,
        limit: usize,
    ) -> Result<(Option<i64>, u64)> {
        let sql = "SELECT domain, id, seq FROM snapshot WHERE seq > ?1 ORDER BY seq LIMIT ?2";
        let (mut found, mut last) = (Vec::new(), after);
        db.each(
            "comparing sidecars",
            sql,
            params![after, i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| {
                let id: String = db.sorted("comparing sidecars", row.get(1))?;
                let domain: String = db.sorted("comparing sidecars", row.get(0))?;
                last = db.sorted("comparing sidecars", row.get(2))?;
                found.push((uuid("snapshot", &id, &domain)?, id));
                Ok(ControlFlow::Continue(()))
            },
        )?;
        let mut rewritten = 0;
        for (domain, id) in &found {
            match agree(db, at, *domain, id) {
                Ok(agreed) => rewritten += u64::from(agreed == Agreed::Written),
                Err(e) => self.fail(at.sidecar(*domain, id), e),
            }
        }
        Ok(((found.len() == limit).then_some(last), rewritten))
    }
}

/// The bytes of a sidecar.
pub(crate) fn content(json: &str) -> String {
    format!("{json}\n")
}

/// How a sidecar came to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreed {
    /// It did.
    Same,
    /// It was written.
    Written,
    /// There is no record, and now no file.
    Gone,
}

/// Makes a sidecar what the record says: written, or removed where there is no record.
pub(crate) fn agree(db: &Reader, at: &Location, domain: Uuid, id: &str) -> Result<Agreed> {
    let path = at.sidecar(domain, id);
    let Some(json) = records::json(db, &domain.to_string(), id)? else {
        if files::remove_if_there(&path)? {
            files::sync_parent(&path)?;
            // Goes when it was the domain's last file; anything else in it keeps it.
            let _ = rustix::fs::rmdir(at.domain_dir(domain));
        }
        return Ok(Agreed::Gone);
    };
    let content = content(&json);
    if is_same(&path, &content) {
        return Ok(Agreed::Same);
    }
    make_dir(&at.domain_dir(domain), 0o700)?;
    files::write_durably(&path, content.as_bytes())?;
    Ok(Agreed::Written)
}

pub(crate) fn is_same(path: &Path, content: &str) -> bool {
    matches!(files::read_untrusted(path, SIDECAR_BYTES_MAX), Ok(Some(Ok(found))) if found == content)
}
