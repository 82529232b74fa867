//! The tree of brackets of a text whose form is right, with all that lies between its tokens.

use crate::lex::{Tok, Token};

/// A line between two tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Without anything.
    Blank,
    /// A comment of its own, from its `#` on.
    Comment(String),
}

/// What lies before a token.
#[derive(Clone, Debug, Default)]
pub(super) struct Gap {
    /// The comment that ends the line of the token before.
    pub(super) trailing: Option<String>,
    /// The lines between.
    pub(super) lines: Vec<Line>,
    /// Whether the token stands on another line than the one before.
    pub(super) newline: bool,
}

impl Gap {
    fn new(text: &str) -> Self {
        let mut lines = text.split('\n');
        let trailing = lines.next().and_then(comment);
        let mut rest: Vec<&str> = lines.collect();
        let newline = !rest.is_empty();
        rest.pop(); // the indentation of the token itself
        let mut lines = Vec::new();
        for line in rest {
            let line = comment(line).map_or(Line::Blank, Line::Comment);
            if line != Line::Blank || lines.last() != Some(&Line::Blank) {
                lines.push(line);
            }
        }
        Self { trailing, lines, newline }
    }

    /// Whether a comment lies here.
    pub(super) fn has_comment(&self) -> bool {
        self.trailing.is_some() || self.lines.iter().any(|l| *l != Line::Blank)
    }
}

/// A comment as it is to be written: a space after its `#`.
fn comment(line: &str) -> Option<String> {
    let text = line.trim();
    let body = text.strip_prefix('#')?;
    Some(if body.starts_with(|c: char| c.is_alphanumeric() || "\"'`(".contains(c)) {
        format!("# {body}")
    } else {
        text.to_owned()
    })
}

/// A value: one token, or a bracket with what is in it. Numbers are those of tokens.
#[derive(Debug)]
pub(super) enum Node {
    Atom(usize),
    Group(Group),
}

/// A bracket.
#[derive(Debug)]
pub(super) struct Group {
    /// What is called, when it is a call.
    pub(super) func: Option<usize>,
    pub(super) open: usize,
    pub(super) items: Vec<Item>,
    pub(super) close: usize,
    pub(super) is_list: bool,
    pub(super) is_dict: bool,
}

/// An item of a bracket.
#[derive(Debug)]
pub(super) struct Item {
    /// `name` and `=`, or a key and `:`.
    pub(super) label: Option<(Node, usize)>,
    pub(super) value: Node,
    pub(super) comma: bool,
    /// The first of its tokens.
    pub(super) first: usize,
}

/// A statement.
#[derive(Debug)]
pub(super) struct Statement {
    /// `name`, when it is an assignment.
    pub(super) target: Option<usize>,
    pub(super) value: Node,
    pub(super) first: usize,
    pub(super) last: usize,
    /// A comment lies where the layout has no place for one.
    pub(super) odd: bool,
}

/// A whole file.
pub(super) struct Tree<'a> {
    pub(super) text: &'a str,
    tokens: &'a [Token],
    gaps: Vec<Gap>,
    pub(super) statements: Vec<Statement>,
    at: usize,
    odd: bool,
}

impl<'a> Tree<'a> {
    /// Reads the tokens of a text whose form is right.
    pub(super) fn new(text: &'a str, tokens: &'a [Token]) -> Self {
        let mut end = 0;
        let gaps = tokens
            .iter()
            .map(|t| {
                let gap = text.get(end..t.span.start).unwrap_or_default();
                end = t.span.end;
                // Before the first token every comment has a line of its own.
                if t.span.start == gap.len() { Gap::new(&format!("\n{gap}")) } else { Gap::new(gap) }
            })
            .collect();
        let mut tree = Self { text, tokens, gaps, statements: Vec::new(), at: 0, odd: false };
        while tree.tok() != &Tok::End {
            tree.odd = false;
            let first = tree.at;
            let assigns = matches!(tree.tokens.get(first + 1).map(|t| &t.tok), Some(Tok::Sym('=')));
            let target = assigns.then(|| {
                tree.at += 1;
                tree.strict_sign();
                first
            });
            let value = tree.node();
            let statement = Statement { target, value, first, last: tree.at - 1, odd: tree.odd };
            tree.statements.push(statement);
        }
        tree
    }

    fn tok(&self) -> &'a Tok {
        self.tokens.get(self.at).map_or(&Tok::End, |t| &t.tok)
    }

    /// What lies before a token.
    pub(super) fn gap(&self, token: usize) -> &Gap {
        const NONE: &Gap = &Gap { trailing: None, lines: Vec::new(), newline: false };
        self.gaps.get(token).unwrap_or(NONE)
    }

    /// What lies before the end.
    pub(super) fn last_gap(&self) -> &Gap {
        self.gap(self.tokens.len() - 1)
    }

    /// A token as written.
    pub(super) fn source(&self, first: usize, last: usize) -> &'a str {
        let start = self.tokens.get(first).map_or(0, |t| t.span.start);
        let end = self.tokens.get(last).map_or(0, |t| t.span.end);
        self.text.get(start..end).unwrap_or_default()
    }

    /// Takes a sign with no room for a comment before and after it.
    fn strict_sign(&mut self) {
        self.odd |= self.gap(self.at).has_comment() || self.gap(self.at + 1).has_comment();
        self.at += 1;
    }

    fn node(&mut self) -> Node {
        let first = self.at;
        self.at += 1;
        let tok = self.tokens.get(first).map(|t| &t.tok);
        let called =
            matches!(tok, Some(Tok::Name(_))) && self.tok() == &Tok::Sym('(') && !self.gap(self.at).newline;
        match tok {
            Some(Tok::Name(_)) if called => {
                self.at += 1;
                self.group(Some(first), first + 1)
            }
            Some(Tok::Sym('(' | '[' | '{')) => self.group(None, first),
            _ => Node::Atom(first),
        }
    }

    fn group(&mut self, func: Option<usize>, open: usize) -> Node {
        let sym = self.tokens.get(open).map(|t| &t.tok);
        let (is_list, is_dict) = (sym == Some(&Tok::Sym('[')), sym == Some(&Tok::Sym('{')));
        let mut items = Vec::new();
        while !matches!(self.tok(), Tok::Sym(')' | ']' | '}') | Tok::End) {
            let first = self.at;
            let mut value = self.node();
            let mut label = None;
            if matches!(self.tok(), Tok::Sym('=' | ':')) {
                let sign = self.at;
                self.strict_sign();
                label = Some((value, sign));
                value = self.node();
            }
            let comma = self.tok() == &Tok::Sym(',');
            if comma {
                self.odd |= self.gap(self.at).has_comment();
                self.at += 1;
            }
            items.push(Item { label, value, comma, first });
        }
        let close = self.at;
        self.at += 1;
        Node::Group(Group { func, open, items, close, is_list, is_dict })
    }
}
