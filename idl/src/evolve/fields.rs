//! Fields of a struct: there or not, must be there or may, their limits.

use super::{Change, Cx, Surface, decls, made_by_users, types};
use crate::diag::Span;
use crate::model::{Builtin, Decl, Dir, Field, Limits, Model, Presence, Struct, Ty, Unknown, Value};

/// Languages in which a value is written whole, so that it lacks a new field.
const WHOLE: &[Surface] = &[Surface::Rust, Surface::Ocaml];
/// Those that ask for what must be there.
const ASK: &[Surface] = &[Surface::Rust, Surface::Python, Surface::Ocaml, Surface::TypeScript];

/// Compares the fields.
pub(super) fn compare(cx: &mut Cx<'_>, now: &Decl, a: &Struct, b: &Struct) {
    for field in &b.fields {
        match a.fields.iter().find(|f| f.name == field.name) {
            Some(was) => one(cx, now, (a, was), (b, field)),
            None => new(cx, now, a, b, field),
        }
    }
    for field in a.fields.iter().filter(|f| !b.fields.iter().any(|n| n.name == f.name)) {
        gone(cx, now, b, field);
    }
    let common = |s: &Struct, of: &Struct| -> Vec<String> {
        let there = |f: &&Field| of.fields.iter().any(|o| o.name == f.name);
        s.fields.iter().filter(there).map(|f| f.name.clone()).collect()
    };
    if common(a, b) != common(b, a) {
        let change = cx.made(now, "", "its fields are in another order, and so are the keys of its JSON");
        cx.push(change, now.span);
    }
}

fn place(field: &Field) -> String {
    format!("field `{}`", field.name)
}

/// Whether JSON has it at all.
fn in_json(field: &Field) -> bool {
    !field.constant && !matches!(field.ty, Ty::Builtin(Builtin::Private(_)))
}

fn new(cx: &mut Cx<'_>, now: &Decl, a: &Struct, b: &Struct, field: &Field) {
    let ours = b.unknown != Unknown::Ignored;
    let how = match &field.presence {
        Presence::Required => "required".to_owned(),
        Presence::Optional => "optional".to_owned(),
        Presence::Default(v) => format!("default {}", show(v)),
        Presence::Initial(_) => String::new(),
    };
    let how = if how.is_empty() { how } else { format!(", {how}") };
    let mut change = cx.made(now, &place(field), format!("new: {}{how}", field.ty.describe(cx.now)));
    if in_json(field) {
        if field.presence == Presence::Required {
            change.add(&[Surface::JsonRead], "a document without it is refused");
        }
        let always = matches!(field.presence, Presence::Required | Presence::Default(_));
        if a.unknown == Unknown::Refused && always {
            change.add(&[Surface::JsonWrite], "it is always written, and refused there as unknown");
        }
    }
    if ours && made_by_users(b.dir) {
        if field.presence == Presence::Required {
            change.add(ASK, "who makes a value must give it");
        } else {
            change.add(WHOLE, "who writes a value whole must give it");
        }
    }
    cx.push(change, field.span);
}

fn gone(cx: &mut Cx<'_>, now: &Decl, b: &Struct, field: &Field) {
    let mut change = cx.made(now, &place(field), "gone");
    if in_json(field) {
        match b.unknown {
            Unknown::Refused => change.add(&[Surface::JsonRead], "a document that holds it is refused"),
            Unknown::Ignored => {
                change.add(&[Surface::JsonRead], "what a document holds there is dropped without a word")
            }
            Unknown::Kept => {}
        }
        if field.presence == Presence::Required {
            change.add(&[Surface::JsonWrite], "a document without it is refused there");
        }
    }
    change.add(Surface::LANGUAGES, "it is named in source");
    cx.push(change, now.span);
}

