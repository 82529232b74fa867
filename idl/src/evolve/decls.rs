//! Whole types, and enumerations.

use super::{Change, Cx, Surface, fields, made_by_users, types};
use crate::model::{COption, Decl, DeclKind, Dir, Enum, EnumValue, Id, Model, Struct, Text, Unknown};

/// Compares every type.
pub(super) fn compare(cx: &mut Cx<'_>) {
    for (i, now) in cx.now.decls.iter().enumerate() {
        match cx.pairs.before(Id(i)) {
            Some(old) => pair(cx, cx.before.get(old), now),
            None if now.anonymous => {} // the field or arm that has it is told of
            None => cx.change(now, "", "new", Some(now)),
        }
    }
    types::large_numbers(cx);
    for (i, old) in cx.before.decls.iter().enumerate() {
        if cx.pairs.now(Id(i)).is_some() || old.anonymous {
            continue;
        }
        let mut change = cx.made(old, "", "gone").breaking(Surface::LANGUAGES, "it is named in source");
        if let DeclKind::Struct(Struct { xenstore: Some(b), .. }) = &old.kind {
            change.add(&[Surface::Xenstore], format!("nothing is at {} any more", b.path));
        }
        cx.changes.push(change);
    }
}

impl Cx<'_> {
    /// A change of a type of now, or of one that is gone.
    pub(super) fn made(&self, decl: &Decl, place: &str, what: impl Into<String>) -> Change {
        Change {
            ty: decl.name.clone(),
            place: place.to_owned(),
            what: what.into(),
            breaks: Vec::new(),
            span: None,
        }
    }

    /// Notes a change that breaks nothing.
    pub(super) fn change(&mut self, decl: &Decl, place: &str, what: impl Into<String>, now: Option<&Decl>) {
        let mut change = self.made(decl, place, what);
        change.span = now.map(|d| d.span);
        self.changes.push(change);
    }

    /// Notes a change of a type of now.
    pub(super) fn push(&mut self, mut change: Change, span: crate::diag::Span) {
        change.span = Some(span);
        self.changes.push(change);
    }
}

fn pair(cx: &mut Cx<'_>, old: &Decl, now: &Decl) {
    if old.name != now.name {
        let what = if now.anonymous || old.anonymous {
            format!("was called `{}` (a name that is made of where it stands)", old.name)
        } else {
            format!("was called `{}`", old.name)
        };
        let change = cx.made(now, "", what).breaking(Surface::LANGUAGES, "it is named in source");
        cx.push(change, now.span);
    }
    match (&old.kind, &now.kind) {
        (DeclKind::Struct(a), DeclKind::Struct(b)) => {
            strictness(cx, now, (a.dir, a.unknown), (b.dir, b.unknown));
            binding(cx, now, a, b);
            fields::compare(cx, now, a, b);
        }
        (DeclKind::Enum(a), DeclKind::Enum(b)) => {
            strictness(cx, now, (a.dir, a.unknown), (b.dir, b.unknown));
            enumeration(cx, now, a, b);
        }
        (DeclKind::Text(a), DeclKind::Text(b)) => text(cx, now, a, b),
        (a, b) => {
            let change = cx
                .made(now, "", format!("was {} and is {}", kind(a), kind(b)))
                .breaking(&[Surface::JsonRead, Surface::JsonWrite], "its JSON is of another kind")
                .breaking(Surface::LANGUAGES, "it is another kind of type");
            cx.push(change, now.span);
        }
    }
    lifecycle(cx, now, "", old.deprecated.as_deref(), now.deprecated.as_deref(), now.span);
    of_c(cx, old, now);
}

fn kind(kind: &DeclKind) -> &'static str {
    match kind {
        DeclKind::Struct(_) => "a struct",
        DeclKind::Enum(_) => "an enumeration",
        DeclKind::Text(_) => "a string",
    }
}

