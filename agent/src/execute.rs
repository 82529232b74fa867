//! Doing the steps of a plan, taking them back, and finding the way after a crash: one reading of the same list.
//!
//! ```text
//!   entry(planned) --> forward --(no_return step)--> no_return --> done
//!                        |   \                          |
//!                 error, cancel, crash                  error, again and again --> failed, naming the undo tags
//!                        v
//!                       back --> failed | cancelled
//! ```
//!
//! - A step is repeated or undone by looking at the world, not by trusting what was answered; the journal says how far the operation certainly was.
//! - The guest is released before anything else is undone.
//! - After a crash: an entry in `forward` goes on only when the journal holds that the disks have answered (its `done` is past `disks_create` and the guest's
//!   release) and they still hold what they made; otherwise back. An entry in `no_return` goes forward.
//! - What a commit in the middle of a plan has made stays.
//!
//! Owner of an entry: the task that carries its operation out.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use xensnap::contract::{
    self, DiskTags, ErrorKind, JournalEntry, JournalState, Line, Outcome, PauseMethod, Plan, SnapshotPart,
    Step, StepAct, StepKind,
};
use xensnap::wire::Timestamp;
use xensnap_store::Change;

use crate::fault;
use crate::host::{Host, HostError, Instance};
use crate::journal::{Ended, Journal, Unsettled};
use crate::outbox::Ticket;

/// Carries out plans.
#[derive(Debug)]
pub struct Executor<H> {
    host: Arc<H>,
    journal: Journal,
    patience: Patience,
}

/// How long a step that must succeed is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The first wait; doubled each time up to 30 s.
    pub first: Duration,
    /// How many times, for errors other than a QEMU that does not answer.
    pub tries: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { first: Duration::from_millis(250), tries: 7 }
    }
}

type Settled = Result<Ended, Box<Unsettled>>;

impl<H: Host> Executor<H> {
    /// An executor over this host and journal.
    pub fn new(host: Arc<H>, journal: Journal, patience: Patience) -> Self {
        Self { host, journal, patience }
    }

    /// Carries out a journalled plan from where the entry stands, to its end.
    pub async fn run(
        &self,
        mut entry: JournalEntry,
        mut instance: Option<Instance>,
        ticket: &Ticket,
    ) -> Settled {
        let Some(plan) = entry.plan.clone() else {
            let error = HostError::new(ErrorKind::Internal, "an entry without a plan was to be carried out");
            return self.failed(entry, error).await;
        };
        loop {
            let at = entry.done as usize;
            let Some(step) = plan.steps.get(at) else {
                let error = HostError::new(ErrorKind::Internal, "a plan without a last commit");
                return self.back(entry, &plan, at, error, instance, ticket).await;
            };
            let bound = entry.state == JournalState::NoReturn;
            if !bound && ticket.cancelled() {
                return self.back(entry, &plan, at, cancelled(), instance, ticket).await;
            }
            if step.no_return && !bound {
                entry.state = JournalState::NoReturn;
                if let Err(e) = self.journal.advance(&entry).await {
                    entry.state = JournalState::Forward;
                    return self.back(entry, &plan, at, e, instance, ticket).await;
                }
            }
            ticket.step(at, plan.steps.len(), step.act.kind());
            let result = if let Err(e) = fault::step(&step.act.kind(), "before").await {
                Err(e)
            } else if let StepAct::Commit(outcome) = &step.act {
                let outcome = filled(outcome, &entry);
                if at + 1 == plan.steps.len() {
                    return self.commit(entry, &plan, outcome, instance, ticket).await;
                }
                entry.done += 1;
                let r = self.journal.apply(&entry, &outcome).await;
                if r.is_err() {
                    entry.done -= 1;
                }
                r
            } else {
                self.act(&mut entry, &mut instance, step, ticket).await
            };
            let result = match result {
                Ok(()) => fault::step(&step.act.kind(), "after").await,
                failed => failed,
            };
            match result {
                Ok(()) => {}
                // A domain that would not end has lost nothing yet: back is still open.
                Err(e) if step.act.kind() == StepKind::EndDomain && instance.is_some() => {
                    return self.back(entry, &plan, at, e, instance, ticket).await;
                }
                Err(e) if entry.state == JournalState::NoReturn => return self.stuck(entry, &plan, e).await,
                Err(e) => return self.back(entry, &plan, at, e, instance, ticket).await,
            }
        }
    }

