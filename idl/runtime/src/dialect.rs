//! The forms of JSON, and how they differ.

/// A form of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// xensnap's: compact and strict; nothing is read that would not be kept.
    Contract,
    /// libxl built on yajl: up to Xen 4.20, and later ones without json-c.
    LibxlYajl,
    /// libxl built on json-c: Xen 4.21 and later.
    LibxlJsonC,
    /// Laid out as by yajl, but with every value whole. Reads what either libxl writes, and what that lost of a
    /// 32-bit number; refuses what libxl would drop without a word.
    Lossless,
}

/// What a key that is there twice means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duplicates {
    First,
    Last,
    Refused,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: &'static [Self] = &[Self::Contract, Self::LibxlYajl, Self::LibxlJsonC, Self::Lossless];

    /// Its name, as commands take it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contract => "contract",
            Self::LibxlYajl => "yajl",
            Self::LibxlJsonC => "jsonc",
            Self::Lossless => "lossless",
        }
    }

    /// The dialect of a name: `yajl`, `LibxlYajl`, `json-c` ..
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let plain = plain.to_ascii_lowercase();
        let plain = plain.strip_prefix("libxl").unwrap_or(&plain);
        Self::ALL.iter().copied().find(|d| d.as_str() == plain)
    }

    /// libxl takes a value of the wrong JSON type as absent.
    pub(crate) const fn drops_wrong_types(self) -> bool {
        matches!(self, Self::LibxlYajl | Self::LibxlJsonC)
    }

    /// Text ends at its first NUL, as in C.
    pub(crate) const fn ends_at_nul(self) -> bool {
        self.drops_wrong_types()
    }

    /// json-c's grammar: comments, single quotes, trailing commas, loose numbers.
    pub(crate) const fn is_loose(self) -> bool {
        matches!(self, Self::LibxlJsonC)
    }

    pub(crate) const fn duplicates(self) -> Duplicates {
        match self {
            Self::LibxlYajl => Duplicates::First,
            Self::LibxlJsonC => Duplicates::Last,
            Self::Contract | Self::Lossless => Duplicates::Refused,
        }
    }

    /// Most containers around a value.
    pub(crate) const fn depth_max(self) -> usize {
        match self {
            Self::Contract => 16,
            // JSON_TOKENER_DEFAULT_DEPTH is 32, and the value itself counts.
            Self::LibxlJsonC => 31,
            Self::LibxlYajl | Self::Lossless => usize::MAX,
        }
    }
}

impl core::fmt::Display for Dialect {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.as_str())
    }
}
