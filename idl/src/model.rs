//! The model: what back ends see. Every name is resolved, every limit is known, every rule is checked.

use crate::diag::Span;
use crate::pattern::Pattern;

/// Largest magnitude of an integer that every JSON reader keeps: 2^53-1.
pub const INT_MAX: i64 = (1 << 53) - 1;
/// Most bytes of a value in xenstore that every path to it carries.
pub const XENSTORE_MAX: u64 = 2048;
/// Deepest nesting of a document.
pub const DEPTH_MAX: u32 = 16;

/// Rules of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Ours: everything documented, limits, directions.
    Contract,
    /// libxl's own files: no documentation needed.
    #[default]
    Libxl,
}

/// Who writes a type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dir {
    /// Written by a requester: strict.
    In,
    /// Written by us: open.
    Out,
    /// Written by us and read again: open.
    #[default]
    Both,
}

impl Dir {
    /// Whether unknown fields and values are errors.
    #[must_use]
    pub fn is_strict(self) -> bool {
        self == Dir::In
    }

    /// As in the language.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Dir::In => "DIR_IN",
            Dir::Out => "DIR_OUT",
            Dir::Both => "DIR_BOTH",
        }
    }
}

/// Index of a declaration in [`Model::decls`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub usize);

/// All declarations of a unit, in order of files and places.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The declarations.
    pub decls: Vec<Decl>,
}

/// A named type.
#[derive(Clone, Debug)]
pub struct Decl {
    /// Its name, lower-case words.
    pub name: String,
    /// Its documentation; lines as written.
    pub doc: String,
    /// Version of the contract that brought it, when not the first.
    pub since: Option<u32>,
    /// What to use instead, when it is on its way out.
    pub deprecated: Option<String>,
    /// Where it is declared.
    pub span: Span,
    /// What it is.
    pub kind: DeclKind,
}

/// What a declaration is.
#[derive(Clone, Debug)]
pub enum DeclKind {
    /// A struct.
    Struct(Struct),
    /// An enumeration.
    Enum(Enum),
    /// A string with a pattern of its own.
    Text(Text),
}

/// A struct.
#[derive(Clone, Debug)]
pub struct Struct {
    /// Who writes it.
    pub dir: Dir,
    /// Its fields, in order.
    pub fields: Vec<Field>,
    /// Where in xenstore it stands.
    pub xenstore: Option<Binding>,
}

/// A xenstore path that holds a type.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The path, with `$NAME` for parts that vary.
    pub path: String,
    /// The names of these parts, in order, lower-case.
    pub params: Vec<String>,
    /// Who writes it: `n` not the domain, `w` the domain (xenstore-paths.pandoc).
    pub access: String,
    /// Where it is bound.
    pub span: Span,
}

/// A field.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name, which is its key unless it is a union.
    pub name: String,
    /// Its documentation.
    pub doc: String,
    /// Its type.
    pub ty: Ty,
    /// Whether it must be there.
    pub presence: Presence,
    /// Limits, beyond its type's.
    pub limits: Limits,
    /// Version of the contract that brought it, when not the first.
    pub since: Option<u32>,
    /// What to use instead, when it is on its way out.
    pub deprecated: Option<String>,
    /// Where it is declared.
    pub span: Span,
}

/// Whether a field must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Always written, must be there when read.
    Required,
    /// Left out when absent, and only then.
    Optional,
    /// Always written, may be absent when read.
    Default(Value),
}

/// A literal of a field's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// Text.
    Str(String),
    /// A value of an enumeration, by its name.
    Enum(String),
}

/// Limits of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Least and greatest integer (nanoseconds for a duration).
    pub range: Option<(i64, i64)>,
    /// Fewest bytes of a string, elements of an array.
    pub min: Option<u64>,
    /// Most bytes of a string, elements of an array.
    pub max: Option<u64>,
    /// The pattern of a string.
    pub pattern: Option<Pattern>,
}

