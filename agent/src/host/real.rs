//! The host as it is: domains by their driver, disks by their provider, files, and the guard.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;
use xensnap::contract::{
    Disk, DiskTag, Domain, DriverKind, ErrorKind, FileCopy, MemoryImage, MemoryOut, OperationId, Pause,
    QemuConfig, ResultFile, Start,
};
use xensnap::wire::AbsPath;

use super::driver::Driver;
use super::guard::{self, Guard};
use super::judge::image_facts;
use super::link::{COMMAND_MAX, Link, Links};
use super::nodes::Nodes;
use super::process::{self, FileId, Process};
use super::qemu::QemuDriver;
use super::qemu_img::QemuImg;
use super::qmp_block::{self, Node};
use super::settings::Settings;
use super::xen::{self, XenDriver};
use super::{
    Ask, DiskFacts, DomainFacts, FileFacts, Host, HostError, ImageFacts, Instance, Progress, Result,
    RunState, files,
};
use crate::fault::point;

/// How long an image may be open as two disks before that is said.
const TWICE_MAX: Duration = Duration::from_secs(3);
/// How long a release at the agent's start waits for a QEMU before it leaves the rest to the guard.
const LEFTOVERS_MAX: Duration = Duration::from_secs(10);

/// The host.
#[derive(Debug)]
pub struct RealHost<N> {
    links: Arc<Links>,
    qemu: QemuDriver<N>,
    xen: XenDriver<N>,
    sums: files::Sums,
    tool: QemuImg,
    guard: Arc<Guard>,
    settings: Settings,
}

/// Calls a verb of the driver of this kind.
macro_rules! driver {
    ($self:ident, $kind:expr, $driver:ident => $call:expr) => {
        match $kind {
            DriverKind::Qemu => {
                let $driver = &$self.qemu;
                $call
            }
            DriverKind::Xen => {
                let $driver = &$self.xen;
                $call
            }
            other => Err(HostError::new(
                ErrorKind::DomainState,
                format!("driver {other} is not known to this version"),
            )),
        }
    };
}

mod disks; // after the macro, which it uses

/// Runs what blocks on a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let gone =
        |e: tokio::task::JoinError| HostError::new(ErrorKind::Internal, format!("a file task ended: {e}"));
    tokio::task::spawn_blocking(work).await.map_err(gone)?
}

impl<N: Nodes> RealHost<N> {
    /// The host, its guard started.
    ///
    /// # Errors
    /// When no guard can be started.
    pub async fn start(nodes: Arc<N>, settings: Settings) -> Result<Self> {
        let guard = Arc::new(Guard::new(settings.clone()));
        guard.ready().await?;
        let links = Arc::new(Links::default());
        let own = || (Arc::clone(&nodes), Arc::clone(&links), Arc::clone(&guard), settings.clone());
        let (qemu, xen) = {
            let (a, b) = (own(), own());
            (QemuDriver::new(a.0, a.1, a.2, a.3), XenDriver::new(b.0, b.1, b.2, b.3))
        };
        let tool = QemuImg::new(&settings.qemu_img);
        Ok(Self { links, qemu, xen, sums: files::Sums::default(), tool, guard, settings })
    }

    /// The one running instance of a domain, if any.
    async fn running(&self, domain: Uuid) -> Result<Option<Instance>> {
        if let Some(known) = self.qemu.registry.last(domain) {
            return Ok(Some(known.instance(RunState::Unknown)));
        }
        let mut all = self.instances().await?.into_iter().filter(|i| i.uuid == domain);
        match (all.next(), all.next()) {
            (one, None) => Ok(one),
            (Some(one), Some(_)) => Err(HostError::new(
                ErrorKind::DomainState,
                format!("two running domains have the uuid {domain} ({} is one)", one.name),
            )
            .hint("end one of them")),
            (None, Some(_)) => Ok(None),
        }
    }

    /// The process that has the instance's disks open; `None` where it has died and left the guest there.
    async fn served(&self, instance: &Instance) -> Result<Option<(Process, Link)>> {
        driver!(self, &instance.driver, d => d.link(instance).await)
    }

    async fn link(&self, instance: &Instance) -> Result<(Process, Link)> {
        self.served(instance).await?.ok_or_else(|| {
            let message = format!("domain {} has no QEMU that serves its disks", instance.name);
            HostError::new(ErrorKind::DomainState, message)
                .hint("has its QEMU died? only disks of backend qdisk can be handled")
        })
    }

