//! Every operation, at every step, with every fault: what is left afterwards is the whole snapshot or none of it, and a guest that goes on.
//!
//! The agent is the real one, over [`crate::host::sim::SimHost`] and a real store; when it "dies" its runtime is dropped, and another agent recovers.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use xensnap::contract::{JournalEntry, JournalState, OperationId, Snapshot, SnapshotPart};
use xensnap::wire::{AbsPath, Timestamp};
use xensnap_store::{Location, Read, Reader, SqliteStore, StoreError};

use crate::agent::{Agent, Setup};
use crate::execute::Patience;
use crate::host::sim::{DOMAIN, Fault, SimHost};
use crate::journal::Journal;
use crate::outbox::Outbox;
use crate::plan::Limits;

/// A world, a store, and agents that come and go.
struct Bench {
    dir: tempfile::TempDir,
    host: Arc<SimHost>,
}

/// How a run of the agent came to its end.
#[derive(Debug, PartialEq)]
enum Run {
    Settled,
    Died,
}

impl Bench {
    fn new(running: bool, live: bool) -> Self {
        // In memory where that is possible: what is tested is order, not the medium; the store's own tests have that.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        Self { dir, host: Arc::new(SimHost::new(running, live)) }
    }

    fn location(&self) -> Location {
        Location::under(self.dir.path())
    }

    fn store(&self) -> SqliteStore {
        // The last agent's thread may still be closing it.
        for _ in 0..2000 {
            match SqliteStore::open_or_create(&self.location()) {
                Err(StoreError::Locked { .. }) => std::thread::sleep(Duration::from_millis(1)),
                other => return other.unwrap(),
            }
        }
        panic!("the store stays locked");
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.location()).unwrap()
    }

    /// One life of an agent: it recovers, takes the requests, and settles or dies.
    fn live(&self, requests: &[(&str, &str)]) -> Run {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let store = self.store();
        let run = runtime.block_on(async {
            let journal = Journal::start(Box::new(store)).unwrap();
            let agent = Agent::new(
                Arc::clone(&self.host),
                journal.clone(),
                Arc::new(Outbox::default()),
                setup(&self.dir),
            );
            let work = async {
                agent.recover().await.unwrap();
                for (id, request) in requests {
                    let running = agent.running().await;
                    agent.submit(OperationId::new(*id).unwrap(), request.as_bytes().to_vec(), &running).await;
                }
                while agent.status().operations > 0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::select! {
                () = work => Run::Settled,
                () = self.host.death() => Run::Died,
            }
        });
        drop(runtime);
        run
    }

    /// Lives until one settles; the guard does its duty in between.
    fn settle(&self, requests: &[(&str, &str)]) {
        let mut run = self.live(requests);
        for _ in 0..3 {
            if run == Run::Settled {
                return;
            }
            self.host.bury();
            run = self.live(&[]);
        }
        panic!("the agent did not settle");
    }

    fn snapshots(&self) -> Vec<Snapshot> {
        self.reader().snapshots(DOMAIN).unwrap()
    }

    fn entry(&self, id: &str) -> Option<JournalEntry> {
        self.reader().journal(&OperationId::new(id).unwrap()).unwrap()
    }

    /// What must hold whenever no operation is under way.
    fn check(&self, what: &str) {
        let snapshots = self.snapshots();
        let w = self.host.world();
        if let Some(run) = &w.run {
            assert!(run.held_by.is_none(), "{what}: the guest is held");
            assert!(run.saving.is_none(), "{what}: memory is still being written");
        }
        let mut tags: Vec<String> = Vec::new();
        let mut files: Vec<String> = Vec::new();
        for s in &snapshots {
            let counts: Vec<u64> = s
                .disks
                .iter()
                .map(|d| {
                    *w.images[d.path.as_str()]
                        .tags
                        .get(d.tag.as_str())
                        .unwrap_or_else(|| panic!("{what}: {} lost", d.tag))
                })
                .collect();
            tags.extend(s.disks.iter().map(|d| d.tag.to_string()));
            assert!(counts.windows(2).all(|p| p[0] == p[1]), "{what}: disks of two instants: {counts:?}");
            if let SnapshotPart::Vm(part) = &s.part
                && let Some(m) = &part.memory
            {
                let ram = w.files.get(m.path.as_str()).unwrap_or_else(|| panic!("{what}: memory lost"));
                assert_eq!(*ram, counts[0], "{what}: memory and disks of two instants");
                assert!(m.size > 0, "{what}: the record has no size");
                files.push(m.path.to_string());
            }
        }
        for (path, image) in &w.images {
            for tag in image.tags.keys() {
                assert!(tags.contains(tag), "{what}: {tag} left over in {path}");
            }
        }
        for file in w.files.keys() {
            assert!(files.contains(file), "{what}: {file} left over");
        }
        drop(w);
        assert!(self.reader().open_journal().unwrap().is_empty(), "{what}: an entry is still open");
        assert!(self.reader().uncleaned().unwrap().is_empty(), "{what}: tags are still to be deleted");
    }
}

