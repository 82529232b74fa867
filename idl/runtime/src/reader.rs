//! The reader: a place in the text, and what may stand there. Values are pulled from it; nothing is kept.

use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::object::Object;
use crate::scan::{Scan, Token, plain_bytes};
use std::borrow::Cow;

/// What a JSON value is, as libxl tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{..}`
    Object,
    /// `[..]`
    Array,
    /// `".."`
    String,
    /// `true`, `false`
    Bool,
    /// `null`
    Null,
    /// An integer.
    Integer,
    /// A number with a fraction.
    Double,
    /// A number that the dialect has no room for.
    Big,
}

impl Kind {
    /// Every kind.
    pub const ANY: u8 = 0xff;

    /// Its bit in a set of kinds.
    #[must_use]
    pub const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// What it is, for messages.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Kind::Object => "an object",
            Kind::Array => "an array",
            Kind::String => "a string",
            Kind::Bool => "a truth value",
            Kind::Null => "null",
            Kind::Integer => "an integer",
            Kind::Double => "a number with a fraction or exponent",
            Kind::Big => "a number that is too large",
        }
    }
}

/// A set of kinds, for messages.
pub(crate) fn describe_kinds(kinds: u8) -> String {
    const ALL: [Kind; 8] = [
        Kind::Object,
        Kind::Array,
        Kind::String,
        Kind::Bool,
        Kind::Null,
        Kind::Integer,
        Kind::Double,
        Kind::Big,
    ];
    let names: Vec<&str> = ALL.iter().filter(|k| kinds & k.bit() != 0).map(|k| k.describe()).collect();
    names.join(" or ")
}

/// A place in a document.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    scan: Scan<'a>,
    /// Containers around the place.
    depth: usize,
    /// The scalar at the place, once it was looked at.
    token: Option<Token>,
    /// Whether what json-c leaves in errno was looked up.
    errno_known: bool,
    /// Bytes of memory that values may still take.
    budget: usize,
}

/// Memory that any document may take, and how much more for each of its bytes.
const BUDGET: usize = 1 << 20;
const BUDGET_PER_BYTE: usize = 64;

