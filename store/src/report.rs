//! What `check` and `rebuild` found: typed, for people by `Display`.

use std::path::PathBuf;

use uuid::Uuid;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Wrong, and mended by the agent or by what the finding says.
    Repairable,
    /// Something is lost or unusable.
    Damage,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// The store is on a file system that does not keep anything.
    #[error("{} is on {kind}: nothing in it survives a power cut", dir.display())]
    Volatile {
        /// The store's folder.
        dir: PathBuf,
        /// The kind of file system.
        kind: &'static str,
    },
    /// The store is on a file system of another host.
    #[error("{} is on {kind}, whose locks and syncs SQLite cannot rely on; move the database to a local disk", dir.display())]
    Remote {
        /// The store's folder.
        dir: PathBuf,
        /// The kind of file system.
        kind: &'static str,
    },
    /// The install mark is missing.
    #[error("the install mark {} is missing: an unmounted volume would look like a new host; the agent writes it when it starts", mark.display())]
    NoMark {
        /// The mark.
        mark: PathBuf,
    },
    /// The install mark names another store.
    #[error("the install mark {} names another store than {found}", mark.display())]
    OtherMark {
        /// The mark.
        mark: PathBuf,
        /// Id of the store.
        found: Uuid,
    },
    /// The reserve is missing.
    #[error("{} is missing: no space is kept for a full disk; the agent makes it when there is space", path.display())]
    NoReserve {
        /// The reserve.
        path: PathBuf,
    },
    /// SQLite found its file torn.
    #[error("the database is damaged: {detail}")]
    Integrity {
        /// SQLite's words.
        detail: String,
    },
    /// A record that does not decode.
    #[error("{what} {id} cannot be read: {detail}")]
    BadRecord {
        /// What kind of record.
        what: &'static str,
        /// Its id.
        id: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A column that does not say what the record says.
    #[error("{what} {id}: column {column} does not agree with the record")]
    Column {
        /// What kind of record.
        what: &'static str,
        /// Its id.
        id: String,
        /// The column.
        column: &'static str,
    },
    /// A parent that is not there.
    #[error("snapshot {id} of domain {domain} has a parent {parent} that does not exist")]
    NoParent {
        /// The domain.
        domain: Uuid,
        /// The snapshot.
        id: String,
        /// The parent.
        parent: String,
    },
    /// Snapshots that descend from themselves.
    #[error("snapshot {id} descends from itself")]
    Cycle {
        /// One of them.
        id: String,
    },
    /// A domain's current snapshot that is not there.
    #[error("domain {domain} has a current snapshot {id} that does not exist")]
    NoCurrent {
        /// The domain.
        domain: Uuid,
        /// The snapshot.
        id: String,
    },
    /// A file of a snapshot that is not there.
    #[error("snapshot {id}: {} is missing", path.display())]
    FileMissing {
        /// The snapshot.
        id: String,
        /// The file.
        path: PathBuf,
    },
    /// A memory image of another size than recorded.
    #[error("snapshot {id}: {} has {found} bytes, {recorded} were recorded", path.display())]
    FileSize {
        /// The snapshot.
        id: String,
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        found: u64,
        /// The recorded size in bytes.
        recorded: u64,
    },
    /// A disk image that is another file than recorded.
    #[error("snapshot {id}: {} is another file ({found}) than was recorded ({recorded})", path.display())]
    FileReplaced {
        /// The snapshot.
        id: String,
        /// The image.
        path: PathBuf,
        /// Device and inode of the file.
        found: String,
        /// Those recorded.
        recorded: String,
    },
    /// A sidecar that is not there.
    #[error("sidecar {} is missing; the agent writes it again when it starts", path.display())]
    SidecarMissing {
        /// The sidecar.
        path: PathBuf,
    },
    /// A sidecar that is not what the record says.
    #[error("sidecar {} does not agree with its record; the agent writes it again when it starts", path.display())]
    SidecarDiffers {
        /// The sidecar.
        path: PathBuf,
    },
    /// A sidecar without a record.
    #[error("sidecar {} has no record; `xensnap store rebuild` takes it in, if it is whole", path.display())]
    SidecarStray {
        /// The sidecar.
        path: PathBuf,
    },
    /// A memory image without a record.
    #[error("memory image {} belongs to no snapshot; remove it, unless it was put there on purpose", path.display())]
    MemoryStray {
        /// The file.
        path: PathBuf,
    },
}

impl Finding {
    /// How much it matters.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Volatile { .. }
            | Self::MemoryStray { .. }
            | Self::SidecarStray { .. }
            | Self::Remote { .. } => Severity::Note,
            Self::NoMark { .. }
            | Self::NoReserve { .. }
            | Self::SidecarMissing { .. }
            | Self::SidecarDiffers { .. } => Severity::Repairable,
            Self::OtherMark { .. }
            | Self::Integrity { .. }
            | Self::BadRecord { .. }
            | Self::Column { .. }
            | Self::NoParent { .. }
            | Self::Cycle { .. }
            | Self::NoCurrent { .. }
            | Self::FileMissing { .. }
            | Self::FileSize { .. }
            | Self::FileReplaced { .. } => Severity::Damage,
        }
    }
}

/// What [`crate::check`] looked at and found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// Id of the store.
    pub store: Uuid,
    /// How many domains.
    pub domains: u64,
    /// How many snapshots.
    pub snapshots: u64,
    /// How many operations in the journal.
    pub operations: u64,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
}

impl CheckReport {
    /// The worst of the findings.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(Finding::severity).max()
    }
}

/// A file that [`crate::rebuild`] did not take in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// What it was called.
    pub path: PathBuf,
    /// What it is called now.
    pub now: PathBuf,
    /// Why.
    pub why: String,
}

/// What [`crate::rebuild`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RebuildReport {
    /// Domains in the new database.
    pub domains: u64,
    /// Of these: known from their snapshots only, so that `current` is not known.
    pub domains_derived: Vec<Uuid>,
    /// Snapshots taken over from the old database.
    pub snapshots_kept: u64,
    /// Snapshots taken in from sidecars.
    pub snapshots_imported: u64,
    /// Operations taken over from the old database's journal.
    pub operations_kept: u64,
    /// What of the old database could not be read.
    pub lost: Vec<String>,
    /// Snapshots that got another name since theirs was taken: id, old name, new name.
    pub renamed: Vec<(String, String, String)>,
    /// Snapshots whose parent is not there (any more): they have none now.
    pub orphaned: Vec<String>,
    /// Torn and foreign sidecars.
    pub set_aside: Vec<SetAside>,
    /// What the old database is called now.
    pub old_database: Option<PathBuf>,
    /// Whether an earlier, interrupted rebuild was only brought to its end.
    pub finished_earlier: bool,
}

/// What [`crate::export`] wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// How many domains.
    pub domains: u64,
    /// How many snapshots.
    pub snapshots: u64,
    /// How many operations.
    pub operations: u64,
}
