//! Who handles a domain: how it is found, looked at, paused, saved, ended and started.
//!
//! ```text
//!   RealHost --> Driver: qemu::QemuDriver   plain QEMU, registered in xenstore
//!                        Xen                under libxl: not in this build, says so
//! ```
//!
//! Disks are not a driver's: every driver's disks sit in a QEMU, so [`super::real`] handles them over the driver's [`Link`].

use std::time::Duration;

use uuid::Uuid;
use xensnap::contract::{Disk, Domain, DriverKind, ErrorKind, MemoryOut, OperationId, Start};
use xensnap::wire::RawJson;

use super::link::Link;
use super::process::Process;
use super::{HostError, Instance, MemoryAbility, Progress, Result};

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

    /// How its memory can be saved.
    fn memory(&self, instance: &Instance) -> impl Future<Output = Result<MemoryAbility>> + Send;

    /// The process that has its disks open, and the connection to it.
    fn link(&self, instance: &Instance) -> impl Future<Output = Result<(Process, Link)>> + Send;

    /// Pauses the guest.
    fn pause(
        &self,
        operation: &OperationId,
        instance: &Instance,
        deadline: Duration,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Lets it go on.
    fn release(
        &self,
        operation: &OperationId,
        instance: &Instance,
    ) -> impl Future<Output = Result<Option<Duration>>> + Send;

    /// Begins to write memory.
    fn memory_begin(&self, instance: &Instance, out: &MemoryOut) -> impl Future<Output = Result<()>> + Send;

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

/// The driver for domains under libxl. Its seat: the other drivers' callers need not change when it comes.
#[derive(Clone, Copy, Debug)]
pub struct Xen;

/// What this build answers for a domain under libxl.
pub fn no_xen<T>(what: &str) -> Result<T> {
    Err(HostError::new(
        ErrorKind::DomainState,
        format!("{what} is a Xen domain under libxl: this build has no driver for those"),
    )
    .hint("only domains of driver `qemu` can be handled so far"))
}

impl Driver for Xen {
    fn kind(&self) -> DriverKind {
        DriverKind::Xen
    }

    async fn config(&self, instance: Option<&Instance>, known: Option<&Domain>) -> Result<Config> {
        no_xen(instance.map(|i| i.name.as_str()).or(known.map(|k| k.name.as_str())).unwrap_or("the domain"))
    }

    async fn recheck(&self, instance: &Instance) -> Result<Instance> {
        no_xen(&instance.name)
    }

    async fn memory(&self, instance: &Instance) -> Result<MemoryAbility> {
        no_xen(&instance.name)
    }

    async fn link(&self, instance: &Instance) -> Result<(Process, Link)> {
        no_xen(&instance.name)
    }

    async fn pause(&self, _: &OperationId, instance: &Instance, _: Duration) -> Result<()> {
        no_xen(&instance.name)
    }

    async fn release(&self, _: &OperationId, instance: &Instance) -> Result<Option<Duration>> {
        no_xen(&instance.name)
    }

    async fn memory_begin(&self, instance: &Instance, _: &MemoryOut) -> Result<()> {
        no_xen(&instance.name)
    }

    async fn memory_complete(&self, instance: &Instance, _: &MemoryOut, _: Progress<'_>) -> Result<u64> {
        no_xen(&instance.name)
    }

    async fn memory_cancel(&self, instance: &Instance) -> Result<()> {
        no_xen(&instance.name)
    }

    async fn end(&self, domain: Uuid) -> Result<()> {
        no_xen(&domain.to_string())
    }

    async fn start(&self, domain: Uuid, _: &Start) -> Result<Instance> {
        no_xen(&domain.to_string())
    }
}
