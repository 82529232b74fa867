//! What the store's tests share: a place for a store, and records to put into it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use uuid::Uuid;
use xensnap::contract::{
    Consistency, Disk, DiskContent, Domain, DriverKind, Facts, FileId, ImageTag, JournalEntry, JournalState,
    Line, MemoryImage, OpKind, OperationId, Outcome, Plan, ProviderKind, Snapshot, SnapshotName,
    SnapshotPart, Step, StepAct, Vdev, VmPart,
};
use xensnap::wire::{AbsPath, Extra, RawJson, Timestamp};
use xensnap_store::{Change, Committed, Finding, Location, Read, Result, SqliteStore, Store};

/// A root with nothing in it, removed at the end.
pub(crate) struct Place {
    _root: TempDir,
    pub(crate) at: Location,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = Location::under(root.path());
        Self { _root: root, at }
    }

    pub(crate) fn with_store() -> (Self, SqliteStore) {
        let place = Self::new();
        let store = SqliteStore::create(&place.at).unwrap();
        (place, store)
    }

    pub(crate) fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.at).unwrap()
    }
}

pub(crate) fn id(text: &str) -> OperationId {
    OperationId::new(text).unwrap()
}

pub(crate) fn name(text: &str) -> SnapshotName {
    SnapshotName::new(text).unwrap()
}

/// The n-th domain of a test.
pub(crate) fn uuid(n: u32) -> Uuid {
    Uuid::from_u128(0x8d3c_f1a4_8a11_4a7e_9d13_0000_0000_0000 + u128::from(n))
}

/// Seconds after an instant that all tests share.
pub(crate) fn time(seconds: i64) -> Timestamp {
    Timestamp::from_unix_nanos((1_700_000_000 + i128::from(seconds)) * 1_000_000_000).unwrap()
}

pub(crate) fn line(text: &str) -> Line {
    Line::new(text).unwrap()
}

const CONFIG: &str = r#"{"contract":1,"name":"web","binary":"/usr/bin/qemu-system-x86_64","args":["-machine","q35,accel=tcg","-cpu","max","-m","1024","-kernel","/srv/guest/vmlinuz","-initrd","/srv/guest/initrd","-append","console=ttyS0 quiet","-serial","file:/var/log/guest.log"],"qmp":"/run/guest/web.qmp","pidfile":"/run/guest/web.pid","memory":1073741824}"#;

pub(crate) fn config() -> RawJson {
    RawJson::new(CONFIG).unwrap()
}

pub(crate) fn domain(n: u32) -> Domain {
    let disk = |vdev| {
        Disk::new(
            Vdev::new(vdev).unwrap(),
            AbsPath::new(format!("/srv/images/{n}-{vdev}.qcow2")).unwrap(),
            line("qcow2"),
        )
    };
    Domain::new(
        1,
        uuid(n),
        line(&format!("web{n}")),
        DriverKind::Qemu,
        config(),
        vec![disk("vda"), disk("vdb")],
        time(0),
    )
}

