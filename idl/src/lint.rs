//! Lints: what compiles and could still be better. A lint has a number of its own (`L001`), is no error, and can be left
//! out by name.

use crate::ast::{Expr, ExprKind, File};
use crate::diag::{Diagnostics, Source, Span, excerpt};
use crate::fmt;
use crate::lex::lex;
use crate::model::{Decl, DeclKind, Field, Id, Model, Presence, Ty, Unknown};
use crate::parse::parse;
use std::collections::BTreeSet;

macro_rules! rules {
    ($($name:ident = $text:literal, $rule:literal;)*) => {
        /// The rule that a finding is about. The numbers are permanent.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule { $(#[doc = $rule] $name,)* }

        impl Rule {
            /// Every rule, in order.
            pub const ALL: &'static [Rule] = &[$(Rule::$name,)*];

            /// The number as shown: `L001`.
            #[must_use]
            pub fn as_str(self) -> &'static str { match self { $(Rule::$name => $text,)* } }

            /// The rule in one sentence.
            #[must_use]
            pub fn rule(self) -> &'static str { match self { $(Rule::$name => $rule,)* } }
        }
    };
}

rules! {
    Unused = "L001", "Profile `contract`: nothing uses an enumeration, a string or another name.";
    Sentence = "L002", "Profile `contract`: documentation ends like a sentence.";
    Beside = "L003", "A comment beside a field or value documents nothing.";
    NoZero = "L004", "Profile `libxl`: an enumeration without a value for 0 and without an `init_val`.";
    Order = "L005", "The numbers of an enumeration neither rise nor fall.";
    Unlimited = "L006", "Profile `contract`: a string without a maximum.";
    OptionalFlag = "L007", "Profile `contract`: an optional truth value has three states.";
    UsesDeprecated = "L008", "What is not deprecated uses what is.";
    DeprecatedRequired = "L009", "Profile `contract`: a deprecated field is required.";
    Layout = "L010", "The file is not laid out as `xenidl fmt` does.";
}

/// Something that could be better.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// Where.
    pub span: Span,
    /// What it is.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

impl Finding {
    /// As text for people.
    #[must_use]
    pub fn show(&self, sources: &[Source]) -> String {
        let mut out = format!("warning[{}]: {}\n", self.rule.as_str(), self.message);
        excerpt(self.span, sources, &mut out);
        out.push_str(&format!("  = help: {}\n", self.help));
        out
    }
}

/// Everything that could be better, in order of place.
///
/// # Errors
/// What is wrong with the sources.
pub fn lint(sources: &[Source]) -> Result<Vec<Finding>, Diagnostics> {
    let model = crate::compile(sources)?;
    let mut quiet = Diagnostics::default();
    let files: Vec<File> = sources.iter().enumerate().map(|(i, s)| parse(i, s, &mut quiet)).collect();
    let mut lints = Lints { model: &model, found: Vec::new() };
    lints.unused(&files);
    for decl in &model.decls {
        lints.decl(decl);
    }
    for (i, source) in sources.iter().enumerate() {
        lints.beside(i, source);
        lints.layout(i, source);
    }
    let mut found = lints.found;
    found.sort_by_key(|f| (f.span, f.rule));
    Ok(found)
}

struct Lints<'a> {
    model: &'a Model,
    found: Vec<Finding>,
}

