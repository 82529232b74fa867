//! The journal: what begins, advances, ends and is remembered; the mark `deleting`.

use xensnap::contract::{DiskTag, DiskTags, Facts, JournalEntry, JournalState, Outcome};
use xensnap_store::{Change, Duplicate, Read, Reader, SqliteStore, Store, StoreError};

use crate::support::*;

fn with_two_snapshots() -> (Place, SqliteStore) {
    let (place, mut store) = Place::with_store();
    store.put_domain(&domain(1)).unwrap();
    let _ = create(&mut store, 1, "a").unwrap();
    let _ = create(&mut store, 1, "b").unwrap();
    (place, store)
}

fn facts(memory_size: u64) -> Facts {
    Facts {
        memory_size: Some(memory_size),
        instant: Some(time(7)),
        run: Some(line("4711:99")),
        ..Facts::default()
    }
}

#[test]
fn an_operation_is_found_again_as_it_was_left() {
    let (place, mut store) = with_two_snapshots();
    let first = planned("op-1", 1, &reverted("a"));
    let second = entry("op-2", 1);
    store.begin(&first).unwrap();
    store.begin(&second).unwrap();
    store.advance(&first.id, JournalState::Forward, 1, &Facts::default()).unwrap();
    store.advance(&first.id, JournalState::NoReturn, 2, &facts(5)).unwrap();
    drop(store);
    let mut store = place.open();
    let advanced = JournalEntry { state: JournalState::NoReturn, done: 2, facts: facts(5), ..first.clone() };
    assert_eq!(store.open_journal().unwrap(), [advanced.clone(), second.clone()], "oldest first");
    assert_eq!(store.journal(&first.id).unwrap(), Some(advanced.clone()));
    let end = JournalEntry { facts: facts(6), ..ended(&advanced, JournalState::Done) };
    let committed = store.finish(&end, Some(&reverted("a"))).unwrap();
    assert_eq!(committed.operation(), &first.id);
    assert_eq!(store.open_journal().unwrap(), [second]);
    assert_eq!(store.journal(&first.id).unwrap(), Some(end), "the entry as it ended, not as it was advanced");
    let recent: Vec<_> = store.recent_journal(3).unwrap().iter().map(|e| e.id.as_str().to_owned()).collect();
    assert_eq!(recent, ["op-2", "op-1", "b"], "newest first");
}

#[test]
fn an_end_keeps_the_plan_brings_one_or_takes_it_away() {
    let (_place, mut store) = with_two_snapshots();
    for (text, begun, in_the_end) in [("op-1", true, true), ("op-2", true, false), ("op-3", false, true)] {
        let whole = planned(text, 1, &reverted("a"));
        assert!(whole.plan.is_some());
        let plan = |wanted: bool| whole.plan.clone().filter(|_| wanted);
        store.begin(&JournalEntry { plan: plan(begun), ..whole.clone() }).unwrap();
        let end = ended(&JournalEntry { plan: plan(in_the_end), ..whole.clone() }, JournalState::Failed);
        let _ = store.finish(&end, None).unwrap();
        assert_eq!(store.journal(&whole.id).unwrap(), Some(end), "{text}");
    }
}

#[test]
fn an_id_is_remembered_with_its_bytes() {
    let (place, mut store) = with_two_snapshots();
    let first = entry("op", 1);
    let other = JournalEntry { request: "{}".into(), ..first.clone() };
    let same = |e: StoreError| matches!(e, StoreError::Duplicate(Duplicate::Same { ref id }) if id == "op");
    let differs =
        |e: StoreError| matches!(e, StoreError::Duplicate(Duplicate::Other { ref id }) if id == "op");
    store.begin(&first).unwrap();
    for round in ["open", "ended", "reopened"] {
        assert!(same(store.begin(&first).unwrap_err()), "{round}");
        assert!(differs(store.begin(&other).unwrap_err()), "{round}");
        if round == "open" {
            let _ = store.finish(&ended(&first, JournalState::Failed), None).unwrap();
        }
        if round == "ended" {
            drop(store);
            store = place.open();
        }
    }
    assert_eq!(store.expire(time(60)).unwrap(), 0, "ended at that very time");
    assert_eq!(store.expire(time(61)).unwrap(), 3);
    store.begin(&other).unwrap();
}

