//! Types as fields use them: whether two are one, and what breaks when they are not.

use super::decls::name_of;
use super::{Break, Cx, Surface};
use crate::model::{Builtin, Decl, DeclKind, Model, Number, Ty, Union};
use std::collections::BTreeMap;

const BOTH: &[Surface] = &[Surface::JsonRead, Surface::JsonWrite];

/// Kinds of JSON.
#[derive(Debug, PartialEq, Eq)]
enum Shape {
    Bool,
    Integer,
    String,
    Object,
    Array,
    Any,
    /// Written as a string of its own set: names of an enumeration, `"True"`.
    Word,
}

fn shape(model: &Model, ty: &Ty) -> Shape {
    match ty {
        Ty::Bool => Shape::Bool,
        Ty::Int { .. } | Ty::Domid | Ty::Duration | Ty::Bytes | Ty::Number(_) => Shape::Integer,
        Ty::Str | Ty::Timestamp | Ty::Uuid | Ty::Path => Shape::String,
        Ty::Json => Shape::Any,
        Ty::Builtin(b) => match b {
            Builtin::Text | Builtin::Uuid | Builtin::Mac => Shape::String,
            Builtin::Defbool => Shape::Word,
            Builtin::Bitmap | Builtin::StringList | Builtin::Hwcap | Builtin::MsVmGenid => Shape::Array,
            Builtin::KeyValueList | Builtin::CpuidPolicyList => Shape::Object,
            Builtin::Private(_) => Shape::Any,
        },
        Ty::Named(id) => match &model.get(*id).kind {
            DeclKind::Struct(_) => Shape::Object,
            DeclKind::Enum(_) => Shape::Word,
            DeclKind::Text(_) => Shape::String,
        },
        Ty::Array { .. } => Shape::Array,
        Ty::Union(_) => Shape::Object,
    }
}

/// Least and greatest integer of a type.
pub(super) fn range(ty: &Ty) -> Option<(i128, i128)> {
    match ty {
        Ty::Number(n) if n.signed => Some((-(1i128 << (n.bits - 1)), (1i128 << (n.bits - 1)) - 1)),
        Ty::Number(n) => Some((0, (1i128 << n.bits) - 1)),
        other => other.int_range().map(|(a, b)| (a.into(), b.into())),
    }
}

/// How a field's type changed; unions are compared arm by arm elsewhere.
pub(super) fn difference(cx: &Cx<'_>, a: &Ty, b: &Ty) -> Option<(String, Vec<Break>)> {
    let breaks = match (a, b) {
        (Ty::Union(_), Ty::Union(_)) => return None,
        (Ty::Named(x), Ty::Named(y)) if cx.pairs.now(*x) == Some(*y) => return None,
        (Ty::Array { elem: x, len: was }, Ty::Array { elem: y, len: is }) => {
            let inner = difference(cx, x, y);
            return match inner {
                Some((what, breaks)) => Some((format!("of each element: {what}"), breaks)),
                None if was != is => Some((
                    format!("its length was called `{was}` and is `{is}`"),
                    vec![one(&[Surface::C], "the length is a field of its own")],
                )),
                None => None,
            };
        }
        // How large ones are written is told of once for the number, not for each field.
        (Ty::Number(x), Ty::Number(y)) if x.bits == y.bits && x.signed == y.signed => return None,
        _ if a == b => return None,
        _ => other(cx, a, b),
    };
    let (was, is) = (a.describe(cx.before), b.describe(cx.now));
    Some((format!("was {was} and is {is}"), breaks))
}

fn one(surfaces: &[Surface], why: &str) -> Break {
    Break { surfaces: surfaces.to_vec(), why: why.to_owned() }
}

/// Two types that are not one.
fn other(cx: &Cx<'_>, a: &Ty, b: &Ty) -> Vec<Break> {
    let mut breaks = Vec::new();
    if let (Some(was), Some(is)) = (range(a), range(b)) {
        if is.0 > was.0 || is.1 < was.1 {
            breaks.push(one(&[Surface::JsonRead], "a number out of its new range is refused"));
        }
        if is.0 < was.0 || is.1 > was.1 {
            breaks.push(one(&[Surface::JsonWrite], "a number out of its old range is refused there"));
        }
        // C converts; Python and TypeScript have one kind of integer.
        breaks.push(one(&[Surface::Rust, Surface::Go, Surface::Ocaml], "it is another type of integer"));
        return breaks;
    }
    let (was, is) = (shape(cx.before, a), shape(cx.now, b));
    let why =
        if was == is { "what the one allows the other can refuse" } else { "its JSON is of another kind" };
    // Whatever was there is JSON of some kind.
    let read = is != Shape::Any;
    let write = was != Shape::Any;
    let both: Vec<Surface> =
        BOTH.iter().copied().filter(|s| if *s == Surface::JsonRead { read } else { write }).collect();
    if !both.is_empty() {
        breaks.push(one(&both, why));
    }
    breaks.push(one(Surface::LANGUAGES, "it is of another type"));
    breaks
}

