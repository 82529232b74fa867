//! The model: what back ends see. Every name is resolved, every limit is known, every rule is checked.

use crate::diag::Span;
use crate::pattern::Pattern;

/// Largest magnitude of an integer that every JSON reader keeps: 2^53-1.
pub const INT_MAX: i64 = (1 << 53) - 1;
/// Most bytes of a value in xenstore that every path to it carries.
pub const XENSTORE_MAX: u64 = 2048;
/// Deepest nesting of a document.
pub const DEPTH_MAX: u32 = 16;

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
    /// libxl's files only: copied neither way.
    None,
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
            Dir::None => "DIR_NONE",
        }
    }
}

/// What becomes of a field or value that a type does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// It is an error (the contract's strict types).
    Refused,
    /// It is kept and written again (the contract's open types).
    #[default]
    Kept,
    /// A field is ignored, an enumeration keeps its number: libxl's types, which are C.
    Ignored,
}

impl Unknown {
    /// The contract's rule.
    #[must_use]
    pub fn of(dir: Dir) -> Self {
        if dir.is_strict() { Unknown::Refused } else { Unknown::Kept }
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
    /// The first `namespace(..)` of the files (`xensnap_`): back ends name packages and C's symbols after it.
    pub namespace: String,
}

/// A named type.
#[derive(Clone, Debug)]
pub struct Decl {
    /// Its whole name, a namespace that is part of it included.
    pub name: String,
    /// The namespace that begins the name; empty when names stand as they are (profile `contract`).
    pub namespace: String,
    /// Not exported by the library (`hidden`).
    pub hidden: bool,
    /// Made for one field or arm: `Struct(None, ..)`.
    pub anonymous: bool,
    /// What libxl's C does with it: options that have no meaning in other languages, as written.
    pub c_options: Vec<(String, COption)>,
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

impl Decl {
    /// A struct without fields, to be filled in.
    #[must_use]
    pub fn new(name: &str, span: Span) -> Self {
        Self {
            name: name.to_owned(),
            namespace: String::new(),
            hidden: false,
            anonymous: false,
            c_options: Vec::new(),
            doc: String::new(),
            since: None,
            deprecated: None,
            span,
            kind: DeclKind::Struct(Struct::default()),
        }
    }

    /// The name without its namespace.
    #[must_use]
    pub fn raw_name(&self) -> &str {
        self.name.strip_prefix(&self.namespace).filter(|n| !n.is_empty()).unwrap_or(&self.name)
    }
}

/// The value of an option that is C's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum COption {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// A name or C text.
    Text(String),
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
#[derive(Clone, Debug, Default)]
pub struct Struct {
    /// Who writes it.
    pub dir: Dir,
    /// What becomes of a field that it does not know.
    pub unknown: Unknown,
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
    /// libxl sets it and nobody else: not in JSON (`const`).
    pub constant: bool,
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
    /// libxl's rule: always has a value, which begins as this (0: nothing, empty) and is left out while it is this;
    /// structs, unions and hwcap are always written.
    Initial(i128),
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
    /// A number of C, the whole range of its bits.
    Number(Number),
    /// A type whose JSON libxl's own functions read and write.
    Builtin(Builtin),
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
    /// The value of the enumeration that a new one has, where libxl's types have one; else 0.
    pub initial: i64,
    /// The arms, in order.
    pub arms: Vec<Arm>,
}

/// An arm of a union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arm {
    /// Its name: a value of the enumeration (libxl's files: but for the case of its letters).
    pub name: String,
    /// The number of that value.
    pub number: i64,
    /// The struct it holds; `None`: `{}`.
    pub ty: Option<Id>,
}

/// An enumeration.
#[derive(Clone, Debug, Default)]
pub struct Enum {
    /// Who writes it.
    pub dir: Dir,
    /// What becomes of a value that it does not know.
    pub unknown: Unknown,
    /// What begins the names of its values in C (`LIBXL_DISK_FORMAT_`); empty where C has none.
    pub c_prefix: String,
    /// The number that a new one has, where it says so.
    pub initial: Option<i64>,
    /// Its values.
    pub values: Vec<EnumValue>,
}

/// A value of an enumeration.
#[derive(Clone, Debug)]
pub struct EnumValue {
    /// Its name, which is what JSON holds (of libxl's files: in lower case).
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

/// A number of C.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// What the language calls it: `uint32`, `integer`, `MemKB`.
    pub name: String,
    /// 8, 16, 32 or 64.
    pub bits: u8,
    /// Whether it may be negative.
    pub signed: bool,
    /// Whether every libxl writes all of its bits. The others go through an `int` where libxl is built on json-c,
    /// and through a signed 64-bit integer where it is built on yajl.
    pub full: bool,
}

/// A type whose JSON libxl's own functions read and write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// `string`: text, or none.
    Text,
    /// True, false, or left to libxl.
    Defbool,
    /// 16 bytes.
    Uuid,
    /// 6 bytes.
    Mac,
    /// A set of small numbers.
    Bitmap,
    /// CPUID leaves and MSRs.
    CpuidPolicyList,
    /// Texts.
    StringList,
    /// Keys with a text or none.
    KeyValueList,
    /// Words of CPU capabilities.
    Hwcap,
    /// 16 bytes, written as numbers.
    MsVmGenid,
    /// libxl's own, not in JSON: its name.
    Private(String),
}

