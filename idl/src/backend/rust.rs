//! The Rust back end: a file for the contract's types and one for libxl's, each to be included into a module. Types
//! derive what derive can do; reading and writing are written out, because serde's derive knows no strict unions,
//! keeps no unknown fields, and cannot say libxl's rules.
//!
//! ```text
//! names (collisions) -> for each declaration: text | enumeration | struct, its unions, its serde, its schema
//!                    └> libxl's: enumeration | struct, its unions, its reader and writer
//! ```
//! The contract's text stands on a run-time module (`crate::wire` in xensnap), `serde`, `schemars` and `serde_json`;
//! libxl's on the package `xenidl-runtime` alone.

mod enums;
mod libxl;
mod names;
mod serde;
mod structs;
mod texts;
mod types;

use super::common::is_libxls;
use super::{Backend, Files, header};
use crate::diag::Diagnostics;
use crate::model::{Decl, DeclKind, Model};
use std::fmt::Write as _;

/// The Rust back end.
#[derive(Clone, Debug)]
pub struct Rust {
    /// Path of the run-time module.
    pub wire: String,
    /// Name of the file.
    pub file: String,
    /// Path of the package that libxl's types stand on.
    pub runtime: String,
    /// Name of the file of libxl's types.
    pub libxl_file: String,
}

impl Default for Rust {
    fn default() -> Self {
        Self {
            wire: "crate::wire".into(),
            file: "contract.rs".into(),
            runtime: "::xenidl_runtime".into(),
            libxl_file: "libxl.rs".into(),
        }
    }
}

impl Backend for Rust {
    fn lang(&self) -> &'static str {
        "rust"
    }

    fn generate(&self, model: &Model) -> Result<Files, Diagnostics> {
        let mut diags = Diagnostics::default();
        names::check(model, &mut diags);
        diags.finish()?;
        let (libxls, ours): (Vec<&Decl>, Vec<&Decl>) = model.decls.iter().partition(|d| is_libxls(d));
        let mut files = Files::default();
        if libxls.is_empty() || !ours.is_empty() {
            let mut cx = Cx { model, wire: &self.wire, out: String::new(), indent: 0 };
            cx.line(&format!("// {}", header(model)));
            for decl in &ours {
                match &decl.kind {
                    DeclKind::Text(text) => texts::text(&mut cx, decl, text),
                    DeclKind::Enum(e) => enums::enumeration(&mut cx, decl, e),
                    DeclKind::Struct(s) => structs::structure(&mut cx, decl, s),
                }
            }
            types_table(&mut cx, &ours);
            files.push(self.file.clone(), cx.out);
        }
        if !libxls.is_empty() {
            let mut cx = Cx { model, wire: &self.runtime, out: String::new(), indent: 0 };
            libxl::file(&mut cx, &libxls);
            files.push(self.libxl_file.clone(), cx.out);
        }
        Ok(files)
    }
}

/// Every type by its name, for tests and for tools that show schemas.
fn types_table(cx: &mut Cx<'_>, decls: &[&Decl]) {
    let w = cx.wire;
    cx.line("");
    cx.doc("Every type by its name in the IDL, in order of files and places.", &[]);
    cx.line(&format!("pub static TYPES: &[{w}::TypeInfo] = &["));
    for decl in decls {
        cx.line(&format!("{w}::TypeInfo::of::<{}>({}),", names::type_name(decl), quote(&decl.name)));
    }
    cx.line("];");
}

/// What every part needs: the model, and the text so far.
struct Cx<'a> {
    model: &'a Model,
    wire: &'a str,
    out: String,
    indent: usize,
}

impl Cx<'_> {
    /// A line at the present depth. One that ends with an opening bracket goes deeper, one that begins with a
    /// closing bracket comes back.
    fn line(&mut self, text: &str) {
        if text.starts_with(['}', ')', ']']) {
            self.indent = self.indent.saturating_sub(1);
        }
        if text.is_empty() {
            self.out.push('\n');
        } else {
            let _ = writeln!(self.out, "{}{text}", "    ".repeat(self.indent));
        }
        if text.ends_with(['{', '(', '[']) {
            self.indent += 1;
        }
    }

    fn lines(&mut self, text: &str) {
        for line in text.lines() {
            self.line(line.trim_start());
        }
    }

    /// Documentation, with further paragraphs.
    fn doc(&mut self, doc: &str, more: &[String]) {
        let doc = if doc.is_empty() { "Not documented." } else { doc };
        for line in doc.lines() {
            self.doc_line(line);
        }
        for more in more.iter().filter(|m| !m.is_empty()) {
            self.doc_line("");
            for line in more.lines() {
                self.doc_line(line);
            }
        }
    }

    fn doc_line(&mut self, line: &str) {
        // Not `line`: a comment's brackets mean nothing.
        let space = if line.is_empty() { "" } else { " " };
        let _ = writeln!(self.out, "{}///{space}{line}", "    ".repeat(self.indent));
    }
}

/// A Rust string literal.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
