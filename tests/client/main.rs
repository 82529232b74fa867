//! The client against a scripted agent, over both real daemons: what a Rust toolstack does, and what a person does by hand.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: helpers outside of #[test] functions too"
)]

mod agent;
mod by_hand;
mod operations;
mod outages;
mod results;
#[path = "../rig/mod.rs"]
mod rig;

use xensnap::client::{CONTRACT, Client};
use xensnap::contract::{DomainRef, Request, RequestOp, VmSnapshotCreate};

use rig::xenstored::Bed;

/// A request that the scripted agent carries out as its name says.
fn request(script: &str) -> Request {
    let domain = DomainRef::new(script).unwrap();
    Request::new(CONTRACT, RequestOp::VmSnapshotCreate(VmSnapshotCreate::new(domain)))
}

async fn client(bed: &Bed) -> Client {
    Client::new(bed.connect().await)
}
