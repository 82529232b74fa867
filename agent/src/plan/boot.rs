//! The files of the host that a domain boots from: recorded, kept, compared.

use xensnap::contract::{
    Boot, BootFile, BootRole, ErrorKind, FileCopies, FileCopy, FileRef, Line, Step, StepAct, VmPart,
};
use xensnap::wire::AbsPath;

use super::{Known, step};
use crate::host::{FileFacts, HostError};

fn found<'a>(known: &Known<'a>, path: &AbsPath) -> Option<&'a FileFacts> {
    known.files.iter().find(|f| f.path == *path)
}

/// What the record says of them. One that cannot be read is told, and refused where it is to be kept.
pub(super) fn recorded(
    known: &Known<'_>,
    keep: bool,
    warnings: &mut Vec<Line>,
) -> Result<Option<Boot>, HostError> {
    let Some(boots) = &known.facts.boots else {
        if keep {
            warnings.push(Line::lossy("the domain boots from no file of the host: there is none to keep"));
        }
        return Ok(None);
    };
    let mut files = Vec::new();
    for (role, path) in &boots.files {
        let facts = found(known, path).map_or_else(|| Err("not looked at".to_owned()), |f| f.found.clone());
        match facts {
            Ok((size, sha256)) => {
                let copy = if keep { Some(copy_path(known, role)?) } else { None };
                let (role, path) = (role.clone(), path.clone());
                files.push(BootFile { role, path, size, sha256, copy, extra: Default::default() });
            }
            Err(why) if keep => {
                return Err(HostError::new(ErrorKind::Changed, format!("the {role} cannot be kept: {why}"))
                    .hint("put the file back, or ask without --keep-boot-files"));
            }
            Err(why) => warnings.push(Line::lossy(&format!("the {role} is not recorded: {why}"))),
        }
    }
    let cmdline = boots.cmdline.clone().filter(|c| c.len() <= Boot::CMDLINE_MAX as usize);
    Ok(Some(Boot { files, cmdline, extra: Default::default() }))
}

fn copy_path(known: &Known<'_>, role: &BootRole) -> Result<AbsPath, HostError> {
    AbsPath::new(format!("{}/{}/{}.{role}", known.folder, known.facts.uuid, known.operation.as_str()))
        .map_err(|e| HostError::new(ErrorKind::Internal, format!("copy of the {role}: {e}")))
}

/// The step that keeps them.
pub(super) fn keeping(boot: Option<&Boot>) -> Option<Step> {
    let files: Vec<FileCopy> = boot?
        .files
        .iter()
        .filter_map(|f| {
            let (from, to, sha256) = (f.path.clone(), f.copy.clone()?, f.sha256.clone());
            Some(FileCopy { from, to, size: f.size, sha256, extra: Default::default() })
        })
        .collect();
    (!files.is_empty()).then(|| step(StepAct::CopyFiles(FileCopies { files, extra: Default::default() })))
}

/// The steps that remove what a snapshot keeps.
pub(super) fn removing(part: &VmPart) -> Vec<Step> {
    let copies = part.boot.iter().flat_map(|b| &b.files).filter_map(|f| f.copy.clone());
    copies.map(|path| step(StepAct::RemoveFile(FileRef { path, extra: Default::default() }))).collect()
}

/// Refuses to delete a snapshot whose copies the domain boots from.
pub(super) fn in_use(known: &Known<'_>, part: &VmPart) -> Result<(), HostError> {
    let used = |copy: &AbsPath| known.facts.boots.iter().flat_map(|b| &b.files).any(|(_, path)| path == copy);
    match part.boot.iter().flat_map(|b| &b.files).filter_map(|f| f.copy.as_ref()).find(|c| used(c)) {
        None => Ok(()),
        Some(copy) => Err(HostError::new(
            ErrorKind::DomainState,
            format!("domain {} boots from {copy}, which this snapshot keeps", known.facts.name),
        )
        .hint("start the domain with another kernel first")),
    }
}

/// Which files the domain is to boot from after a revert, where these are not those that the config names: copies of files that have changed.
/// What has changed without a copy is told.
pub(super) fn reverted(
    known: &Known<'_>,
    part: &VmPart,
    warnings: &mut Vec<Line>,
) -> Vec<(BootRole, AbsPath)> {
    let mut others = Vec::new();
    for file in part.boot.iter().flat_map(|b| &b.files) {
        let is = |path: &AbsPath| match found(known, path).map(|f| &f.found) {
            Some(Ok((size, sum))) if *size == file.size && *sum == file.sha256 => None,
            Some(Ok(_)) => Some("has changed since the snapshot".to_owned()),
            Some(Err(why)) => Some(format!("cannot be read: {why}")),
            None => Some("was not looked at".to_owned()),
        };
        let Some(why) = is(&file.path) else { continue };
        match &file.copy {
            Some(copy) if is(copy).is_none() => {
                warnings.push(Line::lossy(&format!("the {} {} {why}: the copy kept is used", file.role, file.path)));
                others.push((file.role.clone(), copy.clone()));
            }
            Some(copy) => warnings.push(Line::lossy(&format!(
                "the {} {} {why}, and so the copy {copy} is not what was kept: the domain will boot from what is there",
                file.role, file.path
            ))),
            None => warnings.push(Line::lossy(&format!("the {} {} {why}", file.role, file.path))),
        }
    }
    others
}
