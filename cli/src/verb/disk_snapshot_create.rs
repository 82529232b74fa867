//! `xensnap disk-snapshot-create`

use xensnap::contract::{DiskSnapshotCreate, RequestOp};

use crate::error::Result;
use crate::flags::Create;
use crate::session::Session;
use crate::wait;

pub(super) fn run(session: &mut Session, flags: &Create) -> Result<()> {
    wait::perform(session, request(flags), &flags.ask, flags.domain.as_str())
}

fn request(flags: &Create) -> RequestOp {
    RequestOp::DiskSnapshotCreate(DiskSnapshotCreate {
        domain: flags.domain.clone(),
        name: flags.name.clone(),
        description: flags.description.clone(),
        disks: flags.disks.clone(),
        exclude_disks: flags.exclude_disks.clone(),
        pause_max: flags.pause_max,
    })
}
