//! Enumerations: `Copy`, with a variant for a number that has no name.

use crate::backend::rust::names::{type_name, variant};
use crate::backend::rust::{Cx, quote};
use crate::model::{Decl, Enum};

pub(super) fn enumeration(cx: &mut Cx<'_>, decl: &Decl, e: &Enum) {
    let name = type_name(decl);
    let initial = e.initial.unwrap_or(0);
    let named = e.values.iter().any(|v| v.number == initial);
    cx.line("");
    let doc = if decl.doc.is_empty() { format!("`{}`.", decl.name) } else { decl.doc.clone() };
    cx.doc(&doc, &[]);
    let default = if named { ", Default" } else { "" };
    cx.line(&format!("#[derive(Clone, Copy, Debug{default}, PartialEq, Eq, Hash)]"));
    cx.line(&format!("pub enum {name} {{"));
    for value in &e.values {
        let doc = if value.doc.is_empty() {
            format!("`{}{}`.", e.c_prefix, value.name.to_uppercase())
        } else {
            value.doc.clone()
        };
        cx.doc(&doc, &[]);
        if value.number == initial {
            cx.line("#[default]");
        }
        cx.line(&format!("{},", variant(&value.name)));
    }
    cx.doc("A number that has no name here.", &[]);
    cx.line("Other(i32),");
    cx.line("}");
    if !named {
        cx.line("");
        cx.line(&format!("impl ::core::default::Default for {name} {{"));
        cx.line("fn default() -> Self {");
        cx.line(&format!("Self::Other({initial})"));
        cx.lines("}\n}\n");
    }
    inherent(cx, &name, e);
    implemented(cx, &name, decl, e);
    cx.line("");
    cx.line(&format!("rt::enumeration!({name});"));
}

fn inherent(cx: &mut Cx<'_>, name: &str, e: &Enum) {
    cx.line("");
    cx.line(&format!("impl {name} {{"));
    cx.doc("Every value that has a name, in order.", &[]);
    let all: Vec<String> = e.values.iter().map(|v| format!("Self::{}", variant(&v.name))).collect();
    cx.line(&format!("pub const ALL: &'static [Self] = &[{}];", all.join(", ")));
    cx.line("");
    cx.doc("Its number in C.", &[]);
    cx.line("#[must_use]");
    cx.line("pub const fn number(self) -> i32 {");
    cx.line("match self {");
    for value in &e.values {
        cx.line(&format!("Self::{} => {},", variant(&value.name), value.number));
    }
    cx.lines("Self::Other(number) => number,\n}\n}\n");
    cx.line("");
    cx.doc("Its name in JSON; `None` for a number that has none.", &[]);
    cx.line("#[must_use]");
    cx.line("pub const fn name(self) -> Option<&'static str> {");
    cx.line("match self {");
    for value in &e.values {
        cx.line(&format!("Self::{} => Some({}),", variant(&value.name), quote(&value.name)));
    }
    cx.lines("Self::Other(_) => None,\n}\n}\n}\n");
}

fn implemented(cx: &mut Cx<'_>, name: &str, decl: &Decl, e: &Enum) {
    cx.line("");
    cx.line(&format!("impl rt::Enumeration for {name} {{"));
    cx.line(&format!("const NAME: &'static str = {};", quote(decl.raw_name())));
    let values: Vec<String> =
        e.values.iter().map(|v| format!("({}, {})", quote(&v.name), v.number)).collect();
    cx.line(&format!("const VALUES: &'static [(&'static str, i32)] = &[{}];", values.join(", ")));
    cx.line("");
    cx.line("fn from_number(number: i32) -> Self {");
    cx.line("match number {");
    for value in &e.values {
        cx.line(&format!("{} => Self::{},", value.number, variant(&value.name)));
    }
    cx.lines("other => Self::Other(other),\n}\n}\n");
    cx.line("");
    cx.line("fn number(self) -> i32 {");
    cx.lines("self.number()\n}\n");
    cx.line("");
    cx.line("fn name(self) -> Option<&'static str> {");
    cx.lines("self.name()\n}\n}\n");
}
