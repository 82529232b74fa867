//! The flags, declared.

use clap::{Args as ClapArgs, Parser, Subcommand};
use std::path::PathBuf;

/// Compiler of libxl's interface definition language.
#[derive(Parser)]
#[command(
    name = "xenidl",
    version,
    arg_required_else_help = true,
    after_help = "exit codes: 0 fine, 1 the files have errors, 2 wrong use, 3 a file cannot be read or written"
)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Check the files as one unit
    Check(Files),
    /// Generate code
    Build(Build),
    /// Show the model as JSON
    Dump(Files),
    /// Make random documents of the types
    Sample(Sample),
    /// List the error codes
    Codes,
    /// Show the constants that are built in for libxl's files
    Prelude,
}

/// The files of a unit.
#[derive(ClapArgs)]
pub(crate) struct Files {
    /// The files, which are one unit
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<String>,
    /// A file of constants for `init_val`, read before the others (may be given more than once)
    #[arg(long, value_name = "FILE")]
    pub(crate) prelude: Vec<String>,
}

/// `build`.
#[derive(ClapArgs)]
pub(crate) struct Build {
    /// The language
    #[arg(long)]
    pub(crate) lang: String,
    /// The folder to write into
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// `sample`.
#[derive(ClapArgs)]
pub(crate) struct Sample {
    /// Only this type (may be given more than once)
    #[arg(long = "type", value_name = "NAME")]
    pub(crate) types: Vec<String>,
    /// How many of each type
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) count: u32,
    /// The same seed gives the same documents
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Documents with one thing wrong, each below a line that says what and where
    #[arg(long)]
    pub(crate) refused: bool,
    /// Nothing that this version of the types does not know
    #[arg(long)]
    pub(crate) known: bool,
    /// A line for each: the type's name, a space, the document without its line ends
    #[arg(long)]
    pub(crate) lines: bool,
    #[command(flatten)]
    pub(crate) files: Files,
}
