//! Snapshots: rows of a list, one in full, the tree.

use xensnap::contract::{Domain, Snapshot, SnapshotKind, SnapshotPart};
use xensnap_store::SnapshotHead;

use super::{Fields, left, nanoseconds, right, short_table};
use crate::text::{Column, Tree, TreeNode, duration, plain, size, time};

/// Columns of a list of one domain's snapshots. The first has no heading: `*` marks the current one.
pub(crate) const LIST_COLUMNS: &[Column] = &[
    left(""),
    left("NAME"),
    left("TAKEN"),
    left("CONSISTENCY"),
    right("MEMORY"),
    right("DISKS"),
    right("SIZE"),
    left("STATE"),
    left("ID"),
];

/// The same for all domains.
pub(crate) const LIST_ALL_COLUMNS: &[Column] = &[
    left(""),
    left("DOMAIN"),
    left("NAME"),
    left("TAKEN"),
    left("CONSISTENCY"),
    right("MEMORY"),
    right("DISKS"),
    right("SIZE"),
    left("STATE"),
    left("ID"),
];

/// The cells of [`LIST_COLUMNS`]; with the domain's name those of [`LIST_ALL_COLUMNS`].
pub(crate) fn head_cells(head: &SnapshotHead, domain: Option<&str>, current: bool) -> Vec<String> {
    let mut cells = vec![if current { "*" } else { "" }.to_owned()];
    cells.extend(domain.map(|name| plain(name).into_owned()));
    let memory = if head.memory_bytes == 0 { String::new() } else { size(head.memory_bytes) };
    cells.extend([
        head.name.to_string(),
        time(&head.taken_at.to_string()),
        plain(head.consistency.as_str()).into_owned(),
        memory,
        head.disks.to_string(),
        size(head.disk_bytes),
        if head.deleting { "deleting" } else { "ok" }.to_owned(),
        head.id.to_string(),
    ]);
    cells
}

/// Whether the JSON of a record is of a kind, without decoding it: of 100 000 records most of the time would go there.
///
/// A quote inside a JSON string is escaped, so `,"kind.` can only begin a key; and no type that a record holds before its own kind has such a key.
pub(crate) fn is_kind(json: &str, kind: &SnapshotKind) -> bool {
    const KEY: &str = "\"kind.";
    json.match_indices(KEY)
        .find(|(at, _)| json.get(..*at).is_some_and(|before| before.ends_with([',', '{'])))
        .and_then(|(at, _)| json.get(at + KEY.len()..)?.strip_prefix(kind.as_str()))
        .is_some_and(|rest| rest.starts_with("\":"))
}

/// One snapshot in full.
pub(crate) fn snapshot(snapshot: &Snapshot, parent: Option<&Snapshot>, domain: Option<&Domain>) -> String {
    let mut fields = Fields::default();
    fields.add("Name", snapshot.name.as_str());
    fields.add("Id", snapshot.id.as_str());
    fields.add("Kind", snapshot.part.kind().as_str());
    fields.add("Domain", format!("{} ({})", snapshot.domain_name.as_str(), snapshot.domain));
    fields.add_if("Description", snapshot.description.as_ref().map(|text| text.as_str()));
    fields.add("Taken", time(&snapshot.taken_at.to_string()));
    fields.add("Consistency", snapshot.consistency.as_str());
    fields.add("Guest paused", duration(nanoseconds(snapshot.pause)));
    if let SnapshotPart::Vm(vm) = &snapshot.part {
        fields.add("Memory", memory(vm.memory.as_ref()));
    }
    fields.add_if(
        "Parent",
        snapshot.parent.as_ref().map(|id| match parent {
            Some(parent) => format!("{} ({id})", parent.name),
            None => id.to_string(),
        }),
    );
    if domain.and_then(|domain| domain.current.as_ref()) == Some(&snapshot.id) {
        let diverged = domain.is_some_and(|domain| domain.diverged);
        fields
            .add("Current", if diverged { "yes, diverged: disks were put back alone since" } else { "yes" });
    }
    if snapshot.deleting {
        fields.add("State", "being deleted");
    }
    fields.add("Driver", snapshot.driver.as_str());
    fields.add("Taken by", format!("xensnapd {}", snapshot.agent.as_str()));
    format!("{}\n{}", fields.text(), disks(snapshot))
}

fn memory(image: Option<&xensnap::contract::MemoryImage>) -> String {
    image.map_or_else(
        || "none".to_owned(),
        |image| {
            format!(
                "{} of {} RAM in {} (written by {})",
                size(image.size),
                size(image.ram),
                image.path.as_str(),
                image.writer.as_str()
            )
        },
    )
}

fn disks(snapshot: &Snapshot) -> String {
    const COLUMNS: &[Column] =
        &[left("DISK"), right("SIZE"), left("FORMAT"), left("PROVIDER"), left("TAG"), left("IMAGE")];
    let rows = snapshot.disks.iter().map(|disk| {
        vec![
            disk.vdev.to_string(),
            size(disk.virtual_size),
            plain(disk.format.as_str()).into_owned(),
            plain(disk.provider.as_str()).into_owned(),
            disk.tag.to_string(),
            plain(disk.path.as_str()).into_owned(),
        ]
    });
    short_table(COLUMNS, rows.collect())
}

/// The snapshots of a domain as a tree, those taken first above.
pub(crate) fn tree(domain: &Domain, heads: &[SnapshotHead]) -> Tree {
    let node = |head: &SnapshotHead| TreeNode {
        id: head.id.to_string(),
        parent: head.parent.as_ref().map(ToString::to_string),
        label: label(domain, head),
    };
    Tree::new(heads.iter().map(node).collect())
}

fn label(domain: &Domain, head: &SnapshotHead) -> String {
    let here = domain.current.as_ref() == Some(&head.id);
    let mut label = format!(
        "{} {}  {}  {}",
        if here { "*" } else { "o" },
        head.name,
        time(&head.taken_at.to_string()),
        head.consistency
    );
    if head.kind == SnapshotKind::Disk {
        label.push_str("  disks only, taken alone");
    }
    if head.deleting {
        label.push_str("  being deleted");
    }
    if here {
        label.push_str(if domain.diverged { "  <- current, diverged" } else { "  <- current" });
    }
    plain(&label).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_found_without_decoding() {
        let vm = r#"{"contract":1,"description":"a \"kind.disk\": b","disks":[],"kind.vm":{"config":{"kind.disk":{}}}}"#;
        assert!(is_kind(vm, &SnapshotKind::Vm));
        assert!(!is_kind(vm, &SnapshotKind::Disk));
        assert!(is_kind(r#"{"kind.disk":{}}"#, &SnapshotKind::Disk));
        assert!(!is_kind(r#"{"kind.vmx":{}}"#, &SnapshotKind::Vm));
    }
}
