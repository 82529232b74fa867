//! The exit codes: the one place where they are numbered. They are permanent; a script may rely on each.
//!
//! | codes | what |
//! |---|---|
//! | 0 | done |
//! | 1-9 | said by this program |
//! | 10 + n | the operation's or the store's error, by its kind; n is the kind's number in `error_kind` of the contract |
//! | 130 | left by Ctrl-C while waiting |

use std::fmt::Write as _;

use xensnap::contract::ErrorKind;

/// An exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done as asked.
    Ok = 0,
    /// Something else failed: output that cannot be written, an operation that ended otherwise than asked.
    Failed = 1,
    /// The command line is not valid.
    Usage = 2,
    /// xensnapd does not run, or has stopped in the middle.
    NoAgent = 3,
    /// The time given by `--timeout` is over; the operation goes on.
    Timeout = 4,
    /// xenstore cannot be reached.
    NoXenstore = 5,
    /// `store check` found something wrong.
    Findings = 6,
    /// An error of a kind that this program does not know: the agent is newer.
    UnknownKind = 10,
    /// Kind `bad_request`.
    BadRequest = 11,
    /// Kind `no_domain`.
    NoDomain = 12,
    /// Kind `no_snapshot`.
    NoSnapshot = 13,
    /// Kind `no_operation`.
    NoOperation = 14,
    /// Kind `name_exists`.
    NameExists = 15,
    /// Kind `no_disk`.
    NoDisk = 16,
    /// Kind `disk_unsupported`.
    DiskUnsupported = 17,
    /// Kind `domain_state`.
    DomainState = 18,
    /// Kind `no_space`.
    NoSpace = 19,
    /// Kind `limit`.
    Limit = 20,
    /// Kind `denied`.
    Denied = 21,
    /// Kind `qmp_unavailable`.
    QmpUnavailable = 22,
    /// Kind `backend_failed`.
    BackendFailed = 23,
    /// Kind `changed`.
    Changed = 24,
    /// Kind `domain_gone`.
    DomainGone = 25,
    /// Kind `store_unavailable`.
    StoreUnavailable = 26,
    /// Kind `cancelled`.
    Cancelled = 27,
    /// Kind `interrupted`.
    Interrupted = 28,
    /// Kind `internal`.
    Internal = 29,
    /// Left by a second Ctrl-C while waiting; the operation goes on.
    Left = 130,
}

/// Every code with its name and its meaning, in order: the help and the README show this table.
pub(crate) const TABLE: &[(Exit, &str, &str)] = &[
    (Exit::Ok, "ok", "done as asked"),
    (Exit::Failed, "failed", "ended otherwise than asked, or the output cannot be written"),
    (Exit::Usage, "usage", "the command line is not valid"),
    (Exit::NoAgent, "no_agent", "xensnapd is not running, or stopped in the middle"),
    (Exit::Timeout, "timeout", "the time of --timeout is over; the operation goes on"),
    (Exit::NoXenstore, "no_xenstore", "xenstore cannot be reached"),
    (Exit::Findings, "findings", "`store check` found something wrong"),
    (Exit::UnknownKind, "unknown_kind", "an error of a kind that this program does not know (newer agent)"),
    (Exit::BadRequest, "bad_request", "the agent does not accept the request"),
    (Exit::NoDomain, "no_domain", "no such domain, or the name could mean several"),
    (Exit::NoSnapshot, "no_snapshot", "no such snapshot of that domain"),
    (Exit::NoOperation, "no_operation", "no such operation, or it has ended"),
    (Exit::NameExists, "name_exists", "a snapshot of that name exists already"),
    (Exit::NoDisk, "no_disk", "the domain has no such disk"),
    (Exit::DiskUnsupported, "disk_unsupported", "a disk that no provider can take"),
    (Exit::DomainState, "domain_state", "the domain's state does not allow it"),
    (Exit::NoSpace, "no_space", "not enough space"),
    (Exit::Limit, "limit", "a limit would be broken (--pause-max, number of snapshots)"),
    (Exit::Denied, "denied", "not allowed"),
    (Exit::QmpUnavailable, "qmp_unavailable", "the domain's QEMU does not answer"),
    (Exit::BackendFailed, "backend_failed", "QEMU or a tool refused or failed"),
    (Exit::Changed, "changed", "a file or image is missing or is not the one recorded"),
    (Exit::DomainGone, "domain_gone", "the domain died, rebooted or was replaced in the middle"),
    (Exit::StoreUnavailable, "store_unavailable", "the store cannot be read or written"),
    (Exit::Cancelled, "cancelled", "the operation was cancelled"),
    (Exit::Interrupted, "interrupted", "the operation was interrupted and taken back"),
    (Exit::Internal, "internal", "a defect of xensnap"),
    (Exit::Left, "left", "left by a second Ctrl-C; the operation goes on"),
];

impl Exit {
    /// The code of an error kind.
    pub(crate) fn of(kind: &ErrorKind) -> Self {
        match kind {
            ErrorKind::BadRequest => Self::BadRequest,
            ErrorKind::NoDomain => Self::NoDomain,
            ErrorKind::NoSnapshot => Self::NoSnapshot,
            ErrorKind::NoOperation => Self::NoOperation,
            ErrorKind::NameExists => Self::NameExists,
            ErrorKind::NoDisk => Self::NoDisk,
            ErrorKind::DiskUnsupported => Self::DiskUnsupported,
            ErrorKind::DomainState => Self::DomainState,
            ErrorKind::NoSpace => Self::NoSpace,
            ErrorKind::Limit => Self::Limit,
            ErrorKind::Denied => Self::Denied,
            ErrorKind::QmpUnavailable => Self::QmpUnavailable,
            ErrorKind::BackendFailed => Self::BackendFailed,
            ErrorKind::Changed => Self::Changed,
            ErrorKind::DomainGone => Self::DomainGone,
            ErrorKind::StoreUnavailable => Self::StoreUnavailable,
            ErrorKind::Cancelled => Self::Cancelled,
            ErrorKind::Interrupted => Self::Interrupted,
            ErrorKind::Internal => Self::Internal,
            _ => Self::UnknownKind,
        }
    }

    /// The number.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

/// The table as text: `xensnap help exit-codes`.
#[must_use]
pub fn text() -> String {
    let mut text = String::from("Exit codes:\n");
    for (exit, name, meaning) in TABLE {
        let _ = writeln!(text, "  {:>3}  {name:<17}  {meaning}", exit.code());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_without_duplicates() {
        for pair in TABLE.windows(2) {
            assert!(pair[0].0.code() < pair[1].0.code(), "{} before {}", pair[0].1, pair[1].1);
        }
    }
}
