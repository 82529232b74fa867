//! An agent that carries out nothing, and shows what a real one would: by the name of the request's domain.
//!
//! | domain | its operation |
//! |---|---|
//! | `quick` | queued, running in three steps, done |
//! | `slow` | the same, running until it is told to end or cancelled |
//! | `fails` | running, failed |
//! | `refused` | refused |
//!
//! Like the real one it takes an id with the same bytes once, shows the operation before it removes the request, and shows
//! everything again when xenstored has lost it. What it took is its "disk" and survives [`FakeAgent::die`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use xensnap::contract::{
    AgentStatus, Error, ErrorKind, Line, Operation, OperationId, OperationState, Request, RequestOp,
};
use xensnap::paths::{self, Node};
use xensnap::wire::{self, Timestamp};
use xensnap::xenstore::{Connection, Permission, WatchEvent};

use crate::rig::xenstored::Bed;

const BEAT: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(crate) struct Disk {
    taken: Mutex<BTreeMap<OperationId, Taken>>,
    /// Held while an operation is shown: the newest state is the last one written.
    showing: tokio::sync::Mutex<()>,
    pub(crate) let_go: Notify,
}

#[derive(Clone, Debug)]
pub(crate) struct Taken {
    bytes: Vec<u8>,
    /// How often it was begun.
    pub(crate) begun: u32,
    operation: Operation,
}

pub(crate) struct FakeAgent {
    pub(crate) disk: Arc<Disk>,
    tasks: Vec<JoinHandle<()>>,
}

impl FakeAgent {
    pub(crate) async fn start(bed: &Bed) -> Self {
        Self::start_on(bed, Arc::default()).await
    }

    pub(crate) async fn start_on(bed: &Bed, disk: Arc<Disk>) -> Self {
        let xs = bed.connect().await;
        beat(&xs, Timestamp::now()).await;
        let inbox = tokio::spawn(inbox(xs.clone(), Arc::clone(&disk)));
        let heart = tokio::spawn(async move {
            loop {
                beat(&xs, Timestamp::now()).await;
                tokio::time::sleep(BEAT).await;
            }
        });
        Self { disk, tasks: vec![inbox, heart] }
    }

    /// kill -9, as far as xenstore can tell.
    pub(crate) fn die(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
        }
    }

    pub(crate) fn begun(&self, id: &OperationId) -> u32 {
        self.disk.taken.lock().unwrap().get(id).map_or(0, |taken| taken.begun)
    }
}

impl FakeAgent {
    /// The one operation that it took so far.
    pub(crate) fn only_id(&self) -> OperationId {
        self.try_only_id().expect("an operation")
    }

    pub(crate) fn try_only_id(&self) -> Option<OperationId> {
        let taken = self.disk.taken.lock().unwrap();
        assert!(taken.len() <= 1, "more than one operation");
        taken.keys().next().cloned()
    }
}

impl Drop for FakeAgent {
    fn drop(&mut self) {
        self.die();
    }
}

/// The status of an agent whose last sign of life is that old.
pub(crate) async fn beat(xs: &Connection, at: Timestamp) {
    let status = AgentStatus {
        contract: 1,
        version: Line::new("0").unwrap(),
        pid: 1,
        boot_id: uuid::Uuid::nil(),
        started_at: at,
        heartbeat_at: at,
        operations: 0,
        ignored: 0,
        trouble: None,
        extra: Default::default(),
    };
    xs.write(paths::AGENT, wire::to_xenstore(&status).unwrap().as_bytes()).await.ok();
}

async fn inbox(xs: Connection, disk: Arc<Disk>) {
    let mut watch = xs.watch(paths::REQUESTS).await.unwrap();
    let work = tokio::task::JoinSet::new();
    let work = Arc::new(Mutex::new(work));
    while let Some(event) = watch.next().await {
        if event == WatchEvent::Resync {
            let all: Vec<_> = disk.taken.lock().unwrap().keys().cloned().collect();
            for id in all {
                show(&xs, &disk, &id).await;
            }
        }
        for name in xs.directory(paths::REQUESTS).await.unwrap_or_default() {
            let id = OperationId::new(name).unwrap();
            let Ok(bytes) = xs.read(&paths::request(&id)).await else { continue };
            let first = {
                let mut taken = disk.taken.lock().unwrap();
                let first = !taken.contains_key(&id);
                let operation =
                    || Operation::new(1, id.clone(), OperationState::Queued, 0, 3, Timestamp::now());
                let entry = taken.entry(id.clone()).or_insert_with(|| Taken {
                    bytes: bytes.clone(),
                    begun: 1,
                    operation: operation(),
                });
                assert_eq!(entry.bytes, bytes, "another request under a used id");
                first
            };
            if first {
                let work = Arc::clone(&work);
                let task = carry_out(xs.clone(), Arc::clone(&disk), id, bytes);
                work.lock().unwrap().spawn(task);
            } else {
                show(&xs, &disk, &id).await;
                xs.rm(&paths::request(&id)).await.ok();
            }
        }
    }
}

async fn carry_out(xs: Connection, disk: Arc<Disk>, id: OperationId, bytes: Vec<u8>) {
    let put = async |state: OperationState, step: u32, error: Option<ErrorKind>| {
        disk.change(&id, |operation| {
            operation.ended_at = state.is_end().then(Timestamp::now);
            operation.state = state;
            operation.step = step;
            operation.error = error.map(|kind| Error::new(kind, Line::new("as scripted").unwrap()));
        });
        show(&xs, &disk, &id).await;
    };
    let request: Request = wire::from_xenstore(&bytes).unwrap();
    put(OperationState::Queued, 0, None).await;
    xs.rm(&paths::request(&id)).await.ok();
    let script = match &request.op {
        RequestOp::VmSnapshotCreate(create) => create.domain.to_string(),
        RequestOp::Cancel(cancel) => {
            disk.change(&cancel.operation, |operation| operation.state = OperationState::Cancelled);
            show(&xs, &disk, &cancel.operation).await;
            "quick".to_owned()
        }
        other => panic!("{other:?}"),
    };
    if script == "refused" {
        return put(OperationState::Refused, 0, Some(ErrorKind::NoDomain)).await;
    }
    for step in 1..=3 {
        put(OperationState::Running, step, None).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if script == "slow" {
        disk.let_go.notified().await;
    }
    if script == "fails" {
        put(OperationState::Failed, 3, Some(ErrorKind::BackendFailed)).await;
    } else {
        put(OperationState::Done, 3, None).await;
    }
}

impl Disk {
    /// An operation that has ended is changed no more.
    fn change(&self, id: &OperationId, change: impl FnOnce(&mut Operation)) {
        let mut taken = self.taken.lock().unwrap();
        if let Some(taken) = taken.get_mut(id).filter(|taken| !taken.operation.state.is_end()) {
            change(&mut taken.operation);
        }
    }
}

async fn show(xs: &Connection, disk: &Disk, id: &OperationId) {
    let _turn = disk.showing.lock().await;
    let operation = disk.taken.lock().unwrap().get(id).map(|taken| taken.operation.clone());
    let Some(operation) = operation else { return };
    let path = Node::Operation { id: id.clone() }.path();
    xs.write(&path, wire::to_xenstore(&operation).unwrap().as_bytes()).await.ok();
    xs.set_permissions(&path, &[Permission::owner(0)]).await.ok();
}
