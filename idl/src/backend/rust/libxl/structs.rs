//! Structs and the unions in them.

use super::{compared_expr, initial_expr, rust_type};
use crate::backend::rust::names::{ident, type_name, union_type, variant};
use crate::backend::rust::{Cx, quote};
use crate::model::{Arm, Decl, DeclKind, Field, Id, Presence, Struct, Ty, Union};

/// An arm of more fields than these is boxed, so that the others do not pay for it.
const UNBOXED_MAX: usize = 8;

/// The fields that values hold.
fn held(s: &Struct) -> impl Iterator<Item = &Field> {
    s.fields.iter().filter(|f| !f.constant)
}

pub(super) fn structure(cx: &mut Cx<'_>, decl: &Decl, s: &Struct) {
    let name = type_name(decl);
    cx.line("");
    let doc = if decl.doc.is_empty() { format!("`{}`.", decl.name) } else { decl.doc.clone() };
    cx.doc(&doc, &[]);
    let plain = held(s).all(|f| initial_expr(cx.model, f).is_none());
    let default = if plain { ", Default" } else { "" };
    cx.line(&format!("#[derive(Clone, Debug{default}, PartialEq, Eq)]"));
    cx.line(&format!("pub struct {name} {{"));
    for field in held(s) {
        let ty = match &field.ty {
            Ty::Union(u) => union_type(decl, field, u),
            ty => match rust_type(cx.model, ty) {
                Some((ty, _)) => ty,
                None => continue,
            },
        };
        field_doc(cx, field);
        cx.line(&format!("pub {}: {ty},", ident(&field.name)));
    }
    cx.line("}");
    if !plain {
        initial(cx, &name, s);
    }
    json(cx, decl, s, &name);
    for field in held(s) {
        if let Ty::Union(u) = &field.ty {
            union(cx, decl, field, u);
        }
    }
}

fn field_doc(cx: &mut Cx<'_>, field: &Field) {
    let doc = match (&field.ty, field.doc.is_empty()) {
        (_, false) => field.doc.clone(),
        (Ty::Union(u), true) => format!("What `{}` stands for.", u.keyvar),
        (ty, true) => format!("`{}`.", ty.describe(cx.model)),
    };
    let begins = match field.presence {
        Presence::Initial(i) if i != 0 && matches!(field.ty, Ty::Number(_)) => format!("Begins as {i}."),
        _ => String::new(),
    };
    let deprecated = field.deprecated.as_ref().map(|d| format!("Deprecated: {d}."));
    cx.doc(&doc, &[begins, deprecated.unwrap_or_default()]);
}

fn initial(cx: &mut Cx<'_>, name: &str, s: &Struct) {
    cx.line("");
    cx.line(&format!("impl ::core::default::Default for {name} {{"));
    cx.line("fn default() -> Self {");
    cx.line("Self {");
    for field in held(s) {
        if rust_type(cx.model, &field.ty).is_none() && !matches!(field.ty, Ty::Union(_)) {
            continue;
        }
        let value = initial_expr(cx.model, field).unwrap_or_else(|| "Default::default()".into());
        cx.line(&format!("{}: {value},", ident(&field.name)));
    }
    cx.lines("}\n}\n}\n");
}

