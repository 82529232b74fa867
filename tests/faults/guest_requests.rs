//! What guests ask about themselves: admitted, refused or not even listened to. The guests speak through their xenstore rings, with an unprivileged domain's
//! rights and quotas, on the real daemons.

use std::time::{Duration, Instant};

use xensnap::contract::{ErrorKind, Operation, OperationState};
use xensnap::paths;
use xensnap::wire;
use xensnap_store::Read;

use crate::rig::dom0::{Dom0, ended, tags};
use crate::rig::guest::{Guest, GuestSpec};
use crate::rig::xenstored::{Guest as Ring, Kind, Refused};
use crate::whole::{SOON, all_or_nothing, settled, uuid};

/// web1, and what its guest says.
struct World {
    dom0: Dom0,
    guest: Guest,
    ring: Ring,
}

const DOMID: u32 = 5;
const CREATE: &str = r#"{"contract":1,"op.disk_snapshot_create":{"domain":"self"}}"#;

/// A domain's part of xenstore, as libxl makes it: its home is dom0's and it may read it; `data` is its own. Returns its guest.
fn home(dom0: &Dom0, domid: u32) -> Ring {
    let ring = dom0.fake_guest(domid);
    let home = format!("/local/domain/{domid}");
    dom0.let_read(&home, domid);
    dom0.write(&format!("{home}/data"), b"");
    dom0.give(&format!("{home}/data"), domid);
    ring
}

impl World {
    /// `rule`: what the configuration says of web1 besides its UUID.
    fn new(kind: Kind, rule: &str) -> Self {
        let mut dom0 = Dom0::without_agent(kind);
        let spec = GuestSpec::idle("web1");
        dom0.config = format!("[[guest]]\nuuid = \"{}\"\n{rule}\n", spec.uuid);
        let guest = dom0.guest(spec);
        let ring = home(&dom0, DOMID);
        dom0.start_agent(&[]);
        Self { dom0, guest, ring }
    }

    fn ask(&mut self, id: &str, body: &str) -> Operation {
        self.ring.write(&format!("data/xensnap/request/{id}"), body.as_bytes()).unwrap();
        self.told(id)
    }