impl Lints<'_> {
    fn add(&mut self, rule: Rule, span: Span, message: String, help: &str) {
        self.found.push(Finding { rule, span, message, help: help.to_owned() });
    }

    /// Names that are assigned and never used. Structs are what documents are made of: they need no user.
    fn unused(&mut self, files: &[File]) {
        let mut used = BTreeSet::new();
        let stmts = || files.iter().flat_map(|f| &f.stmts);
        stmts().for_each(|s| names(&s.value, &mut used));
        for stmt in stmts() {
            let (Some(target), ExprKind::Call(call)) = (&stmt.target, &stmt.value.kind) else { continue };
            let lone = matches!(call.func.name.as_str(), "Enumeration" | "String" | "UInt");
            let ours = file_is_contract(files.get(stmt.value.span.file));
            if ours && lone && !used.contains(target.name.as_str()) {
                let message = format!("nothing uses `{}`", target.name);
                self.add(Rule::Unused, target.span, message, "take it out, or use it");
            }
        }
    }

    fn decl(&mut self, decl: &Decl) {
        let name = &decl.name;
        match &decl.kind {
            DeclKind::Struct(s) => {
                let ours = s.unknown != Unknown::Ignored;
                if ours {
                    self.sentence(&decl.doc, decl.span, name);
                }
                for field in &s.fields {
                    self.field(decl, field, ours);
                }
            }
            DeclKind::Enum(e) => {
                let numbers: Vec<i64> = e.values.iter().map(|v| v.number).collect();
                if !(numbers.is_sorted() || numbers.iter().rev().is_sorted()) {
                    let message = format!("the numbers of `{name}` go up and down");
                    self.add(Rule::Order, decl.span, message, "put the values in order of their numbers");
                }
                if e.unknown != Unknown::Ignored {
                    self.sentence(&decl.doc, decl.span, name);
                    for value in &e.values {
                        self.sentence(&value.doc, decl.span, &format!("{name}.{}", value.name));
                    }
                } else if e.initial.is_none() && !numbers.contains(&0) {
                    let message = format!("a new `{name}` is 0, which is none of its values");
                    self.add(Rule::NoZero, decl.span, message, "add a value for 0, or an `init_val`");
                }
            }
            DeclKind::Text(t) => {
                self.sentence(&decl.doc, decl.span, name);
                if t.max.is_none() {
                    let message = format!("`{name}` has no maximum");
                    self.add(Rule::Unlimited, decl.span, message, "add `max=`, in bytes");
                }
            }
        }
    }

    fn field(&mut self, decl: &Decl, field: &Field, ours: bool) {
        let name = format!("{}.{}", decl.name, field.name);
        if field.deprecated.is_none() && decl.deprecated.is_none() {
            for id in named(&field.ty) {
                if let Some(instead) = &self.model.get(id).deprecated {
                    let message = format!("`{name}` uses `{}`, which is deprecated", self.model.get(id).name);
                    let help = instead.clone();
                    self.add(Rule::UsesDeprecated, field.span, message, &help);
                }
            }
        }
        if !ours {
            return;
        }
        self.sentence(&field.doc, field.span, &name);
        let elem = match &field.ty {
            Ty::Array { elem, .. } => elem,
            ty => ty,
        };
        let limited = field.limits.max.is_some()
            || field.limits.pattern.as_ref().is_some_and(|p| p.json_max(None).is_some());
        if matches!(elem, Ty::Str) && (!limited || elem != &field.ty) {
            let message = format!("`{name}` has no maximum");
            let help = if elem == &field.ty {
                "add `\"max\"`, in bytes"
            } else {
                "make a `String` with a `max` and use that for the elements"
            };
            self.add(Rule::Unlimited, field.span, message, help);
        }
        if field.ty == Ty::Bool && field.presence == Presence::Optional {
            let message = format!("`{name}` is yes, no, or not said");
            self.add(Rule::OptionalFlag, field.span, message, "give it a `default` instead of `optional`");
        }
        if field.deprecated.is_some() && field.presence == Presence::Required {
            let message = format!("`{name}` is deprecated and required");
            self.add(
                Rule::DeprecatedRequired,
                field.span,
                message,
                "make it `optional`, or give it a `default`",
            );
        }
    }

    fn sentence(&mut self, doc: &str, span: Span, name: &str) {
        let text = doc.trim();
        // A list, an example or a heading ends as it likes.
        let ends = text.ends_with(['.', '!', '?', ':', ')', '`', '"'])
            || text.lines().last().is_some_and(|l| l.starts_with([' ', '-', '*']));
        if !(text.is_empty() || ends) {
            let message = format!("the documentation of `{name}` is no sentence");
            self.add(Rule::Sentence, span, message, "end it with a full stop");
        }
    }

    /// Comments that end the line of an item: the tokens around are an item's end and anything on another line.
    fn beside(&mut self, file: usize, source: &Source) {
        let (tokens, _) = lex(file, source, &mut Diagnostics::default());
        for pair in tokens.windows(2) {
            let [a, b] = pair else { continue };
            let gap = source.text.get(a.span.end..b.span.start).unwrap_or_default();
            let line = gap.split('\n').next().unwrap_or_default();
            let Some(at) = line.find('#') else { continue };
            let begins =
                source.text.get(..a.span.start).unwrap_or_default().rsplit('\n').next().unwrap_or_default();
            let item = begins.starts_with([' ', '\t']) && begins.trim_start().starts_with(['(', '[']);
            if item {
                let start = a.span.end + at;
                let span = Span { file, start, end: a.span.end + line.trim_end().len() };
                let message = "this comment documents nothing".to_owned();
                self.add(Rule::Beside, span, message, "put it on a line of its own above");
            }
        }
    }

    fn layout(&mut self, file: usize, source: &Source) {
        let Ok(text) = fmt::format(source) else { return };
        if text == source.text {
            return;
        }
        let same = text.bytes().zip(source.text.bytes()).take_while(|(a, b)| a == b).count();
        let start = source.text.get(..same).map_or(0, |t| t.rfind('\n').map_or(0, |at| at + 1));
        let end =
            source.text.get(start..).and_then(|t| t.find('\n')).map_or(source.text.len(), |at| start + at);
        let message = "from here on the layout is another one".to_owned();
        self.add(Rule::Layout, Span { file, start, end }, message, "run `xenidl fmt`");
    }
}

fn file_is_contract(file: Option<&File>) -> bool {
    file.is_some_and(crate::is_contract)
}

/// Named types that a type stands on.
fn named(ty: &Ty) -> Vec<Id> {
    match ty {
        Ty::Named(id) => vec![*id],
        Ty::Array { elem, .. } => named(elem),
        Ty::Union(u) => u.arms.iter().filter_map(|a| a.ty).chain([u.key_enum]).collect(),
        _ => Vec::new(),
    }
}

/// The names in an expression.
fn names<'a>(expr: &'a Expr, found: &mut BTreeSet<&'a str>) {
    match &expr.kind {
        ExprKind::Name(name) => _ = found.insert(name),
        ExprKind::List(items) | ExprKind::Tuple(items) => items.iter().for_each(|e| names(e, found)),
        ExprKind::Dict(items) => items.iter().for_each(|(_, value)| names(value, found)),
        ExprKind::Call(call) => {
            call.args.iter().chain(call.kwargs.iter().map(|(_, v)| v)).for_each(|e| names(e, found));
        }
        ExprKind::Str(_) | ExprKind::Int(_) | ExprKind::None | ExprKind::Bool(_) | ExprKind::Error => {}
    }
}
