//! `types.go`: types with their documentation, and nothing that a user need not see.

use super::names::{arm, camel, constant, shared, type_name, union};
use super::{head, imports, quote};
use crate::backend::common::{limits, wrap, xenstore_folder};
use crate::model::{
    Arm, Binding, Builtin, Decl, DeclKind, Enum, Field, Model, Presence, Struct, Ty, Union, Unknown, Value,
};

const WIDTH: usize = 116;

pub(super) fn file(model: &Model, package: &str, ours: &[&Decl]) -> String {
    let mut body = String::new();
    for decl in &model.decls {
        match &decl.kind {
            DeclKind::Text(text) => {
                let bytes = text.max.map(|m| format!(", at most {m} bytes")).unwrap_or_default();
                let matches = format!("It matches `{}`{bytes}.", text.pattern.text.escape_debug());
                doc(&mut body, "", &[said(decl), matches, since(decl)], decl.deprecated.as_deref());
                body.push_str(&format!("type {} string\n\n", type_name(decl)));
            }
            DeclKind::Enum(e) => enumeration(&mut body, decl, e),
            DeclKind::Struct(s) => structure(&mut body, model, decl, s),
        }
    }
    let what = if ours.is_empty() {
        "reads and writes the types of the IDL as JSON, without libxl's losses"
    } else {
        "has the types of the contract, reads and writes them as JSON, and checks their limits"
    };
    format!(
        "{}// Package {package} {what}.\npackage {package}\n\n{}{}\n",
        head(model),
        imports(&body),
        body.trim_end()
    )
}

fn since(decl: &Decl) -> String {
    decl.since.map(|v| format!("Since contract {v}.")).unwrap_or_default()
}

/// The documentation as Go begins it: with the name.
fn said(decl: &Decl) -> String {
    named(&type_name(decl), &decl.doc, &format!("is {}.", decl.name))
}

fn named(name: &str, doc: &str, otherwise: &str) -> String {
    let lower = |text: &str| {
        let mut chars = text.chars();
        let first = chars.next().map(|c| c.to_lowercase().collect::<String>()).unwrap_or_default();
        // A word in capitals stays.
        let is_word = !chars.as_str().starts_with(char::is_uppercase);
        if is_word { first + chars.as_str() } else { text.to_owned() }
    };
    if doc.is_empty() {
        format!("{name} {otherwise}")
    } else if ["A ", "An ", "The ", "One "].iter().any(|w| doc.starts_with(w)) {
        format!("{name} is {}", lower(doc))
    } else {
        format!("{name}: {}", lower(doc))
    }
}

/// A comment of paragraphs.
fn doc(out: &mut String, indent: &str, paragraphs: &[String], deprecated: Option<&str>) {
    let deprecated = deprecated.map(|d| format!("Deprecated: {}.", d.trim_end_matches('.')));
    let all: Vec<&str> =
        paragraphs.iter().chain(deprecated.iter()).map(String::as_str).filter(|p| !p.is_empty()).collect();
    if all.is_empty() {
        return;
    }
    for line in wrap(&all.join("\n\n"), WIDTH) {
        let space = if line.is_empty() { "" } else { " " };
        out.push_str(&format!("{indent}//{space}{line}\n"));
    }
}

/// Names, documentation and the rest of lines that gofmt aligns: those that follow each other without a comment.
fn aligned(out: &mut String, lines: &[(String, String, String)]) {
    let mut start = 0;
    while start < lines.len() {
        let run = lines.iter().skip(start + 1).take_while(|l| l.0.is_empty()).count() + 1;
        let rows = lines.iter().skip(start).take(run);
        let width = rows.clone().map(|(_, name, _)| name.chars().count()).max().unwrap_or(0);
        for (i, (comment, name, rest)) in rows.enumerate() {
            if i == 0 && start > 0 && !comment.is_empty() {
                out.push('\n');
            }
            out.push_str(comment);
            out.push_str(format!("\t{name:width$} {rest}").trim_end());
            out.push('\n');
        }
        start += run;
    }
}

