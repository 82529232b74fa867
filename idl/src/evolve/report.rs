//! The report as text: by type, what breaks before what is fine, and a count for each surface.

use super::{Change, Report, Surface};
use std::collections::BTreeMap;
use std::fmt::Write as _;

impl Report {
    /// For people. Only what breaks one of the surfaces is called breaking; what is fine is left out when `brief`.
    #[must_use]
    pub fn text(&self, surfaces: &[Surface], brief: bool) -> String {
        let mut out = String::new();
        let mut order: Vec<&str> = Vec::new();
        let mut by_type: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
        let (new, changes): (Vec<&Change>, Vec<&Change>) =
            self.changes.iter().partition(|c| c.place.is_empty() && c.what == "new");
        for change in changes {
            if !by_type.contains_key(change.ty.as_str()) {
                order.push(&change.ty);
            }
            by_type.entry(&change.ty).or_default().push(change);
        }
        for ty in order {
            let Some(changes) = by_type.get(ty) else { continue };
            let (bad, fine): (Vec<&Change>, Vec<&Change>) =
                changes.iter().partition(|c| c.breaks_any(surfaces));
            if bad.is_empty() && brief {
                continue;
            }
            let _ = writeln!(out, "{ty}");
            for group in grouped(&bad) {
                item(&mut out, "!", &group);
                for b in group.first().map_or(&[][..], |c| &c.breaks) {
                    let names: Vec<&str> =
                        b.surfaces.iter().filter(|s| surfaces.contains(s)).map(|s| s.name()).collect();
                    if !names.is_empty() {
                        let _ = writeln!(out, "      {}: {}", short(&names), b.why);
                    }
                }
            }
            if !brief {
                for group in grouped(&fine) {
                    item(&mut out, "+", &group);
                }
            }
            out.push('\n');
        }
        if !new.is_empty() && !brief {
            out.push_str("new types");
            let names: Vec<String> = new.iter().map(|c| c.ty.clone()).collect();
            wrapped(&mut out, "  + ", &names);
            out.push('\n');
        }
        out.push_str(&self.summary(surfaces));
        out
    }

    /// The counts.
    #[must_use]
    pub fn summary(&self, surfaces: &[Surface]) -> String {
        let breaking = self.breaking(surfaces);
        let n = self.changes.len();
        let mut out = format!("{} types, {} before; ", self.now, self.before);
        match (n, breaking) {
            (0, _) => out.push_str("no changes\n"),
            (_, 0) => {
                let _ = writeln!(out, "{}, none of them breaking", count(n, "change"));
            }
            _ => {
                let _ = writeln!(out, "{}, {breaking} of them breaking", count(n, "change"));
                let counts: Vec<String> = surfaces
                    .iter()
                    .map(|s| (s, self.breaking(&[*s])))
                    .filter(|(_, n)| *n > 0)
                    .map(|(s, n)| format!("{} {n}", s.name()))
                    .collect();
                let _ = writeln!(out, "breaking: {}", counts.join(", "));
            }
        }
        out
    }
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// What a place is, and its name.
fn place(change: &Change) -> (&str, &str) {
    change.place.split_once(' ').unwrap_or((&change.place, ""))
}

/// What happened, so that what happened to several things alike is told once: of new fields the type is left to the name.
fn kind(change: &Change) -> &str {
    if change.breaks.is_empty() && change.what.starts_with("new: ") { "new" } else { &change.what }
}

/// Changes that differ in the name only, in order of the first of each.
fn grouped<'a>(changes: &[&'a Change]) -> Vec<Vec<&'a Change>> {
    let mut groups: Vec<Vec<&Change>> = Vec::new();
    for change in changes {
        let alike = |g: &&mut Vec<&Change>| {
            g.first().is_some_and(|f| {
                !f.place.is_empty()
                    && place(f).0 == place(change).0
                    && kind(f) == kind(change)
                    && f.breaks == change.breaks
            })
        };
        match groups.iter_mut().find(alike) {
            Some(group) => group.push(change),
            None => groups.push(vec![change]),
        }
    }
    groups
}

fn item(out: &mut String, sign: &str, group: &[&Change]) {
    let Some(first) = group.first() else { return };
    let (noun, _) = place(first);
    let new = kind(first) == "new";
    let names: Vec<String> = group
        .iter()
        .map(|c| match c.what.strip_prefix("new: ") {
            Some(ty) if new => format!("{} ({ty})", place(c).1),
            _ => place(c).1.to_owned(),
        })
        .collect();
    let plural = if group.len() > 1 { "s" } else { "" };
    if first.place.is_empty() {
        let _ = writeln!(out, "  {sign} {}", first.what);
    } else if new {
        let _ = write!(out, "  {sign} new {noun}{plural}");
        wrapped(out, " ", &names);
    } else if group.len() == 1 {
        let _ = writeln!(out, "  {sign} {}: {}", first.place, first.what);
    } else {
        let _ = write!(out, "  {sign} {noun}{plural}");
        wrapped(out, " ", &names);
        let _ = writeln!(out, "      {}", first.what);
    }
}

/// Names on as many lines as they need; `lead` stands before the first, on the line that is begun or, when that is
/// longer than a space, on one of its own.
fn wrapped(out: &mut String, lead: &str, names: &[String]) {
    let mut column = out.len() - out.rfind('\n').map_or(0, |at| at + 1);
    if lead.len() > 1 {
        out.push('\n');
        column = 0;
    }
    out.push_str(lead);
    column += lead.len();
    for (i, name) in names.iter().enumerate() {
        let width = name.chars().count() + 2;
        if i > 0 && column + width > 110 {
            out.push_str("\n      ");
            column = 6;
        } else if i > 0 {
            out.push(' ');
        }
        out.push_str(name);
        if i + 1 < names.len() {
            out.push(',');
        }
        column += width;
    }
    out.push('\n');
}

/// The names, the languages as one when they are all there.
fn short(names: &[&str]) -> String {
    let all = Surface::LANGUAGES.iter().all(|l| names.contains(&l.name()));
    if !all {
        return names.join(", ");
    }
    let rest = names.iter().filter(|n| !Surface::LANGUAGES.iter().any(|l| l.name() == **n)).copied();
    rest.chain(["every language"]).collect::<Vec<_>>().join(", ")
}
