//! The contract's types: `src/contract.ts`.

use super::names::{lower_camel, param, union_type};
use super::{Cx, lifecycle, property, quote};
use crate::model::{
    Binding, Decl, DeclKind, Enum, Field, Limits, Presence, Struct, Text, Ty, Union, Unknown, Value,
};
use crate::pattern::Pattern;
use crate::size::decl_max;

/// The whole file.
pub(super) fn file(cx: &mut Cx<'_>, decls: &[&Decl]) {
    for decl in decls {
        cx.line("");
        match &decl.kind {
            DeclKind::Text(text) => named_text(cx, decl, text),
            DeclKind::Enum(e) => enumeration(cx, decl, e),
            DeclKind::Struct(s) => structure(cx, decl, s),
        }
    }
    cx.types_table(decls, "types");
}

fn direction(unknown: Unknown) -> &'static str {
    if unknown == Unknown::Refused { "\"strict\"" } else { "\"open\"" }
}

fn named_text(cx: &mut Cx<'_>, decl: &Decl, text: &Text) {
    let name = cx.type_name(decl);
    let said = match text.max {
        Some(max) => format!(
            "Matches `{}`, at most {max} bytes.",
            super::escape_doc(&text.pattern.text.escape_debug().to_string())
        ),
        None => format!("Matches `{}`.", super::escape_doc(&text.pattern.text.escape_debug().to_string())),
    };
    let mut more = vec![said];
    more.extend(lifecycle(decl.since, decl.deprecated.as_deref()));
    cx.doc("", &decl.doc, &more);
    cx.line(&format!("export type {name} = string;"));
    let limits = limits(text.min, text.max, Some(&text.pattern));
    cx.line(&format!("export const {name}: rt.Text = rt.pattern({}, {limits});", quote(&decl.name)));
}

fn enumeration(cx: &mut Cx<'_>, decl: &Decl, e: &Enum) {
    let name = cx.type_name(decl);
    cx.doc("", &decl.doc, &lifecycle(decl.since, decl.deprecated.as_deref()));
    cx.line(&format!("export type {name} ="));
    for value in &e.values {
        cx.doc("  ", &value.doc, &[]);
        cx.line(&format!("  | {}", quote(&value.name)));
    }
    if e.unknown == Unknown::Kept {
        cx.doc("  ", "A value that a newer version knows.", &[]);
        cx.line("  | rt.UnknownValue");
    }
    end_statement(cx);
    let direction = direction(e.unknown);
    cx.line(&format!(
        "export const {name}: rt.Enumeration<{name}> = rt.enumeration({}, {direction}, [",
        quote(&decl.name)
    ));
    for value in &e.values {
        cx.line(&format!("  [{}, {}],", quote(&value.name), value.number));
    }
    cx.line("]);");
}

/// A semicolon to the line before.
fn end_statement(cx: &mut Cx<'_>) {
    let end = cx.out.trim_end().len();
    cx.out.truncate(end);
    cx.line(";");
}

fn structure(cx: &mut Cx<'_>, decl: &Decl, s: &Struct) {
    for field in &s.fields {
        if let Ty::Union(u) = &field.ty {
            union(cx, decl, s, field, u);
        }
    }
    let name = cx.type_name(decl);
    let mut more = Vec::new();
    if let Some(b) = &s.xenstore {
        more.push(format!("In xenstore: `{}` `[{}]`.", b.path, b.access));
    }
    more.extend(lifecycle(decl.since, decl.deprecated.as_deref()));
    cx.doc("", &decl.doc, &more);
    cx.line(&format!("export interface {name} {{"));
    for field in &s.fields {
        cx.doc("  ", &field.doc, &field_notes(field));
        let ty = type_of(cx, decl, field);
        let id = property(&lower_camel(&field.name));
        if field.presence == Presence::Optional {
            cx.line(&format!("  {id}?: {ty} | undefined;"));
        } else {
            cx.line(&format!("  {id}: {ty};"));
        }
    }
    if s.unknown == Unknown::Kept {
        cx.doc("  ", "Fields that a newer version wrote: kept and written again.", &[]);
        cx.line("  extra?: rt.Extra | undefined;");
    }
    cx.line("}");
    codec(cx, decl, s, &name);
    if let Some(binding) = &s.xenstore {
        path(cx, binding, &name);
    }
}

