//! `xensnap operation cancel`: asks for the cancel, then waits until the operation itself has ended. Past its point of no return an operation goes on; that it
//! was then not cancelled is an error.

use xensnap::contract::OperationState;

use crate::error::{CliError, Result};
use crate::flags::OperationCancel;
use crate::session::Session;
use crate::wait;

pub(super) fn run(session: &mut Session, flags: &OperationCancel) -> Result<()> {
    let id = &flags.one.id;
    let client = session.client()?;
    let asked = session.wait(async {
        client.agent_status().await?;
        client.cancel(id).await
    })?;
    if flags.no_wait {
        return wait::announce(session, &asked);
    }
    let answer = session.wait(client.follow(&asked))?;
    let answer = wait::to_end(session, &client, answer, flags.wait.timeout, false)?;
    wait::outcome(session, Some(&client), &answer)?;
    let follow = session.wait(client.follow(id))?;
    let op = wait::to_end(session, &client, follow, flags.wait.timeout, false)?;
    if session.json {
        session.out.document(&op)?;
    } else if op.state == OperationState::Cancelled {
        session.out.line(&format!("operation {id} cancelled"))?;
    }
    match op.state {
        OperationState::Cancelled => Ok(()),
        OperationState::Done => Err(CliError::Ended { id: id.clone(), state: op.state }),
        _ => wait::outcome(session, Some(&client), &op),
    }
}
