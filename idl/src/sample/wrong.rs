//! What can be wrong with a document: each of these is refused by every reader, because the contract (or libxl) says so.

use super::{Node, Sampler, Wrong};
use crate::model::{Arm, Enum, INT_MAX, Union};
use crate::pattern::Pattern;

/// No instants.
const TIMESTAMPS: [&str; 14] = [
    "2026-11-23T10:20:30Z",
    "2026-11-23T10:20:30.12345678Z",
    "2026-11-23T10:20:30.1234567890Z",
    "2026-11-23T10:20:30.123456789+00:00",
    "2026-11-23T10:20:30.123456789z",
    "2026-11-23t10:20:30.123456789Z",
    "2026-11-23 10:20:30.123456789Z",
    "2026-02-29T10:20:30.123456789Z",
    "1900-02-29T10:20:30.123456789Z",
    "2026-13-01T10:20:30.123456789Z",
    "2026-00-01T10:20:30.123456789Z",
    "2026-11-23T24:00:00.000000000Z",
    "2026-11-23T23:59:60.000000000Z",
    "0000-11-23T10:20:30.123456789Z",
];

/// No UUIDs of the contract.
const UUIDS: [&str; 6] = [
    "67E55044-10b1-426f-9247-bb680e5fe0c8",
    "67e5504410b1426f9247bb680e5fe0c8",
    "{67e55044-10b1-426f-9247-bb680e5fe0c8}",
    "urn:uuid:67e55044-10b1-426f-9247-bb680e5fe0c8",
    "67e55044-10b1-426f-9247-bb680e5fe0c",
    "67e55044-10b1-426f-9247-bb680e5fe0cg",
];

/// No paths.
const PATHS: [&str; 7] = ["", "relative", "./x", "/a/../b", "/..", "/a/..", "/nul\0"];

/// Texts that are no JSON at all.
const NO_JSON: [&str; 14] = [
    "NaN",
    "Infinity",
    "nul",
    "undefined",
    "+1",
    "01",
    ".5",
    "1.",
    "1e",
    "0x10",
    "-",
    "'x'",
    "{a:1}",
    "True",
];

/// What follows a document and does not belong to it.
const BEHIND: [&str; 6] = ["x", ",", "}", "{}", " 0", "\u{feff}"];

/// What stands in a string and cannot.
const IN_STRING: [&str; 8] = ["\u{1}", "\t", "\\x", "\\u1g", "\\'", "\\ud800", "\\udc00\\ud800", "\\u{41}"];

