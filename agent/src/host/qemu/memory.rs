//! A plain QEMU's memory: written by a migration into a file, read by an incoming one.
//!
//! ```text
//!   live:   stop, disks, capability background-snapshot, getfd, migrate -> pages flow: instant fixed -> cont .. completed
//!   paused: stop, disks, getfd, migrate .. completed -> cont
//! ```
//!
//! Live is QEMU's `background-snapshot` (userfaultfd write protection): it must begin after the disks' transaction (QEMU 7.2 lets the guest go on by itself),
//! and never before the guest has run at all: QEMU 10.0.2 aborts then ("invalid runstate transition: 'prelaunch' -> 'paused'").
//! After a migration that is not live QEMU has handed over its images; `cont` takes them back, or `blockdev-set-active` (from 10.0) without running the guest.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use xensnap::contract::ErrorKind;

use crate::host::qmp::{Qmp, QmpError};
use crate::host::{HostError, MemoryAbility, Result};

/// The name under which QEMU knows the file.
const FD_NAME: &str = "xensnap-memory";
/// QEMU's own limit, put back where the earlier one is not known: bytes a second.
const BANDWIDTH_USUAL: u64 = 128 << 20;
/// While memory is written: as fast as the file takes it.
const BANDWIDTH_WRITING: u64 = 1 << 40;
/// How often QEMU is asked for the first page.
const FIRST_PAGE_POLL: Duration = Duration::from_millis(1);
/// From this version on a background snapshot can be cancelled or fail. Seen with 7.2: the RAM stays write-protected, and the guest hangs for good at its next
/// write; mended in `bg_migration_iteration_finish`, which 8.2 has.
const CANCEL_SAFE_MAJOR: u32 = 9;
/// From this version on a background snapshot leaves a guest paused that was paused before.
const STAYS_PAUSED_MAJOR: u32 = 10;

/// How long a migration that has failed to begin may take to end.
const CANCEL_MAX: Duration = Duration::from_secs(2);

/// Where a migration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// None was begun, or it was cancelled.
    None,
    /// Being prepared or under way; bytes of RAM done, of how many.
    Active(u64, u64),
    /// Done.
    Completed,
    /// Failed, in QEMU's words.
    Failed(String),
}

/// What QEMU says of the guest: its word.
///
/// # Errors
/// See [`QmpError`].
pub async fn status(qmp: &mut Qmp, deadline: Instant) -> std::result::Result<String, QmpError> {
    let status = qmp.execute("query-status", json!({}), deadline).await?;
    Ok(status.get("status").and_then(Value::as_str).unwrap_or_default().to_owned())
}

/// Where the migration stands.
///
/// # Errors
/// See [`QmpError`].
pub async fn stage(qmp: &mut Qmp, deadline: Instant) -> std::result::Result<Stage, QmpError> {
    Ok(stage_in(&qmp.execute("query-migrate", json!({}), deadline).await?))
}

fn stage_in(said: &Value) -> Stage {
    let number = |at| said.pointer(at).and_then(Value::as_u64).unwrap_or(0);
    match said.get("status").and_then(Value::as_str) {
        None | Some("none" | "cancelled") => Stage::None,
        Some("completed") => Stage::Completed,
        Some("failed") => Stage::Failed(
            said.get("error-desc").and_then(Value::as_str).unwrap_or("QEMU gives no reason").to_owned(),
        ),
        Some(_) => {
            let pages = number("/ram/normal").saturating_add(number("/ram/duplicate"));
            Stage::Active(pages.saturating_mul(number("/ram/page-size").max(4096)), number("/ram/total"))
        }
    }
}

/// Whether memory is being written.
///
/// # Errors
/// See [`QmpError`].
pub async fn writing(qmp: &mut Qmp, deadline: Instant) -> std::result::Result<bool, QmpError> {
    Ok(matches!(stage(qmp, deadline).await?, Stage::Active(..)))
}

/// Whether the capability `background-snapshot` is there: `None` when this QEMU does not know it.
async fn background(qmp: &mut Qmp, deadline: Instant) -> std::result::Result<Option<bool>, QmpError> {
    let all = qmp.execute("query-migrate-capabilities", json!({}), deadline).await?;
    let one = all
        .as_array()
        .into_iter()
        .flatten()
        .find(|c| c.get("capability").is_some_and(|n| n == "background-snapshot"));
    Ok(one.and_then(|c| c.get("state")?.as_bool()))
}

/// Whether the memory being written is a background snapshot, which does not stop the guest at its end.
///
/// # Errors
/// See [`QmpError`].
pub async fn in_background(qmp: &mut Qmp, deadline: Instant) -> std::result::Result<bool, QmpError> {
    Ok(background(qmp, deadline).await?.unwrap_or(false))
}