    /// The last step: the outcome and the end in one commit. Before the point of no return a failed commit is undone like any step.
    async fn commit(
        &self,
        mut entry: JournalEntry,
        plan: &Plan,
        outcome: Outcome,
        instance: Option<Instance>,
        ticket: &Ticket,
    ) -> Settled {
        let at = entry.done as usize;
        let before = entry.clone();
        entry.done += 1;
        entry.state = JournalState::Done;
        entry.ended_at = Some(Timestamp::now());
        match self.journal.finish(&entry, Some(&outcome)).await {
            Ok(proof) => Ok(Ended { entry, proof }),
            Err(error) if before.state == JournalState::NoReturn => {
                Err(Box::new(Unsettled { entry: before, error }))
            }
            Err(error) => self.back(before, plan, at, error, instance, ticket).await,
        }
    }

    /// One step, done (again where it must succeed) and journalled where a recovery needs to know.
    async fn act(
        &self,
        entry: &mut JournalEntry,
        instance: &mut Option<Instance>,
        step: &Step,
        ticket: &Ticket,
    ) -> Result<(), HostError> {
        let bound = entry.state == JournalState::NoReturn;
        let mut wait = self.patience.first;
        let mut tries = 0;
        loop {
            match self.act_once(entry, instance, step, ticket).await {
                Ok(()) => break,
                Err(e) => {
                    tries += 1;
                    if !bound || tries > self.patience.tries || e.kind == ErrorKind::Changed {
                        return Err(e);
                    }
                    ticket.trouble(&e);
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(30));
                }
            }
        }
        entry.done += 1;
        if journalled_after(&step.act, entry)
            && let Err(e) = self.journal.advance(entry).await
        {
            if !bound {
                entry.done -= 1;
                return Err(e);
            }
            // The domain is ended: it is brought back first. The journal is behind then, and a recovery repeats what was done.
            ticket.trouble(&e);
        }
        Ok(())
    }

    async fn act_once(
        &self,
        entry: &mut JournalEntry,
        instance: &mut Option<Instance>,
        step: &Step,
        ticket: &Ticket,
    ) -> Result<(), HostError> {
        let host = &self.host;
        let domain = entry.domain.unwrap_or_default();
        match &step.act {
            StepAct::Verify(checks) => {
                host.disks_verify(domain, &checks.disks).await?;
                if let Some(memory) = &checks.memory {
                    host.memory_verify(memory).await?;
                }
            }
            StepAct::CreateMemoryFile(out) => host.create_memory_file(out).await?,
            StepAct::Pause(p) => {
                host.pause(&entry.id, needed(instance)?, p).await?;
                if p.method != PauseMethod::XenSuspend {
                    entry.facts.instant = Some(Timestamp::now());
                }
            }
            StepAct::DisksCreate(t) => {
                host.disks_create(instance.as_ref(), &t.disks).await?;
                entry.facts.instant.get_or_insert_with(Timestamp::now);
            }
            StepAct::MemoryBegin(out) => host.memory_begin(needed(instance)?, out, &shown(ticket)).await?,
            StepAct::Release(_) => {
                if let Some(paused) = host.release(&entry.id, needed(instance)?).await? {
                    entry.facts.pause = Some(paused);
                }
            }
            StepAct::MemoryComplete(out) => {
                let size = host.memory_complete(needed(instance)?, out, &shown(ticket)).await?;
                entry.facts.memory_size = Some(size);
            }
            StepAct::Sync(files) => host.sync(&files.paths).await?,
            StepAct::DisksDelete(t) => host.disks_delete(domain, &t.disks).await?,
            StepAct::RemoveFile(f) => host.remove_file(&f.path).await?,
            StepAct::CopyFiles(copies) => host.copy_files(&copies.files).await?,
            StepAct::EndDomain(_) => {
                host.end_domain(domain).await?;
                if let Some(ended) = instance.take() {
                    // Our pause ended with the run; the guard is to know.
                    host.release(&entry.id, &ended).await?;
                }
            }
            StepAct::DisksApply(t) => host.disks_apply(domain, &t.disks).await?,
            StepAct::StartDomain(start) => {
                let started = host.start_domain(domain, start).await?;
                entry.facts.domid = Some(started.domid);
                entry.facts.run = Some(Line::lossy_max(&started.run, contract::Facts::RUN_MAX));
                *instance = Some(started);
            }
            StepAct::Commit(_) => {
                return Err(HostError::new(ErrorKind::Internal, "a commit is no step of the host"));
            }
            StepAct::Unknown { arm, .. } => {
                return Err(HostError::new(
                    ErrorKind::StoreUnavailable,
                    format!("the journal holds a step {arm} of a newer agent"),
                )
                .hint("start the newer agent again"));
            }
        }
        Ok(())
    }

    /// Takes back what was done up to and including step `from`, then ends the operation with `error`.
    async fn back(
        &self,
        mut entry: JournalEntry,
        plan: &Plan,
        from: usize,
        error: HostError,
        instance: Option<Instance>,
        ticket: &Ticket,
    ) -> Settled {
        ticket.undoing(&error);
        let trouble = |e: &HostError| ticket.trouble(e);
        let begun: Vec<&Step> = plan.steps.iter().take(from + 1).collect();
        // The guest first: whatever else fails, it must not wait.
        if let (Some(i), true) = (&instance, begun.iter().any(|s| matches!(s.act, StepAct::Pause(_)))) {
            if matches!(
                begun.last().map(|s| &s.act),
                Some(StepAct::MemoryComplete(_) | StepAct::MemoryBegin(_))
            ) {
                // QEMU refuses to go on while it finishes a migration.
                let _ = self.host.memory_cancel(i).await;
            }
            let released = self.again(trouble, self.patience.tries, || self.host.release(&entry.id, i)).await;
            if let (Ok(Some(paused)), true) = (&released, entry.facts.pause.is_none()) {
                entry.facts.pause = Some(*paused);
            }
        }
        entry.state = JournalState::Back;
        entry.facts.error = Some(error.clone().into());
        // A store that cannot be written is no reason to leave tags behind: the steps are undone all the same, and the entry is settled at the next start,
        // which undoes again what could not be undone at once.
        let journalled = self.journal.advance(&entry).await;
        let _ = fault::point("back.journalled").await;
        let tries = if journalled.is_ok() { self.patience.tries } else { 0 };
        let mut left = Vec::new();
        for (i, step) in begun.iter().enumerate().rev() {
            if matches!(step.act, StepAct::Commit(_)) && i < entry.done as usize {
                break;
            }
            if let Err(e) =
                self.again(trouble, tries, || self.undo(&entry, &step.act, instance.as_ref())).await
            {
                left.push(e.message);
            }
        }
        if let Err(error) = journalled {
            return Err(Box::new(Unsettled { entry, error }));
        }
        let error = if left.is_empty() { error } else { with_left(error, &left) };
        self.failed(entry, error).await
    }

    async fn undo(
        &self,
        entry: &JournalEntry,
        act: &StepAct,
        instance: Option<&Instance>,
    ) -> Result<(), HostError> {
        let domain = entry.domain.unwrap_or_default();
        match act {
            StepAct::CreateMemoryFile(out) => self.host.remove_file(&out.path).await,
            StepAct::DisksCreate(t) => self.host.disks_delete(domain, &t.disks).await,
            StepAct::CopyFiles(copies) => {
                for copy in &copies.files {
                    self.host.remove_file(&copy.to).await?;
                }
                Ok(())
            }
            StepAct::MemoryBegin(_) | StepAct::MemoryComplete(_) => match instance {
                Some(i) => self.host.memory_cancel(i).await,
                None => Ok(()),
            },
            // The guest was released first of all; the others change nothing, or are never undone.
            StepAct::Pause(_)
            | StepAct::Release(_)
            | StepAct::Verify(_)
            | StepAct::Sync(_)
            | StepAct::DisksDelete(_)
            | StepAct::RemoveFile(_)
            | StepAct::EndDomain(_)
            | StepAct::DisksApply(_)
            | StepAct::StartDomain(_)
            | StepAct::Commit(_)
            | StepAct::Unknown { .. } => Ok(()),
        }
    }

    /// Tries again: as long as it takes while QEMU does not answer (it answers or it dies), else a bounded number of times.
    async fn again<T, F>(
        &self,
        say: impl Fn(&HostError),
        most: u32,
        mut verb: impl FnMut() -> F,
    ) -> Result<T, HostError>
    where
        F: Future<Output = Result<T, HostError>>,
    {
        let mut wait = self.patience.first;
        let mut tries = 0;
        loop {
            let error = match verb().await {
                Ok(t) => return Ok(t),
                Err(e) => e,
            };
            match error.kind {
                ErrorKind::DomainGone => return Err(error),
                ErrorKind::QmpUnavailable => {}
                _ => tries += 1,
            }
            if tries > most || error.kind == ErrorKind::Changed {
                return Err(error);
            }
            say(&error);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(30));
        }
    }

    /// Past the point of no return and not able to go on.
    async fn stuck(&self, entry: JournalEntry, plan: &Plan, error: HostError) -> Settled {
        let undo: Vec<String> = plan
            .steps
            .iter()
            .filter_map(|s| match &s.act {
                StepAct::DisksCreate(t) => Some(t),
                _ => None,
            })
            .flat_map(|t| t.disks.iter().map(|d| format!("{} in {}", d.tag, d.path)))
            .collect();
        let hint = match (undo.is_empty(), &error.hint) {
            (false, _) => format!("the state before is kept: {}", undo.join(", ")),
            (true, Some(h)) => format!("{h}; then ask again: what was begun goes on"),
            (true, None) => "mend the cause, then ask again: what was begun goes on".to_owned(),
        };
        let error = HostError { hint: Some(hint), ..error };
        self.failed(entry, error).await
    }

    /// Deletes the tags that an operation's outcome has made obsolete. What cannot be done now is done when the agent starts again.
    pub async fn clean(&self, entry: &JournalEntry) {
        let Some(tags) = obsolete(entry) else { return };
        let id = entry.id.as_str();
        let say =
            |e: &HostError| crate::log::line(&format!("operation {id}: its undo tags are still there: {e}"));
        let domain = entry.domain.unwrap_or_default();
        let kind = StepKind::DisksDelete;
        let cleaned = async {
            fault::step(&kind, "before").await?;
            let delete = async || match self.host.disks_delete(domain, &tags.disks).await {
                // The run that had the images is gone: they are another's now, or nobody's.
                Err(e) if e.kind == ErrorKind::DomainGone => {
                    Err(HostError { kind: ErrorKind::DomainState, ..e })
                }
                other => other,
            };
            self.again(say, self.patience.tries, delete).await?;
            fault::step(&kind, "after").await?;
            self.journal.cleaned(&entry.id).await
        };
        if let Err(e) = cleaned.await {
            say(&e);
        }
    }

    /// Ends an operation without steps: with a change of the store, or with an error.
    pub async fn end_with(&self, entry: JournalEntry, change: Result<Change<'static>, HostError>) -> Settled {
        match change {
            Ok(change) => {
                let mut ended = entry.clone();
                ended.state = JournalState::Done;
                ended.ended_at = Some(Timestamp::now());
                match self.journal.finish_with(&ended, change).await {
                    Ok(proof) => Ok(Ended { entry: ended, proof }),
                    Err(error) => self.failed(entry, error).await,
                }
            }
            Err(error) => self.failed(entry, error).await,
        }
    }

    /// Whether what the disks have answered is still there: an agent whose store took no writes any more may have taken it back without a word in the journal.
    async fn kept(&self, entry: &JournalEntry, plan: &Plan) -> bool {
        for step in &plan.steps {
            if let StepAct::DisksCreate(made) = &step.act
                && let Err(e) = self.host.disks_verify(entry.domain.unwrap_or_default(), &made.disks).await
            {
                crate::log::line(&format!("operation {}: it is taken back: {e}", entry.id.as_str()));
                return false;
            }
        }
        true
    }

    /// Commits that an operation has failed or was cancelled.
    async fn failed(&self, entry: JournalEntry, error: HostError) -> Settled {
        let mut ended = entry.clone();
        ended.state = match error.kind {
            ErrorKind::Cancelled => JournalState::Cancelled,
            _ => JournalState::Failed,
        };
        ended.error = Some(error.into());
        ended.ended_at = Some(Timestamp::now());
        match self.journal.finish(&ended, None).await {
            Ok(proof) => Ok(Ended { entry: ended, proof }),
            Err(error) => Err(Box::new(Unsettled { entry, error })),
        }
    }

    /// Settles an entry that a crash left open. `instance` is the domain's run now.
    pub async fn recover(
        &self,
        mut entry: JournalEntry,
        instance: Option<Instance>,
        ticket: &Ticket,
    ) -> Settled {
        let Some(plan) = entry.plan.clone() else {
            return self.failed(entry, interrupted()).await;
        };
        // A run that began after the plan was made is another: our pause, our migration are not in it.
        let same = |i: &Instance| entry.facts.run.as_ref().is_none_or(|r| r.as_str() == i.run);
        let begun = (entry.done as usize).min(plan.steps.len().saturating_sub(1));
        match entry.state {
            JournalState::NoReturn => {
                if let Some(later) = instance.as_ref().filter(|i| !same(i)) {
                    // This run began after the old one was ended: it is the one that we started, or somebody else's. Either way it is not ended again.
                    let start = plan.steps.iter().position(|s| s.act.kind() == StepKind::StartDomain);
                    let Some(start) = start else {
                        let error = started_meanwhile(later);
                        return self.stuck(entry, &plan, error).await;
                    };
                    entry.done = entry.done.max(u32::try_from(start).unwrap_or(u32::MAX));
                }
                self.run(entry, instance, ticket).await
            }
            JournalState::Forward
                if answered(&plan, entry.done as usize) && self.kept(&entry, &plan).await =>
            {
                let instance = instance.filter(same);
                self.run(entry, instance, ticket).await
            }
            JournalState::Back => {
                let error = entry.facts.error.take().map_or_else(interrupted, from_contract);
                let instance = instance.filter(same);
                self.back(entry, &plan, plan.steps.len().saturating_sub(1), error, instance, ticket).await
            }
            _ => {
                // The journal may be behind: every step up to the first that would have been journalled may have begun.
                let from = last_unjournalled(&plan, begun);
                let instance = instance.filter(same);
                self.back(entry, &plan, from, interrupted(), instance, ticket).await
            }
        }
    }
}

