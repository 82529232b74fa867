//! The handle: what a program holds, and its requests.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::error::{Error, Result};
use super::path;
use super::permission::Permission;
use super::scope::Scope;
use super::task::{self, Command, Entry, Fault, Reply, Request, Task, TransactionId};
use super::transaction::Transaction;
use super::watch::{Feed, Watch};
use super::wire::{self, Kind, PAYLOAD_MAX};

/// Requests under way at once; more wait, each within its deadline.
const IN_FLIGHT_MAX: usize = 256;

/// How to reach the daemon.
#[derive(Clone, Debug)]
pub struct Options {
    /// The daemon's socket.
    pub socket: PathBuf,
    /// How long [`Connection::connect`] tries while the daemon is not there yet or has no place in its queue. A connection
    /// that existed once tries for ever.
    pub connect_limit: Duration,
    /// How long a request may take.
    pub deadline: Duration,
}

impl Options {
    /// The defaults, on this socket.
    #[must_use]
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            connect_limit: Duration::from_secs(5),
            deadline: Duration::from_secs(10),
        }
    }
}

impl Default for Options {
    /// [`default_socket`], 5 s to connect, 10 s for a request.
    fn default() -> Self {
        Self::at(default_socket())
    }
}

/// `$XENSTORED_PATH`, as for Xen's own tools; else `/run/xenstored/socket`, or, when only that is there, the same below
/// `/var/run`.
#[must_use]
pub fn default_socket() -> PathBuf {
    if let Some(path) = std::env::var_os("XENSTORED_PATH").filter(|path| !path.is_empty()) {
        return path.into();
    }
    let [first, second] = ["/run/xenstored/socket", "/var/run/xenstored/socket"].map(PathBuf::from);
    if !first.exists() && second.exists() { second } else { first }
}

/// A connection to xenstore; clones share it. Paths are absolute, or relative to the caller's own
/// `/local/domain/<domid>`.
///
/// Every request fails with [`Error::Refused`] when the daemon refuses, [`Error::BadPath`] or [`Error::TooLarge`] when it was
/// not sent, [`Error::Disconnected`] when the daemon died or is away, [`Error::Deadline`] when it does not answer. Dropping a
/// request's future gives it up; one that is on its way is carried out all the same.
#[derive(Clone, Debug)]
pub struct Connection {
    inner: Arc<Inner>,
    deadline: Duration,
}

/// What all clones, watches and transactions share. The task ends with it.
#[derive(Debug)]
pub(super) struct Inner {
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
    last_token: AtomicU64,
}

/// What the task shares with the handles.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) status: watch::Sender<Status>,
    pub(super) shutdown: Notify,
    pub(super) in_flight: Arc<Semaphore>,
}

/// With the number of the connection: the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Up(u64),
    Down(u64),
    Closed,
}

impl Inner {
    /// Commands that nobody waits for. After the task's end they mean nothing.
    pub(super) fn send(&self, command: Command) {
        self.commands.send(command).ok();
    }

    pub(super) fn status(&self) -> Status {
        *self.shared.status.borrow()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.shutdown.notify_one();
    }
}

