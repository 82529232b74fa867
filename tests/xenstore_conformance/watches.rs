//! Watches, read and unread.

use xensnap::xenstore::{Access, Permission, WatchEvent};

use crate::rig::xenstored::{Bed, changed, next, on_both, quiet};

on_both!(
    watches_tell_of_changes,
    an_undrained_watch_stalls_nobody,
    a_watch_that_is_far_behind_says_look_again,
);

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
