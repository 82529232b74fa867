//! The simulated world: domains whose guests count in RAM and on their disks, images with tags, files, a guard. It fails where it is told to.
//!
//! ```text
//!   verb call n --> fault for n? --> effect on the world --> answer (or an error, or the agent's death, before or after the effect)
//! ```
//!
//! A guest that runs counts at each verb: RAM and all disks get the new count. So a snapshot is of one instant exactly when its memory image and all its
//! tags hold one count, which is what the tests ask.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;
use xensnap::contract::{
    Disk, DiskTag, Domain, DriverKind, ErrorKind, FileCopy, Line, MemoryImage, MemoryOut, OperationId, Pause,
    ResultFile, Sha256, Start, Vdev,
};
use xensnap::wire::{AbsPath, RawJson};

use super::{
    Ask, DiskFacts, DomainFacts, FileFacts, Host, HostError, ImageFacts, Instance, MemoryAbility, Progress,
    Result, RunState,
};

/// What goes wrong at a verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The verb fails and nothing has happened.
    ErrorBefore,
    /// It happened, and the answer is an error.
    ErrorAfter,
    /// The agent dies before it happened.
    DieBefore,
    /// The agent dies after it happened, before it knows.
    DieAfter,
    /// The domain's QEMU is killed before.
    GuestDies,
    /// It dies just before, and that is what the verb says.
    GuestGone,
}

/// An image: what the guest wrote last, and what each tag holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimImage {
    pub(crate) content: u64,
    pub(crate) tags: BTreeMap<String, u64>,
}

/// A run of the domain.
#[derive(Clone, Debug)]
pub(crate) struct SimRun {
    pub(crate) id: u64,
    pub(crate) ram: u64,
    pub(crate) paused: bool,
    pub(crate) held_by: Option<OperationId>,
    pub(crate) saving: Option<String>,
}

/// All there is.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) images: BTreeMap<String, SimImage>,
    pub(crate) files: BTreeMap<String, u64>,
    pub(crate) results: BTreeMap<String, Vec<u8>>,
    pub(crate) run: Option<SimRun>,
    pub(crate) calls: u64,
    pub(crate) verbs: Vec<&'static str>,
    pub(crate) fault: Option<(u64, Fault)>,
    pub(crate) live: bool,
    pub(crate) dead: bool,
    next_run: u64,
}

/// The simulated host: one domain, two disks.
#[derive(Debug)]
pub(crate) struct SimHost {
    world: Mutex<World>,
    died: Notify,
}

/// The domain.
pub(crate) const DOMAIN: Uuid = Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0);
/// Its disks.
pub(crate) const DISKS: [(&str, &str); 2] = [("xvda", "/images/a.qcow2"), ("xvdb", "/images/b.qcow2")];

