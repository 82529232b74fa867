//! Disk snapshots: over QMP while the domain runs, by qemu-img while it does not.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use uuid::Uuid;
use xensnap::contract::{Domain, DriverKind, ErrorKind};
use xensnapd::host::provider;
use xensnapd::host::{Host, RunState};

use crate::rig::{ASK, Guest, Rig, fill, filled, have_qemu, instance, stop, tags_in};

const TWO: [(&str, &str); 2] = [("vda", "qcow2"), ("vdb", "qcow2")];

fn known(guest: &Guest) -> Domain {
    Domain {
        contract: 1,
        uuid: guest.config.uuid,
        name: guest.config.name.clone(),
        driver: DriverKind::Qemu,
        config: guest.text(),
        disks: guest.config.disks.clone(),
        last_seen: xensnap::wire::Timestamp::now(),
        current: None,
        diverged: false,
        extra: Default::default(),
    }
}

#[tokio::test]
async fn a_snapshot_of_a_running_domain_is_on_all_disks_and_every_verb_can_be_repeated() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.guest("g", &TWO).await;
    let host = rig.host().await;
    let i = instance(&host, &guest).await;
    assert_eq!((i.domid, i.name.as_str(), i.state), (7, "g", RunState::Unknown));
    assert_eq!(host.recheck(&i).await.unwrap().state, RunState::Running);
    let (one, two) = (guest.tags(1), guest.tags(2));
    for _ in 0..2 {
        host.disks_create(Some(&i), &one).await.unwrap();
    }
    host.disks_create(Some(&i), &two).await.unwrap();
    host.disks_verify(i.uuid, &one).await.unwrap();
    for n in 0..2 {
        assert_eq!(tags_in(guest.disk(n)), [one[0].tag.to_string(), two[0].tag.to_string()]);
    }
    for _ in 0..2 {
        host.disks_delete(i.uuid, &one).await.unwrap();
    }
    let e = host.disks_verify(i.uuid, &one).await.unwrap_err();
    assert_eq!(e.kind, ErrorKind::Changed);
    assert!(e.message.starts_with("disk vda: "), "{e}");
    let facts = host.facts(Some(&i), None, ASK).await.unwrap();
    let image = facts.disks[1].image.as_ref().unwrap();
    assert_eq!((image.virtual_size, image.cluster_size), (64 << 20, 65536));
    assert_eq!((image.tags.len(), image.same_as_open, image.file == two[1].file.as_str()), (1, true, true));
    assert_eq!(facts.ram, 64 << 20);
    assert!(facts.memory.unwrap().writer.starts_with("qemu "));
}

#[tokio::test]
async fn one_disk_that_refuses_leaves_no_snapshot_on_the_others() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.guest("g", &[("vda", "qcow2"), ("vdb", "raw"), ("vdc", "qcow2")]).await;
    let host = rig.host().await;
    let i = instance(&host, &guest).await;
    let facts = host.facts(Some(&i), None, ASK).await.unwrap();
    let refusal = provider::choose(&facts.disks[1]).unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::DiskUnsupported);
    assert_eq!(
        refusal.message,
        "disk vdb: no snapshot can be taken: its format is raw, and only qcow2 holds snapshots"
    );
    assert!(provider::choose(&facts.disks[0]).is_ok());

    // Asked all the same, QEMU refuses the whole.
    let e = host.disks_create(Some(&i), &guest.tags(1)).await.unwrap_err();
    assert_eq!(e.kind, ErrorKind::BackendFailed);
    assert!(e.message.contains("does not support internal snapshots"), "{e}");
    assert!(tags_in(guest.disk(0)).is_empty() && tags_in(guest.disk(2)).is_empty());
}

