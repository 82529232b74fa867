//! The C back end: structs in libxl's manner, with `_init`, `_dispose`, `_copy`, `_to_json` and `_from_json` for each, and
//! `_to_string` and `_from_string` for enumerations.
//!
//! ```text
//! names (collisions) -> header.rs: what is public, with docs -> tables.rs: descriptions of the types
//! ```
//! The code that serves all types by their descriptions does not depend on the model; it is files of `c/package/`.

mod contract;
mod libxl;
mod names;

use super::common::{after_their_parts, is_libxls, package};
use super::{Backend, Files, header};
use crate::diag::Diagnostics;
use crate::model::{Decl, DeclKind, Model};
use std::fmt::Write as _;

/// The C back end.
#[derive(Clone, Copy, Debug, Default)]
pub struct C;

/// The files that are the same in every package.
const SUPPORT: &[(&str, &str)] = &[
    ("xenidl.h", include_str!("c/package/xenidl.h")),
    ("xenidl_types.h", include_str!("c/package/xenidl_types.h")),
    ("xenidl_json.h", include_str!("c/package/xenidl_json.h")),
    ("xenidl_place.h", include_str!("c/package/xenidl_place.h")),
    ("xenidl.c", include_str!("c/package/xenidl.c")),
    ("xenidl_read.c", include_str!("c/package/xenidl_read.c")),
    ("xenidl_write.c", include_str!("c/package/xenidl_write.c")),
    ("xenidl_json.c", include_str!("c/package/xenidl_json.c")),
    ("xenidl_libxl.c", include_str!("c/package/xenidl_libxl.c")),
];

impl Backend for C {
    fn lang(&self) -> &'static str {
        "c"
    }

    fn generate(&self, model: &Model) -> Result<Files, Diagnostics> {
        let mut diags = Diagnostics::default();
        names::check(model, &mut diags);
        diags.finish()?;
        let name = package(model);
        // `-lxensnap_types`, and not `liblibxl_types`.
        let library = format!("{}_types", name.strip_prefix("lib").unwrap_or(name));
        let mut files = Files::default();
        for (path, text) in SUPPORT {
            files.push(*path, *text);
        }
        let (header, source) = types(model, name);
        files.push(format!("{name}_types.h"), header);
        files.push(format!("{name}_types.c"), source);
        for (path, text) in [
            ("Makefile".to_owned(), include_str!("c/package/Makefile")),
            (format!("{name}-types.pc.in"), include_str!("c/package/package.pc.in")),
        ] {
            let text = text.replace("@NAME@", name).replace("@LIBRARY@", &library);
            files.push(path, text.replace("@VERSION@", env!("CARGO_PKG_VERSION")));
        }
        Ok(files)
    }
}

/// The header and the source.
fn types(model: &Model, name: &str) -> (String, String) {
    let head = format!("/* {} */\n", header(model));
    let guard = format!("{}_TYPES_H", name.to_uppercase());
    let (mut h, mut c) = (Out::default(), Out::default());
    h.lines(&format!("{head}#ifndef {guard}\n#define {guard}\n\n#include \"xenidl.h\""));
    h.lines("\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n");
    c.lines(&format!(
        "{head}#define XENIDL_OWN_CODE\n#include \"{name}_types.h\"\n\n#include \"xenidl_types.h\"\n"
    ));
    if model.decls.iter().any(is_libxls) {
        libxl::builtins(&mut h, model);
    }
    let decls = after_their_parts(model);
    for decl in &decls {
        match (&decl.kind, is_libxls(decl)) {
            (DeclKind::Text(text), _) => contract::text(model, &mut h, &mut c, decl, text),
            (DeclKind::Enum(e), false) => contract::enumeration(model, &mut h, &mut c, decl, e),
            (DeclKind::Enum(e), true) => libxl::enumeration(model, &mut h, &mut c, decl, e),
            (DeclKind::Struct(s), false) => contract::structure(model, &mut h, &mut c, decl, s),
            (DeclKind::Struct(s), true) => libxl::structure(model, &mut h, &mut c, decl, s),
        }
    }
    let prefix = names::prefix(model);
    h.doc(&["Every named type, up to a NULL."]);
    h.line(&format!("extern const xenidl_type *const {prefix}types[];"));
    h.line("");
    h.doc(&["The type of a name in the IDL, without its namespace; NULL when there is none."]);
    h.line(&format!("const xenidl_type *{prefix}type_by_name(const char *name);"));
    h.lines("\n#ifdef __cplusplus\n}\n#endif\n\n#endif");
    c.line(&format!("const xenidl_type *const {prefix}types[] = {{"));
    for decl in decls.iter().filter(|d| !d.anonymous) {
        c.line(&format!("    &{},", names::table(model, decl)));
    }
    c.lines("    NULL\n};\n");
    c.line(&format!("const xenidl_type *{prefix}type_by_name(const char *name)"));
    c.lines(&format!("{{\n    return xenidl_find({prefix}types, name);\n}}"));
    (h.text, c.text)
}

