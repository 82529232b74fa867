//! xenstored dies and comes back, empty, before each step and inside of it: the operation completes, the mirror is rebuilt, and requests work again.

use std::time::{Duration, Instant};

use xensnap::contract::{DomainStatus, OperationState, Request};

use crate::rig::dom0::Dom0;
use crate::rig::guest::{Guest, GuestSpec};
use crate::rig::xenstored::Kind;
use crate::whole::{SOON, all_or_nothing, exhaustive, uuid};

/// Before steps, and (with a point) inside of them; `!` marks the short matrix.
const CREATE: &str = "!create_memory_file !pause !pause.stopped disks_create disks_create.asked disks_create.answered memory_begin
    !memory_begin.after !release release.before release.after !memory_complete memory_complete.after sync sync.after !commit";
const DELETE: &str = "disks_delete !disks_delete.asked disks_delete.answered remove_file commit";
const REVERT: &str = "verify !pause pause.armed disks_create disks_create.answered !end_domain !end_domain.ended !disks_apply
    disks_apply.answered !start_domain !start_domain.started start_domain.loaded !start_domain.registered !commit disks_delete";

/// How long the agent sleeps at the step, and xenstored dies meanwhile.
const ASLEEP: Duration = Duration::from_millis(1200);

fn steps(all: &str) -> Vec<&str> {
    let steps = all.split_whitespace();
    if exhaustive() {
        return steps.map(|p| p.trim_start_matches('!')).collect();
    }
    steps.filter_map(|p| p.strip_prefix('!')).collect()
}

/// The fault point of a place: before a step, or inside of one.
pub(crate) fn point_of(place: &str) -> String {
    if place.contains('.') { place.to_owned() } else { format!("step.{place}.before") }
}

/// Waits until the agent is at its fault point now.
pub(crate) fn at_point(dom0: &Dom0, point: &str, times: usize) {
    let (limit, words) = (Instant::now() + SOON, format!("fault point {point}:"));
    while dom0.agent_log().matches(&words).count() < times {
        assert!(Instant::now() < limit, "{point} was not passed\n{}", dom0.agent_log());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// xenstored dies while the operation is at the step; when it is back the operation is shown to its end.
fn lost_at(dom0: &mut Dom0, guest: &Guest, step: &str, id: &str, body: &str) {
    println!("{id}: {step}");
    let point = point_of(step);
    let before = dom0.agent_log().matches(&format!("fault point {point}:")).count();
    dom0.kill_agent();
    dom0.start_agent(&[("XENSNAPD_FAULT", &format!("{point}=sleep{}", ASLEEP.as_millis()))]);
    dom0.send(id, body);
    at_point(dom0, &point, before + 1);
    dom0.restart_xenstored(&[guest]);
    // A request that reached the old daemon only is lost with it; written again under its id it is one operation all the same.
    dom0.send(id, body);
    let end = dom0.wait(id);
    assert_eq!(end.state, OperationState::Done, "{step}: {:?}\n{}", end.error, dom0.agent_log());
    let limit = Instant::now() + SOON;
    let status = DomainStatus::xenstore_path(uuid(guest));
    while dom0.status().is_none() || dom0.read(&status).is_none() {
        assert!(Instant::now() < limit, "{step}: the mirror is not rebuilt\n{}", dom0.agent_log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn loses_xenstored(kind: Kind) {
    let mut dom0 = Dom0::new(kind);
    let guest = dom0.guest(GuestSpec::counting("web1"));
    dom0.done("base", r#""op.vm_snapshot_create":{"domain":"web1","name":"base"}"#);
    for step in steps(CREATE) {
        let id = format!("c-{}", step.replace('.', "-"));
        let body = format!(r#""op.vm_snapshot_create":{{"domain":"web1","name":"{id}"}}"#);
        lost_at(&mut dom0, &guest, step, &id, &body);
        all_or_nothing(&dom0, &guest, &["base", &id]);
        dom0.done(
            &format!("{id}-d"),
            &format!(r#""op.vm_snapshot_delete":{{"domain":"web1","snapshot":"{id}"}}"#),
        );
    }
    for step in steps(DELETE) {
        let id = format!("d-{}", step.replace('.', "-"));
        dom0.done(&id, &format!(r#""op.vm_snapshot_create":{{"domain":"web1","name":"{id}"}}"#));
        let body = format!(r#""op.vm_snapshot_delete":{{"domain":"web1","snapshot":"{id}"}}"#);
        lost_at(&mut dom0, &guest, step, &format!("{id}-d"), &body);
        all_or_nothing(&dom0, &guest, &["base"]);
    }
    for step in steps(REVERT) {
        let body = r#""op.vm_snapshot_revert":{"domain":"web1","snapshot":"base"}"#;
        lost_at(&mut dom0, &guest, step, &format!("r-{}", step.replace('.', "-")), body);
        all_or_nothing(&dom0, &guest, &["base"]);
    }
}

#[test]
fn c_xenstored_dies_at_each_step() {
    loses_xenstored(Kind::C);
}

#[test]
fn oxenstored_dies_at_each_step() {
    loses_xenstored(Kind::Ox);
}

#[test]
fn a_request_that_was_lost_with_xenstored_is_sent_again() {
    for kind in [Kind::C, Kind::Ox] {
        let mut dom0 = Dom0::new(kind);
        let guest = dom0.guest(GuestSpec::idle("web1"));
        let body = r#""op.disk_snapshot_create":{"domain":"web1","name":"a"}"#;
        // Written, and gone before anybody has read it.
        dom0.kill_agent();
        dom0.send("a", body);
        dom0.restart_xenstored(&[&guest]);
        dom0.start_agent(&[]);
        assert_eq!(dom0.read(&Request::xenstore_path("a")), None);
        dom0.done("a", body);
        // A hanging daemon is waited for.
        dom0.daemon.freeze(true);
        std::thread::sleep(Duration::from_secs(1));
        dom0.daemon.freeze(false);
        all_or_nothing(&dom0, &guest, &["a"]);
        // Down for a while: the agent waits, and takes what is written then.
        dom0.daemon.kill9();
        std::thread::sleep(Duration::from_secs(1));
        dom0.restart_xenstored(&[&guest]);
        assert_eq!(dom0.wait("a").state, OperationState::Done, "shown again");
        all_or_nothing(&dom0, &guest, &["a"]);
    }
}
