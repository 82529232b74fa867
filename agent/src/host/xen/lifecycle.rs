//! A domain's end and its beginning under Xen.
//!
//! ```text
//!   end:    our monitor ends -> libxl (or xl) destroys every run of the domain -> gone from xenstore -> its QEMU is gone
//!   start:  nothing runs -> mark "starting" -> xl restore [-p] IMAGE | xensnap-libxl create CONFIG [--paused] -> its answer is there -> Xen says so -> mark "done"
//! ```
//!
//! What starts a domain outlives us, and writes down how it ended. The mark tells an agent that comes later whose start it finds: one that goes on is waited
//! for, one that ended well is taken, what one that died has left is destroyed before the next try.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use uuid::Uuid;
use xensnap::contract::{ErrorKind, Start};

use super::noted::{self, Noted};
use super::tools::{ToolError, doing};
use super::{XenDriver, config, target};
use crate::fault::point;
use crate::host::nodes::Nodes;
use crate::host::process::Process;
use crate::host::started::Started;
use crate::host::{HostError, Instance, Result, RunState, detached, files, pause};
use crate::libxl::protocol::{
    Answer, Created, FailureKind, Request, RunState as XenState, Target, from_line,
};
use crate::libxl::{lock, savefile};

/// How long `xl destroy` may take: it scrubs the guest's memory.
const DESTROY_MAX: Duration = Duration::from_secs(300);
/// How long a QEMU may take to end after its domain.
const QEMU_MAX: Duration = Duration::from_secs(20);
/// How long a start may take beside reading its memory.
const START_MAX: Duration = Duration::from_secs(300);
/// How slowly memory may be read, in bytes a second.
const READ_RATE_MIN: u64 = 8 << 20;
/// How many runs of a domain are ended before somebody is thought to make them.
const RUNS_MAX: u32 = 5;
/// The program that is a domain's monitor, as the kernel names it.
const MONITOR: &str = "xensnap-libxl";
/// How long a monitor may take to end.
const MONITOR_MAX: Duration = Duration::from_secs(10);

/// A start that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// What was to be started: config, memory image, paused.
    what: (String, Option<String>, bool),
    /// The file that says how it ended.
    answer: PathBuf,
    /// The process that will write it, where it was known at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    writer: Option<String>,
    /// The run, once it is done.
    run: Option<String>,
}

impl Mark {
    fn writer(&self) -> Option<Process> {
        self.writer.as_deref().and_then(Process::alive_of)
    }
}

impl<N: Nodes> XenDriver<N> {
    /// All runs of a domain.
    async fn runs(&self, domain: Uuid) -> Result<Vec<Instance>> {
        let mut found = Vec::new();
        for domid in
            self.nodes.list("/libxl").await?.iter().filter_map(|d| d.parse().ok()).filter(|d| *d != 0)
        {
            found.extend(self.at(domid).await?.filter(|i| i.uuid == domain));
        }
        Ok(found)
    }