#[test]
fn what_has_not_ended_does_not_expire() {
    let (_place, mut store) = with_two_snapshots();
    store.begin(&entry("op", 1)).unwrap();
    store.expire(time(1_000_000)).unwrap();
    assert_eq!(store.recent_journal(10).unwrap().len(), 1);
}

/// An outcome that leaves an undo tag in both disks.
fn leaving_tags(at: &xensnap_store::Location) -> Outcome {
    let disks = snapshot(at, 1, "a", None).disks.into_iter();
    let tags = disks.map(|d| DiskTag::new(d.vdev, d.path, d.format, d.file, d.provider, d.tag)).collect();
    Outcome { obsolete: Some(DiskTags::new(tags)), ..reverted("a") }
}

#[test]
fn what_an_outcome_made_obsolete_is_noted_until_it_is_gone() {
    let (place, mut store) = with_two_snapshots();
    let outcome = leaving_tags(&place.at);
    for text in ["failed", "plain", "leaves"] {
        store.begin(&planned(text, 1, &outcome)).unwrap();
    }
    let whole = planned("leaves", 1, &outcome);
    let done = ended(&whole, JournalState::Done);
    let _ = store.finish(&ended(&planned("failed", 1, &outcome), JournalState::Failed), None).unwrap();
    let _ = store
        .finish(&ended(&planned("plain", 1, &outcome), JournalState::Done), Some(&reverted("a")))
        .unwrap();
    assert_eq!(store.uncleaned().unwrap(), [], "nothing was committed that leaves any");
    let _ = store.finish(&done, Some(&outcome)).unwrap();
    drop(store);
    let mut store = place.open();
    assert_eq!(store.uncleaned().unwrap(), std::slice::from_ref(&done));
    assert_eq!(findings(&place.at), []);
    assert_eq!(store.open_journal().unwrap(), [], "it has ended all the same");
    store.expire(time(1_000_000)).unwrap();
    assert_eq!(store.journal(&done.id).unwrap(), Some(done.clone()), "not forgotten before that");
    let error = store.adopt_domain(uuid(1), uuid(2)).unwrap_err();
    assert!(
        matches!(error, StoreError::DomainInUse { .. }) && error.to_string().contains("undo tags"),
        "{error}"
    );
    drop(store);
    let report = xensnap_store::rebuild(&place.at, &Default::default()).unwrap();
    assert_eq!(report.lost, Vec::<String>::new());
    let mut store = place.open();
    assert_eq!(store.uncleaned().unwrap(), std::slice::from_ref(&done), "a rebuild keeps the note");
    store.cleaned(&done.id).unwrap();
    store.cleaned(&done.id).unwrap();
    store.cleaned(&id("nobody")).unwrap();
    assert_eq!(store.uncleaned().unwrap(), []);
    store.adopt_domain(uuid(1), uuid(2)).unwrap();
    store.expire(time(1_000_000)).unwrap();
    assert_eq!(store.journal(&done.id).unwrap(), None);
}

