//! The flags, declared.

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Compiler of libxl's interface definition language.
#[derive(Parser)]
#[command(
    name = "xenidl",
    version,
    arg_required_else_help = true,
    after_help = "exit codes: 0 fine, 1 the files have errors (lint: findings; fmt, lock --check: not as they should be), 2 wrong use, \
                  3 a file cannot be read or written, 4 breaking changes"
)]
pub(crate) struct Args {
    /// How findings are written
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub(crate) format: Format,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// How findings are written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON document, on stdout
    Json,
    /// GitHub's workflow commands, on stdout
    Github,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Check the files as one unit, and with --against what changed since
    Check(Check),
    /// Generate code
    Build(Build),
    /// Bring files into the one layout
    Fmt(Fmt),
    /// Tell what compiles and could still be better
    Lint(Lint),
    /// Write the interface as it is agreed upon now
    Lock(Lock),
    /// Check again, or build again, whenever a file changes
    Watch(Watch),
    /// Tell what a code means, with an example that is wrong and one that is right
    Explain {
        /// The code, as `xenidl codes` lists it
        code: String,
    },
    /// Serve an editor over stdin and stdout (Language Server Protocol)
    Lsp,
    /// Show the model as JSON
    Dump(Files),
    /// Make random documents of the types
    Sample(Sample),
    /// List the codes of errors and lints
    Codes,
    /// Show the constants that are built in for libxl's files
    Prelude,
}

/// The files of a unit.
#[derive(ClapArgs, Clone)]
pub(crate) struct Files {
    /// The files, which are one unit
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<String>,
    /// A file of constants for `init_val`, read before the others (may be given more than once)
    #[arg(long, value_name = "FILE")]
    pub(crate) prelude: Vec<String>,
}

/// `check`.
#[derive(ClapArgs)]
pub(crate) struct Check {
    /// What to compare with: a git revision of the same files, or other files, a folder of them, a schema.lock (files: may be
    /// given more than once)
    #[arg(long, value_name = "REV|FILE")]
    pub(crate) against: Vec<String>,
    /// What may not break, where not everything counts: json (json-read, json-write), xenstore, source (rust, python, go,
    /// ocaml, c, ts)
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "against")]
    pub(crate) surface: Vec<String>,
    /// Show breaking changes only
    #[arg(long, requires = "against")]
    pub(crate) brief: bool,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// `build`.
#[derive(ClapArgs)]
pub(crate) struct Build {
    /// The language
    #[arg(long, required_unless_present = "template")]
    pub(crate) lang: Option<String>,
    /// Instead of a language: a template of minijinja, or a folder of them (idl/cli/templates/README.md says what they see)
    #[arg(long, value_name = "DIR_OR_FILE", conflicts_with = "lang")]
    pub(crate) template: Option<PathBuf>,
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
    /// Documents with one to three things changed at random: they may still be right
    #[arg(long, conflicts_with = "refused")]
    pub(crate) mutated: bool,
    /// Nothing that this version of the types does not know
    #[arg(long)]
    pub(crate) known: bool,
    /// A line for each: the type's name, a space, the document without its line ends
    #[arg(long)]
    pub(crate) lines: bool,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// `fmt`.
#[derive(ClapArgs)]
pub(crate) struct Fmt {
    /// Write nothing; name the files that are laid out otherwise
    #[arg(long)]
    pub(crate) check: bool,
    /// The files; `-`: from stdin to stdout
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<String>,
}

/// `lock`.
#[derive(ClapArgs)]
pub(crate) struct Lock {
    /// Write nothing; tell what changed since it was written
    #[arg(long)]
    pub(crate) check: bool,
    /// The lock; left out: schema.lock beside the first file
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// `lint`.
#[derive(ClapArgs)]
pub(crate) struct Lint {
    /// Leave these out (`L007`)
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub(crate) allow: Vec<String>,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// `watch`.
#[derive(ClapArgs)]
pub(crate) struct Watch {
    /// Build for this language
    #[arg(long, requires = "out")]
    pub(crate) lang: Option<String>,
    /// Build by this template, or folder of templates
    #[arg(long, value_name = "DIR_OR_FILE", requires = "out", conflicts_with = "lang")]
    pub(crate) template: Option<PathBuf>,
    /// The folder to write into
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) files: Files,
}
