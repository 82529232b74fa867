//! How long lists and commits take, as a table: `cargo bench -p xensnap-store`.
//!
//! - list: 100 000 full records in 100 domains, each run a process of its own, its files out of the page cache (synced, `POSIX_FADV_DONTNEED`; how much of them was still
//!   there is sampled and printed). The host of a virtual machine may cache its disk: then "cold" means a cold guest.
//! - commit: each kind of journal commit, and in turn with it, in the same folder, what a bare SQLite (WAL, synchronous=FULL) takes to insert the same bytes into one
//!   table, and what a file takes (temporary name, sync, rename, folder sync).
//!
//! `XENSNAP_BENCH_DIR` says where (the default is the temporary folder; it has to be on a disk), `XENSNAP_BENCH_RECORDS` and `XENSNAP_BENCH_COMMITS` how many;
//! with `XENSNAP_BENCH_KEEP` it stays there.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench may fail"
)]

#[path = "../tests/store/support.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod support;

use std::fs::File;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::fs::Advice;
use support::*;
use xensnap::contract::{Facts, JournalState};
use xensnap::wire;
use xensnap_store::{Location, Read, Reader, RebuildOptions, SqliteStore, Store};

const DOMAINS: usize = 100;
const RUNS: usize = 7;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, verb, mode, root] = args.as_slice()
        && verb == "list"
    {
        return list(mode, Path::new(root));
    }
    let number =
        |name: &str, default: usize| std::env::var(name).ok().map_or(default, |text| text.parse().unwrap());
    let base = std::env::var_os("XENSNAP_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let root = tempfile::Builder::new().prefix("xensnap-bench-").tempdir_in(&base).unwrap();
    println!("store, in {}", base.display());
    commits(root.path(), number("XENSNAP_BENCH_COMMITS", 1500));
    lists(&root.path().join("list"), number("XENSNAP_BENCH_RECORDS", 100_000));
    if std::env::var_os("XENSNAP_BENCH_KEEP").is_some() {
        println!("kept: {}", root.keep().display());
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

// ---- lists

/// One listing in a process of its own: prints its time in nanoseconds, its peak resident size in KiB and the number of records.
fn list(mode: &str, root: &Path) {
    let began = Instant::now();
    let reader = Reader::open(&Location::under(root)).unwrap();
    let mut count = 0u64;
    let mut out = std::io::BufWriter::new(File::create("/dev/null").unwrap());
    match mode {
        "json" => reader
            .for_each_snapshot_json(&mut |json| {
                writeln!(out, "{json}").unwrap();
                count += 1;
                ControlFlow::Continue(())
            })
            .unwrap(),
        "records" => reader
            .for_each_snapshot(&mut |snapshot| {
                writeln!(out, "{} {}", snapshot.id, snapshot.name).unwrap();
                count += 1;
                ControlFlow::Continue(())
            })
            .unwrap(),
        "heads" => reader
            .for_each_head(&mut |head| {
                writeln!(out, "{} {} {}", head.id, head.name, head.taken_at).unwrap();
                count += 1;
                ControlFlow::Continue(())
            })
            .unwrap(),
        "domain" => count = reader.heads(uuid(7)).unwrap().len() as u64,
        other => panic!("{other}"),
    }
    drop(out);
    let took = began.elapsed();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("{} {} {count}", took.as_nanos(), peak.trim().trim_end_matches(" kB"));
}

fn lists(root: &Path, records: usize) {
    let at = Location::under(root);
    // As sidecars, then rebuilt: the quickest way to so many records that goes by the store's own code.
    let began = Instant::now();
    let mut bytes = 0;
    for n in 0..records {
        let domain = u32::try_from(1 + n % DOMAINS).unwrap();
        let text = format!("6f1c2a90-5d1e-4b7a-8c3d-{n:012}");
        let parent = n.checked_sub(DOMAINS).map(|n| format!("6f1c2a90-5d1e-4b7a-8c3d-{n:012}"));
        let mut made = snapshot(&at, domain, &text, parent.as_deref());
        made.taken_at = time(i64::try_from(n).unwrap());
        let json = wire::to_string(&made).unwrap();
        bytes += json.len();
        put(&at.sidecar(uuid(domain), &text), json + "\n");
    }
    println!(
        "\n{records} records of {} bytes on average, written as sidecars in {:.1} s",
        bytes / records.max(1),
        began.elapsed().as_secs_f64()
    );
    let began = Instant::now();
    let report = xensnap_store::rebuild(&at, &RebuildOptions::default()).unwrap();
    assert_eq!(
        (report.snapshots_imported, report.set_aside.len(), report.orphaned.len()),
        (records as u64, 0, 0)
    );
    println!("rebuilt from them in {:.1} s", began.elapsed().as_secs_f64());
    drop(SqliteStore::open(&at).unwrap());
    println!("database {} MiB", std::fs::metadata(at.database()).unwrap().len() >> 20);

    println!("\n{:<34} {:>10} {:>10} {:>10} {:>9}", "list", "median", "slowest", "peak RSS", "in cache");
    for (mode, label, cold) in [
        ("heads", "all, table, cold", true),
        ("json", "all, --json, cold", true),
        ("records", "all, decoded, cold", true),
        ("domain", "one domain, table, cold", true),
        ("heads", "all, table, warm", false),
        ("json", "all, --json, warm", false),
        ("records", "all, decoded, warm", false),
    ] {
        let (mut times, mut peak, mut cached) = (Vec::new(), 0, 0);
        for _ in 0..RUNS {
            if cold {
                evict(&at.dir);
                cached = cached.max(in_cache(&at.database()));
            }
            let child = program(std::env::current_exe().unwrap())
                .arg("list")
                .arg(mode)
                .arg(root)
                .stderr(Stdio::inherit())
                .output()
                .unwrap();
            let text = String::from_utf8(child.stdout).unwrap();
            let numbers: Vec<u64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
            let expected = if mode == "domain" { records / DOMAINS } else { records };
            assert_eq!(numbers[2], expected as u64);
            times.push(Duration::from_nanos(numbers[0]));
            peak = peak.max(numbers[1]);
        }
        let slowest = times.iter().max().copied().unwrap();
        let cached = if cold { format!("{cached} %") } else { "-".into() };
        println!(
            "{label:<34} {:>7.0} ms {:>7.0} ms {:>6.1} MiB {cached:>9}",
            ms(median(&mut times)),
            ms(slowest),
            peak as f64 / 1024.0
        );
    }
}

/// Takes the store's files out of the page cache. No connection of this process is open.
fn evict(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let file = File::open(path).unwrap();
            file.sync_all().unwrap();
            rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        }
    }
}

