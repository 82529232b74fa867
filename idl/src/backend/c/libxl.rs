//! libxl's types, under libxl's own names: structs that begin as libxl's `_init` leaves them, enumerations that are numbers.

use super::contract::enum_functions;
use super::names::{constant, field as ident, prefix, table, ty};
use super::{Out, number, quote, struct_functions, values_table};
use crate::model::{Builtin, Decl, Enum, Field, Model, Presence, Struct, Ty, Union};

/// Names of libxl's own for the types of the support code.
pub(super) fn builtins(h: &mut Out, model: &Model) {
    if model.namespace.is_empty() {
        return;
    }
    let prefix = prefix(model);
    for (name, _) in Builtin::NAMED {
        h.line(&format!("typedef xenidl_{name} {prefix}{name};"));
    }
    h.line("");
}

/// The type of a member (with what stands before its name) and its description; `None` for what is not in JSON.
fn member(model: &Model, field_ty: &Ty) -> Option<(String, String)> {
    Some(match field_ty {
        Ty::Bool => ("bool ".into(), "xenidl_c_bool".into()),
        Ty::Number(n) => {
            let name = format!("{}int{}", if n.signed { "" } else { "u" }, n.bits);
            let c = match n.name.as_str() {
                "size_t" => "size_t ".into(),
                "integer" => "int ".into(),
                _ => format!("{name}_t "),
            };
            (c, format!("xenidl_c_{name}"))
        }
        Ty::Builtin(b) => {
            let name = match b {
                Builtin::Text => return Some(("char *".into(), "xenidl_c_text".into())),
                Builtin::Private(_) => return None,
                Builtin::MsVmGenid => "genid",
                Builtin::CpuidPolicyList => "cpuid",
                other => other.name(),
            };
            let prefix = if model.namespace.is_empty() { "xenidl_" } else { prefix(model) };
            (format!("{prefix}{} ", b.name()), format!("xenidl_c_{name}"))
        }
        Ty::Named(id) => {
            let decl = model.get(*id);
            (ty(model, decl) + " ", table(model, decl))
        }
        Ty::Array { elem, .. } => {
            let (c, table) = member(model, elem)?;
            (c + "*", table)
        }
        // A union has a place of its own; the contract's types are not libxl's.
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

pub(super) fn enumeration(model: &Model, h: &mut Out, c: &mut Out, decl: &Decl, e: &Enum) {
    let (ty, table) = (ty(model, decl), table(model, decl));
    h.doc(&[&decl.doc]);
    h.line(&format!("typedef enum {ty} {{"));
    h.indent = 4;
    for value in &e.values {
        h.doc(&[&value.doc]);
        h.line(&format!("{} = {},", constant(model, decl, e, &value.name), value.number));
    }
    h.indent = 0;
    h.line(&format!("}} {ty};"));
    h.line("");
    h.line(&format!("const char *{ty}_to_string({ty} value);"));
    h.line(&format!("int {ty}_from_string(const char *s, {ty} *value);"));
    h.line("");
    let n = values_table(c, &ty, e.values.iter().map(|v| (v.name.to_ascii_lowercase(), v.number)));
    c.line(&format!("static const xenidl_type {table} = {{"));
    c.line(&format!(
        "    .kind = XENIDL_C_ENUM, .name = {}, .size = sizeof({ty}), .num = {n}, .values = {ty}_values",
        quote(decl.raw_name())
    ));
    c.line("};");
    c.line("");
    enum_functions(c, &ty, &table);
    c.line("");
}

pub(super) fn structure(model: &Model, h: &mut Out, c: &mut Out, decl: &Decl, s: &Struct) {
    let name = ty(model, decl);
    // What values hold: not what is libxl's own.
    let fields: Vec<&Field> = s
        .fields
        .iter()
        .filter(|f| !f.constant && (matches!(f.ty, Ty::Union(_)) || member(model, &f.ty).is_some()))
        .collect();
    h.doc(&[&decl.doc]);
    h.line(&format!("typedef struct {name} {{"));
    h.indent = 4;
    for field in &fields {
        declare(model, h, field);
    }
    if fields.is_empty() {
        h.line("char none; /* C has no empty struct */");
    }
    h.indent = 0;
    h.line(&format!("}} {name};"));
    h.line("");
    let rows: Vec<String> = fields.iter().map(|f| row(model, c, &name, f)).collect();
    if !rows.is_empty() {
        c.line(&format!("static const xenidl_field {name}_fields[] = {{"));
        for row in &rows {
            c.line(&format!("    {{ {row} }},"));
        }
        c.line("};");
    }
    c.line(&format!("static const xenidl_type {} = {{", table(model, decl)));
    c.line(&format!(
        "    .kind = XENIDL_C_STRUCT, .name = {}, .size = sizeof({name}),",
        quote(decl.raw_name())
    ));
    if !rows.is_empty() {
        c.line(&format!("    .num = {}, .fields = {name}_fields,", rows.len()));
    }
    c.line("};");
    c.line("");
    struct_functions(h, c, &name, &table(model, decl), decl);
}

fn declare(model: &Model, h: &mut Out, field: &Field) {
    let name = ident(&field.name);
    let deprecated = field.deprecated.as_ref();
    h.doc(&[&field.doc, &deprecated.as_ref().map(|d| format!("Deprecated: {d}.")).unwrap_or_default()]);
    let old = deprecated.map(|d| format!(" XENIDL_DEPRECATED({})", quote(d))).unwrap_or_default();
    if let Ty::Union(u) = &field.ty {
        return union_member(model, h, &name, u);
    }
    let Some((c_type, _)) = member(model, &field.ty) else { return };
    if let Ty::Array { len, .. } = &field.ty {
        h.line(&format!("int {};", ident(len)));
    }
    h.line(&format!("{c_type}{name}{old};"));
}

fn union_member(model: &Model, h: &mut Out, name: &str, u: &Union) {
    let keyvar = ident(&u.keyvar);
    h.line(&format!("{} {keyvar};", ty(model, model.get(u.key_enum))));
    h.line(&format!("bool {keyvar}_alone; /* JSON has the key and no arm */"));
    h.line("union {");
    let mut some = false;
    for arm in &u.arms {
        let Some(id) = arm.ty else { continue };
        h.line(&format!("    {} {};", ty(model, model.get(id)), ident(&arm.name)));
        some = true;
    }
    if !some {
        h.line("    char none;");
    }
    h.line(&format!("}} {name};"));
}

fn row(model: &Model, c: &mut Out, of: &str, field: &Field) -> String {
    let name = ident(&field.name);
    let (table, count) = match &field.ty {
        Ty::Union(u) => (union_table(model, c, of, field, u), None),
        Ty::Array { len, .. } => {
            (member(model, &field.ty).map(|m| m.1).unwrap_or_default(), Some(ident(len)))
        }
        other => (member(model, other).map(|m| m.1).unwrap_or_default(), None),
    };
    let count = count.map_or("XENIDL_NOWHERE".into(), |n| format!("offsetof({of}, {n})"));
    let initial = match field.presence {
        // The bits are the same: those of 64 without a sign are told apart by their type.
        Presence::Initial(i) => i64::try_from(i).unwrap_or_else(|_| (i as u128 as u64).cast_signed()),
        _ => 0,
    };
    let initial = if initial == 0 { String::new() } else { format!(", .initial = {}", number(initial)) };
    format!(
        ".name = {}, .type = &{table}, .offset = offsetof({of}, {name}), .has = XENIDL_NOWHERE, .count = {count}, .presence = XENIDL_INITIAL{initial}",
        quote(&field.name)
    )
}

fn union_table(model: &Model, c: &mut Out, of: &str, field: &Field, u: &Union) -> String {
    let union = format!("{of}_{}", field.name);
    let keyvar = ident(&u.keyvar);
    c.line(&format!("static const xenidl_arm {union}_arms[] = {{"));
    for arm in &u.arms {
        let key = quote(&format!("{}.{}", u.keyvar, arm.name));
        let table = arm.ty.map_or("xenidl_c_nothing".into(), |id| table(model, model.get(id)));
        c.line(&format!("    {{ {key}, {}, &{table} }},", arm.number));
    }
    c.line("};");
    c.line(&format!("static const xenidl_union {union}_union = {{"));
    c.line(&format!("    .keyvar = {}, .initial = {},", quote(&u.keyvar), u.initial));
    c.line(&format!("    .kind = offsetof({of}, {keyvar}), .alone = offsetof({of}, {keyvar}_alone),"));
    let key = table(model, model.get(u.key_enum));
    c.line(&format!("    .num_arms = {}, .arms = {union}_arms, .key = &{key}", u.arms.len()));
    c.line("};");
    c.line(&format!(
        "static const xenidl_type {union}_union_type = {{ .kind = XENIDL_C_UNION, .name = {}, .u = &{union}_union }};",
        quote(&field.name)
    ));
    format!("{union}_union_type")
}
