//! Takes guests' requests: a task for each running guest that the policy admits.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use xensnap::contract::OperationId;
use xensnap::paths;
use xensnap::xenstore::{Connection, Error as XsError};

use super::Asker;
use crate::agent::Agent;
use crate::host::Host;
use crate::log;

/// How many of a guest's keys are looked at in one turn.
const TURN_MAX: usize = 16;
/// The least time between two turns of one guest.
const PACE: Duration = Duration::from_millis(500);
/// How often the running domains are looked at when nothing says that they have changed: a rename says nothing.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often ignored keys are logged, for each guest.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// Serves all guests that the policy admits, for ever.
///
/// # Errors
/// When xenstore cannot be watched.
pub async fn run<H: Host>(agent: Arc<Agent<H>>, xs: Connection) -> Result<Infallible, XsError> {
    if agent.policy().is_empty() {
        std::future::pending::<()>().await;
    }
    let mut came = xs.watch("@introduceDomain").await?;
    let mut went = xs.watch("@releaseDomain").await?;
    let mut tasks: HashMap<u32, (Asker, JoinSet<()>)> = HashMap::new();
    loop {
        let running = agent.running().await;
        let admitted: HashMap<u32, Asker> = agent
            .policy()
            .admitted(&running)
            .into_iter()
            .map(|i| (i.domid, Asker { uuid: i.uuid, name: i.name.clone(), domid: i.domid }))
            .collect();
        tasks.retain(|domid, (asker, task)| {
            admitted.get(domid) == Some(asker) && task.try_join_next().is_none()
        });
        agent.outbox().guests_run(admitted.values().map(|a| (a.uuid, a.domid)));
        for (domid, asker) in admitted {
            tasks.entry(domid).or_insert_with(|| {
                log::line(&format!("guest {} (domid {domid}) may ask about itself", asker.name));
                let mut task = JoinSet::new();
                task.spawn(serve(Arc::clone(&agent), xs.clone(), asker.clone()));
                (asker, task)
            });
        }
        tokio::select! {
            _ = came.next() => {}
            _ = went.next() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        // Several that come at once are one.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Serves one guest until it is gone.
async fn serve<H: Host>(agent: Arc<Agent<H>>, xs: Connection, asker: Asker) {
    let folder = paths::guest_requests(asker.domid);
    let Ok(mut watch) = xs.watch(&folder).await else { return };
    let mut ignored = Ignored { count: 0, logged: None };
    let mut more = false;
    loop {
        // Also when all is said to be done: an event may have come and gone with a turn that failed.
        if !more && watch.next().await.is_none() {
            return;
        }
        let names = xs.directory(&folder).await.unwrap_or_default(); // gone: the guest has removed it, or has ended
        more = names.len() > TURN_MAX;
        for name in names.iter().take(TURN_MAX) {
            match take(&xs, &asker, &folder, name).await {
                Taken::Request(id, bytes) => {
                    if !agent.submit_guest(&asker, &id, bytes).await {
                        ignored.one_more(&agent, &asker);
                    }
                }
                Taken::Nothing => {}
                Taken::Ignored => ignored.one_more(&agent, &asker),
            }
        }
        tokio::time::sleep(PACE).await;
    }
}

enum Taken {
    Request(OperationId, Vec<u8>),
    /// It has gone.
    Nothing,
    /// It is none, and was removed.
    Ignored,
}

/// Reads one key, once.
async fn take(xs: &Connection, asker: &Asker, folder: &str, name: &str) -> Taken {
    let path = format!("{folder}/{name}");
    let Ok(permissions) = xs.permissions(&path).await else { return Taken::Nothing };
    // A guest can let another write here; what that one writes is not its own asking.
    let own = permissions.first().is_some_and(|p| p.domid == asker.domid);
    match OperationId::new(name) {
        Ok(id) if own => match xs.read(&path).await {
            Ok(bytes) => Taken::Request(id, bytes),
            Err(_) => Taken::Nothing,
        },
        _ => {
            let _ = xs.rm(&path).await;
            Taken::Ignored
        }
    }
}

/// Counts what is ignored, and says so now and then: a guest must not fill the log.
struct Ignored {
    count: u64,
    logged: Option<tokio::time::Instant>,
}

impl Ignored {
    fn one_more<H: Host>(&mut self, agent: &Agent<H>, asker: &Asker) {
        agent.ignored();
        self.count += 1;
        if self.logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            self.logged = Some(tokio::time::Instant::now());
            log::line(&format!(
                "guest {} (domid {}): {} keys ignored so far: no operation ids, not its own, or used with other bytes",
                asker.name, asker.domid, self.count
            ));
        }
    }
}
