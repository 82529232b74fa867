//! Plans as tables: what is known and asked on the left, the steps or the refusal on the right.

use std::time::Duration;

use uuid::Uuid;
use xensnap::contract::{
    Disk, Domain, DriverKind, ErrorKind, Line, OperationId, Plan, Request, Snapshot, StepAct, StepKind, Vdev,
};
use xensnap::wire::{self, AbsPath, RawJson, Timestamp};

use super::{Known, Limits, plan};
use crate::host::{
    DiskFacts, DomainFacts, FileFacts, HostError, ImageFacts, Instance, MemoryAbility, RunState,
};

const UUID: Uuid = Uuid::from_u128(7);

fn image(n: u8) -> ImageFacts {
    ImageFacts {
        file: format!("1:{n}"),
        virtual_size: 1 << 30,
        allocated: 1 << 20,
        cluster_size: 65536,
        tags: Vec::new(),
        backing: None,
        external_data: false,
        free: 10 << 30,
        same_as_open: true,
    }
}

fn disk(vdev: &str, n: u8) -> DiskFacts {
    let disk = Disk {
        vdev: Vdev::new(vdev).unwrap(),
        path: AbsPath::new(format!("/images/{vdev}.qcow2")).unwrap(),
        format: Line::lossy("qcow2"),
        read_only: false,
        cdrom: false,
        extra: Default::default(),
    };
    DiskFacts { disk, served: Ok(()), image: Ok(image(n)) }
}

fn facts(state: Option<RunState>) -> DomainFacts {
    let instance = state.map(|state| Instance {
        uuid: UUID,
        name: "web".into(),
        domid: 5,
        driver: DriverKind::Qemu,
        run: "1".into(),
        state,
    });
    DomainFacts {
        uuid: UUID,
        name: "web".into(),
        driver: DriverKind::Qemu,
        memory: instance.as_ref().map(|_| MemoryAbility {
            live: Ok(()),
            paused: Ok(()),
            ram: 128 << 20,
            writer: "QEMU 10.0.2".into(),
            lacks: None,
        }),
        instance,
        config: RawJson::new("{}").unwrap(),
        disks: vec![disk("xvda", 1), disk("xvdb", 2)],
        ram: 128 << 20,
        memory_free: 10 << 30,
        boots: None,
        reader: Some("QEMU 10.0.2".into()),
        can_boot: Ok(()),
        other_names: Vec::new(),
    }
}

fn running() -> DomainFacts {
    facts(Some(RunState::Running))
}

struct Ask<'a> {
    op: &'a str,
    facts: DomainFacts,
    snapshots: Vec<Snapshot>,
    stored: Option<Domain>,
    recorded: Vec<DiskFacts>,
    files: Vec<FileFacts>,
}

impl<'a> Ask<'a> {
    fn new(op: &'a str, facts: DomainFacts) -> Self {
        Self { op, facts, snapshots: Vec::new(), stored: None, recorded: Vec::new(), files: Vec::new() }
    }

