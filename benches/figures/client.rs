//! A toolstack: writes a request, and waits until the answer can be read.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use xensnap::contract::{Operation, OperationState, Request};
use xensnap::wire;
use xensnap::xenstore::{Connection, Options};

use crate::rig::dom0::ended;

/// The longest that one operation may take here.
const END_MAX: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub(crate) struct Client {
    runtime: Runtime,
    xs: Connection,
}

impl Client {
    pub(crate) fn connect(xenstore: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let xs = runtime.block_on(Connection::connect(&Options::at(xenstore))).unwrap();
        Self { runtime, xs }
    }

    /// From the request's write to the moment that its end has been read; it must end as done.
    pub(crate) fn done(&self, id: &str, body: &str) -> (Operation, Duration) {
        let answer = Operation::xenstore_path(id);
        let work = async {
            let mut watch = self.xs.watch(&answer).await.unwrap();
            // The watch's own first event.
            let _ = tokio::time::timeout(Duration::from_millis(50), watch.next()).await;
            let began = Instant::now();
            self.send(id, body).await;
            loop {
                if let Ok(text) = self.xs.read_string(&answer).await {
                    let operation: Operation = wire::from_str(&text).unwrap();
                    if ended(&operation) {
                        return (operation, began.elapsed());
                    }
                }
                watch.next().await.expect("xenstored");
            }
        };
        let (operation, took) =
            self.runtime.block_on(async { tokio::time::timeout(END_MAX, work).await }).expect(id);
        assert_eq!(operation.state, OperationState::Done, "{id}: {:?}", operation.error);
        (operation, took)
    }

    /// Writes requests as fast as xenstored takes them.
    pub(crate) fn send_all(&self, requests: &[(String, String)]) {
        self.runtime.block_on(async {
            for (id, body) in requests {
                self.send(id, body).await;
            }
        });
    }

    /// How many requests wait to be taken.
    pub(crate) fn waiting(&self) -> usize {
        self.runtime.block_on(self.xs.directory(Request::XENSTORE_FOLDER)).map_or(0, |all| all.len())
    }

    async fn send(&self, id: &str, body: &str) {
        let text = format!(r#"{{"contract":1,{body}}}"#);
        self.xs.write(&Request::xenstore_path(id), text.as_bytes()).await.unwrap();
    }
}
