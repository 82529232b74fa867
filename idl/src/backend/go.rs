//! The Go back end: a package for Go 1.19 and later, on the standard library alone.
//!
//! ```text
//! names (collisions) -> types.go: what a user reads | codecs.go: how each type is read and written
//!                    -> the parts that do not depend on the model (go/package/), the client where there is a contract
//! ```
//! A union is an interface that a pointer to each arm's struct implements; an arm that holds nothing or shares its struct has
//! a struct of its own. What may be absent is a pointer, or a slice that is nil.

mod codecs;
mod names;
mod types;

use super::{Backend, Files, common, header};
use crate::diag::Diagnostics;
use crate::model::{Decl, Model};

const JSON: &str = include_str!("go/package/json.go");
const CONTRACT: &str = include_str!("go/package/contract.go");
const PARSE: &str = include_str!("go/package/parse.go");
const OBJECT: &str = include_str!("go/package/object.go");
const LIBXL: &str = include_str!("go/package/libxl.go");
const BUILTIN: &str = include_str!("go/package/builtin.go");
const XENSTORE: &str = include_str!("go/package/xenstore.go");
const CLIENT: &str = include_str!("go/package/client.go");

/// The Go back end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Go;

impl Backend for Go {
    fn lang(&self) -> &'static str {
        "go"
    }

    fn generate(&self, model: &Model) -> Result<Files, Diagnostics> {
        let mut diags = Diagnostics::default();
        names::check(model, &mut diags);
        diags.finish()?;
        let package = common::package(model);
        let (libxls, ours): (Vec<&Decl>, Vec<&Decl>) = model.decls.iter().partition(|d| common::is_libxls(d));
        let mut files = Files::default();
        let mut fixed = |name: &str, text: &str| {
            files.push(name, text.replacen("package PACKAGE", &format!("package {package}"), 1));
        };
        fixed("json.go", JSON);
        fixed("parse.go", PARSE);
        // Both need each other's simple codecs.
        fixed("contract.go", CONTRACT);
        fixed("object.go", OBJECT);
        if !libxls.is_empty() {
            fixed("libxl.go", LIBXL);
            fixed("builtin.go", BUILTIN);
        }
        if common::is_contract(model) {
            fixed("xenstore.go", XENSTORE);
            fixed("client.go", CLIENT);
        }
        files.push("types.go", types::file(model, package, &ours));
        files.push("codecs.go", codecs::file(model, package));
        files.push("go.mod", format!("module {package}\n\ngo 1.19\n"));
        Ok(files)
    }
}

/// The first line, in the words by which Go's tools know generated files.
fn head(model: &Model) -> String {
    let text = header(model);
    let what = text.split(". ").next().unwrap_or_default().replacen("Generated", "generated", 1);
    format!("// Code {what}: change the .idl files. DO NOT EDIT.\n\n")
}

/// A Go string literal.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The imports that a text needs, of those whose names it uses.
fn imports(body: &str) -> String {
    let used = |names: &[&str]| names.iter().any(|n| body.contains(n));
    let packages: [(&str, &[&str]); 3] = [
        ("encoding/json", &["json.RawMessage"]),
        ("fmt", &["fmt.Sprintf"]),
        ("time", &["time.Time", "time.Duration"]),
    ];
    let needed: Vec<&str> =
        packages.into_iter().filter(|(_, names)| used(names)).map(|(path, _)| path).collect();
    match needed.as_slice() {
        [] => String::new(),
        [one] => format!("import \"{one}\"\n\n"),
        many => format!("import (\n{})\n\n", many.iter().map(|p| format!("\t\"{p}\"\n")).collect::<String>()),
    }
}