/// A place to come back to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// At the start of a document.
    #[must_use]
    pub fn new(text: &'a [u8], dialect: Dialect) -> Self {
        // libxl is given a string of C.
        let end = if dialect.ends_at_nul() { plain_bytes(text, 0, 0, false) } else { text.len() };
        let text = text.get(..end).unwrap_or(text);
        let utf8 = core::str::from_utf8(text).ok();
        let scan = Scan { text, utf8, at: 0, dialect, overflowed: false, errno_left: false };
        let budget = BUDGET.saturating_add(text.len().saturating_mul(BUDGET_PER_BYTE));
        Self { scan, depth: 0, token: None, errno_known: false, budget }
    }

    /// The dialect that is read.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.scan.dialect
    }

    /// Checks what follows the document's value.
    ///
    /// # Errors
    /// Something follows that the dialect does not allow there.
    pub fn finish(mut self) -> Result<()> {
        if self.dialect() == Dialect::LibxlYajl {
            return Ok(()); // libxl sets yajl_allow_trailing_garbage
        }
        self.scan.space()?;
        if self.dialect() != Dialect::LibxlJsonC && self.scan.peek().is_some() {
            return Err(self.scan.unexpected("the end of the text"));
        }
        Ok(())
    }

    /// What stands at the place.
    ///
    /// # Errors
    /// Nothing that is JSON, or something that nests too deep.
    pub fn kind(&mut self) -> Result<Kind> {
        if let Some(token) = self.token {
            return Ok(token.kind);
        }
        self.scan.space()?;
        if self.depth > self.dialect().depth_max() {
            return Err(Error::syntax("it nests too deep", self.scan.at));
        }
        match self.scan.peek() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b'\'') if self.dialect().is_loose() => Ok(Kind::String),
            Some(first) => {
                let mut token = self.scan.scalar(first)?;
                if token.is_extreme() && self.dialect().is_loose() && !self.errno_known {
                    self.look_up_errno();
                    token = self.scan.scalar(first)?;
                }
                if token.kind == Kind::Null && self.depth == 0 && self.dialect().is_loose() {
                    return Err(Error::syntax("json-c takes null for no document", token.start));
                }
                self.token = Some(token);
                Ok(token.kind)
            }
            None => Err(self.scan.unexpected("a value")),
        }
    }

    /// Takes memory for an element: libxl makes a whole struct of a `0` in an array.
    ///
    /// # Errors
    /// The document takes more than its size allows.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<()> {
        match self.budget.checked_sub(bytes) {
            Some(rest) => {
                self.budget = rest;
                Ok(())
            }
            None => Err(Error::new("more elements than a document of this size may hold")),
        }
    }

    /// Reads the document to its end, once, for the one number that depends on it.
    fn look_up_errno(&mut self) {
        self.errno_known = true;
        let mut whole = Reader::new(self.scan.text, self.dialect());
        whole.errno_known = true;
        // Malformed text is found again where it stands.
        if whole.skip().is_ok() {
            self.scan.overflowed |= whole.scan.errno_left;
        }
    }

    /// The error for a value of another kind.
    pub(crate) fn wrong_kind(&mut self, kinds: u8) -> Error {
        match self.kind() {
            Ok(found) => Error::new(format!("{} where {} belongs", found.describe(), describe_kinds(kinds))),
            Err(e) => e,
        }
    }

    fn scalar(&mut self, kind: Kind) -> Result<Token> {
        self.kind()?;
        match self.token {
            Some(token) if token.kind == kind => {
                self.token = None;
                self.scan.at = token.end;
                Ok(token)
            }
            _ => Err(self.wrong_kind(kind.bit())),
        }
    }

    /// Takes an integer.
    ///
    /// # Errors
    /// Something else stands there.
    pub fn integer(&mut self) -> Result<i128> {
        self.scalar(Kind::Integer).map(|t| t.integer)
    }

    /// Takes a truth value.
    ///
    /// # Errors
    /// Something else stands there.
    pub fn boolean(&mut self) -> Result<bool> {
        self.scalar(Kind::Bool).map(|t| t.truth)
    }

    /// Takes null.
    ///
    /// # Errors
    /// Something else stands there.
    pub fn null(&mut self) -> Result<()> {
        self.scalar(Kind::Null).map(|_| ())
    }

    /// Takes a string.
    ///
    /// # Errors
    /// Something else stands there, or a malformed string.
    pub fn string(&mut self) -> Result<Cow<'a, str>> {
        // Mostly its kind was looked at already. Types nest less than any dialect allows.
        if self.token.is_none() && self.scan.peek() == Some(b'"') {
            return self.scan.string();
        }
        match self.kind()? {
            Kind::String => self.scan.string(),
            _ => Err(self.wrong_kind(Kind::String.bit())),
        }
    }

    /// Goes into an object. `None`: libxl takes what stands there for an empty one, and it was skipped.
    ///
    /// # Errors
    /// Malformed text, or something else in a dialect that does not do so.
    pub fn object(&mut self, keys: &'static [&'static str]) -> Result<Option<Object>> {
        let known = self.token.is_none() && self.scan.peek() == Some(b'{');
        if !known && self.kind()? != Kind::Object {
            if self.dialect().drops_wrong_types() {
                self.skip()?;
                return Ok(None);
            }
            return Err(self.wrong_kind(Kind::Object.bit()));
        }
        self.open();
        Ok(Some(Object::new(keys)))
    }

    /// Reads an array, element by element; false when something else stands there, which is not taken.
    ///
    /// # Errors
    /// Malformed text, and what the function says, with the element's place.
    pub fn array(&mut self, mut element: impl FnMut(&mut Self, usize) -> Result<()>) -> Result<bool> {
        if self.kind()? != Kind::Array {
            return Ok(false);
        }
        self.open();
        let mut index = 0;
        while self.next_member(index == 0, b']')? {
            element(self, index).map_err(|e| e.within_index(index))?;
            index += 1;
        }
        Ok(true)
    }

    /// Skips a value, which may nest as deep as the dialect allows.
    ///
    /// # Errors
    /// Malformed text.
    pub fn skip(&mut self) -> Result<()> {
        // True for an object. Not the stack of this thread: the text is untrusted.
        let mut around: Vec<bool> = Vec::new();
        loop {
            let mut first = false;
            match self.kind()? {
                kind @ (Kind::Object | Kind::Array) => {
                    self.open();
                    around.push(kind == Kind::Object);
                    first = true;
                }
                Kind::String => _ = self.scan.string()?,
                _ => {
                    if let Some(token) = self.token.take() {
                        self.scan.at = token.end;
                    }
                }
            }
            loop {
                let Some(&object) = around.last() else { return Ok(()) };
                if self.next_member(first, if object { b'}' } else { b']' })? {
                    if object {
                        self.key()?;
                    }
                    break;
                }
                around.pop();
                first = false;
            }
        }
    }

    fn open(&mut self) {
        self.scan.at += 1;
        self.depth += 1;
    }

    /// Goes to the next member of a container; false at its end, which is taken.
    #[inline]
    pub(crate) fn next_member(&mut self, first: bool, close: u8) -> Result<bool> {
        self.scan.space()?;
        if !first && self.scan.peek() == Some(b',') {
            self.scan.at += 1;
            self.scan.space()?;
            if self.scan.peek() != Some(close) || !self.dialect().is_loose() {
                return Ok(true);
            }
        } else if first && self.scan.peek() != Some(close) {
            return Ok(true);
        }
        if self.scan.peek() == Some(close) {
            self.scan.at += 1;
            self.depth -= 1;
            return Ok(false);
        }
        let close = close as char;
        Err(self.scan.unexpected(&format!("`,` or `{close}`")))
    }

    /// A key and its colon, when it is plain text; `None` for any other, which is not taken.
    #[inline]
    pub(crate) fn plain_key(&mut self) -> Result<Option<&'a [u8]>> {
        let Some((b'"', rest)) = self.scan.rest().split_first() else { return Ok(None) };
        let len = plain_bytes(rest, b'"', b'\\', true);
        let Some((key, [b'"', ..])) = rest.split_at_checked(len) else { return Ok(None) };
        // What no field is called is looked at in full.
        let before = self.scan.at;
        self.scan.at += len + 2;
        self.scan.space()?;
        if self.scan.peek() != Some(b':') {
            self.scan.at = before;
            return Ok(None);
        }
        self.scan.at += 1;
        Ok(Some(key))
    }

    /// A key and its colon.
    pub(crate) fn key(&mut self) -> Result<Cow<'a, str>> {
        self.scan.space()?;
        let key = match self.scan.peek() {
            Some(b'"') => self.scan.string()?,
            Some(b'\'') if self.dialect().is_loose() => self.scan.string()?,
            _ => return Err(self.scan.unexpected("a key")),
        };
        self.scan.space()?;
        if self.scan.peek() != Some(b':') {
            return Err(self.scan.unexpected("`:` after a key"));
        }
        self.scan.at += 1;
        Ok(key)
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { at: self.scan.at, depth: self.depth }
    }

    /// Back to a place in the same container.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.scan.at = mark.at;
        self.depth = mark.depth;
        self.token = None;
    }
}
