//! The real parts that the integration tests run on. A test binary takes it in with `mod rig;`.
#![allow(dead_code, unused_imports, unused_macros, reason = "each test binary uses its own part of the rig")]

pub(crate) mod dom0;
pub(crate) mod guest;
pub(crate) mod xenstored;
