//! [`Connection`] behind the traits of the crate `xenstore-rs`, so that code written for them runs over it.
//!
//! That crate is GPL-3.0-only, and so is a program that switches this feature on. Its traits know neither transactions nor
//! permissions; values are UTF-8. Its transaction traits are left out: they are synchronous within an asynchronous one, and
//! nothing implements them.
//!
//! Errors carry the [`Error`] inside ([`std::io::Error::get_ref`]).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use xenstore_rs::{AsyncWatch, AsyncXs};

use super::connection::Connection;
use super::error::{Errno, Error};
use super::watch::{Watch, WatchEvent};

impl AsyncXs for Connection {
    async fn directory(&self, path: &str) -> io::Result<Vec<Box<str>>> {
        let names = Self::directory(self, path).await?;
        Ok(names.into_iter().map(String::into_boxed_str).collect())
    }

    async fn read(&self, path: &str) -> io::Result<Box<str>> {
        Ok(self.read_string(path).await?.into_boxed_str())
    }

    async fn write(&self, path: &str, data: &str) -> io::Result<()> {
        Ok(Self::write(self, path, data.as_bytes()).await?)
    }

    async fn rm(&self, path: &str) -> io::Result<()> {
        Ok(Self::rm(self, path).await?)
    }
}

impl AsyncWatch for Connection {
    async fn watch(&self, path: &str) -> io::Result<impl Stream<Item = Box<str>> + Unpin + 'static> {
        Ok(Paths(Self::watch(self, path).await?))
    }
}

/// A watch as a stream of paths. [`WatchEvent::Resync`] becomes the watched path itself, as a watch's initial event is.
struct Paths(Watch);

impl Stream for Paths {
    type Item = Box<str>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Box<str>>> {
        let event = ready!(self.0.poll_next(cx));
        Poll::Ready(event.map(|event| match event {
            WatchEvent::Changed(path) => path.into_boxed_str(),
            WatchEvent::Resync => self.0.path().into(),
        }))
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Refused { errno, .. } => errno_kind(errno),
            Error::BadPath { .. } | Error::TooLarge { .. } | Error::NoOwner { .. } => {
                io::ErrorKind::InvalidInput
            }
            Error::NotText { .. } | Error::Protocol(_) => io::ErrorKind::InvalidData,
            Error::Connect { source, .. } => source.kind(),
            Error::Disconnected | Error::Stale => io::ErrorKind::ConnectionReset,
            Error::Deadline { .. } => io::ErrorKind::TimedOut,
            Error::Closed => io::ErrorKind::NotConnected,
        };
        Self::new(kind, error)
    }
}

fn errno_kind(errno: &Errno) -> io::ErrorKind {
    match errno {
        Errno::Again => io::ErrorKind::WouldBlock,
        Errno::NoEntry => io::ErrorKind::NotFound,
        Errno::Access | Errno::NotPermitted => io::ErrorKind::PermissionDenied,
        Errno::TooBig => io::ErrorKind::ArgumentListTooLong,
        Errno::Quota => io::ErrorKind::QuotaExceeded,
        Errno::NoSpace => io::ErrorKind::StorageFull,
        Errno::Invalid => io::ErrorKind::InvalidInput,
        Errno::Exists => io::ErrorKind::AlreadyExists,
        Errno::Busy => io::ErrorKind::ResourceBusy,
        Errno::NotSupported => io::ErrorKind::Unsupported,
        Errno::NoMemory => io::ErrorKind::OutOfMemory,
        Errno::ReadOnly => io::ErrorKind::ReadOnlyFilesystem,
        Errno::Io | Errno::Connected | Errno::Other(_) => io::ErrorKind::Other,
    }
}
