//! The verbs against the fake toolstack: what is refused before anything is touched, and what is believed afterwards.

use std::os::unix::fs::PermissionsExt;

use uuid::Uuid;

use super::*;
use crate::libxl::fake::Fake;

const UUID: Uuid = Uuid::from_u128(0x77);
const ALL: [RunState; 10] = [
    RunState::Running,
    RunState::Paused,
    RunState::Suspended,
    RunState::PoweredOff,
    RunState::Rebooting,
    RunState::Crashed,
    RunState::Watchdog,
    RunState::SoftReset,
    RunState::ShutDown,
    RunState::Dying,
];

struct Save {
    fake: Fake,
    dir: tempfile::TempDir,
    request: Suspend,
}

fn save(config: &str) -> Save {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("m.save");
    File::create(&file).unwrap().set_permissions(PermissionsExt::from_mode(0o600)).unwrap();
    let fake = Fake::new();
    let target = fake.add(5, UUID, "web", config);
    Save { fake, dir, request: Suspend { target, file, live: false } }
}

impl Save {
    fn kind(&self) -> FailureKind {
        suspend(&self.fake, &self.request).unwrap_err().kind
    }

    fn set(&self, state: RunState) {
        let mut domains = self.fake.domains.borrow_mut();
        let dom = domains.get_mut(&5).unwrap();
        (dom.state, dom.pauses) = if state == RunState::Paused { (RunState::Running, 1) } else { (state, 0) };
    }

    fn calls(&self) -> Vec<String> {
        self.fake.log.borrow_mut().drain(..).collect()
    }
}

#[test]
fn every_verb_leaves_another_domain_alone() {
    let save = save("");
    for target in [Target { domid: 6, uuid: UUID }, Target { domid: 5, uuid: Uuid::from_u128(1) }] {
        let wanted = if target.domid == 6 { FailureKind::Gone } else { FailureKind::OtherDomain };
        let request = Suspend { target, ..save.request.clone() };
        let kinds = [
            state(&save.fake, target).unwrap_err().kind,
            config(&save.fake, target).unwrap_err().kind,
            pause(&save.fake, target).unwrap_err().kind,
            unpause(&save.fake, target).unwrap_err().kind,
            resume(&save.fake, target).unwrap_err().kind,
            suspend(&save.fake, &request).unwrap_err().kind,
        ];
        assert_eq!(kinds, [wanted; 6]);
    }
    assert_eq!(save.calls(), [""; 0], "nothing was asked for");
}

#[test]
fn only_a_running_guest_is_saved() {
    for state in ALL.into_iter().filter(|s| *s != RunState::Running) {
        let save = save("");
        save.set(state);
        let failure = suspend(&save.fake, &save.request).unwrap_err();
        assert_eq!((failure.kind, failure.status.unwrap().state), (FailureKind::WrongState, state));
        assert_eq!(save.calls(), [""; 0]);
    }
}

#[test]
fn live_only_where_xen_can_follow() {
    // config, hap, shadow, whether it can
    let cases = [
        ("\"type\": \"hvm\"", true, false, true),
        ("\"type\": \"hvm\"", false, true, true),
        ("\"type\": \"hvm\"", false, false, false),
        ("\"type\": \"pv\"", true, false, false),
        ("\"type\": \"pv\"", false, true, true),
    ];
    for (kind, hap, shadow, can) in cases {
        let mut save = save(kind);
        (save.fake.info.hap, save.fake.info.shadow, save.request.live) = (hap, shadow, true);
        let result = suspend(&save.fake, &save.request);
        assert_eq!(result.is_ok(), can, "{kind} hap {hap} shadow {shadow}: {result:?}");
        if !can {
            assert_eq!(save.calls(), [""; 0]);
        }
    }
}

#[test]
fn a_memory_file_is_ours_alone_new_and_no_link() {
    let mode = |save: &Save, mode| {
        std::fs::set_permissions(&save.request.file, PermissionsExt::from_mode(mode)).unwrap();
    };
    let open = save("");
    mode(&open, 0o640);
    assert_eq!(open.kind(), FailureKind::File);
    mode(&open, 0o600);
    suspend(&open.fake, &open.request).unwrap();
    open.set(RunState::Running);
    assert_eq!(open.kind(), FailureKind::File, "it is not empty any more");

    let mut link = save("");
    let name = link.dir.path().join("link");
    std::os::unix::fs::symlink(&link.request.file, &name).unwrap();
    link.request.file = name;
    assert_eq!(link.kind(), FailureKind::File);
    link.request.file = link.dir.path().into();
    assert_eq!(link.kind(), FailureKind::File);
    link.request.file = link.dir.path().join("none");
    assert_eq!(link.kind(), FailureKind::File);
    assert!(!link.request.file.exists(), "it is never made here");
    assert!(link.calls().iter().all(|c| !c.starts_with("suspend")));
}