    /// The end of an operation, as the guest reads it.
    fn told(&mut self, id: &str) -> Operation {
        let limit = Instant::now() + SOON;
        loop {
            if let Ok(bytes) = self.ring.read(&format!("xensnap/operation/{id}")) {
                assert!(bytes.len() <= 2048);
                let operation: Operation = wire::from_slice(&bytes).unwrap();
                if ended(&operation) {
                    return operation;
                }
            }
            assert!(Instant::now() < limit, "no answer to {id}: {}", self.dom0.agent_log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn done(&mut self, id: &str, body: &str) -> Operation {
        let operation = self.ask(id, body);
        assert_eq!(operation.state, OperationState::Done, "{operation:?}\n{}", self.dom0.agent_log());
        operation
    }

    fn refused(&mut self, id: &str, body: &str, kind: &ErrorKind) -> String {
        let operation = self.ask(id, body);
        assert_eq!(operation.state, OperationState::Refused, "{body}: {operation:?}");
        let error = operation.error.unwrap();
        assert_eq!(error.kind, *kind, "{body}: {error:?}");
        error.message.to_string()
    }

    /// Waits until the guest's folder of requests is empty.
    fn emptied(&self) {
        let limit = Instant::now() + SOON;
        loop {
            let left = self.dom0.list(&paths::guest_requests(DOMID));
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < limit, "{} requests stay: {}", left.len(), self.dom0.agent_log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The ids of the domain's snapshots.
    fn snapshots(&self) -> Vec<String> {
        let all = self.dom0.reader().snapshots(uuid(&self.guest)).unwrap();
        all.iter().map(|s| s.id.as_str().to_owned()).collect()
    }
}

fn itself(kind: Kind) {
    let allowed = r#"allow = ["disk_snapshot_create", "disk_snapshot_revert", "disk_snapshot_delete"]"#;
    let mut w = World::new(kind, allowed);
    let made = w.done("a-1", r#"{"contract":1,"op.disk_snapshot_create":{"domain":"self","name":"mine"}}"#);
    assert_eq!(made.id.as_str(), "a-1", "it is told of its operation by its own id");
    let snapshot = made.snapshot.unwrap().as_str().to_owned();
    assert!(snapshot.starts_with("guest-"), "{snapshot}");
    assert_eq!(w.snapshots(), std::slice::from_ref(&snapshot));
    w.emptied();
    // dom0 sees it under the operation's own id, and an id of dom0's that is spelled the same is another operation.
    assert_eq!(w.dom0.wait(&snapshot).state, OperationState::Done);
    assert!(w.dom0.operation("a-1").is_none());
    w.dom0.done("a-1", r#""op.disk_snapshot_create":{"domain":"web1","name":"hosts"}"#);
    assert_eq!(w.snapshots().len(), 2);
    // The same id with the same bytes is the same operation; with others it is ignored.
    w.done("a-1", r#"{"contract":1,"op.disk_snapshot_create":{"domain":"self","name":"mine"}}"#);
    w.ring.write("data/xensnap/request/a-1", CREATE.as_bytes()).unwrap();
    w.emptied();
    assert_eq!(w.snapshots().len(), 2);
    assert_eq!(w.told("a-1").snapshot_name.unwrap().as_str(), "mine");
    // Its answer is dom0's: it can read it and no more, another guest not even that; and it sees nothing else.
    let denied = Refused("EACCES".into());
    let answer = format!("/local/domain/{DOMID}/xensnap/operation/a-1");
    assert_eq!(w.ring.write(&answer, b"{}"), Err(denied.clone()));
    assert_eq!(w.ring.rm(&answer), Err(denied.clone()));
    assert_eq!(w.ring.write("xensnap/operation/x", b"{}"), Err(denied.clone()));
    assert_eq!(w.ring.write("/tool/xensnap/request/x", CREATE.as_bytes()), Err(denied.clone()));
    assert_eq!(w.ring.read(&paths::operation(&Dom0::id("a-1"))), Err(denied.clone()));
    let mut other = w.dom0.fake_guest(9);
    assert_eq!(other.read(&answer), Err(denied.clone()));
    assert_eq!(other.directory(&format!("/local/domain/{DOMID}/xensnap/operation")), Err(denied));
    // By its own UUID too; it deletes what it made, and not what dom0 made.
    let of = format!(r#""domain":"{}""#, w.guest.spec().uuid);
    let hosts = format!(r#"{{"contract":1,"op.disk_snapshot_delete":{{{of},"snapshot":"hosts"}}}}"#);
    let why = w.refused("del-hosts", &hosts, &ErrorKind::Denied);
    assert!(why.contains("hosts"), "{why}");
    w.refused("del-id", &hosts.replace(r#""hosts""#, r#""a-1""#), &ErrorKind::Denied);
    // That needs no look at the host: its QEMU hangs.
    w.guest.sigstop();
    w.refused("del-hung", &hosts, &ErrorKind::Denied);
    w.guest.sigcont();
    w.done("del-mine", &hosts.replace("hosts", "mine"));
    settled(&w.dom0, &w.guest, &["a-1"]);
    w.dom0.done("del", r#""op.disk_snapshot_delete":{"domain":"web1","snapshot":"hosts"}"#);
    all_or_nothing(&w.dom0, &w.guest, &[]);
}

#[test]
fn a_guest_asks_about_itself_c() {
    itself(Kind::C);
}

#[test]
fn a_guest_asks_about_itself_ox() {
    itself(Kind::Ox);
}

fn nothing_else(kind: Kind) {
    use ErrorKind::{BadRequest, Denied};
    let mut w = World::new(kind, r#"allow = ["disk_snapshot_create", "disk_snapshot_delete"]"#);
    let other = w.dom0.guest(GuestSpec::idle("web2"));
    w.dom0.done("theirs", r#""op.disk_snapshot_create":{"domain":"web2","name":"theirs"}"#);
    let create = |rest: &str| format!(r#"{{"contract":1,"op.disk_snapshot_create":{{{rest}}}}}"#);
    let junk = "x".repeat(2000);
    let cases: Vec<(String, ErrorKind)> = vec![
        (create(r#""domain":"web2""#), Denied),
        (create(r#""domain":"6""#), Denied),
        (create(r#""domain":"5""#), Denied),
        (create(r#""domain":"web1""#), Denied),
        (create(r#""domain":"0""#), Denied),
        (create(&format!(r#""domain":"{}""#, other.spec().uuid)), Denied),
        (create("").replace("{}", "{ }"), BadRequest),
        (create(r#""domain":"self","name":"../../etc/passwd""#), BadRequest),
        (create(r#""domain":"self","name":"-rf""#), BadRequest),
        (create(r#""domain":"self","disks":["vda","/etc/passwd"]"#), BadRequest),
        (create(r#""domain":"self""#).replace(r#""contract":1"#, r#""contract":1,"dry_run":true"#), Denied),
        (r#"{"contract":1,"op.disk_snapshot_revert":{"domain":"self","snapshot":"theirs"}}"#.into(), Denied),
        (r#"{"contract":1,"op.vm_snapshot_create":{"domain":"self"}}"#.into(), Denied),
        (r#"{"contract":1,"op.cancel":{"operation":"theirs"}}"#.into(), Denied),
        (r#"{"contract":1,"op.domain_forget":{"domain":"self"}}"#.into(), Denied),
        (
            format!(
                r#"{{"contract":1,"op.domain_adopt":{{"old":"{}","new":"{}"}}}}"#,
                other.spec().uuid,
                w.guest.spec().uuid
            ),
            Denied,
        ),
        (String::new(), BadRequest),
        ("{".into(), BadRequest),
        (junk, BadRequest),
        ("\u{0}\u{1}\u{2}".into(), BadRequest),
    ];
    for (n, (body, kind)) in cases.iter().enumerate() {
        w.refused(&format!("bad{n}"), body, kind);
    }
    w.ring.write("data/xensnap/request/bytes", b"\xff\xfe{\"contract\":1}").unwrap();
    assert_eq!(w.told("bytes").error.unwrap().kind, BadRequest);
    // Not of its domain, though it exists: it learns nothing of it.
    let theirs = r#"{"contract":1,"op.disk_snapshot_delete":{"domain":"self","snapshot":"theirs"}}"#;
    w.refused("not-mine", theirs, &ErrorKind::NoSnapshot);
    w.emptied();
    // dom0 is not bothered with any of it.
    let shown = w.dom0.list(paths::OPERATIONS);
    assert_eq!(shown, ["theirs"], "{shown:?}");
    assert_eq!(w.dom0.reader().snapshots(uuid(&other)).unwrap().len(), 1);
    all_or_nothing(&w.dom0, &w.guest, &[]);
}

#[test]
fn a_guest_can_ask_for_nothing_else_c() {
    nothing_else(Kind::C);
}

#[test]
fn a_guest_can_ask_for_nothing_else_ox() {
    nothing_else(Kind::Ox);
}

#[test]
fn a_guest_that_is_not_admitted_is_not_listened_to() {
    let mut w = World::new(Kind::C, r#"allow = ["disk_snapshot_create"]"#);
    let other = w.dom0.guest(GuestSpec::idle("web2"));
    let mut ring = home(&w.dom0, 6);
    ring.write("data/xensnap/request/a", CREATE.as_bytes()).unwrap();
    w.done("a", CREATE);
    // web1's was seen and done meanwhile; the other's is as it was, and nothing answers it.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(ring.read("data/xensnap/request/a").unwrap(), CREATE.as_bytes());
    assert_eq!(w.dom0.list("/local/domain/6/xensnap"), Vec::<String>::new());
    assert!(tags(&other.image("vda")).is_empty());
    assert!(!w.dom0.agent_log().contains("guest web2"), "{}", w.dom0.agent_log());
}

#[test]
fn a_guests_rate_and_number_of_snapshots_are_limited() {
    let mut w = World::new(Kind::Ox, "allow = [\"disk_snapshot_create\"]\nrate = 3\nsnapshots_max = 2");
    w.dom0.done("hosts", r#""op.disk_snapshot_create":{"domain":"web1","name":"hosts"}"#);
    w.done("a", CREATE);
    w.done("b", CREATE);
    let why = w.refused("c", CREATE, &ErrorKind::Limit);
    assert!(why.contains("2 snapshots"), "dom0's do not count: {why}");
    let why = w.refused("d", CREATE, &ErrorKind::Limit);
    assert!(why.contains("3 times an hour"), "{why}");
    // An answer that is asked for again costs nothing.
    w.done("a", CREATE);
    assert_eq!(w.snapshots().len(), 3);
}

fn flood(kind: Kind) {
    let mut w = World::new(kind, "allow = [\"disk_snapshot_create\"]\nrate = 2");
    let _other = w.dom0.fake_guest(9);
    // As fast as it can and as much as its quota lets it: nonsense, names that are no ids, folders, another's keys.
    w.ring.write("data/xensnap/request/first", b"").unwrap();
    let long = "n".repeat(200);
    for n in 0..150 {
        for (name, bytes) in [
            (format!("r{n}"), CREATE),
            (format!("{long}{n}"), "{}"),
            (format!("deep{n}/a/b"), "x"),
            (format!("at@{n}"), ""),
        ] {
            let _ = w.ring.write(&format!("data/xensnap/request/{name}"), bytes.as_bytes());
        }
    }
    w.dom0.write(&format!("{}/another", paths::guest_requests(DOMID)), CREATE.as_bytes());
    w.dom0.give(&format!("{}/another", paths::guest_requests(DOMID)), 9);
    println!("{} keys are there", w.dom0.list(&paths::guest_requests(DOMID)).len());
    // Toolstacks do not notice.
    let from = Instant::now();
    w.dom0.done("hosts", r#""op.disk_snapshot_create":{"domain":"web1","name":"hosts"}"#);
    println!("dom0's own request took {:?} meanwhile", from.elapsed());
    w.emptied();
    let answers = w.ring.directory("xensnap/operation").unwrap();
    assert!(answers.len() <= 32, "{}: {answers:?}", answers.len());
    assert!(!answers.contains(&"another".to_owned()), "another domain's key is not its own asking");
    assert_eq!(w.snapshots().len(), 3, "two by the guest, an hour's worth, and dom0's");
    let log = w.dom0.agent_log();
    let lines = log.lines().filter(|l| l.contains("guest web1")).count();
    assert!(lines < 10, "a flood fills the log: {lines}\n{log}");
    // C xenstored lets a guest have some fifty children of one node, oxenstored as many as its quota.
    let limit = Instant::now() + SOON;
    while w.dom0.status().is_none_or(|s| s.ignored < 10) {
        assert!(Instant::now() < limit, "{:?}", w.dom0.status());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_guest_that_floods_the_agent_takes_its_own_place_only_c() {
    flood(Kind::C);
}

#[test]
fn a_guest_that_floods_the_agent_takes_its_own_place_only_ox() {
    flood(Kind::Ox);
}

fn reboot(kind: Kind) {
    let mut w = World::new(kind, r#"allow = ["disk_snapshot_create"]"#);
    w.done("before", CREATE);
    // The agent dies, xenstore forgets the answer: it comes again from the journal.
    w.dom0.kill_agent();
    w.dom0.remove(&format!("/local/domain/{DOMID}/xensnap"));
    w.dom0.start_agent(&[]);
    assert_eq!(w.told("before").state, OperationState::Done);
    // The same domain under another domid.
    let config = w.dom0.read(&format!("/libxl/{DOMID}/xensnap/qemu_config")).unwrap();
    let node = |domid: u32, key: &str| format!("/local/domain/{domid}/{key}");
    for key in ["name", "vm"] {
        let value = w.dom0.read(&node(DOMID, key)).unwrap();
        w.dom0.write(&node(8, key), value.as_bytes());
    }
    w.dom0.remove(&format!("/libxl/{DOMID}"));
    w.dom0.remove(&format!("/local/domain/{DOMID}"));
    w.dom0.write("/libxl/8/xensnap/qemu_config", config.as_bytes());
    w.ring = home(&w.dom0, 8);
    assert_eq!(w.told("before").state, OperationState::Done, "its answers follow it");
    w.done("after", CREATE);
    assert_eq!(w.snapshots().len(), 2);
    assert!(w.dom0.read(&format!("/local/domain/{DOMID}/xensnap/operation/before")).is_none());
}

#[test]
fn a_guest_is_followed_through_its_reboots_and_the_agents_c() {
    reboot(Kind::C);
}

#[test]
fn a_guest_is_followed_through_its_reboots_and_the_agents_ox() {
    reboot(Kind::Ox);
}