impl SimHost {
    pub(crate) fn new(running: bool, live: bool) -> Self {
        let images = DISKS
            .iter()
            .map(|(_, p)| ((*p).to_owned(), SimImage { content: 1, ..SimImage::default() }))
            .collect();
        let run = running.then_some(SimRun { id: 1, ram: 1, paused: false, held_by: None, saving: None });
        let world = World {
            images,
            files: BTreeMap::new(),
            results: BTreeMap::new(),
            run,
            calls: 0,
            verbs: Vec::new(),
            fault: None,
            live,
            dead: false,
            next_run: 2,
        };
        Self { world: Mutex::new(world), died: Notify::new() }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when a fault has killed the agent.
    pub(crate) async fn death(&self) {
        self.died.notified().await;
    }

    /// What the guard does once the agent is gone: our pauses end, an admin's do not. Then a new agent may come.
    pub(crate) fn bury(&self) {
        let mut w = self.world();
        w.dead = false;
        w.fault = None;
        if let Some(run) = &mut w.run
            && run.held_by.take().is_some()
        {
            run.paused = false;
        }
    }

    /// One verb: the guest goes on counting, then the fault, if this is its turn, before or after the effect.
    async fn verb<T>(&self, name: &'static str, effect: impl FnOnce(&mut World) -> Result<T>) -> Result<T> {
        match self.turn(name, effect) {
            Some(answer) => answer,
            None => {
                self.died.notify_one();
                std::future::pending().await
            }
        }
    }

    /// The verb's effect and answer; none when the agent is dead.
    fn turn<T>(&self, name: &'static str, effect: impl FnOnce(&mut World) -> Result<T>) -> Option<Result<T>> {
        let mut w = self.world();
        if w.dead {
            return None;
        }
        w.calls += 1;
        w.verbs.push(name);
        w.tick();
        let failure =
            || Some(Err(HostError::new(ErrorKind::BackendFailed, format!("simulated failure of {name}"))));
        match w.fault.filter(|(n, _)| *n == w.calls).map(|(_, f)| f) {
            None => Some(effect(&mut w)),
            Some(Fault::ErrorBefore) => failure(),
            Some(Fault::ErrorAfter) => {
                let _ = effect(&mut w);
                failure()
            }
            Some(Fault::GuestDies) => {
                w.run = None;
                Some(effect(&mut w))
            }
            Some(Fault::GuestGone) => {
                w.run = None;
                Some(Err(HostError::new(ErrorKind::DomainGone, format!("simulated: gone before {name}"))))
            }
            Some(Fault::DieBefore) => {
                w.dead = true;
                None
            }
            Some(Fault::DieAfter) => {
                let _ = effect(&mut w);
                w.dead = true;
                None
            }
        }
    }
}

impl World {
    /// The guest executes: it counts in RAM and writes the count to both disks.
    fn tick(&mut self) {
        if let Some(run) = &mut self.run
            && !run.paused
        {
            run.ram += 1;
            for image in self.images.values_mut() {
                image.content = run.ram;
            }
        }
    }

    fn running(&mut self) -> Result<&mut SimRun> {
        self.run.as_mut().ok_or_else(|| HostError::new(ErrorKind::DomainGone, "the domain's run has ended"))
    }

    fn instance(&self) -> Option<Instance> {
        self.run.as_ref().map(|r| Instance {
            uuid: DOMAIN,
            name: "sim".into(),
            domid: u32::try_from(r.id).unwrap_or(u32::MAX),
            driver: DriverKind::Qemu,
            run: r.id.to_string(),
            state: if r.paused { RunState::Paused } else { RunState::Running },
        })
    }

    fn image(&mut self, path: &AbsPath) -> Result<&mut SimImage> {
        self.images
            .get_mut(path.as_str())
            .ok_or_else(|| HostError::new(ErrorKind::Changed, format!("{path}: no such image")))
    }

    fn facts_of(&self, disk: Disk) -> DiskFacts {
        let image = match self.images.get(disk.path.as_str()) {
            Some(i) => Ok(ImageFacts {
                file: format!(
                    "1:{}",
                    self.images.keys().position(|p| p == disk.path.as_str()).unwrap_or_default()
                ),
                virtual_size: 1 << 30,
                allocated: 1 << 20,
                cluster_size: 65536,
                tags: i.tags.keys().cloned().collect(),
                backing: None,
                external_data: false,
                free: 1 << 40,
                same_as_open: true,
            }),
            None => Err(format!("{}: no such file", disk.path)),
        };
        DiskFacts { disk, served: Ok(()), image }
    }
}

fn config_disks() -> Result<Vec<Disk>> {
    let bad = |e: &dyn std::fmt::Display| HostError::new(ErrorKind::Internal, e.to_string());
    DISKS
        .iter()
        .enumerate()
        .map(|(i, (vdev, path))| {
            Ok(Disk {
                vdev: Vdev::new(*vdev).map_err(|e| bad(&e))?,
                // One file id each: the paths differ in length.
                path: AbsPath::new(*path).map_err(|e| bad(&e))?,
                format: Line::lossy("qcow2"),
                read_only: i > DISKS.len(),
                cdrom: false,
                extra: Default::default(),
            })
        })
        .collect()
}

impl Host for SimHost {
    async fn instances(&self) -> Result<Vec<Instance>> {
        self.verb("instances", |w| Ok(w.instance().into_iter().collect())).await
    }

