//! A QEMU with its firmware for a guest, qcow2 images, and a host over them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;
use xensnap::contract::{DiskTag, MemoryOut, Pause, PauseMethod, QemuConfig, Start};
use xensnap::wire::RawJson;
use xensnapd::host::nodes::Nodes;
use xensnapd::host::process::{self, Process, file_id};
use xensnapd::host::qmp::Qmp;
use xensnapd::host::real::RealHost;
use xensnapd::host::settings::Settings;
use xensnapd::host::{Ask, Host, Instance, Progress, Result, qemu};

/// xenstore as a map.
#[derive(Debug, Default)]
pub(crate) struct Map(Mutex<BTreeMap<String, String>>);

impl Nodes for Map {
    async fn list(&self, path: &str) -> Result<Vec<String>> {
        let below = format!("{path}/");
        let all = self.0.lock().unwrap();
        let mut names: Vec<String> =
            all.keys().filter_map(|k| Some(k.strip_prefix(&below)?.split('/').next()?.to_owned())).collect();
        names.dedup();
        Ok(names)
    }

    async fn read(&self, path: &str) -> Result<Option<String>> {
        Ok(self.0.lock().unwrap().get(path).cloned())
    }

    async fn write(&self, path: &str, value: &str) -> Result<()> {
        self.0.lock().unwrap().insert(path.into(), value.into());
        Ok(())
    }

    async fn remove(&self, path: &str) -> Result<()> {
        let below = format!("{path}/");
        self.0.lock().unwrap().retain(|k, _| k != path && !k.starts_with(&below));
        Ok(())
    }
}

impl Map {
    /// Everything in it, as xenstored loses it when it dies.
    pub(crate) fn lose_all(&self) {
        self.0.lock().unwrap().clear();
    }

    pub(crate) fn get(&self, path: &str) -> Option<String> {
        self.0.lock().unwrap().get(path).cloned()
    }
}

/// A folder, a xenstore, settings.
pub(crate) struct Rig {
    pub(crate) dir: TempDir,
    pub(crate) nodes: Arc<Map>,
    pub(crate) settings: Settings,
}

/// A domain: its config, and its QEMU as we started it.
pub(crate) struct Guest {
    pub(crate) config: QemuConfig,
    pub(crate) path: PathBuf,
    child: Option<Child>,
}

/// False, and says so, when the programs are not there.
pub(crate) fn have_qemu() -> bool {
    let have = ["qemu-system-x86_64", "qemu-img", "qemu-io"]
        .iter()
        .all(|p| Command::new(p).arg("--version").stdout(Stdio::null()).status().is_ok());
    if !have {
        println!("skipped: qemu-system-x86_64, qemu-img and qemu-io are needed");
    }
    have
}

/// The QEMU to test with: `XENSNAP_QEMU`, else the installed one.
pub(crate) fn qemu_binary() -> String {
    std::env::var("XENSNAP_QEMU").unwrap_or_else(|_| "/usr/bin/qemu-system-x86_64".into())
}

/// Its version's first number.
pub(crate) fn qemu_major() -> u32 {
    let text = run(&qemu_binary(), &["--version"]);
    text.split_once("version ").unwrap().1.split('.').next().unwrap().parse().unwrap()
}

/// All that can be asked of a domain.
pub(crate) const ASK: Ask = Ask { memory: true, start: false };

/// Shows no progress.
pub(crate) const QUIET: Progress<'static> = &|_, _| ControlFlow::Continue(());

/// A pause of a plain QEMU with this many seconds.
pub(crate) fn stop(seconds: u64) -> Pause {
    Pause { deadline: Duration::from_secs(seconds), method: PauseMethod::Stop, extra: Default::default() }
}

/// Runs a program that must succeed; returns what it printed.
pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).output().expect("it starts");
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

impl Rig {
    pub(crate) fn new() -> Self {
        let dir = TempDir::with_prefix("xh").unwrap();
        let exe = std::env::current_exe().unwrap();
        let exe = exe.parent().unwrap().parent().unwrap().join("examples/host_helper");
        assert!(exe.exists(), "cargo builds the examples with the tests");
        let settings = Settings {
            state_dir: dir.path().join("state"),
            run_dir: dir.path().join("run"),
            exe,
            qemu_img: "qemu-img".into(),
            libxl: "/nonexistent/xensnap-libxl".into(),
            xl: "/nonexistent/xl".into(),
            systemd: false,
        };
        Self { dir, nodes: Arc::default(), settings }
    }

    pub(crate) async fn host(&self) -> RealHost<Map> {
        RealHost::start(Arc::clone(&self.nodes), self.settings.clone()).await.unwrap()
    }

    pub(crate) fn image(&self, name: &str, format: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        run("qemu-img", &["create", "-q", "-f", format, path.to_str().unwrap(), "64M"]);
        path
    }

    /// A domain of these disks (vdev, format), not started.
    pub(crate) fn domain(&self, name: &str, disks: &[(&str, &str)]) -> Guest {
        let uuid = Uuid::new_v4();
        let dir = self.dir.path();
        let disks: Vec<Value> = disks
            .iter()
            .map(|(vdev, format)| {
                let path = self.image(&format!("{name}-{vdev}.{format}"), format);
                json!({"vdev": vdev, "path": path, "format": format, "read_only": false, "cdrom": false})
            })
            .collect();
        let config = json!({
            "contract": 1, "name": name, "uuid": uuid, "binary": qemu_binary(),
            "args": ["-nodefaults", "-machine", "q35,accel=tcg", "-m", "64"], "disks": disks,
            "qmp": dir.join(format!("{name}.qmp")), "pidfile": dir.join(format!("{name}.pid")), "memory": 64 << 20});
        let path = dir.join(format!("{name}.json"));
        std::fs::write(&path, config.to_string()).unwrap();
        Guest { config: xensnap::wire::from_str(&config.to_string()).unwrap(), path, child: None }
    }

