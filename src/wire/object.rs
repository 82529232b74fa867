//! Objects: keys in IDL order, each once; one key for a union; unknown ones kept or refused.

use super::near::hint;
use super::{Codec, Extra, RawJson};
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

/// A key, borrowed from the document where it has no escape.
pub struct Key<'de>(Cow<'de, str>);

impl Deref for Key<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(v)))
            }

            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(v.to_owned())))
            }
        }
        d.deserialize_str(V)
    }
}

/// A struct of the contract.
pub trait Object: Sized {
    /// Its name in the IDL.
    const NAME: &'static str;

    /// Reads its fields.
    ///
    /// # Errors
    /// The object is not one.
    fn read<'de, A: MapAccess<'de>>(reader: &mut Reader<'de, A>) -> Result<Self, A::Error>;
}

/// Reads an object.
///
/// # Errors
/// What is there is not an object, or not this one.
pub fn read_object<'de, T: Object, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
    struct V<T>(PhantomData<T>);
    impl<'de, T: Object> Visitor<'de> for V<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an object ({})", T::NAME)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::read(&mut Reader { map, lifetime: PhantomData })
        }
    }
    d.deserialize_map(V(PhantomData))
}

/// The fields of an object as they come.
pub struct Reader<'de, A> {
    map: A,
    lifetime: PhantomData<&'de ()>,
}

struct Seed<C>(C);

impl<'de, C: Codec> DeserializeSeed<'de> for Seed<C> {
    type Value = C::Value;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<C::Value, D::Error> {
        self.0.read(d)
    }
}

impl<'de, A: MapAccess<'de>> Reader<'de, A> {
    /// The next key.
    ///
    /// # Errors
    /// The document is malformed.
    pub fn key(&mut self) -> Result<Option<Key<'de>>, A::Error> {
        self.map.next_key()
    }

    /// The value of a known field.
    ///
    /// # Errors
    /// The field was there already, or the value is not one of its.
    pub fn field<C: Codec>(
        &mut self,
        slot: &mut Option<C::Value>,
        name: &str,
        codec: C,
    ) -> Result<(), A::Error> {
        if slot.is_some() {
            return Err(A::Error::custom(format_args!("duplicate key `{name}`")));
        }
        *slot = Some(self.map.next_value_seed(Seed(codec))?);
        Ok(())
    }

    /// The value of an arm of a union.
    ///
    /// # Errors
    /// An arm was there already, or the value is not one of its.
    pub fn arm<C: Codec, U>(
        &mut self,
        slot: &mut Option<U>,
        key: &str,
        codec: C,
        wrap: impl FnOnce(C::Value) -> U,
    ) -> Result<(), A::Error> {
        if slot.is_some() {
            let union = key.split('.').next().unwrap_or(key);
            return Err(A::Error::custom(format_args!(
                "`{key}` is a second key of `{union}`: only one can be there"
            )));
        }
        *slot = Some(wrap(self.map.next_value_seed(Seed(codec))?));
        Ok(())
    }

    /// Keeps a field that is not known.
    ///
    /// # Errors
    /// The key was there already, or the value is not JSON.
    pub fn keep(&mut self, extra: &mut Extra, key: &str) -> Result<(), A::Error> {
        if extra.get(key).is_some() {
            return Err(A::Error::custom(format_args!("duplicate key `{}`", key.escape_debug())));
        }
        extra.push(key.into(), self.map.next_value()?);
        Ok(())
    }

    /// The error for a field that is not known.
    ///
    /// # Errors
    /// Always.
    pub fn unknown(&self, key: &str, known: &[&str]) -> Result<(), A::Error> {
        let shown: String = key.chars().take(64).collect();
        Err(A::Error::custom(format_args!("unknown field `{}`{}", shown.escape_debug(), hint(key, known))))
    }
}

/// The value of a field that must be there.
///
/// # Errors
/// It is not there.
pub fn required<T, E: serde::de::Error>(slot: Option<T>, name: &str) -> Result<T, E> {
    slot.ok_or_else(|| E::custom(format_args!("missing field `{name}`")))
}

/// The arm of a union, of which one must be there.
///
/// # Errors
/// None is there.
pub fn required_arm<T, E: serde::de::Error>(slot: Option<T>, keys: &[&str]) -> Result<T, E> {
    slot.ok_or_else(|| E::custom(format_args!("missing field: one of `{}`", keys.join("`, `"))))
}

