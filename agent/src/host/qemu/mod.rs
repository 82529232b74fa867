//! Driver `qemu`: a domain that is a plain QEMU, without Xen, registered in xenstore.
//!
//! ```text
//!   registry    which processes are domains             (xenstore, pid files)
//!   memory      migration into and out of a file        (QMP)
//!   lifecycle   ending and starting                     (QMP, signals, detached processes)
//!   here        the verbs; pause and release under the guard
//! ```

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};
use uuid::Uuid;
use xensnap::contract::{Domain, DriverKind, ErrorKind, MemoryOut, OperationId, QemuConfig, Start};

use super::driver::{Config, Driver};
use super::guard::Guard;
use super::link::{COMMAND_MAX, Link, Links, Paused, Writing};
use super::nodes::Nodes;
use super::pause::{self, How, Pause, Released};
use super::process::Process;
use super::qmp::{Event, Qmp, QmpError};
use super::settings::Settings;
use super::{HostError, Instance, MemoryAbility, Progress, Result, RunState, files, qmp_block};
use crate::fault::point;

mod lifecycle;
pub mod memory;
pub mod registry;
pub mod release;

pub use lifecycle::command;
use registry::Registry;

/// How often a write of memory is looked at: after a twentieth of the time that it has taken so far, within these.
const MEMORY_POLL: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));
/// How long memory may be written without a byte of progress.
const MEMORY_STALL_MAX: Duration = Duration::from_secs(120);
/// How long a pause's lock may be waited for: somebody else is releasing then.
const LOCK_MAX: Duration = Duration::from_secs(30);

/// The driver.
#[derive(Debug)]
pub struct QemuDriver<N> {
    pub(super) registry: Registry<N>,
    links: Arc<Links>,
    guard: Arc<Guard>,
    settings: Settings,
}

impl<N: Nodes> QemuDriver<N> {
    /// Over these nodes, under this guard.
    pub fn new(nodes: Arc<N>, links: Arc<Links>, guard: Arc<Guard>, settings: Settings) -> Self {
        Self { registry: Registry::new(nodes, &settings.run_dir), links, guard, settings }
    }

    async fn ask<T, F>(&self, instance: &Instance, question: F) -> Result<T>
    where
        F: AsyncFnOnce(&mut Qmp, Instant) -> std::result::Result<T, QmpError>,
    {
        let known = self.registry.known(instance).await?;
        let mut link = self.links.get(known.address()).await?;
        let deadline = link.deadline(COMMAND_MAX);
        question(link.qmp()?, deadline).await.map_err(|e| e.about(&instance.name))
    }

    /// Ends the pause on disk and for the guard.
    async fn pause_over(&self, held: pause::Held) -> Result<()> {
        let (operation, folder) = (held.pause.operation.clone(), self.settings.pauses());
        held.over().map_err(|e| files::failed("cannot remove a pause from", &folder, &e))?;
        self.guard.disarm(&operation).await;
        Ok(())
    }

    /// Lets the guest go on, unless somebody else has done it.
    async fn release_ours(&self, operation: &OperationId, instance: &Instance) -> Result<Option<Duration>> {
        let folder = self.settings.pauses();
        point("release.before").await?;
        let taken = pause::take(&folder, operation.as_str(), Instant::now() + LOCK_MAX).await;
        let Some(held) = taken.map_err(|e| files::failed("cannot use the pauses in", &folder, &e))? else {
            self.links.pause_over(instance.uuid).await;
            return Ok(None);
        };
        if Process::alive_of(&instance.run).is_none_or(|p| p.to_string() != held.pause.run) {
            self.pause_over(held).await?; // the run that was paused has ended
            return Ok(None);
        }
        let known = self.registry.known(instance).await?;
        let mut link = self.links.get(known.address()).await?;
        let paused = link.paused;
        let deadline =
            paused.map_or(Instant::now() + COMMAND_MAX, |p| p.until.max(Instant::now() + COMMAND_MAX));
        let before = Instant::now();
        // Where the pause is ours and nothing else goes on, no question is needed before the guest may.
        let plain = paused.is_some() && link.writing.is_none();
        let at_once = plain && link.qmp()?.execute("cont", json!({}), deadline).await.is_ok();
        let how = match at_once {
            true => Released::WentOn,
            false => release::go_on(link.qmp()?, deadline).await.map_err(|e| e.about(&instance.name))?,
        };
        point("release.after").await?;
        let events = link.qmp()?.take_events();
        (link.paused, link.nodes) = (None, None);
        drop(link);
        self.pause_over(held).await?;
        let Some(paused) = paused.filter(|_| how != Released::Gone) else { return Ok(None) };
        let by_qemu =
            paused.stopped_at.and_then(|stop| Some(when(&events, "RESUME", stop)?.saturating_sub(stop)));
        Ok(Some(by_qemu.unwrap_or_else(|| before.saturating_duration_since(paused.since))))
    }

