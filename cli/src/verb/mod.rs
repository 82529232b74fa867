//! What the verbs do: one file each. The reads print what the store or xenstore holds; the others make a request, pure, and hand it to [`crate::wait`].

mod agent_status;
mod disk_snapshot_create;
mod disk_snapshot_delete;
mod disk_snapshot_list;
mod disk_snapshot_revert;
mod disk_snapshot_show;
mod domain_adopt;
mod domain_forget;
mod domain_list;
mod operation_cancel;
mod operation_list;
mod operation_show;
mod operation_watch;
mod snapshots;
mod store_check;
mod store_export;
mod store_rebuild;
mod vm_snapshot_create;
mod vm_snapshot_delete;
mod vm_snapshot_list;
mod vm_snapshot_revert;
mod vm_snapshot_show;
mod vm_snapshot_tree;

use crate::error::Result;
use crate::exit;
use crate::flags::{AgentVerb, DomainVerb, OperationVerb, StoreVerb, Verb};
use crate::session::Session;

/// Runs a verb.
pub(crate) fn run(session: &mut Session, verb: &Verb) -> Result<()> {
    match verb {
        Verb::VmSnapshotCreate(flags) => vm_snapshot_create::run(session, flags),
        Verb::VmSnapshotList(flags) => vm_snapshot_list::run(session, flags),
        Verb::VmSnapshotShow(flags) => vm_snapshot_show::run(session, flags),
        Verb::VmSnapshotTree(flags) => vm_snapshot_tree::run(session, flags),
        Verb::VmSnapshotDelete(flags) => vm_snapshot_delete::run(session, flags),
        Verb::VmSnapshotRevert(flags) => vm_snapshot_revert::run(session, flags),
        Verb::DiskSnapshotCreate(flags) => disk_snapshot_create::run(session, flags),
        Verb::DiskSnapshotList(flags) => disk_snapshot_list::run(session, flags),
        Verb::DiskSnapshotShow(flags) => disk_snapshot_show::run(session, flags),
        Verb::DiskSnapshotDelete(flags) => disk_snapshot_delete::run(session, flags),
        Verb::DiskSnapshotRevert(flags) => disk_snapshot_revert::run(session, flags),
        Verb::Operation(OperationVerb::List(flags)) => operation_list::run(session, flags),
        Verb::Operation(OperationVerb::Show(flags)) => operation_show::run(session, flags),
        Verb::Operation(OperationVerb::Watch(flags)) => operation_watch::run(session, flags),
        Verb::Operation(OperationVerb::Cancel(flags)) => operation_cancel::run(session, flags),
        Verb::Domain(DomainVerb::List) => domain_list::run(session),
        Verb::Domain(DomainVerb::Adopt(flags)) => domain_adopt::run(session, flags),
        Verb::Domain(DomainVerb::Forget(flags)) => domain_forget::run(session, flags),
        Verb::Agent(AgentVerb::Status) => agent_status::run(session),
        Verb::Store(StoreVerb::Check) => store_check::run(session),
        Verb::Store(StoreVerb::Rebuild(flags)) => store_rebuild::run(session, flags),
        Verb::Store(StoreVerb::Export(flags)) => store_export::run(session, flags),
        Verb::ExitCodes => session.out.text(&exit::text()),
    }
}
