//! `rebuild`: what comes back when the database is lost, torn or whole; and what hostile sidecars may not do.

use std::os::unix::fs::symlink;
use std::path::Path;

use xensnap::contract::{Facts, JournalState};
use xensnap_store::{Read, Reader, RebuildOptions, Store, StoreError, rebuild};

use crate::support::*;

/// Domain 1: a, b (child of a), c (child of b, current), diverged; domain 2: x; one operation open.
fn lived_in() -> Place {
    let (place, mut store) = Place::with_store();
    store.put_domain(&domain(1)).unwrap();
    store.put_domain(&domain(2)).unwrap();
    for text in ["a", "b", "c"] {
        let _ = create(&mut store, 1, text).unwrap();
    }
    let _ = create(&mut store, 2, "x").unwrap();
    let mut outcome = xensnap::contract::Outcome::new(Vec::new());
    outcome.diverged = Some(true);
    let _ = run(&mut store, "diverge", 1, &outcome).unwrap();
    let open = entry("open", 2);
    store.begin(&open).unwrap();
    store.advance(&open.id, JournalState::Forward, 1, &Facts::default()).unwrap();
    place
}

const ALL: &str = "a< b<a c<b *c!";

fn all() -> RebuildOptions {
    RebuildOptions::default()
}

#[test]
fn a_lost_database_comes_back_from_the_sidecars() {
    let place = lived_in();
    let store = Reader::open(&place.at).unwrap().store_id().unwrap();
    std::fs::remove_file(place.at.database()).unwrap();
    let report = rebuild(&place.at, &all()).unwrap();
    assert_eq!((report.domains, report.snapshots_imported, report.snapshots_kept), (2, 4, 0));
    assert_eq!(report.domains_derived, [uuid(1), uuid(2)]);
    let store_now = place.open();
    assert_eq!(store_now.store_id().unwrap(), store, "the mark says which store it was");
    assert_eq!(tree(&store_now, 1), "a< b<a c<b *", "which one was current only the database knew");
    let derived = store_now.domain(uuid(1)).unwrap().unwrap();
    assert_eq!((derived.name.as_str(), derived.disks.len(), &derived.config), ("web1", 2, &config()));
    drop(store_now);
    assert_eq!(findings(&place.at), []);
    // Copied to a host that never had a store.
    let other = Place::new();
    for (path, bytes) in content(&place.at.domain_dir(uuid(1))) {
        put(&other.at.domain_dir(uuid(1)).join(path.file_name().unwrap()), bytes.0);
    }
    let report =
        rebuild(&other.at, &RebuildOptions { memory_dirs: vec![place.at.dir.clone()], ..all() }).unwrap();
    assert_eq!((report.snapshots_imported, report.set_aside.len()), (3, 0), "{report:?}");
}

#[test]
fn a_whole_database_is_taken_over_entirely() {
    let place = lived_in();
    let before = content(&place.at.domain_dir(uuid(1)));
    let report = rebuild(&place.at, &all()).unwrap();
    assert_eq!(
        (report.snapshots_kept, report.snapshots_imported, report.operations_kept),
        (4, 0, 6),
        "{report:?}"
    );
    assert!(
        report.lost.is_empty() && report.domains_derived.is_empty() && report.orphaned.is_empty(),
        "{report:?}"
    );
    let store = place.open();
    assert_eq!(tree(&store, 1), ALL);
    assert_eq!(store.open_journal().unwrap()[0].done, 1, "as it was advanced");
    drop(store);
    assert_eq!(findings(&place.at), []);
    assert_eq!(content(&place.at.domain_dir(uuid(1))), before);
    // And the old one can be opened where it is now.
    let old = rusqlite::Connection::open(report.old_database.unwrap()).unwrap();
    assert_eq!(old.query_row("SELECT count(*) FROM snapshot", [], |row| row.get::<_, i64>(0)).unwrap(), 4);
}

