//! The only door to the world: domains, disks, memory, files, time. Everything above it is the same code over [`real::RealHost`] and over `sim::SimHost`.
//!
//! ```text
//!   execute (steps)                    plan (facts)
//!        |                                 |
//!   ---- Host ---------------------------------------  this trait
//!        |                                 |
//!   RealHost: Driver (qemu | xen)   Provider (qcow2_internal)   files   guard
//!        |            |                    |
//!       QMP       process start      QMP | qemu-img
//! ```
//!
//! Each verb can be repeated: asked again after it was done (or half done, or never answered) it ends in the same state. A verb's error says what happened
//! and what to do; whether its effect took place is then found out by looking, never from the error.

use std::future::Future;
use std::ops::ControlFlow;
use std::time::Duration;

use driver::Boots;
use uuid::Uuid;
use xensnap::contract::{
    Disk, DiskTag, Domain, DriverKind, FileCopy, MemoryImage, MemoryOut, OperationId, Pause, ResultFile,
    Sha256, Start,
};
use xensnap::wire::{AbsPath, RawJson};

pub mod beat;
pub mod detached;
pub mod driver;
mod error;
pub mod files;
pub mod guard;
pub mod image;
mod judge;
pub mod link;
pub mod nodes;
pub mod notify;
pub mod pause;
pub mod process;
pub mod provider;
pub mod qemu;
pub mod qemu_img;
pub mod qmp;
pub mod qmp_block;
pub mod real;
pub mod release;
pub mod settings;
#[cfg(test)]
pub(crate) mod sim;
pub mod started;
pub mod xen;

pub use error::{HostError, Result};

/// What a running instance of a domain is doing, as its hypervisor says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Not asked: only its hypervisor knows, and asking every one of them at every turn would be slow. `recheck` and `facts` ask.
    Unknown,
    /// The guest executes.
    Running,
    /// Paused, by us or by somebody else.
    Paused,
    /// It stands still for good: crashed, shut down and kept, stopped by an error. It can be ended, and reverted; no snapshot can be taken.
    Still(&'static str),
    /// Being ended, suspended, or receiving a migration: named by the word its driver uses. Nothing can be done with it now.
    Other(&'static str),
}

/// One run of a domain, from its start to its end. A reboot by the toolstack, a restore or a restart is another instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The domain.
    pub uuid: Uuid,
    /// Its name now.
    pub name: String,
    /// Its address now.
    pub domid: u32,
    /// Who handles it.
    pub driver: DriverKind,
    /// Tells this run from any other of the same domain (for `qemu`: process id and its start time).
    pub run: String,
    /// What it is doing.
    pub state: RunState,
}

/// An image file and what its head says. Sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFacts {
    /// Device and inode, `DEV:INODE`.
    pub file: String,
    /// The disk's size as the guest sees it.
    pub virtual_size: u64,
    /// What the file takes on its file system: bounds the clusters that a snapshot has to touch.
    pub allocated: u64,
    /// qcow2's cluster size; 0 for other formats.
    pub cluster_size: u64,
    /// The tags of the snapshots inside, ours and others'.
    pub tags: Vec<String>,
    /// The backing file, if any.
    pub backing: Option<String>,
    /// Whether data lies in an external file.
    pub external_data: bool,
    /// Free space on the image's file system, for us.
    pub free: u64,
    /// Whether the running QEMU has this very file open (device and inode agree); true when nothing runs.
    pub same_as_open: bool,
}

/// A disk of a domain and what is known of its image.
#[derive(Clone, Debug)]
pub struct DiskFacts {
    /// The disk as the config gives it.
    pub disk: Disk,
    /// Whether a QEMU of this host serves it, or who else does, in words: then no provider can have it.
    pub served: std::result::Result<(), String>,
    /// Its image, or why it cannot be looked at.
    pub image: std::result::Result<ImageFacts, String>,
}

/// How a running domain's memory can be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryAbility {
    /// Whether the guest can run on meanwhile, or why it cannot.
    pub live: std::result::Result<(), String>,
    /// Whether memory can be saved at all, or why it cannot.
    pub paused: std::result::Result<(), String>,
    /// The guest's RAM in bytes.
    pub ram: u64,
    /// Version of what would write the image, and can read it.
    pub writer: String,
    /// What goes wrong on this host when it is saved all the same, for the requester to know.
    pub lacks: Option<String>,
}

/// All that a plan needs to know of a domain.
#[derive(Clone, Debug)]
pub struct DomainFacts {
    /// The domain.
    pub uuid: Uuid,
    /// Its name.
    pub name: String,
    /// Who handles it.
    pub driver: DriverKind,
    /// Its run, unless it is stopped.
    pub instance: Option<Instance>,
    /// Its config, whole.
    pub config: RawJson,
    /// Its disks, in the config's order.
    pub disks: Vec<DiskFacts>,
    /// Its memory. Absent when it is stopped.
    pub memory: Option<MemoryAbility>,
    /// The domain's RAM in bytes, by its config.
    pub ram: u64,
    /// Free space where memory images go, in bytes.
    pub memory_free: u64,
    /// The files of the host that it boots from, if it does.
    pub boots: Option<Boots>,
    /// Version of what would read a memory image here; absent when it is not known.
    pub reader: Option<String>,
    /// Whether it can be started without a memory image, or why not.
    pub can_boot: std::result::Result<(), String>,
    /// The names of other running domains, where no two may have one.
    pub other_names: Vec<String>,
}

/// What a plan needs to know of a domain beside its disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// How its memory can be saved: half of the questions.
    pub memory: bool,
    /// Whether and how it can be started.
    pub start: bool,
}

/// A file: its size and its sum, or why it cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// The file.
    pub path: AbsPath,
    /// What it is.
    pub found: std::result::Result<(u64, Sha256), String>,
}

