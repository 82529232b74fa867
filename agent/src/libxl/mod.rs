//! The host's libxl, used by a small process of its own: `xensnap-libxl`. The agent itself never loads it.
//!
//! A process of its own, because libxl forks and reaps children, ends a process on some errors, and takes a minute for a guest that does not answer; and because what
//! it does must outlive the agent. Here are the types of the protocol ([`protocol`]), which the agent's driver uses too.

pub mod protocol;
