//! What an editor shows of a name: its definition, its documentation, and what the compiler knows about it.

use super::{Index, Kind, Symbol};
use crate::ast::{Expr, ExprKind};
use crate::diag::Span;
use crate::model::{DeclKind, Model, Unknown};
use crate::size::decl_max;
use crate::words;
use std::fmt::Write as _;

/// Columns of a definition that are shown.
const SHOWN_MAX: usize = 100;

impl Index<'_> {
    /// Markdown about what stands at a byte of a file, and where that begins and ends. With a model (the files have no
    /// errors) it tells more.
    #[must_use]
    pub fn hover(&self, file: usize, offset: usize, model: Option<&Model>) -> Option<(String, Span)> {
        if let Some((symbol, span)) = self.at(file, offset) {
            return Some((self.describe(symbol, model), span));
        }
        let (word, span) = self.word(file, offset)?;
        let text = words::about(word)?;
        Some((format!("`{word}`: {text}"), span))
    }

    fn describe(&self, symbol: &Symbol, model: Option<&Model>) -> String {
        let mut out = format!("```idl\n{}\n```\n", self.first_line(symbol.whole));
        if !symbol.doc.is_empty() {
            let _ = write!(out, "\n{}\n", symbol.doc);
        }
        let mut facts = Vec::new();
        if symbol.kind == Kind::Variable {
            let at = self.symbols.iter().position(|s| s.span == symbol.span);
            let uses = self.references.iter().filter(|r| Some(r.symbol) == at).count();
            facts.extend(model.map(|m| facts_of(m, symbol)).unwrap_or_default());
            facts.push(match uses {
                0 => "Nothing uses it.".to_owned(),
                1 => "Used in one place.".to_owned(),
                n => format!("Used in {n} places."),
            });
        } else {
            facts.push(format!("In `{}`.", symbol.within));
            if !symbol.constant.is_empty() {
                facts.push(format!(
                    "In C: `{}`. In JSON: `\"{}\"`.",
                    symbol.constant,
                    symbol.name.to_lowercase()
                ));
            }
            if symbol.kind == Kind::Field
                && let Some(of) = self.type_of(symbol).filter(|of| !of.doc.is_empty())
            {
                facts.push(format!("`{}`: {}", of.name, of.doc.lines().next().unwrap_or_default()));
            }
        }
        let _ = write!(out, "\n{}\n", facts.join(" "));
        out
    }

    /// The first type that is named in a field.
    fn type_of(&self, symbol: &Symbol) -> Option<&Symbol> {
        let within = |s: &Span| {
            s.file == symbol.whole.file && symbol.whole.start <= s.start && s.end <= symbol.whole.end
        };
        let reference = self.references.iter().filter(|r| within(&r.span)).min_by_key(|r| r.span)?;
        self.symbols.get(reference.symbol).filter(|s| s.kind == Kind::Variable)
    }

    /// A definition up to the end of its line.
    fn first_line(&self, span: Span) -> String {
        let text = self.text(span);
        let line = text.lines().next().unwrap_or_default().trim_end();
        let line: String = line.chars().take(SHOWN_MAX).collect();
        if line.len() < text.len() { format!("{line} ..") } else { line }
    }

    /// The name at a place that is no symbol: a constructor, an option, a builtin type.
    fn word(&self, file: usize, offset: usize) -> Option<(&str, Span)> {
        let text = &self.sources.get(file)?.text;
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let before = text.get(..offset)?;
        let start = before.rfind(|c| !part(c)).map_or(0, |at| at + 1);
        let after = text.get(start..)?;
        let end = start + after.find(|c| !part(c)).unwrap_or(after.len());
        let line = before.rsplit('\n').next().unwrap_or_default();
        if line.trim_start().starts_with('#') {
            return None;
        }
        let span = Span { file, start, end };
        Some((text.get(start..end).filter(|w| !w.is_empty())?, span))
    }

    /// Names that can stand for a type: those of the files, and the builtin ones of their profile.
    #[must_use]
    pub fn type_names(&self, file: usize) -> Vec<String> {
        let literal = |e: &Expr| !matches!(e.kind, ExprKind::Call(_) | ExprKind::Name(_));
        let types = self.files.iter().flat_map(|f| &f.stmts).filter(|s| !literal(&s.value));
        let mut names: Vec<String> = types.filter_map(|s| Some(s.target.as_ref()?.name.clone())).collect();
        let contract = self.files.get(file).is_some_and(crate::is_contract);
        names.extend(words::types(contract).map(str::to_owned));
        names.sort();
        names.dedup();
        names
    }
}

/// What the compiler knows of a type.
fn facts_of(model: &Model, symbol: &Symbol) -> Vec<String> {
    let Some(decl) = model.decls.iter().find(|d| d.span == symbol.span || d.name == symbol.name) else {
        return Vec::new();
    };
    let mut facts = Vec::new();
    match &decl.kind {
        DeclKind::Struct(s) => {
            match s.unknown {
                Unknown::Refused => facts.push("Strict: an unknown field is an error.".to_owned()),
                Unknown::Kept => facts.push("Open: unknown fields are kept.".to_owned()),
                Unknown::Ignored => {}
            }
            if let Some(b) = &s.xenstore {
                facts.push(format!("In xenstore at `{}` [{}].", b.path, b.access));
            }
            if s.unknown != Unknown::Ignored
                && let Ok(max) = decl_max(model, decl)
            {
                facts.push(format!("At most {max} bytes."));
            }
        }
        DeclKind::Enum(e) => facts.push(format!("{} values.", e.values.len())),
        DeclKind::Text(t) => {
            if let Some(max) = t.max {
                facts.push(format!("At most {max} bytes."));
            }
        }
    }
    if let Some(instead) = &decl.deprecated {
        facts.push(format!("Deprecated: {instead}."));
    }
    facts
}