#[test]
fn an_operation_ends_once_and_only_by_finish() {
    let (_place, mut store) = with_two_snapshots();
    let open = entry("op", 1);
    let inconsistent = |e: StoreError| matches!(e, StoreError::Inconsistent { .. });
    let no_operation = |e: StoreError| matches!(e, StoreError::NoOperation { .. });
    assert!(no_operation(store.advance(&open.id, JournalState::Forward, 1, &Facts::default()).unwrap_err()));
    assert!(no_operation(store.finish(&ended(&open, JournalState::Done), None).unwrap_err()));
    assert!(no_operation(store.set_plan(&open.id, &plan("op", 1, &reverted("a"))).unwrap_err()));
    assert!(
        inconsistent(store.begin(&ended(&open, JournalState::Done)).unwrap_err()),
        "cannot begin as ended"
    );
    store.begin(&open).unwrap();
    assert!(inconsistent(store.advance(&open.id, JournalState::Done, 1, &Facts::default()).unwrap_err()));
    assert!(inconsistent(store.finish(&open, None).unwrap_err()), "has not ended");
    assert!(inconsistent(store.finish(&ended(&open, JournalState::Forward), None).unwrap_err()));
    assert!(
        inconsistent(store.finish(&ended(&open, JournalState::Failed), Some(&reverted("a"))).unwrap_err()),
        "failed, with an outcome"
    );
    let _ = store.finish(&ended(&open, JournalState::Cancelled), None).unwrap();
    let has_ended = |e: StoreError| matches!(e, StoreError::Ended { .. });
    assert!(has_ended(store.finish(&ended(&open, JournalState::Done), None).unwrap_err()));
    assert!(has_ended(store.advance(&open.id, JournalState::Forward, 1, &Facts::default()).unwrap_err()));
    assert!(has_ended(store.set_plan(&open.id, &plan("op", 1, &reverted("a"))).unwrap_err()));
}

#[test]
fn a_deletion_marks_its_snapshot_until_it_ends() {
    let done = |outcome: Outcome| (JournalState::Done, Some(outcome));
    for (advanced, (state, outcome), expected) in [
        (JournalState::NoReturn, done(dropped("a")), "b< *b"),
        (JournalState::Forward, (JournalState::Failed, None), "a< b<a *b"),
        (JournalState::Back, (JournalState::Cancelled, None), "a< b<a *b"),
        // Part of it may be gone: it can only be deleted again.
        (JournalState::NoReturn, (JournalState::Failed, None), "a<(deleting) b<a *b"),
    ] {
        let case = format!("{advanced} then {state}");
        let (place, mut store) = with_two_snapshots();
        let open = planned("op", 1, &dropped("a"));
        store.begin(&open).unwrap();
        assert_eq!(tree(&store, 1), "a<(deleting) b<a *b", "{case}: in the commit of the intent");
        store.settle_sidecars();
        let sidecar = std::fs::read_to_string(place.at.sidecar(uuid(1), "a")).unwrap();
        assert!(sidecar.contains("\"deleting\":true"), "{case}: {sidecar}");
        store.advance(&open.id, advanced, 1, &Facts::default()).unwrap();
        let _ = store.finish(&ended(&open, state), outcome.as_ref()).unwrap();
        assert_eq!(tree(&store, 1), expected, "{case}");
        if expected.contains("deleting") {
            let _ = run(&mut store, "again", 1, &dropped("a")).unwrap();
            assert_eq!(tree(&store, 1), "b< *b", "{case}: deleted again");
        }
    }
}

#[test]
fn a_plan_can_follow_its_intent() {
    let (_place, mut store) = with_two_snapshots();
    let waiting = entry("op", 1);
    store.begin(&waiting).unwrap();
    assert_eq!(tree(&store, 1), "a< b<a *b");
    let first = plan("op", 1, &dropped("a"));
    store.set_plan(&waiting.id, &first).unwrap();
    assert_eq!(tree(&store, 1), "a<(deleting) b<a *b");
    assert_eq!(store.journal(&waiting.id).unwrap().unwrap().plan, Some(first));
    // Another plan: the first one's mark is taken back.
    store.set_plan(&waiting.id, &plan("op", 1, &dropped("b"))).unwrap();
    assert_eq!(tree(&store, 1), "a< b<a(deleting) *b");
    let other = store.set_plan(&waiting.id, &plan("other", 1, &dropped("b"))).unwrap_err();
    assert!(matches!(other, StoreError::Inconsistent { .. }), "{other}");
}

