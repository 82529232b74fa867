//! The command line, low: every verb and every flag as one declarative table. What is here parses and does nothing; [`crate::verb`] acts on it.
//!
//! Values of the contract are checked while parsing, so that a mistyped name is a usage error at once. DOMAIN alone is passed on as it was written: which
//! domain it means is decided by the agent, at the moment of the operation (for reads: by [`crate::resolve`]).

mod snapshot;
mod value;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use uuid::Uuid;
use xensnap::contract::{DomainRef, OperationId};

pub(crate) use snapshot::{Create, List, One, Revert, VmCreate, VmRevert};

use crate::text::parse_duration;

const AFTER: &str = "\
DOMAIN is a UUID, a domid or a name, tried in this order. Operations are carried out by xensnapd; reads need no agent.
Exit codes: 0 ok, 2 usage, 3 no agent, 4 timeout, 10 + n the error's kind; all of them: xensnap help exit-codes";

/// Coherent, named, durable snapshots of Xen domains and their disks.
#[derive(Debug, Parser)]
#[command(name = "xensnap", version, arg_required_else_help = true, max_term_width = 100, after_help = AFTER)]
pub(crate) struct Flags {
    /// What goes for every verb.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags of every verb. Each place can also be given by a variable: `XENSNAP_STORE`, `XENSNAP_XENSTORE`, `XENSNAP_CONFIG`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Print documents of the contract, one a line, instead of text for people
    #[arg(long, global = true)]
    pub json: bool,
    /// The store's folder [default: /var/lib/xen/snapshots]
    #[arg(long, value_name = "DIR", env = "XENSNAP_STORE", hide_env = true, global = true)]
    pub store: Option<PathBuf>,
    /// xenstored's socket [default: where xenstored puts it]
    #[arg(long, value_name = "SOCKET", env = "XENSNAP_XENSTORE", hide_env = true, global = true)]
    pub xenstore: Option<PathBuf>,
    /// The agent's configuration, for the places above [default: /etc/xensnap/xensnapd.toml]
    #[arg(long, value_name = "FILE", env = "XENSNAP_CONFIG", hide_env = true, global = true)]
    pub config: Option<PathBuf>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Take a snapshot of a domain: config, memory and disks, all of one instant
    VmSnapshotCreate(VmCreate),
    /// List the VM snapshots of a domain, or of all domains
    VmSnapshotList(List),
    /// Show one VM snapshot
    VmSnapshotShow(One),
    /// Show which snapshot descends from which
    VmSnapshotTree(Tree),
    /// Delete a VM snapshot: its disk snapshots, its memory image, its record
    VmSnapshotDelete(Delete),
    /// Let a domain go on from a VM snapshot
    #[command(visible_alias = "vm-snapshot-apply")]
    VmSnapshotRevert(VmRevert),
    /// Take a snapshot of one or more disks of a domain, all of one instant
    DiskSnapshotCreate(Create),
    /// List the disk snapshots of a domain, or of all domains
    DiskSnapshotList(List),
    /// Show one disk snapshot
    DiskSnapshotShow(One),
    /// Delete a disk snapshot (those inside a VM snapshot go with it)
    DiskSnapshotDelete(Delete),
    /// Put disks back to a disk snapshot, or to the disks of a VM snapshot
    #[command(visible_alias = "disk-snapshot-apply")]
    DiskSnapshotRevert(Revert),
    /// Operations: those going on and those that have ended
    #[command(subcommand)]
    Operation(OperationVerb),
    /// Domains that the store knows
    #[command(subcommand)]
    Domain(DomainVerb),
    /// The agent of this host
    #[command(subcommand)]
    Agent(AgentVerb),
    /// The store of this host
    #[command(subcommand)]
    Store(StoreVerb),
    /// Print the table of exit codes
    #[command(hide = true, after_help = exit_codes())]
    ExitCodes,
}

fn exit_codes() -> String {
    crate::exit::text()
}

