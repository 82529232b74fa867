//! One monitor for a domain: a lock a domain below the agent's run folder, held for as long as the process lives. `watchers/UUID.lock` says who holds it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use uuid::Uuid;

use super::protocol::{Failure, FailureKind};
use super::words::say;

/// The right to watch a domain. Given up when dropped, or when the process ends however it ends.
#[derive(Debug)]
pub struct WatchLock {
    file: File,
}

fn path(run: &Path, domain: Uuid) -> PathBuf {
    run.join("watchers").join(format!("{domain}.lock"))
}

fn open(path: &Path, create: bool) -> std::io::Result<File> {
    // Closed in what libxl starts (the standard library opens so): a QEMU must not hold the lock.
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    OpenOptions::new().read(true).write(true).create(create).mode(0o600).custom_flags(flags).open(path)
}

/// Takes the lock; `None` when another process watches the domain.
///
/// # Errors
/// `File`.
pub fn take(run: &Path, domain: Uuid, domid: u32) -> Result<Option<WatchLock>, Failure> {
    let path = path(run, domain);
    let failed = |e: std::io::Error| {
        Failure::new(FailureKind::File, format!("{} cannot be locked: {e}", path.display()))
    };
    let folder = path.parent().unwrap_or(run);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let file = open(&path, true).map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(None),
        Err(e) => return Err(failed(e.into())),
    }
    let mut lock = WatchLock { file };
    if let Err(e) = lock.note(domid) {
        say(&format!("{} does not say who holds it: {e}", path.display())); // a full /run is no reason to leave a guest without a monitor
    }
    Ok(Some(lock))
}

impl WatchLock {
    /// Notes which instance is watched now.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn note(&mut self, domid: u32) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(format!("{} {domid}\n", std::process::id()).as_bytes())
    }
}

/// The process that watches a domain, and the domid that it watches. `None`: nobody (of ours) does.
///
/// End it (SIGTERM) before a domain's run is ended for a revert: it could be about to restart the guest.
pub fn holder(run: &Path, domain: Uuid) -> Option<(u32, u32)> {
    let mut file = open(&path(run, domain), false).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => {}
        _ => return None, // nobody held it; the lock that was taken ends with the file
    }
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    let (pid, domid) = text.trim().split_once(' ')?;
    Some((pid.parse().ok()?, domid.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_a_domain() {
        let run = tempfile::tempdir().unwrap();
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(holder(run.path(), a), None);
        let mut lock = take(run.path(), a, 7).unwrap().unwrap();
        assert!(take(run.path(), a, 8).unwrap().is_none());
        assert!(take(run.path(), b, 9).unwrap().is_some());
        let me = std::process::id();
        assert_eq!(holder(run.path(), a), Some((me, 7)));
        lock.note(123).unwrap();
        assert_eq!(holder(run.path(), a), Some((me, 123)));
        assert_eq!(holder(run.path(), b), None);
        drop(lock);
        assert_eq!(holder(run.path(), a), None);
        assert!(take(run.path(), a, 8).unwrap().is_some());
    }
}