/// A VM snapshot with memory and two disks, whose files do not exist.
pub(crate) fn snapshot(at: &Location, n: u32, text: &str, parent: Option<&str>) -> Snapshot {
    let tag = ImageTag::new(format!(
        "xensnap-vm-{:032x}",
        text.bytes().fold(7u128, |h, b| h.wrapping_mul(131).wrapping_add(b.into()))
    ))
    .unwrap();
    let disk = |vdev: &str, inode| {
        DiskContent::new(
            Vdev::new(vdev).unwrap(),
            AbsPath::new(format!("/srv/images/{n}-{vdev}.qcow2")).unwrap(),
            line("qcow2"),
            FileId::new(format!("64768:{inode}")).unwrap(),
            20 << 30,
            ProviderKind::Qcow2Internal,
            tag.clone(),
        )
    };
    let path = AbsPath::try_from(at.memory_image(uuid(n), text)).unwrap();
    let memory =
        MemoryImage::new(path, 734_003_200, 1 << 30, line("QEMU 7.2.11 (Debian 1:7.2+dfsg-7+deb12u7)"));
    let mut part = VmPart::new(config());
    part.memory = Some(memory);
    Snapshot {
        contract: 1,
        id: id(text),
        name: name(&format!("name-{text}")),
        description: None,
        domain: uuid(n),
        domain_name: line(&format!("web{n}")),
        parent: parent.map(id),
        taken_at: time(text.bytes().map(i64::from).sum()),
        pause: Duration::from_micros(41_500),
        consistency: Consistency::Full,
        driver: DriverKind::Qemu,
        agent: line("0.1.0"),
        disks: vec![disk("vda", 1_310_721 + u64::from(n)), disk("vdb", 1_310_722 + u64::from(n))],
        deleting: false,
        part: SnapshotPart::Vm(part),
        extra: Extra::new(),
    }
}

/// A snapshot of disks.
pub(crate) fn disk_snapshot(at: &Location, n: u32, text: &str, parent: Option<&str>) -> Snapshot {
    let mut made = snapshot(at, n, text, parent);
    made.part = SnapshotPart::Disk(Extra::new());
    made.consistency = Consistency::Crash;
    made
}

/// An operation that has just been taken.
pub(crate) fn entry(text: &str, n: u32) -> JournalEntry {
    let request =
        format!(r#"{{"contract":1,"op.vm_snapshot_create":{{"domain":"web{n}","name":"name-{text}"}}}}"#);
    JournalEntry {
        guest_id: None,
        contract: 1,
        id: id(text),
        request,
        op: OpKind::VmSnapshotCreate,
        domain: Some(uuid(n)),
        state: JournalState::Planned,
        done: 0,
        plan: None,
        facts: Facts::default(),
        created_at: time(0),
        ended_at: None,
        error: None,
        extra: Extra::new(),
    }
}

/// The same with a plan that commits `outcome`.
pub(crate) fn planned(text: &str, n: u32, outcome: &Outcome) -> JournalEntry {
    let mut made = entry(text, n);
    made.plan = Some(plan(text, n, outcome));
    made
}

pub(crate) fn plan(text: &str, n: u32, outcome: &Outcome) -> Plan {
    let steps = vec![Step::new(StepAct::Release(Extra::new())), Step::new(StepAct::Commit(outcome.clone()))];
    Plan {
        contract: 1,
        operation: id(text),
        domain: uuid(n),
        domain_name: line(&format!("web{n}")),
        driver: DriverKind::Qemu,
        steps,
        expected_pause: Duration::from_millis(40),
        space: 1 << 30,
        warnings: Vec::new(),
        extra: Extra::new(),
    }
}

/// The entry as it ended.
pub(crate) fn ended(entry: &JournalEntry, state: JournalState) -> JournalEntry {
    let mut ended = entry.clone();
    ended.state = state;
    ended.done = 2;
    ended.ended_at = Some(time(60));
    ended
}

/// Begins and finishes an operation with an outcome.
pub(crate) fn run(store: &mut SqliteStore, text: &str, n: u32, outcome: &Outcome) -> Result<Committed> {
    let entry = planned(text, n, outcome);
    store.begin(&entry)?;
    let committed = store.finish(&ended(&entry, JournalState::Done), Some(outcome))?;
    store.settle_sidecars();
    Ok(committed)
}

/// A whole create: the new snapshot descends from the domain's current one and becomes it. The id is that of the operation.
pub(crate) fn create(store: &mut SqliteStore, n: u32, text: &str) -> Result<Committed> {
    let parent = store.domain(uuid(n)).unwrap().expect("the domain is known").current;
    let made = snapshot(&store.location().clone(), n, text, parent.as_ref().map(OperationId::as_str));
    run(store, text, n, &created(made))
}

pub(crate) fn created(snapshot: Snapshot) -> Outcome {
    let current = Some(snapshot.id.clone());
    let mut outcome = Outcome::new(vec![snapshot]);
    outcome.current = current;
    outcome.diverged = Some(false);
    outcome
}

pub(crate) fn dropped(text: &str) -> Outcome {
    let mut outcome = Outcome::new(Vec::new());
    outcome.drop = Some(id(text));
    outcome
}

pub(crate) fn reverted(text: &str) -> Outcome {
    let mut outcome = Outcome::new(Vec::new());
    outcome.current = Some(id(text));
    outcome.diverged = Some(false);
    outcome
}

/// Ends an operation with a change that is not an outcome.
pub(crate) fn change(store: &mut SqliteStore, text: &str, n: u32, change: Change<'_>) -> Result<Committed> {
    let entry = entry(text, n);
    store.begin(&entry)?;
    let committed = store.finish_with(&ended(&entry, JournalState::Done), change)?;
    store.settle_sidecars();
    Ok(committed)
}

/// The tree of a domain as `id<parent` in order of time, and its current with `!` when diverged.
pub(crate) fn tree(store: &dyn Read, n: u32) -> String {
    let mut parts: Vec<String> = store
        .snapshots(uuid(n))
        .unwrap()
        .iter()
        .map(|s| {
            format!(
                "{}<{}{}",
                s.id,
                s.parent.as_ref().map_or("", |p| p.as_str()),
                if s.deleting { "(deleting)" } else { "" }
            )
        })
        .collect();
    let domain = store.domain(uuid(n)).unwrap().unwrap();
    parts.push(format!(
        "*{}{}",
        domain.current.as_ref().map_or("", |c| c.as_str()),
        if domain.diverged { "!" } else { "" }
    ));
    parts.join(" ")
}

/// A file's content, short when printed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sum = self.0.iter().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
        write!(f, "{} bytes, sum {sum:016x}", self.0.len())
    }
}