    /// What is left to do after memory was written, or not.
    async fn memory_ended(&self, link: &mut Link) -> Result<()> {
        let bandwidth = link.writing.take().map(|w| w.bandwidth);
        let (deadline, name) = (link.deadline(COMMAND_MAX), link.name().to_owned());
        memory::end(link.qmp()?, bandwidth, deadline).await.map_err(|e| e.about(&name))
    }
}

/// The state, from QEMU's word for it (`RunState` in QEMU's qapi/run-state.json).
fn run_state(word: &str) -> RunState {
    match word {
        "running" => RunState::Running,
        "paused" | "prelaunch" | "postmigrate" => RunState::Paused,
        "suspended" => RunState::Other("suspended"),
        "shutdown" => RunState::Still("shut down"),
        "inmigrate" => RunState::Other("receiving a migration"),
        "finish-migrate" => RunState::Other("ending a migration"),
        "io-error" => RunState::Still("stopped by an I/O error of a disk"),
        "guest-panicked" => RunState::Still("crashed"),
        "internal-error" => RunState::Still("stopped by an internal error of QEMU"),
        "save-vm" | "restore-vm" => RunState::Other("saving or loading a snapshot of QEMU's own"),
        "watchdog" => RunState::Still("stopped by its watchdog"),
        "debug" => RunState::Still("stopped by a debugger"),
        _ => RunState::Other("in a state that this version does not know"),
    }
}

/// When an event of this name came first after that instant, by QEMU's clock.
fn when(events: &[Event], name: &str, after: Duration) -> Option<Duration> {
    events.iter().filter(|e| e.name == name).filter_map(|e| e.at).find(|at| *at >= after)
}

impl<N: Nodes> Driver for QemuDriver<N> {
    fn kind(&self) -> DriverKind {
        DriverKind::Qemu
    }

    async fn config(&self, instance: Option<&Instance>, known: Option<&Domain>) -> Result<Config> {
        let (text, config) = match (instance, known) {
            (Some(instance), _) => {
                let known = self.registry.known(instance).await?;
                (known.text.clone(), known.config.clone())
            }
            (None, Some(known)) => {
                let config: QemuConfig = known.config.parse().map_err(|e| {
                    HostError::new(
                        ErrorKind::Changed,
                        format!("domain {}: its stored config cannot be read: {e}", known.name),
                    )
                })?;
                (known.config.clone(), config)
            }
            (None, None) => {
                return Err(HostError::new(ErrorKind::NoDomain, "the domain neither runs nor is it known"));
            }
        };
        Ok(Config {
            text,
            name: config.name.as_str().to_owned(),
            disks: config.disks,
            ram: config.memory,
            unserved: Vec::new(),
            boots: None,
        })
    }

    async fn recheck(&self, instance: &Instance) -> Result<Instance> {
        let known = self.registry.known(instance).await?;
        let word = self.ask(instance, memory::status).await?;
        Ok(known.instance(run_state(&word)))
    }

    async fn memory(&self, instance: &Instance, _: &Config) -> Result<MemoryAbility> {
        let ram = self.registry.known(instance).await?.config.memory;
        self.ask(instance, async |qmp, deadline| memory::ability(qmp, ram, deadline).await).await
    }

    async fn link(&self, instance: &Instance) -> Result<Option<(Process, Link)>> {
        let known = self.registry.known(instance).await?;
        Ok(Some((known.process, self.links.get(known.address()).await?)))
    }

    async fn take_images(&self, _: &Instance, _: &mut Link) -> Result<()> {
        Ok(()) // here memory comes after the disks
    }

