//! Requests that cannot be carried out, or should not: each is answered in words, and nothing is touched. The guests are idle QEMUs (`-S`).

use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use xensnap::contract::{ErrorKind, Operation, OperationState, Plan, Request};
use xensnap::wire;
use xensnap_store::Read;

use crate::rig::dom0::{Dom0, tags};
use crate::rig::guest::{DiskKind, DiskSpec, Guest, GuestSpec};
use crate::rig::xenstored::Kind;
use crate::whole::{SOON, all_or_nothing, settled, uuid};

fn idle(kind: Kind) -> (Dom0, Guest) {
    let mut dom0 = Dom0::new(kind);
    let guest = dom0.guest(GuestSpec::idle("web1"));
    (dom0, guest)
}

/// The operation was refused, for this reason, in these words.
fn refused(dom0: &Dom0, operation: &Operation, kind: ErrorKind, words: &[&str]) {
    assert_eq!(operation.state, OperationState::Refused, "{operation:?}");
    let error = operation.error.as_ref().expect("an error");
    assert_eq!(error.kind, kind, "{error:?}");
    let hint = error.hint.as_ref().map(ToString::to_string).unwrap_or_default();
    for word in words {
        assert!(
            error.message.as_str().contains(word) || hint.contains(word),
            "{word}: {error:?}\n{}",
            dom0.agent_log()
        );
    }
}

