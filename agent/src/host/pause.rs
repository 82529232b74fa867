//! A pause of a guest, as a file under the run folder: what must be released, by whoever finds it, exactly once.
//!
//! ```text
//!   agent: write FILE -> guard armed -> stop ...... lock FILE -> cont -> unlink FILE
//!   guard, or the next agent, when this one is dead: lock FILE -> cont -> unlink FILE
//! ```
//!
//! Who holds the file's lock and sees that it is still linked releases. The unlink comes last: a releaser that dies in the middle is followed by another, who
//! finds the guest running or lets it run. The file says how ([`How`]). No file means no pause of ours: a guest that somebody else paused is never released.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use uuid::Uuid;
use xensnap::contract::OperationId;

use super::Instance;
use super::process::Process;
use super::xen::hold::Hold;

/// A pause. Private to the agent's own processes of one boot: not part of the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The operation whose pause it is.
    pub operation: String,
    /// The domain.
    pub domain: Uuid,
    /// Its name.
    pub name: String,
    /// The run that is paused, in its driver's words.
    pub run: String,
    /// How it is ended.
    pub how: How,
    /// The agent that paused it: a [`Process`].
    pub agent: String,
    /// When the guard releases it whatever happens: milliseconds of the boot's clock.
    pub deadline_ms: u64,
}

/// How a pause is ended by one who knows no more than its file: the guard, or the next agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// `cont` at this QMP socket, to the [`Process`] that is the run.
    Qmp(PathBuf),
    /// By Xen.
    Xen(Hold),
}

/// How a release ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The guest was let go on.
    WentOn,
    /// It ran already, or is held by something that is not ours.
    NotHeld,
    /// Its run has ended.
    Gone,
}

/// A pause whose file is locked by us.
#[derive(Debug)]
pub struct Held {
    /// The pause.
    pub pause: Pause,
    path: PathBuf,
    _lock: File,
}

/// Milliseconds of the boot's clock, which goes on while the host sleeps and is never set.
pub fn clock_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}

fn file(folder: &Path, operation: &str) -> PathBuf {
    folder.join(format!("{operation}.json"))
}

impl Pause {
    /// A pause of a run by this agent, which the guard ends after that time.
    pub fn new(operation: &OperationId, instance: &Instance, time: Duration, how: How) -> Self {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            operation: operation.as_str().to_owned(),
            domain: instance.uuid,
            name: instance.name.clone(),
            run: instance.run.clone(),
            how,
            agent: Process::own().map(|p| p.to_string()).unwrap_or_default(),
            deadline_ms: clock_ms().saturating_add(ms),
        }
    }

    /// Writes the file. It need not survive a power cut, only its writer.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        super::files::private_folder(folder)?;
        let temporary = folder.join(format!(".{}.tmp", self.operation));
        let mut out = File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        out.write_all(&serde_json::to_vec(self).map_err(io::Error::other)?)?;
        fs::rename(&temporary, file(folder, &self.operation))
    }

    /// Whether the agent that paused it is still there and has time left.
    pub fn in_good_hands(&self) -> bool {
        self.agent.parse().is_ok_and(Process::alive) && clock_ms() < self.deadline_ms
    }
}

/// How much time a pause has left; `None` when there is none.
pub fn left(folder: &Path, operation: &str) -> Option<Duration> {
    let pause: Pause = serde_json::from_slice(&fs::read(file(folder, operation)).ok()?).ok()?;
    Some(Duration::from_millis(pause.deadline_ms.saturating_sub(clock_ms())))
}

/// Gives a pause more time from now on: before something that is known to take longer, and after which nothing is paused.
///
/// # Errors
/// When the file cannot be written.
pub fn extend(folder: &Path, operation: &str, time: Duration) -> io::Result<()> {
    let Ok(bytes) = fs::read(file(folder, operation)) else { return Ok(()) };
    let pause: Pause = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
    let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Pause { deadline_ms: clock_ms().saturating_add(ms), ..pause }.write(folder)
}

/// The operations that have a pause now.
pub fn all(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|e| Some(e.file_name().to_str()?.strip_suffix(".json")?.to_owned())).collect()
}

/// Locks an operation's pause; `None` when there is none (any more).
///
/// # Errors
/// When the file cannot be read, or stays locked until the deadline.
pub async fn take(folder: &Path, operation: &str, deadline: Instant) -> io::Result<Option<Held>> {
    let path = file(folder, operation);
    let lock = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    while let Err(e) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        if e != rustix::io::Errno::WOULDBLOCK || Instant::now() >= deadline {
            return Err(e.into());
        }
        sleep(Duration::from_millis(2)).await;
    }
    if lock.metadata()?.nlink() == 0 {
        return Ok(None);
    }
    let pause = serde_json::from_reader(&lock).map_err(io::Error::other)?;
    Ok(Some(Held { pause, path, _lock: lock }))
}

impl Held {
    /// The pause is over: the guest runs, or is gone.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn over(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}