fn one(cx: &mut Cx<'_>, now: &Decl, (a, was): (&Struct, &Field), (b, is): (&Struct, &Field)) {
    let name = place(is);
    if let (Ty::Union(x), Ty::Union(y)) = (&was.ty, &is.ty) {
        for (place, what, breaks) in types::union(cx, &is.name, x, y, b.unknown == Unknown::Refused) {
            let change = Change { breaks, ..cx.made(now, &place, what) };
            cx.push(change, is.span);
        }
    }
    let json = in_json(was) && in_json(is);
    let differs = types::difference(cx, &was.ty, &is.ty);
    let same_type = differs.is_none();
    if let Some((what, mut breaks)) = differs {
        if !json {
            breaks
                .iter_mut()
                .for_each(|b| b.surfaces.retain(|s| !matches!(s, Surface::JsonRead | Surface::JsonWrite)));
            breaks.retain(|b| !b.surfaces.is_empty());
        }
        let change = Change { breaks, ..cx.made(now, &name, what) };
        cx.push(change, is.span);
    }
    if was.constant != is.constant {
        let mut change = cx.made(now, &name, if is.constant { "no longer in JSON" } else { "now in JSON" });
        if is.constant {
            change.add(&[Surface::JsonRead], "what a document holds there is dropped");
        }
        cx.push(change, is.span);
    }
    presence(cx, now, (a, was), (b, is), same_type);
    if same_type {
        limits(cx, now, &name, is.span, (&was.limits, &is.limits), b.dir == Dir::In);
    }
    decls::lifecycle(cx, now, &name, was.deprecated.as_deref(), is.deprecated.as_deref(), is.span);
}

/// Whether it must be there, and what it is when it is not.
fn presence(
    cx: &mut Cx<'_>,
    now: &Decl,
    (_, was): (&Struct, &Field),
    (b, is): (&Struct, &Field),
    same_type: bool,
) {
    use Presence::{Default, Initial, Optional, Required};
    let name = place(is);
    let change = match (&was.presence, &is.presence) {
        (Required, Required) | (Optional, Optional) => return,
        (Default(v), Default(w)) if v == w => return,
        (Initial(v), Initial(w)) if v == w => return,
        (Required, Optional) => cx
            .made(now, &name, "was required and is optional")
            .breaking(&[Surface::JsonWrite], "it can be left out, which is refused there")
            .breaking(Surface::LANGUAGES, "it is of an optional type"),
        (Required, Default(v)) => {
            let change = cx.made(now, &name, format!("was required and has the default {}", show(v)));
            if made_by_users(b.dir) {
                change.breaking(&[Surface::Rust], "`new` no longer takes it")
            } else {
                change
            }
        }
        (Optional, Required) => cx
            .made(now, &name, "was optional and is required")
            .breaking(&[Surface::JsonRead], "a document without it is refused")
            .breaking(Surface::LANGUAGES, "it is no longer of an optional type"),
        (Optional, Default(v)) => cx
            .made(now, &name, format!("was optional and has the default {}", show(v)))
            .breaking(Surface::LANGUAGES, "it is no longer of an optional type"),
        (Default(v), Optional) => cx
            .made(now, &name, format!("had the default {} and is optional", show(v)))
            .breaking(Surface::LANGUAGES, "it is of an optional type"),
        (Default(v), Required) => {
            let mut change = cx.made(now, &name, format!("had the default {} and is required", show(v)));
            if b.dir == Dir::In {
                change.add(&[Surface::JsonRead], "a document without it is refused");
            }
            if made_by_users(b.dir) {
                change.add(ASK, "who makes a value must give it");
            }
            change
        }
        (Default(v), Default(w)) => {
            let mut change = cx.made(now, &name, format!("its default was {} and is {}", show(v), show(w)));
            // The others always write it.
            if b.dir == Dir::In {
                change.add(&[Surface::JsonRead], "a document without it means something else");
                change.add(&[Surface::JsonWrite], "a document without it means something else there");
            }
            change
        }
        // A type of another kind begins otherwise, and is told of already.
        (Initial(_), Initial(_)) if !same_type || !in_json(is) => return,
        (Initial(v), Initial(w)) => cx
            .made(
                now,
                &name,
                format!(
                    "begins as {}, and began as {}",
                    initial(cx.now, is, *w),
                    initial(cx.before, was, *v)
                ),
            )
            .breaking(
                &[Surface::JsonRead, Surface::JsonWrite],
                "it is left out when it is that: a document without it means something else",
            ),
        (Initial(_), _) | (_, Initial(_)) => cx.made(now, &name, "is of the other profile now").breaking(
            &[Surface::JsonRead, Surface::JsonWrite],
            "the other profile leaves fields out by another rule",
        ),
    };
    cx.push(change, is.span);
}

