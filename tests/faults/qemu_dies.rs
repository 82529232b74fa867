//! QEMU is killed, or hangs for a while, at each step: the operation says so or goes on, no tag stays behind, and the next request works.

use std::time::Duration;

use xensnap::contract::{ErrorKind, Operation, OperationState};

use crate::rig::dom0::{Dom0, tags};
use crate::rig::guest::{Guest, GuestSpec};
use crate::rig::xenstored::Kind;
use crate::whole::{SOON, all_or_nothing, exhaustive, sound};
use crate::xenstored_dies::{at_point, point_of};

/// The steps of a create with memory, live; `!` marks the short matrix.
const CREATE: &str =
    "!create_memory_file !pause !disks_create !memory_begin release !memory_complete sync commit";
const DELETE: &str = "!disks_delete !disks_delete.asked disks_delete.answered remove_file !commit";
const REVERT: &str =
    "verify !pause pause.stopped !disks_create disks_create.answered !end_domain end_domain.ended disks_apply
    start_domain !start_domain.started start_domain.loaded !start_domain.registered !commit disks_delete";
const DISK_REVERT: &str =
    "verify pause !pause.stopped disks_create !disks_create.answered !end_domain end_domain.ended disks_apply
    disks_apply.answered !start_domain.started start_domain.registered !commit disks_delete";

fn steps(all: &str) -> Vec<&str> {
    let steps = all.split_whitespace();
    if exhaustive() {
        return steps.map(|p| p.trim_start_matches('!')).collect();
    }
    steps.filter_map(|p| p.strip_prefix('!')).collect()
}

/// A QEMU that hangs for two seconds, where there is one.
fn hang(guest: &Guest) {
    if guest.pid().is_some() {
        guest.sigstop();
        std::thread::sleep(Duration::from_secs(2));
        guest.sigcont();
    }
}

/// The toolstack starts the domain where it is dead.
fn up_again(dom0: &Dom0, guest: &Guest) {
    if guest.pid().is_none() {
        guest.unregister(&dom0.daemon.socket());
        let mark = guest.mark();
        guest.boot();
        guest.register(&dom0.daemon.socket());
        guest.wait_count_since(mark, SOON * 2);
    }
}

/// Sends a request, and does something to the domain while the agent is about to do the step, or in the middle of it.
fn disturbed(dom0: &mut Dom0, step: &str, id: &str, body: &str, disturb: impl FnOnce()) -> Operation {
    println!("{id}: {step}");
    let point = point_of(step);
    let before = dom0.agent_log().matches(&format!("fault point {point}:")).count();
    dom0.kill_agent();
    dom0.start_agent(&[("XENSNAPD_FAULT", &format!("{point}=sleep700"))]);
    dom0.send(id, body);
    at_point(dom0, &point, before + 1);
    disturb();
    dom0.wait(id)
}