/// Shows how far a long step is; breaks it off when the operation is cancelled.
fn shown(ticket: &Ticket) -> impl Fn(u64, u64) -> ControlFlow<()> + Send + Sync {
    |done, total| {
        ticket.progress(done, total);
        if ticket.cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Whether the journal holds that the disks have answered and the guest was released (or never paused by us).
fn answered(plan: &Plan, done: usize) -> bool {
    let past = |kind: StepKind| plan.steps.iter().position(|s| s.act.kind() == kind).is_none_or(|i| i < done);
    let creates = plan.steps.iter().any(|s| s.act.kind() == StepKind::DisksCreate);
    let memory =
        plan.steps.iter().position(|s| s.act.kind() == StepKind::MemoryBegin).is_none_or(|i| i < done);
    let reverts = plan.steps.iter().any(|s| s.no_return);
    creates && !reverts && memory && past(StepKind::DisksCreate) && past(StepKind::Release)
}

/// The last step that may have begun although the journal stands at `done`.
fn last_unjournalled(plan: &Plan, done: usize) -> usize {
    let last = plan.steps.len().saturating_sub(1);
    plan.steps
        .iter()
        .enumerate()
        .skip(done)
        .find(|(_, s)| s.no_return || matches!(s.act, StepAct::Commit(_)))
        .map_or(last, |(i, _)| i.saturating_sub(usize::from(i > done)))
}

/// Which steps are worth a commit of their own: those that a recovery must not repeat or undo blindly, and none while the guest waits.
fn journalled_after(act: &StepAct, entry: &JournalEntry) -> bool {
    match act {
        StepAct::Release(_) => {
            entry.plan.as_ref().is_some_and(|p| p.steps.iter().any(|s| s.act.kind() == StepKind::MemoryBegin))
        }
        StepAct::MemoryComplete(_) => entry.facts.pause.is_some(),
        StepAct::EndDomain(_) | StepAct::DisksApply(_) | StepAct::StartDomain(_) => true,
        _ => false,
    }
}

/// What a done operation's disks hold to no purpose.
fn obsolete(entry: &JournalEntry) -> Option<&DiskTags> {
    match &entry.plan.as_ref()?.steps.last()?.act {
        StepAct::Commit(outcome) if entry.state == JournalState::Done => outcome.obsolete.as_ref(),
        _ => None,
    }
}

/// The outcome with what the steps found out.
fn filled(outcome: &Outcome, entry: &JournalEntry) -> Outcome {
    let mut outcome = outcome.clone();
    for s in &mut outcome.add {
        if let Some(instant) = entry.facts.instant {
            s.taken_at = instant;
        }
        s.pause = entry.facts.pause.unwrap_or_default();
        if let SnapshotPart::Vm(part) = &mut s.part
            && let (Some(m), Some(size)) = (&mut part.memory, entry.facts.memory_size)
        {
            m.size = size;
        }
    }
    outcome
}

fn needed(instance: &Option<Instance>) -> Result<&Instance, HostError> {
    instance.as_ref().ok_or_else(|| {
        HostError::new(ErrorKind::DomainGone, "the domain does not run any more")
            .hint("start it and ask again")
    })
}

fn started_meanwhile(later: &Instance) -> HostError {
    HostError::new(
        ErrorKind::DomainState,
        format!(
            "domain {} was started by somebody else (domid {}) before its disks were put back",
            later.name, later.domid
        ),
    )
}

fn cancelled() -> HostError {
    HostError::new(ErrorKind::Cancelled, "cancelled; everything is as it was before")
}

fn interrupted() -> HostError {
    HostError::new(
        ErrorKind::Interrupted,
        "the agent or the host died in the middle; what was begun has been taken back",
    )
    .hint("ask again with a new id")
}

fn with_left(error: HostError, left: &[String]) -> HostError {
    HostError { hint: Some(format!("could not be taken back: {}", left.join("; "))), ..error }
}

fn from_contract(e: contract::Error) -> HostError {
    HostError { kind: e.kind, message: e.message.to_string(), hint: e.hint.map(|h| h.to_string()) }
}
