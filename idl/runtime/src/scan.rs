//! White space, comments and scalars of the text, by the grammar of its dialect.

use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::reader::Kind;

/// A scalar that is no string: where it ends, and what it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) kind: Kind,
    /// The value of an integer.
    pub(crate) integer: i128,
    /// The value of a truth value.
    pub(crate) truth: bool,
}

impl Token {
    /// The largest or the lowest integer of 64 bits, which strtoll also gives for what is beyond.
    pub(crate) fn is_extreme(&self) -> bool {
        self.kind == Kind::Integer
            && (self.integer == i128::from(i64::MAX) || self.integer == i128::from(i64::MIN))
    }
}

/// How many bytes at the start of a text are none of these two, and no control character either where that counts:
/// eight at a time.
#[inline]
pub(crate) fn plain_bytes(text: &[u8], a: u8, b: u8, control: bool) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The lowest bit that is set is that of the first byte that is less than the limit; those above may be wrong.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;
    let mut len = 0;
    let (words, rest) = text.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let mut hits = below(word ^ (ONES * u64::from(a)), 1) | below(word ^ (ONES * u64::from(b)), 1);
        if control {
            hits |= below(word, 0x20);
        }
        if hits != 0 {
            return len + (hits.trailing_zeros() / 8) as usize;
        }
        len += 8;
    }
    let stops = |c: &u8| *c == a || *c == b || (control && *c < 0x20);
    len + rest.iter().position(stops).unwrap_or(rest.len())
}

/// The text with the place reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan<'a> {
    pub(crate) text: &'a [u8],
    /// The text, when all of it is UTF-8: then no string has to be looked at for that.
    pub(crate) utf8: Option<&'a str>,
    pub(crate) at: usize,
    pub(crate) dialect: Dialect,
    /// An earlier number was too large. libxl never clears errno, so from there on it also takes the largest and the
    /// lowest integer for too large (libxl_json.c, json_callback_number).
    pub(crate) overflowed: bool,
    /// json-c: the last integer was beyond 64 bits. Its tokener clears errno before each one, and is done with the
    /// document before libxl looks at it, so the last one decides what libxl begins with.
    pub(crate) errno_left: bool,
}

