//! Names of the language as Rust names, and what becomes the same.

use crate::diag::{Code, Diagnostics, Span};
use crate::model::{Decl, DeclKind, Field, Model, Ty, Union, Unknown};
use std::collections::BTreeMap;

/// Names that the generated code itself uses from the prelude.
const TAKEN: &[&str] =
    &["Box", "Default", "Err", "None", "Ok", "Option", "Result", "Self", "Some", "String", "Vec"];
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait",
    "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

pub(super) use crate::backend::common::camel;

/// A field's or variable's name.
pub(super) fn ident(name: &str) -> String {
    match name {
        "self" | "super" | "crate" => format!("{name}_"),
        n if KEYWORDS.contains(&n) => format!("r#{n}"),
        n => n.to_owned(),
    }
}

/// The name of a declaration's type: without the namespace, which the module stands for.
pub(super) fn type_name(decl: &Decl) -> String {
    camel(decl.raw_name())
}

/// A variant's name.
pub(super) fn variant(name: &str) -> String {
    match camel(&name.to_ascii_lowercase()) {
        n if n == "Self" => "Self_".into(),
        // `9PFS`, `128`: no name of Rust begins so.
        n if n.starts_with(|c: char| c.is_ascii_digit()) => format!("N{n}"),
        n => n,
    }
}

/// The name of a union's type.
pub(super) fn union_type(decl: &Decl, field: &Field, union: &Union) -> String {
    match &union.name {
        Some(name) => camel(name),
        None => camel(&format!("{}_{}", decl.raw_name(), field.name)),
    }
}

/// Reports names that Rust cannot tell apart.
pub(super) fn check(model: &Model, diags: &mut Diagnostics) {
    let mut types: BTreeMap<String, (String, Span)> = BTreeMap::new();
    for decl in &model.decls {
        add(&mut types, type_name(decl), &decl.name, decl.span, diags);
    }
    for decl in &model.decls {
        match &decl.kind {
            DeclKind::Struct(s) => {
                for field in &s.fields {
                    if let Ty::Union(u) = &field.ty {
                        let of = format!("the union `{}.{}`", decl.name, field.name);
                        add(&mut types, union_type(decl, field, u), &of, field.span, diags);
                        let arms = u.arms.iter().map(|a| (a.name.as_str(), field.span));
                        variants(arms, s.unknown, diags);
                    }
                    if field.name == "extra" && s.unknown == Unknown::Kept {
                        diags
                            .add(
                                Code::Collision,
                                field.span,
                                "`extra` holds what an open struct does not know",
                            )
                            .help("give the field another name");
                    }
                }
            }
            DeclKind::Enum(e) => {
                variants(e.values.iter().map(|v| (v.name.as_str(), decl.span)), e.unknown, diags);
            }
            DeclKind::Text(_) => {}
        }
    }
}

fn variants<'a>(names: impl Iterator<Item = (&'a str, Span)>, unknown: Unknown, diags: &mut Diagnostics) {
    let mut seen: BTreeMap<String, (String, Span)> = BTreeMap::new();
    for (name, span) in names {
        if unknown == Unknown::Ignored && name.eq_ignore_ascii_case("other") {
            diags
                .add(Code::Collision, span, "`other` is what holds a number without a name in Rust")
                .help("give the value another name");
        }
        if unknown == Unknown::Kept && name == "unknown" {
            diags
                .add(
                    Code::Collision,
                    span,
                    "`unknown` is what an open enumeration calls a value it does not know",
                )
                .help("give the value another name, or make the enumeration DIR_IN");
        }
        let rust = variant(name);
        if let Some((other, _)) = seen.get(&rust) {
            diags.add(Code::Collision, span, format!("`{name}` and `{other}` are both `{rust}` in Rust"));
        }
        seen.insert(rust, (name.to_owned(), span));
    }
}

fn add(
    types: &mut BTreeMap<String, (String, Span)>,
    rust: String,
    name: &str,
    span: Span,
    diags: &mut Diagnostics,
) {
    if TAKEN.contains(&rust.as_str()) {
        diags
            .add(Code::Collision, span, format!("{name} would be `{rust}` in Rust, which has one already"))
            .help("give it another name");
    } else if let Some((other, _)) = types.get(&rust) {
        diags
            .add(Code::Collision, span, format!("{name} and {other} are both `{rust}` in Rust"))
            .help("give one another name; a union's name is the first argument of `KeyedUnion`");
    } else {
        types.insert(rust, (name.to_owned(), span));
    }
}
