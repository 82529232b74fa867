//! Names of the language as Python names, and what becomes the same.

use crate::backend::common::camel;
use crate::diag::{Code, Diagnostics, Span};
use crate::model::{Arm, Decl, DeclKind, Field, Model, Ty, Union};
use std::collections::BTreeMap;

const KEYWORDS: &[&str] = &[
    "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else",
    "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not",
    "or", "pass", "raise", "return", "try", "while", "with", "yield",
];
/// What every struct has already, and what the body of its class calls.
const MEMBERS: &[&str] = &["field", "from_json", "self", "to_json", "xenstore_path"];
/// Names of the modules that the package consists of.
const TAKEN: &[&str] = &[
    "Any",
    "CEnumeration",
    "ClassVar",
    "Client",
    "ClientError",
    "CpuidLeaf",
    "CpuidPolicyList",
    "DecodeError",
    "Dict",
    "EncodeError",
    "Enumeration",
    "Follow",
    "KeyValueList",
    "List",
    "Msr",
    "NoArm",
    "OpenEnumeration",
    "Optional",
    "RawJson",
    "Struct",
    "Timestamp",
    "UUID",
    "Union",
    "UnknownArm",
];

/// The name of a declaration's class.
pub(super) fn class(decl: &Decl) -> String {
    camel(decl.raw_name())
}

/// The name of a field.
pub(super) fn attr(name: &str) -> String {
    if KEYWORDS.contains(&name) || MEMBERS.contains(&name) { format!("{name}_") } else { name.to_owned() }
}

/// The name of a declaration's codec.
pub(super) fn codec(decl: &Decl) -> String {
    let name = decl.raw_name();
    if KEYWORDS.contains(&name) { format!("{name}_") } else { name.to_owned() }
}

/// The name of an enumeration's value.
pub(super) fn member(name: &str) -> String {
    let upper = name.to_uppercase();
    if upper.starts_with(|c: char| c.is_ascii_digit()) { format!("N{upper}") } else { upper }
}

/// The name of a union's type.
pub(super) fn union(decl: &Decl, field: &Field, union: &Union) -> String {
    match &union.name {
        Some(name) => camel(name),
        None => camel(&format!("{}_{}", decl.raw_name(), field.name)),
    }
}

/// The class of an arm: that of its struct, or one of the arm's own where it holds nothing or shares its struct.
pub(super) fn arm(model: &Model, decl: &Decl, field: &Field, u: &Union, arm: &Arm) -> String {
    match arm.ty {
        Some(id) if !shared(u, arm) => class(model.get(id)),
        _ => format!("{}{}", union(decl, field, u), camel(&arm.name)),
    }
}

/// Whether another arm of the union holds the same struct.
pub(super) fn shared(u: &Union, arm: &Arm) -> bool {
    u.arms.iter().filter(|a| a.ty == arm.ty).count() > 1
}

/// Reports names that Python cannot tell apart.
pub(super) fn check(model: &Model, diags: &mut Diagnostics) {
    let mut types = Names::new("type");
    for decl in &model.decls {
        types.add(class(decl), &decl.name, decl.span, diags);
    }
    for decl in &model.decls {
        match &decl.kind {
            DeclKind::Struct(s) => {
                let mut attrs = Names::new("field");
                for f in &s.fields {
                    attrs.add(attr(&f.name), &f.name, f.span, diags);
                    let Ty::Union(u) = &f.ty else { continue };
                    types.add(union(decl, f, u), &format!("{}.{}", decl.name, f.name), f.span, diags);
                    for a in u.arms.iter().filter(|a| a.ty.is_none() || shared(u, a)) {
                        types.add(
                            arm(model, decl, f, u, a),
                            &format!("{}.{}", f.name, a.name),
                            f.span,
                            diags,
                        );
                    }
                }
            }
            DeclKind::Enum(e) => {
                let mut members = Names::new("value");
                for value in &e.values {
                    members.add(member(&value.name), &value.name, decl.span, diags);
                }
            }
            DeclKind::Text(_) => {}
        }
    }
}

struct Names {
    kind: &'static str,
    seen: BTreeMap<String, String>,
}

impl Names {
    fn new(kind: &'static str) -> Self {
        Self { kind, seen: BTreeMap::new() }
    }

    fn add(&mut self, python: String, name: &str, span: Span, diags: &mut Diagnostics) {
        if self.kind == "type" && TAKEN.contains(&python.as_str()) {
            let what = format!("`{name}` would be `{python}` in Python, which has one already");
            diags.add(Code::Collision, span, what).help("give it another name");
        } else if let Some(other) = self.seen.get(&python) {
            let what = format!("{}s `{name}` and `{other}` are both `{python}` in Python", self.kind);
            diags.add(Code::Collision, span, what).help("give one another name");
        } else {
            self.seen.insert(python, name.to_owned());
        }
    }
}
