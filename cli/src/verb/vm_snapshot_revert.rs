//! `xensnap vm-snapshot-revert`, `vm-snapshot-apply`

use xensnap::contract::{RequestOp, VmSnapshotRevert};

use crate::error::Result;
use crate::flags::VmRevert;
use crate::session::Session;
use crate::wait;

pub(super) fn run(session: &mut Session, flags: &VmRevert) -> Result<()> {
    wait::perform(session, request(flags), &flags.ask, flags.one.domain.as_str())
}

fn request(flags: &VmRevert) -> RequestOp {
    RequestOp::VmSnapshotRevert(VmSnapshotRevert {
        domain: flags.one.domain.clone(),
        snapshot: flags.one.snapshot.clone(),
        final_state: flags.state.state(),
        snapshot_first: flags.snapshot_first,
        disks_only: flags.disks_only,
    })
}
