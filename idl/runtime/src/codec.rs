//! How the value of a field is read and written. A codec is a type without values, named by generated code.

use crate::Json;
use crate::dialect::Dialect;
use crate::error::{Error, Result, shown, suggestion};
use crate::reader::{Kind, Reader};
use crate::writer::Writer;
use core::marker::PhantomData;

pub use crate::number::{Full, Int};

/// How a value is read and written.
pub trait Codec {
    /// The value.
    type T;
    /// The kinds of JSON that libxl looks for; any other is as if the field were not there.
    const KINDS: u8;

    /// The kinds that a dialect looks for.
    fn kinds(_: Dialect) -> u8 {
        Self::KINDS
    }

    /// Reads the value at the reader's place.
    ///
    /// # Errors
    /// Malformed text, or a value that is refused.
    fn read(r: &mut Reader<'_>) -> Result<Self::T>;

    /// Reads it into a value that is as it begins.
    ///
    /// # Errors
    /// As [`read`](Codec::read); the value may be half read then.
    fn read_into(r: &mut Reader<'_>, value: &mut Self::T) -> Result<()> {
        *value = Self::read(r)?;
        Ok(())
    }

    /// Reads it as the next element of a list.
    ///
    /// # Errors
    /// As [`read`](Codec::read).
    fn read_next(r: &mut Reader<'_>, list: &mut Vec<Self::T>) -> Result<()> {
        list.push(Self::read(r)?);
        Ok(())
    }

    /// Writes it.
    fn write(w: &mut Writer, value: &Self::T);

    /// Whether libxl leaves it out of a struct.
    fn is_zero(value: &Self::T) -> bool;

    /// Whether there is no value at all: then the contract leaves it out too.
    fn is_absent(_: &Self::T) -> bool {
        false
    }

    /// Whether both are one value.
    fn same(a: &Self::T, b: &Self::T) -> bool;
}

/// A struct: always written.
#[derive(Debug)]
pub struct Sub<T>(PhantomData<T>);

impl<T: Json> Codec for Sub<T> {
    type T = T;
    const KINDS: u8 = Kind::Object.bit();

    fn read(r: &mut Reader<'_>) -> Result<T> {
        let mut value = T::default();
        value.read_into(r)?;
        Ok(value)
    }

    fn read_into(r: &mut Reader<'_>, value: &mut T) -> Result<()> {
        value.read_into(r)
    }

    /// A struct may be large: it is read where it stays.
    fn read_next(r: &mut Reader<'_>, list: &mut Vec<T>) -> Result<()> {
        list.push(T::default());
        list.last_mut().map_or(Ok(()), |value| value.read_into(r))
    }

    fn write(w: &mut Writer, value: &T) {
        value.write(w);
    }

    fn is_zero(_: &T) -> bool {
        false
    }

    fn same(_: &T, _: &T) -> bool {
        false
    }
}

/// An arm of a union that holds nothing.
#[derive(Debug)]
pub struct Empty;

impl Codec for Empty {
    type T = ();
    const KINDS: u8 = Kind::Object.bit();

    fn read(r: &mut Reader<'_>) -> Result<()> {
        if r.dialect() == Dialect::Contract {
            let Some(mut o) = r.object(&[])? else { return Ok(()) };
            o.key(r)?;
            return Ok(());
        }
        r.skip()
    }

    fn write(w: &mut Writer, (): &()) {
        w.open('{');
        w.close('}');
    }

    fn is_zero((): &()) -> bool {
        false
    }

    fn same((): &(), (): &()) -> bool {
        true
    }
}

/// `bool`.
#[derive(Debug)]
pub struct Boolean;

impl Codec for Boolean {
    type T = bool;
    const KINDS: u8 = Kind::Bool.bit();

    fn read(r: &mut Reader<'_>) -> Result<bool> {
        r.boolean()
    }

    fn write(w: &mut Writer, value: &bool) {
        w.raw(if *value { "true" } else { "false" });
    }

    fn is_zero(value: &bool) -> bool {
        !value
    }

    fn same(a: &bool, b: &bool) -> bool {
        a == b
    }
}

/// `string`: libxl writes no NULL into a struct, and null for one in an array.
#[derive(Debug)]
pub struct Text;

impl Codec for Text {
    type T = Option<String>;
    const KINDS: u8 = Kind::String.bit() | Kind::Null.bit();

    fn read(r: &mut Reader<'_>) -> Result<Option<String>> {
        match r.kind()? {
            Kind::String => r.string().map(|s| Some(s.into_owned())),
            Kind::Null => r.null().map(|()| None),
            _ => Err(r.wrong_kind(Self::KINDS)),
        }
    }

    fn write(w: &mut Writer, value: &Option<String>) {
        match value {
            Some(text) => w.string(text),
            None => w.raw("null"),
        }
    }

    fn is_zero(value: &Option<String>) -> bool {
        value.is_none()
    }

    fn is_absent(value: &Option<String>) -> bool {
        value.is_none()
    }

    fn same(a: &Option<String>, b: &Option<String>) -> bool {
        a == b
    }
}

/// `string_list`.
#[derive(Debug)]
pub struct Texts;

impl Codec for Texts {
    type T = Vec<String>;
    const KINDS: u8 = Kind::Array.bit();

    fn read(r: &mut Reader<'_>) -> Result<Vec<String>> {
        let mut list = Vec::new();
        let array = r.array(|r, _| {
            r.charge(size_of::<String>())?;
            list.push(r.string()?.into_owned());
            Ok(())
        })?;
        if array { Ok(list) } else { Err(r.wrong_kind(Self::KINDS)) }
    }

