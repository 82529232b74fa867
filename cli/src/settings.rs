//! Where things are: flags, then the agent's configuration file, then the built-in places.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use xensnap_store::Location;

use crate::error::{CliError, Result};
use crate::flags::Global;

/// The agent's configuration file.
const CONFIG: &str = "/etc/xensnap/xensnapd.toml";

/// The part of the agent's configuration that says where things are. Its other keys are the agent's business.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Places {
    store: Option<PathBuf>,
    run: Option<PathBuf>,
    installed: Option<PathBuf>,
    xenstore: Option<PathBuf>,
}

/// Where things are.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The store.
    pub location: Location,
    /// xenstored's socket, if it is not at the usual places.
    pub xenstore: Option<PathBuf>,
}

impl Settings {
    /// From the flags and the configuration file, which need not be there unless it was named.
    pub(crate) fn read(flags: &Global) -> Result<Self> {
        let places = match &flags.config {
            Some(path) => places(path, false)?,
            None => places(Path::new(CONFIG), true)?,
        };
        let mut location = Location::default();
        if let Some(dir) = flags.store.clone().or(places.store) {
            location.dir = dir;
        }
        if let Some(run) = places.run {
            location.run = run;
        }
        if let Some(mark) = places.installed {
            location.mark = mark;
        }
        Ok(Self { location, xenstore: flags.xenstore.clone().or(places.xenstore) })
    }
}

fn places(path: &Path, optional: bool) -> Result<Places> {
    let error = |what: String| CliError::Settings { path: path.to_path_buf(), what };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        // Whoever may not read it may have its defaults; if that is not right the store says so.
        Err(e)
            if optional
                && matches!(
                    e.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied
                ) =>
        {
            return Ok(Places::default());
        }
        Err(e) => return Err(error(format!("cannot be read: {e}"))),
    };
    toml::from_str(&text).map_err(|e| error(format!("is not understood: {}", e.message())))
}
