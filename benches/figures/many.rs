//! 1 000 requests to 20 domains at once: none lost, none done twice, in little memory. Then the same agent with nothing to do.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use xensnap::contract::JournalState;
use xensnap_store::Read;

use crate::client::Client;
use crate::rig::dom0::{Dom0, tags};
use crate::rig::guest::{Guest, GuestSpec};
use crate::rig::xenstored::Kind;
use crate::table::Table;

const DOMAINS: usize = 20;
const REQUESTS: usize = 1000;
/// How many are written a second time while all are under way: the same id and bytes are the same operation.
const AGAIN: usize = 200;
const WRITERS: usize = 4;
/// Without one more snapshot for so long, the rest is lost.
const STALL: Duration = Duration::from_secs(60);
/// How long the idle agent is looked at, and before that left alone.
const IDLE: Duration = Duration::from_secs(30);
const SETTLE: Duration = Duration::from_secs(15);

pub(crate) fn run(table: &mut Table) {
    let mut dom0 = Dom0::new(Kind::Ox);
    let guests: Vec<Guest> = (0..DOMAINS).map(|n| dom0.guest(GuestSpec::idle(&format!("d{n}")))).collect();
    let requests: Vec<(String, String)> = (0..REQUESTS)
        .map(|n| {
            (id(n), format!(r#""op.disk_snapshot_create":{{"domain":"d{}","name":"n{n}"}}"#, n % DOMAINS))
        })
        .collect();
    let pid = dom0.agent_pid();
    let before = memory(pid);
    let client = Client::connect(&dom0.daemon.socket());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for part in requests.chunks(REQUESTS / WRITERS) {
            let socket = dom0.daemon.socket();
            scope.spawn(move || Client::connect(&socket).send_all(part));
        }
    });
    let written = began.elapsed();
    client.send_all(&requests[..AGAIN]);
    let (done, took) = wait(&dom0, &client, &guests, began);
    let at_end = memory(pid);
    println!(
        "{REQUESTS} requests written in {:.1} s by {WRITERS} writers; {done} snapshots after {:.1} s: {:.0} a second",
        written.as_secs_f64(),
        took.as_secs_f64(),
        f64::from(u32::try_from(done).unwrap()) / took.as_secs_f64()
    );
    let (lost, twice) = count(&dom0, &guests);
    table.at_most("1 000 requests to 20 domains at once: lost", number(lost), "", 0.0);
    table.at_most("done twice, or leaving a tag that no record names", number(twice), "", 0.0);
    table.at_most("agent's largest resident size (VmHWM)", mb(at_end.peak), "MB", 20.0);
    table.note(
        "its parts at the end: anonymous, files, threads; before",
        &format!("{} MB, {} MB, {}", mb(at_end.anon), mb(at_end.file), at_end.threads),
        &format!("{} MB, {} MB, {}", mb(before.anon), mb(before.file), before.threads),
    );
    idle(table, &dom0);
}

fn id(n: usize) -> String {
    format!("many-{n:04}")
}

/// Until all are done and no request's key is left, or nothing moves.
fn wait(dom0: &Dom0, client: &Client, guests: &[Guest], began: Instant) -> (usize, Duration) {
    let reader = dom0.reader();
    let (mut last, mut moved) = (0, Instant::now());
    loop {
        let counts = guests.iter().map(|g| reader.count_snapshots(g.spec().uuid.parse().unwrap()).unwrap());
        let done = usize::try_from(counts.sum::<u64>()).unwrap();
        if done != last {
            (last, moved) = (done, Instant::now());
        }
        if (done >= REQUESTS && client.waiting() == 0) || moved.elapsed() > STALL {
            return (done, moved.duration_since(began));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// How many requests did not end as done with a record and a tag in both images; and how many tags there are beyond one for each record.
fn count(dom0: &Dom0, guests: &[Guest]) -> (usize, usize) {
    let reader = dom0.reader();
    let (mut lost, mut twice) = (0, 0);
    for (at, guest) in guests.iter().enumerate() {
        let images = ["vda", "vdb"].map(|vdev| tags(&guest.image(vdev)));
        let mut recorded = BTreeSet::new();
        for n in (0..REQUESTS).filter(|n| n % DOMAINS == at) {
            let id = Dom0::id(&id(n));
            let ended = reader.journal(&id).unwrap().is_some_and(|e| e.state == JournalState::Done);
            let record = reader.snapshot(&id).unwrap();
            let tag = record.as_ref().map(|r| r.disks[0].tag.to_string());
            let held = tag.as_ref().is_some_and(|tag| images.iter().all(|all| all.contains(tag)));
            lost += usize::from(!(ended && held));
            twice += usize::from(tag.is_some_and(|tag| !recorded.insert(tag)));
        }
        for all in images {
            twice += all.len().abs_diff(recorded.len());
        }
    }
    (lost, twice)
}

fn idle(table: &mut Table, dom0: &Dom0) {
    std::thread::sleep(SETTLE);
    let pid = dom0.agent_pid();
    let guard = guard_of(dom0);
    let beats =
        |status: Option<xensnap::contract::AgentStatus>| status.expect("the agent's node").heartbeat_at;
    let first = beats(dom0.status());
    let (agent, guarded) = (switches(pid), guard.map(switches));
    let (mut last, mut calm, mut wakes) = (agent, true, 0usize);
    let until = Instant::now() + IDLE;
    while Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
        let now = switches(pid);
        wakes += usize::from(now != last && calm);
        (calm, last) = (now == last, now);
    }
    assert_ne!(beats(dom0.status()), first, "its heart beats");
    table.at_most("idle agent: times it wakes in 30 s (a heartbeat every 10 s)", number(wakes), "", 4.0);
    let each = (last - agent) as f64 / number(wakes.max(1));
    table.note("switches of its threads at each", &format!("{each:.1}"), "");
    if let (Some(guard), Some(before)) = (guard, guarded) {
        table.at_most("idle guard: times it wakes in 30 s", (switches(guard) - before) as f64, "", 0.0);
        table.note("guard's resident size", &format!("{} MB", mb(memory(guard).peak)), "");
    }
}

/// The guard of this dom0's agent, by its command line.
fn guard_of(dom0: &Dom0) -> Option<u32> {
    let run = dom0.path().join("run");
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    pids.into_iter().find(|pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let args: Vec<_> = line.split(|byte| *byte == 0).collect();
        args.get(1) == Some(&b"guard".as_slice()) && args.get(2) == Some(&run.as_os_str().as_encoded_bytes())
    })
}

/// How often all threads of a process have gone to sleep by themselves.
fn switches(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    tasks.map(|t| field(&t.path().join("status"), "voluntary_ctxt_switches:")).sum()
}

#[derive(Clone, Copy, Debug)]
struct Memory {
    peak: u64,
    anon: u64,
    file: u64,
    threads: u64,
}

/// In KiB.
fn memory(pid: u32) -> Memory {
    let status = format!("/proc/{pid}/status");
    let of = |name| field(status.as_ref(), name);
    Memory { peak: of("VmHWM:"), anon: of("RssAnon:"), file: of("RssFile:"), threads: of("Threads:") }
}

fn field(status: &std::path::Path, name: &str) -> u64 {
    let text = fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix(name));
    line.map_or(0, |l| l.trim().trim_end_matches(" kB").parse().unwrap())
}

/// MB of a number of KiB, to one digit.
fn mb(kib: u64) -> f64 {
    (kib as f64 * 1.024 / 100.0).round() / 10.0
}

fn number(n: usize) -> f64 {
    n as f64
}
