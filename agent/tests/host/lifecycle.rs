//! Ending and starting: whatever state QEMU is in, and whatever an earlier agent began.

use rustix::process::Signal;
use xensnap::contract::ErrorKind;
use xensnapd::host::{Host, RunState, process};

use crate::rig::{Rig, have_qemu, instance, run, session};

const ONE: [(&str, &str); 1] = [("vda", "qcow2")];

#[tokio::test]
async fn a_domain_ends_whether_its_qemu_answers_is_held_hangs_or_is_registered() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let host = rig.host().await;
    for what in ["answers", "held", "hangs", "registered"] {
        let mut guest = rig.domain(what, &ONE);
        guest.start(true);
        if what != "registered" {
            rig.register(&guest, 7).await;
        }
        let other = if what == "held" { Some(guest.qmp().await) } else { None };
        let process = guest.process();
        if what == "hangs" {
            process.signal(Signal::STOP);
        }
        host.end_domain(guest.config.uuid).await.unwrap();
        assert!(!process.alive(), "{what}");
        drop(other);
        assert!(host.instances().await.unwrap().is_empty());
        run("qemu-img", &["check", "-q", guest.disk(0).to_str().unwrap()]);
    }
}

#[tokio::test]
async fn a_started_domain_outlives_the_agent_and_is_not_started_twice() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.domain("g", &ONE);
    let uuid = guest.config.uuid;
    let host = rig.host().await;
    let start = guest.start_from(None, false);
    let i = host.start_domain(uuid, &start).await.unwrap();
    assert_eq!((i.state, i.domid), (RunState::Running, 1));
    let qemu = guest.process();
    assert_ne!(session(qemu.pid), session(std::process::id()), "a session of its own");
    drop(host);
    let host = rig.host().await;
    assert_eq!(host.start_domain(uuid, &start).await.unwrap().run, i.run);
    // Another start is another matter: the domain must be ended first.
    let other = guest.start_from(None, true);
    assert_eq!(host.start_domain(uuid, &other).await.unwrap_err().kind, ErrorKind::DomainState);
    assert!(qemu.alive());
    host.end_domain(uuid).await.unwrap();
    let again = host.start_domain(uuid, &other).await.unwrap();
    assert_eq!(host.recheck(&again).await.unwrap().state, RunState::Paused);
    assert_ne!(again.run, i.run);
}

#[tokio::test]
async fn a_start_that_an_agent_left_half_done_is_begun_again() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let mut guest = rig.domain("g", &ONE);
    let uuid = guest.config.uuid;
    let host = rig.host().await;
    let start = guest.start_from(None, false);
    // As an agent leaves it that dies between starting QEMU and registering it.
    guest.start(false);
    let half = guest.process();
    assert_eq!(
        host.start_domain(uuid, &start).await.unwrap_err().kind,
        ErrorKind::DomainState,
        "nobody says that it is ours"
    );
    let what = (start.config.as_str(), Option::<String>::None, false);
    let mark = serde_json::json!({"what": what, "run": null, "reached": "Starting"});
    let folder = rig.settings.run_dir.join("started");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{uuid}.mark")), mark.to_string()).unwrap();
    let i = host.start_domain(uuid, &start).await.unwrap();
    assert!(!half.alive());
    assert_eq!(instance(&host, &guest).await.run, i.run);
    assert_eq!(process::qemus_of(uuid).len(), 1);
}

#[tokio::test]
async fn a_qemu_that_cannot_start_is_told_with_its_own_words() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.domain("g", &ONE);
    let host = rig.host().await;
    let mut start = guest.start_from(None, false);
    let text = start.config.as_str().replace("q35,accel=tcg", "no-such-machine");
    start.config = xensnap::wire::RawJson::new(text).unwrap();
    let e = host.start_domain(guest.config.uuid, &start).await.unwrap_err();
    assert_eq!(e.kind, ErrorKind::BackendFailed);
    assert!(e.message.contains("no-such-machine") || e.message.contains("machine"), "{e}");
    let mut start = guest.start_from(None, false);
    start.config = xensnap::wire::RawJson::new(
        start.config.as_str().replace(&crate::rig::qemu_binary(), "/nowhere/qemu"),
    )
    .unwrap();
    let e = host.start_domain(guest.config.uuid, &start).await.unwrap_err();
    assert!(e.message.contains("/nowhere/qemu"), "{e}");
}
