//! Tags in the disks' images: made, deleted, applied, looked for.
//!
//! ```text
//!   a QEMU has the images:  one QMP transaction on all (create), one command each (delete)
//!   nobody has them:        qemu-img on each, after the proof that nobody does
//! ```

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;
use xensnap::contract::{DiskTag, DriverKind, ErrorKind};

use super::{RealHost, blocking};
use crate::fault::point;
use crate::host::driver::Driver;
use crate::host::image::ImageHead;
use crate::host::judge::{about_disk, has, in_hand, node_of, same_file};
use crate::host::link::{COMMAND_MAX, Link};
use crate::host::nodes::Nodes;
use crate::host::process::{self, FileId};
use crate::host::provider::{self, Provider};
use crate::host::qemu_img::Verb;
use crate::host::qmp_block::{self, Node};
use crate::host::{HostError, Instance, Result};

/// How long the transaction on all disks may take, where no pause of ours sets a limit.
const TRANSACTION_MAX: Duration = Duration::from_secs(120);
/// How long one snapshot's deletion may take.
const DELETE_MAX: Duration = Duration::from_secs(300);
/// How long it may take until a QEMU that did not answer can be asked what it did.
const SETTLE_MAX: Duration = Duration::from_secs(30);

impl<N: Nodes> RealHost<N> {
    /// Proves that no process has these images open.
    async fn nobody_has(&self, domain: Uuid, disks: &[DiskTag]) -> Result<()> {
        let paths: Vec<PathBuf> = disks.iter().map(|d| d.path.as_path().to_owned()).collect();
        blocking(move || {
            let ids: Vec<FileId> = paths.iter().filter_map(|p| process::file_id(p).ok()).collect();
            let unproved = |e: std::io::Error| {
                HostError::new(ErrorKind::BackendFailed, format!("cannot see who has images open: {e}"))
                    .hint("run the agent as root")
            };
            match process::holder_of(&ids).map_err(unproved)? {
                None => Ok(()),
                Some(holder) => {
                    let message = format!(
                        "an image of domain {domain} is open though the domain does not run: {holder}"
                    );
                    Err(HostError::new(ErrorKind::DomainState, message)
                        .hint("end that process, then ask again"))
                }
            }
        })
        .await
    }

    /// Snapshots all disks of a running instance in one transaction.
    async fn create_live(&self, instance: &Instance, link: Link, disks: &[DiskTag]) -> Result<()> {
        let done = self.transaction(instance, link, disks).await;
        self.hang_up(instance).await;
        done
    }

    async fn transaction(&self, instance: &Instance, mut link: Link, disks: &[DiskTag]) -> Result<()> {
        driver!(self, &instance.driver, d => d.take_images(instance, &mut link).await)?;
        let about = |e: crate::host::qmp::QmpError| e.about(&instance.name);
        let deadline = link.deadline(TRANSACTION_MAX);
        let nodes = match link.nodes.take() {
            Some(nodes) => nodes, // listed by this operation, before the pause
            None => qmp_block::nodes(link.qmp()?, deadline).await.map_err(about)?,
        };
        let mut actions = Vec::new();
        let mut present = 0;
        for disk in disks {
            let node = node_of(&nodes, disk)?;
            in_hand(node, disk, false)?;
            present += usize::from(has(&node.head, disk));
            actions.push(provider::of(&disk.provider)?.live_create(&node.name, disk.tag.as_str()));
        }
        if present == disks.len() {
            return Ok(()); // done by an earlier try: only one transaction can have made them all
        }
        if present > 0 {
            let message = format!("domain {}: some of its disks have the snapshot already", instance.name);
            return Err(HostError::new(ErrorKind::BackendFailed, message).hint("delete it from them first"));
        }
        point("disks_create.asked").await?;
        let answer = qmp_block::transaction(link.qmp()?, actions, deadline).await;
        drop(link);
        point("disks_create.answered").await?;
        match answer {
            Ok(()) => Ok(()),
            Err(e) if e.unsettled() => self.settle(instance, disks, about(e)).await,
            Err(e) => {
                let mut e = about(e);
                if e.message.contains("No space left on device") {
                    e.kind = ErrorKind::NoSpace;
                    e.hint = Some("make space on the images' file system".into());
                }
                Err(e)
            }
        }
    }

    /// After an unanswered transaction: done when all disks have the snapshot. What only some have is the undo's to delete.
    async fn settle(&self, instance: &Instance, disks: &[DiskTag], unanswered: HostError) -> Result<()> {
        // A pause of ours does not wait for it: the guest comes first.
        let until = self.links.until(instance.uuid, SETTLE_MAX).await;
        loop {
            match self.nodes_of(instance).await {
                Ok((_, nodes)) => {
                    let all = disks.iter().all(|d| node_of(&nodes, d).is_ok_and(|n| has(&n.head, d)));
                    return if all { Ok(()) } else { Err(unanswered) };
                }
                Err(e) if e.kind == ErrorKind::QmpUnavailable && Instant::now() < until => {
                    sleep(Duration::from_millis(50)).await
                }
                Err(_) => return Err(unanswered),
            }
        }
    }

    /// Snapshots all disks of a stopped domain, or none.
    async fn create_offline(&self, disks: &[DiskTag]) -> Result<()> {
        let mut made: Vec<&DiskTag> = Vec::new();
        for disk in disks {
            let done = match self.head(disk).await {
                Ok(head) if has(&head, disk) => continue,
                Ok(_) => self.offline(Verb::Create, disk).await,
                Err(e) => Err(e),
            };
            made.push(disk);
            point("disks_create.answered").await?;
            if let Err(e) = done {
                for disk in made {
                    // Not there is what is wanted; the first error matters more than one of the undo, which the caller does again anyway.
                    let _ = self.offline(Verb::Delete, disk).await;
                }
                return Err(e);
            }
        }
        Ok(())
    }

