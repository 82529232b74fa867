//! Values of libxl's types, as the dialect `Lossless` has them: a field is left out while it is as it begins.

use super::{Node, Sampler};
use crate::model::{Builtin, Decl, DeclKind, Enum, Field, Id, Number, Presence, Struct, Ty, Union};

/// Numbers where programs break.
const EDGES: [i128; 16] = [
    0,
    1,
    -1,
    127,
    128,
    255,
    32_767,
    65_535,
    1 << 31,
    (1 << 31) - 1,
    (1 << 32) - 1,
    1 << 32,
    1 << 53,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
];

/// Numbers of an `int` that seldom have a name.
const NAMELESS: [i64; 5] = [77, -77, i32::MAX as i64, i32::MIN as i64, 1000];

impl Sampler<'_> {
    pub(super) fn libxl_named(&mut self, decl: &Decl) -> Node {
        match &decl.kind {
            DeclKind::Struct(s) => self.libxl_struct(s),
            DeclKind::Enum(e) => self.libxl_enum(e).0,
            DeclKind::Text(_) => Node::Null,
        }
    }

    fn libxl_struct(&mut self, s: &Struct) -> Node {
        if self.goes_wrong() {
            return self.wrong_container("an object");
        }
        let mut entries = Vec::new();
        for field in s.fields.iter().filter(|f| !f.constant) {
            match &field.ty {
                Ty::Union(u) => self.libxl_union(u, &mut entries),
                ty => {
                    let value = self.within(&field.name, |s| s.libxl_field(field, ty));
                    entries.extend(value.map(|v| (field.name.clone(), v)));
                }
            }
        }
        self.duplicate(&mut entries);
        Node::Map(entries)
    }

    /// The value of a field; `None`: it is left out.
    fn libxl_field(&mut self, field: &Field, ty: &Ty) -> Option<Node> {
        let initial = match field.presence {
            Presence::Initial(initial) => initial,
            Presence::Required | Presence::Optional | Presence::Default(_) => 0,
        };
        // Most fields of most values are as they began.
        if self.one_in(3) && !always(self, ty) {
            return None;
        }
        let (node, number) = self.libxl_value(ty)?;
        let left_out = match ty {
            Ty::Array { .. } => node == Node::List(vec![]),
            _ => number == Some(initial),
        };
        (!left_out).then_some(node)
    }

    /// A value, and the number of it, where it has one: what libxl compares.
    fn libxl_value(&mut self, ty: &Ty) -> Option<(Node, Option<i128>)> {
        Some(match ty {
            Ty::Bool => {
                if self.goes_wrong() {
                    return Some((self.wrong_bool(), None));
                }
                let value = self.one_in(2);
                (Node::Bool(value), Some(i128::from(value)))
            }
            Ty::Number(n) => self.number(n),
            Ty::Builtin(b) => (self.builtin(b)?, None),
            Ty::Named(id) => {
                let model = self.model;
                match &model.get(*id).kind {
                    DeclKind::Enum(e) => self.libxl_enum(e),
                    DeclKind::Struct(s) => (self.libxl_struct(s), None),
                    DeclKind::Text(_) => return None,
                }
            }
            Ty::Array { elem, .. } => (self.array(elem)?, None),
            // A union is a field's; the others are the contract's.
            Ty::Union(_)
            | Ty::Int { .. }
            | Ty::Domid
            | Ty::Str
            | Ty::Timestamp
            | Ty::Duration
            | Ty::Uuid
            | Ty::Path
            | Ty::Bytes
            | Ty::Json => return None,
        })
    }

    fn array(&mut self, elem: &Ty) -> Option<Node> {
        if let Ty::Builtin(Builtin::Private(_)) = elem {
            return None;
        }
        if self.goes_wrong() {
            return Some(self.wrong_container("a list"));
        }
        let count = 1 + self.below(3);
        let items = (0..count).filter_map(|i| {
            // libxl's list of strings may hold NULL.
            if *elem == Ty::Builtin(Builtin::Text) && self.one_in(4) {
                return Some(Node::Null);
            }
            self.within_index(i, |s| s.element(elem))
        });
        Some(Node::List(items.collect()))
    }

    /// Unlike a field, an element is there whatever it is.
    fn element(&mut self, elem: &Ty) -> Option<Node> {
        self.libxl_value(elem).map(|(node, _)| node)
    }

    fn number(&mut self, n: &Number) -> (Node, Option<i128>) {
        let (least, most) = if n.signed {
            (-(1i128 << (n.bits - 1)), (1i128 << (n.bits - 1)) - 1)
        } else {
            (0, (1i128 << n.bits) - 1)
        };
        if self.goes_wrong() {
            return (self.wrong_number(least, most, n), None);
        }
        let any = least + i128::from(self.random()) % (most - least + 1);
        let value = match self.below(5) {
            0 => least,
            1 => most,
            2 => any,
            _ => self.pick(&EDGES).copied().filter(|v| (least..=most).contains(v)).unwrap_or(any % 1000),
        };
        (Node::Int(value), Some(value))
    }

    /// A negative number for an unsigned one may be what a libxl made of a large one: then it is read.
    fn wrong_number(&mut self, least: i128, most: i128, n: &Number) -> Node {
        let mut of: Vec<Node> = ["1.5", "1.0", "1e3", "\"1\"", "null", "true", "[]", "{}"]
            .iter()
            .map(|t| Node::Raw((*t).to_owned()))
            .collect();
        of.extend([Node::Int(most + 1), Node::Int(1 << 64), Node::Int(10i128.pow(38))]);
        of.push(Node::Raw(format!("1{}", "0".repeat(60))));
        of.push(Node::Int(match (n.signed, n.bits) {
            (false, 32) => i128::from(i32::MIN) - 1,
            (false, _) => -1,
            (true, _) => least - 1,
        }));
        of.push(Node::Int(-(1 << 64)));
        self.wrong_one(&format!("an integer from {least} to {most}"), &of)
    }

    fn libxl_enum(&mut self, e: &Enum) -> (Node, Option<i128>) {
        if self.goes_wrong() {
            let far = Node::Int(i128::from(i32::MAX) + 1);
            let half = Node::Raw("1.5".into());
            let of = [Node::Null, Node::text("not_yet_known"), Node::text(""), Node::Bool(true), far, half];
            return (self.wrong_one("a value of the enumeration", &of), None);
        }
        let nameless = self.pick(&NAMELESS).copied().unwrap_or(77);
        if self.one_in(10) && e.values.iter().all(|v| v.number != nameless) {
            return (Node::Int(i128::from(nameless)), Some(i128::from(nameless)));
        }
        match self.pick(&e.values) {
            Some(value) => (Node::text(&*value.name), Some(i128::from(value.number))),
            None => (Node::Int(77), Some(77)),
        }
    }

    fn libxl_union(&mut self, u: &Union, entries: &mut Vec<(String, Node)>) {
        let begins_with_arm = u.arms.iter().any(|a| a.number == u.initial);
        if self.one_in(6) || u.arms.is_empty() {
            // A key without an arm: another value of the enumeration, written alone; none at all where it began so.
            let key = self.within(&u.keyvar, |s| s.lone_key(u));
            if key.is_some() || !begins_with_arm {
                entries.extend(key.map(|k| (u.keyvar.clone(), k)));
                return;
            }
        }
        let Some(arm) = self.pick(&u.arms) else { return };
        let key = format!("{}.{}", u.keyvar, arm.name);
        let value = self.within(&key, |s| match arm.ty {
            Some(id) => s.named_libxl(id),
            None if s.goes_wrong() => s.wrong_container("an object"),
            None => Node::Map(vec![]),
        });
        entries.push((key, value));
        self.second_arm(u, arm, false, entries);
        if self.goes_wrong() {
            self.note(format!("`{}` beside an arm of its union", u.keyvar));
            entries.push((u.keyvar.clone(), Node::Int(77)));
        }
    }

    fn lone_key(&mut self, u: &Union) -> Option<Node> {
        let e = self.model.as_enum(u.key_enum)?;
        let (node, number) = self.libxl_enum(e);
        match number {
            // Something wrong.
            None => Some(node),
            Some(n) if n == i128::from(u.initial) => None,
            Some(n) if u.arms.iter().any(|a| i128::from(a.number) == n) => None,
            Some(_) => Some(node),
        }
    }

    fn named_libxl(&mut self, id: Id) -> Node {
        let model = self.model;
        self.libxl_named(model.get(id))
    }

    /// `None`: not in JSON, or left out because it is empty.
    fn builtin(&mut self, b: &Builtin) -> Option<Node> {
        if let Builtin::Private(_) = b {
            return None;
        }
        if self.goes_wrong() {
            let (what, of) = wrong_builtin(b);
            let of: Vec<Node> = of.iter().map(|t| Node::Raw((*t).to_owned())).collect();
            return Some(self.wrong_one(what, &of));
        }
        let some = 1 + self.below(4);
        Some(match b {
            Builtin::Text => Node::Text(self.any_text()),
            Builtin::Defbool => Node::text(if self.one_in(2) { "True" } else { "False" }),
            Builtin::Uuid => {
                let bits = u128::from(self.random()) << 64 | u128::from(self.random());
                let mut hex = format!("{bits:032x}");
                [20, 16, 12, 8].into_iter().for_each(|at| hex.insert(at, '-'));
                Node::Text(hex)
            }
            Builtin::Mac => {
                let pairs: Vec<String> = (0..6).map(|_| format!("{:02x}", self.below(256))).collect();
                // Nil is none.
                Node::Text(pairs.join(":").replace("00:00:00:00:00:00", "00:16:3e:00:00:01"))
            }
            Builtin::Bitmap => {
                let mut bits: Vec<usize> = (0..some).map(|_| self.below(300)).collect();
                if self.one_in(10) {
                    bits.push(2_147_483_639);
                }
                bits.sort_unstable();
                bits.dedup();
                Node::List(bits.into_iter().map(|b| Node::Int(b as i128)).collect())
            }
            Builtin::CpuidPolicyList => self.cpuid(),
            Builtin::StringList => Node::List((0..some).map(|_| Node::Text(self.any_text())).collect()),
            Builtin::KeyValueList => {
                let pair = |s: &mut Self, i| {
                    let value = if s.one_in(4) { Node::Null } else { Node::Text(s.any_text()) };
                    (format!("{i}{}", s.any_text()), value)
                };
                Node::Map((0..some).rev().map(|i| pair(self, i)).collect())
            }
            Builtin::Hwcap => {
                let words = if self.one_in(3) { 8 } else { 4 };
                let word = |s: &mut Self| Node::Int(i128::from(s.random() >> 32));
                let mut list: Vec<Node> = (1..words).map(|_| word(self)).collect();
                // One of the last four is set, or they are not there.
                list.push(Node::Int(4_294_967_295));
                Node::List(list)
            }
            Builtin::MsVmGenid => {
                let mut list: Vec<Node> = (1..16).map(|_| Node::Int(self.below(256) as i128)).collect();
                list.push(Node::Int(255));
                Node::List(list)
            }
            Builtin::Private(_) => return None,
        })
    }

    fn cpuid(&mut self) -> Node {
        let bits = |s: &mut Self, n: usize| -> String {
            (0..n).map(|_| s.pick(&['0', '1', 'x', 'k', 's']).copied().unwrap_or('x')).collect()
        };
        // 2^32-1 ends the list in C.
        let number = |s: &mut Self| Node::Int((i128::from(s.random() >> 32)).min((1 << 32) - 2));
        let mut leaves = Vec::new();
        for _ in 0..self.below(3) {
            let mut leaf = vec![("leaf".to_owned(), number(self))];
            if self.one_in(2) {
                leaf.push(("subleaf".to_owned(), number(self)));
            }
            for register in ["eax", "ebx", "ecx", "edx"] {
                if self.one_in(2) {
                    leaf.push((register.to_owned(), Node::Text(bits(self, 32))));
                }
            }
            leaves.push(Node::Map(leaf));
        }
        let mut msrs = Vec::new();
        // Nothing at all is left out.
        for _ in 0..self.below(2) + usize::from(leaves.is_empty()) {
            let policy = Node::Text(bits(self, 64));
            msrs.push(Node::Map(vec![("index".to_owned(), number(self)), ("policy".to_owned(), policy)]));
        }
        Node::Map(vec![("cpuid".to_owned(), Node::List(leaves)), ("msr".to_owned(), Node::List(msrs))])
    }
}

