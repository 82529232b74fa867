//! What is to be made of an image: its facts, the node that holds it, whether it is the recorded file, and whether its QEMU may write to it.

use xensnap::contract::{DiskTag, ErrorKind};

use super::image::ImageHead;
use super::process::{self, FileId};
use super::qmp_block::{self, Node};
use super::{HostError, ImageFacts, Result};

pub(super) fn image_facts(head: ImageHead, file: FileId, free: u64, same_as_open: bool) -> ImageFacts {
    ImageFacts {
        file: format!("{}:{}", file.0, file.1),
        virtual_size: head.virtual_size,
        allocated: head.allocated,
        cluster_size: head.cluster_size,
        tags: head.tags,
        backing: head.backing,
        external_data: head.external_data,
        free,
        same_as_open,
    }
}

pub(super) fn node_of<'a>(nodes: &'a [Node], disk: &DiskTag) -> Result<&'a Node> {
    qmp_block::find(nodes, disk.path.as_path())
        .map_err(|why| HostError::new(ErrorKind::Changed, format!("disk {}: {why}", disk.vdev)))
}

/// Checks that QEMU may write to the image: asked to delete a snapshot from one that it has handed over, QEMU 10.0.2 aborts (assertion in
/// `bdrv_co_write_req_prepare`), and the guest with it.
pub(super) fn in_hand(node: &Node, disk: &DiskTag, handed_over: bool) -> Result<()> {
    if node.active && !handed_over {
        return Ok(());
    }
    let message = format!("disk {}: the domain's QEMU has handed over its image to a migration", disk.vdev);
    Err(HostError::new(ErrorKind::DomainState, message)
        .hint("let the guest go on first (cont), or end the domain"))
}

pub(super) fn has(head: &ImageHead, disk: &DiskTag) -> bool {
    head.tags.iter().any(|t| t == disk.tag.as_str())
}

pub(super) fn about_disk(mut e: HostError, disk: &DiskTag) -> HostError {
    e.message = format!("disk {}: {}", disk.vdev, e.message);
    e
}

/// Checks that the image is the file that was recorded.
pub(super) fn same_file(disk: &DiskTag) -> Result<()> {
    let path = disk.path.as_path();
    let changed = |why: String| {
        HostError::new(ErrorKind::Changed, format!("disk {}: {}{why}", disk.vdev, path.display()))
    };
    let file = process::file_id(path).map_err(|e| changed(format!(": {e}")))?;
    let now = format!("{}:{}", file.0, file.1);
    if now == disk.file.as_str() {
        return Ok(());
    }
    Err(changed(format!(" is another file ({now}) than the one recorded ({})", disk.file))
        .hint("put the recorded image back, or see who replaced it"))
}
