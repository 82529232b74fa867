//! libxl's types: `src/libxl.ts`. `const` fields and private types are libxl's own: they are in no value.

use super::names::{lower_camel, union_type};
use super::{Cx, lifecycle, property, quote};
use crate::model::{Builtin, Decl, DeclKind, Enum, Field, Id, Number, Presence, Struct, Ty, Union};

/// The whole file.
pub(super) fn file(cx: &mut Cx<'_>, decls: &[&Decl], beside_ours: bool) {
    for decl in decls {
        cx.line("");
        match &decl.kind {
            DeclKind::Enum(e) => enumeration(cx, decl, e),
            DeclKind::Struct(s) => structure(cx, decl, s),
            DeclKind::Text(_) => {}
        }
    }
    cx.types_table(decls, if beside_ours { "libxlTypes" } else { "types" });
}

fn enumeration(cx: &mut Cx<'_>, decl: &Decl, e: &Enum) {
    let name = cx.type_name(decl);
    let doc = if decl.doc.is_empty() { format!("`{}`.", decl.name) } else { decl.doc.clone() };
    let more = lifecycle(decl.since, decl.deprecated.as_deref());
    cx.doc("", &doc, &more);
    cx.line(&format!("export type {name} ="));
    for value in &e.values {
        let doc = if value.doc.is_empty() {
            format!("`{}{}`", e.c_prefix, value.name.to_uppercase())
        } else {
            value.doc.clone()
        };
        cx.doc("  ", &doc, &[]);
        cx.line(&format!("  | {}", quote(&value.name)));
    }
    cx.doc("  ", "A number that has no name here.", &[]);
    cx.line("  | number;");
    cx.line(&format!(
        "export const {name}: rt.Enumeration<{name}> = rt.enumeration<{name}>({}, [",
        quote(decl.raw_name())
    ));
    for value in &e.values {
        cx.line(&format!("  [{}, {}],", quote(&value.name), value.number));
    }
    match e.initial {
        None | Some(0) => cx.line("]);"),
        Some(initial) => cx.line(&format!("], {initial});")),
    }
}

/// The fields that values hold, with their types and codecs.
fn held<'a>(cx: &Cx<'_>, decl: &Decl, s: &'a Struct) -> Vec<(&'a Field, Held)> {
    let fields = s.fields.iter().filter(|f| !f.constant);
    fields
        .filter_map(|f| match &f.ty {
            Ty::Union(u) => {
                let ty = union_type(cx.model, decl, f, u);
                Some((f, Held { ty, codec: String::new(), optional: false }))
            }
            ty => Some((f, type_of(cx, ty, false)?)),
        })
        .collect()
}

fn structure(cx: &mut Cx<'_>, decl: &Decl, s: &Struct) {
    for field in &s.fields {
        if let Ty::Union(u) = &field.ty {
            union(cx, decl, field, u);
        }
    }
    let name = cx.type_name(decl);
    let doc = if decl.doc.is_empty() { format!("`{}`.", decl.name) } else { decl.doc.clone() };
    cx.doc("", &doc, &lifecycle(decl.since, decl.deprecated.as_deref()));
    let fields = held(cx, decl, s);
    cx.line(&format!("export interface {name} {{"));
    for (field, held) in &fields {
        let mut more = Vec::new();
        if let Presence::Initial(i) = field.presence
            && i != 0
            && matches!(field.ty, Ty::Number(_))
        {
            more.push(format!("Begins as {i}."));
        }
        more.extend(lifecycle(field.since, field.deprecated.as_deref()));
        cx.doc("  ", &field.doc, &more);
        let id = property(&lower_camel(&field.name));
        if held.optional {
            cx.line(&format!("  {id}?: {} | undefined;", held.ty));
        } else {
            cx.line(&format!("  {id}: {};", held.ty));
        }
    }
    cx.line("}");
    cx.line(&format!(
        "export const {name}: rt.Struct<{name}> = rt.struct<{name}>({}, {{",
        quote(decl.raw_name())
    ));
    for (field, held) in &fields {
        let id = property(&lower_camel(&field.name));
        if let Ty::Union(u) = &field.ty {
            union_codec(cx, &id, &held.ty, u);
            continue;
        }
        let initial = initial(cx, field).map_or(String::new(), |i| format!(", {i}"));
        cx.line(&format!("  {id}: rt.field({}, {}{initial}),", quote(&field.name), held.codec));
    }
    cx.line("});");
}

fn union_codec(cx: &mut Cx<'_>, id: &str, ty: &str, u: &Union) {
    let keys = cx.type_name(cx.model.get(u.key_enum));
    cx.line(&format!("  {id}: rt.union<{ty}>({}, {keys}, [", quote(&u.keyvar)));
    for arm in &u.arms {
        let held = arm.ty.map_or("undefined".into(), |id| cx.type_name(cx.model.get(id)));
        cx.line(&format!("    [{}, {held}],", quote(&arm.name)));
    }
    cx.line(&format!("  ], {}),", enum_value(cx, u.key_enum, i128::from(u.initial))));
}

