//! Evolution: what changed between two models of one interface, and what each change breaks.
//!
//! ```text
//! Model before ─┐
//!               ├─> pair the types (pair) -> compare them (decls, fields, types) -> Changes -> Report
//! Model now   ──┘
//! ```
//! A change breaks a [`Surface`] when something that worked before does not, or means something else:
//!
//! - `json-read`: a program of now reads a document of before. It is refused, or its content is lost or read otherwise.
//! - `json-write`: a program of before reads a document of now. What only appears when the new thing is asked for (an
//!   optional field, a new value in a request) breaks nothing: who asks knows.
//! - `xenstore`: a path, or who may write there.
//! - a language: source that used the generated package of before no longer compiles (or type-checks) with that of now. New
//!   fields count where a value is written whole; libxl's types begin with their defaults, so there they do not.
//!
//! Documentation is not compared. What the languages' rules rest on is said beside each of them.

mod decls;
mod fields;
mod pair;
mod report;
mod types;

use crate::diag::Span;
use crate::model::{Dir, Model};

/// What can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Surface {
    /// Documents of before, read by programs of now.
    JsonRead,
    /// Documents of now, read by programs of before.
    JsonWrite,
    /// Paths in xenstore, and who writes there.
    Xenstore,
    /// Source in Rust.
    Rust,
    /// Source in Python.
    Python,
    /// Source in Go.
    Go,
    /// Source in OCaml.
    Ocaml,
    /// Source in C.
    C,
    /// Source in TypeScript.
    TypeScript,
}

impl Surface {
    /// All of them.
    pub const ALL: &'static [Surface] = &[
        Surface::JsonRead,
        Surface::JsonWrite,
        Surface::Xenstore,
        Surface::Rust,
        Surface::Python,
        Surface::Go,
        Surface::Ocaml,
        Surface::C,
        Surface::TypeScript,
    ];
    /// The languages.
    pub const LANGUAGES: &'static [Surface] =
        &[Surface::Rust, Surface::Python, Surface::Go, Surface::Ocaml, Surface::C, Surface::TypeScript];

    /// Its name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Surface::JsonRead => "json-read",
            Surface::JsonWrite => "json-write",
            Surface::Xenstore => "xenstore",
            Surface::Rust => "rust",
            Surface::Python => "python",
            Surface::Go => "go",
            Surface::Ocaml => "ocaml",
            Surface::C => "c",
            Surface::TypeScript => "ts",
        }
    }
}

/// What a change breaks, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// Where.
    pub surfaces: Vec<Surface>,
    /// Why.
    pub why: String,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The type, by its name of now, or of before when it is gone.
    pub ty: String,
    /// What of it: "field `x`", or nothing for the type itself.
    pub place: String,
    /// What happened to it.
    pub what: String,
    /// What that breaks; nothing when it is fine.
    pub breaks: Vec<Break>,
    /// Where it stands in the files of now, when it still does.
    pub span: Option<Span>,
}

impl Change {
    /// Whether it breaks one of these.
    #[must_use]
    pub fn breaks_any(&self, surfaces: &[Surface]) -> bool {
        self.breaks.iter().any(|b| b.surfaces.iter().any(|s| surfaces.contains(s)))
    }

    fn breaking(mut self, surfaces: &[Surface], why: impl Into<String>) -> Self {
        self.add(surfaces, why);
        self
    }

    fn add(&mut self, surfaces: &[Surface], why: impl Into<String>) {
        if !surfaces.is_empty() {
            self.breaks.push(Break { surfaces: surfaces.to_vec(), why: why.into() });
        }
    }
}

/// All changes between two models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The changes, in order of the types of now, those that are gone after them.
    pub changes: Vec<Change>,
    /// How many types there were.
    pub before: usize,
    /// How many there are.
    pub now: usize,
}

impl Report {
    /// How many changes break one of these surfaces.
    #[must_use]
    pub fn breaking(&self, surfaces: &[Surface]) -> usize {
        self.changes.iter().filter(|c| c.breaks_any(surfaces)).count()
    }
}

/// Compares two models.
#[must_use]
pub fn compare(before: &Model, now: &Model) -> Report {
    let pairs = pair::Pairs::new(before, now);
    let mut cx = Cx { before, now, pairs: &pairs, changes: Vec::new() };
    decls::compare(&mut cx);
    Report { changes: cx.changes, before: before.decls.len(), now: now.decls.len() }
}

/// What the comparison works on.
struct Cx<'a> {
    before: &'a Model,
    now: &'a Model,
    pairs: &'a pair::Pairs,
    changes: Vec<Change>,
}

/// Whether users make values of such types themselves, rather than only read them.
fn made_by_users(dir: Dir) -> bool {
    dir != Dir::Out
}
