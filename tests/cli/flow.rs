//! Operations: the program, a real xenstored, and an agent that follows a script.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use xensnap::contract::{
    AgentStatus, ErrorKind, FinalState, Line, MemoryMode, Operation, OperationId, OperationState, Outcome,
    Plan, Request, RequestOp, ResultFile, Sha256, Step, StepAct,
};
use xensnap::wire::{self, AbsPath, Extra, Timestamp};
use xensnap::xenstore::{Connection, Options};

use crate::agent::{self, Agent, Script, operation, refused, success};
use crate::fixture::{Fixture, OTHER_TWIN, TWIN, WEB, line};
use crate::rig::xenstored::{Kind, Xenstored};
use crate::support::Terminal;

/// A xenstored, a store beside it, a terminal for both.
struct Bed {
    xenstored: Xenstored,
    fixture: Fixture,
    _dir: TempDir,
}

impl Bed {
    fn new() -> Self {
        Self::on(Kind::C)
    }

    fn on(kind: Kind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { xenstored: Xenstored::start(kind, dir.path()), fixture: Fixture::new(), _dir: dir }
    }

    fn socket(&self) -> PathBuf {
        self.xenstored.socket()
    }

    fn terminal(&self) -> Terminal {
        Terminal::new(self.fixture.dir(), Some(&self.socket()))
    }

    fn agent(&self, script: impl Fn(&OperationId, &Request) -> Script + Send + Sync + 'static) -> Agent {
        Agent::start(&self.socket(), script)
    }

    /// Writes nodes.
    fn write(&self, nodes: &[(&str, &str)]) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let xs = Connection::connect(&Options::at(self.socket())).await.unwrap();
            for (path, value) in nodes {
                xs.write(path, value.as_bytes()).await.unwrap();
            }
        });
    }

    /// Makes a domain run, as far as xenstore shows it.
    fn run_domain(&self, domid: u32, name: &str, uuid: uuid::Uuid) {
        let at = format!("/local/domain/{domid}");
        self.write(&[(&format!("{at}/name"), name), (&format!("{at}/vm"), &format!("/vm/{uuid}"))]);
    }
}

/// Every operation of the program and the request that it makes.
fn every_operation(kind: Kind, name: &str) {
    let bed = Bed::on(kind);
    let agent = bed.agent(success);
    let mut terminal = bed.terminal();
    terminal.run(&[
        "vm-snapshot-create",
        "web",
        "--name",
        "before",
        "--description",
        "a \"b\" \\ ä",
        "--pause-max",
        "100ms",
    ]);
    terminal.run(&["vm-snapshot-create", "7", "--disks", "vda,vdb", "--memory", "live"]);
    terminal.run(&["vm-snapshot-create", "web", "--exclude-disks", "vdc", "--disks-only"]);
    terminal.run(&["vm-snapshot-delete", "web", "before"]);
    terminal.run(&["vm-snapshot-revert", "web", "before"]);
    terminal.run(&["vm-snapshot-apply", "web", "+a.b_c-d", "--paused", "--snapshot-first", "--disks-only"]);
    terminal.run(&["disk-snapshot-create", "web!{}\"'$", "--name", "+a.b_c-d"]);
    terminal.run(&["disk-snapshot-delete", &WEB.to_string(), "before"]);
    terminal.run(&["disk-snapshot-revert", "web", "before", "--disks", "vda", "--stopped"]);
    terminal.run(&["domain", "adopt", &TWIN.to_string(), &OTHER_TWIN.to_string()]);
    terminal.run(&["domain", "forget", "web"]);
    terminal.golden(name);
    let asked: Vec<String> =
        agent.requests().iter().map(|request| wire::to_string(request).unwrap()).collect();
    assert_eq!(asked.len(), 11);
    crate::support::compare("every-request", &(asked.join("\n") + "\n"));
}

#[test]
fn every_operation_with_c_xenstored() {
    every_operation(Kind::C, "every-operation");
}

#[test]
fn every_operation_with_oxenstored() {
    every_operation(Kind::Ox, "every-operation");
}

