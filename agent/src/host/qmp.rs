//! A small QMP client: one connection, one command at a time, each with a deadline.
//!
//! ```text
//!   connect -> greeting -> qmp_capabilities -> execute* -> drop
//!                 |                              |
//!          none in time: held by another     no answer in time: broken for good (what the command did is found out by looking)
//! ```
//!
//! Commands and answers are JSON values, typed only by who uses them; events it does not know are kept like those it does, so that a QEMU newer than this
//! code does not matter. A socket of QEMU's serves one client at a time: a second one connects, and gets no greeting.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout_at};
use xensnap::contract::ErrorKind;

use super::HostError;

/// The longest answer that is read: `query-block` takes about 140 bytes a snapshot, and a disk has at most 65 536.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Events kept; older ones are dropped.
const EVENTS_MAX: usize = 64;

/// What goes wrong on a QMP connection.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// Nobody listens.
    #[error("QEMU does not answer: nobody listens on {}", path.display())]
    Absent {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// No greeting, and another connection is there.
    #[error("another client holds QEMU's QMP socket {}", .0.display())]
    Held(PathBuf),
    /// No greeting, and no other client in sight.
    #[error("QEMU does not answer on {}: no greeting", .0.display())]
    Silent(PathBuf),
    /// A command was not answered in time.
    #[error("QEMU does not answer: no reply to {command} within {} ms", waited.as_millis())]
    Unanswered {
        /// The command.
        command: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The connection ended.
    #[error("QEMU closed its QMP socket while {command} was asked")]
    Closed {
        /// The command.
        command: String,
    },
    /// The other side does not speak QMP.
    #[error("{} does not speak QMP: {what}", path.display())]
    Foreign {
        /// The socket.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// QEMU refused the command.
    #[error("QEMU refused {command}: {words}")]
    Refused {
        /// The command.
        command: String,
        /// QEMU's words.
        words: String,
        /// QEMU's class of error; nearly always `GenericError`.
        class: String,
    },
}

impl QmpError {
    /// Whether the command may have been carried out though this error came.
    pub fn unsettled(&self) -> bool {
        matches!(self, Self::Unanswered { .. } | Self::Closed { .. } | Self::Foreign { .. })
    }

    /// As an error of the host, about a domain.
    pub fn about(self, domain: &str) -> HostError {
        let message = format!("domain {domain}: {self}");
        match self {
            Self::Held(_) => HostError::new(ErrorKind::QmpUnavailable, message)
                .hint("end that client, or give it a QMP socket of its own; then ask again"),
            Self::Absent { .. } | Self::Silent(_) | Self::Unanswered { .. } => {
                HostError::new(ErrorKind::QmpUnavailable, message)
                    .hint("see whether the domain's QEMU hangs, is stopped or has ended")
            }
            Self::Closed { .. } => {
                HostError::new(ErrorKind::QmpUnavailable, message).hint("see whether the domain has ended")
            }
            Self::Foreign { .. } => {
                HostError::new(ErrorKind::QmpUnavailable, message).hint("check `qmp` in the domain's config")
            }
            Self::Refused { .. } => HostError::new(ErrorKind::BackendFailed, message),
        }
    }
}

/// An event that QEMU sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its name, such as `STOP`.
    pub name: String,
    /// When it happened, since the epoch, by QEMU's clock; absent when QEMU could not tell.
    pub at: Option<Duration>,
    /// What it says.
    pub data: Value,
}

/// A connection to a QEMU.
#[derive(Debug)]
pub struct Qmp {
    path: PathBuf,
    stream: UnixStream,
    read: Vec<u8>,
    events: VecDeque<Event>,
    last_id: u64,
    broken: bool,
    version: String,
    pid: Option<u32>,
}

impl Qmp {
    /// Connects and negotiates, all before `deadline`.
    ///
    /// # Errors
    /// See [`QmpError`].
    pub async fn connect(path: &Path, deadline: Instant) -> Result<Self, QmpError> {
        let stream = open(path, deadline).await?;
        let pid = stream.peer_cred().ok().and_then(|c| c.pid()).and_then(|p| u32::try_from(p).ok());
        let (path, read, events) = (path.to_owned(), Vec::new(), VecDeque::new());
        let mut qmp =
            Self { path, stream, read, events, last_id: 0, broken: false, version: String::new(), pid };
        match timeout_at(deadline, qmp.greeting()).await {
            Ok(done) => done?,
            Err(_) if held(&qmp.path) => return Err(QmpError::Held(qmp.path)),
            Err(_) => return Err(QmpError::Silent(qmp.path)),
        }
        qmp.execute("qmp_capabilities", json!({}), deadline).await?;
        Ok(qmp)
    }

    async fn greeting(&mut self) -> Result<(), QmpError> {
        let hello = self.message("the greeting").await?;
        let Some(version) = hello.pointer("/QMP/version") else {
            return Err(QmpError::Foreign {
                path: self.path.clone(),
                what: "its first message is no greeting".into(),
            });
        };
        self.version = version_text(version);
        Ok(())
    }

    /// The process that listens on the other side.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// QEMU's version, `10.0.2 (package)`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether the connection is of no use any more.
    pub fn broken(&self) -> bool {
        self.broken
    }

    /// The events since the last call, oldest first.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    /// Carries out a command and returns what QEMU returned.
    ///
    /// # Errors
    /// See [`QmpError`]. After one that is [`QmpError::unsettled`] the connection is broken.
    pub async fn execute(
        &mut self,
        command: &str,
        arguments: Value,
        deadline: Instant,
    ) -> Result<Value, QmpError> {
        self.ask(command, arguments, None, deadline).await
    }

    /// Hands over a file: QEMU knows it by `name` from then on, for one use.
    ///
    /// # Errors
    /// See [`QmpError`].
    pub async fn getfd(
        &mut self,
        name: &str,
        file: BorrowedFd<'_>,
        deadline: Instant,
    ) -> Result<(), QmpError> {
        self.ask("getfd", json!({"fdname": name}), Some(file), deadline).await.map(drop)
    }

    async fn ask(
        &mut self,
        command: &str,
        arguments: Value,
        file: Option<BorrowedFd<'_>>,
        deadline: Instant,
    ) -> Result<Value, QmpError> {
        if self.broken {
            return Err(QmpError::Closed { command: command.into() });
        }
        let asked = Instant::now();
        self.broken = true; // until the answer is there: also when this future is dropped in the middle
        let done = timeout_at(deadline, self.exchange(command, arguments, file)).await;
        let unanswered = |_| QmpError::Unanswered { command: command.into(), waited: asked.elapsed() };
        let answer = done.map_err(unanswered).flatten();
        self.broken = answer.as_ref().is_err_and(QmpError::unsettled);
        if self.broken {
            // Others may have it at once: QEMU serves one client at a time.
            let _ = rustix::net::shutdown(&self.stream, rustix::net::Shutdown::Both);
        }
        answer
    }

    async fn exchange(
        &mut self,
        command: &str,
        arguments: Value,
        file: Option<BorrowedFd<'_>>,
    ) -> Result<Value, QmpError> {
        self.last_id += 1;
        let id = self.last_id;
        let mut bytes =
            json!({"execute": command, "arguments": arguments, "id": id}).to_string().into_bytes();
        bytes.push(b'\n');
        let closed = |_| QmpError::Closed { command: command.into() };
        let sent = match file {
            Some(file) => self.send_with(&bytes, file).await.map_err(closed)?,
            None => 0,
        };
        self.stream.write_all(bytes.get(sent..).unwrap_or_default()).await.map_err(closed)?;
        loop {
            let answer = self.message(command).await?;
            if answer.get("id").and_then(Value::as_u64).is_some_and(|i| i != id) {
                continue; // the answer to a question that was given up
            }
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
            if let Some(error) = answer.get("error") {
                let text = |key| error.get(key).and_then(Value::as_str).unwrap_or("(no words)").to_owned();
                return Err(QmpError::Refused {
                    command: command.into(),
                    words: text("desc"),
                    class: text("class"),
                });
            }
        }
    }

    /// Sends the first bytes together with the file.
    async fn send_with(&self, bytes: &[u8], file: BorrowedFd<'_>) -> io::Result<usize> {
        self.stream
            .async_io(Interest::WRITABLE, || {
                let files = [file];
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut ancillary = SendAncillaryBuffer::new(&mut space);
                ancillary.push(SendAncillaryMessage::ScmRights(&files));
                Ok(sendmsg(self.stream.as_fd(), &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?)
            })
            .await
    }

    /// The next message that is no event; events are kept.
    async fn message(&mut self, command: &str) -> Result<Value, QmpError> {
        loop {
            let message = self.line(command).await?;
            let Some(name) = message.get("event").and_then(Value::as_str) else { return Ok(message) };
            let part = |at| message.pointer(at).and_then(Value::as_i64).and_then(|n| u64::try_from(n).ok());
            let at = part("/timestamp/seconds").zip(part("/timestamp/microseconds"));
            let at = at.map(|(s, us)| Duration::from_secs(s) + Duration::from_micros(us));
            let data = message.get("data").cloned().unwrap_or(Value::Null);
            if self.events.len() == EVENTS_MAX {
                self.events.pop_front();
            }
            self.events.push_back(Event { name: name.to_owned(), at, data });
        }
    }

    async fn line(&mut self, command: &str) -> Result<Value, QmpError> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.read.get(searched..).and_then(|new| new.iter().position(|b| *b == b'\n'))
            {
                let line: Vec<u8> = self.read.drain(..=searched + end).collect();
                let foreign =
                    |e: serde_json::Error| QmpError::Foreign { path: self.path.clone(), what: e.to_string() };
                return serde_json::from_slice(&line).map_err(foreign);
            }
            searched = self.read.len();
            if searched > ANSWER_BYTES_MAX {
                return Err(QmpError::Foreign {
                    path: self.path.clone(),
                    what: "a message longer than 64 MiB".into(),
                });
            }
            match self.stream.read_buf(&mut self.read).await {
                Ok(0) | Err(_) => return Err(QmpError::Closed { command: command.into() }),
                Ok(_) => {}
            }
        }
    }
}