/// Text so far.
#[derive(Default)]
struct Out {
    text: String,
    indent: usize,
}

/// Columns of a line.
const WIDTH: usize = 110;

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

    /// A comment of paragraphs.
    fn doc(&mut self, paragraphs: &[&str]) {
        let mut lines = Vec::new();
        for part in paragraphs.iter().filter(|p| !p.is_empty()).flat_map(|p| p.split("\n\n")) {
            if !lines.is_empty() {
                lines.push(String::new());
            }
            let mut line = String::new();
            for word in part.split_whitespace() {
                if !line.is_empty() && self.indent + 3 + line.chars().count() + word.chars().count() > WIDTH {
                    lines.push(std::mem::take(&mut line));
                }
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(&word.replace("*/", "* /").replace("/*", "/ *"));
            }
            lines.push(line);
        }
        match lines.as_slice() {
            [] => {}
            [one] => self.line(&format!("/* {one} */")),
            many => {
                self.line("/*");
                for line in many {
                    self.line(if line.is_empty() { " *".into() } else { format!(" * {line}") }.as_str());
                }
                self.line(" */");
            }
        }
    }
}

/// What every struct has.
fn struct_functions(h: &mut Out, c: &mut Out, ty: &str, table: &str, decl: &Decl) {
    let old =
        decl.deprecated.as_ref().map(|d| format!(" XENIDL_DEPRECATED({})", quote(d))).unwrap_or_default();
    let mut function = |signature: &str, body: &str, attribute: &str| {
        h.line(&format!("{signature}{attribute};"));
        c.lines(&format!("{signature}\n{{\n    {body}\n}}\n"));
        c.line("");
    };
    function(&format!("void {ty}_init({ty} *p)"), &format!("xenidl_init(&{table}, p);"), &old);
    function(&format!("void {ty}_dispose({ty} *p)"), &format!("xenidl_dispose(&{table}, p);"), "");
    function(
        &format!("int {ty}_copy({ty} *to, const {ty} *from)"),
        &format!("return xenidl_copy(&{table}, to, from);"),
        "",
    );
    function(
        &format!("int {ty}_from_json({ty} *p, const char *json, size_t length, xenidl_error *error)"),
        &format!("return xenidl_from_json(&{table}, p, json, length, error);"),
        "",
    );
    function(
        &format!("char *{ty}_to_json(const {ty} *p, xenidl_error *error)"),
        &format!("return xenidl_to_json(&{table}, p, error);"),
        "",
    );
    h.line("");
}

/// The names and numbers of an enumeration.
fn values_table(c: &mut Out, ty: &str, values: impl Iterator<Item = (String, i64)>) -> usize {
    c.line(&format!("static const xenidl_value {ty}_values[] = {{"));
    let mut n = 0;
    for (name, number) in values {
        c.line(&format!("    {{ {}, {number} }},", quote(&name)));
        n += 1;
    }
    c.line("};");
    n
}

/// A 64-bit number as C has it.
fn number(value: i64) -> String {
    if (-(1 << 31)..1 << 31).contains(&value) {
        value.to_string()
    } else {
        format!("(int64_t){:#x}ULL", value.cast_unsigned())
    }
}

/// A C string literal. Octal escapes end after three digits, hexadecimal ones do not.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for b in text.bytes() {
        match b {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(b as char);
            }
            // No trigraphs.
            b'?' => out.push_str("\\?"),
            0x20..0x7f => out.push(b as char),
            b => {
                let _ = write!(out, "\\{b:03o}");
            }
        }
    }
    out.push('"');
    out
}
