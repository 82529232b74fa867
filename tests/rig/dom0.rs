//! A dom0 without Xen: a real xenstored, the real agent, and guests of the rig registered as domains.
//!
//! ```text
//!   test --request key--> xenstored (C or OCaml) --> xensnapd --> QEMU guests
//!     ^------------- operation key, store, guests' logs ----------------'
//! ```
//!
//! Owner of the processes: [`Dom0`]; dropping it ends the agent, its guard and the daemon. Guests are the test's own.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helper: it starts processes, and a failure is the test's"
)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use xensnap::contract::{AgentStatus, Operation, OperationId, OperationState, Request};
use xensnap::wire;
use xensnap::xenstore::{Access, Connection, Error as XsError, Options, Permission};
use xensnap_store::{Location, Reader};

use super::guest::{Guest, GuestSpec};
use super::xenstored::{Kind, Xenstored};

/// The longest that an operation on the rig's small guests takes on a loaded machine.
pub(crate) const END_MAX: Duration = Duration::from_secs(120);

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Dom0 {
    pub(crate) daemon: Xenstored,
    agent: Option<Child>,
    xs: Connection,
    runtime: Runtime,
    next_domid: u32,
    /// The agent's configuration file, in TOML; read at each of its starts.
    pub(crate) config: String,
    /// The store's folder.
    pub(crate) store: PathBuf,
    dir: TempDir,
}

impl Dom0 {
    /// xenstored and the agent, ready.
    pub(crate) fn new(kind: Kind) -> Self {
        let mut dom0 = Self::without_agent(kind);
        dom0.start_agent(&[]);
        dom0
    }

