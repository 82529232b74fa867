//! One suite for both of Xen's daemons, C xenstored and oxenstored, run as they are: what `xensnap::xenstore` promises holds
//! on both, and where they differ the test says how.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: helpers outside of #[test] functions too"
)]

mod rig;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rig::xenstored::{DomainState, Kind, Refused, Xenstored};
use tempfile::TempDir;
use xensnap::xenstore::{
    Access, Connection, Errno, Error, Options, PATH_MAX, PAYLOAD_MAX, PathFault, Permission, Watch,
    WatchEvent,
};

/// Each test, on each daemon.
macro_rules! on_both {
    ($($name:ident,)*) => {
        mod c {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::Bed::new(super::Kind::C)).await; })*
        }
        mod oxenstored {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::Bed::new(super::Kind::Ox)).await; })*
        }
    };
}

on_both!(
    values_are_any_bytes,
    missing_nodes,
    bad_requests_are_never_sent,
    value_limits,
    large_directories,
    a_large_directory_that_changes_all_the_time,
    ten_thousand_nodes,
    permissions,
    a_guest_has_only_its_rights,
    domains_come_and_go,
    transactions,
    conflicts,
    transactions_retry_until_they_win,
    a_transaction_in_a_spawned_task,
    watches_tell_of_changes,
    an_undrained_watch_stalls_nobody,
    a_watch_that_is_far_behind_says_look_again,
    killed_daemon,
    requests_wait_for_the_daemon,
    watches_survive_many_restarts,
    a_hanging_daemon_meets_the_deadline,
    many_connects_at_once,
    the_first_connect_waits_for_the_daemon,
    closing,
    idle_wakes_nobody,
    json_through_the_tools,
);

struct Bed {
    daemon: Xenstored,
    dir: TempDir,
}

impl Bed {
    fn new(kind: Kind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { daemon: Xenstored::start(kind, dir.path()), dir }
    }

    async fn connect(&self) -> Connection {
        Connection::connect(&Options::at(self.daemon.socket())).await.unwrap()
    }

    fn is_c(&self) -> bool {
        self.daemon.kind() == Kind::C
    }
}

