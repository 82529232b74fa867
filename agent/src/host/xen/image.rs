//! A save file of Xen, as far as it must be understood: the head with the domain's config, and where the stream ends.
//!
//! ```text
//!   xl's head     32 bytes, "Xen saved domain, xl format\n \0 \r" | u32 0x01020304 | u32 3 | u32 0 | u32 4 + n | u32 n | n bytes: libxl's JSON with its NUL
//!   libxl         16 bytes, "LibxlFmt" | version, options; records: u32 type, u32 length, content padded to 8; type 1: libxc's stream follows; 0: the end
//!   libxc         24 bytes (marker of ones, "XENF" ..), 16 bytes (the guest's kind, Xen's version); records in the same form; 0: the end
//! ```
//!
//! (xl: `struct save_file_header` in tools/xl/xl.h; docs/specs/libxl-migration-stream.pandoc, libxc-migration-stream.pandoc.)
//! Records are skipped by their lengths, so a file of any size is walked in its records' number of reads: one that was cut off anywhere has no end.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// What a save file begins with.
const MAGIC: &[u8; 32] = b"Xen saved domain, xl format\n \0 \r";
/// What tells its byte order.
const ORDER: u32 = 0x0102_0304;
/// Head without the config: magic, order, two words of flags, length of what follows, length of the config.
const FIXED_BYTES: u64 = 32 + 4 * 5;
/// A config is no longer than this.
const CONFIG_BYTES_MAX: u32 = 1 << 20;
/// The record of libxl's stream that holds libxc's.
const LIBXC_CONTEXT: u32 = 1;
const END: u32 = 0;

/// What the head says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The domain's config, in libxl's JSON.
    pub config: String,
    /// Where the stream begins.
    pub stream_at: u64,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is none.
    #[error("it is no save file of Xen: {0}")]
    Foreign(&'static str),
    /// It ends too soon.
    #[error("it is cut off: no end is in it")]
    CutOff,
    /// Something comes after the end.
    #[error("{0} bytes come after its end")]
    Longer(u64),
}

/// Reads the head; the file's place is then where the stream begins.
///
/// # Errors
/// See [`ImageError`].
pub fn head(file: &mut (impl Read + Seek)) -> Result<Head, ImageError> {
    file.seek(SeekFrom::Start(0))?;
    let mut magic = [0; 32];
    exact(file, &mut magic)?;
    if &magic != MAGIC {
        return Err(ImageError::Foreign("it begins with something else"));
    }
    if word(file)? != ORDER {
        return Err(ImageError::Foreign("its byte order is another"));
    }
    let (_mandatory, _optional, rest, length) = (word(file)?, word(file)?, word(file)?, word(file)?);
    if length > CONFIG_BYTES_MAX || rest < length.saturating_add(4) {
        return Err(ImageError::Foreign("the length of its config"));
    }
    let mut config = vec![0; length as usize];
    exact(file, &mut config)?;
    while config.last() == Some(&0) {
        config.pop();
    }
    let config = String::from_utf8(config).map_err(|_| ImageError::Foreign("its config is no text"))?;
    let stream_at = FIXED_BYTES - 4 + u64::from(rest);
    file.seek(SeekFrom::Start(stream_at))?;
    Ok(Head { config, stream_at })
}

/// A head with this config, as xl writes it.
///
/// # Errors
/// When the config is too long.
pub fn head_of(config: &str) -> Result<Vec<u8>, ImageError> {
    let length = u32::try_from(config.len() + 1).ok().filter(|n| *n <= CONFIG_BYTES_MAX);
    let length = length.ok_or(ImageError::Foreign("the length of its config"))?;
    let mut head = MAGIC.to_vec();
    for word in [ORDER, 3, 0, length + 4, length] {
        head.extend(word.to_ne_bytes());
    }
    head.extend(config.as_bytes());
    head.push(0);
    Ok(head)
}