fn enumeration(out: &mut String, decl: &Decl, e: &Enum) {
    let name = type_name(decl);
    let libxl = e.unknown == Unknown::Ignored;
    let kept = match e.unknown {
        Unknown::Refused => String::new(),
        Unknown::Kept => "A value that a newer version knows is kept and written again.".into(),
        Unknown::Ignored => "A number without a name is kept.".into(),
    };
    doc(out, "", &[said(decl), kept, since(decl)], decl.deprecated.as_deref());
    out.push_str(&format!("type {name} {}\n\nconst (\n", if libxl { "int32" } else { "string" }));
    let lines: Vec<(String, String, String)> = e
        .values
        .iter()
        .map(|v| {
            let mut comment = String::new();
            doc(&mut comment, "\t", std::slice::from_ref(&v.doc), None);
            let value = if libxl { v.number.to_string() } else { quote(&v.name) };
            (comment, constant(decl, &v.name), format!("{name} = {value}"))
        })
        .collect();
    aligned(out, &lines);
    out.push_str(")\n\n");
    if libxl {
        out.push_str(&format!("func (v {name}) String() string {{\n\treturn codec{name}.String(v)\n}}\n\n"));
        out.push_str(&format!("// Parse{name} is the value of a name in JSON; case makes no difference.\n"));
        out.push_str(&format!(
            "func Parse{name}(name string) ({name}, error) {{\n\treturn codec{name}.parse(name)\n}}\n\n"
        ));
        return;
    }
    out.push_str("// Number is its number; false for a value that this version does not know.\n");
    out.push_str(&format!("func (v {name}) Number() (int, bool) {{\n\tswitch v {{\n"));
    for v in &e.values {
        out.push_str(&format!("\tcase {}:\n\t\treturn {}, true\n", constant(decl, &v.name), v.number));
    }
    out.push_str("\t}\n\treturn 0, false\n}\n\n");
}

/// Whether values hold the field: `const` ones and private types are libxl's own.
pub(super) fn held(f: &Field) -> bool {
    fn private(ty: &Ty) -> bool {
        match ty {
            Ty::Builtin(Builtin::Private(_)) => true,
            Ty::Array { elem, .. } => private(elem),
            _ => false,
        }
    }
    !f.constant && !private(&f.ty)
}

fn structure(out: &mut String, model: &Model, decl: &Decl, s: &Struct) {
    let name = type_name(decl);
    let path = s.xenstore.as_ref().map(|b| format!("In xenstore: `{}` `[{}]`.", b.path, b.access));
    doc(out, "", &[said(decl), path.unwrap_or_default(), since(decl)], decl.deprecated.as_deref());
    let mut lines: Vec<(String, String, String)> = s
        .fields
        .iter()
        .filter(|f| held(f))
        .map(|f| {
            let mut comment = String::new();
            let begins = match (&f.presence, &f.ty) {
                (Presence::Initial(i), Ty::Number(_)) if *i != 0 => format!("Begins as {i}."),
                (Presence::Optional, Ty::Array { .. }) => "Nil: left out.".into(),
                _ => String::new(),
            };
            let paragraphs = [f.doc.clone(), format!("{} {begins}", limits(f)).trim().to_owned()];
            doc(&mut comment, "\t", &paragraphs, f.deprecated.as_deref());
            (comment, camel(&f.name), field_type(model, decl, f))
        })
        .collect();
    if s.unknown == Unknown::Kept {
        lines.push(extra());
    }
    if lines.is_empty() {
        out.push_str(&format!("type {name} struct{{}}\n\n"));
    } else {
        out.push_str(&format!("type {name} struct {{\n"));
        aligned(out, &lines);
        out.push_str("}\n\n");
    }
    if has_defaults(model, s) {
        out.push_str(&format!(
            "// New{name} is a {name} as it begins.\nfunc New{name}() {name} {{\n\tvar v {name}\n"
        ));
        for f in s.fields.iter().filter(|f| held(f)) {
            if let Some(value) = initial(model, decl, f) {
                out.push_str(&format!("\tv.{} = {value}\n", camel(&f.name)));
            }
        }
        out.push_str("\treturn v\n}\n\n");
    }
    if let Some(b) = &s.xenstore {
        xenstore(out, &name, b);
    }
    for f in &s.fields {
        if let Ty::Union(u) = &f.ty {
            arms(out, model, decl, f, u, s.unknown);
        }
    }
}

fn extra() -> (String, String, String) {
    let comment = "\t// Fields that a newer version wrote: kept and written again.\n".to_owned();
    (comment, "Extra".into(), "Extra".into())
}

