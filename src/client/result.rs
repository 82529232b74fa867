//! Results too large for xenstore: files, which the operation names with size and sum. The library's only I/O beside
//! xenstore's socket.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::error::{Error, Result};
use crate::contract::ResultFile;
use crate::wire::DOCUMENT_MAX;

/// Reads the file and checks it. Blocking.
pub(super) fn read(named: &ResultFile) -> Result<Vec<u8>> {
    let path = named.path.as_path();
    let wrong = |what| Error::WrongResult { path: path.to_owned(), what };
    let size = usize::try_from(named.size).ok().filter(|size| *size <= DOCUMENT_MAX);
    let size = size.ok_or_else(|| wrong("it is larger than any result"))?;
    let bytes =
        read_regular(path, size).map_err(|source| Error::ReadResult { path: path.to_owned(), source })?;
    if bytes.len() != size {
        return Err(wrong("its size is another"));
    }
    let sum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if named.sha256 != sum.as_str() {
        return Err(wrong("its SHA-256 is another"));
    }
    Ok(bytes)
}

/// At most one byte more than `size`.
fn read_regular(path: &Path, size: usize) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: opening a FIFO would wait for ever.
    if !std::fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::with_capacity(size + 1);
    File::open(path)?.take(size as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
