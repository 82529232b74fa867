//! `/etc/xensnap/xensnapd.toml`. Every key has a default; an unknown key is an error.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::guests::policy::Rule;
use crate::plan::Limits;

/// The agent's configuration.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The store: records, journal and memory images.
    pub store: PathBuf,
    /// What need not survive a reboot: locks, the guard's pause files.
    pub run: PathBuf,
    /// The mark that says that a store was made on this host.
    pub installed: PathBuf,
    /// xenstored's socket; left out: the usual places, or `XENSTORED_PATH`.
    pub xenstore: Option<PathBuf>,
    /// The most snapshots that a domain may have.
    pub snapshots_max: usize,
    /// The longest expected pause of a guest, in seconds, unless the request asks for a shorter one.
    pub pause_max_s: u64,
    /// How much longer than four times the expected pause a guest may be paused, in seconds. After that the guard ends the agent and releases the guest.
    pub pause_grace_s: u64,
    /// Free space that an operation must leave on each file system, in MiB.
    pub space_left_mib: u64,
    /// How many operations run side by side, on different domains.
    pub operations_max: usize,
    /// The guests that may ask about themselves.
    #[serde(rename = "guest")]
    pub guests: Vec<Rule>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: "/var/lib/xen/snapshots".into(),
            run: "/run/xensnap".into(),
            installed: "/var/lib/xensnap/installed".into(),
            xenstore: None,
            snapshots_max: 500,
            pause_max_s: 600,
            pause_grace_s: 15,
            space_left_mib: 64,
            operations_max: 16,
            guests: Vec::new(),
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{0} cannot be read")]
    Read(PathBuf, #[source] std::io::Error),
    /// The file is not understood.
    #[error("{0} is not understood; see xensnapd.toml(5)")]
    Parse(PathBuf, #[source] Box<toml::de::Error>),
}

impl Config {
    /// Reads a file. A missing one is the defaults when `optional`.
    pub fn read(path: &Path, optional: bool) -> Result<Self, ConfigError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if optional && e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(ConfigError::Read(path.into(), e)),
        };
        toml::from_str(&text).map_err(|e| ConfigError::Parse(path.into(), Box::new(e)))
    }

    /// The limits that plans obey.
    pub fn limits(&self) -> Limits {
        Limits {
            snapshots_max: self.snapshots_max,
            pause_max: Duration::from_secs(self.pause_max_s),
            pause_grace: Duration::from_secs(self.pause_grace_s),
            space_left_min: self.space_left_mib.saturating_mul(1 << 20),
        }
    }
}
