//! Letting a guest of a plain QEMU go on, by whoever finds its pause: the agent, the guard, `release-leftovers`.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::memory;
use crate::host::pause::Released;
use crate::host::process::Process;
use crate::host::qmp::{Qmp, QmpError};

/// Lets the guest of a QEMU go on by a connection of its own.
///
/// # Errors
/// As [`go_on`].
pub async fn release(run: &str, socket: &Path, deadline: Instant) -> Result<Released, QmpError> {
    let Some(run) = Process::alive_of(run) else { return Ok(Released::Gone) };
    let mut qmp = Qmp::connect(socket, deadline).await?;
    if qmp.pid() != Some(run.pid) {
        return Ok(Released::Gone);
    }
    go_on(&mut qmp, deadline).await
}

/// Lets a guest that we paused go on, whatever QEMU was in the middle of.
///
/// # Errors
/// When QEMU does not answer, or refuses until the deadline.
pub async fn go_on(qmp: &mut Qmp, deadline: Instant) -> Result<Released, QmpError> {
    loop {
        let status = qmp.execute("query-status", json!({}), deadline).await?;
        match status.get("status").and_then(|s| s.as_str()) {
            Some("paused" | "postmigrate" | "finish-migrate") => {}
            _ => return Ok(Released::NotHeld),
        }
        stop_stopping_migration(qmp, deadline).await?;
        match qmp.execute("cont", json!({}), deadline).await {
            Ok(_) => return Ok(Released::WentOn),
            // "Migration is not finalized yet", for some milliseconds after its end
            Err(QmpError::Refused { .. }) if Instant::now() < deadline => {
                sleep(Duration::from_millis(2)).await
            }
            Err(e) => return Err(e),
        }
    }
}

/// A migration that is not a background snapshot stops the guest at its end: it is cancelled, so that a guest let go on stays so.
async fn stop_stopping_migration(qmp: &mut Qmp, deadline: Instant) -> Result<(), QmpError> {
    while memory::writing(qmp, deadline).await? {
        if memory::in_background(qmp, deadline).await? {
            return Ok(());
        }
        qmp.execute("migrate_cancel", json!({}), deadline).await?;
        if Instant::now() >= deadline {
            let command = "migrate_cancel".into();
            return Err(QmpError::Unanswered { command, waited: Duration::ZERO });
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
