//! Patterns: a small dialect that needs no backtracking. A sequence of parts, each a literal character or a
//! `[class]`, each with an optional count `{n}`, `{m,n}`, `?`, `+` or `*`; the whole text must match.
//!
//! Counts are of characters; a type's or field's `max` is of UTF-8 bytes. A part whose count varies must not
//! share a character with what can follow it, so that matching is one pass. `\` makes the next character plain.

/// One part: characters and how many of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The characters, as sorted ranges that do not touch.
    pub ranges: Vec<(char, char)>,
    /// Fewest.
    pub min: u32,
    /// Most; `None`: no limit.
    pub max: Option<u32>,
}

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// As written.
    pub text: String,
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

/// Characters by what they cost: each group has one UTF-8 length and one escaped length.
/// (first, last, bytes of UTF-8, bytes in JSON)
const COSTS: &[(u32, u32, u64, u64)] = &[
    (0x00, 0x07, 1, 6),
    (0x08, 0x0a, 1, 2),
    (0x0b, 0x0b, 1, 6),
    (0x0c, 0x0d, 1, 2),
    (0x0e, 0x1f, 1, 6),
    (0x20, 0x21, 1, 1),
    (0x22, 0x22, 1, 2),
    (0x23, 0x5b, 1, 1),
    (0x5c, 0x5c, 1, 2),
    (0x5d, 0x7f, 1, 1),
    (0x80, 0x7ff, 2, 2),
    (0x800, 0xffff, 3, 3),
    (0x1_0000, 0x10_ffff, 4, 4),
];

/// What one byte of any text costs at most in JSON: a control character becomes `\u00xx`.
pub const COST_PER_BYTE_MAX: u64 = 6;

impl Part {
    fn contains(&self, c: char) -> bool {
        self.ranges.iter().any(|&(a, b)| a <= c && c <= b)
    }

    /// Its characters below U+0080 as one bit each, and the ranges of the others.
    #[must_use]
    pub fn split_ascii(&self) -> (u128, Vec<(char, char)>) {
        let ascii = (0..0x80u8).filter(|b| self.contains(char::from(*b))).fold(0, |bits, b| bits | 1 << b);
        let others = self.ranges.iter().filter(|r| r.1 >= '\u{80}').map(|&(a, b)| (a.max('\u{80}'), b));
        (ascii, others.collect())
    }

