//! Any text as a document of any type of the contract: no panic, no hang, and what is read and written is read again and
//! written the same. The first byte chooses the type.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xensnap::contract::TYPES;

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let Some(info) = TYPES.get(usize::from(*first) % TYPES.len()) else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let Ok(written) = info.recode(text) else { return };
    assert_eq!(info.recode(&written).as_ref(), Ok(&written), "{}", info.name);
});