#[tokio::test]
async fn disks_that_no_provider_takes_are_named_with_the_reason() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.domain("g", &TWO);
    let host = rig.host().await;
    let mut disk = guest.config.disks[0].clone();
    let reason = async |disk: &xensnap::contract::Disk| {
        provider::choose(&host.look(disk).await)
            .unwrap_err()
            .message
            .split_once("taken: ")
            .unwrap()
            .1
            .to_owned()
    };
    disk.read_only = true;
    assert_eq!(reason(&disk).await, "it is read-only");
    disk.cdrom = true;
    assert_eq!(reason(&disk).await, "it is a CD-ROM drive");

    let (data, outside) = (rig.dir.path().join("d.raw"), rig.dir.path().join("d.qcow2"));
    let option = format!("data_file={}", data.display());
    crate::rig::run(
        "qemu-img",
        &["create", "-q", "-f", "qcow2", "-o", &option, outside.to_str().unwrap(), "1M"],
    );
    let mut disk = guest.config.disks[0].clone();
    disk.path = outside.try_into().unwrap();
    assert_eq!(reason(&disk).await, "its data lies in an external file");

    // A backing file that is a plain file is no obstacle; one that leads elsewhere is, and is not opened to find out.
    let base = guest.disk(1).to_str().unwrap();
    for (backing, verdict) in [
        (base, None),
        ("nbd://127.0.0.1:1/x", Some("its backing file nbd://127.0.0.1:1/x is not a plain file")),
    ] {
        let over = rig.dir.path().join("over.qcow2");
        crate::rig::run(
            "qemu-img",
            &[
                "create",
                "-q",
                "-u",
                "-f",
                "qcow2",
                "-F",
                "qcow2",
                "-b",
                backing,
                over.to_str().unwrap(),
                "1M",
            ],
        );
        disk.path = over.try_into().unwrap();
        let facts = host.look(&disk).await;
        assert!(facts.image.is_ok(), "{:?}", facts.image);
        assert_eq!(
            provider::choose(&facts)
                .err()
                .map(|e| e.message.split_once("taken: ").unwrap().1.to_owned())
                .as_deref(),
            verdict
        );
    }
    disk.path = rig.dir.path().join("missing.qcow2").try_into().unwrap();
    assert!(host.look(&disk).await.image.unwrap_err().contains("No such file"));
}

#[tokio::test]
async fn a_stopped_domain_is_snapshotted_put_back_and_cleaned_offline() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.domain("g", &TWO);
    let host = rig.host().await;
    let facts = host.facts(None, Some(&known(&guest)), ASK).await.unwrap();
    assert!(
        facts.instance.is_none() && facts.memory.is_none() && facts.disks.iter().all(|d| d.image.is_ok())
    );
    let tags = guest.tags(1);
    fill(guest.disk(0), 1);
    fill(guest.disk(1), 1);
    for _ in 0..2 {
        host.disks_create(None, &tags).await.unwrap();
    }
    fill(guest.disk(0), 2);
    fill(guest.disk(1), 2);
    host.disks_verify(guest.config.uuid, &tags).await.unwrap();
    assert!(filled(guest.disk(0), 2) && filled(guest.disk(1), 2));
    for _ in 0..2 {
        host.disks_apply(guest.config.uuid, &tags).await.unwrap();
        assert!(filled(guest.disk(0), 1) && filled(guest.disk(1), 1));
    }
    for _ in 0..2 {
        host.disks_delete(guest.config.uuid, &tags).await.unwrap();
        assert!(tags_in(guest.disk(0)).is_empty() && tags_in(guest.disk(1)).is_empty());
    }
    assert_eq!(host.disks_apply(guest.config.uuid, &tags).await.unwrap_err().kind, ErrorKind::Changed);
}

#[tokio::test]
async fn offline_all_disks_or_none_and_a_deleted_image_is_no_obstacle_to_a_deletion() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.domain("g", &TWO);
    let host = rig.host().await;
    let tags = guest.tags(1);
    std::fs::remove_file(guest.disk(1)).unwrap();
    let e = host.disks_create(None, &tags).await.unwrap_err();
    assert!(e.message.starts_with("disk vdb: ") && e.message.contains("No such file"), "{e}");
    assert!(tags_in(guest.disk(0)).is_empty());
    host.disks_delete(guest.config.uuid, &tags).await.unwrap();
    assert_eq!(host.disks_verify(guest.config.uuid, &tags[1..]).await.unwrap_err().kind, ErrorKind::Changed);
}

