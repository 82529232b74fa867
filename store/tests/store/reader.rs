//! Reading beside a writer, and without one.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use xensnap_store::{Read, Reader, Store};

use crate::support::*;

#[test]
fn a_reader_sees_whole_commits_while_the_writer_writes() {
    let (place, mut store) = Place::with_store();
    store.put_domain(&domain(1)).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let reading = threads.spawn(|| {
            let (mut rounds, mut most) = (0u32, 0);
            while !over.load(Ordering::Acquire) || rounds == 0 {
                let reader = Reader::open(&place.at).unwrap();
                let mut ids = Vec::new();
                reader
                    .for_each_snapshot(&mut |snapshot| {
                        // Each is committed after its parent.
                        let parent = snapshot.parent.as_ref().map(|p| p.as_str().to_owned());
                        assert!(parent.is_none_or(|p| ids.contains(&p)));
                        ids.push(snapshot.id.as_str().to_owned());
                        ControlFlow::Continue(())
                    })
                    .unwrap();
                assert!(ids.len() >= most, "{} after {most}", ids.len());
                most = ids.len();
                rounds += 1;
            }
            (rounds, most)
        });
        for n in 0..150 {
            let _ = create(&mut store, 1, &format!("s{n}")).unwrap();
        }
        over.store(true, Ordering::Release);
        let (rounds, most) = reading.join().unwrap();
        assert!(rounds > 1 && most > 0, "{rounds} {most}");
    });
}

#[test]
fn a_long_read_does_not_hold_up_the_writer_and_stays_at_its_commit() {
    let (place, mut store) = Place::with_store();
    store.put_domain(&domain(1)).unwrap();
    for n in 0..20 {
        let _ = create(&mut store, 1, &format!("s{n}")).unwrap();
    }
    let reader = Reader::open(&place.at).unwrap();
    let mut seen = 0;
    reader
        .for_each_head(&mut |_| {
            if seen == 5 {
                // More than SQLite lets the log grow before it wants to write it back.
                for n in 100..180 {
                    let _ = create(&mut store, 1, &format!("s{n}")).unwrap();
                }
            }
            seen += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(seen, 20);
    assert_eq!(reader.count_snapshots(uuid(1)).unwrap(), 100);
}

#[test]
fn a_reader_needs_no_agent() {
    let (place, mut store) = Place::with_store();
    store.put_domain(&domain(1)).unwrap();
    let _ = create(&mut store, 1, "a").unwrap();
    store.begin(&entry("open", 1)).unwrap();
    for stopped in [false, true] {
        if stopped {
            drop(Reader::open(&place.at).unwrap());
        }
        let reader = Reader::open(&place.at).unwrap();
        assert_eq!(tree(&reader, 1), "a< *a");
        assert_eq!(reader.open_journal().unwrap().len(), 1);
    }
    drop(store);
    let reader = Reader::open(&place.at).unwrap();
    assert_eq!(tree(&reader, 1), "a< *a", "after the agent stopped");
    assert_eq!(reader.domains().unwrap().len(), 1);
    // A reader that is open does not keep an agent from starting, migrating aside.
    let mut store = place.open();
    let _ = create(&mut store, 1, "b").unwrap();
    assert_eq!(tree(&reader, 1), "a< b<a *b");
}

#[test]
fn the_ways_of_listing_agree_and_can_be_broken_off() {
    let (place, mut store) = Place::with_store();
    store.put_domain(&domain(1)).unwrap();
    store.put_domain(&domain(2)).unwrap();
    for n in 0..6 {
        let text = format!("s{n}");
        let domain = 1 + n % 2;
        let made = if n < 3 {
            snapshot(&place.at, domain, &text, None)
        } else {
            disk_snapshot(&place.at, domain, &text, None)
        };
        let _ = run(&mut store, &text, domain, &created(made)).unwrap();
    }
    let (mut full, mut json, mut heads) = (Vec::new(), Vec::new(), Vec::new());
    store
        .for_each_snapshot(&mut |s| {
            full.push(s);
            ControlFlow::Continue(())
        })
        .unwrap();
    store
        .for_each_snapshot_json(&mut |s| {
            json.push(s.to_owned());
            ControlFlow::Continue(())
        })
        .unwrap();
    store
        .for_each_head(&mut |s| {
            heads.push(s);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(full.len(), 6);
    for ((full, json), head) in full.iter().zip(&json).zip(&heads) {
        assert_eq!(&xensnap::wire::to_string(full).unwrap(), json);
        assert_eq!(
            (&head.id, &head.name, head.domain, &head.parent),
            (&full.id, &full.name, full.domain, &full.parent)
        );
        assert_eq!(
            (head.taken_at, &head.kind, &head.consistency),
            (full.taken_at, &full.part.kind(), &full.consistency)
        );
        assert_eq!((head.disks, head.disk_bytes, head.deleting), (2, 40 << 30, false));
        assert_eq!(head.memory_bytes > 0, full.part.kind().as_str() == "vm");
    }
    let mine: Vec<_> = heads.iter().filter(|h| h.domain == uuid(2)).cloned().collect();
    assert_eq!(store.heads(uuid(2)).unwrap(), mine);
    assert_eq!(store.snapshots(uuid(2)).unwrap().len(), 3);
    let mut seen = 0;
    store
        .for_each_snapshot(&mut |_| {
            seen += 1;
            if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!(seen, 2);
}

#[test]
fn snapshots_are_listed_in_order_of_their_instants() {
    let (place, mut store) = Place::with_store();
    store.put_domain(&domain(1)).unwrap();
    for (text, at) in [("late", 30), ("early", 10), ("between", 20)] {
        let mut made = snapshot(&place.at, 1, text, None);
        made.taken_at = time(at);
        let _ = run(&mut store, text, 1, &created(made)).unwrap();
    }
    let order: Vec<_> = store.snapshots(uuid(1)).unwrap().iter().map(|s| s.id.as_str().to_owned()).collect();
    assert_eq!(order, ["early", "between", "late"]);
}
