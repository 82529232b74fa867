//! The bytes on the socket: a header of four words in the machine's order (kind, request, transaction, size), then the
//! payload. Source: `xen/include/public/io/xs_wire.h`.

use super::error::Error;

/// Bytes of the largest payload of a request, path included.
pub const PAYLOAD_MAX: usize = 4096;
/// Bytes of the largest reply that is believed: oxenstored sends a large directory in one piece.
const REPLY_MAX: usize = 16 << 20;
const HEADER: usize = 16;

/// A message's kind. Of a reply it is that of the request, or `Error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Kind {
    Directory = 1,
    Read = 2,
    GetPermissions = 3,
    Watch = 4,
    Unwatch = 5,
    TransactionStart = 6,
    TransactionEnd = 7,
    Introduce = 8,
    Release = 9,
    Write = 11,
    Mkdir = 12,
    Rm = 13,
    SetPermissions = 14,
    WatchEvent = 15,
    Error = 16,
    IsIntroduced = 17,
    DirectoryPart = 22,
}

impl Kind {
    /// A verb for messages.
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Directory | Self::DirectoryPart => "list",
            Self::Read => "read",
            Self::GetPermissions => "get permissions of",
            Self::Watch => "watch",
            Self::Unwatch => "unwatch",
            Self::TransactionStart => "begin",
            Self::TransactionEnd => "end",
            Self::Introduce => "introduce",
            Self::Release => "release",
            Self::Write => "write",
            Self::Mkdir => "make",
            Self::Rm => "remove",
            Self::SetPermissions => "set permissions of",
            Self::IsIntroduced => "ask after",
            Self::WatchEvent | Self::Error => "receive",
        }
    }
}

/// A message from the daemon.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// As on the wire: the daemon may send kinds that are not ours.
    pub(super) kind: u32,
    pub(super) request: u32,
    pub(super) payload: Vec<u8>,
}

impl Message {
    pub(super) fn is(&self, kind: Kind) -> bool {
        self.kind == kind as u32
    }
}

/// Appends a request to `out`. The payload's size was checked by the caller.
pub(super) fn encode(out: &mut Vec<u8>, kind: Kind, request: u32, transaction: u32, payload: &[u8]) {
    let size = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    for word in [kind as u32, request, transaction, size] {
        out.extend_from_slice(&word.to_ne_bytes());
    }
    out.extend_from_slice(payload);
}

/// Each of `parts` with a NUL behind it.
pub(super) fn terminated(parts: &[&str]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.bytes().chain([0])).collect()
}

/// The NUL-terminated strings of a payload.
pub(super) fn strings(payload: &[u8]) -> Result<Vec<&str>, Error> {
    let text = std::str::from_utf8(payload).map_err(|_| Error::Protocol("a name that is not UTF-8"))?;
    Ok(text.split_terminator('\0').collect())
}

/// Cuts the stream into messages, however it comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    buffer: Vec<u8>,
    /// How much of `buffer` has been handed out.
    taken: usize,
}

impl Decoder {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message. After an error the connection is of no more use.
    pub(super) fn next(&mut self) -> Result<Option<Message>, Error> {
        let rest = self.buffer.get(self.taken..).unwrap_or_default();
        let Some((header, rest)) = rest.split_first_chunk::<HEADER>() else { return Ok(None) };
        let [kind, request, _transaction, size] = words(header);
        let size = size as usize;
        if size > REPLY_MAX {
            return Err(Error::Protocol("a reply of more than 16 MiB"));
        }
        let Some(payload) = rest.get(..size) else { return Ok(None) };
        let message = Message { kind, request, payload: payload.to_vec() };
        self.taken += HEADER + size;
        Ok(Some(message))
    }
}

fn words(header: &[u8; HEADER]) -> [u32; 4] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *header;
    [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]].map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> (Vec<u8>, Vec<Message>) {
        let mut bytes = Vec::new();
        let mut messages = Vec::new();
        for (request, size) in [(7, 0), (8, 1), (u32::MAX, 4096), (9, 70_000)] {
            let payload: Vec<u8> = (0..size).map(|n: u32| n.to_le_bytes()[0]).collect();
            encode(&mut bytes, Kind::Read, request, 3, &payload);
            messages.push(Message { kind: Kind::Read as u32, request, payload });
        }
        (bytes, messages)
    }

    #[test]
    fn messages_survive_any_cutting_of_the_stream() {
        let (bytes, messages) = stream();
        for piece in [1, 2, 15, 16, 17, 1000, 4096, bytes.len()] {
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for chunk in bytes.chunks(piece) {
                decoder.feed(chunk);
                while let Some(message) = decoder.next().unwrap() {
                    seen.push(message);
                }
            }
            assert_eq!(seen, messages, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_senseless_size_is_an_error_before_it_is_waited_for() {
        let mut decoder = Decoder::default();
        let header: Vec<u8> = [2, 1, 0, 17 << 20].iter().flat_map(|w: &u32| w.to_ne_bytes()).collect();
        decoder.feed(&header);
        assert!(matches!(decoder.next(), Err(Error::Protocol(_))));
    }

    #[test]
    fn strings_of_a_payload() {
        assert_eq!(strings(b"").unwrap(), Vec::<&str>::new());
        assert_eq!(strings(b"a\0bc\0").unwrap(), ["a", "bc"]);
        assert_eq!(terminated(&["a", "bc"]), b"a\0bc\0");
        assert!(strings(b"\xff\0").is_err());
    }
}
