//! Files: memory images, private folders, syncs, space.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FallocateFlags, OFlags, fallocate, statvfs};
use sha2::{Digest, Sha256};
use xensnap::contract::{ErrorKind, MemoryImage, MemoryOut, ResultFile};
use xensnap::wire::AbsPath;

use super::{HostError, Result};

/// What a memory image takes beyond the guest's RAM and a hundredth of it: the devices' state. Page headers are 8 of 4096 bytes.
const MEMORY_EXTRA_BYTES: u64 = 32 << 20;

/// An I/O error about a path, as an error of the host.
pub fn failed(what: &str, path: &Path, e: &io::Error) -> HostError {
    let kind = match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
        io::ErrorKind::NotFound => ErrorKind::Changed,
        io::ErrorKind::ReadOnlyFilesystem => ErrorKind::StoreUnavailable,
        _ => ErrorKind::BackendFailed,
    };
    HostError::new(kind, format!("{what} {}: {e}", path.display()))
}

/// Makes a folder that only we may enter; syncs the folder it is in when it is new.
///
/// # Errors
/// When it cannot be made.
pub fn private_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        private_folder(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => path.parent().map_or(Ok(()), sync_folder),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Free space on the file system of a path (or, while that does not exist, of the nearest folder above), for us, in bytes.
///
/// # Errors
/// When it cannot be asked.
pub fn free(path: &Path) -> io::Result<u64> {
    let mut at = path;
    while let (false, Some(parent)) = (at.exists(), at.parent()) {
        at = parent;
    }
    let vfs = statvfs(at)?;
    Ok(vfs.f_bavail.saturating_mul(vfs.f_frsize))
}

/// Creates the memory image: empty, 0600, with its space reserved. One that an earlier try of ours left empty will do.
///
/// # Errors
/// `NoSpace`, or `Changed` when there is a file that is not an empty one of ours.
pub fn create_memory(out: &MemoryOut) -> Result<()> {
    let path = out.path.as_path();
    let folder = path.parent().unwrap_or(Path::new("/"));
    let made = |e: &io::Error| failed("cannot create the memory image", path, e);
    private_folder(folder).map_err(|e| made(&e))?;
    let need = out.ram.saturating_add(out.ram / 100).saturating_add(MEMORY_EXTRA_BYTES);
    let free = free(folder).map_err(|e| made(&e))?;
    if free < need {
        let mib = |n: u64| n.div_ceil(1 << 20);
        let words = format!(
            "the memory image {} needs up to {} MiB, and {} MiB are free",
            path.display(),
            mib(need),
            mib(free)
        );
        return Err(
            HostError::new(ErrorKind::NoSpace, words).hint("make space, or take the snapshot without memory")
        );
    }
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let file = match File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(flags)
        .open(path)
    {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            let file = open_memory(path)?;
            if file.metadata().map_err(|e| made(&e))?.len() != 0 {
                return Err(HostError::new(
                    ErrorKind::Changed,
                    format!("the memory image {} exists already", path.display()),
                )
                .hint("another snapshot may own it: ask again with another id"));
            }
            file
        }
        Err(e) => return Err(made(&e)),
    };
    reserve(&file, need).map_err(|e| {
        let _ = fs::remove_file(path); // it is empty, and the reservation's error matters more
        made(&e)
    })?;
    sync_folder(folder).map_err(|e| made(&e))
}

/// Reserves space beyond the end of the file. Where the file system cannot, the check of free space must do.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::KEEP_SIZE, 0, bytes) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) | Ok(()) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Opens a memory image that we created for writing: a plain file of ours, with one name, that nobody else may read.
///
/// # Errors
/// `Changed` when it is not that.
pub fn open_memory(path: &Path) -> Result<File> {
    open_ours(path, true)
}

/// The same for reading, also where the file system takes no writes (any more).
///
/// # Errors
/// As [`open_memory`].
pub fn read_memory(path: &Path) -> Result<File> {
    open_ours(path, false)
}

