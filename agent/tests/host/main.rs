//! The real host on real parts: QEMU (TCG, its firmware for a guest), qcow2 images, processes; xenstore is a map.
//!
//! Without `qemu-system-x86_64` and `qemu-img` these tests print that they are skipped.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

mod disks;
mod lifecycle;
mod memory;
mod pause;
mod ready;
mod rig;
