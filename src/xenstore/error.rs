//! What can go wrong with a request to xenstore.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Of any request to xenstore.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a request failed. Cheap to clone.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The daemon answered with an errno.
    #[error("xenstore: {operation} {path}: {errno}")]
    Refused {
        /// What was asked, as a verb.
        operation: &'static str,
        /// The path asked about, or what stands in its place.
        path: String,
        /// The daemon's answer.
        errno: Errno,
    },
    /// Not sent: xenstore takes no such path.
    #[error("xenstore: the path {path:?} {fault}")]
    BadPath {
        /// The path as given.
        path: String,
        /// The rule that it breaks.
        fault: PathFault,
    },
    /// Not sent: a request of this size ends the connection (C xenstored) or is refused (oxenstored).
    #[error(
        "xenstore: {path}: a request of {size} bytes, path included, is too large (at most {limit}); shorten the value"
    )]
    TooLarge {
        /// The path that was to be written.
        path: String,
        /// Bytes of the request.
        size: usize,
        /// The most that is sent.
        limit: usize,
    },
    /// Not sent: a node's permissions begin with its owner, so there is at least one.
    #[error("xenstore: {path}: an empty list of permissions; name the owner first")]
    NoOwner {
        /// The path that was to be changed.
        path: String,
    },
    /// The value is not UTF-8; read it as bytes.
    #[error("xenstore: the value of {path} is not UTF-8")]
    NotText {
        /// The node.
        path: String,
    },
    /// The first connection did not come about.
    #[error("xenstore: cannot connect to {}; is xenstored running, and is this dom0's root?", socket.display())]
    Connect {
        /// The daemon's socket.
        socket: PathBuf,
        /// The last attempt's failure.
        source: Arc<std::io::Error>,
    },
    /// The connection was lost before the answer came, or is down and did not come back before the deadline. Whether a
    /// request that was on its way was carried out is not known; and a daemon that died has forgotten everything.
    #[error("xenstore: the connection to the daemon was lost; ask again")]
    Disconnected,
    /// The daemon is connected and did not answer in time. The request may still be carried out.
    #[error("xenstore: {operation} {path}: no answer within {} ms", after.as_millis())]
    Deadline {
        /// What was asked, as a verb.
        operation: &'static str,
        /// The path asked about.
        path: String,
        /// The deadline, as a time from the request.
        after: Duration,
    },
    /// The transaction is over: committed, aborted, or begun on a connection that was lost since. Begin a new one.
    #[error("xenstore: the transaction is over; begin it again")]
    Stale,
    /// This side closed the connection.
    #[error("xenstore: the connection was closed")]
    Closed,
    /// The daemon's answer makes no sense.
    #[error("xenstore: the daemon's answer makes no sense: {0}")]
    Protocol(&'static str),
}

impl Error {
    /// The daemon's errno, if it was the daemon that refused.
    #[must_use]
    pub fn errno(&self) -> Option<&Errno> {
        match self {
            Self::Refused { errno, .. } => Some(errno),
            _ => None,
        }
    }

    /// The node does not exist.
    #[must_use]
    pub fn is_no_entry(&self) -> bool {
        self.errno() == Some(&Errno::NoEntry)
    }

    /// The transaction met a conflict: begin it again.
    #[must_use]
    pub fn is_again(&self) -> bool {
        self.errno() == Some(&Errno::Again)
    }

    /// The daemon is away, or was: asking again later may help.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected | Self::Stale)
    }
}

/// The rule of xenstore's paths that a path breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// No characters at all.
    #[error("is empty")]
    Empty,
    /// More than [`PATH_MAX`](super::PATH_MAX) bytes.
    #[error("is longer than 2048 bytes")]
    TooLong,
    /// Other than `A-Z a-z 0-9 - / _ @`.
    #[error("has a character other than A-Z, a-z, 0-9, '-', '/', '_', '@' (a dot is one)")]
    Character,
    /// A slash at the end, or two together.
    #[error("has an empty part (a slash at the end, or two together)")]
    EmptyPart,
    /// `@introduceDomain` and its like can be watched only.
    #[error("is a special name, which can be watched only")]
    Special,
    /// oxenstored would empty the whole store.
    #[error("is the whole store, which is never removed")]
    Root,
}