/// That something is on its way out, or no longer.
pub(super) fn lifecycle(
    cx: &mut Cx<'_>,
    decl: &Decl,
    place: &str,
    before: Option<&str>,
    now: Option<&str>,
    span: crate::diag::Span,
) {
    let what = match (before, now) {
        (None, Some(instead)) => format!("deprecated: {instead}"),
        (Some(_), None) => "no longer deprecated".to_owned(),
        _ => return,
    };
    let change = cx.made(decl, place, what);
    cx.push(change, span);
}

fn strictness(cx: &mut Cx<'_>, now: &Decl, (old_dir, old): (Dir, Unknown), (dir, new): (Dir, Unknown)) {
    let ours = old != Unknown::Ignored && new != Unknown::Ignored;
    if ours && old != new {
        let (was, is) = if new == Unknown::Refused { ("open", "strict") } else { ("strict", "open") };
        let mut change =
            cx.made(now, "", format!("was {was} ({}) and is {is} ({})", old_dir.as_str(), dir.as_str()));
        if new == Unknown::Refused {
            change.add(&[Surface::JsonRead], "what it does not know is now refused");
        }
        // What keeps the unknown is a field of the struct, or a value of the enumeration.
        change.add(Surface::LANGUAGES, "what is not known has a place in an open type only");
        cx.push(change, now.span);
    } else if old_dir != dir {
        let what = format!("was {} and is {}", old_dir.as_str(), dir.as_str());
        let mut change = cx.made(now, "", what);
        let (made, makes) = (made_by_users(old_dir), made_by_users(dir));
        if !ours && made && !makes {
            change.add(&[Surface::C], "its functions for what is passed in are no longer made");
        }
        cx.push(change, now.span);
    }
}

fn binding(cx: &mut Cx<'_>, now: &Decl, a: &Struct, b: &Struct) {
    let change = match (&a.xenstore, &b.xenstore) {
        (None, None) => return,
        (None, Some(b)) => cx.made(now, "", format!("stands in xenstore at {}", b.path)),
        (Some(a), None) => cx
            .made(now, "", "stands no longer in xenstore")
            .breaking(&[Surface::Xenstore], format!("it was at {}", a.path))
            .breaking(Surface::LANGUAGES, "its path is a function or constant"),
        (Some(a), Some(b)) if a.path != b.path => cx
            .made(now, "", format!("stands at {} in xenstore, and was at {}", b.path, a.path))
            .breaking(&[Surface::Xenstore], "who watches or writes the old path is not heard"),
        (Some(a), Some(b)) if a.access != b.access => cx
            .made(now, "", format!("access was [{}] and is [{}]", a.access, b.access))
            .breaking(&[Surface::Xenstore], "another domain writes there"),
        _ => return,
    };
    cx.push(change, now.span);
}

fn text(cx: &mut Cx<'_>, now: &Decl, a: &Text, b: &Text) {
    if a.pattern.text != b.pattern.text {
        let what = format!("pattern was \"{}\" and is \"{}\"", a.pattern.text, b.pattern.text);
        let change = cx
            .made(now, "", what)
            .breaking(&[Surface::JsonRead], "what does not match is refused")
            .breaking(&[Surface::JsonWrite], "what did not match is refused there");
        cx.push(change, now.span);
    }
    fields::lengths(cx, now, ("", now.span), (a.min, a.max), (b.min, b.max), false);
}

/// The name that JSON holds.
fn in_json(value: &EnumValue, unknown: Unknown) -> String {
    if unknown == Unknown::Ignored { value.name.to_lowercase() } else { value.name.clone() }
}

