//! A domain's memory: suspended into a file by libxl, or by `xl save -p` where that cannot be had.
//!
//! ```text
//!   asked -> [live: pages flow, the guest runs] -> control/shutdown = "suspend" -> the guest answers ("") -> suspended -> the rest is written -> done
//!              \-- no answer in time, cancelled, out of time: the saver's process group is killed; the release resumes or withdraws --/
//! ```
//!
//! When this returns, the file is complete and the guest suspended (or paused, by xl): the disks' turn.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use xensnap::contract::{ErrorKind, MemoryOut};

use super::noted::{self, Noted};
use super::tools::ToolError;
use super::{Held, Work, XenDriver, image, release, target};
use crate::fault::point;
use crate::host::nodes::Nodes;
use crate::host::process::Process;
use crate::host::started::{Started, last_words};
use crate::host::{HostError, Instance, Progress, Result, detached, files, pause};
use crate::libxl::protocol::{Request, RunState as XenState, Suspend, Suspended};

/// How long a guest may take to answer the request to suspend. libxl itself waits for a minute.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// How often a save is looked at: after a tenth of the time that it has taken so far, within these. Who looks takes time from who saves.
const POLL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// What of a pause's time is left for its release: the guard steps in after that, and kills the agent. Xen is asked what the guest does (for half of it at most),
/// the saver is ended, and a request that is withdrawn gets its time; on a host with more load than cores each process takes a second.
const RESERVE: Duration = Duration::from_secs(10);

/// Watches a save while it goes on.
struct Looker<'a> {
    out: &'a MemoryOut,
    begun: Instant,
    until: Instant,
    /// When the guest was asked to suspend, by what xenstore shows.
    asked_at: Option<Instant>,
    /// Whether it took the request. Linux does so before it tries to freeze its processes, so this is not yet a suspend.
    answered: bool,
    /// Whether Xen said, when time was up, that it runs.
    runs: bool,
}

impl Looker<'_> {
    fn late(&self) -> bool {
        Instant::now() + RESERVE >= self.until
    }

    /// An error when it has taken too long, by the guest's fault or by the storage's.
    fn in_time(&self, name: &str) -> Result<()> {
        let late = self.late();
        let asked = self.asked_at.is_some() || !self.out.live;
        let unanswered = self.asked_at.filter(|_| !self.answered);
        if unanswered.is_some_and(|at| late || at.elapsed() > ANSWER_MAX) || late && asked && self.runs {
            let message = format!("domain {name} does not answer a suspend: its kernel hangs, or knows none");
            return Err(HostError::new(ErrorKind::DomainState, message)
                .hint("--memory none leaves memory out of the snapshot"));
        }
        if late {
            let message = format!("domain {name}: its memory was not saved in time");
            return Err(HostError::new(ErrorKind::BackendFailed, message)
                .hint("is the storage slow? pause_grace_s in the configuration gives more time"));
        }
        Ok(())
    }
}

impl<N: Nodes> XenDriver<N> {
    /// Saves the domain's memory; it is suspended afterwards.
    pub(super) async fn save(
        &self,
        instance: &Instance,
        out: &MemoryOut,
        progress: Progress<'_>,
    ) -> Result<()> {
        let path = out.path.as_path();
        let mut work = self.work(instance.uuid).await;
        if work.saved.as_deref() == Some(path) {
            return Ok(()); // by an earlier try
        }
        let Some(held) = work.held.clone() else {
            let message = format!("domain {}: nobody watches over its suspend", instance.name);
            return Err(HostError::new(ErrorKind::Internal, message));
        };
        let file = files::open_memory(path)?;
        files::empty_memory(&file).map_err(|e| files::failed("cannot empty the memory image", path, &e))?;
        drop(file);
        point("memory_begin.before").await?;
        let mut looker = Looker {
            out,
            begun: Instant::now(),
            until: held.until,
            asked_at: None,
            answered: false,
            runs: false,
        };
        match work.saver {
            Some(saver) => self.by_libxl(&mut work, saver, instance, &mut looker, progress).await?,
            None => self.by_xl(held.operation.as_str(), instance, &mut looker, progress).await?,
        }
        let since = looker.asked_at.unwrap_or(if out.live { Instant::now() } else { looker.begun });
        work.held = Some(Held { since, ..held });
        work.saved = Some(path.to_owned());
        point("memory_begin.after").await
    }

