//! Driver `xen`: a domain under libxl, whoever created it.
//!
//! ```text
//!   config      libxl's JSON                                     (what xl list -l shows)
//!   hand        xensnap-libxl serve: state, pause, suspend ..    (the host's libxl, in a process of its own)
//!   tools       the same and xl as one-shot programs             (without libxl; for the guard)
//!   memory      suspend into a file                              image: what that file is
//!   release     resume, unpause                                  (also the guard's)
//!   lifecycle   ending and starting                              (libxl's destroy, xl restore, xensnap-libxl create)
//!   ready       a unit for the next restore                      (noted: runs it, notes how it ended)
//!   here        the verbs
//! ```
//!
//! Xen is asked what a domain does, never QEMU, which says "running" of a paused one. A QEMU's QMP sockets serve one client at a time, and one of them is
//! libxl's own: they are held for one question only.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant as Clock};

use serde_json::json;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, sleep};
use uuid::Uuid;
use xensnap::contract::{
    Domain, DriverKind, ErrorKind, MemoryImage, MemoryOut, OperationId, PauseMethod, Start,
};
use xensnap::wire::RawJson;

use super::driver::{Config, Driver};
use super::guard::Guard;
use super::link::{Address, COMMAND_MAX, Link, Links, Paused, gone};
use super::nodes::Nodes;
use super::pause::{self, How, Pause, Released};
use super::process::{self, Process};
use super::qemu::registry;
use super::settings::Settings;
use super::{HostError, Instance, MemoryAbility, Progress, Result, RunState, files};
use crate::fault::point;
use crate::libxl::protocol::{self, Info, Request, RunState as XenState, Status, Target};

mod ability;
pub mod config;
mod hand;
pub mod hold;
pub mod image;
mod lifecycle;
mod memory;
pub mod noted;
pub mod ready;
pub mod release;
pub mod tools;

use hand::{Hand, Hands};
use ready::Ready;
use tools::{ToolError, Tools, doing};

/// How long a connection to a QEMU may take: libxl or xenstat may hold the socket for a moment.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long a request to Xen may take that does not save memory.
const REQUEST_MAX: Duration = Duration::from_secs(60);
/// For how long a host's lack of libxl is believed.
const NO_LIBXL: Duration = Duration::from_secs(60);
/// How long a pause's lock may be waited for: somebody else is releasing then.
const LOCK_MAX: Duration = Duration::from_secs(60);

/// The driver.
#[derive(Debug)]
pub struct XenDriver<N> {
    nodes: Arc<N>,
    links: Arc<Links>,
    guard: Arc<Guard>,
    settings: Settings,
    tools: Tools,
    boot: String,
    hands: Hands,
    ready: Ready,
    works: Mutex<HashMap<Uuid, Arc<tokio::sync::Mutex<Work>>>>,
    libxl: Mutex<Option<(Clock, std::result::Result<Info, String>)>>,
}

/// What one operation on a domain knows between its steps.
#[derive(Debug, Default)]
struct Work {
    hand: Option<Hand>,
    /// Our pause.
    held: Option<Held>,
    /// Who is to save memory; none: xl.
    saver: Option<Process>,
    /// The memory image that is complete.
    saved: Option<PathBuf>,
    /// The instance whose monitor has ended with a suspend of ours. It gets another when the operation is over: until then it would take time from that.
    unwatched: Option<Instance>,
}

#[derive(Clone, Debug)]
struct Held {
    operation: OperationId,
    since: Instant,
    until: Instant,
    method: Method,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Pause,
    Suspend,
}

fn target(instance: &Instance) -> Target {
    Target { domid: instance.domid, uuid: instance.uuid }
}