fn codec(cx: &mut Cx<'_>, decl: &Decl, s: &Struct, name: &str) {
    let defaults: Vec<String> = s
        .fields
        .iter()
        .filter(|f| matches!(f.presence, Presence::Default(_)))
        .map(|f| quote(&lower_camel(&f.name)))
        .collect();
    let of = if defaults.is_empty() { name.to_owned() } else { format!("{name}, {}", defaults.join(" | ")) };
    let open = format!(
        "export const {name}: rt.Struct<{of}> = rt.struct<{of}>({}, {}, {{",
        quote(&decl.name),
        direction(s.unknown)
    );
    cx.line(&open);
    for field in &s.fields {
        let id = property(&lower_camel(&field.name));
        let key = quote(&field.name);
        if let Ty::Union(u) = &field.ty {
            let ty = union_type(cx.model, decl, field, u);
            cx.line(&format!("  {id}: rt.union<{ty}>({}, {}, {{", quote(&u.keyvar), direction(s.unknown)));
            for arm in &u.arms {
                let held = arm.ty.map_or("undefined".into(), |id| cx.type_name(cx.model.get(id)));
                cx.line(&format!("    {}: {held},", property(&arm.name)));
            }
            cx.line("  }),");
            continue;
        }
        let codec = codec_of(cx, &field.ty, &field.limits);
        match &field.presence {
            Presence::Optional => cx.line(&format!("  {id}: rt.optional({key}, {codec}),")),
            Presence::Default(value) => {
                cx.line(&format!("  {id}: rt.defaulted({key}, {codec}, {}),", literal(value)));
            }
            Presence::Required | Presence::Initial(_) => {
                cx.line(&format!("  {id}: rt.required({key}, {codec}),"));
            }
        }
    }
    match &s.xenstore {
        Some(b) => {
            let size = decl_max(cx.model, decl).unwrap_or(0);
            cx.line(&format!(
                "}}, {{ path: {}, access: {}, sizeMax: {size} }});",
                quote(&b.path),
                quote(&b.access)
            ));
        }
        None => cx.line("});"),
    }
}

fn path(cx: &mut Cx<'_>, binding: &Binding, name: &str) {
    if binding.params.is_empty() {
        return;
    }
    let mut text = binding.path.clone();
    for name in &binding.params {
        text = text.replace(&format!("${}", name.to_uppercase()), &format!("${{{}}}", param(name)));
    }
    let params: Vec<String> =
        binding.params.iter().map(|p| format!("{}: string | number", param(p))).collect();
    cx.line("");
    cx.doc("", &format!("The path in xenstore of a {{@link {name}}}."), &[]);
    cx.line(&format!("export function {}Path({}): string {{", lower_first(name), params.join(", ")));
    cx.line(&format!("  return `{text}`;"));
    cx.line("}");
}

fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or(String::new(), |c| c.to_lowercase().chain(chars).collect())
}

fn union(cx: &mut Cx<'_>, decl: &Decl, s: &Struct, field: &Field, u: &Union) {
    let name = union_type(cx.model, decl, field, u);
    let open = s.unknown == Unknown::Kept;
    cx.doc("", &field.doc, &[format!("In JSON exactly one key of its object: `\"{}.KIND\"`.", u.keyvar)]);
    cx.line(&format!("export type {name} ="));
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
        cx.doc("  ", &doc, &[]);
        let kind = quote(&arm.name);
        match arm.ty {
            Some(id) => {
                let held = cx.type_name(cx.model.get(id));
                cx.line(&format!("  | {{ kind: {kind}; value: {held} }}"));
            }
            None if open => cx.line(&format!("  | {{ kind: {kind}; extra?: rt.Extra | undefined }}")),
            None => cx.line(&format!("  | {{ kind: {kind} }}")),
        }
    }
    if open {
        cx.doc("  ", "An arm that a newer version knows: kept and written again.", &[]);
        cx.line("  | { kind: \"unknown\"; arm: string; value: rt.RawJson }");
    }
    end_statement(cx);
    cx.line("");
}

/// The type of a field.
fn type_of(cx: &Cx<'_>, decl: &Decl, field: &Field) -> String {
    match &field.ty {
        Ty::Union(u) => union_type(cx.model, decl, field, u),
        ty => plain_type(cx, ty),
    }
}

