//! Who asks, what, about which domain. A request that does not pass is answered and forgotten: neither journalled nor synced.
//!
//! ```text
//!   bytes --parse--> Request --resolve(running instances, known domains)--> the domain's UUID
//! ```

use uuid::Uuid;
use xensnap::contract::{Domain, DomainRef, ErrorKind, Request, RequestOp};
use xensnap::wire;

use crate::host::{HostError, Instance};

/// The most bytes of a request.
pub const REQUEST_MAX: usize = 2048;
/// The most refusals answered in a second; more are dropped and counted.
const REFUSALS_PER_SECOND: u32 = 50;

/// Reads a request.
pub fn parse(bytes: &[u8]) -> Result<Request, HostError> {
    let bad = |text: String| {
        HostError::new(ErrorKind::BadRequest, text)
            .hint("write it with xenstore-write -R; the contract's pages list every key")
    };
    if bytes.len() > REQUEST_MAX {
        return Err(bad(format!("the request has {} bytes, the most is {REQUEST_MAX}", bytes.len())));
    }
    wire::from_slice(bytes).map_err(|e| bad(format!("the request is not understood: {e}")))
}

/// The domain that a request is about; none for those that are about an operation or name UUIDs themselves.
pub fn about(op: &RequestOp) -> Option<&DomainRef> {
    match op {
        RequestOp::VmSnapshotCreate(r) => Some(&r.domain),
        RequestOp::VmSnapshotDelete(r) => Some(&r.domain),
        RequestOp::VmSnapshotRevert(r) => Some(&r.domain),
        RequestOp::DiskSnapshotCreate(r) => Some(&r.domain),
        RequestOp::DiskSnapshotDelete(r) => Some(&r.domain),
        RequestOp::DiskSnapshotRevert(r) => Some(&r.domain),
        RequestOp::DomainForget(r) => Some(&r.domain),
        RequestOp::Cancel(_) | RequestOp::DomainAdopt(_) => None,
    }
}

/// Resolves a reference: UUID, then domid of a running domain, then name, running domains before known ones.
pub fn resolve(reference: &DomainRef, running: &[Instance], known: &[Domain]) -> Result<Uuid, HostError> {
    let text = reference.as_str();
    let uuid = if let Ok(uuid) = Uuid::try_parse(text) {
        let there = running.iter().any(|i| i.uuid == uuid) || known.iter().any(|d| d.uuid == uuid);
        there.then_some(uuid)
    } else if let Ok(domid) = text.parse::<u32>() {
        running.iter().find(|i| i.domid == domid).map(|i| i.uuid)
    } else {
        by_name(text, running, known)?
    };
    let uuid = uuid.ok_or_else(|| {
        HostError::new(ErrorKind::NoDomain, format!("no domain {text}, neither running nor known to the store"))
            .hint("xensnap domain list shows the known ones; a stopped domain is known once a snapshot of it was taken")
    })?;
    let lives: Vec<String> = running.iter().filter(|i| i.uuid == uuid).map(|i| i.domid.to_string()).collect();
    if lives.len() > 1 {
        return Err(HostError::new(
            ErrorKind::NoDomain,
            format!("domains {} have one and the same UUID {uuid}", lives.join(" and ")),
        )
        .hint("end one of them: they may share disks"));
    }
    Ok(uuid)
}

fn by_name(name: &str, running: &[Instance], known: &[Domain]) -> Result<Option<Uuid>, HostError> {
    let mut found: Vec<Uuid> = running.iter().filter(|i| i.name == name).map(|i| i.uuid).collect();
    if found.is_empty() {
        found = known.iter().filter(|d| d.name.as_str() == name).map(|d| d.uuid).collect();
    }
    found.sort_unstable();
    found.dedup();
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        [a, b, ..] => Err(HostError::new(
            ErrorKind::NoDomain,
            format!("more than one domain has the name {name}: {a}, {b}"),
        )
        .hint("name it by its UUID")),
    }
}

/// Bounds how many refusals are answered: a broken toolstack must not keep the agent busy.
#[derive(Debug)]
pub struct RefusalLimit {
    second: u64,
    used: u32,
}

impl RefusalLimit {
    /// A fresh limit.
    pub const fn new() -> Self {
        Self { second: 0, used: 0 }
    }

    /// Whether one more may be answered in this second of a monotonic clock.
    pub fn allow(&mut self, second: u64) -> bool {
        if self.second != second {
            (self.second, self.used) = (second, 0);
        }
        self.used += 1;
        self.used <= REFUSALS_PER_SECOND
    }
}

impl Default for RefusalLimit {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::RunState;
    use xensnap::contract::DriverKind;

    fn running(uuid: u128, domid: u32, name: &str) -> Instance {
        Instance {
            uuid: Uuid::from_u128(uuid),
            name: name.into(),
            domid,
            driver: DriverKind::Qemu,
            run: domid.to_string(),
            state: RunState::Running,
        }
    }

    fn resolved(reference: &str, running: &[Instance]) -> Result<Uuid, HostError> {
        resolve(&DomainRef::new(reference).unwrap(), running, &[])
    }

    #[test]
    fn a_reference_is_a_uuid_then_a_domid_then_a_name() {
        let all = [running(1, 7, "web"), running(2, 8, "7"), running(3, 9, "db")];
        assert_eq!(resolved("7", &all).unwrap(), Uuid::from_u128(1), "a number is a domid, never a name");
        assert_eq!(resolved("db", &all).unwrap(), Uuid::from_u128(3));
        assert_eq!(resolved(&Uuid::from_u128(2).to_string(), &all).unwrap(), Uuid::from_u128(2));
        for nobody in ["nobody", "99", "00000000-0000-0000-0000-0000000000ff"] {
            assert_eq!(resolved(nobody, &all).unwrap_err().kind, ErrorKind::NoDomain);
        }
    }

    #[test]
    fn two_live_domains_with_one_uuid_or_one_name_are_refused() {
        let twins = [running(1, 7, "web"), running(1, 8, "web")];
        assert!(resolved("web", &twins).unwrap_err().message.contains("7 and 8"));
        let namesakes = [running(1, 7, "web"), running(2, 8, "web")];
        assert!(resolved("web", &namesakes).unwrap_err().message.contains("more than one"));
        assert_eq!(resolved("8", &namesakes).unwrap(), Uuid::from_u128(2));
    }

    #[test]
    fn refusals_are_bounded_within_a_second_and_start_again_in_the_next() {
        let mut limit = RefusalLimit::new();
        let answered = (0..100).filter(|_| limit.allow(5)).count();
        assert_eq!(answered, REFUSALS_PER_SECOND as usize);
        assert!(limit.allow(6));
    }
}
