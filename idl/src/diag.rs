//! Diagnostics: what is wrong, where, and how to mend it.

use std::fmt::Write as _;

/// A source file: its name as shown in messages, and its text.
#[derive(Clone, Debug)]
pub struct Source {
    /// Name as shown to people.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// Where each line begins.
    starts: Vec<usize>,
}

impl Source {
    /// Makes a source.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name: name.into(), text, starts }
    }

    /// Line (from 1) and column (from 1, in characters) of a byte offset.
    #[must_use]
    pub fn line_col(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|l| self.starts.get(l)).copied().unwrap_or(0);
        (line, self.text.get(start..offset).unwrap_or("").chars().count() + 1)
    }

    fn line(&self, line: usize) -> &str {
        self.text.lines().nth(line.saturating_sub(1)).unwrap_or("")
    }
}

/// A range of bytes in one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Which source.
    pub file: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The span from the start of this one to the end of the other.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        Span { end: other.end.max(self.end), ..self }
    }
}

macro_rules! codes {
    ($($name:ident = $text:literal, $rule:literal;)*) => {
        /// The rule that is broken. The numbers are permanent.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $rule] $name,)* }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code as shown: `E001`.
            #[must_use]
            pub fn as_str(self) -> &'static str { match self { $(Code::$name => $text,)* } }

            /// The rule in one sentence.
            #[must_use]
            pub fn rule(self) -> &'static str { match self { $(Code::$name => $rule,)* } }
        }
    };
}

codes! {
    Character = "E001", "A character that the language does not have.";
    UnterminatedString = "E002", "A string does not end on its line.";
    Escape = "E003", "A backslash in a string begins an escape that the language does not have.";
    Integer = "E004", "An integer is malformed or too large.";
    Expected = "E010", "The text does not go on as the grammar asks.";
    Unclosed = "E011", "A bracket is not closed, or is closed by another kind.";
    PositionalAfterKeyword = "E012", "A positional argument follows a keyword argument.";
    NotLiteral = "E013", "Python that the language does not have: statements, operators, imports.";
    UnknownName = "E020", "A name is not defined.";
    DefinedTwice = "E021", "A name is defined twice.";
    NameMismatch = "E022", "A variable's name is not that of its type.";
    BadName = "E023", "A name is not lower-case words joined by underscores.";
    UsedBefore = "E024", "In profile `libxl` a name is defined before it is used.";
    Builtin = "E025", "No such builtin type.";
    UnknownConstructor = "E030", "No such constructor.";
    Argument = "E031", "An argument is missing, of the wrong kind, or one too many.";
    UnknownOption = "E032", "No such option.";
    OptionTwice = "E033", "An option is given twice.";
    OptionMisplaced = "E034", "An option does not go with this type, or with another option.";
    OptionValue = "E035", "An option's value is of the wrong kind or out of range.";
    DuplicateField = "E040", "Two fields of a struct have one name.";
    DuplicateValue = "E041", "Two values of an enumeration have one name or one number.";
    UnknownArm = "E042", "An arm of a union is not a value of its enumeration.";
    DuplicateArm = "E043", "Two arms of a union have one name.";
    KeyTaken = "E044", "A union's key collides with a field.";
    MissingArm = "E045", "A value of the enumeration has no arm.";
    Empty = "E046", "An enumeration or union without members.";
    Undocumented = "E050", "In profile `contract` everything is documented by a comment directly above it.";
    OpenInStrict = "E060", "A strict (DIR_IN) type contains an open one.";
    StrictInOpen = "E061", "An open (DIR_OUT, DIR_BOTH) type contains a strict one.";
    Recursive = "E062", "A type contains itself.";
    TooDeep = "E063", "A type nests deeper than a document may.";
    Pattern = "E070", "A pattern is malformed or ambiguous.";
    Default = "E071", "A default is not a value of its field.";
    Contradiction = "E072", "Limits that no value can meet.";
    Constant = "E073", "An `init_val` is not a constant expression of C, or not a value of its type.";
    Unbounded = "E080", "A type bound to a xenstore path holds something without a maximum.";
    TooLarge = "E081", "A type bound to a xenstore path could exceed 2048 bytes.";
    XenstorePath = "E082", "A xenstore path or its access is malformed, or bound twice.";
    Collision = "E090", "Two names become one in a generated language.";
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Which rule.
    pub code: Code,
    /// Where.
    pub span: Span,
    /// What happened.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// Further lines, such as the breakdown of a size.
    pub notes: Vec<String>,
}

