//! The syntax tree: Python literals, calls and assignments, with their places.

use crate::diag::Span;
use std::collections::BTreeMap;

/// A name with its place.
#[derive(Clone, Debug)]
pub struct Ident {
    /// The name.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

/// A call: `func(args.., name=value..)`.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is called.
    pub func: Ident,
    /// Positional arguments.
    pub args: Vec<Expr>,
    /// Keyword arguments.
    pub kwargs: Vec<(Ident, Expr)>,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A name.
    Name(String),
    /// A string, escapes resolved.
    Str(String),
    /// An integer.
    Int(i64),
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `(a, b)`.
    Tuple(Vec<Expr>),
    /// `{"a": b}`.
    Dict(Vec<(Expr, Expr)>),
    /// A call.
    Call(Call),
    /// Something that was reported already.
    Error,
}

/// An expression with its place.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

impl Expr {
    /// What it is, for messages.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.kind {
            ExprKind::Name(n) => format!("the name `{n}`"),
            ExprKind::Str(_) => "a string".into(),
            ExprKind::Int(i) => format!("the integer {i}"),
            ExprKind::None => "None".into(),
            ExprKind::Bool(b) => if *b { "True" } else { "False" }.into(),
            ExprKind::List(_) => "a list".into(),
            ExprKind::Tuple(_) => "a tuple".into(),
            ExprKind::Dict(_) => "a dict".into(),
            ExprKind::Call(c) => format!("a call of `{}`", c.func.name),
            ExprKind::Error => "an error".into(),
        }
    }
}

/// A statement: `name = value`, or a call alone.
#[derive(Clone, Debug)]
pub struct Stmt {
    /// The name assigned to.
    pub target: Option<Ident>,
    /// The value.
    pub value: Expr,
}

/// A parsed file.
#[derive(Clone, Debug)]
pub struct File {
    /// Which source.
    pub file: usize,
    /// Its statements.
    pub stmts: Vec<Stmt>,
    /// Lines (from 1) that hold nothing but a comment, with the text after `# `.
    pub comments: BTreeMap<usize, String>,
}

impl File {
    /// The comment whose lines end directly above the line, paragraphs kept.
    #[must_use]
    pub fn doc_above(&self, line: usize) -> String {
        let mut lines = Vec::new();
        let mut at = line;
        while at > 1
            && let Some(text) = self.comments.get(&(at - 1))
        {
            lines.push(text.as_str());
            at -= 1;
        }
        lines.reverse();
        lines.join("\n").trim().to_owned()
    }
}
