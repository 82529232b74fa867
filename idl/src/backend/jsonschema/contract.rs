//! Schemas of the contract's types. They say what `schemars` makes of the Rust types, and more beside it.

use super::{Members, int, lifecycle, member, reference, text, texts};
use crate::model::{
    Decl, DeclKind, Enum, Field, Limits, Model, Presence, Struct, Text, Ty, Union, Unknown, Value,
};
use crate::pattern::Pattern;
use crate::sample::Node;
use crate::size::decl_max;

const UUID: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";
const TIMESTAMP: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{9}Z$";
const ENUM_NAME: &str = "^[a-z][a-z0-9_]{0,63}$";

pub(super) fn schema(model: &Model, decl: &Decl) -> Members {
    match &decl.kind {
        DeclKind::Text(t) => named_text(decl, t),
        DeclKind::Enum(e) => enumeration(decl, e),
        DeclKind::Struct(s) => structure(model, decl, s),
    }
}

fn named_text(decl: &Decl, t: &Text) -> Members {
    let mut schema = vec![text("type", "string"), text("description", &decl.doc)];
    limit(&mut schema, t.min, t.max, Some(&t.pattern));
    schema
}

/// Lengths here are of UTF-8 bytes, those of JSON Schema of characters: one is at most four bytes.
fn limit(schema: &mut Members, min: Option<u64>, max: Option<u64>, pattern: Option<&Pattern>) {
    let mut limits = Vec::new();
    limits.extend(min.filter(|m| *m > 0).map(|m| int("minLength", m.div_ceil(4))));
    limits.extend(max.map(|m| int("maxLength", m)));
    limits.extend(pattern.map(|p| text("pattern", &p.to_ecma())));
    if limits.iter().any(|(key, _)| schema.iter().any(|(k, _)| k == key)) {
        schema.push(member("allOf", Node::List(vec![Node::Map(limits)])));
    } else {
        schema.extend(limits);
    }
}

fn enumeration(decl: &Decl, e: &Enum) -> Members {
    let mut one_of: Vec<Node> = e
        .values
        .iter()
        .map(|v| {
            Node::Map(vec![text("const", &v.name), text("description", &v.doc), int("x-number", v.number)])
        })
        .collect();
    if e.unknown == Unknown::Kept {
        one_of.push(Node::Map(vec![
            text("pattern", ENUM_NAME),
            member("not", Node::Map(vec![member("enum", texts(e.values.iter().map(|v| v.name.as_str())))])),
            text("description", "a value that a newer version knows"),
        ]));
    }
    vec![text("type", "string"), text("description", &decl.doc), member("oneOf", Node::List(one_of))]
}

fn structure(model: &Model, decl: &Decl, s: &Struct) -> Members {
    let strict = s.unknown == Unknown::Refused;
    let (mut properties, mut unions) = (Vec::new(), Vec::new());
    for field in &s.fields {
        if let Ty::Union(u) = &field.ty {
            for arm in &u.arms {
                let held = match arm.ty {
                    Some(id) => reference(model.get(id).raw_name()),
                    None if strict => {
                        vec![text("type", "object"), member("additionalProperties", Node::Bool(false))]
                    }
                    None => vec![text("type", "object")],
                };
                properties.push(member(&format!("{}.{}", u.keyvar, arm.name), Node::Map(held)));
            }
            unions.push(one_arm(u, strict));
        } else {
            properties.push(member(&field.name, Node::Map(property(model, field))));
        }
    }
    let required: Vec<&str> = s
        .fields
        .iter()
        .filter(|f| f.presence == Presence::Required && !matches!(f.ty, Ty::Union(_)))
        .map(|f| f.name.as_str())
        .collect();
    let mut schema = vec![text("type", "object"), text("description", &decl.doc)];
    schema.push(member("properties", Node::Map(properties)));
    if !required.is_empty() {
        schema.push(member("required", texts(required)));
    }
    if strict {
        schema.push(member("additionalProperties", Node::Bool(false)));
    }
    if !unions.is_empty() {
        schema.push(member("allOf", Node::List(unions)));
    }
    if let Some(b) = &s.xenstore {
        let mut bound = vec![text("path", &b.path), text("access", &b.access)];
        bound.extend(decl_max(model, decl).ok().map(|max| int("size_max", max)));
        schema.push(member("x-xenstore", Node::Map(bound)));
    }
    schema
}