    fn write(w: &mut Writer, value: &Vec<String>) {
        w.open('[');
        for text in value {
            w.member();
            w.string(text);
        }
        w.close(']');
    }

    fn is_zero(value: &Vec<String>) -> bool {
        value.is_empty()
    }

    fn same(a: &Vec<String>, b: &Vec<String>) -> bool {
        a == b
    }
}

/// An array of something.
#[derive(Debug)]
pub struct List<C>(PhantomData<C>);

impl<C: Codec> Codec for List<C> {
    type T = Vec<C::T>;
    const KINDS: u8 = Kind::Array.bit();

    fn read(r: &mut Reader<'_>) -> Result<Vec<C::T>> {
        let mut list = Vec::new();
        let array = r.array(|r, _| {
            r.charge(size_of::<C::T>())?;
            C::read_next(r, &mut list)
        })?;
        if array { Ok(list) } else { Err(r.wrong_kind(Self::KINDS)) }
    }

    fn write(w: &mut Writer, value: &Vec<C::T>) {
        w.open('[');
        for element in value {
            w.member();
            C::write(w, element);
        }
        w.close(']');
    }

    fn is_zero(value: &Vec<C::T>) -> bool {
        value.is_empty()
    }

    fn same(a: &Vec<C::T>, b: &Vec<C::T>) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| C::same(a, b))
    }
}

/// What is generated for an enumeration.
pub trait Enumeration: Copy {
    /// Its name in the IDL, without the namespace.
    const NAME: &'static str;
    /// Its values: name in lower case, and number.
    const VALUES: &'static [(&'static str, i32)];

    /// The value of a number, known or not.
    fn from_number(number: i32) -> Self;

    /// Its number.
    fn number(self) -> i32;

    /// The value of a name; case makes no difference.
    fn from_name(name: &str) -> Option<Self> {
        let (_, number) = Self::VALUES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some(Self::from_number(*number))
    }

    /// Its name; `None` for a number that has none.
    fn name(self) -> Option<&'static str>;
}

/// What every enumeration has, beside its values: text, JSON, numbers.
#[macro_export]
macro_rules! enumeration {
    ($name:ident) => {
        impl $name {
            /// The value of a number, known or not.
            #[must_use]
            pub fn from_number(number: i32) -> Self {
                <Self as $crate::Enumeration>::from_number(number)
            }

            /// The value of a name; case makes no difference.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                <Self as $crate::Enumeration>::from_name(name)
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => ::core::fmt::Display::fmt(&self.number(), f),
                }
            }
        }

        impl ::core::str::FromStr for $name {
            type Err = $crate::Error;

            fn from_str(name: &str) -> ::core::result::Result<Self, $crate::Error> {
                $crate::read_name(name)
            }
        }

        impl ::core::convert::From<$name> for i32 {
            fn from(value: $name) -> i32 {
                value.number()
            }
        }

        impl $crate::Json for $name {
            const NAME: &'static str = <Self as $crate::Enumeration>::NAME;

            fn read_into(&mut self, r: &mut $crate::Reader<'_>) -> $crate::Result<()> {
                *self = <$crate::Enum<Self> as $crate::Codec>::read(r)?;
                Ok(())
            }

            fn write(&self, w: &mut $crate::Writer) {
                <$crate::Enum<Self> as $crate::Codec>::write(w, self);
            }
        }
    };
}

/// The value of a name.
///
/// # Errors
/// The name is not one of them; the message has the nearest.
pub fn read_name<T: Enumeration>(name: &str) -> Result<T> {
    T::from_name(name).ok_or_else(|| {
        let near = suggestion(name, T::VALUES.iter().map(|(n, _)| *n));
        Error::new(format!("{} is no {}{near}", shown(name), T::NAME))
    })
}

/// An enumeration.
#[derive(Debug)]
pub struct Enum<T>(PhantomData<T>);

impl<T: Enumeration> Codec for Enum<T> {
    type T = T;
    const KINDS: u8 = Kind::String.bit();

    fn kinds(dialect: Dialect) -> u8 {
        // A number without a name is written as a number, so that it is not lost.
        if dialect == Dialect::Lossless { Self::KINDS | Kind::Integer.bit() } else { Self::KINDS }
    }

    fn read(r: &mut Reader<'_>) -> Result<T> {
        if r.dialect() == Dialect::Lossless && r.kind()? == Kind::Integer {
            let number = r.integer()?;
            return match i32::try_from(number) {
                Ok(number) => Ok(T::from_number(number)),
                Err(_) => Err(Error::new(format!("{number} is no number of C's int"))),
            };
        }
        let name = r.string()?;
        if r.dialect() == Dialect::Contract && name.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(Error::new(format!("{} is no {}: names are in lower case", shown(&name), T::NAME)));
        }
        read_name(&name)
    }

    fn write(w: &mut Writer, value: &T) {
        match (value.name(), w.dialect()) {
            (Some(name), _) => w.string(name),
            (None, Dialect::LibxlYajl | Dialect::LibxlJsonC) => w.raw("null"),
            (None, Dialect::Lossless) => w.integer(i128::from(value.number())),
            (None, Dialect::Contract) => {
                w.fail(format!("{} is no {}, and the contract has no name for it", value.number(), T::NAME));
            }
        }
    }

    fn is_zero(value: &T) -> bool {
        value.number() == 0
    }

    /// Some have no value 0: then it means that none was set.
    fn is_absent(value: &T) -> bool {
        value.number() == 0 && value.name().is_none()
    }

    fn same(a: &T, b: &T) -> bool {
        a.number() == b.number()
    }
}