fn counting(kind: Kind) -> (Dom0, Guest) {
    let mut dom0 = Dom0::new(kind);
    let guest = dom0.guest(GuestSpec::counting("web1"));
    dom0.done("base", r#""op.vm_snapshot_create":{"domain":"web1","name":"base"}"#);
    (dom0, guest)
}

/// A domain that dies in the middle of a create: failed or (its last step needs no QEMU) done; the tags are gone from the files of the dead domain.
#[test]
fn killed_while_a_snapshot_is_taken() {
    let (mut dom0, guest) = counting(Kind::Ox);
    for step in steps(CREATE) {
        let id = format!("k-{}", step.replace('.', "-"));
        let body = format!(r#""op.vm_snapshot_create":{{"domain":"web1","name":"{id}","memory":"live"}}"#);
        let end = disturbed(&mut dom0, step, &id, &body, || guest.kill9());
        let mut ids = vec!["base"];
        if matches!(step, "sync" | "commit") {
            assert_eq!(end.state, OperationState::Done, "{step}: all was written: {end:?}");
            ids.push(&id);
        } else {
            assert_eq!(end.state, OperationState::Failed, "{step}: {end:?}");
            let error = end.error.expect("an error");
            assert!(
                matches!(error.kind, ErrorKind::DomainGone | ErrorKind::QmpUnavailable),
                "{step}: {error:?}"
            );
            assert!(!error.message.as_str().is_empty());
        }
        // Of a domain that does not run: an offline snapshot.
        all_or_nothing(&dom0, &guest, &ids);
        sound(&guest.image("vda"));
        sound(&guest.image("vdb"));
        up_again(&dom0, &guest);
        all_or_nothing(&dom0, &guest, &ids);
        if ids.len() > 1 {
            dom0.done(
                &format!("{id}-d"),
                &format!(r#""op.vm_snapshot_delete":{{"domain":"web1","snapshot":"{id}"}}"#),
            );
        }
    }
}

/// A delete goes forward, whatever becomes of the domain.
fn deletes(kind: Kind, disturb: fn(&Guest)) {
    let (mut dom0, guest) = counting(kind);
    for step in steps(DELETE) {
        let id = format!("d-{}", step.replace('.', "-"));
        dom0.done(&id, &format!(r#""op.vm_snapshot_create":{{"domain":"web1","name":"{id}"}}"#));
        let body = format!(r#""op.vm_snapshot_delete":{{"domain":"web1","snapshot":"{id}"}}"#);
        let end = disturbed(&mut dom0, step, &format!("{id}-d"), &body, || disturb(&guest));
        assert_eq!(end.state, OperationState::Done, "{step}: {:?}\n{}", end.error, dom0.agent_log());
        all_or_nothing(&dom0, &guest, &["base"]);
        up_again(&dom0, &guest);
    }
    all_or_nothing(&dom0, &guest, &["base"]);
    guest.kill9();
    for vdev in ["vda", "vdb"] {
        sound(&guest.image(vdev));
    }
}

#[test]
fn killed_while_a_snapshot_is_deleted() {
    deletes(Kind::Ox, Guest::kill9);
}

#[test]
fn stopped_and_continued_while_a_snapshot_is_deleted() {
    deletes(Kind::C, hang);
}

/// Before the point of no return a revert that loses its QEMU has not happened; after it, it has. A QEMU that hangs is waited for.
fn reverts(kind: Kind, all: &str, body: &str, killed: bool) {
    let (mut dom0, guest) = counting(kind);
    for step in steps(all) {
        let mark = guest.mark();
        let id = format!("r-{}", step.replace('.', "-"));
        let end = disturbed(&mut dom0, step, &id, body, || if killed { guest.kill9() } else { hang(&guest) });
        println!("{step}: {:?} {:?}", end.state, end.error);
        let back = ["verify", "pause", "disks_create"].contains(&step.split('.').next().unwrap());
        match end.state {
            OperationState::Failed => {
                assert!(killed && back, "{step}: {end:?}\n{}", dom0.agent_log());
                assert!(!end.error.unwrap().message.as_str().is_empty());
                all_or_nothing(&dom0, &guest, &["base"]);
                dom0.done(&format!("{id}-again"), body);
            }
            _ => assert_eq!(end.state, OperationState::Done, "{step}: {end:?}\n{}", dom0.agent_log()),
        }
        // What was killed after the start is no business of the operation's any more.
        if guest.pid().is_none() {
            assert!(
                killed && matches!(step, "disks_delete" | "commit" | "start_domain.registered"),
                "{step}"
            );
            all_or_nothing(&dom0, &guest, &["base"]);
            up_again(&dom0, &guest);
        }
        guest.wait_count_since(mark, SOON);
        all_or_nothing(&dom0, &guest, &["base"]);
    }
}

const TO_BASE: &str = r#""op.vm_snapshot_revert":{"domain":"web1","snapshot":"base"}"#;
const DISKS_TO_BASE: &str =
    r#""op.disk_snapshot_revert":{"domain":"web1","snapshot":"base","final_state":"running"}"#;

#[test]
fn killed_while_it_is_reverted() {
    reverts(Kind::C, REVERT, TO_BASE, true);
}

#[test]
fn stopped_and_continued_while_it_is_reverted() {
    reverts(Kind::Ox, REVERT, TO_BASE, false);
}

#[test]
fn killed_while_its_disks_are_reverted() {
    reverts(Kind::Ox, DISK_REVERT, DISKS_TO_BASE, true);
}

#[test]
fn stopped_and_continued_while_its_disks_are_reverted() {
    reverts(Kind::C, DISK_REVERT, DISKS_TO_BASE, false);
}

/// A QEMU that hangs for two seconds is waited for; the guest runs afterwards whatever became of the operation.
#[test]
fn stopped_and_continued_while_a_snapshot_is_taken() {
    let (mut dom0, guest) = counting(Kind::C);
    for step in steps(CREATE) {
        let id = format!("h-{}", step.replace('.', "-"));
        let body = format!(r#""op.vm_snapshot_create":{{"domain":"web1","name":"{id}","memory":"live"}}"#);
        let end = disturbed(&mut dom0, step, &id, &body, || hang(&guest));
        let mut ids = vec!["base"];
        match end.state {
            OperationState::Done => ids.push(&id),
            OperationState::Failed => assert!(end.error.is_some()),
            _ => panic!("{end:?}"),
        }
        println!("{step}: {:?} {:?}", end.state, end.error);
        all_or_nothing(&dom0, &guest, &ids);
        if ids.len() > 1 {
            dom0.done(
                &format!("{id}-d"),
                &format!(r#""op.vm_snapshot_delete":{{"domain":"web1","snapshot":"{id}"}}"#),
            );
        }
    }
}

/// A QEMU that hangs beyond the deadline of its pause: the guard lets the guest go on as soon as QEMU answers. The agent, which does not hang, was
/// ended with its work on all other domains.
#[test]
fn stopped_beyond_the_deadline_of_its_pause() {
    let (mut dom0, guest) = counting(Kind::Ox);
    dom0.config = "pause_grace_s = 4\n".into();
    let (pid, other) = (guest.pid(), dom0.guest(GuestSpec::idle("other")));
    dom0.kill_agent();
    dom0.start_agent(&[("XENSNAPD_FAULT", "step.disks_create.before=sleep700")]);
    dom0.send("late", r#""op.vm_snapshot_create":{"domain":"web1","name":"late"}"#);
    at_point(&dom0, "step.disks_create.before", 1);
    guest.sigstop();
    std::thread::sleep(Duration::from_secs(8));
    others_go_on(&dom0, &other);
    guest.sigcont();
    guest.wait_running(SOON);
    let end = dom0.wait("late");
    assert_eq!((end.state, guest.pid()), (OperationState::Failed, pid), "{:?}", end.error);
    assert!(dom0.agent_lives());
    all_or_nothing(&dom0, &guest, &["base"]);
}

/// A request about another domain works meanwhile.
fn others_go_on(dom0: &Dom0, other: &Guest) {
    dom0.done("other", r#""op.disk_snapshot_create":{"domain":"other","name":"a"}"#);
    dom0.done("other-d", r#""op.disk_snapshot_delete":{"domain":"other","snapshot":"a"}"#);
    assert_eq!(tags(&other.image("vda")), Vec::<String>::new());
}

#[test]
fn a_hanging_qemu_is_told_about() {
    let (dom0, guest) = counting(Kind::C);
    guest.sigstop();
    let end = dom0.ask("hangs", r#""op.disk_snapshot_create":{"domain":"web1","name":"hangs"}"#);
    assert_eq!(end.state, OperationState::Refused, "{end:?}");
    let error = end.error.unwrap();
    assert_eq!(error.kind, ErrorKind::QmpUnavailable);
    assert!(error.message.as_str().contains("stopped"), "{error:?}");
    guest.sigcont();
    all_or_nothing(&dom0, &guest, &["base"]);
}
