//! The whole way over real parts: a request key in a real xenstored, the real agent, a real QEMU guest with two qcow2 disks, a real file system.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test: helpers outside of #[test] functions too"
)]

mod main_job;
#[path = "../rig/mod.rs"]
mod rig;