    async fn facts(
        &self,
        _instance: Option<&Instance>,
        _known: Option<&Domain>,
        ask: Ask,
    ) -> Result<DomainFacts> {
        let disks = config_disks()?;
        self.verb("facts", |w| {
            Ok(DomainFacts {
                uuid: DOMAIN,
                name: "sim".into(),
                driver: DriverKind::Qemu,
                instance: w.instance(),
                config: RawJson::new("{\"sim\":true}")
                    .map_err(|e| HostError::new(ErrorKind::Internal, e.to_string()))?,
                disks: disks.into_iter().map(|d| w.facts_of(d)).collect(),
                memory: w.run.as_ref().filter(|_| ask.memory).map(|_| MemoryAbility {
                    live: if w.live { Ok(()) } else { Err("no background-snapshot".into()) },
                    paused: Ok(()),
                    ram: 1 << 20,
                    writer: "QEMU 10.0.2".into(),
                    lacks: None,
                }),
                ram: 1 << 20,
                memory_free: 1 << 40,
                boots: None,
                reader: Some("QEMU 10.0.2".into()),
                can_boot: Ok(()),
                other_names: Vec::new(),
            })
        })
        .await
    }

    async fn sums(&self, _paths: &[AbsPath]) -> Vec<FileFacts> {
        Vec::new()
    }

    async fn look(&self, disk: &Disk) -> DiskFacts {
        self.world().facts_of(disk.clone())
    }

    async fn recheck(&self, instance: &Instance) -> Result<Instance> {
        self.verb("recheck", |w| {
            let now = w.instance().filter(|i| i.run == instance.run);
            now.ok_or_else(|| HostError::new(ErrorKind::DomainGone, "the domain's run has ended"))
        })
        .await
    }

    async fn create_memory_file(&self, out: &MemoryOut) -> Result<()> {
        self.verb("create_memory_file", |w| {
            w.files.insert(out.path.to_string(), 0);
            Ok(())
        })
        .await
    }

    async fn pause(&self, operation: &OperationId, instance: &Instance, _pause: &Pause) -> Result<()> {
        self.verb("pause", |w| {
            let run = w.running()?;
            if run.id.to_string() != instance.run {
                return Err(HostError::new(ErrorKind::DomainGone, "its run has ended"));
            }
            assert!(!run.paused, "a pause of a paused guest");
            run.paused = true;
            run.held_by = Some(operation.clone());
            Ok(())
        })
        .await
    }

    async fn release(&self, operation: &OperationId, instance: &Instance) -> Result<Option<Duration>> {
        self.verb("release", |w| {
            let Some(run) = w.run.as_mut().filter(|r| r.id.to_string() == instance.run) else {
                return Ok(None);
            };
            if run.held_by.as_ref() != Some(operation) {
                return Ok(None);
            }
            run.held_by = None;
            run.paused = false;
            Ok(Some(Duration::from_millis(5)))
        })
        .await
    }

    async fn get_ready(&self) {}

    async fn release_leftovers(&self) -> Result<Vec<OperationId>> {
        let held = self.world().run.as_mut().and_then(|r| {
            r.paused &= r.held_by.is_none();
            r.held_by.take()
        });
        Ok(held.into_iter().collect())
    }

    async fn disks_create(&self, _instance: Option<&Instance>, disks: &[DiskTag]) -> Result<()> {
        self.verb("disks_create", |w| {
            for d in disks {
                let image = w.image(&d.path)?;
                let content = image.content;
                let old = image.tags.insert(d.tag.to_string(), content);
                assert!(old.is_none(), "a tag twice in one image");
            }
            Ok(())
        })
        .await
    }

    async fn disks_delete(&self, _domain: Uuid, disks: &[DiskTag]) -> Result<()> {
        self.verb("disks_delete", |w| {
            for d in disks {
                w.image(&d.path)?.tags.remove(d.tag.as_str());
            }
            Ok(())
        })
        .await
    }

