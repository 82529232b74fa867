//! Named strings: text that matches a pattern. The pattern is a table; matching is one pass, without
//! backtracking (the compiler refuses patterns that would need it).

use std::fmt;

/// One part of a pattern: characters, and how many of them.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The characters below U+0080, one bit each.
    pub ascii: u128,
    /// The others, as sorted ranges.
    pub ranges: &'static [(char, char)],
    /// Fewest.
    pub min: u32,
    /// Most.
    pub max: u32,
}

impl Part {
    /// Whether the character belongs to it.
    #[must_use]
    pub fn contains(&self, c: char) -> bool {
        match u32::from(c) {
            code @ 0..0x80 => self.ascii >> code & 1 == 1,
            _ => self.ranges.iter().any(|&(a, b)| a <= c && c <= b),
        }
    }
}

/// A pattern: the whole text must match its parts in order.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    /// As written in the IDL.
    pub text: &'static str,
    /// As a regular expression of JSON Schema.
    pub ecma: &'static str,
    /// Its parts.
    pub parts: &'static [Part],
}

impl Pattern {
    /// Checks a text.
    ///
    /// # Errors
    /// Where it stops to match, in words.
    pub fn check(&self, text: &str) -> Result<(), String> {
        let mut chars = text.chars().peekable();
        let mut at = 1;
        for part in self.parts {
            let mut n = 0;
            while n < part.max && chars.next_if(|&c| part.contains(c)).is_some() {
                n += 1;
                at += 1;
            }
            if n < part.min {
                return Err(self.mismatch(chars.peek().copied(), at));
            }
        }
        match chars.next() {
            None => Ok(()),
            Some(c) => Err(self.mismatch(Some(c), at)),
        }
    }

    fn mismatch(&self, found: Option<char>, at: usize) -> String {
        match found {
            None if at == 1 => format!("it is empty; it must match `{}`", self.text.escape_debug()),
            None => format!("it ends too early; it must match `{}`", self.text.escape_debug()),
            Some(c) => {
                format!(
                    "`{}` cannot be character {at}; it must match `{}`",
                    c.escape_debug(),
                    self.text.escape_debug()
                )
            }
        }
    }
}

/// A text that is not a value of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    what: &'static str,
    value: String,
    why: String,
}

impl Invalid {
    /// Says that `value` is no `what`, and why. Keeps the beginning of the value only.
    #[must_use]
    pub fn new(what: &'static str, value: &str, why: impl Into<String>) -> Self {
        let mut shown: String = value.chars().take(40).collect();
        if shown.len() < value.len() {
            shown.push_str("..");
        }
        Self { what, value: shown, why: why.into() }
    }

    /// Says that `value` is none of the names, and which is nearest.
    #[must_use]
    pub fn value(what: &'static str, value: &str, names: &[&str]) -> Self {
        let hint = super::near::hint(value, names);
        Self::new(what, value, hint.trim_start_matches("; "))
    }

    /// The type, as the IDL calls it.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.what
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a {}", self.value.escape_debug(), self.what)?;
        if self.why.is_empty() { Ok(()) } else { write!(f, ": {}", self.why) }
    }
}

impl std::error::Error for Invalid {}

/// Checks a text against a length in bytes and a pattern.
pub(crate) fn check_text(text: &str, min: u32, max: u32, pattern: Option<&Pattern>) -> Result<(), String> {
    if text.len() < min as usize {
        return Err(format!("{} bytes, at least {min}", text.len()));
    }
    if text.len() > max as usize {
        return Err(format!("{} bytes, at most {max}", text.len()));
    }
    pattern.map_or(Ok(()), |p| p.check(text))
}

/// Cuts and cleans a text: characters outside of the part become a space where it has one, else go.
pub(crate) fn lossy(text: &str, max: usize, part: &Part) -> String {
    let mut out = String::new();
    for c in text.chars().take(part.max as usize) {
        let c = match (part.contains(c), part.contains(' ')) {
            (true, _) => c,
            (false, true) => ' ',
            (false, false) => continue,
        };
        if out.len() + c.len_utf8() > max {
            break;
        }
        out.push(c);
    }
    out
}

/// What every named string has in common; the back end writes the type and its docs.
macro_rules! named_string {
    ($type:ident, $name:literal, $doc:literal, min: $min:expr, max: $max:expr, pattern: $pattern:expr) => {
        impl $type {
            /// The pattern that it matches.
            pub const PATTERN: $crate::wire::Pattern = $pattern;
            /// Most UTF-8 bytes.
            pub const MAX: u32 = $max;

            /// Checks a text and takes it.
            ///
            /// # Errors
            /// The text does not match the type's pattern or length.
            pub fn new(
                text: impl ::core::convert::Into<::std::string::String>,
            ) -> ::core::result::Result<Self, $crate::wire::Invalid> {
                let text = text.into();
                match $crate::wire::check_text(&text, $min, Self::MAX, Some(&Self::PATTERN)) {
                    ::core::result::Result::Ok(()) => ::core::result::Result::Ok(Self(text.into_boxed_str())),
                    ::core::result::Result::Err(why) => {
                        ::core::result::Result::Err($crate::wire::Invalid::new($name, &text, why))
                    }
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl ::core::fmt::Display for $type {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl ::core::fmt::Debug for $type {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Debug::fmt(&self.0, f)
            }
        }

        impl ::core::convert::AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl ::std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl ::core::cmp::PartialEq<str> for $type {
            fn eq(&self, other: &str) -> bool {
                *self.0 == *other
            }
        }

        impl ::core::cmp::PartialEq<&str> for $type {
            fn eq(&self, other: &&str) -> bool {
                *self.0 == **other
            }
        }

        impl ::core::str::FromStr for $type {
            type Err = $crate::wire::Invalid;
            fn from_str(text: &str) -> ::core::result::Result<Self, $crate::wire::Invalid> {
                Self::new(text)
            }
        }

        impl ::core::convert::TryFrom<::std::string::String> for $type {
            type Error = $crate::wire::Invalid;
            fn try_from(text: ::std::string::String) -> ::core::result::Result<Self, $crate::wire::Invalid> {
                Self::new(text)
            }
        }

        impl ::core::convert::TryFrom<&str> for $type {
            type Error = $crate::wire::Invalid;
            fn try_from(text: &str) -> ::core::result::Result<Self, $crate::wire::Invalid> {
                Self::new(text)
            }
        }

        impl ::core::convert::From<$type> for ::std::string::String {
            fn from(value: $type) -> Self {
                value.0.into_string()
            }
        }

        impl ::serde::Serialize for $type {
            fn serialize<S: ::serde::Serializer>(&self, s: S) -> ::core::result::Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $type {
            fn deserialize<D: ::serde::Deserializer<'de>>(d: D) -> ::core::result::Result<Self, D::Error> {
                $crate::wire::read_text(d, $name, |text| Self::new(text))
            }
        }

        impl ::schemars::JsonSchema for $type {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed(::core::stringify!($type))
            }

            fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                $crate::wire::text_schema($doc, $min, Self::MAX, &Self::PATTERN)
            }
        }
    };
}
pub(crate) use named_string;