    fn groups(&self) -> impl Iterator<Item = &'static (u32, u32, u64, u64)> {
        COSTS
            .iter()
            .filter(|&&(a, b, _, _)| self.ranges.iter().any(|&(x, y)| u32::from(x) <= b && a <= u32::from(y)))
    }

    /// Bytes that one of its characters takes at most, as (UTF-8, JSON).
    fn widest(&self) -> (u64, u64) {
        self.groups().fold((0, 0), |(u, j), g| (u.max(g.2), j.max(g.3)))
    }
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let mut parts = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let ranges = match c {
                '[' => class(&mut chars)?,
                '\\' => {
                    let c = chars.next().ok_or("`\\` at the end")?;
                    vec![(c, c)]
                }
                '{' | '}' | '*' | '+' | '?' => {
                    return Err(format!(
                        "`{c}` follows nothing that it could count; for itself write `\\{c}`"
                    ));
                }
                '(' | ')' | '|' | '.' | '^' | '$' | ']' => {
                    return Err(format!(
                        "`{c}` is not part of the dialect (literals and [classes] with counts); for itself write `\\{c}`"
                    ));
                }
                c => vec![(c, c)],
            };
            let (min, max) = count(&mut chars)?;
            parts.push(Part { ranges, min, max });
        }
        let pattern = Pattern { text: text.to_owned(), parts };
        pattern.unambiguous()?;
        Ok(pattern)
    }

    fn unambiguous(&self) -> Result<(), String> {
        for (i, part) in self.parts.iter().enumerate() {
            if part.max == Some(part.min) {
                continue;
            }
            for next in self.parts.iter().skip(i + 1) {
                let shared = part.ranges.iter().find_map(|&(a, b)| {
                    next.ranges.iter().find(|&&(x, y)| x <= b && a <= y).map(|&(x, _)| x.max(a))
                });
                if let Some(c) = shared {
                    return Err(format!(
                        "ambiguous: `{}` can belong to part {} and to a part that follows it",
                        c.escape_debug(),
                        i + 1
                    ));
                }
                if next.min > 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Whether the whole text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut chars = text.chars().peekable();
        for part in &self.parts {
            let mut n = 0;
            while part.max.is_none_or(|max| n < max) && chars.next_if(|&c| part.contains(c)).is_some() {
                n += 1;
            }
            if n < part.min {
                return false;
            }
        }
        chars.next().is_none()
    }

    /// Fewest UTF-8 bytes of a match.
    #[must_use]
    pub fn bytes_min(&self) -> u64 {
        self.parts.iter().map(|p| u64::from(p.min) * p.groups().map(|g| g.2).min().unwrap_or(0)).sum()
    }

    /// Most UTF-8 bytes of a match; `None`: no limit.
    #[must_use]
    pub fn bytes_max(&self) -> Option<u64> {
        self.parts.iter().map(|p| p.max.map(|max| u64::from(max) * p.widest().0)).sum()
    }

    /// Most bytes of a match in JSON without the quotes, when its UTF-8 length is at most `bytes`.
    #[must_use]
    pub fn json_max(&self, bytes: Option<u64>) -> Option<u64> {
        let by_count: Option<u64> =
            self.parts.iter().map(|p| p.max.map(|max| u64::from(max) * p.widest().1)).sum();
        // Every group's JSON length is a multiple of its UTF-8 length.
        let ratio = self.parts.iter().flat_map(Part::groups).map(|g| g.3 / g.2).max().unwrap_or(0);
        let by_bytes = bytes.map(|b| b * ratio);
        match (by_count, by_bytes) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// As a regular expression of ECMA-262 (JSON Schema), anchored.
    #[must_use]
    pub fn to_ecma(&self) -> String {
        let mut out = String::from("^");
        for part in &self.parts {
            // "All but these" stays so: the far end of Unicode is not every engine's.
            let inverted = part.ranges.last().is_some_and(|r| r.1 == char::MAX).then(|| invert(&part.ranges));
            out.push_str(if inverted.is_some() { "[^" } else { "[" });
            for &(a, b) in inverted.as_ref().unwrap_or(&part.ranges) {
                ecma_char(a, &mut out);
                if a != b {
                    out.push('-');
                    ecma_char(b, &mut out);
                }
            }
            out.push(']');
            match (part.min, part.max) {
                (1, Some(1)) => {}
                (m, Some(n)) if m == n => out.push_str(&format!("{{{m}}}")),
                (m, Some(n)) => out.push_str(&format!("{{{m},{n}}}")),
                (m, None) => out.push_str(&format!("{{{m},}}")),
            }
        }
        out.push('$');
        out
    }

    /// The only class, when the pattern is one class that may be absent: any text can be cut and cleaned to it.
    #[must_use]
    pub fn lossy(&self) -> bool {
        matches!(self.parts.as_slice(), [only] if only.min == 0)
    }
}

fn ecma_char(c: char, out: &mut String) {
    match c {
        '\\' | ']' | '[' | '^' | '-' => {
            out.push('\\');
            out.push(c);
        }
        c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
        c => out.push(c),
    }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn class(chars: &mut Chars<'_>) -> Result<Vec<(char, char)>, String> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        let first = match chars.next() {
            None => return Err("`[` without `]`".into()),
            Some(']') => break,
            Some('\\') => chars.next().ok_or("`\\` at the end")?,
            Some('[') => return Err("`[` inside a class: write `\\[`".into()),
            Some(c) => c,
        };
        let mut ahead = chars.clone();
        // A `-` before the closing bracket is itself.
        let range = ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']');
        let last = if range {
            chars.next();
            match chars.next() {
                Some('\\') => chars.next().ok_or("`\\` at the end")?,
                Some(c) => c,
                None => return Err("`[` without `]`".into()),
            }
        } else {
            first
        };
        if last < first {
            return Err(format!("range `{first}-{last}` runs backwards"));
        }
        ranges.push((first, last));
    }
    let ranges = normalise(ranges);
    let ranges = if negated { invert(&ranges) } else { ranges };
    if ranges.is_empty() { Err("class without a character".into()) } else { Ok(ranges) }
}

fn after(c: char) -> Option<char> {
    if c == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(c as u32 + 1) }
}

fn before(c: char) -> Option<char> {
    if c == '\u{e000}' { Some('\u{d7ff}') } else { (c as u32).checked_sub(1).and_then(char::from_u32) }
}

fn normalise(mut ranges: Vec<(char, char)>) -> Vec<(char, char)> {
    ranges.sort_unstable();
    let mut out: Vec<(char, char)> = Vec::new();
    for (a, b) in ranges {
        match out.last_mut() {
            Some(last) if a <= last.1 || after(last.1) == Some(a) => last.1 = last.1.max(b),
            _ => out.push((a, b)),
        }
    }
    out
}

