//! The store, from outside: one program, so that what the tests share is compiled once.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod check;
mod crash;
mod install;
mod journal;
mod medium;
mod migration;
mod reader;
mod rebuild;
mod support;
mod tree;
