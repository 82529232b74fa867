//! `xensnap operation show`: from xenstore, or from the store's journal where xenstore shows it no more.

use xensnap::contract::{Operation, OperationId};
use xensnap::journal;
use xensnap_store::Read;

use crate::error::{CliError, Result};
use crate::flags::OperationOne;
use crate::output::note;
use crate::session::Session;
use crate::view;

pub(super) fn run(session: &mut Session, flags: &OperationOne) -> Result<()> {
    let op = find(session, &flags.id)?;
    if session.json {
        return session.out.document(&op);
    }
    let name = domain_name(session, &op);
    session.out.text(&view::operation(&op, name.as_deref()))
}

/// An operation, wherever it is still known. What xenstore shows is newer than the journal while it goes on.
fn find(session: &Session, id: &OperationId) -> Result<Operation> {
    let shown = session.client().and_then(|client| Ok(session.wait(client.operation(id))?));
    if let Ok(Some(op)) = shown {
        return Ok(op);
    }
    match recorded(session, id) {
        Ok(Some(op)) => {
            if !op.state.is_end() {
                note(
                    "xenstore does not show it, this is what the store's journal holds (is xensnapd running?)",
                );
            }
            Ok(op)
        }
        Ok(None) => Err(CliError::NoOperation { id: id.clone() }),
        // Both may have failed: xenstore is where it should have been.
        Err(error) => Err(shown.err().unwrap_or(error)),
    }
}

/// An operation as the store's journal has it.
pub(super) fn recorded(session: &Session, id: &OperationId) -> Result<Option<Operation>> {
    Ok(session.store()?.journal(id)?.map(|entry| journal::operation(&entry)))
}

/// The name of an operation's domain, where the store knows it, else its UUID.
pub(super) fn domain_name(session: &Session, op: &Operation) -> Option<String> {
    let uuid = op.domain?;
    let known = session.store().ok().and_then(|store| store.domain(uuid).ok()?);
    Some(known.map_or_else(|| uuid.to_string(), |domain| domain.name.to_string()))
}