/// How much of a file is in the page cache, in percent, by samples.
fn in_cache(path: &Path) -> u64 {
    let file = File::open(path).unwrap();
    let pages = file.metadata().unwrap().len() / 4096;
    let samples = 200.min(pages);
    let cached = (0..samples).filter(|n| {
        let mut byte = [0u8; 1];
        let mut bytes = [std::io::IoSliceMut::new(&mut byte)];
        let at = n * pages / samples * 4096;
        // Answers only when it need not read.
        rustix::io::preadv2(&file, &mut bytes, at, rustix::io::ReadWriteFlags::NOWAIT).is_ok()
    });
    cached.count() as u64 * 100 / samples.max(1)
}

// ---- commits

/// A bare SQLite with one table, and a folder for files.
struct Rivals {
    conn: rusqlite::Connection,
    dir: PathBuf,
}

impl Rivals {
    fn new(dir: PathBuf) -> Self {
        std::fs::create_dir_all(&dir).unwrap();
        let conn = rusqlite::Connection::open(dir.join("bare.db")).unwrap();
        conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (k INTEGER PRIMARY KEY, v BLOB)").unwrap();
        Self { conn, dir }
    }

    fn sqlite(&self, bytes: &[u8]) -> Duration {
        let began = Instant::now();
        let mut insert = self.conn.prepare_cached("INSERT INTO t (v) VALUES (?1)").unwrap();
        insert.execute([bytes]).unwrap();
        began.elapsed()
    }

