//! Profile `contract`: names, constructors, options.
//!
//! ```text
//! collect (name -> declaration) -> text, enums, aliases -> structs
//! ```
//! Texts and enumerations come before structs because defaults are checked against them.

mod collect;
mod fields;

use crate::ast::{Call, Expr, ExprKind, File};
use crate::diag::{Code, Diagnostics, Source, Span};
use crate::model::{Decl, DeclKind, Dir, Enum, EnumValue, Id, Model, Struct, Text, Ty, Unknown};
use crate::options::Options;
use crate::pattern::Pattern;
use std::collections::BTreeMap;

/// What a name stands for.
#[derive(Clone, Debug)]
enum Entry {
    Decl(Id),
    Alias(Ty),
}

/// A declaration as written.
struct Raw<'a> {
    name: String,
    call: &'a Call,
    span: Span,
    file: &'a File,
}

struct Resolver<'a> {
    sources: &'a [Source],
    diags: &'a mut Diagnostics,
    names: BTreeMap<String, (Entry, Span)>,
    model: Model,
}

/// Resolves the files of this profile.
pub(super) fn resolve(sources: &[Source], files: &[&File], diags: &mut Diagnostics) -> Model {
    let mut r = Resolver { sources, diags, names: BTreeMap::new(), model: Model::default() };
    let raws = r.collect(files);
    for (i, raw) in raws.iter().enumerate() {
        match raw.call.func.name.as_str() {
            "Enumeration" => r.enumeration(Id(i), raw),
            "String" => r.text(Id(i), raw),
            _ => {}
        }
    }
    for (i, raw) in raws.iter().enumerate() {
        if raw.call.func.name == "Struct" {
            r.structure(Id(i), raw);
        }
    }
    r.model
}

impl<'a> Resolver<'a> {
    /// The comment above, which this profile asks for.
    fn doc(&mut self, raw: &Raw<'_>, span: Span, what: &str) -> String {
        let doc = super::doc_at(self.sources, raw.file, span);
        if doc.is_empty() {
            self.diags
                .add(Code::Undocumented, span, format!("{what} has no documentation"))
                .help("put a comment on the line directly above it: `# What it is, with its unit.`");
        }
        doc
    }

    fn decl(&mut self, id: Id, f: impl FnOnce(&mut Decl)) {
        if let Some(decl) = self.model.decls.get_mut(id.0) {
            f(decl);
        }
    }

    fn since(&mut self, options: &mut Options<'_>) -> (Option<u32>, Option<String>) {
        let since =
            options.int("since", 2, i64::from(u32::MAX), self.diags).and_then(|i| u32::try_from(i).ok());
        let deprecated = options.str("deprecated", self.diags).map(|(s, _)| s.to_owned());
        (since, deprecated)
    }

    fn dir(&mut self, options: &mut Options<'_>) -> Option<Dir> {
        let (value, _) = options.take("dir")?;
        let name = match &value.kind {
            ExprKind::Name(n) => n.as_str(),
            _ => "",
        };
        match name {
            "DIR_IN" => Some(Dir::In),
            "DIR_OUT" => Some(Dir::Out),
            "DIR_BOTH" => Some(Dir::Both),
            _ => {
                self.diags
                    .add(Code::OptionValue, value.span, format!("`dir` cannot be {}", value.describe()))
                    .suggest(name, ["DIR_IN", "DIR_OUT", "DIR_BOTH"]);
                None
            }
        }
    }

