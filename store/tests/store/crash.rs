//! What survives: a store cut off at every byte of its log, and a writer that is killed.
//!
//! Killing a process does not lose what the kernel has; cutting the log does what a power cut does to what was not synced. That a commit is synced before it is
//! reported is SQLite's `synchronous=FULL`, which `settings_are_the_durable_ones` holds fast.

use std::io::BufRead as _;
use std::path::Path;
use std::time::{Duration, Instant};

use xensnap::contract::{Facts, JournalState};
use xensnap_store::{Read, Reader, SqliteStore, Store};

use crate::support::*;

/// The database and its log as they are, into a place of their own. The log is cut after `cut` bytes.
fn copied(from: &Place, log: &[u8], cut: usize) -> Place {
    let to = Place::new();
    put(&to.at.database(), std::fs::read(from.at.database()).unwrap());
    put(&to.at.dir.join("xensnap.db-wal"), &log[..cut]);
    to
}

fn log(at: &Path) -> Vec<u8> {
    std::fs::read(at.join("xensnap.db-wal")).unwrap()
}

/// All that the store says, as one text.
fn state(store: &dyn Read) -> String {
    let tree = if store.domain(uuid(1)).unwrap().is_some() { tree(store, 1) } else { String::new() };
    let journal: Vec<_> = store
        .recent_journal(100)
        .unwrap()
        .iter()
        .map(|e| format!("{}:{}:{}", e.id, e.state, e.done))
        .collect();
    format!("{tree} | {}", journal.join(" "))
}

#[test]
fn a_log_cut_anywhere_gives_the_last_commit_before_the_cut() {
    let (place, mut store) = Place::with_store();
    // Length of the log after each commit, and what the store said then.
    let mut commits = vec![(0, state(&store))];
    let mut note = |store: &SqliteStore| commits.push((log(&place.at.dir).len(), state(store)));
    store.put_domain(&domain(1)).unwrap();
    note(&store);
    for text in ["a", "b", "c"] {
        let parent = store.domain(uuid(1)).unwrap().unwrap().current;
        let outcome = created(snapshot(&place.at, 1, text, parent.as_ref().map(|p| p.as_str())));
        let entry = planned(text, 1, &outcome);
        store.begin(&entry).unwrap();
        note(&store);
        store.advance(&entry.id, JournalState::Forward, 1, &Facts::default()).unwrap();
        note(&store);
        let _ = store.finish(&ended(&entry, JournalState::Done), Some(&outcome)).unwrap();
        note(&store);
    }
    // Marks, gives children to the grandparent, removes: many rows in one commit.
    let entry = planned("drop", 1, &dropped("b"));
    store.begin(&entry).unwrap();
    note(&store);
    let _ = store.finish(&ended(&entry, JournalState::Done), Some(&dropped("b"))).unwrap();
    note(&store);

    let whole = log(&place.at.dir);
    assert_eq!(commits.len(), 13, "each call was one commit");
    let (lengths, states): (Vec<_>, Vec<_>) = commits.into_iter().unzip();
    assert!(lengths.is_sorted() && lengths.windows(2).all(|w| w[0] < w[1]), "the log only grew: {lengths:?}");
    assert_eq!(lengths.last(), Some(&whole.len()));
    // At each commit, one byte before and after it, and inside every page in between.
    let mut cuts: Vec<usize> = lengths.iter().flat_map(|n| [n.saturating_sub(1), *n, n + 1]).collect();
    cuts.extend((0..whole.len()).step_by(2059));
    cuts.retain(|cut| *cut <= whole.len());
    for cut in cuts {
        let copy = copied(&place, &whole, cut);
        let last = lengths.iter().rposition(|n| *n <= cut).unwrap();
        assert_eq!(state(&Reader::open(&copy.at).unwrap()), states[last], "cut at {cut} of {}", whole.len());
    }
    // A bit that turned in the last commit takes that commit away and nothing else.
    let mut turned = whole.clone();
    let at = lengths[lengths.len() - 2] + 100;
    turned[at] ^= 1;
    let copy = copied(&place, &turned, whole.len());
    assert_eq!(state(&copy.open()), states[states.len() - 2]);
}

