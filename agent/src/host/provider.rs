//! Who holds a disk's content at a snapshot's instant. So far one: snapshots inside qcow2 images.
//!
//! ```text
//!                      domain runs                          domain is stopped
//!   create   an action in the one QMP transaction     Provider::offline(Create), undone disk by disk on failure
//!   delete   Provider::live_delete                    Provider::offline(Delete)
//!   apply    -                                        Provider::offline(Apply)
//! ```
//!
//! A further provider is another type, and another arm in [`of`] and [`choose`].

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use xensnap::contract::{ErrorKind, ProviderKind};

use super::qemu_img::{QemuImg, QemuImgError, Verb};
use super::qmp::{Qmp, QmpError};
use super::{DiskFacts, HostError, ImageFacts, Result, qmp_block};

/// The most snapshots that a qcow2 image holds (`QCOW_MAX_SNAPSHOTS` in QEMU's block/qcow2.h).
const QCOW2_SNAPSHOTS_MAX: usize = 65_536;

/// A way to hold a disk's content.
pub trait Provider: Sync {
    /// Which one it is.
    fn kind(&self) -> ProviderKind;

    /// Whether it can take a snapshot of this disk.
    ///
    /// # Errors
    /// `DiskUnsupported` or `Limit`, naming the disk and why not.
    fn can_take(&self, disk: &DiskFacts) -> Result<()>;

    /// How long the guest's disks stand still for this disk's part of a snapshot.
    fn pause(&self, image: &ImageFacts) -> Duration;

    /// This disk's action in the one transaction of a running QEMU.
    fn live_create(&self, node: &str, tag: &str) -> Value;

    /// Deletes a snapshot of a running QEMU's disk.
    fn live_delete(
        &self,
        qmp: &mut Qmp,
        node: &str,
        tag: &str,
        deadline: Instant,
    ) -> impl Future<Output = std::result::Result<(), QmpError>> + Send;

    /// Does a verb on an image that nobody has open.
    fn offline(
        &self,
        tool: &QemuImg,
        verb: Verb,
        image: &Path,
        format: &str,
        tag: &str,
    ) -> impl Future<Output = std::result::Result<(), QemuImgError>> + Send;
}

/// Snapshots inside a qcow2 image.
#[derive(Clone, Copy, Debug)]
pub struct Qcow2Internal;

impl Provider for Qcow2Internal {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Qcow2Internal
    }

    fn can_take(&self, facts: &DiskFacts) -> Result<()> {
        let disk = &facts.disk;
        let refused = |why: String, hint: &str| {
            let message = format!("disk {}: no snapshot can be taken: {why}", disk.vdev);
            Err(HostError::new(ErrorKind::DiskUnsupported, message)
                .hint(format!("{hint}--exclude-disks {}", disk.vdev)))
        };
        if let Err(why) = &facts.served {
            return refused(why.clone(), "leave it out: ");
        }
        if disk.cdrom {
            return refused("it is a CD-ROM drive".into(), "leave it out: ");
        }
        if disk.read_only {
            return refused("it is read-only".into(), "leave it out: ");
        }
        if disk.format.as_str() != "qcow2" {
            let why = format!("its format is {}, and only qcow2 holds snapshots", disk.format);
            return refused(why, "convert it with qemu-img, or leave it out: ");
        }
        let Ok(image) = &facts.image else { return Ok(()) }; // why it cannot be looked at is told by who looks
        if image.external_data {
            return refused("its data lies in an external file".into(), "leave it out: ");
        }
        // A snapshot leaves the backing file alone, so a plain file is no obstacle. Others could lead anywhere.
        if let Some(backing) = image.backing.as_ref().filter(|b| !is_plain_file(b)) {
            return refused(format!("its backing file {backing} is not a plain file"), "leave it out: ");
        }
        if image.tags.len() >= QCOW2_SNAPSHOTS_MAX {
            let message = format!(
                "disk {}: its image holds {} snapshots, and qcow2 can hold no more",
                disk.vdev,
                image.tags.len()
            );
            return Err(HostError::new(ErrorKind::Limit, message).hint("delete some"));
        }
        Ok(())
    }

    /// Measured with QEMU 10.0 (7.2 is quicker): 1.3 ms a disk; every mapped cluster's refcount is touched, ever slower as the refcounts outgrow QEMU's cache;
    /// and the snapshot table is written anew.
    fn pause(&self, image: &ImageFacts) -> Duration {
        /// Mapped GiB of 64 KiB clusters in one image, and microseconds for each of them.
        const POINTS: [(f64, f64); 4] = [(0.0, 5_400.0), (8.0, 5_400.0), (50.0, 17_000.0), (200.0, 40_000.0)];
        const SNAPSHOT_US: f64 = 125.0;
        let clusters = image.allocated.checked_div(image.cluster_size).unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let (gib, snapshots) = (clusters as f64 / 16_384.0, image.tags.len() as f64);
        let rate = POINTS.windows(2).fold(0.0, |rate, pair| match pair {
            [(from, a), (to, b)] if gib >= *from => a + (b - a) * (gib - from) / (to - from),
            _ => rate,
        });
        Duration::from_secs_f64((1_300.0 + gib * rate + snapshots * SNAPSHOT_US) / 1e6)
    }

    fn live_create(&self, node: &str, tag: &str) -> Value {
        qmp_block::internal_create(node, tag)
    }

    async fn live_delete(
        &self,
        qmp: &mut Qmp,
        node: &str,
        tag: &str,
        deadline: Instant,
    ) -> std::result::Result<(), QmpError> {
        qmp_block::internal_delete(qmp, node, tag, deadline).await
    }

    async fn offline(
        &self,
        tool: &QemuImg,
        verb: Verb,
        image: &Path,
        format: &str,
        tag: &str,
    ) -> std::result::Result<(), QemuImgError> {
        tool.snapshot(verb, image, format, tag).await
    }
}