#[test]
fn flags_become_the_request() {
    let bed = Bed::new();
    let agent = bed.agent(success);
    let terminal = bed.terminal();
    for arguments in [
        &["vm-snapshot-create", "web"][..],
        &["vm-snapshot-create", "web", "--disks-only"],
        &["vm-snapshot-revert", "web", "base", "--running"],
        &["vm-snapshot-revert", "web", "base"],
    ] {
        assert!(terminal.command(arguments).output().unwrap().status.success());
    }
    let asked = agent.requests();
    let memory = |n: usize| match &asked[n].op {
        RequestOp::VmSnapshotCreate(create) => create.memory,
        other => panic!("{other:?}"),
    };
    let state = |n: usize| match &asked[n].op {
        RequestOp::VmSnapshotRevert(revert) => revert.final_state,
        other => panic!("{other:?}"),
    };
    assert_eq!((memory(0), memory(1)), (MemoryMode::Auto, MemoryMode::None));
    assert_eq!((state(2), state(3)), (Some(FinalState::Running), None));
}

#[test]
fn every_kind_of_error_has_its_exit_code() {
    let bed = Bed::new();
    let kinds: Vec<ErrorKind> =
        ErrorKind::ALL.iter().cloned().chain([ErrorKind::Unknown("brand_new".into())]).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let script = kinds.clone();
    let _agent = bed.agent(move |id, request| {
        let kind = script[next.fetch_add(1, std::sync::atomic::Ordering::SeqCst)].clone();
        let message = format!("this is of kind {kind}");
        refused(id, request, kind, &message, Some("do something"))
    });
    let mut terminal = bed.terminal();
    for kind in &kinds {
        let output = terminal.run(&["vm-snapshot-create", "web"]);
        let expected = kind.number().map_or(10, |number| 10 + i32::try_from(number).unwrap());
        assert_eq!(output.status.code(), Some(expected), "{kind}");
    }
    terminal.golden("every-kind-of-error");
}

