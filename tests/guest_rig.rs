//! The rig's guest itself: that it counts, and above all that its check can fail. A revert is proved by this guest, so it is proved first.

mod rig;

use std::time::Duration;

use rig::guest::{Guest, GuestSpec, QemuVersion};
use rig::xenstored::{Kind, Xenstored};
use serde_json::json;

const SOON: Duration = Duration::from_secs(60);

/// Writes to a disk behind the guest's back, as a revert to another moment would.
fn qemu_io(guest: &Guest, device: &str, words: &str) {
    let mut spy = guest.spy();
    spy.execute("stop", &json!({}));
    let said = spy.execute(
        "human-monitor-command",
        &json!({"command-line": format!("qemu-io -d {device} \"{words}\"")}),
    );
    assert_eq!(said, "", "the monitor says only errors");
    spy.execute("cont", &json!({}));
    assert_eq!(spy.pauses().len(), 1, "{:?}", spy.events());
}

#[test]
fn it_counts_on_each_qemu_and_goes_on_from_its_disks_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let xenstored = Xenstored::start(Kind::C, &dir.path().join("xs"));
    for qemu in QemuVersion::available() {
        let spec = GuestSpec::counting("web1").on(qemu);
        let guest = Guest::start(&xenstored.socket(), 1, spec, &dir.path().join(format!("{qemu:?}")));
        let config = xenstored.tool("xenstore-read", &["-R", "/libxl/1/xensnap/qemu_config"]);
        assert_eq!(config.trim_end(), guest.config().to_str().unwrap());
        let before = guest.wait_count(200, SOON);
        assert!(before.agrees(), "{before:?}");
        assert_eq!(before.disk("vdb"), Some(before.ram));
        let (mark, first) = (guest.mark(), guest.pid());
        guest.kill9();
        assert_eq!(guest.pid(), None);
        assert!(!guest.runs_within(Duration::from_millis(300)));
        guest.boot();
        let after = guest.wait_count_since(mark, SOON);
        assert!(after.ram >= before.ram, "{before:?} {after:?}");
        assert_ne!(guest.pid(), first);
        assert_eq!(guest.mismatches(), Vec::<String>::new());
    }
}

#[test]
fn a_disk_that_is_older_than_ram_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let guest = Guest::launch(1, GuestSpec::counting("web1").watched(), dir.path());
    guest.wait_up();
    guest.wait_count(300, SOON);
    assert_eq!(guest.mismatches(), Vec::<String>::new());
    let mark = guest.mark();
    // One sector of the ring on vdb: the devices are the heartbeat, vda, vdb.
    qemu_io(&guest, "/machine/peripheral-anon/device[2]/virtio-backend", "write -P 0 1M 512");
    guest.wait_running(SOON);
    let bad = guest.mismatches_since(mark);
    assert!(bad.len() == 1 && bad[0].starts_with("MISMATCH ram="), "{bad:?}");
}

#[test]
fn a_pause_shows_in_the_heartbeat_and_in_the_events() {
    let dir = tempfile::tempdir().unwrap();
    let guest = Guest::launch(1, GuestSpec::counting("web1").watched(), dir.path());
    guest.wait_up();
    let (heartbeat, mut spy) = (guest.heartbeat(), guest.spy());
    guest.wait_running(SOON);
    assert!(heartbeat.take().1 > 0);
    let pause = Duration::from_millis(700);
    spy.execute("stop", &json!({}));
    std::thread::sleep(pause);
    assert!(!guest.runs_within(Duration::from_millis(100)));
    spy.execute("cont", &json!({}));
    guest.wait_running(SOON);
    assert_eq!(spy.events(), ["STOP", "RESUME"]);
    assert!(spy.pauses()[0] >= pause && heartbeat.take().0 >= pause);
}

#[test]
fn twenty_idle_guests_run_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let guests: Vec<_> = (1..=20)
        .map(|n| Guest::launch(n, GuestSpec::idle(&format!("idle{n}")), &dir.path().join(n.to_string())))
        .collect();
    assert!(guests.iter().all(|guest| guest.pid().is_some() && guest.qmp().exists()));
}
