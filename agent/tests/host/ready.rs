//! A process that waits for its program: it runs it and notes how it ended, or ends with who had it made.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use xensnapd::host::process::{self, Process};
use xensnapd::host::xen::noted::Noted;
use xensnapd::host::xen::ready::Ready;

use crate::rig::{Rig, session};

const LONG: Duration = Duration::from_secs(20);

fn rig() -> Rig {
    let rig = Rig::new();
    std::fs::create_dir_all(&rig.settings.run_dir).unwrap();
    rig
}

/// What waits below this folder.
fn waiting(rig: &Rig) -> Vec<Process> {
    let named = rig.settings.run_dir.display().to_string();
    let ours = |p: &Process| {
        let args = p.args();
        args.get(1).is_some_and(|a| a == "ready") && args.last().is_some_and(|a| a.starts_with(&named))
    };
    process::all().into_iter().filter(ours).collect()
}

async fn soon(what: &str, mut there: impl FnMut() -> bool) {
    let limit = Instant::now() + LONG;
    while !there() {
        assert!(Instant::now() < limit, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn said(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn script(answer: &Path, text: &str) -> Noted {
    let command = ["/bin/sh", "-c", text].map(str::to_owned).into();
    Noted { answer: answer.into(), config: None, image: None, command }
}

#[tokio::test]
async fn what_waits_runs_the_program_and_outlives_who_had_it_made() {
    let rig = rig();
    let ready = Ready::new(rig.settings.clone());
    ready.prepare().await;
    ready.prepare().await;
    let [one] = waiting(&rig)[..] else { panic!("{:?}", waiting(&rig)) };
    let at = |name: &str| rig.dir.path().join(name);
    let (log, answer, go) = (at("log"), at("answer"), at("go"));
    let text = format!(
        "echo begun; echo to its error output >&2; while [ ! -e {} ]; do sleep 0.01; done; exit 7",
        go.display()
    );
    assert_eq!(ready.run("u", &log, script(&answer, &text)).await.unwrap(), Some(one), "who will note it");
    soon("it says something", || said(&log).contains("to its error output")).await;
    assert_eq!(said(&log), "begun\nto its error output\n");
    assert_ne!(session(one.pid), session(std::process::id()), "a session of its own");
    drop(ready);
    assert!(one.alive() && !answer.exists());
    std::fs::File::create(&go).unwrap();
    soon("its end is noted", || said(&answer) == "7\n").await;
    assert!(one.gone_within(LONG).await);
}

#[tokio::test]
async fn what_waits_ends_with_who_had_it_made() {
    let rig = rig();
    let ready = Ready::new(rig.settings.clone());
    ready.prepare().await;
    assert_eq!(waiting(&rig).len(), 1);
    drop(ready);
    soon("it ends", || waiting(&rig).is_empty()).await;
}

#[tokio::test]
async fn a_program_that_nobody_waits_for_gets_a_unit_of_its_own() {
    let rig = rig();
    let ready = Ready::new(rig.settings.clone());
    let log = rig.dir.path().join("log");
    for (n, what) in
        ["none waits", "it was killed", "it hangs", "its log cannot be written"].into_iter().enumerate()
    {
        let answer = rig.dir.path().join(format!("answer{n}"));
        let mut log = log.clone();
        if what != "none waits" {
            ready.prepare().await;
            let one = waiting(&rig)[0];
            match what {
                "it was killed" => one.kill(LONG).await.unwrap(),
                "it hangs" => one.signal(Signal::STOP),
                _ => log = rig.dir.path().join("log/below-a-file"),
            }
        }
        let begun = ready.run("u", &log, script(&answer, &format!("echo {what}; exit {n}"))).await;
        assert_eq!(waiting(&rig), [], "{what}: none is left that could begin it once more");
        if what == "its log cannot be written" {
            let error = begun.unwrap_err();
            assert_eq!(
                error.kind,
                xensnap::contract::ErrorKind::BackendFailed,
                "as any other start: {error}"
            );
            continue;
        }
        assert_eq!(begun.unwrap(), None, "{what}");
        soon(what, || said(&answer) == format!("{n}\n")).await;
    }
    assert_eq!(said(&log), "none waits\nit was killed\nit hangs\n", "each once");
}