fn errno<T: std::fmt::Debug>(result: Result<T, Error>) -> Errno {
    match result {
        Err(Error::Refused { errno, .. }) => errno,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// The watch's next event, which is to come soon.
async fn next(watch: &mut Watch) -> WatchEvent {
    let event = tokio::time::timeout(Duration::from_secs(10), watch.next()).await;
    event.expect("a watch event").expect("an open watch")
}

async fn quiet(watch: &mut Watch) {
    let event = tokio::time::timeout(Duration::from_millis(150), watch.next()).await;
    assert!(event.is_err(), "an unexpected event: {event:?}");
}

fn changed(path: &str) -> WatchEvent {
    WatchEvent::Changed(path.to_owned())
}

async fn values_are_any_bytes(bed: Bed) {
    let xs = bed.connect().await;
    let every_byte: Vec<u8> = (0..=255).collect();
    for value in [b"".as_slice(), b"text", b"\0\xff\0", b"v\0", "\u{1f40b}".as_bytes(), &every_byte] {
        xs.write("/v/x", value).await.unwrap();
        assert_eq!(xs.read("/v/x").await.unwrap(), value);
    }
    assert!(matches!(xs.read_string("/v/x").await, Err(Error::NotText { .. })));
    xs.write("/v/x", b"text").await.unwrap();
    assert_eq!(xs.read_string("/v/x").await.unwrap(), "text");
    assert_eq!(xs.read("/v").await.unwrap(), b"", "a parent made on the way");
    xs.write("own/value", b"1").await.unwrap();
    assert_eq!(xs.read("/local/domain/0/own/value").await.unwrap(), b"1", "a relative path");
}

async fn missing_nodes(bed: Bed) {
    let xs = bed.connect().await;
    let error = xs.read("/none").await.unwrap_err();
    assert!(error.is_no_entry());
    assert_eq!(error.to_string(), "xenstore: read /none: no such node (ENOENT)");
    assert_eq!(errno(xs.directory("/none").await), Errno::NoEntry);
    assert_eq!(errno(xs.permissions("/none").await), Errno::NoEntry);
    assert_eq!(errno(xs.rm("/none/below").await), Errno::NoEntry);
    xs.rm("/none").await.unwrap(); // its parent exists
    xs.write("/m/a", b"1").await.unwrap();
    xs.mkdir("/m").await.unwrap();
    xs.mkdir("/m/a").await.unwrap();
    assert_eq!(xs.read("/m/a").await.unwrap(), b"1", "mkdir leaves what is there");
    assert_eq!(xs.directory("/m/a").await.unwrap(), Vec::<String>::new());
    xs.rm("/m").await.unwrap();
    assert_eq!(errno(xs.read("/m/a").await), Errno::NoEntry);
}

async fn bad_requests_are_never_sent(bed: Bed) {
    let xs = bed.connect().await;
    xs.write("/keep", b"1").await.unwrap();
    let root = xs.rm("/").await;
    assert!(
        matches!(root, Err(Error::BadPath { fault: PathFault::Root, .. })),
        "oxenstored would empty the store"
    );
    for path in ["", "/a.b", "/a//b", "/a/", "/ä", &"/a".repeat(PATH_MAX)] {
        assert!(matches!(xs.write(path, b"1").await, Err(Error::BadPath { .. })), "{path}");
        assert!(matches!(xs.watch(path).await, Err(Error::BadPath { .. })), "{path}");
    }
    assert!(matches!(xs.set_permissions("/keep", &[]).await, Err(Error::NoOwner { .. })));
    assert_eq!(xs.read("/keep").await.unwrap(), b"1");
    let longest = format!("/{}", "a".repeat(PATH_MAX - 1));
    xs.write(&longest, b"1").await.unwrap();
    assert_eq!(xs.read(&longest).await.unwrap(), b"1");
    assert_eq!(xs.generation(), 1);
}

async fn value_limits(bed: Bed) {
    let xs = bed.connect().await;
    let largest = PAYLOAD_MAX - "/big\0".len();
    xs.write("/big", &[b'A'; 2048]).await.unwrap();
    assert_eq!(xs.read("/big").await.unwrap().len(), 2048);
    for size in [2049, largest] {
        let result = xs.write("/big", &vec![b'A'; size]).await;
        if bed.is_c() {
            result.unwrap();
            assert_eq!(xs.read("/big").await.unwrap().len(), size);
        } else {
            assert_eq!(errno(result), Errno::TooBig);
        }
    }
    let refused = xs.write("/big", &vec![b'A'; largest + 1]).await;
    assert!(matches!(refused, Err(Error::TooLarge { size, .. }) if size == PAYLOAD_MAX + 1), "{refused:?}");
    xs.read("/big").await.unwrap();
    assert_eq!(xs.generation(), 1, "C xenstored ends the connection of a client that sends more");
}

async fn large_directories(bed: Bed) {
    let xs = bed.connect().await;
    // Listings just below, at and above the 4 096 bytes of a reply; names of 7 bytes and their NUL.
    for count in [0, 1, 511, 512, 513, 700, 1024, 1025, 3000] {
        let dir = format!("/d/{count}");
        xs.mkdir(&dir).await.unwrap();
        let mut expected: Vec<String> = (0..count).map(|n| format!("n{n:06}")).collect();
        let writes = expected.iter().map(|name| {
            let (xs, path) = (xs.clone(), format!("{dir}/{name}"));
            async move { xs.write(&path, b"").await }
        });
        for result in futures::future::join_all(writes).await {
            result.unwrap();
        }
        let mut seen = xs.directory(&dir).await.unwrap();
        seen.sort_unstable();
        assert_eq!(seen, expected);
        let transaction = xs.begin().await.unwrap();
        transaction.write(&format!("{dir}/new"), b"").await.unwrap();
        let mut seen = transaction.directory(&dir).await.unwrap();
        seen.sort_unstable();
        expected.push("new".to_owned());
        assert_eq!(seen, expected, "within a transaction");
    }
}

async fn a_large_directory_that_changes_all_the_time(bed: Bed) {
    let xs = bed.connect().await;
    for n in 0..2000 {
        xs.write(&format!("/d/stays{n:05}"), b"").await.unwrap();
    }
    let writer = {
        let xs = bed.connect().await;
        tokio::spawn(async move {
            for n in 0.. {
                xs.write(&format!("/d/comes{}", n % 7), b"").await.unwrap();
                xs.rm(&format!("/d/comes{}", (n + 3) % 7)).await.unwrap();
            }
        })
    };
    for _ in 0..20 {
        let names = xs.directory("/d").await.unwrap();
        assert_eq!(names.iter().filter(|name| name.starts_with("stays")).count(), 2000);
        let mut distinct = names.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), names.len(), "a name twice");
    }
    assert!(!writer.is_finished(), "the writer wrote to the end");
    writer.abort();
}

