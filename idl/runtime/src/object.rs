//! Objects: keys in any order, keys that are there twice, keys that nobody knows.
//!
//! What a second value for a key means depends on the dialect: yajl's libxl looks at the first only, json-c keeps
//! the last, whatever was wrong with the earlier ones; the strict dialects refuse it.

use crate::codec::Codec;
use crate::dialect::{Dialect, Duplicates};
use crate::error::{Error, Result, shown, suggestion};
use crate::reader::{Mark, Reader};

/// An object that is being read: which of a struct's keys were there.
#[derive(Debug)]
pub struct Object {
    keys: &'static [&'static str],
    /// The first 128 keys, and those beyond, by number.
    seen: u128,
    seen_beyond: Vec<usize>,
    started: bool,
    /// Keys mostly come in order.
    next: usize,
    /// The key at hand.
    current: usize,
    /// Values that were wrong, and may be replaced by a later one (json-c).
    wrong: Vec<(usize, Error)>,
}

impl Object {
    pub(crate) fn new(keys: &'static [&'static str]) -> Self {
        Self {
            keys,
            seen: 0,
            seen_beyond: Vec::new(),
            started: false,
            next: 0,
            current: 0,
            wrong: Vec::new(),
        }
    }

    /// The number of the next key that counts; its value is at the reader's place. `None` at the end.
    ///
    /// # Errors
    /// Malformed text; a key that is unknown or there twice, where the dialect refuses that; a wrong value that no
    /// later one replaced.
    pub fn key(&mut self, r: &mut Reader<'_>) -> Result<Option<usize>> {
        loop {
            let first = !std::mem::replace(&mut self.started, true);
            if !r.next_member(first, b'}')? {
                return if self.wrong.is_empty() { Ok(None) } else { Err(self.wrong.swap_remove(0).1) };
            }
            let mark = r.mark();
            if let Some(key) = r.plain_key()?
                && let Some(index) = self.find(key)
            {
                if self.takes(r, index)? {
                    return Ok(Some(index));
                }
                continue;
            }
            r.rewind(mark);
            let key = r.key()?;
            let Some(index) = self.find(key.as_bytes()) else {
                if r.dialect() == Dialect::Contract {
                    let near = suggestion(&key, self.keys.iter().copied());
                    return Err(Error::new(format!("no field is called {}{near}", shown(&key))));
                }
                r.skip()?;
                continue;
            };
            if self.takes(r, index)? {
                return Ok(Some(index));
            }
        }
    }

    /// Whether the value of a key counts; when not, it is skipped.
    #[inline]
    fn takes(&mut self, r: &mut Reader<'_>, index: usize) -> Result<bool> {
        self.current = index;
        if !self.mark_seen(index) {
            return Ok(true);
        }
        match r.dialect().duplicates() {
            Duplicates::First => r.skip().map(|()| false),
            Duplicates::Last => {
                self.wrong.retain(|(i, _)| *i != index);
                Ok(true)
            }
            Duplicates::Refused => {
                let key = self.keys.get(index).copied().unwrap_or_default();
                Err(Error::new(format!("{} is there twice", shown(key))))
            }
        }
    }

    fn find(&mut self, key: &[u8]) -> Option<usize> {
        let (before, after) = self.keys.split_at_checked(self.next)?;
        // Few keys of one length end alike: the others need no call to compare them.
        let same = |k: &&str| {
            let k = k.as_bytes();
            k.len() == key.len() && k.last() == key.last() && k == key
        };
        let found = match after.iter().position(same) {
            Some(i) => before.len() + i,
            None => before.iter().position(same)?,
        };
        self.next = found + 1;
        Some(found)
    }

    fn mark_seen(&mut self, index: usize) -> bool {
        if index < 128 {
            let bit = 1u128 << index;
            let before = self.seen & bit != 0;
            self.seen |= bit;
            return before;
        }
        let before = self.seen_beyond.contains(&index);
        if !before {
            self.seen_beyond.push(index);
        }
        before
    }

    /// Reads the value of the key at hand into one that is as it begins. False when libxl takes it as absent; the value
    /// may be half read then.
    fn value<C: Codec>(&mut self, r: &mut Reader<'_>, value: &mut C::T) -> Result<bool> {
        let mark = r.mark();
        match read_or_drop::<C>(r, value) {
            Ok(there) => Ok(there),
            Err(e) => self.wrong_value(r, mark, e),
        }
    }

    #[cold]
    fn wrong_value(&mut self, r: &mut Reader<'_>, mark: Mark, e: Error) -> Result<bool> {
        let e = e.within(self.keys.get(self.current).copied().unwrap_or_default());
        if r.dialect().duplicates() != Duplicates::Last {
            return Err(e);
        }
        // Malformed text is found again here.
        r.rewind(mark);
        r.skip()?;
        self.wrong.push((self.current, e));
        Ok(false)
    }

    /// Reads the value of the key at hand into a field; `initial` is what it is when libxl takes it as absent.
    ///
    /// # Errors
    /// Malformed text, or a value that libxl refuses.
    #[inline]
    pub fn set<C: Codec>(
        &mut self,
        r: &mut Reader<'_>,
        field: &mut C::T,
        initial: impl Fn() -> C::T,
    ) -> Result<()> {
        // Only here can a field have been read before.
        let again = r.dialect().duplicates() == Duplicates::Last;
        if again {
            *field = initial();
        }
        if !self.value::<C>(r, field)? && again {
            *field = initial();
        }
        Ok(())
    }

    /// Reads the value of the key at hand as an arm of a union; `arm` is the number of the key whose arm it holds.
    ///
    /// # Errors
    /// Malformed text, a value that libxl refuses, or a second arm, on which libxl aborts.
    pub fn arm<C: Codec<T: Default>, U: Default>(
        &mut self,
        r: &mut Reader<'_>,
        arm: &mut Option<usize>,
        union: &mut U,
        wrap: impl FnOnce(C::T) -> U,
    ) -> Result<()> {
        let index = self.current;
        r.charge(size_of::<C::T>())?;
        let mut value = C::T::default();
        match self.value::<C>(r, &mut value)? {
            true => {
                if let Some(other) = arm.filter(|a| *a != index) {
                    let name = |i: usize| self.keys.get(i).copied().unwrap_or_default();
                    return Err(Error::new(format!(
                        "\"{}\" and \"{}\" are two arms of one union; libxl aborts on that",
                        name(other),
                        name(index)
                    )));
                }
                *arm = Some(index);
                *union = wrap(value);
            }
            false if *arm == Some(index) => {
                *arm = None;
                *union = U::default();
            }
            false => {}
        }
        Ok(())
    }
}

