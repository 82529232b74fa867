//! The file that `xl restore` reads: its head. What follows is libxl's stream, which only libxl reads and writes.
//!
//! ```text
//!   32 bytes   "Xen saved domain, xl format\n \0 \r"
//!   u32        0x01020304, in the writer's byte order, as all numbers here
//!   u32        flags that a reader must know: 1 = the stream is of version 2, 2 = the config is JSON
//!   u32        flags that it need not know: 0
//!   u32        length of what follows up to the stream: 4 + n
//!   u32        n
//!   n bytes    the config as libxl's JSON, with its NUL
//! ```
//! Source: Xen's `tools/xl/xl_utils.h`, `save_domain_core_writeconfig` in `xl_migrate.c`/`xl_saverestore.c`, `create_domain` in `xl_vmcontrol.c`; the same from 4.6 on.

use std::io::Read;

use super::protocol::{Failure, FailureKind};

const MAGIC: &[u8; 32] = b"Xen saved domain, xl format\n \0 \r";
const BYTE_ORDER: u32 = 0x0102_0304;
const STREAM_V2: u32 = 1;
const CONFIG_JSON: u32 = 2;

/// The longest config that is read. libxl's are a few KiB; a head that names more is none.
const CONFIG_BYTES_MAX: u32 = 16 << 20;

/// The head of a file with this config.
///
/// # Errors
/// The config holds a NUL or is too long to be one.
pub fn head(config: &str) -> Result<Vec<u8>, Failure> {
    let length = u32::try_from(config.len() + 1).ok().filter(|n| *n <= CONFIG_BYTES_MAX);
    let (Some(length), false) = (length, config.contains('\0')) else {
        return Err(Failure::new(
            FailureKind::Libxl,
            "libxl gave a config that cannot be written into a save file",
        ));
    };
    let mut head = MAGIC.to_vec();
    for number in [BYTE_ORDER, STREAM_V2 | CONFIG_JSON, 0, 4 + length, length] {
        head.extend(number.to_ne_bytes());
    }
    head.extend(config.as_bytes());
    head.push(0);
    Ok(head)
}

/// A head that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The config as libxl's JSON.
    pub config: String,
    /// The head's length in bytes: the stream begins there.
    pub bytes: u64,
}

/// Reads a head and leaves the reader at the stream.
///
/// # Errors
/// `File`: it cannot be read, is no save file of xl, or of another kind than this program writes.
pub fn read(mut file: impl Read) -> Result<Head, Failure> {
    let refuse = |why: &str| {
        Failure::new(FailureKind::File, format!("this is no memory image of xl that can be used: {why}"))
    };
    let mut fixed = [0; 48];
    file.read_exact(&mut fixed).map_err(|e| refuse(&format!("its head cannot be read: {e}")))?;
    let (magic, rest) = fixed.split_at(MAGIC.len());
    let mut numbers = rest.chunks_exact(4).filter_map(|b| Some(u32::from_ne_bytes(b.try_into().ok()?)));
    let mut next = || numbers.next().unwrap_or(0);
    let (order, flags, _optional, length) = (next(), next(), next(), next());
    if magic != MAGIC {
        return Err(refuse("it begins with other bytes"));
    }
    if order != BYTE_ORDER {
        return Err(refuse("it was written on a machine of another byte order"));
    }
    if flags != STREAM_V2 | CONFIG_JSON {
        return Err(refuse(&format!("its flags are {flags:#x}, not 0x3 (stream version 2, config as JSON)")));
    }
    if !(5..=CONFIG_BYTES_MAX + 4).contains(&length) {
        return Err(refuse(&format!("it says that its config has {length} bytes")));
    }
    let mut data = vec![0; length as usize];
    file.read_exact(&mut data).map_err(|e| refuse(&format!("it ends within its config: {e}")))?;
    let (size, config) = data.split_at(4);
    let size = u32::from_ne_bytes(size.try_into().unwrap_or_default()) as usize;
    let config = config.get(..size).ok_or_else(|| refuse("the lengths in its head disagree"))?;
    let config = config.strip_suffix(b"\0").unwrap_or(config);
    let config = String::from_utf8(config.to_vec()).map_err(|_| refuse("its config is not UTF-8"))?;
    Ok(Head { config, bytes: fixed.len() as u64 + u64::from(length) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_what_xl_writes() {
        let head = head("{}").unwrap();
        // As `xl save` of Xen 4.17 begins, seen with xxd (x86).
        let wanted =
            b"Xen saved domain, xl format\n \0 \r\x04\x03\x02\x01\x03\0\0\0\0\0\0\0\x07\0\0\0\x03\0\0\0{}\0";
        assert_eq!(head, wanted);
        let mut file = [&head[..], b"stream"].concat();
        let mut rest = &file[..];
        assert_eq!(read(&mut rest).unwrap(), Head { config: "{}".into(), bytes: head.len() as u64 });
        assert_eq!(rest, b"stream");

        file[36] = 7;
        assert!(read(&file[..]).unwrap_err().message.contains("flags are 0x7"));
    }

    #[test]
    fn every_truncation_and_odd_head_is_refused() {
        let whole = head("{\"c_info\": {}}").unwrap();
        for length in 0..whole.len() {
            let failure = read(&whole[..length]).unwrap_err();
            assert_eq!(failure.kind, FailureKind::File, "{length}");
        }
        let changed = |at: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            read(&bytes[..]).unwrap_err().message
        };
        assert!(changed(0, b'x').contains("other bytes"));
        assert!(changed(32, 1).contains("byte order"));
        assert!(changed(47, 0xff).contains("says that its config has"), "no gigabytes are taken for it");
        assert!(changed(48, 0xff).contains("disagree"));
        assert!(changed(60, 0xff).contains("UTF-8"));
        assert!(head("a\0b").is_err());
    }
}