/// Walks a save file from its head to its end, and checks that the file ends there.
///
/// # Errors
/// See [`ImageError`].
pub fn check(file: &File) -> Result<Head, ImageError> {
    let size = file.metadata()?.len();
    let mut file = BufReader::with_capacity(4096, file);
    let head = head(&mut file)?;
    let mut ident = [0; 16];
    exact(&mut file, &mut ident)?;
    if !ident.starts_with(b"LibxlFmt") {
        return Err(ImageError::Foreign("no stream of libxl after its head"));
    }
    let mut at = head.stream_at + 16;
    loop {
        let kind = record(&mut file, &mut at, size)?;
        if kind == END {
            break;
        }
        if kind == LIBXC_CONTEXT {
            let mut marker = [0; 40];
            exact(&mut file, &mut marker)?;
            if !marker.starts_with(&[0xff; 8]) {
                return Err(ImageError::Foreign("no stream of libxc in it"));
            }
            at += 40;
            while record(&mut file, &mut at, size)? != END {}
        }
    }
    match size.checked_sub(at) {
        Some(0) => Ok(head),
        Some(more) => Err(ImageError::Longer(more)),
        None => Err(ImageError::CutOff),
    }
}

/// Passes one record; returns its type.
fn record(file: &mut BufReader<&File>, at: &mut u64, size: u64) -> Result<u32, ImageError> {
    let (kind, length) = (word(file)?, u64::from(word(file)?).next_multiple_of(8));
    *at = at.saturating_add(8).saturating_add(length);
    if *at > size {
        return Err(ImageError::CutOff);
    }
    file.seek_relative(i64::try_from(length).unwrap_or(i64::MAX))?;
    Ok(kind)
}

fn word(file: &mut impl Read) -> Result<u32, ImageError> {
    let mut bytes = [0; 4];
    exact(file, &mut bytes)?;
    Ok(u32::from_ne_bytes(bytes))
}

fn exact(file: &mut impl Read, bytes: &mut [u8]) -> Result<(), ImageError> {
    file.read_exact(bytes).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => ImageError::CutOff,
        _ => ImageError::Io(e),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const CONFIG: &str = r#"{"c_info":{"name":"web"}}"#;

    fn record(kind: u32, content: &[u8]) -> Vec<u8> {
        let mut all = kind.to_ne_bytes().to_vec();
        all.extend(u32::try_from(content.len()).unwrap().to_ne_bytes());
        all.extend(content);
        all.resize(all.len().next_multiple_of(8), 0);
        all
    }

    /// A small file in the form of a real one.
    fn whole() -> Vec<u8> {
        let mut all = head_of(CONFIG).unwrap();
        all.extend(b"LibxlFmt\0\0\0\x02\0\0\0\0");
        all.extend(record(LIBXC_CONTEXT, &[]));
        all.extend([0xff; 8]);
        all.extend([7; 32]);
        all.extend(record(1, &[5; 4096 + 3]));
        all.extend(record(END, &[]));
        all.extend(record(2, b"toolstack"));
        all.extend(record(END, &[]));
        all
    }

    fn checked(bytes: &[u8]) -> Result<Head, ImageError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        check(&file)
    }

    #[test]
    fn a_whole_file_has_its_config_and_its_end() {
        let head = checked(&whole()).unwrap();
        assert_eq!(head.config, CONFIG);
        assert_eq!(head.stream_at as usize, head_of(CONFIG).unwrap().len());
    }

    #[test]
    fn a_file_cut_off_anywhere_is_known() {
        let all = whole();
        for length in 0..all.len() {
            assert!(checked(&all[..length]).is_err(), "cut off at {length} of {}", all.len());
        }
        let longer = [all.as_slice(), b"x"].concat();
        assert!(matches!(checked(&longer), Err(ImageError::Longer(1))));
        assert!(matches!(
            checked(b"#!/bin/sh\nexit 0, and more bytes than a head takes, all of it text\n"),
            Err(ImageError::Foreign(_))
        ));
    }
}
