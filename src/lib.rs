//! The contract and the client.

pub mod contract;
pub mod wire;
pub mod xenstore;
