//! QEMU is killed, or hangs for a while, at each step: the operation says so or goes on, no tag stays behind, and the next request works.

use std::time::Duration;

use xensnap::contract::{ErrorKind, Operation, OperationState};

use crate::rig::dom0::{Dom0, tags};
use crate::rig::guest::{Guest, GuestSpec};
use crate::rig::xenstored::Kind;
use crate::whole::{SOON, all_or_nothing, exhaustive, sound};
use crate::xenstored_dies::at_point;

/// The steps of a create with memory, live; `!` marks the short matrix.
const CREATE: &str =
    "!create_memory_file !pause !disks_create !memory_begin release !memory_complete sync commit";
const REVERT: &str = "!pause !disks_create !end_domain disks_apply";

fn steps(all: &str) -> Vec<&str> {
    let steps = all.split_whitespace();
    if exhaustive() {
        return steps.map(|p| p.trim_start_matches('!')).collect();
    }
    steps.filter_map(|p| p.strip_prefix('!')).collect()
}

/// Sends a request, and does something to the domain while the agent is about to do the step.
fn disturbed(dom0: &mut Dom0, step: &str, id: &str, body: &str, disturb: impl FnOnce()) -> Operation {
    println!("{id}: {step}");
    let point = format!("step.{step}.before");
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
        let id = format!("k-{step}");
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
        guest.unregister(&dom0.daemon.socket());
        let mark = guest.mark();
        guest.boot();
        guest.register(&dom0.daemon.socket());
        guest.wait_count_since(mark, SOON * 2);
        all_or_nothing(&dom0, &guest, &ids);
        if ids.len() > 1 {
            dom0.done(
                &format!("{id}-d"),
                &format!(r#""op.vm_snapshot_delete":{{"domain":"web1","snapshot":"{id}"}}"#),
            );
        }
    }
}

/// A domain that dies in the middle of a revert comes back by it, or (before its point of no return) stays dead and whole.
#[test]
fn killed_while_it_is_reverted() {
    let (mut dom0, guest) = counting(Kind::C);
    for step in steps(REVERT) {
        let mark = guest.mark();
        let id = format!("r-{step}");
        let body = r#""op.vm_snapshot_revert":{"domain":"web1","snapshot":"base"}"#;
        let end = disturbed(&mut dom0, step, &id, body, || guest.kill9());
        if end.state == OperationState::Failed {
            assert!(matches!(step, "pause" | "disks_create"), "{step}: {end:?}\n{}", dom0.agent_log());
            all_or_nothing(&dom0, &guest, &["base"]);
            dom0.done(&format!("{id}-again"), body);
        } else {
            assert_eq!(end.state, OperationState::Done, "{step}: {end:?}");
        }
        guest.wait_count_since(mark, SOON);
        all_or_nothing(&dom0, &guest, &["base"]);
    }
}

/// A QEMU that hangs for two seconds is waited for; the guest runs afterwards whatever became of the operation.
#[test]
fn stopped_and_continued_while_a_snapshot_is_taken() {
    let (mut dom0, guest) = counting(Kind::C);
    for step in steps(CREATE) {
        let id = format!("h-{step}");
        let body = format!(r#""op.vm_snapshot_create":{{"domain":"web1","name":"{id}","memory":"live"}}"#);
        let end = disturbed(&mut dom0, step, &id, &body, || {
            guest.sigstop();
            std::thread::sleep(Duration::from_secs(2));
            guest.sigcont();
        });
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

/// The same in a revert.
#[test]
fn stopped_and_continued_while_it_is_reverted() {
    let (mut dom0, guest) = counting(Kind::Ox);
    for step in steps(REVERT).into_iter().filter(|s| *s != "disks_apply") {
        let body = r#""op.vm_snapshot_revert":{"domain":"web1","snapshot":"base"}"#;
        let end = disturbed(&mut dom0, step, &format!("s-{step}"), body, || {
            guest.sigstop();
            std::thread::sleep(Duration::from_secs(2));
            guest.sigcont();
        });
        assert_eq!(end.state, OperationState::Done, "{step}: {:?}\n{}", end.error, dom0.agent_log());
        all_or_nothing(&dom0, &guest, &["base"]);
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