fn open_ours(path: &Path, write: bool) -> Result<File> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let opened = |e: &io::Error| failed("cannot open the memory image", path, e);
    let file =
        File::options().read(true).write(write).custom_flags(flags).open(path).map_err(|e| opened(&e))?;
    let meta = file.metadata().map_err(|e| opened(&e))?;
    let ours = meta.is_file()
        && meta.uid() == rustix::process::geteuid().as_raw()
        && meta.mode() & 0o077 == 0
        && meta.nlink() == 1;
    if ours {
        return Ok(file);
    }
    Err(HostError::new(
        ErrorKind::Changed,
        format!("the memory image {} is not a file that only we can read", path.display()),
    )
    .hint("see who put it there"))
}

/// Checks that a memory image is there, is ours, and has the recorded size.
///
/// # Errors
/// `Changed`, naming the file, when it is not.
pub fn verify_memory(image: &MemoryImage) -> Result<()> {
    let hint = "put the file back, or revert with --disks-only, which boots the domain";
    let path = image.path.as_path();
    let changed = |e: HostError| HostError { kind: ErrorKind::Changed, hint: Some(hint.to_owned()), ..e };
    let size = read_memory(path)
        .and_then(|f| f.metadata().map(|m| m.len()).map_err(|e| failed("cannot look at", path, &e)))
        .map_err(changed)?;
    if size == image.size {
        return Ok(());
    }
    let message = format!("the memory image {} has {size} bytes instead of {}", path.display(), image.size);
    Err(HostError::new(ErrorKind::Changed, message).hint(hint))
}

/// Empties a memory image that an earlier try has written to. An empty one is left alone: truncating it would give back what is reserved for it, and take its
/// time while the guest waits.
///
/// # Errors
/// When it cannot be looked at or emptied.
pub fn empty_memory(file: &File) -> io::Result<()> {
    if file.metadata()?.len() > 0 { file.set_len(0) } else { Ok(()) }
}

/// Gives back what was reserved beyond the end of the file; returns its size in bytes.
///
/// # Errors
/// When it cannot be looked at.
pub fn end_memory(path: &Path) -> Result<u64> {
    let file = open_memory(path)?;
    let done = file.metadata().and_then(|meta| file.set_len(meta.len()).map(|()| meta.len()));
    done.map_err(|e| failed("cannot finish the memory image", path, &e))
}

/// Brings files and the folders they are in to the disk.
///
/// # Errors
/// When one is not there, or cannot be synced.
pub fn sync(paths: &[PathBuf]) -> Result<()> {
    let mut folders: Vec<&Path> = Vec::new();
    for path in paths {
        File::open(path).and_then(|f| f.sync_all()).map_err(|e| failed("cannot sync", path, &e))?;
        folders.extend(path.parent().filter(|f| !folders.contains(f)));
    }
    for folder in folders {
        sync_folder(folder).map_err(|e| failed("cannot sync the folder", folder, &e))?;
    }
    Ok(())
}

/// Sums of files, remembered as long as these are what they were.
#[derive(Clone, Debug, Default)]
pub struct Sums(Arc<Mutex<HashMap<PathBuf, (Stamp, Sum)>>>);

/// Device, inode, size, and the time of the last change in seconds and nanoseconds.
type Stamp = (u64, u64, u64, i64, i64);
type Sum = (u64, xensnap::contract::Sha256);

impl Sums {
    /// Size and sum of a plain file.
    ///
    /// # Errors
    /// In words, when it cannot be read.
    pub fn of(&self, path: &Path) -> std::result::Result<Sum, String> {
        let said = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let mut file = File::open(path).map_err(|e| said(&e))?;
        let meta = file.metadata().map_err(|e| said(&e))?;
        if !meta.is_file() {
            return Err(said(&"it is no plain file"));
        }
        let stamp = (meta.dev(), meta.ino(), meta.size(), meta.ctime(), meta.ctime_nsec());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, sum)) = known.get(path).filter(|(old, _)| *old == stamp) {
            return Ok(sum.clone());
        }
        let sum = sum_of(&mut file).map_err(|e| said(&e))?;
        known.insert(path.to_owned(), (stamp, sum.clone()));
        Ok(sum)
    }
}

