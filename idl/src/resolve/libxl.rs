//! Profile `libxl`: Xen's own files, unchanged. Statements take effect one after another, as Python would run
//! them, but nothing is run: a variable stands for a type, or for a literal.
//!
//! ```text
//! statement -> setting (namespace, hidden) | variable = literal | variable = constructor(..)
//!                                                                     │
//!                     types: Struct, Enumeration, Builtin, UInt .. <──┘──> fields: Array, KeyedUnion, options
//! ```
//! What Xen's compiler takes without a word (a mistyped option, a field or value that is there twice) is an error
//! here. Constants that `init_val` needs come from a prelude ([`PRELUDE`], or a file given before the others).

mod cexpr;
mod fields;
mod options;
mod types;
mod unions;

use super::{doc_at, other_place};
use crate::ast::{Call, Expr, ExprKind, File, Ident, Stmt};
use crate::diag::{Code, Diagnostics, Source, Span};
use crate::model::{Builtin, Decl, DeclKind, Id, Model, Number, Ty};
use std::collections::{BTreeMap, BTreeSet};

/// Constants of libxl.h, used where the files given have none of that name.
pub const PRELUDE: &str = include_str!("../../prelude/libxl.idl");

/// A type with what it brings to a field.
#[derive(Clone, Debug)]
struct Type {
    ty: Ty,
    /// Its `init_val`, worked out.
    initial: Option<i128>,
}

/// What a variable stands for.
#[derive(Clone)]
enum Val<'a> {
    Type(Type),
    Literal(&'a Expr),
    /// Something that was reported already.
    Error,
}

struct Var<'a> {
    val: Val<'a>,
    span: Span,
    used: bool,
}

struct Resolver<'a, 'd> {
    sources: &'a [Source],
    diags: &'d mut Diagnostics,
    model: &'d mut Model,
    vars: BTreeMap<String, Var<'a>>,
    /// Values of enumerations by their names in C.
    enum_constants: BTreeMap<String, i64>,
    prelude: BTreeMap<String, Constant>,
    /// Where each name is first assigned, for those used too early.
    assigned: BTreeMap<&'a str, Span>,
    /// Type names that are taken, with their places.
    type_names: BTreeMap<String, Span>,
    /// Declarations whose variable was bound again before anything used them.
    dropped: BTreeSet<Id>,
    namespace: String,
    hidden: bool,
}

/// A constant of the built-in prelude.
enum Constant {
    Int(i64),
    Text(String),
}

/// Resolves the files of this profile into the model.
pub(super) fn resolve(sources: &[Source], files: &[&File], model: &mut Model, diags: &mut Diagnostics) {
    if files.is_empty() {
        return;
    }
    let mut assigned = BTreeMap::new();
    for target in files.iter().flat_map(|f| &f.stmts).filter_map(|s| s.target.as_ref()) {
        assigned.entry(target.name.as_str()).or_insert(target.span);
    }
    let mut r = Resolver {
        sources,
        diags,
        model,
        vars: predefined(),
        enum_constants: BTreeMap::new(),
        prelude: prelude(),
        assigned,
        type_names: BTreeMap::new(),
        dropped: BTreeSet::new(),
        namespace: String::new(),
        hidden: false,
    };
    for file in files {
        (r.namespace, r.hidden) = (String::new(), false);
        for stmt in &file.stmts {
            r.statement(file, stmt);
        }
    }
    let dropped = std::mem::take(&mut r.dropped);
    model.drop_decls(&dropped);
}

/// The types that need no declaration.
fn predefined<'a>() -> BTreeMap<String, Var<'a>> {
    let number = |name: &str, bits, signed| {
        (name.to_owned(), Ty::Number(Number { name: name.into(), bits, signed, full: name == "uint64" }))
    };
    [
        ("bool".to_owned(), Ty::Bool),
        ("string".to_owned(), Ty::Builtin(Builtin::Text)),
        number("integer", 32, true),
        number("size_t", 64, false),
        number("uint8", 8, false),
        number("uint16", 16, false),
        number("uint32", 32, false),
        number("uint64", 64, false),
    ]
    .into_iter()
    .map(|(name, ty)| {
        (name, Var { val: Val::Type(Type { ty, initial: None }), span: Span::default(), used: false })
    })
    .collect()
}

