//! The largest encoding of a type, and its depth.
//!
//! Counts every byte: keys, quotes, commas, escapes (a pattern's characters are weighed one by one), the widest
//! integer. What a program of another version may have added (unknown fields and values) is not counted: the
//! run time checks what is really written.

use crate::diag::{Code, Diagnostics, Span};
use crate::model::{DEPTH_MAX, Decl, DeclKind, Field, Id, Limits, Model, Struct, Text, Ty, XENSTORE_MAX};
use crate::pattern::COST_PER_BYTE_MAX;

/// Why there is no largest encoding: the path of the field that is without a maximum, and its place.
#[derive(Clone, Debug)]
pub struct Unbounded {
    /// `op.cancel.reason`
    pub path: String,
    /// What is missing.
    pub what: String,
    /// The field's place.
    pub span: Span,
}

/// Checks recursion and depth of all types and the size of those bound to xenstore.
pub(crate) fn check(model: &Model, diags: &mut Diagnostics) {
    let mut sound = true;
    for i in 0..model.decls.len() {
        match depth(model, Id(i), &mut Vec::new()) {
            Err(span) => {
                sound = false;
                let decl = model.get(Id(i));
                diags
                    .add(Code::Recursive, span, format!("`{}` contains itself", decl.name))
                    .help("documents have a fixed depth: refer to the other one by its id");
            }
            Ok(d) if d > DEPTH_MAX => {
                let decl = model.get(Id(i));
                diags.add(
                    Code::TooDeep,
                    decl.span,
                    format!("`{}` nests {d} deep; a document may nest {DEPTH_MAX}", decl.name),
                );
            }
            Ok(_) => {}
        }
    }
    if !sound {
        return;
    }
    let mut paths: Vec<&str> = Vec::new();
    for decl in &model.decls {
        let DeclKind::Struct(Struct { xenstore: Some(binding), .. }) = &decl.kind else { continue };
        if paths.contains(&binding.path.as_str()) {
            diags.add(Code::XenstorePath, binding.span, format!("`{}` is bound twice", binding.path));
        }
        paths.push(&binding.path);
        check_bound(model, decl, diags);
    }
}

fn check_bound(model: &Model, decl: &Decl, diags: &mut Diagnostics) {
    match decl_max(model, decl) {
        Err(u) => {
            diags
                .add(
                    Code::Unbounded,
                    u.span,
                    format!("`{}` has no maximum, and `{}` goes into xenstore", u.path, decl.name),
                )
                .note(u.what)
                .help("add `{\"max\": N}`, or a named String whose pattern has an end");
        }
        Ok(size) if size > XENSTORE_MAX => {
            let d = diags.add(
                Code::TooLarge,
                decl.span,
                format!("`{}` can take {size} bytes; a xenstore value holds {XENSTORE_MAX}", decl.name),
            );
            for line in breakdown(model, decl) {
                d.note(line);
            }
            d.help("lower the limits of the largest ones, or refer to a file");
        }
        Ok(_) => {}
    }
}

/// Largest encoding of a named type in bytes.
///
/// # Errors
/// The first field without a maximum.
pub fn decl_max(model: &Model, decl: &Decl) -> Result<u64, Unbounded> {
    match &decl.kind {
        DeclKind::Enum(e) => Ok(2 + e.values.iter().map(|v| v.name.len() as u64).max().unwrap_or(0)),
        DeclKind::Text(t) => text_max(t, None)
            .ok_or_else(|| unbounded(decl.span, "its pattern has no end and it has no `max`")),
        DeclKind::Struct(s) => {
            let mut total = 2;
            for field in &s.fields {
                total += field_max(model, field)?;
            }
            // One comma fewer than fields.
            Ok(if s.fields.is_empty() { total } else { total - 1 })
        }
    }
}

/// `"key":value,`
fn field_max(model: &Model, field: &Field) -> Result<u64, Unbounded> {
    let name = |mut u: Unbounded| {
        u.path = if u.path.is_empty() { field.name.clone() } else { format!("{}.{}", field.name, u.path) };
        if u.span == Span::default() {
            u.span = field.span;
        }
        u
    };
    if let Ty::Union(union) = &field.ty {
        let mut widest = 0;
        for arm in &union.arms {
            let value = match arm.ty {
                Some(id) => decl_max(model, model.get(id)).map_err(|mut u| {
                    u.path = format!("{}.{}.{}", union.keyvar, arm.name, u.path);
                    u
                })?,
                None => 2,
            };
            widest = widest.max((union.keyvar.len() + arm.name.len()) as u64 + 5 + value);
        }
        return Ok(widest);
    }
    let value = ty_max(model, &field.ty, &field.limits).map_err(name)?;
    Ok(field.name.len() as u64 + 4 + value)
}

fn unbounded(span: Span, what: &str) -> Unbounded {
    Unbounded { path: String::new(), what: what.to_owned(), span }
}

