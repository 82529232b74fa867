//! Letting a paused guest go on, as the pause's file says: for those who know no more than that, the guard and the next agent.

use tokio::time::Instant;

use super::Result;
use super::pause::{Held, How, Pause, Released};
use super::qemu::release as qemu;
use super::xen::release as xen;

/// Lets the guest go on.
///
/// # Errors
/// When that cannot be done in time. The guest may be held then.
pub async fn release(held: &Held, deadline: Instant) -> Result<Released> {
    let Pause { name, run, how, .. } = &held.pause;
    match how {
        How::Qmp(socket) => qemu::release(run, socket, deadline).await.map_err(|e| e.about(name)),
        How::Xen(hold) => {
            let how = xen::release(&held.pause, hold, deadline).await?;
            if hold.watch && how == Released::WentOn {
                xen::watch_after(&held.pause, hold).await;
            }
            Ok(how)
        }
    }
}
