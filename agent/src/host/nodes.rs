//! The few things that the host asks of xenstore. A trait, so that tests need no daemon.

use xensnap::contract::ErrorKind;
use xensnap::xenstore::{Connection, Error as XsError};

use super::{HostError, Result};

/// xenstore, as far as the host needs it.
pub trait Nodes: Send + Sync + 'static {
    /// The names below a node; none when it is not there.
    fn list(&self, path: &str) -> impl Future<Output = Result<Vec<String>>> + Send;

    /// A value; `None` when the node is not there.
    fn read(&self, path: &str) -> impl Future<Output = Result<Option<String>>> + Send;

    /// Writes a value.
    fn write(&self, path: &str, value: &str) -> impl Future<Output = Result<()>> + Send;

    /// Removes a node and all below it; one that is not there is done already.
    fn remove(&self, path: &str) -> impl Future<Output = Result<()>> + Send;
}

impl Nodes for Connection {
    async fn list(&self, path: &str) -> Result<Vec<String>> {
        match self.directory(path).await {
            Err(e) if e.is_no_entry() => Ok(Vec::new()),
            other => other.map_err(|e| failed(path, &e)),
        }
    }

    async fn read(&self, path: &str) -> Result<Option<String>> {
        match Connection::read(self, path).await {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(e) if e.is_no_entry() => Ok(None),
            Err(e) => Err(failed(path, &e)),
        }
    }

    async fn write(&self, path: &str, value: &str) -> Result<()> {
        Connection::write(self, path, value.as_bytes()).await.map_err(|e| failed(path, &e))
    }

    async fn remove(&self, path: &str) -> Result<()> {
        match self.rm(path).await {
            Ok(()) => Ok(()),
            Err(e) if e.is_no_entry() => Ok(()),
            Err(e) => Err(failed(path, &e)),
        }
    }
}

fn failed(path: &str, e: &XsError) -> HostError {
    HostError::new(ErrorKind::BackendFailed, format!("xenstore {path}: {e}"))
        .hint("is xenstored running? then ask again")
}