fn union(cx: &mut Cx<'_>, decl: &Decl, field: &Field, u: &Union) {
    let name = union_type(cx.model, decl, field, u);
    let doc = format!("What `{}` stands for in a `{}`.", u.keyvar, decl.name);
    cx.doc("", &doc, &[format!("In JSON one key of its object: `\"{}.KIND\"`.", u.keyvar)]);
    cx.line(&format!("export type {name} ="));
    for arm in &u.arms {
        match arm.ty {
            Some(id) => {
                let held = cx.type_name(cx.model.get(id));
                cx.line(&format!("  | {{ kind: {}; value: {held} }}", quote(&arm.name)));
            }
            None => cx.line(&format!("  | {{ kind: {} }}", quote(&arm.name))),
        }
    }
    let key = cx.type_name(cx.model.get(u.key_enum));
    cx.doc("  ", &format!("A `{}` that has no arm: libxl writes nothing of it.", u.keyvar), &[]);
    cx.line(&format!("  | {{ kind: \"other\"; key: {key} }};"));
    cx.line("");
}

/// What TypeScript needs to know of a field's type.
struct Held {
    ty: String,
    codec: String,
    /// Absent where libxl has none.
    optional: bool,
}

/// `uint64`
fn number(n: &Number) -> String {
    format!("{}int{}", if n.signed { "" } else { "u" }, n.bits)
}

/// The one exhaustive match over types; `None` for what is not in JSON.
fn type_of(cx: &Cx<'_>, ty: &Ty, in_list: bool) -> Option<Held> {
    let plain = |ty: &str, codec: &str| Some(Held { ty: ty.into(), codec: codec.into(), optional: false });
    match ty {
        Ty::Bool => plain("boolean", "rt.bool"),
        Ty::Number(n) => plain(if n.bits == 64 { "bigint" } else { "number" }, &format!("rt.{}", number(n))),
        Ty::Builtin(b) => match b {
            Builtin::Text if in_list => plain("(string | null)", "rt.textOrNull"),
            Builtin::Text => Some(Held { ty: "string".into(), codec: "rt.text".into(), optional: true }),
            Builtin::Defbool if in_list => plain("(boolean | undefined)", "rt.defbool"),
            Builtin::Defbool => {
                Some(Held { ty: "boolean".into(), codec: "rt.defbool".into(), optional: true })
            }
            Builtin::Uuid => plain("string", "rt.uuid"),
            Builtin::Mac => plain("string", "rt.mac"),
            Builtin::Bitmap => plain("number[]", "rt.bitmap"),
            Builtin::CpuidPolicyList => plain("rt.CpuidPolicyList", "rt.cpuidPolicyList"),
            Builtin::StringList => plain("string[]", "rt.stringList"),
            Builtin::KeyValueList => plain("rt.KeyValueList", "rt.keyValueList"),
            Builtin::Hwcap => plain("number[]", "rt.hwcap"),
            Builtin::MsVmGenid => plain("number[]", "rt.msVmGenid"),
            Builtin::Private(_) => None,
        },
        Ty::Named(id) => {
            let name = cx.type_name(cx.model.get(*id));
            plain(&name, &name)
        }
        Ty::Array { elem, .. } => {
            let elem = type_of(cx, elem, true)?;
            plain(&format!("{}[]", elem.ty), &format!("rt.list({})", elem.codec))
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
        | Ty::Json => None,
    }
}

/// What a field begins as, where that is not what its type begins as.
fn initial(cx: &Cx<'_>, field: &Field) -> Option<String> {
    let Presence::Initial(initial) = field.presence else { return None };
    match &field.ty {
        Ty::Number(n) if initial != 0 => Some(format!("{initial}{}", if n.bits == 64 { "n" } else { "" })),
        Ty::Bool if initial != 0 => Some("true".into()),
        // What it is compared with is the field's, never the type's: it is left out while it is that.
        Ty::Named(id) => {
            let own = i128::from(cx.model.as_enum(*id)?.initial.unwrap_or(0));
            (initial != 0 || own != 0).then(|| enum_value(cx, *id, initial))
        }
        _ => None,
    }
}

/// The value of an enumeration by its number: its name where it has one.
fn enum_value(cx: &Cx<'_>, id: Id, number: i128) -> String {
    let values = cx.model.as_enum(id).map(|e| e.values.as_slice()).unwrap_or_default();
    match values.iter().find(|v| i128::from(v.number) == number) {
        Some(value) => quote(&value.name),
        None => number.to_string(),
    }
}
