//! A plain QEMU's beginning and end.
//!
//! ```text
//!   end:    quit, else SIGTERM, else SIGKILL -> gone -> nobody has an image open -> registration removed
//!   start:  nothing runs -> mark "starting" -> QEMU -S [-incoming defer] -> [memory read] -> registered -> mark "registered" -> cont -> mark "done"
//! ```
//!
//! The mark (in the run folder) tells an agent that comes later whose start it finds: one that got as far as its registration is finished, one that did not is
//! ended and begun again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::{Instant, sleep};
use uuid::Uuid;
use xensnap::contract::{ErrorKind, QemuConfig, Start};

use super::registry::Known;
use super::{QemuDriver, memory};
use crate::fault::point;
use crate::host::link::{COMMAND_MAX, CONNECT_MAX};
use crate::host::nodes::Nodes;
use crate::host::process::{self, Process};
use crate::host::qmp::{Qmp, QmpError};
use crate::host::started::{Started, last_words};
use crate::host::{HostError, Instance, Result, RunState, detached, files, pause};

/// How long an exiting QEMU takes between closing its socket and being gone.
const EXIT_MAX: Duration = Duration::from_secs(5);
/// How long QEMU may take from its start to its QMP greeting.
const START_MAX: Duration = Duration::from_secs(60);
/// How long no process of the domain may be seen before its QEMU counts as ended.
const ABSENT_MAX: Duration = Duration::from_millis(200);
/// How long QEMU may take to end after `quit`: it writes its images' last tables.
const QUIT_MAX: Duration = Duration::from_secs(20);
/// How long it may take after a signal.
const SIGNAL_MAX: Duration = Duration::from_secs(10);
/// How slowly memory may be read, in bytes a second.
const READ_RATE_MIN: u64 = 16 << 20;

/// How far a start has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Reached {
    Starting,
    Registered,
    Done,
}

/// A start that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// What was to be started: config, memory image, paused.
    what: (String, Option<String>, bool),
    /// Which process it is, once that is known.
    run: Option<String>,
    reached: Reached,
}

/// The command line of a domain's QEMU. It begins paused.
pub fn command(config: &QemuConfig, incoming: bool) -> Vec<String> {
    let plain = |text: &str| text.replace(',', ",,"); // QEMU's escape in option lists
    let mut line = vec![config.binary.to_string()];
    line.extend(["-name".into(), plain(config.name.as_str()), "-uuid".into(), config.uuid.to_string()]);
    line.extend(config.args.iter().cloned());
    for disk in &config.disks {
        let (vdev, read_only) = (disk.vdev.as_str(), disk.read_only || disk.cdrom);
        let (file, top) = (format!("{vdev}-file"), format!("{vdev}-{}", disk.format));
        let below = json!({"driver": "file", "node-name": file, "filename": disk.path.as_str(), "read-only": read_only});
        let above =
            json!({"driver": disk.format.as_str(), "node-name": top, "file": file, "read-only": read_only});
        line.extend(["-blockdev".into(), below.to_string(), "-blockdev".into(), above.to_string()]);
        line.extend(["-device".into(), format!("virtio-blk-pci,drive={top},serial={vdev}")]);
    }
    line.extend(["-qmp".into(), format!("unix:{},server=on,wait=off", plain(config.qmp.as_str()))]);
    line.extend([
        "-pidfile".into(),
        config.pidfile.to_string(),
        "-display".into(),
        "none".into(),
        "-S".into(),
    ]);
    if incoming {
        line.extend(["-incoming".into(), "defer".into()]);
    }
    line
}

impl<N: Nodes> QemuDriver<N> {
    /// Ends all runs of the domain, registered or not.
    pub(super) async fn end_all(&self, domain: Uuid) -> Result<()> {
        let known = self.registry.of(domain).await?;
        for one in &known {
            self.quit(one).await;
        }
        for stray in process::qemus_of(domain) {
            stray.end(SIGNAL_MAX).await?;
        }
        point("end_domain.ended").await?;
        self.links.let_go(domain).await;
        for config in known.iter().map(|k| &k.config) {
            nobody_has(config).await?;
        }
        self.registry.forget_ended(domain).await?;
        Started::of(&self.settings, domain).unmark()
    }

    /// Asks a QEMU to end. Whether it did is the caller's to see.
    async fn quit(&self, known: &Known) {
        let Ok(mut link) = self.links.get(known.address()).await else { return };
        let deadline = Instant::now() + COMMAND_MAX;
        if let Ok(qmp) = link.qmp() {
            let answer = qmp.execute("quit", json!({}), deadline).await;
            if matches!(answer, Ok(_) | Err(QmpError::Closed { .. })) {
                known.process.gone_within(QUIT_MAX).await;
            }
        }
    }

