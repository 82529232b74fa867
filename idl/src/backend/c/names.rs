//! Names of the language as C names, and what becomes the same.

use crate::backend::common::is_libxls;
use crate::diag::{Code, Diagnostics, Span};
use crate::model::{Decl, DeclKind, Enum, Model, Ty};
use std::collections::BTreeMap;

/// C's and, since a header may be used from there, C++'s.
const KEYWORDS: &[&str] = &[
    "and",
    "asm",
    "auto",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "class",
    "const",
    "continue",
    "default",
    "delete",
    "do",
    "double",
    "else",
    "enum",
    "errno",
    "explicit",
    "export",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "if",
    "inline",
    "int",
    "linux",
    "long",
    "mutable",
    "namespace",
    "new",
    "not",
    "operator",
    "or",
    "private",
    "protected",
    "public",
    "register",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "struct",
    "switch",
    "template",
    "this",
    "throw",
    "true",
    "try",
    "typedef",
    "typeid",
    "typename",
    "typeof",
    "union",
    "unix",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "while",
    "xor",
];

/// What begins the names of the unit's own symbols.
pub(super) fn prefix(model: &Model) -> &str {
    if model.namespace.is_empty() { "types_" } else { &model.namespace }
}

/// The name of a declaration's type: `xensnap_request`, `libxl_device_disk`.
pub(super) fn ty(model: &Model, decl: &Decl) -> String {
    if is_libxls(decl) || decl.name.starts_with(prefix(model)) {
        decl.name.clone()
    } else {
        format!("{}{}", prefix(model), decl.name)
    }
}

/// The name of a type's description.
pub(super) fn table(model: &Model, decl: &Decl) -> String {
    format!("type_of_{}", ty(model, decl))
}

/// A field's name.
pub(super) fn field(name: &str) -> String {
    match name {
        n if KEYWORDS.contains(&n) => format!("{n}_"),
        n if n.starts_with(|c: char| c.is_ascii_digit()) => format!("n{n}"),
        n => n.to_owned(),
    }
}

/// A value's constant: `XENSNAP_MEMORY_MODE_LIVE`, `LIBXL_DISK_FORMAT_RAW`.
pub(super) fn constant(model: &Model, decl: &Decl, e: &Enum, value: &str) -> String {
    let prefix = if e.c_prefix.is_empty() { format!("{}_", ty(model, decl)) } else { e.c_prefix.clone() };
    format!("{prefix}{value}").to_uppercase()
}

/// Reports names that C cannot tell apart.
pub(super) fn check(model: &Model, diags: &mut Diagnostics) {
    let mut types = Seen::default();
    let mut constants = Seen::default();
    for decl in &model.decls {
        types.add(ty(model, decl), &decl.name, decl.span, diags);
        match &decl.kind {
            DeclKind::Struct(s) => {
                let mut fields = Seen::default();
                for f in s.fields.iter().filter(|f| !f.constant) {
                    fields.add(field(&f.name), &f.name, f.span, diags);
                    match &f.ty {
                        Ty::Array { len, .. } => fields.add(field(len), len, f.span, diags),
                        Ty::Union(u) if is_libxls(decl) => {
                            fields.add(field(&u.keyvar), &u.keyvar, f.span, diags);
                        }
                        _ => {}
                    }
                }
            }
            DeclKind::Enum(e) => {
                for value in &e.values {
                    constants.add(constant(model, decl, e, &value.name), &value.name, decl.span, diags);
                }
            }
            DeclKind::Text(_) => {}
        }
    }
}

/// Names in C, and what they are in the IDL.
#[derive(Default)]
struct Seen(BTreeMap<String, String>);

impl Seen {
    fn add(&mut self, c: String, name: &str, span: Span, diags: &mut Diagnostics) {
        match self.0.get(&c) {
            Some(other) => {
                diags
                    .add(Code::Collision, span, format!("`{name}` and `{other}` are both `{c}` in C"))
                    .help("give one another name");
            }
            None => _ = self.0.insert(c, name.to_owned()),
        }
    }
}
