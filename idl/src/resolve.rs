//! Syntax trees to the model. A file's profile decides who resolves it; the model is one for both.
//!
//! ```text
//!           ┌ contract: collect names -> texts, enums, aliases -> structs ┐
//! files ────┤                                                             ├─> Model -> directions -> sizes
//!           └ libxl: statement by statement, as Python would run them ────┘
//! ```
//! Files of profile `contract` are one unit in which order does not matter; those of profile `libxl` are read in
//! the order given, and a name is defined before it is used. A file without `profile(..)` is libxl's.

mod contract;
mod libxl;

pub use libxl::PRELUDE;

use crate::ast::{Expr, ExprKind, File};
use crate::diag::{Code, Diagnostics, Source, Span};
use crate::model::Model;

/// Resolves the files of a unit. The model is whole only when no diagnostic was added.
pub(crate) fn resolve(sources: &[Source], files: &[File], diags: &mut Diagnostics) -> Model {
    let (ours, libxls): (Vec<&File>, Vec<&File>) = files.iter().partition(|f| is_contract(f, diags));
    let mut model = contract::resolve(sources, &ours, diags);
    libxl::resolve(sources, &libxls, &mut model, diags);
    crate::directions::check(&model, diags);
    crate::size::check(&model, diags);
    model
}

/// Whether the first `profile(..)` of a file says so. Malformed ones are told of, and taken as ours, which is the
/// stricter one.
fn is_contract(file: &File, diags: &mut Diagnostics) -> bool {
    let mut found = None;
    for stmt in &file.stmts {
        let ExprKind::Call(call) = &stmt.value.kind else { continue };
        if call.func.name != "profile" || stmt.target.is_some() {
            continue;
        }
        match call.args.as_slice() {
            [Expr { kind: ExprKind::Str(s), span }] if call.kwargs.is_empty() => match s.as_str() {
                "contract" => _ = found.get_or_insert(true),
                "libxl" => _ = found.get_or_insert(false),
                other => {
                    diags
                        .add(Code::OptionValue, *span, format!("no profile is called `{other}`"))
                        .suggest(other, ["contract", "libxl"]);
                    found.get_or_insert(true);
                }
            },
            _ => {
                diags
                    .add(Code::Argument, call.func.span, "`profile` takes one string")
                    .help("write `profile(\"..\")`");
                found.get_or_insert(true);
            }
        }
    }
    found.unwrap_or(false)
}

/// The comment above a place.
fn doc_at(sources: &[Source], file: &File, span: Span) -> String {
    let line = sources.get(span.file).map_or(0, |s| s.line_col(span.start).0);
    file.doc_above(line)
}

/// Says that an element of a list does not have its form.
fn bad_tuple(diags: &mut Diagnostics, item: &Expr, what: &str, form: &str) {
    if !matches!(item.kind, ExprKind::Error) {
        diags
            .add(Code::Argument, item.span, format!("{what} is not {}", item.describe()))
            .help(format!("write `{form}`"));
    }
}

/// `, the other one is at FILE:LINE`
fn other_place(sources: &[Source], old: Span) -> Option<String> {
    let source = sources.get(old.file)?;
    Some(format!("the other one is at {}:{}", source.name, source.line_col(old.start).0))
}
