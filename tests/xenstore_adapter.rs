//! The adapter to xenstore-rs's traits, on both daemons: what the conformance suite asks of the connection, as far as the
//! traits can say it. Everything here is written against the traits alone.
#![cfg(feature = "xenstore-rs")]
#![expect(clippy::unwrap_used, reason = "a test: helpers outside of #[test] functions too")]

mod rig;

use std::io::ErrorKind;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use rig::xenstored::{Bed, on_both};
use xenstore_rs::{AsyncWatch, AsyncXs};

on_both!(
    nodes,
    errors,
    large_directories,
    watches,
    an_undrained_watch_stalls_nobody,
    killed_daemon,
    many_connects_at_once,
    in_a_spawned_task,
);

/// Code as it is written for xenstore-rs.
async fn put_and_get(xs: &impl AsyncXs, path: &str, value: &str) -> std::io::Result<Box<str>> {
    xs.write(path, value).await?;
    xs.read(path).await
}

async fn next(stream: &mut (impl Stream<Item = Box<str>> + Unpin)) -> Option<Box<str>> {
    tokio::time::timeout(Duration::from_secs(10), stream.next()).await.unwrap()
}

async fn nodes(bed: Bed) {
    let xs = bed.connect().await;
    for value in ["", "text", "a\0b", "{\"a\":\"\\n 🐋\"}", &"x".repeat(2048)] {
        assert_eq!(&*put_and_get(&xs, "/a/b", value).await.unwrap(), value);
    }
    put_and_get(&xs, "relative", "1").await.unwrap();
    assert_eq!(&*AsyncXs::read(&xs, "/local/domain/0/relative").await.unwrap(), "1");
    assert_eq!(*AsyncXs::directory(&xs, "/a").await.unwrap(), ["b".into()]);
    AsyncXs::rm(&xs, "/a").await.unwrap();
    assert_eq!(AsyncXs::read(&xs, "/a/b").await.unwrap_err().kind(), ErrorKind::NotFound);
}

async fn errors(bed: Bed) {
    let xs = bed.connect().await;
    xs.write("/binary", &[0xff]).await.unwrap();
    assert_eq!(AsyncXs::read(&xs, "/binary").await.unwrap_err().kind(), ErrorKind::InvalidData);
    assert_eq!(AsyncXs::write(&xs, "/a.b", "1").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(AsyncXs::rm(&xs, "/").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let large = "x".repeat(xensnap::xenstore::PAYLOAD_MAX);
    assert_eq!(AsyncXs::write(&xs, "/large", &large).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let missing = AsyncXs::directory(&xs, "/none").await.unwrap_err();
    let inner = missing.get_ref().and_then(|inner| inner.downcast_ref::<xensnap::xenstore::Error>()).unwrap();
    assert!(inner.is_no_entry());
}

async fn large_directories(bed: Bed) {
    let xs = bed.connect().await;
    for n in 0..2000 {
        AsyncXs::write(&xs, &format!("/d/n{n:06}"), "").await.unwrap();
    }
    assert_eq!(AsyncXs::directory(&xs, "/d").await.unwrap().len(), 2000);
}

async fn watches(bed: Bed) {
    let xs = bed.connect().await;
    let mut stream = AsyncWatch::watch(&xs, "/w").await.unwrap();
    assert_eq!(next(&mut stream).await.as_deref(), Some("/w"));
    AsyncXs::write(&xs, "/w/x", "1").await.unwrap();
    assert_eq!(next(&mut stream).await.as_deref(), Some("/w/x"));
    xs.close().await;
    assert_eq!(next(&mut stream).await, None);
}

/// xenstore-rs's own transport blocks every request at 8 unread events.
async fn an_undrained_watch_stalls_nobody(bed: Bed) {
    let xs = bed.connect().await;
    let _undrained = AsyncWatch::watch(&xs, "/u").await.unwrap();
    for n in 0..5000 {
        AsyncXs::write(&xs, &format!("/u/{n}"), "1").await.unwrap();
    }
    assert_eq!(&*AsyncXs::read(&xs, "/u/4999").await.unwrap(), "1");
}

/// With xenstore-rs's own transport the first request after the daemon died never returns.
async fn killed_daemon(mut bed: Bed) {
    let xs = bed.connect().await;
    let mut stream = AsyncWatch::watch(&xs, "/k").await.unwrap();
    assert_eq!(next(&mut stream).await.as_deref(), Some("/k"));
    bed.daemon.freeze(true);
    let pending = {
        let xs = xs.clone();
        tokio::spawn(async move { AsyncXs::read(&xs, "/k").await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    bed.daemon.kill9();
    assert_eq!(pending.await.unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
    bed.daemon.restart();
    assert_eq!(next(&mut stream).await.as_deref(), Some("/k"), "set again");
    AsyncXs::write(&xs, "/k/x", "1").await.unwrap();
    assert_eq!(next(&mut stream).await.as_deref(), Some("/k/x"));
}

async fn many_connects_at_once(bed: Bed) {
    let connections = futures::future::join_all((0..64).map(|_| bed.connect())).await;
    for (n, xs) in connections.iter().enumerate() {
        AsyncXs::write(xs, &format!("/c/{n}"), "1").await.unwrap();
    }
    assert_eq!(AsyncXs::directory(connections.last().unwrap(), "/c").await.unwrap().len(), 64);
}

/// The traits' futures are Send, whatever implements them.
async fn in_a_spawned_task(bed: Bed) {
    async fn work(xs: impl AsyncXs + AsyncWatch) -> usize {
        let mut stream = xs.watch("/s").await.unwrap();
        xs.write("/s", "1").await.unwrap();
        usize::from(stream.next().await.is_some())
    }
    assert_eq!(tokio::spawn(work(bed.connect().await)).await.unwrap(), 1);
}
