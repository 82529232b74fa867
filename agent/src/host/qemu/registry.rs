//! Which plain QEMUs are domains: those whose config is named in xenstore.
//!
//! ```text
//!   /libxl/$DOMID/xensnap/qemu_config   path of the config (a `qemu_config` of the contract): what makes it a domain
//!   /local/domain/$DOMID/name, /vm      for people and tools; not read here: only /libxl/$DOMID is dom0's beyond doubt
//!   /vm/$UUID/uuid, /name
//! ```
//!
//! xenstored loses all of it when it dies, and nobody writes it again for a plain QEMU. So every registration seen is also kept in the run folder, as long as its
//! process lives: a domain is not lost with xenstored.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xensnap::contract::{DriverKind, ErrorKind, QemuConfig};
use xensnap::wire::RawJson;

use crate::host::files;
use crate::host::link::{Address, gone};
use crate::host::nodes::Nodes;
use crate::host::process::Process;
use crate::host::{HostError, Instance, Result, RunState};

/// The longest config that is read.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// A running domain, as its config gives it.
#[derive(Debug)]
pub struct Known {
    /// Its address.
    pub domid: u32,
    /// Its config.
    pub config: QemuConfig,
    /// The same, as it is in the file.
    pub text: RawJson,
    /// Its QEMU.
    pub process: Process,
}

/// The node that makes a domid one of a plain QEMU.
pub fn config_node(domid: u32) -> String {
    format!("/libxl/{domid}/xensnap/qemu_config")
}

/// A registration, kept beside xenstore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    config: PathBuf,
    run: String,
}

/// What is kept in the run folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Book {
    /// The highest domid ever seen or given: none is given twice.
    highest: u32,
    /// Registrations whose process lives.
    seen: BTreeMap<u32, Seen>,
}

/// The registered domains.
#[derive(Debug)]
pub struct Registry<N> {
    nodes: Arc<N>,
    book_path: PathBuf,
    state: Mutex<State>,
    registering: tokio::sync::Mutex<()>,
}

/// Tells a file's content from what was there before: device, inode, size, time of change in seconds and nanoseconds.
type Stamp = (u64, u64, u64, i64, i64);

#[derive(Debug, Default)]
struct State {
    configs: HashMap<PathBuf, (Stamp, QemuConfig, RawJson)>,
    known: HashMap<Uuid, Vec<Arc<Known>>>,
    book: Option<Book>,
    told: HashSet<String>,
}

impl Known {
    /// The instance that it is, in a state found out elsewhere.
    pub fn instance(&self, state: RunState) -> Instance {
        let name = self.config.name.as_str().to_owned();
        Instance {
            uuid: self.config.uuid,
            name,
            domid: self.domid,
            driver: DriverKind::Qemu,
            run: self.process.to_string(),
            state,
        }
    }

    /// Where it is reached.
    pub fn address(&self) -> Address<'_> {
        Address {
            uuid: self.config.uuid,
            name: self.config.name.as_str(),
            process: self.process,
            socket: self.config.qmp.as_path(),
        }
    }
}

/// Reads a config: a file of root's (or of ours, where we are not root) that nobody else may write.
///
/// # Errors
/// In words.
pub fn read_config(path: &Path) -> std::result::Result<(QemuConfig, RawJson), String> {
    let said = |e: &dyn std::fmt::Display| format!("config {}: {e}", path.display());
    let file = File::open(path).map_err(|e| said(&e))?;
    let meta = file.metadata().map_err(|e| said(&e))?;
    let owner = meta.uid();
    if !meta.is_file()
        || meta.mode() & 0o022 != 0
        || (owner != 0 && owner != rustix::process::geteuid().as_raw())
    {
        return Err(said(&"others can write to it"));
    }
    let mut text = String::new();
    file.take(CONFIG_BYTES_MAX).read_to_string(&mut text).map_err(|e| said(&e))?;
    let raw = RawJson::new(text.trim_end()).map_err(|e| said(&e))?;
    let config = raw.parse::<QemuConfig>().map_err(|e| said(&e))?;
    Ok((config, raw))
}

/// The QEMU that a config speaks of, by its pid file; `None` when it does not run.
pub fn process_of(config: &QemuConfig) -> Option<Process> {
    let pid = fs::read_to_string(config.pidfile.as_path()).ok()?.trim().parse().ok()?;
    Process::of(pid).filter(|p| p.is_qemu_of(config.uuid))
}

