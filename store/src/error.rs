//! What can go wrong with the store, by what the reader can do about it.

use std::path::{Path, PathBuf};

use uuid::Uuid;

/// Result of everything in this crate.
pub type Result<T> = std::result::Result<T, StoreError>;

/// An error of the store. Nothing is ever destroyed or made anew because of one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No store was ever made here.
    #[error("there is no store in {}; it is made when the agent first starts", dir.display())]
    NotInstalled {
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// The install mark is there and the database is not: an unmounted volume, not an empty store.
    #[error(
        "{} is missing although a store was installed there ({} says so); mount its volume, or if the database is lost run `xensnap store rebuild`",
        database.display(), mark.display()
    )]
    NotMounted {
        /// The database that is missing.
        database: PathBuf,
        /// The install mark.
        mark: PathBuf,
    },
    /// The database is another store than the one the install mark names.
    #[error(
        "{} is store {found}, but {} says that store {expected} was installed; mount the right volume, or remove the mark to take this one",
        database.display(), mark.display()
    )]
    OtherStore {
        /// The database.
        database: PathBuf,
        /// The install mark.
        mark: PathBuf,
        /// Id of the store found.
        found: Uuid,
        /// Id of the store that was installed.
        expected: Uuid,
    },
    /// A store is to be made where one is.
    #[error("{} exists already; open it instead", database.display())]
    Exists {
        /// The database.
        database: PathBuf,
    },
    /// The file system is not a local one.
    #[error("{} is on {kind}, where SQLite's locks and syncs cannot be relied on; put the database on a local disk (images may stay where they are)", dir.display())]
    NotLocal {
        /// The store's folder.
        dir: PathBuf,
        /// The kind of file system.
        kind: &'static str,
    },
    /// The process may not do this.
    #[error("{} may only be used by root", path.display())]
    Denied {
        /// The file or folder.
        path: PathBuf,
    },
    /// Another process has the store open for writing.
    #[error("another agent has the store open: {holder}, by its lock {}; stop it first", lock.display())]
    Locked {
        /// The lock.
        lock: PathBuf,
        /// Who holds it, as far as known.
        holder: String,
    },
    /// Written by a newer program.
    #[error("{} has schema {found}, this program knows up to {known}; use the xensnap that wrote it, or a newer one", database.display())]
    Newer {
        /// The database.
        database: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known.
        known: i64,
    },
    /// Written by an older program, and this is only a reader.
    #[error("{} has schema {found}, this program reads {known}; start the agent once, it migrates the database", database.display())]
    Older {
        /// The database.
        database: PathBuf,
        /// Its schema.
        found: i64,
        /// The schema that this program reads.
        known: i64,
    },
    /// Not a database of ours.
    #[error("{} is not a xensnap database: {detail}; set it aside or mount the right volume", database.display())]
    Foreign {
        /// The file.
        database: PathBuf,
        /// What it is instead.
        detail: String,
    },
    /// The database is torn.
    #[error("{} is damaged: {detail}; `xensnap store check` tells how far, `xensnap store rebuild` makes a new one from the sidecars", database.display())]
    Damaged {
        /// The database.
        database: PathBuf,
        /// SQLite's words.
        detail: String,
    },
    /// A row that is not what the contract says.
    #[error("{what} {id} in the store cannot be read: {detail}; `xensnap store check` lists all of them")]
    BadRecord {
        /// What kind of record.
        what: &'static str,
        /// Its id.
        id: String,
        /// What is wrong with it.
        detail: String,
    },
    /// No space, and the reserve does not help (any more).
    #[error("no space left in {} for {what}; free some", dir.display())]
    NoSpace {
        /// The store's folder.
        dir: PathBuf,
        /// What there is no space for.
        what: &'static str,
    },
    /// The file system takes no writes.
    #[error("{} is mounted read-only; remount it (the kernel's log says why it is)", dir.display())]
    ReadOnly {
        /// The store's folder.
        dir: PathBuf,
    },
    /// The open database is no longer the file at its path.
    #[error("{} was unmounted or replaced while the store was open; mount it again and restart the agent", database.display())]
    Vanished {
        /// The database.
        database: PathBuf,
    },
    /// Writes are refused since an earlier error, until the store is opened again.
    #[error("the store takes no writes since an earlier error ({since}); mend that and restart the agent")]
    Latched {
        /// The first error.
        since: String,
    },
    /// A reader that could not get at the database in time.
    #[error("{} is busy (a recovery or a migration is going on); try again", database.display())]
    Busy {
        /// The database.
        database: PathBuf,
    },
    /// SQLite failed otherwise.
    #[error("the database failed while {what}")]
    Engine {
        /// What was being done.
        what: &'static str,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// The system failed.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// An operation of that id is in the journal.
    #[error(transparent)]
    Duplicate(Duplicate),
    /// The journal has no such operation.
    #[error("operation {id} is not in the journal")]
    NoOperation {
        /// The operation.
        id: String,
    },
    /// The operation has ended.
    #[error("operation {id} has ended; nothing can be added to it")]
    Ended {
        /// The operation.
        id: String,
    },
    /// The store does not know the domain.
    #[error("the store knows no domain {domain}")]
    NoDomain {
        /// The domain.
        domain: Uuid,
    },
    /// The store does not know the snapshot.
    #[error("domain {domain} has no snapshot {id}")]
    NoSnapshot {
        /// The domain.
        domain: Uuid,
        /// The snapshot.
        id: String,
    },
    /// A snapshot of that id exists.
    #[error("a snapshot {id} exists already")]
    SnapshotExists {
        /// The snapshot.
        id: String,
    },
    /// A snapshot of that name exists.
    #[error("domain {domain} has a snapshot named {name} already")]
    NameExists {
        /// The domain.
        domain: Uuid,
        /// The name.
        name: String,
    },
    /// The domain cannot be forgotten or adopted as asked.
    #[error("domain {domain} {why}")]
    DomainInUse {
        /// The domain.
        domain: Uuid,
        /// Why not.
        why: &'static str,
    },
    /// What was handed in contradicts itself: a defect of the caller.
    #[error("operation {id}: {detail}")]
    Inconsistent {
        /// The operation.
        id: String,
        /// What does not fit.
        detail: String,
    },
}

