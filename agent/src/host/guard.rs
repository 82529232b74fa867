//! The guard: a small process beside the agent that lets guests go on when the agent no longer can.
//!
//! ```text
//!   agent                                         guard (own session, own cgroup)
//!     | write pause file
//!     |---- arm OPERATION MS ----------------------> remembers the deadline
//!     |<--- armed OPERATION -------------------------
//!     | stop .. snapshot .. cont, unlink file
//!     |---- disarm OPERATION ----------------------> forgets it
//!     |---- hand OPERATION ------------------------> its QEMU hangs, the agent does not: releases it as soon as QEMU answers
//!     |
//!     x dies (seen by pidfd) ---------------------> releases every pause of this agent, ends
//!     z hangs, is stopped: the deadline passes ---> SIGKILL by pidfd (a stopped agent still holds the QMP socket), then the same
//! ```
//!
//! One guard an agent, started with it; one that dies is replaced: at once when it watched over a pause, else at the next arm. The pause files
//! ([`super::pause`]) decide who releases. Backstops when both die: `release-leftovers` by the service's ExecStopPost, and at the agent's next start.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use xensnap::contract::ErrorKind;

use super::pause::{self, Pause};
use super::process::Process;
use super::settings::{Settings, pauses};
use super::{HostError, Result, detached, files};

/// How long a new guard may take until it listens.
const START_MAX: Duration = Duration::from_secs(10);
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// How long a guard waits for its agent's connection before it ends.
const ORPHAN_MAX: Duration = Duration::from_secs(30);
/// How long before its deadline a pause that cannot be ended is left to the guard.
const HAND_OVER: Duration = Duration::from_secs(1);
/// How long one try of a release may take: as long as QEMU's main loop may be blocked by a snapshot of a huge image.
const TRY_MAX: Duration = Duration::from_secs(30);

/// How many guards this process has started: no two have one socket.
static STARTED: AtomicU32 = AtomicU32::new(1);

/// The agent's side.
#[derive(Debug)]
pub struct Guard {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    link: Mutex<Link>,
}

#[derive(Debug, Default)]
struct Link {
    stream: Option<(mpsc::UnboundedReceiver<String>, OwnedWriteHalf)>,
    armed: HashMap<String, Instant>,
    started: u32,
}

impl Guard {
    /// Not started yet: see [`Guard::ready`].
    pub fn new(settings: Settings) -> Self {
        Self { shared: Arc::new(Shared { settings, link: Mutex::default() }) }
    }

    /// Starts the guard unless it runs.
    ///
    /// # Errors
    /// When it cannot be started: nothing may be paused then.
    pub async fn ready(&self) -> Result<()> {
        let mut link = self.shared.link.lock().await;
        if link.stream.is_none() { start(&self.shared, &mut link).await } else { Ok(()) }
    }

    /// Has the guard watch over a pause, whose file is written; returns once it does.
    ///
    /// # Errors
    /// When no guard can be had: the guest must not be paused then.
    pub async fn arm(&self, operation: &str, time: Duration) -> Result<()> {
        let mut link = self.shared.link.lock().await;
        link.armed.insert(operation.to_owned(), Instant::now() + time);
        if link.tell(operation).await {
            return Ok(());
        }
        let done = start(&self.shared, &mut link).await;
        if done.is_err() {
            link.armed.remove(operation);
        }
        done
    }

    /// Leaves a pause to the guard, which tries until it is over: one of an earlier agent, or one whose QEMU hangs, for which no agent is to be killed.
    pub async fn take_over(&self, operation: &str) {
        let mut link = self.shared.link.lock().await;
        link.armed.remove(operation);
        link.say(&format!("release {operation}\n")).await;
    }

    /// Leaves a pause to the guard, without a deadline: a QEMU that hangs is no reason to end an agent that does not, nor the operations on other domains.
    pub async fn hand_over(&self, operation: &str) {
        let mut link = self.shared.link.lock().await;
        if link.armed.contains_key(operation) && link.say(&format!("hand {operation}\n")).await {
            link.armed.remove(operation);
        }
    }

    /// Carries out the agent's own release of a pause; one that fails, or is not over shortly before the deadline, is left to the guard.
    ///
    /// # Errors
    /// The release's.
    pub async fn releasing<T>(&self, operation: &str, release: impl Future<Output = Result<T>>) -> Result<T> {
        let left = pause::left(&self.shared.settings.pauses(), operation);
        let mut release = std::pin::pin!(release);
        let done = match left {
            None => release.await,
            Some(left) => match timeout(left.saturating_sub(HAND_OVER), &mut release).await {
                Ok(done) => done,
                Err(_) => {
                    self.hand_over(operation).await;
                    release.await
                }
            },
        };
        if done.is_err() {
            self.hand_over(operation).await;
        }
        done
    }

    /// Tells the guard that a pause is over.
    pub async fn disarm(&self, operation: &str) {
        let mut link = self.shared.link.lock().await;
        link.armed.remove(operation);
        link.say(&format!("disarm {operation}\n")).await;
    }
}

