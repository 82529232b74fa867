//! The file that `xl restore` reads: its head. What follows is libxl's stream, which only libxl reads and writes (`host::xen::image` walks its records).
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

use std::io::{self, Read};

use super::protocol::{Failure, FailureKind};

const MAGIC: &[u8; 32] = b"Xen saved domain, xl format\n \0 \r";
const BYTE_ORDER: u32 = 0x0102_0304;
const STREAM_V2: u32 = 1;
const CONFIG_JSON: u32 = 2;

/// The longest config, written or read: what is written must be read again. libxl's are a few KiB; a head that names more is none.
const CONFIG_BYTES_MAX: u32 = 1 << 20;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is none.
    #[error("it is no save file of Xen: {0}")]
    Foreign(String),
    /// It ends too soon.
    #[error("it is cut off: no end is in it")]
    CutOff,
    /// Something comes after the end.
    #[error("{0} bytes come after its end")]
    Longer(u64),
}

impl FileError {
    /// It is none, for this reason.
    pub fn foreign(why: impl Into<String>) -> Self {
        Self::Foreign(why.into())
    }
}

/// Fills the buffer.
///
/// # Errors
/// `CutOff` at the file's end.
pub fn exact(file: &mut impl Read, bytes: &mut [u8]) -> Result<(), FileError> {
    file.read_exact(bytes).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => FileError::CutOff,
        _ => FileError::Io(e),
    })
}

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
/// It cannot be read, is no save file of xl, or of another kind than this program writes.
pub fn read(mut file: impl Read) -> Result<Head, FileError> {
    let mut fixed = [0; 48];
    exact(&mut file, &mut fixed)?;
    let (magic, rest) = fixed.split_at(MAGIC.len());
    let mut numbers = rest.chunks_exact(4).filter_map(|b| Some(u32::from_ne_bytes(b.try_into().ok()?)));
    let mut next = || numbers.next().unwrap_or(0);
    let (order, flags, _optional, length) = (next(), next(), next(), next());
    if magic != MAGIC {
        return Err(FileError::foreign("it begins with other bytes"));
    }
    if order != BYTE_ORDER {
        return Err(FileError::foreign("it was written on a machine of another byte order"));
    }
    if flags != STREAM_V2 | CONFIG_JSON {
        return Err(FileError::foreign(format!(
            "its flags are {flags:#x}, not 0x3 (stream version 2, config as JSON)"
        )));
    }
    if !(5..=CONFIG_BYTES_MAX + 4).contains(&length) {
        return Err(FileError::foreign(format!("it says that its config has {length} bytes")));
    }
    let mut data = vec![0; length as usize];
    exact(&mut file, &mut data)?;
    let (size, config) = data.split_at(4);
    let size = u32::from_ne_bytes(size.try_into().unwrap_or_default()) as usize;
    let config = config.get(..size).ok_or_else(|| FileError::foreign("the lengths in its head disagree"))?;
    let config = config.strip_suffix(b"\0").unwrap_or(config);
    let config =
        String::from_utf8(config.to_vec()).map_err(|_| FileError::foreign("its config is not UTF-8"))?;
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
        assert!(read(&file[..]).unwrap_err().to_string().contains("flags are 0x7"));
    }

    #[test]
    fn every_truncation_and_odd_head_is_refused() {
        let whole = head("{\"c_info\": {}}").unwrap();
        for length in 0..whole.len() {
            assert!(matches!(read(&whole[..length]), Err(FileError::CutOff)), "{length}");
        }
        let changed = |at: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            read(&bytes[..]).unwrap_err().to_string()
        };
        assert!(changed(0, b'x').contains("other bytes"));
        assert!(changed(32, 1).contains("byte order"));
        assert!(changed(47, 0xff).contains("says that its config has"), "no gigabytes are taken for it");
        assert!(changed(48, 0xff).contains("disagree"));
        assert!(changed(60, 0xff).contains("UTF-8"));
        assert!(head("a\0b").is_err());
    }
}
