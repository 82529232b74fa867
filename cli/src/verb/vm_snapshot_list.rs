//! `xensnap vm-snapshot-list`

use xensnap::contract::SnapshotKind;

use super::snapshots;
use crate::error::Result;
use crate::flags::List;
use crate::session::Session;

pub(super) fn run(session: &mut Session, flags: &List) -> Result<()> {
    snapshots::list(session, flags, &SnapshotKind::Vm)
}
