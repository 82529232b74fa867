//! What each name in the files is: for an editor's hover, "go to definition", "find references" and rename. Made from the
//! syntax tree, so that it works while the files still have errors.
//!
//! ```text
//! syntax trees -> collect: symbols (types, fields, values), then references to them -> Index -> hover, edits
//! ```

mod collect;
mod edits;
mod hover;

use crate::ast::File;
use crate::diag::{Diagnostics, Source, Span};
use crate::parse::parse;

/// What a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A variable that stands for a type, or for a literal.
    Variable,
    /// A field of a struct.
    Field,
    /// A value of an enumeration.
    Value,
}

/// Something with a name.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The variable that it is within, by its name; of a field in a struct without a name the outer fields too.
    pub within: String,
    /// Its name, where it is defined; quotes left out.
    pub span: Span,
    /// Its whole definition.
    pub whole: Span,
    /// The comment above.
    pub doc: String,
    /// The type's name in quotes, of a variable.
    type_name: Option<(String, Span)>,
    /// What calls it in C, of a value: `LIBXL_DISK_FORMAT_RAW`.
    constant: String,
}

/// How a reference is written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// As the symbol.
    Plain,
    /// As its constant in C; this is what stands before the name.
    Constant(String),
}

/// A place that names a symbol, other than where it is defined.
#[derive(Clone, Debug)]
struct Reference {
    span: Span,
    symbol: usize,
    form: Form,
}

/// All names of a unit.
pub struct Index<'a> {
    sources: &'a [Source],
    files: Vec<File>,
    /// The symbols, in order of place.
    pub symbols: Vec<Symbol>,
    references: Vec<Reference>,
}

impl<'a> Index<'a> {
    /// Reads the files. What is wrong with them is not told.
    #[must_use]
    pub fn new(sources: &'a [Source]) -> Self {
        let mut quiet = Diagnostics::default();
        let files = sources.iter().enumerate().map(|(i, s)| parse(i, s, &mut quiet)).collect();
        let mut index = Self { sources, files, symbols: Vec::new(), references: Vec::new() };
        collect::collect(&mut index);
        index
    }

    /// The symbol that is named at a byte of a file, and the span of that name.
    #[must_use]
    pub fn at(&self, file: usize, offset: usize) -> Option<(&Symbol, Span)> {
        let (symbol, span) = self.find(file, offset)?;
        Some((self.symbols.get(symbol)?, span))
    }

    /// All places that name the symbol at a byte of a file, its definition first.
    #[must_use]
    pub fn places(&self, file: usize, offset: usize) -> Vec<Span> {
        let Some((symbol, _)) = self.find(file, offset) else { return Vec::new() };
        let definition = self.symbols.get(symbol).map(|s| s.span);
        let uses = self.references.iter().filter(|r| r.symbol == symbol).map(|r| r.span);
        definition.into_iter().chain(uses).collect()
    }

    fn find(&self, file: usize, offset: usize) -> Option<(usize, Span)> {
        let here = |s: &Span| s.file == file && s.start <= offset && offset <= s.end;
        let used = self.references.iter().find(|r| here(&r.span)).map(|r| (r.symbol, r.span));
        used.or_else(|| {
            let defined = self.symbols.iter().position(|s| here(&s.span));
            let named =
                || self.symbols.iter().position(|s| s.type_name.as_ref().is_some_and(|(_, s)| here(s)));
            let symbol = defined.or_else(named)?;
            let found = self.symbols.get(symbol)?;
            let span = if here(&found.span) { found.span } else { found.type_name.as_ref()?.1 };
            Some((symbol, span))
        })
    }

    fn text(&self, span: Span) -> &'a str {
        self.sources.get(span.file).and_then(|s| s.text.get(span.start..span.end)).unwrap_or_default()
    }
}
