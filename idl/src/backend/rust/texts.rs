//! Named strings: a checked newtype.

use super::names::camel;
use super::types::lifecycle;
use super::{Cx, quote};
use crate::model::{Decl, Text};

pub(super) fn text(cx: &mut Cx<'_>, decl: &Decl, text: &Text) {
    let name = camel(&decl.name);
    let w = cx.wire;
    let length = match text.max {
        Some(max) => format!(", at most {max} bytes"),
        None => String::new(),
    };
    let mut more = vec![format!("Matches `{}`{length}.", text.pattern.text.escape_debug())];
    more.extend(lifecycle(decl.since, decl.deprecated.as_deref()));
    cx.line("");
    cx.doc(&decl.doc, &more);
    cx.line("#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]");
    cx.line(&format!("pub struct {name}(Box<str>);"));
    cx.line("");
    let pattern = cx.pattern(&text.pattern);
    cx.line(&format!("{w}::named_string!("));
    cx.line(&format!("{name}, {}, {},", quote(&decl.name), quote(&decl.doc)));
    let max = text.max.map_or("u32::MAX".into(), |m| m.to_string());
    cx.line(&format!("min: {}, max: {max},", text.min.unwrap_or(0)));
    cx.line(&format!("pattern: {pattern}"));
    cx.line(");");
    if text.pattern.lossy() {
        lossy(cx, &name);
    }
}

/// A pattern of one class that may be absent: any text can be made to fit.
fn lossy(cx: &mut Cx<'_>, name: &str) {
    let w = cx.wire;
    cx.line("");
    cx.line(&format!("impl {name} {{"));
    cx.doc("The text, cut and cleaned to fit: what is not allowed becomes a space.", &[]);
    cx.line("#[must_use]");
    cx.line("pub fn lossy(text: &str) -> Self {");
    cx.line("Self::lossy_max(text, Self::MAX)");
    cx.line("}");
    cx.line("");
    cx.doc("The same, cut at so many bytes: for a field that is narrower than the type.", &[]);
    cx.line("#[must_use]");
    cx.line("pub fn lossy_max(text: &str, max: u32) -> Self {");
    cx.line("let max = max.min(Self::MAX) as usize;");
    cx.line("match Self::PATTERN.parts {");
    cx.line(&format!("[part] => Self({w}::lossy(text, max, part).into_boxed_str()),"));
    cx.line("_ => Self(Box::from(\"\")),");
    cx.line("}");
    cx.line("}");
    cx.line("}");
}
