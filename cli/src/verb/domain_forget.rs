//! `xensnap domain forget`

use xensnap::contract::{DomainForget, RequestOp};

use crate::error::Result;
use crate::flags;
use crate::session::Session;
use crate::wait;

pub(super) fn run(session: &mut Session, flags: &flags::DomainForget) -> Result<()> {
    let op = DomainForget { domain: flags.domain.clone() };
    wait::perform(session, RequestOp::DomainForget(op), &flags.ask, flags.domain.as_str())
}
