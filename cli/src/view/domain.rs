//! Domains that the store knows.

use xensnap::contract::{Domain, SnapshotName};

use super::{left, right};
use crate::text::{Column, plain, time};

/// Columns of `domain list`.
pub(crate) const DOMAIN_COLUMNS: &[Column] = &[
    left("NAME"),
    left("UUID"),
    right("DOMID"),
    right("SNAPSHOTS"),
    left("CURRENT"),
    right("DISKS"),
    left("DRIVER"),
    left("LAST SEEN"),
];

/// Whether a domain runs, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// With this domid.
    Domid(u32),
    /// Not.
    No,
    /// xenstore cannot be asked.
    Unknown,
}

/// The cells of [`DOMAIN_COLUMNS`].
pub(crate) fn domain_row(
    domain: &Domain,
    run: Run,
    snapshots: u64,
    current: Option<&SnapshotName>,
) -> Vec<String> {
    let current = match (&domain.current, current) {
        (_, Some(name)) => name.to_string(),
        (Some(id), None) => id.to_string(),
        (None, None) => String::new(),
    };
    let diverged = if domain.diverged { " (diverged)" } else { "" };
    vec![
        plain(domain.name.as_str()).into_owned(),
        domain.uuid.to_string(),
        match run {
            Run::Domid(domid) => domid.to_string(),
            Run::No => String::new(),
            Run::Unknown => "?".to_owned(),
        },
        snapshots.to_string(),
        format!("{current}{diverged}"),
        domain.disks.len().to_string(),
        plain(domain.driver.as_str()).into_owned(),
        time(&domain.last_seen.to_string()),
    ]
}
