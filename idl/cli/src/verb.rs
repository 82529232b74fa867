//! The verbs: each takes its flags and returns what goes to stdout.

mod build;
mod check;
mod fmt;
mod lint;
mod lock;
mod lsp;
mod sample;
mod watch;

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
        Verb::Lint(lint) => lint::run(&lint, args.format),
        Verb::Watch(watch) => watch::run(&watch),
        Verb::Explain { code } => explain(&code).map(Outcome::fine),
        Verb::Lsp => lsp::run(),
        Verb::Lock(lock) => lock::run(&lock),
        Verb::Dump(files) => Ok(Outcome::fine(dump::dump(&unit::model(&unit::read(&files)?)?))),
        Verb::Sample(sample) => sample::run(&sample).map(Outcome::fine),
        Verb::Codes => Ok(Outcome::fine(codes())),
        Verb::Prelude => Ok(Outcome::fine(xenidl::PRELUDE)),
    }
}

fn codes() -> String {
    xenidl::explain::codes().fold(String::new(), |mut out, (code, rule)| {
        let _ = writeln!(out, "{code}  {rule}");
        out
    })
}

fn explain(code: &str) -> Result<String, Failure> {
    let found = xenidl::explain::explain(code);
    let unknown = || Failure::Usage(format!("no code is called `{code}`; `xenidl codes` lists them"));
    found.map(|e| e.show()).ok_or_else(unknown)
}
