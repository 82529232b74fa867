//! Requests and their operations, with nothing in the way.

use std::time::Duration;

use xensnap::client::Error;
use xensnap::contract::{ErrorKind, Operation, OperationId, OperationState};
use xensnap::paths;
use xensnap::xenstore::Permission;

use crate::agent::FakeAgent;
use crate::rig::xenstored::{Bed, Refused, on_both};
use crate::{client, request};

const LONG: Duration = Duration::from_secs(20);

on_both!(
    run_to_the_end,
    every_end_is_an_operation,
    follow_shows_progress,
    cancelling,
    a_timeout_leaves_the_operation_alone,
    acknowledging,
    following_from_elsewhere,
    the_same_id_twice,
    a_hundred_at_once,
    requests_are_for_dom0,
    dropping_a_call_loses_nothing,
);

async fn run_to_the_end(bed: Bed) {
    let agent = FakeAgent::start(&bed).await;
    let client = client(&bed).await;
    let operation = client.run(&request("quick"), LONG).await.unwrap();
    assert_eq!((operation.state, operation.step, operation.error), (OperationState::Done, 3, None));
    assert_eq!(agent.begun(&operation.id), 1);
    assert_eq!(client.agent_status().await.unwrap().contract, 1);
    let left = client.connection().directory(paths::REQUESTS).await.unwrap();
    assert_eq!(left, Vec::<String>::new(), "the request is removed");
}

async fn every_end_is_an_operation(bed: Bed) {
    let _agent = FakeAgent::start(&bed).await;
    let client = client(&bed).await;
    for (script, state, kind) in [
        ("fails", OperationState::Failed, ErrorKind::BackendFailed),
        ("refused", OperationState::Refused, ErrorKind::NoDomain),
    ] {
        let operation = client.run(&request(script), LONG).await.unwrap();
        assert_eq!(operation.state, state);
        assert_eq!(operation.error.unwrap().kind, kind);
    }
}

async fn follow_shows_progress(bed: Bed) {
    let agent = FakeAgent::start(&bed).await;
    let client = client(&bed).await;
    let mut follow = client.start(&request("slow")).await.unwrap();
    let mut steps = Vec::new();
    while let Some(operation) = follow.next().await.unwrap() {
        steps.push((operation.state.clone(), operation.step));
        assert_eq!(follow.last(), Some(&operation));
        if operation.step == 3 {
            agent.disk.let_go.notify_one();
        }
    }
    assert!(steps.is_sorted_by_key(|(state, step)| (state.is_end(), *step)), "{steps:?}");
    assert!(steps.contains(&(OperationState::Running, 3)), "{steps:?}");
    assert_eq!(steps.last(), Some(&(OperationState::Done, 3)));
    assert_eq!(follow.next().await.unwrap(), None, "after the end");
    assert_eq!(follow.end().await.unwrap().state, OperationState::Done);
}

async fn cancelling(bed: Bed) {
    let _agent = FakeAgent::start(&bed).await;
    let client = client(&bed).await;
    let mut follow = client.start(&request("slow")).await.unwrap();
    follow.next().await.unwrap().unwrap();
    let cancel = client.cancel(follow.id()).await.unwrap();
    assert_eq!(follow.end().await.unwrap().state, OperationState::Cancelled);
    let cancel = client.follow(&cancel).await.unwrap().end().await.unwrap();
    assert_eq!(cancel.state, OperationState::Done);
}

async fn a_timeout_leaves_the_operation_alone(bed: Bed) {
    let agent = FakeAgent::start(&bed).await;
    let client = client(&bed).await;
    let error = client.run(&request("slow"), Duration::from_millis(500)).await.unwrap_err();
    let Error::Timeout { id, last, .. } = error else { panic!("{error}") };
    assert_eq!(last.unwrap().state, OperationState::Running);
    assert!(matches!(client.acknowledge(&id).await, Err(Error::NotEnded { .. })));
    agent.disk.let_go.notify_one();
    assert_eq!(client.follow(&id).await.unwrap().end().await.unwrap().state, OperationState::Done);
}

async fn acknowledging(bed: Bed) {
    let _agent = FakeAgent::start(&bed).await;
    let client = client(&bed).await;
    let ids = |all: Vec<Operation>| all.into_iter().map(|operation| operation.id).collect::<Vec<_>>();
    let operation = client.run(&request("quick"), LONG).await.unwrap();
    assert_eq!(ids(client.operations().await.unwrap()), std::slice::from_ref(&operation.id));
    client.acknowledge(&operation.id).await.unwrap();
    assert_eq!(client.operation(&operation.id).await.unwrap(), None);
    assert_eq!(ids(client.operations().await.unwrap()), Vec::<OperationId>::new());
    client.acknowledge(&operation.id).await.unwrap(); // again
    // Somebody else acknowledges while it is followed to an end that was not seen yet.
    let mut follow = client.start(&request("slow")).await.unwrap();
    while follow.next().await.unwrap().unwrap().step < 3 {}
    client.connection().rm(&paths::operation(follow.id())).await.unwrap();
    assert!(matches!(follow.next().await, Err(Error::NoOperation { .. })));
}

