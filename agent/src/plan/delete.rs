//! Plans of the two deletes. A delete cannot be taken back, so it goes forward from its first step.

use xensnap::contract::{
    DiskTags, ErrorKind, FileRef, Outcome, Plan, Snapshot, SnapshotPart, SnapshotRef, StepAct,
};

use super::{Known, assemble, disks, find, no_return, step};
use crate::host::HostError;

pub(super) fn vm(known: &Known<'_>, reference: &SnapshotRef) -> Result<Plan, HostError> {
    let snapshot = find(known, reference.as_str())?;
    match &snapshot.part {
        SnapshotPart::Vm(part) => Ok(deleting(known, snapshot, part.memory.as_ref().map(|m| &m.path))),
        _ => Err(other_kind(snapshot, "a disk snapshot", "disk-snapshot-delete")),
    }
}

pub(super) fn disk(known: &Known<'_>, reference: &SnapshotRef) -> Result<Plan, HostError> {
    let snapshot = find(known, reference.as_str())?;
    match &snapshot.part {
        SnapshotPart::Disk(_) => Ok(deleting(known, snapshot, None)),
        _ => Err(other_kind(snapshot, "a VM snapshot", "vm-snapshot-delete")),
    }
}

fn deleting(known: &Known<'_>, snapshot: &Snapshot, memory: Option<&xensnap::wire::AbsPath>) -> Plan {
    let tags = snapshot.disks.iter().map(disks::recorded).collect();
    let mut steps =
        vec![no_return(StepAct::DisksDelete(DiskTags { disks: tags, extra: Default::default() }))];
    if let Some(path) = memory {
        steps.push(step(StepAct::RemoveFile(FileRef { path: path.clone(), extra: Default::default() })));
    }
    steps
        .push(step(StepAct::Commit(Outcome { drop: Some(snapshot.id.clone()), ..Outcome::new(Vec::new()) })));
    assemble(known, steps)
}

pub(super) fn other_kind(snapshot: &Snapshot, is: &str, use_instead: &str) -> HostError {
    HostError::new(ErrorKind::NoSnapshot, format!("{} is {is}", snapshot.name))
        .hint(format!("use {use_instead}"))
}
