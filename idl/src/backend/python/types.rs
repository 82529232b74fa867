//! `types.py`: classes with their documentation, and nothing that a user need not see.

use super::names::{arm, attr, class, member, shared, union};
use super::{Dialects, docstring, quote};
use crate::backend::common::{self, limits, xenstore_folder};
use crate::backend::header;
use crate::model::{
    Arm, Builtin, Decl, DeclKind, Enum, Field, Model, Presence, Struct, Ty, Union, Unknown, Value,
};
use std::collections::BTreeSet;

const WIDTH: usize = 100;

pub(super) fn module(model: &Model, dialects: &Dialects) -> String {
    let mut body = String::new();
    let mut all = Vec::new();
    for decl in common::after_their_parts(model) {
        let lifecycle = lifecycle(decl.since, decl.deprecated.as_deref());
        match &decl.kind {
            DeclKind::Text(text) => {
                let bytes = text.max.map(|m| format!(", at most {m} bytes")).unwrap_or_default();
                let matches = format!("Matches `{}`{bytes}.", text.pattern.text.escape_debug());
                body.push_str(&format!("\n\n{} = str\n", class(decl)));
                body.push_str(&docstring(&[decl.doc.clone(), matches, lifecycle], "", WIDTH));
            }
            DeclKind::Enum(e) => enumeration(&mut body, decl, e, &lifecycle),
            DeclKind::Struct(s) => structure(&mut body, model, decl, s, &lifecycle, &mut all),
        }
        all.push(class(decl));
    }
    let mut out = format!("# {}\n\"\"\"The types, each documented as in the IDL.\"\"\"\n\n", header(model));
    out.push_str("from __future__ import annotations\n\n");
    if body.contains("builtins.") {
        out.push_str("import builtins\n");
    }
    let uses = |word: &str| {
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        body.match_indices(word).any(|(at, _)| {
            let (before, after) = body.split_at(at);
            !is_part(before.chars().next_back()) && !is_part(after.chars().nth(word.chars().count()))
        })
    };
    let mut import = |module: &str, names: &[&str]| {
        let used: Vec<&str> = names.iter().copied().filter(|n| uses(n)).collect();
        if !used.is_empty() {
            out.push_str(&format!("from {module} import {}\n", used.join(", ")));
        }
    };
    import("dataclasses", &["dataclass", "field"]);
    import("typing", &["ClassVar", "Dict", "List", "Optional", "Union"]);
    import("uuid", &["UUID"]);
    if dialects.contract {
        import("._contract", &["Enumeration", "OpenEnumeration", "Timestamp", "UnknownArm"]);
    }
    if dialects.libxl {
        import("._libxl", &["CEnumeration", "CpuidPolicyList", "KeyValueList", "NoArm"]);
    }
    import("._json", &["RawJson", "Struct"]);
    out.push_str("\n__all__ = [\n");
    all.sort();
    for name in all {
        out.push_str(&format!("    \"{name}\",\n"));
    }
    out.push_str("]\n");
    out + &body
}

fn lifecycle(since: Option<u32>, deprecated: Option<&str>) -> String {
    let mut said: Vec<String> = since.map(|v| format!("Since contract {v}.")).into_iter().collect();
    said.extend(deprecated.map(|d| format!("Deprecated: {}.", d.trim_end_matches('.'))));
    said.join(" ")
}

fn enumeration(out: &mut String, decl: &Decl, e: &Enum, lifecycle: &str) {
    let base = match e.unknown {
        Unknown::Refused => "Enumeration",
        Unknown::Kept => "OpenEnumeration",
        Unknown::Ignored => "CEnumeration",
    };
    out.push_str(&format!("\n\nclass {}({base}):\n", class(decl)));
    out.push_str(&docstring(&[said(decl), lifecycle.to_owned()], "    ", WIDTH));
    out.push('\n');
    for value in &e.values {
        let (name, text) = (member(&value.name), quote(&value.name));
        match e.unknown {
            Unknown::Ignored => out.push_str(&format!("    {name} = {}, {text}\n", value.number)),
            Unknown::Refused | Unknown::Kept => {
                out.push_str(&format!("    {name} = {text}, {}\n", value.number))
            }
        }
        if !value.doc.is_empty() {
            out.push_str(&docstring(std::slice::from_ref(&value.doc), "    ", WIDTH));
        }
    }
}

/// Its documentation, or its name in C.
fn said(decl: &Decl) -> String {
    if decl.doc.is_empty() { format!("`{}`.", decl.name) } else { decl.doc.clone() }
}

