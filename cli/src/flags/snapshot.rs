//! Flags of the snapshot verbs.

use std::time::Duration;

use clap::{Args, ValueEnum};
use xensnap::contract::{DomainRef, FinalState, Line, MemoryMode, SnapshotName, SnapshotRef, Vdev};

use super::{Ask, value};
use crate::text::parse_duration;

/// A snapshot of a domain.
#[derive(Args, Debug)]
pub(crate) struct One {
    /// The domain
    #[arg(value_parser = value::domain_ref)]
    pub domain: DomainRef,
    /// Name or id of the snapshot
    #[arg(value_parser = value::snapshot_ref)]
    pub snapshot: SnapshotRef,
}

/// `-list`.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// The domain
    #[arg(value_parser = value::domain_ref, required_unless_present = "all", conflicts_with = "all")]
    pub domain: Option<DomainRef>,
    /// Of all domains
    #[arg(long)]
    pub all: bool,
}

/// `disk-snapshot-create`, and what `vm-snapshot-create` has in common with it.
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// The domain
    #[arg(value_parser = value::domain_ref)]
    pub domain: DomainRef,
    /// Name of the snapshot [default: the epoch seconds]
    #[arg(long, value_parser = value::snapshot_name)]
    pub name: Option<SnapshotName>,
    /// Free text, at most 200 bytes
    #[arg(long, value_name = "TEXT", value_parser = value::description)]
    pub description: Option<Line>,
    /// Only these disks (xvda,xvdb) [default: all]
    #[arg(long, value_name = "VDEV", value_delimiter = ',', value_parser = value::vdev, conflicts_with = "exclude_disks")]
    pub disks: Option<Vec<Vdev>>,
    /// All disks but these (xvda,xvdb)
    #[arg(long, value_name = "VDEV", value_delimiter = ',', value_parser = value::vdev)]
    pub exclude_disks: Option<Vec<Vdev>>,
    /// Refuse when the expected pause of the guest is longer (100ms)
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub pause_max: Option<Duration>,
    /// How to ask
    #[command(flatten)]
    pub ask: Ask,
}

/// `vm-snapshot-create`.
#[derive(Args, Debug)]
pub(crate) struct VmCreate {
    /// What both creates have
    #[command(flatten)]
    pub create: Create,
    /// How memory is saved
    #[arg(long, value_enum, default_value_t = Memory::Auto)]
    pub memory: Memory,
    /// Leave memory out: the same as --memory none
    #[arg(long, conflicts_with = "memory")]
    pub disks_only: bool,
    /// Keep copies of the kernel and RAM disk that the domain boots from
    #[arg(long)]
    pub keep_boot_files: bool,
}

impl VmCreate {
    /// How memory is saved, by either flag.
    pub(crate) fn memory_mode(&self) -> MemoryMode {
        if self.disks_only { MemoryMode::None } else { self.memory.mode() }
    }
}

/// How memory is saved.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Memory {
    /// Live where the domain's QEMU or Xen can do it, else paused
    Auto,
    /// The guest runs on while its memory is written; refused where that is not possible
    Live,
    /// The guest is paused while its memory is written
    Paused,
    /// Memory is left out: disks and config only
    None,
}

impl Memory {
    fn mode(self) -> MemoryMode {
        match self {
            Self::Auto => MemoryMode::Auto,
            Self::Live => MemoryMode::Live,
            Self::Paused => MemoryMode::Paused,
            Self::None => MemoryMode::None,
        }
    }
}

/// The state a domain is in after a revert: at most one of three flags.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub(crate) struct Final {
    /// Leave the domain running
    #[arg(long)]
    pub running: bool,
    /// Leave the domain paused
    #[arg(long)]
    pub paused: bool,
    /// Leave the domain stopped
    #[arg(long)]
    pub stopped: bool,
}

impl Final {
    /// The state asked for, if any.
    pub(crate) fn state(&self) -> Option<FinalState> {
        match (self.running, self.paused, self.stopped) {
            (true, ..) => Some(FinalState::Running),
            (_, true, _) => Some(FinalState::Paused),
            (.., true) => Some(FinalState::Stopped),
            _ => None,
        }
    }
}

/// `vm-snapshot-revert`.
#[derive(Args, Debug)]
pub(crate) struct VmRevert {
    /// The snapshot
    #[command(flatten)]
    pub one: One,
    /// The state afterwards [default: running with the memory image, else stopped]
    #[command(flatten)]
    pub state: Final,
    /// Take a snapshot of the present state first; what runs in RAM is lost otherwise
    #[arg(long)]
    pub snapshot_first: bool,
    /// Leave the memory image aside: the domain boots from its reverted disks
    #[arg(long)]
    pub disks_only: bool,
    /// How to ask
    #[command(flatten)]
    pub ask: Ask,
}

/// `disk-snapshot-revert`.
#[derive(Args, Debug)]
pub(crate) struct Revert {
    /// The snapshot
    #[command(flatten)]
    pub one: One,
    /// Only these disks of the snapshot (xvda,xvdb) [default: all that it holds]
    #[arg(long, value_name = "VDEV", value_delimiter = ',', value_parser = value::vdev)]
    pub disks: Option<Vec<Vdev>>,
    /// The state afterwards: needed for a running domain, which is ended for it
    #[command(flatten)]
    pub state: Final,
    /// Take a disk snapshot of the present state first
    #[arg(long)]
    pub snapshot_first: bool,
    /// How to ask
    #[command(flatten)]
    pub ask: Ask,
}
