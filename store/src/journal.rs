//! Rows of the journal. Called within a transaction.

use rusqlite::{OptionalExtension as _, params};
use uuid::Uuid;
use xensnap::contract::{Facts, JournalEntry, JournalState, OperationId, Outcome, Plan, StepAct};

use crate::error::{Duplicate, Result, StoreError};
use crate::read::{Read, Reader};
use crate::store::Change;
use crate::text::{encode, word};
use crate::{records, tree};

fn inconsistent(id: &OperationId, detail: impl Into<String>) -> StoreError {
    StoreError::Inconsistent { id: id.as_str().to_owned(), detail: detail.into() }
}

fn has_ended(state: &JournalState) -> bool {
    matches!(state, JournalState::Done | JournalState::Failed | JournalState::Cancelled)
}

/// What a plan will commit.
fn planned(plan: &Plan) -> Option<&Outcome> {
    plan.steps.iter().find_map(|step| match &step.act {
        StepAct::Commit(outcome) => Some(outcome),
        _ => None,
    })
}

/// Checks what a plan will commit against what is there, and marks the snapshot that it will drop, whose id is returned.
fn prepare(db: &Reader, domain: Option<Uuid>, plan: Option<&Plan>) -> Result<Option<OperationId>> {
    let Some((plan, outcome)) = plan.and_then(|plan| Some((plan, planned(plan)?))) else { return Ok(None) };
    let domain = domain.unwrap_or(plan.domain);
    for snapshot in &outcome.add {
        // The outcome may bring the domain along.
        if outcome.domain.is_none() {
            records::state(db, snapshot.domain)?;
        }
        records::check_new(db, snapshot)?;
    }
    let Some(id) = &outcome.drop else { return Ok(None) };
    let mut dropped = records::need_snapshot(db, domain, id)?;
    records::mark_deleting(db, &mut dropped, true)?;
    Ok(Some(id.clone()))
}

pub(crate) fn begin(db: &Reader, entry: &JournalEntry) -> Result<()> {
    if has_ended(&entry.state) || entry.ended_at.is_some() {
        return Err(inconsistent(&entry.id, "it cannot begin when it has ended"));
    }
    let id = entry.id.as_str();
    // Before anything is held against its plan: an operation that has made its snapshot is known, and its name is taken by itself.
    let plan = entry.plan.as_ref().map(|plan| encode("plan", id, plan)).transpose()?;
    let sql = "INSERT INTO journal (id, json, plan) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING";
    if db.execute("journalling", sql, params![id, without_plan(entry)?, plan])? == 0 {
        return Err(duplicate(db, entry)?);
    }
    let seq = db.conn.last_insert_rowid();
    if let Some(drops) = prepare(db, entry.domain, entry.plan.as_ref())? {
        let sql = "UPDATE journal SET drops = ?2 WHERE seq = ?1";
        db.execute("journalling", sql, params![seq, drops.as_str()])?;
    }
    Ok(())
}

/// An entry's JSON but for its plan.
fn without_plan(entry: &JournalEntry) -> Result<String> {
    // Field by field: a copy of the whole would copy the plan too.
    let entry = JournalEntry {
        contract: entry.contract,
        id: entry.id.clone(),
        request: entry.request.clone(),
        op: entry.op.clone(),
        domain: entry.domain,
        guest_id: entry.guest_id.clone(),
        state: entry.state.clone(),
        done: entry.done,
        plan: None,
        facts: entry.facts.clone(),
        created_at: entry.created_at,
        ended_at: entry.ended_at,
        error: entry.error.clone(),
        extra: entry.extra.clone(),
    };
    encode("entry", entry.id.as_str(), &entry)
}

/// What is said of an operation whose id is known.
fn duplicate(db: &Reader, entry: &JournalEntry) -> Result<StoreError> {
    let id = entry.id.as_str().to_owned();
    let same = db.journal(&entry.id)?.is_some_and(|known| known.request == entry.request);
    Ok(StoreError::Duplicate(if same { Duplicate::Same { id } } else { Duplicate::Other { id } }))
}

/// What the columns say of an operation that has to be open.
struct Open {
    seq: i64,
    no_return: bool,
    drops: Option<String>,
    has_plan: bool,
}

