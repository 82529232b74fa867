//! Numbers of C, and what becomes of them on their way through libxl.

use crate::codec::Codec;
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::reader::{Kind, Reader};
use crate::writer::Writer;
use core::fmt::Display;
use core::marker::PhantomData;

/// Largest magnitude that the contract allows: 2^53-1.
const CONTRACT_MAX: i128 = (1 << 53) - 1;

/// A number of C.
pub trait Integer: Copy + PartialEq + Default + Display + TryFrom<i128> + Into<i128> {
    /// Its width.
    const BITS: u32;
    /// Whether it may be negative.
    const SIGNED: bool;
}

macro_rules! integers {
    ($($ty:ty),*) => {$(
        impl Integer for $ty {
            const BITS: u32 = <$ty>::BITS;
            const SIGNED: bool = <$ty>::MIN != 0;
        }
    )*};
}

integers!(u8, u16, u32, u64, i8, i16, i32, i64);

/// A number that libxl prints whole.
#[derive(Debug)]
pub struct Full<T>(PhantomData<T>);

/// A number that libxl on json-c casts to `int`, and on yajl to a signed 64-bit integer.
#[derive(Debug)]
pub struct Int<T>(PhantomData<T>);

fn read<T: Integer>(r: &mut Reader<'_>) -> Result<T> {
    let mut value = r.integer()?;
    if r.dialect() == Dialect::Lossless && !T::SIGNED && value < 0 {
        value = whole_again::<T>(value);
    }
    if r.dialect() == Dialect::Contract && value.abs() > CONTRACT_MAX {
        return Err(Error::new(format!("{value} is beyond 2^53-1, which not every reader of JSON keeps")));
    }
    T::try_from(value).map_err(|_| {
        let (least, most) = if T::SIGNED {
            (-(1i128 << (T::BITS - 1)), (1i128 << (T::BITS - 1)) - 1)
        } else {
            (0, (1i128 << T::BITS) - 1)
        };
        Error::new(format!("{value} is not from {least} to {most}"))
    })
}

/// An unsigned number of which libxl wrote a negative one, and refuses to read that: on json-c it casts 32 bits to
/// `int`, on yajl it prints some 64-bit numbers as signed. Between the two only what no `int` can be is certain.
fn whole_again<T: Integer>(value: i128) -> i128 {
    match (T::BITS, i32::try_from(value), i64::try_from(value)) {
        (32, Ok(_), _) => value.rem_euclid(1 << 32),
        (64, Err(_), Ok(_)) => value.rem_euclid(1 << 64),
        _ => value,
    }
}

/// An integer of the contract's, or whole.
fn write_strict(w: &mut Writer, value: i128) {
    if w.dialect() == Dialect::Contract && value.abs() > CONTRACT_MAX {
        w.fail(format!("{value} is beyond 2^53-1, which the contract cannot hold"));
    }
    w.integer(value);
}

/// An integer as libxl on json-c writes it: cast to `int`.
pub(crate) fn write_int(w: &mut Writer, value: i128) {
    match w.dialect() {
        Dialect::LibxlJsonC => w.integer(wrap(value, 32)),
        Dialect::LibxlYajl => w.integer(wrap(value, 64)),
        Dialect::Contract | Dialect::Lossless => write_strict(w, value),
    }
}

fn wrap(value: i128, bits: u32) -> i128 {
    let low = value.rem_euclid(1 << bits);
    if low >= 1 << (bits - 1) { low - (1 << bits) } else { low }
}

impl<T: Integer> Codec for Full<T> {
    type T = T;
    const KINDS: u8 = Kind::Integer.bit();

    fn read(r: &mut Reader<'_>) -> Result<T> {
        read(r)
    }

    fn write(w: &mut Writer, value: &T) {
        write_strict(w, (*value).into());
    }

    fn is_zero(value: &T) -> bool {
        *value == T::default()
    }

    fn same(a: &T, b: &T) -> bool {
        a == b
    }
}

impl<T: Integer> Codec for Int<T> {
    type T = T;
    const KINDS: u8 = Kind::Integer.bit();

    fn read(r: &mut Reader<'_>) -> Result<T> {
        read(r)
    }

    fn write(w: &mut Writer, value: &T) {
        write_int(w, (*value).into());
    }

    fn is_zero(value: &T) -> bool {
        *value == T::default()
    }

    fn same(a: &T, b: &T) -> bool {
        a == b
    }
}
