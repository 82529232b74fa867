//! The figures that are promised, measured over real parts and beside bare rivals in the same run: `tests/bench`, or
//! `cargo bench -p xensnap --bench figures -- [disk] [vm] [many]` after `cargo build --release -p xensnapd`.
//!
//! ```text
//!   disk   snapshot of two disks          | bare QMP | socat + jq
//!   vm     memory and two disks           | bare QMP in the same order
//!   many   1 000 requests to 20 domains, then the idle agent
//!      \--> rows of one table: name | ours | rival | ratio | limit | verdict
//! ```
//!
//! Ours and the rivals take turns on one guest, and each round's snapshots are deleted before the next: a snapshot costs more the more there are. Figures are
//! medians, in brackets the 10th and the 90th percentile. `XENSNAP_BENCH_ROUNDS` says how many rounds. The exit code is 1 when a limit is not kept.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a bench may fail"
)]

mod bare;
mod client;
mod disk;
mod many;
#[path = "../../tests/rig/mod.rs"]
mod rig;
mod table;
mod vm;

use std::process::ExitCode;

use rig::dom0::Dom0;
use table::Table;

fn main() -> ExitCode {
    // `cargo test --benches` only wants to know that it builds.
    if !std::env::args().any(|a| a == "--bench") {
        return ExitCode::SUCCESS;
    }
    let agent = std::fs::read(Dom0::program("xensnapd")).unwrap();
    let faults = agent.windows(14).any(|w| w == b"XENSNAPD_FAULT");
    assert!(!faults, "this agent has fault points: cargo build --release -p xensnapd");

    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |word: &str| words.is_empty() || words.iter().any(|w| w == word);
    let mut table = Table::default();
    if wanted("disk") {
        disk::run(&mut table, rounds(60));
    }
    if wanted("vm") {
        vm::run(&mut table, rounds(15));
    }
    if wanted("many") {
        many::run(&mut table);
    }
    println!("{table}");
    if table.kept() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn rounds(usual: usize) -> usize {
    std::env::var("XENSNAP_BENCH_ROUNDS")
        .map_or(usual, |n| n.parse().expect("XENSNAP_BENCH_ROUNDS: a number"))
}
