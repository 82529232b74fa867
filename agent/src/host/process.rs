//! Processes as the kernel shows them: who runs, what it was started with, which files it has open, and ending one for certain.
//!
//! A process id alone is reused; with the start time (clock ticks since boot, field 22 of `/proc/PID/stat`) it names one process for as long as the host is up.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::{Instant, sleep};
use xensnap::contract::ErrorKind;

use super::{HostError, Result};

/// How often is looked whether a process has ended: ever less often, for looking takes time from a small host, where what ends needs it.
const POLL: Duration = Duration::from_millis(2);
const POLL_MAX: Duration = Duration::from_millis(32);

/// One process, and no later one with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub start: u64,
}

/// An open file as the kernel names it: device and inode.
pub type FileId = (u64, u64);

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.pid, self.start)
    }
}

impl std::str::FromStr for Process {
    type Err = ();

    fn from_str(s: &str) -> std::result::Result<Self, ()> {
        let (pid, start) = s.split_once('-').ok_or(())?;
        Ok(Self { pid: pid.parse().map_err(|_| ())?, start: start.parse().map_err(|_| ())? })
    }
}

impl Process {
    /// The process of this id, if it runs. A zombie does not, unless only its first thread has ended: the others have everything open still.
    pub fn of(pid: u32) -> Option<Self> {
        Self::parsed(pid, &stat(pid).ok()?)
    }

    /// What `/proc/PID/stat` says after the name: field 3 and on of proc(5).
    fn parsed(pid: u32, stat: &str) -> Option<Self> {
        let mut fields = stat.split_ascii_whitespace();
        let ended = matches!(fields.next()?, "Z" | "X");
        let threads: u32 = fields.nth(16)?.parse().ok()?;
        let start = fields.nth(1)?.parse().ok()?;
        (!ended || threads > 1).then_some(Self { pid, start })
    }

    /// The process that this text names, if it still runs.
    pub fn alive_of(text: &str) -> Option<Self> {
        text.parse().ok().filter(|p: &Self| p.alive())
    }

    /// This process.
    pub fn own() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// Whether it still runs.
    pub fn alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Whether it is stopped by a signal.
    pub fn stopped(self) -> bool {
        stat(self.pid).is_ok_and(|stat| stat.starts_with(['T', 't']))
    }

    /// The process group that it is in.
    pub fn group(self) -> Option<u32> {
        stat(self.pid).ok()?.split_ascii_whitespace().nth(2)?.parse().ok()
    }

    /// Its name, as far as the kernel keeps it: 15 bytes.
    pub fn name(self) -> String {
        String::from_utf8_lossy(&self.shown("comm").unwrap_or_default()).trim().to_owned()
    }

    /// Its arguments.
    pub fn args(self) -> Vec<String> {
        let raw = self.shown("cmdline").unwrap_or_default();
        raw.split(|b| *b == 0)
            .filter(|a| !a.is_empty())
            .map(|a| String::from_utf8_lossy(a).into_owned())
            .collect()
    }

    /// Whether it is a QEMU of the domain: started with this uuid.
    pub fn is_qemu_of(self, uuid: uuid::Uuid) -> bool {
        let args = self.args();
        let wanted = uuid.to_string();
        args.iter().zip(args.iter().skip(1)).any(|(a, b)| a == "-uuid" && b.eq_ignore_ascii_case(&wanted))
    }

    /// The files it has open.
    ///
    /// # Errors
    /// When they cannot be listed though it runs.
    pub fn files(self) -> io::Result<Vec<FileId>> {
        let listed = |folder: &Path| -> io::Result<Vec<FileId>> {
            let entries = fs::read_dir(folder.join("fd"))?.flatten();
            let open = entries.filter_map(|e| fs::metadata(e.path()).ok());
            Ok(open.map(|m| (m.dev(), m.ino())).collect())
        };
        let found = match listed(&self.folder()) {
            Ok(files) if !files.is_empty() => return Ok(files),
            other => self.thread().map_or(other, |thread| listed(&thread)),
        };
        if found.is_err() && !self.alive() {
            return Ok(Vec::new());
        }
        found
    }

