//! Enumerations: strict ones are `Copy`; open ones keep a value that they do not know.

use super::names::{camel, variant};
use super::types::lifecycle;
use super::{Cx, quote};
use crate::model::{Decl, Enum};

pub(super) fn enumeration(cx: &mut Cx<'_>, decl: &Decl, e: &Enum) {
    let name = camel(&decl.name);
    let strict = e.dir.is_strict();
    cx.line("");
    cx.doc(&decl.doc, &lifecycle(decl.since, decl.deprecated.as_deref()));
    let copy = if strict { "Copy, " } else { "" };
    cx.line(&format!("#[derive(Clone, {copy}Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]"));
    cx.line(&format!("pub enum {name} {{"));
    for value in &e.values {
        cx.doc(&value.doc, &[]);
        cx.line(&format!("{},", variant(&value.name)));
    }
    if !strict {
        cx.doc("A value that a newer version knows: kept and written again.", &[]);
        cx.line("Unknown(Box<str>),");
    }
    cx.line("}");
    inherent(cx, &name, e, strict);
    traits(cx, &name, decl, e, strict);
}

fn inherent(cx: &mut Cx<'_>, name: &str, e: &Enum, strict: bool) {
    cx.line("");
    cx.line(&format!("impl {name} {{"));
    cx.doc("Every value that this version knows, in order.", &[]);
    let all: Vec<String> = e.values.iter().map(|v| format!("Self::{}", variant(&v.name))).collect();
    cx.line(&format!("pub const ALL: &'static [Self] = &[{}];", all.join(", ")));
    cx.doc("Their names, in the same order.", &[]);
    let names: Vec<String> = e.values.iter().map(|v| quote(&v.name)).collect();
    cx.line(&format!("pub const NAMES: &'static [&'static str] = &[{}];", names.join(", ")));
    cx.line("");
    cx.doc("Its name, as JSON holds it.", &[]);
    cx.line("#[must_use]");
    let constant = if strict { "const " } else { "" };
    cx.line(&format!("pub {constant}fn as_str(&self) -> &str {{"));
    cx.line("match self {");
    for value in &e.values {
        cx.line(&format!("Self::{} => {},", variant(&value.name), quote(&value.name)));
    }
    if !strict {
        cx.line("Self::Unknown(name) => name,");
    }
    cx.lines("}\n}\n");
    cx.line("");
    let (ty, wrap): (&str, fn(i64) -> String) =
        if strict { ("i64", |n| n.to_string()) } else { ("Option<i64>", |n| format!("Some({n})")) };
    cx.doc(if strict { "Its number." } else { "Its number; `None` for a value that is not known." }, &[]);
    cx.line("#[must_use]");
    cx.line(&format!("pub const fn number(&self) -> {ty} {{"));
    cx.line("match self {");
    for value in &e.values {
        cx.line(&format!("Self::{} => {},", variant(&value.name), wrap(value.number)));
    }
    if !strict {
        cx.line("Self::Unknown(_) => None,");
    }
    cx.lines("}\n}\n");
    cx.line("");
    cx.doc("The known value of a name.", &[]);
    cx.line("#[must_use]");
    cx.line("pub fn from_name(name: &str) -> Option<Self> {");
    cx.line("match name {");
    for value in &e.values {
        cx.line(&format!("{} => Some(Self::{}),", quote(&value.name), variant(&value.name)));
    }
    cx.lines("_ => None,\n}\n}\n}\n");
}

fn traits(cx: &mut Cx<'_>, name: &str, decl: &Decl, e: &Enum, strict: bool) {
    let w = cx.wire.to_owned();
    let quoted = quote(&decl.name);
    cx.line("");
    cx.line(&format!("impl ::core::fmt::Display for {name} {{"));
    cx.line("fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {");
    cx.lines("f.pad(self.as_str())\n}\n}\n");
    cx.line("");
    cx.line(&format!("impl ::core::str::FromStr for {name} {{"));
    cx.line(&format!("type Err = {w}::Invalid;"));
    cx.line("");
    cx.line(&format!("fn from_str(name: &str) -> Result<Self, {w}::Invalid> {{"));
    cx.line(&format!(
        "Self::from_name(name).ok_or_else(|| {w}::Invalid::value({quoted}, name, Self::NAMES))"
    ));
    cx.lines("}\n}\n");
    cx.line("");
    cx.line(&format!("impl ::serde::Serialize for {name} {{"));
    cx.line("fn serialize<S: ::serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {");
    if strict {
        cx.line("s.serialize_str(self.as_str())");
    } else {
        cx.line("match self {");
        cx.line(&format!("Self::Unknown(name) => {w}::write_unknown(s, {quoted}, name, Self::NAMES),"));
        cx.lines("known => s.serialize_str(known.as_str()),\n}\n");
    }
    cx.lines("}\n}\n");
    cx.line("");
    cx.line(&format!("impl<'de> ::serde::Deserialize<'de> for {name} {{"));
    cx.line("fn deserialize<D: ::serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {");
    let unknown = if strict { "None" } else { "Some(Self::Unknown)" };
    cx.line(&format!("{w}::read_enum(d, {quoted}, Self::NAMES, Self::from_name, {unknown})"));
    cx.lines("}\n}\n");
    cx.line("");
    cx.schema_head(name, "_");
    cx.line(&format!("{w}::enum_schema({}, {strict}, &[", quote(&decl.doc)));
    for value in &e.values {
        cx.line(&format!("({}, {}),", quote(&value.name), quote(&value.doc)));
    }
    cx.line("])");
    cx.lines("}\n}\n");
}
