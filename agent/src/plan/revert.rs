//! Plans of the two reverts. Everything is checked before the running domain is ended; each disk gets an undo tag first.

use xensnap::contract::{
    BootRole, Checks, Disk, DiskSnapshotRevert, DiskTag, DiskTags, Domain, DriverKind, ErrorKind, FinalState,
    Line, Outcome, Plan, QemuConfig, Snapshot, SnapshotPart, Start, Step, StepAct, StepKind, Vdev, VmPart,
    VmSnapshotRevert,
};
use xensnap::wire::{AbsPath, Extra, RawJson};

use super::create::{self, Memory, Wanted};
use super::disks::{self, Selected};
use super::{Known, assemble, boot, find, no_return, step};
use crate::host::{DiskFacts, HostError, RunState, xen};

/// How the domain is to be at the end.
#[derive(Clone, Debug)]
struct End {
    /// How it is started; absent: it stays stopped.
    start: Option<Start>,
    /// How it is known from then on.
    domain: Option<Domain>,
    /// What becomes current.
    outcome: Outcome,
}

pub(super) fn vm(known: &Known<'_>, r: &VmSnapshotRevert) -> Result<Plan, HostError> {
    let snapshot = usable(find(known, r.snapshot.as_str())?)?;
    let SnapshotPart::Vm(part) = &snapshot.part else {
        return Err(super::delete::other_kind(snapshot, "a disk snapshot", "disk-snapshot-revert"));
    };
    let memory = part.memory.as_ref().filter(|_| !r.disks_only);
    let target = targets(known, snapshot, None)?;
    let mut warnings = vm_warnings(known, snapshot);
    if let Some(m) = memory {
        check_writer(known, m.writer.as_str(), &mut warnings)?;
    }
    let boot = boot::reverted(known, part, &mut warnings);
    // With its memory it ran: it runs again, with --disks-only too, by booting.
    let ran = if part.memory.is_some() { FinalState::Running } else { FinalState::Stopped };
    let final_state = r.final_state.unwrap_or(ran);
    let config = retarget(part, &target, &boot)?;
    let start = start(&config, memory.map(|m| m.path.clone()), &final_state);
    check_start(known, start.as_ref())?;
    let end = End {
        domain: Some(domain_after(known, config, &target)),
        start,
        outcome: Outcome {
            current: Some(snapshot.id.clone()),
            diverged: Some(false),
            ..Outcome::new(Vec::new())
        },
    };
    let checks = Checks { memory: memory.cloned(), ..Checks::new(target) };
    reverting(known, checks, end, r.snapshot_first, true, warnings)
}

pub(super) fn disk(known: &Known<'_>, r: &DiskSnapshotRevert) -> Result<Plan, HostError> {
    let snapshot = usable(find(known, r.snapshot.as_str())?)?;
    let target = targets(known, snapshot, r.disks.as_deref())?;
    if known.facts.instance.is_some() && r.final_state.is_none() {
        return Err(HostError::new(
            ErrorKind::DomainState,
            format!("domain {} runs: its disks cannot be put back under it", known.facts.name),
        )
        .hint("shut it down first, or say --running, --paused or --stopped: the agent then ends it as a power cut does, reverts, and brings it to that state"));
    }
    let start = match &r.final_state {
        Some(state) => start(&known.facts.config, None, state),
        None => None,
    };
    check_start(known, start.as_ref())?;
    let end =
        End { start, domain: None, outcome: Outcome { diverged: Some(true), ..Outcome::new(Vec::new()) } };
    reverting(known, Checks::new(target), end, r.snapshot_first, false, Vec::new())
}

