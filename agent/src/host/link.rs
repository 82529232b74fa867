//! QMP connections kept between the steps of an operation, one a domain; and what one step knows that a later one needs.
//!
//! A QMP socket serves one client: who keeps it shuts others out, the guard included. So it is kept for one operation (`let_go` ends it), used by one task at a
//! time, and no command of a paused guest waits longer than its pause may last.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use uuid::Uuid;
use xensnap::contract::ErrorKind;

use super::process::Process;
use super::qmp::Qmp;
use super::qmp_block::Node;
use super::{HostError, Result};

/// How long a connection may take: a QEMU whose main loop is not blocked needs under a millisecond.
pub const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How long an ordinary command may take.
pub const COMMAND_MAX: Duration = Duration::from_secs(10);
/// What is left of a pause for its release, when a command before it is not answered.
const RELEASE_RESERVE: Duration = Duration::from_secs(3);
/// What a command is given even then: a QEMU that has just come to itself answers within it.
const COMMAND_MIN: Duration = Duration::from_millis(400);

/// Whom to connect to.
#[derive(Clone, Copy, Debug)]
pub struct Address<'a> {
    /// The domain.
    pub uuid: Uuid,
    /// Its name, for errors.
    pub name: &'a str,
    /// The run that must answer.
    pub process: Process,
    /// Its QMP socket.
    pub socket: &'a Path,
}

/// A pause of ours that goes on.
#[derive(Clone, Copy, Debug)]
pub struct Paused {
    /// When the guest stopped, by QEMU's clock, if QEMU said so.
    pub stopped_at: Option<Duration>,
    /// When the command was answered, by ours.
    pub since: Instant,
    /// When the guard steps in.
    pub until: Instant,
}

/// Memory being written.
#[derive(Clone, Debug)]
pub struct Writing {
    /// Into which file.
    pub path: PathBuf,
    /// Bandwidth limit to put back afterwards, in bytes a second.
    pub bandwidth: u64,
}

/// What is known of one domain between steps.
#[derive(Debug, Default)]
pub struct Slot {
    name: String,
    process: Option<Process>,
    qmp: Option<Qmp>,
    /// Its disks, as this operation has listed them before its pause.
    pub nodes: Option<Vec<Node>>,
    /// Its pause.
    pub paused: Option<Paused>,
    /// Its memory.
    pub writing: Option<Writing>,
}

/// A domain's connection, ours until dropped.
pub type Link = OwnedMutexGuard<Slot>;

/// The connections of all domains.
#[derive(Debug, Default)]
pub struct Links {
    slots: Mutex<HashMap<Uuid, Arc<tokio::sync::Mutex<Slot>>>>,
}

impl Links {
    /// The domain's connection, opened if it is not open.
    ///
    /// # Errors
    /// `DomainGone` when another run answers, `QmpUnavailable` when none does.
    pub async fn get(&self, address: Address<'_>) -> Result<Link> {
        self.get_within(address, CONNECT_MAX).await
    }