/// Compares a union's arms. Each is `(place, what, breaks)`.
pub(super) fn union(
    cx: &Cx<'_>,
    name: &str,
    a: &Union,
    b: &Union,
    refused: bool,
) -> Vec<(String, String, Vec<Break>)> {
    let mut found = Vec::new();
    let field = format!("field `{name}`");
    if a.keyvar != b.keyvar {
        found.push((
            field.clone(),
            format!("its key was `{}` and is `{}`", a.keyvar, b.keyvar),
            vec![
                one(BOTH, "JSON has it under another key"),
                one(Surface::LANGUAGES, "its key is named in source"),
            ],
        ));
    }
    if cx.pairs.now(a.key_enum) != Some(b.key_enum) {
        let (was, is) = (name_of(cx.before, a.key_enum), name_of(cx.now, b.key_enum));
        found.push((
            field.clone(),
            format!("its key was of {was} and is of {is}"),
            vec![one(Surface::LANGUAGES, "its key is of another type")],
        ));
    }
    if a.name != b.name {
        let what = "its type has another name".to_owned();
        found.push((field, what, vec![one(Surface::LANGUAGES, "it is named in source")]));
    }
    for arm in &a.arms {
        let place = format!("arm `{}.{}`", b.keyvar, arm.name);
        let Some(new) = b.arms.iter().find(|n| n.name.eq_ignore_ascii_case(&arm.name)) else {
            let why = if refused {
                "a document that holds it is refused"
            } else {
                "what it holds is no longer understood"
            };
            let breaks =
                vec![one(&[Surface::JsonRead], why), one(Surface::LANGUAGES, "it is named in source")];
            found.push((place, "gone".to_owned(), breaks));
            continue;
        };
        match (arm.ty, new.ty) {
            (Some(x), Some(y)) if cx.pairs.now(x) != Some(y) => {
                let what = format!("held {} and holds {}", name_of(cx.before, x), name_of(cx.now, y));
                let breaks = vec![
                    one(BOTH, "what the one allows the other can refuse or ignore"),
                    one(Surface::LANGUAGES, "it holds another type"),
                ];
                found.push((place, what, breaks));
            }
            (None, Some(y)) => {
                let what = format!("held nothing and holds {}", name_of(cx.now, y));
                let needs = matches!(&cx.now.get(y).kind, DeclKind::Struct(s)
                    if s.fields.iter().any(|f| f.presence == crate::model::Presence::Required));
                let mut breaks = Vec::new();
                if needs {
                    breaks.push(one(&[Surface::JsonRead], "what was written for it lacks what it must hold"));
                }
                breaks.push(one(
                    &[Surface::Rust, Surface::Python, Surface::Go, Surface::Ocaml, Surface::TypeScript],
                    "it holds a value now",
                ));
                found.push((place, what, breaks));
            }
            (Some(x), None) => {
                let what = format!("held {} and holds nothing", name_of(cx.before, x));
                let breaks = vec![
                    one(&[Surface::JsonRead], "what it held is refused, or lost"),
                    one(Surface::LANGUAGES, "it holds no value"),
                ];
                found.push((place, what, breaks));
            }
            _ => {}
        }
    }
    for arm in b.arms.iter().filter(|n| !a.arms.iter().any(|w| w.name.eq_ignore_ascii_case(&n.name))) {
        let mut breaks = Vec::new();
        // As for a new value of an enumeration; libxl's unions have an arm for what is not known.
        if cx.now.as_enum(b.key_enum).is_some_and(|e| e.unknown != crate::model::Unknown::Ignored) && !refused
        {
            breaks.push(one(&[Surface::Rust, Surface::Ocaml], "a match over all arms lacks it"));
        }
        found.push((format!("arm `{}.{}`", b.keyvar, arm.name), "new".to_owned(), breaks));
    }
    found
}

/// The numbers that a model's fields are of, by name.
fn numbers(model: &Model) -> BTreeMap<String, Number> {
    let mut found = BTreeMap::new();
    for decl in &model.decls {
        let DeclKind::Struct(s) = &decl.kind else { continue };
        for field in &s.fields {
            let ty = match &field.ty {
                Ty::Array { elem, .. } => elem,
                ty => ty,
            };
            if let Ty::Number(n) = ty {
                found.entry(n.name.clone()).or_insert_with(|| n.clone());
            }
        }
    }
    found
}

/// Numbers whose large values are written otherwise.
pub(super) fn large_numbers(cx: &mut Cx<'_>) {
    let (before, now) = (numbers(cx.before), numbers(cx.now));
    for (name, is) in now {
        if let Some(was) = before.get(&name)
            && (was.bits, was.signed) == (is.bits, is.signed)
            && was.full != is.full
        {
            let what = if is.full {
                "every libxl writes all of its values whole"
            } else {
                "libxl on json-c writes values above 2^31-1 as negative ones"
            };
            let place = String::new();
            let (breaks, span) = (Vec::new(), None);
            cx.changes.push(super::Change { ty: name, place, what: what.to_owned(), breaks, span });
        }
    }
}

/// What begins the names of an enumeration's values in C.
pub(super) fn c_prefix(cx: &mut Cx<'_>, old: &Decl, now: &Decl) {
    if let (DeclKind::Enum(a), DeclKind::Enum(b)) = (&old.kind, &now.kind)
        && a.c_prefix != b.c_prefix
        && old.name == now.name
    {
        let change = cx
            .made(
                now,
                "",
                format!("its values began with `{}` in C and begin with `{}`", a.c_prefix, b.c_prefix),
            )
            .breaking(&[Surface::C], "its constants have other names");
        cx.push(change, now.span);
    }
}