/// The built-in prelude: assignments of literals, checked by a test.
fn prelude() -> BTreeMap<String, Constant> {
    let source = Source::new("prelude", PRELUDE);
    let file = crate::parse::parse(0, &source, &mut Diagnostics::default());
    file.stmts
        .into_iter()
        .filter_map(|s| {
            let constant = match s.value.kind {
                ExprKind::Int(i) => Constant::Int(i),
                ExprKind::Str(text) => Constant::Text(text),
                _ => return None,
            };
            Some((s.target?.name, constant))
        })
        .collect()
}

impl<'a> Resolver<'a, '_> {
    fn statement(&mut self, file: &'a File, stmt: &'a Stmt) {
        let Some(target) = &stmt.target else {
            if let ExprKind::Call(call) = &stmt.value.kind {
                self.setting(call);
            }
            return;
        };
        let before = self.model.decls.len();
        let val = match &stmt.value.kind {
            ExprKind::Error => Val::Error,
            ExprKind::Call(call) => match self.constructor(file, Some(target), call, stmt.value.span) {
                Some(ty) => Val::Type(ty),
                None => Val::Error,
            },
            ExprKind::Name(name) => match self.variable(name, stmt.value.span) {
                Some(val) => val,
                None => Val::Error,
            },
            _ => Val::Literal(&stmt.value),
        };
        self.bind(target, val, before);
    }

    /// Binds a variable. One that was bound already stands for the new value from here on, and the type it stood
    /// for is gone, as in Xen's compiler; when something uses that type, both cannot be.
    fn bind(&mut self, target: &'a Ident, val: Val<'a>, before: usize) {
        let predefined = |v: &Var<'_>| v.span == Span::default();
        if let Some(old) = self.vars.get(&target.name).filter(|v| !predefined(v))
            && let Val::Type(Type { ty: Ty::Named(id), .. }) = old.val
            && id.0 < before
            && self.model.get(id).span == old.span
        {
            if old.used {
                let place = other_place(self.sources, old.span);
                let d = self.diags.add(
                    Code::DefinedTwice,
                    target.span,
                    format!("`{}` is bound again, but the type it stood for is used", target.name),
                );
                if let Some(place) = place {
                    d.help(format!("give one another name; {place}"));
                }
            } else {
                self.dropped.insert(id);
                let inner: Vec<Id> = self.anonymous_within(id);
                self.dropped.extend(inner);
            }
        }
        self.vars.insert(target.name.clone(), Var { val, span: target.span, used: false });
    }

    fn anonymous_within(&self, id: Id) -> Vec<Id> {
        let mut found = Vec::new();
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            let DeclKind::Struct(s) = &self.model.get(id).kind else { continue };
            for field in &s.fields {
                let inner: Vec<Id> = match &field.ty {
                    Ty::Named(id) => vec![*id],
                    Ty::Union(u) => u.arms.iter().filter_map(|a| a.ty).collect(),
                    _ => Vec::new(),
                };
                let inner: Vec<Id> = inner.into_iter().filter(|id| self.model.get(*id).anonymous).collect();
                todo.extend(&inner);
                found.extend(inner);
            }
        }
        found
    }

    /// What a name stands for; reported when nothing.
    fn variable(&mut self, name: &str, span: Span) -> Option<Val<'a>> {
        if let Some(var) = self.vars.get_mut(name) {
            var.used = true;
            return Some(var.val.clone());
        }
        if let Some(later) = self.assigned.get(name) {
            let line = self.sources.get(later.file).map_or(0, |s| s.line_col(later.start).0);
            self.diags
                .add(Code::UsedBefore, span, format!("`{name}` is used before it is defined"))
                .help(format!("its definition is in line {line}: move it up"));
            return None;
        }
        let known: Vec<&str> = self.vars.keys().map(String::as_str).collect();
        self.diags.add(Code::UnknownName, span, format!("nothing is called `{name}`")).suggest(name, known);
        None
    }

    /// A literal, or what a variable bound to one stands for.
    fn literal(&mut self, expr: &'a Expr) -> Option<&'a Expr> {
        match &expr.kind {
            ExprKind::Error => None,
            ExprKind::Name(name) => {
                match self.variable(name, expr.span)? {
                    Val::Literal(expr) => Some(expr),
                    Val::Type(_) => {
                        self.diags
                        .add(Code::Argument, expr.span, format!("`{name}` is a type, not a value"))
                        .help("a value is a string, an integer, True, False, None, a list, a tuple or a dict");
                        None
                    }
                    Val::Error => None,
                }
            }
            _ => Some(expr),
        }
    }

    /// The comment above; not for what follows something else on its line, which the comment is about.
    fn doc(&self, file: &File, span: Span) -> String {
        let text = self.sources.get(span.file).and_then(|s| s.text.get(..span.start)).unwrap_or_default();
        let first = text.trim_end_matches([' ', '\t']);
        if first.is_empty() || first.ends_with('\n') {
            doc_at(self.sources, file, span)
        } else {
            String::new()
        }
    }

    fn setting(&mut self, call: &'a Call) {
        let func = call.func.name.as_str();
        if func == "profile" {
            return; // read before anything else
        }
        if types::CONSTRUCTORS.contains(&func) {
            self.diags
                .add(Code::Argument, call.func.span, "a type without a name")
                .help(format!("write `name = {func}( .. )`"));
            return;
        }
        if func != "namespace" && func != "hidden" {
            self.diags
                .add(Code::UnknownConstructor, call.func.span, format!("no setting is called `{func}`"))
                .suggest(func, ["namespace", "hidden", "profile"]);
            return;
        }
        let value = match call.args.as_slice() {
            [value] if call.kwargs.is_empty() => self.literal(value),
            _ => None,
        };
        match (func, value.map(|v| &v.kind)) {
            ("namespace", Some(ExprKind::Str(s))) => {
                self.namespace.clone_from(s);
                if self.model.namespace.is_empty() {
                    self.model.namespace.clone_from(s);
                }
            }
            ("hidden", Some(ExprKind::Bool(b))) => self.hidden = *b,
            _ => {
                let what = if func == "hidden" { "True or False" } else { "one string" };
                self.diags.add(Code::Argument, call.func.span, format!("`{func}` takes {what}")).help(
                    format!("write `{func}({})`", if func == "hidden" { "True" } else { "\"libxl_\"" }),
                );
            }
        }
    }

    /// A new declaration under its whole name, which must be free.
    fn declare(&mut self, decl: Decl) -> Id {
        let id = Id(self.model.decls.len());
        if let Some(old) = self.type_names.insert(decl.name.clone(), decl.span) {
            let gone = self
                .model
                .decls
                .iter()
                .enumerate()
                .any(|(i, d)| d.span == old && (self.dropped.contains(&Id(i)) || self.rebinds(d, &decl)));
            if !gone {
                let place = other_place(self.sources, old);
                let d = self.diags.add(
                    Code::DefinedTwice,
                    decl.span,
                    format!("there is a type `{}` already", decl.name),
                );
                if let Some(place) = place {
                    d.help(place);
                }
            }
        }
        self.model.decls.push(decl);
        id
    }

    /// Whether the new declaration takes the old one's variable, so that the old one goes, or is told of then.
    fn rebinds(&self, old: &Decl, new: &Decl) -> bool {
        let text = |span: Span| {
            self.sources.get(span.file).and_then(|s| s.text.get(span.start..span.end)).unwrap_or_default()
        };
        !old.anonymous && !new.anonymous && text(old.span) == text(new.span)
    }
}
