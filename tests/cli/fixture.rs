//! A store with known content: every value in it is fixed, so that what is printed can be compared whole.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use uuid::Uuid;
use xensnap::contract::{
    Consistency, Disk, DiskContent, Domain, DriverKind, Error, ErrorKind, Facts, FileId, ImageTag,
    JournalEntry, JournalState, Line, MemoryImage, OpKind, OperationId, Outcome, Plan, ProviderKind,
    Snapshot, SnapshotName, SnapshotPart, Step, StepAct, Vdev, VmPart,
};
use xensnap::wire::{AbsPath, Extra, RawJson, Timestamp};
use xensnap_store::{Location, SqliteStore, Store};

/// The domain `web`: it has snapshots of both kinds.
pub(crate) const WEB: Uuid = Uuid::from_u128(0x11111111_1111_4111_8111_111111111111);
/// A domain whose name holds what moves a terminal's cursor.
pub(crate) const ODD: Uuid = Uuid::from_u128(0x22222222_2222_4222_8222_222222222222);
/// The first domain named `twin`.
pub(crate) const TWIN: Uuid = Uuid::from_u128(0x33333333_3333_4333_8333_333333333333);
/// The second.
pub(crate) const OTHER_TWIN: Uuid = Uuid::from_u128(0x44444444_4444_4444_8444_444444444444);

/// A folder with a store.
pub(crate) struct Fixture {
    root: TempDir,
    pub(crate) at: Location,
}

impl Fixture {
    /// An empty store.
    pub(crate) fn empty() -> (Self, SqliteStore) {
        let root = tempfile::tempdir().unwrap();
        let at = Location::under(root.path());
        let store = SqliteStore::create(&at).unwrap();
        (Self { root, at }, store)
    }

    /// A store with four domains, six snapshots and eight operations.
    pub(crate) fn new() -> Self {
        let (fixture, mut store) = Self::empty();
        for (uuid, name) in
            [(WEB, "web"), (ODD, "o\u{202e}dd\u{9b}2J ☃"), (TWIN, "twin"), (OTHER_TWIN, "twin")]
        {
            store.put_domain(&domain(uuid, name)).unwrap();
        }
        for vdev in ["vda", "vdb"] {
            File::create(fixture.root().join(format!("{vdev}.qcow2"))).unwrap();
        }
        let mut make = |snapshot: Snapshot| done(&mut store, &fixture.real(snapshot));
        make(vm(WEB, "base", None, 10));
        make(vm(WEB, "upgraded", Some("base"), 20));
        make(vm(WEB, "try-a", Some("upgraded"), 30));
        make(Snapshot {
            description: Some(line("before \"the\" change")),
            ..vm(WEB, "try-b", Some("upgraded"), 40)
        });
        make(disks_only(disk(WEB, "disks", Some("try-b"), 50)));
        make(vm(ODD, "+odd._-name", None, 60));
        failed(&mut store);
        open(&mut store);
        fixture
    }

    /// The snapshot with files that exist.
    fn real(&self, mut snapshot: Snapshot) -> Snapshot {
        for disk in &mut snapshot.disks {
            let path = self.root().join(format!("{}.qcow2", disk.vdev));
            let found = std::fs::metadata(&path).unwrap();
            disk.path = AbsPath::try_from(path).unwrap();
            disk.file = FileId::new(format!("{}:{}", found.dev(), found.ino())).unwrap();
        }
        if let SnapshotPart::Vm(part) = &mut snapshot.part {
            let memory = part.memory.as_mut().unwrap();
            let path = self.at.memory_image(snapshot.domain, snapshot.id.as_str());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            File::create(&path).unwrap().set_len(memory.size).unwrap();
            memory.path = AbsPath::try_from(path).unwrap();
        }
        snapshot
    }

    /// Its folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.at.dir
    }

    /// The folder of everything.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }
}

pub(crate) fn id(text: &str) -> OperationId {
    OperationId::new(text).unwrap()
}

pub(crate) fn line(text: &str) -> Line {
    Line::new(text).unwrap()
}

/// Seconds after an instant that all tests share.
pub(crate) fn time(seconds: i64) -> Timestamp {
    Timestamp::from_unix_nanos((1_700_000_000 + i128::from(seconds)) * 1_000_000_000 + 123_456_789).unwrap()
}

