//! `xensnap operation watch`: follows an operation to its end. With `--json` each state is a document.

use xensnap::client::{Client, Follow};
use xensnap::contract::{Operation, OperationId};

use super::operation_show;
use crate::error::Result;
use crate::flags::OperationWatch;
use crate::session::Session;
use crate::wait;

pub(super) fn run(session: &mut Session, flags: &OperationWatch) -> Result<()> {
    let (client, follow) = match follow(session, &flags.one.id) {
        Ok(following) => following,
        // One that ended long ago is in the store's journal.
        Err(error) => match operation_show::recorded(session, &flags.one.id) {
            Ok(Some(op)) if op.state.is_end() => return finish(session, &op),
            _ => return Err(error),
        },
    };
    let documents = session.json;
    let op = wait::to_end(session, &client, follow, flags.wait.timeout, documents)?;
    // The last state is a document already.
    if documents { wait::outcome(session, Some(&client), &op) } else { finish(session, &op) }
}

fn follow(session: &Session, id: &OperationId) -> Result<(Client, Follow)> {
    let client = session.client()?;
    let follow = session.wait(async {
        client.agent_status().await?;
        client.follow(id).await
    })?;
    Ok((client, follow))
}

fn finish(session: &mut Session, op: &Operation) -> Result<()> {
    let domain = operation_show::domain_name(session, op).unwrap_or_else(|| "?".to_owned());
    let client = session.client().ok();
    wait::report(session, client.as_ref(), op, &domain)
}