/// A stamp of a file now; `None` when it cannot be looked at.
fn stamp(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().map(|m| (m.dev(), m.ino(), m.size(), m.ctime(), m.ctime_nsec()))
}

impl<N: Nodes> Registry<N> {
    /// Over these nodes, keeping what it sees in this folder.
    pub fn new(nodes: Arc<N>, run_dir: &Path) -> Self {
        Self {
            nodes,
            book_path: run_dir.join("domains.json"),
            state: Mutex::default(),
            registering: tokio::sync::Mutex::default(),
        }
    }

    /// The running domains, and the domids under /libxl that are not of a plain QEMU.
    ///
    /// # Errors
    /// Never, as it is: without xenstore it goes by what was seen.
    pub async fn list(&self) -> Result<(Vec<Arc<Known>>, Vec<u32>)> {
        let mut registered: BTreeMap<u32, PathBuf> = BTreeMap::new();
        let mut others = Vec::new();
        match self.nodes.list("/libxl").await {
            Ok(children) => {
                // 0 is the host's own
                for domid in children.iter().filter_map(|c| c.parse::<u32>().ok()).filter(|d| *d != 0) {
                    match self.nodes.read(&config_node(domid)).await {
                        Ok(Some(path)) => drop(registered.insert(domid, path.into())),
                        Ok(None) => others.push(domid),
                        Err(e) => self.tell(format!("domid {domid}: {e}")),
                    }
                }
            }
            Err(e) => self.tell(format!("xenstore cannot be read, domains are those seen last: {e}")),
        }
        let seen = self.book().seen;
        let mut found: Vec<Arc<Known>> = Vec::new();
        for (domid, path) in &registered {
            match self.config(path) {
                Ok((config, text)) => {
                    if let Some(process) = process_of(&config) {
                        // Nodes that an ended run left behind name the same config, and so the process of the next run: the highest domid is its own.
                        found.retain(|k| k.process != process);
                        found.push(Arc::new(Known { domid: *domid, config, text, process }));
                    }
                }
                Err(why) => self.tell(format!("domid {domid} is left aside: {why}")),
            }
        }
        for (domid, old) in &seen {
            let Some(process) = old.run.parse().ok().filter(|p: &Process| p.alive()) else { continue };
            if found.iter().any(|k| k.process == process) || others.contains(domid) {
                continue;
            }
            match self.config(&old.config) {
                Ok((config, text)) if process.is_qemu_of(config.uuid) => {
                    found.push(Arc::new(Known { domid: *domid, config, text, process }));
                    registered.entry(*domid).or_insert_with(|| old.config.clone());
                }
                _ => {}
            }
        }
        self.remember(&found, &registered);
        Ok((found, others))
    }

    /// [`read_config`], but for a file that has not changed since.
    fn config(&self, path: &Path) -> std::result::Result<(QemuConfig, RawJson), String> {
        let now = stamp(path);
        {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((old, config, text)) = state.configs.get(path)
                && Some(*old) == now
            {
                return Ok((config.clone(), text.clone()));
            }
        }
        let (config, text) = read_config(path)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = now {
            state.configs.insert(path.to_owned(), (now, config.clone(), text.clone()));
        }
        Ok((config, text))
    }

