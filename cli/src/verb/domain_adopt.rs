//! `xensnap domain adopt`

use xensnap::contract::{DomainAdopt, RequestOp};

use crate::error::Result;
use crate::flags;
use crate::session::Session;
use crate::wait;

pub(super) fn run(session: &mut Session, flags: &flags::DomainAdopt) -> Result<()> {
    let op = DomainAdopt { old: flags.old, new: flags.new };
    wait::perform(session, RequestOp::DomainAdopt(op), &flags.ask, &flags.new.to_string())
}
