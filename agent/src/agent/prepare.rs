//! Looking and planning: what stands between a queued request and its first step.
//!
//! ```text
//!   running instance, store --> facts --> plan --> journalled intent
//! ```

use uuid::Uuid;
use xensnap::contract::{Domain, ErrorKind, JournalEntry, JournalState, Line, RequestOp, Snapshot};
use xensnap::wire::{self, AbsPath, Timestamp};

use super::{Agent, Job};
use crate::host::{DiskFacts, DomainFacts, Host, HostError, Instance};
use crate::log;
use crate::outbox::Ticket;
use crate::plan::{self, Known};

impl<H: Host> Agent<H> {
    /// Looks, plans, and journals the intent.
    pub(super) async fn prepare(
        &self,
        uuid: Uuid,
        job: &mut Job,
    ) -> Result<(Ticket, Option<Instance>), HostError> {
        if job.ticket.as_ref().is_some_and(Ticket::cancelled) {
            return Err(HostError::new(ErrorKind::Cancelled, "cancelled before it began"));
        }
        let instance = self.instance(uuid).await?;
        let (stored, snapshots) = self.journal.domain(uuid).await?;
        let name = instance.as_ref().map(|i| i.name.as_str()).or(stored.as_ref().map(|d| d.name.as_str()));
        self.permit_guest(job, uuid, name.unwrap_or_default(), &snapshots)?;
        let ask = plan::depends_on(&job.request.op);
        let facts = self.host.facts(instance.as_ref(), stored.as_ref(), ask).await?;
        let adoptable = if stored.is_none() { self.adoptable(&facts).await } else { None };
        let stored = self.keep_domain(&facts, stored).await?;
        let recorded = self.recorded(&job.request.op, &facts, &snapshots).await;
        let files = self.host.sums(&plan::boot_files(&job.request.op, &facts, &snapshots)).await;
        let known = Known {
            files: &files,
            operation: &job.entry.id,
            op: &job.request.op,
            facts: &facts,
            stored: Some(&stored),
            snapshots: &snapshots,
            recorded: &recorded,
            now: Timestamp::now(),
            nonce: Uuid::new_v4(),
            folder: &self.setup.folder,
            limits: &self.setup.limits,
        };
        let mut plan = plan::plan(&known)?;
        if let Some(warning) = adoptable {
            log::line(&format!("operation {}: {}", job.entry.id.as_str(), warning.as_str()));
            plan.warnings.push(warning);
        }
        job.entry.plan = Some(plan);
        job.entry.state = JournalState::Forward;
        job.entry.facts.run =
            facts.instance.as_ref().map(|i| Line::lossy_max(&i.run, xensnap::contract::Facts::RUN_MAX));
        job.entry.facts.domid = facts.instance.as_ref().map(|i| i.domid);
        if job.ticket.is_some() {
            if let Some(plan) = &job.entry.plan {
                self.journal.set_plan(&job.entry, plan).await?;
            }
            self.journal.advance(&job.entry).await?;
        } else {
            self.journal.begin(&job.entry).await?;
        }
        let ticket = match &job.ticket {
            Some(t) => t.clone(),
            None => self.journalled(&job.entry),
        };
        job.ticket = Some(ticket.clone());
        Ok((ticket, facts.instance))
    }

    pub(super) async fn instance(&self, uuid: Uuid) -> Result<Option<Instance>, HostError> {
        let mut all: Vec<Instance> =
            self.host.instances().await?.into_iter().filter(|i| i.uuid == uuid).collect();
        match (all.pop(), all.pop()) {
            (Some(a), Some(b)) => Err(HostError::new(
                ErrorKind::DomainState,
                format!("domains {} and {} have one and the same UUID {uuid}", a.domid, b.domid),
            )
            .hint("end one of them: they may share disks")),
            (one, _) => Ok(one),
        }
    }

    /// A domain that is new by its UUID but has a known one's name and an image of it: xl makes a new UUID at each create of a config without one.
    async fn adoptable(&self, facts: &DomainFacts) -> Option<Line> {
        let known = self.journal.with(|s| s.domains()).await.ok()?;
        let same = |d: &&Domain| {
            d.name.as_str() == facts.name
                && d.disks.iter().any(|a| facts.disks.iter().any(|b| a.path == b.disk.path))
        };
        let old = known.iter().find(same)?.uuid;
        Some(Line::lossy(&format!(
            "a domain {} with the same disks is known as {old}: put uuid={old} into its config, or xensnap domain adopt {old} {}",
            facts.name, facts.uuid
        )))
    }

    /// Keeps the domain's entry as fresh as what was just seen.
    async fn keep_domain(&self, facts: &DomainFacts, stored: Option<Domain>) -> Result<Domain, HostError> {
        let seen = Domain {
            contract: crate::CONTRACT,
            uuid: facts.uuid,
            name: Line::lossy_max(&facts.name, Domain::NAME_MAX),
            driver: facts.driver.clone(),
            config: facts.config.clone(),
            disks: facts.disks.iter().map(|d| d.disk.clone()).collect(),
            last_seen: Timestamp::now(),
            current: stored.as_ref().and_then(|d| d.current.clone()),
            diverged: stored.as_ref().is_some_and(|d| d.diverged),
            extra: stored.as_ref().map(|d| d.extra.clone()).unwrap_or_default(),
        };
        let unchanged =
            stored.as_ref().is_some_and(|d| Domain { last_seen: d.last_seen, ..seen.clone() } == *d);
        if unchanged || facts.instance.is_none() && stored.is_some() {
            return Ok(stored.unwrap_or(seen));
        }
        let put = seen.clone();
        self.journal.with(move |s| s.put_domain(&put)).await?;
        Ok(seen)
    }

    /// For a revert: the images at the recorded paths.
    async fn recorded(&self, op: &RequestOp, facts: &DomainFacts, snapshots: &[Snapshot]) -> Vec<DiskFacts> {
        let reference = match op {
            RequestOp::VmSnapshotRevert(r) => r.snapshot.as_str(),
            RequestOp::DiskSnapshotRevert(r) => r.snapshot.as_str(),
            _ => return Vec::new(),
        };
        let mut looked = Vec::new();
        for content in snapshots
            .iter()
            .filter(|s| s.name.as_str() == reference || s.id.as_str() == reference)
            .flat_map(|s| &s.disks)
        {
            if facts.disks.iter().any(|d| d.disk.path == content.path) {
                continue;
            }
            let disk = xensnap::contract::Disk {
                vdev: content.vdev.clone(),
                path: content.path.clone(),
                format: content.format.clone(),
                read_only: false,
                cdrom: false,
                extra: Default::default(),
            };
            looked.push(self.host.look(&disk).await);
        }
        looked
    }

    /// A plan in a file of its own: it may be too large for xenstore.
    pub(super) async fn write_plan(&self, entry: &JournalEntry) -> Option<xensnap::contract::ResultFile> {
        let plan = entry.plan.as_ref()?;
        let text = wire::to_string(plan).ok()?;
        let path = AbsPath::new(format!("{}/result/{}.json", self.setup.folder, entry.id.as_str())).ok()?;
        match self.host.write_result(&path, text.as_bytes()).await {
            Ok(file) => Some(file),
            Err(e) => {
                log::line(&format!("operation {}: its plan cannot be written: {e}", entry.id.as_str()));
                None
            }
        }
    }
}