fn initial(model: &Model, field: &Field, value: i128) -> String {
    match &field.ty {
        Ty::Named(id) => model.as_enum(*id).map_or(value.to_string(), |e| decls::value_name(e, value)),
        _ => value.to_string(),
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Str(s) | Value::Enum(s) => format!("\"{s}\""),
    }
}

fn limits(cx: &mut Cx<'_>, now: &Decl, name: &str, span: Span, (a, b): (&Limits, &Limits), asked: bool) {
    if a.range != b.range {
        let all = (i64::MIN, i64::MAX);
        let (x, y) = (a.range.unwrap_or(all), b.range.unwrap_or(all));
        let show = |r: Option<(i64, i64)>| r.map_or("its type's".to_owned(), |(a, b)| format!("{a} to {b}"));
        let what = format!("its range was {} and is {}", show(a.range), show(b.range));
        bounds(cx, now, (name, span), what, (y.0 > x.0 || y.1 < x.1, y.0 < x.0 || y.1 > x.1), asked);
    }
    lengths(cx, now, (name, span), (a.min, a.max), (b.min, b.max), asked);
    let text = |l: &Limits| l.pattern.as_ref().map(|p| p.text.clone());
    let (x, y) = (text(a), text(b));
    if x != y {
        let show = |p: &Option<String>| p.as_ref().map_or("none".to_owned(), |p| format!("\"{p}\""));
        let what = format!("its pattern was {} and is {}", show(&x), show(&y));
        bounds(cx, now, (name, span), what, (y.is_some(), x.is_some()), asked);
    }
}

/// Compares fewest and most bytes or elements.
pub(super) fn lengths(
    cx: &mut Cx<'_>,
    now: &Decl,
    place: (&str, Span),
    a: (Option<u64>, Option<u64>),
    b: (Option<u64>, Option<u64>),
    asked: bool,
) {
    if a == b {
        return;
    }
    let least = |m: Option<u64>| m.unwrap_or(0);
    let most = |m: Option<u64>| m.unwrap_or(u64::MAX);
    let show = |(min, max): (Option<u64>, Option<u64>)| match (min, max) {
        (None, None) => "any".to_owned(),
        (min, None) => format!("{} or more", least(min)),
        (min, Some(max)) => format!("{} to {max}", least(min)),
    };
    let narrower = least(b.0) > least(a.0) || most(b.1) < most(a.1);
    let wider = least(b.0) < least(a.0) || most(b.1) > most(a.1);
    bounds(
        cx,
        now,
        place,
        format!("its length was {} and is {}", show(a), show(b)),
        (narrower, wider),
        asked,
    );
}

/// Limits that changed. What is wider is for those who ask for it, where users ask.
fn bounds(
    cx: &mut Cx<'_>,
    now: &Decl,
    (name, span): (&str, Span),
    what: String,
    (narrower, wider): (bool, bool),
    asked: bool,
) {
    let mut change = cx.made(now, name, what);
    if narrower {
        change.add(&[Surface::JsonRead], "what was allowed is refused");
    }
    if wider && !asked {
        change.add(&[Surface::JsonWrite], "what is allowed now is refused there");
    }
    cx.push(change, span);
}