/// Exactly one arm; an open union may have one that this version does not know.
fn one_arm(u: &Union, strict: bool) -> Node {
    let keys: Vec<String> = u.arms.iter().map(|a| format!("{}.{}", u.keyvar, a.name)).collect();
    let mut one_of: Vec<Node> =
        keys.iter().map(|key| Node::Map(vec![member("required", texts([key.as_str()]))])).collect();
    if !strict {
        let other =
            Node::Map(vec![member("not", Node::Map(vec![text("pattern", &format!("^{}\\.", u.keyvar))]))]);
        let known = Node::Map(vec![member("enum", texts(keys.iter().map(String::as_str)))]);
        let names = Node::Map(vec![member("anyOf", Node::List(vec![known, other]))]);
        one_of.push(Node::Map(vec![member("not", Node::Map(vec![member("propertyNames", names)]))]));
    }
    Node::Map(vec![member("oneOf", Node::List(one_of))])
}

fn property(model: &Model, field: &Field) -> Members {
    let mut schema = of(model, &field.ty, &field.limits);
    schema.push(text("description", &field.doc));
    if let Presence::Default(value) = &field.presence {
        let value = match value {
            Value::Bool(b) => Node::Bool(*b),
            Value::Int(i) => Node::Int(i128::from(*i)),
            Value::Str(s) | Value::Enum(s) => Node::text(s),
        };
        schema.push(member("default", value));
    }
    match field.ty {
        Ty::Duration => schema.push(text("x-unit", "nanoseconds")),
        Ty::Bytes => schema.push(text("x-unit", "bytes")),
        _ => {}
    }
    schema.extend(lifecycle(field.since, field.deprecated.as_deref()));
    schema
}

/// The one exhaustive match over types.
fn of(model: &Model, ty: &Ty, limits: &Limits) -> Members {
    let narrowed = |mut schema: Members| {
        limit(&mut schema, limits.min, limits.max, limits.pattern.as_ref());
        schema
    };
    match ty {
        Ty::Bool => vec![text("type", "boolean")],
        Ty::Int { .. } | Ty::Domid | Ty::Duration | Ty::Bytes => {
            let (min, max) = limits.range.or(ty.int_range()).unwrap_or_default();
            vec![text("type", "integer"), int("minimum", min), int("maximum", max)]
        }
        Ty::Str => narrowed(vec![text("type", "string")]),
        Ty::Timestamp => {
            vec![text("type", "string"), text("format", "date-time"), text("pattern", TIMESTAMP)]
        }
        Ty::Uuid => vec![text("type", "string"), text("format", "uuid"), text("pattern", UUID)],
        Ty::Path => narrowed(vec![
            text("type", "string"),
            text("pattern", "^/[^\\x00]*$"),
            member("not", Node::Map(vec![text("pattern", "(^|/)\\.\\.(/|$)")])),
        ]),
        // Anything. Its length is that of its text, which a schema does not see.
        Ty::Json => Vec::new(),
        Ty::Named(id) => narrowed(reference(model.get(*id).raw_name())),
        Ty::Array { elem, .. } => {
            let mut schema =
                vec![text("type", "array"), member("items", Node::Map(of(model, elem, &Limits::default())))];
            schema.extend(limits.min.filter(|m| *m > 0).map(|m| int("minItems", m)));
            schema.extend(limits.max.map(|m| int("maxItems", m)));
            schema
        }
        // A union's keys are its struct's; libxl's types are not the contract's.
        Ty::Union(_) | Ty::Number(_) | Ty::Builtin(_) => Vec::new(),
    }
}