/// Waits until the agent says that it has ignored so many requests.
fn ignored(dom0: &Dom0, at_least: u64) {
    let limit = Instant::now() + SOON;
    while dom0.status().is_none_or(|s| s.ignored < at_least) {
        assert!(Instant::now() < limit, "{:?}\n{}", dom0.status(), dom0.agent_log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn malformed(kind: Kind) {
    use ErrorKind::{BadRequest, NoDisk, NoDomain, NoOperation, NoSnapshot};
    let (dom0, guest) = idle(kind);
    let long = "n".repeat(65);
    let create =
        |rest: &str| format!(r#"{{"contract":1,"op.vm_snapshot_create":{{"domain":"web1"{rest}}}}}"#);
    let cases: Vec<(String, ErrorKind, Vec<&str>)> = vec![
        ("".into(), BadRequest, vec!["not understood"]),
        ("{".into(), BadRequest, vec!["line 1"]),
        (
            "{\"contract\":1,\"op.cancel\":{\"operation\":\"\u{1}\"}}".into(),
            BadRequest,
            vec!["not understood"],
        ),
        (r#"{"contract":1}"#.into(), BadRequest, vec!["op"]),
        (r#"{"contract":2,"op.cancel":{"operation":"x"}}"#.into(), BadRequest, vec!["contract"]),
        (
            r#"{"contract":1,"op.vm_snapshot_creat":{"domain":"web1"}}"#.into(),
            BadRequest,
            vec!["op.vm_snapshot_create`?"],
        ),
        (create(r#","nmae":"x""#), BadRequest, vec!["op.vm_snapshot_create", "nmae", "`name`"]),
        (create(r#","memory":"lvie""#), BadRequest, vec!["op.vm_snapshot_create.memory", "lvie", "`live`"]),
        (create(r#","memory":7"#), BadRequest, vec!["op.vm_snapshot_create.memory"]),
        (create(r#","disks":"vda""#), BadRequest, vec!["op.vm_snapshot_create.disks"]),
        (create(r#","disks":[]"#), BadRequest, vec!["disks"]),
        (create(r#","disks":["vda",7]"#), BadRequest, vec!["disks[1]"]),
        (create(r#","pause_max":-1"#), BadRequest, vec!["pause_max"]),
        (create(r#","name":"a","name":"b""#), BadRequest, vec!["name"]),
        (create(r#","name":"""#), BadRequest, vec!["op.vm_snapshot_create.name"]),
        (create(&format!(r#","name":"{long}""#)), BadRequest, vec!["op.vm_snapshot_create.name"]),
        (create(r#","name":"a/b""#), BadRequest, vec!["op.vm_snapshot_create.name", "a/b"]),
        (create(r#","name":"../../etc""#), BadRequest, vec!["op.vm_snapshot_create.name"]),
        (create(r#","name":"-rf""#), BadRequest, vec!["op.vm_snapshot_create.name"]),
        (create(r#","name":"Grün""#), BadRequest, vec!["op.vm_snapshot_create.name"]),
        (create(r#","disks":["vdx"]"#), NoDisk, vec!["vdx", "vda, vdb"]),
        (create(r#","exclude_disks":["vda","vdb"]"#), NoDisk, vec!["no disk"]),
        (create(r#","pause_max":1,"memory":"none","disks":["vda"]"#), ErrorKind::Limit, vec![]),
        (r#"{"contract":1,"op.vm_snapshot_create":{"domain":"web2"}}"#.into(), NoDomain, vec!["web2"]),
        (r#"{"contract":1,"op.vm_snapshot_create":{"domain":"77"}}"#.into(), NoDomain, vec!["77"]),
        (
            r#"{"contract":1,"op.vm_snapshot_revert":{"domain":"web1","snapshot":"nope"}}"#.into(),
            NoSnapshot,
            vec!["nope"],
        ),
        (
            r#"{"contract":1,"op.vm_snapshot_delete":{"domain":"web1","snapshot":"nope"}}"#.into(),
            NoSnapshot,
            vec!["nope"],
        ),
        (r#"{"contract":1,"op.cancel":{"operation":"nope"}}"#.into(), NoOperation, vec!["nope"]),
        (
            r#"{"contract":1,"op.domain_adopt":{"old":"x","new":"y"}}"#.into(),
            BadRequest,
            vec!["op.domain_adopt.old"],
        ),
    ];
    for (n, (body, kind, words)) in cases.iter().enumerate() {
        let id = format!("bad{n}");
        dom0.write(&Request::xenstore_path(&id), body.as_bytes());
        let operation = dom0.wait(&id);
        println!("{body}: {:?}", operation.error);
        if *kind == ErrorKind::Limit {
            continue; // an idle guest is not paused: nothing to refuse; it ends either way
        }
        refused(&dom0, &operation, kind.clone(), words);
    }
    settled_but(&dom0, &guest);
    dom0.write(&Request::xenstore_path("bytes"), b"{\"contract\":1,\"op.cancel\":{\"operation\":\"\xff\"}}");
    refused(&dom0, &dom0.wait("bytes"), BadRequest, &["UTF-8"]);
    all_or_nothing(&dom0, &guest, &["bad22"]);
}

/// `pause_max` does not hold for a paused guest: that one case makes a snapshot.
fn settled_but(dom0: &Dom0, guest: &Guest) {
    settled(dom0, guest, &["bad22"]);
}

#[test]
fn a_malformed_request_is_told_where_and_what_was_meant_c() {
    malformed(Kind::C);
}

#[test]
fn a_malformed_request_is_told_where_and_what_was_meant_ox() {
    malformed(Kind::Ox);
}

#[test]
fn a_request_of_more_than_2048_bytes_is_refused_by_the_agent_or_by_xenstored() {
    for kind in [Kind::C, Kind::Ox] {
        let (dom0, guest) = idle(kind);
        for size in [2049, 3900, 5000] {
            let id = format!("long{size}");
            let head = r#"{"contract":1,"op.vm_snapshot_create":{"domain":"web1","description":""#;
            let body = format!("{head}{}\"}}}}", "d".repeat(size - head.len() - 3));
            assert_eq!(body.len(), size);
            match dom0.try_write(&Request::xenstore_path(&id), body.as_bytes()) {
                Ok(()) => {
                    assert!(size < 4096);
                    refused(&dom0, &dom0.wait(&id), ErrorKind::BadRequest, &["2048", &size.to_string()]);
                }
                Err(e) => assert!(kind == Kind::Ox || size > 4000, "the writer sees it: {e}"),
            }
        }
        all_or_nothing(&dom0, &guest, &[]);
    }
}

#[test]
fn names_that_are_numbers_work_and_those_that_exist_do_not() {
    let (dom0, guest) = idle(Kind::Ox);
    let ask = |id: &str, name: &str| {
        dom0.ask(id, &format!(r#""op.disk_snapshot_create":{{"domain":"web1","name":"{name}"}}"#))
    };
    let longest = "n".repeat(64);
    for (id, name) in [("one", "1"), ("epoch", "1700000000"), ("longest", &longest)] {
        assert_eq!(ask(id, name).state, OperationState::Done, "{name}");
    }
    let again = ask("again", "1");
    refused(&dom0, &again, ErrorKind::NameExists, &["1", "another name"]);
    let other = r#""op.vm_snapshot_create":{"domain":"web1","name":"epoch","memory":"none"}"#;
    dom0.done("vm", other); // an id is no name
    refused(
        &dom0,
        &dom0.ask("vm2", r#""op.vm_snapshot_create":{"domain":"web1","name":"1700000000","memory":"none"}"#),
        ErrorKind::NameExists,
        &["1700000000"],
    );
    assert!(tags(&guest.image("vda")).iter().all(|t| t.starts_with("xensnap-")), "never the user's name");
    all_or_nothing(&dom0, &guest, &["one", "epoch", "longest", "vm"]);
    dom0.done("del", r#""op.disk_snapshot_delete":{"domain":"web1","snapshot":"1"}"#);
    all_or_nothing(&dom0, &guest, &["epoch", "longest", "vm"]);
}

#[test]
fn escapes_and_other_languages_go_through_the_xenstore_tools() {
    for kind in [Kind::C, Kind::Ox] {
        let (dom0, guest) = idle(kind);
        let body = r#"{"contract":1,"op.disk_snapshot_create":{"domain":"web1","name":"a","description":"vor \"Größe\" \\ 数 \ud83d\ude00 \u00e9/\/"}}"#;
        let path = Request::xenstore_path("tool");
        dom0.daemon.tool("xenstore-write", &["-R", &path, body]);
        assert_eq!(dom0.wait("tool").state, OperationState::Done, "{:?}", dom0.operation("tool"));
        let record = dom0.reader().snapshot(&Dom0::id("tool")).unwrap().expect("a record");
        assert_eq!(record.description.unwrap().as_str(), "vor \"Größe\" \\ 数 😀 é//");
        // An error that repeats such text is read back by the tool as what it was.
        let body = r#"{"contract":1,"op.disk_snapshot_create":{"domain":"web1","memo\"ry\\é":1}}"#;
        dom0.daemon.tool("xenstore-write", &["-R", &Request::xenstore_path("odd"), body]);
        dom0.wait("odd");
        let text = dom0.daemon.tool("xenstore-read", &["-R", &Operation::xenstore_path("odd")]);
        let operation: Operation = wire::from_str(text.trim_end_matches('\n')).expect("JSON");
        refused(&dom0, &operation, ErrorKind::BadRequest, &["memo", "é"]);
        all_or_nothing(&dom0, &guest, &["tool"]);
    }
}

#[test]
fn the_same_id_is_the_same_operation_and_other_bytes_are_ignored() {
    let (mut dom0, guest) = idle(Kind::C);
    let body = r#""op.disk_snapshot_create":{"domain":"web1","name":"a"}"#;
    let first = dom0.done("one", body);
    for again in 0..2 {
        dom0.remove(&Operation::xenstore_path("one"));
        dom0.send("one", body);
        let second = dom0.wait("one");
        assert_eq!((&second.state, second.ended_at), (&first.state, first.ended_at), "time {again}");
        settled(&dom0, &guest, &["one"]); // the request is consumed: what is written next under its id is not
        dom0.kill_agent();
        dom0.start_agent(&[]);
    }
    dom0.send("one", r#""op.disk_snapshot_create":{"domain":"web1","name":"b"}"#);
    ignored(&dom0, 1);
    assert_eq!(dom0.wait("one").ended_at, first.ended_at, "the first one's operation stays");
    all_or_nothing(&dom0, &guest, &["one"]);
}

#[test]
fn only_dom0_asks_and_only_by_ids() {
    for kind in [Kind::C, Kind::Ox] {
        let (mut dom0, guest) = idle(kind);
        let body = r#"{"contract":1,"op.disk_snapshot_create":{"domain":"web1"}}"#;
        // Ids that xenstore can name and the contract cannot.
        for odd in ["a@b", &"i".repeat(65)] {
            dom0.try_write(&format!("{}/{odd}", Request::XENSTORE_FOLDER), body.as_bytes()).unwrap();
        }
        ignored(&dom0, 2);
        let mut fake = dom0.fake_guest(44);
        for path in
            [Request::xenstore_path("mine"), Operation::xenstore_path("mine"), "/tool/xensnap/agent".into()]
        {
            assert!(fake.write(&path, body.as_bytes()).is_err(), "{path}: a guest wrote there");
            assert!(fake.read(&path).is_err(), "{path}: a guest read there");
        }
        assert!(fake.directory(Request::XENSTORE_FOLDER).is_err());
        // Its own folder is not watched: nothing comes of it.
        dom0.write("/local/domain/44/data", b"");
        dom0.give("/local/domain/44/data", 44);
        fake.write("/local/domain/44/data/xensnap/request/own", body.as_bytes()).unwrap();
        // A key that dom0 made and gave away holds the guest's bytes.
        let given = Request::xenstore_path("given");
        dom0.kill_agent();
        dom0.write(&given, b"");
        dom0.give(&given, 44);
        fake.write(&given, body.as_bytes()).unwrap();
        dom0.start_agent(&[]);
        ignored(&dom0, 1);
        assert_eq!(dom0.operation("given"), None);
        assert_eq!(dom0.operation("own"), None);
        all_or_nothing(&dom0, &guest, &[]);
    }
}

#[test]
fn a_disk_that_no_provider_takes_is_refused_by_name() {
    let cases: Vec<(&str, DiskSpec)> = vec![
        ("raw", DiskSpec { kind: DiskKind::Raw, ..DiskSpec::qcow2("vdc") }),
        ("external file", DiskSpec { kind: DiskKind::Qcow2DataFile, ..DiskSpec::qcow2("vdc") }),
        ("read-only", DiskSpec { read_only: true, ..DiskSpec::qcow2("vdc") }),
        ("CD-ROM", DiskSpec { cdrom: true, ..DiskSpec::qcow2("vdc") }),
    ];
    let mut dom0 = Dom0::new(Kind::Ox);
    for (n, (word, disk)) in cases.into_iter().enumerate() {
        let name = format!("web{n}");
        let mut spec = GuestSpec::idle(&name);
        spec.disks.push(disk);
        let guest = dom0.guest(spec);
        for (m, op) in ["vm_snapshot_create", "disk_snapshot_create"].iter().enumerate() {
            let of = format!(r#""op.{op}":{{"domain":"{name}""#);
            let whole = dom0.ask(&format!("{n}{m}whole"), &format!("{of}}}"));
            refused(&dom0, &whole, ErrorKind::DiskUnsupported, &["vdc", word]);
            let named = dom0.ask(&format!("{n}{m}named"), &format!(r#"{of},"disks":["vdc"]}}"#));
            refused(&dom0, &named, ErrorKind::DiskUnsupported, &["vdc", word]);
        }
        settled(&dom0, &guest, &[]);
        let of = format!(r#""op.disk_snapshot_create":{{"domain":"{name}""#);
        let (a, b) = (format!("{n}some"), format!("{n}but"));
        dom0.done(&a, &format!(r#"{of},"disks":["vda"]}}"#));
        dom0.done(&b, &format!(r#"{of},"exclude_disks":["vdc"]}}"#));
        assert_eq!((tags(&guest.image("vda")).len(), tags(&guest.image("vdb")).len()), (2, 1));
        settled(&dom0, &guest, &[&a, &b]);
    }
}

#[test]
fn a_dry_run_touches_nothing_and_leaves_its_plan() {
    let (dom0, guest) = idle(Kind::C);
    let dry = |id: &str, body: &str| {
        let operation = dom0.done(id, &format!(r#""dry_run":true,{body}"#));
        assert!(operation.dry_run);
        let result = operation.result.expect("a plan");
        let bytes = std::fs::read(result.path.as_path()).unwrap();
        assert_eq!(bytes.len() as u64, result.size);
        let sum: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(sum, result.sha256.to_string());
        wire::from_slice::<Plan>(&bytes).expect("a plan of the contract")
    };
    let plan = dry("d1", r#""op.vm_snapshot_create":{"domain":"web1","name":"a"}"#);
    assert_eq!((plan.domain, plan.operation.as_str()), (uuid(&guest), "d1"));
    settled(&dom0, &guest, &[]);
    dom0.done("a", r#""op.vm_snapshot_create":{"domain":"web1","name":"a","memory":"none"}"#);
    assert!(dry("d2", r#""op.vm_snapshot_delete":{"domain":"web1","snapshot":"a"}"#).steps.len() > 1);
    let pid = guest.pid();
    dry("d3", r#""op.vm_snapshot_revert":{"domain":"web1","snapshot":"a"}"#);
    assert_eq!(guest.pid(), pid);
    let refused =
        dom0.ask("d4", r#""dry_run":true,"op.vm_snapshot_delete":{"domain":"web1","snapshot":"b"}"#);
    assert_eq!(refused.state, OperationState::Refused);
    all_or_nothing(&dom0, &guest, &["a"]);
}

#[test]
fn an_operation_is_cancelled_while_it_waits_runs_or_not_at_all() {
    let mut dom0 = Dom0::without_agent(Kind::Ox);
    let guest = dom0.guest(GuestSpec::counting("web1"));
    dom0.start_agent(&[("XENSNAPD_FAULT", "step.memory_complete.before=sleep2000")]);
    dom0.send("running", r#""op.vm_snapshot_create":{"domain":"web1","name":"a","memory":"live"}"#);
    dom0.wait_for("running", |o| o.state == OperationState::Running);
    dom0.send("queued", r#""op.vm_snapshot_create":{"domain":"web1","name":"b"}"#);
    dom0.wait_for("queued", |o| o.state == OperationState::Queued);
    dom0.done("c1", r#""op.cancel":{"operation":"queued"}"#);
    dom0.done("c2", r#""op.cancel":{"operation":"running"}"#);
    for id in ["running", "queued"] {
        let operation = dom0.wait(id);
        assert_eq!(operation.state, OperationState::Cancelled, "{operation:?}");
        assert_eq!(operation.error.unwrap().kind, ErrorKind::Cancelled);
    }
    all_or_nothing(&dom0, &guest, &[]);
    dom0.done("whole", r#""op.vm_snapshot_create":{"domain":"web1","name":"a"}"#);
    for (id, of) in [("c3", "whole"), ("c4", "running"), ("c5", "unknown")] {
        let operation = dom0.ask(id, &format!(r#""op.cancel":{{"operation":"{of}"}}"#));
        let error = operation.error.as_ref().expect("an error");
        assert_eq!(error.kind, ErrorKind::NoOperation);
    }
    all_or_nothing(&dom0, &guest, &["whole"]);
}

#[test]
fn two_live_domains_with_one_uuid_are_refused() {
    let (mut dom0, guest) = idle(Kind::C);
    let twin = dom0.guest(GuestSpec { uuid: guest.spec().uuid.clone(), ..GuestSpec::idle("web1b") });
    let domid = twin.domid().to_string();
    for (id, of) in [("name", "web1"), ("uuid", guest.spec().uuid.as_str()), ("domid", domid.as_str())] {
        let operation = dom0.ask(id, &format!(r#""op.vm_snapshot_create":{{"domain":"{of}"}}"#));
        refused(&dom0, &operation, ErrorKind::NoDomain, &[&domid, "UUID"]);
    }
    twin.unregister(&dom0.daemon.socket());
    twin.kill9(); // both: they have one UUID
    guest.boot();
    guest.register(&dom0.daemon.socket());
    all_or_nothing(&dom0, &guest, &[]);
}

#[test]
fn refusals_are_limited_and_the_next_good_request_works() {
    let (dom0, guest) = idle(Kind::Ox);
    for n in 0..400 {
        dom0.write(&Request::xenstore_path(format!("flood{n}")), b"nonsense");
    }
    ignored(&dom0, 1);
    all_or_nothing(&dom0, &guest, &[]);
}

#[test]
fn a_deleted_or_swapped_image_is_refused() {
    let (dom0, guest) = idle(Kind::C);
    dom0.done("a", r#""op.vm_snapshot_create":{"domain":"web1","name":"a","memory":"none"}"#);
    let (image, aside) = (guest.image("vda"), guest.dir().join("aside"));
    let ask = |id: &str, op: &str| dom0.ask(id, &format!(r#""op.{op}{{"domain":"web1","snapshot":"a"}}"#));
    std::fs::rename(&image, &aside).unwrap();
    let gone = dom0.ask("gone", r#""op.disk_snapshot_create":{"domain":"web1"}"#);
    refused(&dom0, &gone, ErrorKind::Changed, &["vda"]);
    let back = ask("gone-r", r#"vm_snapshot_revert":"#);
    refused(&dom0, &back, ErrorKind::Changed, &["vda"]);
    // Another image is now where the config says; QEMU has the first one open.
    #[expect(clippy::disallowed_methods, reason = "a test starts qemu-img")]
    let made = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2"])
        .arg(&image)
        .arg("64M")
        .status()
        .unwrap();
    assert!(made.success());
    let swapped = dom0.ask("swapped", r#""op.disk_snapshot_create":{"domain":"web1"}"#);
    refused(&dom0, &swapped, ErrorKind::Changed, &["vda", "open"]);
    let back = ask("swapped-r", r#"vm_snapshot_revert":"#);
    refused(&dom0, &back, ErrorKind::Changed, &["vda"]);
    assert_eq!(tags(&image), Vec::<String>::new(), "the other image is not touched");
    std::fs::rename(&aside, &image).unwrap();
    all_or_nothing(&dom0, &guest, &["a"]);
}

#[test]
fn a_qmp_socket_that_another_client_holds_or_that_is_not_there() {
    let (dom0, guest) = idle(Kind::Ox);
    let holder = UnixStream::connect(guest.qmp()).unwrap();
    let held = dom0.ask("held", r#""op.disk_snapshot_create":{"domain":"web1"}"#);
    refused(&dom0, &held, ErrorKind::QmpUnavailable, &["web1"]);
    drop(holder);
    all_or_nothing(&dom0, &guest, &[]);
    let aside = guest.dir().join("qmp-aside");
    std::fs::rename(guest.qmp(), &aside).unwrap();
    let missing = dom0.ask("missing", r#""op.disk_snapshot_create":{"domain":"web1"}"#);
    refused(&dom0, &missing, ErrorKind::QmpUnavailable, &["web1"]);
    std::fs::rename(&aside, guest.qmp()).unwrap();
    all_or_nothing(&dom0, &guest, &[]);
}

#[test]
fn a_domain_is_adopted_and_forgotten() {
    let mut dom0 = Dom0::new(Kind::C);
    let spec = GuestSpec::idle("web1");
    let old = dom0.guest(spec.clone());
    dom0.done("a", r#""op.disk_snapshot_create":{"domain":"web1","name":"a"}"#);
    let running = dom0.ask("early", r#""op.domain_forget":{"domain":"web1"}"#);
    assert_eq!(running.error.unwrap().kind, ErrorKind::DomainState);
    old.kill9();
    old.unregister(&dom0.daemon.socket());
    // xl create of a config without uuid=: the same domain, by a new UUID, on the same images.
    let mut again = GuestSpec { uuid: GuestSpec::idle("x").uuid, ..spec };
    for disk in &mut again.disks {
        disk.image = Some(old.image(&disk.vdev));
    }
    again.name = "web1b".into();
    let new = dom0.guest(again);
    let adopt = format!(r#""op.domain_adopt":{{"old":"{}","new":"{}"}}"#, uuid(&old), uuid(&new));
    dom0.done("adopt", &adopt);
    assert_eq!(dom0.reader().snapshots(uuid(&new)).unwrap().len(), 1);
    assert!(dom0.reader().snapshots(uuid(&old)).unwrap().is_empty());
    let twice = dom0.ask("adopt2", &adopt);
    assert_ne!(twice.state, OperationState::Done, "{twice:?}");
    dom0.done("del", r#""op.disk_snapshot_delete":{"domain":"web1b","snapshot":"a"}"#);
    all_or_nothing(&dom0, &new, &[]);
    new.kill9();
    new.unregister(&dom0.daemon.socket());
    dom0.done("forget", &format!(r#""op.domain_forget":{{"domain":"{}"}}"#, uuid(&new)));
    assert!(dom0.reader().domain(uuid(&new)).unwrap().is_none());
    let unknown = dom0.ask("forget2", r#""op.domain_forget":{"domain":"web1b"}"#);
    refused(&dom0, &unknown, ErrorKind::NoDomain, &["web1b"]);
}