async fn ten_thousand_nodes(bed: Bed) {
    let xs = bed.connect().await;
    let mut watch = xs.watch("/many").await.unwrap();
    let writes = (0..10_000).map(|n| {
        let xs = xs.clone();
        async move { xs.write(&format!("/many/{}/{n}", n % 100), n.to_string().as_bytes()).await }
    });
    for result in futures::future::join_all(writes).await {
        result.unwrap();
    }
    assert_eq!(xs.directory("/many").await.unwrap().len(), 100);
    let reads = (0..10_000).map(|n| {
        let xs = xs.clone();
        async move { (n, xs.read_string(&format!("/many/{}/{n}", n % 100)).await) }
    });
    for (n, result) in futures::future::join_all(reads).await {
        assert_eq!(result.unwrap(), n.to_string());
    }
    assert_eq!(next(&mut watch).await, WatchEvent::Resync);
    xs.rm("/many").await.unwrap();
    assert!(xs.directory("/many").await.unwrap_err().is_no_entry());
}

async fn permissions(bed: Bed) {
    let xs = bed.connect().await;
    xs.write("/p", b"1").await.unwrap();
    assert_eq!(xs.permissions("/p").await.unwrap(), [Permission::owner(0)]);
    let list = [
        Permission::owner(0),
        Permission::new(5, Access::Read),
        Permission::new(6, Access::Write),
        Permission::new(7, Access::ReadWrite),
    ];
    xs.set_permissions("/p", &list).await.unwrap();
    assert_eq!(xs.permissions("/p").await.unwrap(), list);
    xs.write("/p/child", b"1").await.unwrap();
    assert_eq!(xs.permissions("/p/child").await.unwrap(), list, "a child inherits");
    let transaction = xs.begin().await.unwrap();
    transaction.set_permissions("/p", &list[..1]).await.unwrap();
    assert_eq!(transaction.permissions("/p").await.unwrap(), list[..1]);
    assert_eq!(xs.permissions("/p").await.unwrap(), list, "not committed yet");
    transaction.commit().await.unwrap();
    assert_eq!(xs.permissions("/p").await.unwrap(), list[..1]);
}