impl Connection {
    /// Connects, trying again within [`Options::connect_limit`], and starts the task on the current tokio runtime (which
    /// needs its I/O and time drivers).
    ///
    /// # Errors
    /// [`Error::Connect`].
    pub async fn connect(options: &Options) -> Result<Self> {
        let first = task::connect_first(options)
            .await
            .map_err(|source| Error::Connect { socket: options.socket.clone(), source: Arc::new(source) })?;
        let (commands, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            status: watch::Sender::new(Status::Up(1)),
            shutdown: Notify::new(),
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
        });
        tokio::spawn(Task::new(options.clone(), Arc::clone(&shared), receiver).run(first));
        let inner = Arc::new(Inner { commands, shared, last_token: AtomicU64::new(0) });
        Ok(Self { inner, deadline: options.deadline })
    }

    /// This connection with another deadline for requests.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { inner: Arc::clone(&self.inner), deadline }
    }

    /// A node's value, which may be any bytes.
    pub async fn read(&self, path: &str) -> Result<Vec<u8>> {
        self.scope().read(path).await
    }

    /// A node's value as text; [`Error::NotText`] when it is none.
    pub async fn read_string(&self, path: &str) -> Result<String> {
        self.scope().read_string(path).await
    }

    /// Writes a node, making it and its parents when missing. oxenstored takes 2 048 bytes, C xenstored what fits into a
    /// request of [`PAYLOAD_MAX`] bytes with the path.
    pub async fn write(&self, path: &str, value: &[u8]) -> Result<()> {
        self.scope().write(path, value).await
    }

    /// Makes an empty node, and its parents when missing. An existing one is left as it is.
    pub async fn mkdir(&self, path: &str) -> Result<()> {
        self.scope().mkdir(path).await
    }

    /// Removes a node and everything below. No such node: fine if its parent exists, else `ENOENT`. `/` is refused here.
    pub async fn rm(&self, path: &str) -> Result<()> {
        self.scope().rm(path).await
    }

    /// The names of a node's children, however many.
    pub async fn directory(&self, path: &str) -> Result<Vec<String>> {
        self.scope().directory(path).await
    }

    /// A node's permissions; the first names the owner.
    pub async fn permissions(&self, path: &str) -> Result<Vec<Permission>> {
        self.scope().permissions(path).await
    }

    /// Sets a node's permissions; the first names the owner.
    pub async fn set_permissions(&self, path: &str, permissions: &[Permission]) -> Result<()> {
        self.scope().set_permissions(path, permissions).await
    }

    /// Watches a node (which need not exist) and everything below, or `@introduceDomain`, `@releaseDomain`. The watch is set
    /// when this returns; its first event is [`WatchEvent::Resync`](super::WatchEvent::Resync).
    pub async fn watch(&self, path: &str) -> Result<Watch> {
        path::check_watched(path)?;
        let token = self.inner.last_token.fetch_add(1, Ordering::Relaxed) + 1;
        let feed = Arc::new(Feed::default());
        let watch =
            Watch { path: path.to_owned(), token, feed: Arc::clone(&feed), inner: Arc::clone(&self.inner) };
        let entry = Entry { token, path: path.to_owned(), feed, set: false, initial: true };
        let payload = wire::terminated(&[path, &token.to_string()]);
        self.request(Kind::Watch, path, payload, None, Some(entry)).await?;
        Ok(watch)
    }

    /// Begins a transaction. [`Connection::transaction`] also begins it again after a conflict.
    pub async fn begin(&self) -> Result<Transaction> {
        let reply = self.request(Kind::TransactionStart, "a transaction", b"\0".to_vec(), None, None).await?;
        let id =
            task::transaction_id(&reply.payload).ok_or(Error::Protocol("a transaction without number"))?;
        Ok(Transaction::new(self.clone(), TransactionId { generation: reply.generation, id }))
    }

    /// Runs `body` in a transaction and commits it. After a conflict (`EAGAIN`) it does both again, at most `retries` times,
    /// with a growing pause. When `body` fails the transaction is given up, nothing of it is done, and its error is returned.
    ///
    /// What is a conflict differs: C xenstored refuses when anything read or written has been written meanwhile, oxenstored
    /// merges what it can.
    ///
    /// # Errors
    /// `body`'s, or any [`Error`]: `EAGAIN` when the retries are used up, [`Error::Stale`] when the daemon died in the middle.
    pub async fn transaction<T, E, B, F>(&self, retries: u32, mut body: B) -> std::result::Result<T, E>
    where
        B: FnMut(Transaction) -> F, // and not AsyncFnMut: a future that calls that is not Send for the compiler
        F: Future<Output = std::result::Result<T, E>>,
        E: From<Error>,
    {
        let mut attempt = 0;
        loop {
            let transaction = self.begin().await?;
            let value = body(transaction.clone()).await?;
            match transaction.commit().await {
                Ok(()) => return Ok(value),
                Err(error) if error.is_again() && attempt < retries => attempt += 1,
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(pause(attempt)).await;
        }
    }

    /// Tells the daemon of a new domain (dom0 only): the frame of its xenstore ring and its event channel's port.
    pub async fn introduce(&self, domid: u32, frame: u64, port: u32) -> Result<()> {
        self.about_domain(Kind::Introduce, domid, &[&frame.to_string(), &port.to_string()]).await.map(drop)
    }

    /// Makes the daemon let go of a domain (dom0 only).
    pub async fn release(&self, domid: u32) -> Result<()> {
        self.about_domain(Kind::Release, domid, &[]).await.map(drop)
    }

    /// Whether the daemon speaks with this domain.
    pub async fn is_introduced(&self, domid: u32) -> Result<bool> {
        let reply = self.about_domain(Kind::IsIntroduced, domid, &[]).await?;
        Ok(reply.payload.starts_with(b"T"))
    }

    /// How often this connection was made: 1 for the first, one more for each reconnect. Whoever keeps what it learnt from
    /// the store compares this; a [`Watch`] tells it as `Resync`.
    #[must_use]
    pub fn generation(&self) -> u64 {
        match self.inner.status() {
            Status::Up(generation) | Status::Down(generation) => generation,
            Status::Closed => u64::MAX,
        }
    }

    /// Whether the daemon is there now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.inner.status(), Status::Up(_))
    }

    /// Waits until the connection has been made again since it was `generation`; [`Error::Closed`] when it never will.
    pub async fn reconnected(&self, generation: u64) -> Result<u64> {
        let mut status = self.inner.shared.status.subscribe();
        let reached = |status: &Status| match status {
            Status::Up(now) => *now > generation,
            Status::Down(_) => false,
            Status::Closed => true,
        };
        match status.wait_for(reached).await.map(|status| *status) {
            Ok(Status::Up(now)) => Ok(now),
            _ => Err(Error::Closed),
        }
    }

    /// Ends the connection for all its clones: requests under way fail with [`Error::Closed`], watches end. (It also ends
    /// with its last clone, watch and transaction.)
    pub async fn close(&self) {
        let mut status = self.inner.shared.status.subscribe();
        self.inner.shared.shutdown.notify_one();
        status.wait_for(|status| *status == Status::Closed).await.ok();
    }

    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    pub(super) fn scope(&self) -> Scope<'_> {
        Scope { connection: self, transaction: None }
    }

    async fn about_domain(&self, kind: Kind, domid: u32, rest: &[&str]) -> Result<Reply> {
        let mut payload = wire::terminated(&[&domid.to_string()]);
        payload.extend(wire::terminated(rest));
        self.request(kind, &format!("domain {domid}"), payload, None, None).await
    }

    /// Sends one request and waits for its answer. `about` is for messages.
    pub(super) async fn request(
        &self,
        kind: Kind,
        about: &str,
        payload: Vec<u8>,
        transaction: Option<TransactionId>,
        watch: Option<Entry>,
    ) -> Result<Reply> {
        if payload.len() > PAYLOAD_MAX {
            return Err(Error::TooLarge { path: about.to_owned(), size: payload.len(), limit: PAYLOAD_MAX });
        }
        if transaction.is_some_and(|transaction| self.inner.status() != Status::Up(transaction.generation)) {
            return Err(self.lost(Error::Stale));
        }
        let answer = async {
            let permit = Arc::clone(&self.inner.shared.in_flight).acquire_owned().await;
            let permit = permit.map_err(|_| Error::Closed)?;
            let (reply, receiver) = oneshot::channel();
            let request = Request { kind, payload, transaction, watch, reply, permit };
            self.inner.send(Command::Request(request));
            receiver.await.map_err(|_| self.lost(Error::Disconnected))
        };
        match tokio::time::timeout_at(Instant::now() + self.deadline, answer).await {
            Ok(Ok(Ok(reply))) => Ok(reply),
            Ok(Ok(Err(fault))) => Err(named(fault, kind, about)),
            Ok(Err(error)) => Err(error),
            Err(_) if self.is_up() => {
                Err(Error::Deadline { operation: kind.verb(), path: about.to_owned(), after: self.deadline })
            }
            Err(_) => Err(self.lost(Error::Disconnected)),
        }
    }

    /// `error`, unless it was this side that ended the connection.
    fn lost(&self, error: Error) -> Error {
        if self.inner.status() == Status::Closed { Error::Closed } else { error }
    }
}

/// Before a transaction's next attempt: longer each time, and not the same for all who met one conflict.
fn pause(attempt: u32) -> Duration {
    let longest_us = 1000 << attempt.min(6);
    let random = RandomState::new().build_hasher().finish();
    Duration::from_micros(random % longest_us)
}

fn named(fault: Fault, kind: Kind, about: &str) -> Error {
    match fault {
        Fault::Errno(errno) => Error::Refused { operation: kind.verb(), path: about.to_owned(), errno },
        Fault::Stale => Error::Stale,
        Fault::Protocol(what) => Error::Protocol(what),
    }
}