    async fn disks_apply(&self, _domain: Uuid, disks: &[DiskTag]) -> Result<()> {
        self.verb("disks_apply", |w| {
            assert!(w.run.is_none(), "disks put back under a running domain");
            for d in disks {
                let image = w.image(&d.path)?;
                image.content = *image.tags.get(d.tag.as_str()).ok_or_else(|| {
                    HostError::new(ErrorKind::Changed, format!("{}: no tag {}", d.path, d.tag))
                })?;
            }
            Ok(())
        })
        .await
    }

    async fn disks_verify(&self, _domain: Uuid, disks: &[DiskTag]) -> Result<()> {
        self.verb("disks_verify", |w| {
            for d in disks {
                if !w.image(&d.path)?.tags.contains_key(d.tag.as_str()) {
                    return Err(HostError::new(ErrorKind::Changed, format!("{}: no tag {}", d.path, d.tag)));
                }
            }
            Ok(())
        })
        .await
    }

    async fn memory_verify(&self, image: &MemoryImage) -> Result<()> {
        self.verb("memory_verify", |w| match w.files.contains_key(image.path.as_str()) {
            true => Ok(()),
            false => Err(HostError::new(ErrorKind::Changed, format!("{}: no such file", image.path))),
        })
        .await
    }

    async fn memory_begin(&self, _instance: &Instance, out: &MemoryOut, _: Progress<'_>) -> Result<()> {
        self.verb("memory_begin", |w| {
            let run = w.running()?;
            assert!(run.paused, "memory's instant is fixed while the guest is paused");
            run.saving = Some(out.path.to_string());
            let ram = run.ram;
            w.files.insert(out.path.to_string(), ram);
            Ok(())
        })
        .await
    }

    async fn memory_complete(
        &self,
        _instance: &Instance,
        _out: &MemoryOut,
        progress: Progress<'_>,
    ) -> Result<u64> {
        if progress(1, 2).is_break() {
            return Err(HostError::new(ErrorKind::Cancelled, "cancelled"));
        }
        self.verb("memory_complete", |w| {
            let run = w.running()?;
            run.saving = None;
            Ok(1 << 20)
        })
        .await
    }

    async fn memory_cancel(&self, _instance: &Instance) -> Result<()> {
        self.verb("memory_cancel", |w| {
            if let Some(run) = &mut w.run {
                run.saving = None;
            }
            Ok(())
        })
        .await
    }

    async fn sync(&self, _paths: &[AbsPath]) -> Result<()> {
        self.verb("sync", |_| Ok(())).await
    }

    async fn copy_files(&self, files: &[FileCopy]) -> Result<()> {
        self.verb("copy_files", |w| {
            w.files.extend(files.iter().map(|f| (f.to.to_string(), 0)));
            Ok(())
        })
        .await
    }

    async fn remove_file(&self, path: &AbsPath) -> Result<()> {
        self.verb("remove_file", |w| {
            w.files.remove(path.as_str());
            Ok(())
        })
        .await
    }

    async fn write_result(&self, path: &AbsPath, bytes: &[u8]) -> Result<ResultFile> {
        self.world().results.insert(path.to_string(), bytes.to_vec());
        let sha256 =
            Sha256::new("0".repeat(64)).map_err(|e| HostError::new(ErrorKind::Internal, e.to_string()))?;
        Ok(ResultFile { path: path.clone(), size: bytes.len() as u64, sha256, extra: Default::default() })
    }

    async fn end_domain(&self, _domain: Uuid) -> Result<()> {
        self.verb("end_domain", |w| {
            w.run = None;
            Ok(())
        })
        .await
    }

    async fn start_domain(&self, _domain: Uuid, start: &Start) -> Result<Instance> {
        self.verb("start_domain", |w| {
            if let Some(i) = w.instance() {
                return Ok(i);
            }
            let ram = match &start.memory {
                None => 0,
                Some(path) => *w
                    .files
                    .get(path.as_str())
                    .ok_or_else(|| HostError::new(ErrorKind::Changed, format!("{path}: no such file")))?,
            };
            w.run = Some(SimRun { id: w.next_run, ram, paused: start.paused, held_by: None, saving: None });
            w.next_run += 1;
            w.instance().ok_or_else(|| HostError::new(ErrorKind::Internal, "no run"))
        })
        .await
    }

    async fn let_go(&self, _domain: Uuid) {}
}
