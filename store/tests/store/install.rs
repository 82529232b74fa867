//! Opening: the install mark, other people's files, newer schemas, modes, the lock.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use xensnap_store::{Location, Read, Reader, SqliteStore, Store, StoreError};

use crate::support::*;

/// What a call ended with, as one word.
fn word<T>(result: &Result<T, StoreError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(StoreError::NotInstalled { .. }) => "not installed",
        Err(StoreError::NotMounted { .. }) => "not mounted",
        Err(StoreError::OtherStore { .. }) => "other store",
        Err(StoreError::Exists { .. }) => "exists",
        Err(StoreError::Locked { .. }) => "locked",
        Err(StoreError::Newer { .. }) => "newer",
        Err(StoreError::Older { .. }) => "older",
        Err(StoreError::Foreign { .. }) => "foreign",
        Err(StoreError::Damaged { .. }) => "damaged",
        Err(StoreError::Denied { .. }) => "denied",
        Err(_) => "another error",
    }
}

#[test]
fn the_mark_tells_an_unmounted_volume_from_a_new_host() {
    let gone = |path: &Path| std::fs::remove_file(path).unwrap();
    let other = |mark: &Path| put(mark, "store 11111111-2222-4333-8444-555555555555\n");
    for (database, mark, open, create, read) in [
        ("there", "there", "ok", "exists", "ok"),
        ("there", "other", "other store", "exists", "ok"),
        ("there", "gone", "ok", "exists", "ok"),
        ("gone", "there", "not mounted", "not mounted", "not mounted"),
        ("gone", "other", "not mounted", "not mounted", "not mounted"),
        ("gone", "gone", "not installed", "ok", "not installed"),
    ] {
        let case = format!("database {database}, mark {mark}");
        let (place, store) = Place::with_store();
        drop(store);
        let at = &place.at;
        if database == "gone" {
            gone(&at.database());
        }
        match mark {
            "gone" => gone(&at.mark),
            "other" => other(&at.mark),
            _ => {}
        }
        assert_eq!(word(&Reader::open(at)), read, "{case}: read");
        assert_eq!(word(&SqliteStore::open(at)), open, "{case}: open");
        if open == "ok" {
            assert!(at.mark.exists(), "{case}: the mark is mended");
        } else {
            assert_eq!(at.database().exists(), database == "there", "{case}: open made or removed something");
        }
        assert_eq!(word(&SqliteStore::create(at)), create, "{case}: create");
    }
}

#[test]
fn a_first_start_makes_a_store_and_later_ones_open_it() {
    let place = Place::new();
    let mut store = SqliteStore::open_or_create(&place.at).unwrap();
    store.put_domain(&domain(1)).unwrap();
    let made = store.store_id().unwrap();
    drop(store);
    let store = SqliteStore::open_or_create(&place.at).unwrap();
    assert_eq!((store.store_id().unwrap(), store.domains().unwrap().len()), (made, 1));
    drop(store);
    std::fs::remove_file(place.at.database()).unwrap();
    assert_eq!(word(&SqliteStore::open_or_create(&place.at)), "not mounted");
}

#[test]
fn a_crash_while_a_store_is_made_leaves_none() {
    let place = Place::new();
    put(&place.at.dir.join("xensnap.db.new"), "half of a database");
    put(&place.at.dir.join("xensnap.db.new-wal"), "and its log");
    assert_eq!(word(&SqliteStore::open(&place.at)), "not installed");
    assert_eq!(word(&SqliteStore::create(&place.at)), "ok");
    assert_eq!(findings(&place.at), []);
}

#[test]
fn everything_is_roots_alone() {
    let (place, mut store) = Place::with_store();
    store.put_domain(&domain(1)).unwrap();
    let _ = create(&mut store, 1, "a").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&place.at.dir), 0o700);
    assert_eq!(mode(&place.at.domain_dir(uuid(1))), 0o700);
    let files = content(&place.at.dir);
    for (path, _) in &files {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    let names: Vec<_> =
        files.iter().map(|(path, _)| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["snapshotdata-a.json", "reserve", "xensnap.db", "xensnap.db-shm", "xensnap.db-wal"]);
}

