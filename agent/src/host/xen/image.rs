//! A memory image that Xen wrote, walked to its end: whether it is whole.
//!
//! ```text
//!   xl's head     see `libxl::savefile`
//!   libxl         16 bytes, "LibxlFmt" | version, options; records: u32 type, u32 length, content padded to 8; type 1: libxc's stream follows; 0: the end
//!   libxc         24 bytes (marker of ones, "XENF" ..), 16 bytes (the guest's kind, Xen's version); records in the same form; 0: the end
//! ```
//!
//! (docs/specs/libxl-migration-stream.pandoc, libxc-migration-stream.pandoc.)
//! Records are skipped by their lengths, so a file of any size is walked in its records' number of reads: one that was cut off anywhere has no end.

use std::fs::File;
use std::io::{BufReader, Read, Seek};

use crate::libxl::savefile::{self, FileError, Head, exact};

/// The record of libxl's stream that holds libxc's.
const LIBXC_CONTEXT: u32 = 1;
const END: u32 = 0;

/// Walks a save file from its head to its end, and checks that the file ends there.
///
/// # Errors
/// See [`FileError`].
pub fn check(file: &File) -> Result<Head, FileError> {
    let size = file.metadata()?.len();
    let mut file = BufReader::with_capacity(4096, file);
    file.rewind()?;
    let head = savefile::read(&mut file)?;
    let mut ident = [0; 16];
    exact(&mut file, &mut ident)?;
    if !ident.starts_with(b"LibxlFmt") {
        return Err(FileError::foreign("no stream of libxl after its head"));
    }
    let mut at = head.bytes + 16;
    loop {
        let kind = record(&mut file, &mut at, size)?;
        if kind == END {
            break;
        }
        if kind == LIBXC_CONTEXT {
            let mut marker = [0; 40];
            exact(&mut file, &mut marker)?;
            if !marker.starts_with(&[0xff; 8]) {
                return Err(FileError::foreign("no stream of libxc in it"));
            }
            at += 40;
            while record(&mut file, &mut at, size)? != END {}
        }
    }
    match size.checked_sub(at) {
        Some(0) => Ok(head),
        Some(more) => Err(FileError::Longer(more)),
        None => Err(FileError::CutOff),
    }
}

/// Passes one record; returns its type.
fn record(file: &mut BufReader<&File>, at: &mut u64, size: u64) -> Result<u32, FileError> {
    let (kind, length) = (word(file)?, u64::from(word(file)?).next_multiple_of(8));
    *at = at.saturating_add(8).saturating_add(length);
    if *at > size {
        return Err(FileError::CutOff);
    }
    file.seek_relative(i64::try_from(length).unwrap_or(i64::MAX))?;
    Ok(kind)
}

fn word(file: &mut impl Read) -> Result<u32, FileError> {
    let mut bytes = [0; 4];
    exact(file, &mut bytes)?;
    Ok(u32::from_ne_bytes(bytes))
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
        let mut all = savefile::head(CONFIG).unwrap();
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

    fn checked(bytes: &[u8]) -> Result<Head, FileError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        check(&file)
    }

    #[test]
    fn a_whole_file_has_its_config_and_its_end() {
        let head = checked(&whole()).unwrap();
        assert_eq!(head.config, CONFIG);
        assert_eq!(head.bytes as usize, savefile::head(CONFIG).unwrap().len());
    }

    #[test]
    fn a_file_cut_off_anywhere_is_known() {
        let all = whole();
        for length in 0..all.len() {
            assert!(checked(&all[..length]).is_err(), "cut off at {length} of {}", all.len());
        }
        let longer = [all.as_slice(), b"x"].concat();
        assert!(matches!(checked(&longer), Err(FileError::Longer(1))));
        assert!(matches!(
            checked(b"#!/bin/sh\nexit 0, and more bytes than a head takes, all of it text\n"),
            Err(FileError::Foreign(_))
        ));
    }
}
