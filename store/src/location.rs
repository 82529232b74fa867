//! Where a store lives, and what its folder must be like. Nothing here is created but by [`Location::prepare`], which only a writer calls.
//!
//! ```text
//!   dir   /var/lib/xen/snapshots     the volume: database, reserve, one folder per domain
//!   mark  /var/lib/xensnap/installed the install mark, NOT on that volume: says which store belongs there
//!   run   /run/xensnap               the writer's lock
//! ```
//!
//! The mark is what tells an unmounted volume from a host that never had a store:
//!
//! | database | mark | open | create |
//! |---|---|---|---|
//! | there | there, same id | yes | `Exists` |
//! | there | there, other id | `OtherStore` | `Exists` |
//! | there | no | yes, and the mark is written | `Exists` |
//! | no | there | `NotMounted` | `NotMounted` |
//! | no | no | `NotInstalled` | yes |

use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, StatVfsMountFlags};
use uuid::Uuid;

use crate::error::{Result, StoreError};
use crate::files;

/// Where a store lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The folder of database, sidecars and memory images.
    pub dir: PathBuf,
    /// The install mark.
    pub mark: PathBuf,
    /// The folder of the writer's lock.
    pub run: PathBuf,
    /// Whether a file system that is not local is accepted for the database.
    pub remote_accepted: bool,
}

impl Default for Location {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("/var/lib/xen/snapshots"),
            mark: PathBuf::from("/var/lib/xensnap/installed"),
            run: PathBuf::from("/run/xensnap"),
            remote_accepted: false,
        }
    }
}

/// What is at a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// Neither database nor mark.
    Nothing,
    /// A database.
    Database,
    /// The mark alone: the volume is not mounted, or the database is lost.
    MarkOnly,
}

impl Location {
    /// The default folders, under another root: `ROOT/var/lib/xen/snapshots` and so on.
    pub fn under(root: &Path) -> Self {
        let moved = |path: PathBuf| root.join(path.strip_prefix("/").unwrap_or(&path));
        let default = Self::default();
        Self {
            dir: moved(default.dir),
            mark: moved(default.mark),
            run: moved(default.run),
            remote_accepted: false,
        }
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.dir.join("xensnap.db")
    }

    /// The space kept in reserve.
    pub fn reserve(&self) -> PathBuf {
        self.dir.join("reserve")
    }

    /// The writer's lock.
    pub fn lock(&self) -> PathBuf {
        self.run.join("store.lock")
    }

    /// The folder of a domain: its sidecars and memory images.
    pub fn domain_dir(&self, domain: Uuid) -> PathBuf {
        self.dir.join(domain.hyphenated().to_string())
    }

    /// Where a snapshot's memory image goes.
    pub fn memory_image(&self, domain: Uuid, id: &str) -> PathBuf {
        self.domain_dir(domain).join(format!("{id}.save"))
    }

    /// Where a snapshot's sidecar goes.
    pub fn sidecar(&self, domain: Uuid, id: &str) -> PathBuf {
        self.domain_dir(domain).join(format!("snapshotdata-{id}.json"))
    }

    /// What is here. An unreadable folder is an error, never "nothing".
    pub fn installed(&self) -> Result<Installed> {
        let database = files::exists(&self.database())?;
        let mark = files::exists(&self.mark)?;
        Ok(match (database, mark) {
            (true, _) => Installed::Database,
            (false, true) => Installed::MarkOnly,
            (false, false) => Installed::Nothing,
        })
    }

    /// The error for a database that is not there.
    pub(crate) fn missing(&self) -> Result<StoreError> {
        Ok(if files::exists(&self.mark)? {
            StoreError::NotMounted { database: self.database(), mark: self.mark.clone() }
        } else {
            StoreError::NotInstalled { dir: self.dir.clone() }
        })
    }

    /// The id of the store that the mark names. A mark that cannot be understood counts as one that names no store.
    pub(crate) fn marked(&self) -> Result<Option<Uuid>> {
        let Some(text) = files::read_small(&self.mark, 4096)? else { return Ok(None) };
        Ok(text.lines().find_map(|line| line.strip_prefix("store ")).and_then(|id| id.trim().parse().ok()))
    }

    /// Writes the mark.
    pub(crate) fn write_mark(&self, store: Uuid) -> Result<()> {
        if let Some(parent) = self.mark.parent() {
            make_dir(parent, 0o755)?;
        }
        let text = format!(
            "# A xensnap store is installed on this host. While this file is here no new one is made.\nstore {store}\ndir {}\n",
            self.dir.display()
        );
        files::write_durably(&self.mark, text.as_bytes())
    }

    /// Compares a database's id with the mark; writes the mark where there is none.
    pub(crate) fn check_mark(&self, found: Uuid) -> Result<()> {
        match self.marked()? {
            Some(expected) if expected == found => Ok(()),
            Some(expected) => Err(StoreError::OtherStore {
                database: self.database(),
                mark: self.mark.clone(),
                found,
                expected,
            }),
            None => self.write_mark(found),
        }
    }