    /// The disks of a running instance, as QEMU has them now. A QEMU that has an image as two disks is given a little time: an HVM guest's drivers have just come.
    async fn nodes_of(&self, instance: &Instance) -> Result<(Process, Vec<Node>)> {
        let until = Instant::now() + TWICE_MAX;
        loop {
            let (process, mut link) = self.link(instance).await?;
            let deadline = link.deadline(COMMAND_MAX);
            let nodes = qmp_block::nodes(link.qmp()?, deadline).await.map_err(|e| e.about(&instance.name))?;
            drop(link);
            self.hang_up(instance).await;
            let twice = nodes.iter().any(|n| qmp_block::find(&nodes, &n.path).is_err());
            if !twice || instance.driver == DriverKind::Qemu || Instant::now() >= until {
                return Ok((process, nodes));
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Lets go of a QMP socket that is not ours alone.
    async fn hang_up(&self, instance: &Instance) {
        if instance.driver == DriverKind::Xen {
            self.links.let_go(instance.uuid).await;
        }
    }

    /// A running instance's disks, and the files that its QEMU has open.
    async fn open_of(&self, instance: &Instance) -> Result<(Vec<Node>, Vec<FileId>)> {
        let (process, nodes) = self.nodes_of(instance).await?;
        if instance.driver == DriverKind::Qemu {
            self.link(instance).await?.1.nodes = Some(nodes.clone()); // for a snapshot: its pause does not wait for the list
        }
        let files = process.files().map_err(|e| {
            HostError::new(
                ErrorKind::BackendFailed,
                format!("domain {}: its open files cannot be listed: {e}", instance.name),
            )
        })?;
        Ok((nodes, files))
    }

    /// Looks at an image of a disk: over QMP where a QEMU has it, else with the offline tool.
    async fn image(
        &self,
        disk: &Disk,
        running: Option<(&[Node], &[FileId])>,
    ) -> std::result::Result<ImageFacts, String> {
        let path = disk.path.as_path();
        let said = |e: std::io::Error| format!("{}: {e}", path.display());
        let file = process::file_id(path).map_err(said)?;
        let head = match running {
            Some((nodes, _)) => qmp_block::find(nodes, path)?.head.clone(),
            None => {
                self.tool.info(path, disk.format.as_str()).await.map_err(|e| HostError::from(e).message)?
            }
        };
        let free = files::free(path).map_err(said)?;
        let same_as_open = running.is_none_or(|(_, open)| open.contains(&file));
        Ok(image_facts(head, file, free, same_as_open))
    }
}

impl<N: Nodes> Host for RealHost<N> {
    async fn instances(&self) -> Result<Vec<Instance>> {
        let (known, others) = self.qemu.registry.list().await?;
        let mut all: Vec<Instance> = known.iter().map(|k| k.instance(RunState::Unknown)).collect();
        for domid in others {
            all.extend(self.xen.at(domid).await?);
        }
        Ok(all)
    }

    async fn facts(
        &self,
        instance: Option<&Instance>,
        known: Option<&Domain>,
        ask: Ask,
    ) -> Result<DomainFacts> {
        let Some(kind) = instance.map(|i| &i.driver).or(known.map(|k| &k.driver)) else {
            return Err(HostError::new(ErrorKind::NoDomain, "the domain neither runs nor is it known"));
        };
        let config = driver!(self, kind, d => d.config(instance, known).await)?;
        let (mut now, mut ability, mut open) = (None, None, None);
        if let Some(instance) = instance {
            now = Some(self.recheck(instance).await?);
            if ask.memory {
                ability = Some(driver!(self, kind, d => d.memory(instance, &config).await)?);
            }
            let has_served = config.disks.len() > config.unserved.len();
            if has_served && self.served(instance).await?.is_none() {
                now = now.map(|i| Instance {
                    state: RunState::Still("left without its QEMU, which has died"),
                    ..i
                });
            } else if has_served || instance.driver == DriverKind::Qemu {
                open = Some(self.open_of(instance).await?);
            }
        }
        let mut disks = Vec::new();
        for disk in &config.disks {
            let elsewhere = config.unserved.iter().find(|(vdev, _)| *vdev == disk.vdev).map(|(_, why)| why);
            let image = match elsewhere {
                Some(why) => Err(why.clone()),
                None => self.image(disk, open.as_ref().map(|(n, f)| (n.as_slice(), f.as_slice()))).await,
            };
            disks.push(DiskFacts {
                disk: disk.clone(),
                served: elsewhere.cloned().map_or(Ok(()), Err),
                image,
            });
        }
        let uuid = instance.map(|i| i.uuid).or(known.map(|k| k.uuid)).unwrap_or_default();
        let folder = &self.settings.state_dir;
        let memory_free =
            files::free(folder).map_err(|e| files::failed("cannot see the free space of", folder, &e))?;
        let mut reader = ability.as_ref().map(|a| a.writer.clone());
        let (mut can_boot, mut other_names) = (Ok(()), Vec::new());
        if *kind == DriverKind::Xen && ask.start {
            reader = self.xen.reader().await;
            can_boot = self.xen.boots().await;
            other_names = self.xen.other_names(uuid).await?;
        }
        let (config, name, ram, boots) = (config.text, config.name, config.ram, config.boots);
        Ok(DomainFacts {
            uuid,
            name,
            driver: kind.clone(),
            instance: now,
            config,
            disks,
            memory: ability,
            ram,
            memory_free,
            boots,
            reader,
            can_boot,
            other_names,
        })
    }

    async fn look(&self, disk: &Disk) -> DiskFacts {
        DiskFacts { disk: disk.clone(), served: Ok(()), image: self.image(disk, None).await }
    }

    async fn sums(&self, paths: &[AbsPath]) -> Vec<FileFacts> {
        let mut all = Vec::new();
        for path in paths {
            let (sums, one) = (self.sums.clone(), path.clone());
            let found = blocking(move || Ok(sums.of(one.as_path()))).await;
            let found = found.map_err(|e| e.message).flatten();
            all.push(FileFacts { path: path.clone(), found });
        }
        all
    }

    async fn recheck(&self, instance: &Instance) -> Result<Instance> {
        driver!(self, &instance.driver, d => d.recheck(instance).await)
    }

    async fn create_memory_file(&self, out: &MemoryOut) -> Result<()> {
        let out = out.clone();
        blocking(move || files::create_memory(&out)).await?;
        point("create_memory_file.after").await
    }

    async fn pause(&self, operation: &OperationId, instance: &Instance, pause: &Pause) -> Result<()> {
        driver!(self, &instance.driver, d => d.pause(operation, instance, pause).await)
    }

    async fn release(&self, operation: &OperationId, instance: &Instance) -> Result<Option<Duration>> {
        driver!(self, &instance.driver, d => d.release(operation, instance).await)
    }

    async fn get_ready(&self) {
        // Without xenstore there is nothing to get ready for.
        let all = self.instances().await.unwrap_or_default();
        let xen: Vec<Instance> = all.into_iter().filter(|i| i.driver == DriverKind::Xen).collect();
        self.xen.get_ready(&xen).await;
    }

    async fn release_leftovers(&self) -> Result<Vec<OperationId>> {
        let folder = self.settings.pauses();
        let (released, held) = guard::leftovers(&folder, LEFTOVERS_MAX).await;
        for what in held {
            eprintln!("xensnapd: {what}; it is tried again until it succeeds");
        }
        let left = super::pause::all(&folder);
        for operation in &left {
            self.guard.take_over(operation).await;
        }
        Ok(released.into_iter().chain(left).filter_map(|id| id.parse().ok()).collect())
    }

    async fn disks_create(&self, instance: Option<&Instance>, disks: &[DiskTag]) -> Result<()> {
        self.create_tags(instance, disks).await
    }

    async fn disks_delete(&self, domain: Uuid, disks: &[DiskTag]) -> Result<()> {
        self.delete_tags(domain, disks).await
    }

    async fn disks_apply(&self, domain: Uuid, disks: &[DiskTag]) -> Result<()> {
        self.apply_tags(domain, disks).await
    }

    async fn disks_verify(&self, domain: Uuid, disks: &[DiskTag]) -> Result<()> {
        self.verify_tags(domain, disks).await
    }

    async fn memory_verify(&self, image: &MemoryImage) -> Result<()> {
        let image = image.clone();
        blocking(move || {
            files::verify_memory(&image)?;
            if xen::is_image(&image) { xen::verify_image(&image) } else { Ok(()) }
        })
        .await
    }

    async fn memory_begin(&self, instance: &Instance, out: &MemoryOut, progress: Progress<'_>) -> Result<()> {
        driver!(self, &instance.driver, d => d.memory_begin(instance, out, progress).await)
    }

    async fn memory_complete(
        &self,
        instance: &Instance,
        out: &MemoryOut,
        progress: Progress<'_>,
    ) -> Result<u64> {
        driver!(self, &instance.driver, d => d.memory_complete(instance, out, progress).await)
    }

    async fn memory_cancel(&self, instance: &Instance) -> Result<()> {
        driver!(self, &instance.driver, d => d.memory_cancel(instance).await)
    }

    async fn sync(&self, paths: &[AbsPath]) -> Result<()> {
        let paths: Vec<PathBuf> = paths.iter().map(|p| p.as_path().to_owned()).collect();
        blocking(move || files::sync(&paths)).await?;
        point("sync.after").await
    }

    async fn copy_files(&self, all: &[FileCopy]) -> Result<()> {
        let all = all.to_vec();
        blocking(move || all.iter().try_for_each(files::copy)).await?;
        point("copy_files.after").await
    }

    async fn remove_file(&self, path: &AbsPath) -> Result<()> {
        let path = path.as_path().to_owned();
        blocking(move || files::remove(&path)).await
    }

    async fn write_result(&self, path: &AbsPath, bytes: &[u8]) -> Result<ResultFile> {
        let (target, bytes) = (path.clone(), bytes.to_owned());
        blocking(move || files::write_result(&target, &bytes)).await
    }

    async fn end_domain(&self, domain: Uuid) -> Result<()> {
        self.xen.end(domain).await?;
        self.qemu.end(domain).await
    }

    async fn start_domain(&self, domain: Uuid, start: &Start) -> Result<Instance> {
        match start.config.parse::<QemuConfig>() {
            Ok(_) => self.qemu.start(domain, start).await,
            Err(_) if xen::config::read(start.config.clone()).is_ok() => self.xen.start(domain, start).await,
            Err(_) => self.qemu.start(domain, start).await, // says what is wrong with it
        }
    }

    async fn let_go(&self, domain: Uuid) {
        self.links.let_go(domain).await;
        self.xen.let_go(domain).await;
    }
}
