//! Errors: what is wrong, with the path to it.

use core::fmt;
use std::borrow::Cow;

/// The result of reading or writing.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// Longest part of a document that a message shows, in bytes.
const SHOWN_MAX: usize = 40;

/// A document that cannot be read, or a value that cannot be written.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    /// Innermost first.
    path: Vec<Part>,
    problem: String,
    offset: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Key(Cow<'static, str>),
    Index(usize),
}

impl Error {
    /// A problem with the value at hand.
    #[must_use]
    pub fn new(problem: impl Into<String>) -> Self {
        Self(Box::new(Inner { path: Vec::new(), problem: problem.into(), offset: None }))
    }

    /// A text that is not JSON of its dialect.
    pub(crate) fn syntax(problem: impl Into<String>, offset: usize) -> Self {
        Self(Box::new(Inner { path: Vec::new(), problem: problem.into(), offset: Some(offset) }))
    }

    /// Within the value of a key.
    #[must_use]
    pub fn within(mut self, key: impl Into<Cow<'static, str>>) -> Self {
        self.0.path.push(Part::Key(key.into()));
        self
    }

    /// Within an element of an array.
    #[must_use]
    pub fn within_index(mut self, index: usize) -> Self {
        self.0.path.push(Part::Index(index));
        self
    }

    /// Where in the text, in bytes, when it is the text that is malformed.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        self.0.offset
    }

    /// The path to it: `disks[1].format`; empty for the document itself.
    #[must_use]
    pub fn path(&self) -> String {
        let mut out = String::new();
        for part in self.0.path.iter().rev() {
            match part {
                Part::Key(key) if out.is_empty() => out.push_str(key),
                Part::Key(key) => {
                    out.push('.');
                    out.push_str(key);
                }
                Part::Index(i) => out.push_str(&format!("[{i}]")),
            }
        }
        out
    }

    /// What is wrong, without the path.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.0.problem
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        f.write_str(&self.0.problem)?;
        match self.0.offset {
            Some(at) => write!(f, " (at byte {at})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl core::error::Error for Error {}

/// Text as a message shows it: quoted, escaped, cut.
pub(crate) fn shown(text: &str) -> String {
    let mut end = text.len().min(SHOWN_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let cut = text.get(..end).unwrap_or("");
    format!("\"{}{}\"", cut.escape_debug(), if end < text.len() { ".." } else { "" })
}

/// `; did you mean "qcow2"?` when a name is near enough to be meant.
pub(crate) fn suggestion<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    if word.len() > 64 {
        return String::new();
    }
    let word = word.to_lowercase();
    let limit = (word.chars().count() / 3).clamp(1, 3);
    names
        .into_iter()
        .map(|n| (distance(&word, &n.to_lowercase()), n))
        .filter(|(d, _)| *d <= limit)
        .min_by_key(|(d, _)| *d)
        .map(|(_, n)| format!("; did you mean \"{n}\"?"))
        .unwrap_or_default()
}

/// Edits (insert, delete, replace, swap of neighbours) between two words.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let at = |row: &[usize], k: usize| row.get(k).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let mut best = (at(&last, j) + usize::from(ca != cb)).min(at(&last, j + 1) + 1);
            best = best.min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(cb) && b.get(j - 1) == Some(ca);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}
