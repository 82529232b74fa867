//! Between the contract's types and the database's columns: a record is its JSON, a column is the JSON string without its quotes.

use serde::Serialize;
use serde::de::DeserializeOwned;
use xensnap::wire;

use crate::error::{Result, StoreError};

/// A record as JSON text.
pub(crate) fn encode<T: Serialize + ?Sized>(what: &'static str, id: &str, value: &T) -> Result<String> {
    wire::to_string(value).map_err(|e| StoreError::Inconsistent {
        id: id.to_owned(),
        detail: format!("its {what} cannot be written: {e}"),
    })
}

/// A record from JSON text.
pub(crate) fn decode<T: DeserializeOwned>(what: &'static str, id: &str, json: &str) -> Result<T> {
    wire::from_str(json).map_err(|e| StoreError::BadRecord { what, id: id.to_owned(), detail: e.to_string() })
}

/// A value whose JSON is a string, as a column: an enum, a time, a name, a UUID. None of them needs an escape.
pub(crate) fn word<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    let json = encode("column", "?", value)?;
    Ok(json.trim_matches('"').to_owned())
}

/// A column back.
pub(crate) fn unword<T: DeserializeOwned>(what: &'static str, id: &str, word: &str) -> Result<T> {
    decode(what, id, &format!("\"{word}\""))
}
