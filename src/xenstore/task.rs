//! The task that owns the socket, the requests on their way and the watches.
//!
//! ```text
//!            +------------- connected ------------------+      EOF, error,       +-------- away ---------+
//! first ---> | set every watch again, then serve:       | --- bad answer ------> | requests on their way |
//! socket     |   command -> out buffer -> socket        |                        | fail; try to connect, |
//!            |   socket -> decoder -> reply or feed     | <--- connected ------- | later each time       |
//!            +------------------------------------------+                        +-----------------------+
//! ```
//! It ends when the connection is closed, or when its last handle is gone. Requests that arrive while the daemon is away
//! are held, those within a transaction refused; what its caller has given up by then is never sent.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;

use super::connection::{Options, Shared, Status};
use super::error::{Errno, Error};
use super::watch::Feed;
use super::wire::{self, Decoder, Kind, Message};

/// Bytes waiting to be sent, from which on no further command is taken up.
const OUT_MAX: usize = 64 << 10;
const READ_SIZE: usize = 16 << 10;
/// Reads after which commands have their turn again.
const READS_MAX: u32 = 32;
const DELAY_FIRST: Duration = Duration::from_millis(2);
/// Between attempts while the daemon is away.
const DELAY_MAX: Duration = Duration::from_millis(100);
/// A connection that held this long was a good one: the next loss is followed by a quick attempt again.
const GOOD: Duration = Duration::from_secs(1);
/// Between attempts while it is there and has no place in its queue (the backlog is 1).
const DELAY_BUSY_MAX: Duration = Duration::from_millis(16);

pub(super) enum Command {
    Request(Request),
    Unwatch { token: u64 },
    Abandon { transaction: TransactionId },
}

/// A transaction's number is the daemon's, and means nothing on another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TransactionId {
    pub(super) generation: u64,
    pub(super) id: u32,
}

pub(super) struct Request {
    pub(super) kind: Kind,
    pub(super) payload: Vec<u8>,
    pub(super) transaction: Option<TransactionId>,
    /// For `Kind::Watch`: where its events go.
    pub(super) watch: Option<Entry>,
    /// Dropped without an answer, it says that the connection was lost.
    pub(super) reply: oneshot::Sender<Result<Reply, Fault>>,
    /// Bounds the requests under way; free again with the answer.
    pub(super) permit: OwnedSemaphorePermit,
}

/// A watch as the task knows it.
pub(super) struct Entry {
    pub(super) token: u64,
    pub(super) path: String,
    pub(super) feed: Arc<Feed>,
    /// The daemon has acknowledged it once: it is kept over reconnects.
    pub(super) set: bool,
    /// The event that the daemon sends when a watch is set has not arrived yet.
    pub(super) initial: bool,
}

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) payload: Vec<u8>,
    /// The connection that answered.
    pub(super) generation: u64,
}

/// A failure before its request's words are put around it.
#[derive(Debug)]
pub(super) enum Fault {
    Errno(Errno),
    Stale,
    Protocol(&'static str),
}

/// What a reply is for.
enum Waiting {
    Caller {
        kind: Kind,
        reply: oneshot::Sender<Result<Reply, Fault>>,
        token: Option<u64>,
        _permit: OwnedSemaphorePermit,
    },
    /// A watch that was set again after a reconnect.
    WatchAgain,
}

pub(super) struct Task {
    options: Options,
    shared: Arc<Shared>,
    commands: mpsc::UnboundedReceiver<Command>,
    watches: HashMap<u64, Entry>,
    /// Came while the daemon was away.
    held: VecDeque<Request>,
    generation: u64,
    last_request: u32,
    delay: Duration,
}

enum Ended {
    Closed,
    Lost,
}

impl Task {
    pub(super) fn new(
        options: Options,
        shared: Arc<Shared>,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        Self {
            options,
            shared,
            commands,
            watches: HashMap::new(),
            held: VecDeque::new(),
            generation: 0,
            last_request: 0,
            delay: DELAY_FIRST,
        }
    }

    pub(super) async fn run(mut self, first: UnixStream) {
        let mut next = Some(first);
        while let Some(stream) = next {
            self.generation += 1;
            self.shared.status.send_replace(Status::Up(self.generation));
            let since = Instant::now();
            let ended = Session::new(&mut self, &stream).serve().await;
            if matches!(ended, Ended::Closed) {
                break;
            }
            drop(stream);
            self.watches.retain(|_, entry| entry.set);
            if since.elapsed() > GOOD {
                self.delay = DELAY_FIRST;
            }
            next = self.reconnect().await;
        }
        self.shared.status.send_replace(Status::Closed);
        self.shared.in_flight.close();
        for entry in self.watches.values() {
            entry.feed.close();
        }
    }

