//! Renaming: what to write where.

use super::{Form, Index, Kind};
use crate::diag::Span;

impl Index<'_> {
    /// The edits that give the symbol at a byte of a file another name: everywhere, in the unit. A variable is called like
    /// its type, so that both change; where only the one has the namespace, it keeps it.
    ///
    /// # Errors
    /// Why not, in words for the user.
    pub fn rename(&self, file: usize, offset: usize, name: &str) -> Result<Vec<(Span, String)>, String> {
        let Some((at, here)) = self.find(file, offset) else {
            return Err("nothing here has a name of its own".to_owned());
        };
        let Some(symbol) = self.symbols.get(at) else { return Ok(Vec::new()) };
        let letters = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let digit = name.starts_with(|c: char| c.is_ascii_digit()) && symbol.kind != Kind::Value;
        if name.is_empty() || !letters || digit {
            return Err(format!("`{name}` is no name: letters, digits and `_`, and no digit first"));
        }
        let constant = self.references.iter().find(|r| r.symbol == at && r.span == here).map(|r| &r.form);
        if matches!(constant, Some(Form::Constant(_))) {
            return Err("rename the value itself: this is what C calls it".to_owned());
        }
        // The user wrote either the variable's name or the type's, which can lack the namespace.
        let (variable, type_name) = match &symbol.type_name {
            Some((old, span)) => match symbol.name.strip_suffix(old.as_str()) {
                Some(namespace) if *span == here => (format!("{namespace}{name}"), name.to_owned()),
                Some(namespace) => {
                    let inner = name.strip_prefix(namespace);
                    (name.to_owned(), inner.unwrap_or(name).to_owned())
                }
                // The two differ: only the one that is renamed changes.
                None if *span == here => (symbol.name.clone(), name.to_owned()),
                None => (name.to_owned(), old.clone()),
            },
            None => (name.to_owned(), String::new()),
        };
        let constants = self.constants(symbol, &type_name);
        let taken = |s: &super::Symbol| {
            s.kind == symbol.kind
                && s.within == symbol.within
                && s.name.eq_ignore_ascii_case(&variable)
                && s.span != symbol.span
        };
        if let Some(other) = self.symbols.iter().find(|s| taken(s)) {
            let (line, _) =
                self.sources.get(other.span.file).map_or((0, 0), |s| s.line_col(other.span.start));
            return Err(format!("`{variable}` is there already, in line {line}"));
        }
        let mut edits = vec![(symbol.span, variable.clone())];
        if let Some((_, span)) = &symbol.type_name {
            edits.push((*span, type_name));
        }
        for reference in self.references.iter().filter(|r| r.symbol == at) {
            let text = match &reference.form {
                Form::Plain => self.in_case_of(reference.span, &symbol.name, &variable),
                Form::Constant(prefix) => format!("{prefix}{}", variable.to_uppercase()),
            };
            edits.push((reference.span, text));
        }
        edits.extend(constants);
        edits.sort();
        Ok(edits)
    }

    /// An enumeration's name is part of what C calls its values.
    fn constants(&self, symbol: &super::Symbol, type_name: &str) -> Vec<(Span, String)> {
        let mut edits = Vec::new();
        let Some((old, _)) = &symbol.type_name else { return edits };
        let (old, new) = (format!("{}_", old.to_uppercase()), format!("{}_", type_name.to_uppercase()));
        for reference in &self.references {
            let Some(value) = self.symbols.get(reference.symbol) else { continue };
            if let Form::Constant(prefix) = &reference.form
                && value.within == symbol.name
                && let Some(namespace) = prefix.strip_suffix(old.as_str())
            {
                edits.push((reference.span, format!("{namespace}{new}{}", value.name.to_uppercase())));
            }
        }
        edits
    }

    /// An arm can be in capitals where the value is not.
    fn in_case_of(&self, span: Span, old: &str, new: &str) -> String {
        let written = self.text(span);
        if written == old {
            new.to_owned()
        } else if written == old.to_lowercase() {
            new.to_lowercase()
        } else if written == old.to_uppercase() {
            new.to_uppercase()
        } else {
            new.to_owned()
        }
    }
}
