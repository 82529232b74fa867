//! Where things are in xenstore, and what a changed path is about.
//!
//! ```text
//! /tool/xensnap/agent                             [n]  AgentStatus
//! /tool/xensnap/request/$ID                       [n]  Request, written by a toolstack in dom0
//! /tool/xensnap/operation/$ID                     [n]  Operation
//! /tool/xensnap/domain/$UUID                      [n]  DomainStatus
//! /local/domain/$DOMID/data/xensnap/request/$ID   [w]  a guest's own Request about itself
//! /local/domain/$DOMID/xensnap/operation/$ID      [n]  its Operation
//! ```
//! `[n]`: a guest can neither read nor write it, except its own operation, which it may read. `[w]`: the guest writes it.
//! All of it is transient: rebuilt from the store after xenstored or dom0 restarts.

use uuid::Uuid;

use crate::contract::{AgentStatus, DomainStatus, Operation, OperationId, Request};

/// The folder of everything of ours.
pub const ROOT: &str = "/tool/xensnap";

/// The agent's status.
pub const AGENT: &str = AgentStatus::XENSTORE_PATH;
/// The folder that toolstacks write requests into: one watch sees them all.
pub const REQUESTS: &str = Request::XENSTORE_FOLDER;
/// The folder of operations.
pub const OPERATIONS: &str = Operation::XENSTORE_FOLDER;
/// The folder of domains that have snapshots.
pub const DOMAINS: &str = DomainStatus::XENSTORE_FOLDER;

const LOCAL: &str = "/local/domain/";
const GUEST_REQUESTS: &str = "/data/xensnap/request";
const GUEST_OPERATIONS: &str = "/xensnap/operation";

/// A request of a toolstack in dom0.
#[must_use]
pub fn request(id: &OperationId) -> String {
    Request::xenstore_path(id)
}

/// The operation of a request.
#[must_use]
pub fn operation(id: &OperationId) -> String {
    Operation::xenstore_path(id)
}

/// A domain's status.
#[must_use]
pub fn domain(uuid: Uuid) -> String {
    DomainStatus::xenstore_path(uuid)
}

/// The folder that a guest writes requests about itself into.
#[must_use]
pub fn guest_requests(domid: u32) -> String {
    format!("{LOCAL}{domid}{GUEST_REQUESTS}")
}

/// A guest's request about itself.
#[must_use]
pub fn guest_request(domid: u32, id: &OperationId) -> String {
    format!("{LOCAL}{domid}{GUEST_REQUESTS}/{id}")
}

/// The folder of the operations that a guest asked for.
#[must_use]
pub fn guest_operations(domid: u32) -> String {
    format!("{LOCAL}{domid}{GUEST_OPERATIONS}")
}

/// The operation of a guest's request.
#[must_use]
pub fn guest_operation(domid: u32, id: &OperationId) -> String {
    format!("{LOCAL}{domid}{GUEST_OPERATIONS}/{id}")
}

/// One of our nodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the path made by the function of its name")]
pub enum Node {
    Agent,
    Request { id: OperationId },
    Operation { id: OperationId },
    Domain { uuid: Uuid },
    GuestRequest { domid: u32, id: OperationId },
    GuestOperation { domid: u32, id: OperationId },
}

impl Node {
    /// What a changed path is about. `None` for anything else: a folder of ours (look at all of it), a path below a node,
    /// an id, UUID or domid of another form.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let below = |folder: &str| path.strip_prefix(folder)?.strip_prefix('/');
        if path == AGENT {
            Some(Self::Agent)
        } else if let Some(id) = below(REQUESTS) {
            Some(Self::Request { id: OperationId::new(id).ok()? })
        } else if let Some(id) = below(OPERATIONS) {
            Some(Self::Operation { id: OperationId::new(id).ok()? })
        } else if let Some(text) = below(DOMAINS) {
            let uuid = Uuid::parse_str(text).ok()?;
            (uuid.hyphenated().to_string() == text).then_some(Self::Domain { uuid })
        } else {
            Self::parse_guest(path)
        }
    }

    fn parse_guest(path: &str) -> Option<Self> {
        let (text, rest) = path.strip_prefix(LOCAL)?.split_once('/')?;
        let domid: u32 = text.parse().ok()?;
        if domid.to_string() != text {
            return None; // `+5` and `05` are other nodes than `5`
        }
        let (folder, id) = rest.rsplit_once('/')?;
        let id = OperationId::new(id).ok()?;
        match folder {
            _ if GUEST_REQUESTS.strip_prefix('/') == Some(folder) => Some(Self::GuestRequest { domid, id }),
            _ if GUEST_OPERATIONS.strip_prefix('/') == Some(folder) => {
                Some(Self::GuestOperation { domid, id })
            }
            _ => None,
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Agent => AGENT.to_owned(),
            Self::Request { id } => request(id),
            Self::Operation { id } => operation(id),
            Self::Domain { uuid } => domain(*uuid),
            Self::GuestRequest { domid, id } => guest_request(*domid, id),
            Self::GuestOperation { domid, id } => guest_operation(*domid, id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_is_found_again_from_its_path() {
        let id = OperationId::new("0b6cd1a2-1c2d_X").unwrap();
        let uuid = Uuid::from_u128(0x1234);
        let expected = [
            (Node::Agent, "/tool/xensnap/agent"),
            (Node::Request { id: id.clone() }, "/tool/xensnap/request/0b6cd1a2-1c2d_X"),
            (Node::Operation { id: id.clone() }, "/tool/xensnap/operation/0b6cd1a2-1c2d_X"),
            (Node::Domain { uuid }, "/tool/xensnap/domain/00000000-0000-0000-0000-000000001234"),
            (
                Node::GuestRequest { domid: 7, id: id.clone() },
                "/local/domain/7/data/xensnap/request/0b6cd1a2-1c2d_X",
            ),
            (Node::GuestOperation { domid: 7, id }, "/local/domain/7/xensnap/operation/0b6cd1a2-1c2d_X"),
        ];
        for (node, path) in expected {
            assert_eq!(node.path(), path);
            assert_eq!(Node::parse(path), Some(node));
            crate::xenstore::check_path(path).unwrap();
        }
    }

    #[test]
    fn other_paths_are_nothing_of_ours() {
        for path in [
            "",
            "/",
            "/tool/xensnap",
            REQUESTS,
            "/tool/xensnap/request/",
            "/tool/xensnap/request/a/b",
            "/tool/xensnap/requests/a",
            "/tool/xensnap/request/a.b",
            "/tool/xensnap/domain/not-a-uuid",
            "/tool/xensnap/domain/00000000000000000000000000001234",
            "/local/domain/7/data/xensnap/request",
            "/local/domain/x/data/xensnap/request/a",
            "/local/domain/07/data/xensnap/request/a",
            "/local/domain/+7/data/xensnap/request/a",
            "/local/domain/7/data/xensnap/operation/a",
            "/local/domain/7/x/data/xensnap/request/a",
            &format!("/tool/xensnap/request/{}", "a".repeat(65)),
        ] {
            assert_eq!(Node::parse(path), None, "{path}");
        }
    }
}
