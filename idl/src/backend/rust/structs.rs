//! Structs and the unions in them.

use super::Cx;
use super::names::{camel, ident, union_type, variant};
use super::types::lifecycle;
use crate::model::{Binding, Decl, Field, Presence, Struct, Ty, Union, Value};
use crate::size::decl_max;

/// A constructor of more arguments helps nobody.
const NEW_MAX: usize = 7;

pub(super) fn structure(cx: &mut Cx<'_>, decl: &Decl, s: &Struct) {
    let name = camel(&decl.name);
    let open = !s.dir.is_strict();
    let mut more = lifecycle(decl.since, decl.deprecated.as_deref());
    if let Some(b) = &s.xenstore {
        more.insert(0, format!("In xenstore: `{}` `[{}]`.", b.path, b.access));
    }
    cx.line("");
    cx.doc(&decl.doc, &more);
    let default = if derives_default(s) { ", Default" } else { "" };
    cx.line(&format!("#[derive(Clone, Debug{default}, PartialEq, Eq)]"));
    cx.line(&format!("pub struct {name} {{"));
    for field in &s.fields {
        let ty = cx.rust_type(decl, field).ty;
        let ty = if field.presence == Presence::Optional { format!("Option<{ty}>") } else { ty };
        let limits = cx.limits_doc(field);
        cx.doc(&field.doc, &[limits]);
        cx.line(&format!("pub {}: {ty},", ident(&field.name)));
    }
    if open {
        cx.doc(
            "Fields that a newer version wrote: kept and written again. `Extra::default()` in a new value.",
            &[],
        );
        cx.line(&format!("pub extra: {}::Extra,", cx.wire));
    }
    cx.line("}");
    constants(cx, decl, s, &name);
    construct(cx, decl, s, &name, open);
    super::serde::structure(cx, decl, s, &name);
    for field in &s.fields {
        if let Ty::Union(u) = &field.ty {
            union(cx, decl, field, u, open);
        }
    }
}

/// Limits and the xenstore path, for those who must keep to them.
fn constants(cx: &mut Cx<'_>, decl: &Decl, s: &Struct, name: &str) {
    let limited: Vec<&Field> = s.fields.iter().filter(|f| f.limits.max.is_some()).collect();
    if limited.is_empty() && s.xenstore.is_none() {
        return;
    }
    cx.line("");
    cx.line(&format!("impl {name} {{"));
    for field in limited {
        let unit = if matches!(field.ty, Ty::Array { .. }) { "elements" } else { "bytes" };
        cx.doc(&format!("Most {unit} of `{}`.", field.name), &[]);
        let upper = field.name.to_uppercase();
        cx.line(&format!("pub const {upper}_MAX: u32 = {};", field.limits.max.unwrap_or(0)));
    }
    if let Some(binding) = &s.xenstore {
        let size = decl_max(cx.model, decl).unwrap_or(0);
        xenstore(cx, binding, size);
    }
    cx.line("}");
}

fn xenstore(cx: &mut Cx<'_>, binding: &Binding, size: u64) {
    cx.doc("Its path in xenstore; `$NAME` stands for a part that varies.", &[]);
    cx.line(&format!("pub const XENSTORE_PATH: &'static str = \"{}\";", binding.path));
    cx.doc("Most bytes of its value, without what a newer version may have added.", &[]);
    cx.line(&format!("pub const XENSTORE_SIZE_MAX: usize = {size};"));
    let mut format = binding.path.clone();
    for param in &binding.params {
        format = format.replace(&format!("${}", param.to_uppercase()), &format!("{{{param}}}"));
    }
    if let Some((folder, last)) = binding.path.rsplit_once('/')
        && last.starts_with('$')
        && binding.params.len() == 1
    {
        cx.doc("The folder of these paths.", &[]);
        cx.line(&format!("pub const XENSTORE_FOLDER: &'static str = \"{folder}\";"));
    }
    if !binding.params.is_empty() {
        let params: Vec<String> =
            binding.params.iter().map(|p| format!("{p}: impl ::core::fmt::Display")).collect();
        cx.line("");
        cx.doc("The path of one of them.", &[]);
        cx.line("#[must_use]");
        cx.line(&format!("pub fn xenstore_path({}) -> String {{", params.join(", ")));
        cx.line(&format!("format!(\"{format}\")"));
        cx.line("}");
    }
}