    /// Makes the store's folder for a store that never was, and the run folder.
    pub(crate) fn prepare(&self) -> Result<()> {
        make_dir(&self.dir, 0o700)
    }

    /// Checks that the folder is local, takes writes, and is nobody else's. Mends its mode.
    pub(crate) fn check_dir(&self) -> Result<()> {
        self.check_local()?;
        let meta = std::fs::metadata(&self.dir).map_err(|e| StoreError::io("look at", &self.dir, e))?;
        if !meta.is_dir() || meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(StoreError::Denied { path: self.dir.clone() });
        }
        if is_read_only(&self.dir) {
            return Err(StoreError::ReadOnly { dir: self.dir.clone() });
        }
        if meta.mode() & 0o077 != 0 {
            rustix::fs::chmod(&self.dir, rustix::fs::Mode::RWXU)
                .map_err(|e| StoreError::io("restrict", &self.dir, e.into()))?;
        }
        Ok(())
    }

    fn check_local(&self) -> Result<()> {
        match medium(&self.dir)? {
            Medium::Remote(kind) if !self.remote_accepted => {
                Err(StoreError::NotLocal { dir: self.dir.clone(), kind })
            }
            _ => Ok(()),
        }
    }
}

/// What kind of file system a folder is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    /// A disk of this host, as far as can be told.
    Local,
    /// Gone with the power.
    Volatile(&'static str),
    /// Another host's.
    Remote(&'static str),
}

/// The kind of file system under a folder.
pub(crate) fn medium(dir: &Path) -> Result<Medium> {
    let stat = rustix::fs::statfs(dir).map_err(|e| StoreError::io("look at", dir, e.into()))?;
    Ok(medium_of(stat.f_type.cast_unsigned()))
}

/// Whether the file system of a folder takes no writes. Not known counts as no.
pub(crate) fn is_read_only(dir: &Path) -> bool {
    // An ext4 that turns read-only after an error does not say so (Linux 6.14): a file without a name is tried.
    let nameless = || rustix::fs::open(dir, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR);
    rustix::fs::statvfs(dir).is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY))
        || nameless().is_err_and(|e| e == rustix::io::Errno::ROFS)
}

/// Makes a folder and its parents, each synced into its parent; those that exist are left as they are.
pub(crate) fn make_dir(path: &Path, mode: u32) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_dir(parent, 0o755)?;
    }
    match std::fs::DirBuilder::new().mode(mode).create(path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(StoreError::io("create", path, e));
        }
        _ => {}
    }
    files::sync_parent(path)
}

/// By `statfs(2)`'s `f_type` (linux/magic.h and each file system's source).
fn medium_of(f_type: u64) -> Medium {
    match f_type & 0xffff_ffff {
        0x0102_1994 => Medium::Volatile("tmpfs"),
        0x8584_58f6 => Medium::Volatile("ramfs"),
        0x6969 => Medium::Remote("NFS"),
        0x517b => Medium::Remote("SMB"),
        0xff53_4d42 => Medium::Remote("CIFS"),
        0xfe53_4d42 => Medium::Remote("SMB2"),
        0x6573_5546 => Medium::Remote("FUSE"),
        0x0102_1997 => Medium::Remote("9P"),
        0x00c3_6400 => Medium::Remote("Ceph"),
        0x5346_414f | 0x6b41_4653 => Medium::Remote("AFS"),
        0x7375_7245 => Medium::Remote("Coda"),
        0x0bd0_0bd0 => Medium::Remote("Lustre"),
        _ => Medium::Local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_known_by_their_magic() {
        for (magic, medium) in [
            (0x6969, Medium::Remote("NFS")),
            (0xff53_4d42, Medium::Remote("CIFS")),
            // Sign-extended, as some kernels give it.
            (0xffff_ffff_ff53_4d42, Medium::Remote("CIFS")),
            (0x6573_5546, Medium::Remote("FUSE")),
            (0x0102_1994, Medium::Volatile("tmpfs")),
            (0xef53, Medium::Local),
            (0x5846_5342, Medium::Local),
            (0x9123_683e, Medium::Local),
        ] {
            assert_eq!(medium_of(magic), medium, "{magic:#x}");
        }
    }

    #[test]
    fn everything_moves_under_a_root() {
        let at = Location::under(Path::new("/tmp/r"));
        assert_eq!(at.database(), Path::new("/tmp/r/var/lib/xen/snapshots/xensnap.db"));
        assert_eq!(at.lock(), Path::new("/tmp/r/run/xensnap/store.lock"));
        assert_eq!(at.mark, Path::new("/tmp/r/var/lib/xensnap/installed"));
    }
}
