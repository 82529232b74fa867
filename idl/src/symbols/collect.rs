//! Symbols first, then what refers to them.

use super::{Form, Index, Kind, Reference, Symbol};
use crate::ast::{Call, Expr, ExprKind, Stmt};
use crate::diag::Span;
use std::collections::BTreeMap;

/// Fills the index.
pub(super) fn collect(index: &mut Index<'_>) {
    let files = std::mem::take(&mut index.files);
    let mut c = Collector { index, namespace: String::new(), contract: false, last: BTreeMap::new() };
    for file in &files {
        c.namespace.clear();
        c.contract = crate::is_contract(file);
        for stmt in &file.stmts {
            c.define(stmt, file);
        }
    }
    for file in &files {
        c.contract = crate::is_contract(file);
        for stmt in &file.stmts {
            c.refer(stmt);
        }
    }
    index.files = files;
    index.references.sort_by_key(|r| r.span);
}

struct Collector<'i, 'a> {
    index: &'i mut Index<'a>,
    namespace: String,
    contract: bool,
    /// The variable of each name that holds from here on, where order counts.
    last: BTreeMap<String, usize>,
}

/// What is between a string's quotes.
fn inner(span: Span) -> Span {
    Span { start: span.start + 1, end: span.end.saturating_sub(1).max(span.start + 1), ..span }
}

fn text(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Str(s) => Some(s),
        _ => None,
    }
}

fn items(expr: &Expr) -> &[Expr] {
    match &expr.kind {
        ExprKind::List(items) | ExprKind::Tuple(items) => items,
        _ => &[],
    }
}

fn call(expr: &Expr) -> Option<&Call> {
    match &expr.kind {
        ExprKind::Call(call) => Some(call),
        _ => None,
    }
}