#[test]
fn a_folder_open_to_others_is_closed() {
    let (place, store) = Place::with_store();
    drop(store);
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&place.at.dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    drop(place.open());
    assert_eq!(std::fs::metadata(&place.at.dir).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn there_is_one_writer() {
    let (place, store) = Place::with_store();
    let second = SqliteStore::open(&place.at).unwrap_err();
    let expected = format!("another agent has the store open: process {}", std::process::id());
    assert!(second.to_string().starts_with(&expected), "{second}");
    // Another run folder is no way around it.
    let elsewhere = Location { run: place.at.run.join("elsewhere"), ..place.at.clone() };
    assert_eq!(word(&SqliteStore::open(&elsewhere)), "locked");
    assert_eq!(word(&xensnap_store::rebuild(&place.at, &Default::default())), "locked");
    assert_eq!(word(&Reader::open(&place.at)), "ok", "a reader needs no lock");
    drop(store);
    drop(place.open());
}

#[test]
fn what_is_not_ours_is_refused_and_left_as_it_is() {
    let sqlite = |setup: &'static str| {
        move |path: &Path| {
            std::fs::remove_file(path).unwrap();
            rusqlite::Connection::open(path).unwrap().execute_batch(setup).unwrap();
        }
    };
    type Tamper = Box<dyn Fn(&Path)>;
    let cases: [(&str, Tamper, &str); 7] = [
        ("a text", Box::new(|p| put(p, "snapshots live elsewhere now\n".repeat(400))), "foreign"),
        ("an empty file", Box::new(|p| put(p, "")), "foreign"),
        (
            "another program's database",
            Box::new(sqlite("PRAGMA application_id = 7; CREATE TABLE t (x);")),
            "foreign",
        ),
        ("a database without a mark", Box::new(sqlite("CREATE TABLE t (x);")), "foreign"),
        (
            "a newer schema",
            Box::new(|p| {
                rusqlite::Connection::open(p).unwrap().execute_batch("PRAGMA user_version = 99").unwrap()
            }),
            "newer",
        ),
        (
            "a torn file",
            Box::new(|p| std::fs::OpenOptions::new().write(true).open(p).unwrap().set_len(5000).unwrap()),
            "damaged",
        ),
        (
            "a table of zeros",
            Box::new(|p| {
                let mut bytes = std::fs::read(p).unwrap();
                bytes[100..4096].fill(0);
                put(p, bytes);
            }),
            "damaged",
        ),
    ];
    for (case, tamper, expected) in cases {
        let (place, mut store) = Place::with_store();
        store.put_domain(&domain(1)).unwrap();
        let _ = create(&mut store, 1, "a").unwrap();
        drop(store);
        tamper(&place.at.database());
        let before = content(&place.at.dir);
        assert_eq!(word(&SqliteStore::open(&place.at)), expected, "{case}: open");
        assert_eq!(word(&Reader::open(&place.at)), expected, "{case}: read");
        assert_eq!(word(&SqliteStore::create(&place.at)), "exists", "{case}: create");
        assert_eq!(changed(&before), Vec::<std::path::PathBuf>::new(), "{case}");
    }
}

#[test]
fn messages_name_the_versions_and_what_to_do() {
    let (place, store) = Place::with_store();
    drop(store);
    raw(&place.at).execute_batch("PRAGMA user_version = 99").unwrap();
    let message = SqliteStore::open(&place.at).unwrap_err().to_string();
    assert!(message.contains("has schema 99, this program knows up to 1"), "{message}");
    std::fs::remove_file(place.at.database()).unwrap();
    let message = SqliteStore::open(&place.at).unwrap_err().to_string();
    assert!(message.contains("mount its volume"), "{message}");
}