fn invert(ranges: &[(char, char)]) -> Vec<(char, char)> {
    let mut out = Vec::new();
    let mut start = Some('\0');
    for &(a, b) in ranges {
        if let (Some(s), Some(e)) = (start, before(a))
            && s <= e
        {
            out.push((s, e));
        }
        start = after(b);
    }
    if let Some(s) = start {
        out.push((s, char::MAX));
    }
    out
}

fn count(chars: &mut Chars<'_>) -> Result<(u32, Option<u32>), String> {
    match chars.peek() {
        Some('?') => {
            chars.next();
            Ok((0, Some(1)))
        }
        Some('*') => {
            chars.next();
            Ok((0, None))
        }
        Some('+') => {
            chars.next();
            Ok((1, None))
        }
        Some('{') => {
            chars.next();
            let mut text = String::new();
            loop {
                match chars.next() {
                    Some('}') => break,
                    Some(c) => text.push(c),
                    None => return Err("`{` without `}`".into()),
                }
            }
            let number = |s: &str| {
                s.parse::<u32>().map_err(|_| format!("`{{{text}}}` is not a count: {{n}}, {{m,n}} or {{m,}}"))
            };
            let (min, max) = match text.split_once(',') {
                None => (number(&text)?, Some(number(&text)?)),
                Some((m, "")) => (number(m)?, None),
                Some((m, n)) => (number(m)?, Some(number(n)?)),
            };
            if max.is_some_and(|max| max < min) {
                return Err(format!("`{{{text}}}`: the most is less than the fewest"));
            }
            Ok((min, max))
        }
        _ => Ok((1, Some(1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of costs, against each character written out by the contract's rule.
    #[test]
    fn costs_are_those_of_every_character() {
        for c in '\0'..=char::MAX {
            let json = match c {
                '"' | '\\' | '\u{8}' | '\u{c}' | '\n' | '\r' | '\t' => 2,
                c if c < ' ' => 6,
                c => c.len_utf8() as u64,
            };
            let part = Part { ranges: vec![(c, c)], min: 1, max: Some(1) };
            assert_eq!(part.widest(), (c.len_utf8() as u64, json), "{c:?}");
        }
    }

    #[test]
    fn sizes_follow_from_counts_and_bytes() {
        let size = |text: &str, max| {
            let p = Pattern::parse(text).unwrap();
            (p.bytes_min(), p.bytes_max(), p.json_max(max))
        };
        assert_eq!(size("[a-z]{1,8}", None), (1, Some(8), Some(8)));
        assert_eq!(size("[ -~]{0,10}", None), (0, Some(10), Some(20)));
        assert_eq!(size("[ -~]{0,10}", Some(7)), (0, Some(10), Some(14)));
        assert_eq!(size("[^\\\x00]*", None), (0, None, None));
        assert_eq!(size("[\u{1}-\u{ff}]{3}", None), (3, Some(6), Some(18)));
        assert_eq!(size("[\u{20}-\u{10ffff}]*", Some(100)), (0, None, Some(200)));
        assert_eq!(size("x-[0-9]{2}y?", None), (4, Some(5), Some(5)));
    }

    #[test]
    fn matching_is_of_the_whole_text() {
        let cases = [
            ("[a-z]+-[0-9]{2}", "abc-12", true),
            ("[a-z]+-[0-9]{2}", "abc-123", false),
            ("[a-z]+-[0-9]{2}", "-12", false),
            ("[a-z]+-[0-9]{2}", "abc-1", false),
            ("[^a-c]{0,2}", "", true),
            ("[^a-c]{0,2}", "\u{1f4be}z", true),
            ("[^a-c]{0,2}", "b", false),
            ("[a\\-c-]", "-", true),
            ("[a\\-c-]", "b", false),
            ("\\[x\\]?", "[x]", true),
            ("", "", true),
            ("", "a", false),
        ];
        for (pattern, text, matches) in cases {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(text), matches, "{pattern} on {text}");
        }
    }

    #[test]
    fn both_forms_of_a_class_hold_the_same_characters() {
        let part = Pattern::parse("[^\u{0}-\u{1f}\u{7f}\u{e9}-\u{100}]").unwrap().parts.remove(0);
        let (ascii, others) = part.split_ascii();
        for c in ('\0'..='\u{200}').chain(['\u{d7ff}', '\u{e000}', char::MAX]) {
            let split = if c < '\u{80}' {
                ascii >> (c as u32) & 1 == 1
            } else {
                others.iter().any(|&(a, b)| a <= c && c <= b)
            };
            assert_eq!(split, part.contains(c), "{c:?}");
        }
    }
}
