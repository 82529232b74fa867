//! `check` finds each thing that can be wrong, and nothing in a store that is right; `export` writes all of it.

use xensnap::contract::{Domain, Facts, JournalEntry, JournalState, Snapshot};
use xensnap_store::{Finding, Read, Reader, Severity, SqliteStore, Store, StoreError};

use crate::support::*;

/// Two domains, three snapshots in a row, one deleted, one operation open.
fn lived_in() -> Place {
    let (place, mut store) = Place::with_store();
    store.put_domain(&domain(1)).unwrap();
    store.put_domain(&domain(2)).unwrap();
    for text in ["a", "b", "c"] {
        let _ = create(&mut store, 1, text).unwrap();
    }
    let _ = create(&mut store, 2, "x").unwrap();
    let _ = create(&mut store, 2, "y").unwrap();
    let _ = run(&mut store, "drop", 2, &dropped("y")).unwrap();
    let open = planned("open", 2, &dropped("x"));
    store.begin(&open).unwrap();
    store.advance(&open.id, JournalState::Forward, 1, &Facts::default()).unwrap();
    place
}

#[test]
fn a_store_that_is_right_has_no_findings_but_its_missing_images() {
    let place = lived_in();
    let report = xensnap_store::check(&place.at).unwrap();
    assert_eq!((report.domains, report.snapshots, report.operations), (2, 4, 7));
    assert_eq!(findings(&place.at), []);
    let missing: Vec<_> =
        report.findings.iter().map(ToString::to_string).filter(|f| f.starts_with("snapshot a:")).collect();
    assert_eq!(missing.len(), 3, "{missing:?}");
    assert_eq!(report.worst(), Some(Severity::Damage));
}

#[test]
fn images_are_compared_with_their_records() {
    let (place, mut store) = Place::with_store();
    store.put_domain(&domain(1)).unwrap();
    let mut made = snapshot(&place.at, 1, "a", None);
    let memory = place.at.memory_image(uuid(1), "a");
    put(&memory, [0; 1000]);
    put(&place.at.memory_image(uuid(1), "left-over"), "");
    put(&place.at.memory_image(uuid(1), "being-written"), "");
    let disks: Vec<_> = ["vda", "vdb"].iter().map(|vdev| place.at.dir.join("images").join(vdev)).collect();
    for (disk, path) in made.disks.iter_mut().zip(&disks) {
        put(path, "");
        use std::os::unix::fs::MetadataExt;
        let meta = std::fs::metadata(path).unwrap();
        disk.path = xensnap::wire::AbsPath::try_from(path.clone()).unwrap();
        disk.file = xensnap::contract::FileId::new(format!("{}:{}", meta.dev(), meta.ino())).unwrap();
    }
    let _ = run(&mut store, "a", 1, &created(made)).unwrap();
    store.begin(&entry("being-written", 1)).unwrap();
    std::fs::rename(&disks[1], disks[1].with_extension("old")).unwrap();
    put(&disks[1], "another");
    let report = xensnap_store::check(&place.at).unwrap();
    let mut words: Vec<_> = report
        .findings
        .iter()
        .filter_map(|finding| match finding {
            Finding::FileSize { found, recorded, .. } => Some(format!("size {found} {recorded}")),
            Finding::FileReplaced { path, .. } => {
                Some(format!("replaced {}", path.file_name().unwrap().display()))
            }
            Finding::MemoryStray { path } => Some(format!("stray {}", path.file_name().unwrap().display())),
            Finding::Volatile { .. } => None,
            other => Some(other.to_string()),
        })
        .collect();
    words.sort();
    assert_eq!(words, ["replaced vdb", "size 1000 734003200", "stray left-over.save"]);
}