    /// The one run of this domain that was seen last and still goes on; `None` when a list must tell.
    pub fn last(&self, uuid: Uuid) -> Option<Arc<Known>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.known.get(&uuid)?.as_slice() {
            [one] if one.process.alive() => Some(Arc::clone(one)),
            _ => None,
        }
    }

    /// The running domain that an instance speaks of. Needs no xenstore while that run lives.
    ///
    /// # Errors
    /// `DomainGone` when its run has ended.
    pub async fn known(&self, instance: &Instance) -> Result<Arc<Known>> {
        for fresh in [false, true] {
            if fresh {
                self.list().await?;
            }
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let all = state.known.get(&instance.uuid).into_iter().flatten();
            if let Some(known) =
                all.into_iter().find(|k| k.process.to_string() == instance.run && k.process.alive())
            {
                return Ok(Arc::clone(known));
            }
        }
        Err(gone(&instance.name))
    }

    /// The running domains of this uuid.
    ///
    /// # Errors
    /// As [`Registry::list`].
    pub async fn of(&self, uuid: Uuid) -> Result<Vec<Arc<Known>>> {
        Ok(self.list().await?.0.into_iter().filter(|k| k.config.uuid == uuid).collect())
    }

    /// Registers a started domain under a domid that nobody has; returns it.
    ///
    /// # Errors
    /// When xenstore does not take it.
    pub async fn register(
        &self,
        config_path: &Path,
        config: &QemuConfig,
        process: Process,
    ) -> Result<Arc<Known>> {
        let _one_at_a_time = self.registering.lock().await;
        let mut used = vec![self.book().highest];
        for folder in ["/libxl", "/local/domain"] {
            used.extend(self.nodes.list(folder).await?.iter().filter_map(|c| c.parse::<u32>().ok()));
        }
        let domid = used.into_iter().max().unwrap_or(0) + 1;
        let uuid = config.uuid;
        let name = config.name.as_str();
        let nodes = [
            (format!("/vm/{uuid}/uuid"), uuid.to_string()),
            (format!("/vm/{uuid}/name"), name.to_owned()),
            (format!("/local/domain/{domid}/name"), name.to_owned()),
            (format!("/local/domain/{domid}/vm"), format!("/vm/{uuid}")),
            // last: this one makes it a domain
            (config_node(domid), config_path.display().to_string()),
        ];
        for (path, value) in &nodes {
            self.nodes.write(path, value).await?;
        }
        let (config, text) =
            read_config(config_path).map_err(|why| HostError::new(ErrorKind::Internal, why))?;
        let known = Arc::new(Known { domid, config, text, process });
        let mut registered = BTreeMap::new();
        registered.insert(domid, config_path.to_owned());
        self.remember(std::slice::from_ref(&known), &registered);
        Ok(known)
    }

    /// Removes what is registered for runs of this domain that have ended.
    ///
    /// # Errors
    /// When xenstore does not take it.
    pub async fn forget_ended(&self, uuid: Uuid) -> Result<()> {
        let _one_at_a_time = self.registering.lock().await;
        for domid in self.nodes.list("/libxl").await?.iter().filter_map(|c| c.parse::<u32>().ok()) {
            let Some(path) = self.nodes.read(&config_node(domid)).await? else {
                continue;
            };
            let Ok((config, _)) = read_config(Path::new(&path)) else { continue };
            if config.uuid == uuid && process_of(&config).is_none() {
                self.nodes.remove(&format!("/libxl/{domid}")).await?;
                self.nodes.remove(&format!("/local/domain/{domid}")).await?;
            }
        }
        Ok(())
    }

    /// Says once on standard error what is wrong with a registration.
    fn tell(&self, what: String) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.told.len() < 1000 && state.told.insert(what.clone()) {
            eprintln!("xensnapd: {what}");
        }
    }

    fn book(&self) -> Book {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || {
            fs::read(&self.book_path).ok().and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default()
        };
        state.book.get_or_insert_with(read).clone()
    }

    /// Keeps what was found: in memory, and in the run folder where it differs from what is there.
    fn remember(&self, found: &[Arc<Known>], registered: &BTreeMap<u32, PathBuf>) {
        let alive = |s: &Seen| s.run.parse().is_ok_and(Process::alive);
        let Book { highest, seen } = self.book();
        let mut seen: BTreeMap<u32, Seen> = seen.into_iter().filter(|(_, s)| alive(s)).collect();
        for known in found {
            if let Some(config) = registered.get(&known.domid) {
                seen.insert(known.domid, Seen { config: config.clone(), run: known.process.to_string() });
            }
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.configs.retain(|path, _| seen.values().any(|s| s.config == *path));
        state.known.retain(|_, all| {
            all.retain(|k| k.process.alive() && !found.iter().any(|f| f.process == k.process));
            !all.is_empty()
        });
        for known in found {
            state.known.entry(known.config.uuid).or_default().push(Arc::clone(known));
        }
        let highest = highest.max(registered.keys().max().copied().unwrap_or(0));
        let book = Book { highest, seen };
        if state.book.as_ref() != Some(&book) {
            // It is a help after a failure of xenstored; without it everything else works.
            let written = serde_json::to_vec(&book)
                .map_err(Into::into)
                .and_then(|b| files::write_private(&self.book_path, &b));
            if let Err(e) = written {
                eprintln!("xensnapd: cannot write {}: {e}", self.book_path.display());
            }
            state.book = Some(book);
        }
    }
}
