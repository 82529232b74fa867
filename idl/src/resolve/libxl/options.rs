//! The options of types and fields: which there are, and what kind of value each takes.

use super::Resolver;
use crate::ast::{Expr, ExprKind};
use crate::diag::{Code, Span};
use crate::model::{COption, Dir};
use crate::options::Options;

/// What kind of value an option takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Flag,
    /// A name or text of C, or None.
    C,
}

/// Options that have no meaning but in C, kept as written.
const C_OPTIONS: &[(&str, Kind)] = &[
    ("passby", Kind::C),
    ("dispose_fn", Kind::C),
    ("autogenerate_dispose_fn", Kind::Flag),
    ("copy_fn", Kind::C),
    ("autogenerate_copy_fn", Kind::Flag),
    ("init_fn", Kind::C),
    ("autogenerate_init_fn", Kind::Flag),
    ("check_default_fn", Kind::C),
    ("copy_deprecated_fn", Kind::C),
    ("json_gen_fn", Kind::C),
    ("jsonc_json_gen_fn", Kind::C),
    ("json_fn", Kind::C),
    ("json_parse_type", Kind::C),
    ("json_parse_fn", Kind::C),
    ("autogenerate_json", Kind::Flag),
];
/// Those that are read one by one.
const OTHERS: &[&str] = &["namespace", "hidden", "dir", "private", "init_val"];
/// Every option of a field.
pub(super) const FIELD_OPTIONS: &[&str] = &["init_val", "const", "deprecated_by", "enumname"];
const DIRS: &[(&str, Dir)] =
    &[("DIR_NONE", Dir::None), ("DIR_IN", Dir::In), ("DIR_OUT", Dir::Out), ("DIR_BOTH", Dir::Both)];
const PASSBYS: &[&str] = &["PASS_BY_VALUE", "PASS_BY_REFERENCE"];

/// The options of a type.
#[derive(Clone, Debug, Default)]
pub(super) struct TypeOptions<'a> {
    pub(super) namespace: String,
    pub(super) hidden: bool,
    pub(super) dir: Dir,
    pub(super) private: bool,
    pub(super) init_val: Option<&'a Expr>,
    pub(super) c: Vec<(String, COption)>,
}

impl TypeOptions<'_> {
    /// The text of an option of C.
    pub(super) fn c(&self, name: &str) -> Option<&str> {
        self.c.iter().find(|(n, _)| n == name).and_then(|(_, v)| match v {
            COption::Text(text) => Some(text.as_str()),
            COption::None | COption::Bool(_) => None,
        })
    }
}

impl<'a> Resolver<'a, '_> {
    /// Takes what every type has. The caller takes its own options first, and names them for suggestions.
    pub(super) fn type_options(
        &mut self,
        mut options: Options<'a>,
        what: &str,
        own: &[&str],
        prefix: Option<&str>,
    ) -> TypeOptions<'a> {
        let mut found = TypeOptions {
            namespace: self.namespace.clone(),
            hidden: self.hidden,
            dir: Dir::Both,
            ..TypeOptions::default()
        };
        if let Some((value, _)) = options.take("namespace")
            && let Some(value) = self.literal(value)
        {
            match &value.kind {
                ExprKind::Str(s) => found.namespace.clone_from(s),
                ExprKind::None => found.namespace.clear(),
                _ => self.wrong_value("namespace", "a string or None", value),
            }
        }
        found.hidden = self.flag(&mut options, "hidden").unwrap_or(found.hidden);
        found.private = self.flag(&mut options, "private").unwrap_or(false);
        if let Some((value, _)) = options.take("dir") {
            found.dir = self.one_of("dir", value, DIRS).unwrap_or_default();
        }
        found.init_val = options.take("init_val").map(|(value, _)| value);
        for (name, kind) in C_OPTIONS {
            let Some((value, _)) = options.take(name) else { continue };
            if let Some(value) = self.c_option(name, *kind, value) {
                found.c.push(((*name).to_owned(), value));
            }
        }
        let mut known: Vec<&str> = own.iter().chain(OTHERS).copied().collect();
        known.extend(C_OPTIONS.iter().map(|(n, _)| *n));
        let prefixed: Vec<String> =
            prefix.iter().flat_map(|p| FIELD_OPTIONS.iter().map(move |o| format!("{p}{o}"))).collect();
        known.extend(prefixed.iter().map(String::as_str));
        options.finish_all_known(what, &known, self.diags);
        found
    }

    fn c_option(&mut self, name: &str, kind: Kind, value: &'a Expr) -> Option<COption> {
        if name == "passby" {
            let names: Vec<(&str, &str)> = PASSBYS.iter().map(|p| (*p, *p)).collect();
            return self.one_of(name, value, &names).map(|p| COption::Text(p.to_owned()));
        }
        let value = self.literal(value)?;
        match (&value.kind, kind) {
            (ExprKind::Bool(b), Kind::Flag) => Some(COption::Bool(*b)),
            (ExprKind::Str(s), Kind::C) => Some(COption::Text(s.clone())),
            (ExprKind::None, Kind::C) => Some(COption::None),
            _ => {
                let what = if kind == Kind::Flag { "True or False" } else { "a string or None" };
                self.wrong_value(name, what, value);
                None
            }
        }
    }

    /// A truth value.
    pub(super) fn flag(&mut self, options: &mut Options<'a>, name: &str) -> Option<bool> {
        let (value, _) = options.take(name)?;
        let value = self.literal(value)?;
        match value.kind {
            ExprKind::Bool(b) => Some(b),
            _ => {
                self.wrong_value(name, "True or False", value);
                None
            }
        }
    }

    /// A string.
    pub(super) fn text(&mut self, options: &mut Options<'a>, name: &str) -> Option<(&'a str, Span)> {
        let (value, _) = options.take(name)?;
        let literal = self.literal(value)?;
        match &literal.kind {
            ExprKind::Str(s) => Some((s, value.span)),
            _ => {
                self.wrong_value(name, "a string", literal);
                None
            }
        }
    }

    fn one_of<T: Copy>(&mut self, option: &str, value: &Expr, names: &[(&str, T)]) -> Option<T> {
        let word = match &value.kind {
            ExprKind::Error => return None,
            ExprKind::Name(n) => n.as_str(),
            _ => "",
        };
        if let Some((_, found)) = names.iter().find(|(n, _)| *n == word) {
            return Some(*found);
        }
        self.diags
            .add(Code::OptionValue, value.span, format!("`{option}` cannot be {}", value.describe()))
            .suggest(word, names.iter().map(|(n, _)| *n));
        None
    }

    pub(super) fn wrong_value(&mut self, name: &str, what: &str, value: &Expr) {
        if !matches!(value.kind, ExprKind::Error) {
            self.diags.add(
                Code::OptionValue,
                value.span,
                format!("`{name}` is {what}, not {}", value.describe()),
            );
        }
    }
}