fn xenstore(out: &mut String, name: &str, b: &Binding) {
    if b.params.is_empty() {
        out.push_str(&format!(
            "// {name}Path is its path in xenstore.\nconst {name}Path = {}\n\n",
            quote(&b.path)
        ));
        return;
    }
    if let Some(folder) = xenstore_folder(b) {
        out.push_str(&format!("// {name}Folder is the folder of their paths in xenstore.\n"));
        out.push_str(&format!("const {name}Folder = {}\n\n", quote(folder)));
    }
    let mut format = b.path.clone();
    for p in &b.params {
        format = format.replace(&format!("${}", p.to_uppercase()), "%v");
    }
    let params = b.params.join(", ");
    out.push_str(&format!("// {name}Path is the path of one of them in xenstore.\n"));
    out.push_str(&format!("func {name}Path({params} any) string {{\n"));
    out.push_str(&format!("\treturn fmt.Sprintf({}, {params})\n}}\n\n", quote(&format)));
}

/// The interface of a union, and the types that only arms have.
fn arms(out: &mut String, model: &Model, decl: &Decl, f: &Field, u: &Union, unknown: Unknown) {
    let name = union(decl, f, u);
    let key = format!("In JSON it is one key of its object: `\"{}.ARM\"`.", u.keyvar);
    let about = named(&name, &f.doc, &format!("is what `{}` stands for.", u.keyvar));
    let mut implementors: Vec<String> = u.arms.iter().map(|a| arm(model, decl, f, u, a)).collect();
    match unknown {
        Unknown::Kept => implementors.push("UnknownArm".into()),
        Unknown::Ignored => implementors.push(format!("{name}Other")),
        Unknown::Refused => {}
    }
    let of = implementors.iter().map(|i| format!("*{i}")).collect::<Vec<_>>().join(", ");
    doc(out, "", &[about, format!("One of {of}."), key], None);
    out.push_str(&format!("type {name} interface{{ is{name}() }}\n\n"));
    for a in &u.arms {
        let of = a.ty.filter(|_| shared(u, a)).map(|id| model.get(id));
        if of.is_none() && a.ty.is_some() {
            continue;
        }
        let arm = arm(model, decl, f, u, a);
        doc(out, "", &[named(&arm, &arm_doc(model, u, a), &format!("is the arm `{}`.", a.name))], None);
        match of {
            Some(of) => out.push_str(&format!("type {arm} struct{{ {} }}\n\n", type_name(of))),
            None if unknown == Unknown::Kept => {
                out.push_str(&format!("type {arm} struct {{\n"));
                aligned(out, &[extra()]);
                out.push_str("}\n\n");
            }
            None => out.push_str(&format!("type {arm} struct{{}}\n\n")),
        }
    }
    if unknown == Unknown::Ignored {
        let key = type_name(model.get(u.key_enum));
        out.push_str(&format!("// {name}Other is a `{}` that has no arm.\n", u.keyvar));
        out.push_str(&format!("type {name}Other struct{{ Key {key} }}\n\n"));
        out.push_str(&format!("func (o *{name}Other) key() {key} {{ return o.Key }}\n\n"));
    }
    let width = implementors.iter().map(String::len).max().unwrap_or(0);
    for i in &implementors {
        let pad = " ".repeat(width - i.len());
        out.push_str(&format!("func (*{i}) is{name}(){pad} {{}}\n"));
    }
    out.push('\n');
}

fn arm_doc(model: &Model, u: &Union, a: &Arm) -> String {
    let values = model.as_enum(u.key_enum).map(|e| e.values.as_slice()).unwrap_or_default();
    values.iter().find(|v| v.number == a.number).map(|v| v.doc.clone()).unwrap_or_default()
}

/// The type of a field.
pub(super) fn field_type(model: &Model, decl: &Decl, f: &Field) -> String {
    let ty = match &f.ty {
        Ty::Union(u) => union(decl, f, u),
        ty => go_type(model, ty),
    };
    // A slice can be nil.
    let nil = matches!(f.ty, Ty::Array { .. } | Ty::Json);
    if f.presence == Presence::Optional && !nil { format!("*{ty}") } else { ty }
}