/// How an operation is asked for and waited for.
#[derive(Args, Clone, Debug)]
pub(crate) struct Ask {
    /// Print the operation's id and do not wait for its end
    #[arg(long, conflicts_with_all = ["timeout", "dry_run"])]
    pub no_wait: bool,
    /// Wait no longer than this (100ms, 30s, 5m); the operation goes on
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// Show how it would be done, with pause, space and warnings; change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// How an operation that cannot be planned beforehand is waited for.
#[derive(Args, Clone, Debug)]
pub(crate) struct Wait {
    /// Wait no longer than this (100ms, 30s, 5m); the operation goes on
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
}

/// `vm-snapshot-tree`.
#[derive(Args, Debug)]
pub(crate) struct Tree {
    /// The domain
    #[arg(value_parser = value::domain_ref)]
    pub domain: DomainRef,
}

/// `-delete`.
#[derive(Args, Debug)]
pub(crate) struct Delete {
    /// The snapshot
    #[command(flatten)]
    pub one: One,
    /// How to ask
    #[command(flatten)]
    pub ask: Ask,
}

/// `operation ...`.
#[derive(Debug, Subcommand)]
pub(crate) enum OperationVerb {
    /// List operations, the newest first
    List(OperationList),
    /// Show one operation
    Show(OperationOne),
    /// Follow an operation to its end; ends with the operation's own exit code
    Watch(OperationWatch),
    /// Cancel an operation and wait until it has taken back what it did
    Cancel(OperationCancel),
}

/// `operation list`.
#[derive(Args, Debug)]
pub(crate) struct OperationList {
    /// At most so many of those that have ended
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub ended: u32,
}

/// An operation.
#[derive(Args, Debug)]
pub(crate) struct OperationOne {
    /// The operation's id
    #[arg(value_parser = value::operation_id)]
    pub id: OperationId,
}

/// `operation watch`.
#[derive(Args, Debug)]
pub(crate) struct OperationWatch {
    /// The operation
    #[command(flatten)]
    pub one: OperationOne,
    /// How long to wait
    #[command(flatten)]
    pub wait: Wait,
}

/// `operation cancel`.
#[derive(Args, Debug)]
pub(crate) struct OperationCancel {
    /// The operation
    #[command(flatten)]
    pub one: OperationOne,
    /// Do not wait for its end
    #[arg(long, conflicts_with = "timeout")]
    pub no_wait: bool,
    /// How long to wait
    #[command(flatten)]
    pub wait: Wait,
}

/// `domain ...`.
#[derive(Debug, Subcommand)]
pub(crate) enum DomainVerb {
    /// List the domains that the store knows, running or not
    List,
    /// Say that a running domain with a new UUID is the one known by an old UUID
    Adopt(DomainAdopt),
    /// Forget a domain that has no snapshots and does not run
    Forget(DomainForget),
}

/// `domain adopt`.
#[derive(Args, Debug)]
pub(crate) struct DomainAdopt {
    /// The UUID under which the store knows the domain and its snapshots
    #[arg(value_parser = value::uuid)]
    pub old: Uuid,
    /// The UUID that the domain has now
    #[arg(value_parser = value::uuid)]
    pub new: Uuid,
    /// How to ask
    #[command(flatten)]
    pub ask: Ask,
}

/// `domain forget`.
#[derive(Args, Debug)]
pub(crate) struct DomainForget {
    /// The domain
    #[arg(value_parser = value::domain_ref)]
    pub domain: DomainRef,
    /// How to ask
    #[command(flatten)]
    pub ask: Ask,
}

/// `agent ...`.
#[derive(Debug, Subcommand)]
pub(crate) enum AgentVerb {
    /// Show whether xensnapd runs, since when, and what troubles it
    Status,
}

/// `store ...`.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreVerb {
    /// Read everything in the store and compare it with the files beside it; changes nothing
    Check,
    /// Make the database anew from the files beside it; the agent must be stopped
    Rebuild(StoreRebuild),
    /// Write every domain and every snapshot as documents of the contract, one a line
    Export(StoreExport),
}

/// `store rebuild`.
#[derive(Args, Debug)]
pub(crate) struct StoreRebuild {
    /// Make an empty store where nothing at all is left (otherwise that is taken for an unmounted volume)
    #[arg(long)]
    pub empty: bool,
    /// Take memory images in this folder too, besides those in the store's own (can be repeated)
    #[arg(long, value_name = "DIR")]
    pub memory_dir: Vec<PathBuf>,
}

/// `store export`.
#[derive(Args, Debug)]
pub(crate) struct StoreExport {
    /// Into this file (made anew, 0600) instead of to the output
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_table_is_sound() {
        Flags::command().debug_assert();
    }

    #[test]
    fn every_verb_and_every_flag_says_what_it_does() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {} has no help",
                    command.get_name(),
                    argument.get_id()
                );
            }
            command.get_subcommands().for_each(check);
        }
        check(&Flags::command());
    }
}