    fn plan(&self) -> Result<Plan, HostError> {
        let request: Request = wire::from_str(&format!(r#"{{"contract":1,{}}}"#, self.op)).unwrap();
        plan(&Known {
            operation: &OperationId::new("op-1").unwrap(),
            op: &request.op,
            facts: &self.facts,
            stored: self.stored.as_ref(),
            snapshots: &self.snapshots,
            recorded: &self.recorded,
            files: &self.files,
            now: Timestamp::from_unix_nanos(1_700_000_000_000_000_000).unwrap(),
            nonce: Uuid::from_u128(42),
            folder: &AbsPath::new("/store").unwrap(),
            limits: &Limits {
                snapshots_max: 10,
                pause_max: Duration::from_secs(10),
                pause_grace: Duration::from_secs(15),
                space_left_min: 1 << 20,
            },
        })
    }

    fn steps(&self) -> String {
        let plan = self.plan().unwrap();
        let words =
            plan.steps.iter().map(|s| format!("{}{}", if s.no_return { "!" } else { "" }, s.act.kind()));
        words.collect::<Vec<_>>().join(" ")
    }

    fn refusal(&self) -> HostError {
        match self.plan() {
            Err(e) => e,
            Ok(p) => panic!("planned: {:?}", p.steps),
        }
    }
}

const VM: &str = r#""op.vm_snapshot_create":{"domain":"web"}"#;
const DISK: &str = r#""op.disk_snapshot_create":{"domain":"web"}"#;

#[test]
fn creates() {
    let paused_only = |mut f: DomainFacts| {
        f.memory.as_mut().unwrap().live = Err("no background-snapshot".into());
        f
    };
    let one = r#""op.disk_snapshot_create":{"domain":"web","disks":["xvdb"]}"#;
    let none = r#""op.vm_snapshot_create":{"domain":"web","memory":"none"}"#;
    for (what, op, facts, steps) in [
        (
            "live",
            VM,
            running(),
            "create_memory_file pause disks_create memory_begin release memory_complete sync commit",
        ),
        (
            "paused memory",
            VM,
            paused_only(running()),
            "create_memory_file pause disks_create memory_begin memory_complete release sync commit",
        ),
        (
            "an admin's pause",
            VM,
            facts(Some(RunState::Paused)),
            "create_memory_file disks_create memory_begin memory_complete sync commit",
        ),
        ("without memory", none, running(), "pause disks_create release sync commit"),
        ("stopped", VM, facts(None), "disks_create sync commit"),
        ("disks", DISK, running(), "pause disks_create release sync commit"),
        ("one disk is one instant by itself", one, running(), "disks_create sync commit"),
        ("disks of a stopped domain", DISK, facts(None), "disks_create sync commit"),
    ] {
        assert_eq!(Ask::new(op, facts).steps(), steps, "{what}");
    }
}

#[test]
fn a_record_says_what_its_instant_promises() {
    for (op, state, promise) in [
        (VM, Some(RunState::Running), "full"),
        (VM, Some(RunState::Paused), "full"),
        (DISK, Some(RunState::Running), "crash"),
        (VM, None, "offline"),
    ] {
        let plan = Ask::new(op, facts(state)).plan().unwrap();
        let record = record(&plan);
        assert_eq!(record.consistency.to_string(), promise);
        assert_eq!(record.name.as_str(), "1700000000", "the thread's default name");
        assert!(record.disks.iter().all(|d| d.tag.as_str().starts_with("xensnap-")));
    }
}

fn record(plan: &Plan) -> &Snapshot {
    match plan.steps.last().map(|s| &s.act) {
        Some(StepAct::Commit(o)) => &o.add[0],
        other => panic!("no commit: {other:?}"),
    }
}

fn snapshot(name: &str, op: &str) -> Snapshot {
    let mut s = record(&Ask::new(op, running()).plan().unwrap()).clone();
    s.id = OperationId::new(format!("id-{name}")).unwrap();
    s.name = xensnap::contract::SnapshotName::new(name).unwrap();
    s
}

#[test]
fn default_names_count_up() {
    let mut ask = Ask::new(VM, running());
    ask.snapshots = vec![snapshot("1700000000", VM), snapshot("1700000000-2", DISK)];
    assert_eq!(record(&ask.plan().unwrap()).name.as_str(), "1700000000-3");
}

#[test]
fn refusals_name_the_thing_and_the_way_out() {
    let with = |change: &dyn Fn(&mut DomainFacts)| {
        let mut f = running();
        change(&mut f);
        f
    };
    let img =
        |f: &mut DomainFacts, change: &dyn Fn(&mut ImageFacts)| change(f.disks[1].image.as_mut().unwrap());
    let named = r#""op.vm_snapshot_create":{"domain":"web","disks":["xvdz"]}"#;
    let emptied = r#""op.vm_snapshot_create":{"domain":"web","exclude_disks":["xvda","xvdb"]}"#;
    let hasty = r#""op.vm_snapshot_create":{"domain":"web","pause_max":1000}"#;
    let live = r#""op.vm_snapshot_create":{"domain":"web","memory":"live"}"#;
    let cases: Vec<(&str, &str, DomainFacts, ErrorKind, &str)> = vec![
        (
            "raw",
            VM,
            with(&|f| f.disks[1].disk.format = Line::lossy("raw")),
            ErrorKind::DiskUnsupported,
            "xvdb",
        ),
        ("read-only", VM, with(&|f| f.disks[1].disk.read_only = true), ErrorKind::DiskUnsupported, "xvdb"),
        ("cdrom", VM, with(&|f| f.disks[1].disk.cdrom = true), ErrorKind::DiskUnsupported, "xvdb"),
        ("data file", VM, with(&|f| img(f, &|i| i.external_data = true)), ErrorKind::DiskUnsupported, "xvdb"),
        (
            "deleted image",
            VM,
            with(&|f| f.disks[1].image = Err("/images/xvdb.qcow2: gone".into())),
            ErrorKind::Changed,
            "gone",
        ),
        (
            "swapped image",
            VM,
            with(&|f| img(f, &|i| i.same_as_open = false)),
            ErrorKind::Changed,
            "/images/xvdb.qcow2",
        ),
        (
            "one file twice",
            VM,
            with(&|f| img(f, &|i| i.file = "1:1".into())),
            ErrorKind::DiskUnsupported,
            "xvda and xvdb",
        ),
        ("no room in images", VM, with(&|f| img(f, &|i| i.free = 0)), ErrorKind::NoSpace, "xvdb"),
        ("no room for memory", VM, with(&|f| f.memory_free = 1 << 20), ErrorKind::NoSpace, "/store"),
        ("no such disk", named, running(), ErrorKind::NoDisk, "xvdz"),
        ("no disk left", emptied, running(), ErrorKind::NoDisk, "left"),
        ("too long a pause", hasty, running(), ErrorKind::Limit, "paused"),
        ("suspended", VM, facts(Some(RunState::Other("suspended"))), ErrorKind::DomainState, "suspended"),
        ("crashed", VM, facts(Some(RunState::Still("crashed"))), ErrorKind::DomainState, "crashed"),
        ("unknown state", VM, facts(Some(RunState::Unknown)), ErrorKind::DomainState, "state"),
        (
            "live asked",
            live,
            with(&|f| f.memory.as_mut().unwrap().live = Err("QEMU too old".into())),
            ErrorKind::DomainState,
            "too old",
        ),
    ];
    for (what, op, facts, kind, word) in cases {
        let e = Ask::new(op, facts).refusal();
        assert_eq!(e.kind, kind, "{what}: {e}");
        assert!(e.message.contains(word), "{what}: {}", e.message);
        assert!(e.hint.is_some(), "{what}: {} gives no way out", e.message);
    }
}

#[test]
fn a_crashed_domain_cannot_be_kept_before_it_is_reverted() {
    let vm = snapshot("a", VM);
    let first = r#""op.vm_snapshot_revert":{"domain":"web","snapshot":"a","snapshot_first":true}"#;
    let mut ask = Ask::new(first, holding(facts(Some(RunState::Still("crashed"))), &vm));
    ask.snapshots = vec![vm];
    let e = ask.refusal();
    assert!(e.kind == ErrorKind::DomainState && e.message.contains("crashed"), "{e}");
}

#[test]
fn a_taken_name_and_a_full_list_are_refused() {
    let op = r#""op.vm_snapshot_create":{"domain":"web","name":"a"}"#;
    let mut ask = Ask::new(op, running());
    ask.snapshots = vec![snapshot("a", DISK)];
    assert_eq!(ask.refusal().kind, ErrorKind::NameExists, "names are one space over both kinds");
    ask.snapshots = (0..10).map(|n| snapshot(&format!("s{n}"), DISK)).collect();
    assert_eq!(ask.refusal().kind, ErrorKind::Limit);
}

#[test]
fn a_name_of_digits_is_a_name_before_it_is_an_id() {
    let mut ask = Ask::new(r#""op.disk_snapshot_delete":{"domain":"web","snapshot":"2"}"#, running());
    let mut by_id = snapshot("1", DISK);
    by_id.id = OperationId::new("2").unwrap();
    let by_name = snapshot("2", DISK);
    ask.snapshots = vec![by_id, by_name.clone()];
    match ask.plan().unwrap().steps.last().map(|s| s.act.clone()) {
        Some(StepAct::Commit(o)) => assert_eq!(o.drop, Some(by_name.id)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn deletes() {
    let mut ask = Ask::new(r#""op.vm_snapshot_delete":{"domain":"web","snapshot":"a"}"#, running());
    ask.snapshots = vec![snapshot("a", VM)];
    assert_eq!(ask.steps(), "!disks_delete remove_file commit");
    ask.snapshots = vec![snapshot("a", DISK)];
    let e = ask.refusal();
    assert_eq!((e.kind, e.hint.as_deref()), (ErrorKind::NoSnapshot, Some("use disk-snapshot-delete")));
    ask.snapshots.clear();
    assert_eq!(ask.refusal().kind, ErrorKind::NoSnapshot);
    let mut ask = Ask::new(r#""op.disk_snapshot_delete":{"domain":"web","snapshot":"a"}"#, facts(None));
    ask.snapshots = vec![snapshot("a", DISK)];
    assert_eq!(ask.steps(), "!disks_delete commit");
}

/// Facts in which the images hold a snapshot's tags.
fn holding(mut facts: DomainFacts, s: &Snapshot) -> DomainFacts {
    for (d, content) in facts.disks.iter_mut().zip(&s.disks) {
        d.image.as_mut().unwrap().tags.push(content.tag.to_string());
    }
    facts
}

#[test]
fn reverts() {
    let vm = snapshot("a", VM);
    let disks = snapshot("a", DISK);
    let revert = r#""op.vm_snapshot_revert":{"domain":"web","snapshot":"a"}"#;
    let stopped = r#""op.vm_snapshot_revert":{"domain":"web","snapshot":"a","final_state":"stopped"}"#;
    let first = r#""op.vm_snapshot_revert":{"domain":"web","snapshot":"a","snapshot_first":true}"#;
    let boot = r#""op.vm_snapshot_revert":{"domain":"web","snapshot":"a","disks_only":true}"#;
    let one = r#""op.disk_snapshot_revert":{"domain":"web","snapshot":"a","disks":["xvda"]}"#;
    let one_running = r#""op.disk_snapshot_revert":{"domain":"web","snapshot":"a","disks":["xvda"],"final_state":"running"}"#;
    for (what, op, snapshot, state, steps) in [
        (
            "running",
            revert,
            &vm,
            Some(RunState::Running),
            "verify pause disks_create !end_domain disks_apply start_domain commit",
        ),
        (
            "paused",
            revert,
            &vm,
            Some(RunState::Paused),
            "verify disks_create !end_domain disks_apply start_domain commit",
        ),
        (
            "crashed",
            revert,
            &vm,
            Some(RunState::Still("crashed")),
            "verify disks_create !end_domain disks_apply start_domain commit",
        ),
        ("stopped", revert, &vm, None, "verify disks_create !disks_apply start_domain commit"),
        ("to stay stopped", stopped, &vm, None, "verify disks_create !disks_apply commit"),
        ("boot", boot, &vm, None, "verify disks_create !disks_apply start_domain commit"),
        (
            "snapshot first",
            first,
            &vm,
            Some(RunState::Running),
            "verify create_memory_file pause disks_create memory_begin memory_complete sync commit !end_domain disks_apply start_domain commit",
        ),
        ("disk, stopped", one, &disks, None, "verify disks_create !disks_apply commit"),
        ("disk, out of a VM snapshot", one, &vm, None, "verify disks_create !disks_apply commit"),
        (
            "disk, running",
            one_running,
            &disks,
            Some(RunState::Running),
            "verify pause disks_create !end_domain disks_apply start_domain commit",
        ),
    ] {
        let mut ask = Ask::new(op, holding(facts(state), snapshot));
        ask.snapshots = vec![snapshot.clone()];
        assert_eq!(ask.steps(), steps, "{what}");
    }
}

#[test]
fn a_revert_is_refused_before_anything_is_ended() {
    let vm = snapshot("a", VM);
    let revert = r#""op.vm_snapshot_revert":{"domain":"web","snapshot":"a"}"#;
    let ask = |op, facts: DomainFacts, s: &Snapshot| {
        let mut ask = Ask::new(op, facts);
        ask.snapshots = vec![s.clone()];
        ask
    };
    let lost = ask(revert, running(), &vm).refusal();
    assert_eq!(lost.kind, ErrorKind::Changed);
    assert!(lost.message.contains("has not the tag"), "{}", lost.message);

    let mut newer = holding(running(), &vm);
    newer.reader = Some("QEMU 7.2.1".into());
    let e = ask(revert, newer, &vm).refusal();
    assert!(e.hint.unwrap().contains("--disks-only"), "an older QEMU cannot read a newer one's memory");

    let mut deleting = vm.clone();
    deleting.deleting = true;
    assert_eq!(ask(revert, holding(running(), &vm), &deleting).refusal().kind, ErrorKind::NoSnapshot);

    let disk = r#""op.disk_snapshot_revert":{"domain":"web","snapshot":"a"}"#;
    let e = ask(disk, holding(running(), &vm), &vm).refusal();
    assert_eq!(e.kind, ErrorKind::DomainState, "a running domain's disks only by consent");
}

#[test]
fn a_disk_that_moved_is_reverted_where_its_tag_is() {
    let vm = snapshot("a", VM);
    let mut facts = running();
    // xvda's image is another one now; the recorded path still holds the snapshot.
    facts.disks[0].disk.path = AbsPath::new("/images/new.qcow2").unwrap();
    facts.disks[1].image.as_mut().unwrap().tags.push(vm.disks[1].tag.to_string());
    let mut old = disk("xvda", 9);
    old.image.as_mut().unwrap().tags.push(vm.disks[0].tag.to_string());
    let mut ask = Ask::new(r#""op.vm_snapshot_revert":{"domain":"web","snapshot":"a"}"#, facts);
    ask.snapshots = vec![vm];
    ask.recorded = vec![old];
    let plan = ask.plan().unwrap();
    let apply = plan.steps.iter().find(|s| s.act.kind() == StepKind::DisksApply).unwrap();
    match &apply.act {
        StepAct::DisksApply(t) => {
            assert_eq!(t.disks[0].path.as_str(), "/images/xvda.qcow2");
            assert_eq!(t.disks[0].file.as_str(), "1:9");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn versions_are_read_out_of_texts() {
    for (text, v) in
        [("QEMU 10.0.2 (Debian)", Some((10, 0))), ("qemu-7.2", Some((7, 2))), ("none", None), ("4", None)]
    {
        assert_eq!(super::revert::version(text), v, "{text}");
    }
}

/// A domain under Xen.
fn xen(state: Option<RunState>) -> DomainFacts {
    let mut f = facts(state);
    f.driver = DriverKind::Xen;
    f.config = RawJson::new(r#"{"c_info":{"name":"web","type":"pv"},"b_info":{}}"#).unwrap();
    f.reader = Some("Xen 4.17.7".into());
    if let Some(m) = &mut f.memory {
        m.writer = "Xen 4.17.7".into();
    }
    f
}

#[test]
fn under_xen_memory_comes_before_the_disks() {
    let live = r#""op.vm_snapshot_create":{"domain":"web","memory":"live"}"#;
    let none = r#""op.vm_snapshot_create":{"domain":"web","memory":"none"}"#;
    let memory = "create_memory_file pause memory_begin disks_create release memory_complete sync commit";
    for (op, steps, method, is_live) in [
        (VM, memory, "xen_suspend", Some(false)),
        (live, memory, "xen_suspend", Some(true)),
        (none, "pause disks_create release sync commit", "xen_pause", None),
    ] {
        let ask = Ask::new(op, xen(Some(RunState::Running)));
        assert_eq!(ask.steps(), steps, "{op}");
        let plan = ask.plan().unwrap();
        let pause =
            plan.steps.iter().find_map(|s| if let StepAct::Pause(p) = &s.act { Some(p) } else { None });
        assert_eq!(pause.unwrap().method.to_string(), method, "{op}");
        let out =
            plan.steps.iter().find_map(|s| if let StepAct::MemoryBegin(m) = &s.act { Some(m) } else { None });
        assert_eq!(out.map(|m| m.live), is_live, "live only when it is asked for: {op}");
    }
    let mut paused = xen(Some(RunState::Paused));
    paused.memory.as_mut().unwrap().paused = Err("it is paused".into());
    let e = Ask::new(VM, paused).refusal();
    assert!(e.kind == ErrorKind::DomainState && e.message.contains("it is paused"), "{e}");
}

#[test]
fn what_a_save_without_libxl_lacks_is_said_where_memory_is_saved() {
    let mut facts = xen(Some(RunState::Running));
    facts.memory.as_mut().unwrap().lacks = Some("nobody acts on its reboot".into());
    for (op, said) in [(VM, 1), (r#""op.vm_snapshot_create":{"domain":"web","memory":"none"}"#, 0), (DISK, 0)]
    {
        let warnings = Ask::new(op, facts.clone()).plan().unwrap().warnings;
        assert_eq!(warnings.iter().filter(|w| w.as_str().contains("reboot")).count(), said, "{op}");
    }
}

#[test]
fn a_disk_that_no_qemu_serves_is_refused_by_name_unless_it_is_left_out() {
    let mut facts = xen(Some(RunState::Running));
    facts.disks[1].served = Err("the kernel serves /dev/vg/b to it (backend phy), not a QEMU".into());
    let e = Ask::new(VM, facts.clone()).refusal();
    assert_eq!(e.kind, ErrorKind::DiskUnsupported);
    assert!(e.message.contains("xvdb") && e.message.contains("backend phy"), "{e}");
    let without = r#""op.vm_snapshot_create":{"domain":"web","exclude_disks":["xvdb"]}"#;
    assert!(Ask::new(without, facts).plan().is_ok());
}

#[test]
fn what_cannot_be_started_again_is_not_ended() {
    let snap = || {
        let mut s = record(&Ask::new(VM, xen(Some(RunState::Running))).plan().unwrap()).clone();
        s.name = xensnap::contract::SnapshotName::new("a").unwrap();
        s
    };
    let revert = |op: &'static str, change: &dyn Fn(&mut DomainFacts)| {
        let snapshot = snap();
        let mut facts = holding(xen(Some(RunState::Running)), &snapshot);
        change(&mut facts);
        let mut ask = Ask::new(op, facts);
        ask.snapshots = vec![snapshot];
        ask
    };
    let memory = r#""op.vm_snapshot_revert":{"domain":"web","snapshot":"a"}"#;
    let boot = r#""op.vm_snapshot_revert":{"domain":"web","snapshot":"a","disks_only":true}"#;
    let stopped = r#""op.vm_snapshot_revert":{"domain":"web","snapshot":"a","disks_only":true,"final_state":"stopped"}"#;
    assert!(revert(memory, &|_| {}).plan().is_ok());
    let taken = |f: &mut DomainFacts| f.other_names = vec!["web".into()];
    assert!(revert(memory, &taken).refusal().message.contains("the name web"));
    assert!(revert(stopped, &taken).plan().is_ok(), "nothing is started");
    let no_libxl = |f: &mut DomainFacts| f.can_boot = Err("no libxl".into());
    assert!(revert(boot, &no_libxl).refusal().message.contains("no libxl"));
    assert!(revert(memory, &no_libxl).plan().is_ok(), "xl restore needs none of ours");
    for (now, fits) in
        [("Xen 4.16.2", false), ("Xen 4.18.0", true), ("Xen 4.20.1", false), ("Xen 5.0.0", false)]
    {
        let reads = revert(memory, &|f| f.reader = Some(now.into())).plan();
        assert_eq!(reads.is_ok(), fits, "4.17's image under {now}");
    }
}

#[test]
fn boot_files_are_recorded_kept_and_compared() {
    let path = |p: &str| AbsPath::new(p).unwrap();
    let sum = |c: char| xensnap::contract::Sha256::new(c.to_string().repeat(64)).unwrap();
    let file = |p: &str, c: char| FileFacts { path: path(p), found: Ok((5, sum(c))) };
    let keep = r#""op.vm_snapshot_create":{"domain":"web","keep_boot_files":true}"#;
    let mut facts = xen(Some(RunState::Running));
    facts.config =
        RawJson::new(r#"{"c_info":{"name":"web","type":"pv"},"b_info":{"kernel":"/boot/k"}}"#).unwrap();
    facts.boots = Some(crate::host::driver::Boots {
        files: vec![(xensnap::contract::BootRole::Kernel, path("/boot/k"))],
        cmdline: Some("quiet".into()),
    });
    let mut create = Ask::new(keep, facts.clone());
    create.files = vec![file("/boot/k", 'a')];
    assert!(create.steps().starts_with("copy_files create_memory_file pause"), "{}", create.steps());
    let mut snapshot = record(&create.plan().unwrap()).clone();
    snapshot.name = xensnap::contract::SnapshotName::new("a").unwrap();
    create.files = vec![FileFacts { path: path("/boot/k"), found: Err("gone".into()) }];
    assert_eq!(create.refusal().kind, ErrorKind::Changed, "what is to be kept must be there");

    let copy = format!("/store/{UUID}/op-1.kernel");
    let revert = r#""op.vm_snapshot_revert":{"domain":"web","snapshot":"a"}"#;
    for (now, kept, warned, kernel) in [
        ('a', 'a', "", "/boot/k"),
        ('b', 'a', "the copy kept is used", copy.as_str()),
        ('b', 'c', "not what was kept", "/boot/k"),
    ] {
        let mut ask = Ask::new(revert, holding(facts.clone(), &snapshot));
        ask.snapshots = vec![snapshot.clone()];
        ask.files = vec![file("/boot/k", now), file(&copy, kept)];
        let plan = ask.plan().unwrap();
        let words: Vec<&str> =
            plan.warnings.iter().map(|w| w.as_str()).filter(|w| w.contains("kernel")).collect();
        assert_eq!(words.is_empty(), warned.is_empty(), "{words:?}");
        assert!(words.iter().all(|w| w.contains(warned)), "{words:?}");
        let start =
            plan.steps.iter().find_map(|s| if let StepAct::StartDomain(s) = &s.act { Some(s) } else { None });
        assert!(start.unwrap().config.as_str().contains(&format!("\"kernel\":\"{kernel}\"")), "{kernel}");
    }
    let mut used = facts;
    used.boots.as_mut().unwrap().files[0].1 = path(&copy);
    let mut delete = Ask::new(r#""op.vm_snapshot_delete":{"domain":"web","snapshot":"a"}"#, used);
    delete.snapshots = vec![snapshot];
    assert!(delete.refusal().message.contains("boots from"), "the domain could not reboot");
    delete.facts.boots = None;
    assert_eq!(delete.steps(), "!disks_delete remove_file remove_file commit");
}
