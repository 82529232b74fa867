//! What `xl list -l` prints: domains with their configurations.

use crate::Json;
use crate::codec::{Codec, List, Sub};
use crate::dialect::Dialect;
use crate::error::Result;
use crate::number::Int;
use crate::reader::{Kind, Reader};
use crate::writer::Writer;

/// A domain of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed<C> {
    /// Its number; none for a configuration that does not run (`xl create -n`).
    pub domid: Option<i32>,
    /// Its configuration.
    pub config: C,
}

/// The domains that `xl list -l` prints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing<C>(pub Vec<Listed<C>>);

/// xl writes the number always, and null for none.
struct Domid;

impl Codec for Domid {
    type T = Option<i32>;
    const KINDS: u8 = Kind::Integer.bit() | Kind::Null.bit();

    fn read(r: &mut Reader<'_>) -> Result<Option<i32>> {
        match r.kind()? {
            Kind::Null => r.null().map(|()| None),
            _ => Int::<i32>::read(r).map(Some),
        }
    }

    fn write(w: &mut Writer, value: &Option<i32>) {
        match value {
            Some(domid) => Int::<i32>::write(w, domid),
            None => w.raw("null"),
        }
    }

    fn is_zero(_: &Option<i32>) -> bool {
        false
    }

    fn same(_: &Option<i32>, _: &Option<i32>) -> bool {
        false
    }
}

impl<C: Json> Json for Listed<C> {
    const NAME: &'static str = "listed";

    fn read_into(&mut self, r: &mut Reader<'_>) -> Result<()> {
        let Some(mut o) = r.object(&["domid", "config"])? else { return Ok(()) };
        while let Some(key) = o.key(r)? {
            match key {
                0 => o.set::<Domid>(r, &mut self.domid, || None)?,
                _ => o.set::<Sub<C>>(r, &mut self.config, C::default)?,
            }
        }
        Ok(())
    }

    fn write(&self, w: &mut Writer) {
        w.open('{');
        w.value::<Domid>("domid", &self.domid);
        w.value::<Sub<C>>("config", &self.config);
        w.close('}');
    }
}

impl<C: Json> Json for Listing<C> {
    const NAME: &'static str = "listing";

    fn read_into(&mut self, r: &mut Reader<'_>) -> Result<()> {
        List::<Sub<Listed<C>>>::read_into(r, &mut self.0)
    }

    fn write(&self, w: &mut Writer) {
        List::<Sub<Listed<C>>>::write(w, &self.0);
    }
}

impl<C: Json> Listing<C> {
    /// The text as xl prints it: the document, and the end of a line.
    ///
    /// # Errors
    /// A value that the dialect cannot hold.
    pub fn to_output(&self, dialect: Dialect) -> Result<String> {
        self.to_json(dialect).map(|text| text + "\n")
    }
}
