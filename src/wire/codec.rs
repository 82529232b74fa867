//! Codecs: how a field's value is read, written and described, with its limits.

use super::named::{Pattern, check_text};
use super::object::{Reader, Writer, read_object};
use super::{Extra, Object};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeSeq};
use serde::{Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;
use uuid::Uuid;

/// Reads, writes and describes values of a field.
pub trait Codec: Copy {
    /// The value.
    type Value;

    /// Reads one.
    ///
    /// # Errors
    /// It is not one.
    fn read<'de, D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error>;

    /// Writes one.
    ///
    /// # Errors
    /// It is outside its limits.
    fn write<S: Serializer>(self, value: &Self::Value, s: S) -> Result<S::Ok, S::Error>;

    /// Its JSON Schema.
    fn schema(self, g: &mut SchemaGenerator) -> Schema;
}

/// Reads a string and makes a value of it.
pub(crate) fn read_text<'de, T, E, D, F>(d: D, what: &'static str, make: F) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    E: fmt::Display,
    F: FnOnce(&str) -> Result<T, E>,
{
    struct V<F>(&'static str, F);
    impl<T, E: fmt::Display, F: FnOnce(&str) -> Result<T, E>> Visitor<'_> for V<F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a string ({})", self.0)
        }

        fn visit_str<X: serde::de::Error>(self, text: &str) -> Result<T, X> {
            (self.1)(text).map_err(X::custom)
        }
    }
    d.deserialize_str(V(what, make))
}

/// A type that checks itself.
pub struct Plain<T>(PhantomData<T>);

impl<T> Plain<T> {
    /// Its codec.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for Plain<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Plain<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Plain<T> {}

impl<T: Serialize + DeserializeOwned + JsonSchema> Codec for Plain<T> {
    type Value = T;

    fn read<'de, D: Deserializer<'de>>(self, d: D) -> Result<T, D::Error> {
        T::deserialize(d)
    }

    fn write<S: Serializer>(self, value: &T, s: S) -> Result<S::Ok, S::Error> {
        value.serialize(s)
    }

    fn schema(self, g: &mut SchemaGenerator) -> Schema {
        g.subschema_for::<T>()
    }
}

/// A text that its field narrows.
pub struct Limited<T> {
    min: u32,
    max: u32,
    pattern: Option<&'static Pattern>,
    of: PhantomData<T>,
}

impl<T> Limited<T> {
    /// Fewest and most UTF-8 bytes, and a pattern.
    #[must_use]
    pub const fn new(min: u32, max: u32, pattern: Option<&'static Pattern>) -> Self {
        Self { min, max, pattern, of: PhantomData }
    }
}

impl<T> Clone for Limited<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Limited<T> {}

impl<T: Serialize + DeserializeOwned + JsonSchema + AsRef<str>> Codec for Limited<T> {
    type Value = T;

    fn read<'de, D: Deserializer<'de>>(self, d: D) -> Result<T, D::Error> {
        let value = T::deserialize(d)?;
        check_text(value.as_ref(), self.min, self.max, self.pattern).map_err(D::Error::custom)?;
        Ok(value)
    }

    fn write<S: Serializer>(self, value: &T, s: S) -> Result<S::Ok, S::Error> {
        check_text(value.as_ref(), self.min, self.max, self.pattern).map_err(S::Error::custom)?;
        value.serialize(s)
    }

