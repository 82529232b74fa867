//! The guest is released on every path: by the agent, its guard, or the next agent; and never when the pause is somebody else's.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use xensnapd::host::process::{self, Process};
use xensnapd::host::{Host, RunState, pause};

use crate::rig::{Guest, Rig, have_qemu, instance, session, stop};

const ONE: [(&str, &str); 1] = [("vda", "qcow2")];

/// An agent in a process of its own that has paused the guest.
fn holder(rig: &Rig, guest: &Guest, deadline_ms: u32) -> (Child, Process) {
    let text = |p: &std::path::Path| p.to_str().unwrap().to_owned();
    let (run, state) = (text(&rig.settings.run_dir), text(&rig.settings.state_dir));
    let mut child = Command::new(&rig.settings.exe)
        .args(["hold", &run, &state, &text(&guest.path), "op", &deadline_ms.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "paused\n");
    let process = Process::of(child.id()).unwrap();
    (child, process)
}

fn pauses(rig: &Rig) -> Vec<String> {
    pause::all(&rig.settings.pauses())
}

fn guards(rig: &Rig) -> Vec<Process> {
    let run = rig.settings.run_dir.to_str().unwrap();
    let is_guard = |p: &Process| {
        let args = p.args();
        args.get(1).is_some_and(|a| a == "guard") && args.get(2).is_some_and(|a| a == run)
    };
    process::all().into_iter().filter(is_guard).collect()
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < until, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_pause_is_released_once_and_its_length_is_known() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.guest("g", &ONE).await;
    let host = rig.host().await;
    let i = instance(&host, &guest).await;
    let operation = "op".parse().unwrap();
    for _ in 0..2 {
        host.pause(&operation, &i, &stop(60)).await.unwrap();
        assert_eq!(host.recheck(&i).await.unwrap().state, RunState::Paused);
        assert_eq!(pauses(&rig), ["op"]);
    }
    host.disks_create(Some(&i), &guest.tags(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let paused = host.release(&operation, &i).await.unwrap().expect("its length");
    assert!(paused >= Duration::from_millis(50), "{paused:?}");
    assert_eq!(host.recheck(&i).await.unwrap().state, RunState::Running);
    assert!(pauses(&rig).is_empty());
    assert_eq!(host.release(&operation, &i).await.unwrap(), None);
}

#[tokio::test]
async fn a_guest_that_somebody_else_paused_stays_paused() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.guest("g", &ONE).await;
    guest.ask("stop", json!({})).await;
    let host = rig.host().await;
    let i = instance(&host, &guest).await;
    let operation = "op".parse().unwrap();
    host.pause(&operation, &i, &stop(60)).await.unwrap();
    assert!(pauses(&rig).is_empty());
    assert_eq!(host.release(&operation, &i).await.unwrap(), None);
    assert_eq!(host.recheck(&i).await.unwrap().state, RunState::Paused);
}

#[tokio::test]
async fn the_guard_releases_the_guest_of_a_killed_agent_exactly_once() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.guest("g", &ONE).await;
    let (mut agent, _) = holder(&rig, &guest, 60_000);
    agent.kill().unwrap();
    agent.wait().unwrap();
    guest.until("running").await;
    until("the pause is over", || pauses(&rig).is_empty()).await;
    until("the guard ends", || guards(&rig).is_empty()).await;
    // An admin pauses now: that is not ours, whoever looks.
    guest.ask("stop", json!({})).await;
    let host = rig.host().await;
    assert!(host.release_leftovers().await.unwrap().is_empty());
    assert_eq!(guest.status().await, "paused");
}

#[tokio::test]
async fn the_guard_ends_an_agent_that_hangs_beyond_its_deadline() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.guest("g", &ONE).await;
    let (mut agent, process) = holder(&rig, &guest, 1_500);
    process.signal(Signal::STOP);
    until("it is stopped", || process.stopped()).await;
    until("the agent is ended", || !process.alive()).await;
    agent.wait().unwrap();
    guest.until("running").await;
    until("the pause is over", || pauses(&rig).is_empty()).await;
}