pub(crate) fn domain(uuid: Uuid, name: &str) -> Domain {
    let disk = |vdev: &str| {
        let path = AbsPath::new(format!("/srv/images/{vdev}.qcow2")).unwrap();
        Disk::new(Vdev::new(vdev).unwrap(), path, line("qcow2"))
    };
    let config = RawJson::new(r#"{"contract":1,"memory":1073741824}"#).unwrap();
    Domain::new(1, uuid, line(name), DriverKind::Qemu, config, vec![disk("vda"), disk("vdb")], time(0))
}

/// A VM snapshot with memory and two disks. Its id is its name and `-id`.
pub(crate) fn vm(domain: Uuid, name: &str, parent: Option<&str>, at: i64) -> Snapshot {
    let memory = AbsPath::new(format!("/srv/memory/{}.save", at)).unwrap();
    let mut part = VmPart::new(RawJson::new(r#"{"contract":1,"memory":1073741824,"kind.disk":{}}"#).unwrap());
    part.memory = Some(MemoryImage::new(memory, 734_003_200, 1 << 30, line("QEMU 7.2.11")));
    Snapshot {
        contract: 1,
        id: id(&identity(name)),
        name: SnapshotName::new(name).unwrap(),
        description: None,
        domain,
        domain_name: line("web"),
        parent: parent.map(|name| id(&identity(name))),
        taken_at: time(at),
        pause: Duration::from_micros(41_500),
        consistency: Consistency::Full,
        driver: DriverKind::Qemu,
        agent: line("0.1.0"),
        disks: vec![content("vda", at), content("vdb", at)],
        deleting: false,
        part: SnapshotPart::Vm(part),
        extra: Extra::new(),
    }
}

/// A snapshot of disks.
pub(crate) fn disk(domain: Uuid, name: &str, parent: Option<&str>, at: i64) -> Snapshot {
    Snapshot {
        part: SnapshotPart::Disk(Extra::new()),
        consistency: Consistency::Crash,
        pause: Duration::ZERO,
        ..vm(domain, name, parent, at)
    }
}

fn disks_only(mut snapshot: Snapshot) -> Snapshot {
    snapshot.disks.truncate(1);
    snapshot
}

fn identity(name: &str) -> String {
    format!("{}-id", name.replace(['+', '.'], "_"))
}

fn content(vdev: &str, at: i64) -> DiskContent {
    DiskContent::new(
        Vdev::new(vdev).unwrap(),
        AbsPath::new(format!("/srv/images/{vdev}.qcow2")).unwrap(),
        line("qcow2"),
        FileId::new("64768:1310721").unwrap(),
        20 << 30,
        ProviderKind::Qcow2Internal,
        ImageTag::new(format!("xensnap-vm-{at:032x}")).unwrap(),
    )
}

/// A plan of two steps that commits an outcome.
pub(crate) fn plan(operation: &str, outcome: Outcome) -> Plan {
    Plan {
        contract: 1,
        operation: id(operation),
        domain: WEB,
        domain_name: line("web"),
        driver: DriverKind::Qemu,
        steps: vec![Step::new(StepAct::Release(Extra::new())), Step::new(StepAct::Commit(outcome))],
        expected_pause: Duration::from_millis(40),
        space: 1 << 30,
        warnings: Vec::new(),
        extra: Extra::new(),
    }
}

/// An operation that has just been taken.
pub(crate) fn entry(operation: &str, op: OpKind, at: i64) -> JournalEntry {
    JournalEntry {
        guest_id: None,
        contract: 1,
        id: id(operation),
        request: r#"{"contract":1,"dry_run":false,"op.vm_snapshot_create":{"domain":"web","memory":"auto"}}"#
            .to_owned(),
        op,
        domain: Some(WEB),
        state: JournalState::Planned,
        done: 0,
        plan: None,
        facts: Facts::default(),
        created_at: time(at),
        ended_at: None,
        error: None,
        extra: Extra::new(),
    }
}

/// Takes a snapshot as the agent would: its operation has the snapshot's id.
pub(crate) fn done(store: &mut SqliteStore, snapshot: &Snapshot) {
    let is_vm = matches!(snapshot.part, SnapshotPart::Vm(_));
    let mut outcome = Outcome::new(vec![snapshot.clone()]);
    if is_vm {
        outcome.current = Some(snapshot.id.clone());
        outcome.diverged = Some(false);
    }
    let seconds = snapshot.taken_at.unix_seconds() - 1_700_000_000;
    let op = if is_vm { OpKind::VmSnapshotCreate } else { OpKind::DiskSnapshotCreate };
    let mut entry = entry(snapshot.id.as_str(), op, seconds - 1);
    entry.domain = Some(snapshot.domain);
    entry.plan = Some(Plan { domain: snapshot.domain, ..plan(snapshot.id.as_str(), outcome.clone()) });
    store.begin(&entry).unwrap();
    entry.state = JournalState::Done;
    entry.done = 2;
    entry.facts.pause = Some(snapshot.pause);
    entry.ended_at = Some(time(seconds + 2));
    let _committed = store.finish(&entry, Some(&outcome)).unwrap();
}

fn failed(store: &mut SqliteStore) {
    let mut entry = entry("failed-id", OpKind::VmSnapshotDelete, 70);
    store.begin(&entry).unwrap();
    entry.state = JournalState::Failed;
    entry.ended_at = Some(time(71));
    let mut error = Error::new(ErrorKind::Changed, line("the image /srv/images/vda.qcow2 is missing"));
    error.hint = Some(line("put it back"));
    entry.error = Some(error);
    let _committed = store.finish(&entry, None).unwrap();
}

fn open(store: &mut SqliteStore) {
    let mut entry = entry("open-id", OpKind::VmSnapshotCreate, 80);
    entry.plan = Some(plan("open-id", Outcome::new(vec![vm(WEB, "next", Some("try-b"), 81)])));
    store.begin(&entry).unwrap();
    store.advance(&entry.id, JournalState::Forward, 1, &Facts::default()).unwrap();
}
