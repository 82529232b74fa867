//! The back end of JSON Schema (2020-12): a schema for each struct, complete in itself, and one file with every type.
//!
//! ```text
//! for each declaration: contract | libxl -> its schema, `$ref`s to others
//! NAME.schema.json: a struct's schema with the `$defs` that it reaches; PACKAGE.all.schema.json: every type in `$defs`
//! ```
//! What JSON Schema cannot say is let pass: lengths in bytes (its own are in characters), a key that is there twice, the days
//! of a month, `1.0` for an integer. What it has no keyword for stands in `x-..`: number, since, deprecated, unit, xenstore.

mod contract;
mod libxl;
mod print;

use super::common::{is_libxls, named_in, package};
use super::{Backend, Files, header};
use crate::diag::Diagnostics;
use crate::model::{Decl, DeclKind, Id, Model};
use crate::sample::Node;
use std::collections::BTreeSet;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The JSON Schema back end.
#[derive(Clone, Debug, Default)]
pub struct JsonSchema;

impl Backend for JsonSchema {
    fn lang(&self) -> &'static str {
        "jsonschema"
    }

    fn generate(&self, model: &Model) -> Result<Files, Diagnostics> {
        let mut files = Files::default();
        for (i, decl) in model.decls.iter().enumerate() {
            if matches!(decl.kind, DeclKind::Struct(_)) && !decl.anonymous {
                let mut root = head(model, decl.raw_name());
                root.extend(of(model, decl));
                let parts: Vec<&Decl> = reached(model, Id(i)).into_iter().map(|id| model.get(id)).collect();
                root.extend(defs(model, &parts, Some(decl)));
                files.push(format!("{}.schema.json", decl.raw_name()), print::pretty(&Node::Map(root)));
            }
        }
        let name = package(model);
        let mut all = head(model, name);
        all.extend(defs(model, &model.decls.iter().collect::<Vec<_>>(), None));
        files.push(format!("{name}.all.schema.json"), print::pretty(&Node::Map(all)));
        Ok(files)
    }
}

type Members = Vec<(String, Node)>;

fn member(key: &str, value: Node) -> (String, Node) {
    (key.to_owned(), value)
}

fn text(key: &str, value: &str) -> (String, Node) {
    member(key, Node::text(value))
}

fn int(key: &str, value: impl Into<i128>) -> (String, Node) {
    member(key, Node::Int(value.into()))
}

fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> Node {
    Node::List(values.into_iter().map(Node::text).collect())
}

fn head(model: &Model, title: &str) -> Members {
    vec![text("$schema", DIALECT), text("$comment", &header(model)), text("title", title)]
}

/// The schema of a declaration.
fn of(model: &Model, decl: &Decl) -> Members {
    let mut schema = if is_libxls(decl) { libxl::schema(model, decl) } else { contract::schema(model, decl) };
    schema.extend(lifecycle(decl.since, decl.deprecated.as_deref()));
    schema
}

/// `$defs`: the schemas of these, and of the builtin types of libxl that one of them, or the root, refers to.
fn defs(model: &Model, decls: &[&Decl], root: Option<&Decl>) -> Option<(String, Node)> {
    let mut members: Members = decls.iter().map(|d| member(d.raw_name(), Node::Map(of(model, d)))).collect();
    let referring: Vec<&Decl> = decls.iter().copied().chain(root).collect();
    members.extend(libxl::builtins(&referring));
    (!members.is_empty()).then(|| member("$defs", Node::Map(members)))
}

fn reference(name: &str) -> Members {
    vec![text("$ref", &format!("#/$defs/{name}"))]
}

/// What a declaration's schema refers to, and what those do; in order of the model.
fn reached(model: &Model, id: Id) -> BTreeSet<Id> {
    let mut found = BTreeSet::new();
    let mut todo = vec![id];
    while let Some(id) = todo.pop() {
        let DeclKind::Struct(s) = &model.get(id).kind else { continue };
        for part in s.fields.iter().filter(|f| !f.constant).flat_map(|f| named_in(&f.ty)) {
            // The enumeration of a union's key stands in no schema of the contract, and in every one of libxl's.
            if found.insert(part) {
                todo.push(part);
            }
        }
    }
    found
}

/// Since when, until when.
fn lifecycle(since: Option<u32>, deprecated: Option<&str>) -> Members {
    let mut out = Vec::new();
    out.extend(since.map(|v| int("x-since", v)));
    if let Some(instead) = deprecated {
        out.push(member("deprecated", Node::Bool(true)));
        out.push(text("x-deprecated", instead));
    }
    out
}
