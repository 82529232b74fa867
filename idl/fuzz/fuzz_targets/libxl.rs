//! Any text as a document of any of libxl's types in every dialect: no panic, no hang, and decode(encode(x)) = x where the
//! dialect says that it loses nothing. Where libxl loses something, what it wrote of what it read comes to rest at once. The
//! first byte chooses dialect and type.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::fmt::Debug;
use xenidl_runtime::{Dialect, Json};

/// The generated types.
#[allow(missing_docs, dead_code)]
mod types {
    include!(concat!(env!("OUT_DIR"), "/libxl.rs"));
}

fn check<T: Json + PartialEq + Debug>(text: &[u8], dialect: Dialect) {
    let Ok(value) = T::from_json(text, dialect) else { return };
    let lossless = value.to_json(Dialect::Lossless).expect("it holds every value");
    assert_eq!(T::from_json(&lossless, Dialect::Lossless).as_ref(), Ok(&value), "{lossless}");
    if let Ok(contract) = value.to_json(Dialect::Contract) {
        assert_eq!(T::from_json(&contract, Dialect::Contract).as_ref(), Ok(&value), "{contract}");
    }
    for libxls in [Dialect::LibxlYajl, Dialect::LibxlJsonC] {
        let written = value.to_json(libxls).expect("libxl writes every value, some of them wrongly");
        let Ok(once) = T::from_json(&written, libxls) else { continue };
        let again = once.to_json(libxls).expect("as above");
        let Ok(twice) = T::from_json(&again, libxls) else { continue };
        assert_eq!(twice.to_json(libxls).expect("as above"), again);
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((first, text)) = data.split_first() else { return };
    let dialect = Dialect::ALL[usize::from(*first) % Dialect::ALL.len()];
    match usize::from(*first) / Dialect::ALL.len() % 16 {
        0 => check::<types::Kind>(text, dialect),
        1 => check::<types::EventType>(text, dialect),
        2 => check::<types::Other>(text, dialect),
        3 => check::<types::Plain>(text, dialect),
        _ => check::<types::Everything>(text, dialect),
    }
});
