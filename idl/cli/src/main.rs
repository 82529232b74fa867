//! `xenidl`: the command around the compiler. All knowledge of the language is the library's; here is what touches the
//! world: arguments, files, git, the editor, output.
//!
//! ```text
//! args (clap) -> unit (read the files) -> verb/* (one file a verb, calls the library) -> Outcome -> stdout, exit code
//!                                   \________ Failure ______________________/-> stderr, or stdout for machines
//! ```

mod args;
mod failure;
mod found;
mod git;
mod lsp;
mod template;
mod unit;
mod verb;

use args::Format;
use clap::Parser as _;
use failure::Failure;
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let format = args.format;
    let (code, text, machine) = match verb::run(args) {
        Ok(outcome) => (outcome.code, outcome.text, true),
        Err(Failure::Found(found)) if format != Format::Text => (1, found::show(&found, format), true),
        Err(failure) => (failure.exit_code(), failure.to_string(), false),
    };
    // A reader that has gone (`xenidl dump | head`) is no failure.
    let text = text.as_bytes();
    drop(if machine { std::io::stdout().write_all(text) } else { std::io::stderr().write_all(text) });
    ExitCode::from(code)
}
