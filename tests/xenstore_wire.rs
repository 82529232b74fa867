//! What goes over the socket, seen by a daemon of ours that says what no real one can be made to say.
#![expect(clippy::unwrap_used, reason = "a test: helpers outside of #[test] functions too")]

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use tempfile::TempDir;
use xensnap::xenstore::{Connection, Errno, Error, Options, WatchEvent};

const READ: u32 = 2;
const WATCH: u32 = 4;
const UNWATCH: u32 = 5;
const START: u32 = 6;
const END: u32 = 7;
const WRITE: u32 = 11;
const EVENT: u32 = 15;
const ERROR: u32 = 16;

#[derive(Debug)]
struct Seen {
    kind: u32,
    request: u32,
    transaction: u32,
    payload: Vec<u8>,
}

/// The daemon's end of one connection.
struct Peer(UnixStream);

impl Peer {
    fn receive(&mut self) -> Seen {
        let mut words = [0; 4];
        for word in &mut words {
            let mut bytes = [0; 4];
            self.0.read_exact(&mut bytes).unwrap();
            *word = u32::from_ne_bytes(bytes);
        }
        let [kind, request, transaction, size] = words;
        let mut payload = vec![0; size as usize];
        self.0.read_exact(&mut payload).unwrap();
        Seen { kind, request, transaction, payload }
    }

    fn expect(&mut self, kind: u32) -> Seen {
        let seen = self.receive();
        assert_eq!(seen.kind, kind, "{seen:?}");
        seen
    }

    fn send(&mut self, kind: u32, request: u32, payload: &[u8]) {
        self.header(kind, request, u32::try_from(payload.len()).unwrap());
        self.0.write_all(payload).unwrap();
    }

    fn header(&mut self, kind: u32, request: u32, size: u32) {
        let bytes: Vec<u8> = [kind, request, 0, size].iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.0.write_all(&bytes).unwrap();
    }

    fn answer(&mut self, seen: &Seen, payload: &[u8]) {
        self.send(seen.kind, seen.request, payload);
    }
}

/// Runs `daemon` on a thread of its own, against a connection's other end.
async fn against(daemon: impl FnOnce(UnixListener) + Send + 'static) -> (Connection, Join, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join("socket")).unwrap();
    let thread = std::thread::spawn(move || daemon(listener));
    let xs = Connection::connect(&Options::at(dir.path().join("socket"))).await.unwrap();
    (xs, Join(thread), dir)
}

struct Join(std::thread::JoinHandle<()>);

impl Join {
    /// Passes on the daemon's failed assertion.
    async fn done(self) {
        tokio::task::spawn_blocking(|| self.0.join()).await.unwrap().unwrap();
    }
}

fn accept(listener: &UnixListener) -> Peer {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    Peer(stream)
}

#[tokio::test]
async fn a_dropped_watch_is_taken_back() {
    let (xs, daemon, _dir) = against(|listener| {
        let mut peer = accept(&listener);
        let watch = peer.expect(WATCH);
        peer.answer(&watch, b"OK\0");
        peer.send(EVENT, 0, &watch.payload);
        let unwatch = peer.expect(UNWATCH);
        assert_eq!(unwatch.payload, watch.payload, "the same path and token");
        peer.send(EVENT, 0, &watch.payload); // crossed it on the way
        peer.answer(&unwatch, b"OK\0");
        let read = peer.expect(READ);
        peer.answer(&read, b"value");
    })
    .await;
    let mut watch = xs.watch("/w").await.unwrap();
    assert_eq!(watch.next().await, Some(WatchEvent::Resync));
    drop(watch);
    assert_eq!(xs.read("/x").await.unwrap(), b"value");
    daemon.done().await;
}

#[tokio::test]
async fn a_dropped_transaction_is_aborted() {
    let (xs, daemon, _dir) = against(|listener| {
        let mut peer = accept(&listener);
        let start = peer.expect(START);
        peer.answer(&start, b"77\0");
        let write = peer.expect(WRITE);
        assert_eq!((write.transaction, &*write.payload), (77, &b"/t\x001"[..]));
        peer.answer(&write, b"OK\0");
        let end = peer.expect(END);
        assert_eq!((end.transaction, &*end.payload), (77, &b"F\0"[..]));
    })
    .await;
    let transaction = xs.begin().await.unwrap();
    transaction.write("/t", b"1").await.unwrap();
    drop(transaction);
    daemon.done().await;
}

#[tokio::test]
async fn a_transaction_that_nobody_waited_for_is_aborted() {
    let (xs, daemon, _dir) = against(|listener| {
        let mut peer = accept(&listener);
        let start = peer.expect(START);
        std::thread::sleep(Duration::from_millis(200));
        peer.answer(&start, b"78\0");
        let end = peer.expect(END);
        assert_eq!((end.transaction, &*end.payload), (78, &b"F\0"[..]));
    })
    .await;
    let begun = xs.with_deadline(Duration::from_millis(50)).begin().await;
    assert!(matches!(begun, Err(Error::Deadline { .. })));
    daemon.done().await;
}