/// Starts a new guard, and has it watch over all that is armed.
async fn start(shared: &Arc<Shared>, link: &mut Link) -> Result<()> {
    link.stream = None;
    link.started = STARTED.fetch_add(1, Ordering::Relaxed);
    let run_dir = &shared.settings.run_dir;
    let number = format!("{}-{}", std::process::id(), link.started);
    let socket = run_dir.join(format!("guard-{number}.sock"));
    let text = |path: &Path| path.display().to_string();
    let command = [text(&shared.settings.exe), "guard".into(), text(run_dir), text(&socket)];
    let log = run_dir.join("guard.log");
    let unit = format!("xensnapd-guard-{number}");
    let stream =
        detached::start_server(&shared.settings, &unit, &log, &command, (&socket, START_MAX)).await?;
    let (read, write) = stream.into_split();
    let (send, answers) = mpsc::unbounded_channel();
    link.stream = Some((answers, write));
    tokio::spawn(listen(BufReader::new(read).lines(), send, Arc::downgrade(shared), link.started));
    for operation in link.armed.keys().cloned().collect::<Vec<_>>() {
        if !link.tell(&operation).await {
            return Err(HostError::new(ErrorKind::Internal, "the guard ends as soon as it is started")
                .hint(format!("see {}", log.display())));
        }
    }
    Ok(())
}

/// Takes in what a guard says, until it ends. If it leaves a pause unwatched then, another takes over at once.
fn listen(
    mut lines: Lines<BufReader<OwnedReadHalf>>,
    answers: mpsc::UnboundedSender<String>,
    shared: Weak<Shared>,
    number: u32,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            if answers.send(line).is_err() {
                return;
            }
        }
        drop(answers);
        let Some(shared) = shared.upgrade() else { return };
        let mut link = shared.link.lock().await;
        if link.started != number {
            return;
        }
        link.stream = None;
        if !link.armed.is_empty() {
            eprintln!("xensnapd: the guard has died; another one takes over");
            if let Err(e) = start(&shared, &mut link).await {
                eprintln!("xensnapd: no guard watches over paused guests: {e}");
            }
        }
    })
}

impl Link {
    async fn say(&mut self, line: &str) -> bool {
        let Some((_, write)) = &mut self.stream else { return false };
        let said = write.write_all(line.as_bytes()).await.is_ok();
        if !said {
            self.stream = None;
        }
        said
    }

    /// Arms one pause; false when the guard does not confirm it.
    async fn tell(&mut self, operation: &str) -> bool {
        let Some(deadline) = self.armed.get(operation) else { return true };
        let ms = deadline.saturating_duration_since(Instant::now()).as_millis();
        if !self.say(&format!("arm {operation} {ms}\n")).await {
            return false;
        }
        let Some((answers, _)) = &mut self.stream else { return false };
        let answer = timeout(ANSWER_MAX, answers.recv()).await;
        let armed = matches!(answer, Ok(Some(line)) if line == format!("armed {operation}"));
        if !armed {
            self.stream = None;
        }
        armed
    }
}

/// `xensnapd guard RUN_DIR SOCKET`: the guard's side. Started by the agent.
pub fn main(run_dir: &Path, socket: &Path) -> ExitCode {
    // The guard is the last that may fall to a shortage of memory. Without the right to say so it goes on as it is.
    let _ = fs::File::options()
        .write(true)
        .open("/proc/self/oom_score_adj")
        .and_then(|mut f| f.write_all(b"-1000"));
    let served = runtime().and_then(|rt| rt.block_on(serve(socket, &pauses(run_dir))));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xensnapd guard: {e}");
            ExitCode::FAILURE
        }
    }
}

