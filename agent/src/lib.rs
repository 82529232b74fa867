//! `xensnapd`: carries out what toolstacks ask. The modules in the order in which a request passes them:
//!
//! ```text
//!   inbox -> admit -> plan -> journal(intent, synced) -> execute -> journal(outcome, synced) -> outbox
//!     |        |                                           |                                     |
//!  xenstore  domains                                      host                               xenstore
//! ```
//!
//! [`agent`] ties them: a queue a domain, one operation at a time on each, domains side by side. Everything that touches the world is behind
//! [`host::Host`]; recovery, dry run, progress and cancel are the same steps read differently ([`execute`]).

pub mod admit;
pub mod agent;
pub mod config;
pub mod execute;
pub mod fault;
pub mod flags;
pub mod guests;
pub mod host;
pub mod inbox;
pub mod journal;
pub mod libxl;
pub mod log;
pub mod outbox;
pub mod plan;
pub mod serve;
//pub mod serve;

/// The version of the contract that this agent speaks and writes.
pub const CONTRACT: u32 = 1;

#[cfg(test)]
mod simulation;