/// An errno of the daemon, by its name on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Errno {
    /// `EAGAIN`: the transaction met a conflict.
    Again,
    /// `ENOENT`: no such node (C xenstored: also no such transaction).
    NoEntry,
    /// `EACCES`: the node's permissions do not admit it.
    Access,
    /// `EPERM`: only dom0 may, or the owner cannot be changed.
    NotPermitted,
    /// `E2BIG`: value, listing or quota too large.
    TooBig,
    /// `EQUOTA`: a guest's quota (oxenstored).
    Quota,
    /// `ENOSPC`: a guest's quota (C xenstored).
    NoSpace,
    /// `EINVAL`: not a valid path or request.
    Invalid,
    /// `EEXIST`: there already.
    Exists,
    /// `EBUSY`: a transaction within a transaction.
    Busy,
    /// `EIO` (oxenstored: also no such transaction).
    Io,
    /// `ENOSYS`: the daemon does not know the request.
    NotSupported,
    /// `ENOMEM`: the daemon is out of memory.
    NoMemory,
    /// `EROFS`.
    ReadOnly,
    /// `EISCONN`: the domain is introduced already.
    Connected,
    /// Any other.
    Other(Box<str>),
}

const ERRNOS: [(&str, Errno, &str); 15] = [
    ("EAGAIN", Errno::Again, "a conflict with another transaction"),
    ("ENOENT", Errno::NoEntry, "no such node"),
    ("EACCES", Errno::Access, "the node's permissions do not admit it"),
    ("EPERM", Errno::NotPermitted, "not permitted"),
    ("E2BIG", Errno::TooBig, "too large"),
    ("EQUOTA", Errno::Quota, "the domain's quota is used up"),
    ("ENOSPC", Errno::NoSpace, "the domain's quota is used up"),
    ("EINVAL", Errno::Invalid, "not a valid request"),
    ("EEXIST", Errno::Exists, "there already"),
    ("EBUSY", Errno::Busy, "busy"),
    ("EIO", Errno::Io, "an error within the daemon"),
    ("ENOSYS", Errno::NotSupported, "the daemon does not know this request"),
    ("ENOMEM", Errno::NoMemory, "the daemon is out of memory"),
    ("EROFS", Errno::ReadOnly, "read-only"),
    ("EISCONN", Errno::Connected, "connected already"),
];

impl Errno {
    pub(super) fn from_wire(payload: &[u8]) -> Self {
        let name = String::from_utf8_lossy(payload);
        let name = name.trim_end_matches('\0');
        let known = ERRNOS.iter().find(|(wire, ..)| *wire == name);
        known.map_or_else(|| Self::Other(name.into()), |(_, errno, _)| errno.clone())
    }

    /// The name as C has it, `ENOENT`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Other(name) => name,
            known => ERRNOS.iter().find(|(_, errno, _)| errno == known).map_or("", |(name, ..)| name),
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match ERRNOS.iter().find(|(_, errno, _)| errno == self) {
            Some((name, _, meaning)) => write!(f, "{meaning} ({name})"),
            None => f.write_str(self.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errnos_keep_their_names() {
        for (name, errno, _) in &ERRNOS {
            assert_eq!(&Errno::from_wire(format!("{name}\0").as_bytes()), errno);
            assert_eq!(errno.name(), *name);
        }
        assert_eq!(Errno::from_wire(b"ENOTTY\0"), Errno::Other("ENOTTY".into()));
        assert_eq!(Errno::from_wire(b"ENOTTY\0").to_string(), "ENOTTY");
        assert_eq!(Errno::NoEntry.to_string(), "no such node (ENOENT)");
    }
}
