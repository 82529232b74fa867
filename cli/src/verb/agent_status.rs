//! `xensnap agent status`: exit 0 while the agent is alive.

use xensnap::wire::Timestamp;

use crate::error::Result;
use crate::session::Session;
use crate::view;

pub(super) fn run(session: &mut Session) -> Result<()> {
    let client = session.client()?;
    let status = session.wait(client.agent_status())?;
    if session.json {
        return session.out.document(&status);
    }
    session.out.text(&view::status(&status, Timestamp::now().since(status.heartbeat_at)))
}
