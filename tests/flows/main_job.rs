//! The main job: snapshot a running guest's memory and disks, lose xenstored and the agent, and go back to the very instant.

use std::time::{Duration, Instant};

use xensnap::contract::{Consistency, OperationState, SnapshotPart};
use xensnap_store::Read;

use crate::rig::dom0::{Dom0, tags};
use crate::rig::guest::{Count, Guest, GuestSpec, QemuVersion};
use crate::rig::xenstored::Kind;

const WAIT: Duration = Duration::from_secs(120);

/// The first count that the guest says after going back: the one that is lower than its predecessor.
pub(crate) fn fallen_back(guest: &Guest, mark: u64) -> Count {
    let limit = Instant::now() + WAIT;
    loop {
        let counts = guest.counts_since(mark);
        if let Some(back) = counts.windows(2).find(|w| w[1].ram < w[0].ram) {
            return back[1].clone();
        }
        assert!(Instant::now() < limit, "the guest never went back: {:?}", counts.last());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Takes a snapshot, lets the guest go on, kills xenstored and the agent, brings them back, reverts: RAM and both disks agree at the old count.
fn there_and_back(kind: Kind, qemu: QemuVersion, memory: &str) {
    let mut dom0 = Dom0::new(kind);
    let guest = dom0.guest(GuestSpec::counting("web1").on(qemu));
    let before = guest.last().expect("it counts").ram;

    let body = format!(r#""op.vm_snapshot_create":{{"domain":"web1","name":"before","memory":"{memory}"}}"#);
    let taken = dom0.done("create", &body);
    assert!(taken.pause.is_some_and(|p| p > Duration::ZERO), "a running guest is paused: {taken:?}");
    let after = guest.wait_count_since(guest.mark(), WAIT).ram;
    guest.wait_count(after + 50, WAIT);

    let record = dom0.reader().snapshot(&Dom0::id("create")).unwrap().expect("a record");
    assert_eq!(record.consistency, Consistency::Full);
    let SnapshotPart::Vm(part) = &record.part else { panic!("{record:?}") };
    let image = part.memory.as_ref().expect("memory");
    assert_eq!(std::fs::metadata(&image.path).unwrap().len(), image.size, "the record has the file's size");
    for (vdev, disk) in ["vda", "vdb"].iter().zip(&record.disks) {
        assert_eq!(tags(&guest.image(vdev)), [disk.tag.to_string()]);
    }

    dom0.kill_agent();
    dom0.restart_xenstored(&[&guest]);
    dom0.start_agent(&[]);
    assert_eq!(dom0.wait("create").state, OperationState::Done, "an ended operation is shown again");

    let mark = guest.mark();
    guest.wait_count_since(mark, WAIT);
    let reverted = dom0.done("revert", r#""op.vm_snapshot_revert":{"domain":"web1","snapshot":"before"}"#);
    assert!(reverted.domid.is_some());
    let back = fallen_back(&guest, mark);
    assert!(back.agrees(), "RAM and disks of two instants: {back:?}");
    assert!(
        back.ram >= before && back.ram <= after + 40,
        "back at {} instead of {before}..{after}",
        back.ram
    );
    guest.wait_count_since(guest.mark(), WAIT);
    assert_eq!(guest.mismatches(), Vec::<String>::new());

    let domain = dom0.reader().domain(record.domain).unwrap().expect("the domain");
    assert_eq!(domain.current, Some(Dom0::id("create")));
    assert!(!domain.diverged);
    for vdev in ["vda", "vdb"] {
        // Deleted after the answer.
        let limit = Instant::now() + WAIT;
        while tags(&guest.image(vdev)).len() > 1 {
            assert!(Instant::now() < limit, "the undo tag stays: {:?}", tags(&guest.image(vdev)));
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(tags(&guest.image(vdev)).len(), 1, "the snapshot's own tag is there");
    }

    dom0.done("delete", r#""op.vm_snapshot_delete":{"domain":"web1","snapshot":"before"}"#);
    assert!(dom0.reader().snapshots(record.domain).unwrap().is_empty());
    assert!(!image.path.as_path().exists(), "the memory image is gone");
    for vdev in ["vda", "vdb"] {
        assert_eq!(tags(&guest.image(vdev)), Vec::<String>::new());
    }
    guest.wait_count_since(guest.mark(), WAIT);
    assert_eq!(guest.mismatches(), Vec::<String>::new());
}

#[test]
fn live_with_c_xenstored() {
    there_and_back(Kind::C, QemuVersion::Installed, "live");
}

#[test]
fn live_with_oxenstored() {
    there_and_back(Kind::Ox, QemuVersion::Installed, "live");
}

#[test]
fn paused_with_oxenstored() {
    there_and_back(Kind::Ox, QemuVersion::Installed, "paused");
}

#[test]
fn live_on_the_older_qemu() {
    if !QemuVersion::available().contains(&QemuVersion::V7_2) {
        eprintln!("SKIPPED: QEMU 7.2 is not in the cache: run tests/setup");
        return;
    }
    there_and_back(Kind::C, QemuVersion::V7_2, "live");
}

#[test]
fn a_stopped_and_a_killed_domain_are_reverted_into_life() {
    let mut dom0 = Dom0::new(Kind::Ox);
    let guest = dom0.guest(GuestSpec::counting("web1"));
    dom0.done("create", r#""op.vm_snapshot_create":{"domain":"web1","name":"a"}"#);
    guest.wait_count(guest.last().unwrap().ram + 30, WAIT);
    guest.kill9();
    guest.unregister(&dom0.daemon.socket());
    let offline = dom0.done("offline", r#""op.vm_snapshot_create":{"domain":"web1","name":"off"}"#);
    assert_eq!(offline.pause, None);
    let record = dom0.reader().snapshot(&Dom0::id("offline")).unwrap().unwrap();
    assert_eq!((record.consistency, record.parent), (Consistency::Offline, Some(Dom0::id("create"))));
    let mark = guest.mark();
    let body = r#""op.vm_snapshot_revert":{"domain":"web1","snapshot":"a","final_state":"paused"}"#;
    dom0.done("revert", body);
    assert!(!guest.runs_within(Duration::from_secs(2)), "asked to end paused");
    let end = dom0.done("again", r#""op.vm_snapshot_revert":{"domain":"web1","snapshot":"a"}"#);
    assert_eq!(end.state, OperationState::Done);
    assert!(guest.wait_count_since(mark, WAIT).agrees());
    assert_eq!(guest.mismatches(), Vec::<String>::new());
}

#[test]
fn a_disk_is_put_back_alone_and_the_domain_has_diverged() {
    let mut dom0 = Dom0::new(Kind::C);
    let guest = dom0.guest(GuestSpec::counting("web1"));
    dom0.done("vm", r#""op.vm_snapshot_create":{"domain":"web1","name":"vm","memory":"none"}"#);
    dom0.done("d", r#""op.disk_snapshot_create":{"domain":"web1","name":"d","disks":["vdb"]}"#);
    assert_eq!((tags(&guest.image("vda")).len(), tags(&guest.image("vdb")).len()), (1, 2));
    let refused = dom0.ask("r1", r#""op.disk_snapshot_revert":{"domain":"web1","snapshot":"d"}"#);
    assert_eq!(refused.state, OperationState::Refused, "under a running domain only by consent");
    let mark = guest.mark();
    dom0.done("r2", r#""op.disk_snapshot_revert":{"domain":"web1","snapshot":"d","final_state":"running"}"#);
    guest.wait_count_since(mark, WAIT);
    let record = dom0.reader().snapshot(&Dom0::id("d")).unwrap().unwrap();
    assert!(dom0.reader().domain(record.domain).unwrap().unwrap().diverged);
    dom0.done("del", r#""op.disk_snapshot_delete":{"domain":"web1","snapshot":"d"}"#);
    assert_eq!(tags(&guest.image("vdb")).len(), 1, "the VM snapshot's disk is left alone");
}

#[test]
fn snapshot_first_keeps_what_a_revert_would_lose() {
    let mut dom0 = Dom0::new(Kind::Ox);
    let guest = dom0.guest(GuestSpec::counting("web1"));
    dom0.done("a", r#""op.vm_snapshot_create":{"domain":"web1","name":"a"}"#);
    let later = guest.wait_count(guest.last().unwrap().ram + 100, WAIT).ram;
    let body = r#""op.vm_snapshot_revert":{"domain":"web1","snapshot":"a","snapshot_first":true}"#;
    let mark = guest.mark();
    guest.wait_count_since(mark, WAIT);
    dom0.done("back", body);
    assert!(fallen_back(&guest, mark).ram < later);
    let first = dom0.reader().snapshot(&Dom0::id("back")).unwrap().expect("the snapshot taken first");
    dom0.done(
        "forth",
        &format!(r#""op.vm_snapshot_revert":{{"domain":"web1","snapshot":"{}"}}"#, first.name),
    );
    let there = guest.wait_count_since(guest.mark(), WAIT);
    assert!(there.ram >= later && there.agrees(), "{there:?}, {later}");
    assert_eq!(guest.mismatches(), Vec::<String>::new());
}
