//! What a toolstack links: send a request to the agent, follow its operation to the end.
//!
//! ```text
//! send --> /tool/xensnap/request/$ID --> agent: journals it, writes the operation, removes the request
//! follow <-- /tool/xensnap/operation/$ID: queued, running (step i of n, progress) .. done | failed | cancelled | refused
//! acknowledge --> removes the operation
//! ```
//! The state is the agent's, on its disk; a [`Client`] holds none, and a program that dies can follow its operation again by
//! its id. Requests can be sent again: one id with the same bytes is one operation. [`Follow`] relies on that when xenstored
//! dies before the agent has read the request.
//!
//! ```no_run
//! use std::time::Duration;
//! use xensnap::client::{Client, Error};
//! use xensnap::contract::{DomainRef, OperationState, Request, RequestOp, VmSnapshotCreate};
//!
//! # async fn example() -> Result<(), Error> {
//! let client = Client::connect(&Default::default()).await?;
//! let domain = DomainRef::new("web").expect("a domain's name");
//! let request = Request::new(1, RequestOp::VmSnapshotCreate(VmSnapshotCreate::new(domain)));
//! let operation = client.run(&request, Duration::from_secs(600)).await?;
//! if operation.state != OperationState::Done {
//!     println!("{:?}", operation.error);
//! }
//! client.acknowledge(&operation.id).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Absent on purpose: reading the list of snapshots, which is not an operation (see `xensnap-store`'s reader).

mod error;
mod follow;
mod operation;
mod requests;
mod result;

pub use error::{Error, Result};
pub use follow::Follow;
pub use requests::{CONTRACT, Client, HEARTBEAT_MAX};