fn structure(
    out: &mut String,
    model: &Model,
    decl: &Decl,
    s: &Struct,
    lifecycle: &str,
    all: &mut Vec<String>,
) {
    for f in &s.fields {
        if let Ty::Union(u) = &f.ty {
            arms(out, model, decl, f, u, s.unknown, all);
        }
    }
    let path = s.xenstore.as_ref().map(|b| format!("In xenstore: `{}` `[{}]`.", b.path, b.access));
    out.push_str(&format!("\n\n@dataclass\nclass {}(Struct):\n", class(decl)));
    let paragraphs = [said(decl), path.unwrap_or_default(), lifecycle.to_owned()];
    out.push_str(&docstring(&paragraphs, "    ", WIDTH));
    if let Some(b) = &s.xenstore {
        out.push_str(&format!("\n    XENSTORE_PATH: ClassVar[str] = {}\n", quote(&b.path)));
        if let Some(folder) = xenstore_folder(b) {
            out.push_str(&format!("    XENSTORE_FOLDER: ClassVar[str] = {}\n", quote(folder)));
        }
    }
    let shadowed: BTreeSet<String> = s.fields.iter().map(|f| attr(&f.name)).collect();
    let cx = Class { model, decl, shadowed: &shadowed };
    let (required, rest): (Vec<&Field>, Vec<&Field>) =
        s.fields.iter().filter(|f| held(f)).partition(|f| f.presence == Presence::Required);
    if !s.fields.is_empty() || s.unknown == Unknown::Kept {
        out.push('\n');
    }
    for f in required.into_iter().chain(rest) {
        out.push_str(&format!("    {}: {}", attr(&f.name), cx.field_type(f)));
        if let Some(default) = cx.default(f) {
            out.push_str(&format!(" = {default}"));
        }
        out.push('\n');
        let deprecated = f.deprecated.as_ref().map(|d| format!("Deprecated: {}.", d.trim_end_matches('.')));
        let begins = match (&f.presence, &f.ty) {
            (Presence::Initial(i), Ty::Number(_)) if *i != 0 => format!("Begins as {i}."),
            _ => String::new(),
        };
        let paragraphs = [f.doc.clone(), limits(f), begins, deprecated.unwrap_or_default()];
        if paragraphs.iter().any(|p| !p.is_empty()) {
            out.push_str(&docstring(&paragraphs, "    ", WIDTH));
        }
    }
    if s.unknown == Unknown::Kept {
        out.push_str(&extra());
    }
    if let Some(b) = s.xenstore.as_ref().filter(|b| !b.params.is_empty()) {
        let (str_, object) = (cx.builtin("str"), cx.builtin("object"));
        let params: Vec<String> = b.params.iter().map(|p| format!("{}: {object}", attr(p))).collect();
        let mut format = b.path.clone();
        for p in &b.params {
            format = format.replace(&format!("${}", p.to_uppercase()), &format!("{{{}}}", attr(p)));
        }
        out.push_str(&format!(
            "\n    @staticmethod\n    def xenstore_path({}) -> {str_}:\n",
            params.join(", ")
        ));
        out.push_str(&format!(
            "        \"\"\"The path of one of them.\"\"\"\n        return f{}\n",
            quote(&format)
        ));
    }
}

fn extra() -> String {
    "    extra: Dict[str, RawJson] = field(default_factory=dict)\n    \
     \"\"\"Fields that a newer version wrote: kept and written again.\"\"\"\n"
        .to_owned()
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

/// The classes that only arms have, and the union of all of them.
fn arms(
    out: &mut String,
    model: &Model,
    decl: &Decl,
    f: &Field,
    u: &Union,
    unknown: Unknown,
    all: &mut Vec<String>,
) {
    let mut names = Vec::new();
    for a in &u.arms {
        let name = arm(model, decl, f, u, a);
        let of = a.ty.filter(|_| shared(u, a)).map(|id| model.get(id));
        if of.is_some() || a.ty.is_none() {
            let base = of.map_or("Struct".to_owned(), class);
            out.push_str(&format!("\n\n@dataclass\nclass {name}({base}):\n"));
            out.push_str(&docstring(&[arm_doc(model, u, a)], "    ", WIDTH));
            if a.ty.is_none() && unknown == Unknown::Kept {
                out.push('\n');
                out.push_str(&extra());
            }
            all.push(name.clone());
        }
        names.push(name);
    }
    match unknown {
        Unknown::Kept => names.push("UnknownArm".into()),
        Unknown::Ignored => names.push(format!("NoArm[{}]", class(model.get(u.key_enum)))),
        Unknown::Refused => {}
    }
    let name = union(decl, f, u);
    out.push_str(&format!("\n\n{name} = Union[\n"));
    for arm in names {
        out.push_str(&format!("    {arm},\n"));
    }
    out.push_str("]\n");
    let doc = if f.doc.is_empty() { format!("What `{}` stands for.", u.keyvar) } else { f.doc.clone() };
    let key = format!("In JSON one key of its object: `\"{}.ARM\"`.", u.keyvar);
    out.push_str(&docstring(&[doc, key], "", WIDTH));
    all.push(name);
}

fn arm_doc(model: &Model, u: &Union, a: &Arm) -> String {
    let values = model.as_enum(u.key_enum).map(|e| e.values.as_slice()).unwrap_or_default();
    let doc = values.iter().find(|v| v.number == a.number).map(|v| v.doc.clone()).unwrap_or_default();
    if doc.is_empty() { format!("The arm `{}`.", a.name) } else { doc }
}

/// A class that is being written: fields hide builtins of the same name from those below them.
struct Class<'a> {
    model: &'a Model,
    decl: &'a Decl,
    shadowed: &'a BTreeSet<String>,
}

