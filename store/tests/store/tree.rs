//! The rules of the tree: what creates, deletes and reverts do to parents, `current` and `diverged`; as tables, and against a model.

use std::collections::BTreeMap;

use crate::support::*;
use proptest::prelude::*;
use xensnap::contract::{JournalState, OperationId, Outcome};
use xensnap_store::{Change, Read, SqliteStore, Store, StoreError};

fn with_domains() -> (Place, SqliteStore) {
    let (place, mut store) = Place::with_store();
    store.put_domain(&domain(1)).unwrap();
    store.put_domain(&domain(2)).unwrap();
    (place, store)
}

/// One word each: `+a` create, `-a` delete, `=a` revert, `!a` revert of a single disk.
fn play(store: &mut SqliteStore, words: &str) {
    for (n, word) in words.split_whitespace().enumerate() {
        let (verb, text) = word.split_at(1);
        let operation = format!("op{n}");
        match verb {
            "+" => drop(create(store, 1, text).unwrap()),
            "-" => drop(run(store, &operation, 1, &dropped(text)).unwrap()),
            "=" => drop(run(store, &operation, 1, &reverted(text)).unwrap()),
            "!" => {
                let mut outcome = Outcome::new(Vec::new());
                outcome.diverged = Some(true);
                drop(run(store, &operation, 1, &outcome).unwrap());
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn the_tree_follows_creates_deletes_and_reverts() {
    for (words, expected) in [
        ("", "*"),
        ("+a", "a< *a"),
        ("+a +b +c", "a< b<a c<b *c"),
        ("+a +b =a +c", "a< b<a c<a *c"),
        ("+a +b =a", "a< b<a *a"),
        // Children go to the grandparent, `current` to the parent.
        ("+a +b +c -b", "a< c<a *c"),
        ("+a +b +c -c", "a< b<a *b"),
        ("+a +b -a", "b< *b"),
        ("+a -a", "*"),
        ("+a -a +b", "b< *b"),
        ("+a +b =a +c =b -a", "b< c< *b"),
        ("+a +b +c +d =b +e -b", "a< c<a d<c e<a *e"),
        ("+a !a", "a< *a!"),
        ("+a !a +b", "a< b<a *b"),
        ("+a !a =a", "a< *a"),
        // Deleting mends nothing.
        ("+a +b !a -b", "a< *a!"),
    ] {
        let (_place, mut store) = with_domains();
        play(&mut store, words);
        assert_eq!(tree(&store, 1), expected, "{words:?}");
        assert_eq!(tree(&store, 2), "*", "another domain is not touched by {words:?}");
    }
}

#[test]
fn a_revert_with_a_snapshot_first_adds_one_and_moves_current() {
    let (place, mut store) = with_domains();
    play(&mut store, "+a +b");
    let mut outcome = Outcome::new(vec![snapshot(&place.at, 1, "first", Some("b"))]);
    outcome.current = Some(id("a"));
    let mut seen = domain(1);
    seen.name = line("renamed");
    outcome.domain = Some(seen);
    let _ = run(&mut store, "revert", 1, &outcome).unwrap();
    assert_eq!(tree(&store, 1), "a< b<a first<b *a");
    assert_eq!(store.domain(uuid(1)).unwrap().unwrap().name.as_str(), "renamed");
}

#[test]
fn an_outcome_may_bring_its_domain_along() {
    let (place, mut store) = Place::with_store();
    let mut outcome = created(snapshot(&place.at, 7, "a", None));
    outcome.domain = Some(domain(7));
    let _ = run(&mut store, "a", 7, &outcome).unwrap();
    assert_eq!(tree(&store, 7), "a< *a");
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let (place, mut store) = with_domains();
    play(&mut store, "+a +b");
    let _ = create(&mut store, 2, "x").unwrap();
    let at = &place.at;
    let mut same_name = snapshot(at, 1, "c", Some("b"));
    same_name.name = name("name-a");
    let same_name_other_kind = {
        let mut s = disk_snapshot(at, 1, "c", Some("b"));
        s.name = name("name-a");
        s
    };
    let with = |f: &dyn Fn(&mut Outcome)| {
        let mut outcome = Outcome::new(Vec::new());
        f(&mut outcome);
        outcome
    };
    let before = (tree(&store, 1), tree(&store, 2));
    type Matches = fn(&StoreError) -> bool;
    let cases: [(&str, Outcome, Matches); 9] = [
        ("an id twice", created(snapshot(at, 1, "a", Some("b"))), |e| {
            matches!(e, StoreError::SnapshotExists { .. })
        }),
        ("a name twice", created(same_name), |e| matches!(e, StoreError::NameExists { .. })),
        ("a name twice over both kinds", created(same_name_other_kind), |e| {
            matches!(e, StoreError::NameExists { .. })
        }),
        ("a parent that is not there", created(snapshot(at, 1, "c", Some("gone"))), |e| {
            matches!(e, StoreError::NoSnapshot { .. })
        }),
        ("a parent of another domain", created(snapshot(at, 1, "c", Some("x"))), |e| {
            matches!(e, StoreError::NoSnapshot { .. })
        }),
        ("a snapshot of another domain", created(snapshot(at, 2, "c", None)), |e| {
            matches!(e, StoreError::Inconsistent { .. })
        }),
        ("dropping another domain's", dropped("x"), |e| matches!(e, StoreError::NoSnapshot { .. })),
        ("current of another domain", reverted("x"), |e| matches!(e, StoreError::NoSnapshot { .. })),
        (
            "dropping and making current",
            with(&|o| {
                o.drop = Some(id("a"));
                o.current = Some(id("a"));
            }),
            |e| matches!(e, StoreError::Inconsistent { .. }),
        ),
    ];
    for (case, outcome, matches) in cases {
        // Without a plan, so that the end has to find it.
        let open = entry("c", 1);
        match store.begin(&open) {
            Ok(()) | Err(StoreError::Duplicate(_)) => {}
            Err(e) => panic!("{case}: {e}"),
        }
        let error = store.finish(&ended(&open, JournalState::Done), Some(&outcome)).unwrap_err();
        assert!(matches(&error), "{case}: {error}");
        assert!(!error.is_unavailable(), "{case}: {error}");
        assert_eq!((tree(&store, 1), tree(&store, 2)), before, "{case}");
        assert_eq!(store.open_journal().unwrap().len(), 1, "{case}: the operation is still open");
    }
}

#[test]
fn the_same_name_in_two_domains_is_no_conflict() {
    let (place, mut store) = with_domains();
    play(&mut store, "+a");
    let mut other = snapshot(&place.at, 2, "b", None);
    other.name = name("name-a");
    let _ = run(&mut store, "b", 2, &created(other)).unwrap();
    assert_eq!(store.find_snapshot(uuid(1), "name-a").unwrap().unwrap().id, id("a"));
    assert_eq!(store.find_snapshot(uuid(2), "name-a").unwrap().unwrap().id, id("b"));
}

#[test]
fn a_name_is_found_before_an_id() {
    let (place, mut store) = with_domains();
    play(&mut store, "+a");
    let mut tricky = snapshot(&place.at, 1, "b", Some("a"));
    tricky.name = name("a");
    let _ = run(&mut store, "b", 1, &created(tricky)).unwrap();
    for (text, found) in [("a", Some("b")), ("name-a", Some("a")), ("b", Some("b")), ("c", None), ("", None)]
    {
        let snapshot = store.find_snapshot(uuid(1), text).unwrap();
        assert_eq!(snapshot.as_ref().map(|s| s.id.as_str()), found, "{text:?}");
    }
    assert!(store.find_snapshot(uuid(2), "b").unwrap().is_none(), "ids of other domains are not found");
}

#[test]
fn default_names_count_up() {
    let (place, mut store) = with_domains();
    for (operation, expected) in [("a", "1700000000"), ("b", "1700000000-2"), ("c", "1700000000-3")] {
        let free = store.free_name(uuid(1), &name("1700000000")).unwrap();
        assert_eq!(free.as_str(), expected);
        let mut made = snapshot(&place.at, 1, operation, None);
        made.name = free;
        let _ = run(&mut store, operation, 1, &created(made)).unwrap();
    }
    assert_eq!(store.free_name(uuid(2), &name("1700000000")).unwrap().as_str(), "1700000000");
}

#[test]
fn adopting_gives_all_to_the_new_uuid() {
    let (place, mut store) = with_domains();
    play(&mut store, "+a +b !x");
    let before = tree(&store, 1);
    let _ = change(&mut store, "adopt", 1, Change::Adopt { old: uuid(1), new: uuid(9) }).unwrap();
    assert_eq!(tree(&store, 9), before);
    assert!(store.domain(uuid(1)).unwrap().is_none());
    assert!(!place.at.sidecar(uuid(1), "a").exists() && place.at.sidecar(uuid(9), "a").exists());
    // What was seen under the new UUID before stays as it was seen.
    let mut seen = domain(2);
    seen.name = line("new-name");
    store.put_domain(&seen).unwrap();
    store.adopt_domain(uuid(9), uuid(2)).unwrap();
    store.settle_sidecars();
    assert!(!place.at.domain_dir(uuid(9)).exists() && place.at.sidecar(uuid(2), "a").exists());
    assert_eq!(tree(&store, 2), before);
    assert_eq!(store.domain(uuid(2)).unwrap().unwrap().name.as_str(), "new-name");
}

#[test]
fn what_comes_back_to_a_uuid_is_not_noted_as_gone() {
    let (place, mut store) = with_domains();
    play(&mut store, "+a +b");
    // Forth and back before any sidecar is settled.
    store.adopt_domain(uuid(1), uuid(9)).unwrap();
    store.adopt_domain(uuid(9), uuid(1)).unwrap();
    store.settle_sidecars();
    assert!(place.at.sidecar(uuid(1), "a").exists() && !place.at.domain_dir(uuid(9)).exists());
    // The next commit strikes off what is gone; nothing else may be left.
    play(&mut store, "+c");
    drop(store);
    let conn = rusqlite::Connection::open(place.at.database()).unwrap();
    let notes: u32 = conn.query_row("SELECT count(*) FROM sidecar", [], |row| row.get(0)).unwrap();
    assert_eq!(notes, 0);
}

#[test]
fn adopting_and_forgetting_refuse_what_would_lose_something() {
    let (_place, mut store) = with_domains();
    play(&mut store, "+a");
    let _ = create(&mut store, 2, "x").unwrap();
    let in_use = |e: StoreError| matches!(e, StoreError::DomainInUse { .. });
    assert!(in_use(store.adopt_domain(uuid(1), uuid(2)).unwrap_err()), "two trees");
    assert!(in_use(store.forget_domain(uuid(1)).unwrap_err()), "has snapshots");
    assert!(matches!(store.forget_domain(uuid(5)).unwrap_err(), StoreError::NoDomain { .. }));
    assert!(matches!(store.adopt_domain(uuid(5), uuid(6)).unwrap_err(), StoreError::NoDomain { .. }));
    store.put_domain(&domain(3)).unwrap();
    store.begin(&entry("open", 3)).unwrap();
    assert!(in_use(store.forget_domain(uuid(3)).unwrap_err()), "an open operation");
    assert!(in_use(store.adopt_domain(uuid(1), uuid(3)).unwrap_err()), "an open operation");
    let forget = ended(&entry("open", 3), JournalState::Done);
    let _ = store.finish_with(&forget, Change::Forget(uuid(3))).unwrap();
    assert!(store.domain(uuid(3)).unwrap().is_none());
}

#[test]
fn seeing_a_domain_again_does_not_move_current() {
    let (_place, mut store) = with_domains();
    play(&mut store, "+a !x");
    let mut seen = domain(1);
    seen.last_seen = time(500);
    seen.current = Some(id("other"));
    store.put_domain(&seen).unwrap();
    let stored = store.domain(uuid(1)).unwrap().unwrap();
    assert_eq!((stored.last_seen, tree(&store, 1).as_str()), (time(500), "a< *a!"));
}

/// The same rules in the plainest form.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    parents: BTreeMap<String, Option<String>>,
    current: Option<String>,
    diverged: bool,
}

#[derive(Clone, Debug)]
enum Act {
    Create,
    Delete(prop::sample::Index),
    Revert(prop::sample::Index),
    Diverge,
    Reopen,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Create),
        3 => any::<prop::sample::Index>().prop_map(Act::Delete),
        2 => any::<prop::sample::Index>().prop_map(Act::Revert),
        1 => Just(Act::Diverge),
        1 => Just(Act::Reopen),
    ]
}

impl Model {
    fn nth(&self, index: &prop::sample::Index) -> Option<String> {
        (!self.parents.is_empty())
            .then(|| self.parents.keys().nth(index.index(self.parents.len())).unwrap().clone())
    }

    fn of(store: &SqliteStore) -> Self {
        let domain = store.domain(uuid(1)).unwrap().unwrap();
        let text = |id: &OperationId| id.as_str().to_owned();
        Self {
            parents: store
                .snapshots(uuid(1))
                .unwrap()
                .iter()
                .map(|s| (text(&s.id), s.parent.as_ref().map(text)))
                .collect(),
            current: domain.current.as_ref().map(text),
            diverged: domain.diverged,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_agrees_with_the_model(acts in prop::collection::vec(act(), 1..24)) {
        let (place, store) = with_domains();
        let (mut store, mut model) = (Some(store), Model::default());
        for (n, act) in acts.iter().enumerate() {
            let operation = format!("op{n}");
            let open = store.as_mut().unwrap();
            match act {
                Act::Create => {
                    let _ = create(open, 1, &operation).unwrap();
                    model.parents.insert(operation.clone(), model.current.clone());
                    (model.current, model.diverged) = (Some(operation), false);
                }
                Act::Delete(index) => if let Some(target) = model.nth(index) {
                    let _ = run(open, &operation, 1, &dropped(&target)).unwrap();
                    let parent = model.parents.remove(&target).unwrap();
                    for theirs in model.parents.values_mut().filter(|p| p.as_ref() == Some(&target)) {
                        theirs.clone_from(&parent);
                    }
                    if model.current.as_ref() == Some(&target) {
                        model.current = parent;
                    }
                },
                Act::Revert(index) => if let Some(target) = model.nth(index) {
                    let _ = run(open, &operation, 1, &reverted(&target)).unwrap();
                    (model.current, model.diverged) = (Some(target), false);
                },
                Act::Diverge => {
                    let mut outcome = Outcome::new(Vec::new());
                    outcome.diverged = Some(true);
                    let _ = run(open, &operation, 1, &outcome).unwrap();
                    model.diverged = true;
                }
                Act::Reopen => {
                    drop(store.take());
                    store = Some(place.open());
                }
            }
            prop_assert_eq!(&Model::of(store.as_ref().unwrap()), &model);
        }
        // Nothing of it left the store inconsistent: columns, parents, sidecars.
        drop(store);
        let report = xensnap_store::check(&place.at).unwrap();
        let odd: Vec<_> = report.findings.iter().filter(|f| !matches!(f, xensnap_store::Finding::FileMissing { .. } | xensnap_store::Finding::Volatile { .. })).collect();
        prop_assert!(odd.is_empty(), "{:?}", odd);
        prop_assert_eq!(report.snapshots, model.parents.len() as u64);
    }
}
