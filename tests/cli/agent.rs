//! An agent that does as it is told: it answers each request with a script of states. Real is the xenstored between it and the program; nothing is snapshotted.
//!
//! It writes what the real agent would: its status with a heartbeat, an operation for each request, and then removes the request.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;
use xensnap::contract::{
    AgentStatus, Error, ErrorKind, Operation, OperationId, OperationState, Request, RequestOp, SnapshotName,
    StepKind,
};
use xensnap::wire::{self, Extra, Timestamp};
use xensnap::xenstore::{Connection, Options};

use crate::fixture::{WEB, line, time};

/// What a request is answered with: states, each after a pause in milliseconds.
pub(crate) type Script = Vec<(u64, Operation)>;

/// The agent. It ends with the value.
pub(crate) struct Agent {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Agent {
    /// An agent that answers with `script`; a cancel is answered by itself.
    pub(crate) fn start(
        socket: &Path,
        script: impl Fn(&OperationId, &Request) -> Script + Send + Sync + 'static,
    ) -> Self {
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (end, ended) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (options, seen) = (Options::at(socket), Arc::clone(&requests));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let xs = Connection::connect(&options).await.unwrap();
                write(&xs, AgentStatus::XENSTORE_PATH, &status()).await;
                ready.send(()).unwrap();
                tokio::select! {
                    () = serve(xs.clone(), seen, Arc::new(script)) => {}
                    _ = ended => {}
                }
            });
        });
        is_ready.recv().unwrap();
        Self { end: Some(end), thread: Some(thread), requests }
    }

    /// What has been asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The status of an agent that is alive.
pub(crate) fn status() -> AgentStatus {
    let now = Timestamp::now();
    AgentStatus {
        contract: 1,
        version: line("0.1.0"),
        pid: 4242,
        boot_id: WEB,
        started_at: time(0),
        heartbeat_at: now,
        operations: 0,
        ignored: 0,
        trouble: None,
        extra: Extra::new(),
    }
}

async fn serve(
    xs: Connection,
    seen: Arc<Mutex<Vec<Request>>>,
    script: Arc<impl Fn(&OperationId, &Request) -> Script + Send + Sync + 'static>,
) {
    let mut watch = xs.watch(Request::XENSTORE_FOLDER).await.unwrap();
    while watch.next().await.is_some() {
        for name in xs.directory(Request::XENSTORE_FOLDER).await.unwrap_or_default() {
            let id = OperationId::new(name).unwrap();
            let path = Request::xenstore_path(&id);
            let Ok(bytes) = xs.read(&path).await else { continue };
            let request: Request = wire::from_xenstore(&bytes).unwrap();
            let states = match &request.op {
                RequestOp::Cancel(cancel) => cancelled(&xs, &id, &cancel.operation).await,
                _ => script(&id, &request),
            };
            // One of the two is always there: the operation is shown before the request goes.
            let mut states = states;
            let rest = states.split_off(1);
            play(xs.clone(), states).await;
            xs.rm(&path).await.unwrap();
            seen.lock().unwrap().push(request);
            tokio::spawn(play(xs.clone(), rest));
        }
    }
}

async fn play(xs: Connection, states: Script) {
    for (pause_ms, state) in states {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        // A cancel has the last word.
        let path = Operation::xenstore_path(&state.id);
        let shown = xs.read(&path).await.ok().and_then(|bytes| wire::from_slice::<Operation>(&bytes).ok());
        if shown.is_some_and(|shown| shown.state == OperationState::Cancelled) {
            return;
        }
        write(&xs, &path, &state).await;
    }
}

/// Ends the operation that is to be cancelled, if it is there and has not ended.
async fn cancelled(xs: &Connection, id: &OperationId, target: &OperationId) -> Script {
    let mut cancel = operation(id, "cancel", OperationState::Done);
    let path = Operation::xenstore_path(target);
    let shown = xs.read(&path).await.ok().and_then(|bytes| wire::from_slice::<Operation>(&bytes).ok());
    match shown {
        Some(mut op) if op.ended_at.is_none() => {
            op.state = OperationState::Cancelled;
            op.ended_at = Some(time(9));
            op.error =
                Some(Error::new(ErrorKind::Cancelled, line("cancelled as asked; everything is as it was")));
            write(xs, &path, &op).await;
        }
        _ => {
            cancel.state = OperationState::Refused;
            cancel.error =
                Some(Error::new(ErrorKind::NoOperation, line("there is no such operation, or it has ended")));
        }
    }
    vec![(0, cancel)]
}

async fn write<T: serde::Serialize>(xs: &Connection, path: &str, document: &T) {
    xs.write(path, wire::to_xenstore(document).unwrap().as_bytes()).await.unwrap();
}

/// An operation on `web` in a state.
pub(crate) fn operation(id: &OperationId, op: &str, state: OperationState) -> Operation {
    let ended = matches!(
        state,
        OperationState::Done | OperationState::Failed | OperationState::Refused | OperationState::Cancelled
    );
    let mut operation = Operation::new(1, id.clone(), state, 0, 0, time(5));
    operation.op = Some(op.parse().unwrap());
    operation.domain = Some(WEB);
    operation.ended_at = ended.then(|| time(7));
    operation
}

/// The operation of a request: queued, running, done.
pub(crate) fn success(id: &OperationId, request: &Request) -> Script {
    let word = request.op.kind().to_string();
    let mut running = operation(id, &word, OperationState::Running);
    (running.step, running.steps, running.doing) = (2, 3, Some(StepKind::MemoryComplete));
    (running.progress, running.total) = (Some(1 << 20), Some(1 << 22));
    let mut done = operation(id, &word, OperationState::Done);
    (done.step, done.steps) = (3, 3);
    done.snapshot = Some(crate::fixture::id("before-id"));
    done.snapshot_name = Some(SnapshotName::new("before").unwrap());
    if word.ends_with("create") {
        done.pause = Some(Duration::from_micros(41_500));
    }
    if word.ends_with("revert") {
        done.domid = Some(12);
    }
    vec![(0, operation(id, &word, OperationState::Queued)), (20, running), (20, done)]
}

/// A request that is refused.
pub(crate) fn refused(
    id: &OperationId,
    request: &Request,
    kind: ErrorKind,
    message: &str,
    hint: Option<&str>,
) -> Script {
    let mut refused = operation(id, request.op.kind().as_str(), OperationState::Refused);
    let mut error = Error::new(kind, line(message));
    error.hint = hint.map(line);
    refused.error = Some(error);
    vec![(0, refused)]
}
