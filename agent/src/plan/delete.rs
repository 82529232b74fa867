//! Plans of the two deletes. A delete cannot be taken back, so it goes forward from its first step.

use xensnap::contract::{
    DiskTags, ErrorKind, FileRef, Outcome, Plan, Snapshot, SnapshotPart, SnapshotRef, StepAct, VmPart,
};

use super::{Known, assemble, boot, disks, find, no_return, step};
use crate::host::HostError;

pub(super) fn vm(known: &Known<'_>, reference: &SnapshotRef) -> Result<Plan, HostError> {
    let snapshot = find(known, reference.as_str())?;
    match &snapshot.part {
        SnapshotPart::Vm(part) => {
            boot::in_use(known, part)?;
            Ok(deleting(known, snapshot, Some(part)))
        }
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

fn deleting(known: &Known<'_>, snapshot: &Snapshot, part: Option<&VmPart>) -> Plan {
    let tags = snapshot.disks.iter().map(disks::recorded).collect();
    let mut steps =
        vec![no_return(StepAct::DisksDelete(DiskTags { disks: tags, extra: Default::default() }))];
    if let Some(memory) = part.and_then(|p| p.memory.as_ref()) {
        let path = memory.path.clone();
        steps.push(step(StepAct::RemoveFile(FileRef { path, extra: Default::default() })));
    }
    steps.extend(part.into_iter().flat_map(boot::removing));
    steps
        .push(step(StepAct::Commit(Outcome { drop: Some(snapshot.id.clone()), ..Outcome::new(Vec::new()) })));
    assemble(known, steps)
}

pub(super) fn other_kind(snapshot: &Snapshot, is: &str, use_instead: &str) -> HostError {
    HostError::new(ErrorKind::NoSnapshot, format!("{} is {is}", snapshot.name))
        .hint(format!("use {use_instead}"))
}