impl Class<'_> {
    fn builtin(&self, name: &str) -> String {
        if self.shadowed.contains(name) { format!("builtins.{name}") } else { name.to_owned() }
    }

    fn field_type(&self, f: &Field) -> String {
        let ty = match &f.ty {
            Ty::Union(u) => union(self.decl, f, u),
            ty => self.ty(ty),
        };
        if f.presence == Presence::Optional { format!("Optional[{ty}]") } else { ty }
    }

    fn ty(&self, ty: &Ty) -> String {
        match ty {
            Ty::Bool => self.builtin("bool"),
            Ty::Int { .. } | Ty::Domid | Ty::Duration | Ty::Bytes | Ty::Number(_) => self.builtin("int"),
            Ty::Str | Ty::Path => self.builtin("str"),
            Ty::Timestamp => "Timestamp".into(),
            Ty::Uuid => "UUID".into(),
            Ty::Json => "RawJson".into(),
            Ty::Builtin(b) => match b {
                Builtin::Text => format!("Optional[{}]", self.builtin("str")),
                Builtin::Defbool => format!("Optional[{}]", self.builtin("bool")),
                Builtin::Uuid => "UUID".into(),
                Builtin::Mac => self.builtin("str"),
                Builtin::Bitmap | Builtin::Hwcap => format!("List[{}]", self.builtin("int")),
                Builtin::CpuidPolicyList => "CpuidPolicyList".into(),
                Builtin::StringList => format!("List[{}]", self.builtin("str")),
                Builtin::KeyValueList => "KeyValueList".into(),
                Builtin::MsVmGenid => self.builtin("bytes"),
                Builtin::Private(_) => self.builtin("object"),
            },
            Ty::Named(id) => class(self.model.get(*id)),
            Ty::Array { elem, .. } => format!("List[{}]", self.ty(elem)),
            // Named by its field.
            Ty::Union(_) => String::new(),
        }
    }

    /// What a field begins as; none when it has to be given.
    fn default(&self, f: &Field) -> Option<String> {
        match &f.presence {
            Presence::Required => None,
            Presence::Optional => Some("None".into()),
            Presence::Default(Value::Bool(b)) => Some(if *b { "True".into() } else { "False".into() }),
            Presence::Default(Value::Int(i)) => Some(i.to_string()),
            Presence::Default(Value::Str(s)) => Some(quote(s)),
            Presence::Default(Value::Enum(name)) => match &f.ty {
                Ty::Named(id) => Some(format!("{}.{}", class(self.model.get(*id)), member(name))),
                _ => None,
            },
            Presence::Initial(i) => Some(self.initial(f, *i)),
        }
    }

    fn initial(&self, f: &Field, initial: i128) -> String {
        let made = |factory: &str| format!("field(default_factory={factory})");
        match &f.ty {
            Ty::Number(_) => initial.to_string(),
            Ty::Bool => (if initial == 0 { "False" } else { "True" }).into(),
            Ty::Builtin(b) => match b {
                Builtin::Text | Builtin::Defbool | Builtin::Private(_) => "None".into(),
                Builtin::Uuid => "UUID(int=0)".into(),
                Builtin::Mac => "\"00:00:00:00:00:00\"".into(),
                Builtin::MsVmGenid => format!("{}(16)", self.builtin("bytes")),
                Builtin::Hwcap => made("lambda: [0] * 8"),
                Builtin::CpuidPolicyList => made("CpuidPolicyList"),
                Builtin::Bitmap | Builtin::StringList | Builtin::KeyValueList => made(&self.builtin("list")),
            },
            Ty::Named(id) => match &self.model.get(*id).kind {
                DeclKind::Enum(e) => value(self.model.get(*id), e, initial),
                DeclKind::Struct(_) | DeclKind::Text(_) => made(&class(self.model.get(*id))),
            },
            Ty::Union(u) => match u.arms.iter().find(|a| a.number == u.initial) {
                Some(a) => made(&arm(self.model, self.decl, f, u, a)),
                None => {
                    let key = self.model.get(u.key_enum);
                    let values = self.model.as_enum(u.key_enum);
                    let key = values.map(|e| value(key, e, u.initial.into())).unwrap_or_default();
                    made(&format!("lambda: NoArm({key})"))
                }
            },
            Ty::Array { .. }
            | Ty::Int { .. }
            | Ty::Domid
            | Ty::Str
            | Ty::Timestamp
            | Ty::Duration
            | Ty::Uuid
            | Ty::Path
            | Ty::Bytes
            | Ty::Json => made(&self.builtin("list")),
        }
    }
}

/// The value of a number.
fn value(decl: &Decl, e: &Enum, number: i128) -> String {
    match e.values.iter().find(|v| i128::from(v.number) == number) {
        Some(v) => format!("{}.{}", class(decl), member(&v.name)),
        None => format!("{}({number})", class(decl)),
    }
}
