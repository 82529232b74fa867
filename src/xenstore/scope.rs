//! The requests on nodes, within a transaction or outside: the one place that knows their payloads.

use super::connection::Connection;
use super::error::{Errno, Error, Result};
use super::path::{check_path, check_removed};
use super::permission::Permission;
use super::task::TransactionId;
use super::wire::{self, Kind};

/// How often a large listing is begun again because the node changed in the middle, before a transaction is taken for it.
const LISTING_RESTARTS: u32 = 4;

#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) connection: &'a Connection,
    pub(super) transaction: Option<TransactionId>,
}

impl Scope<'_> {
    pub(super) async fn read(self, path: &str) -> Result<Vec<u8>> {
        check_path(path)?;
        self.request(Kind::Read, path, wire::terminated(&[path])).await
    }

    pub(super) async fn read_string(self, path: &str) -> Result<String> {
        let value = self.read(path).await?;
        String::from_utf8(value).map_err(|_| Error::NotText { path: path.to_owned() })
    }

    pub(super) async fn write(self, path: &str, value: &[u8]) -> Result<()> {
        check_path(path)?;
        let mut payload = wire::terminated(&[path]);
        payload.extend_from_slice(value);
        self.request(Kind::Write, path, payload).await.map(drop)
    }

    pub(super) async fn mkdir(self, path: &str) -> Result<()> {
        check_path(path)?;
        self.request(Kind::Mkdir, path, wire::terminated(&[path])).await.map(drop)
    }

    pub(super) async fn rm(self, path: &str) -> Result<()> {
        check_removed(path)?;
        self.request(Kind::Rm, path, wire::terminated(&[path])).await.map(drop)
    }

    pub(super) async fn permissions(self, path: &str) -> Result<Vec<Permission>> {
        check_path(path)?;
        let reply = self.request(Kind::GetPermissions, path, wire::terminated(&[path])).await?;
        let parse =
            |text: &str| Permission::parse(text).ok_or(Error::Protocol("permissions of no known form"));
        wire::strings(&reply)?.into_iter().map(parse).collect()
    }

    pub(super) async fn set_permissions(self, path: &str, permissions: &[Permission]) -> Result<()> {
        check_path(path)?;
        if permissions.is_empty() {
            return Err(Error::NoOwner { path: path.to_owned() });
        }
        let mut payload = wire::terminated(&[path]);
        for permission in permissions {
            payload.extend(wire::terminated(&[&permission.to_string()]));
        }
        self.request(Kind::SetPermissions, path, payload).await.map(drop)
    }

    /// C xenstored answers `E2BIG` for a listing over 4 096 bytes and gives it in parts; oxenstored gives it whole.
    pub(super) async fn directory(self, path: &str) -> Result<Vec<String>> {
        check_path(path)?;
        match self.request(Kind::Directory, path, wire::terminated(&[path])).await {
            Ok(reply) => names(&reply),
            Err(error) if error.errno() == Some(&Errno::TooBig) => self.directory_in_parts(path, error).await,
            Err(error) => Err(error),
        }
    }

    async fn directory_in_parts(self, path: &str, too_big: Error) -> Result<Vec<String>> {
        for _ in 0..LISTING_RESTARTS {
            match self.directory_parts(path).await {
                Ok(Some(listing)) => return names(&listing),
                Ok(None) => {} // changed in the middle
                Err(error) if error.errno() == Some(&Errno::NotSupported) => return Err(too_big),
                Err(error) => return Err(error),
            }
        }
        if self.transaction.is_some() {
            return Err(Error::Protocol("a listing that changes within a transaction"));
        }
        // It changes all the time. A transaction sees it stand still; nothing is committed, so there is no conflict.
        let transaction = self.connection.begin().await?;
        let listing = Box::pin(transaction.scope().directory_in_parts(path, too_big)).await;
        transaction.abort();
        listing
    }

    /// `None` when the node changed between two parts.
    async fn directory_parts(self, path: &str) -> Result<Option<Vec<u8>>> {
        let mut listing = Vec::new();
        let mut first_generation = None;
        loop {
            let offset = listing.len().to_string();
            let payload = wire::terminated(&[path, &offset]);
            let part = self.request(Kind::DirectoryPart, path, payload).await?;
            let end = part.iter().position(|byte| *byte == 0);
            let Some((generation, names)) = end.and_then(|end| part.split_at_checked(end + 1)) else {
                return Err(Error::Protocol("a part of a listing without its generation"));
            };
            if first_generation.get_or_insert_with(|| generation.to_vec()) != generation {
                return Ok(None);
            }
            // The last part ends with an empty name.
            if names.is_empty() || names == b"\0" {
                return Ok(Some(listing));
            }
            if let Some(names) = names.strip_suffix(b"\0").filter(|names| names.ends_with(b"\0")) {
                listing.extend_from_slice(names);
                return Ok(Some(listing));
            }
            listing.extend_from_slice(names);
        }
    }

    async fn request(self, kind: Kind, path: &str, payload: Vec<u8>) -> Result<Vec<u8>> {
        let reply = self.connection.request(kind, path, payload, self.transaction, None).await?;
        Ok(reply.payload)
    }
}

fn names(listing: &[u8]) -> Result<Vec<String>> {
    // A node without children is answered with one empty name by some daemons.
    Ok(wire::strings(listing)?.into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect())
}