    /// Tries until it works, later each time; `None` when the connection is closed meanwhile.
    async fn reconnect(&mut self) -> Option<UnixStream> {
        let shared = Arc::clone(&self.shared);
        loop {
            let pause = tokio::time::sleep(self.delay);
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = shared.shutdown.notified() => return None,
                    command = self.commands.recv() => self.hold(command?),
                    () = &mut pause => break,
                }
            }
            let attempt = UnixStream::connect(&self.options.socket).await;
            self.delay = longer(self.delay, attempt.as_ref().err());
            if let Ok(stream) = attempt {
                return Some(stream);
            }
        }
    }

    /// The handles bound how many requests there are.
    fn hold(&mut self, command: Command) {
        match command {
            Command::Request(request) if request.transaction.is_some() => {
                request.reply.send(Err(Fault::Stale)).ok();
            }
            Command::Request(request) => self.held.push_back(request),
            Command::Unwatch { token } => {
                self.watches.remove(&token);
            }
            Command::Abandon { .. } => {} // it ended with its connection
        }
    }
}

fn next_request(last: &mut u32) -> u32 {
    *last = last.checked_add(1).unwrap_or(1); // 0 is the events'
    *last
}

/// The first connection: `Err` at once when waiting cannot help, or after the limit.
pub(super) async fn connect_first(options: &Options) -> io::Result<UnixStream> {
    let limit = Instant::now() + options.connect_limit;
    let mut delay = DELAY_FIRST;
    loop {
        let error = match UnixStream::connect(&options.socket).await {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let may_come = matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::WouldBlock
        );
        if !may_come || Instant::now() + delay > limit {
            return Err(error);
        }
        tokio::time::sleep(delay).await;
        delay = longer(delay, Some(&error));
    }
}

fn longer(delay: Duration, error: Option<&io::Error>) -> Duration {
    let busy = error.is_some_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    (delay * 2).min(if busy { DELAY_BUSY_MAX } else { DELAY_MAX })
}

/// One connection's life.
struct Session<'a> {
    task: &'a mut Task,
    stream: &'a UnixStream,
    decoder: Decoder,
    out: Vec<u8>,
    waiting: HashMap<u32, Waiting>,
}

impl<'a> Session<'a> {
    fn new(task: &'a mut Task, stream: &'a UnixStream) -> Self {
        let mut session =
            Self { task, stream, decoder: Decoder::default(), out: Vec::new(), waiting: HashMap::new() };
        session.watch_again();
        for request in std::mem::take(&mut session.task.held) {
            session.start(request);
        }
        session
    }

    /// Before the requests on their way are dropped, the status says why.
    async fn serve(mut self) -> Ended {
        let ended = self.work().await;
        let status = match ended {
            Ended::Closed => Status::Closed,
            Ended::Lost => Status::Down(self.task.generation),
        };
        self.task.shared.status.send_replace(status);
        ended
    }

