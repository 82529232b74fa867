//! Requests, as toolstacks write them.
//!
//! ```text
//!   watch (a hint) --> list --> read each, owner and bytes, once --> agent.submit
//! ```
//!
//! The key stays until its request is journalled or refused; [`crate::outbox`] removes it. A key that cannot be an operation's id, or that a guest owns, is
//! logged and removed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use xensnap::contract::OperationId;
use xensnap::paths;
use xensnap::xenstore::{Connection, Error as XsError, Watch, WatchEvent};

use crate::agent::Agent;
use crate::host::Host;
use crate::log;

/// Takes requests, for ever.
pub async fn run<H: Host>(agent: Arc<Agent<H>>, xs: Connection) -> Result<(), XsError> {
    let mut watch = xs.watch(paths::REQUESTS).await?;
    let mut pending = BTreeSet::new();
    loop {
        let Some(event) = watch.next().await else { return Ok(()) };
        // All that is there already is one turn: the running domains are listed once for it.
        for event in std::iter::once(event).chain(ready(&mut watch)) {
            match event {
                WatchEvent::Changed(path) => {
                    match path.strip_prefix(paths::REQUESTS).and_then(|p| p.strip_prefix('/')) {
                        Some(name) => {
                            pending.insert(name.to_owned());
                        }
                        None => pending.extend(list(&xs).await),
                    }
                }
                WatchEvent::Resync => {
                    // xenstored may have been restarted, and have lost everything.
                    if let Err(e) = crate::outbox::prepare(&xs).await {
                        log::line(&format!("inbox: the folders in xenstore cannot be made: {e}"));
                    }
                    agent.outbox().resync();
                    pending.extend(list(&xs).await);
                }
            }
        }
        // Our own removals of keys come back as events too: domains are listed only when there is a request.
        let mut running = None;
        for name in std::mem::take(&mut pending) {
            let Some((id, bytes)) = take(&agent, &xs, &name).await else { continue };
            if running.is_none() {
                running = Some(agent.running().await);
            }
            agent.submit(id, bytes, running.as_deref().unwrap_or_default()).await;
        }
    }
}

/// The events that need no waiting.
fn ready(watch: &mut Watch) -> Vec<WatchEvent> {
    let mut context = Context::from_waker(Waker::noop());
    let mut events = Vec::new();
    while let Poll::Ready(Some(event)) = watch.poll_next(&mut context) {
        events.push(event);
    }
    events
}

async fn list(xs: &Connection) -> Vec<String> {
    match xs.directory(paths::REQUESTS).await {
        Ok(names) => names,
        Err(e) if e.is_no_entry() || e.is_disconnected() => Vec::new(),
        Err(e) => {
            log::line(&format!("inbox: requests cannot be listed: {e}"));
            Vec::new()
        }
    }
}

/// Reads a request of dom0's; none when the key is gone, or is no request.
async fn take<H: Host>(agent: &Arc<Agent<H>>, xs: &Connection, name: &str) -> Option<(OperationId, Vec<u8>)> {
    let path = format!("{}/{name}", paths::REQUESTS);
    // A guest can own no key here unless dom0 gave it one; then its bytes are the guest's.
    let owned = match xs.permissions(&path).await {
        Ok(permissions) => permissions.first().is_some_and(|p| p.domid == 0),
        Err(_) => return None, // gone: the event was that of our own removal
    };
    let Ok(id) = OperationId::new(name) else {
        log::line(&format!("inbox: {path}: no operation id; removed"));
        agent.ignored();
        let _ = xs.rm(&path).await;
        return None;
    };
    if !owned {
        log::line(&format!("inbox: {path} is not owned by dom0; removed"));
        agent.ignored();
        let _ = xs.rm(&path).await;
        return None;
    }
    Some((id, xs.read(&path).await.ok()?))
}