async fn a_guest_has_only_its_rights(bed: Bed) {
    let xs = bed.connect().await;
    bed.daemon.add_domain(5);
    xs.introduce(5, 1, 5).await.unwrap();
    xs.mkdir("/local/domain/5").await.unwrap();
    let guests = [Permission::owner(5)];
    xs.mkdir("/local/domain/5/data").await.unwrap();
    xs.set_permissions("/local/domain/5/data", &guests).await.unwrap();
    let answer = "/local/domain/5/xensnap/operation/a";
    xs.write(answer, b"{}").await.unwrap();
    xs.set_permissions(answer, &[Permission::owner(0), Permission::new(5, Access::Read)]).await.unwrap();
    xs.write("/tool/xensnap/agent", b"secret").await.unwrap();
    let mut watch = xs.watch("/local/domain/5/data").await.unwrap();
    assert_eq!(next(&mut watch).await, WatchEvent::Resync);

    let mut guest = bed.daemon.guest(5);
    let access = |result: Result<_, Refused>| assert_eq!(result.unwrap_err(), Refused("EACCES".to_owned()));
    access(guest.read("/tool/xensnap/agent").map(drop));
    access(guest.write("/tool/xensnap/request/x", b"{}"));
    access(guest.directory("/tool").map(drop));
    access(guest.write(answer, b"forged"));
    access(guest.rm(answer));
    access(guest.set_permissions(answer, &["n5"]));
    assert_eq!(guest.read(answer).unwrap(), b"{}");
    guest.write("data/xensnap/request/a", b"{\"a\":1}").unwrap();

    assert_eq!(next(&mut watch).await, changed("/local/domain/5/data/xensnap/request/a"));
    let request = "/local/domain/5/data/xensnap/request/a";
    assert_eq!(xs.read(request).await.unwrap(), b"{\"a\":1}");
    assert_eq!(xs.permissions(request).await.unwrap(), guests, "its owner is the guest, not dom0");
    assert_eq!(xs.read("/tool/xensnap/agent").await.unwrap(), b"secret");

    // The quota is the guest's alone. C xenstored counts the children's names too.
    let refusal = (0..2000).find_map(|n| guest.write(&format!("data/q{n}"), b"").err()).expect("a quota");
    assert_eq!(refusal.0, if bed.is_c() { "ENOSPC" } else { "EQUOTA" });
    xs.write("/local/domain/5/data/q-from-dom0", b"").await.unwrap();
}

async fn domains_come_and_go(bed: Bed) {
    let xs = bed.connect().await;
    let mut came = xs.watch("@introduceDomain").await.unwrap();
    let mut went = xs.watch("@releaseDomain").await.unwrap();
    assert_eq!(next(&mut came).await, WatchEvent::Resync);
    assert_eq!(next(&mut went).await, WatchEvent::Resync);
    assert!(xs.introduce(9, 1, 5).await.is_err(), "no such domain");
    bed.daemon.add_domain(9);
    xs.introduce(9, 1, 5).await.unwrap();
    assert_eq!(next(&mut came).await, changed("@introduceDomain"));
    assert!(xs.is_introduced(9).await.unwrap());
    bed.daemon.set_domain(9, DomainState::Shutdown);
    bed.daemon.raise_virq();
    assert_eq!(next(&mut went).await, changed("@releaseDomain"));
    xs.release(9).await.unwrap();
    assert!(!xs.is_introduced(9).await.unwrap());
    bed.daemon.remove_domain(9);
}

async fn transactions(bed: Bed) {
    let (xs, other) = (bed.connect().await, bed.connect().await);
    let transaction = xs.begin().await.unwrap();
    transaction.write("/t/a", b"1").await.unwrap();
    transaction.mkdir("/t/b").await.unwrap();
    assert_eq!(transaction.read("/t/a").await.unwrap(), b"1");
    assert_eq!(errno(other.read("/t/a").await), Errno::NoEntry, "isolated");
    transaction.clone().commit().await.unwrap();
    assert_eq!(other.read("/t/a").await.unwrap(), b"1");
    assert!(matches!(transaction.read("/t/a").await, Err(Error::Stale)), "a clone after the commit");
    assert!(matches!(transaction.commit().await, Err(Error::Stale)));

    let transaction = xs.begin().await.unwrap();
    transaction.rm("/t/a").await.unwrap();
    transaction.abort();
    assert_eq!(other.read("/t/a").await.unwrap(), b"1", "aborted");

    let failed = xs.transaction(3, async |t| {
        t.write("/t/a", b"2").await?;
        t.read("/t/none").await
    });
    assert_eq!(errno(failed.await), Errno::NoEntry);
    assert_eq!(other.read("/t/a").await.unwrap(), b"1", "a body that fails does nothing");

    let mut watch = other.watch("/t").await.unwrap();
    assert_eq!(next(&mut watch).await, WatchEvent::Resync);
    let transaction = xs.begin().await.unwrap();
    transaction.write("/t/a", b"3").await.unwrap();
    quiet(&mut watch).await;
    transaction.commit().await.unwrap();
    assert_eq!(next(&mut watch).await, changed("/t/a"));
}