impl Object {
    /// Reads a union's key that stands alone: what the strict dialects write for one that has no arm. libxl does not
    /// know such a key.
    ///
    /// # Errors
    /// Malformed text, a value that is refused, or an arm beside it.
    pub fn keyvar<C: Codec<T: Default>, U>(
        &mut self,
        r: &mut Reader<'_>,
        arm: &mut Option<usize>,
        union: &mut U,
        wrap: impl FnOnce(C::T) -> U,
    ) -> Result<()> {
        if r.dialect().drops_wrong_types() {
            return r.skip();
        }
        let key = self.keys.get(self.current).copied().unwrap_or_default();
        if arm.is_some() {
            return Err(Error::new(format!("\"{key}\" beside an arm of its union")));
        }
        let mut value = C::T::default();
        if self.value::<C>(r, &mut value)? {
            *arm = Some(self.current);
            *union = wrap(value);
        }
        Ok(())
    }
}

/// A field's value. libxl takes one of the wrong JSON type as absent (false); the strict dialects refuse it.
fn read_or_drop<C: Codec>(r: &mut Reader<'_>, value: &mut C::T) -> Result<bool> {
    let kinds = C::kinds(r.dialect());
    if kinds & r.kind()?.bit() != 0 {
        return C::read_into(r, value).map(|()| true);
    }
    if !r.dialect().drops_wrong_types() {
        return Err(r.wrong_kind(kinds));
    }
    r.skip()?;
    Ok(false)
}
