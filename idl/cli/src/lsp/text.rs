//! URIs and positions, as the protocol has them: lines and UTF-16 units, both from 0.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The path of a `file:` URI.
pub(super) fn path(uri: &str) -> Option<PathBuf> {
    let rest = uri.strip_prefix("file://")?;
    // An authority before the path is another machine's.
    let encoded = if rest.starts_with('/') { rest } else { rest.strip_prefix("localhost")? };
    let mut bytes = Vec::new();
    let mut left = encoded.bytes();
    while let Some(b) = left.next() {
        if b == b'%' {
            let digits = [left.next()?, left.next()?];
            let text = std::str::from_utf8(&digits).ok()?;
            bytes.push(u8::from_str_radix(text, 16).ok()?);
        } else {
            bytes.push(b);
        }
    }
    Some(PathBuf::from(String::from_utf8(bytes).ok()?))
}

/// The URI of a path.
pub(super) fn uri(path: &Path) -> String {
    let mut out = String::from("file://");
    for b in path.display().to_string().bytes() {
        if b.is_ascii_alphanumeric() || b"/-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

/// The byte of a position; past the end of a line, or of the text, it is that end.
pub(super) fn offset(text: &str, position: &Value) -> Option<usize> {
    let line = usize::try_from(position.get("line")?.as_u64()?).ok()?;
    let units = usize::try_from(position.get("character")?.as_u64()?).ok()?;
    let mut start = 0;
    for _ in 0..line {
        match text.get(start..)?.find('\n') {
            Some(at) => start += at + 1,
            None => return Some(text.len()),
        }
    }
    let rest = text.get(start..)?;
    let rest = rest.split('\n').next().unwrap_or_default();
    let mut left = units;
    for (at, c) in rest.char_indices() {
        if left < c.len_utf16() {
            return Some(start + at);
        }
        left -= c.len_utf16();
    }
    Some(start + rest.len())
}

/// The position of a byte.
pub(super) fn position(text: &str, offset: usize) -> Value {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count();
    let column: usize = before.rsplit('\n').next().unwrap_or_default().chars().map(char::len_utf16).sum();
    json!({ "line": line, "character": column })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_utf16_units() {
        let text = "a\n\u{1f4be}x\u{e9}y";
        let at = |line: u32, character: u32| offset(text, &json!({ "line": line, "character": character }));
        assert_eq!(at(1, 2), Some(6), "after the disk, which is two units and four bytes");
        assert_eq!(at(1, 1), Some(2), "between its halves: before it");
        assert_eq!(at(1, 99), Some(text.len()));
        assert_eq!(at(9, 0), Some(text.len()));
        assert_eq!(at(0, 9), Some(1), "never past the line's end");
        assert_eq!(position(text, 7), json!({ "line": 1, "character": 3 }));
        for (offset_at, _) in text.char_indices() {
            assert_eq!(offset(text, &position(text, offset_at)), Some(offset_at));
        }
    }

    #[test]
    fn uris_and_paths() {
        assert_eq!(path("file:///a%20b/%C3%A9.idl"), Some(PathBuf::from("/a b/\u{e9}.idl")));
        assert_eq!(uri(Path::new("/a b/\u{e9}.idl")), "file:///a%20b/%C3%A9.idl");
        assert_eq!(path("untitled:Untitled-1"), None);
        assert_eq!(path("file:///a%2"), None);
    }
}