    fn schema(self, g: &mut SchemaGenerator) -> Schema {
        let mut schema = g.subschema_for::<T>();
        super::schema::limit_text(&mut schema, self.min, self.max, self.pattern);
        schema
    }
}

/// An integer from `min` to `max`.
pub struct Int<T> {
    min: i64,
    max: i64,
    of: PhantomData<T>,
}

impl<T> Int<T> {
    /// Least and greatest value.
    #[must_use]
    pub const fn new(min: i64, max: i64) -> Self {
        Self { min, max, of: PhantomData }
    }
}

impl<T> Clone for Int<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Int<T> {}

fn read_int<'de, D: Deserializer<'de>>(d: D, min: i64, max: i64) -> Result<i64, D::Error> {
    struct V(i64, i64);
    impl V {
        fn check<E: serde::de::Error>(&self, value: i128) -> Result<i64, E> {
            match i64::try_from(value) {
                Ok(v) if (self.0..=self.1).contains(&v) => Ok(v),
                _ => Err(E::custom(format_args!("{value} is not from {} to {}", self.0, self.1))),
            }
        }
    }
    impl Visitor<'_> for V {
        type Value = i64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an integer from {} to {}", self.0, self.1)
        }

        fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<i64, E> {
            self.check(i128::from(v))
        }

        fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<i64, E> {
            self.check(i128::from(v))
        }
    }
    d.deserialize_i64(V(min, max))
}

fn write_int<S: Serializer>(value: Option<i64>, min: i64, max: i64, s: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(v) if (min..=max).contains(&v) => s.serialize_i64(v),
        Some(v) => Err(S::Error::custom(format_args!("{v} is not from {min} to {max}"))),
        None => Err(S::Error::custom(format_args!("an integer beyond {max}"))),
    }
}

fn int_schema(min: i64, max: i64) -> Schema {
    json_schema!({ "type": "integer", "minimum": min, "maximum": max })
}

impl<T: Copy + TryFrom<i64> + TryInto<i64>> Codec for Int<T> {
    type Value = T;

    fn read<'de, D: Deserializer<'de>>(self, d: D) -> Result<T, D::Error> {
        let value = read_int(d, self.min, self.max)?;
        T::try_from(value).map_err(|_| D::Error::custom(format_args!("{value} is out of range")))
    }

    fn write<S: Serializer>(self, value: &T, s: S) -> Result<S::Ok, S::Error> {
        write_int((*value).try_into().ok(), self.min, self.max, s)
    }

    fn schema(self, _: &mut SchemaGenerator) -> Schema {
        int_schema(self.min, self.max)
    }
}

/// A span of time as integer nanoseconds, from `min` to `max`.
#[derive(Clone, Copy)]
pub struct Nanos {
    min: i64,
    max: i64,
}

impl Nanos {
    /// Least and greatest value in nanoseconds.
    #[must_use]
    pub const fn new(min: i64, max: i64) -> Self {
        Self { min, max }
    }
}

impl Codec for Nanos {
    type Value = Duration;

    fn read<'de, D: Deserializer<'de>>(self, d: D) -> Result<Duration, D::Error> {
        let value = read_int(d, self.min, self.max)?;
        u64::try_from(value).map(Duration::from_nanos).map_err(D::Error::custom)
    }

    fn write<S: Serializer>(self, value: &Duration, s: S) -> Result<S::Ok, S::Error> {
        write_int(i64::try_from(value.as_nanos()).ok(), self.min, self.max, s)
    }

    fn schema(self, _: &mut SchemaGenerator) -> Schema {
        int_schema(self.min, self.max)
    }
}

/// A UUID, lower-case and dashed.
#[derive(Clone, Copy)]
pub struct UuidText;

impl Codec for UuidText {
    type Value = Uuid;

    fn read<'de, D: Deserializer<'de>>(self, d: D) -> Result<Uuid, D::Error> {
        read_text(d, "uuid", |text| match Uuid::try_parse(text) {
            Ok(uuid) if uuid.as_hyphenated().encode_lower(&mut [0; 36]) == text => Ok(uuid),
            _ => {
                Err(super::Invalid::new("uuid", text, "32 lower-case hex digits with dashes, as 8-4-4-4-12"))
            }
        })
    }

    fn write<S: Serializer>(self, value: &Uuid, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(value.as_hyphenated().encode_lower(&mut [0; 36]))
    }