    /// xenstored only.
    pub(crate) fn without_agent(kind: Kind) -> Self {
        // A short path: QMP sockets lie below it.
        let dir = tempfile::Builder::new().prefix("xs").tempdir_in("/tmp").unwrap();
        let daemon = Xenstored::start(kind, &dir.path().join("xs"));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let xs = runtime.block_on(Connection::connect(&Options::at(daemon.socket()))).unwrap();
        let store = dir.path().join("store");
        Self { daemon, agent: None, xs, runtime, next_domid: 1, config: String::new(), store, dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// xenstored's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.daemon.socket()
    }

    /// The agent's program, built with the tests.
    pub(crate) fn program(name: &str) -> PathBuf {
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        if path.ends_with("deps") {
            path.pop();
        }
        path.push(name);
        assert!(
            path.exists(),
            "{} is not built: run the tests of the whole workspace (tests/run)",
            path.display()
        );
        path
    }

    /// Starts the agent with these variables set, and waits until it serves.
    pub(crate) fn start_agent(&mut self, env: &[(&str, &str)]) {
        let mark = self.agent_log().matches("xensnapd: ready").count();
        self.spawn_agent(env);
        let limit = Instant::now() + Duration::from_secs(60);
        while self.agent_log().matches("xensnapd: ready").count() <= mark {
            if let Some(status) = self.agent.as_mut().unwrap().try_wait().unwrap() {
                // A fault point may have ended it; the test knows.
                assert!(!env.is_empty(), "the agent ended, {status}: {}", self.agent_log());
                return;
            }
            assert!(Instant::now() < limit, "the agent does not serve: {}", self.agent_log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts the agent and does not wait.
    pub(crate) fn spawn_agent(&mut self, env: &[(&str, &str)]) {
        assert!(self.agent.is_none(), "two agents");
        let log = File::options().create(true).append(true).open(self.dir.path().join("agent.log")).unwrap();
        let child = self.agent_command().envs(env.iter().copied()).stderr(log).spawn().unwrap();
        self.agent = Some(child);
    }

    /// The agent's command line on this dom0.
    pub(crate) fn agent_command(&self) -> Command {
        let config = self.dir.path().join("xensnapd.toml");
        fs::write(&config, &self.config).unwrap();
        let mut command = Command::new(Self::program("xensnapd"));
        command
            .arg("--config")
            .arg(config)
            .arg("--store")
            .arg(&self.store)
            .arg("--run")
            .arg(self.dir.path().join("run"))
            .arg("--installed")
            .arg(self.dir.path().join("installed"))
            .arg("--xenstore")
            .arg(self.daemon.socket())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    pub(crate) fn agent_log(&self) -> String {
        fs::read_to_string(self.dir.path().join("agent.log")).unwrap_or_default()
    }

    pub(crate) fn agent_pid(&self) -> u32 {
        self.agent.as_ref().expect("an agent").id()
    }

    /// Whether the agent's process is there.
    pub(crate) fn agent_lives(&mut self) -> bool {
        self.agent.as_mut().is_some_and(|a| a.try_wait().unwrap().is_none())
    }

    /// Waits until the agent has ended by itself (a fault point), and forgets it.
    pub(crate) fn agent_ends(&mut self, within: Duration) -> bool {
        let limit = Instant::now() + within;
        while self.agent_lives() {
            if Instant::now() > limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.agent = None;
        true
    }

    /// kill -9, and no more of it.
    pub(crate) fn kill_agent(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }

    /// kill -9 of xenstored, and a new one that knows nothing; the guests' toolstack registers them again.
    pub(crate) fn restart_xenstored(&mut self, guests: &[&Guest]) {
        self.daemon.kill9();
        self.daemon.restart();
        for guest in guests {
            guest.register(&self.daemon.socket());
        }
    }

    /// A counting guest, registered.
    pub(crate) fn guest(&mut self, spec: GuestSpec) -> Guest {
        let domid = self.next_domid + 4;
        self.next_domid += 1;
        let dir = self.dir.path().join(&spec.name);
        Guest::start(&self.daemon.socket(), domid, spec, &dir)
    }

    /// Writes a request: `body` is the JSON after the contract's version, as in `"op.cancel":{..}`.
    pub(crate) fn send(&self, id: &str, body: &str) {
        self.write(&Request::xenstore_path(id), format!(r#"{{"contract":1,{body}}}"#).as_bytes());
    }

    /// Writes a node, as any tool in dom0 can.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        self.runtime.block_on(self.xs.write(path, bytes)).unwrap();
    }

    /// Writes a node that xenstored may refuse.
    pub(crate) fn try_write(&self, path: &str, bytes: &[u8]) -> Result<(), XsError> {
        self.runtime.block_on(self.xs.write(path, bytes))
    }

    /// Removes a node, as its toolstack does.
    pub(crate) fn remove(&self, path: &str) {
        self.runtime.block_on(self.xs.rm(path)).unwrap();
    }

    /// The names below a node.
    pub(crate) fn list(&self, path: &str) -> Vec<String> {
        self.runtime.block_on(self.xs.directory(path)).unwrap_or_default()
    }

    /// Introduces a fake domain to xenstored, and is its guest.
    pub(crate) fn fake_guest(&self, domid: u32) -> super::xenstored::Guest {
        self.daemon.add_domain(domid);
        self.runtime.block_on(self.xs.introduce(domid, 1, 5)).unwrap();
        self.daemon.guest(domid)
    }

    /// Gives a node to a domain, as only dom0 can.
    pub(crate) fn give(&self, path: &str, domid: u32) {
        self.runtime.block_on(self.xs.set_permissions(path, &[Permission::owner(domid)])).unwrap();
    }

    /// Lets a domain read a node of dom0's.
    pub(crate) fn let_read(&self, path: &str, domid: u32) {
        let readable = [Permission::owner(0), Permission::new(domid, Access::Read)];
        self.runtime.block_on(self.xs.set_permissions(path, &readable)).unwrap();
    }

    /// A node's text.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        self.runtime.block_on(self.xs.read_string(path)).ok()
    }

    /// The operation as xenstore shows it now.
    pub(crate) fn operation(&self, id: &str) -> Option<Operation> {
        let text = self.read(&Operation::xenstore_path(id))?;
        Some(wire::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}")))
    }

    /// Waits for an operation's end.
    pub(crate) fn wait(&self, id: &str) -> Operation {
        self.wait_for(id, ended)
    }

    /// Waits until an operation is shown in a state that the caller likes.
    pub(crate) fn wait_for(&self, id: &str, like: impl Fn(&Operation) -> bool) -> Operation {
        let limit = Instant::now() + END_MAX;
        loop {
            if let Some(operation) = self.operation(id)
                && like(&operation)
            {
                return operation;
            }
            if Instant::now() > limit {
                panic!(
                    "operation {id} stays {:?}; the agent says:\n{}",
                    self.operation(id),
                    self.agent_log()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Writes a request and waits for its operation's end.
    pub(crate) fn ask(&self, id: &str, body: &str) -> Operation {
        self.send(id, body);
        self.wait(id)
    }

    /// The same, and it has to end as done.
    pub(crate) fn done(&self, id: &str, body: &str) -> Operation {
        let operation = self.ask(id, body);
        assert_eq!(
            operation.state,
            OperationState::Done,
            "{id}: {:?}; {}",
            operation.error,
            self.agent_log()
        );
        operation
    }

    pub(crate) fn status(&self) -> Option<AgentStatus> {
        wire::from_str(&self.read(AgentStatus::XENSTORE_PATH)?).ok()
    }

    pub(crate) fn location(&self) -> Location {
        Location {
            dir: self.store.clone(),
            mark: self.dir.path().join("installed"),
            run: self.dir.path().join("run"),
            remote_accepted: false,
        }
    }

    /// The store's read side, as the command line tool has it.
    pub(crate) fn reader(&self) -> Reader {
        Reader::open(&self.location()).unwrap()
    }

    /// An operation id from a text.
    pub(crate) fn id(text: &str) -> OperationId {
        OperationId::new(text).unwrap()
    }
}

impl Drop for Dom0 {
    fn drop(&mut self) {
        self.kill_agent();
        if std::thread::panicking() {
            eprintln!("the agent said:\n{}", self.agent_log());
        }
    }
}

/// Whether an operation has ended.
pub(crate) fn ended(operation: &Operation) -> bool {
    matches!(
        operation.state,
        OperationState::Done | OperationState::Failed | OperationState::Cancelled | OperationState::Refused
    )
}

/// The tags in an image, whoever has it open.
pub(crate) fn tags(image: &Path) -> Vec<String> {
    let out = Command::new("qemu-img")
        .args(["info", "-U", "--output=json", "-f", "qcow2"])
        .arg(image)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let info: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let all = info.get("snapshots").and_then(|s| s.as_array()).cloned().unwrap_or_default();
    all.iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect()
}
