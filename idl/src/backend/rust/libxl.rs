//! libxl's types in Rust: structs that begin as libxl's `_init` leaves them, enumerations that keep a number without a
//! name, and for each a function that reads and one that writes, on `xenidl-runtime`.
//!
//! A field's place in JSON is its codec, a type of the run time; what a dialect makes of it is not known here.
//! `const` fields and private types are libxl's own: they are in no value.

mod enums;
mod structs;

use super::names::{camel, type_name};
use super::{Cx, quote};
use crate::backend::header;
use crate::model::{Builtin, Decl, DeclKind, Field, Id, Model, Number, Presence, Ty};

/// The whole file.
pub(super) fn file(cx: &mut Cx<'_>, decls: &[&Decl]) {
    cx.line(&format!("// {}", header(cx.model)));
    cx.line("");
    cx.line(&format!("use {} as rt;", cx.wire));
    for decl in decls {
        match &decl.kind {
            DeclKind::Struct(s) => structs::structure(cx, decl, s),
            DeclKind::Enum(e) => enums::enumeration(cx, decl, e),
            DeclKind::Text(_) => {}
        }
    }
    cx.line("");
    cx.doc("Every named type by its name in the IDL, in order.", &[]);
    cx.line("pub static TYPES: &[rt::TypeInfo] = &[");
    for decl in decls.iter().filter(|d| !d.anonymous) {
        cx.line(&format!("rt::TypeInfo::of::<{}>({}),", type_name(decl), quote(&decl.name)));
    }
    cx.line("];");
}

/// A number's type.
pub(super) fn number(n: &Number) -> String {
    format!("{}{}", if n.signed { 'i' } else { 'u' }, n.bits)
}

/// A type and its codec; `None` for what is not in JSON.
fn rust_type(model: &Model, ty: &Ty) -> Option<(String, String)> {
    let own = |name: &str| (format!("rt::{name}"), format!("rt::{name}"));
    Some(match ty {
        Ty::Bool => ("bool".into(), "rt::Boolean".into()),
        Ty::Number(n) => {
            let ty = number(n);
            let codec = if n.full { "Full" } else { "Int" };
            (ty.clone(), format!("rt::{codec}<{ty}>"))
        }
        Ty::Builtin(b) => match b {
            Builtin::Text => ("Option<String>".into(), "rt::Text".into()),
            Builtin::StringList => ("Vec<String>".into(), "rt::Texts".into()),
            Builtin::Private(_) => return None,
            Builtin::Defbool
            | Builtin::Uuid
            | Builtin::Mac
            | Builtin::Bitmap
            | Builtin::CpuidPolicyList
            | Builtin::KeyValueList
            | Builtin::Hwcap
            | Builtin::MsVmGenid => own(&camel(b.name())),
        },
        Ty::Named(id) => {
            let name = type_name(model.get(*id));
            let codec = if model.as_enum(*id).is_some() { "Enum" } else { "Sub" };
            (name.clone(), format!("rt::{codec}<{name}>"))
        }
        Ty::Array { elem, .. } => {
            let (ty, codec) = rust_type(model, elem)?;
            (format!("Vec<{ty}>"), format!("rt::List<{codec}>"))
        }
        // A union is a type of its own beside its struct; the contract's types are not libxl's.
        Ty::Union(_)
        | Ty::Int { .. }
        | Ty::Domid
        | Ty::Str
        | Ty::Timestamp
        | Ty::Duration
        | Ty::Uuid
        | Ty::Path
        | Ty::Bytes
        | Ty::Json => return None,
    })
}

/// What a field begins as, when that is not what Rust's `Default` gives.
fn initial_expr(model: &Model, field: &Field) -> Option<String> {
    let Presence::Initial(initial) = field.presence else { return None };
    match &field.ty {
        Ty::Number(_) if initial != 0 => Some(initial.to_string()),
        Ty::Bool if initial != 0 => Some("true".into()),
        Ty::Named(id) => {
            let own = i128::from(model.as_enum(*id)?.initial.unwrap_or(0));
            (own != initial).then(|| enum_expr(model, *id, initial))
        }
        _ => None,
    }
}

/// What libxl compares a field with before it writes it, when that is not zero.
fn compared_expr(model: &Model, field: &Field) -> Option<String> {
    let Presence::Initial(initial) = field.presence else { return None };
    match &field.ty {
        Ty::Named(id) if initial != 0 && model.as_enum(*id).is_some() => Some(enum_expr(model, *id, initial)),
        Ty::Named(_) => None,
        _ => initial_expr(model, field),
    }
}

/// The value of an enumeration by its number.
fn enum_expr(model: &Model, id: Id, number: i128) -> String {
    let ty = type_name(model.get(id));
    let values = model.as_enum(id).map(|e| e.values.as_slice()).unwrap_or_default();
    match values.iter().find(|v| i128::from(v.number) == number) {
        Some(value) => format!("{ty}::{}", super::names::variant(&value.name)),
        None => format!("{ty}::Other({number})"),
    }
}