fn setup(dir: &tempfile::TempDir) -> Setup {
    Setup {
        folder: AbsPath::new(dir.path().to_str().unwrap()).unwrap(),
        limits: Limits {
            snapshots_max: 50,
            pause_max: Duration::from_secs(60),
            pause_grace: Duration::from_secs(15),
            space_left_min: 1 << 20,
        },
        policy: Arc::default(),
        operations_max: 4,
        patience: Patience { first: Duration::from_millis(1), tries: 2 },
        boot_id: Uuid::nil(),
        started_at: Timestamp::now(),
    }
}

const FAULTS: [Fault; 6] = [
    Fault::ErrorBefore,
    Fault::ErrorAfter,
    Fault::DieBefore,
    Fault::DieAfter,
    Fault::GuestDies,
    Fault::GuestGone,
];

/// A case: how the world is, what was done before, what is asked.
struct Case {
    name: &'static str,
    running: bool,
    live: bool,
    before: &'static [(&'static str, &'static str)],
    ask: &'static str,
}

const VM: &str = r#"{"contract":1,"op.vm_snapshot_create":{"domain":"sim","name":"a"}}"#;
const VM_DISKS: &str =
    r#"{"contract":1,"op.vm_snapshot_create":{"domain":"sim","name":"a","memory":"none"}}"#;
const DISK: &str = r#"{"contract":1,"op.disk_snapshot_create":{"domain":"sim","name":"d"}}"#;
const DISK_ONE: &str =
    r#"{"contract":1,"op.disk_snapshot_create":{"domain":"sim","name":"d","disks":["xvda"]}}"#;
const DELETE: &str = r#"{"contract":1,"op.vm_snapshot_delete":{"domain":"sim","snapshot":"a"}}"#;
const REVERT: &str = r#"{"contract":1,"op.vm_snapshot_revert":{"domain":"sim","snapshot":"a"}}"#;
const REVERT_FIRST: &str = r#"{"contract":1,"op.vm_snapshot_revert":{"domain":"sim","snapshot":"a","snapshot_first":true,"final_state":"paused"}}"#;
const REVERT_DISK: &str =
    r#"{"contract":1,"op.disk_snapshot_revert":{"domain":"sim","snapshot":"d","final_state":"running"}}"#;

const CASES: &[Case] = &[
    Case { name: "create live", running: true, live: true, before: &[], ask: VM },
    Case { name: "create paused", running: true, live: false, before: &[], ask: VM },
    Case { name: "create disks only", running: true, live: true, before: &[], ask: VM_DISKS },
    Case { name: "create stopped", running: false, live: true, before: &[("k", DISK)], ask: VM },
    Case { name: "disk create", running: true, live: true, before: &[], ask: DISK },
    Case { name: "disk create one", running: true, live: true, before: &[], ask: DISK_ONE },
    Case { name: "delete", running: true, live: true, before: &[("a", VM)], ask: DELETE },
    Case { name: "revert", running: true, live: true, before: &[("a", VM)], ask: REVERT },
    Case { name: "revert first", running: true, live: true, before: &[("a", VM)], ask: REVERT_FIRST },
    Case { name: "revert disk", running: true, live: true, before: &[("d", DISK)], ask: REVERT_DISK },
];

fn prepared(case: &Case) -> Bench {
    // A stopped domain is known only once it was seen running.
    let bench = Bench::new(true, case.live);
    bench.settle(case.before);
    if !case.running {
        bench.host.world().run = None;
    }
    bench.host.world().calls = 0;
    bench.host.world().verbs.clear();
    bench
}

#[test]
fn each_operation_ends_done_and_coherent() {
    for case in CASES {
        let bench = prepared(case);
        bench.settle(&[("op", case.ask)]);
        let entry = bench.entry("op").unwrap_or_else(|| panic!("{}: not journalled", case.name));
        assert_eq!(entry.state, JournalState::Done, "{}: {:?}", case.name, entry.error);
        bench.check(case.name);
    }
}