#[test]
fn without_an_agent_operations_fail_at_once_and_reads_work() {
    let bed = Bed::new();
    let mut terminal = bed.terminal();
    let begun = Instant::now();
    for arguments in [
        &["vm-snapshot-create", "web"][..],
        &["vm-snapshot-create", "web", "--dry-run"],
        &["vm-snapshot-create", "web", "--no-wait"],
        &["vm-snapshot-delete", "web", "base"],
        &["disk-snapshot-create", "web"],
        &["domain", "forget", "web"],
        &["operation", "cancel", "open-id"],
        &["operation", "watch", "open-id"],
        &["agent", "status"],
    ] {
        assert_eq!(terminal.run(arguments).status.code(), Some(3), "{arguments:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "at once");
    terminal.run(&["vm-snapshot-list", "web"]);
    terminal.run(&["operation", "list", "--ended", "1"]);
    terminal.run(&["operation", "show", "open-id"]);
    terminal.golden("without-an-agent");
}

#[test]
fn an_agent_that_hangs_is_not_running() {
    let bed = Bed::new();
    let mut stale = agent::status();
    stale.heartbeat_at = Timestamp::now().checked_sub(Duration::from_secs(45)).unwrap();
    bed.write(&[(AgentStatus::XENSTORE_PATH, &wire::to_xenstore(&stale).unwrap())]);
    let terminal = bed.terminal();
    for arguments in [&["vm-snapshot-create", "web"][..], &["agent", "status"]] {
        let output = terminal.command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.starts_with("error: xensnapd is not running: its last sign of life is 4"), "{errors}");
    }
}

#[test]
fn without_xenstore() {
    let fixture = Fixture::new();
    let mut terminal = Terminal::new(fixture.dir(), None);
    terminal.run(&["vm-snapshot-create", "web"]);
    terminal.run(&["operation", "cancel", "open-id"]);
    terminal.run(&["agent", "status"]);
    terminal.run(&["vm-snapshot-list", "7"]);
    terminal.golden("without-xenstore");
}

#[test]
fn names_and_domids_of_running_domains() {
    let bed = Bed::new();
    bed.run_domain(0, "Domain-0", uuid::Uuid::nil());
    bed.run_domain(7, "renamed", WEB);
    bed.run_domain(8, "twin", OTHER_TWIN);
    let stranger = uuid::Uuid::from_u128(0x99999999_9999_4999_8999_999999999999);
    bed.run_domain(9, "web", stranger);
    let mut terminal = bed.terminal();
    terminal.run(&["vm-snapshot-list", "7"]);
    terminal.run(&["disk-snapshot-list", "renamed"]);
    terminal.run(&["vm-snapshot-list", "twin"]);
    terminal.run(&["vm-snapshot-list", "web"]);
    terminal.run(&["vm-snapshot-list", "Domain-0"]);
    terminal.run(&["vm-snapshot-list", "77"]);
    terminal.run(&["domain", "list"]);
    terminal.golden("names-of-running-domains");
}

/// A plan with everything that is shown of one.
fn plan(id: &OperationId) -> Plan {
    let mut plan =
        crate::fixture::plan(id.as_str(), Outcome::new(vec![crate::fixture::vm(WEB, "before", None, 5)]));
    plan.steps
        .insert(0, Step { no_return: true, act: StepAct::EndDomain(Extra::new()), extra: Extra::new() });
    plan.warnings = vec![
        line("the config has no uuid=: the next start makes another domain of it"),
        line("not in the snapshot: \u{9b}vdc"),
    ];
    plan
}

/// A result file as the agent leaves it.
fn leave(dir: &std::path::Path, id: &OperationId, text: &str) -> ResultFile {
    use sha2::Digest as _;
    let path = dir.join(format!("{id}.json"));
    #[expect(clippy::disallowed_methods, reason = "a result file")]
    std::fs::write(&path, text).unwrap();
    let sum: String = sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    ResultFile::new(AbsPath::try_from(path).unwrap(), text.len() as u64, Sha256::new(sum).unwrap())
}

#[test]
fn a_dry_run_prints_the_plan() {
    let bed = Bed::new();
    let dir = bed.fixture.root().to_path_buf();
    let _agent = bed.agent(move |id, request| {
        assert!(request.dry_run);
        let mut done = operation(id, "vm_snapshot_create", OperationState::Done);
        done.dry_run = true;
        let RequestOp::VmSnapshotCreate(create) = &request.op else { panic!("{request:?}") };
        done.result = match create.name.as_ref().map_or("", |name| name.as_str()) {
            "none" => None,
            "swapped" => {
                Some(ResultFile { size: 7, ..leave(&dir, id, &wire::to_string(&plan(id)).unwrap()) })
            }
            "garbled" => Some(leave(&dir, id, "{\"contract\":1}")),
            _ => Some(leave(&dir, id, &wire::to_string(&plan(id)).unwrap())),
        };
        vec![(0, done)]
    });
    let mut terminal = bed.terminal();
    terminal.redact_ids();
    terminal.redact(bed.fixture.root().to_str().unwrap(), "ROOT");
    terminal.run(&["vm-snapshot-create", "web", "--dry-run"]);
    terminal.run(&["vm-snapshot-create", "web", "--dry-run", "--name", "none"]);
    terminal.run(&["vm-snapshot-create", "web", "--dry-run", "--name", "swapped"]);
    terminal.run(&["vm-snapshot-create", "web", "--dry-run", "--name", "garbled"]);
    let json = terminal.command(&["vm-snapshot-create", "web", "--dry-run", "--json"]).output().unwrap();
    let shown: Plan = wire::from_slice(json.stdout.trim_ascii_end()).unwrap();
    assert_eq!(shown.warnings.len(), 2);
    terminal.golden("a-dry-run");
}

#[test]
fn what_a_plan_warns_about_is_said_when_it_is_done() {
    let bed = Bed::new();
    let dir = bed.fixture.root().to_path_buf();
    let _agent = bed.agent(move |id, request| {
        let mut states = success(id, request);
        for (_, state) in &mut states {
            state.warnings = Some(2);
        }
        if let Some((_, done)) = states.last_mut() {
            done.result = Some(leave(&dir, id, &wire::to_string(&plan(id)).unwrap()));
        }
        states
    });
    let mut terminal = bed.terminal();
    terminal.run(&["vm-snapshot-revert", "web", "before"]);
    terminal.golden("warnings-of-an-operation");
}

#[test]
fn an_error_that_does_not_fit_is_read_from_its_file() {
    let bed = Bed::new();
    let dir = bed.fixture.root().to_path_buf();
    let _agent = bed.agent(move |id, request| {
        let mut states = refused(id, request, ErrorKind::DiskUnsupported, "24 disks cannot be taken: vda (raw), vdb (r..", None);
        let whole = r#"{"kind":"disk_unsupported","message":"24 disks cannot be taken: vda (raw), vdb (raw), vdc (raw)","hint":"--exclude-disks vda,vdb,vdc"}"#;
        states[0].1.result = Some(leave(&dir, id, whole));
        states
    });
    let mut terminal = bed.terminal();
    terminal.run(&["vm-snapshot-create", "web"]);
    terminal.golden("an-error-that-does-not-fit");
}

#[test]
fn json_of_operations() {
    let bed = Bed::new();
    let _agent = bed.agent(|id, request| match &request.op {
        RequestOp::VmSnapshotCreate(_) => success(id, request),
        _ => refused(id, request, ErrorKind::NoSnapshot, "web has no such snapshot", None),
    });
    let terminal = bed.terminal();
    let run = |arguments: &[&str]| {
        let output = terminal.command(arguments).output().unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let states = |text: &str| -> Vec<OperationState> {
        text.lines().map(|line| wire::from_str::<Operation>(line).unwrap().state).collect()
    };
    let (code, out, err) = run(&["vm-snapshot-create", "web", "--json"]);
    assert_eq!((code, states(&out), err.as_str()), (0, vec![OperationState::Done], ""));
    let (code, out, err) = run(&["vm-snapshot-delete", "web", "before", "--json"]);
    assert_eq!(
        (code, states(&out), err.as_str()),
        (13, vec![OperationState::Refused], "error: web has no such snapshot\n")
    );
    let (code, out, _) = run(&["vm-snapshot-create", "web", "--no-wait", "--json"]);
    let id: OperationId = wire::from_str(out.trim_end()).unwrap();
    assert_eq!(code, 0);
    let (code, out, _) = run(&["operation", "watch", id.as_str(), "--json"]);
    assert_eq!((code, states(&out).last()), (0, Some(&OperationState::Done)));
    let (code, out, _) = run(&["operation", "show", id.as_str(), "--json"]);
    assert_eq!((code, states(&out)), (0, vec![OperationState::Done]));
    let (code, out, _) = run(&["operation", "list", "--json"]);
    assert_eq!(
        (code, states(&out).len()),
        (0, 11),
        "three that xenstore shows, eight that the journal holds"
    );
    let (code, out, _) = run(&["agent", "status", "--json"]);
    assert_eq!(
        (code, wire::from_str::<AgentStatus>(out.trim_end()).unwrap().version),
        (0, Line::new("0.1.0").unwrap())
    );
}

#[test]
fn no_wait_prints_the_id_and_watch_follows_it() {
    let bed = Bed::new();
    let _agent = bed.agent(success);
    let mut terminal = bed.terminal();
    terminal.redact_ids();
    let id = String::from_utf8(terminal.run(&["vm-snapshot-create", "web", "--no-wait"]).stdout).unwrap();
    terminal.run(&["operation", "watch", id.trim_end()]);
    terminal.run(&["operation", "show", id.trim_end()]);
    terminal.golden("no-wait");
}

/// An operation that goes on until it is cancelled.
fn endless(id: &OperationId, request: &Request) -> Script {
    let mut states = success(id, request);
    states.pop();
    states
}

/// Waits until the agent has been asked so often.
fn asked(agent: &Agent, times: usize) {
    let begun = Instant::now();
    while agent.requests().len() < times {
        assert!(begun.elapsed() < Duration::from_secs(20), "request {times} does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_timeout_leaves_the_operation_and_cancel_ends_it() {
    let bed = Bed::new();
    let _agent = bed.agent(endless);
    let mut terminal = bed.terminal();
    terminal.redact_ids();
    let output = terminal.run(&["vm-snapshot-create", "web", "--timeout", "300ms"]);
    let hint = String::from_utf8(output.stderr).unwrap();
    let id = hint.rsplit(' ').next().unwrap().trim_end().to_owned();
    terminal.run(&["operation", "cancel", &id]);
    terminal.run(&["operation", "watch", &id]);
    terminal.run(&["operation", "cancel", &id]);
    terminal.run(&["operation", "cancel", "none"]);
    terminal.golden("a-timeout-and-cancel");
}

#[test]
fn ctrl_c_cancels() {
    let bed = Bed::new();
    let agent = bed.agent(endless);
    let mut terminal = bed.terminal();
    let child = terminal.start(&["vm-snapshot-create", "web"]);
    asked(&agent, 1);
    std::thread::sleep(Duration::from_millis(300));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    terminal.record(&["vm-snapshot-create", "web"], &output);
    asked(&agent, 2);
    assert!(matches!(agent.requests()[1].op, RequestOp::Cancel(_)));
    terminal.golden("ctrl-c-cancels");
}

#[test]
fn a_second_ctrl_c_leaves() {
    let bed = Bed::new();
    let agent = bed.agent(endless);
    // The agent stops listening, so that the cancel is not answered.
    let mut terminal = bed.terminal();
    terminal.redact_ids();
    let child = terminal.start(&["vm-snapshot-create", "web"]);
    asked(&agent, 1);
    std::thread::sleep(Duration::from_millis(300));
    drop(agent);
    for _ in 0..2 {
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        std::thread::sleep(Duration::from_millis(300));
    }
    let output = child.wait_with_output().unwrap();
    terminal.record(&["vm-snapshot-create", "web"], &output);
    terminal.golden("a-second-ctrl-c-leaves");
}

#[test]
fn nothing_is_drawn_where_there_is_no_terminal() {
    let bed = Bed::new();
    let _agent = bed.agent(success);
    let output = bed.terminal().command(&["vm-snapshot-create", "web"]).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn a_terminal_shows_step_and_bytes() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let bed = Bed::new();
    let _agent = bed.agent(endless);
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let path = ptsname(&screen, Vec::new()).unwrap();
    let terminal = File::options().read(true).write(true).open(path.to_str().unwrap()).unwrap();
    let mut command = bed.terminal().command(&["vm-snapshot-create", "web", "--timeout", "1s"]);
    let status = command.env("TERM", "xterm").stdout(Stdio::null()).stderr(terminal).status().unwrap();
    // The last writer of the terminal: its end is then an error of reading.
    drop(command);
    let mut drawn = Vec::new();
    let _ = File::from(screen).read_to_end(&mut drawn);
    let drawn = String::from_utf8_lossy(&drawn);
    assert_eq!(status.code(), Some(4));
    assert!(drawn.contains("vm-snapshot-create: step 2 of 3, memory-complete, 1 MiB of 4 MiB"), "{drawn:?}");
    assert!(drawn.contains("25%"), "{drawn:?}");
}

#[test]
fn xenstored_may_be_restarted_while_an_operation_is_followed() {
    let mut bed = Bed::new();
    let agent = bed.agent(endless);
    let terminal = bed.terminal();
    let child = terminal.start(&["vm-snapshot-create", "web"]);
    asked(&agent, 1);
    std::thread::sleep(Duration::from_millis(300));
    let id = shown(&bed);
    drop(agent);
    bed.xenstored.kill9();
    bed.xenstored.restart();
    // The agent's mirror comes back from the store.
    let mut done = operation(&id, "vm_snapshot_create", OperationState::Done);
    done.snapshot_name = Some("before".parse().unwrap());
    bed.write(&[
        (AgentStatus::XENSTORE_PATH, &wire::to_xenstore(&agent::status()).unwrap()),
        (&Operation::xenstore_path(&id), &wire::to_xenstore(&done).unwrap()),
    ]);
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "VM snapshot before of web taken\n");
}

/// The id of the only operation that xenstore shows.
fn shown(bed: &Bed) -> OperationId {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let names = runtime.block_on(async {
        let xs = Connection::connect(&Options::at(bed.socket())).await.unwrap();
        xs.directory(Operation::XENSTORE_FOLDER).await.unwrap()
    });
    assert_eq!(names.len(), 1);
    OperationId::new(names[0].as_str()).unwrap()
}