/// A type as a field uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ty {
    /// A truth value.
    Bool,
    /// An integer of so many bits, never beyond +-(2^53-1).
    Int {
        /// 8, 16, 32 or 64.
        bits: u8,
        /// Whether it may be negative.
        signed: bool,
    },
    /// Number of a running domain.
    Domid,
    /// Text.
    Str,
    /// An instant: RFC 3339, UTC, nine digits.
    Timestamp,
    /// A span of time: integer nanoseconds.
    Duration,
    /// A UUID: lower-case, dashed.
    Uuid,
    /// An absolute path.
    Path,
    /// A size in bytes.
    Bytes,
    /// JSON of someone else, kept byte for byte.
    Json,
    /// A named type.
    Named(Id),
    /// A list.
    Array {
        /// Type of the elements.
        elem: Box<Ty>,
        /// Name of the length, for languages that need one.
        len: String,
    },
    /// One of several, told apart by its key.
    Union(Union),
}

/// A keyed union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Union {
    /// Its name, where the struct's and field's names do not serve.
    pub name: Option<String>,
    /// The enumeration whose values name the arms.
    pub key_enum: Id,
    /// First part of the key: `op` in `"op.cancel"`.
    pub keyvar: String,
    /// The arms, in order.
    pub arms: Vec<Arm>,
}

/// An arm of a union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arm {
    /// Its name: a value of the enumeration.
    pub name: String,
    /// The struct it holds; `None`: `{}`.
    pub ty: Option<Id>,
}

/// An enumeration.
#[derive(Clone, Debug)]
pub struct Enum {
    /// Who writes it.
    pub dir: Dir,
    /// Its values.
    pub values: Vec<EnumValue>,
}

/// A value of an enumeration.
#[derive(Clone, Debug)]
pub struct EnumValue {
    /// Its name, which is what JSON holds.
    pub name: String,
    /// Its number, for C and exit codes.
    pub number: i64,
    /// Its documentation.
    pub doc: String,
}

/// A string with a pattern of its own.
#[derive(Clone, Debug)]
pub struct Text {
    /// The pattern.
    pub pattern: Pattern,
    /// Fewest bytes.
    pub min: Option<u64>,
    /// Most bytes, by `max` or else by the pattern.
    pub max: Option<u64>,
}

impl Model {
    /// A declaration.
    ///
    /// # Panics
    /// If the id is of another model.
    #[must_use]
    pub fn get(&self, id: Id) -> &Decl {
        #[expect(clippy::indexing_slicing, reason = "ids are made with the declarations")]
        &self.decls[id.0]
    }

    /// The declaration of a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Decl> {
        self.decls.iter().find(|d| d.name == name)
    }

    /// The enumeration behind an id, when it is one.
    #[must_use]
    pub fn as_enum(&self, id: Id) -> Option<&Enum> {
        match &self.get(id).kind {
            DeclKind::Enum(e) => Some(e),
            DeclKind::Struct(_) | DeclKind::Text(_) => None,
        }
    }
}

impl Ty {
    /// Least and greatest value, for what is an integer in JSON.
    #[must_use]
    pub fn int_range(&self) -> Option<(i64, i64)> {
        match self {
            Ty::Int { bits: 64, signed: false } | Ty::Duration | Ty::Bytes => Some((0, INT_MAX)),
            Ty::Int { bits: 64, signed: true } => Some((-INT_MAX, INT_MAX)),
            Ty::Int { bits, signed: false } => Some((0, (1i64 << bits) - 1)),
            Ty::Int { bits, signed: true } => Some((-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1)),
            // xen/include/public/xen.h: DOMID_FIRST_RESERVED is 0x7FF0.
            Ty::Domid => Some((0, 0x7fef)),
            _ => None,
        }
    }

    /// Its name in the language.
    #[must_use]
    pub fn describe(&self, model: &Model) -> String {
        match self {
            Ty::Bool => "bool".into(),
            Ty::Int { bits: 64, signed: true } => "integer".into(),
            Ty::Int { bits, signed: false } => format!("uint{bits}"),
            Ty::Int { bits, signed: true } => format!("int{bits}"),
            Ty::Domid => "domid".into(),
            Ty::Str => "string".into(),
            Ty::Timestamp => "timestamp".into(),
            Ty::Duration => "duration".into(),
            Ty::Uuid => "uuid".into(),
            Ty::Path => "path".into(),
            Ty::Bytes => "bytes".into(),
            Ty::Json => "json".into(),
            Ty::Named(id) => model.get(*id).name.clone(),
            Ty::Array { elem, .. } => format!("Array({})", elem.describe(model)),
            Ty::Union(u) => format!("KeyedUnion({})", model.get(u.key_enum).name),
        }
    }
}
