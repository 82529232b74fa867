//! From what is known to steps. Pure: no I/O, no clock, no randomness, so that most of the agent's behaviour is tested as tables.
//!
//! ```text
//!   admit --(Known: facts of the domain, its snapshots, the request)--> plan --(Plan)--> journal, execute
//! ```
//!
//! Everything that can be refused is refused here, before anything is touched: disks that no provider takes, states, names, space, limits.
//!
//! The steps of the operations, where `!` is the point of no return:
//!
//! ```text
//!   create, live memory    create_memory_file pause disks_create memory_begin release memory_complete sync commit
//!   create, paused memory  create_memory_file pause disks_create memory_begin memory_complete release sync commit
//!   create, memory, Xen    create_memory_file pause memory_begin disks_create release memory_complete sync commit
//!   create, disks only     pause disks_create release sync commit            (one disk: no pause, the snapshot itself is one instant)
//!   create, not running    disks_create sync commit
//!   delete                 !disks_delete remove_file commit
//!   revert, running        verify pause disks_create(undo) !end_domain disks_apply start_domain disks_delete(undo) commit
//!   revert, stopped        verify disks_create(undo) !disks_apply start_domain disks_delete(undo) commit
//!   revert, snapshot first create, paused memory (without its release), commit, then as above with that snapshot in the undo tags' place
//! ```

mod boot;
mod create;
mod delete;
mod disks;
mod revert;
#[cfg(test)]
mod tests;

use std::time::Duration;

use uuid::Uuid;
use xensnap::contract::{
    Domain, Line, MemoryMode, OperationId, Plan, RequestOp, Snapshot, SnapshotPart, Step, StepAct,
};
use xensnap::wire::{AbsPath, Timestamp};

use crate::host::{Ask, DiskFacts, DomainFacts, FileFacts, HostError};

/// Limits that the configuration sets.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The most snapshots that a domain may have.
    pub snapshots_max: usize,
    /// No pause may be expected to be longer than this.
    pub pause_max: Duration,
    /// How much longer than four times the expected pause a guest may be paused before the guard steps in.
    pub pause_grace: Duration,
    /// Free space in bytes that an operation must leave on each file system.
    pub space_left_min: u64,
}

/// What a plan depends on: what the host has to find out.
pub fn depends_on(op: &RequestOp) -> Ask {
    match op {
        RequestOp::VmSnapshotCreate(r) => Ask { memory: r.memory != MemoryMode::None, start: false },
        RequestOp::VmSnapshotRevert(_) => Ask { memory: true, start: true },
        RequestOp::DiskSnapshotRevert(_) => Ask { memory: false, start: true },
        _ => Ask::default(),
    }
}

/// The files of the host that the domain boots from, whose sums a plan depends on: those that its config names, for a revert those that were recorded.
pub fn boot_files(op: &RequestOp, facts: &DomainFacts, snapshots: &[Snapshot]) -> Vec<AbsPath> {
    match op {
        RequestOp::VmSnapshotCreate(_) => {
            facts.boots.iter().flat_map(|b| &b.files).map(|(_, path)| path.clone()).collect()
        }
        RequestOp::VmSnapshotRevert(r) => snapshots
            .iter()
            .filter(|s| [s.name.as_str(), s.id.as_str()].contains(&r.snapshot.as_str()))
            .filter_map(|s| if let SnapshotPart::Vm(part) = &s.part { part.boot.as_ref() } else { None })
            .flat_map(|boot| &boot.files)
            .flat_map(|file| std::iter::once(&file.path).chain(&file.copy))
            .cloned()
            .collect(),
        _ => Vec::new(),
    }
}

/// All that a plan is made from.
#[derive(Debug)]
pub struct Known<'a> {
    /// The operation.
    pub operation: &'a OperationId,
    /// What is asked.
    pub op: &'a RequestOp,
    /// The domain as it is.
    pub facts: &'a DomainFacts,
    /// The domain as the store knows it.
    pub stored: Option<&'a Domain>,
    /// The domain's snapshots.
    pub snapshots: &'a [Snapshot],
    /// For a revert: the images at the paths that the snapshot recorded, where these are not the domain's present disks.
    pub recorded: &'a [DiskFacts],
    /// The files of the host that the domain boots from: see [`boot_files`].
    pub files: &'a [FileFacts],
    /// Now.
    pub now: Timestamp,
    /// Something that no tag was made from before.
    pub nonce: Uuid,
    /// The folder of the store.
    pub folder: &'a AbsPath,
    /// The configuration's limits.
    pub limits: &'a Limits,
}

/// Makes the plan of a request, or says why it cannot be carried out.
pub fn plan(known: &Known<'_>) -> Result<Plan, HostError> {
    match known.op {
        RequestOp::VmSnapshotCreate(r) => create::vm(known, r),
        RequestOp::DiskSnapshotCreate(r) => create::disk(known, r),
        RequestOp::VmSnapshotDelete(r) => delete::vm(known, &r.snapshot),
        RequestOp::DiskSnapshotDelete(r) => delete::disk(known, &r.snapshot),
        RequestOp::VmSnapshotRevert(r) => revert::vm(known, r),
        RequestOp::DiskSnapshotRevert(r) => revert::disk(known, r),
        RequestOp::Cancel(_) | RequestOp::DomainAdopt(_) | RequestOp::DomainForget(_) => {
            Err(HostError::new(xensnap::contract::ErrorKind::Internal, "this request has no steps"))
        }
    }
}

/// The snapshot that a request names: by name first, then by id.
pub fn find<'a>(known: &Known<'a>, reference: &str) -> Result<&'a Snapshot, HostError> {
    use xensnap::contract::ErrorKind;
    let found = known
        .snapshots
        .iter()
        .find(|s| s.name.as_str() == reference)
        .or_else(|| known.snapshots.iter().find(|s| s.id.as_str() == reference));
    match found {
        Some(s) => Ok(s),
        None => Err(HostError::new(
            ErrorKind::NoSnapshot,
            format!("domain {} has no snapshot {reference}", known.facts.name),
        )
        .hint(format!(
            "xensnap vm-snapshot-list {} and disk-snapshot-list show what it has",
            known.facts.name
        ))),
    }
}

/// An ordinary step.
fn step(act: StepAct) -> Step {
    Step { no_return: false, act, extra: Default::default() }
}

/// A step that cannot be taken back.
fn no_return(act: StepAct) -> Step {
    Step { no_return: true, act, extra: Default::default() }
}

/// The plan around the steps.
fn assemble(known: &Known<'_>, steps: Vec<Step>) -> Plan {
    Plan {
        contract: crate::CONTRACT,
        operation: known.operation.clone(),
        domain: known.facts.uuid,
        domain_name: Line::lossy_max(&known.facts.name, Plan::DOMAIN_NAME_MAX),
        driver: known.facts.driver.clone(),
        steps,
        expected_pause: Duration::ZERO,
        space: 0,
        warnings: Vec::new(),
        extra: Default::default(),
    }
}
