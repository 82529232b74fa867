//! What the documentation says, whatever it looks like.

use super::paths;
use crate::backend::common::{is_libxls, named_in, package};
use crate::backend::header;
use crate::model::{
    Builtin, Decl, DeclKind, Enum, Field, Id, Limits, Model, Number, Presence, Struct, Text, Ty, Union,
    Unknown, Value,
};
use crate::size::decl_max;

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Inline {
    /// Text.
    Plain(String),
    /// A name, a value, a pattern.
    Code(String),
    /// A name of a type that has a section.
    Link(String),
}

/// A line, or a paragraph.
pub(super) type Line = Vec<Inline>;

/// A table: heads, and rows of cells.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) heads: &'static [&'static str],
    pub(super) rows: Vec<Vec<Line>>,
}

/// What is said of one type.
#[derive(Debug)]
pub(super) struct Section {
    /// Its name, which others link to.
    pub(super) name: String,
    /// `struct, strict`
    pub(super) kind: String,
    pub(super) paragraphs: Vec<Line>,
    pub(super) table: Option<Table>,
    /// What is built of it.
    pub(super) used_by: Line,
}

/// A path in xenstore.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) notation: String,
    pub(super) paragraphs: Vec<Line>,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) title: String,
    pub(super) header: String,
    pub(super) paths: Vec<Path>,
    pub(super) sections: Vec<Section>,
}

pub(super) fn page(model: &Model) -> Page {
    let paths = paths::bound(model)
        .map(|(decl, _, binding)| {
            let mut paragraphs = prose(&decl.doc);
            let mut value = vec![plain("JSON of "), link(decl)];
            if let Ok(max) = decl_max(model, decl) {
                value.push(plain(&format!(", at most {max} bytes")));
            }
            value.push(plain("."));
            paragraphs.push(value);
            Path { notation: paths::notation(binding), paragraphs }
        })
        .collect();
    let sections = model.decls.iter().enumerate().map(|(i, d)| section(model, Id(i), d)).collect();
    Page { title: format!("Types of {}", package(model)), header: header(model), paths, sections }
}

fn plain(text: &str) -> Inline {
    Inline::Plain(text.to_owned())
}

fn code(text: impl Into<String>) -> Inline {
    Inline::Code(text.into())
}

fn link(decl: &Decl) -> Inline {
    Inline::Link(decl.raw_name().to_owned())
}

/// The paragraphs of a comment; what stands between backticks is code.
fn prose(doc: &str) -> Vec<Line> {
    doc.split("\n\n")
        .filter(|p| !p.trim().is_empty())
        .map(|paragraph| {
            let text = paragraph.replace('\n', " ");
            let pieces = text.split('`').enumerate().filter(|(_, piece)| !piece.is_empty());
            pieces.map(|(i, piece)| if i % 2 == 1 { code(piece) } else { plain(piece) }).collect()
        })
        .collect()
}

/// A comment as one line.
fn prose_line(doc: &str) -> Line {
    prose(&doc.replace("\n\n", "\n")).pop().unwrap_or_default()
}

fn section(model: &Model, id: Id, decl: &Decl) -> Section {
    let mut paragraphs = prose(&decl.doc);
    let (kind, table) = match &decl.kind {
        DeclKind::Struct(s) => {
            if let Some(b) = &s.xenstore {
                paragraphs.push(vec![plain("In xenstore: "), code(paths::notation(b)), plain(".")]);
            }
            (structure_kind(s), (!s.fields.is_empty()).then(|| fields(model, decl, s)))
        }
        DeclKind::Enum(e) => (enum_kind(e), Some(values(e))),
        DeclKind::Text(t) => {
            paragraphs.push(text_limits(t));
            ("string", None)
        }
    };
    paragraphs.extend(lifecycle(decl.since, decl.deprecated.as_deref()).map(|l| prose_line(&l)));
    Section {
        name: decl.raw_name().to_owned(),
        kind: kind.to_owned(),
        paragraphs,
        table,
        used_by: used_by(model, id),
    }
}

fn structure_kind(s: &Struct) -> &'static str {
    match s.unknown {
        Unknown::Refused => "struct, strict: an unknown field is an error",
        Unknown::Kept => "struct, open: an unknown field is kept and written again",
        Unknown::Ignored => "struct",
    }
}

fn enum_kind(e: &Enum) -> &'static str {
    match e.unknown {
        Unknown::Refused => "enumeration, strict: an unknown value is an error",
        Unknown::Kept => "enumeration, open: an unknown value is kept and written again",
        Unknown::Ignored => "enumeration",
    }
}

fn lifecycle(since: Option<u32>, deprecated: Option<&str>) -> impl Iterator<Item = String> {
    let since = since.map(|v| format!("Since contract {v}."));
    since.into_iter().chain(deprecated.map(|d| format!("Deprecated: {d}.")))
}

fn text_limits(t: &Text) -> Line {
    let mut line = vec![plain("Matches "), code(t.pattern.text.escape_debug().to_string())];
    line.push(plain(&match (t.min, t.max) {
        (Some(min), Some(max)) => format!(", from {min} to {max} bytes."),
        (None, Some(max)) => format!(", at most {max} bytes."),
        (Some(min), None) => format!(", at least {min} bytes."),
        (None, None) => ".".to_owned(),
    }));
    line
}

fn used_by(model: &Model, id: Id) -> Line {
    let mut line: Line = Vec::new();
    for decl in &model.decls {
        let DeclKind::Struct(s) = &decl.kind else { continue };
        if s.fields.iter().flat_map(|f| named_in(&f.ty)).any(|part| part == id) {
            line.push(plain(if line.is_empty() { "Used by " } else { ", " }));
            line.push(link(decl));
        }
    }
    if !line.is_empty() {
        line.push(plain("."));
    }
    line
}

