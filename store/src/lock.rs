//! One writer: `flock` on a file under the run folder (for the message: who) and on the store's folder itself (so that two agents with different run folders
//! do not meet in one store either). Both are given up by the kernel when the process ends. A child that is forked and does not exec would keep them: the
//! descriptors are close-on-exec, so every child has to exec.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Result, StoreError};
use crate::location::{Location, make_dir};

/// Held as long as the store is open for writing.
#[derive(Debug)]
pub(crate) struct WriterLock {
    _file: File,
    _dir: File,
}

impl WriterLock {
    /// Takes the lock or says who has it. The store's folder exists.
    pub(crate) fn take(at: &Location) -> Result<Self> {
        make_dir(&at.run, 0o755)?;
        let path = at.lock();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = open(&path, flags)?;
        if !lock(&file, &path)? {
            return Err(StoreError::Locked { holder: holder(&mut file), lock: path });
        }
        let dir = open(&at.dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC)?;
        if !lock(&dir, &at.dir)? {
            return Err(StoreError::Locked {
                lock: at.dir.clone(),
                holder: "unknown, with another run folder".into(),
            });
        }
        let note = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        note(&mut file).map_err(|e| StoreError::io("write", &path, e))?;
        Ok(Self { _file: file, _dir: dir })
    }
}

fn open(path: &Path, flags: OFlags) -> Result<File> {
    rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)
        .map(File::from)
        .map_err(|e| StoreError::io("open", path, e.into()))
}

fn lock(file: &File, path: &Path) -> Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(e) => Err(StoreError::io("lock", path, e.into())),
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    // Only for the message: what cannot be read is unknown.
    let _ = file.take(32).read_to_string(&mut text);
    match text.trim().parse::<u32>() {
        Ok(pid) => format!("process {pid}"),
        Err(_) => "an unknown process".into(),
    }
}