    /// The names of all running domains but this one.
    pub async fn other_names(&self, domain: Uuid) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for domid in self.nodes.list("/local/domain").await?.iter().filter_map(|d| d.parse().ok()) {
            found.extend(self.at(domid).await?.filter(|i| i.uuid != domain).map(|i| i.name));
        }
        Ok(found)
    }

    /// Ends all runs of the domain, as a power cut does.
    pub(super) async fn end_all(&self, domain: Uuid) -> Result<()> {
        self.more_time(domain).await?;
        self.end_monitors(domain).await?;
        let mut ended = 0;
        while let Some(instance) = self.runs(domain).await?.pop() {
            if ended == RUNS_MAX {
                let message = format!("domain {} is made anew whenever it is ended", instance.name);
                return Err(HostError::new(ErrorKind::DomainState, message).hint("see who starts it"));
            }
            ended += 1;
            let qemu = self.qemu(&instance).await?;
            self.links.let_go(domain).await;
            self.destroy(&instance).await?;
            point("end_domain.ended").await?;
            // A QEMU whose domain is gone could still write to the images.
            if let Some(qemu) = qemu
                && !qemu.gone_within(QEMU_MAX).await
            {
                qemu.kill(QEMU_MAX).await?;
            }
        }
        Started::of(&self.settings, domain).unmark()
    }

    /// Ends our own monitors of the domain: one could be about to make a guest that has just ended anew.
    async fn end_monitors(&self, domain: Uuid) -> Result<()> {
        // A new run's monitor may wait for the place of the one before.
        for _ in 0..RUNS_MAX {
            let Some((pid, _)) = lock::holder(&self.settings.run_dir, domain) else { break };
            if let Some(process) = Process::of(pid).filter(|p| p.name() == MONITOR) {
                process.end(MONITOR_MAX).await?;
            }
        }
        Ok(())
    }

    /// A guest that we have paused to end it waits for no release: the guard is to wait as long as its end may take.
    async fn more_time(&self, domain: Uuid) -> Result<()> {
        let Some(held) = self.work(domain).await.held.clone() else { return Ok(()) };
        let (folder, time) = (self.settings.pauses(), DESTROY_MAX + QEMU_MAX);
        pause::extend(&folder, held.operation.as_str(), time)
            .map_err(|e| files::failed("cannot write the pause into", &folder, &e))?;
        self.guard.arm(held.operation.as_str(), time).await
    }

    async fn destroy(&self, instance: &Instance) -> Result<()> {
        let said = self.end(instance).await;
        let until = Instant::now() + QEMU_MAX;
        loop {
            // What it said does not matter, but whether the domain is gone.
            let here = self.at(instance.domid).await?.is_some_and(|now| now.uuid == instance.uuid);
            if !here && self.state_of(instance).await.is_ok_and(|s| s.is_none()) {
                return Ok(());
            }
            if Instant::now() >= until {
                let words = said.err().map_or_else(|| "it is still there".to_owned(), |e| e.to_string());
                let message = format!("domain {} could not be ended: {words}", instance.name);
                return Err(HostError::new(ErrorKind::BackendFailed, message)
                    .hint("xl destroy it by hand, and see what holds its memory (xl list shows it dying)"));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Has libxl end a run: over the hand, which is there already, or by `xl`.
    async fn end(&self, instance: &Instance) -> std::result::Result<(), ToolError> {
        let mut work = self.work(instance.uuid).await;
        if let Some(hand) = self.hand(&mut work).await {
            let request = Request::Destroy(target(instance));
            match hand.ask::<Target>(&request, Instant::now() + DESTROY_MAX).await {
                Ok(_) => return Ok(()),
                // One of an older package does not know how.
                Err(ToolError::Failure(f)) if f.kind == FailureKind::BadRequest => {}
                Err(e) if e.no_libxl() => {}
                Err(e) => return Err(e),
            }
        }
        drop(work);
        self.tools.xl(&["destroy", &instance.domid.to_string()], DESTROY_MAX).await.map(drop)
    }

    /// Starts the domain, or finishes a start that was begun.
    pub(super) async fn start_one(&self, domain: Uuid, start: &Start) -> Result<Instance> {
        let name = config::read(start.config.clone())?.config.name;
        let what =
            (start.config.as_str().to_owned(), start.memory.as_ref().map(ToString::to_string), start.paused);
        let kept = Started::of(&self.settings, domain);
        let begun: Option<Mark> = kept.marked().filter(|m: &Mark| m.what == what);
        let running = self.runs(domain).await?;
        match (&begun, running.as_slice()) {
            (None, [other, ..]) => {
                let message = format!(
                    "domain {} runs already (domid {}), and was not started by this operation",
                    other.name, other.domid
                );
                return Err(HostError::new(ErrorKind::DomainState, message).hint("end it, then ask again"));
            }
            (Some(mark), [one]) if mark.run.as_ref() == Some(&one.run) => {
                return self.started(one, start).await;
            }
            (Some(mark), _) if mark.run.is_none() && noted::goes_on(&mark.answer, mark.writer()) => {
                return self.finish(domain, &name, start, mark.clone()).await;
            }
            (Some(mark), [_]) if mark.run.is_none() && well(&mark.answer) => {
                return self.finish(domain, &name, start, mark.clone()).await;
            }
            _ => {}
        }
        for left in running {
            self.destroy(&left).await?; // of a try of ours that died
        }
        let answer = kept.file(&format!("{}.answer", pause::clock_ms()));
        let mut mark = Mark { what, answer, writer: None, run: None };
        kept.mark(&mark)?;
        if let Some(writer) = self.begin(domain, start, &mark).await? {
            mark.writer = Some(writer.to_string());
            kept.mark(&mark)?;
        }
        point("start_domain.started").await?;
        let done = self.finish(domain, &name, start, mark).await;
        if done.is_err() {
            for left in self.runs(domain).await? {
                self.destroy(&left).await?;
            }
        }
        done
    }

    /// Has a process of its own start it, which is returned where it is known.
    async fn begin(&self, domain: Uuid, start: &Start, mark: &Mark) -> Result<Option<Process>> {
        let text = |path: &Path| path.display().to_string();
        let kept = Started::of(&self.settings, domain);
        let copy = kept.config(start.config.as_str())?;
        let log = kept.log("log")?;
        let unit = format!("xensnap-domain-{domain}-{}", pause::clock_ms());
        if let Some(path) = &start.memory {
            let file = files::open_memory(path.as_path())?;
            let head = savefile::read(&file)
                .map_err(|e| HostError::new(ErrorKind::Changed, format!("the memory image {path}: {e}")))?;
            let other = config::moved(&head.config, &start.config)?;
            if let Some(other) = &other {
                kept.config(other.as_str())?;
            }
            let image = other.map(|_| path.as_path().to_owned());
            let mut command = vec![text(&self.tools.xl), "restore".into()];
            command.extend(start.paused.then(|| "-p".into()));
            command.push(if image.is_some() { "/dev/stdin".into() } else { path.to_string() });
            let config = image.is_some().then_some(copy);
            return self
                .ready
                .run(&unit, &log, Noted { answer: mark.answer.clone(), config, image, command })
                .await;
        }
        let mut command = vec![text(&self.tools.libxl), "--run".into(), text(&self.settings.run_dir)];
        command.extend(["create".into(), text(&copy), "--answer".into(), text(&mark.answer)]);
        command.extend(start.paused.then(|| "--paused".into()));
        detached::start_parent(&self.settings, &unit, &log, &command).await.map(|()| None)
    }

    /// Waits for the end of a start; sees that the domain is there.
    async fn finish(&self, domain: Uuid, name: &str, start: &Start, mut mark: Mark) -> Result<Instance> {
        let size = start.memory.as_ref().and_then(|m| fs::metadata(m.as_path()).ok()).map_or(0, |m| m.len());
        let until = Instant::now() + START_MAX + Duration::from_secs(size / READ_RATE_MIN);
        noted::answered(&mark.answer, mark.writer(), until).await;
        let kept = Started::of(&self.settings, domain);
        let log = kept.file("log");
        if !well(&mark.answer) {
            let message = format!("domain {name} could not be started: {}", said(&mark.answer, &log));
            return Err(
                HostError::new(ErrorKind::BackendFailed, message).hint(format!("see {}", log.display()))
            );
        }
        let runs = self.runs(domain).await?;
        let [one] = runs.as_slice() else {
            let message = format!("domain {name} was started, and {} runs of it are there", runs.len());
            return Err(
                HostError::new(ErrorKind::BackendFailed, message).hint(format!("see {}", log.display()))
            );
        };
        let instance = self.started(one, start).await?;
        mark.run = Some(one.run.clone());
        kept.mark(&mark)?;
        Ok(instance)
    }

    /// What Xen says of a domain that was started.
    async fn started(&self, instance: &Instance, start: &Start) -> Result<Instance> {
        let state = self.state_of(instance).await?;
        match state {
            Some(XenState::Paused) if start.paused => {}
            Some(XenState::Running) if !start.paused => {}
            // Somebody may have done something to it meanwhile; but it was started.
            Some(XenState::Running | XenState::Paused) => {}
            _ => {
                let word = state.map_or("gone", XenState::word);
                let message = format!("domain {} was started, and is {word} now", instance.name);
                return Err(HostError::new(ErrorKind::BackendFailed, message)
                    .hint("another version of Xen may have written its memory: revert the disks only"));
            }
        }
        Ok(Instance { state: state.map_or(RunState::Unknown, doing), ..instance.clone() })
    }
}

/// Whether the start's answer says that it went well: `noted`'s exit code 0, or what `xensnap-libxl create` says of the domain.
fn well(answer: &Path) -> bool {
    let text = fs::read_to_string(answer).unwrap_or_default();
    text.trim() == "0" || matches!(from_line::<Answer<Created>>(text.trim()), Ok(Answer::Ok(_)))
}

/// Why a start failed, in its own words.
fn said(answer: &Path, log: &Path) -> String {
    let text = fs::read_to_string(answer).unwrap_or_default();
    if let Ok(Answer::Error(failure)) = from_line::<Answer<Created>>(text.trim()) {
        return failure.message;
    }
    let log = fs::read(log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let first = log.lines().find(|l| l.contains("error")).or_else(|| log.lines().last());
    first.unwrap_or("it said nothing").to_owned()
}
