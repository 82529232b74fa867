//! A connection to xenstore over the daemon's unix socket, fit for a program that runs for months.
//!
//! ```text
//! Connection (cheap clones) --+                     +--> C xenstored or oxenstored
//! Transaction ----------------+--commands--> task --+
//! Watch <---- feed (merged changes) --------- task <--- replies, watch events
//! ```
//! One task owns the socket, the requests on their way and the watches; the handles own nothing but a way to it.
//!
//! - The task always reads. A client that does not drain its socket stalls other clients, on oxenstored for good; so what a
//!   slow reader of a [`Watch`] has not taken yet is merged here, and never held back in the socket.
//! - Requests are pipelined, each with a deadline.
//! - When the daemon goes away, requests on their way fail at once ([`Error::Disconnected`]), open transactions are stale
//!   ([`Error::Stale`]), new requests wait for the daemon until their deadline, and every watch is set again on the new
//!   connection and yields [`WatchEvent::Resync`]. A daemon that was killed has lost everything it knew.
//! - Nothing wakes up while nothing happens: there is no timer beside the deadlines of requests under way, and the delay
//!   between attempts to connect while the daemon is away.
//!
//! Absent on purpose: a retry of a request that was on its way when the connection was lost (whether it was carried out is
//! unknown), and a cache (the daemon is the truth).
//!
//! Sources: `docs/misc/xenstore.txt` and `xen/include/public/io/xs_wire.h` of Xen; behaviour measured on Debian 12's daemons.

#[cfg(feature = "xenstore-rs")]
pub mod adapter;
mod connection;
mod error;
mod path;
mod permission;
mod scope;
mod task;
mod transaction;
mod watch;
mod wire;

pub use connection::{Connection, Options, default_socket};
pub use error::{Errno, Error, PathFault, Result};
pub use path::{PATH_MAX, check_path};
pub use permission::{Access, Permission};
pub use transaction::Transaction;
pub use watch::{CHANGES_MAX, Watch, WatchEvent};
pub use wire::PAYLOAD_MAX;
