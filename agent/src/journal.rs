//! The store on a thread of its own: SQLite blocks, the agent does not.
//!
//! ```text
//!   tasks --(closures)--> one thread, one connection --> database, synced
//! ```
//!
//! Owner of the store: the thread. Every call returns when its commit is on disk. [`xensnap_store::Committed`] passes through here from the store to the
//! outbox: nothing else can make one, so nothing can be called done before its commit.

use std::sync::mpsc;

use tokio::sync::oneshot;
use xensnap::contract::{Domain, ErrorKind, JournalEntry, OperationId, Outcome, Plan, Snapshot};
use xensnap_store::{Change, Committed, Store, StoreError};

use crate::host::HostError;

/// An operation that has ended, with the proof that its end is on disk.
#[derive(Debug)]
pub struct Ended {
    /// The entry as it was committed.
    pub entry: JournalEntry,
    /// The proof.
    pub proof: Committed,
}

/// The end could not be journalled: the operation's entry stays open, and the next start settles it.
#[derive(Debug)]
pub struct Unsettled {
    /// The entry as far as it came.
    pub entry: JournalEntry,
    /// Why.
    pub error: HostError,
}

type Job = Box<dyn FnOnce(&mut dyn Store) + Send>;

/// A handle of the store's thread; cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    jobs: mpsc::Sender<Job>,
}

impl Journal {
    /// Starts the thread. It ends, and closes the store, when the last handle is dropped.
    pub fn start(mut store: Box<dyn Store + Send>) -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        std::thread::Builder::new().name("store".into()).stack_size(512 << 10).spawn(move || {
            loop {
                // While nobody waits: what can wait, a small piece at a time.
                let job = match inbox.try_recv() {
                    Err(mpsc::TryRecvError::Empty) if store.settle() => continue,
                    Err(mpsc::TryRecvError::Empty) => inbox.recv().ok(),
                    other => other.ok(),
                };
                let Some(job) = job else { break };
                job(store.as_mut());
            }
        })?;
        Ok(Self { jobs })
    }

    /// Runs one call on the store's thread.
    pub async fn with<R: Send + 'static>(
        &self,
        call: impl FnOnce(&mut dyn Store) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, HostError> {
        let (answer, reply) = oneshot::channel();
        let job: Job = Box::new(move |store| {
            // The asker may be gone; the commit stands all the same.
            let _ = answer.send(call(store));
        });
        if self.jobs.send(job).is_err() {
            return Err(HostError::new(ErrorKind::Internal, "the store's thread has ended"));
        }
        match reply.await {
            Ok(Ok(r)) => Ok(r),
            Ok(Err(e)) => Err(failure(&e)),
            Err(_) => Err(HostError::new(ErrorKind::Internal, "the store's thread has ended")),
        }
    }

    /// Journals an intent.
    pub async fn begin(&self, entry: &JournalEntry) -> Result<(), HostError> {
        let entry = entry.clone();
        self.with(move |s| s.begin(&entry)).await
    }

    /// Journals the plan of an operation that had to wait.
    pub async fn set_plan(&self, entry: &JournalEntry, plan: &Plan) -> Result<(), HostError> {
        let (id, plan) = (entry.id.clone(), plan.clone());
        self.with(move |s| s.set_plan(&id, &plan)).await
    }

    /// Journals where an operation stands.
    pub async fn advance(&self, entry: &JournalEntry) -> Result<(), HostError> {
        let entry = entry.clone();
        self.with(move |s| s.advance(&entry.id, entry.state.clone(), entry.done, &entry.facts)).await
    }

    /// Commits a part of what an operation makes; the operation goes on.
    pub async fn apply(&self, entry: &JournalEntry, outcome: &Outcome) -> Result<(), HostError> {
        let (entry, outcome) = (entry.clone(), outcome.clone());
        self.with(move |s| s.apply(&entry, &outcome)).await
    }

    /// Commits an operation's end with what it made.
    pub async fn finish(
        &self,
        entry: &JournalEntry,
        outcome: Option<&Outcome>,
    ) -> Result<Committed, HostError> {
        let (entry, outcome) = (entry.clone(), outcome.cloned());
        self.with(move |s| s.finish(&entry, outcome.as_ref())).await
    }

    /// Commits the end of an operation that joins or forgets domains, in one transaction with that.
    pub async fn finish_with(
        &self,
        entry: &JournalEntry,
        change: Change<'static>,
    ) -> Result<Committed, HostError> {
        let entry = entry.clone();
        self.with(move |s| s.finish_with(&entry, change)).await
    }

    /// Journals that the tags which an operation made obsolete are gone.
    pub async fn cleaned(&self, id: &OperationId) -> Result<(), HostError> {
        let id = id.clone();
        self.with(move |s| s.cleaned(&id)).await
    }

    /// What the store knows of a domain: itself and its snapshots.
    pub async fn domain(&self, uuid: uuid::Uuid) -> Result<(Option<Domain>, Vec<Snapshot>), HostError> {
        self.with(move |s| Ok((s.domain(uuid)?, s.snapshots(uuid)?))).await
    }

    /// The entry of an id that was used in the last days.
    pub async fn entry(&self, id: &OperationId) -> Result<Option<JournalEntry>, HostError> {
        let id = id.clone();
        self.with(move |s| s.journal(&id)).await
    }
}

/// A store's error as an operation shows it.
fn failure(e: &StoreError) -> HostError {
    let kind = match e {
        StoreError::NameExists { .. } | StoreError::SnapshotExists { .. } => ErrorKind::NameExists,
        StoreError::NoSnapshot { .. } => ErrorKind::NoSnapshot,
        StoreError::NoDomain { .. } => ErrorKind::NoDomain,
        StoreError::NoOperation { .. } | StoreError::Ended { .. } => ErrorKind::NoOperation,
        StoreError::DomainInUse { .. } => ErrorKind::DomainState,
        StoreError::Duplicate(_) => ErrorKind::BadRequest,
        StoreError::Inconsistent { .. } => ErrorKind::Internal,
        _ if e.is_no_space() => ErrorKind::NoSpace,
        _ => ErrorKind::StoreUnavailable,
    };
    let mut text = e.to_string();
    let mut source = std::error::Error::source(e);
    while let Some(s) = source {
        text.push_str(": ");
        text.push_str(&s.to_string());
        source = s.source();
    }
    let failure = HostError::new(kind, text);
    match failure.kind {
        ErrorKind::StoreUnavailable => {
            failure.hint("xensnap store check tells what is wrong; nothing that was committed is lost")
        }
        ErrorKind::NoSpace => failure.hint("make room on the store's file system, then ask again"),
        _ => failure,
    }
}
