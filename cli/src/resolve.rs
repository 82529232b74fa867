//! DOMAIN for reads: a UUID, the domid of a running domain, or a name, running domains before known ones. Operations do not pass through here: what they
//! are about is decided by the agent, at the moment of the operation, by the same rule.
//!
//! Pure: what runs and what the store knows is handed in.

use uuid::Uuid;
use xensnap::contract::{Domain, DomainRef};

use crate::error::{CliError, Result};

/// A running domain, as xenstore shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    /// Its address.
    pub domid: u32,
    /// Its name, where it has one.
    pub name: String,
    /// Its UUID, where xenstore says it.
    pub uuid: Option<Uuid>,
}

/// What a reference says by its form alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form<'a> {
    /// A UUID: nothing has to be looked up.
    Uuid(Uuid),
    /// A domid: only xenstore knows.
    Domid(u32),
    /// A name.
    Name(&'a str),
}

/// The form of a reference.
pub(crate) fn form(reference: &DomainRef) -> Form<'_> {
    let text = reference.as_str();
    if let Ok(uuid) = Uuid::try_parse(text) {
        Form::Uuid(uuid)
    } else if let Ok(domid) = text.parse() {
        Form::Domid(domid)
    } else {
        Form::Name(text)
    }
}

/// The domain that a reference means, and a remark for the reader. `running` is absent where xenstore cannot be asked.
pub(crate) fn resolve(
    reference: &DomainRef,
    running: Option<&[Running]>,
    known: &[Domain],
) -> Result<(Uuid, Option<String>)> {
    let none = |where_| CliError::NoDomain { reference: reference.to_string(), where_ };
    match form(reference) {
        Form::Uuid(uuid) => Ok((uuid, None)),
        Form::Domid(domid) => running
            .unwrap_or_default()
            .iter()
            .find(|domain| domain.domid == domid)
            .and_then(|domain| domain.uuid)
            .map(|uuid| (uuid, None))
            .ok_or_else(|| none("is running")),
        Form::Name(name) => by_name(name, running, known)?.ok_or_else(|| match running {
            Some(_) => none("is running or known to the store"),
            None => none("is known to the store (xenstore, which knows the running ones, cannot be reached)"),
        }),
    }
}

fn by_name(
    name: &str,
    running: Option<&[Running]>,
    known: &[Domain],
) -> Result<Option<(Uuid, Option<String>)>> {
    let live = running
        .unwrap_or_default()
        .iter()
        .filter(|domain| domain.name == name)
        .filter_map(|domain| domain.uuid);
    let stored = known.iter().filter(|domain| domain.name.as_str() == name).map(|domain| domain.uuid);
    let (live, stored) = (unique(live), unique(stored));
    let ambiguous =
        |uuids: &[Uuid]| CliError::Ambiguous { reference: name.to_owned(), uuids: uuids.to_vec() };
    match (live.as_slice(), stored.as_slice()) {
        ([], []) => Ok(None),
        ([], [one]) => Ok(Some((*one, None))),
        ([one], others) => Ok(Some((*one, stranger(name, *one, others, known)))),
        ([], many) | (many, _) => Err(ambiguous(many)),
    }
}

/// A running domain that the store does not know, of the name of one that it knows: a config without `uuid=` gets another at each start.
fn stranger(name: &str, uuid: Uuid, others: &[Uuid], known: &[Domain]) -> Option<String> {
    if known.iter().any(|domain| domain.uuid == uuid) {
        return None;
    }
    let [old] = others else { return None };
    Some(format!(
        "the running {name} has UUID {uuid}, unknown to the store, which knows a {name} by UUID {old}; if they are the same: xensnap domain adopt {old} {uuid}"
    ))
}

fn unique(uuids: impl Iterator<Item = Uuid>) -> Vec<Uuid> {
    let mut all: Vec<Uuid> = uuids.collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uuid(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn running(domid: u32, name: &str, n: u128) -> Running {
        Running { domid, name: name.to_owned(), uuid: Some(uuid(n)) }
    }

    fn known(name: &str, n: u128) -> Domain {
        let json = format!(
            r#"{{"contract":1,"uuid":"{}","name":"{name}","driver":"qemu","config":{{}},"disks":[],"last_seen":"2026-11-23T00:00:00.000000000Z","diverged":false}}"#,
            uuid(n)
        );
        xensnap::wire::from_str(&json).unwrap()
    }

    fn answer(
        reference: &str,
        live: Option<&[Running]>,
        stored: &[Domain],
    ) -> std::result::Result<u128, String> {
        resolve(&DomainRef::new(reference).unwrap(), live, stored)
            .map(|(uuid, _)| uuid.as_u128())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn a_reference_is_a_uuid_then_a_domid_then_a_name() {
        let live = [running(7, "web", 1), running(8, "7", 2)];
        let stored = [known("web", 1), known("7", 2), known("old", 3)];
        assert_eq!(answer(&uuid(9).to_string(), None, &[]), Ok(9), "a UUID needs nothing else");
        assert_eq!(answer("7", Some(&live), &stored), Ok(1), "a number is a domid, never a name");
        assert_eq!(answer("web", Some(&live), &stored), Ok(1));
        assert_eq!(answer("web", None, &stored), Ok(1));
        assert_eq!(answer("old", Some(&live), &stored), Ok(3));
        for (reference, live) in
            [("9", Some(&live[..])), ("7", None), ("nobody", Some(&live)), ("nobody", None)]
        {
            assert!(answer(reference, live, &stored).unwrap_err().starts_with("no domain "), "{reference}");
        }
    }

    #[test]
    fn a_running_domain_goes_before_known_ones_of_its_name() {
        let stored = [known("web", 1), known("web", 2)];
        assert_eq!(answer("web", Some(&[running(7, "web", 2)]), &stored), Ok(2));
        assert_eq!(answer("web", Some(&[running(7, "web", 5)]), &stored), Ok(5));
        assert!(answer("web", None, &stored).unwrap_err().starts_with("2 domains have the name web"));
        let twins = [running(7, "web", 1), running(8, "web", 2)];
        assert!(answer("web", Some(&twins), &[]).unwrap_err().starts_with("2 domains"));
    }

    #[test]
    fn a_running_stranger_of_a_known_name_is_pointed_out() {
        let (_, remark) =
            resolve(&DomainRef::new("web").unwrap(), Some(&[running(7, "web", 5)]), &[known("web", 1)])
                .unwrap();
        assert!(remark.unwrap().ends_with(&format!("xensnap domain adopt {} {}", uuid(1), uuid(5))));
    }
}
