//! `xensnap vm-snapshot-delete`

use xensnap::contract::{RequestOp, VmSnapshotDelete};

use crate::error::Result;
use crate::flags::Delete;
use crate::session::Session;
use crate::wait;

pub(super) fn run(session: &mut Session, flags: &Delete) -> Result<()> {
    let one = &flags.one;
    let op = VmSnapshotDelete { domain: one.domain.clone(), snapshot: one.snapshot.clone() };
    wait::perform(session, RequestOp::VmSnapshotDelete(op), &flags.ask, one.domain.as_str())
}
