//! `xensnap disk-snapshot-revert`

use xensnap::contract::{DiskSnapshotRevert, RequestOp};

use crate::error::Result;
use crate::flags::Revert;
use crate::session::Session;
use crate::wait;

pub(super) fn run(session: &mut Session, flags: &Revert) -> Result<()> {
    wait::perform(session, request(flags), &flags.ask, flags.one.domain.as_str())
}

fn request(flags: &Revert) -> RequestOp {
    RequestOp::DiskSnapshotRevert(DiskSnapshotRevert {
        domain: flags.one.domain.clone(),
        snapshot: flags.one.snapshot.clone(),
        disks: flags.disks.clone(),
        final_state: flags.state.state(),
        snapshot_first: flags.snapshot_first,
    })
}