async fn set_background(qmp: &mut Qmp, on: bool, deadline: Instant) -> std::result::Result<(), QmpError> {
    let capabilities = json!({"capabilities": [{"capability": "background-snapshot", "state": on}]});
    qmp.execute("migrate-set-capabilities", capabilities, deadline).await.map(drop)
}

async fn set_bandwidth(
    qmp: &mut Qmp,
    bandwidth: u64,
    deadline: Instant,
) -> std::result::Result<(), QmpError> {
    qmp.execute("migrate-set-parameters", json!({"max-bandwidth": bandwidth}), deadline).await.map(drop)
}

async fn knows(qmp: &mut Qmp, command: &str, deadline: Instant) -> std::result::Result<bool, QmpError> {
    let all = qmp.execute("query-commands", json!({}), deadline).await?;
    Ok(all.as_array().into_iter().flatten().any(|c| c.get("name").is_some_and(|n| n == command)))
}

/// How the memory can be saved now. The capability is set and reset: only that tells whether the kernel has what it needs (and an earlier write that ended by
/// itself may have left it set).
///
/// # Errors
/// See [`QmpError`].
pub async fn ability(
    qmp: &mut Qmp,
    ram: u64,
    deadline: Instant,
) -> std::result::Result<MemoryAbility, QmpError> {
    let writer = format!("qemu {}", qmp.version());
    let state = status(qmp, deadline).await?;
    let said = qmp.execute("query-migrate", json!({}), deadline).await?;
    let blocked: Vec<&str> = said
        .get("blocked-reasons")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if !blocked.is_empty() || matches!(stage_in(&said), Stage::Active(..)) {
        let why = if blocked.is_empty() { "a migration is under way".to_owned() } else { blocked.join("; ") };
        return Ok(MemoryAbility { live: Err(why.clone()), paused: Err(why), ram, writer, lacks: None });
    }
    let paused = match state.as_str() {
        "running" => Ok(()),
        "postmigrate" => {
            Err("QEMU migrates no guest that was paused by an earlier migration: let it go on first (cont)"
                .into())
        }
        _ if knows(qmp, "blockdev-set-active", deadline).await? => Ok(()),
        _ => Err(
            "this QEMU cannot write a paused guest's memory and keep its disks: let it go on first (cont)"
                .into(),
        ),
    };
    let live = match (state.as_str(), background(qmp, deadline).await?) {
        (_, None) => Err(format!("QEMU {} has no background-snapshot", qmp.version())),
        ("running", _) => try_background(qmp, deadline).await?,
        // Older ones let the guest go on at the end, whoever paused it.
        ("paused", _) if major(qmp) >= STAYS_PAUSED_MAJOR => try_background(qmp, deadline).await?,
        (state, _) => Err(format!("not in the state {state}")),
    };
    Ok(MemoryAbility { live, paused, ram, writer, lacks: None })
}