    async fn pause(
        &self,
        operation: &OperationId,
        instance: &Instance,
        pause: &xensnap::contract::Pause,
    ) -> Result<()> {
        let deadline = pause.deadline;
        let about = |e: QmpError| e.about(&instance.name);
        let known = self.registry.known(instance).await?;
        let mut link = self.links.get(known.address()).await?;
        let soon = link.deadline(COMMAND_MAX);
        // What the pause need not wait for comes before it.
        if link.nodes.is_none() {
            link.nodes = Some(qmp_block::nodes(link.qmp()?, soon).await.map_err(about)?);
        }
        let running = memory::status(link.qmp()?, soon).await.map_err(about)? == "running";
        if !running && link.paused.is_none() {
            return Ok(()); // somebody else's pause: not ours to end
        }
        let folder = self.settings.pauses();
        let pause =
            Pause::new(operation, instance, deadline, How::Qmp(known.config.qmp.as_path().to_owned()));
        pause.write(&folder).map_err(|e| files::failed("cannot write the pause into", &folder, &e))?;
        self.guard.arm(operation.as_str(), deadline).await?;
        let until = Instant::now() + deadline;
        point("pause.armed").await?;
        link.qmp()?.take_events();
        let stopped = link.qmp()?.execute("stop", json!({}), soon.min(until)).await;
        let events = link.qmp()?.take_events();
        let stopped_at = when(&events, "STOP", Duration::ZERO).or(link.paused.and_then(|p| p.stopped_at));
        // Also when it was not answered: it may have been done, and must be undone then.
        link.paused = Some(Paused { stopped_at, since: Instant::now(), until });
        stopped.map_err(about)?;
        point("pause.stopped").await
    }

    async fn release(&self, operation: &OperationId, instance: &Instance) -> Result<Option<Duration>> {
        self.guard.releasing(operation.as_str(), self.release_ours(operation, instance)).await
    }

    async fn memory_begin(&self, instance: &Instance, out: &MemoryOut, _: Progress<'_>) -> Result<()> {
        let known = self.registry.known(instance).await?;
        let mut link = self.links.get(known.address()).await?;
        let path = out.path.as_path();
        let deadline = link.deadline(COMMAND_MAX);
        if link.writing.as_ref().is_some_and(|w| w.path == path) {
            return Ok(()); // begun already
        }
        let file = files::open_memory(path)?;
        files::empty_memory(&file).map_err(|e| files::failed("cannot empty the memory image", path, &e))?;
        point("memory_begin.before").await?;
        let ours = link.paused.is_some();
        let bandwidth = memory::begin(link.qmp()?, &instance.name, &file, out.live, ours, deadline).await?;
        link.writing = Some(Writing { path: path.to_owned(), bandwidth });
        point("memory_begin.after").await
    }

    async fn memory_complete(
        &self,
        instance: &Instance,
        out: &MemoryOut,
        progress: Progress<'_>,
    ) -> Result<u64> {
        let about = |e: QmpError| e.about(&instance.name);
        let failed = |words: &str| {
            let kind =
                if words.contains("No space left") { ErrorKind::NoSpace } else { ErrorKind::BackendFailed };
            HostError::new(kind, format!("domain {}: QEMU could not write memory: {words}", instance.name))
        };
        let begun = Instant::now();
        let (mut last, mut moved) = (0, begun);
        loop {
            let known = self.registry.known(instance).await?;
            let mut link = self.links.get(known.address()).await?;
            let deadline = link.deadline(COMMAND_MAX);
            match memory::stage(link.qmp()?, deadline).await.map_err(about)? {
                memory::Stage::Completed => {
                    self.memory_ended(&mut link).await?;
                    drop(link);
                    point("memory_complete.after").await?;
                    return files::end_memory(out.path.as_path());
                }
                memory::Stage::Failed(words) => {
                    self.memory_ended(&mut link).await?;
                    return Err(failed(&words));
                }
                memory::Stage::None => {
                    link.writing = None;
                    return Err(failed("none is being written"));
                }
                memory::Stage::Active(done, total) => {
                    if done != last {
                        (last, moved) = (done, Instant::now());
                    }
                    if moved.elapsed() > MEMORY_STALL_MAX {
                        return Err(failed(&format!("no progress for {} s", MEMORY_STALL_MAX.as_secs())));
                    }
                    if progress(done.min(total), total).is_break() {
                        let message =
                            format!("domain {}: the wait for its memory was cancelled", instance.name);
                        return Err(HostError::new(ErrorKind::Cancelled, message));
                    }
                }
            }
            drop(link);
            sleep((begun.elapsed() / 20).clamp(MEMORY_POLL.0, MEMORY_POLL.1)).await;
        }
    }

    async fn memory_cancel(&self, instance: &Instance) -> Result<()> {
        let known = self.registry.known(instance).await?;
        let mut link = self.links.get(known.address()).await?;
        let bandwidth = link.writing.take().map(|w| w.bandwidth);
        let deadline = link.deadline(COMMAND_MAX);
        memory::cancel(link.qmp()?, bandwidth, deadline).await.map_err(|e| e.about(&instance.name))
    }

    async fn end(&self, domain: Uuid) -> Result<()> {
        self.end_all(domain).await
    }

    async fn start(&self, domain: Uuid, start: &Start) -> Result<Instance> {
        self.start_one(domain, start).await
    }
}
