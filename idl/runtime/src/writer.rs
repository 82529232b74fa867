//! The writer: layout and escapes of each dialect, and which fields are left out.

use crate::codec::Codec;
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::scan::plain_bytes;

/// Text so far.
#[derive(Clone, Debug)]
pub struct Writer {
    out: String,
    dialect: Dialect,
    depth: usize,
    /// Whether the container at hand has no member yet.
    first: bool,
    failed: Option<Error>,
    /// The field that is being written, for messages.
    field: &'static str,
}

/// Room for most documents.
const START: usize = 4096;

impl Writer {
    /// At the start of a document.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self { out: String::with_capacity(START), dialect, depth: 0, first: true, failed: None, field: "" }
    }

    /// The dialect that is written.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The document.
    ///
    /// # Errors
    /// The first value that the dialect cannot hold.
    pub fn finish(mut self) -> Result<String> {
        if let Some(e) = self.failed {
            return Err(e);
        }
        if matches!(self.dialect, Dialect::LibxlYajl | Dialect::Lossless) {
            self.out.push('\n');
        }
        Ok(self.out)
    }

    /// Remembers that a value cannot be written.
    pub fn fail(&mut self, problem: impl Into<String>) {
        if self.failed.is_none() {
            let e = Error::new(problem);
            self.failed = Some(if self.field.is_empty() { e } else { e.within(self.field) });
        }
    }

    fn indent(&mut self) {
        const SPACES: &str = "                                                                ";
        let mut width = match self.dialect {
            Dialect::LibxlYajl | Dialect::Lossless => 4 * self.depth,
            Dialect::LibxlJsonC => 2 * self.depth,
            Dialect::Contract => 0,
        };
        while width > 0 {
            let part = width.min(SPACES.len());
            self.out.push_str(SPACES.get(..part).unwrap_or_default());
            width -= part;
        }
    }

    /// Begins an object or an array.
    pub fn open(&mut self, bracket: char) {
        self.out.push(bracket);
        if matches!(self.dialect, Dialect::LibxlYajl | Dialect::Lossless) {
            self.out.push('\n');
        }
        self.depth += 1;
        self.first = true;
    }

    /// Ends an object or an array.
    pub fn close(&mut self, bracket: char) {
        self.depth -= 1;
        if self.dialect != Dialect::Contract {
            self.out.push('\n');
            self.indent();
        }
        self.out.push(bracket);
        self.first = false;
    }

    /// Goes to the next member of a container.
    pub fn member(&mut self) {
        let first = std::mem::replace(&mut self.first, false);
        if !first {
            self.out.push(',');
        }
        match self.dialect {
            Dialect::LibxlYajl | Dialect::Lossless if first => {}
            Dialect::Contract => {}
            _ => self.out.push('\n'),
        }
        self.indent();
    }

    /// Goes to the next member of an object.
    pub fn key(&mut self, key: &str) {
        self.member();
        self.string(key);
        self.out.push_str(match self.dialect {
            Dialect::LibxlYajl | Dialect::Lossless => ": ",
            Dialect::LibxlJsonC | Dialect::Contract => ":",
        });
    }

    /// Text as it is: a number, `true`, `null`.
    pub fn raw(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// A string, with the dialect's escapes.
    pub fn string(&mut self, text: &str) {
        let jsonc = self.dialect == Dialect::LibxlJsonC;
        self.out.push('"');
        let mut rest = text;
        loop {
            // json-c escapes `/` too.
            let mut len = plain_bytes(rest.as_bytes(), b'"', b'\\', true);
            if jsonc {
                let plain = rest.as_bytes().get(..len).unwrap_or_default();
                len = plain.iter().position(|b| *b == b'/').unwrap_or(len);
            }
            let Some((plain, after)) = rest.split_at_checked(len) else { break };
            self.out.push_str(plain);
            let Some(b) = after.bytes().next() else { break };
            self.escape(b);
            rest = after.get(1..).unwrap_or_default();
        }
        self.out.push('"');
    }

    fn escape(&mut self, b: u8) {
        let short = match b {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'/' => "\\/",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            8 => "\\b",
            12 => "\\f",
            _ => "",
        };
        if !short.is_empty() {
            self.out.push_str(short);
            return;
        }
        self.out.push_str("\\u00");
        let upper = matches!(self.dialect, Dialect::LibxlYajl | Dialect::Lossless);
        for nibble in [b >> 4, b & 15] {
            let digit = char::from_digit(u32::from(nibble), 16).unwrap_or('0');
            self.out.push(if upper { digit.to_ascii_uppercase() } else { digit });
        }
    }

    /// A byte as two hexadecimal digits in lower case.
    pub(crate) fn hex(&mut self, b: u8) {
        for nibble in [b >> 4, b & 15] {
            self.out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }

    /// An integer, as libxl's generators print it.
    pub fn integer(&mut self, value: i128) {
        let mut digits = [0u8; 40];
        let mut at = digits.len();
        let mut rest = value.unsigned_abs();
        loop {
            at -= 1;
            if let (Some(d), Ok(digit)) = (digits.get_mut(at), u8::try_from(rest % 10)) {
                *d = b'0' + digit;
            }
            rest /= 10;
            if rest == 0 || at == 0 {
                break;
            }
        }
        if value < 0 {
            self.out.push('-');
        }
        self.out.push_str(digits.get(at..).and_then(|d| core::str::from_utf8(d).ok()).unwrap_or_default());
    }

    /// A field that begins as nothing: left out while it is that.
    #[inline]
    pub fn field<C: Codec>(&mut self, key: &'static str, value: &C::T) {
        let left_out =
            if self.dialect == Dialect::Contract { C::is_absent(value) } else { C::is_zero(value) };
        if !left_out {
            self.value::<C>(key, value);
        }
    }

    /// A field that begins as something else: left out while it is that.
    #[inline]
    pub fn field_from<C: Codec>(&mut self, key: &'static str, value: &C::T, initial: &C::T) {
        if !C::same(value, initial) {
            self.value::<C>(key, value);
        }
    }

    /// A field that is always there, or an arm of a union.
    pub fn value<C: Codec>(&mut self, key: &'static str, value: &C::T) {
        let outer = std::mem::replace(&mut self.field, key);
        self.key(key);
        C::write(self, value);
        self.field = outer;
    }

    /// A union whose key stands for no arm: libxl writes nothing, and forgets the key.
    pub fn no_arm<C: Codec>(&mut self, keyvar: &'static str, value: &C::T, initial: &C::T) {
        match self.dialect {
            Dialect::LibxlYajl | Dialect::LibxlJsonC => {}
            Dialect::Contract | Dialect::Lossless => self.field_from::<C>(keyvar, value, initial),
        }
    }
}
