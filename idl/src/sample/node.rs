//! A JSON value, and the bytes of it in both forms.

use std::fmt::Write as _;

/// A JSON value. Objects keep the order of their members, and a key may be there twice: some of these are wrong on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// An integer.
    Int(i128),
    /// Text.
    Text(String),
    /// JSON as it is.
    Raw(String),
    /// An array.
    List(Vec<Node>),
    /// An object.
    Map(Vec<(String, Node)>),
}

/// How the two forms differ.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Compact; control characters in lower-case hexadecimal.
    Contract,
    /// Laid out as by yajl; in upper-case.
    Lossless,
}

impl Node {
    /// Text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Node::Text(text.into())
    }

    /// The contract's bytes.
    #[must_use]
    pub fn contract(&self) -> String {
        let mut out = String::new();
        self.print(Form::Contract, 0, &mut out);
        out
    }

    /// The bytes of libxl's types in the dialect that loses nothing.
    #[must_use]
    pub fn lossless(&self) -> String {
        let mut out = String::new();
        self.print(Form::Lossless, 0, &mut out);
        out.push('\n');
        out
    }

    fn print(&self, form: Form, depth: usize, out: &mut String) {
        match self {
            Node::Null => out.push_str("null"),
            Node::Bool(true) => out.push_str("true"),
            Node::Bool(false) => out.push_str("false"),
            Node::Int(i) => {
                let _ = write!(out, "{i}");
            }
            Node::Text(text) => quote(text, form, out),
            Node::Raw(text) => out.push_str(text),
            Node::List(list) => container(form, depth, ('[', ']'), list, out, |node, out| {
                node.print(form, depth + 1, out);
            }),
            Node::Map(map) => container(form, depth, ('{', '}'), map, out, |(key, node), out| {
                quote(key, form, out);
                out.push_str(if form == Form::Lossless { ": " } else { ":" });
                node.print(form, depth + 1, out);
            }),
        }
    }
}

/// yajl's layout has a line end behind the opening bracket even when nothing follows.
fn container<T>(
    form: Form,
    depth: usize,
    (open, close): (char, char),
    members: &[T],
    out: &mut String,
    mut member: impl FnMut(&T, &mut String),
) {
    let lines = form == Form::Lossless;
    out.push(open);
    for (i, one) in members.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        if lines {
            out.push('\n');
            out.push_str(&"    ".repeat(depth + 1));
        }
        member(one, out);
    }
    if lines {
        out.push_str(if members.is_empty() { "\n\n" } else { "\n" });
        out.push_str(&"    ".repeat(depth));
    }
    out.push(close);
}

/// A JSON string: one form of escapes.
fn quote(text: &str, form: Form, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' && form == Form::Contract => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04X}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let node = Node::Map(vec![
            ("a".into(), Node::List(vec![Node::Int(-1), Node::Bool(true)])),
            ("b\n".into(), Node::Map(vec![])),
            ("c".into(), Node::text("\u{1f}\"")),
        ]);
        assert_eq!(node.contract(), r#"{"a":[-1,true],"b\n":{},"c":"\u001f\""}"#);
        let lines = "{\n    \"a\": [\n        -1,\n        true\n    ],\n    \"b\\n\": {\n\n    },\n    \"c\": \"\\u001F\\\"\"\n}\n";
        assert_eq!(node.lossless(), lines);
        assert_eq!(Node::List(vec![]).lossless(), "[\n\n]\n");
    }
}