/// What the other connection does in the middle, and whether the commit may pass: on C, on oxenstored.
async fn conflicts(bed: Bed) {
    let (xs, other) = (bed.connect().await, bed.connect().await);
    let cases = [
        ("writes what was read", Some("/t/k"), "/t/c", "/t/k", false, false),
        ("writes what was written", None, "/t/c", "/t/c", false, true),
        ("writes elsewhere", Some("/t/k"), "/t/c", "/other", true, true),
        ("writes beside", Some("/t/k"), "/t/c", "/t/beside", true, true),
    ];
    for (case, read, write, interferes, c_passes, ox_passes) in cases {
        for path in ["/t/k", "/t/c", "/t/beside", "/other"] {
            xs.write(path, b"before").await.unwrap();
        }
        let transaction = xs.begin().await.unwrap();
        if let Some(read) = read {
            transaction.read(read).await.unwrap();
        }
        transaction.write(write, b"mine").await.unwrap();
        other.write(interferes, b"other's").await.unwrap();
        let result = transaction.commit().await;
        let passes = if bed.is_c() { c_passes } else { ox_passes };
        if passes {
            result.unwrap();
            assert_eq!(xs.read(write).await.unwrap(), b"mine", "{case}");
        } else {
            assert_eq!(errno(result), Errno::Again, "{case}");
            assert_ne!(xs.read(write).await.unwrap(), b"mine", "{case}");
        }
    }
    // Somebody who always comes in between: the retries are bounded.
    let runs = AtomicU32::new(0);
    let result = xs.transaction(3, async |t| {
        let run = runs.fetch_add(1, Ordering::Relaxed);
        t.read("/t/k").await?;
        t.write("/t/c", b"mine").await?;
        other.write("/t/k", run.to_string().as_bytes()).await
    });
    assert!(result.await.unwrap_err().is_again());
    assert_eq!(runs.into_inner(), 4);
}

