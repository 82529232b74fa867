//! Databases of released schemas are opened and migrated. Each is checked in, as the code of its time made it; `BLESS=1` makes the present one's, once.

use xensnap::contract::{Facts, JournalState};
use xensnap_store::{Location, Read, Store};

use crate::support::*;

/// What every fixture holds, and what is read from it.
fn expected() -> [(&'static str, String); 3] {
    [
        ("tree", "a< c<a d<c(deleting) *d!".into()),
        ("journal", "delete:forward:1 mark:done:2 drop:done:2 d:done:2 c:done:2 b:done:2 a:done:2".into()),
        ("kinds", "vm vm disk".into()),
    ]
}

fn found(store: &dyn Read) -> [(&'static str, String); 3] {
    let journal: Vec<_> = store
        .recent_journal(100)
        .unwrap()
        .iter()
        .map(|e| format!("{}:{}:{}", e.id, e.state, e.done))
        .collect();
    let kinds: Vec<_> = store.heads(uuid(1)).unwrap().iter().map(|h| h.kind.as_str().to_owned()).collect();
    [("tree", tree(store, 1)), ("journal", journal.join(" ")), ("kinds", kinds.join(" "))]
}

fn fixture(version: u32) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/store/fixtures/v{version}.db"))
}

/// Fills a store with one of everything.
fn make(at: &Location) {
    let mut store = xensnap_store::SqliteStore::create(at).unwrap();
    store.put_domain(&domain(1)).unwrap();
    // Paths in a fixture are those of the default place.
    let usual = Location::default();
    for (text, parent) in [("a", None), ("b", Some("a")), ("c", Some("b"))] {
        let _ = run(&mut store, text, 1, &created(snapshot(&usual, 1, text, parent))).unwrap();
    }
    let _ = run(&mut store, "d", 1, &created(disk_snapshot(&usual, 1, "d", Some("c")))).unwrap();
    let _ = run(&mut store, "drop", 1, &dropped("b")).unwrap();
    let mut outcome = xensnap::contract::Outcome::new(Vec::new());
    outcome.diverged = Some(true);
    let _ = run(&mut store, "mark", 1, &outcome).unwrap();
    let open = planned("delete", 1, &dropped("d"));
    store.begin(&open).unwrap();
    store.advance(&open.id, JournalState::Forward, 1, &Facts::default()).unwrap();
}

#[test]
fn databases_of_every_released_schema_are_read() {
    let mut read = 0;
    for version in 1.. {
        let from = fixture(version);
        if version == 1 && !from.exists() && std::env::var_os("BLESS").is_some() {
            let place = Place::new();
            make(&place.at);
            std::fs::copy(place.at.database(), &from).unwrap();
        }
        if !from.exists() {
            break;
        }
        let place = Place::new();
        put(&place.at.database(), std::fs::read(&from).unwrap());
        let mut store = place.open();
        while store.settle() {}
        assert_eq!(found(&store), expected(), "schema {version}");
        drop(store);
        let odd: Vec<_> = findings(&place.at);
        assert_eq!(odd, [], "schema {version}");
        read += 1;
    }
    assert!(read >= 1, "no fixture was found");
}

#[test]
fn a_store_made_today_reads_as_the_fixtures_do() {
    let place = Place::new();
    make(&place.at);
    assert_eq!(found(&place.open()), expected());
}