    fn schema(self, _: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "uuid",
            "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
        })
    }
}

/// A list of `min` to `max` elements.
#[derive(Clone, Copy)]
pub struct List<C> {
    of: C,
    min: u32,
    max: u32,
}

impl<C> List<C> {
    /// The elements' codec, fewest and most.
    #[must_use]
    pub const fn new(of: C, min: u32, max: u32) -> Self {
        Self { of, min, max }
    }
}

struct Element<'a, C: Codec>(C, &'a C::Value);

impl<C: Codec> Serialize for Element<'_, C> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.write(self.1, s)
    }
}

struct ElementSeed<C>(C);

impl<'de, C: Codec> serde::de::DeserializeSeed<'de> for ElementSeed<C> {
    type Value = C::Value;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<C::Value, D::Error> {
        self.0.read(d)
    }
}

impl<'de, C: Codec> Visitor<'de> for List<C> {
    type Value = Vec<C::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max {
            u32::MAX => f.write_str("a list"),
            max => write!(f, "a list of {} to {max} elements", self.min),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element_seed(ElementSeed(self.of))? {
            if list.len() >= self.max as usize {
                return Err(A::Error::custom(format_args!("more than {} elements", self.max)));
            }
            list.push(value);
        }
        if list.len() < self.min as usize {
            return Err(A::Error::custom(format_args!("{} elements, at least {}", list.len(), self.min)));
        }
        Ok(list)
    }
}

impl<C: Codec> Codec for List<C> {
    type Value = Vec<C::Value>;

    fn read<'de, D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_seq(self)
    }

    fn write<S: Serializer>(self, value: &Self::Value, s: S) -> Result<S::Ok, S::Error> {
        if !(self.min as usize..=self.max as usize).contains(&value.len()) {
            let (n, min, max) = (value.len(), self.min, self.max);
            return Err(S::Error::custom(format_args!("{n} elements, not {min} to {max}")));
        }
        let mut seq = s.serialize_seq(Some(value.len()))?;
        for element in value {
            seq.serialize_element(&Element(self.of, element))?;
        }
        seq.end()
    }

    fn schema(self, g: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({ "type": "array", "items": self.of.schema(g) });
        if self.min > 0 {
            schema.insert("minItems".into(), self.min.into());
        }
        if self.max < u32::MAX {
            schema.insert("maxItems".into(), self.max.into());
        }
        schema
    }
}

/// `{}`: an arm of a strict union that holds nothing.
#[derive(Clone, Copy)]
pub struct Empty;

struct Nothing;

impl Object for Nothing {
    const NAME: &'static str = "{}";

    fn read<'de, A: serde::de::MapAccess<'de>>(reader: &mut Reader<'de, A>) -> Result<Self, A::Error> {
        while let Some(key) = reader.key()? {
            reader.unknown(&key, &[])?;
        }
        Ok(Self)
    }
}

impl Codec for Empty {
    type Value = ();

    fn read<'de, D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        read_object::<Nothing, D>(d).map(|_| ())
    }

    fn write<S: Serializer>(self, (): &(), s: S) -> Result<S::Ok, S::Error> {
        Writer::new(s)?.end()
    }

    fn schema(self, _: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": false })
    }
}

/// An arm of an open union that holds nothing that this version knows.
impl Object for Extra {
    const NAME: &'static str = "{}";

    fn read<'de, A: serde::de::MapAccess<'de>>(reader: &mut Reader<'de, A>) -> Result<Self, A::Error> {
        let mut extra = Extra::new();
        while let Some(key) = reader.key()? {
            reader.keep(&mut extra, &key)?;
        }
        Ok(extra)
    }
}

impl<'de> serde::Deserialize<'de> for Extra {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        read_object(d)
    }
}

impl Serialize for Extra {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut o = Writer::new(s)?;
        o.extra(self, &[])?;
        o.end()
    }
}

impl JsonSchema for Extra {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Extra".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}