    /// Starts the domain, or finishes a start that was begun.
    pub(super) async fn start_one(&self, domain: Uuid, start: &Start) -> Result<Instance> {
        let config: QemuConfig = start.config.parse().map_err(|e| {
            HostError::new(
                ErrorKind::Changed,
                format!("the config to start domain {domain} with cannot be read: {e}"),
            )
        })?;
        if config.uuid != domain {
            let message = format!("the config to start domain {domain} with is of another: {}", config.uuid);
            return Err(HostError::new(ErrorKind::Changed, message));
        }
        let what =
            (start.config.as_str().to_owned(), start.memory.as_ref().map(ToString::to_string), start.paused);
        let kept = Started::of(&self.settings, domain);
        let earlier: Option<Mark> = kept.marked();
        let running = self.registry.of(domain).await?;
        let begun = earlier.as_ref().filter(|m| m.what == what && m.reached != Reached::Starting);
        let found =
            begun.and_then(|m| Some((m, running.iter().find(|k| Some(k.process.to_string()) == m.run)?)));
        if let Some((mark, known)) = found {
            return self.finish(known, start, mark).await;
        }
        let strays = process::qemus_of(domain);
        if !strays.is_empty() {
            if earlier.is_none_or(|m| m.reached != Reached::Starting) {
                let message =
                    format!("domain {} runs already, and was not started by this operation", config.name);
                return Err(HostError::new(ErrorKind::DomainState, message).hint("end it, then ask again"));
            }
            for stray in strays {
                stray.end(SIGNAL_MAX).await?;
            }
        }
        self.registry.forget_ended(domain).await?;
        nobody_has(&config).await?;
        let mut mark = Mark { what, run: None, reached: Reached::Starting };
        kept.mark(&mark)?;
        match self.bring_up(&config, start, &mut mark).await {
            Ok(known) => self.finish(&known, start, &mark).await,
            Err(e) => {
                for stray in process::qemus_of(domain) {
                    stray.end(SIGNAL_MAX).await?;
                }
                Err(e)
            }
        }
    }

    /// From nothing to a registered QEMU that is paused.
    async fn bring_up(&self, config: &QemuConfig, start: &Start, mark: &mut Mark) -> Result<Arc<Known>> {
        let (domain, name) = (config.uuid, config.name.as_str());
        let kept = Started::of(&self.settings, domain);
        let log = kept.file("log");
        let failed = |path: &Path, e: std::io::Error| files::failed("cannot prepare", path, &e);
        let copy = kept.config(start.config.as_str())?;
        for path in [config.qmp.as_path(), config.pidfile.as_path()] {
            files::private_folder(path.parent().unwrap_or(Path::new("/"))).map_err(|e| failed(path, e))?;
            files::remove(path)?;
        }
        files::remove(&log)?;
        let memory = start.memory.as_ref().map(|path| files::read_memory(path.as_path())).transpose()?;
        let unit = format!("xensnap-domain-{domain}-{}", pause::clock_ms());
        detached::start(&self.settings, &unit, &log, &command(config, memory.is_some())).await?;
        point("start_domain.started").await?;
        let mut qmp = greeted(config, &log).await?;
        let process = qmp.pid().and_then(Process::of).ok_or_else(|| ended(name, &log))?;
        if let (Some(file), Some(path)) = (&memory, &start.memory) {
            let size = file.metadata().map_or(0, |m| m.len());
            let deadline = Instant::now() + START_MAX + Duration::from_secs(size / READ_RATE_MIN);
            let said = match memory::incoming(&mut qmp, file, deadline).await {
                Ok(Ok(())) => None,
                Ok(Err(words)) => Some(words),
                // A QEMU that exits closes its socket a moment before it is gone.
                Err(QmpError::Closed { .. }) if process.gone_within(EXIT_MAX).await => Some(last_words(&log)),
                Err(_) if !process.alive() => Some(last_words(&log)),
                Err(e) => return Err(e.about(name)),
            };
            if let Some(words) = said {
                let message = format!("domain {name}: QEMU could not read the memory image {path}: {words}");
                return Err(HostError::new(ErrorKind::BackendFailed, message).hint(
                    "another version of QEMU or another machine may have written it: revert the disks only",
                ));
            }
        }
        drop(qmp);
        point("start_domain.loaded").await?;
        let known = self.registry.register(&copy, config, process).await?;
        mark.run = Some(process.to_string());
        mark.reached = Reached::Registered;
        kept.mark(mark)?;
        point("start_domain.registered").await?;
        Ok(known)
    }

