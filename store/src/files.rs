//! Small files, written so that they are whole or absent: temporary name, sync, rename, folder sync. Nothing here follows a symbolic link in the last place.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::error::{Result, StoreError};

/// Whether something of that name exists, a dangling link included. Errors other than "not there" are errors.
pub(crate) fn exists(path: &Path) -> Result<bool> {
    match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(e) => Err(StoreError::io("look at", path, e.into())),
    }
}

/// Device and inode of what a path names, or nothing when it names nothing.
pub(crate) fn identity(path: &Path) -> Result<Option<(u64, u64)>> {
    match rustix::fs::stat(path) {
        Ok(stat) => Ok(Some((stat.st_dev, stat.st_ino))),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(e) => Err(StoreError::io("look at", path, e.into())),
    }
}

/// Size in bytes of what a path names, or nothing when it names nothing.
pub(crate) fn size(path: &Path) -> Result<Option<u64>> {
    match rustix::fs::stat(path) {
        Ok(stat) => Ok(Some(u64::try_from(stat.st_size).unwrap_or(0))),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(e) => Err(StoreError::io("look at", path, e.into())),
    }
}

/// Brings the folder that holds `path` to the disk.
pub(crate) fn sync_parent(path: &Path) -> Result<()> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    sync_dir(dir)
}

/// Brings a folder to the disk.
pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    let fd = rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| StoreError::io("open", dir, e.into()))?;
    rustix::fs::fsync(fd).map_err(|e| StoreError::io("sync", dir, e.into()))
}

/// Brings a file to the disk. Not for a database that is open: see [`crate::engine`].
pub(crate) fn sync_file(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|e| StoreError::io("sync", path, e))
}

/// Creates an empty file, 0600, where nothing is.
pub(crate) fn create_new(path: &Path) -> Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)
        .map(File::from)
        .map_err(|e| StoreError::io("create", path, e.into()))
}

/// Replaces a file, 0600. After a crash at any point the old or the new content is there, whole.
pub(crate) fn write_durably(path: &Path, content: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    // Left behind by a crash: nobody else writes in a folder of ours.
    remove_if_there(&temporary)?;
    let written = create_new(&temporary).and_then(|mut file| {
        file.write_all(content)
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::rename(&temporary, path))
            .map_err(|e| StoreError::io("write", path, e))
    });
    if written.is_err() {
        // The first error is the one to report.
        let _ = remove_if_there(&temporary);
    }
    written?;
    sync_parent(path)
}

/// Removes a file; not an error when there is none. The folder is not synced.
pub(crate) fn remove_if_there(path: &Path) -> Result<bool> {
    match rustix::fs::unlink(path) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(e) => Err(StoreError::io("remove", path, e.into())),
    }
}

/// Why a file is not read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A link, a folder, a device, a pipe.
    NotAFile,
    /// More bytes than it may have.
    TooLarge(u64),
    /// Not UTF-8.
    NotText,
}

/// Reads a file that may be anybody's: a regular file of at most `max` bytes, no link followed, not blocking on a pipe.
pub(crate) fn read_untrusted(path: &Path, max: u64) -> Result<Option<std::result::Result<String, Refused>>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(Errno::LOOP | Errno::NXIO) => return Ok(Some(Err(Refused::NotAFile))),
        Err(e) => return Err(StoreError::io("open", path, e.into())),
    };
    let file = File::from(fd);
    let meta = file.metadata().map_err(|e| StoreError::io("look at", path, e))?;
    if !meta.is_file() {
        return Ok(Some(Err(Refused::NotAFile)));
    }
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| StoreError::io("read", path, e))?;
    if bytes.len() as u64 > max {
        return Ok(Some(Err(Refused::TooLarge(meta.len()))));
    }
    Ok(Some(String::from_utf8(bytes).map_err(|_| Refused::NotText)))
}

/// Reads a small text of ours.
pub(crate) fn read_small(path: &Path, max: u64) -> Result<Option<String>> {
    Ok(read_untrusted(path, max)?.map(std::result::Result::unwrap_or_default))
}

/// Renames a file within its folder to `NAME.set-aside-N`, over nothing. Returns the new path.
pub(crate) fn set_aside(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_os_string();
    for n in 1u32..=100_000 {
        let mut aside = name.clone();
        aside.push(format!(".set-aside-{n}"));
        let aside = path.with_file_name(aside);
        match rustix::fs::renameat_with(CWD, path, CWD, &aside, RenameFlags::NOREPLACE) {
            Ok(()) => {
                sync_parent(path)?;
                return Ok(aside);
            }
            Err(Errno::EXIST) => {}
            Err(e) => return Err(StoreError::io("set aside", path, e.into())),
        }
    }
    Err(StoreError::io("set aside", path, std::io::ErrorKind::AlreadyExists.into()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn a_written_file_is_whole_private_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        write_durably(&path, b"one").unwrap();
        write_durably(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_temporary_left_by_a_crash_is_no_obstacle_and_a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("a.json"), dir.path().join("other"));
        create_new(&other).unwrap();
        symlink(&other, dir.path().join("a.json.tmp")).unwrap();
        write_durably(&path, b"x").unwrap();
        assert_eq!(std::fs::read(&other).unwrap(), b"", "the link's target was written");
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
    }

    #[test]
    fn untrusted_files_are_refused_by_kind_and_size() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        write_durably(&file, b"12345").unwrap();
        let link = dir.path().join("l");
        symlink(&file, &link).unwrap();
        assert_eq!(read_untrusted(&file, 5).unwrap(), Some(Ok("12345".to_owned())));
        assert_eq!(read_untrusted(&file, 4).unwrap(), Some(Err(Refused::TooLarge(5))));
        assert_eq!(read_untrusted(&link, 5).unwrap(), Some(Err(Refused::NotAFile)));
        assert_eq!(read_untrusted(dir.path(), 5).unwrap(), Some(Err(Refused::NotAFile)));
        assert_eq!(read_untrusted(&dir.path().join("none"), 5).unwrap(), None);
        write_durably(&file, &[0xff, 0xfe]).unwrap();
        assert_eq!(read_untrusted(&file, 5).unwrap(), Some(Err(Refused::NotText)));
    }

    #[test]
    fn setting_aside_never_overwrites() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut asides = Vec::new();
        for n in 0..3u8 {
            write_durably(&path, &[b'0' + n]).unwrap();
            asides.push(set_aside(&path).unwrap());
        }
        assert_eq!(asides.iter().map(|p| std::fs::read(p).unwrap()).collect::<Vec<_>>(), [b"0", b"1", b"2"]);
        assert!(!path.exists());
    }
}
