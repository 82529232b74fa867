//! The model as JSON, for people and for tests of the compiler.

use crate::model::{COption, Decl, DeclKind, Field, Model, Presence, Ty, Unknown, Value};
use crate::size::decl_max;
use std::fmt::Write as _;

/// The whole model, one declaration a line.
#[must_use]
pub fn dump(model: &Model) -> String {
    let decls: Vec<String> = model.decls.iter().map(|d| decl(model, d)).collect();
    format!("[\n{}\n]\n", decls.join(",\n"))
}

/// One declaration.
pub(crate) fn decl(model: &Model, decl: &Decl) -> String {
    let mut o = Object::default();
    o.str("name", &decl.name);
    if decl.hidden {
        o.raw("hidden", "true");
    }
    if decl.anonymous {
        o.raw("anonymous", "true");
    }
    match &decl.kind {
        DeclKind::Struct(s) => {
            o.str("kind", "struct");
            o.str("dir", s.dir.as_str());
            if let Some(b) = &s.xenstore {
                o.str("xenstore", &b.path);
                o.str("access", &b.access);
            }
            if s.unknown != Unknown::Ignored
                && let Ok(max) = decl_max(model, decl)
            {
                o.raw("size_max", &max.to_string());
            }
            let fields: Vec<String> = s.fields.iter().map(|f| field(model, f)).collect();
            o.raw("fields", &list(&fields));
        }
        DeclKind::Enum(e) => {
            o.str("kind", "enum");
            o.str("dir", e.dir.as_str());
            if !e.c_prefix.is_empty() {
                o.str("c_prefix", &e.c_prefix);
            }
            o.number("initial", e.initial);
            let values: Vec<String> = e
                .values
                .iter()
                .map(|v| {
                    let mut o = Object::default();
                    o.str("name", &v.name);
                    o.raw("number", &v.number.to_string());
                    o.doc(&v.doc);
                    o.end()
                })
                .collect();
            o.raw("values", &list(&values));
        }
        DeclKind::Text(t) => {
            o.str("kind", "string");
            o.str("pattern", &t.pattern.text);
            o.number("min", t.min);
            o.number("max", t.max);
            o.number("json_max", t.pattern.json_max(t.max));
        }
    }
    for (name, value) in &decl.c_options {
        match value {
            COption::None => o.raw(name, "null"),
            COption::Bool(b) => o.raw(name, &b.to_string()),
            COption::Text(text) => o.str(name, text),
        }
    }
    o.number("since", decl.since);
    if let Some(d) = &decl.deprecated {
        o.str("deprecated", d);
    }
    o.doc(&decl.doc);
    o.end()
}

fn field(model: &Model, field: &Field) -> String {
    let mut o = Object::default();
    o.str("name", &field.name);
    o.raw("type", &ty(model, &field.ty));
    match &field.presence {
        Presence::Required => {}
        Presence::Optional => o.raw("optional", "true"),
        Presence::Initial(0) => {}
        Presence::Initial(i) => o.raw("initial", &i.to_string()),
        Presence::Default(Value::Bool(b)) => o.raw("default", &b.to_string()),
        Presence::Default(Value::Int(i)) => o.raw("default", &i.to_string()),
        Presence::Default(Value::Str(s) | Value::Enum(s)) => o.str("default", s),
    }
    if field.constant {
        o.raw("const", "true");
    }
    if let Some((a, b)) = field.limits.range {
        o.raw("range", &format!("[{a},{b}]"));
    }
    o.number("min", field.limits.min);
    o.number("max", field.limits.max);
    if let Some(p) = &field.limits.pattern {
        o.str("pattern", &p.text);
    }
    o.number("since", field.since);
    if let Some(d) = &field.deprecated {
        o.str("deprecated", d);
    }
    o.doc(&field.doc);
    o.end()
}

fn ty(model: &Model, ty: &Ty) -> String {
    let mut o = Object::default();
    match ty {
        Ty::Array { elem, len } => {
            o.raw("array", &self::ty(model, elem));
            o.str("length", len);
        }
        Ty::Union(u) => {
            o.str("union", &model.get(u.key_enum).name);
            if let Some(name) = &u.name {
                o.str("name", name);
            }
            o.str("key", &u.keyvar);
            if u.initial != 0 {
                o.raw("initial", &u.initial.to_string());
            }
            let arms: Vec<String> = u
                .arms
                .iter()
                .map(|a| {
                    let mut o = Object::default();
                    o.str("name", &a.name);
                    if let Some(id) = a.ty {
                        o.str("type", &model.get(id).name);
                    }
                    o.end()
                })
                .collect();
            o.raw("arms", &list(&arms));
        }
        Ty::Bool
        | Ty::Int { .. }
        | Ty::Domid
        | Ty::Str
        | Ty::Timestamp
        | Ty::Duration
        | Ty::Uuid
        | Ty::Path
        | Ty::Bytes
        | Ty::Json
        | Ty::Number(_)
        | Ty::Builtin(_)
        | Ty::Named(_) => return string(&ty.describe(model)),
    }
    o.end()
}

#[derive(Default)]
struct Object {
    text: String,
}

impl Object {
    fn raw(&mut self, key: &str, value: &str) {
        let comma = if self.text.is_empty() { "" } else { "," };
        let _ = write!(self.text, "{comma}{}:{value}", string(key));
    }

    fn str(&mut self, key: &str, value: &str) {
        self.raw(key, &string(value));
    }

    fn number(&mut self, key: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.raw(key, &value.to_string());
        }
    }

    fn doc(&mut self, doc: &str) {
        if !doc.is_empty() {
            self.str("doc", doc);
        }
    }

    fn end(self) -> String {
        format!("{{{}}}", self.text)
    }
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "[]".into() } else { format!("[\n  {}]", items.join(",\n  ")) }
}

fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