    fn file(&self, bytes: &[u8]) -> Duration {
        let began = Instant::now();
        let (temporary, path) = (self.dir.join("f.tmp"), self.dir.join("f"));
        let mut file = File::create(&temporary).unwrap();
        file.write_all(bytes).unwrap();
        file.sync_all().unwrap();
        std::fs::rename(&temporary, &path).unwrap();
        File::open(&self.dir).unwrap().sync_all().unwrap();
        began.elapsed()
    }
}

#[derive(Default)]
struct Column {
    store: Vec<Duration>,
    sqlite: Vec<Duration>,
    file: Vec<Duration>,
    bytes: usize,
}

impl Column {
    /// One round. The store and the bare SQLite take turns in going first: whoever comes second finds the code and the disk awake.
    fn round<T>(&mut self, rivals: &Rivals, bytes: &[u8], f: impl FnOnce() -> T) -> T {
        let rival_first = self.store.len().is_multiple_of(2);
        if rival_first {
            self.sqlite.push(rivals.sqlite(bytes));
        }
        let (value, took) = timed(f);
        self.store.push(took);
        if !rival_first {
            self.sqlite.push(rivals.sqlite(bytes));
        }
        if self.store.len().is_multiple_of(4) {
            self.file.push(rivals.file(bytes));
        }
        self.bytes = bytes.len();
        value
    }

    fn print(mut self, label: &str) {
        let (store, sqlite, file) =
            (median(&mut self.store), median(&mut self.sqlite), median(&mut self.file));
        let ratio = store.as_secs_f64() / sqlite.as_secs_f64();
        println!(
            "{label:<34} {:>7} {:>7.3} ms {:>7.3} ms {:>7.3} ms {ratio:>7.2}",
            self.bytes,
            ms(store),
            ms(sqlite),
            ms(file)
        );
    }
}

fn timed<T>(f: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let value = f();
    (value, began.elapsed())
}

fn commits(root: &Path, rounds: usize) {
    let at = Location::under(&root.join("commit"));
    let mut store = SqliteStore::create(&at).unwrap();
    store.put_domain(&domain(1)).unwrap();
    let rivals = Rivals::new(root.join("rivals"));
    let (mut begin, mut advance, mut finish, mut plain, mut sidecar) =
        <(Column, Column, Column, Column, Column)>::default();
    for n in 0..rounds {
        let text = format!("6f1c2a90-5d1e-4b7a-8c3d-{n:012}");
        let made = snapshot(&at, 1, &text, None);
        let record = wire::to_vec(&made).unwrap();
        let outcome = created(made);
        let entry = planned(&text, 1, &outcome);
        let bytes = wire::to_vec(&entry).unwrap();
        begin.round(&rivals, &bytes, || store.begin(&entry)).unwrap();

        let facts = Facts { run: Some(line("4711:993311")), instant: Some(time(5)), ..Facts::default() };
        let bytes = wire::to_vec(&facts).unwrap();
        advance
            .round(&rivals, &bytes, || store.advance(&entry.id, JournalState::Forward, 3, &facts))
            .unwrap();

        let end = ended(&entry, JournalState::Done);
        let both = [wire::to_vec(&end).unwrap(), record.clone()].concat();
        drop(finish.round(&rivals, &both, || store.finish(&end, Some(&outcome))).unwrap());
        sidecar.round(&rivals, &record, || store.settle_sidecars());

        // An end without an outcome: the journal alone.
        let entry = support::entry(&format!("{text}-x"), 1);
        store.begin(&entry).unwrap();
        let end = ended(&entry, JournalState::Failed);
        let bytes = wire::to_vec(&end).unwrap();
        drop(plain.round(&rivals, &bytes, || store.finish(&end, None)).unwrap());
    }
    println!(
        "\n{:<34} {:>7} {:>10} {:>10} {:>10} {:>7}",
        format!("commit, median of {rounds}"),
        "bytes",
        "store",
        "sqlite",
        "file",
        "ratio"
    );
    begin.print("begin (intent with its plan)");
    advance.print("advance (state, done, facts)");
    plain.print("finish without an outcome");
    finish.print("finish with a record");
    sidecar.print("its sidecar, after the answer");
}
