//! The monitor against the fake toolstack: whole lives of a domain.

use super::*;
use crate::libxl::fake::Fake;

const UUID: Uuid = Uuid::from_u128(0x77);
const RESTARTS: &str = r#""on_reboot": "restart", "on_crash": "restart_rename""#;

struct Life {
    fake: Fake,
    run: tempfile::TempDir,
    target: Target,
}

fn life(actions: &str) -> Life {
    let fake = Fake::new();
    let target = fake.add(5, UUID, "web", actions);
    Life { fake, run: tempfile::tempdir().unwrap(), target }
}

impl Life {
    fn watch(&self) -> Result<Watched, Failure> {
        watch(&self.fake, self.target, self.run.path(), |_| None)
    }

    /// An event: at the next wait the instance is in this state.
    fn then(&self, domid: u32, state: RunState) {
        self.fake.then(move |fake| {
            fake.becomes(domid, state);
            Some(Event::Other)
        });
    }

    fn deeds(&self) -> Vec<String> {
        let log = self.fake.log.borrow();
        log.iter().filter(|l| !l.starts_with("config ")).cloned().collect()
    }
}

#[test]
fn a_suspend_is_waited_out_and_a_poweroff_after_it_removes_the_domain() {
    let life = life(RESTARTS);
    life.then(5, RunState::Suspended);
    life.then(5, RunState::Running);
    life.then(5, RunState::Suspended);
    life.then(5, RunState::PoweredOff);
    assert_eq!(life.watch().unwrap(), Watched { end: WatchEnd::Handled, domid: 5 });
    assert_eq!(life.deeds(), ["watch 5", "destroy 5"]);
}

#[test]
fn reboots_restart_it_again_and_again_and_the_domid_is_followed() {
    let life = life(RESTARTS);
    life.then(5, RunState::Rebooting);
    life.then(10, RunState::Suspended);
    life.then(10, RunState::Rebooting);
    life.fake.then(|fake| {
        fake.domains.borrow_mut().remove(&11);
        Some(Event::Other)
    });
    assert_eq!(life.watch().unwrap(), Watched { end: WatchEnd::Gone, domid: 11 });
    let restart = |old: u32, new: u32| {
        [
            format!("destroy {old}"),
            "sleep 2000".into(),
            "create web".into(),
            format!("unpause {new}"),
            format!("watch {new}"),
        ]
    };
    assert_eq!(
        life.deeds(),
        [vec!["watch 5".to_owned()], restart(5, 10).into(), restart(10, 11).into()].concat()
    );
    let lock = std::fs::read_to_string(life.run.path().join(format!("watchers/{UUID}.lock"))).unwrap();
    assert_eq!(lock, format!("{} 11\n", std::process::id()));
}

#[test]
fn a_restart_takes_the_config_of_that_moment() {
    let life = life(RESTARTS);
    life.fake.then(|fake| {
        let mut domains = fake.domains.borrow_mut();
        let dom = domains.get_mut(&5).unwrap();
        dom.state = RunState::Rebooting;
        dom.config = dom.config.replace("\"web\"", "\"renamed\"").replace("restart_rename", "preserve");
        Some(Event::Other)
    });
    life.then(10, RunState::Crashed);
    assert_eq!(life.watch().unwrap(), Watched { end: WatchEnd::Handled, domid: 10 });
    assert_eq!(life.deeds()[3], "create renamed");
    assert_eq!(life.fake.domains.borrow()[&10].state, RunState::Crashed, "preserved, as the new config says");
}

#[test]
fn a_crash_with_rename_keeps_the_old_one_beside_the_new() {
    let life = life(RESTARTS);
    life.then(5, RunState::Crashed);
    life.then(10, RunState::PoweredOff);
    assert_eq!(life.watch().unwrap(), Watched { end: WatchEnd::Handled, domid: 10 });
    let domains = life.fake.domains.borrow();
    let kept = &domains[&5];
    assert!(kept.name.starts_with("web-2") && kept.name.ends_with('Z'), "{}", kept.name);
    assert_ne!(kept.uuid, UUID);
    assert_eq!(domains.len(), 1, "{domains:?}");
}

