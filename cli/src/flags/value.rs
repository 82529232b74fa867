//! Values of the contract on the command line: checked here, with what is allowed in the message.

use uuid::Uuid;
use xensnap::contract::{DomainRef, Line, OperationId, SnapshotName, SnapshotRef, Vdev};

/// The contract's maximum for a description, bytes.
const DESCRIPTION_MAX: usize = 200;

pub(super) fn domain_ref(text: &str) -> Result<DomainRef, String> {
    DomainRef::new(text)
        .map_err(|_| "a domain is named by UUID, domid or name: 1 to 100 printable ASCII characters without spaces; any other name: use the UUID".to_owned())
}

pub(super) fn snapshot_ref(text: &str) -> Result<SnapshotRef, String> {
    SnapshotRef::new(text)
        .map_err(|_| "a snapshot's name or id has 1 to 64 of A-Z a-z 0-9 . _ + -".to_owned())
}

pub(super) fn snapshot_name(text: &str) -> Result<SnapshotName, String> {
    SnapshotName::new(text)
        .map_err(|_| "a name has 1 to 64 of A-Z a-z 0-9 . _ + - and does not begin with . or -".to_owned())
}

pub(super) fn operation_id(text: &str) -> Result<OperationId, String> {
    OperationId::new(text).map_err(|_| "an operation's id has 1 to 64 of A-Z a-z 0-9 _ -".to_owned())
}

pub(super) fn vdev(text: &str) -> Result<Vdev, String> {
    Vdev::new(text).map_err(|_| "a disk is named as in the domain's config: xvda, hda, vda".to_owned())
}

pub(super) fn description(text: &str) -> Result<Line, String> {
    if text.len() > DESCRIPTION_MAX {
        return Err(format!("{} bytes; at most {DESCRIPTION_MAX}", text.len()));
    }
    Line::new(text).map_err(|_| "one line, without control characters".to_owned())
}

pub(super) fn uuid(text: &str) -> Result<Uuid, String> {
    Uuid::try_parse(text).map_err(|_| "a UUID is written 01234567-89ab-cdef-0123-456789abcdef".to_owned())
}