#[test]
fn settings_are_the_durable_ones() {
    let (place, mut store) = Place::with_store();
    store.put_domain(&domain(1)).unwrap();
    // SQLite writes the mode into the file; `synchronous` is checked where the connection is, in `engine`.
    let mode: String = raw(&place.at).query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

const CHILD: &str = "XENSNAP_TEST_CRASH_ROOT";
const TEST: &str = "crash::what_was_reported_done_survives_kill_9";

/// Writes until it is killed; says after each commit what it committed.
fn writer(root: &Path) {
    let at = xensnap_store::Location::under(root);
    let mut store = SqliteStore::open(&at).unwrap();
    let first = store
        .recent_journal(1)
        .unwrap()
        .first()
        .map_or(0, |entry| entry.id.as_str().trim_start_matches("op").parse::<u32>().unwrap() + 1);
    // What an earlier writer left open is ended first, as an agent would.
    for open in store.open_journal().unwrap() {
        let _ = store.finish(&ended(&open, JournalState::Failed), None).unwrap();
    }
    for n in first..u32::MAX {
        let text = format!("op{n}");
        let committed = if n % 4 == 3 {
            let oldest = store.snapshots(uuid(1)).unwrap().first().unwrap().id.clone();
            run(&mut store, &text, 1, &dropped(oldest.as_str())).unwrap()
        } else {
            create(&mut store, 1, &text).unwrap()
        };
        println!("committed {}", committed.operation());
    }
}

#[test]
fn what_was_reported_done_survives_kill_9() {
    if let Some(root) = std::env::var_os(CHILD) {
        return writer(Path::new(&root));
    }
    let (place, mut store) = Place::with_store();
    store.put_domain(&domain(1)).unwrap();
    drop(store);
    let mut reported = Vec::new();
    for round in 0..6u64 {
        let mut child =
            again(TEST, CHILD, place.at.dir.ancestors().nth(4).unwrap().to_str().unwrap()).spawn().unwrap();
        let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed at another place of its work each time: after so many reports and a moment.
        let mut wanted = 3 + round * 5;
        let mut killed = None;
        for line in lines {
            let Some(operation) = line.unwrap().strip_prefix("committed ").map(str::to_owned) else {
                continue;
            };
            reported.push(operation);
            wanted = wanted.saturating_sub(1);
            if wanted == 0 && killed.is_none() {
                std::thread::sleep(Duration::from_micros(round * 370));
                child.kill().unwrap();
                killed = Some(Instant::now());
            }
        }
        child.wait().unwrap();
        assert!(killed.is_some(), "the writer ended by itself");

        let mut store = if round % 2 == 0 { None } else { Some(place.open()) };
        while store.as_mut().is_some_and(Store::settle) {}
        let reader = Reader::open(&place.at).unwrap();
        for operation in &reported {
            let entry = reader
                .journal(&id(operation))
                .unwrap()
                .unwrap_or_else(|| panic!("round {round}: {operation} is lost"));
            assert_eq!(entry.state, JournalState::Done, "round {round}: {operation}");
        }
        assert!(reader.open_journal().unwrap().len() <= 1, "round {round}");
        // Whole or not at all: the tree hangs together, records and columns agree. With the store open its sidecars do too.
        let mut found = findings(&place.at);
        if store.is_none() {
            found.retain(|f| f.severity() == xensnap_store::Severity::Damage);
        }
        assert_eq!(found, [], "round {round}");
    }
    assert!(reported.len() >= 6 * 3, "{}", reported.len());
}

#[test]
fn sidecars_that_a_crash_left_behind_are_written_at_the_next_open() {
    let (place, mut store) = Place::with_store();
    store.put_domain(&domain(1)).unwrap();
    let _ = create(&mut store, 1, "a").unwrap();
    let _ = create(&mut store, 1, "b").unwrap();
    let _ = run(&mut store, "drop", 1, &dropped("a")).unwrap();
    let whole = log(&place.at.dir);
    // The database as it was after the last commit, without any of the sidecars, and with the one that was to be removed.
    let copy = copied(&place, &whole, whole.len());
    put(&copy.at.sidecar(uuid(1), "a"), "stale");
    put(&copy.at.sidecar(uuid(1), "foreign"), "to be taken in");
    let mut store = copy.open();
    assert!(!copy.at.sidecar(uuid(1), "a").exists(), "a note says that this one is gone");
    while store.settle() {}
    assert!(copy.at.sidecar(uuid(1), "b").exists());
    std::fs::remove_file(copy.at.sidecar(uuid(1), "foreign")).unwrap();
    drop(store);
    // No mark, no reserve before; all mended by opening.
    assert_eq!(findings(&copy.at), []);
}

#[test]
fn a_sidecar_that_cannot_be_written_fails_no_commit() {
    let (place, mut store) = Place::with_store();
    store.put_domain(&domain(1)).unwrap();
    // A file where the domain's folder should be.
    put(&place.at.domain_dir(uuid(1)), "in the way");
    let _ = create(&mut store, 1, "a").unwrap();
    let trouble = store.sidecar_trouble();
    assert_eq!(trouble.len(), 1, "{trouble:?}");
    assert_eq!(trouble[0].0, place.at.sidecar(uuid(1), "a"));
    assert_eq!(tree(&store, 1), "a< *a");
    std::fs::remove_file(place.at.domain_dir(uuid(1))).unwrap();
    let _ = create(&mut store, 1, "b").unwrap();
    assert!(place.at.sidecar(uuid(1), "a").exists(), "tried again with the next commit");
    assert!(store.sidecar_trouble().is_empty());
}

#[test]
fn sidecars_follow_by_themselves_when_nobody_settles_them() {
    let (place, mut store) = Place::with_store();
    store.put_domain(&domain(1)).unwrap();
    let written = |texts: std::ops::Range<u32>| {
        texts.filter(|n| place.at.sidecar(uuid(1), &format!("s{n}")).exists()).count()
    };
    for n in 0..70 {
        let text = format!("s{n}");
        let outcome = created(snapshot(&place.at, 1, &text, None));
        let entry = planned(&text, 1, &outcome);
        store.begin(&entry).unwrap();
        let _ = store.finish(&ended(&entry, JournalState::Done), Some(&outcome)).unwrap();
        if n == 10 {
            assert_eq!(written(0..70), 0, "a commit does not wait for them");
        }
    }
    assert_eq!(written(0..70), 64, "too many waited");
    drop(store);
    assert_eq!(written(0..70), 70, "closed");
}

#[test]
fn settling_takes_small_pieces_and_compares_all_once_after_an_opening() {
    let (place, mut store) = Place::with_store();
    store.put_domain(&domain(1)).unwrap();
    for n in 0..40 {
        let _ = create(&mut store, 1, &format!("s{n}")).unwrap();
    }
    drop(store);
    let path = |n: u32| place.at.sidecar(uuid(1), &format!("s{n}"));
    let before = content(&place.at.domain_dir(uuid(1)));
    std::fs::remove_file(path(0)).unwrap();
    put(&path(20), "torn");
    std::fs::remove_file(path(39)).unwrap();
    let mut store = place.open();
    let mut pieces = 1;
    while store.settle() {
        pieces += 1;
        assert!(pieces < 100);
    }
    assert_eq!(pieces, 3, "passes over 40 records");
    assert_eq!(content(&place.at.domain_dir(uuid(1))), before);
    assert!(!store.settle(), "once");
    // One file a piece.
    store.begin(&planned("drop", 1, &dropped("s20"))).unwrap();
    let _ = store
        .finish(&ended(&planned("drop", 1, &dropped("s20")), JournalState::Done), Some(&dropped("s20")))
        .unwrap();
    assert!(path(20).exists());
    let mut pieces = 1;
    while store.settle() {
        pieces += 1;
    }
    // The dropped one, marked before, and its child.
    assert_eq!((pieces, path(20).exists()), (2, false));
}
