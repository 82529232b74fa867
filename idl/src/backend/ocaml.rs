//! The OCaml back end: a dune package with one module for each type, for OCaml 4.13 and its standard library.
//!
//! ```text
//! names (collisions) -> types.mli: what is public, with docs -> types.ml: codecs, on the support modules below
//! ```
//! The support modules do not depend on the model; they are files of `ocaml/package/`: `json` (reader, writer), `codec`,
//! `contract` or `lossless` (the two dialects), and for our contract `xenstore` and `client`.

mod contract;
mod doc;
mod libxl;
mod names;

use super::common::{after_their_parts, is_contract, is_libxls, package};
use super::{Backend, Files, header};
use crate::diag::Diagnostics;
use crate::model::{Decl, DeclKind, Model};
use std::fmt::Write as _;

/// The OCaml back end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ocaml;

/// A support module: its name, interface, and text.
type Support = (&'static str, &'static str, &'static str);

macro_rules! support {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("ocaml/package/", $name, ".mli")),
            include_str!(concat!("ocaml/package/", $name, ".ml")),
        )
    };
}

const BASE: &[Support] = &[support!("json"), support!("codec")];
const CONTRACT: &[Support] = &[support!("contract")];
const LOSSLESS: &[Support] = &[support!("lossless")];
const CLIENT: &[Support] = &[support!("sha256_digest"), support!("xenstore"), support!("client")];

impl Backend for Ocaml {
    fn lang(&self) -> &'static str {
        "ocaml"
    }

    fn generate(&self, model: &Model) -> Result<Files, Diagnostics> {
        let mut diags = Diagnostics::default();
        names::check(model, &mut diags);
        diags.finish()?;
        let libxls = model.decls.iter().any(is_libxls);
        let ours = model.decls.iter().any(|d| !is_libxls(d)) || !libxls;
        let client = is_contract(model);
        let mut files = Files::default();
        let mut add = |supports: &[Support]| {
            for (name, interface, text) in supports {
                files.push(format!("src/{name}.mli"), *interface);
                files.push(format!("src/{name}.ml"), *text);
            }
        };
        add(BASE);
        for (wanted, supports) in [(ours, CONTRACT), (libxls, LOSSLESS), (client, CLIENT)] {
            if wanted {
                add(supports);
            }
        }
        let name = package(model);
        let head = format!("(* {} *)\n", header(model));
        let (interface, text) = types(model);
        files.push("src/types.mli", format!("{head}\n{interface}"));
        files.push("src/types.ml", format!("{head}\n{text}"));
        files.push(format!("src/{name}.ml"), main_module(&head, name, ours, libxls, client));
        project(&mut files, name, client);
        Ok(files)
    }
}

/// The interface and the text of `types`.
fn types(model: &Model) -> (String, String) {
    let (mut mli, mut ml) = (Out::default(), Out::default());
    if model.decls.iter().any(|d| d.deprecated.is_some()) {
        mli.line("[@@@alert \"-deprecated\"]");
        mli.line("");
    }
    let decls = after_their_parts(model);
    for decl in &decls {
        match (&decl.kind, is_libxls(decl)) {
            (DeclKind::Text(text), _) => contract::text(&mut mli, &mut ml, decl, text),
            (DeclKind::Enum(e), false) => contract::enumeration(&mut mli, &mut ml, decl, e),
            (DeclKind::Enum(e), true) => libxl::enumeration(&mut mli, &mut ml, decl, e),
            (DeclKind::Struct(s), false) => contract::structure(model, &mut mli, &mut ml, decl, s),
            (DeclKind::Struct(s), true) => libxl::structure(model, &mut mli, &mut ml, decl, s),
        }
    }
    mli.line("(** Every named type. *)");
    mli.line("val all : Codec.any list");
    mli.line("");
    mli.line("(** The type of a name in the IDL, without its namespace. *)");
    mli.line("val find : string -> Codec.any option");
    ml.line("let all =");
    ml.line("  [");
    for decl in decls.iter().filter(|d| !d.anonymous) {
        let module = names::module(decl);
        ml.line(&format!("    Codec.any {} {module}.of_json {module}.to_json;", quote(decl.raw_name())));
    }
    ml.line("  ]");
    ml.line("");
    ml.line("let find name = List.find_opt (fun any -> Codec.name any = name) all");
    (mli.text, ml.text)
}

