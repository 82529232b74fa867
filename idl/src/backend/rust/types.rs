//! The one exhaustive match over types: Rust type, codec, and what the docs say about limits.

use super::names::{camel, union_type, variant};
use super::{Cx, quote};
use crate::model::{Decl, DeclKind, Field, Limits, Presence, Ty, Value};
use crate::pattern::Pattern;
use std::fmt::Write as _;

/// What Rust needs to know of a field's type.
pub(super) struct RustType {
    /// The type.
    pub(super) ty: String,
    /// The expression of its codec; empty for a union, whose arms have one each.
    pub(super) codec: String,
}

impl Cx<'_> {
    pub(super) fn rust_type(&self, decl: &Decl, field: &Field) -> RustType {
        self.of(&field.ty, &field.limits, Some((decl, field)))
    }

    fn of(&self, ty: &Ty, limits: &Limits, place: Option<(&Decl, &Field)>) -> RustType {
        let w = self.wire;
        // An element of a list too has the range of its type.
        let whole = ty.int_range();
        let plain = |ty: String| RustType { codec: format!("{w}::Plain::<{ty}>::new()"), ty };
        let int = |ty: &str| RustType {
            ty: ty.into(),
            codec: format!("{w}::Int::<{ty}>::{}", range(whole, limits)),
        };
        let text = |ty: String| {
            if *limits == Limits::default() {
                return RustType { codec: format!("{w}::Plain::<{ty}>::new()"), ty };
            }
            let pattern = match &limits.pattern {
                Some(p) => format!("Some(&{})", self.pattern(p)),
                None => "None".into(),
            };
            let (min, max) = bounds(limits);
            RustType { codec: format!("{w}::Limited::<{ty}>::new({min}, {max}, {pattern})"), ty }
        };
        match ty {
            Ty::Bool => plain("bool".into()),
            Ty::Int { bits, signed } => int(&format!("{}{bits}", if *signed { 'i' } else { 'u' })),
            Ty::Domid => int("u32"),
            Ty::Bytes => int("u64"),
            Ty::Duration => RustType {
                ty: "::core::time::Duration".into(),
                codec: format!("{w}::Nanos::{}", range(whole, limits)),
            },
            Ty::Str => text("String".into()),
            Ty::Path => text(format!("{w}::AbsPath")),
            Ty::Json => text(format!("{w}::RawJson")),
            Ty::Timestamp => plain(format!("{w}::Timestamp")),
            Ty::Uuid => RustType { ty: "::uuid::Uuid".into(), codec: format!("{w}::UuidText") },
            // Libxl's types are made by `libxl`; the contract cannot name them.
            Ty::Number(n) => int(&super::libxl::number(n)),
            Ty::Builtin(_) => plain(format!("{w}::RawJson")),
            Ty::Named(id) => {
                let named = self.model.get(*id);
                match &named.kind {
                    DeclKind::Text(_) => text(camel(&named.name)),
                    DeclKind::Struct(_) | DeclKind::Enum(_) => plain(camel(&named.name)),
                }
            }
            Ty::Array { elem, .. } => {
                let elem = self.of(elem, &Limits::default(), None);
                let (min, max) = bounds(limits);
                RustType {
                    ty: format!("Vec<{}>", elem.ty),
                    codec: format!("{w}::List::new({}, {min}, {max})", elem.codec),
                }
            }
            Ty::Union(u) => RustType {
                ty: place.map(|(decl, field)| union_type(decl, field, u)).unwrap_or_default(),
                codec: String::new(),
            },
        }
    }

    /// A pattern as a constant expression.
    pub(super) fn pattern(&self, pattern: &Pattern) -> String {
        let w = self.wire;
        let mut parts = String::new();
        for part in &pattern.parts {
            let mut ranges = String::new();
            let (ascii, others) = part.split_ascii();
            for (a, b) in &others {
                let _ = write!(ranges, "('{}', '{}'), ", a.escape_default(), b.escape_default());
            }
            let ranges = ranges.trim_end_matches(", ");
            let max = part.max.map_or("u32::MAX".into(), |m| m.to_string());
            let _ = write!(
                parts,
                "{w}::Part {{ ascii: {ascii:#x}, ranges: &[{ranges}], min: {}, max: {max} }}, ",
                part.min
            );
        }
        format!(
            "{w}::Pattern {{ text: {}, ecma: {}, parts: &[{}] }}",
            quote(&pattern.text),
            quote(&pattern.to_ecma()),
            parts.trim_end_matches(", ")
        )
    }

    /// The default as a Rust expression.
    pub(super) fn default_expr(&self, field: &Field) -> Option<String> {
        let Presence::Default(value) = &field.presence else { return None };
        Some(match value {
            Value::Bool(b) => b.to_string(),
            Value::Int(i) if field.ty == Ty::Duration => format!("::core::time::Duration::from_nanos({i})"),
            Value::Int(i) => i.to_string(),
            Value::Str(s) => format!("String::from({})", quote(s)),
            Value::Enum(name) => match &field.ty {
                Ty::Named(id) => format!("{}::{}", camel(&self.model.get(*id).name), variant(name)),
                _ => String::new(),
            },
        })
    }

    /// Default, limits, lifecycle: one sentence each.
    pub(super) fn limits_doc(&self, field: &Field) -> String {
        let mut said = Vec::new();
        let limits = &field.limits;
        match &field.presence {
            Presence::Default(Value::Bool(b)) => said.push(format!("Default: `{b}`.")),
            Presence::Default(Value::Int(i)) => said.push(format!("Default: {i}.")),
            Presence::Default(Value::Str(s) | Value::Enum(s)) => said.push(format!("Default: `{s}`.")),
            Presence::Required | Presence::Optional | Presence::Initial(_) => {}
        }
        if let Some((a, b)) = limits.range {
            let unit = if field.ty == Ty::Duration { " nanoseconds" } else { "" };
            said.push(if a == b { format!("Always {a}{unit}.") } else { format!("From {a} to {b}{unit}.") });
        }
        let unit = if matches!(field.ty, Ty::Array { .. }) { "elements" } else { "bytes" };
        match (limits.min, limits.max) {
            (Some(min), Some(max)) => said.push(format!("From {min} to {max} {unit}.")),
            (None, Some(max)) => said.push(format!("At most {max} {unit}.")),
            (Some(min), None) => said.push(format!("At least {min} {unit}.")),
            (None, None) => {}
        }
        if let Some(p) = &limits.pattern {
            said.push(format!("Matches `{}`.", p.text.escape_debug()));
        }
        said.extend(lifecycle(field.since, field.deprecated.as_deref()));
        said.join(" ")
    }
}

/// Since when, until when.
pub(super) fn lifecycle(since: Option<u32>, deprecated: Option<&str>) -> Vec<String> {
    let since = since.map(|v| format!("Since contract {v}."));
    let deprecated = deprecated.map(|d| format!("Deprecated: {d}"));
    since.into_iter().chain(deprecated).collect()
}

/// `new(least, greatest)`
fn range(whole: Option<(i64, i64)>, limits: &Limits) -> String {
    let (a, b) = limits.range.or(whole).unwrap_or((0, crate::model::INT_MAX));
    format!("new({a}, {b})")
}

fn bounds(limits: &Limits) -> (String, String) {
    let max = limits.max.map_or("u32::MAX".into(), |m| m.to_string());
    (limits.min.unwrap_or(0).to_string(), max)
}
