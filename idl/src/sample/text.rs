//! Texts: such as match a pattern, within their limits, with the characters that are hard to write among them.

use super::{Mode, Sampler};
use crate::pattern::Pattern;

/// Characters that are written in a special way, and one of each length.
const SPECIAL: [char; 12] = [
    '"',
    '\\',
    '/',
    '\u{7f}',
    '\u{8}',
    '\n',
    '\u{1f}',
    '\u{e9}',
    '\u{20ac}',
    '\u{2028}',
    '\u{ffff}',
    '\u{1f4be}',
];

/// Bytes of a text without a maximum.
const FREE_MAX: u64 = 1000;

impl Sampler<'_> {
    /// A text that matches, of `min` to `max` bytes.
    pub(super) fn matching(&mut self, pattern: &Pattern, min: Option<u64>, max: Option<u64>) -> String {
        let max = usize::try_from(max.unwrap_or(FREE_MAX)).unwrap_or(usize::MAX);
        let least = u32::try_from(min.unwrap_or(0)).unwrap_or(u32::MAX);
        // Often the longest that there may be, or the shortest.
        let full = self.mode == Mode::Longest || self.one_in(12);
        let short = self.one_in(8);
        let mut out = String::new();
        for part in &pattern.parts {
            let most = part.max.unwrap_or(1000);
            let some = if short { 0 } else { u32::try_from(self.below(6)).unwrap_or(0) };
            let count = if full { most } else { (part.min.max(least) + some).min(most) };
            for n in 0..count {
                let c = self.character(&part.ranges);
                if n >= part.min && out.len() + c.len_utf8() > max {
                    break;
                }
                out.push(c);
            }
        }
        out
    }

    /// Any text without NUL, which C's cannot hold.
    pub(super) fn any_text(&mut self) -> String {
        let count = self.below(7);
        (0..count).map(|_| self.character(&[('\u{1}', '\u{7e}'), ('\u{80}', char::MAX)])).collect()
    }

    fn character(&mut self, ranges: &[(char, char)]) -> char {
        let has = |c: char| ranges.iter().any(|&(a, b)| a <= c && c <= b);
        let first = ranges.first().map_or(' ', |r| r.0);
        if self.mode == Mode::Longest {
            // The character that takes most bytes of JSON for each byte of UTF-8.
            return ['\u{1}', '"', '\\'].into_iter().find(|c| has(*c)).unwrap_or(first);
        }
        let special = self.pick(&SPECIAL).copied().unwrap_or(' ');
        if has(special) && self.below(3) == 0 {
            return special;
        }
        let Some(&(a, b)) = self.pick(ranges) else { return first };
        let width = u64::from(u32::from(b) - u32::from(a) + 1);
        let offset = u32::try_from(self.random() % width).unwrap_or(0);
        // A surrogate is no character.
        char::from_u32(u32::from(a) + offset).unwrap_or(a)
    }
}
