//! Names of the language as OCaml names, and what becomes the same.

use crate::diag::{Code, Diagnostics, Span};
use crate::model::{Decl, DeclKind, Field, Model, Ty, Union};
use std::collections::BTreeMap;

const KEYWORDS: &[&str] = &[
    "and",
    "as",
    "assert",
    "asr",
    "begin",
    "class",
    "constraint",
    "do",
    "done",
    "downto",
    "else",
    "end",
    "exception",
    "external",
    "false",
    "for",
    "fun",
    "function",
    "functor",
    "if",
    "in",
    "include",
    "inherit",
    "initializer",
    "land",
    "lazy",
    "let",
    "lor",
    "lsl",
    "lsr",
    "lxor",
    "match",
    "method",
    "mod",
    "module",
    "mutable",
    "new",
    "nonrec",
    "object",
    "of",
    "open",
    "or",
    "private",
    "rec",
    "sig",
    "struct",
    "then",
    "to",
    "true",
    "try",
    "type",
    "val",
    "virtual",
    "when",
    "while",
    "with",
];

/// Modules that generated code uses, or that the package has.
const TAKEN: &[&str] = &[
    "Client",
    "Codec",
    "Contract",
    "Fun",
    "Int64",
    "Json",
    "List",
    "Lossless",
    "Option",
    "Path",
    "Printf",
    "Sha256_digest",
    "Result",
    "Stdlib",
    "String",
    "Timestamp",
    "Types",
    "Unix",
    "Uuid",
    "Xenstore",
];

/// Modules of libxl's builtin types.
pub(super) const BUILTINS: &[&str] =
    &["Uuid", "Mac", "Bitmap", "Cpuid_policy_list", "Key_value_list", "Hwcap", "Ms_vm_genid"];

fn capital(name: &str) -> String {
    let mut chars = name.chars();
    match chars.next() {
        Some(c) => c.to_ascii_uppercase().to_string() + chars.as_str(),
        None => String::new(),
    }
}

/// The module of a declaration: `Vm_part`.
pub(super) fn module(decl: &Decl) -> String {
    match capital(decl.raw_name().trim_start_matches('_')) {
        n if TAKEN.contains(&n.as_str()) || BUILTINS.contains(&n.as_str()) => format!("{n}_"),
        n => n,
    }
}

/// The module of a union, within that of its struct: `Op`.
pub(super) fn union(model: &Model, field: &Field, union: &Union) -> String {
    let name = capital(union.name.as_deref().unwrap_or(&field.name));
    let taken = TAKEN.contains(&name.as_str()) || BUILTINS.contains(&name.as_str());
    // What it would hide could be what its arms hold.
    if taken || model.decls.iter().any(|d| module(d) == name) { format!("{name}_union") } else { name }
}

/// A field's or variable's name.
pub(super) fn ident(name: &str) -> String {
    let mut chars = name.chars();
    let lower = match chars.next() {
        Some(c) => c.to_ascii_lowercase().to_string() + chars.as_str(),
        None => String::new(),
    };
    if KEYWORDS.contains(&lower.as_str()) { lower + "_" } else { lower }
}

/// A value's constructor.
pub(super) fn constructor(name: &str) -> String {
    match capital(&name.to_ascii_lowercase()) {
        n if n.starts_with(|c: char| c.is_ascii_digit()) => format!("N{n}"),
        // Those of the standard library, and those that hold what is not known.
        n if ["None", "Some", "Ok", "Error", "Other", "Unknown"].contains(&n.as_str()) => n + "_",
        n => n,
    }
}

/// Reports names that OCaml cannot tell apart.
pub(super) fn check(model: &Model, diags: &mut Diagnostics) {
    let mut modules = Seen::default();
    for decl in &model.decls {
        modules.add(module(decl), &decl.name, decl.span, diags);
        match &decl.kind {
            DeclKind::Struct(s) => {
                let mut fields = Seen::default();
                let mut unions = Seen::default();
                for field in &s.fields {
                    fields.add(ident(&field.name), &field.name, field.span, diags);
                    if let Ty::Union(u) = &field.ty {
                        unions.add(union(model, field, u), &field.name, field.span, diags);
                        let mut arms = Seen::default();
                        for arm in &u.arms {
                            arms.add(constructor(&arm.name), &arm.name, field.span, diags);
                        }
                    }
                }
            }
            DeclKind::Enum(e) => {
                let mut values = Seen::default();
                for value in &e.values {
                    values.add(constructor(&value.name), &value.name, decl.span, diags);
                }
            }
            DeclKind::Text(_) => {}
        }
    }
}

/// Names in OCaml, and what they are in the IDL.
#[derive(Default)]
struct Seen(BTreeMap<String, String>);

impl Seen {
    fn add(&mut self, ocaml: String, name: &str, span: Span, diags: &mut Diagnostics) {
        match self.0.get(&ocaml) {
            Some(other) => {
                diags
                    .add(Code::Collision, span, format!("`{name}` and `{other}` are both `{ocaml}` in OCaml"))
                    .help("give one another name");
            }
            None => _ = self.0.insert(ocaml, name.to_owned()),
        }
    }
}
