//! What the program wants of a toolstack. libxl does it ([`super::context::Libxl`]); the tests have another, so that what is decided above can be tried without Xen.

use std::fs::File;
use std::time::Duration;

use uuid::Uuid;

use super::protocol::{Failure, Info, Status};

/// What woke a monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The guest ejected a removable disk: the disk as libxl's JSON.
    Ejected(String),
    /// Something else about the domain. A hint only: look at its state.
    Other,
}

/// A toolstack. Every verb is about an instance by its domid, whoever it is: the caller has checked that. A verb's success is what the toolstack said; the caller looks.
pub trait Toolstack {
    /// What it is.
    fn info(&self) -> &Info;

    /// An instance's state; `None` when no instance has that domid.
    fn look(&self, domid: u32) -> Result<Option<Status>, Failure>;

    /// Its config as libxl's JSON, as it is now.
    fn config(&self, domid: u32) -> Result<String, Failure>;

    /// Who has this name.
    fn named(&self, name: &str) -> Result<Option<u32>, Failure>;

    /// One more pause.
    fn pause(&self, domid: u32) -> Result<(), Failure>;

    /// One pause less.
    fn unpause(&self, domid: u32) -> Result<(), Failure>;

    /// Suspends it and writes its stream at the file's position.
    fn suspend(&self, domid: u32, file: &File, live: bool) -> Result<(), Failure>;

    /// Resumes it from a suspend, as if that had been cancelled.
    fn resume(&self, domid: u32) -> Result<(), Failure>;

    /// Ends it.
    fn destroy(&self, domid: u32) -> Result<(), Failure>;

    /// Makes a domain of a config, paused; its domid. Nothing is left of it after an error.
    fn create(&self, config: &str) -> Result<u32, Failure>;

    /// Takes the guest's soft reset: the same domid, made anew, paused.
    fn soft_reset(&self, domid: u32, config: &str) -> Result<(), Failure>;

    /// Writes its memory for a debugger.
    fn core_dump(&self, domid: u32, file: &str) -> Result<(), Failure>;

    /// Gives it another UUID and a name with this suffix, so that both can be used again.
    fn preserve(&self, domid: u32, config: &str, suffix: &str, uuid: Uuid) -> Result<(), Failure>;

    /// Begins to wait for events of this instance; ejects of these removable disks too. Ends an earlier waiting.
    fn watch(&self, domid: u32, removable: &[String]) -> Result<(), Failure>;

    /// Must follow each event before the next is waited for: libxl tells of a shutdown once for each subscription.
    fn watch_on(&self) -> Result<(), Failure>;

    /// Waits for an event, not longer than this. `None`: nothing came.
    fn wait(&self, time: Duration) -> Result<Option<Event>, Failure>;

    /// Inserts a medium (or none) into a removable disk.
    fn insert(&self, domid: u32, disk: &str) -> Result<(), Failure>;

    /// Lets time pass.
    fn sleep(&self, time: Duration);
}