/// Whether every field's default is Rust's own.
fn derives_default(s: &Struct) -> bool {
    s.fields.iter().all(|f| {
        matches!(
            &f.presence,
            Presence::Optional | Presence::Default(Value::Bool(false)) | Presence::Default(Value::Int(0))
        )
    })
}

/// `new` with what is required, or `Default` when nothing is.
fn construct(cx: &mut Cx<'_>, decl: &Decl, s: &Struct, name: &str, open: bool) {
    let required: Vec<&Field> = s.fields.iter().filter(|f| f.presence == Presence::Required).collect();
    let rest = s.fields.len() > required.len() || open;
    if required.is_empty() {
        if derives_default(s) {
            return;
        }
        cx.line("");
        cx.line(&format!("impl ::core::default::Default for {name} {{"));
        cx.line("fn default() -> Self {");
        literal(cx, s, open);
        cx.lines("}\n}\n");
    } else if rest && required.len() <= NEW_MAX {
        let params: Vec<String> =
            required.iter().map(|f| format!("{}: {}", ident(&f.name), cx.rust_type(decl, f).ty)).collect();
        cx.line("");
        cx.line(&format!("impl {name} {{"));
        cx.doc("With what is required; the rest is absent or has its default.", &[]);
        cx.line("#[must_use]");
        cx.line(&format!("pub fn new({}) -> Self {{", params.join(", ")));
        literal(cx, s, open);
        cx.lines("}\n}\n");
    }
}

fn literal(cx: &mut Cx<'_>, s: &Struct, open: bool) {
    cx.line("Self {");
    for field in &s.fields {
        let name = ident(&field.name);
        match (&field.presence, cx.default_expr(field)) {
            (Presence::Optional, _) => cx.line(&format!("{name}: None,")),
            (_, Some(default)) => cx.line(&format!("{name}: {default},")),
            (_, None) => cx.line(&format!("{name},")),
        }
    }
    if open {
        cx.line(&format!("extra: {}::Extra::new(),", cx.wire));
    }
    cx.line("}");
}

fn union(cx: &mut Cx<'_>, decl: &Decl, field: &Field, u: &Union, open: bool) {
    let name = union_type(decl, field, u);
    let w = cx.wire.to_owned();
    let key = cx.model.get(u.key_enum);
    let kind = camel(&key.name);
    let kind_strict = cx.model.as_enum(u.key_enum).is_some_and(|e| e.dir.is_strict());
    cx.line("");
    cx.doc(&field.doc, &[format!("Exactly one key of its object: `\"{}.ARM\"`.", u.keyvar)]);
    cx.line("#[derive(Clone, Debug, PartialEq, Eq)]");
    cx.line(&format!("pub enum {name} {{"));
    for arm in &u.arms {
        let doc = match arm.ty {
            Some(id) => cx.model.get(id).doc.clone(),
            None => cx
                .model
                .as_enum(u.key_enum)
                .and_then(|e| e.values.iter().find(|v| v.name == arm.name))
                .map(|v| v.doc.clone())
                .unwrap_or_default(),
        };
        cx.doc(&doc, &[]);
        let variant = variant(&arm.name);
        match (arm.ty, open) {
            (Some(id), _) => cx.line(&format!("{variant}({}),", camel(&cx.model.get(id).name))),
            (None, true) => cx.line(&format!("{variant}({w}::Extra),")),
            (None, false) => cx.line(&format!("{variant},")),
        }
    }
    if open {
        cx.doc("An arm that a newer version knows: kept and written again.", &[]);
        cx.line("Unknown {");
        cx.doc("Its name.", &[]);
        cx.line("arm: Box<str>,");
        cx.doc("What it holds.", &[]);
        cx.line(&format!("value: {w}::RawJson,"));
        cx.line("},");
    }
    cx.line("}");
    cx.line("");
    cx.line(&format!("impl {name} {{"));
    cx.doc("Which arm it is.", &[]);
    cx.line("#[must_use]");
    cx.line(&format!("pub fn kind(&self) -> {kind} {{"));
    cx.line("match self {");
    for arm in &u.arms {
        let v = variant(&arm.name);
        let holds = if arm.ty.is_some() || open { "(_)" } else { "" };
        cx.line(&format!("Self::{v}{holds} => {kind}::{v},"));
    }
    if open {
        debug_assert!(!kind_strict, "an open struct with a strict key enumeration");
        cx.line(&format!("Self::Unknown {{ arm, .. }} => {kind}::Unknown(arm.clone()),"));
    }
    cx.lines("}\n}\n}\n");
}