impl Collector<'_, '_> {
    fn define(&mut self, stmt: &Stmt, file: &crate::ast::File) {
        let Some(target) = &stmt.target else {
            if let Some(c) = call(&stmt.value)
                && c.func.name == "namespace"
            {
                self.namespace = c.args.first().and_then(text).unwrap_or_default().to_owned();
            }
            return;
        };
        let c = call(&stmt.value);
        let name = c.and_then(|c| c.args.first());
        let type_name = name.and_then(|e| Some((text(e)?.to_owned(), inner(e.span))));
        let doc = self.doc(file, target.span);
        let raw = type_name.as_ref().map_or("", |(n, _)| n.as_str()).to_owned();
        self.index.symbols.push(Symbol {
            kind: Kind::Variable,
            name: target.name.clone(),
            within: String::new(),
            span: target.span,
            whole: target.span.to(stmt.value.span),
            doc,
            type_name,
            constant: String::new(),
        });
        match c {
            Some(c) if c.func.name == "Enumeration" => {
                let own = c.kwargs.iter().find(|(n, _)| n.name == "value_namespace" || n.name == "namespace");
                let namespace =
                    own.map_or(Some(self.namespace.as_str()), |(_, e)| text(e)).unwrap_or_default();
                let prefix = if self.contract { String::new() } else { format!("{namespace}{raw}_") };
                for value in c.args.get(1).map(items).unwrap_or_default() {
                    if let [_, name] = items(value)
                        && let Some(n) = text(name)
                    {
                        let constant =
                            if self.contract { String::new() } else { format!("{prefix}{n}").to_uppercase() };
                        self.member(Kind::Value, n, &target.name, name, value, file, constant);
                    }
                }
            }
            Some(c) => self.fields(&target.name, c, file),
            // `FIELDS = [("name", type)]`
            None => self.field_list(&target.name, items(&stmt.value), file),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what a symbol is made of")]
    fn member(
        &mut self,
        kind: Kind,
        name: &str,
        within: &str,
        at: &Expr,
        whole: &Expr,
        file: &crate::ast::File,
        constant: String,
    ) {
        let doc = self.doc(file, whole.span);
        self.index.symbols.push(Symbol {
            kind,
            name: name.to_owned(),
            within: within.to_owned(),
            span: inner(at.span),
            whole: whole.span,
            doc,
            type_name: None,
            constant,
        });
    }

    /// The fields of `Struct("name", [..])`.
    fn fields(&mut self, within: &str, c: &Call, file: &crate::ast::File) {
        if c.func.name == "Struct" {
            self.field_list(within, c.args.get(1).map(items).unwrap_or_default(), file);
        }
    }

    fn field_list(&mut self, within: &str, list: &[Expr], file: &crate::ast::File) {
        for item in list {
            let (Some(name), Some(ty)) = (items(item).first(), items(item).get(1)) else { continue };
            let Some(n) = text(name) else { continue };
            self.member(Kind::Field, n, within, name, item, file, String::new());
            let Some(c) = call(ty) else { continue };
            let within = format!("{within}.{n}");
            self.fields(&within, c, file);
            for arm in arms(c) {
                if let [arm, ty] = items(arm)
                    && let (Some(arm), Some(c)) = (text(arm), call(ty))
                {
                    self.fields(&format!("{within}.{arm}"), c, file);
                }
            }
        }
    }

    fn doc(&self, file: &crate::ast::File, span: Span) -> String {
        let Some(source) = self.index.sources.get(span.file) else { return String::new() };
        let before = source.text.get(..span.start).unwrap_or_default();
        let first = before.rsplit('\n').next().unwrap_or_default().trim().is_empty();
        if first { file.doc_above(source.line_col(span.start).0) } else { String::new() }
    }

    fn refer(&mut self, stmt: &Stmt) {
        self.names(&stmt.value);
        if let Some(c) = call(&stmt.value) {
            let within = stmt.target.as_ref().map_or("", |t| t.name.as_str());
            self.members(within, c);
            self.constants(&c.kwargs.iter().map(|(n, v)| (n.name.as_str(), v)).collect::<Vec<_>>());
        } else {
            let within = stmt.target.as_ref().map_or("", |t| t.name.as_str());
            items(&stmt.value).iter().for_each(|i| self.field(within, i));
        }
        // From here on the name stands for this one.
        if let Some(target) = &stmt.target
            && let Some(at) = self.index.symbols.iter().position(|s| s.span == target.span)
        {
            self.last.insert(target.name.clone(), at);
        }
    }

    /// The variable that a name stands for here: the latest above it, or one below.
    fn variable(&self, name: &str) -> Option<usize> {
        let any = || self.index.symbols.iter().position(|s| s.kind == Kind::Variable && s.name == name);
        self.last.get(name).copied().or_else(any)
    }

    fn push(&mut self, span: Span, symbol: Option<usize>, form: Form) {
        if let Some(symbol) = symbol {
            self.index.references.push(Reference { span, symbol, form });
        }
    }

    /// Every name in an expression.
    fn names(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Name(name) => {
                let symbol = self.variable(name);
                self.push(expr.span, symbol, Form::Plain);
            }
            ExprKind::List(list) | ExprKind::Tuple(list) => list.iter().for_each(|e| self.names(e)),
            ExprKind::Dict(list) => list.iter().for_each(|(_, v)| self.names(v)),
            ExprKind::Call(c) => {
                c.args.iter().chain(c.kwargs.iter().map(|(_, v)| v)).for_each(|e| self.names(e));
            }
            ExprKind::Str(_) | ExprKind::Int(_) | ExprKind::None | ExprKind::Bool(_) | ExprKind::Error => {}
        }
    }

    /// What the fields of a struct refer to in strings.
    fn members(&mut self, within: &str, c: &Call) {
        if c.func.name == "Struct" {
            for item in c.args.get(1).map(items).unwrap_or_default() {
                self.field(within, item);
            }
        }
    }

    fn field(&mut self, within: &str, item: &Expr) {
        let (Some(name), Some(ty)) = (items(item).first().and_then(text), items(item).get(1)) else { return };
        if let Some(Expr { kind: ExprKind::Dict(options), .. }) = items(item).get(2) {
            self.options(within, ty, options);
        }
        let Some(c) = call(ty) else { return };
        let inside = format!("{within}.{name}");
        self.members(&inside, c);
        self.constants(&c.kwargs.iter().map(|(n, v)| (n.name.as_str(), v)).collect::<Vec<_>>());
        let key = c.args.get(1).and_then(|e| self.enumeration(e));
        for arm in arms(c) {
            let [arm, ty] = items(arm) else { continue };
            let Some(n) = text(arm) else { continue };
            let value = key.as_ref().and_then(|k| self.value(k, n));
            self.push(inner(arm.span), value, Form::Plain);
            if let Some(c) = call(ty) {
                self.members(&format!("{inside}.{n}"), c);
            }
        }
    }

    fn options(&mut self, within: &str, ty: &Expr, options: &[(Expr, Expr)]) {
        let named: Vec<(&str, &Expr)> = options.iter().filter_map(|(k, v)| Some((text(k)?, v))).collect();
        self.constants(&named);
        for (option, value) in named {
            let Some(v) = text(value) else { continue };
            let symbol = match option {
                "default" => self.enumeration(ty).and_then(|e| self.value(&e, v)),
                // A field beside it, or of a struct around it.
                "deprecated_by" => {
                    let around =
                        |s: &Symbol| within == s.within || within.starts_with(&format!("{}.", s.within));
                    let found = |(_, s): &(usize, &Symbol)| {
                        s.kind == Kind::Field && s.name == v && around(s) && s.within != within
                    };
                    let all = || self.index.symbols.iter().enumerate();
                    let beside =
                        || all().find(|(_, s)| s.kind == Kind::Field && s.name == v && s.within == within);
                    all().find(found).or_else(beside).map(|(i, _)| i)
                }
                _ => None,
            };
            self.push(inner(value.span), symbol, Form::Plain);
        }
    }

    /// `init_val`s that are the constant of a value.
    fn constants(&mut self, options: &[(&str, &Expr)]) {
        for (name, value) in options {
            let Some(v) = text(value).filter(|_| name.ends_with("init_val")) else { continue };
            let known = |s: &Symbol| s.kind == Kind::Value && !s.constant.is_empty() && s.constant == v;
            let Some(symbol) = self.index.symbols.iter().position(known) else { continue };
            let length = self.index.symbols.get(symbol).map_or(0, |s| s.name.len());
            let prefix = v.get(..v.len().saturating_sub(length)).unwrap_or_default().to_owned();
            self.push(inner(value.span), Some(symbol), Form::Constant(prefix));
        }
    }

    /// The name of the variable whose values an enumeration's name stands for.
    fn enumeration(&self, expr: &Expr) -> Option<String> {
        let ExprKind::Name(name) = &expr.kind else { return None };
        let symbol = self.index.symbols.get(self.variable(name)?)?;
        // `other = kind`: another name for it.
        let definition = self.index.text(symbol.whole).split_once('=').map(|(_, v)| v.trim())?;
        let alias = self
            .index
            .symbols
            .iter()
            .any(|s| s.kind == Kind::Variable && s.name == definition && s.name != *name);
        Some(if alias { definition.to_owned() } else { name.clone() })
    }

    fn value(&self, enumeration: &str, name: &str) -> Option<usize> {
        self.index.symbols.iter().position(|s| {
            s.kind == Kind::Value && s.within == enumeration && s.name.eq_ignore_ascii_case(name)
        })
    }
}

/// The arms of `KeyedUnion(None, enum, "key", [..])`.
fn arms(c: &Call) -> &[Expr] {
    if c.func.name == "KeyedUnion" { c.args.get(3).map(items).unwrap_or_default() } else { &[] }
}
