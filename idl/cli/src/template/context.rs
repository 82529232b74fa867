//! The model as templates see it. Documented in templates/README.md: what is there stays there.

use serde_json::{Map, Value, json};
use xenidl::Model;
use xenidl::backend::{common, header};
use xenidl::model::{
    Arm, Builtin, Decl, DeclKind, Field, Limits, Presence, Struct, Ty, Union, Unknown, Value as Literal,
};
use xenidl::size::decl_max;

/// The whole context.
pub(super) struct Unit {
    pub(super) package: String,
    pub(super) value: Value,
}

impl Unit {
    /// Every type that has a name of its own.
    pub(super) fn types(&self) -> impl Iterator<Item = &Value> {
        let types = self.value.get("types").and_then(Value::as_array);
        types.into_iter().flatten().filter(|t| t.get("anonymous") == Some(&Value::Bool(false)))
    }
}

/// Whether a type is a struct, an enum ..
pub(super) fn is_kind(ty: &Value, kind: &str) -> bool {
    ty.get("kind").and_then(Value::as_str) == Some(kind)
}

pub(super) fn unit(model: &Model) -> Unit {
    let package = common::package(model).to_owned();
    let types: Vec<Value> = model.decls.iter().map(|d| declaration(model, d)).collect();
    let ordered: Vec<Value> =
        common::after_their_parts(model).into_iter().map(|d| declaration(model, d)).collect();
    let of = |kind: &str| types.iter().filter(|t| is_kind(t, kind)).cloned().collect::<Vec<Value>>();
    let value = json!({
        "package": package,
        "namespace": model.namespace,
        "header": header(model),
        "structs": of("struct"),
        "enums": of("enum"),
        "strings": of("string"),
        "types": types,
        "types_after_parts": ordered,
    });
    Unit { package, value }
}

fn declaration(model: &Model, decl: &Decl) -> Value {
    let mut out = json!({
        "name": decl.raw_name(),
        "whole_name": decl.name,
        "doc": decl.doc,
        "since": decl.since,
        "deprecated": decl.deprecated,
        "anonymous": decl.anonymous,
        "hidden": decl.hidden,
        "libxl": common::is_libxls(decl),
    });
    let more = match &decl.kind {
        DeclKind::Struct(s) => structure(model, decl, s),
        DeclKind::Enum(e) => json!({
            "kind": "enum",
            "dir": e.dir.as_str(),
            "strict": e.unknown == Unknown::Refused,
            "open": e.unknown == Unknown::Kept,
            "c_prefix": e.c_prefix,
            "initial": e.initial,
            "values": e.values.iter()
                .map(|v| json!({ "name": v.name, "number": v.number, "doc": v.doc }))
                .collect::<Vec<_>>(),
        }),
        DeclKind::Text(t) => json!({
            "kind": "string",
            "pattern": t.pattern.text,
            "regex": t.pattern.to_ecma(),
            "min": t.min,
            "max": t.max,
        }),
    };
    merge(&mut out, more);
    out
}

fn merge(out: &mut Value, more: Value) {
    if let (Value::Object(out), Value::Object(more)) = (out, more) {
        out.extend(more);
    }
}

fn structure(model: &Model, decl: &Decl, s: &Struct) -> Value {
    let xenstore = s.xenstore.as_ref().map(|b| {
        json!({ "path": b.path, "params": b.params, "access": b.access, "size_max": decl_max(model, decl).ok() })
    });
    json!({
        "kind": "struct",
        "dir": s.dir.as_str(),
        "strict": s.unknown == Unknown::Refused,
        "open": s.unknown == Unknown::Kept,
        "xenstore": xenstore,
        "fields": s.fields.iter().map(|f| field(model, f)).collect::<Vec<_>>(),
    })
}

fn field(model: &Model, field: &Field) -> Value {
    let (presence, default) = match &field.presence {
        Presence::Required => ("required", Value::Null),
        Presence::Optional => ("optional", Value::Null),
        Presence::Default(Literal::Bool(b)) => ("default", json!(b)),
        Presence::Default(Literal::Int(i)) => ("default", json!(i)),
        Presence::Default(Literal::Str(s) | Literal::Enum(s)) => ("default", json!(s)),
        // It may be more than JSON's numbers hold in many a language: text.
        Presence::Initial(i) => ("initial", json!(i.to_string())),
    };
    let Limits { range, min, max, pattern } = &field.limits;
    json!({
        "name": field.name,
        "doc": field.doc,
        "type": ty(model, &field.ty),
        "presence": presence,
        "default": default,
        "range": range.map(|(a, b)| json!([a, b])),
        "min": min,
        "max": max,
        "pattern": pattern.as_ref().map(|p| &p.text),
        "regex": pattern.as_ref().map(xenidl::pattern::Pattern::to_ecma),
        "in_json": !field.constant && !matches!(field.ty, Ty::Builtin(Builtin::Private(_))),
        "since": field.since,
        "deprecated": field.deprecated,
    })
}

/// The one exhaustive match over types.
fn ty(model: &Model, ty: &Ty) -> Value {
    let kind = match ty {
        Ty::Bool => "bool",
        Ty::Int { .. } | Ty::Domid => "int",
        Ty::Str => "string",
        Ty::Timestamp => "timestamp",
        Ty::Duration => "duration",
        Ty::Uuid => "uuid",
        Ty::Path => "path",
        Ty::Bytes => "bytes",
        Ty::Json => "json",
        Ty::Number(_) => "number",
        Ty::Builtin(_) => "builtin",
        Ty::Named(_) => "named",
        Ty::Array { .. } => "array",
        Ty::Union(_) => "union",
    };
    let mut out = Map::new();
    out.insert("kind".into(), json!(kind));
    out.insert("name".into(), json!(ty.describe(model)));
    if let Some((min, max)) = ty.int_range() {
        out.insert("min".into(), json!(min));
        out.insert("max".into(), json!(max));
    }
    match ty {
        Ty::Int { bits, signed } => {
            out.insert("bits".into(), json!(bits));
            out.insert("signed".into(), json!(signed));
        }
        Ty::Number(n) => {
            out.insert("bits".into(), json!(n.bits));
            out.insert("signed".into(), json!(n.signed));
        }
        Ty::Named(id) => {
            let decl = model.get(*id);
            let of = match &decl.kind {
                DeclKind::Struct(_) => "struct",
                DeclKind::Enum(_) => "enum",
                DeclKind::Text(_) => "string",
            };
            out.insert("name".into(), json!(decl.raw_name()));
            out.insert("of".into(), json!(of));
        }
        Ty::Array { elem, len } => {
            out.insert("element".into(), self::ty(model, elem));
            out.insert("length".into(), json!(len));
        }
        Ty::Union(u) => {
            out.insert("name".into(), json!(u.name));
            out.insert("keyvar".into(), json!(u.keyvar));
            out.insert("keys".into(), json!(model.get(u.key_enum).raw_name()));
            out.insert("arms".into(), u.arms.iter().map(|a| arm(model, u, a)).collect());
        }
        _ => {}
    }
    Value::Object(out)
}

fn arm(model: &Model, u: &Union, arm: &Arm) -> Value {
    let values = model.as_enum(u.key_enum).map(|e| e.values.as_slice()).unwrap_or_default();
    let value = values.iter().find(|v| v.number == arm.number);
    json!({
        "name": arm.name,
        "number": arm.number,
        "json_key": format!("{}.{}", u.keyvar, arm.name),
        "type": arm.ty.map(|id| model.get(id).raw_name()),
        "doc": value.map(|v| &v.doc),
    })
}