impl Sampler<'_> {
    /// One of these values, with a reason.
    pub(super) fn wrong_one(&mut self, what: &str, of: &[Node]) -> Node {
        let node = self.pick(of).cloned().unwrap_or(Node::Null);
        let mut shown = node.contract();
        if shown.len() > 60 {
            shown = format!("{}..", shown.chars().take(50).collect::<String>());
        }
        self.note(format!("{shown} is not {what}"));
        node
    }

    pub(super) fn wrong_container(&mut self, what: &str) -> Node {
        let other = if what == "an object" { Node::List(vec![]) } else { Node::Map(vec![]) };
        self.wrong_one(what, &[Node::Null, Node::text("text"), Node::Int(0), Node::Bool(true), other])
    }

    pub(super) fn wrong_bool(&mut self) -> Node {
        self.wrong_one("a truth value", &[Node::Int(0), Node::Int(1), Node::text("true"), Node::Null])
    }

    pub(super) fn wrong_integer(&mut self, least: i128, most: i128) -> Node {
        let mut of: Vec<Node> =
            ["1.5", "1.0", "1e3", "1E0", "-0", "-0.0", "\"1\"", "null", "true", "[]", "{}"]
                .iter()
                .map(|t| Node::Raw((*t).to_owned()))
                .collect();
        let beyond = i128::from(INT_MAX) + 1;
        let far = [least - 1, most + 1, beyond, -beyond, 1 << 63, 1 << 64, -(1 << 63) - 1, 10i128.pow(30)];
        of.extend(far.into_iter().filter(|i| *i < least || *i > most).map(Node::Int));
        self.wrong_one(&format!("an integer from {least} to {most}"), &of)
    }

    pub(super) fn wrong_name(&mut self, e: &Enum) -> Node {
        let mut of =
            vec![Node::Int(1), Node::Null, Node::text(""), Node::text("Not A Name"), Node::text("9x")];
        of.push(Node::Text("x".repeat(65)));
        of.push(Node::text("d\u{e9}j\u{e0}"));
        if e.dir.is_strict() {
            of.push(Node::text("not_yet_known"));
        }
        if let Some(value) = self.pick(&e.values) {
            of.push(Node::Text(value.name.to_uppercase()));
            of.push(Node::Text(format!(" {}", value.name)));
        }
        self.wrong_one("a value of the enumeration", &of)
    }

    /// A text that breaks its limits or pattern, or no text.
    pub(super) fn wrong_text(
        &mut self,
        text: &str,
        pattern: Option<&Pattern>,
        min: Option<u64>,
        max: Option<u64>,
    ) -> Node {
        let mut of = vec![Node::Int(0), Node::Null, Node::Bool(false), Node::List(vec![Node::text(text)])];
        let long = usize::try_from(max.or(pattern.and_then(Pattern::bytes_max)).unwrap_or(0)).unwrap_or(0);
        let first = text.chars().next().unwrap_or('a');
        let texts = [
            String::new(),
            format!("{text}\n"),
            format!(" {text}"),
            format!("{text}\u{1}"),
            format!("{text}\u{7f}"),
            format!("{text}\u{e9}"),
            format!("{text}{text}"),
            text.to_uppercase(),
            text.get(first.len_utf8()..).unwrap_or("").to_owned(),
            first.to_string().repeat(long + 1),
            "\u{e9}".repeat(long / 2 + 1),
        ];
        for text in texts {
            let len = text.len() as u64;
            let good = min.is_none_or(|min| len >= min)
                && max.is_none_or(|max| len <= max)
                && pattern.is_none_or(|p| p.matches(&text));
            if !good {
                of.push(Node::Text(text));
            }
        }
        self.wrong_one("such a text", &of)
    }

    pub(super) fn wrong_path(&mut self) -> Node {
        let mut of: Vec<Node> = PATHS.iter().map(|t| Node::text(*t)).collect();
        of.push(Node::Null);
        self.wrong_one("an absolute path without `..`", &of)
    }

    pub(super) fn wrong_timestamp(&mut self) -> Node {
        let mut of: Vec<Node> = TIMESTAMPS.iter().map(|t| Node::text(*t)).collect();
        of.push(Node::Int(0));
        self.wrong_one("an instant", &of)
    }

    pub(super) fn wrong_uuid(&mut self) -> Node {
        let mut of: Vec<Node> = UUIDS.iter().map(|t| Node::text(*t)).collect();
        of.push(Node::Null);
        self.wrong_one("a uuid", &of)
    }

    /// A key too many.
    pub(super) fn wrong_entries(&mut self, entries: &mut Vec<(String, Node)>, open: bool) {
        if !open && self.goes_wrong() {
            let key = match entries.first() {
                Some((key, _)) if self.below(2) == 0 => format!("{key}_x"),
                _ => "nobody_knows_this".into(),
            };
            self.note(format!("`{key}` is no field"));
            entries.push((key, Node::List(vec![])));
        }
        self.duplicate(entries);
    }

    pub(super) fn duplicate(&mut self, entries: &mut Vec<(String, Node)>) {
        if !entries.is_empty() && self.goes_wrong() {
            let Some((key, value)) = self.pick(entries).cloned() else { return };
            self.note(format!("`{key}` is there twice"));
            entries.push((key, value));
        }
    }

    /// A second arm of a union, or one that can have no such name.
    pub(super) fn second_arm(&mut self, u: &Union, arm: &Arm, open: bool, entries: &mut Vec<(String, Node)>) {
        let others: Vec<&Arm> = u.arms.iter().filter(|a| a.name != arm.name).collect();
        if !others.is_empty() && self.goes_wrong() {
            let Some(other) = self.pick(&others).copied() else { return };
            let key = format!("{}.{}", u.keyvar, other.name);
            self.note(format!("`{key}` is a second arm"));
            let model = self.model;
            let value = other.ty.map_or(Node::Map(vec![]), |id| self.node(model.get(id)));
            entries.push((key, value));
        }
        if open && self.goes_wrong() {
            let name = self.pick(&["Capital", "", "with space", "9x", "a.b"]).copied().unwrap_or("");
            let key = format!("{}.{name}", u.keyvar);
            self.note(format!("`{key}` can be no arm"));
            entries.pop();
            entries.push((key, Node::Map(vec![])));
        }
    }

    /// A text that is no JSON.
    pub(super) fn malformed(&mut self, text: &str) -> (String, Wrong) {
        let text = text.trim_end();
        let in_string = text.find('"').map(|at| text.split_at(at + 1));
        let (what, text) = match (self.below(7), in_string) {
            // A number may go on, or end, anywhere.
            (0, _) if text.ends_with(['}', '"', ']']) => {
                let kept = self.below(text.len()).max(1);
                let kept = (0..=kept).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0).max(1);
                ("it ends too early", text.get(..kept).unwrap_or("{").to_owned())
            }
            (1, _) => ("no JSON", self.pick(&NO_JSON).copied().unwrap_or("-").to_owned()),
            (2, _) => ("a byte order mark", format!("\u{feff}{text}")),
            (3, _) => ("a comment", format!("/* */{text}")),
            (4 | 5, Some((before, after))) => {
                let between = self.pick(&IN_STRING).copied().unwrap_or("\u{1}");
                ("a string that is none", format!("{before}{between}{after}"))
            }
            (6, _) if text.ends_with('}') => {
                let inner = text.strip_suffix('}').unwrap_or(text);
                ("a comma too many", format!("{inner},}}"))
            }
            _ => ("something behind it", format!("{text}{}", self.pick(&BEHIND).copied().unwrap_or("x"))),
        };
        (text, Wrong { path: None, what: what.into() })
    }
}
