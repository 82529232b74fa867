//! The agent dies, or is stopped, at each step: the guard lets the guest go on while no agent runs, and the next agent settles what was left.

use std::time::Duration;

use xensnap::contract::{Operation, OperationState};

use crate::rig::dom0::{Dom0, ended};
use crate::rig::guest::{Guest, GuestSpec};
use crate::rig::xenstored::Kind;
use crate::whole::{SOON, all_or_nothing, exhaustive, names, sound};
use xensnapd::host::process::Process;

/// Operations with the points that each passes, in order. An `!` marks those of the short matrix.
const CREATE_LIVE: &str = "!step.create_memory_file.before create_memory_file.after step.create_memory_file.after step.pause.before
    !pause.armed !pause.stopped step.pause.after step.disks_create.before !disks_create.asked !disks_create.answered
    step.disks_create.after step.memory_begin.before memory_begin.before !memory_begin.after step.memory_begin.after
    step.release.before !release.before !release.after !step.release.after step.memory_complete.before
    !memory_complete.after step.memory_complete.after step.sync.before sync.after !step.sync.after step.commit.before";
const CREATE_PAUSED: &str = "pause.stopped !memory_begin.before !memory_begin.after step.memory_complete.before !memory_complete.after
    step.memory_complete.after release.before !release.after step.sync.before !step.commit.before";
const CREATE_DISKS: &str =
    "pause.stopped step.disks_create.before disks_create.asked !disks_create.answered step.disks_create.after
    release.before release.after !step.release.after step.sync.before step.commit.before";
const DELETE: &str =
    "!step.disks_delete.before !disks_delete.asked disks_delete.answered !step.disks_delete.after
    step.remove_file.before !step.remove_file.after step.commit.before";
const REVERT_BACK: &str = "!step.verify.before step.verify.after pause.armed !pause.stopped step.disks_create.before disks_create.asked
    !disks_create.answered step.disks_create.after";
const REVERT_FORWARD: &str = "!step.end_domain.before !end_domain.ended step.end_domain.after step.disks_apply.before !disks_apply.asked
    disks_apply.answered !step.disks_apply.after step.start_domain.before !start_domain.started !start_domain.loaded
    !start_domain.registered !step.start_domain.after step.commit.before !step.disks_delete.before !disks_delete.answered step.disks_delete.after";

/// The points to try now.
fn points(all: &str) -> Vec<&str> {
    let points = all.split_whitespace();
    if exhaustive() {
        return points.map(|p| p.trim_start_matches('!')).collect();
    }
    points.filter_map(|p| p.strip_prefix('!')).collect()
}

