//! xenstore, as far as this tool needs it: the agent, through the library's client, and the domains that toolstacks show.

use std::path::Path;
use std::time::Duration;

use uuid::Uuid;
use xensnap::client::{Client, Error};
use xensnap::xenstore::{Connection, Error as XsError, Options, default_socket};

use crate::resolve::Running;

/// How long xenstored may take to let us in. Its queue holds one connect, so that a busy one needs a few attempts; one that is being restarted needs some time.
pub(crate) const PATIENT: Duration = Duration::from_secs(2);
/// The same for a read that can do without xenstore.
pub(crate) const IMPATIENT: Duration = Duration::from_millis(200);
/// Where the running domains are.
const DOMAINS: &str = "/local/domain";

/// Connects; to the usual socket unless another is named.
pub(crate) async fn open(socket: Option<&Path>, connect_limit: Duration) -> Result<Client, Error> {
    let socket = socket.map_or_else(default_socket, Path::to_path_buf);
    // No socket at all: xenstored never ran since the boot, and waiting does not help.
    let connect_limit = if socket.exists() { connect_limit } else { Duration::ZERO };
    Client::connect(&Options { connect_limit, ..Options::at(socket) }).await
}

/// The domains that run. One that goes away while it is looked at is left out.
pub(crate) async fn running(xs: &Connection) -> Result<Vec<Running>, XsError> {
    let names = match xs.directory(DOMAINS).await {
        Err(error) if error.is_no_entry() => Vec::new(),
        names => names?,
    };
    let mut all = Vec::new();
    for name in names {
        let Ok(domid) = name.parse() else { continue };
        let name = text(xs, &format!("{DOMAINS}/{domid}/name")).await?.unwrap_or_default();
        let vm = text(xs, &format!("{DOMAINS}/{domid}/vm")).await?;
        let uuid =
            vm.as_deref().and_then(|vm| vm.strip_prefix("/vm/")).and_then(|uuid| Uuid::try_parse(uuid).ok());
        all.push(Running { domid, name, uuid });
    }
    Ok(all)
}

async fn text(xs: &Connection, path: &str) -> Result<Option<String>, XsError> {
    match xs.read_string(path).await {
        Ok(text) => Ok(Some(text)),
        Err(XsError::NotText { .. }) => Ok(None),
        Err(error) if error.is_no_entry() => Ok(None),
        Err(error) => Err(error),
    }
}