    /// The same, waiting longer for a QEMU that may be busy.
    ///
    /// # Errors
    /// As [`Links::get`].
    pub async fn get_within(&self, address: Address<'_>, time: Duration) -> Result<Link> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(address.uuid).or_default())
        };
        let mut slot = slot.lock_owned().await;
        if slot.process != Some(address.process) {
            *slot = Slot { name: address.name.into(), process: Some(address.process), ..Slot::default() };
        }
        if slot.qmp.as_ref().is_none_or(Qmp::broken) {
            slot.qmp = None; // closed first: it would shut us out
            if !address.process.alive() {
                return Err(gone(address.name));
            }
            let deadline = slot.deadline(time);
            let connected = Qmp::connect(address.socket, deadline).await;
            let qmp = connected.map_err(|e| about_stopped(e.about(address.name), address.process))?;
            if qmp.pid().is_some_and(|pid| pid != address.process.pid) {
                return Err(gone(address.name));
            }
            slot.qmp = Some(qmp);
        }
        Ok(slot)
    }

    /// Until when something may take: this long, or as long as a pause of ours leaves time.
    pub async fn until(&self, domain: Uuid, usual: Duration) -> Instant {
        let slot = self.slots.lock().unwrap_or_else(PoisonError::into_inner).get(&domain).map(Arc::clone);
        match slot {
            Some(slot) => slot.lock().await.deadline(usual),
            None => Instant::now() + usual,
        }
    }

    /// A domain is paused by us, which its QEMU does not know: commands to it must leave time for the release.
    pub async fn paused(&self, domain: Uuid, name: &str, process: Process, paused: Paused) {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(domain).or_default())
        };
        let mut slot = slot.lock().await;
        if slot.process != Some(process) {
            *slot = Slot { name: name.into(), process: Some(process), ..Slot::default() };
        }
        slot.paused = Some(paused);
    }

    /// A pause was ended by somebody else: what was known of it no longer holds.
    pub async fn pause_over(&self, domain: Uuid) {
        let slot = self.slots.lock().unwrap_or_else(PoisonError::into_inner).get(&domain).map(Arc::clone);
        if let Some(slot) = slot {
            let mut slot = slot.lock().await;
            (slot.paused, slot.nodes) = (None, None);
        }
    }

    /// Closes a domain's connection. A pause of ours is remembered.
    pub async fn let_go(&self, domain: Uuid) {
        let slot = self.slots.lock().unwrap_or_else(PoisonError::into_inner).get(&domain).map(Arc::clone);
        let Some(slot) = slot else { return };
        let mut locked = slot.lock().await;
        (locked.qmp, locked.nodes) = (None, None);
        if locked.paused.is_none() && locked.writing.is_none() {
            drop(locked);
            self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(&domain);
        }
    }
}

impl Slot {
    /// The connection.
    ///
    /// # Errors
    /// `Internal` when there is none: `get` makes one.
    pub fn qmp(&mut self) -> Result<&mut Qmp> {
        let Self { qmp, name, .. } = self;
        qmp.as_mut().ok_or_else(|| {
            HostError::new(ErrorKind::Internal, format!("domain {name}: its QMP connection was let go"))
        })
    }

    /// Until when a command may take that usually takes less than this: no longer than a pause of ours leaves time for the release.
    pub fn deadline(&self, usual: Duration) -> Instant {
        let now = Instant::now();
        let Some(paused) = self.paused else { return now + usual };
        let left = paused.until.checked_sub(RELEASE_RESERVE).unwrap_or(paused.until);
        left.max(now + COMMAND_MIN).min(now + usual)
    }

    /// Whether QEMU has handed its images over to a migration, by the guest's state: before 10.0 the images themselves do not tell.
    ///
    /// # Errors
    /// When QEMU does not answer.
    pub async fn handed_over(&mut self) -> Result<bool> {
        let deadline = self.deadline(COMMAND_MAX);
        let active = self.nodes_tell()?;
        let qmp = self.qmp()?;
        let status = super::qemu::memory::status(qmp, deadline).await;
        let status = status.map_err(|e| e.about(&self.name))?;
        Ok(!active && matches!(status.as_str(), "postmigrate" | "finish-migrate" | "inmigrate"))
    }

    /// Whether `query-block` tells if an image is in hand.
    fn nodes_tell(&mut self) -> Result<bool> {
        Ok(super::qemu::memory::major(self.qmp()?) >= 10)
    }

    /// The domain's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The run has ended.
pub fn gone(name: &str) -> HostError {
    HostError::new(ErrorKind::DomainGone, format!("domain {name}: its run has ended"))
        .hint("ask again; a snapshot of a domain that does not run is `offline`")
}

/// Says when a QEMU does not answer because somebody has stopped it.
fn about_stopped(mut e: HostError, process: Process) -> HostError {
    if process.stopped() {
        e.message = format!("{}: process {} is stopped by a signal", e.message, process.pid);
        e.hint = Some(format!("let it go on: kill -CONT {}", process.pid));
    }
    e
}
