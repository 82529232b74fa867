//! A snapshot of memory and two disks of a running guest: ours, and a bare QMP client in the same order.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bare::Bare;
use crate::client::Client;
use crate::disk::paused;
use crate::rig::dom0::Dom0;
use crate::rig::guest::{Guest, GuestSpec};
use crate::rig::xenstored::Kind;
use crate::table::{Limit, Table, Times};

const REST: Duration = Duration::from_millis(300);
/// How often the rival asks for the first page: the guest waits.
const POLL: Duration = Duration::from_millis(1);
/// How often it asks for the end: each question holds QEMU up.
const END_POLL: Duration = Duration::from_millis(20);

pub(crate) fn run(table: &mut Table, rounds: usize) {
    let mut dom0 = Dom0::new(Kind::Ox);
    let spec = GuestSpec { mem_mb: 512, fill_mb: 256, ..GuestSpec::counting("bench").watched() };
    let guest = dom0.guest(spec);
    let spy = guest.spy();
    let client = Client::connect(&dom0.daemon.socket());
    let (mut our_pause, mut our_whole, mut said) = <(Times, Times, Times)>::default();
    let (mut pause, mut whole, mut synced) = <(Times, Times, Times)>::default();
    let image = dom0.path().join("bare.save");
    let mut size = 0;
    for round in 0..rounds * 2 {
        std::thread::sleep(REST);
        let tag = format!("r{round}");
        let mark = spy.pauses().len();
        // Ours, rival; rival, ours.
        if (round + round / 2) % 2 == 0 {
            let (operation, took) =
                client.done(&tag, r#""op.vm_snapshot_create":{"domain":"bench","memory":"live"}"#);
            our_whole.add(took);
            said.add(operation.pause.expect("a running guest is paused"));
            our_pause.add(paused(&spy, mark));
            client.done(
                &format!("{tag}-x"),
                &format!(r#""op.vm_snapshot_delete":{{"domain":"bench","snapshot":"{tag}"}}"#),
            );
        } else {
            let (took, with_sync) = with_bare(&guest, &image, &tag);
            whole.add(took);
            synced.add(with_sync);
            pause.add(paused(&spy, mark));
            size = std::fs::metadata(&image).unwrap().len();
            std::fs::remove_file(&image).unwrap();
        }
    }
    let name = format!("VM snapshot, {} MiB of memory, 2 disks: pause / bare QMP's", size >> 20);
    table.beside(&name, &our_pause, &pause, Limit { factor: 1.3, more_ms: 0.0 });
    let limit = Limit { factor: 1.2, more_ms: 0.0 };
    table.beside(
        "whole, request to answer (synced) / bare QMP, image left unsynced",
        &our_whole,
        &whole,
        limit,
    );
    table.note("whole / bare QMP and fsync", &our_whole.to_string(), &synced.to_string());
    table.note("its pause as the operation tells it", &said.to_string(), "");
    assert_eq!(guest.mismatches(), Vec::<String>::new());
}

/// From connecting until QEMU says completed, and until the image is on the disk.
fn with_bare(guest: &Guest, image: &Path, tag: &str) -> (Duration, Duration) {
    let began = Instant::now();
    let mut bare = Bare::connect(&guest.qmp());
    let background = |on: bool| json!({"capabilities": [{"capability": "background-snapshot", "state": on}]});
    bare.execute("migrate-set-capabilities", background(true));
    bare.execute("migrate-set-parameters", json!({"max-bandwidth": 1u64 << 40}));
    let file = File::create(image).unwrap();
    bare.getfd("memory", &file);
    bare.execute("stop", json!({}));
    bare.transaction(tag);
    bare.execute("migrate", json!({"uri": "fd:memory"}));
    while pages(&bare.execute("query-migrate", json!({}))) == 0 {
        std::thread::sleep(POLL);
    }
    if bare.execute("query-status", json!({}))["status"] == "paused" {
        bare.execute("cont", json!({}));
    }
    loop {
        let said = bare.execute("query-migrate", json!({}));
        match said["status"].as_str() {
            Some("completed") => break,
            Some("failed" | "cancelled") => panic!("{said}"),
            _ => std::thread::sleep(END_POLL),
        }
    }
    let whole = began.elapsed();
    file.sync_all().unwrap();
    let synced = began.elapsed();
    bare.execute("migrate-set-capabilities", background(false));
    bare.delete(tag);
    (whole, synced)
}

fn pages(said: &Value) -> u64 {
    let number = |at| said.pointer(at).and_then(Value::as_u64).unwrap_or(0);
    number("/ram/normal") + number("/ram/duplicate")
}
