//! Texts changed at random, without a thought of what they mean: what every reader must judge alike.

use super::Sampler;

/// What takes the place of a value, or stands between two of them.
const FRAGMENTS: [&str; 40] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-1",
    "1e3",
    "1.5",
    "1.0",
    "255",
    "256",
    "65536",
    "4294967295",
    "4294967296",
    "-2147483649",
    "9007199254740992",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999",
    "\"\"",
    "\"x\"",
    "\"True\"",
    "\"0\"",
    "\"\\u0000x\"",
    "\"\\ud800\\ud801\"",
    "\"\\ud83d\\ude00\"",
    "\"\\u00e9\\/\"",
    "[]",
    "{}",
    "[1]",
    "{\"a\":1}",
    ",",
    "//",
    "\u{b}",
    "\u{e9}",
];

/// Members that begin an object.
const MEMBERS: [&str; 6] = [
    "\"type.hvm\":{},",
    "\"type.pv\":{\"kernel\":\"k\"},",
    "\"zz\":[{\"zz\":1.0}],",
    "\"zz\":1,\"zz\":2,",
    "\"\":null,",
    "\"a b\\n\":\"\\\"\",",
];

impl Sampler<'_> {
    /// The text with one to three things changed. It may still be right.
    #[must_use]
    pub fn mutate(&mut self, text: &str) -> String {
        let mut text = text.trim_end().to_owned();
        for _ in 0..self.below(3).max(1) {
            self.mutate_once(&mut text);
        }
        text
    }

    fn mutate_once(&mut self, text: &mut String) {
        let fragment = self.pick(&FRAGMENTS).copied().unwrap_or("0");
        match self.below(10) {
            0..4 => {
                let scalars = scalars(text);
                if let Some(span) = self.pick(&scalars).cloned() {
                    text.replace_range(span, fragment);
                }
            }
            4 => {
                let at = self.boundary(text);
                text.insert_str(at, fragment);
            }
            5 => {
                let (a, b) = (self.boundary(text), self.below(9));
                let end =
                    (a..=(a + b).min(text.len())).rev().find(|e| text.is_char_boundary(*e)).unwrap_or(a);
                text.replace_range(a..end, "");
            }
            6 | 7 => {
                let objects: Vec<usize> = text.match_indices('{').map(|(i, _)| i + 1).collect();
                if let Some(at) = self.pick(&objects).copied() {
                    let member = self.pick(&MEMBERS).copied().unwrap_or("");
                    text.insert_str(at, member);
                }
            }
            8 => self.move_member(text),
            _ => {
                let at = self.boundary(text);
                let c = char::from_u32(u32::try_from(self.below(0x180)).unwrap_or(0)).filter(|c| *c != '\n');
                if let Some(old) = text.get(at..).and_then(|t| t.chars().next()) {
                    let c = c.unwrap_or(' ').to_string();
                    text.replace_range(at..at + old.len_utf8(), &c);
                }
            }
        }
    }

    /// A key with its scalar is there once more, elsewhere.
    fn move_member(&mut self, text: &mut String) {
        let spans = scalars(text);
        let pairs: Vec<String> = spans
            .windows(2)
            .filter_map(|two| {
                let [key, value] = two else { return None };
                let between = text.get(key.end..value.start)?;
                (between.trim() == ":").then(|| format!("{},", text.get(key.start..value.end).unwrap_or("")))
            })
            .collect();
        let Some(pair) = self.pick(&pairs).cloned() else { return };
        let objects: Vec<usize> = text.match_indices('{').map(|(i, _)| i + 1).collect();
        if let Some(at) = self.pick(&objects).copied() {
            text.insert_str(at, &pair);
        }
    }

    fn boundary(&mut self, text: &str) -> usize {
        let at = self.below(text.len() + 1);
        (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
    }
}

/// Where strings, numbers and words stand, keys among them.
fn scalars(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut out = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        let mut end = start + c.len_utf8();
        if c == '"' {
            let mut escaped = false;
            for (at, c) in chars.by_ref() {
                end = at + c.len_utf8();
                if c == '"' && !escaped {
                    break;
                }
                escaped = c == '\\' && !escaped;
            }
        } else if c.is_ascii_alphanumeric() || c == '-' {
            while let Some((at, c)) = chars.next_if(|(_, c)| c.is_ascii_alphanumeric() || "+-.".contains(*c))
            {
                end = at + c.len_utf8();
            }
        } else {
            continue;
        }
        out.push(start..end);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Model;
    use crate::sample::Mode;

    #[test]
    fn scalars_are_found() {
        let text = r#"{"a\"b": -1.5e3, "c":[true,""]}"#;
        let found: Vec<&str> = scalars(text).into_iter().map(|s| &text[s]).collect();
        assert_eq!(found, [r#""a\"b""#, "-1.5e3", "\"c\"", "true", "\"\""]);
    }

    #[test]
    fn any_text_can_be_changed_and_mostly_is() {
        let model = Model::default();
        let mut sampler = Sampler::new(&model, Mode::Random, 1);
        for text in ["", "\u{e9}\u{1f4be}\"", "{\"a\":{\"b\":[1,2,\"\u{20ac}\"]}}", "\"\\"] {
            let changed = (0..1000).filter(|_| sampler.mutate(text) != text).count();
            // Nothing can be taken out of nothing: most changes find no place there.
            let least = if text.is_empty() { 100 } else { 300 };
            assert!(changed > least, "{text}: {changed}");
        }
    }
}