fn need_open(db: &Reader, id: &OperationId) -> Result<Open> {
    let sql = "SELECT seq, state, drops, plan IS NOT NULL, ended_at IS NOT NULL FROM journal WHERE id = ?1";
    let row = db.conn.prepare_cached(sql).and_then(|mut statement| {
        let columns = |row: &rusqlite::Row<'_>| {
            Ok((row.get(0)?, row.get::<_, Option<String>>(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        };
        statement.query_row([id.as_str()], columns).optional()
    });
    match db.sorted("reading the journal", row)? {
        None => Err(StoreError::NoOperation { id: id.as_str().to_owned() }),
        Some((_, _, _, _, true)) => Err(StoreError::Ended { id: id.as_str().to_owned() }),
        Some((seq, state, drops, has_plan, false)) => Ok(Open {
            seq,
            no_return: state.as_deref() == Some(JournalState::NoReturn.as_str()),
            drops,
            has_plan,
        }),
    }
}

pub(crate) fn set_plan(db: &Reader, id: &OperationId, plan: &Plan) -> Result<()> {
    let open = need_open(db, id)?;
    if plan.operation != *id {
        return Err(inconsistent(id, format!("the plan is for operation {}", plan.operation)));
    }
    let mut entry = db.journal(id)?.ok_or_else(|| StoreError::NoOperation { id: id.as_str().to_owned() })?;
    unmark(db, entry.domain.unwrap_or(plan.domain), open.drops.as_deref())?;
    let drops = prepare(db, entry.domain, Some(plan))?;
    if entry.domain.is_none() {
        entry.domain = Some(plan.domain);
    }
    let drops_id = drops.as_ref().map(OperationId::as_str);
    let plan = encode("plan", id.as_str(), plan)?;
    let sql = "UPDATE journal SET drops = ?2, json = ?3, plan = ?4 WHERE seq = ?1";
    db.execute("journalling", sql, params![open.seq, drops_id, without_plan(&entry)?, plan])?;
    Ok(())
}

pub(crate) fn advance(
    db: &Reader,
    id: &OperationId,
    state: &JournalState,
    done: u32,
    facts: &Facts,
) -> Result<()> {
    if has_ended(state) {
        return Err(inconsistent(id, "only `finish` ends an operation"));
    }
    let changed = db.execute(
        "journalling",
        "UPDATE journal SET state = ?2, done = ?3, facts = ?4 WHERE id = ?1 AND ended_at IS NULL",
        params![id.as_str(), state.as_str(), done, encode("facts", id.as_str(), facts)?],
    )?;
    if changed == 1 {
        return Ok(());
    }
    // Says which of the two it is.
    need_open(db, id).and_then(|_| Err(inconsistent(id, "it cannot be advanced")))
}

pub(crate) fn finish(db: &Reader, entry: &JournalEntry, change: Change<'_>) -> Result<()> {
    let Some(ended_at) = entry.ended_at.filter(|_| has_ended(&entry.state)) else {
        return Err(inconsistent(&entry.id, "it cannot be finished before it has ended"));
    };
    if !matches!(change, Change::Nothing) && entry.state != JournalState::Done {
        return Err(inconsistent(&entry.id, "an operation that was not done changes nothing"));
    }
    let open = need_open(db, &entry.id)?;
    let obsolete =
        matches!(change, Change::Outcome(Outcome { obsolete: Some(tags), .. }) if !tags.disks.is_empty());
    match change {
        Change::Nothing => {}
        Change::Outcome(outcome) => tree::apply(db, entry, outcome)?,
        Change::Adopt { old, new } => tree::adopt(db, Some(&entry.id), old, new)?,
        Change::Forget(uuid) => tree::forget(db, Some(&entry.id), uuid)?,
    }
    // Past the point of no return part of the snapshot may be gone: it stays marked, and can be deleted again.
    if !open.no_return || entry.state == JournalState::Done {
        let domain = entry.domain.or(entry.plan.as_ref().map(|plan| plan.domain));
        if let Some(domain) = domain {
            unmark(db, domain, open.drops.as_deref())?;
        }
    }
    let json = without_plan(entry)?;
    let ended_at = word(&ended_at)?;
    let uncleaned = obsolete.then_some(1);
    if open.has_plan && entry.plan.is_some() {
        let sql = "UPDATE journal SET ended_at = ?2, drops = NULL, state = NULL, done = NULL, facts = NULL, json = ?3, uncleaned = ?4 WHERE seq = ?1";
        db.execute("journalling", sql, params![open.seq, ended_at, json, uncleaned])?;
    } else {
        let plan = entry.plan.as_ref().map(|plan| encode("plan", entry.id.as_str(), plan)).transpose()?;
        let sql = "UPDATE journal SET ended_at = ?2, drops = NULL, state = NULL, done = NULL, facts = NULL, json = ?3, uncleaned = ?4, plan = ?5 WHERE seq = ?1";
        db.execute("journalling", sql, params![open.seq, ended_at, json, uncleaned, plan])?;
    }
    Ok(())
}

/// Takes back the mark of a snapshot that was to be dropped, if it is still there.
fn unmark(db: &Reader, domain: Uuid, id: Option<&str>) -> Result<()> {
    let Some(id) = id.and_then(|id| OperationId::new(id).ok()) else { return Ok(()) };
    match records::need_snapshot(db, domain, &id) {
        Ok(mut snapshot) => records::mark_deleting(db, &mut snapshot, false),
        Err(StoreError::NoSnapshot { .. }) => Ok(()),
        Err(e) => Err(e),
    }
}

/// The tags that an operation's outcome made obsolete are gone.
pub(crate) fn cleaned(db: &Reader, id: &OperationId) -> Result<()> {
    let sql = "UPDATE journal SET uncleaned = NULL WHERE id = ?1 AND uncleaned = 1";
    db.execute("journalling", sql, [id.as_str()]).map(drop)
}

/// Forgets what ended before a time; returns how many.
pub(crate) fn expire(db: &Reader, before: &str) -> Result<u64> {
    let sql = "DELETE FROM journal WHERE ended_at < ?1 AND uncleaned IS NULL";
    Ok(db.execute("forgetting old operations", sql, [before])? as u64)
}
