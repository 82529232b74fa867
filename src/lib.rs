//! The contract and the client.

pub mod contract;
pub mod wire;