fn enumeration(cx: &mut Cx<'_>, now: &Decl, a: &Enum, b: &Enum) {
    let find =
        |list: &Enum, name: &str, unknown| list.values.iter().find(|v| in_json(v, unknown) == name).cloned();
    for value in &a.values {
        let name = in_json(value, a.unknown);
        let place = format!("value `{}`", value.name);
        let Some(new) = find(b, &name, b.unknown) else {
            let instead = b
                .values
                .iter()
                .find(|v| v.number == value.number && find(a, &in_json(v, b.unknown), a.unknown).is_none());
            let what = match instead {
                Some(v) => format!("gone; its number {} is `{}` now", v.number, v.name),
                None => "gone".to_owned(),
            };
            let mut change = cx.made(now, &place, what);
            let why = match b.unknown {
                Unknown::Refused | Unknown::Ignored => "a document that holds it is refused",
                Unknown::Kept => "it is kept, but no longer understood",
            };
            change.add(&[Surface::JsonRead], why);
            change.add(Surface::LANGUAGES, "it is named in source");
            cx.push(change, now.span);
            continue;
        };
        if new.number != value.number {
            let what = format!("its number was {} and is {}", value.number, new.number);
            let change = cx
                .made(now, &place, what)
                .breaking(&[Surface::C], "programs that are not compiled anew hold the old number");
            cx.push(change, now.span);
        }
        if new.name != value.name {
            let change = cx
                .made(now, &place, format!("is written `{}` now", new.name))
                .breaking(&[Surface::C], "its constant has another name");
            cx.push(change, now.span);
        }
    }
    for value in &b.values {
        if find(a, &in_json(value, b.unknown), a.unknown).is_some() {
            continue;
        }
        let mut change = cx.made(now, &format!("value `{}`", value.name), "new");
        if a.unknown == Unknown::Ignored {
            change.add(&[Surface::JsonWrite], "a document that holds it is refused there");
        }
        // A match without a wildcard: Rust's is an error, OCaml's a warning that packages make an error. Who only
        // writes the type does not match on it.
        if b.dir != Dir::In && b.unknown != Unknown::Ignored {
            change.add(&[Surface::Rust, Surface::Ocaml], "a match over all values lacks it");
        }
        cx.push(change, now.span);
    }
    if a.initial.unwrap_or(0) != b.initial.unwrap_or(0) && b.unknown == Unknown::Ignored {
        let what = format!(
            "begins as {}, and began as {}",
            value_name(b, b.initial.unwrap_or(0).into()),
            value_name(a, a.initial.unwrap_or(0).into())
        );
        let change = cx.made(now, "", what);
        cx.push(change, now.span);
    }
}

/// What only libxl's C has.
fn of_c(cx: &mut Cx<'_>, old: &Decl, now: &Decl) {
    if old.hidden != now.hidden {
        let mut change = cx.made(now, "", if now.hidden { "hidden" } else { "no longer hidden" });
        if now.hidden {
            change.add(&[Surface::C], "libxl.h no longer has it");
        }
        cx.push(change, now.span);
    }
    let option = |d: &Decl, name: &str| d.c_options.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    for (name, why) in [
        ("passby", "its functions take another kind of argument"),
        ("dispose_fn", "another function disposes of it, or none"),
        ("init_fn", "another function prepares it, or none"),
        ("copy_fn", "another function copies it, or none"),
    ] {
        let (a, b) = (option(old, name), option(now, name));
        if a != b {
            let show = |o: &Option<COption>| match o {
                None => "not given".to_owned(),
                Some(COption::None) => "None".to_owned(),
                Some(COption::Bool(b)) => b.to_string(),
                Some(COption::Text(t)) => t.clone(),
            };
            let change = cx
                .made(now, "", format!("{name} was {} and is {}", show(&a), show(&b)))
                .breaking(&[Surface::C], why);
            cx.push(change, now.span);
        }
    }
    types::c_prefix(cx, old, now);
}

/// The name of a type, as reports show it.
pub(super) fn name_of(model: &Model, id: Id) -> &str {
    &model.get(id).name
}

/// The value of a number, as reports show it.
pub(super) fn value_name(e: &Enum, number: i128) -> String {
    let named = e.values.iter().find(|v| i128::from(v.number) == number);
    named.map_or(number.to_string(), |v| format!("`{}`", v.name))
}