/// Whether a field of this type is written whatever it holds.
fn always(sampler: &Sampler<'_>, ty: &Ty) -> bool {
    match ty {
        Ty::Named(id) => sampler.model.as_enum(*id).is_none(),
        Ty::Builtin(b) => *b == Builtin::Hwcap,
        _ => false,
    }
}

/// What is none of these, in words and in JSON.
fn wrong_builtin(b: &Builtin) -> (&'static str, &'static [&'static str]) {
    match b {
        Builtin::Text => ("text", &["1", "true", "[]", "{}"]),
        Builtin::Defbool => ("a defbool", &["true", "\"true\"", "\"Trueish\"", "\"\"", "0", "null"]),
        Builtin::Uuid => (
            "a uuid",
            &[
                "\"67e5504410b1426f9247bb680e5fe0c8\"",
                "\"67e55044-10b1-426f-9247-bb680e5fe0c\"",
                "\"67e55044-10b1-426f-9247-bb680e5fe0cg\"",
                "\"67e55044-10b1-426f-9247+bb680e5fe0c8\"",
                "\"\"",
                "1",
                "null",
            ],
        ),
        Builtin::Mac => (
            "a mac",
            &[
                "\"00:16:3e:01:02\"",
                "\"00:16:3e:01:02:03x\"",
                "\"00-16-3e-01-02-03\"",
                "\"0:16:3e:01:02:03\"",
                "\" 0:16:3e:01:02:03\"",
                "\"-1:16:3e:01:02:03\"",
                "\"\"",
                "5",
            ],
        ),
        Builtin::Bitmap => (
            "a set of bits",
            &["[-1]", "[2147483647]", "[\"1\"]", "[1.5]", "[null]", "{}", "\"1\"", "1", "null"],
        ),
        Builtin::CpuidPolicyList => (
            "CPUID policies",
            &[
                "{}",
                "{\"cpuid\":[]}",
                "{\"msr\":[]}",
                "\"x\"",
                "null",
                "1",
                "{\"cpuid\":[{\"leaf\":1,\"eax\":\"x\"}],\"msr\":[]}",
                "{\"cpuid\":[{\"leaf\":\"1\"}],\"msr\":[]}",
                "{\"cpuid\":{},\"msr\":[]}",
                "{\"cpuid\":[],\"msr\":[{\"index\":1}]}",
                "{\"cpuid\":[],\"msr\":[{\"index\":1,\"policy\":\"0\"}]}",
                "{\"cpuid\":[],\"msr\":[{\"policy\":\"0000000000000000000000000000000000000000000000000000000000000000\"}]}",
            ],
        ),
        Builtin::StringList => ("a list of texts", &["[null]", "[1]", "{}", "\"x\"", "null"]),
        Builtin::KeyValueList => ("keys with texts", &["{\"k\":1}", "{\"k\":[]}", "[]", "\"x\"", "null"]),
        Builtin::Hwcap => (
            "words of capabilities",
            &["[1,2,3]", "[1,2,3,4,5,6,7,8,9]", "[1,2,3,\"4\"]", "[1,2,3,4.5]", "{}", "\"x\"", "null"],
        ),
        Builtin::MsVmGenid => (
            "a generation id",
            &[
                "[]",
                "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]",
                "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]",
                "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,256]",
                "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,-1]",
                "{}",
                "null",
            ],
        ),
        Builtin::Private(_) => ("anything", &[]),
    }
}
