//! The contract and the client.
