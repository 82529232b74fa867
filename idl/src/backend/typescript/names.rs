//! Names of the language as TypeScript names, and what becomes the same.

use crate::backend::common::{camel, package};
use crate::diag::{Code, Diagnostics, Span};
use crate::model::{Decl, DeclKind, Field, Model, Ty, Union};
use std::collections::BTreeMap;

/// Names of the language's own library, and of this package's run time: a type that is called so begins with the
/// package's name (`XensnapError`).
const TAKEN: &[&str] = &[
    "Array",
    "ArrayBuffer",
    "Awaited",
    "BigInt",
    "Boolean",
    "Buffer",
    "Capitalize",
    "Codec",
    "CpuidLeaf",
    "CpuidPolicyList",
    "DataView",
    "Date",
    "DecodeError",
    "EncodeError",
    "Enumeration",
    "Error",
    "Exclude",
    "Extra",
    "Extract",
    "Field",
    "Function",
    "Infinity",
    "Intl",
    "Iterable",
    "Iterator",
    "JSON",
    "KeyValueList",
    "Map",
    "Math",
    "Msr",
    "NaN",
    "NonNullable",
    "Number",
    "Object",
    "Omit",
    "Parameters",
    "Partial",
    "Pick",
    "Promise",
    "Proxy",
    "RawJson",
    "Readonly",
    "ReadonlyMap",
    "Record",
    "Reflect",
    "RegExp",
    "Required",
    "ReturnType",
    "Set",
    "String",
    "Struct",
    "Symbol",
    "Text",
    "Type",
    "UnknownValue",
    "WeakMap",
    "WeakSet",
    "Xenstore",
];
const KEYWORDS: &[&str] = &[
    "arguments",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "eval",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "interface",
    "let",
    "new",
    "null",
    "package",
    "private",
    "protected",
    "public",
    "return",
    "static",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "var",
    "void",
    "while",
    "with",
    "yield",
];

/// `num_disks` to `numDisks`.
pub(super) fn lower_camel(name: &str) -> String {
    let name = name.trim_start_matches('_');
    match name.split_once('_') {
        Some((first, _)) => {
            // `camel` joins the rest to the first word, so that two numbers that meet stay apart.
            let whole = camel(name);
            let rest = whole.get(first.len()..).unwrap_or_default();
            format!("{first}{rest}")
        }
        None => name.to_owned(),
    }
}

/// A parameter's name.
pub(super) fn param(name: &str) -> String {
    let name = lower_camel(name);
    if KEYWORDS.contains(&name.as_str()) { format!("{name}_") } else { name }
}

fn free(model: &Model, name: String) -> String {
    if TAKEN.contains(&name.as_str()) { format!("{}{name}", camel(package(model))) } else { name }
}

/// The name of a declaration's type: without the namespace, which the package stands for.
pub(super) fn type_name(model: &Model, decl: &Decl) -> String {
    free(model, camel(decl.raw_name()))
}

/// The name of a union's type.
pub(super) fn union_type(model: &Model, decl: &Decl, field: &Field, union: &Union) -> String {
    let name = match &union.name {
        Some(name) => camel(name),
        None => camel(&format!("{}_{}", decl.raw_name(), field.name)),
    };
    free(model, name)
}

/// Reports names that TypeScript cannot tell apart.
pub(super) fn check(model: &Model, diags: &mut Diagnostics) {
    let mut types = BTreeMap::new();
    for decl in &model.decls {
        add(&mut types, type_name(model, decl), &decl.name, decl.span, diags);
        let DeclKind::Struct(s) = &decl.kind else { continue };
        let mut properties = BTreeMap::new();
        for field in &s.fields {
            add(&mut properties, lower_camel(&field.name), &field.name, field.span, diags);
            if let Ty::Union(u) = &field.ty {
                let of = format!("{}.{}", decl.name, field.name);
                add(&mut types, union_type(model, decl, field, u), &of, field.span, diags);
            }
        }
    }
}

fn add(seen: &mut BTreeMap<String, String>, name: String, of: &str, span: Span, diags: &mut Diagnostics) {
    if let Some(other) = seen.get(&name) {
        diags
            .add(Code::Collision, span, format!("`{of}` and `{other}` are both `{name}` in TypeScript"))
            .help("give one another name");
    } else {
        seen.insert(name, of.to_owned());
    }
}
