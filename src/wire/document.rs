//! Whole documents: size, UTF-8, depth; errors that name the path.
//!
//! The fast way does not track paths; only when it fails is the document gone through again with them.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Most bytes of a document outside xenstore.
pub const DOCUMENT_MAX: usize = 1 << 20;
/// Most bytes of a value in xenstore.
pub const XENSTORE_MAX: usize = 2048;
/// Bytes that are set aside for a document that is being written.
const ROOM: usize = 4096;
/// Deepest nesting of objects and arrays.
pub const DEPTH_MAX: usize = 16;

/// Why a text is not a document of its type.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// Too many bytes.
    #[error("{size} bytes; at most {max}")]
    TooLarge {
        /// How many there are.
        size: usize,
        /// How many there may be.
        max: usize,
    },
    /// Objects and arrays nest too deep.
    #[error("nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// Not UTF-8.
    #[error("not UTF-8: byte {at} begins no character")]
    NotUtf8 {
        /// Offset of the first bad byte.
        at: usize,
    },
    /// Not JSON.
    #[error("not JSON: {message} at line {line}, column {column}")]
    Syntax {
        /// What is wrong.
        message: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// JSON, but not of this type.
    #[error("{}{message}", Prefix(path))]
    Value {
        /// Where: `op.vm_snapshot_create.disks[1]`; empty for the whole.
        path: String,
        /// What is wrong.
        message: String,
    },
}

/// Why a value cannot be written.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// Too many bytes.
    #[error("{size} bytes; at most {max}")]
    TooLarge {
        /// How many there are.
        size: usize,
        /// How many there may be.
        max: usize,
    },
    /// Objects and arrays nest too deep.
    #[error("nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// A value is outside its limits.
    #[error("{}{message}", Prefix(path))]
    Value {
        /// Where; empty for the whole.
        path: String,
        /// What is wrong.
        message: String,
    },
}

struct Prefix<'a>(&'a str);

impl std::fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "{}: ", self.0) }
    }
}

/// Reads a document of at most 1 MiB.
///
/// # Errors
/// See [`DecodeError`].
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    decode(bytes, DOCUMENT_MAX)
}

/// Reads a document of at most 1 MiB.
///
/// # Errors
/// See [`DecodeError`].
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, DecodeError> {
    decode(text.as_bytes(), DOCUMENT_MAX)
}

/// Reads a xenstore value: at most 2048 bytes.
///
/// # Errors
/// See [`DecodeError`].
pub fn from_xenstore<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    decode(bytes, XENSTORE_MAX)
}

/// Writes a document of at most 1 MiB.
///
/// # Errors
/// See [`EncodeError`].
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> Result<String, EncodeError> {
    encode(value, DOCUMENT_MAX)
}

/// Writes a document of at most 1 MiB.
///
/// # Errors
/// See [`EncodeError`].
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    encode(value, DOCUMENT_MAX).map(String::into_bytes)
}

/// Writes a xenstore value: at most 2048 bytes. The compiler proves that a type bound to a path fits; what a
/// newer version had added to it may not.
///
/// # Errors
/// See [`EncodeError`].
pub fn to_xenstore<T: Serialize + ?Sized>(value: &T) -> Result<String, EncodeError> {
    encode(value, XENSTORE_MAX)
}

fn decode<T: DeserializeOwned>(bytes: &[u8], max: usize) -> Result<T, DecodeError> {
    if bytes.len() > max {
        return Err(DecodeError::TooLarge { size: bytes.len(), max });
    }
    let text = std::str::from_utf8(bytes).map_err(|e| DecodeError::NotUtf8 { at: e.valid_up_to() })?;
    if too_deep(text) {
        return Err(DecodeError::TooDeep);
    }
    serde_json::from_str(text).map_err(|e| explain::<T>(text, &e))
}

/// Goes through a refused document again, to learn the path.
fn explain<T: DeserializeOwned>(text: &str, error: &serde_json::Error) -> DecodeError {
    let mut de = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, T>(&mut de) {
        Err(e) if e.inner().is_data() => {
            DecodeError::Value { path: path_text(e.path()), message: message(e.inner()) }
        }
        _ => DecodeError::Syntax { message: message(error), line: error.line(), column: error.column() },
    }
}

fn encode<T: Serialize + ?Sized>(value: &T, max: usize) -> Result<String, EncodeError> {
    // Most documents fit: the space is not grown in steps, each a copy.
    let mut bytes = Vec::with_capacity(ROOM);
    let text = match serde_json::to_writer(&mut bytes, value) {
        Ok(()) => String::from_utf8(bytes)
            .map_err(|e| EncodeError::Value { path: String::new(), message: e.to_string() })?,
        Err(first) => {
            let mut sink = serde_json::Serializer::new(std::io::sink());
            let mut track = serde_path_to_error::Track::new();
            let tracked = value.serialize(serde_path_to_error::Serializer::new(&mut sink, &mut track));
            let path = if tracked.is_err() { path_text(&track.path()) } else { String::new() };
            return Err(EncodeError::Value { path, message: message(&first) });
        }
    };
    if text.len() > max {
        return Err(EncodeError::TooLarge { size: text.len(), max });
    }
    if too_deep(&text) {
        return Err(EncodeError::TooDeep);
    }
    Ok(text)
}

fn path_text(path: &serde_path_to_error::Path) -> String {
    let text = path.to_string();
    // What serde_path_to_error calls the whole document.
    if text == "." { String::new() } else { clip(&text) }
}

/// serde_json's message without the place, which we tell in our own words.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    clip(text.strip_suffix(&place).unwrap_or(&text))
}

/// Takes out the middle of what is too long to be read: a document's own text can be part of a message.
fn clip(text: &str) -> String {
    const HEAD: usize = 160;
    const TAIL: usize = 80;
    let chars = text.chars().count();
    if chars <= HEAD + TAIL + 2 {
        return text.to_owned();
    }
    let head = text.chars().take(HEAD);
    let tail = text.chars().skip(chars - TAIL);
    head.chain("..".chars()).chain(tail).collect()
}

/// Whether brackets outside of strings nest deeper than they may.
fn too_deep(text: &str) -> bool {
    // Counting is much faster than following strings, and most documents have few brackets.
    let opening = text.bytes().map(|b| usize::from(b == b'{' || b == b'[')).sum::<usize>();
    opening > DEPTH_MAX && depth(text) > DEPTH_MAX
}

/// Deepest nesting of brackets outside of strings.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let mut bytes = text.bytes();
    // A loop of its own for what is in strings, which is most: nearly twice as fast as one that keeps track of both.
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    deepest
}

/// Goes behind a string's closing quote.
fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(b'\\') = bytes.find(|byte| matches!(byte, b'"' | b'\\')) {
        bytes.next();
    }
}