impl<N: Nodes> XenDriver<N> {
    /// Over these nodes and connections, under this guard.
    pub fn new(nodes: Arc<N>, links: Arc<Links>, guard: Arc<Guard>, settings: Settings) -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self {
            nodes,
            links,
            guard,
            tools: Tools { libxl: settings.libxl.clone(), xl: settings.xl.clone() },
            boot: boot.chars().take(8).collect(),
            hands: Hands::new(settings.clone()),
            ready: Ready::new(settings.clone()),
            settings,
            works: Mutex::default(),
            libxl: Mutex::default(),
        }
    }

    /// The running domain at a domid under `/libxl`; none when it is none of ours to handle (a stub domain, or half gone).
    ///
    /// # Errors
    /// When xenstore cannot be read.
    pub async fn at(&self, domid: u32) -> Result<Option<Instance>> {
        let read = async |key: &str| self.nodes.read(&format!("/local/domain/{domid}/{key}")).await;
        // `target` is the domain that a stub domain serves; a `config` is that of a plain QEMU, of another driver. All at once: each answer takes its time.
        let (config_node, nodes) = (registry::config_node(domid), &self.nodes);
        let (vm, config, target, name) =
            tokio::try_join!(read("vm"), nodes.read(&config_node), read("target"), read("name"))?;
        let Some(uuid) = vm.and_then(|vm| vm.strip_prefix("/vm/")?.parse().ok()) else { return Ok(None) };
        if config.is_some() || target.is_some() {
            return Ok(None);
        }
        let name = name.unwrap_or_default();
        // A domid is used again only after all others have been, but begins anew when the host does.
        let run = format!("{domid}@{}", self.boot);
        Ok(Some(Instance { uuid, name, domid, driver: DriverKind::Xen, run, state: RunState::Unknown }))
    }

    /// Checks that an instance is what it was: the same domain at that domid, with the same name.
    async fn same(&self, instance: &Instance) -> Result<()> {
        match self.at(instance.domid).await? {
            Some(now) if now.uuid == instance.uuid && now.run == instance.run => {
                match now.name == instance.name {
                    true => Ok(()),
                    false => Err(HostError::new(
                        ErrorKind::DomainGone,
                        format!("domain {} was renamed to {} in the middle", instance.name, now.name),
                    )
                    .hint("ask again, with its new name")),
                }
            }
            _ => Err(gone(&instance.name)),
        }
    }

    async fn work(&self, domain: Uuid) -> OwnedMutexGuard<Work> {
        let work =
            Arc::clone(self.works.lock().unwrap_or_else(PoisonError::into_inner).entry(domain).or_default());
        work.lock_owned().await
    }

    /// The host's libxl; why there is none, if so.
    async fn info(&self) -> std::result::Result<Info, String> {
        if let Some((at, known)) = &*self.libxl.lock().unwrap_or_else(PoisonError::into_inner)
            && (known.is_ok() || at.elapsed() < NO_LIBXL)
        {
            return known.clone();
        }
        match self.hands.take().await {
            Ok(hand) => {
                let info = hand.info.clone();
                self.hands.give_back(hand);
                self.know(Ok(info))
            }
            Err(e) => self.know(Err(e.to_string())),
        }
    }

    fn know(&self, info: std::result::Result<Info, String>) -> std::result::Result<Info, String> {
        *self.libxl.lock().unwrap_or_else(PoisonError::into_inner) = Some((Clock::now(), info.clone()));
        info
    }

    /// A hand for this work; `None` where there is no libxl.
    async fn hand<'a>(&self, work: &'a mut Work) -> Option<&'a mut Hand> {
        if work.hand.as_ref().is_none_or(|h| !h.usable()) {
            work.hand = None;
            if self.info().await.is_err() {
                return None;
            }
            work.hand = match self.hands.take().await {
                Ok(hand) => Some(hand),
                Err(e) => {
                    let _ = self.know(Err(e.to_string()));
                    None
                }
            };
        }
        work.hand.as_mut()
    }

    /// What Xen says of it.
    async fn status(&self, work: &mut Work, instance: &Instance) -> Result<Status> {
        let target = target(instance);
        let deadline = Instant::now() + REQUEST_MAX;
        if let Some(hand) = self.hand(work).await {
            match hand.ask(&Request::State(target), deadline).await {
                Ok(status) => return Ok(status),
                Err(ToolError::Failure(f)) => return Err(tools::failed(&f, &instance.name)),
                Err(_) => {} // it is asked again by a process of its own
            }
        }
        let status = self.tools.state(target).await.map_err(|e| e.about(&instance.name))?;
        status.ok_or_else(|| gone(&instance.name))
    }

    /// What Xen says that it does; `None` when it is gone.
    async fn state_of(&self, instance: &Instance) -> Result<Option<XenState>> {
        let mut work = self.work(instance.uuid).await;
        match self.status(&mut work, instance).await {
            Ok(status) => Ok(Some(status.state)),
            Err(e) if e.kind == ErrorKind::DomainGone => Ok(None),
            Err(e) => Err(e),
        }
    }

    async fn libxl_config(&self, instance: &Instance) -> Result<RawJson> {
        let target = target(instance);
        let mut work = self.work(instance.uuid).await;
        let deadline = Instant::now() + REQUEST_MAX;
        if let Some(hand) = self.hand(&mut work).await {
            match hand.ask::<protocol::Config>(&Request::Config(target), deadline).await {
                Ok(found) => return Ok(found.config),
                Err(ToolError::Failure(f)) => return Err(tools::failed(&f, &instance.name)),
                Err(_) => {}
            }
        }
        drop(work);
        let text = self.tools.config(target).await.map_err(|e| e.about(&instance.name))?;
        RawJson::new(text).map_err(|e| {
            HostError::new(ErrorKind::BackendFailed, format!("domain {}: its config: {e}", instance.name))
        })
    }

    /// The QEMU that serves a domain's disks, if it lives.
    async fn qemu(&self, instance: &Instance) -> Result<Option<Process>> {
        let domid = instance.domid;
        let written = self.nodes.read(&format!("/local/domain/{domid}/image/device-model-pid")).await?;
        let by_pid =
            written.and_then(|pid| Process::of(pid.trim().parse().ok()?)).filter(|p| serves(*p, domid));
        Ok(by_pid.or_else(|| process::all().into_iter().find(|p| serves(*p, domid))))
    }

    /// Lets the guest go on, unless somebody else has done it.
    async fn release_ours(&self, operation: &OperationId, instance: &Instance) -> Result<Option<Duration>> {
        let folder = self.settings.pauses();
        point("release.before").await?;
        let taken = pause::take(&folder, operation.as_str(), Instant::now() + LOCK_MAX).await;
        let Some(lock) = taken.map_err(|e| files::failed("cannot use the pauses in", &folder, &e))? else {
            self.forget_pause(instance).await;
            return Ok(None);
        };
        let How::Xen(hold) = &lock.pause.how else { return Ok(None) };
        let mut work = self.work(instance.uuid).await;
        let held = work.held.clone();
        let how = match self.quick(&mut work, hold, instance).await {
            Some(how) => how,
            None => release::release(&lock.pause, hold, Instant::now() + REQUEST_MAX).await?,
        };
        let now = Instant::now();
        point("release.after").await?;
        if hold.watch && how == Released::WentOn {
            work.unwatched = Some(instance.clone());
        }
        lock.over().map_err(|e| files::failed("cannot remove a pause from", &folder, &e))?;
        self.guard.disarm(operation.as_str()).await;
        (work.held, work.saved, work.saver) = (None, None, None);
        drop(work);
        self.links.pause_over(instance.uuid).await;
        Ok(held.filter(|_| how == Released::WentOn).map(|held| now.saturating_duration_since(held.since)))
    }

    /// The release over the hand that has paused or suspended it; `None` when it has to be done otherwise.
    async fn quick(&self, work: &mut Work, hold: &hold::Hold, instance: &Instance) -> Option<Released> {
        let method = work.held.as_ref()?.method;
        let hand = work.hand.as_mut().filter(|h| h.usable())?;
        let deadline = Instant::now() + REQUEST_MAX;
        let target = target(instance);
        let released = match method {
            Method::Suspend if hold.suspended && work.saved.is_some() => {
                let resumed = hand.ask::<protocol::Resumed>(&Request::Resume(target), deadline).await;
                resumed.map(|r| if r.was_suspended { Released::WentOn } else { Released::NotHeld })
            }
            Method::Pause => {
                hand.ask::<Status>(&Request::Unpause(target), deadline).await.map(|_| Released::WentOn)
            }
            Method::Suspend => return None,
        };
        match released {
            Ok(how) => Some(how),
            Err(ToolError::Failure(f)) if f.is_gone() => Some(Released::Gone), // we have ended it ourselves
            Err(_) => None,
        }
    }

    /// Has a monitor started; nothing waits for it.
    fn start_watch(&self, instance: &Instance) {
        let (settings, target, name) = (self.settings.clone(), target(instance), instance.name.clone());
        let tools = self.tools.clone();
        tokio::spawn(async move {
            if let Err(e) = release::watch(&settings, &tools, target).await {
                eprintln!("xensnapd: domain {name} has no monitor: {e}");
            }
        });
    }

    async fn forget_pause(&self, instance: &Instance) {
        self.work(instance.uuid).await.held = None;
        self.links.pause_over(instance.uuid).await;
    }

    /// Closes what is held open for a domain.
    pub async fn let_go(&self, domain: Uuid) {
        let work = self.works.lock().unwrap_or_else(PoisonError::into_inner).get(&domain).map(Arc::clone);
        let Some(work) = work else { return };
        let mut work = work.lock().await;
        if let Some(hand) = work.hand.take() {
            self.hands.give_back(hand);
        }
        if let Some(instance) = work.unwatched.take() {
            self.start_watch(&instance);
        }
        if work.held.is_none() {
            self.works.lock().unwrap_or_else(PoisonError::into_inner).remove(&domain);
        }
        drop(work);
        self.get_starter_ready().await;
    }

    async fn get_starter_ready(&self) {
        if self.settings.systemd && self.info().await.is_ok() {
            self.ready.prepare().await;
        }
    }

    /// Gets a hand and a unit for the next start ready, and sees that domains have a monitor whose own ended with a suspend by an earlier agent.
    pub async fn get_ready(&self, instances: &[Instance]) {
        let Ok(info) = self.info().await else { return };
        if info.xl_monitor_ends {
            for instance in instances {
                self.start_watch(instance);
            }
        }
        self.get_starter_ready().await;
    }

    /// What would read a memory image on this host.
    pub async fn reader(&self) -> Option<String> {
        let version = |part: &str| std::fs::read_to_string(format!("/sys/hypervisor/version/{part}")).ok();
        match (version("major"), version("minor"), version("extra")) {
            (Some(major), Some(minor), extra) => {
                Some(format!("Xen {}.{}{}", major.trim(), minor.trim(), extra.unwrap_or_default().trim()))
            }
            _ => self.info().await.ok().map(|i| format!("Xen {}", i.xen)),
        }
    }

    /// Whether a domain can be started without a memory image, or why not.
    pub async fn boots(&self) -> std::result::Result<(), String> {
        self.info().await.map(drop).map_err(|why| format!("libxl cannot be had on this host: {why}"))
    }

    /// Whether an operation has suspended the domain: then an HVM guest's QEMU has let go of its images, until `cont`.
    async fn suspended(&self, domain: Uuid) -> bool {
        self.work(domain).await.saved.is_some()
    }
}

