//! Debian's real xenstore daemons, unmodified, on a private socket and without Xen (`shim.c` stands in for it).
//!
//! [`Xenstored`] owns one daemon process: it ends with the value, and with the test's thread if that is killed.
//! [`Xenstored::add_domain`] makes a domain exist; after it is introduced ([`xensnap::xenstore::Connection::introduce`]) a
//! [`Guest`] speaks to the daemon through the domain's ring, with that domain's rights and quotas.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helper: it starts processes, and a failure is the test's"
)]

mod bed;
mod guest;

use std::fs;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) use bed::{Bed, changed, next, on_both, quiet};
pub(crate) use guest::{Guest, Refused};

/// Which of the two daemons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `xenstored`, in C.
    C,
    /// `oxenstored`, which Debian tries first.
    Ox,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::Ox => "o",
        }
    }
}

/// What the hypervisor says of a fake domain.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DomainState {
    Running,
    Shutdown,
    Crashed,
    Dying,
}

/// One running daemon. Dropping it kills the process; the folder stays, it is the caller's.
#[derive(Debug)]
pub(crate) struct Xenstored {
    kind: Kind,
    dir: PathBuf,
    child: Child,
}

impl Xenstored {
    /// Starts the daemon on `dir/socket` (`dir` is made when missing) and waits until it takes connections.
    /// Call it on the test's own thread: the daemon dies with the thread that started it.
    pub(crate) fn start(kind: Kind, dir: &Path) -> Self {
        fs::create_dir_all(dir).unwrap();
        let dir = dir.canonicalize().unwrap();
        let child = spawn(kind, &dir);
        let mut it = Self { kind, dir, child };
        it.wait_ready();
        it
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("socket")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: everything in the store is lost, the socket's file stays.
    pub(crate) fn kill9(&mut self) {
        self.child.kill().expect("kill xenstored");
        self.child.wait().expect("wait for xenstored");
    }

    /// Starts the daemon anew on the same socket, killing it first if it still runs.
    pub(crate) fn restart(&mut self) {
        self.kill9();
        self.child = spawn(self.kind, &self.dir);
        self.wait_ready();
    }

    /// SIGSTOP (`true`) or SIGCONT: a daemon that hangs.
    pub(crate) fn freeze(&self, stop: bool) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let signal = if stop { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
        rustix::process::kill_process(pid, signal).expect("signal xenstored");
    }

    /// Makes domain `domid` exist for the daemon. It is to be introduced over the socket before its [`Guest`] can speak.
    pub(crate) fn add_domain(&self, domid: u32) {
        self.set_domain(domid, DomainState::Running);
    }

    /// Changes what the hypervisor says of the domain; [`Self::raise_virq`] makes the daemon look.
    pub(crate) fn set_domain(&self, domid: u32, state: DomainState) {
        let dir = self.dir.join(format!("domains/{domid}"));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("state"), format!("{state:?}").to_lowercase()).unwrap();
    }

    /// The domain is gone.
    pub(crate) fn remove_domain(&self, domid: u32) {
        fs::remove_dir_all(self.dir.join(format!("domains/{domid}"))).unwrap();
    }

    /// VIRQ_DOM_EXC: the daemon asks after every domain's state.
    pub(crate) fn raise_virq(&self) {
        fs::OpenOptions::new()
            .write(true)
            .open(self.dir.join("events"))
            .and_then(|mut fifo| fifo.write_all(&1u32.to_ne_bytes()))
            .expect("the daemon's event channel");
    }

    /// The guest's end of the domain's ring.
    pub(crate) fn guest(&self, domid: u32) -> Guest {
        Guest::open(&self.dir, domid).expect("the domain's ring: is the domain introduced?")
    }

    /// Runs one of Xen's own tools (`xenstore-write`, ...) against this daemon; its standard output.
    pub(crate) fn tool(&self, name: &str, args: &[&str]) -> String {
        let output = self.tool_command(name, args).output().expect("start a xenstore tool");
        assert!(output.status.success(), "{name} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a tool's UTF-8 output")
    }

    /// The same, not yet started.
    pub(crate) fn tool_command(&self, name: &str, args: &[&str]) -> Command {
        let mut command = Command::new(cache().join("bin").join(name));
        command.args(args).env("XENSTORED_PATH", self.socket());
        command
    }

    fn wait_ready(&mut self) {
        let limit = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(self.socket()).is_err() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("xenstored ({:?}) ended: {status}\n{}", self.kind, self.log());
            }
            assert!(Instant::now() < limit, "xenstored ({:?}) does not answer\n{}", self.kind, self.log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Xenstored {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn rig() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rig")
}

/// Where `prepare` put the daemons and tools.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/xenstored")
}

fn spawn(kind: Kind, dir: &Path) -> Child {
    let log = fs::File::create(dir.join("log")).unwrap();
    Command::new(rig().join("run-xenstored"))
        .args(["--exec", kind.word()])
        .arg(dir)
        .env("XS_RIG_PARENT", std::process::id().to_string())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("start tests/rig/run-xenstored")
}