/// Size and sum of what is left of a file.
fn sum_of(file: &mut impl io::Read) -> io::Result<Sum> {
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..n).filter(|b| !b.is_empty()) else { break };
        hash.update(bytes);
        size += n as u64;
    }
    let text = hash.finalize().iter().map(|b| format!("{b:02x}")).collect::<String>();
    Ok((size, text.parse().map_err(|_| io::Error::other("the sum is none"))?))
}

/// Copies a file that is what the plan says, into a private one; a copy that is whole is done already.
///
/// # Errors
/// `Changed` when the file is not what it was, or there is another in the copy's place.
pub fn copy(one: &xensnap::contract::FileCopy) -> Result<()> {
    let (from, to) = (one.from.as_path(), one.to.as_path());
    let failed = |e: &io::Error| failed("cannot keep a copy of", from, e);
    private_folder(to.parent().unwrap_or(Path::new("/"))).map_err(|e| failed(&e))?;
    let temporary = PathBuf::from(format!("{}.tmp", to.display()));
    let copied = || -> io::Result<Sum> {
        let mut out = File::options()
            .write(true)
            .read(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        io::copy(&mut File::open(from)?, &mut out)?;
        io::Seek::rewind(&mut out)?;
        sum_of(&mut out)
    };
    let found = copied().map_err(|e| failed(&e))?;
    if found != (one.size, one.sha256.clone()) {
        let _ = fs::remove_file(&temporary);
        let message = format!("{} was changed while the snapshot was taken", from.display());
        return Err(HostError::new(ErrorKind::Changed, message).hint("ask again"));
    }
    fs::rename(&temporary, to).map_err(|e| failed(&e))
}

/// Removes a file and syncs its folder; a missing one is done already.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(failed("cannot remove", path, &e)),
        Ok(()) => path
            .parent()
            .map_or(Ok(()), sync_folder)
            .map_err(|e| failed("cannot sync the folder of", path, &e)),
    }
}

/// Writes a result: whole or not at all, on the disk when this returns.
///
/// # Errors
/// When it cannot be written.
pub fn write_result(path: &AbsPath, bytes: &[u8]) -> Result<ResultFile> {
    let target = path.as_path();
    let failed = |e: io::Error| failed("cannot write", target, &e);
    write_private(target, bytes).map_err(failed)?;
    sync(&[target.to_owned()])?;
    let (size, sha256) = sum_of(&mut &*bytes).map_err(failed)?;
    Ok(ResultFile { path: path.clone(), size, sha256, extra: Default::default() })
}

/// Writes a small private file so that it is there whole or not at all. It need not survive a power cut.
///
/// # Errors
/// When it cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    private_folder(path.parent().unwrap_or(Path::new("/")))?;
    let temporary = path.with_extension("tmp");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// The reservation was lost at the start of every write, in 12 ms of the guest's pause.
    #[test]
    fn emptying_an_image_leaves_what_is_reserved_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = AbsPath::new(dir.path().join("x.save").to_str().unwrap()).unwrap();
        let out = MemoryOut { path: path.clone(), ram: 1 << 20, live: true, extra: Default::default() };
        create_memory(&out).unwrap();
        let mut file = open_memory(path.as_path()).unwrap();
        let reserved = file.metadata().unwrap().blocks();
        assert!(reserved * 512 > MEMORY_EXTRA_BYTES || reserved == 0, "all of it, or the file system cannot");
        empty_memory(&file).unwrap();
        assert_eq!(file.metadata().unwrap().blocks(), reserved);
        file.write_all(b"an earlier try").unwrap();
        empty_memory(&file).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 0);
    }
}
