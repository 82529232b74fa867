//! What ties the flow: a queue a domain, domains side by side.
//!
//! ```text
//!   submit --parse, resolve--> queue of its domain --worker--> facts, plan --> journal --> executor --> outbox --> clean
//!      \--> refused (outbox only)         \--> refused (outbox; journal too when it had to wait)
//! ```
//!
//! Owner of the queues: [`Agent`]. A worker is a task that lives as long as its domain's queue; it alone touches that domain.
//! A request that has to wait is journalled at once, without a plan, so that its key can go; one that can begin at once is journalled with its plan.

mod clean;
mod guest;
mod prepare;
mod simple;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use uuid::Uuid;
use xensnap::contract::{
    AgentStatus, DomainStatus, ErrorKind, JournalEntry, JournalState, Line, OperationId, Request, RequestOp,
};
use xensnap::wire::{self, AbsPath, Timestamp};
use xensnap_store::Change;

use crate::admit::{self, RefusalLimit};
use crate::execute::{Executor, Patience};
use crate::guests::policy::Policy;
use crate::host::{Host, HostError, Instance};
use crate::journal::Journal;
use crate::log;
use crate::outbox::{Outbox, Ticket};
use crate::plan::Limits;

/// How long the ids of ended operations are remembered.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);

/// One request on its way.
struct Job {
    entry: JournalEntry,
    request: Request,
    /// Present once it is journalled.
    ticket: Option<Ticket>,
    stage: Stage,
}

/// How far a job has come before it is taken from its queue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It has no plan yet.
    New,
    /// A crash left it open with a plan: it is settled, not planned again.
    Open,
    /// A crash left it done, with obsolete tags in the disks.
    Uncleaned,
}

/// How the agent is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The folder of the store.
    pub folder: AbsPath,
    /// Limits that plans obey.
    pub limits: Limits,
    /// What guests may ask.
    pub policy: Arc<Policy>,
    /// How many operations run side by side.
    pub operations_max: usize,
    /// How long steps that must succeed are tried.
    pub patience: Patience,
    /// This boot's id.
    pub boot_id: Uuid,
    /// When the agent started.
    pub started_at: Timestamp,
}

/// The agent. See the module's head.
pub struct Agent<H> {
    host: Arc<H>,
    journal: Journal,
    executor: Executor<H>,
    outbox: Arc<Outbox>,
    setup: Setup,
    places: Semaphore,
    work: Mutex<Work>,
    ignored: AtomicU64,
    started: Instant,
}

#[derive(Default)]
struct Work {
    /// A domain has an entry here as long as its worker lives.
    queues: HashMap<Uuid, VecDeque<Job>>,
    /// Requests between submit and their end.
    active: HashMap<OperationId, Active>,
    refusals: RefusalLimit,
    trouble: Option<String>,
}

/// Whether a request's id was used before.
enum Seen {
    /// It was not.
    New,
    /// With these bytes, and it is not journalled yet.
    OnItsWay,
    /// With these bytes, and it is journalled.
    Known,
    /// With other bytes.
    Other,
}

struct Active {
    request: String,
    ticket: Option<Ticket>,
    /// Cancelled before it had a ticket.
    cancelled: bool,
}

impl<H: Host> Agent<H> {
    /// An agent over this host and journal.
    pub fn new(host: Arc<H>, journal: Journal, outbox: Arc<Outbox>, setup: Setup) -> Arc<Self> {
        let executor = Executor::new(Arc::clone(&host), journal.clone(), setup.patience);
        let places = Semaphore::new(setup.operations_max);
        Arc::new(Self {
            host,
            journal,
            executor,
            outbox,
            setup,
            places,
            work: Mutex::default(),
            ignored: AtomicU64::new(0),
            started: Instant::now(),
        })
    }

    /// What guests may ask.
    pub fn policy(&self) -> &Policy {
        &self.setup.policy
    }

    /// The board.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Counts a request that was ignored.
    pub fn ignored(&self) {
        self.ignored.fetch_add(1, Ordering::Relaxed);
        self.outbox.agent_soon(self.status());
    }

