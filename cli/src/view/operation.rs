//! Operations: what one does, how it stands, how it ended.

use xensnap::contract::{OpKind, Operation, SnapshotName};

use super::{Fields, left, nanoseconds, right};
use crate::text::{Column, duration, plain, size, time};

/// Columns of `operation list`.
pub(crate) const OPERATION_COLUMNS: &[Column] = &[
    left("ID"),
    left("STATE"),
    left("WHAT"),
    left("DOMAIN"),
    left("SNAPSHOT"),
    right("STEP"),
    left("BEGUN"),
    right("TOOK"),
    left("ERROR"),
];

/// The cells of [`OPERATION_COLUMNS`].
pub(crate) fn operation_row(op: &Operation, domain: Option<&str>) -> Vec<String> {
    let uuid = || op.domain.map(|uuid| uuid.to_string()).unwrap_or_default();
    let step = if op.steps == 0 { String::new() } else { format!("{}/{}", op.step, op.steps) };
    vec![
        op.id.to_string(),
        plain(op.state.as_str()).into_owned(),
        what(op),
        domain.map_or_else(uuid, |name| plain(name).into_owned()),
        op.snapshot_name.as_ref().map(ToString::to_string).unwrap_or_default(),
        step,
        time(&op.created_at.to_string()),
        op.ended_at.map(|end| duration(nanoseconds(end.since(op.created_at)))).unwrap_or_default(),
        op.error.as_ref().map(|error| plain(error.kind.as_str()).into_owned()).unwrap_or_default(),
    ]
}

/// What an operation does, in the words of the command line.
pub(crate) fn what(op: &Operation) -> String {
    let verb = op.op.as_ref().map_or("?", OpKind::as_str).replace('_', "-");
    let verb = plain(&verb).into_owned();
    if op.dry_run { format!("{verb} (dry run)") } else { verb }
}

/// One operation in full.
pub(crate) fn operation(op: &Operation, domain: Option<&str>) -> String {
    let mut fields = Fields::default();
    fields.add("Id", op.id.as_str());
    fields.add("What", what(op));
    fields.add_if(
        "Domain",
        op.domain.map(|uuid| domain.map_or_else(|| uuid.to_string(), |name| format!("{name} ({uuid})"))),
    );
    fields.add("State", op.state.as_str());
    if op.steps > 0 {
        let doing = op.doing.as_ref().map(|step| format!(": {step}")).unwrap_or_default();
        fields.add("Step", format!("{} of {}{doing}", op.step, op.steps));
    }
    if let (Some(done), Some(total)) = (op.progress, op.total) {
        fields.add("Progress", format!("{} of {}", size(done), size(total)));
    }
    fields.add("Begun", time(&op.created_at.to_string()));
    if let Some(end) = op.ended_at {
        fields.add(
            "Ended",
            format!("{} after {}", time(&end.to_string()), duration(nanoseconds(end.since(op.created_at)))),
        );
    }
    fields.add_if("Guest paused", op.pause.map(|pause| duration(nanoseconds(pause))));
    fields.add_if(
        "Snapshot",
        op.snapshot.as_ref().map(|id| match &op.snapshot_name {
            Some(name) => format!("{name} ({id})"),
            None => id.to_string(),
        }),
    );
    fields.add_if("Domid now", op.domid.map(|domid| domid.to_string()));
    if let Some(error) = &op.error {
        fields.add("Error", format!("{}: {}", error.kind, error.message.as_str()));
        fields.add_if("Hint", error.hint.as_ref().map(|hint| hint.as_str()));
    }
    fields.add_if("Result", op.result.as_ref().map(|file| file.path.as_str()));
    fields.text()
}

/// The one line that says what a done operation did.
pub(crate) fn ended(op: &Operation, domain: &str) -> String {
    let name = op.snapshot_name.as_ref().map(SnapshotName::as_str);
    let name = name.or_else(|| op.snapshot.as_ref().map(|id| id.as_str())).unwrap_or("?");
    let pause =
        op.pause.map(|pause| format!(", guest paused {}", duration(nanoseconds(pause)))).unwrap_or_default();
    let domid = op.domid.map(|domid| format!(", domid {domid}")).unwrap_or_default();
    let line = match &op.op {
        Some(OpKind::VmSnapshotCreate) => format!("VM snapshot {name} of {domain} taken{pause}"),
        Some(OpKind::DiskSnapshotCreate) => format!("disk snapshot {name} of {domain} taken{pause}"),
        Some(OpKind::VmSnapshotDelete) => format!("VM snapshot {name} of {domain} deleted"),
        Some(OpKind::DiskSnapshotDelete) => format!("disk snapshot {name} of {domain} deleted"),
        Some(OpKind::VmSnapshotRevert) => format!("{domain} reverted to VM snapshot {name}{domid}"),
        Some(OpKind::DiskSnapshotRevert) => format!("disks of {domain} reverted to snapshot {name}{domid}"),
        Some(OpKind::DomainAdopt) => format!("domain {domain} adopted"),
        Some(OpKind::DomainForget) => format!("domain {domain} forgotten"),
        _ => format!("{} {}", what(op), op.state),
    };
    plain(&line).into_owned()
}