/// Whether a memory image was written by Xen.
pub fn is_image(image: &MemoryImage) -> bool {
    image.writer.as_str().starts_with("Xen")
}

/// Checks that a memory image that Xen wrote is whole.
///
/// # Errors
/// `Changed`, naming the file, when it is not.
pub fn verify_image(recorded: &MemoryImage) -> Result<()> {
    let path = recorded.path.as_path();
    image::check(&files::open_memory(path)?).map(drop).map_err(|e| {
        HostError::new(ErrorKind::Changed, format!("the memory image {}: {e}", path.display()))
            .hint("put the file back, or revert with --disks-only, which boots the domain")
    })
}

/// Whether a process is the QEMU of the domain at this domid.
fn serves(process: Process, domid: u32) -> bool {
    let args = process.args();
    let wanted = domid.to_string();
    let attach = args.iter().any(|a| a == "-xen-domid")
        && args.iter().zip(args.iter().skip(1)).any(|(a, b)| a == "-xen-domid" && *b == wanted);
    attach && args.first().is_some_and(|a| a.contains("qemu"))
}

impl<N: Nodes> Driver for XenDriver<N> {
    fn kind(&self) -> DriverKind {
        DriverKind::Xen
    }

    async fn config(&self, instance: Option<&Instance>, known: Option<&Domain>) -> Result<Config> {
        let text = match (instance, known) {
            (Some(instance), _) => self.libxl_config(instance).await?,
            (None, Some(known)) => known.config.clone(),
            (None, None) => {
                return Err(HostError::new(ErrorKind::NoDomain, "the domain neither runs nor is it known"));
            }
        };
        let mut config = config::read(text)?.config;
        if let Some(instance) = instance {
            let served = format!("/local/domain/{}/image/device-model-domid", instance.domid);
            if self.nodes.read(&served).await?.is_some_and(|domid| domid.trim() != "0") {
                let why = "the domain's QEMU is in a stub domain".to_owned();
                config.unserved = config.disks.iter().map(|d| (d.vdev.clone(), why.clone())).collect();
            }
        }
        Ok(config)
    }

