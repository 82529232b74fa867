//! The command line tool, run as a user runs it: whole output, error output and exit code compared.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod agent;
mod fixture;
mod flow;
mod reads;
mod real;
#[path = "../rig/mod.rs"]
mod rig;
mod support;
mod usage;
