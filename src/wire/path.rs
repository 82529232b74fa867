//! Absolute paths that say where they lead: no `..`, no NUL, UTF-8.

use super::Invalid;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// An absolute path without `..` and NUL, in UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AbsPath(Box<str>);

impl AbsPath {
    /// Checks a path and takes it.
    ///
    /// # Errors
    /// The path is relative, has a `..` part or a NUL.
    pub fn new(path: impl Into<String>) -> Result<Self, Invalid> {
        let path = path.into();
        let why = if !path.starts_with('/') {
            "it must be absolute"
        } else if path.split('/').any(|part| part == "..") {
            "it must not hold `..`"
        } else if path.contains('\0') {
            "it must not hold NUL"
        } else {
            return Ok(Self(path.into_boxed_str()));
        };
        Err(Invalid::new("path", &path, why))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&*self.0)
    }

    /// This path with a further relative part.
    ///
    /// # Errors
    /// As for [`AbsPath::new`].
    pub fn join(&self, part: &str) -> Result<Self, Invalid> {
        Self::new(format!("{}/{part}", self.0.trim_end_matches('/')))
    }
}

impl fmt::Display for AbsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for AbsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for AbsPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl AsRef<Path> for AbsPath {
    fn as_ref(&self) -> &Path {
        self.as_path()
    }
}

impl AsRef<OsStr> for AbsPath {
    fn as_ref(&self) -> &OsStr {
        self.as_path().as_os_str()
    }
}

impl std::str::FromStr for AbsPath {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl TryFrom<String> for AbsPath {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl TryFrom<&Path> for AbsPath {
    type Error = Invalid;

    fn try_from(path: &Path) -> Result<Self, Invalid> {
        match path.to_str() {
            Some(text) => Self::new(text),
            None => Err(Invalid::new("path", &path.to_string_lossy(), "it must be UTF-8")),
        }
    }
}

impl TryFrom<PathBuf> for AbsPath {
    type Error = Invalid;

    fn try_from(path: PathBuf) -> Result<Self, Invalid> {
        Self::try_from(path.as_path())
    }
}

impl From<AbsPath> for PathBuf {
    fn from(path: AbsPath) -> Self {
        path.0.into_string().into()
    }
}

impl Serialize for AbsPath {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AbsPath {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        super::codec::read_text(d, "path", |text| Self::new(text))
    }
}

impl schemars::JsonSchema for AbsPath {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AbsPath".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^/[^\\x00]*$",
            "not": { "pattern": "(^|/)\\.\\.(/|$)" }
        })
    }
}