    async fn work(&mut self) -> Ended {
        let shared = Arc::clone(&self.task.shared);
        loop {
            if self.flush().is_err() {
                self.drain().ok(); // answers that came before the end
                return Ended::Lost;
            }
            let interest = if self.out.is_empty() {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            tokio::select! {
                () = shared.shutdown.notified() => return Ended::Closed,
                ready = self.stream.ready(interest) => {
                    if ready.is_err() || self.drain().is_err() {
                        return Ended::Lost;
                    }
                }
                command = self.task.commands.recv(), if self.out.len() < OUT_MAX => {
                    let Some(command) = command else { return Ended::Closed };
                    self.take(command);
                    while self.out.len() < OUT_MAX && let Ok(command) = self.task.commands.try_recv() {
                        self.take(command);
                    }
                }
            }
        }
    }

    fn watch_again(&mut self) {
        for entry in self.task.watches.values_mut() {
            let request = next_request(&mut self.task.last_request);
            entry.initial = true;
            let payload = wire::terminated(&[&entry.path, &entry.token.to_string()]);
            wire::encode(&mut self.out, Kind::Watch, request, 0, &payload);
            self.waiting.insert(request, Waiting::WatchAgain);
        }
    }

    /// Writes what the socket takes now.
    fn flush(&mut self) -> io::Result<()> {
        let mut sent = 0;
        let result = loop {
            let rest = self.out.get(sent..).unwrap_or_default();
            if rest.is_empty() {
                break Ok(());
            }
            match self.stream.try_write(rest) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(size) => sent += size,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.out.drain(..sent);
        result
    }

    /// Reads what is there now and hands it out.
    fn drain(&mut self) -> Result<(), Error> {
        let mut buffer = [0; READ_SIZE];
        for _ in 0..READS_MAX {
            let size = match self.stream.try_read(&mut buffer) {
                Ok(0) => return Err(Error::Disconnected),
                Ok(size) => size,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(Error::Disconnected),
            };
            self.decoder.feed(buffer.get(..size).unwrap_or_default());
            while let Some(message) = self.decoder.next()? {
                self.receive(message)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Request(request) => self.start(request),
            Command::Unwatch { token } => {
                if let Some(entry) = self.task.watches.remove(&token) {
                    let payload = wire::terminated(&[&entry.path, &token.to_string()]);
                    self.send_unasked(Kind::Unwatch, 0, &payload);
                }
            }
            Command::Abandon { transaction } if transaction.generation == self.task.generation => {
                self.send_unasked(Kind::TransactionEnd, transaction.id, b"F\0");
            }
            Command::Abandon { .. } => {} // it ended with its connection
        }
    }

    fn start(&mut self, request: Request) {
        let Request { kind, payload, transaction, watch, reply, permit } = request;
        if reply.is_closed() {
            return; // the caller has given up: better not done than done unnoticed
        }
        if transaction.is_some_and(|transaction| transaction.generation != self.task.generation) {
            reply.send(Err(Fault::Stale)).ok();
            return;
        }
        let token = watch.as_ref().map(|entry| entry.token);
        if let Some(entry) = watch {
            self.task.watches.insert(entry.token, entry);
        }
        let id = next_request(&mut self.task.last_request);
        wire::encode(&mut self.out, kind, id, transaction.map_or(0, |transaction| transaction.id), &payload);
        self.waiting.insert(id, Waiting::Caller { kind, reply, token, _permit: permit });
    }

    /// Sends what nobody waits for; the answer, to a request not in `waiting`, is passed over.
    fn send_unasked(&mut self, kind: Kind, transaction: u32, payload: &[u8]) {
        let id = next_request(&mut self.task.last_request);
        wire::encode(&mut self.out, kind, id, transaction, payload);
    }

    fn receive(&mut self, message: Message) -> Result<(), Error> {
        if message.is(Kind::WatchEvent) {
            return self.event(&message.payload);
        }
        match self.waiting.remove(&message.request) {
            None => Ok(()),
            Some(Waiting::WatchAgain) if message.is(Kind::Error) => {
                Err(Error::Protocol("a watch cannot be set again")) // better a new connection than a deaf watch
            }
            Some(Waiting::WatchAgain) => Ok(()),
            Some(Waiting::Caller { kind, reply, token, .. }) => {
                let result = if message.is(Kind::Error) {
                    Err(Fault::Errno(Errno::from_wire(&message.payload)))
                } else if message.is(kind) {
                    Ok(Reply { payload: message.payload, generation: self.task.generation })
                } else {
                    Err(Fault::Protocol("a reply of another kind than the request"))
                };
                self.answer(kind, token, reply, result);
                Ok(())
            }
        }
    }

    fn answer(
        &mut self,
        kind: Kind,
        token: Option<u64>,
        reply: oneshot::Sender<Result<Reply, Fault>>,
        result: Result<Reply, Fault>,
    ) {
        if let Some(token) = token {
            if result.is_err() {
                self.task.watches.remove(&token);
            } else if let Some(entry) = self.task.watches.get_mut(&token) {
                entry.set = true;
            }
        }
        let unheard = reply.send(result).err();
        if let (Kind::TransactionStart, Some(Ok(begun))) = (kind, unheard)
            && let Some(id) = transaction_id(&begun.payload)
        {
            self.send_unasked(Kind::TransactionEnd, id, b"F\0");
        }
    }

    fn event(&mut self, payload: &[u8]) -> Result<(), Error> {
        let [path, token] = *wire::strings(payload)? else {
            return Err(Error::Protocol("a watch event without path and token"));
        };
        let Some(entry) = token.parse().ok().and_then(|token: u64| self.task.watches.get_mut(&token)) else {
            return Ok(()); // of a watch that was removed meanwhile
        };
        // The daemon merges equal events, so the initial one may stand for a change as well: it is told when it arrives,
        // not when the watch was acknowledged.
        if std::mem::take(&mut entry.initial) {
            entry.feed.resync();
        } else {
            entry.feed.changed(path);
        }
        Ok(())
    }
}

pub(super) fn transaction_id(payload: &[u8]) -> Option<u32> {
    std::str::from_utf8(payload).ok()?.trim_end_matches('\0').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_to_its_bound() {
        let away = io::Error::from(io::ErrorKind::ConnectionRefused);
        let busy = io::Error::from(io::ErrorKind::WouldBlock);
        let end = |error: &io::Error| (0..20).fold(DELAY_FIRST, |delay, _| longer(delay, Some(error)));
        assert_eq!(end(&away), DELAY_MAX);
        assert_eq!(end(&busy), DELAY_BUSY_MAX);
    }
}
