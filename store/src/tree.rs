//! What an outcome does to a domain's tree of snapshots.
//!
//! | outcome | records | domain |
//! |---|---|---|
//! | `domain` | | written as given, `current` and `diverged` as stored |
//! | `add` | added; its parent is one of the domain's or none | |
//! | `drop` | removed; its children go to its parent | `current`, if it was the dropped one, becomes its parent |
//! | `current` | | set; it is one of the domain's |
//! | `diverged` | | set |
//!
//! In this order, all within the transaction that ends the operation; the first thing that does not fit undoes all of it.

use uuid::Uuid;
use xensnap::contract::{JournalEntry, OperationId, Outcome};

use crate::error::{Result, StoreError};
use crate::read::{Read, Reader};
use crate::records;

/// The domain that an entry's outcome is about.
fn domain_of(entry: &JournalEntry, outcome: &Outcome) -> Result<Uuid> {
    let named = [
        entry.domain,
        entry.plan.as_ref().map(|plan| plan.domain),
        outcome.domain.as_ref().map(|domain| domain.uuid),
        outcome.add.first().map(|snapshot| snapshot.domain),
    ];
    let mut named = named.into_iter().flatten();
    let inconsistent = |detail: String| StoreError::Inconsistent { id: entry.id.as_str().to_owned(), detail };
    let domain = named.next().ok_or_else(|| inconsistent("its outcome is about no domain".into()))?;
    match named.find(|other| *other != domain) {
        Some(other) => Err(inconsistent(format!("its outcome is about {other}, its request about {domain}"))),
        None => Ok(domain),
    }
}

/// Applies an outcome.
pub(crate) fn apply(db: &Reader, entry: &JournalEntry, outcome: &Outcome) -> Result<()> {
    let uuid = domain_of(entry, outcome)?;
    let inconsistent = |detail: String| StoreError::Inconsistent { id: entry.id.as_str().to_owned(), detail };
    if let Some(domain) = &outcome.domain {
        records::see_domain(db, domain)?;
    }
    let before = records::state(db, uuid)?;
    let (mut current, mut diverged) = before.clone();
    for snapshot in &outcome.add {
        if snapshot.domain != uuid {
            return Err(inconsistent(format!("snapshot {} is of another domain", snapshot.id)));
        }
        if let Some(parent) = &snapshot.parent {
            records::need_known(db, uuid, parent)?;
        }
        records::insert_snapshot(db, snapshot)?;
    }
    if let Some(id) = &outcome.drop {
        if outcome.current.as_ref() == Some(id) {
            return Err(inconsistent(format!("its outcome drops snapshot {id} and makes it current")));
        }
        let parent = drop_snapshot(db, uuid, id)?;
        if current.as_deref() == Some(id.as_str()) {
            current = parent.map(|parent| parent.as_str().to_owned());
        }
    }
    if let Some(id) = &outcome.current {
        if !outcome.add.iter().any(|added| added.id == *id) {
            records::need_known(db, uuid, id)?;
        }
        current = Some(id.as_str().to_owned());
    }
    if let Some(outcome) = outcome.diverged {
        diverged = outcome;
    }
    if (&current, diverged) == (&before.0, before.1) {
        return Ok(());
    }
    records::set_state(db, uuid, current.as_deref(), diverged)
}

/// Removes a snapshot and gives its children to its parent, which is returned.
fn drop_snapshot(db: &Reader, domain: Uuid, id: &OperationId) -> Result<Option<OperationId>> {
    let dropped = records::need_snapshot(db, domain, id)?;
    for mut child in records::children(db, domain, id)? {
        child.parent.clone_from(&dropped.parent);
        records::update_snapshot(db, &child)?;
    }
    records::delete_snapshot(db, &dropped)?;
    Ok(dropped.parent)
}

/// Gives all that is under `old` to `new`. `entry` is the operation that does it, which may be open itself.
pub(crate) fn adopt(db: &Reader, entry: Option<&OperationId>, old: Uuid, new: Uuid) -> Result<()> {
    let from = records::need_domain(db, old)?;
    if old == new {
        return Ok(());
    }
    for domain in [old, new] {
        check_idle(db, entry, domain)?;
    }
    if db.count_snapshots(new)? > 0 {
        return Err(StoreError::DomainInUse {
            domain: new,
            why: "has snapshots of its own; two trees cannot be joined",
        });
    }
    // As it is now, if it was seen under its new UUID already.
    let mut to = db.domain(new)?.unwrap_or_else(|| from.clone());
    (to.uuid, to.current, to.diverged) = (new, from.current.clone(), from.diverged);
    records::set_domain(db, &to)?;
    for mut snapshot in db.snapshots(old)? {
        records::note_gone(db, old, snapshot.id.as_str())?;
        records::unnote(db, new, snapshot.id.as_str())?;
        snapshot.domain = new;
        records::update_snapshot(db, &snapshot)?;
    }
    db.execute("forgetting a domain", "DELETE FROM domain WHERE uuid = ?1", [old.to_string()])?;
    Ok(())
}

/// Forgets a domain that has no snapshots.
pub(crate) fn forget(db: &Reader, entry: Option<&OperationId>, uuid: Uuid) -> Result<()> {
    records::state(db, uuid)?;
    check_idle(db, entry, uuid)?;
    if db.count_snapshots(uuid)? > 0 {
        return Err(StoreError::DomainInUse { domain: uuid, why: "has snapshots; delete them first" });
    }
    db.execute("forgetting a domain", "DELETE FROM domain WHERE uuid = ?1", [uuid.to_string()])?;
    Ok(())
}

/// No operation but `entry` is open on the domain.
fn check_idle(db: &Reader, entry: Option<&OperationId>, domain: Uuid) -> Result<()> {
    let mut open = db.open_journal()?.into_iter().filter(|open| Some(&open.id) != entry);
    if open.any(|open| open.domain == Some(domain)) {
        return Err(StoreError::DomainInUse { domain, why: "has an operation that has not ended" });
    }
    if db.uncleaned()?.iter().any(|left| left.domain == Some(domain)) {
        let why = "has undo tags that a revert made and nobody could delete yet; the agent tries again when it starts";
        return Err(StoreError::DomainInUse { domain, why });
    }
    Ok(())
}