/// `xensnapd release-leftovers`: for the service's ExecStopPost. Leaves alone what a living agent holds.
pub fn release_all(run_dir: &Path) -> ExitCode {
    let work = async {
        let (released, held) = leftovers(&pauses(run_dir), TRY_MAX).await;
        for operation in &released {
            eprintln!("xensnapd: released the guest that operation {operation} had paused");
        }
        for what in &held {
            eprintln!("xensnapd: {what}");
        }
        held.is_empty()
    };
    match runtime() {
        Ok(rt) if rt.block_on(work) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn serve(socket: &Path, folder: &Path) -> std::io::Result<()> {
    let listener = UnixListener::bind(socket)?;
    let accepted = timeout(ORPHAN_MAX, listener.accept()).await;
    fs::remove_file(socket)?;
    let Ok(connection) = accepted else { return Ok(()) }; // the agent died before it could connect
    let stream = connection?.0;
    let peer = stream.peer_cred()?;
    let agent = peer.pid().and_then(|p| u32::try_from(p).ok()).and_then(Process::of);
    let pidfd = peer.pid().and_then(Pid::from_raw).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let pidfd = pidfd.map(Arc::new);
    let whose = agent.map_or(Whose::Nobody, Whose::Agent);
    let overdue = tokio::select! {
        overdue = watch(stream, folder, whose) => Some(overdue),
        () = ended(agent, pidfd.clone()) => None,
    };
    if let (Some(operation), Some(pidfd)) = (&overdue, &pidfd) {
        eprintln!("xensnapd guard: operation {operation} holds its guest too long: the agent is killed");
        let _ = pidfd_send_signal(pidfd, Signal::KILL); // ESRCH: it has died just now
    }
    let mut releases = JoinSet::new();
    for operation in pause::all(folder) {
        releases.spawn(release(folder.to_owned(), operation, whose));
    }
    releases.join_all().await;
    Ok(())
}

/// Returns when the agent has ended. The end of its connection is no sign of that: it may have got another guard meanwhile.
async fn ended(agent: Option<Process>, pidfd: Option<Arc<OwnedFd>>) {
    if let Some(pidfd) = pidfd {
        // A pidfd is readable once its process has ended (pidfd_open(2)).
        let wait = move || {
            while let Err(rustix::io::Errno::INTR) = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None) {}
        };
        let _ = tokio::task::spawn_blocking(wait).await; // should it fail, the loop below waits
    }
    while agent.is_some_and(Process::alive) {
        sleep(Duration::from_millis(50)).await; // a kernel before 5.3 has no pidfd
    }
}

/// Serves the agent; returns the operation whose deadline has passed.
async fn watch(stream: UnixStream, folder: &Path, whose: Whose) -> String {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut armed: HashMap<String, Instant> = HashMap::new();
    loop {
        let next = armed.iter().min_by_key(|(_, at)| **at).map(|(operation, at)| (operation.clone(), *at));
        let expiry = async {
            match &next {
                Some((operation, at)) => {
                    sleep_until(*at).await;
                    operation.clone()
                }
                None => std::future::pending().await,
            }
        };
        let line = tokio::select! {
            line = lines.next_line() => line,
            overdue = expiry => return overdue,
        };
        // What was armed here is no longer known: another guard has it, or the agent is about to end.
        let Ok(Some(line)) = line else { return std::future::pending().await };
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["arm", operation, ms] => {
                let time = Duration::from_millis(ms.parse().unwrap_or(0));
                armed.insert((*operation).to_owned(), Instant::now() + time);
                if write.write_all(format!("armed {operation}\n").as_bytes()).await.is_err() {
                    return std::future::pending().await;
                }
            }
            ["release", operation] => {
                armed.remove(*operation);
                drop(tokio::spawn(release(folder.to_owned(), (*operation).to_owned(), Whose::Anybody)));
            }
            ["hand", operation] => {
                armed.remove(*operation);
                drop(tokio::spawn(release(folder.to_owned(), (*operation).to_owned(), whose)));
            }
            ["disarm", operation] => drop(armed.remove(*operation)),
            _ => eprintln!("xensnapd guard: not understood: {line}"),
        }
    }
}

/// Whose pauses are to be released.
#[derive(Clone, Copy, Debug)]
enum Whose {
    /// This agent's.
    Agent(Process),
    /// Those that no living agent with time left has.
    Nobody,
    /// Whoever's: an agent asked for it.
    Anybody,
}

impl Whose {
    fn is(self, pause: &Pause) -> bool {
        match self {
            Self::Agent(agent) => pause.agent == agent.to_string(),
            Self::Nobody => !pause.in_good_hands(),
            Self::Anybody => true,
        }
    }
}

/// Releases one pause, trying until its run has ended or somebody else has done it.
async fn release(folder: std::path::PathBuf, operation: String, whose: Whose) {
    let mut wait = Duration::from_millis(20);
    loop {
        match release_once(&folder, &operation, whose, TRY_MAX).await {
            Ok(Some(how)) => return eprintln!("xensnapd guard: operation {operation}: {how:?}"),
            Ok(None) => return,
            Err(e) => eprintln!("xensnapd guard: operation {operation}: {e}"),
        }
        sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(1));
    }
}

/// One try; `None` when there is nothing for us to do.
async fn release_once(
    folder: &Path,
    operation: &str,
    whose: Whose,
    time: Duration,
) -> Result<Option<pause::Released>> {
    let deadline = Instant::now() + time;
    let io = |e: std::io::Error| files::failed("cannot use the pause file in", folder, &e);
    let Some(held) = pause::take(folder, operation, deadline).await.map_err(io)? else { return Ok(None) };
    if !whose.is(&held.pause) {
        return Ok(None);
    }
    let how = super::release::release(&held, deadline).await?;
    held.over().map_err(io)?;
    Ok(Some(how))
}

/// Releases every pause whose agent is dead or late. Returns the operations whose pauses are over, and in words those that could not be ended in time.
pub async fn leftovers(folder: &Path, time: Duration) -> (Vec<String>, Vec<String>) {
    let mut tries = JoinSet::new();
    for operation in pause::all(folder) {
        let folder = folder.to_owned();
        tries.spawn(async move {
            let done = release_once(&folder, &operation, Whose::Nobody, time).await;
            (operation, done)
        });
    }
    let (mut released, mut held) = (Vec::new(), Vec::new());
    for (operation, done) in tries.join_all().await {
        match done {
            Ok(Some(_)) => released.push(operation),
            Ok(None) => {}
            Err(e) => held.push(format!("operation {operation} still holds its guest: {e}")),
        }
    }
    (released, held)
}
