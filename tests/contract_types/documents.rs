//! Documents made from the model alone: what the generated code must read and write again, byte for byte. The
//! writer here is independent of the one under test.

use xenidl::Model;
use xenidl::model::{Decl, DeclKind, Id, Limits, Presence, Struct, Ty, Union};
use xenidl::pattern::Pattern;

/// How documents are chosen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// At random; open types sometimes with what no version knows yet.
    Random,
    /// At random, but nothing unknown.
    Known,
    /// The longest there is.
    Longest,
}

/// Makes documents from a seed.
pub(crate) struct Documents<'a> {
    model: &'a Model,
    mode: Mode,
    state: u64,
}

impl<'a> Documents<'a> {
    pub(crate) fn new(model: &'a Model, mode: Mode, seed: u64) -> Self {
        Self { model, mode, state: seed }
    }

    /// splitmix64
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`, which is not 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.random() % n as u64).unwrap()
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.mode != Mode::Longest && self.below(n) == 0
    }

    fn unknown(&mut self) -> bool {
        self.mode == Mode::Random && self.below(8) == 0
    }

    /// A document of a named type.
    pub(crate) fn document(&mut self, decl: &Decl) -> String {
        match &decl.kind {
            DeclKind::Struct(s) => self.structure(s),
            DeclKind::Enum(e) => {
                if !e.dir.is_strict() && self.unknown() {
                    return "\"not_yet_known\"".into();
                }
                let value = match self.mode {
                    Mode::Longest => e.values.iter().max_by_key(|v| v.name.len()).unwrap(),
                    Mode::Random | Mode::Known => &e.values[self.below(e.values.len())],
                };
                quote(&value.name)
            }
            DeclKind::Text(t) => quote(&self.text(&t.pattern, t.min, t.max)),
        }
    }

    fn structure(&mut self, s: &Struct) -> String {
        let open = !s.dir.is_strict();
        let mut entries = Vec::new();
        for field in &s.fields {
            if field.presence == Presence::Optional && self.one_in(2) {
                continue;
            }
            entries.push(match &field.ty {
                Ty::Union(u) => self.union(u, open),
                ty => format!("{}:{}", quote(&field.name), self.value(ty, &field.limits)),
            });
        }
        if open && self.unknown() {
            entries.push("\"zz_new\":{ \"kept\" : [1.0, null]}".into());
            entries.push("\"a_new\":\"\\u00e9\"".into());
        }
        format!("{{{}}}", entries.join(","))
    }

    fn union(&mut self, u: &Union, open: bool) -> String {
        if open && self.unknown() {
            return format!("{}:{{\"any\":[1.5]}}", quote(&format!("{}.not_yet_known", u.keyvar)));
        }
        let arm = match self.mode {
            Mode::Longest => {
                u.arms.iter().max_by_key(|a| a.name.len() + a.ty.map_or(2, |id| self.longest(id))).unwrap()
            }
            Mode::Random | Mode::Known => &u.arms[self.below(u.arms.len())],
        };
        let value = arm.ty.map_or("{}".into(), |id| self.named(id));
        format!("{}:{value}", quote(&format!("{}.{}", u.keyvar, arm.name)))
    }

    fn longest(&self, id: Id) -> usize {
        Documents::new(self.model, Mode::Longest, 0).named(id).len()
    }

    fn named(&mut self, id: Id) -> String {
        let model = self.model;
        self.document(model.get(id))
    }

    fn integer(&mut self, a: i64, b: i64) -> String {
        let wide = if a.to_string().len() > b.to_string().len() { a } else { b };
        let any = i128::from(a) + i128::from(self.random()) % (i128::from(b) - i128::from(a) + 1);
        match (self.mode, self.below(4)) {
            (Mode::Longest, _) => wide.to_string(),
            (_, 0) => a.to_string(),
            (_, 1) => b.to_string(),
            _ => any.to_string(),
        }
    }

    fn value(&mut self, ty: &Ty, limits: &Limits) -> String {
        if let Some(whole) = ty.int_range() {
            let (a, b) = limits.range.unwrap_or(whole);
            return self.integer(a, b);
        }
        match ty {
            Ty::Bool => if self.one_in(2) { "true" } else { "false" }.into(),
            Ty::Int { .. } | Ty::Domid | Ty::Duration | Ty::Bytes => unreachable!("an integer"),
            Ty::Str => {
                let any = Pattern::parse("[\u{0}-\u{10ffff}]*").unwrap();
                quote(&self.text(limits.pattern.as_ref().unwrap_or(&any), limits.min, limits.max))
            }
            Ty::Path => {
                let any = Pattern::parse("/[\u{1}-\u{10ffff}]*").unwrap();
                let text = self.text(limits.pattern.as_ref().unwrap_or(&any), limits.min, limits.max);
                quote(if text.split('/').any(|part| part == "..") { "/x" } else { &text })
            }
            Ty::Timestamp => {
                let (s, n) = (self.below(60), self.below(1_000_000_000));
                format!("\"2026-11-23T10:20:{s:02}.{n:09}Z\"")
            }
            Ty::Uuid => {
                let hex = format!("{:016x}{:016x}", self.random(), self.random());
                format!("\"{}-{}-{}-{}-{}\"", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
            }
            Ty::Json => "{ \"some\" : [\"one's\", 1e3] }".into(),
            Ty::Named(id) => {
                let model = self.model;
                match &model.get(*id).kind {
                    DeclKind::Text(t) => {
                        quote(&self.text(&t.pattern, limits.min.or(t.min), limits.max.or(t.max)))
                    }
                    DeclKind::Struct(_) | DeclKind::Enum(_) => self.named(*id),
                }
            }
            Ty::Array { elem, .. } => {
                let least = usize::try_from(limits.min.unwrap_or(0)).unwrap();
                let most = usize::try_from(limits.max.unwrap_or(1000)).unwrap();
                let count = if self.mode == Mode::Longest { most } else { (least + self.below(4)).min(most) };
                let items: Vec<String> = (0..count).map(|_| self.value(elem, &Limits::default())).collect();
                format!("[{}]", items.join(","))
            }
            Ty::Union(_) => unreachable!("a union is a field's type"),
            Ty::Number(_) | Ty::Builtin(_) => unreachable!("a type of libxl's"),
        }
    }

    fn text(&mut self, pattern: &Pattern, min: Option<u64>, max: Option<u64>) -> String {
        let max = usize::try_from(max.unwrap_or(1000)).unwrap();
        let least = u32::try_from(min.unwrap_or(0)).unwrap();
        let mut out = String::new();
        for part in &pattern.parts {
            let most = part.max.unwrap_or(1000);
            let some = u32::try_from(self.below(6)).unwrap();
            let count =
                if self.mode == Mode::Longest { most } else { (part.min.max(least) + some).min(most) };
            for n in 0..count {
                let c = self.character(&part.ranges);
                if n >= part.min && out.len() + c.len_utf8() > max {
                    break;
                }
                out.push(c);
            }
        }
        out
    }

    fn character(&mut self, ranges: &[(char, char)]) -> char {
        let has = |c: char| ranges.iter().any(|&(a, b)| a <= c && c <= b);
        if self.mode == Mode::Longest {
            // The character that takes most bytes of JSON for each byte of UTF-8.
            return ['\u{1}', '"', '\\'].into_iter().find(|c| has(*c)).unwrap_or(ranges[0].0);
        }
        // Those that are written in a special way, and one of each length.
        let special = ['"', '\\', '/', '\u{7f}', '\u{8}', '\n', '\u{1f}', '\u{e9}', '\u{20ac}', '\u{1f4be}'];
        let pick = special[self.below(special.len())];
        if has(pick) && self.below(3) == 0 {
            return pick;
        }
        let (a, b) = ranges[self.below(ranges.len())];
        let width = u32::from(b) - u32::from(a) + 1;
        let offset = u32::try_from(self.random() % u64::from(width)).unwrap();
        // A surrogate is no character.
        char::from_u32(u32::from(a) + offset).unwrap_or(a)
    }
}

/// A JSON string by the contract: one form of escapes.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