    async fn head(&self, disk: &DiskTag) -> Result<ImageHead> {
        self.tool
            .info(disk.path.as_path(), disk.format.as_str())
            .await
            .map_err(|e| about_disk(e.into(), disk))
    }

    async fn offline(&self, verb: Verb, disk: &DiskTag) -> Result<()> {
        let provider = provider::of(&disk.provider)?;
        let done = provider
            .offline(&self.tool, verb, disk.path.as_path(), disk.format.as_str(), disk.tag.as_str())
            .await;
        done.map_err(|e| about_disk(e.into(), disk))
    }

    /// Deletes from the disks that the running instance has; returns the others.
    async fn delete_live<'a>(
        &self,
        instance: &Instance,
        mut link: Link,
        disks: &'a [DiskTag],
    ) -> Result<Vec<&'a DiskTag>> {
        let about = |e: crate::host::qmp::QmpError| e.about(&instance.name);
        let deadline = link.deadline(COMMAND_MAX);
        let nodes = qmp_block::nodes(link.qmp()?, deadline).await.map_err(about)?;
        let handed_over = link.handed_over().await?;
        let mut others = Vec::new();
        for disk in disks {
            let provider = provider::of(&disk.provider)?;
            let here: Vec<&Node> = nodes.iter().filter(|n| n.path == disk.path.as_path()).collect();
            if here.is_empty() {
                others.push(disk);
            }
            for node in here {
                if !has(&node.head, disk) {
                    continue;
                }
                in_hand(node, disk, handed_over)?;
                point("disks_delete.asked").await?;
                let deadline = link.deadline(DELETE_MAX);
                provider
                    .live_delete(link.qmp()?, &node.name, disk.tag.as_str(), deadline)
                    .await
                    .map_err(about)?;
                point("disks_delete.answered").await?;
            }
        }
        Ok(others)
    }

    async fn delete_offline(&self, domain: Uuid, disks: &[DiskTag]) -> Result<()> {
        let there: Vec<DiskTag> = disks.iter().filter(|d| d.path.as_path().exists()).cloned().collect();
        // Looked at first: where nothing is to be done, it does not matter who has the image open.
        let mut holding = Vec::new();
        for disk in there {
            if has(&self.head(&disk).await?, &disk) {
                holding.push(disk);
            }
        }
        if holding.is_empty() {
            return Ok(());
        }
        self.nobody_has(domain, &holding).await?;
        for disk in &holding {
            point("disks_delete.asked").await?;
            self.offline(Verb::Delete, disk).await?;
            point("disks_delete.answered").await?;
        }
        Ok(())
    }

    /// Snapshots all disks, or none.
    pub(super) async fn create_tags(&self, instance: Option<&Instance>, disks: &[DiskTag]) -> Result<()> {
        if let Some(instance) = instance
            && let Some((_, link)) = self.served(instance).await?
        {
            return self.create_live(instance, link, disks).await;
        }
        self.nobody_has(instance.map_or(Uuid::nil(), |i| i.uuid), disks).await?;
        self.create_offline(disks).await
    }

    /// Deletes tags; one that is not there is what is wanted.
    pub(super) async fn delete_tags(&self, domain: Uuid, disks: &[DiskTag]) -> Result<()> {
        if let Some(instance) = self.running(domain).await?
            && let Some((_, link)) = self.served(&instance).await?
        {
            let others: Vec<DiskTag> =
                self.delete_live(&instance, link, disks).await?.into_iter().cloned().collect();
            return self.delete_offline(domain, &others).await;
        }
        self.delete_offline(domain, disks).await
    }

    /// Puts the disks of a domain that does not run back to their tags.
    pub(super) async fn apply_tags(&self, domain: Uuid, disks: &[DiskTag]) -> Result<()> {
        if let Some(instance) = self.running(domain).await? {
            let message = format!("domain {} runs: its disks cannot be put back", instance.name);
            return Err(HostError::new(ErrorKind::DomainState, message).hint("end it first"));
        }
        self.nobody_has(domain, disks).await?;
        for disk in disks {
            point("disks_apply.asked").await?;
            if let Err(e) = self.offline(Verb::Apply, disk).await {
                return Err(match self.head(disk).await {
                    Ok(head) if !has(&head, disk) => lacks(disk),
                    _ => e,
                });
            }
            point("disks_apply.answered").await?;
        }
        Ok(())
    }

    /// Sees that the tags are still there.
    pub(super) async fn verify_tags(&self, domain: Uuid, disks: &[DiskTag]) -> Result<()> {
        let nodes = match self.running(domain).await? {
            Some(instance) if self.served(&instance).await?.is_some() => self.nodes_of(&instance).await?.1,
            _ => Vec::new(),
        };
        for disk in disks {
            same_file(disk)?;
            let there = match nodes.iter().find(|n| n.path == disk.path.as_path()) {
                Some(node) => has(&node.head, disk),
                None => has(&self.head(disk).await?, disk),
            };
            if !there {
                return Err(lacks(disk));
            }
        }
        Ok(())
    }
}

/// The tag is not in the disk's image any more.
fn lacks(disk: &DiskTag) -> HostError {
    let message = format!("disk {}: {} does not hold the snapshot {}", disk.vdev, disk.path, disk.tag);
    HostError::new(ErrorKind::Changed, message)
        .hint("it was deleted by another program, or the image was replaced")
}
