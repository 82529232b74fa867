//! The verbs: each takes its flags and returns what goes to stdout.

mod build;
mod check;
mod fmt;
mod lock;
mod sample;

use crate::args::{Args, Verb};
use crate::failure::{Failure, Outcome};
use crate::unit;
use std::fmt::Write as _;
use xenidl::dump;

/// Does what the arguments ask.
pub(crate) fn run(args: Args) -> Result<Outcome, Failure> {
    match args.verb {
        Verb::Check(check) => check::run(&check, args.format),
        Verb::Build(build) => build::run(&build).map(Outcome::fine),
        Verb::Fmt(fmt) => fmt::run(&fmt),
        Verb::Lock(lock) => lock::run(&lock),
        Verb::Dump(files) => Ok(Outcome::fine(dump::dump(&unit::model(&unit::read(&files)?)?))),
        Verb::Sample(sample) => sample::run(&sample).map(Outcome::fine),
        Verb::Codes => Ok(Outcome::fine(codes())),
        Verb::Prelude => Ok(Outcome::fine(xenidl::PRELUDE)),
    }
}

fn codes() -> String {
    xenidl::Code::ALL.iter().fold(String::new(), |mut out, code| {
        let _ = writeln!(out, "{}  {}", code.as_str(), code.rule());
        out
    })
}
