//! `xensnap disk-snapshot-delete`

use xensnap::contract::{DiskSnapshotDelete, RequestOp};

use crate::error::Result;
use crate::flags::Delete;
use crate::session::Session;
use crate::wait;

pub(super) fn run(session: &mut Session, flags: &Delete) -> Result<()> {
    let one = &flags.one;
    let op = DiskSnapshotDelete { domain: one.domain.clone(), snapshot: one.snapshot.clone() };
    wait::perform(session, RequestOp::DiskSnapshotDelete(op), &flags.ask, one.domain.as_str())
}
