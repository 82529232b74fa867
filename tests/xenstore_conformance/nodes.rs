//! Values, listings and their limits.

use xensnap::xenstore::{Errno, Error, PATH_MAX, PAYLOAD_MAX, PathFault, WatchEvent};

use crate::errno;
use crate::rig::xenstored::{Bed, next, on_both};

on_both!(
    values_are_any_bytes,
    missing_nodes,
    bad_requests_are_never_sent,
    value_limits,
    large_directories,
    a_large_directory_that_changes_all_the_time,
    ten_thousand_nodes,
    json_through_the_tools,
);

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