/// Opens the socket. QEMU's backlog is short: while it is full, the kernel says EAGAIN, and it is tried again.
async fn open(path: &Path, deadline: Instant) -> Result<UnixStream, QmpError> {
    loop {
        match UnixStream::connect(path).await {
            Ok(stream) => return Ok(stream),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                if Instant::now() + Duration::from_millis(10) >= deadline {
                    return Err(if held(path) {
                        QmpError::Held(path.into())
                    } else {
                        QmpError::Silent(path.into())
                    });
                }
                sleep(Duration::from_millis(10)).await;
            }
            Err(source) => return Err(QmpError::Absent { path: path.into(), source }),
        }
    }
}

/// Whether somebody else is being served on this socket: the kernel lists each accepted connection under the socket's path, with an inode; those that
/// wait to be accepted (ours) have none.
fn held(path: &Path) -> bool {
    let table = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let path = path.to_string_lossy();
    table.lines().filter(|l| l.ends_with(path.as_ref())).any(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        matches!(fields.as_slice(), [_, _, _, _, _, "03", inode, p] if *inode != "0" && *p == path)
    })
}

fn version_text(version: &Value) -> String {
    let number = |at| version.pointer(at).and_then(Value::as_u64).unwrap_or(0);
    let (major, minor, micro) = (number("/qemu/major"), number("/qemu/minor"), number("/qemu/micro"));
    match version.get("package").and_then(Value::as_str).filter(|p| !p.is_empty()) {
        Some(package) => format!("{major}.{minor}.{micro} ({package})"),
        None => format!("{major}.{minor}.{micro}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{IoSliceMut, Read, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::{UnixListener, UnixStream as Peer};

    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    use tempfile::TempDir;

    use super::*;

    const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 0, "minor": 1, "major": 12}, "package": ""}, "capabilities": ["oob"]}}"#;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(300)
    }

    /// A QEMU that follows a script: for each line that it is sent, the next answer; `%` in it is the command's id.
    fn server(greeting: &'static str, answers: &[&'static str]) -> (TempDir, PathBuf) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("q");
        let listener = UnixListener::bind(&path).unwrap();
        let answers = answers.to_vec();
        std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            stream.write_all(greeting.as_bytes()).unwrap();
            for answer in answers {
                let mut line = Vec::new();
                while !line.ends_with(b"\n") {
                    let mut byte = [0];
                    if stream.read(&mut byte).unwrap_or(0) == 0 {
                        return;
                    }
                    line.push(byte[0]);
                }
                let asked: Value = serde_json::from_slice(&line).unwrap();
                for piece in answer.replace('%', &asked["id"].to_string()).as_bytes().chunks(7) {
                    let _ = stream.write_all(piece); // in pieces, as a socket may give them
                }
            }
            let mut rest = [0; 64];
            while stream.read(&mut rest).unwrap_or(0) > 0 {} // silent from here on
        });
        (dir, path)
    }

    const READY: &str = "{\"return\": {}, \"id\": %}\r\n";

    fn greeting() -> &'static str {
        Box::leak(format!("{GREETING}\r\n").into_boxed_str())
    }

    #[tokio::test]
    async fn events_it_does_not_know_are_kept_in_order_with_their_time() {
        let busy = concat!(
            r#"{"timestamp": {"seconds": 5, "microseconds": 250000}, "event": "STOP"}"#,
            "\r\n",
            r#"{"timestamp": {"seconds": -1, "microseconds": -1}, "event": "NEW_IN_12", "data": {"x": [1, {"y": null}]}}"#,
            "\r\n",
            r#"{"return": "of an earlier question", "id": 0}"#,
            "\r\n",
            r#"{"return": {"new-key": 1}, "id": %}"#,
            "\r\n"
        );
        let (_dir, path) = server(greeting(), &[READY, busy]);
        let mut qmp = Qmp::connect(&path, soon()).await.unwrap();
        assert_eq!((qmp.version(), qmp.pid()), ("12.1.0", Some(std::process::id())));
        assert_eq!(qmp.execute("x", json!({}), soon()).await.unwrap(), json!({"new-key": 1}));
        let events = qmp.take_events();
        assert_eq!(
            events[0],
            Event { name: "STOP".into(), at: Some(Duration::from_millis(5250)), data: Value::Null }
        );
        assert_eq!((events[1].name.as_str(), events[1].at), ("NEW_IN_12", None));
        assert_eq!(events[1].data["x"][1], json!({"y": null}));
        assert!(qmp.take_events().is_empty());
    }

    #[tokio::test]
    async fn a_refusal_leaves_the_connection_good_and_no_answer_does_not() {
        let refusal =
            "{\"error\": {\"class\": \"GenericError\", \"desc\": \"Need a root block node\"}, \"id\": %}\r\n";
        let (_dir, path) = server(greeting(), &[READY, refusal, READY]);
        let mut qmp = Qmp::connect(&path, soon()).await.unwrap();
        let e = qmp.execute("one", json!({}), soon()).await.unwrap_err();
        assert!(!e.unsettled() && !qmp.broken());
        assert_eq!(e.to_string(), "QEMU refused one: Need a root block node");
        qmp.execute("two", json!({}), soon()).await.unwrap();
        let e = qmp.execute("three", json!({}), soon()).await.unwrap_err();
        assert!(matches!(e, QmpError::Unanswered { .. }) && e.unsettled() && qmp.broken());
        assert!(e.to_string().starts_with("QEMU does not answer: no reply to three within 3"), "{e}");
        assert!(
            matches!(qmp.execute("four", json!({}), soon()).await, Err(QmpError::Closed { .. })),
            "broken for good"
        );
    }

    #[tokio::test]
    async fn a_command_given_up_in_the_middle_breaks_the_connection() {
        let (_dir, path) = server(greeting(), &[READY]);
        let mut qmp = Qmp::connect(&path, soon()).await.unwrap();
        let given_up =
            tokio::time::timeout(Duration::from_millis(20), qmp.execute("x", json!({}), soon())).await;
        assert!(given_up.is_err() && qmp.broken(), "its late answer must not be taken for the next one's");
    }

    #[tokio::test]
    async fn nobody_no_greeting_no_qmp_and_the_end_are_told_apart() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("q");
        assert!(matches!(Qmp::connect(&path, soon()).await, Err(QmpError::Absent { .. })));
        drop(UnixListener::bind(&path).unwrap()); // the file of a QEMU that was killed stays
        assert!(matches!(Qmp::connect(&path, soon()).await, Err(QmpError::Absent { .. })));

        let (_dir, path) = server("", &[READY]);
        assert!(matches!(Qmp::connect(&path, soon()).await, Err(QmpError::Held(_) | QmpError::Silent(_))));
        for foreign in ["{\"hello\": 1}\n", "220 smtp ready\n"] {
            let (_dir, path) = server(foreign, &[READY]);
            assert!(matches!(Qmp::connect(&path, soon()).await, Err(QmpError::Foreign { .. })), "{foreign}");
        }
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("q");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || drop(listener.accept()));
        assert!(matches!(Qmp::connect(&path, soon()).await, Err(QmpError::Closed { .. })));
    }

    #[tokio::test]
    async fn a_second_client_is_told_that_the_socket_is_held() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("q");
        let listener = UnixListener::bind(&path).unwrap();
        let _first = Peer::connect(&path).unwrap();
        let _served = listener.accept().unwrap();
        assert!(matches!(Qmp::connect(&path, soon()).await, Err(QmpError::Held(_))));
    }

    #[tokio::test]
    async fn a_file_goes_with_its_command() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("q");
        let listener = UnixListener::bind(&path).unwrap();
        let peer = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            stream.write_all(greeting().as_bytes()).unwrap();
            let mut bytes = [0; 4096];
            let _ = stream.read(&mut bytes).unwrap();
            stream.write_all(b"{\"return\": {}, \"id\": 1}\n").unwrap();
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let got =
                recvmsg(&stream, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::empty())
                    .unwrap();
            let file = ancillary.drain().find_map(|m| match m {
                RecvAncillaryMessage::ScmRights(mut files) => files.next(),
                _ => None,
            });
            stream.write_all(b"{\"return\": {}, \"id\": 2}\n").unwrap();
            (String::from_utf8_lossy(&bytes[..got.bytes]).into_owned(), file.unwrap())
        });
        let mut qmp = Qmp::connect(&path, soon()).await.unwrap();
        let file = tempfile::tempfile().unwrap();
        (&file).write_all(b"the very file").unwrap();
        qmp.getfd("mem", file.as_fd(), soon()).await.unwrap();
        let (command, got): (String, OwnedFd) = peer.join().unwrap();
        assert!(
            command.contains(r#""execute":"getfd""#) && command.contains(r#""fdname":"mem""#),
            "{command}"
        );
        let mut text = String::new();
        let mut got = std::fs::File::from(got);
        std::io::Seek::rewind(&mut got).unwrap();
        got.read_to_string(&mut text).unwrap();
        assert_eq!(text, "the very file");
    }
}
