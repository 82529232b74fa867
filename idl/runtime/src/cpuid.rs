//! CPUID leaves and MSRs (`cpuid_policy_list`), and objects with keys of their own.

use crate::codec::Codec;
use crate::dialect::{Dialect, Duplicates};
use crate::error::{Error, Result, shown};
use crate::number::write_int;
use crate::object::Object;
use crate::reader::{Kind, Reader};
use crate::writer::Writer;
use std::collections::HashMap;

/// A leaf of CPUID: 32 characters for each register, from bit 31 down: `1`, `0`, `x` default, `k` keep, `s` as is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CpuidLeaf {
    /// The leaf.
    pub leaf: u32,
    /// The subleaf, where there are some.
    pub subleaf: Option<u32>,
    /// The registers eax, ebx, ecx, edx.
    pub registers: [Option<String>; 4],
}

/// A model specific register: 64 characters, from bit 63 down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Msr {
    /// Its number.
    pub index: u32,
    /// Its bits.
    pub policy: String,
}

/// What a guest's CPUs say of themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CpuidPolicyList {
    /// CPUID leaves.
    pub cpuid: Vec<CpuidLeaf>,
    /// MSRs.
    pub msr: Vec<Msr>,
}

/// XEN_CPUID_INPUT_UNUSED and XC_MSR_INPUT_UNUSED: what C ends a list with.
const UNUSED: u32 = u32::MAX;
const REGISTERS: [&str; 4] = ["eax", "ebx", "ecx", "edx"];
const LEAF_KEYS: &[&str] = &["leaf", "subleaf", "eax", "ebx", "ecx", "edx"];
const MSR_KEYS: &[&str] = &["index", "policy"];
const LIST_KEYS: &[&str] = &["cpuid", "msr"];

/// A number that C cuts to 32 bits.
struct Word;
/// A register, of which libxl prints 32 characters whatever there is.
struct Register;
/// The bits of an MSR.
struct Bits;

macro_rules! part {
    ($name:ident, $ty:ty, $kinds:expr, |$r:ident| $read:expr) => {
        impl Codec for $name {
            type T = $ty;
            const KINDS: u8 = $kinds;
            fn read($r: &mut Reader<'_>) -> Result<$ty> {
                $read
            }
            fn write(_: &mut Writer, _: &$ty) {}
            fn is_zero(_: &$ty) -> bool {
                false
            }
            fn same(a: &$ty, b: &$ty) -> bool {
                a == b
            }
        }
    };
}

part!(Word, Option<u32>, Kind::Integer.bit(), |r| {
    let value = r.integer()?;
    match u32::try_from(value) {
        Ok(word) => Ok(Some(word)),
        // Lossless: what json-c made of it.
        Err(_) if r.dialect() == Dialect::Contract => Err(Error::new(format!("{value} is not 32 bits"))),
        Err(_) => Ok(u32::try_from(value.rem_euclid(1 << 32)).ok()),
    }
});
part!(Register, Option<String>, Kind::String.bit(), |r| {
    let mut text = r.string()?.into_owned();
    if text.len() < 32 {
        let shown = shown(&text);
        return Err(Error::new(format!(
            "{shown} is no register: it has 32 characters; libxl would read beyond it"
        )));
    }
    if text.len() > 32 && !r.dialect().drops_wrong_types() {
        return Err(Error::new(format!("{} is no register: it has 32 characters", shown(&text))));
    }
    if !text.is_char_boundary(32) {
        return Err(Error::new(format!("{} is no register", shown(&text))));
    }
    text.truncate(32);
    Ok(Some(text))
});
part!(Bits, Option<String>, Kind::String.bit(), |r| {
    let text = r.string()?.into_owned();
    if text.len() == 64 {
        Ok(Some(text))
    } else {
        Err(Error::new(format!("{} is not 64 bits", shown(&text))))
    }
});

/// The arrays of a list.
struct Leaves;
struct Msrs;
part!(Leaves, Vec<CpuidLeaf>, Kind::Array.bit(), |r| {
    list(r, |r| {
        let mut leaf = CpuidLeaf::default();
        let mut number = None;
        let mut o = struct_of(r, LEAF_KEYS)?;
        while let Some(key) = o.key(r)? {
            match key {
                0 => o.set::<Word>(r, &mut number, || None)?,
                1 => o.set::<Word>(r, &mut leaf.subleaf, || None)?,
                _ => {
                    let [a, b, c, d] = &mut leaf.registers;
                    let register = match key {
                        2 => a,
                        3 => b,
                        4 => c,
                        _ => d,
                    };
                    o.set::<Register>(r, register, || None)?;
                }
            }
        }
        leaf.leaf = number.unwrap_or(UNUSED);
        leaf.subleaf = leaf.subleaf.filter(|s| *s != UNUSED);
        Ok(leaf)
    })
});
part!(Msrs, Vec<Msr>, Kind::Array.bit(), |r| {
    list(r, |r| {
        let (mut index, mut policy) = (None, None);
        let mut o = struct_of(r, MSR_KEYS)?;
        while let Some(key) = o.key(r)? {
            match key {
                0 => o.set::<Word>(r, &mut index, || None)?,
                _ => o.set::<Bits>(r, &mut policy, || None)?,
            }
        }
        let index = index.ok_or_else(|| Error::new("an MSR without its index"))?;
        let policy = policy.ok_or_else(|| Error::new("an MSR without its policy"))?;
        Ok(Msr { index, policy })
    })
});

