//! The durable store: domains, snapshots and the journal, in SQLite, with a sidecar of each record beside what it describes.
//!
//! ```text
//!   agent (one thread) -> SqliteStore: Store --commit, synced--> xensnap.db ; <domain>/snapshotdata-<id>.json
//!   cli -> Reader: Read ---------------------------------------> xensnap.db      (agent running, hanging or down)
//!          check, rebuild, export -> reports
//! ```
//!
//! Absent, as invariants: no xenstore, no QEMU, no process, no thread, no clock; no call that returns before its commit is synced; nothing that prints; nothing that
//! makes a store where the install mark says that there is one; no file of others that is changed or removed. `README.md` has the layout on disk and what is assumed of
//! the medium.

mod check;
mod engine;
mod error;
mod export;
mod files;
mod folder;
mod journal;
mod location;
mod lock;
mod names;
mod read;
mod rebuild;
mod records;
mod report;
mod reserve;
mod schema;
mod sidecar;
mod sqlite;
mod store;
mod text;
mod tree;

pub use check::check;
pub use error::{Duplicate, Result, StoreError};
pub use export::export;
pub use location::{Installed, Location};
pub use read::{Read, Reader, SnapshotHead};
pub use rebuild::{RebuildOptions, rebuild};
pub use report::{CheckReport, ExportReport, Finding, RebuildReport, SetAside, Severity};
pub use sqlite::SqliteStore;
pub use store::{Change, Committed, Store};
