//! Who may contain whom. A strict (`DIR_IN`) type is written by a requester: an unknown field or value in it is
//! an error, and so it must be everywhere inside. An open type is kept by programs that are older than what
//! wrote it, which a strict one inside would refuse.
//!
//! The enumeration that names the arms of a strict union may be open: the arms decide, so it can be shared (a
//! request's kinds also stand in records). Strings, builtins and libxl's types have no such direction: libxl's `dir`
//! says which way its C functions copy.

use crate::diag::{Code, Diagnostics};
use crate::model::{DeclKind, Dir, Id, Model, Ty, Unknown};

/// Adds a diagnostic for each field that breaks the rule.
pub(crate) fn check(model: &Model, diags: &mut Diagnostics) {
    let dir_of = |id: Id| match &model.get(id).kind {
        DeclKind::Struct(s) if s.unknown != Unknown::Ignored => Some(s.dir),
        DeclKind::Enum(e) if e.unknown != Unknown::Ignored => Some(e.dir),
        DeclKind::Struct(_) | DeclKind::Enum(_) | DeclKind::Text(_) => None,
    };
    for decl in &model.decls {
        let DeclKind::Struct(s) = &decl.kind else { continue };
        for field in &s.fields {
            let mut ids = inner(&field.ty);
            if let Ty::Union(u) = &field.ty
                && !s.dir.is_strict()
            {
                ids.push(u.key_enum);
            }
            for id in ids {
                let Some(dir) = dir_of(id) else { continue };
                if dir.is_strict() == s.dir.is_strict() {
                    continue;
                }
                let (code, why) = if s.dir.is_strict() {
                    (Code::OpenInStrict, "would let unknown names pass in a request")
                } else {
                    (Code::StrictInOpen, "would make an older program refuse a newer record")
                };
                let other = &model.get(id).name;
                diags
                    .add(
                        code,
                        field.span,
                        format!("`{}` is {}, but `{other}` is {}", decl.name, s.dir.as_str(), dir.as_str()),
                    )
                    .note(format!("`{other}` here {why}"))
                    .help(format!(
                        "make `{other}` {}, or give this struct a type of its own",
                        if s.dir.is_strict() { Dir::In.as_str() } else { s.dir.as_str() }
                    ));
            }
        }
    }
}

/// The named types that a field holds.
fn inner(ty: &Ty) -> Vec<Id> {
    match ty {
        Ty::Named(id) => vec![*id],
        Ty::Array { elem, .. } => inner(elem),
        Ty::Union(u) => u.arms.iter().filter_map(|a| a.ty).collect(),
        Ty::Bool
        | Ty::Int { .. }
        | Ty::Domid
        | Ty::Str
        | Ty::Timestamp
        | Ty::Duration
        | Ty::Uuid
        | Ty::Path
        | Ty::Bytes
        | Ty::Json
        | Ty::Number(_)
        | Ty::Builtin(_) => Vec::new(),
    }
}