#[tokio::test]
async fn an_image_that_a_process_has_open_is_not_touched_offline() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let mut guest = rig.domain("g", &TWO);
    let host = rig.host().await;
    let tags = guest.tags(1);
    host.disks_create(None, &tags).await.unwrap();
    let open = std::fs::File::open(guest.disk(1)).unwrap();
    for done in [
        host.disks_create(None, &guest.tags(2)).await,
        host.disks_apply(guest.config.uuid, &tags).await,
        host.disks_delete(guest.config.uuid, &tags).await,
    ] {
        let e = done.unwrap_err();
        assert_eq!(e.kind, ErrorKind::DomainState);
        assert!(e.message.contains(&format!("process {} (", std::process::id())), "{e}");
    }
    drop(open);
    host.disks_delete(guest.config.uuid, &tags).await.unwrap();
    // A QEMU that nobody registered holds them too.
    guest.start(false);
    drop(guest.qmp().await); // its socket is there before its disks are open; it answers after that
    let e = host.disks_create(None, &tags).await.unwrap_err();
    assert!(e.message.contains("(qemu-system-x86"), "{e}");
    host.disks_delete(guest.config.uuid, &tags).await.unwrap(); // there is nothing to delete
    assert!(tags_in(guest.disk(0)).is_empty());
}

#[tokio::test]
async fn an_image_replaced_under_a_running_domain_is_noticed() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.guest("g", &TWO).await;
    let host = rig.host().await;
    let i = instance(&host, &guest).await;
    let tags = guest.tags(1);
    host.disks_create(Some(&i), &tags).await.unwrap();
    let other = rig.image("other.qcow2", "qcow2");
    std::fs::rename(other, guest.disk(0)).unwrap();
    let facts = host.facts(Some(&i), None, ASK).await.unwrap();
    let same: Vec<bool> = facts.disks.iter().map(|d| d.image.as_ref().unwrap().same_as_open).collect();
    assert_eq!(same, [false, true]);
    let e = host.disks_verify(i.uuid, &tags).await.unwrap_err();
    assert_eq!(e.kind, ErrorKind::Changed);
    assert!(e.message.contains("is another file"), "{e}");
}

#[tokio::test]
async fn a_qmp_socket_held_by_another_client_is_told_from_a_qemu_that_hangs() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.guest("g", &TWO).await;
    let host = rig.host().await;
    let i = instance(&host, &guest).await;
    let other = guest.qmp().await;
    let begun = Instant::now();
    let e = host.recheck(&i).await.unwrap_err();
    assert_eq!(e.kind, ErrorKind::QmpUnavailable);
    assert!(e.message.contains("another client holds"), "{e}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    drop(other);
    assert_eq!(host.recheck(&i).await.unwrap().state, RunState::Running);

    host.let_go(i.uuid).await;
    guest.process().signal(Signal::STOP);
    let e = host.recheck(&i).await.unwrap_err();
    assert_eq!(e.kind, ErrorKind::QmpUnavailable);
    assert!(e.message.contains("is stopped by a signal"), "{e}");
    assert_eq!(host.instances().await.unwrap().len(), 1, "a list asks no QEMU");
    guest.process().signal(Signal::CONT);
    assert_eq!(host.recheck(&i).await.unwrap().state, RunState::Running);
}

#[tokio::test]
async fn a_qemu_killed_in_the_middle_is_gone_and_its_disks_can_be_cleaned() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let mut guest = rig.guest("g", &TWO).await;
    let host = rig.host().await;
    let i = instance(&host, &guest).await;
    let operation = "op".parse().unwrap();
    host.pause(&operation, &i, &stop(60)).await.unwrap();
    host.disks_create(Some(&i), &guest.tags(1)).await.unwrap();
    guest.kill();
    assert_eq!(host.disks_create(Some(&i), &guest.tags(2)).await.unwrap_err().kind, ErrorKind::DomainGone);
    assert_eq!(host.release(&operation, &i).await.unwrap(), None);
    assert_eq!(host.recheck(&i).await.unwrap_err().kind, ErrorKind::DomainGone);
    assert!(host.instances().await.unwrap().is_empty());
    host.disks_delete(i.uuid, &guest.tags(1)).await.unwrap();
    assert!(tags_in(guest.disk(0)).is_empty() && tags_in(guest.disk(1)).is_empty());
}

