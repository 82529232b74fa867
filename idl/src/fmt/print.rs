//! The tree as text.

use super::WIDTH;
use super::tree::{Gap, Group, Item, Line, Node, Tree};

/// Columns that an inner line begins further in.
const STEP: usize = 4;

/// The whole file.
pub(super) fn print(tree: &Tree<'_>, contract: bool) -> String {
    let mut p = Printer { tree, contract, out: String::with_capacity(tree.text.len()), column: 0 };
    for (i, statement) in tree.statements.iter().enumerate() {
        let gap = tree.gap(statement.first);
        if i > 0 {
            p.end_line(gap, 0);
        }
        p.lines(gap, 0, i == 0);
        if statement.odd {
            let source = tree.source(statement.first, statement.last);
            let lines: Vec<&str> = source.lines().map(str::trim_end).collect();
            p.put(&lines.join("\n"));
            continue;
        }
        if let Some(name) = statement.target {
            p.put(tree.source(name, name));
            p.put(" = ");
        }
        p.node(&statement.value, 0);
    }
    let gap = tree.last_gap();
    if !tree.statements.is_empty() {
        p.end_line(gap, 0);
    }
    p.lines(gap, 0, tree.statements.is_empty());
    let text = p.out.trim_end();
    if text.is_empty() { String::new() } else { format!("{text}\n") }
}

struct Printer<'a> {
    tree: &'a Tree<'a>,
    contract: bool,
    out: String,
    column: usize,
}

impl Printer<'_> {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        match text.rsplit_once('\n') {
            Some((_, last)) => self.column = last.chars().count(),
            None => self.column += text.chars().count(),
        }
    }

    fn new_line(&mut self, indent: usize) {
        let text = format!("\n{}", " ".repeat(indent));
        self.put(&text);
    }

    /// Ends a line, with the comment that follows on it.
    fn end_line(&mut self, gap: &Gap, indent: usize) {
        if let Some(comment) = &gap.trailing {
            self.put("  ");
            self.put(comment);
        }
        self.new_line(indent);
    }

    /// The lines between, each ended; the column is that of the line to come.
    fn lines(&mut self, gap: &Gap, indent: usize, first: bool) {
        let mut begun = !first;
        for line in &gap.lines {
            match line {
                Line::Blank if begun => {
                    // Nothing is indented on a blank line.
                    let kept = self.out.trim_end_matches(' ').len();
                    self.out.truncate(kept);
                    self.new_line(indent);
                }
                Line::Blank => {}
                Line::Comment(text) => {
                    begun = true;
                    self.put(text);
                    self.new_line(indent);
                }
            }
        }
    }

    fn node(&mut self, node: &Node, indent: usize) {
        match node {
            Node::Atom(token) => self.put(&atom(self.tree.source(*token, *token))),
            Node::Group(group) => self.group(group, indent),
        }
    }

    fn group(&mut self, group: &Group, indent: usize) {
        if let Some(func) = group.func {
            self.put(self.tree.source(func, func));
        }
        self.put(self.tree.source(group.open, group.open));
        if broken(self.tree, group) {
            self.lines_of_items(group, indent + STEP);
        } else if group.is_list {
            self.one_line(group, indent);
        } else {
            self.filled(group, indent);
        }
        self.put(self.tree.source(group.close, group.close));
    }

    fn item(&mut self, item: &Item, indent: usize) {
        if let Some((label, sign)) = &item.label {
            self.node(label, indent);
            let sign = self.tree.source(*sign, *sign);
            self.put(if sign == ":" { ": " } else { sign });
        }
        self.node(&item.value, indent);
    }

    /// On several lines, as the author grouped them.
    fn lines_of_items(&mut self, group: &Group, indent: usize) {
        let stays = self.contract
            && group.is_list
            && group.items.first().is_some_and(|i| {
                let gap = self.tree.gap(i.first);
                !gap.newline && !gap.has_comment()
            });
        let only = group.items.len() == 1 && !group.is_list && !group.is_dict;
        for (i, item) in group.items.iter().enumerate() {
            let gap = self.tree.gap(item.first);
            if i > 0 && !gap.newline {
                self.put(" ");
            } else if i > 0 || !stays {
                self.end_line(gap, indent);
                self.lines(gap, indent, i == 0);
            }
            self.item(item, indent);
            // `(x)` is x, and `(x,)` is not.
            if !only || item.comma {
                self.put(",");
            }
        }
        let gap = self.tree.gap(group.close);
        self.end_line(gap, indent);
        let inner: Vec<Line> = match gap.lines.split_last() {
            Some((Line::Blank, rest)) => rest.to_vec(),
            _ => gap.lines.clone(),
        };
        let gap = Gap { lines: inner, ..Gap::default() };
        self.lines(&gap, indent, group.items.is_empty());
    }

    fn one_line(&mut self, group: &Group, indent: usize) {
        for (i, item) in group.items.iter().enumerate() {
            if i > 0 {
                self.put(", ");
            }
            self.item(item, indent);
        }
    }

    /// As many to a line as fit.
    fn filled(&mut self, group: &Group, indent: usize) {
        for (i, item) in group.items.iter().enumerate() {
            if i > 0 {
                let (width, open) = self.width(item);
                let closing = if open { 0 } else { 2 };
                if self.column + 1 + width + closing > WIDTH {
                    self.new_line(indent + STEP);
                } else {
                    self.put(" ");
                }
            }
            self.item(item, indent);
            let alone = group.items.len() == 1 && group.func.is_none() && !group.is_dict;
            if i + 1 < group.items.len() || (alone && item.comma) {
                self.put(",");
            }
        }
    }

    /// Columns up to the end of the item, or to the first line break within, and whether there is one.
    fn width(&self, item: &Item) -> (usize, bool) {
        let mut text = String::new();
        let open = flat_item(self.tree, item, &mut text);
        (text.chars().count(), open)
    }
}

/// Whether a bracket's items are on several lines.
fn broken(tree: &Tree<'_>, group: &Group) -> bool {
    let mut gaps = group.items.iter().map(|i| i.first).chain([group.close]).map(|at| tree.gap(at));
    if group.is_list && !group.items.is_empty() {
        gaps.any(|g| g.newline || g.has_comment())
    } else {
        gaps.any(Gap::has_comment)
    }
}

fn flat_item(tree: &Tree<'_>, item: &Item, out: &mut String) -> bool {
    if let Some((label, sign)) = &item.label {
        if flat(tree, label, out) {
            return true;
        }
        out.push_str(tree.source(*sign, *sign));
    }
    flat(tree, &item.value, out)
}

/// The text up to the first line break; returns whether there is one.
fn flat(tree: &Tree<'_>, node: &Node, out: &mut String) -> bool {
    let group = match node {
        Node::Atom(token) => {
            out.push_str(&atom(tree.source(*token, *token)));
            return false;
        }
        Node::Group(group) => group,
    };
    if let Some(func) = group.func {
        out.push_str(tree.source(func, func));
    }
    out.push_str(tree.source(group.open, group.open));
    if broken(tree, group) {
        return true;
    }
    for (i, item) in group.items.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        if flat_item(tree, item, out) {
            return true;
        }
    }
    out.push_str(tree.source(group.close, group.close));
    false
}

/// A token as it is to be written: strings in double quotes, where that needs no escape.
fn atom(text: &str) -> String {
    match text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
        Some(inner) if !inner.contains(['"', '\\']) => format!("\"{inner}\""),
        _ => text.to_owned(),
    }
}
