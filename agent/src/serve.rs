//! The agent's life: lock, store, xenstore, recovery, then the inbox until a signal comes.
//!
//! ```text
//!   lock --> store --> xenstore (agent node: one agent a host) --> recover --> inbox | heartbeat | outbox | settled | signal
//!                                                                                          |           |         |
//!                                                                  service manager:    WATCHDOG      READY    STOPPING
//! ```
//!
//! READY waits until what an earlier agent left open is settled (ten minutes at most, `SETTLE_MAX`): the unit starts before the domains that are started by themselves,
//! so that none runs on disks that are half way through a revert. Requests are taken meanwhile.
//!
//! One thread for all tasks and one for the store: the agent waits, it does not compute. Idle, it wakes for its heartbeat only.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;
use xensnap::contract::{AgentStatus, OperationId};
use xensnap::paths;
use xensnap::wire::{self, AbsPath, Timestamp};
use xensnap::xenstore::{Connection, Error as XsError, Options};
use xensnap_store::{Location, SqliteStore, StoreError};

use crate::agent::{Agent, Setup};
use crate::config::Config;
use crate::execute::Patience;
use crate::guests::policy::Policy;
use crate::host::beat::Beat;
use crate::host::notify::Notify;
use crate::host::real::RealHost;
use crate::host::settings::Settings;
use crate::host::{Host, HostError};
use crate::journal::Journal;
use crate::outbox::{self, Outbox};
use crate::{guests, inbox, log};

/// The heartbeat's period.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Every how many heartbeats old operations are forgotten: hourly.
const TIDY_EVERY: u64 = 360;
/// An agent whose heartbeat is older has stopped.
const STALE: Duration = Duration::from_secs(30);
/// The longest that READY waits for what an earlier agent left open.
const SETTLE_MAX: Duration = Duration::from_secs(600);
/// How often the service manager is told that the start goes on.
const SETTLE_EVERY: Duration = Duration::from_secs(5);
/// How often the claim is tried again when somebody else writes to xenstore meanwhile.
const CLAIM_TRIES: u32 = 10;

