//! The store and the file systems under it: full, read-only, unmounted, torn; and a second agent.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use xensnap::contract::{ErrorKind, OperationState};

use crate::rig::dom0::Dom0;
use crate::rig::guest::GuestSpec;
use crate::rig::xenstored::Kind;
use crate::whole::{SOON, all_or_nothing, exhaustive};

/// A small file system of its own, unmounted when it is dropped.
struct Volume(PathBuf);

impl Volume {
    /// A tmpfs of so many MiB, or `None` where this user may not mount (said on standard output).
    fn new(at: &Path, mib: u32) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let size = format!("size={mib}m,mode=700");
        let out = run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", at.to_str().unwrap()]);
        if out.status.success() {
            return Some(Self(at.to_owned()));
        }
        println!("skipped: no tmpfs can be mounted: {}", String::from_utf8_lossy(&out.stderr).trim());
        None
    }

    fn remount(&self, mode: &str) {
        let out = run("mount", &["-o", &format!("remount,{mode}"), self.0.to_str().unwrap()]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    /// Fills it but for so many MiB, also while others write there.
    fn fill_but(&self, mib: usize) -> PathBuf {
        use std::io::Write as _;
        let (ballast, room) = (self.0.join("ballast"), self.0.join("room"));
        let zeros = vec![0; 1 << 20];
        let mut file = fs::File::create(&room).unwrap();
        (0..mib).for_each(|_| file.write_all(&zeros).unwrap());
        let mut file = fs::File::create(&ballast).unwrap();
        while file.write(&zeros[..4096]).is_ok_and(|n| n > 0) {}
        fs::remove_file(room).unwrap();
        ballast
    }

    fn unmount(&self) {
        let out = run("umount", &["-l", self.0.to_str().unwrap()]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        run("umount", &["-l", self.0.to_str().unwrap()]);
    }
}

/// An ext4 of its own on a loop device. It can turn read-only under its users, as one does whose disk fails; a tmpfs refuses that while files are open.
struct Failing {
    at: PathBuf,
    image: PathBuf,
}

impl Failing {
    /// `None` where this user may not mount one (said on standard output).
    fn new(at: &Path, mib: u32) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let new = Self { at: at.to_owned(), image: at.with_extension("ext4") };
        fs::File::create(&new.image).unwrap().set_len(u64::from(mib) << 20).unwrap();
        let done = run("mkfs.ext4", &["-q", "-F", new.image.to_str().unwrap()]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let done = new.mount();
        if done.status.success() && new.trigger().exists() {
            return Some(new);
        }
        println!("skipped: no ext4 that can fail: {}", String::from_utf8_lossy(&done.stderr).trim());
        None
    }

    fn mount(&self) -> Output {
        let (image, at) = (self.image.to_str().unwrap(), self.at.to_str().unwrap());
        run("mount", &["-t", "ext4", "-o", "loop,errors=remount-ro", image, at])
    }

    fn trigger(&self) -> PathBuf {
        let device = run("findmnt", &["-no", "SOURCE", self.at.to_str().unwrap()]).stdout;
        let device = String::from_utf8(device).unwrap();
        Path::new("/sys/fs/ext4").join(device.trim().trim_start_matches("/dev/")).join("trigger_fs_error")
    }

    fn fail(&self) {
        use std::io::Write as _;
        fs::File::options().write(true).open(self.trigger()).unwrap().write_all(b"a test").unwrap();
        assert!(fs::File::create(self.at.join("x")).is_err(), "it is read-only");
    }

    /// As an admin does: unmounted, checked, mounted again.
    fn mend(&self) {
        let done = run("umount", &[self.at.to_str().unwrap()]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        run("e2fsck", &["-p", self.image.to_str().unwrap()]);
        let done = self.mount();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        run("umount", &["-l", self.at.to_str().unwrap()]);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's helper: it starts mount and its like")]
fn run(program: &str, args: &[&str]) -> Output {
    Command::new(program).args(args).output().unwrap_or_else(|e| panic!("{program}: {e}"))
}

/// The agent does not start, with its own folders or with others; what it says.
pub(crate) fn does_not_start(dom0: &Dom0, elsewhere: bool) -> String {
    let command = dom0.agent_command();
    let mut line = vec!["60".to_owned(), command.get_program().to_str().unwrap().to_owned()];
    line.extend(command.get_args().map(|a| a.to_str().unwrap().to_owned()));
    if elsewhere {
        let folders = ["store", "run", "installed"].map(|name| dom0.path().join(name).display().to_string());
        line.iter_mut().filter(|a| folders.contains(a)).for_each(|a| a.push('2'));
    }
    let out = run("timeout", &line.iter().map(String::as_str).collect::<Vec<_>>());
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "it served, or died: {said}");
    said
}

#[test]
fn full_images_are_seen_before_anything_is_touched() {
    let mut dom0 = Dom0::new(Kind::C);
    let Some(volume) = Volume::new(&dom0.path().join("images"), 160) else { return };
    let mut spec = GuestSpec::counting("web1");
    for disk in &mut spec.disks {
        disk.image = Some(volume.0.join(&disk.vdev).with_extension("qcow2"));
    }
    let guest = dom0.guest(spec);
    dom0.done("base", r#""op.vm_snapshot_create":{"domain":"web1","name":"base"}"#);
    let ballast = volume.fill_but(8);
    let full = dom0.ask("full", r#""op.vm_snapshot_create":{"domain":"web1","name":"full"}"#);
    assert_eq!(full.state, OperationState::Refused, "{full:?}");
    let error = full.error.unwrap();
    assert_eq!(error.kind, ErrorKind::NoSpace);
    assert!(error.message.as_str().contains("vda"), "{error:?}");
    guest.wait_running(SOON);
    fs::remove_file(ballast).unwrap();
    all_or_nothing(&dom0, &guest, &["base"]);
}

#[test]
fn a_store_without_space_for_memory_refuses_and_one_that_fills_up_takes_back() {
    let mut dom0 = Dom0::without_agent(Kind::Ox);
    let Some(volume) = Volume::new(&dom0.path().join("volume"), 600) else { return };
    dom0.store = volume.0.join("store");
    dom0.start_agent(&[]);
    let guest = dom0.guest(GuestSpec::counting("web1"));
    dom0.done("base", r#""op.vm_snapshot_create":{"domain":"web1","name":"base"}"#);
    let ballast = volume.fill_but(100);
    let full = dom0.ask("full", r#""op.vm_snapshot_create":{"domain":"web1","name":"full"}"#);
    assert_eq!((full.state, full.error.unwrap().kind), (OperationState::Refused, ErrorKind::NoSpace));
    fs::remove_file(ballast).unwrap();
    all_or_nothing(&dom0, &guest, &["base"]);
    // It fills up after the check: QEMU cannot write, or the space cannot be had.
    for (n, step) in ["create_memory_file", "memory_complete", "commit"].into_iter().enumerate() {
        dom0.kill_agent();
        let point = format!("step.{step}.before");
        dom0.start_agent(&[("XENSNAPD_FAULT", &format!("{point}=sleep1000"))]);
        let id = format!("fills{n}");
        dom0.send(&id, &format!(r#""op.vm_snapshot_create":{{"domain":"web1","name":"{id}"}}"#));
        crate::xenstored_dies::at_point(&dom0, &point, 1);
        let ballast = volume.fill_but(0);
        let end = dom0.wait(&id);
        println!("{step}: {:?} {:?}", end.state, end.error);
        fs::remove_file(ballast).unwrap();
        let mut ids = vec!["base"];
        match end.state {
            OperationState::Done => ids.push(&id),
            OperationState::Failed => assert_eq!(end.error.unwrap().kind, ErrorKind::NoSpace, "{step}"),
            _ => panic!("{end:?}"),
        }
        all_or_nothing(&dom0, &guest, &ids);
        if ids.len() > 1 {
            dom0.done(
                &format!("{id}-d"),
                &format!(r#""op.vm_snapshot_delete":{{"domain":"web1","snapshot":"{id}"}}"#),
            );
        }
    }
}

#[test]
fn a_store_that_turns_read_only_or_is_unmounted() {
    let mut dom0 = Dom0::without_agent(Kind::C);
    let Some(volume) = Volume::new(&dom0.path().join("volume"), 200) else { return };
    dom0.store = volume.0.join("store");
    dom0.start_agent(&[]);
    let guest = dom0.guest(GuestSpec::idle("web1"));
    dom0.done("base", r#""op.disk_snapshot_create":{"domain":"web1","name":"base"}"#);
    dom0.kill_agent();
    volume.remount("ro");
    let said = does_not_start(&dom0, false);
    assert!(said.contains("read-only") || said.contains("Read-only"), "{said}");
    assert_eq!(xensnap_store::Read::snapshots(&dom0.reader(), crate::whole::uuid(&guest)).unwrap().len(), 1);
    volume.remount("rw");
    volume.unmount();
    let said = does_not_start(&dom0, false);
    assert!(said.contains("mount its volume"), "an unmounted volume is no empty store: {said}");
    assert!(!dom0.store.exists(), "nothing is made in its place");
}

/// The store turns read-only while the agent carries something out. The operation says so or is done, the guest runs, whoever asks gets an error in words;
/// and after the volume is mended and the agent started again, what was begun is whole or gone.
#[test]
fn a_store_that_turns_read_only_under_a_running_agent() {
    let mut dom0 = Dom0::without_agent(Kind::Ox);
    let Some(volume) = Failing::new(&dom0.path().join("volume"), 700) else { return };
    dom0.store = volume.at.join("store");
    dom0.start_agent(&[]);
    let guest = dom0.guest(GuestSpec::counting("web1"));
    dom0.done("base", r#""op.vm_snapshot_create":{"domain":"web1","name":"base"}"#);
    dom0.kill_agent();
    let live = r#""op.vm_snapshot_create":{"domain":"web1","name":"a"}"#;
    let disks = r#""op.disk_snapshot_create":{"domain":"web1","name":"a"}"#;
    let delete = r#""op.vm_snapshot_delete":{"domain":"web1","snapshot":"a"}"#;
    let revert = r#""op.vm_snapshot_revert":{"domain":"web1","snapshot":"base"}"#;
    let mut cases = vec![
        (live, "pause"),
        (live, "commit"),
        (disks, "commit"),
        (delete, "disks_delete"),
        (revert, "pause"),
        (revert, "end_domain"),
        (revert, "commit"),
    ];
    if exhaustive() {
        cases.extend([(live, "create_memory_file"), (live, "memory_complete"), (disks, "disks_create")]);
        cases.extend([(delete, "remove_file"), (delete, "commit"), (revert, "start_domain")]);
    }
    for (n, (body, step)) in cases.into_iter().enumerate() {
        println!("{body}: {step}");
        if body == delete {
            dom0.start_agent(&[]);
            dom0.done(&format!("made{n}"), live);
            dom0.kill_agent();
        }
        let (id, point) = (format!("ro{n}"), format!("step.{step}.before"));
        let passed = dom0.agent_log().matches(&format!("fault point {point}:")).count();
        dom0.start_agent(&[("XENSNAPD_FAULT", &format!("{point}=sleep700"))]);
        dom0.send(&id, body);
        crate::xenstored_dies::at_point(&dom0, &point, passed + 1);
        volume.fail();
        let shown = dom0.wait(&id);
        println!("  shown: {:?} {:?}", shown.state, shown.error);
        assert_eq!(shown.state, OperationState::Failed, "{shown:?}");
        let words = shown.error.unwrap().message.to_string();
        assert!(words.to_lowercase().contains("read-only"), "{words}");
        guest.wait_running(SOON);
        let next = dom0.ask(&format!("next{n}"), &disks.replace("\"a\"", "\"b\""));
        assert_eq!(next.state, OperationState::Refused, "{next:?}");
        let words = next.error.unwrap().message.to_string();
        assert!(words.to_lowercase().contains("read-only"), "{words}");
        let limit = Instant::now() + SOON;
        while dom0.status().unwrap().trouble.is_none() {
            assert!(Instant::now() < limit, "the agent does not say that it can take nothing");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(dom0.agent_lives());
        dom0.kill_agent();
        volume.mend();
        dom0.start_agent(&[]);
        let settled = dom0.wait(&id);
        println!("  settled: {:?} {:?}", settled.state, settled.error);
        let mut ids = vec!["base"];
        if settled.state == OperationState::Done && (body == live || body == disks) {
            ids.push(&id);
        }
        all_or_nothing(&dom0, &guest, &ids);
        if ids.len() > 1 {
            dom0.done(
                &format!("{id}-d"),
                &if body == live { delete.to_owned() } else { delete.replace("vm_", "disk_") },
            );
        }
        all_or_nothing(&dom0, &guest, &["base"]);
        dom0.kill_agent();
    }
}

#[test]
fn a_second_agent_says_who_serves() {
    let mut dom0 = Dom0::new(Kind::Ox);
    let guest = dom0.guest(GuestSpec::idle("web1"));
    let pid = dom0.agent_pid().to_string();
    // With the same store it is the lock that tells, with another the node in xenstore.
    let others = [does_not_start(&dom0, false), does_not_start(&dom0, true)];
    for said in others {
        assert!(said.contains("another agent") && said.contains(&pid), "{said}");
    }
    assert!(dom0.agent_lives());
    all_or_nothing(&dom0, &guest, &[]);
}

#[test]
fn operations_that_no_journal_knows_are_not_shown_as_running_for_ever() {
    let mut dom0 = Dom0::new(Kind::C);
    let refused = dom0.ask("refused", r#""op.vm_snapshot_create":{"domain":"nobody"}"#);
    assert_eq!(refused.state, OperationState::Refused);
    dom0.kill_agent();
    let shown = |id: &str| format!("/tool/xensnap/operation/{id}");
    let running = dom0
        .read(&shown("refused"))
        .unwrap()
        .replace("refused", "lost")
        .replace("\"state\":\"lost\"", "\"state\":\"running\"");
    let ended = running.find(r#","ended_at""#).unwrap();
    dom0.write(&shown("lost"), format!("{}}}", &running[..ended]).as_bytes());
    dom0.write(&shown("torn"), b"{");
    assert!(!crate::rig::dom0::ended(&dom0.operation("lost").unwrap()));
    dom0.start_agent(&[]);
    let until = Instant::now() + SOON;
    while dom0.read(&shown("lost")).is_some() || dom0.read(&shown("torn")).is_some() {
        assert!(Instant::now() < until, "{:?}", dom0.list("/tool/xensnap/operation"));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(
        dom0.operation("refused").map(|o| o.state),
        Some(OperationState::Refused),
        "whoever asked may still look"
    );
}

#[test]
fn a_torn_database_is_reported_and_left_as_it_is() {
    let mut dom0 = Dom0::new(Kind::C);
    let guest = dom0.guest(GuestSpec::idle("web1"));
    dom0.done("base", r#""op.disk_snapshot_create":{"domain":"web1","name":"base"}"#);
    dom0.kill_agent();
    let database = dom0.location().database();
    // A checkpoint first, as a clean end would: then the file alone is the database.
    let whole = fs::read(&database).unwrap();
    let wal = database.with_extension("db-wal");
    let wal_bytes = fs::read(&wal).unwrap_or_default();
    let write = |path: &Path, bytes: &[u8]| {
        use std::io::Write as _;
        fs::File::create(path).unwrap().write_all(bytes).unwrap();
    };
    let torn: Vec<(&str, Vec<u8>)> = vec![
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("no database", b"this is a text".to_vec()),
        ("empty", Vec::new()),
    ];
    for (what, bytes) in torn {
        let _ = fs::remove_file(&wal);
        let _ = fs::remove_file(database.with_extension("db-shm"));
        write(&database, &bytes);
        let said = does_not_start(&dom0, false);
        println!("{what}: {said}");
        assert!(said.contains("xensnap.db"), "{what}: {said}");
        assert_eq!(fs::read(&database).unwrap(), bytes, "{what}: it is evidence");
    }
    write(&database, &whole);
    if !wal_bytes.is_empty() {
        write(&wal, &wal_bytes);
    }
    dom0.start_agent(&[]);
    all_or_nothing(&dom0, &guest, &["base"]);
}