    async fn by_libxl(
        &self,
        work: &mut Work,
        saver: Process,
        instance: &Instance,
        looker: &mut Looker<'_>,
        progress: Progress<'_>,
    ) -> Result<()> {
        let Some(mut hand) = work.hand.take().filter(|h| h.usable() && h.process == saver) else {
            let message = format!("domain {}: the process that was to save it has ended", instance.name);
            return Err(
                HostError::new(ErrorKind::BackendFailed, message).hint("see libxl.log in the run folder")
            );
        };
        let file = looker.out.path.as_path().to_owned();
        let request = Request::Suspend(Suspend { target: target(instance), file, live: looker.out.live });
        let done =
            self.looking(hand.ask::<Suspended>(&request, looker.until), looker, instance, progress).await;
        let error = match done {
            Ok(Ok(_)) => {
                work.hand = Some(hand);
                return Ok(());
            }
            Ok(Err(ToolError::Failure(f))) => {
                work.hand = Some(hand);
                return Err(super::tools::failed(&f, &instance.name));
            }
            Ok(Err(e)) => e.about(&instance.name),
            Err(e) => e,
        };
        release::end_group(saver.pid).await?; // whatever it is at
        Err(error)
    }

    /// `xl save -p`: it resumes the guest at its end, and leaves it paused.
    async fn by_xl(
        &self,
        operation: &str,
        instance: &Instance,
        looker: &mut Looker<'_>,
        progress: Progress<'_>,
    ) -> Result<()> {
        let failed = |why: &str| {
            HostError::new(ErrorKind::BackendFailed, format!("domain {}: xl save: {why}", instance.name))
        };
        let kept = Started::of(&self.settings, instance.uuid);
        let (answer, log) = (kept.file("save.answer"), kept.log("save.log")?);
        files::remove(&answer)?;
        let text = |path: &Path| path.display().to_string();
        let mut command = vec![text(&self.tools.xl), "save".into(), "-p".into(), instance.domid.to_string()];
        command.push(looker.out.path.to_string());
        let command =
            Noted { answer: answer.clone(), config: None, image: None, command }.command(&self.settings.exe);
        let unit = format!("xensnap-save-{}-{}", instance.domid, pause::clock_ms());
        detached::start(&self.settings, &unit, &log, &command).await?;
        let until = looker.until;
        match self.looking(noted::answered(&answer, None, until), looker, instance, progress).await {
            Ok(_) => {
                let status = self.tools.state(target(instance)).await.map_err(|e| e.about(&instance.name))?;
                // Its exit code tells nothing of the pause: Xen does.
                let saved = std::fs::read_to_string(&answer).is_ok_and(|code| code.trim() == "0");
                match status {
                    Some(s) if s.state == XenState::Paused && saved => Ok(()),
                    _ if saved => Err(failed("the guest is not paused after it")),
                    _ => Err(failed(&last_words(&log))),
                }
            }
            Err(e) => {
                release::end_xl(operation).await?;
                Err(e)
            }
        }
    }

    /// Waits for a save, looking at it; an error when it has to be broken off.
    async fn looking<T>(
        &self,
        save: impl Future<Output = T>,
        looker: &mut Looker<'_>,
        instance: &Instance,
        progress: Progress<'_>,
    ) -> Result<T> {
        let mut save = pin!(save);
        loop {
            tokio::select! {
                biased;
                done = &mut save => return Ok(done),
                () = sleep((looker.begun.elapsed() / 10).clamp(POLL.0, POLL.1)) => self.look(looker, instance, progress).await?,
            }
        }
    }

