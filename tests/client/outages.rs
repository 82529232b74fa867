//! The agent or xenstored dies, or never was.

use std::sync::Arc;
use std::time::Duration;

use xensnap::client::{Client, Error};
use xensnap::contract::{AgentStatus, OperationState};
use xensnap::paths;
use xensnap::wire::{self, Timestamp};

use crate::agent::{FakeAgent, beat};
use crate::rig::xenstored::{Bed, on_both};
use crate::{client, request};

const LONG: Duration = Duration::from_secs(20);

on_both!(
    without_an_agent_nothing_is_sent,
    a_request_waits_for_the_agent,
    the_agent_dies_meanwhile,
    the_agent_restarts_meanwhile,
    xenstored_dies_before_the_agent_has_read,
    xenstored_dies_while_it_runs,
    xenstored_dies_again_and_again,
    nonsense_in_xenstore_is_named,
);

async fn without_an_agent_nothing_is_sent(bed: Bed) {
    let client = client(&bed).await;
    assert!(matches!(client.run(&request("quick"), LONG).await, Err(Error::NoAgent)));
    let old = Timestamp::now().checked_sub(Duration::from_secs(31)).unwrap();
    beat(client.connection(), old).await;
    let error = client.run(&request("quick"), LONG).await.unwrap_err();
    assert!(matches!(error, Error::StaleAgent { age } if age.as_secs() == 31), "{error}");
    assert_eq!(error.to_string(), "the agent has not been heard of for 31 s; restart xensnapd");
    assert!(client.connection().directory(paths::REQUESTS).await.unwrap_err().is_no_entry());
    beat(client.connection(), Timestamp::now().checked_sub(Duration::from_secs(20)).unwrap()).await;
    let status: AgentStatus = client.agent_status().await.unwrap();
    assert_eq!(status.pid, 1);
}

async fn a_request_waits_for_the_agent(bed: Bed) {
    let client = client(&bed).await;
    let id = client.send(&request("quick")).await.unwrap();
    let mut follow = client.follow(&id).await.unwrap();
    let agent = FakeAgent::start(&bed).await;
    assert_eq!(follow.end().await.unwrap().state, OperationState::Done);
    assert_eq!(agent.begun(&id), 1);
}

async fn the_agent_dies_meanwhile(bed: Bed) {
    let mut agent = FakeAgent::start(&bed).await;
    let client = client(&bed).await.with_heartbeat_max(Duration::from_millis(600));
    let mut follow = client.start(&request("slow")).await.unwrap();
    while follow.next().await.unwrap().unwrap().step < 3 {}
    agent.die();
    let died = std::time::Instant::now();
    assert!(matches!(follow.next().await, Err(Error::StaleAgent { .. })));
    assert!(died.elapsed() > Duration::from_millis(500), "a short silence is none");
    // Gone altogether, as after xenstored's restart without an agent.
    client.connection().rm(paths::AGENT).await.unwrap();
    assert!(matches!(follow.next().await, Err(Error::NoAgent)));
    // It comes back, and the same follow goes on.
    let agent = FakeAgent::start_on(&bed, Arc::clone(&agent.disk)).await;
    let done = tokio::spawn(async move { follow.end().await });
    let cancel = client.cancel(&agent.only_id()).await.unwrap();
    assert_eq!(done.await.unwrap().unwrap().state, OperationState::Cancelled);
    client.follow(&cancel).await.unwrap().end().await.unwrap();
}

async fn the_agent_restarts_meanwhile(bed: Bed) {
    let mut agent = FakeAgent::start(&bed).await;
    let client = client(&bed).await.with_heartbeat_max(Duration::from_secs(2));
    let running = {
        let client = client.clone();
        tokio::spawn(async move { client.run(&request("slow"), LONG).await })
    };
    while agent.try_only_id().is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    agent.die();
    client.connection().rm(paths::AGENT).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let agent = FakeAgent::start_on(&bed, Arc::clone(&agent.disk)).await;
    client.cancel(&agent.only_id()).await.unwrap();
    assert_eq!(running.await.unwrap().unwrap().state, OperationState::Cancelled);
}

/// The request is lost with the store, and sent again: the same id, the same bytes.
async fn xenstored_dies_before_the_agent_has_read(mut bed: Bed) {
    let mut agent = FakeAgent::start(&bed).await;
    let client = client(&bed).await;
    agent.die(); // its status still looks alive
    let mut follow = client.start(&request("quick")).await.unwrap();
    let path = paths::request(follow.id());
    let first = client.connection().read(&path).await.unwrap();
    let id = follow.id().clone();
    let following = tokio::spawn(async move { follow.end().await });
    bed.daemon.restart();
    let xs = bed.connect().await;
    let limit = std::time::Instant::now() + LONG;
    let again = loop {
        match xs.read(&path).await {
            Ok(again) => break again,
            Err(_) => assert!(std::time::Instant::now() < limit, "never sent again"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(again, first);
    let agent = FakeAgent::start_on(&bed, Arc::clone(&agent.disk)).await;
    assert_eq!(following.await.unwrap().unwrap().state, OperationState::Done);
    assert_eq!(agent.begun(&id), 1);
}

async fn xenstored_dies_while_it_runs(mut bed: Bed) {
    let agent = FakeAgent::start(&bed).await;
    let client = client(&bed).await;
    let mut follow = client.start(&request("slow")).await.unwrap();
    while follow.next().await.unwrap().unwrap().step < 3 {}
    let id = follow.id().clone();
    let following = tokio::spawn(async move { follow.end().await });
    bed.daemon.restart();
    tokio::time::sleep(Duration::from_millis(200)).await;
    agent.disk.let_go.notify_one();
    assert_eq!(following.await.unwrap().unwrap().state, OperationState::Done);
    assert_eq!(agent.begun(&id), 1);
}

async fn xenstored_dies_again_and_again(mut bed: Bed) {
    let agent = FakeAgent::start(&bed).await;
    let client = client(&bed).await;
    let runs: Vec<_> = (0..20)
        .map(|n: u64| {
            let client = client.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(n * 20)).await;
                // What a toolstack does when the very first words meet the outage: nothing was sent.
                loop {
                    match client.run(&request("quick"), LONG).await {
                        Err(Error::NoAgent | Error::Xenstore(_)) => {}
                        ended => break ended,
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
        })
        .collect();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(80)).await;
        bed.daemon.restart();
    }
    for run in runs {
        let operation = run.await.unwrap().unwrap();
        assert_eq!(operation.state, OperationState::Done);
        assert_eq!(agent.begun(&operation.id), 1);
    }
}

async fn nonsense_in_xenstore_is_named(bed: Bed) {
    let client: Client = client(&bed).await;
    client.connection().write(paths::AGENT, b"{\"contract\":1}").await.unwrap();
    let error = client.agent_status().await.unwrap_err();
    let Error::Decode { ref path, ref source } = error else { panic!("{error}") };
    assert_eq!(path, paths::AGENT);
    assert!(matches!(source, wire::DecodeError::Value { .. }), "{source:?}");
}
