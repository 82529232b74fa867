//! An operation, from the request to its end.
//!
//! ```text
//!   agent alive? --no--> exit 3
//!        | yes
//!      send --(--no-wait)--> its id
//!        |
//!      follow: states -> progress     Ctrl-C -> a cancel, once; again -> leave (130)     --timeout -> exit 4     agent silent for 30 s -> exit 3
//!        |
//!      done -> what it did | the plan of a dry run          failed, cancelled, refused -> its error, its kind's exit code
//! ```
//! What of this is xenstore's and the agent's coming and going is the library's client's business.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};
use xensnap::client::{CONTRACT, Client, Error as ClientError, Follow};
use xensnap::contract::{self, Operation, OperationId, OperationState, Plan, Request, RequestOp};
use xensnap::wire;

use crate::error::{CliError, Result};
use crate::flags::Ask;
use crate::output::warning;
use crate::progress::Progress;
use crate::session::Session;
use crate::view;

/// Asks for an operation, waits for its end and reports it. `domain` is how the user named the domain.
pub(crate) fn perform(session: &mut Session, op: RequestOp, ask: &Ask, domain: &str) -> Result<()> {
    let client = session.client()?;
    let request = Request { contract: CONTRACT, dry_run: ask.dry_run, op };
    if ask.no_wait {
        let id = session.wait(async {
            client.agent_status().await?;
            client.send(&request).await
        })?;
        return announce(session, &id);
    }
    let follow = session.wait(client.start(&request))?;
    let op = to_end(session, &client, follow, ask.timeout, false)?;
    report(session, Some(&client), &op, domain)
}

/// Prints the id of an operation that is not waited for.
pub(crate) fn announce(session: &mut Session, id: &OperationId) -> Result<()> {
    if session.json { session.out.document(id) } else { session.out.line(id.as_str()) }
}

/// Follows an operation to its end, with progress on a terminal; with `documents` each state is written out at once.
pub(crate) fn to_end(
    session: &mut Session,
    client: &Client,
    follow: Follow,
    timeout: Option<Duration>,
    documents: bool,
) -> Result<Operation> {
    let progress = Progress::new();
    let Session { out, runtime, .. } = session;
    let end = timeout.map(|time| (Instant::now() + time, time));
    runtime.block_on(each_state(client, follow, end, &progress, &mut |op| {
        progress.show(op);
        if !documents {
            return Ok(());
        }
        out.document(op)?;
        out.flush()
    }))
}

async fn each_state(
    client: &Client,
    mut follow: Follow,
    end: Option<(Instant, Duration)>,
    progress: &Progress,
    each: &mut dyn FnMut(&Operation) -> Result<()>,
) -> Result<Operation> {
    let system = |source| CliError::System { what: "watch for Ctrl-C", source };
    let mut interrupts = signal(SignalKind::interrupt()).map_err(system)?;
    let (limit, after) = end.unwrap_or((Instant::now(), Duration::ZERO));
    let id = follow.id().clone();
    let mut cancelled = false;
    loop {
        tokio::select! {
            state = follow.next() => match state {
                Ok(Some(op)) => each(&op)?,
                Ok(None) => {
                    let last = follow.last().cloned();
                    return last.ok_or_else(|| ClientError::NoOperation { id }.into());
                }
                Err(ClientError::NoAgent | ClientError::StaleAgent { .. }) => return Err(CliError::AgentLost { id }),
                Err(error) => return Err(error.into()),
            },
            _ = interrupts.recv() => {
                if cancelled {
                    return Err(CliError::Left { id });
                }
                cancelled = true;
                progress.note("asking to cancel; Ctrl-C once more leaves the operation alone");
                if let Err(error) = client.cancel(&id).await {
                    progress.note(&format!("the cancel could not be sent: {error}"));
                }
            }
            () = sleep_until(limit), if end.is_some() => return Err(CliError::Timeout { id, after }),
        }
    }
}

/// Reports an operation that has ended: what it did, its plan, or its error.
pub(crate) fn report(
    session: &mut Session,
    client: Option<&Client>,
    op: &Operation,
    domain: &str,
) -> Result<()> {
    if op.state == OperationState::Done && op.dry_run {
        return report_plan(session, client, op);
    }
    if session.json {
        session.out.document(op)?;
    } else if op.state == OperationState::Done {
        session.out.line(&view::ended(op, domain))?;
    }
    warn(session, client, op)?;
    outcome(session, client, op)
}

/// Says on standard error what the plan has warned about.
fn warn(session: &Session, client: Option<&Client>, op: &Operation) -> Result<()> {
    if op.warnings.is_none() || op.state != OperationState::Done {
        return Ok(());
    }
    let plan = result::<Plan>(session, client, op)?;
    for text in plan.iter().flat_map(|plan| &plan.warnings) {
        warning(text.as_str());
    }
    Ok(())
}

/// An operation's end as a result.
pub(crate) fn outcome(session: &Session, client: Option<&Client>, op: &Operation) -> Result<()> {
    if op.state == OperationState::Done {
        return Ok(());
    }
    // The whole error, where it did not fit into xenstore.
    let whole = result::<contract::Error>(session, client, op).ok().flatten();
    match whole.or_else(|| op.error.clone()) {
        Some(error) => Err(CliError::Operation { id: op.id.clone(), error: Box::new(error) }),
        None => Err(CliError::Ended { id: op.id.clone(), state: op.state.clone() }),
    }
}

fn report_plan(session: &mut Session, client: Option<&Client>, op: &Operation) -> Result<()> {
    let plan: Plan = result(session, client, op)?.ok_or_else(|| CliError::NoPlan { id: op.id.clone() })?;
    if session.json { session.out.document(&plan) } else { session.out.text(&view::plan(&plan)) }
}

/// The document in an operation's result file, if it has one.
fn result<T: serde::de::DeserializeOwned>(
    session: &Session,
    client: Option<&Client>,
    op: &Operation,
) -> Result<Option<T>> {
    let (Some(file), Some(client)) = (&op.result, client) else { return Ok(None) };
    let bytes = session.wait(client.read_result(file))?;
    let path = file.path.as_path().to_path_buf();
    wire::from_slice(&bytes).map(Some).map_err(|source| CliError::BadResult {
        id: op.id.clone(),
        path,
        source,
    })
}