#[test]
fn each_wrong_thing_is_found() {
    type Tamper = fn(&Place);
    let cases: [(&str, Tamper); 14] = [
        ("snapshot b: column name does not agree", |p| {
            sql_of(p, "UPDATE snapshot SET name = 'other' WHERE id = 'b'")
        }),
        ("snapshot b: column parent does not agree", |p| {
            sql_of(p, "UPDATE snapshot SET parent = NULL WHERE id = 'b'")
        }),
        ("snapshot b: column memory_bytes does not agree", |p| {
            sql_of(p, "UPDATE snapshot SET memory_bytes = 1 WHERE id = 'b'")
        }),
        ("snapshot b cannot be read: not JSON", |p| {
            sql_of(p, "UPDATE snapshot SET json = 'torn' WHERE seq = 2")
        }),
        ("snapshot a of domain 8d3cf1a4-8a11-4a7e-9d13-000000000001 has a parent zz", |p| {
            sql_of(p, "UPDATE snapshot SET parent = 'zz' WHERE id = 'a'");
            sql_of(
                p,
                r#"UPDATE snapshot SET json = replace(json, '"taken_at"', '"parent":"zz","taken_at"') WHERE seq = 1"#,
            );
        }),
        ("descends from itself", |p| {
            sql_of(p, "UPDATE snapshot SET parent = 'c' WHERE id = 'a'");
            sql_of(
                p,
                r#"UPDATE snapshot SET json = replace(json, '"taken_at"', '"parent":"c","taken_at"') WHERE seq = 1"#,
            );
        }),
        ("has a current snapshot zz", |p| sql_of(p, "UPDATE domain SET current = 'zz' WHERE current = 'c'")),
        ("domain 8d3cf1a4-8a11-4a7e-9d13-000000000002: column name", |p| {
            sql_of(p, "UPDATE domain SET name = 'n' WHERE name = 'web2'")
        }),
        ("operation a: column state does not agree", |p| {
            sql_of(p, "UPDATE journal SET state = 'forward', done = 1, facts = '{}' WHERE id = 'a'")
        }),
        ("operation a cannot be read", |p| sql_of(p, "UPDATE journal SET json = '{}' WHERE seq = 1")),
        ("snapshotdata-a.json is missing", |p| std::fs::remove_file(p.at.sidecar(uuid(1), "a")).unwrap()),
        ("snapshotdata-a.json does not agree", |p| put(&p.at.sidecar(uuid(1), "a"), "{}")),
        ("snapshotdata-q.json has no record", |p| put(&p.at.sidecar(uuid(1), "q"), "{}")),
        ("the install mark", |p| std::fs::remove_file(&p.at.mark).unwrap()),
    ];
    for (expected, tamper) in cases {
        let place = lived_in();
        tamper(&place);
        let found: Vec<_> = findings(&place.at).iter().map(ToString::to_string).collect();
        assert!(found.iter().any(|f| f.contains(expected)), "{expected}: {found:?}");
    }
}

fn sql_of(place: &Place, sql: &str) {
    let changed = raw(&place.at).execute(sql, []).unwrap();
    assert!(changed > 0, "{sql}");
}

#[test]
fn a_damaged_database_is_checked_to_the_end() {
    let place = lived_in();
    raw(&place.at).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let mut bytes = std::fs::read(place.at.database()).unwrap();
    // The leaves of the records, not the head.
    let page = bytes.windows(12).position(|w| w == b"\"contract\":1").unwrap() / 4096;
    bytes[page * 4096..page * 4096 + 2000].fill(0xa5);
    put(&place.at.database(), bytes);
    let report = xensnap_store::check(&place.at).unwrap();
    assert!(report.findings.iter().any(|f| matches!(f, Finding::Integrity { .. })), "{:?}", report.findings);
    assert_eq!(report.worst(), Some(Severity::Damage));
}

#[test]
fn where_there_is_no_store_there_is_nothing_to_check() {
    let place = Place::new();
    assert!(matches!(xensnap_store::check(&place.at), Err(StoreError::NotInstalled { .. })));
    assert!(matches!(
        xensnap_store::export(&place.at, &mut Vec::new()),
        Err(StoreError::NotInstalled { .. })
    ));
}

#[test]
fn an_export_has_everything_a_line_each() {
    let place = lived_in();
    let mut text = Vec::new();
    let report = xensnap_store::export(&place.at, &mut text).unwrap();
    assert_eq!((report.domains, report.snapshots, report.operations), (2, 4, 7));
    let text = String::from_utf8(text).unwrap();
    let (mut domains, mut snapshots, mut operations) = (0, 0, Vec::new());
    for line in text.lines() {
        let inner =
            |kind: &str| line.strip_prefix(&format!("{{\"{kind}\":")).and_then(|rest| rest.strip_suffix('}'));
        if let Some(json) = inner("domain") {
            xensnap::wire::from_str::<Domain>(json).unwrap();
            domains += 1;
        } else if let Some(json) = inner("snapshot") {
            xensnap::wire::from_str::<Snapshot>(json).unwrap();
            snapshots += 1;
        } else if let Some(json) = inner("journal_entry") {
            operations.push(xensnap::wire::from_str::<JournalEntry>(json).unwrap());
        }
    }
    assert_eq!((domains, snapshots), (2, 4), "{text}");
    // Those that have ended, with a plan and without, and one on its way.
    operations.reverse();
    assert_eq!(operations, Reader::open(&place.at).unwrap().recent_journal(100).unwrap());
    assert!(operations.iter().any(|e| e.ended_at.is_some() && e.plan.is_some()));
    assert!(operations.iter().any(|e| e.ended_at.is_none() && e.done > 0));
    // A full pipe, a full disk.
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    assert!(xensnap_store::export(&place.at, &mut Full).is_err());
    drop(SqliteStore::open(&place.at).unwrap());
}