    /// Lets a started domain go on, unless it is to stay paused, and marks the start as done.
    async fn finish(&self, known: &Known, start: &Start, mark: &Mark) -> Result<Instance> {
        if mark.reached == Reached::Done {
            return Ok(known.instance(RunState::Unknown));
        }
        if !start.paused {
            let mut link = self.links.get(known.address()).await?;
            let deadline = link.deadline(COMMAND_MAX);
            let name = known.config.name.as_str();
            loop {
                match link.qmp()?.execute("cont", json!({}), deadline).await {
                    Ok(_) => break,
                    Err(QmpError::Refused { .. }) if Instant::now() < deadline => {
                        sleep(Duration::from_millis(5)).await
                    }
                    Err(e) => return Err(e.about(name)),
                }
            }
        }
        Started::of(&self.settings, known.config.uuid)
            .mark(&Mark { reached: Reached::Done, ..mark.clone() })?;
        Ok(known.instance(if start.paused { RunState::Paused } else { RunState::Running }))
    }
}

/// Waits until no process has an image of the domain open.
async fn nobody_has(config: &QemuConfig) -> Result<()> {
    let files: Vec<_> = config.disks.iter().filter_map(|d| process::file_id(d.path.as_path()).ok()).collect();
    let until = Instant::now() + SIGNAL_MAX;
    loop {
        let scan = files.clone();
        let found = tokio::task::spawn_blocking(move || process::holder_of(&scan))
            .await
            .map_err(std::io::Error::other)
            .flatten();
        let holder = found.map_err(|e| {
            HostError::new(
                ErrorKind::BackendFailed,
                format!("cannot see who has the images of {} open: {e}", config.name),
            )
        })?;
        match holder {
            None => return Ok(()),
            Some(_) if Instant::now() < until => sleep(Duration::from_millis(20)).await,
            Some(holder) => {
                let message = format!("an image of domain {} is still open: {holder}", config.name);
                return Err(HostError::new(ErrorKind::DomainState, message).hint("end that process"));
            }
        }
    }
}

/// Waits for QEMU's greeting.
async fn greeted(config: &QemuConfig, log: &Path) -> Result<Qmp> {
    let until = Instant::now() + START_MAX;
    let mut seen = Instant::now();
    loop {
        match Qmp::connect(config.qmp.as_path(), Instant::now() + CONNECT_MAX).await {
            Ok(qmp) => return Ok(qmp),
            Err(e) if Instant::now() >= until => return Err(e.about(config.name.as_str())),
            Err(_) => {}
        }
        // While it is between two programs (a wrapper's exec) a process has no arguments for a moment.
        if !process::qemus_of(config.uuid).is_empty() {
            seen = Instant::now();
        } else if seen.elapsed() > ABSENT_MAX {
            return Err(ended(config.name.as_str(), log));
        }
        sleep(Duration::from_millis(10)).await;
    }
}

fn ended(name: &str, log: &Path) -> HostError {
    HostError::new(
        ErrorKind::BackendFailed,
        format!("domain {name}: QEMU ended at its start: {}", last_words(log)),
    )
    .hint(format!("see {}", log.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_takes_names_and_paths_as_they_are() {
        let config = serde_json::json!({
            "contract": 1, "name": "a,b", "uuid": "11111111-1111-4111-8111-111111111111", "binary": "/usr/bin/qemu-system-x86_64",
            "args": ["-m", "128"], "disks": [
                {"vdev": "vda", "path": "/i/a, \"b\".qcow2", "format": "qcow2", "read_only": false, "cdrom": false},
                {"vdev": "vdb", "path": "/i/cd.iso", "format": "raw", "read_only": false, "cdrom": true}],
            "qmp": "/run/x/q.sock", "pidfile": "/run/x/pid", "memory": 134_217_728u64});
        let config: QemuConfig = xensnap::wire::from_str(&config.to_string()).unwrap();
        let line = command(&config, true);
        let expected = [
            "/usr/bin/qemu-system-x86_64",
            "-name",
            "a,,b",
            "-uuid",
            "11111111-1111-4111-8111-111111111111",
            "-m",
            "128",
            "-blockdev",
            r#"{"driver":"file","filename":"/i/a, \"b\".qcow2","node-name":"vda-file","read-only":false}"#,
            "-blockdev",
            r#"{"driver":"qcow2","file":"vda-file","node-name":"vda-qcow2","read-only":false}"#,
            "-device",
            "virtio-blk-pci,drive=vda-qcow2,serial=vda",
            "-blockdev",
            r#"{"driver":"file","filename":"/i/cd.iso","node-name":"vdb-file","read-only":true}"#,
            "-blockdev",
            r#"{"driver":"raw","file":"vdb-file","node-name":"vdb-raw","read-only":true}"#,
            "-device",
            "virtio-blk-pci,drive=vdb-raw,serial=vdb",
            "-qmp",
            "unix:/run/x/q.sock,server=on,wait=off",
            "-pidfile",
            "/run/x/pid",
            "-display",
            "none",
            "-S",
            "-incoming",
            "defer",
        ];
        assert_eq!(line, expected);
        assert_eq!(command(&config, false).last().map(String::as_str), Some("-S"));
    }
}
