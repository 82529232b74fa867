//! Lists of 100 000 full records: time with a cold page cache and the most memory, for each form of output. Prints a table; asserts nothing.
//!
//! `cargo bench -p xensnap-cli --bench list`; `XENSNAP_BENCH_DIR` keeps the store there for the next run.
#![expect(clippy::unwrap_used, reason = "a bench")]

#[path = "../../tests/cli/fixture.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod fixture;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};
use uuid::Uuid;
use xensnap_store::{Location, Reader, SqliteStore, Store};

const DOMAINS: u32 = 20;
const SNAPSHOTS: u32 = 100_000;

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let temporary = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let root =
        std::env::var_os("XENSNAP_BENCH_DIR").map_or_else(|| temporary.path().to_path_buf(), PathBuf::from);
    let at = Location::under(&root);
    if Reader::open(&at).is_err() {
        fill(&at);
    }
    let database = std::fs::metadata(at.database()).unwrap().len();
    println!("{SNAPSHOTS} snapshots of {DOMAINS} domains, database {} MiB", database >> 20);
    println!("{:<44} {:>9} {:>9} {:>9} {:>10}", "command", "cold ms", "warm ms", "peak MiB", "out MiB");
    let domain = domain(0).to_string();
    for arguments in [
        &["vm-snapshot-list", "--all"][..],
        &["vm-snapshot-list", "--all", "--json"],
        &["vm-snapshot-list", &domain],
        &["vm-snapshot-list", &domain, "--json"],
        &["store", "export"],
    ] {
        let cold = (0..5).map(|_| run(&at, arguments, true)).min_by_key(|run| run.0).unwrap();
        let warm = (0..5).map(|_| run(&at, arguments, false)).min_by_key(|run| run.0).unwrap();
        let peak = cold.1.max(warm.1);
        println!(
            "{:<44} {:>9} {:>9} {:>9.1} {:>10.1}",
            arguments.join(" ").replace(&domain, "DOMAIN"),
            cold.0.as_millis(),
            warm.0.as_millis(),
            peak as f64 / 1024.0,
            cold.2 as f64 / f64::from(1 << 20),
        );
    }
}

fn domain(n: u32) -> Uuid {
    Uuid::from_u128(0x5555_5555_5555_4555_8555_0000_0000_0000 + u128::from(n))
}

/// Through the agent's own door, in memory where there is such a place: each of 100 000 commits is synced.
fn fill(at: &Location) {
    eprintln!("making the store; this takes a while");
    let fast = Path::new("/dev/shm");
    let making =
        if fast.is_dir() { tempfile::tempdir_in(fast).unwrap() } else { tempfile::tempdir().unwrap() };
    let first = Location::under(making.path());
    let mut store = SqliteStore::create(&first).unwrap();
    for n in 0..DOMAINS {
        store.put_domain(&fixture::domain(domain(n), &format!("web{n}"))).unwrap();
    }
    for n in 0..SNAPSHOTS {
        let name = format!("nightly-{n}");
        fixture::done(&mut store, &fixture::vm(domain(n % DOMAINS), &name, None, i64::from(n)));
    }
    drop(store);
    std::fs::create_dir_all(&at.dir).unwrap();
    std::fs::copy(first.database(), at.database()).unwrap();
    File::open(at.database()).unwrap().sync_all().unwrap();
}

/// Time, peak of memory in KiB, bytes written.
fn run(at: &Location, arguments: &[&str], cold: bool) -> (Duration, u64, usize) {
    if cold {
        fadvise(File::open(at.database()).unwrap(), 0, None, Advice::DontNeed).unwrap();
    }
    let begun = Instant::now();
    #[expect(clippy::disallowed_methods, reason = "the program that is measured")]
    let mut child = Command::new(env!("CARGO_BIN_EXE_xensnap"))
        .args(["--config", "/dev/null", "--xenstore", "/nowhere", "--store"])
        .arg(&at.dir)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut out = child.stdout.take().unwrap();
    let (mut buffer, mut written, mut peak) = (vec![0; 1 << 16], 0, 0);
    loop {
        // Looked at while the program still has something to say: afterwards it is gone.
        peak = peak.max(peak_kib(&status));
        match out.read(&mut buffer).unwrap() {
            0 => break,
            n => written += n,
        }
    }
    assert!(child.wait().unwrap().success(), "{arguments:?}");
    (begun.elapsed(), peak, written)
}

fn peak_kib(status: &str) -> u64 {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