#[test]
fn a_failed_save_tells_what_became_of_the_guest() {
    let save = save("");
    save.fake.fails.borrow_mut().push("suspend");
    let failure = suspend(&save.fake, &save.request).unwrap_err();
    assert_eq!((failure.rc, failure.status.unwrap().state), (Some(-3), RunState::Running));
}

#[test]
fn success_is_believed_by_the_state_alone() {
    let save = save("");
    save.fake.lies.borrow_mut().extend(["suspend", "pause", "resume"]);
    assert_eq!(save.kind(), FailureKind::Libxl);
    assert_eq!(pause(&save.fake, save.request.target).unwrap_err().kind, FailureKind::Libxl);
    save.set(RunState::Suspended);
    let failure = resume(&save.fake, save.request.target).unwrap_err();
    assert_eq!((failure.kind, failure.status.unwrap().state), (FailureKind::Libxl, RunState::Suspended));
    assert!(failure.message.contains("reports success"), "{failure}");
}

#[test]
fn a_resume_is_for_the_suspended_alone() {
    for state in ALL {
        let save = save("");
        save.set(state);
        let resumed = resume(&save.fake, save.request.target).unwrap();
        let was = state == RunState::Suspended;
        assert_eq!(resumed.was_suspended, was);
        assert_eq!(resumed.status.state, if was { RunState::Running } else { state });
        assert_eq!(save.calls().len(), usize::from(was), "{state:?}");
    }
}

#[test]
fn pauses_are_counted_and_an_admins_is_kept() {
    let save = save("");
    let target = save.request.target;
    assert_eq!(unpause(&save.fake, target).unwrap_err().kind, FailureKind::WrongState);
    assert_eq!(pause(&save.fake, target).unwrap().state, RunState::Paused);
    assert_eq!(pause(&save.fake, target).unwrap().state, RunState::Paused);
    assert_eq!(unpause(&save.fake, target).unwrap().state, RunState::Paused);
    assert_eq!(unpause(&save.fake, target).unwrap().state, RunState::Running);
    save.set(RunState::Paused);
    save.fake.fails.borrow_mut().push("pause");
    assert_eq!(
        pause(&save.fake, target).unwrap_err().kind,
        FailureKind::Libxl,
        "it was paused, but not by this"
    );
    save.set(RunState::Suspended);
    assert_eq!(pause(&save.fake, target).unwrap_err().kind, FailureKind::WrongState);
}

#[test]
fn a_creation_refuses_a_name_that_is_taken_and_leaves_paused_what_shall_be() {
    let save = save("");
    let config = |name: &str| format!("{{\"c_info\": {{\"name\": \"{name}\", \"uuid\": \"{UUID}\"}}}}");
    let failure = create(&save.fake, &config("web"), false).unwrap_err();
    assert_eq!(failure.kind, FailureKind::WrongState);
    assert_eq!(save.calls(), [""; 0]);
    let paused = create(&save.fake, &config("a"), true).unwrap();
    assert_eq!((paused.status.state, paused.name.as_str()), (RunState::Paused, "a"));
    assert_eq!(create(&save.fake, &config("b"), false).unwrap().status.state, RunState::Running);
}

#[test]
fn a_domain_is_ended_when_xen_no_longer_has_it_whatever_libxl_says() {
    let there = || {
        let fake = Fake::new();
        let target = fake.add(5, UUID, "web", "");
        (fake, target)
    };
    let (fake, target) = there();
    assert_eq!(destroy(&fake, target).unwrap(), target);
    assert!(fake.look(5).unwrap().is_none());
    assert_eq!(destroy(&fake, target).unwrap_err().kind, FailureKind::Gone);

    for how in ["fails", "lies"] {
        let (fake, target) = there();
        match how {
            "fails" => fake.fails.borrow_mut().push("destroy"),
            _ => fake.lies.borrow_mut().push("destroy"),
        }
        let failure = destroy(&fake, target).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Libxl, "{how}");
        assert_eq!(failure.status.map(|s| s.state), Some(RunState::Running), "{how}");
    }

    let (fake, target) = there();
    let other = Target { uuid: Uuid::from_u128(1), ..target };
    assert_eq!(destroy(&fake, other).unwrap_err().kind, FailureKind::OtherDomain);
    assert!(fake.look(5).unwrap().is_some(), "another domain at that domid is left alone");
}