impl Builtin {
    /// Those that have a name in libxl's files, without the namespace.
    pub const NAMED: &'static [(&'static str, Builtin)] = &[
        ("defbool", Builtin::Defbool),
        ("uuid", Builtin::Uuid),
        ("mac", Builtin::Mac),
        ("bitmap", Builtin::Bitmap),
        ("cpuid_policy_list", Builtin::CpuidPolicyList),
        ("string_list", Builtin::StringList),
        ("key_value_list", Builtin::KeyValueList),
        ("hwcap", Builtin::Hwcap),
        ("ms_vm_genid", Builtin::MsVmGenid),
    ];

    /// Its name in the language.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Builtin::Text => "string",
            Builtin::Private(name) => name,
            other => Self::NAMED.iter().find(|(_, b)| b == other).map_or("", |(n, _)| n),
        }
    }
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

    /// Takes declarations out. Nothing may refer to them.
    pub(crate) fn drop_decls(&mut self, dropped: &std::collections::BTreeSet<Id>) {
        if dropped.is_empty() {
            return;
        }
        let mut place = Vec::new();
        let mut kept = 0;
        for i in 0..self.decls.len() {
            place.push(Id(kept));
            kept += usize::from(!dropped.contains(&Id(i)));
        }
        let new = |id: &mut Id| *id = place.get(id.0).copied().unwrap_or(*id);
        fn each(ty: &mut Ty, new: &impl Fn(&mut Id)) {
            match ty {
                Ty::Named(id) => new(id),
                Ty::Array { elem, .. } => each(elem, new),
                Ty::Union(u) => {
                    new(&mut u.key_enum);
                    u.arms.iter_mut().filter_map(|a| a.ty.as_mut()).for_each(new);
                }
                _ => {}
            }
        }
        let mut i = 0;
        self.decls.retain(|_| {
            i += 1;
            !dropped.contains(&Id(i - 1))
        });
        for decl in &mut self.decls {
            if let DeclKind::Struct(s) = &mut decl.kind {
                s.fields.iter_mut().for_each(|f| each(&mut f.ty, &new));
            }
        }
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
            Ty::Number(n) => n.name.clone(),
            Ty::Builtin(b) => b.name().to_owned(),
            Ty::Named(id) => model.get(*id).name.clone(),
            Ty::Array { elem, .. } => format!("Array({})", elem.describe(model)),
            Ty::Union(u) => format!("KeyedUnion({})", model.get(u.key_enum).name),
        }
    }
}
