//! A transaction: its reads see one state, its writes are done all together at its commit or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::connection::Connection;
use super::error::{Error, Result};
use super::permission::Permission;
use super::scope::Scope;
use super::task::{Command, TransactionId};
use super::wire::Kind;

/// An open transaction; clones share it. Dropping the last without a commit aborts it. After its end, and after the
/// connection was lost, everything fails with [`Error::Stale`].
#[derive(Clone, Debug)]
pub struct Transaction {
    open: Arc<Open>,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    id: TransactionId,
    ended: AtomicBool,
}

impl Transaction {
    pub(super) fn new(connection: Connection, id: TransactionId) -> Self {
        Self { open: Arc::new(Open { connection, id, ended: AtomicBool::new(false) }) }
    }

    /// As [`Connection::read`].
    pub async fn read(&self, path: &str) -> Result<Vec<u8>> {
        self.checked()?.read(path).await
    }

    /// As [`Connection::read_string`].
    pub async fn read_string(&self, path: &str) -> Result<String> {
        self.checked()?.read_string(path).await
    }

    /// As [`Connection::write`].
    pub async fn write(&self, path: &str, value: &[u8]) -> Result<()> {
        self.checked()?.write(path, value).await
    }

    /// As [`Connection::mkdir`].
    pub async fn mkdir(&self, path: &str) -> Result<()> {
        self.checked()?.mkdir(path).await
    }

    /// As [`Connection::rm`].
    pub async fn rm(&self, path: &str) -> Result<()> {
        self.checked()?.rm(path).await
    }

    /// As [`Connection::directory`].
    pub async fn directory(&self, path: &str) -> Result<Vec<String>> {
        self.checked()?.directory(path).await
    }

    /// As [`Connection::permissions`].
    pub async fn permissions(&self, path: &str) -> Result<Vec<Permission>> {
        self.checked()?.permissions(path).await
    }

    /// As [`Connection::set_permissions`].
    pub async fn set_permissions(&self, path: &str, permissions: &[Permission]) -> Result<()> {
        self.checked()?.set_permissions(path, permissions).await
    }

    /// Does all of it, or nothing.
    ///
    /// # Errors
    /// `EAGAIN` after a conflict: begin again. Any of [`Connection`]'s; after [`Error::Disconnected`] and
    /// [`Error::Deadline`] it is not known whether it was done.
    pub async fn commit(self) -> Result<()> {
        self.checked()?;
        let Open { connection, id, ended } = &*self.open;
        let answer = connection
            .request(Kind::TransactionEnd, "a transaction", b"T\0".to_vec(), Some(*id), None)
            .await
            .map(drop);
        if matches!(answer, Ok(()) | Err(Error::Refused { .. })) {
            ended.store(true, Ordering::Relaxed);
        }
        answer
    }

    /// Does nothing of it; other clones are stale from here on.
    pub fn abort(self) {
        self.open.abandon();
    }

    pub(super) fn scope(&self) -> Scope<'_> {
        Scope { connection: &self.open.connection, transaction: Some(self.open.id) }
    }

    fn checked(&self) -> Result<Scope<'_>> {
        if self.open.ended.load(Ordering::Relaxed) { Err(Error::Stale) } else { Ok(self.scope()) }
    }
}

impl Open {
    fn abandon(&self) {
        if !self.ended.swap(true, Ordering::Relaxed) {
            self.connection.inner().send(Command::Abandon { transaction: self.id });
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.abandon();
    }
}