/// The steps of a revert, whatever its kind.
fn reverting(
    known: &Known<'_>,
    checks: Checks,
    end: End,
    snapshot_first: bool,
    vm: bool,
    mut warnings: Vec<Line>,
) -> Result<Plan, HostError> {
    if let Some(state @ (RunState::Other(_) | RunState::Unknown)) =
        known.facts.instance.as_ref().map(|i| i.state)
    {
        return Err(create::unfit(known, state));
    }
    let vdevs: Vec<Vdev> = checks.disks.iter().map(|t| t.vdev.clone()).collect();
    let present = present(known, &vdevs)?;
    let target = checks.disks.clone();
    let mut steps = vec![step(StepAct::Verify(checks))];
    let undo = if snapshot_first {
        first(known, vm, &mut steps)?;
        None
    } else {
        if known.facts.instance.is_some() {
            warnings.push(Line::lossy("what the guest has in RAM now is lost: --snapshot-first keeps it"));
        }
        undo(known, &present, &mut steps)?
    };
    let running = known.facts.instance.is_some();
    if running {
        steps.push(no_return(StepAct::EndDomain(Extra::default())));
    }
    let apply = StepAct::DisksApply(DiskTags { disks: target, extra: Default::default() });
    steps.push(if running { step(apply) } else { no_return(apply) });
    if let Some(start) = end.start {
        steps.push(step(StepAct::StartDomain(start)));
    }
    steps.push(step(StepAct::Commit(Outcome { domain: end.domain, obsolete: undo, ..end.outcome })));
    let mut plan = assemble(known, steps);
    plan.warnings = warnings;
    plan.space = present.iter().fold(0u64, |sum, s| sum.saturating_add(disks::snapshot_space(s.image)));
    Ok(plan)
}

/// The present disks that will be overwritten: they must be able to take an undo tag.
fn present<'a>(known: &Known<'a>, vdevs: &[Vdev]) -> Result<Vec<Selected<'a>>, HostError> {
    let there: Vec<Vdev> =
        vdevs.iter().filter(|v| known.facts.disks.iter().any(|d| d.disk.vdev == **v)).cloned().collect();
    if there.is_empty() {
        return Ok(Vec::new());
    }
    disks::select(known, Some(&there), None)
}

