//! The compiler of the xensnap interface definition language: libxl's IDL, read without running it as Python.
//!
//! ```text
//! *.idl -> lex -> parse -> resolve -> Model -> back end -> Files (in memory)
//!            \______ diagnostics, many in one run ______/
//! ```
//! A back end sees the [`model`] only, never the syntax tree, and returns [`backend::Files`]; only the caller
//! (the command, a `build.rs`) reads and writes the file system. All files given to [`compile`] are one unit: a
//! name may be used in another file than its definition (in profile `contract`, before it too).
//!
//! Absent on purpose: imports, expressions, conditions, execution of any kind, and dependencies.

pub mod ast;
pub mod backend;
pub mod diag;
mod directions;
pub mod dump;
pub mod evolve;
pub mod explain;
pub mod fmt;
pub mod lex;
pub mod lint;
pub mod lock;
pub mod model;
mod options;
pub mod parse;
pub mod pattern;
mod resolve;
pub mod sample;
pub mod size;
pub mod symbols;
pub mod words;

pub use backend::{Backend, Files};
pub use diag::{Code, Diagnostic, Diagnostics, Source};
pub use model::Model;
pub use resolve::PRELUDE;

/// Compiles the sources, taken together as one unit, to a model.
///
/// # Errors
/// Everything that is wrong with them, as far as it can be told in one run, in order of place.
pub fn compile(sources: &[Source]) -> Result<Model, Diagnostics> {
    let (model, diags) = resolved(sources);
    diags.finish().map(|()| model)
}

/// The same for what was documented elsewhere, or before: a lock, an older version.
///
/// # Errors
/// As [`compile`], but that something has no documentation.
pub fn compile_undocumented(sources: &[Source]) -> Result<Model, Diagnostics> {
    let (model, mut diags) = resolved(sources);
    diags.forgive(Code::Undocumented);
    diags.finish().map(|()| model)
}

fn resolved(sources: &[Source]) -> (Model, Diagnostics) {
    let mut diags = Diagnostics::default();
    let files: Vec<ast::File> =
        sources.iter().enumerate().map(|(i, s)| parse::parse(i, s, &mut diags)).collect();
    let model = resolve::resolve(sources, &files, &mut diags);
    diags.settle(sources);
    (model, diags)
}

/// Whether a text says that it is of profile `contract`.
#[must_use]
pub fn says_contract(source: &Source) -> bool {
    is_contract(&parse::parse(0, source, &mut Diagnostics::default()))
}

/// Whether a file says that it is of profile `contract`, which is all that its form tells.
pub(crate) fn is_contract(file: &ast::File) -> bool {
    file.stmts.iter().any(|s| match &s.value.kind {
        ast::ExprKind::Call(call) if s.target.is_none() && call.func.name == "profile" => {
            matches!(call.args.first().map(|a| &a.kind), Some(ast::ExprKind::Str(p)) if p == "contract")
        }
        _ => false,
    })
}