/// The id of a new operation is in the journal already. Carries no entry: read it with [`crate::Read::journal`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Duplicate {
    /// With the same bytes: it is the same operation.
    #[error("operation {id} is in the journal already, with the same request")]
    Same {
        /// The operation.
        id: String,
    },
    /// With other bytes: the new request is to be ignored.
    #[error("operation {id} is in the journal already, with another request; choose another id")]
    Other {
        /// The operation.
        id: String,
    },
}

impl Duplicate {
    /// The operation's id.
    pub fn id(&self) -> &str {
        match self {
            Self::Same { id } | Self::Other { id } => id,
        }
    }
}

impl StoreError {
    /// Whether freeing space would help.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }

    /// Whether the store as a whole cannot be used (as against: this call asked for something that is not there or not allowed).
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::NotInstalled { .. }
            | Self::NotMounted { .. }
            | Self::OtherStore { .. }
            | Self::Exists { .. }
            | Self::NotLocal { .. }
            | Self::Denied { .. }
            | Self::Locked { .. }
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::Foreign { .. }
            | Self::Damaged { .. }
            | Self::BadRecord { .. }
            | Self::NoSpace { .. }
            | Self::ReadOnly { .. }
            | Self::Vanished { .. }
            | Self::Latched { .. }
            | Self::Busy { .. }
            | Self::Engine { .. }
            | Self::Io { .. } => true,
            Self::Duplicate(_)
            | Self::NoOperation { .. }
            | Self::Ended { .. }
            | Self::NoDomain { .. }
            | Self::NoSnapshot { .. }
            | Self::SnapshotExists { .. }
            | Self::NameExists { .. }
            | Self::DomainInUse { .. }
            | Self::Inconsistent { .. } => false,
        }
    }

    /// Whether the medium itself failed, so that nothing more may be written before it was looked at.
    pub(crate) fn latches(&self) -> bool {
        matches!(
            self,
            Self::Io { .. }
                | Self::Engine { .. }
                | Self::Damaged { .. }
                | Self::Vanished { .. }
                | Self::ReadOnly { .. }
        )
    }

    /// An error of the system, sorted by what it means here.
    pub(crate) fn io(what: &'static str, path: &Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let dir = || path.parent().unwrap_or(path).to_path_buf();
        match source.kind() {
            ErrorKind::PermissionDenied => Self::Denied { path: path.to_path_buf() },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::NoSpace { dir: dir(), what: "a file" },
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { dir: dir() },
            _ => Self::Io { what, path: path.to_path_buf(), source },
        }
    }
}
