//! `xensnapd`.

pub mod fault;
pub mod host;