async fn transactions_retry_until_they_win(bed: Bed) {
    bed.connect().await.write("/count", b"0").await.unwrap();
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let xs = bed.connect().await;
        tasks.push(tokio::spawn(async move {
            for _ in 0..25 {
                xs.transaction(1000, async |t| {
                    let count: u32 = t.read_string("/count").await?.parse().unwrap();
                    t.write("/count", (count + 1).to_string().as_bytes()).await
                })
                .await
                .unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(bed.connect().await.read_string("/count").await.unwrap(), "200");
}

/// The future is Send, with a closure of either form that borrows from its surroundings.
async fn a_transaction_in_a_spawned_task(bed: Bed) {
    let xs = bed.connect().await;
    let task = tokio::spawn(async move {
        let (path, value) = ("/spawned".to_owned(), b"1".to_vec());
        xs.transaction(1, async |t| t.write(&path, &value).await).await?;
        let (path, value) = (&path, &value);
        xs.transaction(1, |t| async move { t.write(path, value).await }).await?;
        xs.read("/spawned").await
    });
    assert_eq!(task.await.unwrap().unwrap(), b"1");
}

async fn watches_tell_of_changes(bed: Bed) {
    let (xs, other) = (bed.connect().await, bed.connect().await);
    let mut watch = xs.watch("/w").await.unwrap();
    let mut second = xs.watch("/w").await.unwrap();
    assert_eq!(next(&mut watch).await, WatchEvent::Resync);
    assert_eq!(next(&mut second).await, WatchEvent::Resync);
    quiet(&mut watch).await;
    other.write("/w/a/b", b"1").await.unwrap();
    assert_eq!(next(&mut watch).await, changed("/w/a/b"));
    assert_eq!(next(&mut second).await, changed("/w/a/b"));
    drop(second);
    other.write("/w/a/b", b"1").await.unwrap(); // the same value
    assert_eq!(next(&mut watch).await, changed("/w/a/b"));
    xs.write("/w/own", b"1").await.unwrap();
    assert_eq!(next(&mut watch).await, changed("/w/own"));
    other.rm("/w/a").await.unwrap();
    assert_eq!(next(&mut watch).await, changed("/w/a"));
    other.set_permissions("/w/own", &[Permission::owner(0), Permission::new(3, Access::Read)]).await.unwrap();
    assert_eq!(next(&mut watch).await, changed("/w/own"));
    other.write("/wx", b"1").await.unwrap();
    quiet(&mut watch).await;
}

async fn an_undrained_watch_stalls_nobody(bed: Bed) {
    let (xs, other) = (bed.connect().await, bed.connect().await);
    bed.daemon.add_domain(5);
    xs.introduce(5, 1, 5).await.unwrap();
    xs.mkdir("/local/domain/5/data").await.unwrap();
    xs.set_permissions("/local/domain/5/data", &[Permission::owner(5)]).await.unwrap();
    // Nobody takes a single event from these.
    let _undrained = xs.watch("/local/domain/5").await.unwrap();
    let _too = xs.watch("/u").await.unwrap();
    // C blocks a guest's writes at about 36 unread events, oxenstored freezes a writer at about 2 100.
    let mut guest = bed.daemon.guest(5);
    for n in 0..500 {
        guest.write(&format!("data/n{}", n % 100), b"1").unwrap();
    }
    for n in 0..6000 {
        other.write(&format!("/u/{}", n % 1000), b"1").await.unwrap();
    }
    assert_eq!(xs.read("/u/999").await.unwrap(), b"1");
}

async fn a_watch_that_is_far_behind_says_look_again(bed: Bed) {
    let (xs, other) = (bed.connect().await, bed.connect().await);
    let mut watch = xs.watch("/far").await.unwrap();
    assert_eq!(next(&mut watch).await, WatchEvent::Resync);
    for n in 0..1000 {
        other.write(&format!("/far/{n}"), b"1").await.unwrap();
    }
    // The daemon sends a connection's events and answers in order, so they are all here now.
    xs.read("/far/0").await.unwrap();
    assert_eq!(next(&mut watch).await, WatchEvent::Resync);
    quiet(&mut watch).await;
    other.write("/far/1", b"1").await.unwrap();
    assert_eq!(next(&mut watch).await, changed("/far/1"));
}

async fn killed_daemon(mut bed: Bed) {
    let xs = bed.connect().await;
    xs.write("/k/x", b"1").await.unwrap();
    let mut watch = xs.watch("/k").await.unwrap();
    assert_eq!(next(&mut watch).await, WatchEvent::Resync);
    let transaction = xs.begin().await.unwrap();
    transaction.write("/k/x", b"2").await.unwrap();

    // Requests that are on their way when it dies: held there by a daemon that hangs.
    bed.daemon.freeze(true);
    let pending: Vec<_> = (0..10)
        .map(|_| {
            let xs = xs.clone();
            tokio::spawn(async move { xs.read("/k/x").await })
        })
        .collect();
    let committing = tokio::spawn(transaction.clone().commit());
    tokio::time::sleep(Duration::from_millis(50)).await;
    let killed = Instant::now();
    bed.daemon.kill9();
    for request in pending {
        assert!(matches!(request.await.unwrap(), Err(Error::Disconnected)));
    }
    assert!(matches!(committing.await.unwrap(), Err(Error::Disconnected)), "done or not: not known");
    assert!(matches!(transaction.write("/k/x", b"3").await, Err(Error::Stale)));
    assert!(killed.elapsed() < Duration::from_secs(2), "promptly, not at the deadline");
    assert!(!xs.is_up());
    quiet(&mut watch).await;

    bed.daemon.restart();
    assert_eq!(xs.reconnected(1).await.unwrap(), 2);
    assert_eq!(next(&mut watch).await, WatchEvent::Resync);
    assert!(xs.read("/k/x").await.unwrap_err().is_no_entry(), "the daemon has forgotten everything");
    assert!(matches!(transaction.read("/k/x").await, Err(Error::Stale)));
    assert!(matches!(transaction.commit().await, Err(Error::Stale)));
    xs.write("/k/y", b"1").await.unwrap();
    assert_eq!(next(&mut watch).await, changed("/k/y"));
    assert_eq!(xs.generation(), 2);
}

async fn requests_wait_for_the_daemon(mut bed: Bed) {
    let xs = bed.connect().await;
    bed.daemon.kill9();
    let impatient = xs.with_deadline(Duration::from_millis(100));
    while xs.is_up() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(matches!(impatient.read("/r").await, Err(Error::Disconnected)));
    assert!(matches!(impatient.write("/given-up", b"1").await, Err(Error::Disconnected)));
    assert!(matches!(impatient.watch("/r").await, Err(Error::Disconnected)));
    let waiting = {
        let xs = xs.clone();
        tokio::spawn(async move {
            let watch = xs.watch("/r").await?;
            xs.write("/r", b"1").await?;
            Ok::<_, Error>(watch)
        })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    bed.daemon.restart();
    let mut watch = waiting.await.unwrap().unwrap();
    assert_eq!(next(&mut watch).await, WatchEvent::Resync);
    assert_eq!(xs.read("/r").await.unwrap(), b"1");
    assert!(xs.read("/given-up").await.unwrap_err().is_no_entry(), "what was given up is not done later");
}

async fn watches_survive_many_restarts(mut bed: Bed) {
    let xs = bed.connect().await;
    let mut watches = Vec::new();
    for n in 0..50 {
        watches.push(xs.watch(&format!("/s/{n}")).await.unwrap());
    }
    for round in 1..=5 {
        for watch in &mut watches {
            assert_eq!(next(watch).await, WatchEvent::Resync, "round {round}");
        }
        for watch in &mut watches {
            let path = format!("{}/{round}", watch.path());
            xs.write(&path, b"1").await.unwrap();
            assert_eq!(next(watch).await, changed(&path));
        }
        let seen = xs.generation();
        bed.daemon.restart();
        xs.reconnected(seen).await.unwrap();
    }
}

async fn a_hanging_daemon_meets_the_deadline(bed: Bed) {
    let xs = bed.connect().await;
    xs.write("/h", b"1").await.unwrap();
    let brief = xs.with_deadline(Duration::from_millis(100));
    bed.daemon.freeze(true);
    let begun = Instant::now();
    let error = brief.read("/h").await.unwrap_err();
    assert_eq!(error.to_string(), "xenstore: read /h: no answer within 100 ms");
    assert!(matches!(brief.begin().await, Err(Error::Deadline { .. })));
    assert!(matches!(brief.watch("/h").await, Err(Error::Deadline { .. })));
    assert!(begun.elapsed() < Duration::from_secs(5));
    // More than may be under way: the last wait for a place, and meet the same deadline.
    let crowd = (0..400).map(|_| brief.read("/h"));
    for result in futures::future::join_all(crowd).await {
        assert!(matches!(result, Err(Error::Deadline { .. })), "{result:?}");
    }
    bed.daemon.freeze(false);
    // The late answers are passed over; each new question gets its own.
    for n in 0..100 {
        xs.write(&format!("/h/{n}"), n.to_string().as_bytes()).await.unwrap();
        assert_eq!(xs.read_string(&format!("/h/{n}")).await.unwrap(), n.to_string());
    }
    assert_eq!(xs.generation(), 1, "a slow daemon is no reason to connect again");
}

async fn many_connects_at_once(bed: Bed) {
    let options = Options::at(bed.daemon.socket());
    let connects = (0..64).map(|n| {
        let options = options.clone();
        tokio::spawn(async move {
            let xs = Connection::connect(&options).await?;
            xs.write(&format!("/c/{n}"), b"1").await?;
            Ok::<_, Error>(xs)
        })
    });
    let mut connections = Vec::new();
    for task in connects.collect::<Vec<_>>() {
        connections.push(task.await.unwrap().unwrap());
    }
    for xs in connections {
        assert_eq!(xs.directory("/c").await.unwrap().len(), 64);
    }
}

async fn the_first_connect_waits_for_the_daemon(mut bed: Bed) {
    let brief = |socket| Options { connect_limit: Duration::from_millis(50), ..Options::at(socket) };
    let nowhere = Connection::connect(&brief(bed.dir.path().join("nowhere"))).await.unwrap_err();
    assert!(
        matches!(nowhere, Error::Connect { ref source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    );
    bed.daemon.kill9();
    let refused = Connection::connect(&brief(bed.daemon.socket())).await.unwrap_err();
    assert!(
        matches!(refused, Error::Connect { ref source, .. } if source.kind() == std::io::ErrorKind::ConnectionRefused)
    );
    let options = Options::at(bed.daemon.socket());
    let connecting = tokio::spawn(async move { Connection::connect(&options).await });
    tokio::time::sleep(Duration::from_millis(30)).await;
    bed.daemon.restart();
    connecting.await.unwrap().unwrap().write("/late", b"1").await.unwrap();
}

async fn closing(mut bed: Bed) {
    let xs = bed.connect().await;
    let mut watch = xs.watch("/c").await.unwrap();
    bed.daemon.freeze(true);
    let pending = {
        let xs = xs.clone();
        tokio::spawn(async move { xs.read("/c").await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    xs.close().await;
    assert!(matches!(pending.await.unwrap(), Err(Error::Closed)));
    assert!(matches!(xs.read("/c").await, Err(Error::Closed)));
    assert!(matches!(xs.reconnected(1).await, Err(Error::Closed)));
    assert_eq!(watch.next().await, None);
    xs.close().await; // again
    bed.daemon.freeze(false);
    // Also while the daemon is away.
    let xs = bed.connect().await;
    bed.daemon.kill9();
    xs.close().await;
    assert!(matches!(xs.read("/c").await, Err(Error::Closed)));
}

/// The agent is to wake for its heartbeat only: with a watch set and nothing happening, the runtime's thread sleeps.
async fn idle_wakes_nobody(bed: Bed) {
    let socket = bed.daemon.socket();
    let switches = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let xs = Connection::connect(&Options::at(socket)).await.unwrap();
            let mut watch = xs.watch("/idle").await.unwrap();
            assert_eq!(next(&mut watch).await, WatchEvent::Resync);
            tokio::time::sleep(Duration::from_millis(100)).await;
            let before = voluntary_switches();
            tokio::time::sleep(Duration::from_millis(1500)).await;
            voluntary_switches() - before
        })
    };
    let switches = tokio::task::spawn_blocking(switches).await.unwrap();
    assert!(switches <= 2, "{switches} wake-ups in 1.5 s, of which one is the test's own");
}

fn voluntary_switches() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    line.trim().parse().unwrap()
}

/// By hand, as the README says: with -R, or the tools take the backslashes apart.
async fn json_through_the_tools(bed: Bed) {
    let xs = bed.connect().await;
    let json = r#"{"name":"a\"b\\c\n\u001f","text":"schön 🐋","path":"C:\\x41\\t"}"#;
    bed.daemon.tool("xenstore-write", &["-R", "/tool/xensnap/request/by-hand", json]);
    assert_eq!(xs.read_string("/tool/xensnap/request/by-hand").await.unwrap(), json);
    xs.write("/tool/xensnap/operation/by-hand", json.as_bytes()).await.unwrap();
    let read = bed.daemon.tool("xenstore-read", &["-R", "/tool/xensnap/operation/by-hand"]);
    assert_eq!(read.trim_end_matches('\n'), json);
    // Why -R is needed: without, what arrives is another value.
    bed.daemon.tool("xenstore-write", &["/without", r#"{"a":"\\n"}"#]);
    assert_ne!(xs.read_string("/without").await.unwrap(), r#"{"a":"\\n"}"#);
}
