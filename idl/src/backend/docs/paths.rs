//! Paths in xenstore, in the notation of Xen's docs/misc/xenstore-paths.pandoc: `#### PATH = VALUES [TAGS]`, where `~` is the
//! home of the domain that the path belongs to.

use crate::backend::header;
use crate::model::{Binding, Decl, DeclKind, Model, Struct};
use crate::size::decl_max;

/// The types that stand in xenstore, in order.
pub(super) fn bound(model: &Model) -> impl Iterator<Item = (&Decl, &Struct, &Binding)> {
    model.decls.iter().filter_map(|d| match &d.kind {
        DeclKind::Struct(s) => s.xenstore.as_ref().map(|b| (d, s, b)),
        DeclKind::Enum(_) | DeclKind::Text(_) => None,
    })
}

/// `/tool/xensnap/request/$ID = STRING [n]`
pub(super) fn notation(binding: &Binding) -> String {
    let path = match binding.path.strip_prefix("/local/domain/$DOMID/") {
        Some(rest) => format!("~/{rest}"),
        None => binding.path.clone(),
    };
    format!("{path} = STRING [{}]", binding.access)
}

/// What the value is, in words.
pub(super) fn value(model: &Model, decl: &Decl) -> String {
    match decl_max(model, decl) {
        Ok(max) => format!("JSON of the type `{}`, at most {max} bytes.", decl.raw_name()),
        Err(_) => format!("JSON of the type `{}`.", decl.raw_name()),
    }
}

/// A text that fits into Xen's file; none when nothing is bound to a path.
pub(super) fn pandoc(model: &Model) -> Option<String> {
    let mut out = format!("<!-- {} -->\n", header(model));
    let start = out.len();
    for (decl, _, binding) in bound(model) {
        out.push_str(&format!("\n#### {}\n\n{}\n\n{}\n", notation(binding), decl.doc, value(model, decl)));
    }
    (out.len() > start).then_some(out)
}
