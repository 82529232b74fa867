//! Full disks, read-only and unmounted volumes: on real mounts, in a mount namespace of their own. Root only; printed when skipped.

use std::io::Write as _;
use std::path::Path;

use xensnap::contract::{Facts, JournalState};
use xensnap_store::{Read, Reader, SqliteStore, Store, StoreError};

use crate::support::*;

const INSIDE: &str = "XENSNAP_TEST_MOUNTS";

/// Runs a test's body in a process whose mounts are its own.
fn with_mounts(test: &str, body: fn()) {
    if std::env::var(INSIDE).is_ok_and(|inside| inside == test) {
        return body();
    }
    if !rustix::process::geteuid().is_root()
        || !program("unshare").args(["-m", "true"]).status().is_ok_and(|s| s.success())
    {
        println!("skipped {test}: mounting needs root and unshare");
        return;
    }
    let child = program("unshare")
        .args(["-m", "--propagation", "private"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, test)
        .stderr(std::process::Stdio::piped())
        .output()
        .unwrap();
    assert!(
        child.status.success(),
        "{}{}",
        String::from_utf8_lossy(&child.stdout),
        String::from_utf8_lossy(&child.stderr)
    );
    assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"), "{test} is not the test's name");
}

fn command(line: &str) {
    let mut words = line.split_whitespace();
    let status = program(words.next().unwrap()).args(words).status().unwrap();
    assert!(status.success(), "{line}");
}

fn mount_tmpfs(dir: &Path, mib: u32) {
    std::fs::create_dir_all(dir).unwrap();
    command(&format!("mount -t tmpfs -o size={mib}m,mode=0700 none {}", dir.display()));
}

/// Writes until nothing goes in any more.
fn fill(path: &Path) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    for chunk in [1 << 16, 4096, 1] {
        while file.write_all(&vec![7; chunk]).is_ok() {}
    }
}

fn no_space<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::NoSpace { .. }))
}

#[test]
fn what_has_begun_is_journalled_to_its_end_on_a_full_disk() {
    with_mounts("medium::what_has_begun_is_journalled_to_its_end_on_a_full_disk", || {
        let place = Place::new();
        mount_tmpfs(&place.at.dir, 32);
        let mut store = SqliteStore::create(&place.at).unwrap();
        store.put_domain(&domain(1)).unwrap();
        let _ = create(&mut store, 1, "before").unwrap();
        let open: Vec<_> = (0..20)
            .map(|n| {
                let text = format!("op{n}");
                let outcome = created(snapshot(&place.at, 1, &text, Some("before")));
                let entry = planned(&text, 1, &outcome);
                store.begin(&entry).unwrap();
                (entry, outcome)
            })
            .collect();
        let filler = place.at.dir.join("filler");
        fill(&filler);
        assert!(place.at.reserve().exists());
        // Begun before the disk was full: every step and every outcome is taken.
        for (entry, outcome) in &open {
            for done in 0..10 {
                store.advance(&entry.id, JournalState::Forward, done, &Facts::default()).unwrap();
            }
            let _ = store.finish(&ended(entry, JournalState::Done), Some(outcome)).unwrap();
        }
        assert!(!place.at.reserve().exists(), "the reserve was not needed: the disk was not full");
        // Nothing new meanwhile.
        assert!(no_space(store.begin(&entry("new", 1))));
        assert!(no_space(store.put_domain(&domain(2))));
        assert!(store.trouble().is_some_and(|e| e.is_no_space()));
        assert_eq!(store.count_snapshots(uuid(1)).unwrap(), 21, "reading goes on");

        std::fs::remove_file(&filler).unwrap();
        assert!(store.trouble().is_none());
        let _ = create(&mut store, 1, "after").unwrap();
        assert!(place.at.reserve().exists(), "made again");
        drop(store);
        assert_eq!(findings(&place.at), []);
        assert_eq!(place.open().count_snapshots(uuid(1)).unwrap(), 22);
    });
}

#[test]
fn a_disk_fuller_than_the_reserve_refuses_and_recovers() {
    with_mounts("medium::a_disk_fuller_than_the_reserve_refuses_and_recovers", || {
        let place = Place::new();
        mount_tmpfs(&place.at.dir, 24);
        let mut store = SqliteStore::create(&place.at).unwrap();
        store.put_domain(&domain(1)).unwrap();
        let open = entry("op", 1);
        store.begin(&open).unwrap();
        let filler = place.at.dir.join("filler");
        let mut done = 0;
        // Somebody else takes the space of the reserve as soon as it is given up.
        let error = loop {
            fill(&filler);
            match store.advance(&open.id, JournalState::Forward, done, &Facts::default()) {
                Ok(()) => done += 1,
                Err(e) => break e,
            }
            assert!(done < 100_000);
        };
        assert!(matches!(error, StoreError::NoSpace { .. }), "{error}");
        assert_eq!(store.journal(&open.id).unwrap().unwrap().done, done - 1, "as of the last that was taken");
        std::fs::remove_file(&filler).unwrap();
        // Not latched: the same call works once there is space.
        store.advance(&open.id, JournalState::Forward, done, &Facts::default()).unwrap();
        let _ = store.finish(&ended(&open, JournalState::Failed), None).unwrap();
    });
}