    /// Says why nothing can be taken now, or that it can.
    fn trouble(&self, why: Option<String>) {
        let before = std::mem::replace(&mut self.work().trouble, why.clone());
        if before != why {
            self.outbox.agent_soon(self.status());
        }
    }

    /// The running domains, or none when they cannot be listed (each operation then says why).
    pub async fn running(&self) -> Vec<Instance> {
        match self.host.instances().await {
            Ok(all) => all,
            Err(e) => {
                log::line(&format!("running domains cannot be listed: {e}"));
                Vec::new()
            }
        }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to settle what an earlier agent left open, then shows what is known. To be called once, before the inbox. Returns what was open.
    pub async fn recover(self: &Arc<Self>) -> Result<Vec<OperationId>, HostError> {
        for id in self.host.release_leftovers().await? {
            log::line(&format!("operation {}: its guest was released at start", id.as_str()));
        }
        let open = self.journal.with(|s| s.open_journal()).await?;
        let ids = open.iter().map(|entry| entry.id.clone()).collect();
        for entry in self.journal.with(|s| s.uncleaned()).await? {
            self.enqueue_uncleaned(entry);
        }
        for entry in open {
            let Ok(request) = wire::from_str::<Request>(&entry.request) else {
                log::line(&format!("operation {}: its request cannot be read any more", entry.id.as_str()));
                continue;
            };
            log::line(&format!("operation {}: found open, {} steps done", entry.id.as_str(), entry.done));
            let ticket = self.outbox.show(&entry);
            let Some(domain) = entry.domain else {
                self.finish_simple(entry, &request.op, Some(ticket)).await;
                continue;
            };
            let stage = if entry.plan.is_some() { Stage::Open } else { Stage::New };
            self.enqueue(domain, Job { entry, request, ticket: Some(ticket), stage });
        }
        for entry in self.journal.with(|s| s.recent_journal(256)).await? {
            if entry.ended_at.is_some_and(|t| Timestamp::now().since(t) < Duration::from_secs(600)) {
                self.outbox.recalled(&entry);
            }
        }
        let known = self.journal.with(|s| s.domains()).await?;
        for domain in known {
            self.show_domain(domain.uuid).await;
        }
        Ok(ids)
    }

    /// Whether one of these operations has not ended.
    pub fn any_active(&self, ids: &[OperationId]) -> bool {
        let work = self.work();
        ids.iter().any(|id| work.active.contains_key(id))
    }

    /// Takes a request's bytes, as read from its key.
    pub async fn submit(self: &Arc<Self>, id: OperationId, bytes: Vec<u8>, running: &[Instance]) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match self.seen(&id, &text).await {
            Seen::New => {}
            // Its key stays until it is journalled: an agent that dies now finds it again.
            Seen::OnItsWay => return,
            Seen::Known => return self.outbox.consumed(&id),
            Seen::Other => {
                log::line(&format!("request {}: its id was used with other bytes; ignored", id.as_str()));
                self.ignored();
                return self.outbox.consumed(&id);
            }
        }
        match self.admit(&id, &bytes, running).await {
            Ok((request, domain)) => {
                let entry = self.entry(&id, text.clone(), &request, domain);
                self.work()
                    .active
                    .insert(id.clone(), Active { request: text, ticket: None, cancelled: false });
                match (domain, &request.op) {
                    (_, RequestOp::Cancel(_) | RequestOp::DomainAdopt(_) | RequestOp::DomainForget(_))
                    | (None, _) => {
                        self.simple(entry, &request.op).await;
                    }
                    (Some(uuid), _) => self.accept(uuid, entry, request).await,
                }
            }
            Err(e) => {
                self.refuse(&id, wire::from_slice::<Request>(&bytes).ok().map(|r| r.op.kind()), None, &e)
            }
        }
    }

