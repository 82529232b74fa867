//! The TypeScript back end: a package of npm without dependencies, for Node 18 and browsers.
//!
//! ```text
//! names (collisions) -> src/contract.ts: interfaces, string unions, discriminated unions, and a table of codecs for each
//!                    └> src/libxl.ts: the same for libxl's types
//! src/runtime/*.ts, package.json, tsconfig.json: written by hand
//! ```
//! A type and its codec have one name: `Request` is the interface and the object with `fromJson`, `toJson`, `create`.
//! Numbers of the contract are `number`, 64-bit ones of libxl `bigint`.

mod contract;
mod libxl;
mod names;

use super::common::{after_their_parts, is_libxls, package};
use super::{Backend, Files, header};
use crate::diag::Diagnostics;
use crate::model::{Decl, Model};
use std::fmt::Write as _;

const PACKAGE: &str = include_str!("typescript/package.json");
const CONFIG: &str = include_str!("typescript/tsconfig.json");
const JSON: &str = include_str!("typescript/runtime/json.ts");
const CONTRACT: &str = include_str!("typescript/runtime/contract.ts");
const BUILTINS: &str = include_str!("typescript/runtime/builtins.ts");
const LIBXL: &str = include_str!("typescript/runtime/libxl.ts");

/// The TypeScript back end.
#[derive(Clone, Debug, Default)]
pub struct TypeScript;

impl Backend for TypeScript {
    fn lang(&self) -> &'static str {
        "typescript"
    }

    fn generate(&self, model: &Model) -> Result<Files, Diagnostics> {
        let mut diags = Diagnostics::default();
        names::check(model, &mut diags);
        diags.finish()?;
        let (libxls, ours): (Vec<&Decl>, Vec<&Decl>) =
            after_their_parts(model).into_iter().partition(|d| is_libxls(d));
        let mut files = Files::default();
        let mut index = format!("// {}\n\n", header(model));
        if libxls.is_empty() || !ours.is_empty() {
            let mut cx = Cx::new(model, "contract");
            contract::file(&mut cx, &ours);
            files.push("src/contract.ts", cx.out);
            files.push("src/runtime/contract.ts", CONTRACT);
            index.push_str(
                "export * from \"./contract.js\";\n\
                 export { DecodeError, EncodeError, RawJson, fromTimestamp, toTimestamp } from \"./runtime/contract.js\";\n\
                 export type { Enumeration, Extra, Struct, Text, Type, UnknownValue, Xenstore } from \"./runtime/contract.js\";\n",
            );
        }
        if !libxls.is_empty() {
            let mut cx = Cx::new(model, "libxl");
            libxl::file(&mut cx, &libxls, !ours.is_empty());
            files.push("src/libxl.ts", cx.out);
            files.push("src/runtime/libxl.ts", LIBXL);
            files.push("src/runtime/builtins.ts", BUILTINS);
            index.push_str("export * from \"./libxl.js\";\n");
            index.push_str(
                "export type { CpuidLeaf, CpuidPolicyList, KeyValueList, Msr } from \"./runtime/libxl.js\";\n",
            );
            if ours.is_empty() {
                index.push_str(
                    "export { DecodeError, EncodeError } from \"./runtime/libxl.js\";\n\
                     export type { Enumeration, Struct, Type } from \"./runtime/libxl.js\";\n",
                );
            }
        }
        files.push("src/runtime/json.ts", JSON);
        files.push("src/index.ts", index);
        let name = package(model);
        let package = PACKAGE
            .replace("@NAME@", name)
            .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
            .replace("@DESCRIPTION@", &format!("The types of {name}, read from and written to JSON"));
        files.push("package.json", package);
        files.push("tsconfig.json", CONFIG);
        Ok(files)
    }
}

/// What every part needs: the model, and the text so far.
struct Cx<'a> {
    model: &'a Model,
    out: String,
}

impl<'a> Cx<'a> {
    fn new(model: &'a Model, runtime: &str) -> Self {
        let out = format!("// {}\n\nimport * as rt from \"./runtime/{runtime}.js\";\n", header(model));
        Self { model, out }
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn type_name(&self, decl: &Decl) -> String {
        names::type_name(self.model, decl)
    }

    /// A comment, with further paragraphs and tags; nothing when all of it is empty.
    fn doc(&mut self, indent: &str, doc: &str, more: &[String]) {
        let mut lines: Vec<String> = doc.lines().map(escape_doc).collect();
        for (i, part) in more.iter().filter(|m| !m.is_empty()).enumerate() {
            if i == 0 && !lines.is_empty() {
                lines.push(String::new());
            }
            lines.extend(part.lines().map(str::to_owned));
        }
        match lines.as_slice() {
            [] => {}
            [only] => {
                let _ = writeln!(self.out, "{indent}/** {only} */");
            }
            lines => {
                let _ = writeln!(self.out, "{indent}/**");
                for line in lines {
                    let _ = writeln!(self.out, "{}", format!("{indent} * {line}").trim_end());
                }
                let _ = writeln!(self.out, "{indent} */");
            }
        }
    }

    /// Every type by its name in the IDL.
    fn types_table(&mut self, decls: &[&Decl], name: &str) {
        self.line("");
        self.doc("", "Every named type by its name in the IDL.", &[]);
        self.line(&format!(
            "export const {name}: ReadonlyMap<string, rt.Type<unknown>> = new Map<string, rt.Type<unknown>>(["
        ));
        for decl in decls.iter().filter(|d| !d.anonymous) {
            self.line(&format!("  [{}, {}],", quote(decl.raw_name()), self.type_name(decl)));
        }
        self.line("]);");
    }
}

/// Since when, until when, as tags.
fn lifecycle(since: Option<u32>, deprecated: Option<&str>) -> Vec<String> {
    let since = since.map(|v| format!("@since contract {v}"));
    let deprecated = deprecated.map(|d| format!("@deprecated {}", escape_doc(d)));
    since.into_iter().chain(deprecated).collect()
}

/// Text of a comment: it does not end the comment, and begins no tag.
fn escape_doc(line: &str) -> String {
    let line = line.replace("*/", "*\\/");
    match line.strip_prefix('@') {
        Some(rest) => format!("\\@{rest}"),
        None => line,
    }
}

/// A string literal.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            c if c < ' ' || c == '\u{7f}' || c == '\u{2028}' || c == '\u{2029}' => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A property, quoted where it must be.
fn property(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { name.to_owned() } else { quote(name) }
}