/// Reads a value of an enumeration: `known` gives a known one, `unknown` (of an open enumeration) keeps another.
///
/// # Errors
/// What is there is not a string, or not a value.
pub fn read_enum<'de, T, D: Deserializer<'de>>(
    d: D,
    name: &'static str,
    names: &[&str],
    known: fn(&str) -> Option<T>,
    unknown: Option<fn(Box<str>) -> T>,
) -> Result<T, D::Error> {
    super::codec::read_text(d, name, |text| match (known(text), unknown) {
        (Some(value), _) => Ok(value),
        (None, Some(keep)) if is_enum_name(text) => Ok(keep(text.into())),
        (None, _) => {
            let shown: String = text.chars().take(64).collect();
            Err(format!("unknown value `{}` of {name}{}", shown.escape_debug(), hint(text, names)))
        }
    })
}

/// Writes a value that an open enumeration does not know.
///
/// # Errors
/// It is one that is known, or has not the form of a value.
pub fn write_unknown<S: Serializer>(s: S, what: &str, name: &str, known: &[&str]) -> Result<S::Ok, S::Error> {
    if known.contains(&name) || !is_enum_name(name) {
        return Err(S::Error::custom(format_args!("`{}` cannot be an unknown {what}", name.escape_debug())));
    }
    s.serialize_str(name)
}

/// The name of an arm that an open union does not know.
///
/// # Errors
/// It has not the form of a name.
pub fn unknown_arm<E: serde::de::Error>(keyvar: &str, key: &str) -> Result<Box<str>, E> {
    match key.strip_prefix(keyvar).and_then(|rest| rest.strip_prefix('.')) {
        Some(arm) if is_enum_name(arm) => Ok(arm.into()),
        _ => Err(E::custom(format_args!("`{}` is not a key of `{keyvar}`", key.escape_debug()))),
    }
}

/// Whether a text has the form of an enumeration's value: lower-case words, at most 64 bytes.
pub(crate) fn is_enum_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Writes an object.
pub struct Writer<S: Serializer> {
    map: S::SerializeMap,
}

struct Coded<'a, C: Codec>(C, &'a C::Value);

impl<C: Codec> Serialize for Coded<'_, C> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.write(self.1, s)
    }
}

impl<S: Serializer> Writer<S> {
    /// Begins.
    ///
    /// # Errors
    /// The output's.
    pub fn new(s: S) -> Result<Self, S::Error> {
        Ok(Self { map: s.serialize_map(None)? })
    }

    /// A field.
    ///
    /// # Errors
    /// The value is outside its limits, or the output's.
    pub fn field<C: Codec>(&mut self, name: &str, codec: C, value: &C::Value) -> Result<(), S::Error> {
        self.map.serialize_entry(name, &Coded(codec, value))
    }

    /// A field that is left out when absent.
    ///
    /// # Errors
    /// As for [`Writer::field`].
    pub fn optional<C: Codec>(
        &mut self,
        name: &str,
        codec: C,
        value: Option<&C::Value>,
    ) -> Result<(), S::Error> {
        value.map_or(Ok(()), |value| self.field(name, codec, value))
    }

    /// An arm that this version does not know.
    ///
    /// # Errors
    /// Its name is one that is known, or not a name.
    pub fn unknown_arm(
        &mut self,
        keyvar: &str,
        arm: &str,
        known: &[&str],
        value: &RawJson,
    ) -> Result<(), S::Error> {
        let key = format!("{keyvar}.{arm}");
        if known.contains(&key.as_str()) || !is_enum_name(arm) {
            return Err(S::Error::custom(format_args!("`{}` cannot be an unknown arm", key.escape_debug())));
        }
        self.map.serialize_entry(&key, value)
    }

    /// The fields that this version does not know.
    ///
    /// # Errors
    /// One has the name of a known field or key.
    pub fn extra(&mut self, extra: &Extra, known: &[&str]) -> Result<(), S::Error> {
        for (name, value) in extra.iter() {
            if known.contains(&name) {
                return Err(S::Error::custom(format_args!("unknown field `{name}` has a known name")));
            }
            self.map.serialize_entry(name, value)?;
        }
        Ok(())
    }

    /// Ends.
    ///
    /// # Errors
    /// The output's.
    pub fn end(self) -> Result<S::Ok, S::Error> {
        self.map.end()
    }
}
