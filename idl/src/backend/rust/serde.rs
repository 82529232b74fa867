//! Reading, writing and JSON Schema of structs.

use super::names::{camel, ident, union_type, variant};
use super::{Cx, quote};
use crate::model::{Arm, Decl, Field, Presence, Struct, Ty, Union, Value};

pub(super) fn structure(cx: &mut Cx<'_>, decl: &Decl, s: &Struct, name: &str) {
    let open = !s.dir.is_strict();
    keys(cx, s, name);
    serialize(cx, decl, s, name, open);
    deserialize(cx, decl, s, name, open);
    schema(cx, decl, s, name, open);
}

/// The codec of an arm's value.
fn arm_codec(cx: &Cx<'_>, arm: &Arm, open: bool) -> String {
    let w = cx.wire;
    match (arm.ty, open) {
        (Some(id), _) => format!("{w}::Plain::<{}>::new()", camel(&cx.model.get(id).name)),
        (None, true) => format!("{w}::Plain::<{w}::Extra>::new()"),
        (None, false) => format!("{w}::Empty"),
    }
}

fn arm_key(u: &Union, arm: &Arm) -> String {
    quote(&format!("{}.{}", u.keyvar, arm.name))
}

/// Every key that the struct knows: for "did you mean", and to keep unknown ones apart.
fn keys(cx: &mut Cx<'_>, s: &Struct, name: &str) {
    let mut keys = Vec::new();
    for field in &s.fields {
        match &field.ty {
            Ty::Union(u) => keys.extend(u.arms.iter().map(|a| arm_key(u, a))),
            _ => keys.push(quote(&field.name)),
        }
    }
    cx.line("");
    cx.line(&format!("impl {name} {{"));
    cx.line(&format!("const KEYS: &'static [&'static str] = &[{}];", keys.join(", ")));
    cx.line("}");
}

fn serialize(cx: &mut Cx<'_>, decl: &Decl, s: &Struct, name: &str, open: bool) {
    let w = cx.wire.to_owned();
    cx.line("");
    cx.line(&format!("impl ::serde::Serialize for {name} {{"));
    cx.line("fn serialize<S: ::serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {");
    let mutable = if s.fields.is_empty() && !open { "" } else { "mut " };
    cx.line(&format!("let {mutable}o = {w}::Writer::new(s)?;"));
    for field in &s.fields {
        let id = ident(&field.name);
        let key = quote(&field.name);
        let codec = cx.rust_type(decl, field).codec;
        match (&field.ty, &field.presence) {
            (Ty::Union(u), _) => serialize_union(cx, decl, field, u, open),
            (_, Presence::Optional) => cx.line(&format!("o.optional({key}, {codec}, self.{id}.as_ref())?;")),
            _ => cx.line(&format!("o.field({key}, {codec}, &self.{id})?;")),
        }
    }
    if open {
        cx.line("o.extra(&self.extra, Self::KEYS)?;");
    }
    cx.lines("o.end()\n}\n}\n");
}

fn serialize_union(cx: &mut Cx<'_>, decl: &Decl, field: &Field, u: &Union, open: bool) {
    let ty = union_type(decl, field, u);
    cx.line(&format!("match &self.{} {{", ident(&field.name)));
    for arm in &u.arms {
        let (v, key, codec) = (variant(&arm.name), arm_key(u, arm), arm_codec(cx, arm, open));
        if arm.ty.is_some() || open {
            cx.line(&format!("{ty}::{v}(v) => o.field({key}, {codec}, v)?,"));
        } else {
            cx.line(&format!("{ty}::{v} => o.field({key}, {codec}, &())?,"));
        }
    }
    if open {
        let keyvar = quote(&u.keyvar);
        cx.line(&format!(
            "{ty}::Unknown {{ arm, value }} => o.unknown_arm({keyvar}, arm, Self::KEYS, value)?,"
        ));
    }
    cx.line("}");
}

