//! What can be done with a type of which only the name is known.

use super::{DecodeError, EncodeError, from_str, to_string};
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// A type of the contract.
#[derive(Clone, Copy)]
pub struct TypeInfo {
    /// Its name in the IDL.
    pub name: &'static str,
    recode: fn(&str) -> Result<String, RecodeError>,
    schema: fn() -> Schema,
}

/// Why a document cannot be read and written again.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecodeError {
    /// It is not one of this type.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It was read, and cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl TypeInfo {
    /// Of a type.
    #[must_use]
    pub const fn of<T: Serialize + DeserializeOwned + JsonSchema>(name: &'static str) -> Self {
        Self { name, recode: recode::<T>, schema: schema::<T> }
    }

    /// Reads a document and writes it in the one form that its value has.
    ///
    /// # Errors
    /// See [`RecodeError`].
    pub fn recode(&self, text: &str) -> Result<String, RecodeError> {
        (self.recode)(text)
    }

    /// Its JSON Schema (2020-12), with those of the types that it holds.
    #[must_use]
    pub fn schema(&self) -> Schema {
        (self.schema)()
    }
}

fn recode<T: Serialize + DeserializeOwned>(text: &str) -> Result<String, RecodeError> {
    Ok(to_string(&from_str::<T>(text)?)?)
}

fn schema<T: JsonSchema>() -> Schema {
    schemars::SchemaGenerator::default().into_root_schema_for::<T>()
}
