//! A real QEMU guest: it counts in RAM and on its disks, and is registered in xenstore as a domain.
//!
//! ```text
//!   GuestSpec -> images, config.json -> QEMU, as the `qemu` driver starts it -> registered -> it counts
//!                                                                                               |
//!   asked through the serial log: what RAM and each disk hold, and whether they ever disagreed <-+
//! ```
//!
//! The guest is `guest/init.c` on Debian's kernel (`guest/build` makes both). [`Guest`] owns the domain, not one process: after a revert another
//! QEMU carries the same UUID, and dropping the value ends whichever it is. The log is appended to over all of them.
//!
//! How long was the guest paused? Its own clock stands still meanwhile, so ask from outside ([`GuestSpec::watched`]): [`Spy`] has QEMU's STOP and
//! RESUME events with QEMU's timestamps, which is the pause proper; [`Heartbeat`] times the guest's rounds, which also shows the stalls without
//! any event (an internal snapshot blocks QEMU's main loop), on top of a round's usual length.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helper: it starts processes, and a failure is the test's"
)]

mod log;
mod process;
mod spec;
mod watch;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use log::Count;
pub(crate) use spec::{DiskKind, DiskSpec, GuestSpec, QemuVersion};
pub(crate) use watch::{Heartbeat, Spy};

/// How long a guest may take to boot: 4 s on an idle machine, under emulation; here several boot at once.
pub(crate) const BOOT_MAX: Duration = Duration::from_secs(120);

/// A running domain. Dropping it ends its QEMU, whichever process that is by then; the folder stays, it is the caller's.
#[derive(Debug)]
pub(crate) struct Guest {
    spec: GuestSpec,
    dir: PathBuf,
    domid: u32,
}

impl Guest {
    /// Makes the images and the config in `dir` (created when missing, keep it short: socket paths have 107 bytes), starts QEMU, registers it
    /// as domain `domid` with the xenstored at `xenstore`, and waits until it counts.
    pub(crate) fn start(xenstore: &Path, domid: u32, spec: GuestSpec, dir: &Path) -> Self {
        let guest = Self::launch(domid, spec, dir);
        guest.register(xenstore);
        guest.wait_up();
        guest
    }

    /// The same without registering and without waiting for the first count: for many guests at once.
    pub(crate) fn launch(domid: u32, spec: GuestSpec, dir: &Path) -> Self {
        fs::create_dir_all(dir).unwrap();
        let dir = dir.canonicalize().unwrap();
        for disk in &spec.disks {
            disk.create(&dir);
        }
        fs::write(dir.join("config.json"), spec.config(&dir).to_string()).unwrap();
        let guest = Self { spec, dir, domid };
        guest.boot();
        guest
    }