#[tokio::test]
async fn requests_are_pipelined_and_answers_matched_in_any_order() {
    let (xs, daemon, _dir) = against(|listener| {
        let mut peer = accept(&listener);
        let mut seen: Vec<Seen> = (0..50).map(|_| peer.expect(READ)).collect();
        seen.reverse();
        for read in seen {
            peer.answer(&read, &read.payload);
        }
    })
    .await;
    let reads = (0..50).map(|n| {
        let xs = xs.clone();
        async move { (n, xs.read(&format!("/{n}")).await.unwrap()) }
    });
    for (n, value) in futures::future::join_all(reads).await {
        assert_eq!(value, format!("/{n}\0").into_bytes());
    }
    daemon.done().await;
}

/// Events merge in the daemon: the one that is sent when a watch is set may stand for a change too. So `Resync` comes with
/// it, and not with the answer before.
#[tokio::test]
async fn resync_comes_with_the_initial_event() {
    let (xs, daemon, _dir) = against(|listener| {
        let mut peer = accept(&listener);
        let watch = peer.expect(WATCH);
        peer.answer(&watch, b"OK\0");
        let read = peer.expect(READ);
        peer.answer(&read, b"before");
        peer.send(EVENT, 0, &watch.payload);
        peer.expect(READ);
    })
    .await;
    let mut watch = xs.watch("/w").await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(50), watch.next()).await;
    assert!(early.is_err());
    xs.read("/w").await.unwrap();
    assert_eq!(watch.next().await, Some(WatchEvent::Resync));
    assert!(matches!(xs.read("/w").await, Err(Error::Disconnected)));
    daemon.done().await;
}

#[tokio::test]
async fn a_watch_that_cannot_be_set_again_is_no_deaf_watch() {
    let (xs, daemon, _dir) = against(|listener| {
        let mut peer = accept(&listener);
        let watch = peer.expect(WATCH);
        peer.answer(&watch, b"OK\0");
        peer.send(EVENT, 0, &watch.payload);
        drop(peer);
        let mut peer = accept(&listener);
        let watch = peer.expect(WATCH);
        peer.send(ERROR, watch.request, b"ENOMEM\0");
        let mut peer = accept(&listener);
        let watch = peer.expect(WATCH);
        peer.answer(&watch, b"OK\0");
        peer.send(EVENT, 0, &watch.payload);
        let read = peer.expect(READ);
        peer.send(ERROR, read.request, b"ESTRANGE\0");
    })
    .await;
    let mut watch = xs.watch("/w").await.unwrap();
    assert_eq!(watch.next().await, Some(WatchEvent::Resync));
    assert_eq!(watch.next().await, Some(WatchEvent::Resync));
    assert_eq!(xs.generation(), 3);
    let error = xs.read("/x").await.unwrap_err();
    assert_eq!(error.errno(), Some(&Errno::Other("ESTRANGE".into())));
    daemon.done().await;
}

#[tokio::test]
async fn nonsense_ends_a_connection_and_not_the_program() {
    type Nonsense = fn(&mut Peer, &Seen);
    let cases: [(&str, Nonsense); 3] = [
        ("a reply of 4 GiB", |peer, read| peer.header(READ, read.request, u32::MAX)),
        ("an event without token", |peer, _| peer.send(EVENT, 0, b"/path\0")),
        ("an event that is not UTF-8", |peer, _| peer.send(EVENT, 0, b"\xff\0\xff\0")),
    ];
    for (case, nonsense) in cases {
        let (xs, daemon, _dir) = against(move |listener| {
            let mut peer = accept(&listener);
            let read = peer.expect(READ);
            nonsense(&mut peer, &read);
            let mut peer = accept(&listener);
            let read = peer.expect(READ);
            peer.answer(&read, b"sense");
        })
        .await;
        assert!(matches!(xs.read("/x").await, Err(Error::Disconnected)), "{case}");
        assert_eq!(xs.read("/x").await.unwrap(), b"sense", "{case}");
        daemon.done().await;
    }
}

#[tokio::test]
async fn a_reply_of_another_kind_is_that_requests_error() {
    let (xs, daemon, _dir) = against(|listener| {
        let mut peer = accept(&listener);
        let read = peer.expect(READ);
        peer.send(EVENT, 0, b"/unknown\x0012345\0"); // no watch of ours: passed over
        peer.send(WRITE, read.request + 1000, b"OK\0"); // no request of ours
        peer.send(WRITE, read.request, b"OK\0");
        let read = peer.expect(READ);
        peer.answer(&read, b"value");
    })
    .await;
    assert!(matches!(xs.read("/x").await, Err(Error::Protocol(_))));
    assert_eq!(xs.read("/x").await.unwrap(), b"value");
    daemon.done().await;
}

/// A daemon that takes connections and drops them is not asked without end.
#[tokio::test]
async fn reconnects_slow_down() {
    let (xs, daemon, _dir) = against(|listener| {
        let begun = std::time::Instant::now();
        for _ in 0..8 {
            drop(accept(&listener));
        }
        // 2 + 4 + ... + 64 ms of pauses before the eighth, at least.
        assert!(begun.elapsed() > Duration::from_millis(100), "{:?}", begun.elapsed());
    })
    .await;
    daemon.done().await;
    drop(xs);
}
