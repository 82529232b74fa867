//! The host's libxl, used by a small process of its own: `xensnap-libxl`. The agent itself never loads it.
//!
//! A process of its own, because libxl forks and reaps children, ends a process on some errors, and takes a minute for a guest that does not answer; and because what
//! it does must outlive the agent. It has one thread, installs no signal handlers and starts nothing itself: SIGCHLD and all children are libxl's.
//!
//! ```text
//!   agent: host/xen  --socket, exit codes, JSON-->  main: serve | one-shots       create | watch
//!                            (protocol)                 |                             |
//!                                                     verbs  (check, do, look)      watch --- decide (table)
//!                                                       |                             |  \___ lock, xl_monitor (one monitor a domain)
//!                                                       +------- Toolstack -----------+
//!                                                                   |
//!                                    context, ffi: the loaded libxenlight.so (library: which file)
//! ```

pub mod context;
pub mod decide;
mod ffi;
pub mod library;
pub mod lock;
pub mod protocol;
pub mod savefile;
pub mod serve;
pub mod status;
pub mod toolstack;
pub mod verbs;
pub mod watch;
pub mod words;
pub mod xl_monitor;

#[cfg(test)]
mod fake;
