//! Space kept in reserve, so that what has begun can be journalled to its end on a full disk.
//!
//! ```text
//!   whole --(a write finds the disk full)--> given up --(space again)--> whole
//!     |                                         |
//!   begin: yes                               begin: refused (NoSpace); advance, finish: as long as there is space
//! ```
//!
//! The reserve is a file with its blocks allocated, in the store's folder. It is given up only for operations that have begun, never for new ones.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Result, StoreError};
use crate::files;

/// Bytes kept: what the outcomes of many operations take in the log, and a sidecar each.
pub(crate) const RESERVE_BYTES: u64 = 8 << 20;

/// The reserve of an open store.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    whole: bool,
}

impl Reserve {
    /// The reserve at a path; made, if there is space for it.
    pub(crate) fn open(path: PathBuf) -> Self {
        let mut reserve = Self { path, whole: false };
        reserve.ensure();
        reserve
    }

    /// Whether it is there, made again if possible.
    pub(crate) fn ensure(&mut self) -> bool {
        self.whole = self.whole || fill(&self.path).is_ok();
        self.whole
    }

    /// Gives the space up. False when there was none to give.
    pub(crate) fn give_up(&mut self) -> bool {
        let had = self.whole;
        self.whole = false;
        had && files::remove_if_there(&self.path).is_ok_and(|there| there)
    }
}

/// Makes the file with all its blocks. On failure nothing of it is left, so that it takes no space that others need.
fn fill(path: &Path) -> Result<()> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|e| StoreError::io("create", path, e.into()))?;
    // Allocates blocks that are holes as well; blocks that are there stay.
    let filled = match rustix::fs::fallocate(&fd, FallocateFlags::empty(), 0, RESERVE_BYTES) {
        Err(Errno::OPNOTSUPP) => write_zeros(&fd),
        other => other,
    };
    filled.and_then(|()| rustix::fs::fsync(&fd)).map_err(|e| {
        let _ = files::remove_if_there(path);
        StoreError::io("reserve space in", path, e.into())
    })
}

/// For file systems that allocate only what is written.
fn write_zeros(fd: &OwnedFd) -> rustix::io::Result<()> {
    let zeros = [0u8; 1 << 16];
    let mut at = 0;
    while at < RESERVE_BYTES {
        at += rustix::io::pwrite(fd, &zeros, at)? as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_reserve_has_its_blocks_and_can_be_given_up_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reserve");
        let mut reserve = Reserve::open(path.clone());
        assert!(reserve.ensure());
        let meta = std::fs::metadata(&path).unwrap();
        assert!(meta.blocks() * 512 >= RESERVE_BYTES, "a hole is no reserve: {} blocks", meta.blocks());
        assert!(reserve.give_up());
        assert!(!path.exists());
        assert!(!reserve.give_up());
        assert!(reserve.ensure(), "made again when there is space");
    }

    #[test]
    fn a_reserve_with_holes_is_filled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reserve");
        files::create_new(&path).unwrap().set_len(RESERVE_BYTES).unwrap();
        assert!(Reserve::open(path.clone()).ensure());
        assert!(std::fs::metadata(&path).unwrap().blocks() * 512 >= RESERVE_BYTES);
    }
}
