//! The store, from outside: one program, so that what the tests share is compiled once.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod journal;
mod support;
mod tree;