/// The one exhaustive match over types, for the type.
fn plain_type(cx: &Cx<'_>, ty: &Ty) -> String {
    match ty {
        Ty::Bool => "boolean".into(),
        Ty::Int { .. } | Ty::Domid | Ty::Duration | Ty::Bytes => "number".into(),
        Ty::Str | Ty::Timestamp | Ty::Uuid | Ty::Path => "string".into(),
        Ty::Json => "rt.RawJson".into(),
        Ty::Named(id) => cx.type_name(cx.model.get(*id)),
        Ty::Array { elem, .. } => format!("{}[]", plain_type(cx, elem)),
        // A union is a type of its own beside its struct; libxl's types are not the contract's.
        Ty::Union(_) | Ty::Number(_) | Ty::Builtin(_) => "never".into(),
    }
}

/// The same for the codec.
fn codec_of(cx: &Cx<'_>, ty: &Ty, limit: &Limits) -> String {
    let narrowed = |of: &str| {
        if *limit == Limits::default() {
            return of.to_owned();
        }
        format!("rt.text({}, {of})", limits(limit.min, limit.max, limit.pattern.as_ref()))
    };
    match ty {
        Ty::Bool => "rt.bool".into(),
        Ty::Int { .. } | Ty::Domid | Ty::Duration | Ty::Bytes => {
            let (min, max) = limit.range.or(ty.int_range()).unwrap_or_default();
            format!("rt.int({min}, {max})")
        }
        Ty::Str if *limit == Limits::default() => "rt.text()".into(),
        Ty::Str => format!("rt.text({})", limits(limit.min, limit.max, limit.pattern.as_ref())),
        Ty::Timestamp => "rt.timestamp".into(),
        Ty::Uuid => "rt.uuid".into(),
        Ty::Path => narrowed("rt.path"),
        Ty::Json if *limit == Limits::default() => "rt.json()".into(),
        Ty::Json => format!("rt.json({})", limits(limit.min, limit.max, limit.pattern.as_ref())),
        Ty::Named(id) => narrowed(&cx.type_name(cx.model.get(*id))),
        Ty::Array { elem, .. } => {
            let elem = codec_of(cx, elem, &Limits::default());
            match (limit.min, limit.max) {
                (None, None) => format!("rt.list({elem})"),
                (min, None) => format!("rt.list({elem}, {})", min.unwrap_or(0)),
                (min, Some(max)) => format!("rt.list({elem}, {}, {max})", min.unwrap_or(0)),
            }
        }
        Ty::Union(_) | Ty::Number(_) | Ty::Builtin(_) => "rt.json()".into(),
    }
}

/// `{ max: 64, pattern: /^..$/u }`
fn limits(min: Option<u64>, max: Option<u64>, pattern: Option<&Pattern>) -> String {
    let mut parts = Vec::new();
    parts.extend(min.map(|min| format!("min: {min}")));
    parts.extend(max.map(|max| format!("max: {max}")));
    parts.extend(pattern.map(|p| format!("pattern: {}", regex(p))));
    format!("{{ {} }}", parts.join(", "))
}

fn regex(pattern: &Pattern) -> String {
    let mut out = String::from("/");
    for c in pattern.to_ecma().chars() {
        match c {
            '/' => out.push_str("\\/"),
            c if c.is_ascii() => out.push(c),
            c => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
        }
    }
    out.push_str("/u");
    out
}

fn literal(value: &Value) -> String {
    match value {
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Str(s) | Value::Enum(s) => quote(s),
    }
}

/// Default, unit, limits, lifecycle.
fn field_notes(field: &Field) -> Vec<String> {
    let limits = &field.limits;
    let mut said = Vec::new();
    match field.ty {
        Ty::Duration => said.push("Nanoseconds.".to_owned()),
        Ty::Bytes => said.push("Bytes.".to_owned()),
        _ => {}
    }
    if let Some((a, b)) = limits.range {
        said.push(if a == b { format!("Always {a}.") } else { format!("From {a} to {b}.") });
    }
    let unit = if matches!(field.ty, Ty::Array { .. }) { "elements" } else { "bytes" };
    match (limits.min, limits.max) {
        (Some(min), Some(max)) => said.push(format!("From {min} to {max} {unit}.")),
        (None, Some(max)) => said.push(format!("At most {max} {unit}.")),
        (Some(min), None) => said.push(format!("At least {min} {unit}.")),
        (None, None) => {}
    }
    if let Some(p) = &limits.pattern {
        said.push(format!("Matches `{}`.", super::escape_doc(&p.text.escape_debug().to_string())));
    }
    let mut more = vec![said.join(" ")];
    if let Presence::Default(value) = &field.presence {
        more.push(format!("@defaultValue `{}`", literal(value)));
    }
    more.extend(lifecycle(field.since, field.deprecated.as_deref()));
    more
}
