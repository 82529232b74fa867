//! A unit that is there before its command is: systemd needs time to make one, and a domain that was ended to be reverted should not wait for that.
//!
//! ```text
//!   prepare:        a unit `xensnapd ready SOCKET` <--- one connection, kept
//!   start_parent:   line {log, command} --> it becomes the command: end of file | says why it cannot
//!   the agent ends: end of file --> it ends too
//! ```

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixListener, UnixStream as Stream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use xensnap::contract::ErrorKind;

use crate::host::process::Process;
use crate::host::settings::Settings;
use crate::host::{HostError, Result, detached};

/// How long it may take until it listens.
const START_MAX: Duration = Duration::from_secs(30);
/// How long it may take to become its command.
const EXEC_MAX: Duration = Duration::from_secs(10);
/// The longest line that is read, in bytes.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// What it is to become.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    /// The file that takes what the command says, at its end.
    log: PathBuf,
    /// The program and its arguments.
    command: Vec<String>,
}

/// At most one unit that waits.
#[derive(Debug)]
pub struct Ready {
    settings: Settings,
    waiting: Mutex<Option<Waiting>>,
    made: AtomicU32,
}

#[derive(Debug)]
struct Waiting {
    stream: UnixStream,
    process: Process,
}

/// Why a unit that waited did not take its command.
enum NotTaken {
    /// It is as if it had not been asked.
    Unused(String),
    /// It was asked, and nobody knows.
    Unknown(HostError),
}

impl Ready {
    /// None yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, waiting: Mutex::default(), made: AtomicU32::new(0) }
    }

    /// Has one made, if none waits. That it cannot be made is told, and no harm: the command's own unit is made then.
    pub async fn prepare(&self) {
        let mut waiting = self.waiting.lock().await;
        if waiting.as_ref().is_some_and(|w| w.process.alive()) {
            return;
        }
        match self.make().await {
            Ok(made) => *waiting = Some(made),
            Err(e) => eprintln!("xensnapd: no unit can be made ready: {e}"),
        }
    }

    async fn make(&self) -> Result<Waiting> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let name = format!("start-{}-{number}", std::process::id());
        let run_dir = &self.settings.run_dir;
        let (unit, socket, log) =
            (format!("xensnap-{name}"), run_dir.join(format!("{name}.sock")), run_dir.join("ready.log"));
        let command = [self.settings.exe.display().to_string(), "ready".into(), socket.display().to_string()];
        detached::start_parent(&self.settings, &unit, &log, &command).await?;
        let stream = detached::connected(&unit, &log, (&socket, START_MAX)).await?;
        let pid = stream.peer_cred().ok().and_then(|peer| u32::try_from(peer.pid()?).ok());
        match pid.and_then(Process::of) {
            Some(process) => Ok(Waiting { stream, process }),
            None => Err(HostError::new(ErrorKind::Internal, format!("{unit} has ended at once"))),
        }
    }

    /// As [`detached::start_parent`], in the unit that waits if there is one: it keeps its own name then.
    ///
    /// # Errors
    /// As [`detached::start`].
    pub async fn start_parent(&self, unit: &str, log: &Path, command: &[String]) -> Result<()> {
        if let Some(waiting) = self.waiting.lock().await.take() {
            match waiting.become_it(log, command).await {
                Ok(()) => return Ok(()),
                Err(NotTaken::Unused(why)) => eprintln!("xensnapd: {unit} gets a unit of its own: {why}"),
                Err(NotTaken::Unknown(e)) => return Err(e),
            }
        }
        detached::start_parent(&self.settings, unit, log, command).await
    }
}

impl Waiting {
    async fn become_it(mut self, log: &Path, command: &[String]) -> std::result::Result<(), NotTaken> {
        let unused = |e: &dyn std::fmt::Display| NotTaken::Unused(e.to_string());
        let order = Order { log: log.to_owned(), command: command.to_owned() };
        let mut line = serde_json::to_vec(&order).map_err(|e| unused(&e))?;
        line.push(b'\n');
        self.stream.write_all(&line).await.map_err(|e| unused(&e))?;
        let mut said = String::new();
        match timeout(EXEC_MAX, self.stream.read_to_string(&mut said)).await {
            Ok(Ok(0)) => Ok(()), // its end of the socket was closed by exec
            Ok(Ok(_)) => Err(unused(&said)),
            // It must not become the command later, beside another one.
            Ok(Err(_)) | Err(_) => match self.process.kill(EXEC_MAX).await {
                Ok(()) => Err(unused(&"the unit that waited did not answer")),
                Err(e) => Err(NotTaken::Unknown(e)),
            },
        }
    }
}

/// `xensnapd ready SOCKET`: waits for its command, and becomes it.
pub fn main(socket: &Path) -> ExitCode {
    let taken = UnixListener::bind(socket).and_then(|listener| {
        // Whoever had it made connects at once, or has died.
        rustix::net::sockopt::set_socket_timeout(
            &listener,
            rustix::net::sockopt::Timeout::Recv,
            Some(START_MAX),
        )?;
        let client = listener.accept();
        std::fs::remove_file(socket)?;
        Ok(client?.0)
    });
    match taken {
        Ok(client) => serve(&client),
        Err(e) => {
            eprintln!("error: {}: {e}", socket.display());
            ExitCode::FAILURE
        }
    }
}

fn serve(client: &Stream) -> ExitCode {
    let mut line = String::new();
    let read = BufReader::new(client.take(LINE_BYTES_MAX)).read_line(&mut line);
    if read.is_err() || !line.ends_with('\n') {
        return ExitCode::SUCCESS; // the agent has ended
    }
    let why = match serde_json::from_str::<Order>(&line) {
        Ok(order) => become_it(&order).to_string(),
        Err(e) => format!("no order: {e}"),
    };
    let mut client = client;
    let _ = client.write_all(why.as_bytes());
    ExitCode::FAILURE
}

/// Returns only when it cannot.
fn become_it(order: &Order) -> std::io::Error {
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&order.log);
    let (log, also) = match log.and_then(|log| Ok((log.try_clone()?, log))) {
        Ok(both) => both,
        Err(e) => return e,
    };
    let [program, args @ ..] = order.command.as_slice() else { return std::io::Error::other("no program") };
    #[expect(clippy::disallowed_methods, reason = "the host is where processes are started")]
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(log).stderr(also).exec()
}
