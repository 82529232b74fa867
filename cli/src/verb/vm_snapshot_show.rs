//! `xensnap vm-snapshot-show`

use xensnap::contract::SnapshotKind;

use super::snapshots;
use crate::error::Result;
use crate::flags::One;
use crate::session::Session;

pub(super) fn run(session: &mut Session, flags: &One) -> Result<()> {
    snapshots::show(session, flags, &SnapshotKind::Vm)
}