fn list<T>(r: &mut Reader<'_>, mut one: impl FnMut(&mut Reader<'_>) -> Result<T>) -> Result<Vec<T>> {
    let mut list = Vec::new();
    let array = r.array(|r, _| {
        r.charge(size_of::<T>())?;
        list.push(one(r)?);
        Ok(())
    })?;
    if array { Ok(list) } else { Err(r.wrong_kind(Kind::Array.bit())) }
}

/// Here libxl does not take something else for an empty object.
fn struct_of(r: &mut Reader<'_>, keys: &'static [&'static str]) -> Result<Object> {
    if r.kind()? != Kind::Object {
        return Err(r.wrong_kind(Kind::Object.bit()));
    }
    r.object(keys)?.ok_or_else(|| Error::new("no object"))
}

impl Codec for CpuidPolicyList {
    type T = Self;
    const KINDS: u8 = Kind::ANY;

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let mut value = Self::default();
        // Up to Xen 4.17: the leaves alone.
        if r.kind()? == Kind::Array {
            value.cpuid = Leaves::read(r)?;
        } else {
            let mut o = struct_of(r, LIST_KEYS)?;
            let (mut cpuid, mut msr) = (None, None);
            while let Some(key) = o.key(r)? {
                match key {
                    0 => o.set::<Maybe<Leaves>>(r, &mut cpuid, || None)?,
                    _ => o.set::<Maybe<Msrs>>(r, &mut msr, || None)?,
                }
            }
            value.cpuid = cpuid.ok_or_else(|| Error::new("CPUID policies without \"cpuid\""))?;
            value.msr = msr.ok_or_else(|| Error::new("CPUID policies without \"msr\""))?;
        }
        // In C the list ends at the first of these. So does that of MSRs, but libxl asks only whether there is one.
        if let Some(end) = value.cpuid.iter().position(|l| l.leaf == UNUSED) {
            value.cpuid.truncate(end);
        }
        Ok(value)
    }

    fn write(w: &mut Writer, value: &Self) {
        w.open('{');
        w.key("cpuid");
        w.open('[');
        for leaf in &value.cpuid {
            w.member();
            w.open('{');
            w.key("leaf");
            write_int(w, i128::from(leaf.leaf));
            if let Some(subleaf) = leaf.subleaf {
                w.key("subleaf");
                write_int(w, i128::from(subleaf));
            }
            for (name, register) in REGISTERS.iter().zip(&leaf.registers) {
                if let Some(text) = register {
                    w.key(name);
                    w.string(text);
                }
            }
            w.close('}');
        }
        w.close(']');
        w.key("msr");
        w.open('[');
        let ends = w.dialect().drops_wrong_types();
        for msr in value.msr.iter().take_while(|m| !ends || m.index != UNUSED) {
            w.member();
            w.open('{');
            w.key("index");
            write_int(w, i128::from(msr.index));
            w.key("policy");
            w.string(&msr.policy);
            w.close('}');
        }
        w.close(']');
        w.close('}');
    }

    fn is_zero(value: &Self) -> bool {
        value.cpuid.is_empty() && value.msr.is_empty()
    }

    fn same(a: &Self, b: &Self) -> bool {
        a == b
    }
}

/// A value that must be there.
struct Maybe<C>(core::marker::PhantomData<C>);

impl<C: Codec> Codec for Maybe<C> {
    type T = Option<C::T>;
    const KINDS: u8 = C::KINDS;

    fn read(r: &mut Reader<'_>) -> Result<Option<C::T>> {
        C::read(r).map(Some)
    }

    fn write(_: &mut Writer, _: &Option<C::T>) {}

    fn is_zero(value: &Option<C::T>) -> bool {
        value.is_none()
    }

    fn same(_: &Option<C::T>, _: &Option<C::T>) -> bool {
        false
    }
}

/// Keys with values, while they are read.
#[derive(Default)]
pub(crate) struct Pairs {
    list: Vec<(String, Result<Option<String>>)>,
    places: HashMap<String, usize>,
}

impl Pairs {
    /// libxl on yajl keeps every one; json-c replaces an earlier value of the key, whatever it was.
    pub(crate) fn push(
        &mut self,
        key: String,
        value: Result<Option<String>>,
        dialect: Dialect,
    ) -> Result<()> {
        if dialect.keeps_last() || dialect.duplicates() == Duplicates::Refused {
            if let Some(at) = self.places.get(&key) {
                if dialect == Dialect::Contract {
                    return Err(Error::new(format!("{} is there twice", shown(&key))));
                }
                if dialect.keeps_last() {
                    if let Some(pair) = self.list.get_mut(*at) {
                        pair.1 = value;
                    }
                    return Ok(());
                }
            } else {
                self.places.insert(key.clone(), self.list.len());
            }
        }
        self.list.push((key, value));
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Vec<(String, Option<String>)>> {
        self.list
            .into_iter()
            .map(|(key, value)| match value {
                Ok(value) => Ok((key, value)),
                Err(e) => Err(e.within(key)),
            })
            .collect()
    }
}

/// The members of an object whose keys are anything.
#[derive(Debug)]
pub struct Members {
    first: bool,
}

impl Members {
    /// The next key, whose value is at the reader's place; `None` at the end.
    ///
    /// # Errors
    /// Malformed text.
    pub fn next(&mut self, r: &mut Reader<'_>) -> Result<Option<String>> {
        let first = std::mem::replace(&mut self.first, false);
        if r.next_member(first, b'}')? { r.key().map(|k| Some(k.into_owned())) } else { Ok(None) }
    }
}

impl Reader<'_> {
    /// Goes into an object whose keys are anything; as [`object`](Reader::object).
    ///
    /// # Errors
    /// As there.
    pub fn members(&mut self) -> Result<Option<Members>> {
        Ok(self.object(&[])?.map(|_| Members { first: true }))
    }
}