/// The diagnostics of a run.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds one; further detail goes onto what is returned.
    pub fn add(&mut self, code: Code, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        let at = self.list.len();
        self.list.push(Diagnostic { code, span, message: message.into(), help: None, notes: Vec::new() });
        #[expect(clippy::indexing_slicing, reason = "pushed in the line above")]
        &mut self.list[at]
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// `Ok` when nothing is wrong, else the diagnostics in order of place.
    ///
    /// # Errors
    /// The diagnostics themselves.
    pub fn finish(mut self) -> Result<(), Diagnostics> {
        if self.list.is_empty() {
            return Ok(());
        }
        self.list.sort_by_key(|d| (d.span, d.code));
        Err(self)
    }

    /// Drops those of one rule.
    pub(crate) fn forgive(&mut self, code: Code) {
        self.list.retain(|d| d.code != code);
    }

    /// Drops what only follows from a malformed line: of those that begin on one line, only the first that is
    /// about its form, when there is one.
    pub fn settle(&mut self, sources: &[Source]) {
        self.list.sort_by_key(|d| (d.span, d.code));
        let line = |d: &Diagnostic| {
            let source = sources.get(d.span.file);
            (d.span.file, source.map_or(0, |s| s.line_col(d.span.start).0))
        };
        let mut malformed: Vec<(usize, usize)> = Vec::new();
        let mut keep = Vec::new();
        for d in self.list.iter().filter(|d| d.code < Code::UnknownName) {
            let first = !malformed.contains(&line(d));
            // An open bracket is told of where it stands, whatever else is on that line; so are each bad escape and the
            // string that swallowed what would have closed it.
            keep.push(first || matches!(d.code, Code::Unclosed | Code::Escape | Code::UnterminatedString));
            malformed.push(line(d));
        }
        let mut keep = keep.into_iter();
        self.list.retain(|d| {
            if d.code < Code::UnknownName { keep.next() == Some(true) } else { !malformed.contains(&line(d)) }
        });
    }

    /// As text for people: place, source line, caret, help.
    #[must_use]
    pub fn render(&self, sources: &[Source]) -> String {
        let mut out = String::new();
        for d in &self.list {
            d.render(sources, &mut out);
            out.push('\n');
        }
        let n = self.list.len();
        let _ = writeln!(out, "{n} error{}", if n == 1 { "" } else { "s" });
        out
    }
}

impl Diagnostic {
    /// Adds how to mend it.
    pub fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.help = Some(text.into());
        self
    }

    /// Adds a further line.
    pub fn note(&mut self, text: impl Into<String>) -> &mut Self {
        self.notes.push(text.into());
        self
    }

    /// Adds the nearest of the names, or all of them when none is near.
    pub fn suggest<'a>(&mut self, word: &str, names: impl IntoIterator<Item = &'a str>) -> &mut Self {
        let names: Vec<&str> = names.into_iter().collect();
        self.help = match nearest(word, names.iter().copied()) {
            Some(n) => Some(format!("did you mean `{n}`?")),
            None if names.is_empty() => None,
            None if names.len() <= 12 => Some(format!("it can be: {}", names.join(", "))),
            None => None,
        };
        self
    }

    /// As text for people.
    #[must_use]
    pub fn show(&self, sources: &[Source]) -> String {
        let mut out = String::new();
        self.render(sources, &mut out);
        out
    }

    fn render(&self, sources: &[Source], out: &mut String) {
        let _ = writeln!(out, "error[{}]: {}", self.code.as_str(), self.message);
        excerpt(self.span, sources, out);
        for note in &self.notes {
            let _ = writeln!(out, "  = {note}");
        }
        if let Some(help) = &self.help {
            let _ = writeln!(out, "  = help: {help}");
        }
    }
}

/// A place with its line and a caret below.
pub(crate) fn excerpt(span: Span, sources: &[Source], out: &mut String) {
    if let Some(source) = sources.get(span.file) {
        let (line, col) = source.line_col(span.start);
        let (end_line, end_col) = source.line_col(span.end);
        let text = source.line(line);
        let width = if end_line == line {
            end_col.saturating_sub(col).max(1)
        } else {
            (text.chars().count() + 1).saturating_sub(col).max(1)
        };
        let margin = " ".repeat(line.to_string().len());
        let pad: String = text.chars().take(col - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let _ = writeln!(out, "{margin}--> {}:{line}:{col}", source.name);
        let _ = writeln!(out, "{margin} |");
        let _ = writeln!(out, "{line} | {text}");
        let _ = writeln!(out, "{margin} | {pad}{}", "^".repeat(width));
    }
}

/// The name nearest to a word, when one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    names
        .into_iter()
        .map(|n| (distance(&word.to_lowercase(), &n.to_lowercase()), n))
        .filter(|(d, _)| *d <= limit)
        .min_by_key(|(d, _)| *d)
        .map(|(_, n)| n)
}

/// Edits (insert, delete, replace, swap of neighbours) between two words.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let at = |v: &[usize], k: usize| v.get(k).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&last, j) + usize::from(ca != cb)).min(at(&last, j + 1) + 1);
            best = best.min(at(&row, j) + 1);
            if i > 0 && j > 0 && a.get(i - 1) == Some(cb) && b.get(j - 1) == Some(ca) {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}