/// A type.
pub(super) fn go_type(model: &Model, ty: &Ty) -> String {
    let number = |bits: u8, signed: bool| format!("{}{bits}", if signed { "int" } else { "uint" });
    match ty {
        Ty::Bool => "bool".into(),
        Ty::Int { bits, signed } => number(*bits, *signed),
        Ty::Number(n) => number(n.bits, n.signed),
        Ty::Domid => "uint32".into(),
        Ty::Bytes => "uint64".into(),
        Ty::Duration => "time.Duration".into(),
        Ty::Timestamp => "time.Time".into(),
        Ty::Str | Ty::Path => "string".into(),
        Ty::Uuid => "UUID".into(),
        Ty::Json => "json.RawMessage".into(),
        Ty::Builtin(b) => match b {
            Builtin::Text => "*string",
            Builtin::Defbool => "*bool",
            Builtin::Uuid => "UUID",
            Builtin::Mac => "MAC",
            Builtin::Bitmap => "[]uint32",
            Builtin::CpuidPolicyList => "CPUIDPolicyList",
            Builtin::StringList => "[]string",
            Builtin::KeyValueList => "[]KeyValue",
            Builtin::Hwcap => "[8]uint32",
            Builtin::MsVmGenid => "[16]byte",
            Builtin::Private(_) => "struct{}",
        }
        .into(),
        Ty::Named(id) => type_name(model.get(*id)),
        Ty::Array { elem, .. } => format!("[]{}", go_type(model, elem)),
        // Named by its field.
        Ty::Union(_) => String::new(),
    }
}

/// Whether a new value is another than Go's zero.
pub(super) fn has_defaults(model: &Model, s: &Struct) -> bool {
    s.fields.iter().filter(|f| held(f)).any(|f| begins_otherwise(model, f))
}

fn begins_otherwise(model: &Model, f: &Field) -> bool {
    match (&f.presence, &f.ty) {
        (Presence::Default(value), _) => !matches!(value, Value::Bool(false) | Value::Int(0)),
        (Presence::Initial(_), Ty::Union(_)) => true,
        (Presence::Initial(i), Ty::Named(id)) => match &model.get(*id).kind {
            DeclKind::Struct(s) => has_defaults(model, s),
            DeclKind::Enum(_) | DeclKind::Text(_) => *i != 0,
        },
        (Presence::Initial(i), Ty::Number(_) | Ty::Bool) => *i != 0,
        _ => false,
    }
}

/// What a field begins as, when that is not Go's zero.
fn initial(model: &Model, decl: &Decl, f: &Field) -> Option<String> {
    if !begins_otherwise(model, f) {
        return None;
    }
    Some(match (&f.presence, &f.ty) {
        (Presence::Default(Value::Bool(b)), _) => b.to_string(),
        (Presence::Default(Value::Int(i)), _) => i.to_string(),
        (Presence::Default(Value::Str(s)), _) => quote(s),
        (Presence::Default(Value::Enum(name)), Ty::Named(id)) => constant(model.get(*id), name),
        (Presence::Initial(_), Ty::Union(u)) => match u.arms.iter().find(|a| a.number == u.initial) {
            Some(a) => {
                let name = arm(model, decl, f, u, a);
                match a.ty.map(|id| &model.get(id).kind) {
                    Some(DeclKind::Struct(s)) if has_defaults(model, s) && !shared(u, a) => {
                        format!("Ptr(New{name}())")
                    }
                    _ => format!("&{name}{{}}"),
                }
            }
            None => {
                let key = value(model.get(u.key_enum), model.as_enum(u.key_enum), u.initial.into());
                format!("&{}Other{{{key}}}", union(decl, f, u))
            }
        },
        (Presence::Initial(i), Ty::Named(id)) => match &model.get(*id).kind {
            DeclKind::Enum(e) => value(model.get(*id), Some(e), *i),
            DeclKind::Struct(_) | DeclKind::Text(_) => format!("New{}()", type_name(model.get(*id))),
        },
        (Presence::Initial(i), Ty::Bool) => (*i != 0).to_string(),
        (Presence::Initial(i), _) => i.to_string(),
        _ => return None,
    })
}

/// The value of a number.
pub(super) fn value(decl: &Decl, e: Option<&Enum>, number: i128) -> String {
    match e.and_then(|e| e.values.iter().find(|v| i128::from(v.number) == number)) {
        Some(v) => constant(decl, &v.name),
        None => number.to_string(),
    }
}