fn counting(kind: Kind) -> (Dom0, Guest) {
    let mut dom0 = Dom0::new(kind);
    let guest = dom0.guest(GuestSpec::counting("web1"));
    dom0.done("base", r#""op.vm_snapshot_create":{"domain":"web1","name":"base"}"#);
    dom0.kill_agent();
    (dom0, guest)
}

/// The agent gets the request and comes to its end at the point; the guest is seen to run while no agent does (unless the operation had ended
/// it); another agent settles the operation.
fn dies_at(dom0: &mut Dom0, guest: &Guest, point: &str, action: &str, id: &str, body: &str) -> Operation {
    let ended_by_us = if body.contains("snapshot_first") {
        point.starts_with("end_domain") || action.ends_with("@2")
    } else {
        body.contains("revert") && REVERT_FORWARD.contains(point)
    };
    println!("{id}: {point}={action}");
    dom0.start_agent(&[("XENSNAPD_FAULT", &format!("{point}={action}"))]);
    dom0.send(id, body);
    assert!(
        dom0.agent_ends(SOON),
        "{id}: {point} was not passed: {:?}\n{}",
        dom0.operation(id),
        dom0.agent_log()
    );
    if !ended_by_us {
        guest.wait_running(SOON);
        let limit = std::time::Instant::now() + SOON;
        while !names(&dom0.path().join("run/pause")).is_empty() {
            assert!(std::time::Instant::now() < limit, "{id}: {point}: the guard leaves a pause");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    dom0.start_agent(&[]);
    dom0.wait(id)
}

/// Creates: whole or nothing, and what the operation says is what is there.
fn creates(kind: Kind, memory: &str, all: &str) {
    let (mut dom0, guest) = counting(kind);
    for (n, point) in points(all).into_iter().enumerate() {
        let id = format!("c{n}");
        let body =
            format!(r#""op.vm_snapshot_create":{{"domain":"web1","name":"{id}","memory":"{memory}"}}"#);
        let end = dies_at(&mut dom0, &guest, point, "kill", &id, &body);
        match end.state {
            OperationState::Done => {
                all_or_nothing(&dom0, &guest, &["base", &id]);
                let body = format!(r#""op.vm_snapshot_delete":{{"domain":"web1","snapshot":"{id}"}}"#);
                dom0.done(&format!("{id}-del"), &body);
            }
            OperationState::Failed => assert!(end.error.is_some(), "{end:?}"),
            _ => panic!("{point}: {end:?}"),
        }
        all_or_nothing(&dom0, &guest, &["base"]);
        dom0.kill_agent();
    }
}

#[test]
fn killed_while_a_live_snapshot_is_taken_c() {
    creates(Kind::C, "live", CREATE_LIVE);
}

#[test]
fn killed_while_a_paused_snapshot_is_taken_ox() {
    creates(Kind::Ox, "paused", CREATE_PAUSED);
}

#[test]
fn killed_while_disks_are_taken_ox() {
    creates(Kind::Ox, "none", CREATE_DISKS);
}

#[test]
fn killed_while_a_snapshot_is_deleted_c() {
    let (mut dom0, guest) = counting(Kind::C);
    for (n, point) in points(DELETE).into_iter().enumerate() {
        let id = format!("s{n}");
        dom0.start_agent(&[]);
        dom0.done(&id, &format!(r#""op.vm_snapshot_create":{{"domain":"web1","name":"{id}"}}"#));
        dom0.kill_agent();
        let body = format!(r#""op.vm_snapshot_delete":{{"domain":"web1","snapshot":"{id}"}}"#);
        let end = dies_at(&mut dom0, &guest, point, "kill", &format!("{id}-del"), &body);
        assert_eq!(end.state, OperationState::Done, "a delete goes forward: {point}: {:?}", end.error);
        all_or_nothing(&dom0, &guest, &["base"]);
        dom0.kill_agent();
    }
}

/// Before the point of no return a revert has not happened; after it, it has.
fn reverts(kind: Kind, all: &str, expected: OperationState) {
    let (mut dom0, guest) = counting(kind);
    for (n, point) in points(all).into_iter().enumerate() {
        let id = format!("r{n}");
        let later = guest.wait_count_since(guest.mark(), SOON).ram + 30;
        guest.wait_count(later, SOON);
        let mark = guest.mark();
        guest.wait_count_since(mark, SOON);
        let body = r#""op.vm_snapshot_revert":{"domain":"web1","snapshot":"base"}"#;
        let end = dies_at(&mut dom0, &guest, point, "kill", &id, body);
        assert_eq!(end.state, expected, "{point}: {:?}\n{}", end.error, dom0.agent_log());
        guest.wait_running(SOON);
        let back = guest.counts_since(mark).windows(2).filter(|w| w[1].ram < w[0].ram).count();
        assert_eq!(back > 0, expected == OperationState::Done, "{point}: went back {back} times");
        all_or_nothing(&dom0, &guest, &["base"]);
        dom0.kill_agent();
    }
}

#[test]
fn killed_before_a_revert_ends_the_domain_c() {
    reverts(Kind::C, REVERT_BACK, OperationState::Failed);
}

#[test]
fn killed_after_a_revert_has_ended_the_domain_ox() {
    reverts(Kind::Ox, REVERT_FORWARD, OperationState::Done);
}

/// A stopped agent holds the QMP socket and never says a word: the guard ends it at the deadline.
#[test]
fn stopped_while_the_guest_is_paused() {
    let (mut dom0, guest) = counting(Kind::Ox);
    dom0.config = "pause_grace_s = 1\n".into();
    let cases: &[(&str, &str)] = &[
        ("live", "pause.stopped"),
        ("live", "disks_create.asked"),
        ("live", "memory_begin.after"),
        ("paused", "memory_begin.after"),
        ("live", "release.after"),
        ("none", "disks_create.answered"),
    ];
    let cases = if exhaustive() { cases } else { &cases[..4] };
    for (n, (memory, point)) in cases.iter().enumerate() {
        let id = format!("s{n}");
        let body =
            format!(r#""op.vm_snapshot_create":{{"domain":"web1","name":"{id}","memory":"{memory}"}}"#);
        let end = dies_at(&mut dom0, &guest, point, "stop", &id, &body);
        assert_eq!(end.state, OperationState::Failed, "{point}: {end:?}");
        all_or_nothing(&dom0, &guest, &["base"]);
        dom0.kill_agent();
    }
}

/// A stopped agent that holds no guest is nobody's business: the guest runs on, no other agent takes over, and it goes on when it is let.
#[test]
fn stopped_while_no_guest_is_paused() {
    let (mut dom0, guest) = counting(Kind::C);
    dom0.config = "pause_grace_s = 1\n".into();
    let create = r#""op.vm_snapshot_create":{"domain":"web1","name":"a"}"#;
    let delete = r#""op.vm_snapshot_delete":{"domain":"web1","snapshot":"a"}"#;
    let revert = r#""op.vm_snapshot_revert":{"domain":"web1","snapshot":"base"}"#;
    let cases = [
        (create, "create_memory_file.after"),
        (delete, "disks_delete.asked"),
        (create, "step.memory_complete.before"),
        (delete, "step.commit.before"),
        (create, "step.commit.before"),
        (delete, "step.disks_delete.before"),
        (revert, "step.verify.after"),
        (revert, "step.commit.before"),
    ];
    for (n, (body, point)) in cases.into_iter().enumerate() {
        println!("{body}: {point}");
        let id = format!("z{n}");
        dom0.start_agent(&[("XENSNAPD_FAULT", &format!("{point}=stop"))]);
        dom0.send(&id, body);
        let agent = Process::of(dom0.agent_pid()).unwrap();
        let limit = std::time::Instant::now() + SOON;
        while !agent.stopped() {
            assert!(std::time::Instant::now() < limit, "{point} was not passed\n{}", dom0.agent_log());
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_secs(2)); // longer than any pause of its may last
        guest.wait_running(SOON);
        let said = crate::store_faults::does_not_start(&dom0, false);
        assert!(said.contains("another agent") && said.contains(&agent.pid.to_string()), "{said}");
        assert!(agent.stopped() && names(&dom0.path().join("run/pause")).is_empty());
        assert!(dom0.operation(&id).is_some_and(|o| !ended(&o)));
        agent.signal(rustix::process::Signal::CONT);
        let end = dom0.wait(&id);
        assert_eq!(end.state, OperationState::Done, "{point}: {:?}\n{}", end.error, dom0.agent_log());
        assert_eq!(dom0.agent_pid(), agent.pid);
        match body == create {
            true => all_or_nothing(&dom0, &guest, &["base", &id]),
            false => all_or_nothing(&dom0, &guest, &["base"]),
        }
        dom0.kill_agent();
    }
}

/// An agent that dies while it takes a failed operation back goes on taking it back.
#[test]
fn killed_while_it_takes_back() {
    let (mut dom0, guest) = counting(Kind::C);
    for (n, point) in ["memory_begin.after", "sync.after"].into_iter().enumerate() {
        let id = format!("b{n}");
        let body = format!(r#""op.vm_snapshot_create":{{"domain":"web1","name":"{id}","memory":"live"}}"#);
        let both = format!("{point}=error,back.journalled");
        let end = dies_at(&mut dom0, &guest, &both, "kill", &id, &body);
        assert_eq!(end.state, OperationState::Failed, "{point}: {end:?}");
        let error = end.error.expect("an error");
        assert!(error.message.as_str().contains(point), "the error that it began with: {error:?}");
        all_or_nothing(&dom0, &guest, &["base"]);
        dom0.kill_agent();
    }
}

/// A revert that takes a snapshot first: once that is committed it stays, whatever becomes of the revert.
#[test]
fn killed_while_a_revert_takes_a_snapshot_first() {
    let cases = [
        ("memory_begin.after", "kill", OperationState::Failed, false),
        ("step.commit.before", "kill", OperationState::Failed, false),
        ("step.commit.after", "kill", OperationState::Failed, true),
        ("end_domain.ended", "kill", OperationState::Done, true),
        ("step.commit.before", "kill@2", OperationState::Done, true),
    ];
    let (mut dom0, guest) = counting(Kind::C);
    for (n, (point, action, state, kept)) in cases.into_iter().enumerate() {
        let id = format!("f{n}");
        let body = r#""op.vm_snapshot_revert":{"domain":"web1","snapshot":"base","snapshot_first":true}"#;
        let end = dies_at(&mut dom0, &guest, point, action, &id, body);
        assert_eq!(end.state, state, "{point}={action}: {:?}\n{}", end.error, dom0.agent_log());
        if kept {
            all_or_nothing(&dom0, &guest, &["base", &id]);
            let body = format!(r#""op.vm_snapshot_delete":{{"domain":"web1","snapshot":"{id}"}}"#);
            dom0.done(&format!("{id}-del"), &body);
        }
        all_or_nothing(&dom0, &guest, &["base"]);
        dom0.kill_agent();
    }
}

/// A domain that does not run: its images are qemu-img's.
#[test]
fn killed_while_the_domain_is_off() {
    let mut dom0 = Dom0::new(Kind::Ox);
    let guest = dom0.guest(GuestSpec::idle("web1"));
    dom0.done("base", r#""op.vm_snapshot_create":{"domain":"web1","name":"base","memory":"none"}"#);
    guest.kill9();
    guest.unregister(&dom0.daemon.socket());
    let create = r#""op.vm_snapshot_create":{"domain":"web1","name":"off"}"#;
    let delete = r#""op.vm_snapshot_delete":{"domain":"web1","snapshot":"off"}"#;
    let revert = r#""op.vm_snapshot_revert":{"domain":"web1","snapshot":"base"}"#;
    let disks = r#""op.disk_snapshot_revert":{"domain":"web1","snapshot":"base","disks":["vdb"]}"#;
    let cases = [
        (create, "disks_create.answered", OperationState::Failed),
        (create, "step.disks_create.after", OperationState::Failed),
        (create, "step.commit.before", OperationState::Failed),
        (delete, "disks_delete.answered", OperationState::Done),
        (delete, "step.commit.before", OperationState::Done),
        (revert, "step.disks_create.after", OperationState::Failed),
        (revert, "disks_apply.asked", OperationState::Done),
        (revert, "disks_apply.answered", OperationState::Done),
        (disks, "disks_apply.answered", OperationState::Done),
        (disks, "step.disks_delete.before", OperationState::Done),
    ];
    for (n, (body, point, state)) in cases.into_iter().enumerate() {
        dom0.kill_agent();
        if body == delete {
            dom0.start_agent(&[]);
            dom0.done(&format!("made{n}"), create);
            dom0.kill_agent();
        }
        println!("{body}: {point}");
        dom0.start_agent(&[("XENSNAPD_FAULT", &format!("{point}=kill"))]);
        let id = format!("o{n}");
        dom0.send(&id, body);
        assert!(dom0.agent_ends(SOON), "{point} was not passed: {:?}", dom0.operation(&id));
        dom0.start_agent(&[]);
        let end = dom0.wait(&id);
        if body == create && end.state == OperationState::Done {
            // All was synced: it went forward.
            all_or_nothing(&dom0, &guest, &["base", &id]);
            dom0.done(&format!("{id}-del"), delete);
        } else {
            assert_eq!(end.state, state, "{point}: {:?}\n{}", end.error, dom0.agent_log());
        }
        all_or_nothing(&dom0, &guest, &["base"]);
        for vdev in ["vda", "vdb"] {
            sound(&guest.image(vdev));
        }
    }
}
