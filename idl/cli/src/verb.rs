//! The verbs: each takes its flags and returns what goes to stdout.

mod build;
mod check;
mod sample;

use crate::args::{Args, Verb};
use crate::failure::Failure;
use crate::unit;
use std::fmt::Write as _;
use xenidl::dump;

/// Does what the arguments ask.
pub(crate) fn run(args: Args) -> Result<String, Failure> {
    match args.verb {
        Verb::Check(files) => check::run(&files),
        Verb::Build(build) => build::run(&build),
        Verb::Dump(files) => Ok(dump::dump(&unit::model(&unit::read(&files)?)?)),
        Verb::Sample(sample) => sample::run(&sample),
        Verb::Codes => Ok(codes()),
        Verb::Prelude => Ok(xenidl::PRELUDE.into()),
    }
}

fn codes() -> String {
    xenidl::Code::ALL.iter().fold(String::new(), |mut out, code| {
        let _ = writeln!(out, "{}  {}", code.as_str(), code.rule());
        out
    })
}