fn deserialize(cx: &mut Cx<'_>, decl: &Decl, s: &Struct, name: &str, open: bool) {
    let w = cx.wire.to_owned();
    cx.line("");
    cx.line(&format!("impl<'de> ::serde::Deserialize<'de> for {name} {{"));
    cx.line("fn deserialize<D: ::serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {");
    cx.line(&format!("{w}::read_object(d)"));
    cx.lines("}\n}\n");
    cx.line("");
    cx.line(&format!("impl {w}::Object for {name} {{"));
    cx.line(&format!("const NAME: &'static str = {};", quote(&decl.name)));
    cx.line("");
    cx.line("fn read<'de, A: ::serde::de::MapAccess<'de>>(");
    cx.line(&format!("reader: &mut {w}::Reader<'de, A>,"));
    cx.line(") -> Result<Self, A::Error> {");
    for field in &s.fields {
        cx.line(&format!("let mut {} = None;", local(field)));
    }
    if open {
        cx.line(&format!("let mut extra = {w}::Extra::new();"));
    }
    cx.line("while let Some(key) = reader.key()? {");
    if s.fields.is_empty() {
        cx.line(if open { "reader.keep(&mut extra, &key)?;" } else { "reader.unknown(&key, Self::KEYS)?;" });
        cx.lines("}\n");
        cx.line(if open { "Ok(Self { extra })" } else { "Ok(Self {})" });
        cx.lines("}\n}\n");
        return;
    }
    cx.line("match &*key {");
    for field in &s.fields {
        let slot = local(field);
        if let Ty::Union(u) = &field.ty {
            deserialize_union(cx, decl, field, u, open);
        } else {
            let codec = cx.rust_type(decl, field).codec;
            let key = quote(&field.name);
            cx.line(&format!("{key} => reader.field(&mut {slot}, {key}, {codec})?,"));
        }
    }
    if open {
        cx.line("other => reader.keep(&mut extra, other)?,");
    } else {
        cx.line("other => reader.unknown(other, Self::KEYS)?,");
    }
    cx.lines("}\n}\n");
    cx.line("Ok(Self {");
    for field in &s.fields {
        let (id, slot) = (ident(&field.name), local(field));
        match (&field.presence, cx.default_expr(field)) {
            (Presence::Optional, _) => cx.line(&format!("{id}: {slot},")),
            (_, Some(default)) if matches!(field.presence, Presence::Default(Value::Str(_))) => {
                cx.line(&format!("{id}: {slot}.unwrap_or_else(|| {default}),"));
            }
            (_, Some(default)) => cx.line(&format!("{id}: {slot}.unwrap_or({default}),")),
            (_, None) => match &field.ty {
                Ty::Union(u) => {
                    let keys: Vec<String> = u.arms.iter().map(|a| arm_key(u, a)).collect();
                    cx.line(&format!("{id}: {w}::required_arm({slot}, &[{}])?,", keys.join(", ")));
                }
                _ => cx.line(&format!("{id}: {w}::required({slot}, {})?,", quote(&field.name))),
            },
        }
    }
    if open {
        cx.line("extra,");
    }
    cx.line("})");
    cx.lines("}\n}\n");
}

/// A local variable that is no keyword and collides with none of ours.
fn local(field: &Field) -> String {
    format!("f_{}", field.name)
}

fn deserialize_union(cx: &mut Cx<'_>, decl: &Decl, field: &Field, u: &Union, open: bool) {
    let (ty, slot) = (union_type(decl, field, u), local(field));
    let w = cx.wire.to_owned();
    for arm in &u.arms {
        let (v, key, codec) = (variant(&arm.name), arm_key(u, arm), arm_codec(cx, arm, open));
        let wrap = if arm.ty.is_some() || open { format!("{ty}::{v}") } else { format!("|()| {ty}::{v}") };
        cx.line(&format!("{key} => reader.arm(&mut {slot}, {key}, {codec}, {wrap})?,"));
    }
    if open {
        let prefix = quote(&format!("{}.", u.keyvar));
        cx.line(&format!("other if other.starts_with({prefix}) => {{"));
        cx.line(&format!("let arm = {w}::unknown_arm::<A::Error>({}, other)?;", quote(&u.keyvar)));
        cx.line(&format!(
            "reader.arm(&mut {slot}, other, {w}::Plain::<{w}::RawJson>::new(), |value| {ty}::Unknown {{ arm, value }})?;"
        ));
        cx.line("}");
    }
}

impl Cx<'_> {
    /// `impl JsonSchema` up to the body of `json_schema`.
    pub(super) fn schema_head(&mut self, name: &str, generator: &str) {
        self.line(&format!("impl ::schemars::JsonSchema for {name} {{"));
        self.line("fn schema_name() -> ::std::borrow::Cow<'static, str> {");
        self.line(&format!("::std::borrow::Cow::Borrowed(\"{name}\")"));
        self.line("}");
        self.line("");
        self.line(&format!(
            "fn json_schema({generator}: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {{"
        ));
    }
}

fn schema(cx: &mut Cx<'_>, decl: &Decl, s: &Struct, name: &str, open: bool) {
    let w = cx.wire.to_owned();
    cx.line("");
    let empty = s.fields.is_empty();
    cx.schema_head(name, if empty { "_" } else { "g" });
    let mutable = if empty { "" } else { "mut " };
    cx.line(&format!("let {mutable}o = {w}::ObjectSchema::new({}, {});", quote(&decl.doc), !open));
    for field in &s.fields {
        let key = quote(&field.name);
        if let Ty::Union(u) = &field.ty {
            let mut keys = Vec::new();
            for arm in &u.arms {
                let key = arm_key(u, arm);
                let codec = arm_codec(cx, arm, open);
                cx.line(&format!("o.arm(g, {key}, {codec});"));
                keys.push(key);
            }
            cx.line(&format!("o.union({}, &[{}]);", quote(&u.keyvar), keys.join(", ")));
            continue;
        }
        let required = field.presence == Presence::Required;
        let codec = cx.rust_type(decl, field).codec;
        cx.line(&format!("o.field(g, {key}, {}, {required}, {codec});", quote(&field.doc)));
        if let Presence::Default(value) = &field.presence {
            let value = match value {
                Value::Bool(b) => b.to_string(),
                Value::Int(i) => i.to_string(),
                Value::Str(s) | Value::Enum(s) => quote(s),
            };
            cx.line(&format!("o.default({key}, {value}.into());"));
        }
    }
    cx.line("o.finish()");
    cx.lines("}\n}\n");
}
