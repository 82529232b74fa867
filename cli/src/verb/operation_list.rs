//! `xensnap operation list`: what xenstore shows, and behind it what the store's journal still knows.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;
use xensnap::contract::{Operation, OperationId};
use xensnap::journal;
use xensnap_store::Read;

use crate::error::Result;
use crate::flags::OperationList;
use crate::output::note;
use crate::session::Session;
use crate::text::Table;
use crate::view;

pub(super) fn run(session: &mut Session, flags: &OperationList) -> Result<()> {
    let mirror = shown(session);
    let journal = recorded(session, flags.ended);
    let (mirror, (journal, names)) = match (mirror, journal) {
        (Ok(mirror), Ok(journal)) => (mirror, journal),
        (Ok(mirror), Err(error)) => {
            note(&format!("only what xenstore shows: {error}"));
            (mirror, Default::default())
        }
        (Err(error), Ok(journal)) => {
            note(&format!("only what the store's journal holds: {error}"));
            (Vec::new(), journal)
        }
        (Err(_), Err(error)) => return Err(error),
    };
    let known: HashSet<OperationId> = mirror.iter().map(|op| op.id.clone()).collect();
    let mut all = mirror;
    all.extend(journal.into_iter().filter(|op| !known.contains(&op.id)));
    all.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| b.id.as_str().cmp(a.id.as_str())));
    print(session, &newest(all, flags.ended), &names)
}

/// Those that go on, and so many of those that have ended.
fn newest(all: Vec<Operation>, ended_max: u32) -> Vec<Operation> {
    let mut ended = 0;
    let keep = |op: &Operation| {
        ended += u32::from(op.state.is_end());
        !op.state.is_end() || ended <= ended_max
    };
    let mut all = all;
    all.retain(keep);
    all
}

fn shown(session: &Session) -> Result<Vec<Operation>> {
    let client = session.client()?;
    let operations = session.wait(async {
        client.agent_status().await?;
        client.operations().await
    });
    Ok(operations?)
}

type Recorded = (Vec<Operation>, HashMap<Uuid, String>);

fn recorded(session: &Session, ended_max: u32) -> Result<Recorded> {
    let store = session.store()?;
    let names = store.domains()?.into_iter().map(|domain| (domain.uuid, domain.name.to_string())).collect();
    let mut entries = store.open_journal()?;
    // The newest may be among those that are open.
    let limit = entries.len().saturating_add(usize::try_from(ended_max).unwrap_or(usize::MAX));
    entries.extend(store.recent_journal(limit)?.into_iter().filter(|entry| entry.ended_at.is_some()));
    Ok((entries.iter().map(journal::operation).collect(), names))
}

fn print(session: &mut Session, all: &[Operation], names: &HashMap<Uuid, String>) -> Result<()> {
    if session.json {
        return all.iter().try_for_each(|op| session.out.document(op));
    }
    let mut table = Table::new(session.out.stream(), view::OPERATION_COLUMNS);
    for op in all {
        let name = op.domain.and_then(|uuid| names.get(&uuid));
        table.row(view::operation_row(op, name.map(String::as_str)))?;
    }
    Ok(table.finish()?)
}
