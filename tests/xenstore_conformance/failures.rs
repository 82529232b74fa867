//! A daemon that is killed, hangs, is not there yet or is crowded; and one with nothing to do.

use std::time::{Duration, Instant};

use xensnap::xenstore::{Connection, Error, Options, WatchEvent};

use crate::rig::xenstored::{Bed, changed, next, on_both, quiet};

on_both!(
    killed_daemon,
    requests_wait_for_the_daemon,
    watches_survive_many_restarts,
    a_hanging_daemon_meets_the_deadline,
    many_connects_at_once,
    the_first_connect_waits_for_the_daemon,
    closing,
    idle_wakes_nobody,
);

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
