//! What goes wrong, over real parts: bad requests, and every part dying in the middle. After each case [`whole::all_or_nothing`] looks at all that is left.
//!
//! The matrices run a representative part on alternating xenstoreds; `XENSNAP_EXHAUSTIVE=1` runs all of them.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test: helpers outside of #[test] functions too"
)]

mod agent_dies;
mod bad_requests;
mod guest_requests;
mod qemu_dies;
#[path = "../rig/mod.rs"]
mod rig;
mod store_faults;
mod whole;
mod xenstored_dies;
