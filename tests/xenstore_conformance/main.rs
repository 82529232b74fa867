//! One suite for both of Xen's daemons, C xenstored and oxenstored, run as they are: what `xensnap::xenstore` promises holds
//! on both, and where they differ the test says how.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: helpers outside of #[test] functions too"
)]

mod domains;
mod failures;
mod nodes;
#[path = "../rig/mod.rs"]
mod rig;
mod transactions;
mod watches;

use xensnap::xenstore::{Errno, Error};

fn errno<T: std::fmt::Debug>(result: Result<T, Error>) -> Errno {
    match result {
        Err(Error::Refused { errno, .. }) => errno,
        other => panic!("expected a refusal, got {other:?}"),
    }
}