    /// The second argument, which must be a list.
    fn list<'c>(&mut self, call: &'c Call, what: &str) -> &'c [Expr] {
        if let Some(extra) = call.args.get(2) {
            self.diags
                .add(
                    Code::Argument,
                    extra.span,
                    format!("`{}` takes two positional arguments", call.func.name),
                )
                .help("options are keyword arguments: `dir=DIR_OUT`");
        }
        match call.args.get(1) {
            Some(Expr { kind: ExprKind::List(items), .. }) => items,
            Some(other) => {
                self.diags
                    .add(Code::Argument, other.span, format!("{what} are a list, not {}", other.describe()))
                    .help("write them in `[` `]`");
                &[]
            }
            None => {
                self.diags
                    .add(
                        Code::Argument,
                        call.func.span,
                        format!("`{}` needs a list of {what}", call.func.name),
                    )
                    .help(format!("write `{}(\"name\", [ .. ])`", call.func.name));
                &[]
            }
        }
    }

    fn enumeration(&mut self, id: Id, raw: &Raw<'a>) {
        let mut options = Options::from_kwargs(&raw.call.kwargs, self.diags);
        let dir = self.dir(&mut options).unwrap_or_default();
        let (since, deprecated) = self.since(&mut options);
        options.finish("an Enumeration", &["dir", "since", "deprecated"], self.diags);
        let items = self.list(raw.call, "values");
        if items.is_empty() && raw.call.args.len() == 2 {
            self.diags.add(Code::Empty, raw.span, format!("enumeration `{}` has no value", raw.name));
        }
        let mut values: Vec<EnumValue> = Vec::new();
        for item in items {
            let ExprKind::Tuple(pair) = &item.kind else {
                self.bad_tuple(item, "a value", "(1, \"name\")");
                continue;
            };
            let [Expr { kind: ExprKind::Int(number), .. }, Expr { kind: ExprKind::Str(name), span }] =
                pair.as_slice()
            else {
                self.bad_tuple(item, "a value", "(1, \"name\")");
                continue;
            };
            self.check_name(name, *span);
            if let Some(old) = values.iter().find(|v| v.name == *name || v.number == *number) {
                let what = if old.name == *name { format!("`{name}`") } else { number.to_string() };
                self.diags
                    .add(
                        Code::DuplicateValue,
                        item.span,
                        format!("{what} is a value of `{}` already", raw.name),
                    )
                    .help(format!("the earlier one is ({}, \"{}\")", old.number, old.name));
            }
            let doc = self.doc(raw, item.span, &format!("value `{name}`"));
            values.push(EnumValue { name: name.clone(), number: *number, doc });
        }
        self.decl(id, |d| {
            (d.since, d.deprecated) = (since, deprecated);
            d.kind = DeclKind::Enum(Enum { dir, unknown: Unknown::of(dir), values, ..Enum::default() });
        });
    }

    fn text(&mut self, id: Id, raw: &Raw<'a>) {
        let mut options = Options::from_kwargs(&raw.call.kwargs, self.diags);
        let (since, deprecated) = self.since(&mut options);
        let (min, max) = (options.len("min", self.diags), options.len("max", self.diags));
        let pattern = options.str("pattern", self.diags);
        options.finish("a String", &["pattern", "min", "max", "since", "deprecated"], self.diags);
        if let Some(extra) = raw.call.args.get(1) {
            self.diags
                .add(Code::Argument, extra.span, "`String` takes one positional argument, its name")
                .help("limits are keyword arguments: `pattern=\"[a-z]{1,16}\"`");
        }
        let Some((text, span)) = pattern else {
            self.diags
                .add(Code::Argument, raw.span, format!("String `{}` has no pattern", raw.name))
                .help("write `pattern=\"[a-z]{1,16}\"`; a text without one is the builtin `string`");
            return;
        };
        let Some(pattern) = self.pattern(text, span) else { return };
        let by_pattern = pattern.bytes_max();
        let max = max.or(by_pattern);
        self.length_limits(min, max, pattern.bytes_min(), by_pattern, raw.span);
        self.decl(id, |d| {
            (d.since, d.deprecated) = (since, deprecated);
            d.kind = DeclKind::Text(Text { pattern, min, max });
        });
    }

    fn pattern(&mut self, text: &str, span: Span) -> Option<Pattern> {
        match Pattern::parse(text) {
            Ok(pattern) => Some(pattern),
            Err(why) => {
                self.diags.add(Code::Pattern, span, format!("pattern: {why}"));
                None
            }
        }
    }

    /// Limits that nothing, or everything, meets.
    fn length_limits(
        &mut self,
        min: Option<u64>,
        max: Option<u64>,
        least: u64,
        most: Option<u64>,
        span: Span,
    ) {
        let (low, high) = (min.unwrap_or(0).max(least), max.into_iter().chain(most).min());
        if let Some(high) = high.filter(|high| low > *high) {
            self.diags
                .add(Code::Contradiction, span, format!("no value is at least {low} and at most {high} long"))
                .help("`min` and `max` count UTF-8 bytes; a pattern's counts are of characters");
        }
    }

    fn structure(&mut self, id: Id, raw: &Raw<'a>) {
        let mut options = Options::from_kwargs(&raw.call.kwargs, self.diags);
        let dir = self.dir(&mut options).unwrap_or_default();
        let (since, deprecated) = self.since(&mut options);
        let xenstore = self.binding(&mut options);
        options.finish("a Struct", &["dir", "xenstore", "access", "since", "deprecated"], self.diags);
        let mut fields = Vec::new();
        for item in self.list(raw.call, "fields") {
            if let Some(field) = self.field(raw, item) {
                fields.push(field);
            }
        }
        self.check_keys(&raw.name, &fields);
        self.decl(id, |d| {
            (d.since, d.deprecated) = (since, deprecated);
            d.kind = DeclKind::Struct(Struct { dir, unknown: Unknown::of(dir), fields, xenstore });
        });
    }

    fn bad_tuple(&mut self, item: &Expr, what: &str, form: &str) {
        super::bad_tuple(self.diags, item, what, form);
    }

    /// A name: lower-case words joined by single underscores.
    fn check_name(&mut self, name: &str, span: Span) {
        let good = name
            .split('_')
            .all(|w| !w.is_empty() && w.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()))
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.len() <= 64;
        if !good {
            self.diags
                .add(Code::BadName, span, format!("`{}` is not a name", name.escape_debug()))
                .help("names are lower-case words of letters and digits joined by `_`, at most 64 long");
        }
    }
}
