//! A process that waits for its command: it becomes it, or ends with who had it made.

use std::path::Path;
use std::time::{Duration, Instant};

use xensnapd::host::detached::ready::Ready;
use xensnapd::host::process::{self, Process};

use crate::rig::{Rig, session};

/// What waits below this folder.
fn waiting(rig: &Rig) -> Vec<Process> {
    let named = rig.settings.run_dir.display().to_string();
    process::all()
        .into_iter()
        .filter(|p| p.args().iter().any(|a| a == "ready") && p.args().concat().contains(&named))
        .collect()
}

async fn soon(what: &str, mut there: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !there() {
        assert!(Instant::now() < limit, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn said(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}

fn script(text: &str) -> [String; 3] {
    ["/bin/sh".into(), "-c".into(), text.into()]
}

#[tokio::test]
async fn what_waits_becomes_the_command_and_outlives_who_had_it_made() {
    let rig = Rig::new();
    std::fs::create_dir_all(&rig.settings.run_dir).unwrap();
    let ready = Ready::new(rig.settings.clone());
    ready.prepare().await;
    ready.prepare().await;
    let [one] = waiting(&rig)[..] else { panic!("{:?}", waiting(&rig)) };
    let log = rig.dir.path().join("log");
    ready
        .start_parent(
            "u",
            &log,
            &script("echo begun $$; echo to its error output >&2; read x; exec sleep 60"),
        )
        .await
        .unwrap();
    soon("it says something", || said(&log).contains("to its error output")).await;
    assert_eq!(said(&log), format!("begun {}\nto its error output\n", one.pid), "in the process that waited");
    soon("it goes on", || one.args().first().is_some_and(|a| a == "sleep")).await;
    assert_ne!(session(one.pid), session(std::process::id()), "a session of its own");
    assert_eq!(waiting(&rig), []);
    drop(ready);
    assert!(one.alive());
    one.kill(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn what_waits_ends_with_who_had_it_made() {
    let rig = Rig::new();
    std::fs::create_dir_all(&rig.settings.run_dir).unwrap();
    let ready = Ready::new(rig.settings.clone());
    ready.prepare().await;
    assert_eq!(waiting(&rig).len(), 1);
    drop(ready);
    soon("it ends", || waiting(&rig).is_empty()).await;
}

#[tokio::test]
async fn a_command_that_cannot_be_begun_there_is_begun_as_any_other() {
    let rig = Rig::new();
    std::fs::create_dir_all(&rig.settings.run_dir).unwrap();
    let ready = Ready::new(rig.settings.clone());
    let log = rig.dir.path().join("log");
    for what in ["none waits", "it was killed", "it hangs"] {
        if what != "none waits" {
            ready.prepare().await;
            let one = waiting(&rig)[0];
            match what {
                "it was killed" => one.kill(Duration::from_secs(10)).await.unwrap(),
                _ => one.signal(rustix::process::Signal::STOP),
            }
        }
        ready.start_parent("u", &log, &script(&format!("echo {what}"))).await.unwrap();
        soon(what, || said(&log).ends_with(&format!("{what}\n"))).await;
        assert_eq!(waiting(&rig), [], "{what}: none is left that could begin it once more");
    }
    assert_eq!(said(&log).lines().count(), 3, "each once: {}", said(&log));
    ready.prepare().await;
    let error = ready.start_parent("u", &log, &["/nonexistent/program".into()]).await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent/program"), "{error}");
}