fn text_max(text: &Text, max: Option<u64>) -> Option<u64> {
    let max = max.or(text.max);
    text.pattern.json_max(max).map(|m| m + 2)
}

fn ty_max(model: &Model, ty: &Ty, limits: &Limits) -> Result<u64, Unbounded> {
    if let Some(range) = ty.int_range() {
        let (a, b) = limits.range.unwrap_or(range);
        return Ok(a.to_string().len().max(b.to_string().len()) as u64);
    }
    let none = Span::default();
    Ok(match ty {
        Ty::Bool => 5,
        Ty::Int { .. } | Ty::Domid | Ty::Duration | Ty::Bytes => 17,
        Ty::Timestamp => 2 + "2026-11-23T10:20:30.123456789Z".len() as u64,
        Ty::Uuid => 2 + 36,
        Ty::Str | Ty::Path => {
            let inner = match &limits.pattern {
                Some(p) => p.json_max(limits.max),
                None => limits.max.map(|m| m * COST_PER_BYTE_MAX),
            };
            2 + inner.ok_or_else(|| unbounded(none, "a text without `max`"))?
        }
        Ty::Json => limits.max.ok_or_else(|| unbounded(none, "json without `max`"))?,
        Ty::Named(id) => {
            let decl = model.get(*id);
            match &decl.kind {
                DeclKind::Text(t) => text_max(t, limits.max)
                    .ok_or_else(|| unbounded(none, "its pattern has no end and it has no `max`"))?,
                DeclKind::Struct(_) | DeclKind::Enum(_) => decl_max(model, decl)?,
            }
        }
        Ty::Array { elem, .. } => {
            let count = limits.max.ok_or_else(|| unbounded(none, "an array without `max`"))?;
            let one = ty_max(model, elem, &Limits::default())?;
            2 + count * one + count.saturating_sub(1)
        }
        Ty::Number(n) => (if n.bits == 64 { 20 } else { 11 }).max(u64::from(n.bits / 8)),
        Ty::Builtin(_) => return Err(unbounded(none, "a type of libxl's, which has no maximum")),
        // Only ever a field's type: `field_max` has it.
        Ty::Union(_) => 0,
    })
}

/// One line for each field, largest first.
fn breakdown(model: &Model, decl: &Decl) -> Vec<String> {
    let mut rows = Vec::new();
    rows_of(model, decl, "", 0, &mut rows);
    rows.into_iter().map(|(path, size)| format!("{size:>6}  {path}")).collect()
}

fn rows_of(model: &Model, decl: &Decl, prefix: &str, depth: usize, rows: &mut Vec<(String, u64)>) {
    let DeclKind::Struct(s) = &decl.kind else { return };
    let mut fields: Vec<(u64, &Field)> =
        s.fields.iter().map(|f| (field_max(model, f).unwrap_or(0), f)).collect();
    fields.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    for (size, field) in fields {
        // Small ones say nothing.
        if size < 64 {
            continue;
        }
        rows.push((format!("{prefix}{}", field.name), size));
        if depth >= 2 {
            continue;
        }
        match &field.ty {
            Ty::Named(id) => {
                rows_of(model, model.get(*id), &format!("{prefix}{}.", field.name), depth + 1, rows);
            }
            Ty::Union(u) => {
                let widest = u
                    .arms
                    .iter()
                    .filter_map(|a| a.ty.map(|id| (a, id)))
                    .max_by_key(|(_, id)| decl_max(model, model.get(*id)).unwrap_or(0));
                if let Some((arm, id)) = widest {
                    let prefix = format!("{prefix}{}.{}.", u.keyvar, arm.name);
                    rows_of(model, model.get(id), &prefix, depth + 1, rows);
                }
            }
            _ => {}
        }
    }
}

/// Nesting of a type; the place of the field that leads back to it, when one does.
fn depth(model: &Model, id: Id, above: &mut Vec<Id>) -> Result<u32, Span> {
    let DeclKind::Struct(s) = &model.get(id).kind else { return Ok(0) };
    above.push(id);
    let mut deepest = 0;
    for field in &s.fields {
        let (extra, inner) = match &field.ty {
            Ty::Named(id) => (0, vec![*id]),
            Ty::Array { elem, .. } => match **elem {
                Ty::Named(id) => (1, vec![id]),
                _ => (1, vec![]),
            },
            Ty::Union(u) => (0, u.arms.iter().filter_map(|a| a.ty).collect()),
            _ => (0, vec![]),
        };
        deepest = deepest.max(extra);
        for next in inner {
            if above.first() == Some(&next) {
                return Err(field.span);
            }
            if !above.contains(&next) {
                deepest = deepest.max(extra + depth(model, next, above)?);
            }
        }
    }
    above.pop();
    Ok(deepest + 1)
}
