//! libxl's builtin types: what they hold, and the JSON that libxl's own functions read and write.

use crate::codec::Codec;
use crate::dialect::Dialect;
use crate::error::{Error, Result, shown};
use crate::number::write_int;
use crate::reader::{Kind, Reader};
use crate::writer::Writer;
use core::fmt;

/// True, false, or left to libxl.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Defbool {
    /// libxl decides.
    #[default]
    Default,
    /// No.
    False,
    /// Yes.
    True,
}

impl Defbool {
    const NAMES: [(&'static str, Self); 3] =
        [("<default>", Self::Default), ("True", Self::True), ("False", Self::False)];

    /// `None` when libxl decides.
    #[must_use]
    pub const fn get(self) -> Option<bool> {
        match self {
            Self::Default => None,
            Self::False => Some(false),
            Self::True => Some(true),
        }
    }
}

impl From<bool> for Defbool {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

impl Codec for Defbool {
    type T = Self;
    const KINDS: u8 = Kind::String.bit();

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let text = r.string()?;
        // libxl compares as many characters as the name has.
        let loose = r.dialect().drops_wrong_types();
        let same = |name: &str| if loose { text.starts_with(name) } else { text == name };
        Self::NAMES.iter().find(|(name, _)| same(name)).map(|(_, v)| *v).ok_or_else(|| {
            Error::new(format!("{} is no defbool; it is \"True\", \"False\" or \"<default>\"", shown(&text)))
        })
    }

    fn write(w: &mut Writer, value: &Self) {
        let name = Self::NAMES.iter().find(|(_, v)| v == value).map_or("", |(name, _)| name);
        w.string(name);
    }

    fn is_zero(value: &Self) -> bool {
        *value == Self::Default
    }

    fn is_absent(value: &Self) -> bool {
        *value == Self::Default
    }

    fn same(a: &Self, b: &Self) -> bool {
        a == b
    }
}

/// A UUID.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, b) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{b:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uuid({self})")
    }
}

impl core::str::FromStr for Uuid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::new(format!("{} is no uuid", shown(text)));
        if text.len() != 36 {
            return Err(wrong());
        }
        let mut bytes = [0u8; 16];
        let mut nibbles = 0;
        for (i, c) in text.bytes().enumerate() {
            if matches!(i, 8 | 13 | 18 | 23) {
                if c != b'-' {
                    return Err(wrong());
                }
                continue;
            }
            let digit = (c as char).to_digit(16).and_then(|d| u8::try_from(d).ok()).ok_or_else(wrong)?;
            let byte = bytes.get_mut(nibbles / 2).ok_or_else(wrong)?;
            *byte = *byte << 4 | digit;
            nibbles += 1;
        }
        Ok(Self(bytes))
    }
}

impl Codec for Uuid {
    type T = Self;
    const KINDS: u8 = Kind::String.bit();

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        r.string()?.parse()
    }

    fn write(w: &mut Writer, value: &Self) {
        w.raw("\"");
        for (i, b) in value.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                w.raw("-");
            }
            w.hex(*b);
        }
        w.raw("\"");
    }

    fn is_zero(value: &Self) -> bool {
        value.0 == [0; 16]
    }

    fn same(a: &Self, b: &Self) -> bool {
        a == b
    }
}

/// The address of a network card.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mac({self})")
    }
}

impl core::str::FromStr for Mac {
    type Err = Error;

    /// As libxl does: six times what strtol makes of two characters; what follows the sixth is not looked at.
    fn from_str(text: &str) -> Result<Self> {
        let wrong =
            || Error::new(format!("{} is no mac; it is six bytes such as 00:16:3e:01:02:03", shown(text)));
        let mut mac = [0u8; 6];
        let mut rest = text.as_bytes();
        for byte in &mut mac {
            let (part, after) = rest.split_at_checked(2).ok_or_else(wrong)?;
            *byte = strtol_byte(part).ok_or_else(wrong)?;
            rest = match after.split_first() {
                None => &[],
                Some((b':', after)) => after,
                Some(_) => return Err(wrong()),
            };
        }
        Ok(Self(mac))
    }
}

