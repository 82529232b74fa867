//! `xensnap vm-snapshot-create`

use xensnap::contract::{RequestOp, VmSnapshotCreate};

use crate::error::Result;
use crate::flags::VmCreate;
use crate::session::Session;
use crate::wait;

pub(super) fn run(session: &mut Session, flags: &VmCreate) -> Result<()> {
    wait::perform(session, request(flags), &flags.create.ask, flags.create.domain.as_str())
}

fn request(flags: &VmCreate) -> RequestOp {
    let create = &flags.create;
    RequestOp::VmSnapshotCreate(VmSnapshotCreate {
        domain: create.domain.clone(),
        name: create.name.clone(),
        description: create.description.clone(),
        memory: flags.memory_mode(),
        disks: create.disks.clone(),
        exclude_disks: create.exclude_disks.clone(),
        pause_max: create.pause_max,
        keep_boot_files: flags.keep_boot_files,
    })
}
