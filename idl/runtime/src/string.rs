//! Strings: their escapes, and what each dialect makes of broken ones.

use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::scan::{Scan, plain_bytes};
use std::borrow::Cow;

/// What stands for half of a surrogate pair in json-c.
const REPLACEMENT: &str = "\u{fffd}";

impl<'a> Scan<'a> {
    /// The string at the place, which is at its opening quote.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>> {
        let quote = self.peek().unwrap_or(b'"');
        self.at += 1;
        let start = self.at;
        let len = self.plain(quote);
        self.at += len;
        let whole = self.text.get(start..self.at).unwrap_or(&[]);
        if self.peek() == Some(quote) {
            let text = match self.utf8.and_then(|t| t.get(start..self.at)) {
                Some(text) => text,
                None => utf8(whole, start)?,
            };
            self.at += 1;
            return Ok(Cow::Borrowed(text));
        }
        let mut out = whole.to_vec();
        loop {
            match self.peek() {
                Some(b'\\') => self.escape(&mut out)?,
                Some(b) if b == quote => break,
                None => return Err(Error::syntax("a string without an end", start - 1)),
                Some(_) => return Err(Error::syntax("a control character in a string", self.at)),
            }
            let from = self.at;
            self.at += self.plain(quote);
            out.extend_from_slice(self.text.get(from..self.at).unwrap_or(&[]));
        }
        self.at += 1;
        let mut text = String::from_utf8(out).map_err(|_| not_utf8(start))?;
        if self.dialect.ends_at_nul()
            && let Some(nul) = text.find('\0')
        {
            text.truncate(nul);
        }
        Ok(Cow::Owned(text))
    }

    /// How many bytes follow that stand for themselves.
    fn plain(&self, quote: u8) -> usize {
        plain_bytes(self.rest(), quote, b'\\', !self.dialect.is_loose())
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let start = self.at;
        let simple = match self.text.get(self.at + 1) {
            Some(c @ (b'"' | b'\\' | b'/')) => *c,
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'u') => {
                self.at += 2;
                return self.unicode(out, start);
            }
            _ => return Err(Error::syntax("an escape that JSON does not have", start)),
        };
        out.push(simple);
        self.at += 2;
        Ok(())
    }

    fn unicode(&mut self, out: &mut Vec<u8>, start: usize) -> Result<()> {
        let unit = self.hex(start)?;
        if (0xd800..0xdc00).contains(&unit) {
            return self.high_surrogate(unit, out, start);
        }
        match char::from_u32(unit) {
            Some(c) => push(out, c),
            None if self.dialect.is_loose() => out.extend_from_slice(REPLACEMENT.as_bytes()),
            None => return Err(half(start)),
        }
        Ok(())
    }

    fn high_surrogate(&mut self, high: u32, out: &mut Vec<u8>, start: usize) -> Result<()> {
        let pair = |low: u32| char::from_u32(0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff));
        let followed = self.rest().starts_with(b"\\u");
        if !followed {
            match self.dialect {
                Dialect::LibxlJsonC => out.extend_from_slice(REPLACEMENT.as_bytes()),
                Dialect::LibxlYajl => out.push(b'?'),
                Dialect::Contract | Dialect::Lossless => return Err(half(start)),
            }
            return Ok(());
        }
        let before = self.at;
        self.at += 2;
        let low = self.hex(before)?;
        let is_low = (0xdc00..0xe000).contains(&low);
        match (pair(low), self.dialect) {
            // yajl takes the low ten bits of whatever follows.
            (Some(c), _) if is_low || self.dialect == Dialect::LibxlYajl => push(out, c),
            (_, Dialect::LibxlJsonC) => {
                out.extend_from_slice(REPLACEMENT.as_bytes());
                self.at = before;
            }
            _ => return Err(half(start)),
        }
        Ok(())
    }

    fn hex(&mut self, start: usize) -> Result<u32> {
        let digits = self.rest().get(..4).unwrap_or(&[]);
        let value = digits.iter().try_fold(0, |n, b| Some(n * 16 + (*b as char).to_digit(16)?));
        match value {
            Some(value) if digits.len() == 4 => {
                self.at += 4;
                Ok(value)
            }
            _ => Err(Error::syntax("`\\u` takes four hexadecimal digits", start)),
        }
    }
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn half(at: usize) -> Error {
    Error::syntax("half of a surrogate pair, which is no text", at)
}

fn not_utf8(at: usize) -> Error {
    Error::syntax("a string that is not UTF-8", at)
}

fn utf8(bytes: &[u8], at: usize) -> Result<&str> {
    core::str::from_utf8(bytes).map_err(|e| not_utf8(at + e.valid_up_to()))
}