    /// Starts its QEMU, when it has none: again after [`Self::kill9`], as its toolstack would.
    pub(crate) fn boot(&self) {
        if self.spec.kernel {
            spec::build();
        }
        let line = self.spec.command(&self.dir);
        let _ = fs::remove_file(self.dir.join("pid")); // a killed QEMU leaves it
        let stderr = File::options().create(true).append(true).open(self.dir.join("qemu.log")).unwrap();
        let mut child = Command::new(&line[0])
            .args(&line[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}; run tests/setup", line[0]));
        // Reaped at once, whoever ends it: a zombie looks alive to others. It stays in the test's process group, which nextest ends as a whole.
        let (sender, ended) = mpsc::channel();
        thread::spawn(move || sender.send(child.wait()));
        let limit = Instant::now() + BOOT_MAX;
        // Connected to, not only there: between bind and listen the socket's file refuses.
        let listens = || UnixStream::connect(self.qmp()).is_ok();
        while self.pid().is_none() || !self.dir.join("pid").exists() || !listens() {
            if let Ok(status) = ended.try_recv() {
                panic!("QEMU of {} ended at its start, {status:?}: {}", self.spec.name, self.stderr());
            }
            assert!(Instant::now() < limit, "QEMU of {} did not come up: {}", self.spec.name, self.stderr());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it counts (until QEMU runs, for a guest without a kernel).
    pub(crate) fn wait_up(&self) {
        if self.spec.kernel {
            self.wait_count_since(0, BOOT_MAX);
        }
    }

    /// Writes its nodes, as the toolstack of a plain QEMU does; again after a restart of xenstored.
    pub(crate) fn register(&self, xenstore: &Path) {
        let (domid, uuid, name) = (self.domid, &self.spec.uuid, &self.spec.name);
        let mut socket = connect(xenstore);
        for (path, value) in [
            (format!("/local/domain/{domid}/domid"), domid.to_string()),
            (format!("/local/domain/{domid}/name"), name.clone()),
            (format!("/local/domain/{domid}/vm"), format!("/vm/{uuid}")),
            (format!("/vm/{uuid}/uuid"), uuid.clone()),
            (format!("/vm/{uuid}/name"), name.clone()),
            (format!("/libxl/{domid}/xensnap/qemu_config"), self.config().display().to_string()),
        ] {
            request(&mut socket, XS_WRITE, format!("{path}\0{value}").as_bytes());
        }
    }

    /// Removes its nodes, as a toolstack does when a domain has ended.
    pub(crate) fn unregister(&self, xenstore: &Path) {
        let mut socket = connect(xenstore);
        for path in [
            format!("/local/domain/{}", self.domid),
            format!("/vm/{}", self.spec.uuid),
            format!("/libxl/{}", self.domid),
        ] {
            request(&mut socket, XS_RM, format!("{path}\0").as_bytes());
        }
    }

    pub(crate) fn spec(&self) -> &GuestSpec {
        &self.spec
    }

    /// The domid it was started as. The driver gives another one at each revert.
    pub(crate) fn domid(&self) -> u32 {
        self.domid
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The config that the registration names.
    pub(crate) fn config(&self) -> PathBuf {
        self.dir.join("config.json")
    }

    /// Its QMP socket, the agent's: one client at a time.
    pub(crate) fn qmp(&self) -> PathBuf {
        self.dir.join("qmp")
    }

    pub(crate) fn image(&self, vdev: &str) -> PathBuf {
        let disk = self.spec.disks.iter().find(|d| d.vdev == vdev);
        disk.unwrap_or_else(|| panic!("no disk {vdev}")).path(&self.dir)
    }

    /// The QEMU that is this domain now.
    pub(crate) fn pid(&self) -> Option<i32> {
        process::qemu_of(&self.spec.uuid)
    }

    /// SIGKILL, and it is gone when this returns.
    pub(crate) fn kill9(&self) {
        process::end(&self.spec.uuid);
    }

    /// SIGSTOP: a QEMU that hangs.
    pub(crate) fn sigstop(&self) {
        process::signal(self.pid().expect("a QEMU to stop"), rustix::process::Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn sigcont(&self) {
        process::signal(self.pid().expect("a QEMU to continue"), rustix::process::Signal::CONT);
    }

    /// How long the log is: what comes later is after this moment.
    pub(crate) fn mark(&self) -> u64 {
        fs::metadata(self.dir.join("serial.log")).map_or(0, |m| m.len())
    }

    /// All it printed since `mark`.
    pub(crate) fn log_since(&self, mark: u64) -> String {
        log::read(&self.dir.join("serial.log"), mark)
    }

    /// The counts it printed since `mark`, in order.
    pub(crate) fn counts_since(&self, mark: u64) -> Vec<Count> {
        log::counts(&self.log_since(mark))
    }

    /// All counts it ever printed.
    pub(crate) fn counts(&self) -> Vec<Count> {
        self.counts_since(0)
    }

    /// What it printed last.
    pub(crate) fn last(&self) -> Option<Count> {
        self.counts_since(self.mark().saturating_sub(8192)).pop()
    }

    /// What went wrong since `mark`: RAM and disks disagree, the RAM pattern is broken, I/O errors, a panic. Empty is good.
    pub(crate) fn mismatches_since(&self, mark: u64) -> Vec<String> {
        log::bad_lines(&self.log_since(mark))
    }

    /// The same, of its whole life.
    pub(crate) fn mismatches(&self) -> Vec<String> {
        self.mismatches_since(0)
    }

    /// Waits until it has counted to `n`; its latest count.
    pub(crate) fn wait_count(&self, n: u64, timeout: Duration) -> Count {
        self.wait(&format!("count to {n}"), timeout, || self.last().filter(|c| c.ram >= n))
    }

    /// Waits for the first count after `mark`: that after a revert shows where it went on.
    pub(crate) fn wait_count_since(&self, mark: u64, timeout: Duration) -> Count {
        self.wait("print a count", timeout, || self.counts_since(mark).into_iter().next())
    }

    /// Waits until it is seen to run: two more counts, each from after this call.
    pub(crate) fn wait_running(&self, timeout: Duration) -> Count {
        let mark = self.mark();
        self.wait("count on", timeout, || self.counts_since(mark).into_iter().nth(1))
    }

    /// Whether it counts on within `time`.
    pub(crate) fn runs_within(&self, time: Duration) -> bool {
        let (mark, limit) = (self.mark(), Instant::now() + time);
        while Instant::now() < limit {
            if self.counts_since(mark).len() > 1 {
                return true;
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// QEMU's events, and a QMP connection beside the agent's; of a guest that is [`GuestSpec::watched`].
    pub(crate) fn spy(&self) -> Spy {
        Spy::connect(&self.dir.join("spy"))
    }

    /// Times the guest's rounds; of a guest that is [`GuestSpec::watched`].
    pub(crate) fn heartbeat(&self) -> Heartbeat {
        Heartbeat::connect(&self.dir.join("heartbeat"))
    }

    /// What its QEMUs said on standard error (those that the agent started say it to the agent's log).
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.dir.join("qemu.log")).unwrap_or_default()
    }

    fn wait<T>(&self, what: &str, timeout: Duration, found: impl Fn() -> Option<T>) -> T {
        let limit = Instant::now() + timeout;
        loop {
            if let Some(found) = found() {
                return found;
            }
            if Instant::now() > limit {
                let tail = self.log_since(self.mark().saturating_sub(600));
                let (name, pid, stderr) = (&self.spec.name, self.pid(), self.stderr());
                panic!("guest {name} did not {what} within {timeout:?}; pid {pid:?}; log: {tail}\n{stderr}");
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        process::end(&self.spec.uuid);
    }
}

const XS_WRITE: u32 = 11;
const XS_RM: u32 = 13;
const XS_ERROR: u32 = 16;

/// xenstored's listen queue holds one: EAGAIN means to ask again.
fn connect(path: &Path) -> UnixStream {
    let limit = Instant::now() + Duration::from_secs(10);
    loop {
        match UnixStream::connect(path) {
            Ok(socket) => return socket,
            Err(e) => assert!(Instant::now() < limit, "connect to xenstored at {}: {e}", path.display()),
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// One request on xenstore's wire, and its answer: the rig does not lean on the code that it tests.
fn request(socket: &mut UnixStream, kind: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap();
    let header: Vec<u8> = [kind, 0, 0, length].iter().flat_map(|word| word.to_ne_bytes()).collect();
    socket.write_all(&[&header, payload].concat()).unwrap();
    let mut header = [0; 16];
    socket.read_exact(&mut header).unwrap();
    let word = |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().unwrap());
    let mut answer = vec![0; word(12) as usize];
    socket.read_exact(&mut answer).unwrap();
    let (payload, answer) = (String::from_utf8_lossy(payload), String::from_utf8_lossy(&answer));
    assert!(word(0) != XS_ERROR || (kind == XS_RM && answer.starts_with("ENOENT")), "{payload}: {answer}");
}