/// Whether QEMU would take this name for a plain file: no `nbd:`, `json:` or other protocol before the first slash.
fn is_plain_file(name: &str) -> bool {
    name.split('/').next().is_some_and(|first| !first.contains(':'))
}

/// The provider of a kind.
///
/// # Errors
/// When this version does not know it.
pub fn of(kind: &ProviderKind) -> Result<Qcow2Internal> {
    match kind {
        ProviderKind::Qcow2Internal => Ok(Qcow2Internal),
        other => Err(HostError::new(
            ErrorKind::DiskUnsupported,
            format!("provider {other} is not known to this version"),
        )
        .hint("update xensnapd")),
    }
}

/// Who takes this disk's snapshot.
///
/// # Errors
/// `DiskUnsupported` or `Limit`, naming the disk and why no provider can.
pub fn choose(disk: &DiskFacts) -> Result<ProviderKind> {
    Qcow2Internal.can_take(disk).map(|()| Qcow2Internal.kind())
}

/// How long a running guest's disks will stand still for a snapshot of all these.
pub fn expected_pause(disks: &[&DiskFacts]) -> Duration {
    disks.iter().filter_map(|d| d.image.as_ref().ok()).map(|image| Qcow2Internal.pause(image)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(gib: u64, cluster_size: u64, snapshots: usize) -> ImageFacts {
        ImageFacts {
            file: "1:1".into(),
            virtual_size: gib << 30,
            allocated: gib << 30,
            cluster_size,
            tags: vec![String::new(); snapshots],
            backing: None,
            external_data: false,
            free: 0,
            same_as_open: true,
        }
    }

    #[test]
    fn the_expected_pause_agrees_with_what_was_measured() {
        // facts-qemu-xen: QEMU 10.0, two disks; milliseconds, within a third.
        let measured = [
            (image(0, 65536, 0), 3.9),
            (image(50, 65536, 0), 1_700.0),
            (image(200, 65536, 0), 16_000.0),
            (image(0, 65536, 100), 24.0),
            (image(0, 65536, 500), 127.0),
            (image(50, 2 << 20, 0), 30.0),
        ];
        for (image, ms) in measured {
            let told = 2.0 * Qcow2Internal.pause(&image).as_secs_f64() * 1e3;
            assert!(told > ms * 0.6 && told < ms * 1.4, "{image:?}: {told} ms told, {ms} measured");
        }
        assert!(Qcow2Internal.pause(&image(400, 65536, 0)) > Qcow2Internal.pause(&image(200, 65536, 0)) * 3);
        let raw = image(10, 0, 0);
        assert!(Qcow2Internal.pause(&raw) < Duration::from_millis(2));
    }

    #[test]
    fn only_plain_files_can_be_backing_files() {
        for plain in ["/i/base.qcow2", "base.qcow2", "../a:b/c", "/i/a:b"] {
            assert_eq!(is_plain_file(plain), !plain.starts_with("a:"), "{plain}");
        }
        for other in ["nbd://h/x", "json:{\"driver\":\"file\"}", "nbd:unix:/s", "a:b"] {
            assert!(!is_plain_file(other), "{other}");
        }
    }
}
