//! What the list and show verbs of both kinds of snapshot have in common. Lists of any length are streamed: no list of records is ever held.

use std::collections::HashMap;
use std::ops::ControlFlow;

use uuid::Uuid;
use xensnap::contract::{DomainRef, OperationId, SnapshotKind};
use xensnap_store::{Read, Reader, SnapshotHead};

use crate::error::{CliError, Result};
use crate::flags::{List, One};
use crate::session::Session;
use crate::text::Table;
use crate::view;

/// Snapshots of one domain from which on reading the whole database ahead is quicker than waiting for each record: they lie among those of other domains.
const READ_AHEAD_MIN: usize = 500;

/// `-list`.
pub(super) fn list(session: &mut Session, flags: &List, kind: &SnapshotKind) -> Result<()> {
    let store = session.store()?;
    match (&flags.domain, session.json) {
        (Some(domain), false) => list_of(session, &store, domain, kind),
        (Some(domain), true) => documents_of(session, &store, domain, kind),
        (None, false) => list_all(session, &store, kind),
        (None, true) => documents(session, &store, kind),
    }
}

fn list_of(session: &mut Session, store: &Reader, domain: &DomainRef, kind: &SnapshotKind) -> Result<()> {
    let uuid = session.domain(store, domain)?;
    let current = store.domain(uuid)?.and_then(|domain| domain.current);
    let mut table = Table::new(session.out.stream(), view::LIST_COLUMNS);
    for head in store.heads(uuid)?.iter().filter(|head| head.kind == *kind) {
        table.row(view::head_cells(head, None, current.as_ref() == Some(&head.id)))?;
    }
    Ok(table.finish()?)
}

fn list_all(session: &mut Session, store: &Reader, kind: &SnapshotKind) -> Result<()> {
    session.read_ahead();
    let domains: HashMap<Uuid, (String, Option<OperationId>)> = store
        .domains()?
        .into_iter()
        .map(|domain| (domain.uuid, (domain.name.to_string(), domain.current)))
        .collect();
    let mut table = Table::new(session.out.stream(), view::LIST_ALL_COLUMNS);
    streamed(
        |each| store.for_each_head(each),
        |head: SnapshotHead| {
            if head.kind != *kind {
                return Ok(());
            }
            let domain = domains.get(&head.domain);
            let current = domain.and_then(|(_, current)| current.as_ref()) == Some(&head.id);
            let name = domain.map_or_else(|| head.domain.to_string(), |(name, _)| name.clone());
            Ok(table.row(view::head_cells(&head, Some(&name), current))?)
        },
    )?;
    Ok(table.finish()?)
}

fn documents_of(
    session: &mut Session,
    store: &Reader,
    domain: &DomainRef,
    kind: &SnapshotKind,
) -> Result<()> {
    let uuid = session.domain(store, domain)?;
    let heads = store.heads(uuid)?;
    if heads.len() > READ_AHEAD_MIN {
        session.read_ahead();
    }
    for head in heads.iter().filter(|head| head.kind == *kind) {
        // One deleted since is not there any more, which is no error.
        if let Some(json) = store.snapshot_json(uuid, &head.id)? {
            session.out.line(&json)?;
        }
    }
    Ok(())
}

fn documents(session: &mut Session, store: &Reader, kind: &SnapshotKind) -> Result<()> {
    session.read_ahead();
    let mut result = Ok(());
    store.for_each_snapshot_json(&mut |json| {
        if view::is_kind(json, kind) {
            result = session.out.line(json);
        }
        if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    result
}

/// Runs a stream of the store with an `each` that can fail.
fn streamed<T>(
    stream: impl FnOnce(&mut dyn FnMut(T) -> ControlFlow<()>) -> xensnap_store::Result<()>,
    mut each: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let mut result = Ok(());
    stream(&mut |item| {
        result = each(item);
        if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    result
}

/// `-show`.
pub(super) fn show(session: &mut Session, flags: &One, kind: &SnapshotKind) -> Result<()> {
    let store = session.store()?;
    let (domain, snapshot) = session.snapshot(&store, &flags.domain, &flags.snapshot)?;
    let is = snapshot.part.kind();
    if is != *kind {
        let (asked, is, verb) = match kind {
            SnapshotKind::Vm => ("VM snapshot", "disk snapshot", "disk-snapshot-show"),
            _ => ("disk snapshot", "VM snapshot", "vm-snapshot-show"),
        };
        let verb = format!("{verb} {} {}", flags.domain, flags.snapshot);
        return Err(CliError::OtherKind { name: snapshot.name.to_string(), asked, is, verb });
    }
    if session.json {
        return session.out.document(&snapshot);
    }
    let parent = snapshot.parent.as_ref().map(|id| store.snapshot(id)).transpose()?.flatten();
    session.out.text(&view::snapshot(&snapshot, parent.as_ref(), domain.as_ref()))
}
