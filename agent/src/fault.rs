//! Fault points: named places where a test can kill, stop, fail or slow this process. Without the feature `fault-points` they are empty.
//!
//! `XENSNAPD_FAULT="NAME=ACTION,.."`, where ACTION is `kill` (SIGKILL to itself), `stop` (SIGSTOP to itself), `error` (the step fails) or `sleepMS`
//! (milliseconds); `NAME=ACTION@2` waits for the second time the point is passed.

use xensnap::contract::StepKind;

use crate::host::Result;

/// Passes a fault point.
///
/// # Errors
/// When a test asked for `error` here.
#[cfg(not(feature = "fault-points"))]
#[inline]
pub async fn point(_name: &str) -> Result<()> {
    Ok(())
}

/// Passes a fault point.
///
/// # Errors
/// When a test asked for `error` here.
#[cfg(feature = "fault-points")]
pub async fn point(name: &str) -> Result<()> {
    use rustix::process::{Signal, getpid, kill_process};
    use xensnap::contract::ErrorKind;

    let Some(action) = active::action(name) else { return Ok(()) };
    eprintln!("xensnapd: fault point {name}: {action}");
    match action.as_str() {
        "kill" | "stop" => {
            let signal = if action == "kill" { Signal::KILL } else { Signal::STOP };
            kill_process(getpid(), signal)
                .map_err(|e| crate::host::HostError::new(ErrorKind::Internal, e.to_string()))
        }
        "error" => Err(crate::host::HostError::new(
            ErrorKind::BackendFailed,
            format!("failed at fault point {name}, as asked"),
        )),
        other => {
            let ms = other.strip_prefix("sleep").and_then(|n| n.parse().ok()).unwrap_or(0);
            tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
            Ok(())
        }
    }
}

/// Passes the fault point of a step: `step.KIND.before` or `step.KIND.after`.
///
/// # Errors
/// When a test asked for `error` here.
#[cfg(not(feature = "fault-points"))]
#[inline]
pub async fn step(_kind: &StepKind, _when: &str) -> Result<()> {
    Ok(())
}

/// Passes the fault point of a step: `step.KIND.before` or `step.KIND.after`.
///
/// # Errors
/// When a test asked for `error` here.
#[cfg(feature = "fault-points")]
pub async fn step(kind: &StepKind, when: &str) -> Result<()> {
    point(&format!("step.{kind}.{when}")).await
}

#[cfg(feature = "fault-points")]
mod active {
    use std::collections::HashMap;
    use std::sync::Mutex;

    static PASSED: Mutex<Option<HashMap<String, u32>>> = Mutex::new(None);

    /// What to do at this passing of the point.
    pub(super) fn action(name: &str) -> Option<String> {
        let all = std::env::var("XENSNAPD_FAULT").ok()?;
        let asked = all.split(',').find_map(|one| one.trim().split_once('=').filter(|(n, _)| *n == name))?.1;
        let (action, nth) = asked.split_once('@').map_or((asked, 1), |(a, n)| (a, n.parse().unwrap_or(1)));
        let mut passed = PASSED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let count = passed.get_or_insert_default().entry(name.to_owned()).or_insert(0);
        *count += 1;
        (*count == nth).then(|| action.to_owned())
    }
}