#[test]
fn the_log_of_the_old_database_goes_with_it() {
    let (place, mut store) = Place::with_store();
    store.put_domain(&domain(1)).unwrap();
    let _ = create(&mut store, 1, "a").unwrap();
    // As if killed: all but the head is in the log.
    let killed = Place::new();
    for ending in ["", "-wal"] {
        let name = format!("xensnap.db{ending}");
        put(&killed.at.dir.join(&name), std::fs::read(place.at.dir.join(&name)).unwrap());
    }
    let options = RebuildOptions { memory_dirs: vec![place.at.dir.clone()], ..all() };
    let report = rebuild(&killed.at, &options).unwrap();
    assert_eq!((report.snapshots_kept, report.lost.len()), (1, 0), "{report:?}");
    let old = rusqlite::Connection::open(report.old_database.unwrap()).unwrap();
    assert_eq!(old.query_row("SELECT count(*) FROM snapshot", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    assert_eq!(tree(&killed.open(), 1), "a< *a");
}

#[test]
fn a_torn_database_gives_what_it_has_and_the_sidecars_the_rest() {
    let place = lived_in();
    raw(&place.at).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let whole = std::fs::read(place.at.database()).unwrap();
    let pages = whole.len() / 4096;
    let mut torn_somewhere = 0;
    for page in 0..pages {
        let mut bytes = whole.clone();
        bytes[page * 4096..(page + 1) * 4096].fill(0x5a);
        let copy = Place::new();
        let mut copied = content(&place.at.dir);
        copied.retain(|(path, _)| path.extension().is_some_and(|e| e == "json"));
        for (path, bytes) in copied {
            put(&copy.at.dir.join(path.strip_prefix(&place.at.dir).unwrap()), bytes.0);
        }
        put(&copy.at.database(), &bytes);
        let report =
            rebuild(&copy.at, &RebuildOptions { memory_dirs: vec![place.at.dir.clone()], ..all() }).unwrap();
        assert_eq!(
            std::fs::read(report.old_database.as_ref().unwrap()).unwrap(),
            bytes,
            "page {page}: the old one was changed"
        );
        torn_somewhere += u32::from(!report.lost.is_empty());
        let store = copy.open();
        let found = tree(&store, 1);
        assert!(found.starts_with("a< b<a c<b "), "page {page}: {found}, {report:?}");
        assert_eq!(store.count_snapshots(uuid(2)).unwrap(), 1, "page {page}");
        drop(store);
        assert_eq!(findings(&copy.at), [], "page {page}");
    }
    assert!(torn_somewhere > 3, "{torn_somewhere} of {pages}");
}

#[test]
fn hostile_sidecars_are_set_aside_and_reach_nothing() {
    let place = lived_in();
    let at = &place.at;
    let secret = place.at.run.join("secret");
    put(&secret, "not yours");
    let good = std::fs::read_to_string(at.sidecar(uuid(1), "a")).unwrap();
    let with_id = |id: &str| {
        let text = good.replace("\"id\":\"a\"", &format!("\"id\":\"{id}\""));
        text.replace("name-a", &format!("name-{id}")).replace("/a.save", &format!("/{id}.save"))
    };
    let evil = |id: &str, from: &str, to: &str| {
        let text = with_id(id);
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    };
    let save = |id: &str| at.memory_image(uuid(1), id).display().to_string();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("e01", b"".to_vec(), "not JSON"),
        ("e02", good.as_bytes()[..good.len() / 2].to_vec(), "not JSON"),
        ("e03", vec![0xff, 0xfe, 0x00], "not UTF-8"),
        ("e04", vec![b' '; 3 << 20], "bytes; at most"),
        ("e05", good.clone().into_bytes(), "it describes snapshot a"),
        (
            "e06",
            evil("e06", "000000000001", "000000000002").into_bytes(),
            "it describes a snapshot of domain",
        ),
        ("e07", evil("e07", &save("e07"), "/etc/shadow").into_bytes(), "not where memory images are"),
        ("e08", evil("e08", &save("e08"), &save("../e08")).into_bytes(), ""),
        ("e09", evil("e09", &save("e09"), &save("b")).into_bytes(), "not where memory images are"),
        ("e10", evil("e10", "/srv/images/1-vda.qcow2", "/srv/../etc/shadow").into_bytes(), ""),
        ("e11", evil("e11", "/srv/images/1-vda.qcow2", "json:{}").into_bytes(), ""),
        ("e12", format!("{}{}{}", "[".repeat(5000), 1, "]".repeat(5000)).into_bytes(), ""),
        ("e13", evil("e13", "\"disks\":", "\"disks\":[],\"disks\":").into_bytes(), ""),
        ("x", with_id("x").into_bytes(), "has a snapshot of that id"),
    ];
    for (id, bytes, _) in &cases {
        put(&at.sidecar(uuid(1), id), bytes);
    }
    let link = at.sidecar(uuid(1), "link");
    symlink(&secret, &link).unwrap();
    let pipe = at.sidecar(uuid(1), "pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    symlink(at.domain_dir(uuid(1)), at.domain_dir(uuid(7))).unwrap();
    put(&at.dir.join("not-a-uuid").join("snapshotdata-q.json"), with_id("q"));

    let report = rebuild(at, &all()).unwrap();
    assert_eq!(report.snapshots_imported, 0, "{report:?}");
    assert_eq!(report.set_aside.len(), cases.len() + 2, "{report:?}");
    for (id, bytes, why) in &cases {
        let path = at.sidecar(uuid(1), id);
        let aside =
            report.set_aside.iter().find(|a| a.path == path).unwrap_or_else(|| panic!("{id} was taken in"));
        assert!(aside.why.contains(why), "{id}: {}", aside.why);
        assert_eq!(&std::fs::read(&aside.now).unwrap(), bytes, "{id}: kept byte for byte");
    }
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "not yours");
    let store = place.open();
    assert_eq!((tree(&store, 1).as_str(), store.domains().unwrap().len()), (ALL, 2));
}

#[test]
fn what_collides_is_renamed_and_what_has_no_parent_becomes_a_root() {
    let place = lived_in();
    let at = &place.at;
    let good = std::fs::read_to_string(at.sidecar(uuid(1), "b")).unwrap();
    let with = |id: &str, name: &str, parent: &str| {
        let text = good.replace("\"id\":\"b\"", &format!("\"id\":\"{id}\"")).replace("name-b", name);
        put(
            &at.sidecar(uuid(1), id),
            text.replace("\"parent\":\"a\"", &format!("\"parent\":\"{parent}\""))
                .replace("/b.save", &format!("/{id}.save")),
        );
    };
    with("same-name", "name-a", "a");
    with("orphan", "o", "gone");
    with("others", "p", "x");
    with("loop1", "l1", "loop2");
    with("loop2", "l2", "loop1");
    with("self", "s", "self");
    let report = rebuild(at, &all()).unwrap();
    assert_eq!(report.snapshots_imported, 6, "{report:?}");
    assert_eq!(report.renamed, [("same-name".to_owned(), "name-a".to_owned(), "name-a-2".to_owned())]);
    assert_eq!(report.orphaned, ["loop1", "orphan", "others", "self"]);
    let store = place.open();
    let found = tree(&store, 1);
    for part in ["same-name<a", "loop1<", "loop2<loop1", "self< "] {
        assert!(found.contains(part), "{part}: {found}");
    }
    drop(store);
    assert_eq!(findings(at), [], "what was changed is in the sidecars too");
}

#[test]
fn what_was_deleted_does_not_come_back() {
    let place = lived_in();
    let stale = std::fs::read(place.at.sidecar(uuid(1), "a")).unwrap();
    let mut store = place.open();
    // The sidecar cannot be removed: a folder is in its place. The note stays.
    let path = place.at.sidecar(uuid(1), "a");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let _ = run(&mut store, "drop", 1, &dropped("a")).unwrap();
    assert_eq!(store.sidecar_trouble().len(), 1);
    drop(store);
    std::fs::remove_dir(&path).unwrap();
    put(&path, stale);
    let report = rebuild(&place.at, &all()).unwrap();
    assert_eq!((report.snapshots_imported, report.set_aside.len()), (0, 1), "{report:?}");
    assert!(report.set_aside[0].why.contains("had dropped"), "{report:?}");
    assert_eq!(tree(&place.open(), 1), "b< c<b *c!");
}

#[test]
fn an_interrupted_rebuild_is_brought_to_its_end() {
    let place = lived_in();
    let at = &place.at;
    // Before the new one was whole: as if nothing had been.
    put(&at.dir.join("xensnap.db.rebuilding"), "half");
    assert_eq!(tree(&place.open(), 1), ALL);
    let _ = rebuild(at, &all()).unwrap();
    assert_eq!(tree(&place.open(), 1), ALL);
    // After it was: the old one set aside, the new one not yet in its place.
    std::fs::rename(at.database(), at.dir.join("xensnap.db.rebuilt")).unwrap();
    assert!(matches!(Reader::open(at), Err(StoreError::NotMounted { .. })));
    let report = rebuild(at, &all()).unwrap();
    assert!(report.finished_earlier, "{report:?}");
    assert_eq!(tree(&place.open(), 1), ALL);
    assert_eq!(findings(at), []);
}

#[test]
fn a_rebuild_refuses_what_it_should_not_touch() {
    let place = lived_in();
    raw(&place.at).execute_batch("PRAGMA user_version = 99").unwrap();
    let before = content(&place.at.dir);
    assert!(matches!(rebuild(&place.at, &all()), Err(StoreError::Newer { .. })));
    assert_eq!(changed(&before), Vec::<std::path::PathBuf>::new());

    let nothing = Place::new();
    assert!(matches!(rebuild(&nothing.at, &all()), Err(StoreError::NotInstalled { .. })));
    assert!(!nothing.at.dir.exists());

    let lost = Place::with_store().0;
    std::fs::remove_file(lost.at.database()).unwrap();
    assert!(
        matches!(rebuild(&lost.at, &all()), Err(StoreError::NotMounted { .. })),
        "no sidecar: is it mounted?"
    );
    let report = rebuild(&lost.at, &RebuildOptions { empty_accepted: true, ..all() }).unwrap();
    assert_eq!((report.domains, report.old_database.as_deref()), (0, None::<&Path>));
    assert!(lost.open().domains().unwrap().is_empty());
}
