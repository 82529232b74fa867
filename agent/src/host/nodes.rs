//! The few things that the host asks of xenstore. A trait, so that tests need no daemon.

use super::Result;

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