    /// Whether this id was used before: with the same bytes its operation is shown again, with others the request is ignored.
    async fn seen(&self, id: &OperationId, text: &str) -> Seen {
        let active = self.work().active.get(id).map(|a| (a.request == text, a.ticket.is_some()));
        let same = match active {
            Some((true, false)) => return Seen::OnItsWay,
            Some((same, _)) => same,
            None => match self.journal.entry(id).await {
                Ok(Some(entry)) if entry.request == text => {
                    self.outbox.recalled(&entry);
                    true
                }
                Ok(Some(_)) => false,
                // A store that cannot be read refuses the request further on, in words.
                Ok(None) | Err(_) => return Seen::New,
            },
        };
        if same { Seen::Known } else { Seen::Other }
    }

    async fn admit(
        &self,
        id: &OperationId,
        bytes: &[u8],
        running: &[Instance],
    ) -> Result<(Request, Option<Uuid>), HostError> {
        let request = admit::parse(bytes)?;
        let Some(reference) = admit::about(&request.op) else { return Ok((request, None)) };
        let known = self.journal.with(|s| s.domains()).await?;
        let domain = admit::resolve(reference, running, &known)
            .inspect_err(|e| log::line(&format!("request {}: {e}", id.as_str())))?;
        Ok((request, Some(domain)))
    }

    fn entry(&self, id: &OperationId, text: String, request: &Request, domain: Option<Uuid>) -> JournalEntry {
        JournalEntry {
            contract: crate::CONTRACT,
            id: id.clone(),
            request: text,
            op: request.op.kind(),
            domain,
            guest_id: None,
            state: JournalState::Planned,
            done: 0,
            plan: None,
            facts: Default::default(),
            created_at: Timestamp::now(),
            ended_at: None,
            error: None,
            extra: Default::default(),
        }
    }

    fn refuse(
        &self,
        id: &OperationId,
        op: Option<xensnap::contract::OpKind>,
        domain: Option<Uuid>,
        error: &HostError,
    ) {
        let allowed = {
            let mut work = self.work();
            work.active.remove(id);
            work.refusals.allow(self.started.elapsed().as_secs())
        };
        if matches!(error.kind, ErrorKind::StoreUnavailable | ErrorKind::NoSpace) && op.is_some() {
            self.trouble(Some(error.message.clone()));
        }
        if allowed {
            self.outbox.refused(id, op, domain, error);
        } else {
            self.ignored();
        }
        self.outbox.consumed(id);
    }

    /// Puts a request into its domain's queue; journals it first when it has to wait there.
    async fn accept(self: &Arc<Self>, uuid: Uuid, entry: JournalEntry, request: Request) {
        let waits = self.work().queues.contains_key(&uuid);
        let mut ticket = None;
        if waits {
            if let Err(e) = self.journal.begin(&entry).await {
                self.refuse(&entry.id, Some(entry.op.clone()), Some(uuid), &e);
                return;
            }
            ticket = Some(self.journalled(&entry));
        }
        self.enqueue(uuid, Job { entry, request, ticket, stage: Stage::New });
    }

    /// Shows a journalled entry and lets its request's key go.
    fn journalled(&self, entry: &JournalEntry) -> Ticket {
        let ticket = self.outbox.show(entry);
        self.outbox.consumed(&entry.id);
        if let Some(active) = self.work().active.get_mut(&entry.id) {
            active.ticket = Some(ticket.clone());
            if active.cancelled {
                ticket.cancel();
            }
        }
        ticket
    }

    fn enqueue(self: &Arc<Self>, uuid: Uuid, job: Job) {
        let mut work = self.work();
        work.active.entry(job.entry.id.clone()).or_insert_with(|| Active {
            request: job.entry.request.clone(),
            ticket: job.ticket.clone(),
            cancelled: false,
        });
        if let Some(queue) = work.queues.get_mut(&uuid) {
            queue.push_back(job);
            return;
        }
        work.queues.insert(uuid, VecDeque::from([job]));
        drop(work);
        tokio::spawn(Arc::clone(self).worker(uuid));
    }

