//! From the process's arguments to its exit code.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::error::Result;
use crate::exit::Exit;
use crate::flags::Flags;
use crate::output::complain;
use crate::session::Session;
use crate::verb;

/// Runs the tool with the process's arguments.
pub fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) => {
            // To the output for --help and --version, to the error output otherwise.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Usage } else { Exit::Ok }.code());
        }
    };
    let exit = match run(&flags) {
        Ok(()) => Exit::Ok,
        Err(error) if error.is_broken_pipe() => Exit::Ok,
        Err(error) => {
            complain(&error);
            error.exit()
        }
    };
    ExitCode::from(exit.code())
}

/// The table of verbs and flags, for those who document it.
#[must_use]
pub fn command() -> clap::Command {
    Flags::command()
}

fn run(flags: &Flags) -> Result<()> {
    let mut session = Session::new(&flags.global)?;
    let result = verb::run(&mut session, &flags.verb);
    // What was written before an error belongs before its message.
    let flushed = session.out.flush();
    result.and(flushed)
}