    /// The same, running and registered.
    pub(crate) async fn guest(&self, name: &str, disks: &[(&str, &str)]) -> Guest {
        let mut guest = self.domain(name, disks);
        guest.start(true);
        self.register(&guest, 7).await;
        guest
    }

    pub(crate) async fn register(&self, guest: &Guest, domid: u32) {
        let path = format!("/libxl/{domid}/xensnap/qemu_config");
        self.nodes.write(&path, guest.path.to_str().unwrap()).await.unwrap();
    }
}

impl Guest {
    /// Starts its QEMU; paused at its first instruction unless `go`.
    pub(crate) fn start(&mut self, go: bool) {
        let mut line = qemu::command(&self.config, false);
        if go {
            line.retain(|a| a != "-S");
        }
        let child = Command::new(&line[0]).args(&line[1..]).stdin(Stdio::null()).spawn().unwrap();
        self.child = Some(child);
        let until = Instant::now() + Duration::from_secs(20);
        let pid = || {
            std::fs::read_to_string(self.config.pidfile.as_path())
                .is_ok_and(|p| p.trim().parse::<u32>().is_ok())
        };
        // Connected to, not only there: between bind and listen the socket's file refuses.
        let listens = || std::os::unix::net::UnixStream::connect(self.config.qmp.as_path()).is_ok();
        while !pid() || !listens() {
            assert!(Instant::now() < until, "QEMU comes up");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn process(&self) -> Process {
        qemu::registry::process_of(&self.config).expect("it runs")
    }

    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) async fn qmp(&self) -> Qmp {
        Qmp::connect(self.config.qmp.as_path(), tokio::time::Instant::now() + Duration::from_secs(10))
            .await
            .unwrap()
    }

    pub(crate) async fn ask(&self, command: &str, arguments: Value) -> Value {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        self.qmp().await.execute(command, arguments, deadline).await.unwrap()
    }

    pub(crate) async fn status(&self) -> String {
        self.ask("query-status", json!({})).await["status"].as_str().unwrap().to_owned()
    }

    /// Until QEMU says this word of the guest.
    pub(crate) async fn until(&self, word: &str) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.status().await != word {
            assert!(Instant::now() < until, "the guest comes to be {word}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn disk(&self, n: usize) -> &Path {
        self.config.disks[n].path.as_path()
    }

    /// Its disks with a tag of this number.
    pub(crate) fn tags(&self, number: u32) -> Vec<DiskTag> {
        let tag = |d: &xensnap::contract::Disk| {
            let (dev, ino) = file_id(d.path.as_path()).unwrap();
            xensnap::wire::from_str(
                &json!({"vdev": d.vdev, "path": d.path, "format": d.format, "file": format!("{dev}:{ino}"),
                    "provider": "qcow2_internal", "tag": format!("xensnap-test-{number:032x}")})
                .to_string(),
            )
            .unwrap()
        };
        self.config.disks.iter().map(tag).collect()
    }

    pub(crate) fn text(&self) -> RawJson {
        RawJson::new(std::fs::read_to_string(&self.path).unwrap()).unwrap()
    }

    pub(crate) fn start_from(&self, memory: Option<&Path>, paused: bool) -> Start {
        let memory = memory.map(|m| m.try_into().unwrap());
        Start { config: self.text(), memory, paused, extra: Default::default() }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        for process in process::qemus_of(self.config.uuid) {
            process.signal(rustix::process::Signal::KILL);
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }
}

pub(crate) async fn instance(host: &RealHost<Map>, guest: &Guest) -> Instance {
    let all = host.instances().await.unwrap();
    all.into_iter().find(|i| i.uuid == guest.config.uuid).expect("it is listed")
}

/// The session of a process: field 6 of `/proc/PID/stat`. 0 when its leader is outside of our pid namespace, where `getsid` of rustix panics.
pub(crate) fn session(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(3).unwrap().parse().unwrap()
}

/// Tags that an image holds, as qemu-img sees them.
pub(crate) fn tags_in(image: &Path) -> Vec<String> {
    let info: Value =
        serde_json::from_str(&run("qemu-img", &["info", "-U", "--output=json", image.to_str().unwrap()]))
            .unwrap();
    let all = info["snapshots"].as_array().cloned().unwrap_or_default();
    all.iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect()
}

/// Fills the image's first MiB with a byte.
pub(crate) fn fill(image: &Path, byte: u8) {
    run("qemu-io", &["-f", "qcow2", "-c", &format!("write -P {byte} 0 1M"), image.to_str().unwrap()]);
}

/// Whether the image's first MiB is filled with this byte.
pub(crate) fn filled(image: &Path, byte: u8) -> bool {
    let out = run(
        "qemu-io",
        &["-f", "qcow2", "-r", "-c", &format!("read -P {byte} 0 1M"), image.to_str().unwrap()],
    );
    !out.contains("Pattern verification failed")
}

pub(crate) fn memory_out(rig: &Rig, guest: &Guest, live: bool) -> MemoryOut {
    let path = rig.settings.state_dir.join(guest.config.uuid.to_string()).join("op.save");
    MemoryOut { path: path.try_into().unwrap(), ram: guest.config.memory, live, extra: Default::default() }
}