#[tokio::test]
async fn a_transaction_that_is_not_answered_in_time_leaves_time_for_the_release_and_is_undone_by_looking() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.guest("g", &TWO).await;
    let host = rig.host().await;
    let i = instance(&host, &guest).await;
    let (operation, tags) = ("op".parse().unwrap(), guest.tags(1));
    let deadline = Duration::from_secs(8);
    let begun = Instant::now();
    host.pause(&operation, &i, &stop(8)).await.unwrap();
    guest.process().signal(Signal::STOP);
    let e = host.disks_create(Some(&i), &tags).await.unwrap_err();
    assert_eq!(e.kind, ErrorKind::QmpUnavailable);
    assert!(begun.elapsed() < deadline, "the guard did not have to step in");
    // QEMU goes on, and with what it was asked before.
    guest.process().signal(Signal::CONT);
    host.disks_delete(i.uuid, &tags).await.unwrap();
    assert!(tags_in(guest.disk(0)).is_empty() && tags_in(guest.disk(1)).is_empty());
    assert!(host.release(&operation, &i).await.unwrap().is_some());
    assert_eq!(host.recheck(&i).await.unwrap().state, RunState::Running);
    assert!(tags_in(guest.disk(0)).is_empty() && tags_in(guest.disk(1)).is_empty());
}

#[tokio::test]
async fn a_qemu_that_has_handed_over_its_images_is_not_asked_to_write_to_them() {
    // QEMU aborts when it is: "Assertion `!(bs->open_flags & BDRV_O_INACTIVE)' failed".
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.guest("g", &TWO).await;
    let host = rig.host().await;
    let i = instance(&host, &guest).await;
    host.disks_create(Some(&i), &guest.tags(1)).await.unwrap();
    host.let_go(i.uuid).await;
    let away = rig.dir.path().join("away");
    guest.ask("migrate", serde_json::json!({"uri": format!("exec:cat > {}", away.display())})).await;
    guest.until("postmigrate").await;
    for done in
        [host.disks_delete(i.uuid, &guest.tags(1)).await, host.disks_create(Some(&i), &guest.tags(2)).await]
    {
        assert!(matches!(done.unwrap_err().kind, ErrorKind::DomainState | ErrorKind::BackendFailed));
    }
    assert_eq!(host.recheck(&i).await.unwrap().state, RunState::Paused, "it lives");
    host.let_go(i.uuid).await;
    guest.ask("cont", serde_json::json!({})).await;
    host.disks_delete(i.uuid, &guest.tags(1)).await.unwrap();
}

#[tokio::test]
async fn two_running_domains_with_one_uuid_are_both_listed_and_neither_is_touched() {
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.guest("g", &TWO).await;
    let mut twin = rig.domain("h", &TWO);
    twin.config.uuid = guest.config.uuid;
    let text = std::fs::read_to_string(&twin.path).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value["uuid"] = guest.config.uuid.to_string().into();
    std::fs::write(&twin.path, value.to_string()).unwrap();
    twin.start(false);
    rig.register(&twin, 8).await;
    let host = rig.host().await;
    rig.register(&twin, 9).await; // nodes that name one process twice make no third domain
    let domids: Vec<u32> = host.instances().await.unwrap().iter().map(|i| i.domid).collect();
    assert_eq!(domids, [7, 9]);
    let e = host.disks_delete(guest.config.uuid, &guest.tags(1)).await.unwrap_err();
    assert_eq!(e.kind, ErrorKind::DomainState);
}

#[tokio::test]
async fn a_config_that_others_can_write_makes_no_domain_and_a_domain_is_not_lost_with_xenstored() {
    use std::os::unix::fs::PermissionsExt;
    if !have_qemu() {
        return;
    }
    let rig = Rig::new();
    let guest = rig.guest("g", &TWO).await;
    let host = rig.host().await;
    std::fs::set_permissions(&guest.path, PermissionsExt::from_mode(0o666)).unwrap();
    assert!(host.instances().await.unwrap().is_empty());
    std::fs::set_permissions(&guest.path, PermissionsExt::from_mode(0o644)).unwrap();
    let i = instance(&host, &guest).await;
    rig.nodes.lose_all();
    assert_eq!(host.instances().await.unwrap(), std::slice::from_ref(&i));
    let next_agent = rig.host().await;
    assert_eq!(next_agent.instances().await.unwrap(), std::slice::from_ref(&i));
    assert_ne!(i.uuid, Uuid::nil());
}
