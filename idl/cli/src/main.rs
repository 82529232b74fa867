//! `xenidl`: the command around the compiler. All knowledge of the language is the library's; here is what touches the
//! world: arguments, files, output.
//!
//! ```text
//! args (clap) -> unit (read the files) -> verb/* (one file a verb, calls the library) -> stdout, exit code
//!                                   \________ failure: what to say on stderr, exit code ________/
//! ```

mod args;
mod failure;
mod unit;
mod verb;

use clap::Parser as _;
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    match verb::run(args::Args::parse()) {
        Ok(text) => {
            // A reader that has gone (`xenidl dump | head`) is no failure.
            drop(std::io::stdout().write_all(text.as_bytes()));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            drop(std::io::stderr().write_all(failure.said().as_bytes()));
            ExitCode::from(failure.exit_code())
        }
    }
}
