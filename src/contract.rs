//! The contract: every type that crosses a boundary, generated from `idl/schema/*.idl`.
//!
//! Requests (`DIR_IN`) are strict: an unknown field or value is an error that names the path and the nearest
//! known name. What the agent writes (`DIR_OUT`, `DIR_BOTH`) is open: unknown fields are kept in `extra`, unknown
//! values and arms in a variant `Unknown`, and all are written again. (An arm of an open union that holds nothing
//! yet holds a [`crate::wire::Extra`], for the same reason.) Read and write with [`crate::wire`].
//!
//! ```
//! use xensnap::contract::{Request, RequestOp, VmSnapshotDelete};
//! let text = r#"{"contract":1,"dry_run":false,"op.vm_snapshot_delete":{"domain":"web","snapshot":"before"}}"#;
//! let request: Request = xensnap::wire::from_xenstore(text.as_bytes())?;
//! assert!(matches!(&request.op, RequestOp::VmSnapshotDelete(VmSnapshotDelete { domain, .. }) if domain == "web"));
//! assert_eq!(xensnap::wire::to_xenstore(&request)?, text);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

include!(concat!(env!("OUT_DIR"), "/contract.rs"));
