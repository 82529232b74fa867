//! A unit that is there before it has a program to run: systemd needs time to make one, and a domain that was ended to be reverted should not wait for that.
//!
//! ```text
//!   prepare:   a unit `xensnapd ready SOCKET` <--- one connection, kept
//!   run:       line {log, noted} --> "taken"; it is that `noted` from then on
//!   the agent ends before: end of file --> it ends too
//! ```

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixListener, UnixStream as Stream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use xensnap::contract::ErrorKind;

use super::noted::{self, Noted};
use crate::host::process::Process;
use crate::host::settings::Settings;
use crate::host::{HostError, Result, detached};

/// How long it may take until it listens.
const START_MAX: Duration = Duration::from_secs(30);
/// How long it may take to take its program.
const TAKE_MAX: Duration = Duration::from_secs(10);
/// The longest line that is read, in bytes.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// What it says when it has taken its program.
const TAKEN: &str = "taken";

/// What it is to do.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    /// The file that takes what the program says, at its end.
    log: PathBuf,
    /// The program, and where its end is noted.
    noted: Noted,
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

impl Ready {
    /// None yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, waiting: Mutex::default(), made: AtomicU32::new(0) }
    }

    /// Has one made, if none waits. That it cannot be made is told, and no harm: the program's own unit is made then.
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

    /// Has a program run so that it outlives us, and its end noted: in the unit that waits, if there is one, else in one of this name. Returns the process that
    /// will note it, where that is known.
    ///
    /// # Errors
    /// As [`detached::start`].
    pub async fn run(&self, unit: &str, log: &Path, noted: Noted) -> Result<Option<Process>> {
        let order = Order { log: log.to_owned(), noted };
        if let Some(waiting) = self.waiting.lock().await.take() {
            let process = waiting.process;
            match waiting.take(&order).await {
                Ok(()) => return Ok(Some(process)),
                Err(why) => eprintln!("xensnapd: {unit} gets a unit of its own: {why}"),
            }
            // It must not begin later, beside another one.
            process.kill(TAKE_MAX).await?;
        }
        let command = order.noted.command(&self.settings.exe);
        detached::start_parent(&self.settings, unit, log, &command).await.map(|()| None)
    }
}

impl Waiting {
    async fn take(mut self, order: &Order) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        let mut said = String::new();
        timeout(TAKE_MAX, async {
            self.stream.write_all(&line).await?;
            self.stream.read_to_string(&mut said).await
        })
        .await??;
        if said == TAKEN { Ok(()) } else { Err(std::io::Error::other(format!("it said {said:?}"))) }
    }
}

/// `xensnapd ready SOCKET`: waits for its program, and runs it.
pub fn main(socket: &Path) -> ExitCode {
    match accept(socket) {
        Ok(client) => serve(client),
        Err(e) => {
            eprintln!("error: {}: {e}", socket.display());
            ExitCode::FAILURE
        }
    }
}

fn accept(socket: &Path) -> std::io::Result<Stream> {
    let listener = UnixListener::bind(socket)?;
    // Whoever had it made connects at once, or has died.
    set_socket_timeout(&listener, Timeout::Recv, Some(START_MAX))?;
    let client = listener.accept();
    std::fs::remove_file(socket)?;
    Ok(client?.0)
}

fn serve(mut client: Stream) -> ExitCode {
    let mut line = String::new();
    let read = BufReader::new((&client).take(LINE_BYTES_MAX)).read_line(&mut line);
    if read.is_err() || !line.ends_with('\n') {
        return ExitCode::SUCCESS; // the agent has ended
    }
    let order = serde_json::from_str::<Order>(&line).map_err(std::io::Error::from);
    match order.and_then(|order| open(&order.log).and_then(says_to).map(|()| order.noted)) {
        Ok(noted) => {
            // Who asked may have gone: what was asked for is done all the same.
            let _ = client.write_all(TAKEN.as_bytes());
            drop(client);
            noted::main(&noted)
        }
        Err(e) => {
            let _ = client.write_all(e.to_string().as_bytes());
            ExitCode::FAILURE
        }
    }
}

fn open(log: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(log)
}

/// What this process and its program say goes there from now on.
fn says_to(log: File) -> std::io::Result<()> {
    rustix::stdio::dup2_stdout(&log)?;
    rustix::stdio::dup2_stderr(&log)?;
    Ok(())
}
