//! What the generated types stand on: the contract's JSON, checked both ways.
//!
//! ```text
//! bytes -> document (size, UTF-8, depth) -> serde_json -> Reader (keys, unions, unknown fields) -> Codec -> value
//! value -> Codec (limits) -> Writer (order, unknown fields last) -> serde_json -> document (size) -> bytes
//! ```
//! Generated code calls this module and nothing else but serde and schemars. Invariants: a value outside its
//! limits is neither read nor written; equal values give equal bytes; what an open type did not know is written
//! again as it was read; nothing here does I/O, and only [`Timestamp::now`] reads a clock.

mod codec;
mod document;
mod named;
mod near;
mod object;
mod path;
mod raw;
mod schema;
mod time;
mod types;

pub use codec::{Codec, Empty, Int, Limited, List, Nanos, Plain, UuidText};
pub use document::{
    DEPTH_MAX, DOCUMENT_MAX, DecodeError, EncodeError, XENSTORE_MAX, from_slice, from_str, from_xenstore,
    to_string, to_vec, to_xenstore,
};
pub(crate) use named::named_string;
pub use named::{Invalid, Part, Pattern};
pub use near::nearest;
pub use object::{
    Key, Object, Reader, Writer, read_enum, read_object, required, required_arm, unknown_arm, write_unknown,
};
pub use path::AbsPath;
pub use raw::{Extra, RawJson};
pub use schema::{ObjectSchema, enum_schema};
pub use time::Timestamp;
pub use types::{RecodeError, TypeInfo};

/// Largest magnitude of an integer that every JSON reader keeps: 2^53-1.
pub const INT_MAX: i64 = (1 << 53) - 1;

// For the code that `named_string!` writes.
pub(crate) use codec::read_text;
pub(crate) use named::{check_text, lossy};
pub(crate) use schema::text_schema;

#[cfg(test)]
mod tests;