async fn following_from_elsewhere(bed: Bed) {
    let mut agent = FakeAgent::start(&bed).await;
    let client = client(&bed).await;
    let unknown = OperationId::new("unknown").unwrap();
    assert!(matches!(client.follow(&unknown).await, Err(Error::NoOperation { id }) if id == unknown));
    let ended = client.run(&request("quick"), LONG).await.unwrap();
    let mut follow = crate::client(&bed).await.follow(&ended.id).await.unwrap();
    assert_eq!(follow.next().await.unwrap(), Some(ended), "an end that was there before");
    assert_eq!(follow.next().await.unwrap(), None);
    // A request that no agent has read yet.
    agent.die();
    let waiting = client.send(&request("quick")).await.unwrap();
    let mut follow = client.follow(&waiting).await.unwrap();
    let disk = std::sync::Arc::clone(&agent.disk);
    let _agent = FakeAgent::start_on(&bed, disk).await;
    assert_eq!(follow.end().await.unwrap().state, OperationState::Done);
}

async fn the_same_id_twice(bed: Bed) {
    let agent = FakeAgent::start(&bed).await;
    let client = client(&bed).await;
    let id = OperationId::new("chosen-by_me").unwrap();
    let first = client.start_as(id.clone(), &request("quick")).await.unwrap().end().await.unwrap();
    client.send_as(&id, &request("quick")).await.unwrap();
    let again = client.start_as(id.clone(), &request("quick")).await.unwrap().end().await.unwrap();
    assert_eq!(first, again);
    assert_eq!(agent.begun(&id), 1);
}

async fn a_hundred_at_once(bed: Bed) {
    let agent = FakeAgent::start(&bed).await;
    let client = client(&bed).await;
    let runs = (0..100).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.run(&request("quick"), LONG).await })
    });
    let mut ids = std::collections::BTreeSet::new();
    for run in runs.collect::<Vec<_>>() {
        let operation = run.await.unwrap().unwrap();
        assert_eq!(operation.state, OperationState::Done);
        assert_eq!(agent.begun(&operation.id), 1);
        ids.insert(operation.id);
    }
    assert_eq!(ids.len(), 100);
}

/// Whatever the permissions above it are: without an agent nobody has made the folder.
async fn requests_are_for_dom0(bed: Bed) {
    let client = client(&bed).await;
    let xs = client.connection();
    xs.mkdir("/tool").await.unwrap();
    let open = [Permission::new(0, xensnap::xenstore::Access::ReadWrite)];
    xs.set_permissions("/tool", &open).await.unwrap();
    let id = client.send(&request("quick")).await.unwrap();
    assert_eq!(xs.permissions(&paths::request(&id)).await.unwrap(), [Permission::owner(0)]);
    bed.daemon.add_domain(5);
    xs.introduce(5, 1, 5).await.unwrap();
    // Made private again, where somebody opened it.
    xs.set_permissions(paths::REQUESTS, &open).await.unwrap();
    let second = client.send(&request("quick")).await.unwrap();
    assert_eq!(xs.permissions(&paths::request(&second)).await.unwrap(), [Permission::owner(0)]);
    let mut guest = bed.daemon.guest(5);
    guest.directory("/tool").unwrap(); // open, as made above
    let denied = Refused("EACCES".to_owned());
    assert_eq!(guest.directory(paths::REQUESTS).unwrap_err(), denied);
    assert_eq!(guest.read(&paths::request(&id)).unwrap_err(), denied);
    assert_eq!(guest.write(&paths::request(&id), b"{}").unwrap_err(), denied);
}

/// A caller that polls `next` in a `select!` beside its own events sees every state all the same.
async fn dropping_a_call_loses_nothing(bed: Bed) {
    let agent = FakeAgent::start(&bed).await;
    let client = client(&bed).await;
    let mut follow = client.start(&request("slow")).await.unwrap();
    let mut state = None;
    let mut interrupted = 0;
    while state != Some(OperationState::Done) {
        match tokio::time::timeout(Duration::from_micros(50), follow.next()).await {
            Ok(next) => state = next.unwrap().map(|operation| operation.state),
            Err(_) => interrupted += 1,
        }
        if interrupted == 200 {
            agent.disk.let_go.notify_one();
        }
        assert!(interrupted < 20_000, "the end was lost; last: {state:?}");
    }
}
