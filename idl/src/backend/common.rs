//! What several back ends need of a model: the package's name, which types are libxl's, an order in which every type
//! stands after those that it holds, names in other cases.

use crate::model::{Binding, Decl, DeclKind, Field, Id, Model, Presence, Ty, Unknown, Value};

/// The package's name: that of the first namespace (`xensnap_`: `xensnap`).
#[must_use]
pub fn package(model: &Model) -> &str {
    let name = model.namespace.trim_end_matches('_');
    if name.is_empty() { "types" } else { name }
}

/// Whether a type is C's: its JSON is libxl's.
#[must_use]
pub fn is_libxls(decl: &Decl) -> bool {
    match &decl.kind {
        DeclKind::Struct(s) => s.unknown == Unknown::Ignored,
        DeclKind::Enum(e) => e.unknown == Unknown::Ignored,
        DeclKind::Text(_) => false,
    }
}

/// Whether the model is our contract, so that a client goes with it: it has the request that xenstore carries.
#[must_use]
pub fn is_contract(model: &Model) -> bool {
    let bound = |name: &str| matches!(model.find(name).map(|d| &d.kind), Some(DeclKind::Struct(s)) if s.xenstore.is_some());
    bound("request") && bound("operation") && bound("agent_status")
}

/// The declarations that a type names, in order.
#[must_use]
pub fn named_in(ty: &Ty) -> Vec<Id> {
    match ty {
        Ty::Named(id) => vec![*id],
        Ty::Array { elem, .. } => named_in(elem),
        Ty::Union(u) => std::iter::once(u.key_enum).chain(u.arms.iter().filter_map(|a| a.ty)).collect(),
        _ => Vec::new(),
    }
}

/// The declarations in an order in which each stands after those that it names; else as they are.
#[must_use]
pub fn after_their_parts(model: &Model) -> Vec<&Decl> {
    fn visit<'a>(model: &'a Model, id: Id, seen: &mut [bool], out: &mut Vec<&'a Decl>) {
        // No type contains itself: E062.
        match seen.get_mut(id.0) {
            Some(seen) if !*seen => *seen = true,
            _ => return,
        }
        let decl = model.get(id);
        if let DeclKind::Struct(s) = &decl.kind {
            for part in s.fields.iter().flat_map(|f| named_in(&f.ty)) {
                visit(model, part, seen, out);
            }
        }
        out.push(decl);
    }
    let mut out = Vec::new();
    let mut seen = vec![false; model.decls.len()];
    for id in 0..model.decls.len() {
        visit(model, Id(id), &mut seen, &mut out);
    }
    out
}

/// `vm_part`, `MemKB`, `9PFS` to `VmPart`, `MemKB`, `9PFS`.
#[must_use]
pub fn camel(name: &str) -> String {
    let mut out = String::new();
    for word in name.split('_') {
        let mut chars = word.chars();
        if let Some(c) = chars.next() {
            // Two numbers that meet stay apart.
            if c.is_ascii_digit() && out.ends_with(|c: char| c.is_ascii_digit()) {
                out.push('_');
            }
            out.extend(c.to_uppercase());
        }
        out.push_str(chars.as_str());
    }
    out
}

/// Documentation as lines of at most so many characters, where words allow it: paragraphs are filled anew, empty lines and
/// lists stay.
#[must_use]
pub fn wrap(doc: &str, width: usize) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut filling = false;
    for line in doc.lines() {
        let words = line.trim();
        if words.is_empty() {
            out.push(String::new());
            filling = false;
            continue;
        }
        if words.starts_with("- ") || line.starts_with("    ") {
            filling = false;
        }
        for word in words.split_whitespace() {
            match out.last_mut() {
                Some(last) if filling && last.chars().count() + 1 + word.chars().count() <= width => {
                    last.push(' ');
                    last.push_str(word);
                }
                _ => out.push(word.to_owned()),
            }
            filling = true;
        }
    }
    out
}

/// What a field's documentation says of its default, limits and life, one sentence each.
#[must_use]
pub fn limits(field: &Field) -> String {
    let mut said = Vec::new();
    let limits = &field.limits;
    match &field.presence {
        Presence::Default(Value::Bool(b)) => said.push(format!("Default: {b}.")),
        Presence::Default(Value::Int(i)) => said.push(format!("Default: {i}.")),
        Presence::Default(Value::Str(s) | Value::Enum(s)) => said.push(format!("Default: `{s}`.")),
        Presence::Required | Presence::Optional | Presence::Initial(_) => {}
    }
    if let Some((a, b)) = limits.range {
        let unit = if field.ty == Ty::Duration { " nanoseconds" } else { "" };
        said.push(if a == b { format!("Always {a}{unit}.") } else { format!("From {a} to {b}{unit}.") });
    }
    let unit = if matches!(field.ty, Ty::Array { .. }) { "elements" } else { "bytes" };
    match (limits.min, limits.max) {
        (Some(min), Some(max)) => said.push(format!("From {min} to {max} {unit}.")),
        (None, Some(max)) => said.push(format!("At most {max} {unit}.")),
        (Some(min), None) => said.push(format!("At least {min} {unit}.")),
        (None, None) => {}
    }
    if let Some(p) = &limits.pattern {
        said.push(format!("Matches `{}`.", p.text.escape_debug()));
    }
    said.extend(field.since.map(|v| format!("Since contract {v}.")));
    said.join(" ")
}

/// The folder of the xenstore paths of a binding, when only their last part varies.
#[must_use]
pub fn xenstore_folder(binding: &Binding) -> Option<&str> {
    let (folder, last) = binding.path.rsplit_once('/')?;
    (last.starts_with('$') && binding.params.len() == 1).then_some(folder)
}