/// Two characters through strtol: `1f`, ` 1`, `-1`, `+1`.
fn strtol_byte(part: &[u8]) -> Option<u8> {
    let digit = |c: u8| (c as char).to_digit(16).and_then(|d| u8::try_from(d).ok());
    match part {
        [b' ' | 9..=13, low] | [b'+', low] => digit(*low),
        [b'-', low] => digit(*low).map(u8::wrapping_neg),
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

impl Codec for Mac {
    type T = Self;
    const KINDS: u8 = Kind::String.bit();

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let text = r.string()?;
        let mac: Self = text.parse()?;
        if !r.dialect().drops_wrong_types() && !mac.to_string().eq_ignore_ascii_case(&text) {
            return Err(Error::new(format!("{} is no mac; libxl would read {mac}", shown(&text))));
        }
        Ok(mac)
    }

    fn write(w: &mut Writer, value: &Self) {
        for (i, b) in value.0.iter().enumerate() {
            w.raw(if i == 0 { "\"" } else { ":" });
            w.hex(*b);
        }
        w.raw("\"");
    }

    fn is_zero(value: &Self) -> bool {
        value.0 == [0; 6]
    }

    fn same(a: &Self, b: &Self) -> bool {
        a == b
    }
}

/// A set of small numbers: CPUs, NUMA nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bitmap(Vec<u32>);

impl Bitmap {
    /// Most that it can hold: libxl counts bits in an `int`, and rounds that up to whole bytes.
    pub const MAX: u32 = i32::MAX as u32 - 8;

    /// Its members, ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[u32] {
        &self.0
    }

    /// Whether a number is in it.
    #[must_use]
    pub fn contains(&self, bit: u32) -> bool {
        self.0.binary_search(&bit).is_ok()
    }
}

/// Numbers above [`Bitmap::MAX`] are left out.
impl FromIterator<u32> for Bitmap {
    fn from_iter<I: IntoIterator<Item = u32>>(bits: I) -> Self {
        let mut bits: Vec<u32> = bits.into_iter().filter(|b| *b <= Self::MAX).collect();
        bits.sort_unstable();
        bits.dedup();
        Self(bits)
    }
}

impl Codec for Bitmap {
    type T = Self;
    const KINDS: u8 = Kind::Array.bit();

    /// libxl makes room for the last element, by whole bytes, and drops what is beyond.
    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let mut bits = Vec::new();
        let array = r.array(|r, _| {
            let bit = r.integer()?;
            match u32::try_from(bit) {
                Ok(bit) if bit <= Self::MAX => bits.push(bit),
                _ => return Err(Error::new(format!("{bit} is no bit; libxl would write beyond its memory"))),
            }
            Ok(())
        })?;
        if !array {
            return Err(r.wrong_kind(Self::KINDS));
        }
        if r.dialect().drops_wrong_types() {
            let size = bits.last().map_or(0, |last| (last + 1).div_ceil(8).saturating_mul(8));
            bits.retain(|b| *b < size);
        }
        Ok(bits.into_iter().collect())
    }

    fn write(w: &mut Writer, value: &Self) {
        w.open('[');
        for bit in &value.0 {
            w.member();
            w.integer(i128::from(*bit));
        }
        w.close(']');
    }

    fn is_zero(value: &Self) -> bool {
        value.0.is_empty()
    }

    fn same(a: &Self, b: &Self) -> bool {
        a == b
    }
}

/// Keys with a text or none, in order; a key may be there twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyValueList(pub Vec<(String, Option<String>)>);

impl KeyValueList {
    /// The value of a key, when it is there: the first one.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Option<&str>> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_deref())
    }
}

