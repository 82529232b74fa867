//! Transactions, which the two daemons do not take alike.

use std::sync::atomic::{AtomicU32, Ordering};

use xensnap::xenstore::{Errno, Error, WatchEvent};

use crate::errno;
use crate::rig::xenstored::{Bed, changed, next, on_both, quiet};

on_both!(transactions, conflicts, transactions_retry_until_they_win, a_transaction_in_a_spawned_task,);

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
