//! What was found at a place: an error, a finding of `lint`, a breaking change; for people, as JSON, or for GitHub.

use crate::args::Format;
use serde::Serialize;
use std::fmt::Write as _;
use xenidl::diag::Span;
use xenidl::{Diagnostics, Source};

/// Something at a place. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Found {
    /// `error` or `warning`.
    pub(crate) severity: &'static str,
    /// `E012`.
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) end_line: usize,
    pub(crate) end_column: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
    /// As it is shown to people.
    #[serde(skip)]
    pub(crate) shown: String,
}

impl Found {
    /// Something found at a span.
    pub(crate) fn new(
        severity: &'static str,
        code: &str,
        message: &str,
        span: Span,
        sources: &[Source],
    ) -> Self {
        let place = |at| sources.get(span.file).map_or((1, 1), |s| s.line_col(at));
        let ((line, column), (end_line, end_column)) = (place(span.start), place(span.end));
        Self {
            severity,
            code: code.to_owned(),
            message: message.to_owned(),
            file: sources.get(span.file).map_or(String::new(), |s| s.name.clone()),
            line,
            column,
            end_line,
            end_column,
            help: None,
            notes: Vec::new(),
            shown: String::new(),
        }
    }
}

/// What the compiler says.
pub(crate) fn errors(diags: &Diagnostics, sources: &[Source]) -> Vec<Found> {
    diags
        .iter()
        .map(|d| Found {
            help: d.help.clone(),
            notes: d.notes.clone(),
            shown: d.show(sources),
            ..Found::new("error", d.code.as_str(), &d.message, d.span, sources)
        })
        .collect()
}

/// For people.
pub(crate) fn text(found: &[Found]) -> String {
    let mut out = String::new();
    for f in found {
        out.push_str(&f.shown);
        out.push('\n');
    }
    let what = found.first().map_or("error", |f| f.severity);
    let n = found.len();
    let _ = writeln!(out, "{n} {what}{}", if n == 1 { "" } else { "s" });
    out
}

/// In a form of the user's choice.
pub(crate) fn show(found: &[Found], format: Format) -> String {
    match format {
        Format::Text => text(found),
        Format::Json => json(&serde_json::json!({ "diagnostics": found })),
        Format::Github => found.iter().map(github).collect(),
    }
}

/// A document, one member a line.
pub(crate) fn json(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

/// `::error file=..::message`, as GitHub Actions reads it from any step's output.
fn github(f: &Found) -> String {
    let message = match &f.help {
        Some(help) => format!("{}\n{help}", f.message),
        None => f.message.clone(),
    };
    let property = |s: &str| escape(s).replace(':', "%3A").replace(',', "%2C");
    format!(
        "::{} file={},line={},endLine={},col={},endColumn={},title={}::{}\n",
        f.severity,
        property(&f.file),
        f.line,
        f.end_line,
        f.column,
        f.end_column,
        property(&f.code),
        escape(&message)
    )
}

fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}