/// How far a long step is: (done, total) in bytes. A `Break` asks the verb to stop waiting and to return an error of kind `Cancelled`.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) -> ControlFlow<()> + Send + Sync);

/// The world. See the module's head for what every verb promises.
pub trait Host: Send + Sync + 'static {
    /// All running instances, of every driver; their states are `Unknown`: no hypervisor is asked, so that none that hangs can hold up the others.
    fn instances(&self) -> impl Future<Output = Result<Vec<Instance>>> + Send;

    /// Looks at a domain: `instance` when it runs, `known` as the store knows it (needed when it does not run).
    fn facts(
        &self,
        instance: Option<&Instance>,
        known: Option<&Domain>,
        ask: Ask,
    ) -> impl Future<Output = Result<DomainFacts>> + Send;

    /// Sizes and sums of files.
    fn sums(&self, paths: &[AbsPath]) -> impl Future<Output = Vec<FileFacts>> + Send;

    /// Looks at one image that may not be (any more) a disk of a domain.
    fn look(&self, disk: &Disk) -> impl Future<Output = DiskFacts> + Send;

    /// The instance again, as it is now; an error of kind `Gone` when that run has ended.
    fn recheck(&self, instance: &Instance) -> impl Future<Output = Result<Instance>> + Send;

    /// Creates the memory image, empty, 0600, never over an existing file that is not ours; checks its space.
    fn create_memory_file(&self, out: &MemoryOut) -> impl Future<Output = Result<()>> + Send;

    /// Pauses the guest, in that very run or not at all (for a suspend: gets ready for it). Before that the guard knows of it and will release the guest when we
    /// die or after the deadline.
    fn pause(
        &self,
        operation: &OperationId,
        instance: &Instance,
        pause: &Pause,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Releases the guest if this operation's pause still holds it: exactly once, whoever does it. Returns how long the guest was paused, if it was by us and
    /// that is known. Not an error when the instance is gone or the guard was first.
    fn release(
        &self,
        operation: &OperationId,
        instance: &Instance,
    ) -> impl Future<Output = Result<Option<Duration>>> + Send;

    /// Gets ready what operations would otherwise wait for, and sees that domains have what an earlier agent may have owed them. Nothing depends on it.
    fn get_ready(&self) -> impl Future<Output = ()> + Send;

    /// Releases every pause that an earlier agent left behind; returns the operations whose pauses they were.
    fn release_leftovers(&self) -> impl Future<Output = Result<Vec<OperationId>>> + Send;

    /// Snapshots all disks, all or none: of the running instance by one QMP transaction, else by the offline tool.
    fn disks_create(
        &self,
        instance: Option<&Instance>,
        disks: &[DiskTag],
    ) -> impl Future<Output = Result<()>> + Send;

    /// Deletes these snapshots; one that is not there is done already. Finds out by itself whether the domain runs.
    fn disks_delete(&self, domain: Uuid, disks: &[DiskTag]) -> impl Future<Output = Result<()>> + Send;

    /// Puts a stopped domain's disks back to these snapshots.
    fn disks_apply(&self, domain: Uuid, disks: &[DiskTag]) -> impl Future<Output = Result<()>> + Send;

    /// Checks that each image is the recorded file and holds the tag; an error of kind `Changed` names the first that does not.
    fn disks_verify(&self, domain: Uuid, disks: &[DiskTag]) -> impl Future<Output = Result<()>> + Send;

    /// Checks that a memory image is the recorded file, whole; an error of kind `Changed` says what is wrong.
    fn memory_verify(&self, image: &MemoryImage) -> impl Future<Output = Result<()>> + Send;

    /// Begins to write memory into the file; returns once its instant is fixed (so that, when `live`, the guest may go on). Under Xen memory is written when this
    /// returns, and the guest suspended.
    fn memory_begin(
        &self,
        instance: &Instance,
        out: &MemoryOut,
        progress: Progress<'_>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Waits until memory is written; returns the file's size in bytes. Can be asked by an agent that did not begin it.
    fn memory_complete(
        &self,
        instance: &Instance,
        out: &MemoryOut,
        progress: Progress<'_>,
    ) -> impl Future<Output = Result<u64>> + Send;

    /// Stops writing memory, if it is being written. The guest's run state is left as it is.
    fn memory_cancel(&self, instance: &Instance) -> impl Future<Output = Result<()>> + Send;

    /// Brings files, and the folders they are in, to the disk.
    fn sync(&self, paths: &[AbsPath]) -> impl Future<Output = Result<()>> + Send;

    /// Copies files, 0600, if they are what the plan says; a copy that is there is done already.
    fn copy_files(&self, files: &[FileCopy]) -> impl Future<Output = Result<()>> + Send;

    /// Removes a file and syncs its folder; a missing one is done already.
    fn remove_file(&self, path: &AbsPath) -> impl Future<Output = Result<()>> + Send;

    /// Writes a result into a file of its own, 0600, whole or not at all, synced; over an older one of the same path.
    fn write_result(&self, path: &AbsPath, bytes: &[u8]) -> impl Future<Output = Result<ResultFile>> + Send;

    /// Ends the domain's run at once, as a power cut does, and returns when none of its processes has an image open. Done already when it does not run.
    fn end_domain(&self, domain: Uuid) -> impl Future<Output = Result<()>> + Send;

    /// Starts the domain and registers it; the same run when it was started for this already. Outlives the agent.
    fn start_domain(&self, domain: Uuid, start: &Start) -> impl Future<Output = Result<Instance>> + Send;

    /// Lets go of what is held open for a domain between steps (its QMP socket).
    fn let_go(&self, domain: Uuid) -> impl Future<Output = ()> + Send;
}
