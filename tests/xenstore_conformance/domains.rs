//! Permissions, and guests that speak for themselves.

use xensnap::xenstore::{Access, Permission, WatchEvent};

use crate::rig::xenstored::{Bed, DomainState, Refused, changed, next, on_both};

on_both!(permissions, a_guest_has_only_its_rights, domains_come_and_go,);

async fn permissions(bed: Bed) {
    let xs = bed.connect().await;
    xs.write("/p", b"1").await.unwrap();
    assert_eq!(xs.permissions("/p").await.unwrap(), [Permission::owner(0)]);
    let list = [
        Permission::owner(0),
        Permission::new(5, Access::Read),
        Permission::new(6, Access::Write),
        Permission::new(7, Access::ReadWrite),
    ];
    xs.set_permissions("/p", &list).await.unwrap();
    assert_eq!(xs.permissions("/p").await.unwrap(), list);
    xs.write("/p/child", b"1").await.unwrap();
    assert_eq!(xs.permissions("/p/child").await.unwrap(), list, "a child inherits");
    let transaction = xs.begin().await.unwrap();
    transaction.set_permissions("/p", &list[..1]).await.unwrap();
    assert_eq!(transaction.permissions("/p").await.unwrap(), list[..1]);
    assert_eq!(xs.permissions("/p").await.unwrap(), list, "not committed yet");
    transaction.commit().await.unwrap();
    assert_eq!(xs.permissions("/p").await.unwrap(), list[..1]);
}

async fn a_guest_has_only_its_rights(bed: Bed) {
    let xs = bed.connect().await;
    bed.daemon.add_domain(5);
    xs.introduce(5, 1, 5).await.unwrap();
    xs.mkdir("/local/domain/5").await.unwrap();
    let guests = [Permission::owner(5)];
    xs.mkdir("/local/domain/5/data").await.unwrap();
    xs.set_permissions("/local/domain/5/data", &guests).await.unwrap();
    let answer = "/local/domain/5/xensnap/operation/a";
    xs.write(answer, b"{}").await.unwrap();
    xs.set_permissions(answer, &[Permission::owner(0), Permission::new(5, Access::Read)]).await.unwrap();
    xs.write("/tool/xensnap/agent", b"secret").await.unwrap();
    let mut watch = xs.watch("/local/domain/5/data").await.unwrap();
    assert_eq!(next(&mut watch).await, WatchEvent::Resync);

    let mut guest = bed.daemon.guest(5);
    let access = |result: Result<_, Refused>| assert_eq!(result.unwrap_err(), Refused("EACCES".to_owned()));
    access(guest.read("/tool/xensnap/agent").map(drop));
    access(guest.write("/tool/xensnap/request/x", b"{}"));
    access(guest.directory("/tool").map(drop));
    access(guest.write(answer, b"forged"));
    access(guest.rm(answer));
    access(guest.set_permissions(answer, &["n5"]));
    assert_eq!(guest.read(answer).unwrap(), b"{}");
    guest.write("data/xensnap/request/a", b"{\"a\":1}").unwrap();

    assert_eq!(next(&mut watch).await, changed("/local/domain/5/data/xensnap/request/a"));
    let request = "/local/domain/5/data/xensnap/request/a";
    assert_eq!(xs.read(request).await.unwrap(), b"{\"a\":1}");
    assert_eq!(xs.permissions(request).await.unwrap(), guests, "its owner is the guest, not dom0");
    assert_eq!(xs.read("/tool/xensnap/agent").await.unwrap(), b"secret");

    // The quota is the guest's alone. C xenstored counts the children's names too.
    let refusal = (0..2000).find_map(|n| guest.write(&format!("data/q{n}"), b"").err()).expect("a quota");
    assert_eq!(refusal.0, if bed.is_c() { "ENOSPC" } else { "EQUOTA" });
    xs.write("/local/domain/5/data/q-from-dom0", b"").await.unwrap();
}

async fn domains_come_and_go(bed: Bed) {
    let xs = bed.connect().await;
    let mut came = xs.watch("@introduceDomain").await.unwrap();
    let mut went = xs.watch("@releaseDomain").await.unwrap();
    assert_eq!(next(&mut came).await, WatchEvent::Resync);
    assert_eq!(next(&mut went).await, WatchEvent::Resync);
    assert!(xs.introduce(9, 1, 5).await.is_err(), "no such domain");
    bed.daemon.add_domain(9);
    xs.introduce(9, 1, 5).await.unwrap();
    assert_eq!(next(&mut came).await, changed("@introduceDomain"));
    assert!(xs.is_introduced(9).await.unwrap());
    bed.daemon.set_domain(9, DomainState::Shutdown);
    bed.daemon.raise_virq();
    assert_eq!(next(&mut went).await, changed("@releaseDomain"));
    xs.release(9).await.unwrap();
    assert!(!xs.is_introduced(9).await.unwrap());
    bed.daemon.remove_domain(9);
}