/// A key of the object, and what it belongs to.
enum Key<'a> {
    Field(&'a Field, String),
    Arm(&'a Field, &'a Union, &'a Arm),
    /// The key of a union itself, which only the strict dialects have.
    Var(&'a Field, &'a Union),
}

fn json(cx: &mut Cx<'_>, decl: &Decl, s: &Struct, name: &str) {
    let mut keys = Vec::new();
    for field in held(s) {
        match &field.ty {
            Ty::Union(u) => {
                keys.extend(u.arms.iter().map(|a| Key::Arm(field, u, a)));
                keys.push(Key::Var(field, u));
            }
            ty => {
                if let Some((_, codec)) = rust_type(cx.model, ty) {
                    keys.push(Key::Field(field, codec));
                }
            }
        }
    }
    cx.line("");
    cx.line(&format!("impl rt::Json for {name} {{"));
    cx.line(&format!("const NAME: &'static str = {};", quote(decl.raw_name())));
    cx.line("");
    reader(cx, decl, s, &keys);
    cx.line("");
    cx.line("fn write(&self, w: &mut rt::Writer) {");
    cx.line("w.open('{');");
    for field in held(s) {
        match &field.ty {
            Ty::Union(u) => write_union(cx, decl, field, u),
            ty => {
                let Some((_, codec)) = rust_type(cx.model, ty) else { continue };
                let (key, id) = (quote(&field.name), ident(&field.name));
                match compared_expr(cx.model, field) {
                    Some(value) => {
                        cx.line(&format!("w.field_from::<{codec}>({key}, &self.{id}, &{value});"));
                    }
                    None => cx.line(&format!("w.field::<{codec}>({key}, &self.{id});")),
                }
            }
        }
    }
    cx.line("w.close('}');");
    cx.lines("}\n}\n");
}

fn reader(cx: &mut Cx<'_>, decl: &Decl, s: &Struct, keys: &[Key<'_>]) {
    let names: Vec<String> = keys
        .iter()
        .map(|key| match key {
            Key::Field(field, _) => quote(&field.name),
            Key::Arm(_, u, arm) => arm_key(u, arm),
            Key::Var(_, u) => quote(&u.keyvar),
        })
        .collect();
    cx.line("fn read_into(&mut self, r: &mut rt::Reader<'_>) -> rt::Result<()> {");
    cx.line(&format!("const KEYS: &[&str] = &[{}];", names.join(", ")));
    cx.line("let Some(mut o) = r.object(KEYS)? else { return Ok(()) };");
    if keys.is_empty() {
        cx.line("while o.key(r)?.is_some() {}");
        cx.lines("Ok(())\n}\n");
        return;
    }
    for field in held(s) {
        if matches!(field.ty, Ty::Union(_)) {
            cx.line(&format!("let mut arm_{} = None;", field.name));
        }
    }
    let alone = keys.len() == 1;
    if alone {
        cx.line("while o.key(r)?.is_some() {");
    } else {
        cx.line("while let Some(key) = o.key(r)? {");
        cx.line("match key {");
    }
    for (i, key) in keys.iter().enumerate() {
        // The last one takes the rest: there is no other.
        let (pattern, end) = match i + 1 {
            _ if alone => (String::new(), ';'),
            n if n == keys.len() => ("_ => ".to_owned(), ','),
            _ => (format!("{i} => "), ','),
        };
        match key {
            Key::Field(field, codec) => {
                let value = match (initial_expr(cx.model, field), &field.ty) {
                    (Some(value), _) => format!("|| {value}"),
                    (None, Ty::Number(_)) => "|| 0".into(),
                    (None, Ty::Bool) => "|| false".into(),
                    (None, _) => "Default::default".into(),
                };
                cx.line(&format!(
                    "{pattern}o.set::<{codec}>(r, &mut self.{}, {value})?{end}",
                    ident(&field.name)
                ));
            }
            Key::Var(field, u) => {
                let (ty, kind) = (union_type(decl, field, u), type_name(cx.model.get(u.key_enum)));
                let (slot, id) = (format!("arm_{}", field.name), ident(&field.name));
                cx.line(&format!(
                    "{pattern}o.keyvar::<rt::Enum<{kind}>, _>(r, &mut {slot}, &mut self.{id}, {ty}::Other)?{end}"
                ));
            }
            Key::Arm(field, u, arm) => {
                let ty = union_type(decl, field, u);
                let (codec, wrap) = match arm.ty {
                    None => ("rt::Empty".to_owned(), format!("|()| {ty}::{}", variant(&arm.name))),
                    Some(id) => {
                        let held = type_name(cx.model.get(id));
                        let arm = format!("{ty}::{}", variant(&arm.name));
                        let wrap = if boxed(cx, id) { format!("|x| {arm}(Box::new(x))") } else { arm };
                        (format!("rt::Sub<{held}>"), wrap)
                    }
                };
                let (slot, id) = (format!("arm_{}", field.name), ident(&field.name));
                cx.line(&format!(
                    "{pattern}o.arm::<{codec}, _>(r, &mut {slot}, &mut self.{id}, {wrap})?{end}"
                ));
            }
        }
    }
    cx.lines(if alone { "}\nOk(())\n}\n" } else { "}\n}\nOk(())\n}\n" });
}