#[test]
fn a_core_dump_comes_first_and_its_failure_stops_nothing() {
    let life = life(r#""on_crash": "coredump_restart""#);
    life.fake.fails.borrow_mut().push("core_dump");
    life.then(5, RunState::Crashed);
    life.then(10, RunState::PoweredOff);
    assert_eq!(life.watch().unwrap().domid, 10);
    assert_eq!(life.deeds()[..4], ["watch 5", "core_dump /var/lib/xen/dump/web", "destroy 5", "sleep 2000"]);
}

#[test]
fn a_soft_reset_keeps_the_domid_and_its_failure_ends_the_domain() {
    let life = life(r#""on_soft_reset": "soft_reset""#);
    life.then(5, RunState::SoftReset);
    life.then(5, RunState::SoftReset);
    life.fake.then(|fake| {
        fake.fails.borrow_mut().push("soft_reset");
        fake.becomes(5, RunState::SoftReset);
        Some(Event::Other)
    });
    assert!(life.watch().unwrap_err().message.contains("soft_reset failed"));
    let deeds = life.deeds();
    assert_eq!(deeds[..4], ["watch 5", "soft_reset 5", "unpause 5", "watch 5"]);
    assert_eq!(deeds.last().unwrap(), "destroy 5");
    assert!(life.fake.domains.borrow().is_empty());
}

#[test]
fn an_event_that_was_missed_is_seen_at_the_next_look() {
    let life = life(RESTARTS);
    life.fake.then(|fake| {
        fake.becomes(5, RunState::PoweredOff);
        None
    });
    assert_eq!(life.watch().unwrap().end, WatchEnd::Handled);
}

#[test]
fn a_guest_that_had_ended_before_the_monitor_came_is_handled_at_once() {
    let life = life(RESTARTS);
    life.fake.becomes(5, RunState::Rebooting);
    life.then(10, RunState::Dying);
    assert_eq!(life.watch().unwrap(), Watched { end: WatchEnd::Gone, domid: 10 });
}

#[test]
fn another_domain_under_the_domid_is_left_alone() {
    let life = life(RESTARTS);
    life.fake.then(|fake| {
        fake.add(5, Uuid::from_u128(1), "other", RESTARTS);
        fake.becomes(5, RunState::Rebooting);
        Some(Event::Other)
    });
    assert_eq!(life.watch().unwrap().end, WatchEnd::OtherDomain);
    assert_eq!(life.deeds(), ["watch 5"]);
    let none = life_without();
    assert_eq!(none.watch().unwrap().end, WatchEnd::Gone);
}

fn life_without() -> Life {
    let life = life(RESTARTS);
    life.fake.domains.borrow_mut().clear();
    life
}

#[test]
fn an_instance_that_somebody_else_made_meanwhile_stays_theirs() {
    let life = life(RESTARTS);
    life.fake.then(|fake| {
        fake.becomes(5, RunState::Rebooting);
        fake.add(99, UUID, "web", RESTARTS); // libxl allows two of a name only in our fake; it stands for one made in the two seconds
        Some(Event::Other)
    });
    assert_eq!(life.watch().unwrap(), Watched { end: WatchEnd::Replaced, domid: 5 });
    assert_eq!(life.deeds(), ["watch 5", "destroy 5", "sleep 2000"]);
}

#[test]
fn a_restart_is_tried_again_but_not_for_ever() {
    let life = life(RESTARTS);
    life.fake.fails.borrow_mut().extend(["create", "create"]);
    life.then(5, RunState::Rebooting);
    life.then(10, RunState::Rebooting);
    life.fake.then(|fake| {
        fake.fails.borrow_mut().extend(["create"; 3]);
        fake.becomes(11, RunState::Rebooting);
        Some(Event::Other)
    });
    assert!(life.watch().unwrap_err().message.contains("create failed"));
    let creations = life.deeds().iter().filter(|d| *d == "create web").count();
    assert_eq!(creations, 3 + 1 + 3);
}

#[test]
fn a_domain_that_cannot_be_destroyed_is_not_made_twice() {
    let life = life(RESTARTS);
    life.fake.lies.borrow_mut().push("destroy");
    life.then(5, RunState::Rebooting);
    assert!(life.watch().unwrap_err().message.contains("could not be destroyed"));
    assert_eq!(life.deeds(), ["watch 5", "destroy 5"]);
}

#[test]
fn an_ejected_disk_is_handled_and_the_wait_goes_on() {
    let life = life(r#""disks": [{"vdev": "hdc", "removable": 1}]"#);
    life.fake.then(|_| Some(Event::Ejected("{\"vdev\":\"hdc\"}".into())));
    life.then(5, RunState::PoweredOff);
    assert_eq!(life.watch().unwrap().end, WatchEnd::Handled);
    assert_eq!(life.deeds(), ["watch 5 hdc", "insert 5 {\"vdev\":\"hdc\"}", "destroy 5"]);
}

#[test]
fn one_monitor_a_domain() {
    let life = life(RESTARTS);
    let held = lock::take(life.run.path(), UUID, 5).unwrap().unwrap();
    assert_eq!(life.watch().unwrap().end, WatchEnd::AlreadyWatched);
    drop(held);

    // xl's monitor: waited for where it ends with a suspend, and left to its work where it does not.
    let stays = watch(&life.fake, life.target, life.run.path(), |_| Some(1)).unwrap();
    assert_eq!(stays.end, WatchEnd::XlWatches);
    assert_eq!(life.deeds().len(), 120, "a minute in half seconds");

    let mut newer = life_without();
    newer.fake.info.xl_monitor_ends = false;
    let stays = watch(&newer.fake, newer.target, newer.run.path(), |_| Some(1)).unwrap();
    assert_eq!((stays.end, newer.deeds().len()), (WatchEnd::XlWatches, 0));

    let asked = std::cell::Cell::new(0);
    let ends = |_| {
        asked.set(asked.get() + 1);
        (asked.get() < 3).then_some(1)
    };
    life.then(5, RunState::PoweredOff);
    assert_eq!(watch(&life.fake, life.target, life.run.path(), ends).unwrap().end, WatchEnd::Handled);
}

#[test]
fn the_suffix_is_xls() {
    let now = Timestamp::from_unix_nanos(1_795_462_262_123_456_789).unwrap();
    assert_eq!(suffix(now), "-20261123T1931Z");
}