    /// Works a domain's queue off, one operation at a time, in order.
    async fn worker(self: Arc<Self>, uuid: Uuid) {
        loop {
            let job = {
                let mut work = self.work();
                match work.queues.get_mut(&uuid).and_then(VecDeque::pop_front) {
                    Some(job) => job,
                    None => {
                        work.queues.remove(&uuid);
                        break;
                    }
                }
            };
            let id = job.entry.id.clone();
            if let Ok(_place) = self.places.acquire().await {
                self.outbox.domain_operation(uuid, &id);
                self.carry_out(uuid, job).await;
            }
            self.work().active.remove(&id);
            self.host.let_go(uuid).await;
            self.show_domain(uuid).await;
        }
    }

    async fn carry_out(self: &Arc<Self>, uuid: Uuid, mut job: Job) {
        let id = job.entry.id.clone();
        if job.stage == Stage::Uncleaned {
            return self.executor.clean(&job.entry).await;
        }
        let settled = if job.stage == Stage::Open {
            let instance = match self.instance(uuid).await {
                Ok(i) => i,
                Err(e) => {
                    log::line(&format!("operation {}: {e}", id.as_str()));
                    None
                }
            };
            let ticket = job.ticket.take().unwrap_or_else(|| self.outbox.show(&job.entry));
            self.executor.recover(job.entry, instance, &ticket).await
        } else {
            match self.prepare(uuid, &mut job).await {
                Ok((ticket, instance)) if job.request.dry_run => {
                    drop((ticket, instance));
                    self.executor.end_with(job.entry, Ok(Change::Nothing)).await
                }
                Ok((ticket, instance)) => self.executor.run(job.entry, instance, &ticket).await,
                Err(e) if job.ticket.is_none() => {
                    return self.refuse(&id, Some(job.entry.op), Some(uuid), &e);
                }
                Err(e) => {
                    job.entry.plan = None;
                    self.executor.end_with(job.entry, Err(e)).await
                }
            }
        };
        match settled {
            Ok(ended) => {
                self.trouble(None);
                let warned = ended.entry.state == JournalState::Done
                    && ended.entry.plan.as_ref().is_some_and(|plan| !plan.warnings.is_empty());
                let result =
                    if job.request.dry_run || warned { self.write_plan(&ended.entry).await } else { None };
                self.outbox.ended(&ended, result);
                if !job.request.dry_run {
                    self.executor.clean(&ended.entry).await;
                }
            }
            Err(unsettled) => {
                log::line(&format!(
                    "operation {}: its end cannot be journalled: {}",
                    id.as_str(),
                    unsettled.error
                ));
                self.trouble(Some(unsettled.error.message.clone()));
                self.outbox.unsettled(&unsettled);
            }
        }
    }

    /// Shows what a domain has, as the store says now.
    async fn show_domain(&self, uuid: Uuid) {
        let seen = self.journal.with(move |s| Ok((s.domain(uuid)?, s.count_snapshots(uuid)?))).await;
        let Ok((domain, snapshots)) = seen else { return };
        let status = domain.map(|d| DomainStatus {
            contract: crate::CONTRACT,
            name: d.name,
            snapshots: u32::try_from(snapshots).unwrap_or(u32::MAX),
            current: d.current,
            operation: None,
            extra: Default::default(),
        });
        self.outbox.domain(uuid, status);
    }

    /// The agent's own line, for the heartbeat.
    pub fn status(&self) -> AgentStatus {
        let work = self.work();
        AgentStatus {
            contract: crate::CONTRACT,
            version: Line::lossy_max(env!("CARGO_PKG_VERSION"), AgentStatus::VERSION_MAX),
            pid: std::process::id(),
            boot_id: self.setup.boot_id,
            started_at: self.setup.started_at,
            heartbeat_at: Timestamp::now(),
            operations: u32::try_from(work.active.len()).unwrap_or(u32::MAX),
            ignored: self.ignored.load(Ordering::Relaxed),
            trouble: work.trouble.as_deref().map(Line::lossy),
            extra: Default::default(),
        }
    }
}