/// The module that users open: types, and what they stand on.
fn main_module(head: &str, name: &str, ours: bool, libxls: bool, client: bool) -> String {
    let mut out = head.to_owned();
    let what = match (client, ours) {
        (true, _) => {
            "Snapshots of Xen domains: the types of requests and answers, and {!Client}, which sends and follows them."
        }
        (false, true) => "The types of the contract, and their JSON.",
        (false, false) => "libxl's types, and their JSON.",
    };
    let _ = write!(out, "\n(** {what} *)\n\ninclude Types\nmodule Json = Json\nmodule Codec = Codec\n");
    if ours {
        out.push_str("module Contract = Contract\nmodule Timestamp = Contract.Timestamp\n");
        out.push_str("module Uuid = Contract.Uuid\nmodule Path = Contract.Path\n");
    }
    if libxls {
        out.push_str("module Lossless = Lossless\n");
        if !ours {
            for module in names::BUILTINS {
                let _ = writeln!(out, "module {module} = Lossless.{module}");
            }
        }
    }
    if client {
        out.push_str("module Xenstore = Xenstore\nmodule Client = Client\n");
    }
    debug_assert!(!name.is_empty());
    out
}

fn project(files: &mut Files, name: &str, client: bool) {
    let version = env!("CARGO_PKG_VERSION");
    files.push("dune-project", format!("(lang dune 2.9)\n(name {name})\n(version {version})\n"));
    let libraries = if client { "\n (libraries unix)" } else { "" };
    let flags = ":standard -w +a-4-9-40-41-42-44-45-70 -strict-sequence";
    files.push(
        "src/dune",
        format!("(library\n (name {name})\n (public_name {name}){libraries}\n (flags ({flags})))\n"),
    );
    let synopsis = if client { "Snapshots of Xen domains: types and client" } else { "Types and their JSON" };
    files.push(
        format!("{name}.opam"),
        format!(
            "opam-version: \"2.0\"\nversion: \"{version}\"\nsynopsis: \"{synopsis}\"\n\
             maintainer: \"xensnap\"\nauthors: \"xensnap\"\nlicense: \"MIT OR Apache-2.0\"\n\
             depends: [\n  \"ocaml\" {{>= \"4.13\"}}\n  \"dune\" {{>= \"2.9\"}}\n]\n\
             build: [\"dune\" \"build\" \"-p\" name \"-j\" jobs]\n"
        ),
    );
}

/// Text of a module so far.
#[derive(Default)]
struct Out {
    text: String,
    indent: usize,
}

impl Out {
    fn line(&mut self, text: &str) {
        if text.is_empty() {
            self.text.push('\n');
        } else {
            let _ = writeln!(self.text, "{}{text}", " ".repeat(self.indent));
        }
    }

    fn lines(&mut self, text: &str) {
        for line in text.lines() {
            self.line(line);
        }
    }

    /// Lines within something.
    fn within(&mut self, indent: usize, write: impl FnOnce(&mut Self)) {
        self.indent += indent;
        write(self);
        self.indent -= indent;
    }

    fn doc(&mut self, paragraphs: &[&str]) {
        let text = doc::comment(paragraphs, self.indent);
        self.lines(&text);
    }
}

/// What every type can do, in its signature.
fn json_signature(mli: &mut Out) {
    mli.line("");
    mli.line("val of_json : string -> (t, Json.error) result");
    mli.line("val to_json : t -> (string, Json.error) result");
}

fn json_functions(ml: &mut Out, dialect: &str) {
    ml.line(&format!("let of_json text = {dialect}.of_json codec text"));
    ml.line(&format!("let to_json value = {dialect}.to_json codec value"));
}

/// Since when, until when.
fn lifecycle(since: Option<u32>, deprecated: Option<&str>) -> Vec<String> {
    let since = since.map(|v| format!("@since contract {v}"));
    let deprecated = deprecated.map(|d| format!("@deprecated {d}"));
    since.into_iter().chain(deprecated).collect()
}

/// The attribute of what is on its way out.
fn attribute(ats: &str, deprecated: Option<&str>) -> String {
    deprecated.map(|d| format!(" [{ats}deprecated {}]", quote(d))).unwrap_or_default()
}

/// Ends a module's signature.
fn end_signature(mli: &mut Out, decl: &Decl) {
    mli.line(&format!("end{}", attribute("@@", decl.deprecated.as_deref())));
    mli.line("");
}

/// An OCaml string literal.
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