    /// Where the kernel shows what it has, as long as its first thread lives.
    fn folder(self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.pid))
    }

    /// Where the kernel shows that of a process whose first thread has ended and another has not.
    fn thread(self) -> Option<PathBuf> {
        if !stat(self.pid).is_ok_and(|stat| stat.starts_with('Z')) {
            return None;
        }
        let threads = fs::read_dir(self.folder().join("task")).ok()?.flatten().map(|e| e.path());
        let living = |t: &PathBuf| read(&t.join("stat")).is_ok_and(|s| !after_name(&s).starts_with('Z'));
        threads.into_iter().find(living)
    }

    /// One of its files under `/proc`.
    fn shown(self, name: &str) -> io::Result<Vec<u8>> {
        match read(&self.folder().join(name)) {
            Ok(bytes) if !bytes.is_empty() => Ok(bytes),
            other => self.thread().map_or(other, |thread| read(&thread.join(name))),
        }
    }

    /// Sends it a signal, never to another that got its id. Nothing happens when it has ended.
    pub fn signal(self, signal: Signal) {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return };
        let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
        if self.alive() {
            let _ = pidfd_send_signal(&fd, signal); // ESRCH: it has just ended, which is what we want
        }
    }

    /// Ends it: by SIGTERM, then by SIGKILL, waiting this long after each.
    ///
    /// # Errors
    /// As [`Process::kill`].
    pub async fn end(self, time: Duration) -> Result<()> {
        if !self.stopped() {
            self.signal(Signal::TERM); // a stopped one could not hear it
            if self.gone_within(time).await {
                return Ok(());
            }
        }
        self.kill(time).await
    }

    /// Ends it by SIGKILL.
    ///
    /// # Errors
    /// When it is still there after this time: something in the kernel holds it.
    pub async fn kill(self, time: Duration) -> Result<()> {
        let name = self.name();
        self.signal(Signal::KILL);
        if self.gone_within(time).await {
            return Ok(());
        }
        let message = format!("process {} ({name}) does not end, not even by SIGKILL", self.pid);
        Err(HostError::new(ErrorKind::BackendFailed, message)
            .hint("it waits in the kernel, for a disk or a network file system: see what that waits for"))
    }

    /// Waits until it has ended; false when it has not within this time.
    pub async fn gone_within(self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut wait = POLL;
        while self.alive() {
            if Instant::now() >= until {
                return false;
            }
            sleep(wait).await;
            wait = (wait * 2).min(POLL_MAX);
        }
        true
    }
}

/// A file under `/proc`. They say that they are empty, and would be read in pieces of 32 bytes and up, each made anew by the kernel.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(4096);
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What `/proc/PID/stat` says after the name. That may hold blanks, parentheses, and half a character where the kernel has cut it.
fn stat(pid: u32) -> io::Result<String> {
    read(Path::new(&format!("/proc/{pid}/stat"))).map(|stat| after_name(&stat))
}

fn after_name(stat: &[u8]) -> String {
    let name_end = stat.iter().rposition(|b| *b == b')').map_or(0, |at| at + 1);
    String::from_utf8_lossy(stat.get(name_end..).unwrap_or_default()).trim_start().to_owned()
}

/// All processes but the kernel's own threads: those have no program and no open file, and are most of what runs on a small host.
pub fn all() -> Vec<Process> {
    /// `PF_KTHREAD` in Linux's `sched.h`; `flags` is field 9 of `/proc/PID/stat`.
    const KERNEL_THREAD: u32 = 0x0020_0000;
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    let of = |pid| {
        let stat = stat(pid).ok()?;
        let flags: u32 = stat.split_ascii_whitespace().nth(6)?.parse().ok()?;
        Process::parsed(pid, &stat).filter(|_| flags & KERNEL_THREAD == 0)
    };
    pids.filter_map(of).collect()
}

/// All QEMUs of a domain, registered or not.
pub fn qemus_of(uuid: uuid::Uuid) -> Vec<Process> {
    all().into_iter().filter(|p| p.is_qemu_of(uuid)).collect()
}

/// Device and inode of a file.
///
/// # Errors
/// When it cannot be looked at.
pub fn file_id(path: &Path) -> io::Result<FileId> {
    fs::metadata(path).map(|m| (m.dev(), m.ino()))
}