#[test]
fn a_plan_that_cannot_be_committed_does_not_begin() {
    let (place, mut store) = with_two_snapshots();
    let mut taken = snapshot(&place.at, 1, "c", Some("b"));
    taken.name = name("name-a");
    for (outcome, what) in [
        (created(taken), "name_exists"),
        (created(snapshot(&place.at, 1, "a", Some("b"))), "snapshot_exists"),
        (dropped("zz"), "no_snapshot"),
    ] {
        let error = store.begin(&planned("op", 1, &outcome)).unwrap_err();
        let found = match error {
            StoreError::NameExists { .. } => "name_exists",
            StoreError::SnapshotExists { .. } => "snapshot_exists",
            StoreError::NoSnapshot { .. } => "no_snapshot",
            _ => "other",
        };
        assert_eq!(found, what, "{error}");
        assert!(store.open_journal().unwrap().is_empty(), "{what}: journalled all the same");
    }
}

#[test]
fn a_failed_operation_changes_nothing() {
    let (place, mut store) = with_two_snapshots();
    let open = planned("op", 1, &created(snapshot(&place.at, 1, "op", Some("b"))));
    store.begin(&open).unwrap();
    let _ = store.finish_with(&ended(&open, JournalState::Failed), Change::Nothing).unwrap();
    assert_eq!(tree(&store, 1), "a< b<a *b");
}

#[test]
fn what_a_newer_version_wrote_is_kept() {
    let (place, mut store) = with_two_snapshots();
    let text = r#"{"contract":9,"id":"new","name":"new","domain":"8d3cf1a4-8a11-4a7e-9d13-000000000001","domain_name":"web1","taken_at":"2026-11-23T10:00:00.000000000Z","pause":0,"consistency":"sharper","driver":"qemu","agent":"9.0","disks":[],"deleting":false,"kind.vm":{"config":{},"later":[1,2]},"colour":"blue"}"#;
    let newer = xensnap::wire::from_str(text).unwrap();
    let _ = run(&mut store, "new", 1, &created(newer)).unwrap();
    // Rewritten by this version, as its parent is dropped.
    let _ = run(&mut store, "child", 1, &created(snapshot(&place.at, 1, "child", Some("new")))).unwrap();
    let _ = run(&mut store, "drop", 1, &dropped("b")).unwrap();
    let mut found = String::new();
    Reader::open(&place.at)
        .unwrap()
        .for_each_snapshot_json(&mut |json| {
            if json.contains("\"id\":\"new\"") {
                json.clone_into(&mut found);
            }
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(found, text);
    let head = store.heads(uuid(1)).unwrap().into_iter().find(|h| h.id == id("new")).unwrap();
    assert_eq!(head.consistency.as_str(), "sharper");
}

#[test]
fn a_part_that_is_committed_in_the_middle_stays_when_the_rest_fails() {
    let (place, mut store) = with_two_snapshots();
    let first = created(snapshot(&place.at, 1, "op", Some("b")));
    let open = entry("op", 1);
    store.begin(&open).unwrap();
    let advanced = JournalEntry { state: JournalState::Forward, done: 4, facts: facts(3), ..open.clone() };
    store.apply(&advanced, &first).unwrap();
    drop(store);
    let mut store = place.open();
    assert_eq!(
        store.open_journal().unwrap(),
        std::slice::from_ref(&advanced),
        "in one commit with where it stands"
    );
    assert_eq!(tree(&store, 1), "a< b<a op<b *op");
    let again = store.apply(&JournalEntry { done: 9, ..advanced.clone() }, &first).unwrap_err();
    assert!(matches!(again, StoreError::SnapshotExists { .. }), "{again}");
    assert_eq!(store.journal(&open.id).unwrap().unwrap().done, 4, "neither of the two");
    let _ = store.finish(&ended(&advanced, JournalState::Failed), None).unwrap();
    assert_eq!(tree(&store, 1), "a< b<a op<b *op");
    let ended = store.apply(&advanced, &reverted("a")).unwrap_err();
    assert!(matches!(ended, StoreError::Ended { .. }), "{ended}");
}
