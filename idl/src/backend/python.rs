//! The Python back end: a package of typed dataclasses for Python 3.9 and later, on the standard library alone.
//!
//! ```text
//! names (collisions) -> types.py: what a user reads | _schema.py: how each type is read and written
//!                    -> the parts that do not depend on the model (python/package/), the client where there is a contract
//! ```
//! A union is a `Union` of classes, one for each arm: the arm's own struct, or a class made for it where the arm holds
//! nothing or shares its struct. Text types are aliases of `str`, checked when a document is written.

mod names;
mod schema;
mod types;

use super::{Backend, Files, common, header};
use crate::diag::Diagnostics;
use crate::model::{Decl, Model};
use crate::pattern::Pattern;

const JSON: &str = include_str!("python/package/_json.py");
const CONTRACT: &str = include_str!("python/package/_contract.py");
const LIBXL: &str = include_str!("python/package/_libxl.py");
const LIBXL_BUILTIN: &str = include_str!("python/package/_libxl_builtin.py");
const XENSTORE: &str = include_str!("python/package/_xenstore.py");
const CLIENT: &str = include_str!("python/package/client.py");

/// The Python back end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Python;

impl Backend for Python {
    fn lang(&self) -> &'static str {
        "python"
    }

    fn generate(&self, model: &Model) -> Result<Files, Diagnostics> {
        let mut diags = Diagnostics::default();
        names::check(model, &mut diags);
        diags.finish()?;
        let package = common::package(model);
        let (libxls, ours): (Vec<&Decl>, Vec<&Decl>) = model.decls.iter().partition(|d| common::is_libxls(d));
        let dialects =
            Dialects { contract: libxls.is_empty() || !ours.is_empty(), libxl: !libxls.is_empty() };
        let client = common::is_contract(model);
        let mut files = Files::default();
        let mut push = |name: &str, text: String| files.push(format!("{package}/{name}"), text);
        push("types.py", types::module(model, &dialects));
        push("_schema.py", schema::module(model, &dialects));
        push("__init__.py", init(model, package, &dialects, client));
        push("_json.py", JSON.into());
        push("py.typed", String::new());
        if dialects.contract {
            push("_contract.py", CONTRACT.into());
        }
        if dialects.libxl {
            push("_libxl.py", LIBXL.into());
            push("_libxl_builtin.py", LIBXL_BUILTIN.into());
        }
        if client {
            push("_xenstore.py", XENSTORE.into());
            push("client.py", CLIENT.into());
        }
        files.push("pyproject.toml", pyproject(package));
        Ok(files)
    }
}

/// Which forms of JSON a package needs.
struct Dialects {
    contract: bool,
    libxl: bool,
}

fn pyproject(package: &str) -> String {
    format!(
        "[build-system]\nrequires = [\"setuptools>=61\"]\nbuild-backend = \"setuptools.build_meta\"\n\n\
         [project]\nname = \"{package}\"\nversion = \"{}\"\ndescription = \"Types and JSON of {package}'s interface\"\n\
         requires-python = \">=3.9\"\nlicense = {{ text = \"MIT OR Apache-2.0\" }}\ndependencies = []\n\n\
         [tool.setuptools]\npackages = [\"{package}\"]\n\n[tool.setuptools.package-data]\n{package} = [\"py.typed\"]\n\n\
         [tool.mypy]\nstrict = true\n",
        env!("CARGO_PKG_VERSION")
    )
}

fn init(model: &Model, package: &str, dialects: &Dialects, client: bool) -> String {
    let mut exports = vec![("._json", vec!["DecodeError", "EncodeError", "RawJson"])];
    if dialects.contract {
        exports.push(("._contract", vec!["Enumeration", "OpenEnumeration", "Timestamp", "UnknownArm"]));
    }
    if dialects.libxl {
        exports.push((
            "._libxl",
            vec!["CEnumeration", "CpuidLeaf", "CpuidPolicyList", "KeyValueList", "Msr", "NoArm"],
        ));
    }
    exports.push(("._schema", vec!["TYPES"]));
    if client {
        exports.push(("._xenstore", vec!["Connection", "Disconnected", "XenstoreError"]));
        exports.push((
            ".client",
            vec![
                "CONTRACT",
                "HEARTBEAT_MAX",
                "Client",
                "ClientError",
                "Follow",
                "NoAgent",
                "NoOperation",
                "NotEnded",
                "NotUnderstood",
                "OperationFailed",
                "OperationTimeout",
                "StaleAgent",
                "WrongResult",
            ],
        ));
    }
    let mut out = format!(
        "# {}\n\"\"\"The types of {package}, each with `from_json` and `to_json`.{}\"\"\"\n\nfrom . import types\n",
        header(model),
        if client { " `client` sends requests and follows them." } else { "" }
    );
    let mut all = Vec::new();
    for (module, names) in &exports {
        out.push_str(&format!("from {module} import (\n"));
        for name in names {
            out.push_str(&format!("    {name},\n"));
            all.push(*name);
        }
        out.push_str(")\n");
    }
    out.push_str("from .types import *  # noqa: F403\n\n__all__ = [\n");
    for name in all {
        out.push_str(&format!("    \"{name}\",\n"));
    }
    out.push_str("]\n__all__ += types.__all__\n");
    out
}

/// A Python string literal.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            c if c.is_control() && (c as u32) < 0x100 => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A docstring, filled and indented; its closing quotes stand alone when it has more than one line.
fn docstring(paragraphs: &[String], indent: &str, width: usize) -> String {
    let text: Vec<&str> = paragraphs.iter().map(String::as_str).filter(|p| !p.is_empty()).collect();
    let text = text.join("\n\n").replace('\\', "\\\\").replace("\"\"\"", "\\\"\\\"\\\"");
    let lines = common::wrap(&text, width.saturating_sub(indent.len() + 6));
    let mut out = format!("{indent}\"\"\"");
    for (i, line) in lines.iter().enumerate() {
        if i > 0 {
            out.push('\n');
            if !line.is_empty() {
                out.push_str(indent);
            }
        }
        out.push_str(line);
    }
    if lines.len() > 1 {
        out.push_str(&format!("\n{indent}"));
    } else if out.ends_with('"') && !lines.is_empty() {
        out.pop();
        out.push_str("\\\"");
    }
    out.push_str("\"\"\"\n");
    out
}

/// A pattern as Python's `re` has it, for `fullmatch`.
fn regex(pattern: &Pattern) -> String {
    let ecma = pattern.to_ecma();
    let bare = ecma.strip_prefix('^').and_then(|p| p.strip_suffix('$')).unwrap_or(&ecma);
    let mut out = String::from("r\"");
    for c in bare.chars() {
        match c {
            '"' => out.push_str("\\x22"),
            c if (c as u32) > 0xffff => out.push_str(&format!("\\U{:08x}", c as u32)),
            c if (c as u32) >= 0x7f => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
