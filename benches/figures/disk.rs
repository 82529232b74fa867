//! A disk snapshot of two disks of a running guest: ours, a bare QMP client, a script of socat and jq.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bare::Bare;
use crate::client::Client;
use crate::rig::dom0::Dom0;
use crate::rig::guest::{Guest, GuestSpec, Spy};
use crate::rig::xenstored::Kind;
use crate::table::{Limit, Table, Times};

/// Between two turns: whoever was before has let the socket go, and its writes are over.
const REST: Duration = Duration::from_millis(60);

#[derive(Debug, Default)]
struct Turns {
    whole: Times,
    pause: Times,
}

pub(crate) fn run(table: &mut Table, rounds: usize) {
    let mut dom0 = Dom0::new(Kind::Ox);
    let guest = dom0.guest(GuestSpec::counting("bench").watched());
    let spy = guest.spy();
    let client = Client::connect(&dom0.daemon.socket());
    let (mut ours, mut bare, mut script) = <(Turns, Turns, Turns)>::default();
    let (mut transaction, mut said) = <(Times, Times)>::default();
    for round in 0..rounds {
        for turn in 0..3 {
            std::thread::sleep(REST);
            let tag = format!("r{round}");
            let mark = spy.pauses().len();
            // Whoever comes first in a round comes last in the next.
            match (turn + round) % 3 {
                0 => {
                    let (operation, took) =
                        client.done(&tag, r#""op.disk_snapshot_create":{"domain":"bench"}"#);
                    ours.whole.add(took);
                    said.add(operation.pause.expect("a running guest is paused"));
                    ours.pause.add(paused(&spy, mark));
                    client.done(
                        &format!("{tag}-x"),
                        &format!(r#""op.disk_snapshot_delete":{{"domain":"bench","snapshot":"{tag}"}}"#),
                    );
                }
                1 => {
                    let (whole, asked) = with_bare(&guest, &tag);
                    bare.whole.add(whole);
                    transaction.add(asked);
                    bare.pause.add(paused(&spy, mark));
                    Bare::connect(&guest.qmp()).delete(&tag);
                }
                _ => {
                    script.whole.add(with_script(&guest, &tag));
                    script.pause.add(paused(&spy, mark));
                    Bare::connect(&guest.qmp()).delete(&tag);
                }
            }
        }
    }
    let limit = Limit { factor: 1.3, more_ms: 10.0 };
    table.beside(
        "disk snapshot, 2 disks: request to answer / bare transaction",
        &ours.whole,
        &transaction,
        limit,
    );
    table.beside("the same / socat + jq script", &ours.whole, &script.whole, limit);
    table.note(
        "the same / bare QMP with connect, stop, cont",
        &ours.whole.to_string(),
        &bare.whole.to_string(),
    );
    let limit = Limit { factor: 1.0, more_ms: 2.0 };
    table.beside("its pause (QEMU's STOP to RESUME) / bare transaction", &ours.pause, &transaction, limit);
    table.note("its pause / socat + jq script's", &ours.pause.to_string(), &script.pause.to_string());
    table.note("its pause / bare QMP's", &ours.pause.to_string(), &bare.pause.to_string());
    table.note("its pause as the operation tells it", &said.to_string(), "");
}

/// The pauses since there were `mark` of them; an event may still be on its way.
pub(crate) fn paused(spy: &Spy, mark: usize) -> Duration {
    let limit = Instant::now() + Duration::from_secs(2);
    while spy.pauses().len() <= mark && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(1));
    }
    spy.pauses()[mark..].iter().sum()
}

/// The whole time, and the transaction's alone.
fn with_bare(guest: &Guest, tag: &str) -> (Duration, Duration) {
    let began = Instant::now();
    let mut bare = Bare::connect(&guest.qmp());
    bare.execute("stop", json!({}));
    let asked = Instant::now();
    bare.transaction(tag);
    let answered = asked.elapsed();
    bare.execute("cont", json!({}));
    (began.elapsed(), answered)
}

#[expect(clippy::disallowed_methods, reason = "the rival is a script")]
fn with_script(guest: &Guest, tag: &str) -> Duration {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/figures/disk_snapshot");
    let began = Instant::now();
    let status = Command::new(script).arg(guest.qmp()).arg(tag).status().unwrap();
    assert!(status.success(), "the script failed: {status}");
    began.elapsed()
}