#[test]
fn whatever_fails_at_whatever_step_leaves_all_or_nothing() {
    let mut runs = 0;
    for case in CASES {
        let verbs = {
            let bench = prepared(case);
            bench.settle(&[("op", case.ask)]);
            let w = bench.host.world();
            w.verbs.clone()
        };
        for (n, verb) in verbs.iter().enumerate() {
            for fault in FAULTS {
                let what = format!("{}, {fault:?} at {verb} ({n})", case.name);
                let bench = prepared(case);
                let before = bench.snapshots().len();
                bench.host.world().fault = Some((n as u64 + 1, fault));
                bench.settle(&[("op", case.ask)]);
                bench.host.world().fault = None;
                bench.check_after(case, &what, before);
                runs += 1;
            }
        }
    }
    assert!(runs > 300, "only {runs} runs: the cases have lost their steps");
}

impl Bench {
    fn check_after(&self, case: &Case, what: &str, before: usize) {
        let entry = self.entry("op");
        let state = entry.as_ref().map(|e| e.state.clone());
        let stuck = entry.as_ref().is_some_and(|e| {
            e.state == JournalState::Failed
                && e.error.as_ref().and_then(|x| x.hint.as_ref()).is_some_and(|h| {
                    h.as_str().contains("kept")
                        || h.as_str().contains("goes on")
                        || h.as_str().contains("taken back:")
                })
        });
        if !stuck {
            self.check(what);
        }
        let after = self.snapshots().len();
        match state {
            Some(JournalState::Done) => {}
            None | Some(JournalState::Failed | JournalState::Cancelled) if case.name.contains("create") => {
                assert_eq!(after, before, "{what}: a failed create left a record");
            }
            None | Some(JournalState::Failed | JournalState::Cancelled) => {}
            other => panic!("{what}: ended in {other:?}"),
        }
        // The next request works.
        if self.host.world().run.is_none() {
            return;
        }
        self.settle(&[("next", DISK_NEXT)]);
        assert_eq!(
            self.entry("next").map(|e| e.state),
            Some(JournalState::Done),
            "{what}: the next request fails"
        );
    }
}

const DISK_NEXT: &str = r#"{"contract":1,"op.disk_snapshot_create":{"domain":"sim","name":"next"}}"#;

#[test]
fn an_admins_pause_is_left_alone() {
    let bench = Bench::new(true, true);
    bench.host.world().run.as_mut().unwrap().paused = true;
    bench.settle(&[("op", VM)]);
    assert_eq!(bench.entry("op").unwrap().state, JournalState::Done);
    assert!(bench.host.world().run.as_ref().unwrap().paused, "the guest was paused by an admin and runs now");
    bench.check("paused by an admin");
}

#[test]
fn a_revert_brings_memory_and_disks_back_to_one_count() {
    let bench = Bench::new(true, true);
    bench.settle(&[("a", VM)]);
    let snapshot = bench.snapshots().remove(0);
    let taken = bench.host.world().images["/images/a.qcow2"].tags[snapshot.disks[0].tag.as_str()];
    bench.settle(&[("op", REVERT_FIRST)]);
    let w = bench.host.world();
    let run = w.run.as_ref().unwrap();
    assert!(run.paused, "asked to end paused");
    assert_eq!(run.ram, taken);
    assert!(w.images.values().all(|i| i.content == taken), "{:?}", w.images);
    drop(w);
    assert_eq!(bench.snapshots().len(), 2, "the snapshot taken first is there");
}

#[test]
fn the_same_id_is_the_same_operation_and_other_bytes_are_ignored() {
    let bench = Bench::new(true, true);
    bench.settle(&[("op", DISK), ("op", DISK), ("op", VM)]);
    bench.settle(&[("op", DISK), ("op", VM)]);
    assert_eq!(bench.snapshots().len(), 1);
}

#[test]
fn what_a_plan_warns_about_is_left_with_what_was_done() {
    let bench = Bench::new(true, true);
    bench.settle(&[("one", VM)]);
    assert!(bench.host.world().results.is_empty(), "nothing to warn about");
    bench.settle(&[("two", REVERT)]);
    let w = bench.host.world();
    let plan: xensnap::contract::Plan =
        xensnap::wire::from_slice(w.results.values().next().expect("a result file")).unwrap();
    assert!(
        plan.warnings.iter().any(|line| line.as_str().contains("--snapshot-first")),
        "{:?}",
        plan.warnings
    );
}

#[test]
fn a_dry_run_touches_nothing_and_leaves_its_plan() {
    let bench = Bench::new(true, true);
    let ask = r#"{"contract":1,"dry_run":true,"op.vm_snapshot_create":{"domain":"sim","name":"a"}}"#;
    bench.settle(&[("op", ask)]);
    assert!(bench.snapshots().is_empty());
    bench.check("dry run");
    let w = bench.host.world();
    let plan = w.results.values().next().expect("a result file");
    let plan: xensnap::contract::Plan = xensnap::wire::from_slice(plan).unwrap();
    assert!(plan.steps.len() > 5);
    assert_eq!(w.run.as_ref().map(|r| r.id), Some(1));
}