impl Codec for KeyValueList {
    type T = Self;
    const KINDS: u8 = Kind::Object.bit();

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        if r.kind()? != Kind::Object {
            return Err(r.wrong_kind(Self::KINDS));
        }
        let mut list = crate::cpuid::Pairs::default();
        let Some(mut members) = r.members()? else { return Ok(Self::default()) };
        while let Some(key) = members.next(r)? {
            let value = match r.kind()? {
                Kind::Null => r.null().map(|()| Ok(None))?,
                Kind::String => Ok(Some(r.string()?.into_owned())),
                _ => {
                    let e = r.wrong_kind(Kind::String.bit() | Kind::Null.bit());
                    r.skip()?;
                    Err(e)
                }
            };
            list.push(key, value, r.dialect())?;
        }
        list.finish().map(Self)
    }

    fn write(w: &mut Writer, value: &Self) {
        w.open('{');
        for (key, value) in &value.0 {
            w.key(key);
            match value {
                Some(text) => w.string(text),
                None => w.raw("null"),
            }
        }
        w.close('}');
    }

    fn is_zero(value: &Self) -> bool {
        value.0.is_empty()
    }

    fn same(a: &Self, b: &Self) -> bool {
        a == b
    }
}

/// Words of CPU capabilities; libxl's JSON holds four of the eight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hwcap(pub [u32; 8]);

impl Codec for Hwcap {
    type T = Self;
    const KINDS: u8 = Kind::Array.bit();

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let strict = !r.dialect().drops_wrong_types();
        let words = numbers(r, Self::KINDS, if strict { 8 } else { 4 })?;
        if words.len() < 4 {
            return Err(Error::new(format!("{} words of capabilities; there are four", words.len())));
        }
        let mut caps = [0; 8];
        for (cap, word) in caps.iter_mut().zip(words) {
            *cap = u32::try_from(word.rem_euclid(1 << 32)).unwrap_or(0);
        }
        Ok(Self(caps))
    }

    fn write(w: &mut Writer, value: &Self) {
        let [.., e, f, g, h] = value.0;
        let all = !w.dialect().drops_wrong_types() && [e, f, g, h] != [0; 4];
        w.open('[');
        for word in value.0.iter().take(if all { 8 } else { 4 }) {
            w.member();
            write_int(w, i128::from(*word));
        }
        w.close(']');
    }

    fn is_zero(_: &Self) -> bool {
        false
    }

    fn same(_: &Self, _: &Self) -> bool {
        false
    }
}

/// The generation id that a Windows guest sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MsVmGenid(pub [u8; 16]);

impl Codec for MsVmGenid {
    type T = Self;
    const KINDS: u8 = Kind::ANY;

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let numbers = numbers(r, Kind::Array.bit(), 16)?;
        let mut bytes = [0; 16];
        if numbers.len() < bytes.len() {
            return Err(Error::new(format!("{} bytes of a generation id, which has 16", numbers.len())));
        }
        let strict = !r.dialect().drops_wrong_types();
        for (byte, number) in bytes.iter_mut().zip(numbers) {
            if strict && u8::try_from(number).is_err() {
                return Err(Error::new(format!("{number} is no byte")));
            }
            *byte = u8::try_from(number.rem_euclid(256)).unwrap_or(0);
        }
        Ok(Self(bytes))
    }

    fn write(w: &mut Writer, value: &Self) {
        w.open('[');
        for byte in value.0 {
            w.member();
            w.integer(i128::from(byte));
        }
        w.close(']');
    }

    fn is_zero(value: &Self) -> bool {
        value.0 == [0; 16]
    }

    fn same(a: &Self, b: &Self) -> bool {
        a == b
    }
}

/// The first numbers of an array. What follows them is skipped by libxl, and refused by the strict dialects.
fn numbers(r: &mut Reader<'_>, kinds: u8, most: usize) -> Result<Vec<i128>> {
    let mut list = Vec::with_capacity(most);
    let strict = !r.dialect().drops_wrong_types();
    let array = r.array(|r, index| {
        if index < most {
            list.push(r.integer()?);
        } else if strict {
            return Err(Error::new(format!("one too many: there are {most}")));
        } else {
            r.skip()?;
        }
        Ok(())
    })?;
    if array { Ok(list) } else { Err(r.wrong_kind(kinds)) }
}

impl Dialect {
    /// Whether a list keeps the last value of a key that is there twice, at the place of the first.
    pub(crate) fn keeps_last(self) -> bool {
        self == Dialect::LibxlJsonC
    }
}