fn arm_key(u: &Union, arm: &Arm) -> String {
    quote(&format!("{}.{}", u.keyvar, arm.name))
}

fn boxed(cx: &Cx<'_>, id: Id) -> bool {
    matches!(&cx.model.get(id).kind, DeclKind::Struct(s) if s.fields.len() > UNBOXED_MAX)
}

fn write_union(cx: &mut Cx<'_>, decl: &Decl, field: &Field, u: &Union) {
    let ty = union_type(decl, field, u);
    let kind = type_name(cx.model.get(u.key_enum));
    cx.line(&format!("match &self.{} {{", ident(&field.name)));
    for arm in &u.arms {
        let (v, key) = (variant(&arm.name), arm_key(u, arm));
        match arm.ty {
            Some(id) => {
                let held = type_name(cx.model.get(id));
                cx.line(&format!("{ty}::{v}(x) => w.value::<rt::Sub<{held}>>({key}, x),"));
            }
            None => cx.line(&format!("{ty}::{v} => w.value::<rt::Empty>({key}, &()),")),
        }
    }
    let initial = super::enum_expr(cx.model, u.key_enum, i128::from(u.initial));
    cx.line(&format!(
        "{ty}::Other(key) => w.no_arm::<rt::Enum<{kind}>>({}, key, &{initial}),",
        quote(&u.keyvar)
    ));
    cx.line("}");
}

fn union(cx: &mut Cx<'_>, decl: &Decl, field: &Field, u: &Union) {
    let name = union_type(decl, field, u);
    let kind = type_name(cx.model.get(u.key_enum));
    let initial = u.arms.iter().find(|a| a.number == u.initial);
    cx.line("");
    cx.doc(
        &format!("What `{}` stands for in a `{}`.", u.keyvar, decl.name),
        &[format!("One key of its object: `\"{}.ARM\"`.", u.keyvar)],
    );
    let derived = matches!(initial, Some(Arm { ty: None, .. }));
    let default = if derived { ", Default" } else { "" };
    cx.line(&format!("#[derive(Clone, Debug{default}, PartialEq, Eq)]"));
    cx.line(&format!("pub enum {name} {{"));
    for arm in &u.arms {
        cx.doc(&format!("`{}`.", arm.name), &[]);
        if derived && arm.number == u.initial {
            cx.line("#[default]");
        }
        let variant = variant(&arm.name);
        match arm.ty {
            Some(id) => {
                let held = type_name(cx.model.get(id));
                let held = if boxed(cx, id) { format!("Box<{held}>") } else { held };
                cx.line(&format!("{variant}({held}),"));
            }
            None => cx.line(&format!("{variant},")),
        }
    }
    cx.doc(&format!("A `{}` that has no arm: libxl writes nothing of it.", u.keyvar), &[]);
    cx.line(&format!("Other({kind}),"));
    cx.line("}");
    if !derived {
        cx.line("");
        cx.line(&format!("impl ::core::default::Default for {name} {{"));
        cx.line("fn default() -> Self {");
        match initial {
            Some(arm) => cx.line(&format!("Self::{}(Default::default())", variant(&arm.name))),
            None => {
                let value = super::enum_expr(cx.model, u.key_enum, i128::from(u.initial));
                cx.line(&format!("Self::Other({value})"));
            }
        }
        cx.lines("}\n}\n");
    }
    cx.line("");
    cx.line(&format!("impl {name} {{"));
    cx.doc(&format!("The value of `{}`.", u.keyvar), &[]);
    cx.line("#[must_use]");
    cx.line(&format!("pub fn kind(&self) -> {kind} {{"));
    cx.line("match self {");
    for arm in &u.arms {
        let value = super::enum_expr(cx.model, u.key_enum, i128::from(arm.number));
        let holds = if arm.ty.is_some() { "(_)" } else { "" };
        cx.line(&format!("Self::{}{holds} => {value},", variant(&arm.name)));
    }
    cx.line("Self::Other(key) => *key,");
    cx.lines("}\n}\n}\n");
}