/// Who has one of these files open: a process and its name, or a loop device. `None` is the proof that nobody has.
///
/// # Errors
/// When some process's files cannot be listed: nothing is proved then.
pub fn holder_of(files: &[FileId]) -> io::Result<Option<String>> {
    for process in all() {
        if process.files()?.iter().any(|f| files.contains(f)) {
            return Ok(Some(format!("process {} ({})", process.pid, process.name())));
        }
    }
    let loops = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    for device in loops {
        let Ok(backing) = fs::read_to_string(device.path().join("loop/backing_file")) else { continue };
        if file_id(&PathBuf::from(backing.trim_end())).is_ok_and(|id| files.contains(&id)) {
            return Ok(Some(format!("loop device {}", device.file_name().to_string_lossy())));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_cut_within_a_character_hides_no_process() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("a) b (12345678\u{e9}"); // the kernel keeps 15 bytes
        fs::copy("/bin/sleep", &program).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test")]
        let mut child = std::process::Command::new(&program).arg("60").spawn().unwrap();
        let comm = fs::read(format!("/proc/{}/comm", child.id())).unwrap();
        let seen = Process::of(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(std::str::from_utf8(&comm).is_err(), "{comm:?}");
        assert!(seen.is_some_and(|p| !p.alive()), "{seen:?}");
    }

    #[test]
    fn a_process_whose_first_thread_has_ended_has_its_files_open_still() {
        let dir = tempfile::tempdir().unwrap();
        let (image, source, program) =
            (dir.path().join("image"), dir.path().join("a.c"), dir.path().join("leaderless"));
        let text = "#include <pthread.h>\n#include <unistd.h>\nstatic void *rest(void *x) { for (;;) sleep(60); return x; }\n\
            int main(void) { pthread_t t; pthread_create(&t, 0, rest, 0); pthread_exit(0); }\n";
        crate::host::files::write_private(&source, text.as_bytes()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test")]
        let run = |program: &Path| std::process::Command::new(program);
        assert!(
            run(Path::new("cc"))
                .arg("-pthread")
                .arg(&source)
                .arg("-o")
                .arg(&program)
                .status()
                .unwrap()
                .success()
        );
        let mut child = run(&program).stdin(File::create(&image).unwrap()).spawn().unwrap();
        let until = std::time::Instant::now() + Duration::from_secs(30);
        while !stat(child.id()).unwrap().starts_with('Z') {
            assert!(std::time::Instant::now() < until, "its first thread goes on");
            std::thread::sleep(Duration::from_millis(5));
        }
        let process = Process::of(child.id());
        let shown = process.map(|p| (p.alive(), p.name(), p.args().len(), p.files().unwrap()));
        if let Some(p) = process {
            p.signal(Signal::KILL);
        }
        child.wait().unwrap();
        let (alive, name, args, files) = shown.unwrap();
        assert_eq!((alive, name.as_str(), args), (true, "leaderless", 1));
        assert!(files.contains(&file_id(&image).unwrap()), "{files:?}");
        assert!(!process.unwrap().alive());
    }

    #[test]
    fn names_itself_and_finds_its_own_open_file() {
        let me = Process::own().unwrap();
        let all = all();
        assert!(all.contains(&me), "{all:?}");
        assert!(all.iter().all(|p| !p.name().starts_with("kworker/")), "the kernel's threads are left out");
        assert!(me.alive() && !me.stopped());
        assert_eq!(me.to_string().parse(), Ok(me));
        assert!(
            !Process { pid: me.pid, start: me.start + 1 }.alive(),
            "a later process with the same id is another"
        );

        let file = tempfile::NamedTempFile::new().unwrap();
        let id = file_id(file.path()).unwrap();
        let holder = holder_of(&[id]).unwrap().unwrap();
        assert!(holder.starts_with(&format!("process {} (", me.pid)), "{holder}");
        let path = file.into_temp_path(); // closes it
        assert_eq!(file_id(&path).unwrap(), id);
        assert_eq!(holder_of(&[id]).unwrap(), None);
    }
}
