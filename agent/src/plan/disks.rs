//! Which disks an operation is about, who takes them, and what it costs.

use std::collections::HashMap;

use uuid::Uuid;
use xensnap::contract::{DiskContent, DiskTag, ErrorKind, FileId, ImageTag, ProviderKind, Vdev};

use super::Known;
use crate::host::provider;
use crate::host::{DiskFacts, HostError, ImageFacts};

/// A selected disk, its image, and who takes its snapshot.
#[derive(Clone, Debug)]
pub(super) struct Selected<'a> {
    pub(super) facts: &'a DiskFacts,
    pub(super) image: &'a ImageFacts,
    pub(super) provider: ProviderKind,
}

/// The disks that `only` and `without` select, each with a provider; or the first reason against it, naming the disk.
pub(super) fn select<'a>(
    known: &Known<'a>,
    only: Option<&[Vdev]>,
    without: Option<&[Vdev]>,
) -> Result<Vec<Selected<'a>>, HostError> {
    let all = &known.facts.disks;
    for named in only.into_iter().flatten().chain(without.into_iter().flatten()) {
        if !all.iter().any(|d| d.disk.vdev == *named) {
            return Err(no_disk(known, named));
        }
    }
    let chosen: Vec<&DiskFacts> = all
        .iter()
        .filter(|d| only.is_none_or(|o| o.contains(&d.disk.vdev)))
        .filter(|d| without.is_none_or(|w| !w.contains(&d.disk.vdev)))
        .collect();
    if chosen.is_empty() {
        return Err(HostError::new(
            ErrorKind::NoDisk,
            format!("no disk of domain {} is left to take a snapshot of", known.facts.name),
        )
        .hint("name at least one disk, or exclude fewer"));
    }
    let selected = chosen.into_iter().map(|d| take(known, d)).collect::<Result<Vec<_>, _>>()?;
    one_file_each(&selected)?;
    Ok(selected)
}

fn take<'a>(known: &Known<'_>, d: &'a DiskFacts) -> Result<Selected<'a>, HostError> {
    let vdev = &d.disk.vdev;
    // What the config alone decides comes first: a CD-ROM drive may well have no image.
    let provider = provider::choose(d).map_err(|e| {
        with_hint(e, || format!("--exclude-disks {vdev} leaves this disk out of the snapshot"))
    })?;
    let image = d.image.as_ref().map_err(|why| {
        HostError::new(ErrorKind::Changed, format!("disk {vdev}: {why}"))
            .hint(format!("mend the image, or leave the disk out with --exclude-disks {vdev}"))
    })?;
    if !image.same_as_open {
        return Err(HostError::new(
            ErrorKind::Changed,
            format!("disk {vdev}: {} is not the file that the domain has open", d.disk.path),
        )
        .hint(format!("the image was replaced under the running domain {}: put the open file back, or restart the domain", known.facts.name)));
    }
    let left = known.limits.space_left_min.saturating_add(snapshot_space(image));
    if image.free < left {
        return Err(no_space(&format!("disk {vdev}: {}", d.disk.path), left, image.free));
    }
    Ok(Selected { facts: d, image, provider })
}

/// Two disks on one file would get the same tag twice, and a revert would be undefined.
fn one_file_each(selected: &[Selected<'_>]) -> Result<(), HostError> {
    let mut seen: HashMap<&str, &Vdev> = HashMap::new();
    for s in selected {
        if let Some(other) = seen.insert(s.image.file.as_str(), &s.facts.disk.vdev) {
            return Err(HostError::new(
                ErrorKind::DiskUnsupported,
                format!("disks {other} and {} are the same file {}", s.facts.disk.vdev, s.facts.disk.path),
            )
            .hint("leave one of them out"));
        }
    }
    Ok(())
}

/// What a snapshot of the image needs at once, in bytes: its copy of the active mapping table, the refcounts and the snapshot table; later writes need more.
pub(super) fn snapshot_space(image: &ImageFacts) -> u64 {
    // An L1 entry of 8 bytes maps cluster_size / 8 clusters; 1 MiB covers tables and rounding.
    let per_l1 = (image.cluster_size.max(512) / 8).saturating_mul(image.cluster_size.max(512));
    let l1 = image.virtual_size.div_ceil(per_l1.max(1)).saturating_mul(8);
    l1.saturating_add(1 << 20)
}

pub(super) fn no_space(what: &str, needed: u64, free: u64) -> HostError {
    HostError::new(
        ErrorKind::NoSpace,
        format!("{what}: needs {} MiB free, has {} MiB", needed.div_ceil(1 << 20), free >> 20),
    )
    .hint("make room on that file system, delete a snapshot, or choose fewer disks")
}

pub(super) fn no_disk(known: &Known<'_>, vdev: &Vdev) -> HostError {
    let names: Vec<&str> = known.facts.disks.iter().map(|d| d.disk.vdev.as_str()).collect();
    HostError::new(ErrorKind::NoDisk, format!("domain {} has no disk {vdev}", known.facts.name))
        .hint(format!("its disks: {}", names.join(", ")))
}

fn with_hint(mut e: HostError, hint: impl FnOnce() -> String) -> HostError {
    if e.hint.is_none() {
        e.hint = Some(hint());
    }
    e
}

/// A tag of ours: never a number, never the user's name.
pub(super) fn tag(word: &str, nonce: Uuid) -> Result<ImageTag, HostError> {
    ImageTag::new(format!("xensnap-{word}-{}", nonce.simple()))
        .map_err(|e| HostError::new(ErrorKind::Internal, format!("tag: {e}")))
}

fn file_id(file: &str) -> Result<FileId, HostError> {
    FileId::new(file).map_err(|e| HostError::new(ErrorKind::Internal, format!("file id {file}: {e}")))
}

/// The selected disks with one tag, as steps want them.
pub(super) fn tagged(selected: &[Selected<'_>], tag: &ImageTag) -> Result<Vec<DiskTag>, HostError> {
    selected
        .iter()
        .map(|s| {
            Ok(DiskTag {
                vdev: s.facts.disk.vdev.clone(),
                path: s.facts.disk.path.clone(),
                format: s.facts.disk.format.clone(),
                file: file_id(&s.image.file)?,
                provider: s.provider.clone(),
                tag: tag.clone(),
                extra: Default::default(),
            })
        })
        .collect()
}

/// The selected disks with one tag, as the record wants them.
pub(super) fn contents(selected: &[Selected<'_>], tag: &ImageTag) -> Result<Vec<DiskContent>, HostError> {
    selected
        .iter()
        .map(|s| {
            Ok(DiskContent {
                vdev: s.facts.disk.vdev.clone(),
                path: s.facts.disk.path.clone(),
                format: s.facts.disk.format.clone(),
                file: file_id(&s.image.file)?,
                virtual_size: s.image.virtual_size,
                provider: s.provider.clone(),
                tag: tag.clone(),
                extra: Default::default(),
            })
        })
        .collect()
}

/// A recorded disk as steps want it, where its image is now.
pub(super) fn recorded(content: &DiskContent) -> DiskTag {
    DiskTag {
        vdev: content.vdev.clone(),
        path: content.path.clone(),
        format: content.format.clone(),
        file: content.file.clone(),
        provider: content.provider.clone(),
        tag: content.tag.clone(),
        extra: Default::default(),
    }
}