fn values(e: &Enum) -> Table {
    let rows = e
        .values
        .iter()
        .map(|v| {
            let mut said = prose_line(&v.doc);
            if said.is_empty() && !e.c_prefix.is_empty() {
                said.push(code(format!("{}{}", e.c_prefix, v.name.to_uppercase())));
            }
            vec![vec![code(&v.name)], vec![plain(&v.number.to_string())], said]
        })
        .collect();
    Table { heads: &["Value", "Number", "Meaning"], rows }
}

fn fields(model: &Model, decl: &Decl, s: &Struct) -> Table {
    let mut rows = Vec::new();
    for field in &s.fields {
        if let Ty::Union(u) = &field.ty {
            arms(model, field, u, is_libxls(decl), &mut rows);
            continue;
        }
        let mut presence = presence(field);
        if field.constant || matches!(field.ty, Ty::Builtin(Builtin::Private(_))) {
            presence = vec![plain("not in JSON")];
        }
        let mut said = prose_line(&field.doc);
        append(&mut said, notes(field));
        rows.push(vec![vec![code(&field.name)], type_of(model, &field.ty), presence, said]);
    }
    Table { heads: &["Field", "Type", "", "Meaning"], rows }
}

/// Each arm is a key of its own.
fn arms(model: &Model, field: &Field, u: &Union, libxls: bool, rows: &mut Vec<Vec<Line>>) {
    let presence = if libxls { "one of these, or none" } else { "exactly one of these" };
    for arm in &u.arms {
        let (ty, doc) = match arm.ty {
            Some(id) => (vec![link(model.get(id))], model.get(id).doc.clone()),
            None => {
                let values = model.as_enum(u.key_enum).map(|e| e.values.as_slice()).unwrap_or_default();
                let value = values.iter().find(|v| v.number == arm.number);
                (vec![code("{}")], value.map(|v| v.doc.clone()).unwrap_or_default())
            }
        };
        let first = prose(&doc).into_iter().next().unwrap_or_default();
        let key = vec![code(format!("{}.{}", u.keyvar, arm.name))];
        let mut said = prose_line(&field.doc);
        append(&mut said, vec![first]);
        rows.push(vec![key, ty, vec![plain(presence)], said]);
    }
    let key = vec![plain("which one: "), link(model.get(u.key_enum))];
    if libxls {
        rows.push(vec![
            vec![code(&u.keyvar)],
            key,
            vec![plain("in no JSON of libxl's")],
            prose_line(&field.doc),
        ]);
    }
}

/// Sentences, with spaces between.
fn append(line: &mut Line, more: Vec<Line>) {
    for sentence in more.into_iter().filter(|s| !s.is_empty()) {
        if !line.is_empty() {
            line.push(plain(" "));
        }
        line.extend(sentence);
    }
}

fn presence(field: &Field) -> Line {
    match &field.presence {
        Presence::Required => vec![plain("required")],
        Presence::Optional => vec![plain("optional")],
        Presence::Default(value) => vec![
            plain("default "),
            code(match value {
                Value::Bool(b) => b.to_string(),
                Value::Int(i) => i.to_string(),
                Value::Str(s) | Value::Enum(s) => s.clone(),
            }),
        ],
        Presence::Initial(0) => Vec::new(),
        Presence::Initial(i) => vec![plain("begins as "), code(i.to_string())],
    }
}

/// Unit, limits, lifecycle.
fn notes(field: &Field) -> Vec<Line> {
    let Limits { range, min, max, pattern } = &field.limits;
    let mut said: Vec<Line> = Vec::new();
    match field.ty {
        Ty::Duration => said.push(vec![plain("Unit: nanoseconds.")]),
        Ty::Bytes => said.push(vec![plain("Unit: bytes.")]),
        _ => {}
    }
    if let Some((a, b)) = range {
        said.push(vec![plain(&if a == b { format!("Always {a}.") } else { format!("From {a} to {b}.") })]);
    }
    let unit = if matches!(field.ty, Ty::Array { .. }) { "elements" } else { "bytes" };
    said.extend(match (min, max) {
        (Some(min), Some(max)) => Some(vec![plain(&format!("From {min} to {max} {unit}."))]),
        (None, Some(max)) => Some(vec![plain(&format!("At most {max} {unit}."))]),
        (Some(min), None) => Some(vec![plain(&format!("At least {min} {unit}."))]),
        (None, None) => None,
    });
    if let Some(p) = pattern {
        said.push(vec![plain("Matches "), code(p.text.escape_debug().to_string()), plain(".")]);
    }
    said.extend(lifecycle(field.since, field.deprecated.as_deref()).map(|l| prose_line(&l)));
    said
}

/// The one exhaustive match over types.
fn type_of(model: &Model, ty: &Ty) -> Line {
    match ty {
        Ty::Named(id) => vec![link(model.get(*id))],
        Ty::Array { elem, .. } => {
            let mut line = vec![plain("list of ")];
            line.extend(type_of(model, elem));
            line
        }
        Ty::Builtin(Builtin::Text) => vec![plain("string, or null")],
        Ty::Number(Number { name, bits, signed, .. }) => {
            let own = format!("{}int{bits}", if *signed { "" } else { "u" });
            if *name == own || name == "integer" {
                vec![code(name.clone())]
            } else {
                vec![code(name.clone()), plain(" ("), code(own), plain(")")]
            }
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
        | Ty::Builtin(_)
        | Ty::Union(_) => vec![code(ty.describe(model))],
    }
}
