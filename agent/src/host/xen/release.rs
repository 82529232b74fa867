//! Letting a domain under Xen go on, by whoever finds its pause: the agent, the guard, `release-leftovers`.
//!
//! ```text
//!   xen_pause     paused --unpause--> runs
//!   xen_suspend   [still being saved: its process group is killed, the request to suspend is withdrawn]
//!                 suspended --resume--> runs        runs already: nothing to do
//! ```
//!
//! Xen counts pauses: ours is taken back once, an administrator's stays. A resume leaves it alone too.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep};
use xensnap::contract::ErrorKind;
use xensnap::xenstore::{Connection, Options};

use super::hold::Hold;
use super::tools::Tools;
use crate::host::pause::{Pause, Released};
use crate::host::process::{self, Process};
use crate::host::settings::Settings;
use crate::host::{HostError, Result, detached, pause};
use crate::libxl::protocol::{RunState, Target};

/// What a guest that has read its request to suspend just before that was withdrawn may take to follow it.
pub(super) const FOLLOWS_MAX: Duration = Duration::from_secs(3);
/// How long an `xl save` whose helper was killed may take to let its guest go on.
const XL_ENDS_MAX: Duration = Duration::from_secs(20);
/// How often it is looked for a helper meanwhile.
const HELPER_LOOK: Duration = Duration::from_millis(200);
/// The toolstack's process.
const XL: &str = "xl";
/// libxl's process that writes the memory (`libxl-save-helper`), as the kernel shortens its name.
const HELPER: &str = "libxl-save-help";
/// How long killed processes may take to be gone.
const KILLED_MAX: Duration = Duration::from_secs(10);

/// Lets the guest go on.
///
/// # Errors
/// When it may still be held.
pub async fn release(pause: &Pause, hold: &Hold, deadline: Instant) -> Result<Released> {
    let target = hold.target(pause.domain);
    let saver: Option<Process> = hold.saver.as_ref().and_then(|s| s.parse().ok());
    let killed = match saver {
        _ if !hold.suspended => false,
        Some(saver) => end_group(saver.pid).await?,
        None => end_xl(&pause.operation).await?,
    };
    let mut withdrawn = killed.then(Instant::now);
    loop {
        if withdrawn.is_some() && withdraw(hold.domid).await {
            withdrawn = Some(Instant::now());
        }
        let status = hold.tools.state(target).await.map_err(|e| e.about(&pause.name))?;
        let Some(status) = status else { return Ok(Released::Gone) };
        let done = match status.state {
            RunState::Suspended if hold.suspended => hold.tools.resume(target).await,
            // `xl save -p` has resumed it already, and left it paused
            RunState::Paused if !hold.suspended || hold.saver_is_xl() => hold.tools.unpause(target).await,
            RunState::Running if withdrawn.is_some_and(|at| at.elapsed() < FOLLOWS_MAX) => {
                sleep(Duration::from_millis(100)).await;
                continue;
            }
            _ => return Ok(Released::NotHeld),
        };
        match done {
            Ok(()) => return Ok(Released::WentOn),
            Err(e) if Instant::now() >= deadline => return Err(e.about(&pause.name)),
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Kills those that save a domain in a process group; returns whether there was something to end.
///
/// # Errors
/// When it does not end.
pub async fn end_group(group: u32) -> Result<bool> {
    kill(process::all().into_iter().filter(|p| p.group() == Some(group) && is_ours(*p)).collect()).await
}

/// Ends the `xl save` that writes an operation's image; returns whether there was something to end. Its helper is killed: xl sees the save fail, and lets the
/// guest go on by itself. It is the only one that can, where there is no libxl (`xl resume` came with Xen 4.20), so it is not killed as long as it may still do so.
///
/// # Errors
/// When it does not end.
pub async fn end_xl(operation: &str) -> Result<bool> {
    let file = format!("{operation}.save");
    let writes = |p: &Process| p.name() == XL && p.args().iter().any(|a| a.ends_with(&file));
    let Some((xl, group)) = process::all().into_iter().find(writes).and_then(|xl| Some((xl, xl.group()?)))
    else {
        return Ok(false);
    };
    let until = Instant::now() + XL_ENDS_MAX;
    while Instant::now() < until {
        let helps = |p: &Process| p.name() == HELPER && p.group() == Some(group);
        kill(process::all().into_iter().filter(helps).collect()).await?;
        if xl.gone_within(HELPER_LOOK).await {
            return Ok(true);
        }
    }
    end_group(group).await
}

async fn kill(found: Vec<Process>) -> Result<bool> {
    for process in &found {
        process.signal(Signal::KILL);
    }
    for process in &found {
        process.kill(KILLED_MAX).await?;
    }
    Ok(!found.is_empty())
}

/// Whether it is one of the programs that save: a process id alone may have been used again.
fn is_ours(process: Process) -> bool {
    ["xensnap-libxl", HELPER, XL].contains(&process.name().as_str())
}

/// Takes back a request to suspend that the guest has not answered yet; returns whether there was one. libxl does it so too.
pub async fn withdraw(domid: u32) -> bool {
    let Ok(xs) = Connection::connect(&Options::default()).await else { return false };
    let path = format!("/local/domain/{domid}/control/shutdown");
    match xs.read(&path).await {
        Ok(word) if word == b"suspend" => xs.write(&path, b"").await.is_ok(),
        _ => false,
    }
}

/// The same by a releaser that is not the agent.
pub async fn watch_after(pause: &Pause, hold: &Hold) {
    let started = match Settings::usual() {
        Ok(usual) => {
            watch(
                &Settings { run_dir: hold.run_dir.clone(), ..usual },
                &hold.tools,
                hold.target(pause.domain),
            )
            .await
        }
        Err(e) => Err(HostError::new(ErrorKind::Internal, e.to_string())),
    };
    if let Err(e) = started {
        eprintln!("xensnapd: domain {} has no monitor: {e}", pause.name);
    }
}

/// Has a monitor watch over the domain, in the place of xl's, which ended with the suspend. One that is not needed ends by itself.
///
/// # Errors
/// When it cannot be started.
pub async fn watch(settings: &Settings, tools: &Tools, target: Target) -> Result<()> {
    let text = |path: &Path| path.display().to_string();
    let (domid, uuid) = (target.domid.to_string(), target.uuid.to_string());
    let command = [text(&tools.libxl), "--run".into(), text(&settings.run_dir), "watch".into(), domid, uuid];
    let unit = format!("xensnap-watch-{}-{}", target.domid, pause::clock_ms());
    detached::start_parent(settings, &unit, &settings.run_dir.join("watch.log"), &command).await
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;

    #[tokio::test]
    async fn an_xl_whose_save_is_broken_off_lets_the_guest_go_on_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::os::unix::fs::symlink("/bin/sh", path("xl")).unwrap();
        std::os::unix::fs::symlink("/bin/sleep", path("libxl-save-helper")).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test")]
        let mut xl = std::process::Command::new(path("xl"));
        xl.args(["-c", r#""$0" 600; sleep 0.3; : >"$1""#]);
        let image = path("end-xl-test.save");
        let mut child =
            xl.args([&path("libxl-save-helper"), &path("resumed"), &image]).process_group(0).spawn().unwrap();
        let waited = std::thread::spawn(move || child.wait());
        assert!(end_xl("end-xl-test").await.unwrap());
        assert!(path("resumed").exists(), "it came to its end");
        assert!(waited.join().unwrap().unwrap().success());
        assert!(!end_xl("end-xl-test").await.unwrap(), "nothing is left to end");
    }
}
