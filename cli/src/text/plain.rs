//! Text that others chose, made safe for a terminal: a domain's name may hold what moves the cursor.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr;

/// The text with every control character, and every character that changes the direction of what follows, written as `\u{..}`. A backslash stays as it is.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unsafe(c) {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Columns that a text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_the_cursor_is_escaped_and_the_rest_stays() {
        assert_eq!(plain("dömäin-日本 \\u{7}"), "dömäin-日本 \\u{7}");
        assert_eq!(plain("a\u{9b}31mb\u{7}\n"), "a\\u{9b}31mb\\u{7}\\u{a}");
        assert_eq!(plain("x\u{202e}gpj"), "x\\u{202e}gpj");
    }
}