#[test]
fn a_store_cannot_be_made_on_a_full_disk() {
    with_mounts("medium::a_store_cannot_be_made_on_a_full_disk", || {
        let place = Place::new();
        mount_tmpfs(&place.at.dir, 1);
        let filler = place.at.dir.join("filler");
        fill(&filler);
        let error = SqliteStore::create(&place.at).unwrap_err();
        assert!(matches!(error, StoreError::NoSpace { .. }), "{error}");
        assert!(!place.at.mark.exists() && !place.at.database().exists());
        std::fs::remove_file(&filler).unwrap();
        // Room for a database and not for the reserve: readable, and says what is wrong.
        let mut store = SqliteStore::create(&place.at).unwrap();
        assert!(store.trouble().is_some_and(|e| e.is_no_space()));
        assert!(no_space(store.begin(&entry("op", 1))));
        assert_eq!(store.domains().unwrap(), []);
    });
}

#[test]
fn a_read_only_volume_can_be_read_and_says_so_when_written() {
    with_mounts("medium::a_read_only_volume_can_be_read_and_says_so_when_written", || {
        let database = |place: &Place| place.at.database();
        let beside = |place: &Place, ending: &str| place.at.dir.join(format!("xensnap.db{ending}"));
        // How the agent ended, and the files of the database that it left.
        for (case, files, readable) in [
            ("stopped", &[""][..], true),
            ("killed", &["", "-wal", "-shm"], true),
            // Only a writer can make sense of it.
            ("killed, and the index removed", &["", "-wal"], false),
        ] {
            let (from, mut store) = Place::with_store();
            store.put_domain(&domain(1)).unwrap();
            let _ = create(&mut store, 1, "a").unwrap();
            if case == "stopped" {
                drop(store);
            }
            let to = Place::new();
            put(&database(&to), "");
            for ending in files {
                std::fs::copy(beside(&from, ending), beside(&to, ending)).unwrap();
            }
            let dir = to.at.dir.display().to_string();
            command(&format!("mount --bind {dir} {dir}"));
            command(&format!("mount -o remount,bind,ro {dir}"));
            let before = content(&to.at.dir);
            let read_only = |e: StoreError| matches!(e, StoreError::ReadOnly { .. });
            match Reader::open(&to.at) {
                Ok(reader) => {
                    assert_eq!(tree(&reader, 1), "a< *a", "{case}");
                    assert_eq!(xensnap_store::check(&to.at).unwrap().snapshots, 1, "{case}");
                    assert!(readable, "{case}");
                }
                Err(e) => assert!(!readable && read_only(e), "{case}"),
            }
            assert!(read_only(SqliteStore::open(&to.at).unwrap_err()), "{case}");
            assert!(read_only(xensnap_store::rebuild(&to.at, &Default::default()).unwrap_err()), "{case}");
            assert_eq!(content(&to.at.dir), before, "{case}");
            command(&format!("umount {dir}"));
        }
    });
}

#[test]
fn an_unmounted_volume_is_not_an_empty_store() {
    with_mounts("medium::an_unmounted_volume_is_not_an_empty_store", || {
        let place = Place::new();
        let at = &place.at;
        mount_tmpfs(&at.dir, 24);
        drop(SqliteStore::create(at).unwrap());
        command(&format!("umount {}", at.dir.display()));
        assert!(at.dir.is_dir(), "the bare folder is there");
        let not_mounted = |e: StoreError| matches!(e, StoreError::NotMounted { .. });
        assert!(not_mounted(SqliteStore::open(at).unwrap_err()));
        assert!(not_mounted(SqliteStore::create(at).unwrap_err()));
        assert!(not_mounted(SqliteStore::open_or_create(at).unwrap_err()));
        assert!(not_mounted(Reader::open(at).unwrap_err()));
        assert!(not_mounted(xensnap_store::check(at).unwrap_err()));
        assert!(not_mounted(xensnap_store::rebuild(at, &Default::default()).unwrap_err()));
        assert_eq!(content(&at.dir), [], "something was made in the bare folder");
    });
}

#[test]
fn a_volume_that_goes_away_while_the_store_is_open_is_noticed_before_the_next_write() {
    with_mounts(
        "medium::a_volume_that_goes_away_while_the_store_is_open_is_noticed_before_the_next_write",
        || {
            let place = Place::new();
            let at = &place.at;
            mount_tmpfs(&at.dir, 24);
            let mut store = SqliteStore::create(at).unwrap();
            let open = entry("op", 1);
            store.begin(&open).unwrap();
            command(&format!("umount -l {}", at.dir.display()));
            let error = store.finish(&ended(&open, JournalState::Done), None).unwrap_err();
            assert!(matches!(error, StoreError::Vanished { .. }), "{error}");
            // For good: what is mounted there later may be anything.
            let error = store.begin(&entry("op2", 1)).unwrap_err();
            assert!(matches!(error, StoreError::Latched { .. }), "{error}");
            assert!(error.to_string().contains("unmounted or replaced"), "{error}");
            assert!(store.trouble().is_some_and(|e| e.is_unavailable()));
            assert_eq!(content(&at.dir), []);
        },
    );
}