/// Why the agent does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No runtime, thread or signal handler.
    #[error("the machine refuses")]
    Machine(#[from] std::io::Error),
    /// The store cannot be opened.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    /// xenstore cannot be used.
    #[error("xenstore cannot be used; is xenstored running?")]
    Xenstore(#[from] XsError),
    /// The host cannot be looked at.
    #[error("the start failed")]
    Host(#[from] HostError),
    /// A setting is not usable.
    #[error("{0}")]
    Setting(String),
    /// Another agent serves this host.
    #[error("another agent serves this host: pid {pid}, last heartbeat {heartbeat}; stop it first")]
    Another {
        /// Its process.
        pid: u32,
        /// Its last sign of life.
        heartbeat: Timestamp,
    },
}

/// Serves until SIGTERM or SIGINT.
pub fn serve(config: &Config) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .thread_stack_size(512 << 10)
        .build()?;
    runtime.block_on(life(config))
}

async fn life(config: &Config) -> Result<(), ServeError> {
    let text = |p: &std::path::Path| {
        p.to_str()
            .map(str::to_owned)
            .ok_or_else(|| ServeError::Setting(format!("{}: not UTF-8", p.display())))
    };
    let folder =
        AbsPath::new(text(&config.store)?).map_err(|e| ServeError::Setting(format!("store: {e}")))?;
    let location = Location {
        dir: config.store.clone(),
        run: config.run.clone(),
        mark: config.installed.clone(),
        remote_accepted: false,
    };
    let store = SqliteStore::open_or_create(&location)?;

    let xs =
        Connection::connect(&config.xenstore.as_ref().map_or_else(Options::default, Options::at)).await?;
    outbox::prepare(&xs).await?;
    let started_at = Timestamp::now();
    let boot_id = boot_id()?;
    let settings =
        Settings { state_dir: config.store.clone(), run_dir: config.run.clone(), ..Settings::usual()? };
    let host = Arc::new(RealHost::start(Arc::new(xs.clone()), settings).await?);
    let journal = Journal::start(Box::new(store))?;
    let board = Arc::new(Outbox::default());
    let setup = Setup {
        folder,
        limits: config.limits(),
        policy: Arc::new(Policy::new(config.guests.clone())),
        operations_max: config.operations_max.max(1),
        patience: Patience::default(),
        boot_id,
        started_at,
    };
    let agent = Agent::new(Arc::clone(&host), journal, Arc::clone(&board), setup);
    claim(&xs, &agent.status()).await?;
    let writer = tokio::spawn(Arc::clone(&board).write(xs.clone()));
    let open = agent.recover().await?;
    board.inherit(&xs).await?;
    board.agent(agent.status());
    log::line("ready");
    tokio::spawn(async move { host.get_ready().await });

    let manager = Notify::from_environment();
    if manager.watchdog().is_some_and(|w| w < HEARTBEAT * 2) {
        log::line(
            "the service manager's watchdog is shorter than two heartbeats of 10 s: it will kill for nothing",
        );
    }
    let heart = Beat::every(HEARTBEAT)?;
    let beat = async {
        let mut n = 0u64;
        loop {
            if let Err(e) = heart.next().await {
                return ServeError::from(e);
            }
            n += 1;
            // From here, and not from a thread of its own: all tasks share this thread, so a beat says that they are being run.
            manager.alive();
            if n.is_multiple_of(TIDY_EVERY) {
                agent.tidy().await;
            }
            board.agent(agent.status());
            board.expire(Timestamp::now());
        }
    };
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut int = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    let ended = tokio::select! {
        r = inbox::run(Arc::clone(&agent), xs.clone()) => r.map_err(ServeError::from),
        r = guests::inbox::run(Arc::clone(&agent), xs.clone()) => r.map(|never| match never {}).map_err(ServeError::from),
        e = beat => Err(e),
        never = settle(&agent, &open, &manager) => match never {},
        _ = term.recv() => Ok(()),
        _ = int.recv() => Ok(()),
    };
    // Operations under way stay in the journal: the next start settles them. The guard releases their guests when our pipe closes.
    manager.stopping();
    log::line("stopping");
    writer.abort();
    ended
}

/// Says READY when these operations, which an earlier agent left open, are settled.
async fn settle<H: Host>(agent: &Agent<H>, open: &[OperationId], manager: &Notify) -> Infallible {
    let until = Instant::now() + SETTLE_MAX;
    let mut said = None::<Instant>;
    while agent.any_active(open) && Instant::now() < until {
        if said.is_none_or(|s| s.elapsed() >= SETTLE_EVERY) {
            manager.starting("settling what was left open", SETTLE_EVERY * 6);
            said = Some(Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    manager.ready("serving");
    std::future::pending().await
}

/// Claims the agent's node in one transaction, unless a living agent has it.
async fn claim(xs: &Connection, status: &AgentStatus) -> Result<(), ServeError> {
    let text =
        wire::to_xenstore(status).map_err(|e| ServeError::Setting(format!("the agent's status: {e}")))?;
    let text = text.as_bytes();
    xs.transaction(CLAIM_TRIES, async |tx| {
        match tx.read(paths::AGENT).await {
            Ok(bytes) => refuse_if_alive(&bytes, status)?,
            Err(e) if e.is_no_entry() => {}
            Err(e) => return Err(e.into()),
        }
        tx.write(paths::AGENT, text).await.map_err(ServeError::from)
    })
    .await
}

fn refuse_if_alive(bytes: &[u8], mine: &AgentStatus) -> Result<(), ServeError> {
    // What no agent of ours wrote claims nothing.
    let Ok(other) = wire::from_slice::<AgentStatus>(bytes) else { return Ok(()) };
    let fresh = Timestamp::now().since(other.heartbeat_at) < STALE;
    let alive = std::path::Path::new("/proc").join(other.pid.to_string()).exists();
    if other.boot_id == mine.boot_id && fresh && alive && other.pid != mine.pid {
        return Err(ServeError::Another { pid: other.pid, heartbeat: other.heartbeat_at });
    }
    Ok(())
}

fn boot_id() -> Result<Uuid, ServeError> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Uuid::parse_str(text.trim()).map_err(|e| ServeError::Setting(format!("boot id: {e}")))
}
