//! The contract and the client.

pub mod client;
pub mod contract;
pub mod journal;
pub mod paths;
pub mod wire;
pub mod xenstore;