    /// One look; an error when the save has to be broken off.
    async fn look(&self, looker: &mut Looker<'_>, instance: &Instance, progress: Progress<'_>) -> Result<()> {
        let name = &instance.name;
        let size = std::fs::metadata(looker.out.path.as_path()).map_or(0, |m| m.len());
        if progress(size.min(looker.out.ram), looker.out.ram).is_break() {
            let message = format!("domain {name}: the save of its memory was cancelled");
            return Err(HostError::new(ErrorKind::Cancelled, message));
        }
        if !looker.answered {
            let path = format!("/local/domain/{}/control/shutdown", instance.domid);
            let word = self.nodes.read(&path).await.ok().flatten().unwrap_or_default();
            match (word.as_str(), looker.asked_at) {
                ("suspend", None) => looker.asked_at = Some(Instant::now()),
                ("suspend", Some(_)) | (_, None) => {}
                (_, Some(_)) => looker.answered = true,
            }
        }
        if looker.late() {
            let state = timeout(RESERVE / 2, self.tools.state(target(instance))).await;
            looker.runs = matches!(state, Ok(Ok(Some(status))) if status.state == XenState::Running);
        }
        looker.in_time(name)
    }

    /// Breaks a save off, if one goes on. The guest's state is the release's.
    pub(super) async fn cancel(&self, instance: &Instance) -> Result<()> {
        let mut work = self.work(instance.uuid).await;
        match work.saver {
            Some(saver) if work.hand.as_ref().is_none_or(|h| !h.usable()) => {
                work.hand = None;
                release::end_group(saver.pid).await.map(drop)
            }
            _ => Ok(()),
        }
    }
}

/// Checks that the image is whole, gives back what was reserved beyond its end; returns its size in bytes.
pub(super) async fn complete(out: &MemoryOut) -> Result<u64> {
    let path = out.path.as_path().to_owned();
    let checked = tokio::task::spawn_blocking(move || check(&path)).await;
    let size =
        checked.map_err(|e| HostError::new(ErrorKind::Internal, format!("a file task ended: {e}")))??;
    point("memory_complete.after").await?;
    Ok(size)
}

fn check(path: &Path) -> Result<u64> {
    let file = files::open_memory(path)?;
    image::check(&file).map_err(|e| {
        let message = format!("the memory image {}: {e}", path.display());
        HostError::new(ErrorKind::BackendFailed, message)
    })?;
    files::end_memory(path)
}

#[cfg(test)]
mod tests {
    use xensnap::wire::AbsPath;

    use super::*;

    #[test]
    fn what_is_done_when_time_is_up_has_time() {
        // The look, the wait for a guest that follows all the same, and a few processes.
        assert!(RESERVE / 2 + release::FOLLOWS_MAX + Duration::from_secs(2) <= RESERVE);
    }

    #[test]
    fn a_save_that_takes_too_long_is_the_guest_s_fault_only_while_it_has_not_suspended() {
        let mut out = MemoryOut::new(AbsPath::new("/m").unwrap(), 1 << 20, false);
        let now = Instant::now();
        let kind = |out: &MemoryOut, left, asked_at, answered, runs| {
            let until = now + RESERVE + left;
            let looker = Looker { out, begun: now, until, asked_at, answered, runs };
            looker.in_time("web").err().map(|e| e.kind)
        };
        let (soon, never) = (Duration::ZERO, Duration::from_secs(600));
        let (guest, storage) = (Some(ErrorKind::DomainState), Some(ErrorKind::BackendFailed));
        let long_ago = Some(now - ANSWER_MAX * 2);
        assert_eq!(kind(&out, never, None, false, false), None);
        assert_eq!(kind(&out, never, Some(now), false, false), None);
        assert_eq!(kind(&out, never, long_ago, false, false), guest);
        assert_eq!(kind(&out, soon, Some(now), false, false), guest);
        assert_eq!(kind(&out, never, long_ago, true, false), None);
        assert_eq!(kind(&out, soon, Some(now), true, false), storage);
        assert_eq!(kind(&out, soon, None, false, false), storage);
        // It took the request, seen or not, and runs all the same.
        assert_eq!(kind(&out, soon, Some(now), true, true), guest);
        assert_eq!(kind(&out, soon, None, false, true), guest);
        // While pages flow it runs rightly.
        out.live = true;
        assert_eq!(kind(&out, soon, None, false, true), storage);
        assert_eq!(kind(&out, soon, Some(now), true, true), guest);
    }
}