#[tokio::test]
async fn a_guest_paused_by_a_dead_agent_without_guard_is_released_at_the_next_start() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.guest("g", &ONE).await;
    let (mut agent, process) = holder(&rig, &guest, 60_000);
    process.signal(Signal::STOP); // or it would start another guard
    until("it is stopped", || process.stopped()).await;
    for guard in guards(&rig) {
        guard.signal(Signal::KILL);
    }
    until("the guard is gone", || guards(&rig).is_empty()).await;
    // While the agent lives its pause is its own.
    let (released, held) =
        xensnapd::host::guard::leftovers(&rig.settings.pauses(), Duration::from_secs(1)).await;
    assert_eq!((released, held), (vec![], vec![]));
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(guest.status().await, "paused");
    let host = rig.host().await;
    let released = host.release_leftovers().await.unwrap();
    assert_eq!(released.iter().map(ToString::to_string).collect::<Vec<_>>(), ["op"]);
    assert_eq!(guest.status().await, "running");
    assert!(pauses(&rig).is_empty());
}

#[tokio::test]
async fn a_guard_that_was_killed_is_replaced_before_the_next_pause() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.guest("g", &ONE).await;
    let host = rig.host().await;
    let i = instance(&host, &guest).await;
    let [first] = guards(&rig)[..] else { panic!("one guard") };
    assert_ne!(session(first.pid), session(std::process::id()), "a session of its own");
    first.signal(Signal::KILL);
    until("the guard is gone", || !first.alive()).await;
    host.pause(&"op".parse().unwrap(), &i, &stop(60)).await.unwrap();
    let [second] = guards(&rig)[..] else { panic!("one guard") };
    assert_ne!(first, second);
    // While a pause goes on, at once.
    second.signal(Signal::KILL);
    until("another takes over", || guards(&rig).first().is_some_and(|third| *third != second)).await;
    host.release(&"op".parse().unwrap(), &i).await.unwrap();
    assert_eq!(host.recheck(&i).await.unwrap().state, RunState::Running);
}

#[tokio::test]
async fn a_guard_whose_agent_went_over_to_another_does_not_release_what_that_one_watches() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.guest("g", &ONE).await;
    let (first, second) = (rig.host().await, rig.host().await);
    let i = instance(&second, &guest).await;
    second.pause(&"op".parse().unwrap(), &i, &stop(60)).await.unwrap();
    drop(first); // its guard's connection ends, and this process lives on
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(pauses(&rig), ["op"]);
    assert_eq!(second.recheck(&i).await.unwrap().state, RunState::Paused);
}

#[tokio::test]
async fn a_hung_qemu_is_released_by_the_guard_once_it_answers_again() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.guest("g", &ONE).await;
    let (mut agent, _) = holder(&rig, &guest, 60_000);
    guest.process().signal(Signal::STOP);
    agent.kill().unwrap();
    agent.wait().unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(pauses(&rig), ["op"]);
    guest.process().signal(Signal::CONT);
    until("the pause is over", || pauses(&rig).is_empty()).await;
    assert_eq!(guest.status().await, "running");
}

#[tokio::test]
async fn a_qemu_that_hangs_past_the_deadline_costs_the_agent_nothing() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.guest("g", &ONE).await;
    let host = rig.host().await;
    let i = instance(&host, &guest).await;
    let operation = "op".parse().unwrap();
    host.pause(&operation, &i, &stop(4)).await.unwrap();
    guest.process().signal(Signal::STOP);
    let e = host.release(&operation, &i).await.unwrap_err();
    assert_eq!(e.kind, xensnap::contract::ErrorKind::QmpUnavailable);
    tokio::time::sleep(Duration::from_secs(4)).await; // the deadline has passed, and this agent lives
    assert_eq!(pauses(&rig), ["op"]);
    guest.process().signal(Signal::CONT);
    until("the guard releases it", || pauses(&rig).is_empty()).await;
    assert_eq!(host.release(&operation, &i).await.unwrap(), None);
    assert_eq!(host.recheck(&i).await.unwrap().state, RunState::Running);
    host.disks_create(Some(&i), &guest.tags(1)).await.unwrap();
}
