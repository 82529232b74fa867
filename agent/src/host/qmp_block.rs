//! A running QEMU's disks over QMP: which node holds which image, and snapshots inside those images.
//!
//! Node names are QEMU's own affair: they are found by the image's file name each time and never stored.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::image::ImageHead;
use super::qmp::{Qmp, QmpError};

/// An image that a running QEMU has as a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// QEMU's name of the topmost node, good for this run only.
    pub name: String,
    /// The image file.
    pub path: PathBuf,
    /// Whether QEMU writes to it. False also while its images are handed over (after a migration, until it goes on).
    pub active: bool,
    /// Whether it is read-only.
    pub read_only: bool,
    /// What its head says.
    pub head: ImageHead,
}

/// Lists the disks.
///
/// # Errors
/// See [`QmpError`].
pub async fn nodes(qmp: &mut Qmp, deadline: Instant) -> Result<Vec<Node>, QmpError> {
    let devices = qmp.execute("query-block", json!({}), deadline).await?;
    Ok(devices.as_array().into_iter().flatten().filter_map(|d| node(d.get("inserted")?)).collect())
}

fn node(inserted: &Value) -> Option<Node> {
    let text = |key| inserted.get(key).and_then(Value::as_str);
    Some(Node {
        name: text("node-name")?.to_owned(),
        path: file_name(text("file")?)?,
        active: inserted.get("active").and_then(Value::as_bool).unwrap_or(true),
        read_only: inserted.get("ro").and_then(Value::as_bool).unwrap_or(false),
        head: ImageHead::read(inserted.get("image")?),
    })
}

/// The file in QEMU's name of an image: a plain path, or `json:{..}` where options differ from the defaults.
fn file_name(name: &str) -> Option<PathBuf> {
    let Some(options) = name.strip_prefix("json:") else { return Some(name.into()) };
    let mut options: &Value = &serde_json::from_str(options).ok()?;
    while let Some(inner) = options.get("file") {
        options = inner;
    }
    options.get("filename")?.as_str().map(PathBuf::from)
}

/// Finds the one disk of an image. An HVM guest's QEMU has each image twice until its drivers unplug IDE: then it is not clear which node to ask.
///
/// # Errors
/// In words, when there is none or more than one.
pub fn find<'a>(nodes: &'a [Node], path: &Path) -> Result<&'a Node, String> {
    let mut found = nodes.iter().filter(|n| n.path == path);
    match (found.next(), found.next()) {
        (Some(node), None) => Ok(node),
        (Some(_), Some(_)) => Err(format!("QEMU has {} open as two disks", path.display())),
        (None, _) => Err(format!("QEMU has no disk with the image {}", path.display())),
    }
}

/// Carries out actions on several disks, all or none.
///
/// # Errors
/// See [`QmpError`].
pub async fn transaction(qmp: &mut Qmp, actions: Vec<Value>, deadline: Instant) -> Result<(), QmpError> {
    qmp.execute("transaction", json!({"actions": actions}), deadline).await.map(drop)
}

/// The action that takes a snapshot inside an image.
pub fn internal_create(node: &str, tag: &str) -> Value {
    json!({"type": "blockdev-snapshot-internal-sync", "data": {"device": node, "name": tag}})
}

/// Deletes a snapshot inside an image.
///
/// # Errors
/// See [`QmpError`].
pub async fn internal_delete(
    qmp: &mut Qmp,
    node: &str,
    tag: &str,
    deadline: Instant,
) -> Result<(), QmpError> {
    qmp.execute("blockdev-snapshot-delete-internal-sync", json!({"device": node, "name": tag}), deadline)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_disk_by_its_image_only() {
        let inserted = |name: &str, file: &str| json!({"inserted": {"node-name": name, "file": file, "ro": false, "image": {"format": "qcow2"}}});
        let plain = node(&inserted("vda-qcow2", "/i/a.qcow2")["inserted"]).unwrap();
        let options =
            r#"json:{"driver":"qcow2","file":{"driver":"file","filename":"/i/b.qcow2"},"backing":null}"#;
        let with_options = node(&inserted("#block123", options)["inserted"]).unwrap();
        let twice = [plain.clone(), with_options.clone(), with_options.clone()];
        assert_eq!(find(&twice, Path::new("/i/a.qcow2")), Ok(&plain));
        assert_eq!(find(&twice[..2], Path::new("/i/b.qcow2")), Ok(&with_options));
        assert_eq!(
            find(&twice, Path::new("/i/b.qcow2")),
            Err("QEMU has /i/b.qcow2 open as two disks".into())
        );
        assert_eq!(
            find(&twice, Path::new("/i/c.qcow2")),
            Err("QEMU has no disk with the image /i/c.qcow2".into())
        );
        assert!(node(&json!({"locked": false})).is_none(), "an empty drive is no disk");
    }
}
