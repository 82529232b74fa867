//! Values of the contract's types.

use super::{Mode, Node, Sampler};
use crate::model::{Decl, DeclKind, Enum, Id, Limits, Presence, Struct, Text, Ty, Union};
use crate::pattern::Pattern;

/// JSON of somebody else, which is kept byte for byte: forms that a program that reads and prints it would change.
const RAW: [&str; 12] = [
    "{ \"some\" : [\"one's\", 1e3] }",
    "null",
    "\"\\u00e9\\/\"",
    "[1.0, -0, 0.10, 1E+2]",
    "123456789012345678901234567890",
    "{\"b\":1,\"a\":2}",
    "[ ]",
    "{}",
    "-1",
    "\"\"",
    "[[[{\"deep\":[]}]]]",
    "{\"10\":1,\"9\":2,\"\":3}",
];

/// Elements of an array without a maximum.
const FREE_MAX: u64 = 1000;

impl Sampler<'_> {
    pub(super) fn contract_named(&mut self, decl: &Decl) -> Node {
        match &decl.kind {
            DeclKind::Struct(s) => self.structure(s),
            DeclKind::Enum(e) => self.enumeration(e),
            DeclKind::Text(t) => self.named_text(t, &Limits::default()),
        }
    }

    fn enumeration(&mut self, e: &Enum) -> Node {
        if self.goes_wrong() {
            return self.wrong_name(e);
        }
        if !e.dir.is_strict() && self.unknown() {
            return Node::text("not_yet_known");
        }
        let value = match self.mode {
            Mode::Longest => e.values.iter().max_by_key(|v| v.name.len()),
            Mode::Random | Mode::Known => self.pick(&e.values),
        };
        Node::text(value.map_or("", |v| v.name.as_str()))
    }

    fn named_text(&mut self, t: &Text, limits: &Limits) -> Node {
        let (min, max) = (limits.min.or(t.min), limits.max.or(t.max));
        let text = self.matching(&t.pattern, min, max);
        if self.goes_wrong() {
            return self.wrong_text(&text, Some(&t.pattern), min, max);
        }
        Node::Text(text)
    }

    fn structure(&mut self, s: &Struct) -> Node {
        if self.goes_wrong() {
            return self.wrong_container("an object");
        }
        let open = !s.dir.is_strict();
        let mut entries = Vec::new();
        for field in &s.fields {
            if field.presence == Presence::Optional && self.one_in(2) {
                continue;
            }
            if field.presence == Presence::Required && self.goes_wrong() {
                self.note(format!("`{}` is missing", field.name));
                continue;
            }
            match &field.ty {
                Ty::Union(u) => self.union(u, open, &mut entries),
                ty => {
                    let value = self.within(&field.name, |s| s.value(ty, &field.limits));
                    entries.push((field.name.clone(), value));
                }
            }
        }
        if open && self.unknown() {
            entries.push(("zz_new".into(), Node::Raw("{ \"kept\" : [1.0, null]}".into())));
            entries.push(("a_new".into(), Node::Raw("\"\\u00e9\"".into())));
        }
        self.wrong_entries(&mut entries, open);
        Node::Map(entries)
    }

    fn union(&mut self, u: &Union, open: bool, entries: &mut Vec<(String, Node)>) {
        if open && self.unknown() {
            entries.push((format!("{}.not_yet_known", u.keyvar), Node::Raw("{\"any\":[1.5]}".into())));
            return;
        }
        let arm = match self.mode {
            Mode::Longest => {
                u.arms.iter().max_by_key(|a| a.name.len() + a.ty.map_or(2, |id| self.longest(id)))
            }
            Mode::Random | Mode::Known => self.pick(&u.arms),
        };
        let Some(arm) = arm else { return };
        let key = format!("{}.{}", u.keyvar, arm.name);
        let value = self.within(&key, |s| match arm.ty {
            Some(id) => s.named(id),
            None => s.empty_arm(open),
        });
        entries.push((key, value));
        self.second_arm(u, arm, open, entries);
    }

    /// An arm that holds nothing, or in an open union what a newer version put there.
    fn empty_arm(&mut self, open: bool) -> Node {
        if self.goes_wrong() {
            return self.wrong_container("an object");
        }
        let mut entries = Vec::new();
        if open && self.unknown() {
            entries.push(("new".into(), Node::Raw("[ 1 ]".into())));
        }
        self.wrong_entries(&mut entries, open);
        Node::Map(entries)
    }

    fn longest(&self, id: Id) -> usize {
        Sampler::new(self.model, Mode::Longest, 0).named(id).contract().len()
    }

    fn named(&mut self, id: Id) -> Node {
        let model = self.model;
        self.contract_named(model.get(id))
    }

    fn integer(&mut self, a: i64, b: i64) -> Node {
        if self.goes_wrong() {
            return self.wrong_integer(i128::from(a), i128::from(b));
        }
        let wide = if a.to_string().len() > b.to_string().len() { a } else { b };
        let (least, most) = (i128::from(a), i128::from(b));
        let any = least + i128::from(self.random()) % (most - least + 1);
        Node::Int(match (self.mode, self.below(4)) {
            (Mode::Longest, _) => i128::from(wide),
            (_, 0) => least,
            (_, 1) => most,
            _ => any,
        })
    }

    fn value(&mut self, ty: &Ty, limits: &Limits) -> Node {
        if let Some(whole) = ty.int_range() {
            let (a, b) = limits.range.unwrap_or(whole);
            return self.integer(a, b);
        }
        match ty {
            Ty::Bool => {
                if self.goes_wrong() {
                    return self.wrong_bool();
                }
                Node::Bool(self.one_in(2))
            }
            Ty::Str => self.free_text("[\u{0}-\u{10ffff}]*", limits),
            Ty::Path => self.path(limits),
            Ty::Timestamp => self.timestamp(),
            Ty::Uuid => self.uuid(),
            Ty::Json => self.raw(limits),
            Ty::Named(id) => {
                let model = self.model;
                match &model.get(*id).kind {
                    DeclKind::Text(t) => self.named_text(t, limits),
                    DeclKind::Struct(_) | DeclKind::Enum(_) => self.named(*id),
                }
            }
            Ty::Array { elem, .. } => self.list(elem, limits),
            // Integers are done; a union is a field's; the others are libxl's.
            Ty::Int { .. }
            | Ty::Domid
            | Ty::Duration
            | Ty::Bytes
            | Ty::Union(_)
            | Ty::Number(_)
            | Ty::Builtin(_) => Node::Null,
        }
    }

    fn free_text(&mut self, any: &str, limits: &Limits) -> Node {
        let any = Pattern::parse(any).ok();
        let Some(pattern) = limits.pattern.as_ref().or(any.as_ref()) else { return Node::Null };
        let text = self.matching(pattern, limits.min, limits.max);
        if self.goes_wrong() {
            return self.wrong_text(&text, limits.pattern.as_ref(), limits.min, limits.max);
        }
        Node::Text(text)
    }

    fn path(&mut self, limits: &Limits) -> Node {
        if self.goes_wrong() {
            return self.wrong_path();
        }
        match self.free_text("/[\u{1}-\u{10ffff}]*", limits) {
            Node::Text(text) if text.split('/').any(|part| part == "..") => Node::text("/x"),
            other => other,
        }
    }

    fn timestamp(&mut self) -> Node {
        if self.goes_wrong() {
            return self.wrong_timestamp();
        }
        const BOUNDS: [&str; 5] = [
            "0001-01-01T00:00:00.000000000Z",
            "9999-12-31T23:59:59.999999999Z",
            "1970-01-01T00:00:00.000000000Z",
            "1969-12-31T23:59:59.999999999Z",
            "2000-02-29T12:00:00.000000001Z",
        ];
        if self.one_in(4) {
            return Node::text(self.pick(&BOUNDS).copied().unwrap_or_default());
        }
        let (year, month, day) = (1 + self.below(9999), 1 + self.below(12), 1 + self.below(28));
        let (h, m, s, n) = (self.below(24), self.below(60), self.below(60), self.below(1_000_000_000));
        Node::Text(format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{n:09}Z"))
    }

    pub(super) fn uuid(&mut self) -> Node {
        if self.goes_wrong() {
            return self.wrong_uuid();
        }
        let bits = u128::from(self.random()) << 64 | u128::from(self.random());
        let mut hex = format!("{bits:032x}");
        for at in [20, 16, 12, 8] {
            hex.insert(at, '-');
        }
        Node::Text(hex)
    }

    fn raw(&mut self, limits: &Limits) -> Node {
        let fits = |text: &str| limits.max.is_none_or(|max| text.len() as u64 <= max);
        if let Some(max) = limits.max
            && self.goes_wrong()
        {
            self.note(format!("more than {max} bytes"));
            let len = usize::try_from(max).unwrap_or(0);
            return Node::Text("x".repeat(len));
        }
        if self.mode == Mode::Longest
            && let Some(max) = limits.max
        {
            return Node::Text("x".repeat(usize::try_from(max).unwrap_or(2).saturating_sub(2)));
        }
        let text = self.pick(&RAW).copied().filter(|t| fits(t)).unwrap_or("0");
        Node::Raw(text.to_owned())
    }

    fn list(&mut self, elem: &Ty, limits: &Limits) -> Node {
        let least = usize::try_from(limits.min.unwrap_or(0)).unwrap_or(0);
        let most = usize::try_from(limits.max.unwrap_or(FREE_MAX)).unwrap_or(usize::MAX);
        let mut count = match self.mode {
            Mode::Longest => most,
            Mode::Random | Mode::Known => (least + self.below(4)).min(most),
        };
        if self.goes_wrong() {
            if least > 0 && self.below(2) == 0 {
                count = least - 1;
                self.note(format!("fewer than {least} elements"));
            } else if limits.max.is_some() {
                count = most + 1;
                self.note(format!("more than {most} elements"));
            } else {
                return self.wrong_container("a list");
            }
        }
        let items = (0..count).map(|i| self.within_index(i, |s| s.value(elem, &Limits::default())));
        Node::List(items.collect())
    }
}