    async fn recheck(&self, instance: &Instance) -> Result<Instance> {
        self.same(instance).await?;
        let mut work = self.work(instance.uuid).await;
        let status = self.status(&mut work, instance).await?;
        Ok(Instance { state: doing(status.state), ..instance.clone() })
    }

    async fn memory(&self, instance: &Instance, config: &Config) -> Result<MemoryAbility> {
        self.ability(instance, config).await
    }

    async fn link(&self, instance: &Instance) -> Result<Option<(Process, Link)>> {
        self.same(instance).await?;
        let Some(process) = self.qemu(instance).await? else { return Ok(None) };
        let name = instance.name.as_str();
        let run = Path::new("/var/run/xen");
        let sockets = ["libxenstat", "libxl"].map(|of| run.join(format!("qmp-{of}-{}", instance.domid)));
        let there: Vec<&PathBuf> = sockets.iter().filter(|s| s.exists()).collect();
        let mut error =
            HostError::new(ErrorKind::QmpUnavailable, format!("domain {name}: its QEMU has no QMP socket"));
        let until = Instant::now() + CONNECT_MAX;
        loop {
            for socket in &there {
                let address = Address { uuid: instance.uuid, name, process, socket };
                match self.links.get(address).await {
                    Ok(link) => return Ok(Some((process, link))),
                    Err(e) if e.kind == ErrorKind::QmpUnavailable => error = e,
                    Err(e) => return Err(e),
                }
            }
            if Instant::now() >= until || !process.alive() {
                return Err(error);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn take_images(&self, instance: &Instance, link: &mut Link) -> Result<()> {
        if !self.suspended(instance.uuid).await {
            return Ok(());
        }
        let deadline = link.deadline(COMMAND_MAX);
        // The guest does not run by it: Xen holds its processors.
        let done = link.qmp()?.execute("cont", json!({}), deadline).await;
        done.map(drop).map_err(|e| e.about(&instance.name))
    }

    async fn pause(
        &self,
        operation: &OperationId,
        instance: &Instance,
        pause: &xensnap::contract::Pause,
    ) -> Result<()> {
        self.same(instance).await?;
        let method = match pause.method {
            PauseMethod::XenPause => Method::Pause,
            PauseMethod::XenSuspend => Method::Suspend,
            _ => return Err(HostError::new(ErrorKind::Internal, "a pause that is not Xen's")),
        };
        let watch = self.info().await.is_ok_and(|i| i.xl_monitor_ends);
        let mut work = self.work(instance.uuid).await;
        let status = self.status(&mut work, instance).await?;
        match (status.state, &work.held) {
            (XenState::Running, _) | (XenState::Paused, Some(_)) => {}
            (XenState::Paused, None) if method == Method::Pause => return Ok(()), // somebody else's: not ours to end
            (state, _) => {
                let message =
                    format!("domain {} is {} now: it cannot be paused", instance.name, state.word());
                return Err(HostError::new(ErrorKind::DomainState, message)
                    .hint("see what was done to it, then ask again"));
            }
        }
        work.saver = work.hand.as_ref().filter(|_| method == Method::Suspend).map(|h| h.process);
        let hold = hold::Hold {
            domid: instance.domid,
            suspended: method == Method::Suspend,
            saver: work.saver.map(|p| p.to_string()),
            tools: self.tools.clone(),
            watch: watch && method == Method::Suspend,
            run_dir: self.settings.run_dir.clone(),
        };
        let folder = self.settings.pauses();
        let deadline = pause.deadline;
        let file = Pause::new(operation, instance, deadline, How::Xen(hold));
        file.write(&folder).map_err(|e| files::failed("cannot write the pause into", &folder, &e))?;
        self.guard.arm(operation.as_str(), deadline).await?;
        let now = Instant::now();
        let held = Held { operation: operation.clone(), since: now, until: now + deadline, method };
        work.held = Some(held.clone());
        point("pause.armed").await?;
        if method == Method::Pause {
            self.pause_now(&mut work, instance).await?;
        }
        if let Ok(Some(process)) = self.qemu(instance).await {
            let paused = Paused { stopped_at: None, since: now, until: held.until };
            self.links.paused(instance.uuid, &instance.name, process, paused).await;
        }
        point("pause.stopped").await
    }

    async fn release(&self, operation: &OperationId, instance: &Instance) -> Result<Option<Duration>> {
        self.guard.releasing(operation.as_str(), self.release_ours(operation, instance)).await
    }

    async fn memory_begin(&self, instance: &Instance, out: &MemoryOut, progress: Progress<'_>) -> Result<()> {
        self.same(instance).await?;
        self.save(instance, out, progress).await
    }

    async fn memory_complete(&self, _: &Instance, out: &MemoryOut, _: Progress<'_>) -> Result<u64> {
        memory::complete(out).await
    }

    async fn memory_cancel(&self, instance: &Instance) -> Result<()> {
        self.cancel(instance).await
    }

    async fn end(&self, domain: Uuid) -> Result<()> {
        self.end_all(domain).await
    }

    async fn start(&self, domain: Uuid, start: &Start) -> Result<Instance> {
        self.start_one(domain, start).await
    }
}