impl<'a> Scan<'a> {
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or(&[])
    }

    /// White space, and comments where the dialect has them.
    #[inline]
    pub(crate) fn space(&mut self) -> Result<()> {
        match self.peek() {
            Some(b) if b > b' ' && b != b'/' => Ok(()),
            None => Ok(()),
            Some(_) => self.some_space(),
        }
    }

    fn some_space(&mut self) -> Result<()> {
        loop {
            match self.peek() {
                Some(b' ' | b'\n' | b'\t' | b'\r') => {
                    self.at += 1;
                    self.indentation();
                    if self.peek().is_some_and(|b| b > b' ' && b != b'/') {
                        return Ok(());
                    }
                }
                Some(0x0b | 0x0c) if self.dialect == Dialect::LibxlYajl => self.at += 1,
                Some(b'/') if self.dialect.is_loose() => self.comment()?,
                _ => return Ok(()),
            }
        }
    }

    /// Spaces, eight at a time.
    #[inline]
    fn indentation(&mut self) {
        while let Some(word) = self.rest().first_chunk::<8>() {
            let others = u64::from_le_bytes(*word) ^ 0x2020_2020_2020_2020;
            if others != 0 {
                self.at += (others.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
    }

    fn comment(&mut self) -> Result<()> {
        let rest = self.rest();
        let len = match rest.get(1) {
            Some(b'/') => rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
            Some(b'*') => {
                let body = rest.get(2..).unwrap_or(&[]);
                body.windows(2).position(|w| w == b"*/").map_or(rest.len(), |p| p + 4)
            }
            _ => return Err(self.unexpected("a comment")),
        };
        self.at += len;
        Ok(())
    }

    /// What stands at the place instead of what was expected.
    pub(crate) fn unexpected(&self, expected: &str) -> Error {
        let found = match self.peek() {
            None => "the end of the text".to_owned(),
            Some(b) if b.is_ascii_graphic() => format!("`{}`", b as char),
            Some(b) => format!("byte {b:#04x}"),
        };
        Error::syntax(format!("expected {expected}, found {found}"), self.at)
    }

    /// The scalar at the place, which begins with this byte.
    pub(crate) fn scalar(&mut self, first: u8) -> Result<Token> {
        let loose = self.dialect.is_loose();
        if first.is_ascii_digit()
            && !loose
            && let Some(token) = self.short_integer(first)
        {
            return Ok(token);
        }
        let token = match first {
            b'-' | b'0'..=b'9' if loose => self.loose_number(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' | b'T' => self.word("true", Kind::Bool, loose),
            b'f' | b'F' => self.word("false", Kind::Bool, loose),
            b'n' | b'N' => match self.word("null", Kind::Null, loose) {
                Err(_) if loose => self.word("nan", Kind::Integer, true),
                other => other,
            },
            b'i' | b'I' if loose => self.word("infinity", Kind::Integer, true),
            _ => Err(self.unexpected("a value")),
        }?;
        if self.dialect.drops_wrong_types() {
            return Ok(self.as_errno_has_it(token));
        }
        Ok(token)
    }

    /// An integer of few digits, as most are; `None` for any other, which is looked at in full.
    #[inline]
    fn short_integer(&self, first: u8) -> Option<Token> {
        let text = self.rest();
        let (mut value, mut len) = (0i64, 0);
        for b in text.iter().take(18).take_while(|b| b.is_ascii_digit()) {
            value = value * 10 + i64::from(b - b'0');
            len += 1;
        }
        let ends = !matches!(text.get(len), Some(b'0'..=b'9' | b'.' | b'e' | b'E'));
        let end = self.at + len;
        (ends && (first != b'0' || len == 1)).then(|| Token {
            start: self.at,
            end,
            kind: Kind::Integer,
            integer: i128::from(value),
            truth: false,
        })
    }

    fn as_errno_has_it(&mut self, token: Token) -> Token {
        let text = || self.text.get(token.start..token.end).and_then(|t| core::str::from_utf8(t).ok());
        if self.dialect.is_loose() && matches!(token.kind, Kind::Integer | Kind::Big) {
            let digits = text().filter(|t| t.bytes().all(|b| b.is_ascii_digit() || b == b'-')).unwrap_or("0");
            self.errno_left = digits.parse::<i64>().is_err() && digits.parse::<u64>().is_err();
        }
        match token.kind {
            Kind::Big => self.overflowed = true,
            Kind::Double if text().and_then(|t| t.parse().ok()).is_some_and(f64::is_infinite) => {
                self.overflowed = true;
            }
            Kind::Integer if self.overflowed && token.is_extreme() => {
                return Token { kind: Kind::Big, ..token };
            }
            _ => {}
        }
        token
    }

    fn word(&self, word: &str, kind: Kind, any_case: bool) -> Result<Token> {
        let text = self.rest().get(..word.len()).unwrap_or(&[]);
        let good =
            if any_case { text.eq_ignore_ascii_case(word.as_bytes()) } else { text == word.as_bytes() };
        if !good {
            return Err(self.unexpected("a value"));
        }
        // NaN and Infinity are numbers to json-c, and libxl reads their text with strtoll: 0.
        let end = self.at + word.len();
        Ok(Token { start: self.at, end, kind, integer: 0, truth: word == "true" })
    }

    /// JSON's own grammar.
    fn number(&self) -> Result<Token> {
        let text = self.rest();
        let mut at = usize::from(text.first() == Some(&b'-'));
        let digits =
            |from: usize| text.get(from..).unwrap_or(&[]).iter().take_while(|b| b.is_ascii_digit()).count();
        let whole = digits(at);
        let wrong = || Err(Error::syntax("not a number", self.at));
        if whole == 0 {
            return wrong();
        }
        let whole_end = if text.get(at) == Some(&b'0') { at + 1 } else { at + whole };
        at = whole_end;
        let mut fraction = false;
        if text.get(at) == Some(&b'.') {
            let n = digits(at + 1);
            if n == 0 {
                return wrong();
            }
            fraction = true;
            at += 1 + n;
        }
        let mut exponent = false;
        if let Some(b'e' | b'E') = text.get(at) {
            at += 1;
            at += usize::from(matches!(text.get(at), Some(b'+' | b'-')));
            let n = digits(at);
            if n == 0 {
                return wrong();
            }
            exponent = true;
            at += n;
        }
        Ok(self.classify(at, whole_end, fraction, exponent))
    }

    /// json-c's: whatever strtod and strtoll take of a run of digits, points, exponents and signs.
    fn loose_number(&self) -> Result<Token> {
        let text = self.rest();
        let (mut at, mut double, mut exponent) = (0, false, false);
        let (mut minus, mut plus) = (true, false);
        while let Some(b) = text.get(at) {
            match b {
                b'0'..=b'9' => (minus, plus) = (false, false),
                b'-' if minus => (minus, plus) = (false, false),
                b'+' if plus => (minus, plus) = (false, false),
                b'.' if !double => (double, minus, plus) = (true, true, true),
                b'e' | b'E' if !exponent => (double, exponent, minus, plus) = (true, true, true, true),
                _ => break,
            }
            at += 1;
        }
        if at == 1 && text.first() == Some(&b'-') && matches!(text.get(1), Some(b'i' | b'I')) {
            let after = Scan { at: self.at + 1, ..*self };
            return after.word("infinity", Kind::Integer, true).map(|t| Token { start: self.at, ..t });
        }
        let mut kept = text.get(..at).unwrap_or(&[]);
        if double {
            while let [rest @ .., b'e' | b'E' | b'-' | b'+'] = kept {
                if rest.is_empty() {
                    break;
                }
                kept = rest;
            }
        }
        let shape = core::str::from_utf8(kept).unwrap_or("");
        let digits = shape.strip_prefix('-').unwrap_or(shape);
        let whole = digits.bytes().take_while(u8::is_ascii_digit).count();
        let good = if double { shape.parse::<f64>().is_ok() } else { whole > 0 && whole == digits.len() };
        if !good {
            return Err(Error::syntax("not a number", self.at));
        }
        let whole_end = kept.len() - digits.len() + whole;
        Ok(self.classify(at, whole_end, shape.contains('.'), false))
    }

    /// What libxl makes of a number: one with a point is a double, any other goes through strtoll, which stops at an
    /// exponent. The strict dialects take an integer by its value, and one with an exponent as a double.
    fn classify(&self, len: usize, whole_end: usize, fraction: bool, exponent: bool) -> Token {
        let strict = !self.dialect.drops_wrong_types();
        let token = |kind, integer| Token { start: self.at, end: self.at + len, kind, integer, truth: false };
        if fraction || (strict && exponent) {
            return token(Kind::Double, 0);
        }
        let text = self.rest().get(..whole_end).unwrap_or(&[]);
        let (negative, digits) = match text.split_first() {
            Some((b'-', digits)) => (true, digits),
            _ => (false, text),
        };
        let magnitude = if digits.len() <= 18 {
            i128::from(digits.iter().fold(0i64, |n, b| n * 10 + i64::from(b - b'0')))
        } else {
            digits.iter().fold(0i128, |n, b| n.saturating_mul(10).saturating_add(i128::from(b - b'0')))
        };
        let value = if negative { -magnitude } else { magnitude };
        if i64::try_from(value).is_ok() {
            return token(Kind::Integer, value);
        }
        if strict {
            return token(if magnitude == i128::MAX { Kind::Big } else { Kind::Integer }, value);
        }
        // json-c holds what is below every 64-bit integer as the lowest one.
        if negative && self.dialect.is_loose() && !exponent {
            return token(Kind::Integer, i128::from(i64::MIN));
        }
        token(Kind::Big, 0)
    }
}
