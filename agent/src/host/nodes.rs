//! The few things that the host asks of xenstore. A trait, so that tests need no daemon.

use std::io;

use xensnap::contract::ErrorKind;
use xenstore_rs::AsyncXs;

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

/// Any connection that has xenstore-rs's trait will do; the agent's is [`xensnap::xenstore::Connection`].
impl<X: AsyncXs + Sync + 'static> Nodes for X {
    async fn list(&self, path: &str) -> Result<Vec<String>> {
        let names = absent(self.directory(path).await).map_err(|e| failed(path, &e))?;
        Ok(names.unwrap_or_default().into_iter().map(String::from).collect())
    }

    async fn read(&self, path: &str) -> Result<Option<String>> {
        let value = absent(AsyncXs::read(self, path).await).map_err(|e| failed(path, &e))?;
        Ok(value.map(String::from))
    }

    async fn write(&self, path: &str, value: &str) -> Result<()> {
        AsyncXs::write(self, path, value).await.map_err(|e| failed(path, &e))
    }

    async fn remove(&self, path: &str) -> Result<()> {
        absent(self.rm(path).await).map(drop).map_err(|e| failed(path, &e))
    }
}

/// A node that is not there is no error.
fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn failed(path: &str, e: &io::Error) -> HostError {
    HostError::new(ErrorKind::BackendFailed, format!("xenstore {path}: {e}"))
        .hint("is xenstored running? then ask again")
}
