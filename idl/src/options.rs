//! Reading of keyword arguments and option dicts: each option once, known, and of the right kind.

use crate::ast::{Expr, ExprKind, Ident};
use crate::diag::{Code, Diagnostics, Span};

/// Options by name, each taken at most once; what is left over is unknown.
pub(crate) struct Options<'a> {
    list: Vec<(String, Span, &'a Expr, bool)>,
}

impl<'a> Options<'a> {
    /// From keyword arguments.
    pub(crate) fn from_kwargs(kwargs: &'a [(Ident, Expr)], diags: &mut Diagnostics) -> Self {
        Self::from_list(kwargs.iter().map(|(k, v)| (k.name.clone(), k.span, v)), diags)
    }

    /// From the dict that is the third element of a field.
    pub(crate) fn from_dict(dict: Option<&'a Expr>, diags: &mut Diagnostics) -> Self {
        let Some(dict) = dict else { return Self { list: Vec::new() } };
        let ExprKind::Dict(items) = &dict.kind else {
            if !matches!(dict.kind, ExprKind::Error) {
                diags
                    .add(Code::Argument, dict.span, format!("options are a dict, not {}", dict.describe()))
                    .help("write `{\"optional\": True}`");
            }
            return Self { list: Vec::new() };
        };
        let mut named = Vec::new();
        for (key, value) in items {
            match &key.kind {
                ExprKind::Str(name) => named.push((name.clone(), key.span, value)),
                _ => {
                    diags
                        .add(
                            Code::Argument,
                            key.span,
                            format!("an option's name is a string, not {}", key.describe()),
                        )
                        .help("write it in quotes");
                }
            }
        }
        Self::from_list(named, diags)
    }

    fn from_list(items: impl IntoIterator<Item = (String, Span, &'a Expr)>, diags: &mut Diagnostics) -> Self {
        let mut list: Vec<(String, Span, &Expr, bool)> = Vec::new();
        for (name, span, value) in items {
            if list.iter().any(|o| o.0 == name) {
                diags
                    .add(Code::OptionTwice, span, format!("option `{name}` is given twice"))
                    .help("Python would take the last without a word: keep one");
            } else {
                list.push((name, span, value, false));
            }
        }
        Self { list }
    }

    /// The option's value and the place of its name.
    pub(crate) fn take(&mut self, name: &str) -> Option<(&'a Expr, Span)> {
        let option = self.list.iter_mut().find(|o| o.0 == name)?;
        option.3 = true;
        Some((option.2, option.1))
    }

    /// Drops options that have no meaning here but are allowed.
    pub(crate) fn ignore(&mut self, names: &[&str]) {
        for option in &mut self.list {
            option.3 |= names.contains(&option.0.as_str());
        }
    }

    /// An integer within the range.
    pub(crate) fn int(&mut self, name: &str, least: i64, most: i64, diags: &mut Diagnostics) -> Option<i64> {
        let (value, _) = self.take(name)?;
        match value.kind {
            ExprKind::Int(i) if (least..=most).contains(&i) => Some(i),
            ExprKind::Int(i) => {
                diags
                    .add(Code::OptionValue, value.span, format!("`{name}` is {i}"))
                    .help(format!("it is from {least} to {most}"));
                None
            }
            _ => wrong(name, "an integer", value, diags),
        }
    }

    /// A length.
    pub(crate) fn len(&mut self, name: &str, diags: &mut Diagnostics) -> Option<u64> {
        self.int(name, 0, 1 << 20, diags).and_then(|i| u64::try_from(i).ok())
    }

    /// A string.
    pub(crate) fn str(&mut self, name: &str, diags: &mut Diagnostics) -> Option<(&'a str, Span)> {
        let (value, _) = self.take(name)?;
        match &value.kind {
            ExprKind::Str(s) => Some((s, value.span)),
            _ => wrong(name, "a string", value, diags),
        }
    }

    /// A truth value.
    pub(crate) fn bool(&mut self, name: &str, diags: &mut Diagnostics) -> Option<bool> {
        let (value, _) = self.take(name)?;
        match value.kind {
            ExprKind::Bool(b) => Some(b),
            _ => wrong(name, "True or False", value, diags),
        }
    }

    /// Two integers.
    pub(crate) fn range(&mut self, name: &str, diags: &mut Diagnostics) -> Option<((i64, i64), Span)> {
        let (value, _) = self.take(name)?;
        if let ExprKind::Tuple(items) = &value.kind
            && let [Expr { kind: ExprKind::Int(a), .. }, Expr { kind: ExprKind::Int(b), .. }] =
                items.as_slice()
        {
            return Some(((*a, *b), value.span));
        }
        wrong(name, "two integers, `(least, greatest)`", value, diags)
    }

    /// Reports what nobody took, where every known option was asked for.
    pub(crate) fn finish_all_known(self, what: &str, known: &[&str], diags: &mut Diagnostics) {
        for (name, span, _, taken) in self.list {
            if !taken {
                diags
                    .add(Code::UnknownOption, span, format!("{what} has no option `{name}`"))
                    .suggest(&name, known.iter().copied());
            }
        }
    }

    /// Reports what nobody took.
    pub(crate) fn finish(self, what: &str, known: &[&str], diags: &mut Diagnostics) {
        for (name, span, _, taken) in self.list {
            if taken {
                continue;
            }
            if known.contains(&name.as_str()) {
                diags.add(Code::OptionMisplaced, span, format!("option `{name}` does not go with {what}"));
            } else {
                diags
                    .add(Code::UnknownOption, span, format!("{what} has no option `{name}`"))
                    .suggest(&name, known.iter().copied());
            }
        }
    }
}

fn wrong<T>(name: &str, what: &str, value: &Expr, diags: &mut Diagnostics) -> Option<T> {
    if !matches!(value.kind, ExprKind::Error) {
        diags.add(Code::OptionValue, value.span, format!("`{name}` is {what}, not {}", value.describe()));
    }
    None
}