/// The first number of QEMU's version.
pub fn major(qmp: &Qmp) -> u32 {
    qmp.version().split('.').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

async fn try_background(
    qmp: &mut Qmp,
    deadline: Instant,
) -> std::result::Result<std::result::Result<(), String>, QmpError> {
    match set_background(qmp, true, deadline).await {
        Ok(()) => set_background(qmp, false, deadline).await.map(Ok),
        Err(QmpError::Refused { words, .. }) => Ok(Err(words)),
        Err(e) => Err(e),
    }
}

/// Begins to write memory into the file; for a live one, returns once its instant is fixed. Returns the bandwidth limit to put back.
/// `ours`: whether a pause is ours to end.
///
/// # Errors
/// When QEMU refuses or does not answer in time.
pub async fn begin(
    qmp: &mut Qmp,
    name: &str,
    file: &File,
    live: bool,
    ours: bool,
    deadline: Instant,
) -> Result<u64> {
    let about = |e: QmpError| e.about(name);
    let state = status(qmp, deadline).await.map_err(about)?;
    if live && !matches!(state.as_str(), "running" | "paused") {
        let message = format!("domain {name}: memory cannot be written live in the state {state}");
        return Err(HostError::new(ErrorKind::DomainState, message)
            .hint("let the guest run first, or save memory paused"));
    }
    if live && state == "paused" && !ours && major(qmp) < STAYS_PAUSED_MAJOR {
        let message =
            format!("domain {name}: this QEMU would let the guest go on, which somebody else has paused");
        return Err(HostError::new(ErrorKind::DomainState, message).hint("let the guest go on first (cont)"));
    }
    let parameters = qmp.execute("query-migrate-parameters", json!({}), deadline).await.map_err(about)?;
    let bandwidth = parameters.get("max-bandwidth").and_then(Value::as_u64).unwrap_or(BANDWIDTH_USUAL);
    let bandwidth = if bandwidth == BANDWIDTH_WRITING { BANDWIDTH_USUAL } else { bandwidth };
    let begun = async {
        set_bandwidth(qmp, BANDWIDTH_WRITING, deadline).await?;
        // Also off: an earlier one may have left it on.
        if live || in_background(qmp, deadline).await? {
            set_background(qmp, live, deadline).await?;
        }
        qmp.getfd(FD_NAME, file.as_fd(), deadline).await?;
        qmp.execute("migrate", json!({"uri": format!("fd:{FD_NAME}")}), deadline).await?;
        if live { first_page(qmp, deadline).await } else { Ok(None) }
    };
    let failed = match begun.await {
        Ok(None) => return Ok(bandwidth),
        Ok(Some(words)) => HostError::new(
            ErrorKind::BackendFailed,
            format!("domain {name}: QEMU could not write memory: {words}"),
        ),
        Err(e) => e.about(name),
    };
    let _ = cancel(qmp, Some(bandwidth), Instant::now() + CANCEL_MAX).await; // the first error is the one to tell
    Err(failed)
}

/// Waits until pages flow: the guest's memory is protected by then. Returns QEMU's words if it fails instead.
async fn first_page(qmp: &mut Qmp, deadline: Instant) -> std::result::Result<Option<String>, QmpError> {
    loop {
        match stage(qmp, deadline).await? {
            Stage::Active(1.., _) | Stage::Completed => return Ok(None),
            Stage::Failed(words) => return Ok(Some(words)),
            Stage::None => return Ok(Some("the migration was cancelled".into())),
            Stage::Active(0, _) => {}
        }
        if Instant::now() >= deadline {
            return Ok(Some("no page was written in time".into()));
        }
        sleep(FIRST_PAGE_POLL).await;
    }
}

/// After the end of a migration, however it ended: sets things back, and has QEMU take back the images that it may have handed over.
///
/// # Errors
/// See [`QmpError`].
pub async fn end(
    qmp: &mut Qmp,
    bandwidth: Option<u64>,
    deadline: Instant,
) -> std::result::Result<(), QmpError> {
    if background(qmp, deadline).await? == Some(true) {
        set_background(qmp, false, deadline).await?;
    }
    set_bandwidth(qmp, bandwidth.unwrap_or(BANDWIDTH_USUAL), deadline).await?;
    if status(qmp, deadline).await? == "postmigrate" { take_images(qmp, deadline).await } else { Ok(()) }
}

/// Has QEMU take its images in hand without letting the guest go on.
async fn take_images(qmp: &mut Qmp, deadline: Instant) -> std::result::Result<(), QmpError> {
    match qmp.execute("blockdev-set-active", json!({"active": true}), deadline).await {
        // Before 10.0 it does not know it. There an incoming migration takes them by itself, and after an outgoing one only `cont` does, which the plan has.
        Ok(_) | Err(QmpError::Refused { .. }) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Stops writing memory, if it is being written. A QEMU that cannot stop is left to end it by itself: the file may be removed meanwhile.
///
/// # Errors
/// When QEMU does not answer, or has not stopped before the deadline.
pub async fn cancel(
    qmp: &mut Qmp,
    bandwidth: Option<u64>,
    deadline: Instant,
) -> std::result::Result<(), QmpError> {
    let asked = Instant::now();
    while writing(qmp, deadline).await? {
        if major(qmp) < CANCEL_SAFE_MAJOR && in_background(qmp, deadline).await? {
            return Ok(()); // `ability` sets things back, when they are looked at again
        }
        if Instant::now() >= deadline {
            return Err(QmpError::Unanswered { command: "migrate_cancel".into(), waited: asked.elapsed() });
        }
        qmp.execute("migrate_cancel", json!({}), deadline).await?;
        sleep(Duration::from_millis(5)).await;
    }
    end(qmp, bandwidth, deadline).await
}

/// Has a QEMU that was started with `-incoming defer` read the file; returns once the memory is there.
///
/// # Errors
/// In QEMU's words. A QEMU that cannot read the file ends: its log has more.
pub async fn incoming(
    qmp: &mut Qmp,
    file: &File,
    deadline: Instant,
) -> std::result::Result<std::result::Result<(), String>, QmpError> {
    qmp.getfd(FD_NAME, file.as_fd(), deadline).await?;
    qmp.execute("migrate-incoming", json!({"uri": format!("fd:{FD_NAME}")}), deadline).await?;
    loop {
        match stage(qmp, deadline).await? {
            Stage::Failed(words) => return Ok(Err(words)),
            Stage::Completed if status(qmp, deadline).await? != "inmigrate" => {
                // From 10.0 on the images of a guest that stays paused are left alone, and a snapshot's deletion aborts QEMU then.
                return take_images(qmp, deadline).await.map(Ok);
            }
            _ if Instant::now() >= deadline => return Ok(Err("it is not read in time".into())),
            _ => sleep(Duration::from_millis(2)).await,
        }
    }
}
