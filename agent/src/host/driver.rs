//! Who handles a domain: how it is found, looked at, paused, saved, ended and started.
//!
//! ```text
//!   RealHost --> Driver: qemu::QemuDriver   plain QEMU, registered in xenstore
//!                        xen::XenDriver     under libxl
//! ```
//!
//! Disks are not a driver's: every driver's disks sit in a QEMU, so [`super::real`] handles them over the driver's [`Link`].

use std::time::Duration;

use uuid::Uuid;
use xensnap::contract::{BootRole, Disk, Domain, DriverKind, MemoryOut, OperationId, Pause, Start, Vdev};
use xensnap::wire::{AbsPath, RawJson};

use super::link::Link;
use super::process::Process;
use super::{Instance, MemoryAbility, Progress, Result};

/// What a domain's config says.
#[derive(Clone, Debug)]
pub struct Config {
    /// The config, whole.
    pub text: RawJson,
    /// The domain's name.
    pub name: String,
    /// Its disks.
    pub disks: Vec<Disk>,
    /// Its RAM in bytes.
    pub ram: u64,
    /// Disks that no provider can have, whatever their image: no QEMU of this host serves them. With the reason, in words.
    pub unserved: Vec<(Vdev, String)>,
    /// The files of the host that it boots from, if it does.
    pub boots: Option<Boots>,
}

/// How a domain boots from files of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boots {
    /// The files.
    pub files: Vec<(BootRole, AbsPath)>,
    /// The kernel's command line.
    pub cmdline: Option<String>,
}

/// One way to handle domains. The verbs promise what [`super::Host`]'s of the same name do.
pub trait Driver: Send + Sync {
    /// Which one it is.
    fn kind(&self) -> DriverKind;

    /// The config of a running domain, or of one that the store knows.
    fn config(
        &self,
        instance: Option<&Instance>,
        known: Option<&Domain>,
    ) -> impl Future<Output = Result<Config>> + Send;

    /// The instance as it is now.
    fn recheck(&self, instance: &Instance) -> impl Future<Output = Result<Instance>> + Send;

    /// How the memory of an instance with this config can be saved.
    fn memory(
        &self,
        instance: &Instance,
        config: &Config,
    ) -> impl Future<Output = Result<MemoryAbility>> + Send;

    /// The process that has its disks open, and the connection to it; `None` where it has died and left the guest there: then nobody has the images.
    fn link(&self, instance: &Instance) -> impl Future<Output = Result<Option<(Process, Link)>>> + Send;

    /// Has QEMU take its images in hand, where a save of the guest's memory has made it let go of them.
    fn take_images(&self, instance: &Instance, link: &mut Link) -> impl Future<Output = Result<()>> + Send;

    /// Pauses the guest.
    fn pause(
        &self,
        operation: &OperationId,
        instance: &Instance,
        pause: &Pause,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Lets it go on.
    fn release(
        &self,
        operation: &OperationId,
        instance: &Instance,
    ) -> impl Future<Output = Result<Option<Duration>>> + Send;

    /// Begins to write memory.
    fn memory_begin(
        &self,
        instance: &Instance,
        out: &MemoryOut,
        progress: Progress<'_>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Waits until memory is written.
    fn memory_complete(
        &self,
        instance: &Instance,
        out: &MemoryOut,
        progress: Progress<'_>,
    ) -> impl Future<Output = Result<u64>> + Send;

    /// Stops writing memory.
    fn memory_cancel(&self, instance: &Instance) -> impl Future<Output = Result<()>> + Send;

    /// Ends every run of the domain.
    fn end(&self, domain: Uuid) -> impl Future<Output = Result<()>> + Send;

    /// Starts the domain.
    fn start(&self, domain: Uuid, start: &Start) -> impl Future<Output = Result<Instance>> + Send;
}