/// Undo tags: on the running domain while it is paused, so that they show its last state, else on the files.
fn undo(
    known: &Known<'_>,
    present: &[Selected<'_>],
    steps: &mut Vec<Step>,
) -> Result<Option<DiskTags>, HostError> {
    if present.is_empty() {
        return Ok(None);
    }
    if matches!(known.facts.instance.as_ref().map(|i| i.state), Some(RunState::Running)) {
        let expected = create::expected_pause(known, present, Memory::None);
        steps.push(create::pause(known, expected, Memory::None));
    }
    let tags = disks::tagged(present, &disks::tag("undo", known.nonce)?)?;
    let tags = DiskTags { disks: tags, extra: Default::default() };
    steps.push(step(StepAct::DisksCreate(tags.clone())));
    Ok(Some(tags))
}

/// A whole snapshot of the present state, committed before anything is ended; the guest stays paused after it.
fn first(known: &Known<'_>, vm: bool, steps: &mut Vec<Step>) -> Result<(), HostError> {
    if let Some(state @ RunState::Still(_)) = known.facts.instance.as_ref().map(|i| i.state) {
        return Err(create::unfit(known, state));
    }
    let selected = disks::select(known, None, None)?;
    let memory = match &known.facts.memory {
        Some(ability) if vm && ability.paused.is_ok() => Memory::Paused,
        Some(ability) if vm => {
            let why = ability.paused.as_ref().err().cloned().unwrap_or_default();
            return Err(HostError::new(
                ErrorKind::DomainState,
                format!("the memory of domain {} cannot be saved first: {why}", known.facts.name),
            )
            .hint("take a snapshot with --memory none yourself, then revert without --snapshot-first"));
        }
        _ => Memory::None,
    };
    let wanted = Wanted { name: None, description: None, pause_max: None };
    let pausing = matches!(known.facts.instance.as_ref().map(|i| i.state), Some(RunState::Running));
    let tag = disks::tag(if vm { "vm" } else { "disk" }, known.nonce)?;
    let tags = disks::tagged(&selected, &tag)?;
    let boot = if vm { Some(boot::recorded(known, false, &mut Vec::new())?) } else { None };
    let record = create::record(known, &selected, &tags, memory, boot, &wanted)?;
    let expected = create::expected_pause(known, &selected, memory);
    // The guest is not released: it is ended in this very state.
    let taking = create::taking_steps(known, &tags, memory, pausing, expected)?;
    steps.extend(taking.into_iter().filter(|s| s.act.kind() != StepKind::Release));
    steps.push(step(StepAct::Sync(xensnap::contract::FileRefs {
        paths: create::sync_paths(known, &tags, memory)?,
        extra: Default::default(),
    })));
    steps.push(step(StepAct::Commit(Outcome::new(vec![record]))));
    Ok(())
}

/// The snapshot, unless it is being deleted.
fn usable(snapshot: &Snapshot) -> Result<&Snapshot, HostError> {
    if snapshot.deleting {
        return Err(HostError::new(
            ErrorKind::NoSnapshot,
            format!("snapshot {} is being deleted", snapshot.name),
        ));
    }
    Ok(snapshot)
}

/// Where the snapshot's disks are now: at the domain's present disk of that vdev if its image holds the tag, else at the recorded path; else a refusal naming both.
fn targets(known: &Known<'_>, snapshot: &Snapshot, only: Option<&[Vdev]>) -> Result<Vec<DiskTag>, HostError> {
    for v in only.into_iter().flatten() {
        if !snapshot.disks.iter().any(|d| d.vdev == *v) {
            let held: Vec<&str> = snapshot.disks.iter().map(|d| d.vdev.as_str()).collect();
            return Err(HostError::new(
                ErrorKind::NoDisk,
                format!("snapshot {} holds no disk {v}", snapshot.name),
            )
            .hint(format!("it holds: {}", held.join(", "))));
        }
    }
    let mut found = Vec::new();
    for content in &snapshot.disks {
        if only.is_some_and(|o| !o.contains(&content.vdev)) {
            continue;
        }
        let holds =
            |d: &&DiskFacts| d.image.as_ref().is_ok_and(|i| i.tags.iter().any(|t| t == content.tag.as_str()));
        let at_vdev = known.facts.disks.iter().find(|d| d.disk.vdev == content.vdev);
        let at_path =
            known.recorded.iter().find(|d| d.disk.path == content.path && d.disk.vdev == content.vdev);
        let place = at_vdev.filter(holds).or_else(|| at_path.filter(holds));
        let Some(place) = place else { return Err(lost(known, snapshot, content, at_vdev, at_path)) };
        let mut tag = disks::recorded(content);
        tag.path = place.disk.path.clone();
        if let Ok(image) = &place.image {
            tag.file = xensnap::contract::FileId::new(image.file.clone())
                .map_err(|e| HostError::new(ErrorKind::Internal, format!("file id: {e}")))?;
        }
        found.push(tag);
    }
    Ok(found)
}

fn lost(
    known: &Known<'_>,
    snapshot: &Snapshot,
    content: &xensnap::contract::DiskContent,
    at_vdev: Option<&DiskFacts>,
    at_path: Option<&DiskFacts>,
) -> HostError {
    let say = |d: Option<&DiskFacts>| match d {
        None => "no such disk".to_owned(),
        Some(d) => match &d.image {
            Ok(_) => format!("{} has not the tag", d.disk.path),
            Err(why) => why.clone(),
        },
    };
    HostError::new(
        ErrorKind::Changed,
        format!(
            "snapshot {}: disk {} is not to be found: now at the vdev: {}; recorded: {}",
            snapshot.name,
            content.vdev,
            say(at_vdev),
            at_path.map_or_else(|| content.path.to_string(), |d| say(Some(d))),
        ),
    )
    .hint(format!(
        "put the image that holds tag {} back at {} (domain {})",
        content.tag, content.path, known.facts.name
    ))
}

/// Disks that the snapshot does not know are left alone, and the requester is told.
fn vm_warnings(known: &Known<'_>, snapshot: &Snapshot) -> Vec<Line> {
    let newer: Vec<&str> = known
        .facts
        .disks
        .iter()
        .filter(|d| !snapshot.disks.iter().any(|s| s.vdev == d.disk.vdev))
        .map(|d| d.disk.vdev.as_str())
        .collect();
    if newer.is_empty() {
        return Vec::new();
    }
    vec![Line::lossy(&format!("not in the snapshot, left as they are: {}", newer.join(", ")))]
}

/// A memory image can be read by the version that wrote it and by newer ones.
fn check_writer(known: &Known<'_>, wrote: &str, warnings: &mut Vec<Line>) -> Result<(), HostError> {
    let Some(now) = known.facts.reader.as_deref() else { return Ok(()) };
    let cannot = |how: &str| {
        Err(HostError::new(
            ErrorKind::Changed,
            format!("the memory image was written by {wrote}, {how} than {now} here"),
        )
        .hint("--disks-only reverts the disks and boots the domain"))
    };
    match (version(wrote), version(now)) {
        (Some(w), Some(n)) if w > n => cannot("newer"),
        // Xen promises to read what the release before has written, and no older one (docs/process: migration is supported from N to N+1).
        (Some(w), Some(n)) if known.facts.driver == DriverKind::Xen && (w.0 != n.0 || w.1 + 1 < n.1) => {
            cannot("more than one release older")
        }
        _ if wrote != now => {
            warnings.push(Line::lossy(&format!("the memory image was written by {wrote}; here is {now}")));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The first dotted number in a version text, as (major, minor).
pub(super) fn version(text: &str) -> Option<(u32, u32)> {
    text.split(|c: char| !(c.is_ascii_digit() || c == '.')).find_map(|word| {
        let mut parts = word.split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?.parse().ok()?;
        Some((major, minor))
    })
}

/// Refuses a start that cannot succeed, before anything is ended for it.
fn check_start(known: &Known<'_>, start: Option<&Start>) -> Result<(), HostError> {
    let Some(start) = start.filter(|_| known.facts.driver == DriverKind::Xen) else { return Ok(()) };
    if let (None, Err(why)) = (&start.memory, &known.facts.can_boot) {
        return Err(HostError::new(
            ErrorKind::DomainState,
            format!("domain {} could not be started without its memory image: {why}", known.facts.name),
        )
        .hint("--stopped reverts the disks only; start it with xl create then"));
    }
    let name = xen::config::read(start.config.clone())?.config.name;
    if known.facts.other_names.contains(&name) {
        return Err(HostError::new(
            ErrorKind::DomainState,
            format!("another running domain has the name {name}, which this one has in the snapshot"),
        )
        .hint("rename the other one, or end it"));
    }
    Ok(())
}

fn start(config: &RawJson, memory: Option<AbsPath>, state: &FinalState) -> Option<Start> {
    match state {
        FinalState::Stopped => None,
        FinalState::Running | FinalState::Paused => Some(Start {
            config: config.clone(),
            memory,
            paused: *state == FinalState::Paused,
            extra: Default::default(),
        }),
    }
}

/// The recorded config with its disks' images where they are now, and with other boot files, if any.
fn retarget(part: &VmPart, target: &[DiskTag], boot: &[(BootRole, AbsPath)]) -> Result<RawJson, HostError> {
    let unreadable = |e: &dyn std::fmt::Display| {
        HostError::new(ErrorKind::Changed, format!("the recorded config cannot be read: {e}"))
    };
    if xen::config::read(part.config.clone()).is_ok() {
        let disks: Vec<(Vdev, AbsPath)> = target.iter().map(|t| (t.vdev.clone(), t.path.clone())).collect();
        let other = xen::config::with_files(&part.config, &disks, boot)?;
        return Ok(other.unwrap_or_else(|| part.config.clone()));
    }
    let Ok(mut config) = part.config.parse::<QemuConfig>() else { return Ok(part.config.clone()) };
    let mut moved = false;
    for disk in &mut config.disks {
        if let Some(t) = target.iter().find(|t| t.vdev == disk.vdev && t.path != disk.path) {
            disk.path = t.path.clone();
            moved = true;
        }
    }
    if !moved {
        return Ok(part.config.clone());
    }
    RawJson::from_value(&config).map_err(|e| unreadable(&e))
}

/// The domain as the store is to know it after a revert: the recorded config and its disks.
fn domain_after(known: &Known<'_>, config: RawJson, target: &[DiskTag]) -> Domain {
    let disks: Vec<Disk> = match (&known.facts.driver, config.parse::<QemuConfig>()) {
        (DriverKind::Qemu, Ok(c)) => c.disks,
        (DriverKind::Xen, _) => xen::config::read(config.clone()).map(|r| r.config.disks).unwrap_or_default(),
        _ => target
            .iter()
            .map(|t| Disk {
                vdev: t.vdev.clone(),
                path: t.path.clone(),
                format: t.format.clone(),
                read_only: false,
                cdrom: false,
                extra: Default::default(),
            })
            .collect(),
    };
    Domain {
        contract: crate::CONTRACT,
        uuid: known.facts.uuid,
        name: Line::lossy_max(&known.facts.name, Domain::NAME_MAX),
        driver: known.facts.driver.clone(),
        config,
        disks,
        last_seen: known.now,
        current: None,
        diverged: false,
        extra: Default::default(),
    }
}
