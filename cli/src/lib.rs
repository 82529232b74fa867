//! The command line tool `xensnap`.
//!
//! ```text
//!   flags (low: one declarative table)  ->  verb/* (high: one file a verb)
//!                                              |
//!          reads:  session.domain (resolve) -> store -> view -> output
//!          asks:   request -> link (xenstore) -> wait (follow, progress, cancel) -> report -> output
//!                                              |
//!                                 error -> exit (the table of exit codes)
//! ```
//!
//! The results of a verb go to the output, everything else to the error output. Never here: anything that changes a domain, a disk or (but for
//! `store rebuild`, with the agent stopped) the store. That is the agent's alone.

mod error;
mod exit;
mod flags;
mod link;
mod output;
mod progress;
mod resolve;
mod run;
mod session;
mod settings;
mod text;
mod verb;
mod view;
mod wait;

pub use exit::text as exit_codes;
pub use run::{command, main};