/// Of these files, those that are not (any more) as they were.
pub(crate) fn changed(before: &[(PathBuf, Bytes)]) -> Vec<PathBuf> {
    let is_same = |path: &Path, bytes: &Bytes| std::fs::read(path).is_ok_and(|now| now == bytes.0);
    before.iter().filter(|(path, bytes)| !is_same(path, bytes)).map(|(path, _)| path.clone()).collect()
}

/// Every file below a folder with its content, for comparing what must not change.
pub(crate) fn content(dir: &Path) -> Vec<(PathBuf, Bytes)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            all.extend(content(&entry.path()));
        } else if entry.file_type().unwrap().is_file() {
            all.push((entry.path(), Bytes(std::fs::read(entry.path()).unwrap())));
        }
    }
    all.sort();
    all
}

/// The database under a store that is closed, for tampering.
pub(crate) fn raw(at: &Location) -> rusqlite::Connection {
    rusqlite::Connection::open(at.database()).unwrap()
}

/// Writes a file as somebody else would.
#[expect(clippy::disallowed_methods, reason = "a test's file need not last")]
pub(crate) fn put(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// What a check found, but for what is true of every test's store: no images, and perhaps a volatile medium.
pub(crate) fn findings(at: &Location) -> Vec<Finding> {
    let mut found = xensnap_store::check(at).unwrap().findings;
    found.retain(|f| !matches!(f, Finding::FileMissing { .. } | Finding::Volatile { .. }));
    found
}

/// Starts a program; what it prints is caught.
#[expect(clippy::disallowed_methods, reason = "a test of several processes")]
pub(crate) fn program(name: impl AsRef<std::ffi::OsStr>) -> std::process::Command {
    let mut command = std::process::Command::new(name);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// This very test in a process of its own, which knows that by the variable. `test` is its full name.
pub(crate) fn again(test: &str, variable: &str, value: &str) -> std::process::Command {
    let mut command = program(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(variable, value);
    command
}
