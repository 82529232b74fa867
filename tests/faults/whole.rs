//! What holds after every fault: a snapshot is there as a whole or not at all, nothing is left over, and the next request works.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use uuid::Uuid;
use xensnap::contract::{Request, SnapshotPart};
use xensnap_store::{Finding, Read, Severity};

use crate::rig::dom0::{Dom0, tags};
use crate::rig::guest::Guest;

/// The longest wait for something that should happen at once, on a loaded machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Whether the whole matrices are asked for.
pub(crate) fn exhaustive() -> bool {
    std::env::var_os("XENSNAP_EXHAUSTIVE").is_some_and(|v| v == "1")
}

/// The domain's UUID.
pub(crate) fn uuid(guest: &Guest) -> Uuid {
    guest.spec().uuid.parse().unwrap()
}

/// Panics unless the domain has exactly the snapshots with these ids, each whole, and nothing else is left: no tag, memory image, sidecar, pause or
/// open journal entry; the guest counts on (when it has a kernel and runs), has seen no two instants, and the next request works.
pub(crate) fn all_or_nothing(dom0: &Dom0, guest: &Guest, ids: &[&str]) {
    settled(dom0, guest, ids);
    if guest.spec().kernel && guest.pid().is_some() {
        guest.wait_running(SOON);
        assert_eq!(guest.mismatches(), Vec::<String>::new());
    }
    let next = format!("next-{}", Uuid::new_v4());
    let of = format!(r#""domain":"{}","name":"{next}""#, guest.spec().uuid);
    dom0.done(&next, &format!(r#""op.disk_snapshot_create":{{{of}}}"#));
    let of = format!(r#""domain":"{}","snapshot":"{next}""#, guest.spec().uuid);
    dom0.done(&format!("{next}-del"), &format!(r#""op.disk_snapshot_delete":{{{of}}}"#));
    reached(dom0, guest, ids, true);
}

/// The same without the guest and the next request.
pub(crate) fn settled(dom0: &Dom0, guest: &Guest, ids: &[&str]) {
    reached(dom0, guest, ids, false);
}

/// `reserve`: the store's reserve, given up for an end on a full disk, is there again; the next request makes it.
fn reached(dom0: &Dom0, guest: &Guest, ids: &[&str], reserve: bool) {
    let limit = Instant::now() + SOON;
    loop {
        let wrong = wrong(dom0, guest, ids, reserve);
        if wrong.is_empty() {
            return;
        }
        assert!(Instant::now() < limit, "{wrong:#?}\nthe agent says:\n{}", dom0.agent_log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// All that is not as it should be, in words.
fn wrong(dom0: &Dom0, guest: &Guest, ids: &[&str], reserve: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut expect = |what: &str, there: BTreeSet<String>, wanted: BTreeSet<String>| {
        if there != wanted {
            wrong.push(format!("{what}: {there:?} instead of {wanted:?}"));
        }
    };
    let records = dom0.reader().snapshots(uuid(guest)).unwrap();
    let set = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect::<BTreeSet<_>>();
    expect("snapshots", records.iter().map(|r| r.id.to_string()).collect(), set(ids));
    for disk in &guest.spec().disks {
        let image = guest.image(&disk.vdev);
        if !image.exists() || disk.read_only || disk.cdrom || !image.to_string_lossy().ends_with("qcow2") {
            continue;
        }
        let of = records.iter().flat_map(|r| &r.disks).filter(|d| d.path.as_path() == image);
        expect(
            &format!("tags of {}", disk.vdev),
            tags(&image).into_iter().collect(),
            of.map(|d| d.tag.to_string()).collect(),
        );
    }
    let mut wanted = BTreeSet::new();
    for record in &records {
        wanted.insert(format!("snapshotdata-{}.json", record.id));
        if let SnapshotPart::Vm(part) = &record.part
            && let Some(memory) = &part.memory
        {
            wanted.insert(format!("{}.save", record.id));
            let size = fs::metadata(memory.path.as_path()).map_or(0, |m| m.len());
            expect("memory's size", set(&[&size.to_string()]), set(&[&memory.size.to_string()]));
        }
    }
    expect("files of the domain", names(&dom0.store.join(&guest.spec().uuid)), wanted);
    expect("pauses", names(&dom0.path().join("run/pause")), BTreeSet::new());
    let open = dom0.reader().open_journal().unwrap();
    expect("open journal", open.iter().map(|e| e.id.to_string()).collect(), BTreeSet::new());
    let left = dom0.reader().uncleaned().unwrap();
    expect("to be cleaned", left.iter().map(|e| e.id.to_string()).collect(), BTreeSet::new());
    expect("requests", dom0.list(Request::XENSTORE_FOLDER).into_iter().collect(), BTreeSet::new());
    let report = xensnap_store::check(&dom0.location()).unwrap();
    let bad = report.findings.iter().filter(|f| f.severity() > Severity::Note);
    let bad = bad.filter(|f| reserve || !matches!(f, Finding::NoReserve { .. }));
    expect("store check", bad.map(|f| format!("{f:?}")).collect(), BTreeSet::new());
    wrong
}

/// What a folder holds; nothing when it is not there.
pub(crate) fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

/// Checks a qcow2 image that no QEMU has open: clusters may have leaked, none may be corrupt. A QEMU killed just now holds its lock until the last of its
/// threads has ended: the check cannot be made before that.
#[expect(clippy::disallowed_methods, reason = "a test's helper: it starts qemu-img")]
pub(crate) fn sound(image: &PathBuf) {
    /// qemu-img's exit code for a check that could not be made.
    const NOT_MADE: Option<i32> = Some(1);
    let until = Instant::now() + SOON;
    let out = loop {
        let out = std::process::Command::new("qemu-img").args(["check", "-f", "qcow2"]).arg(image).output();
        let out = out.unwrap();
        if out.status.code() != NOT_MADE || Instant::now() >= until {
            break out;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(
        matches!(out.status.code(), Some(0 | 3)),
        "{}: {}{}",
        image.display(),
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
}
