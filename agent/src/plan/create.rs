//! Plans of the two creates.

use std::time::Duration;

use xensnap::contract::{
    Boot, Consistency, DiskSnapshotCreate, DiskTag, DiskTags, DriverKind, ErrorKind, FileRefs, Line,
    MemoryImage, MemoryMode, MemoryOut, Outcome, Pause, PauseMethod, Plan, Snapshot, SnapshotName,
    SnapshotPart, Step, StepAct, VmPart, VmSnapshotCreate,
};
use xensnap::wire::{AbsPath, Extra};

use super::disks::{self, Selected};
use super::{Known, assemble, boot, step};
use crate::host::{HostError, MemoryAbility, RunState, provider};

/// How memory is saved, once decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    None,
    Live,
    Paused,
}

/// What a snapshot is to be called and to hold.
pub(super) struct Wanted<'a> {
    pub(super) name: Option<&'a SnapshotName>,
    pub(super) description: Option<&'a Line>,
    pub(super) pause_max: Option<Duration>,
}

pub(super) fn vm(known: &Known<'_>, r: &VmSnapshotCreate) -> Result<Plan, HostError> {
    let selected = disks::select(known, r.disks.as_deref(), r.exclude_disks.as_deref())?;
    let memory = memory_way(known, &r.memory)?;
    let wanted =
        Wanted { name: r.name.as_ref(), description: r.description.as_ref(), pause_max: r.pause_max };
    let left_out: Vec<&str> = known
        .facts
        .disks
        .iter()
        .filter(|d| !selected.iter().any(|s| s.facts.disk.vdev == d.disk.vdev))
        .map(|d| d.disk.vdev.as_str())
        .collect();
    let mut warnings = Vec::new();
    let boot = boot::recorded(known, r.keep_boot_files, &mut warnings)?;
    let mut plan = taking(known, &selected, memory, Some(boot), &wanted)?;
    plan.warnings.extend(warnings);
    if !left_out.is_empty() {
        plan.warnings.push(Line::lossy(&format!("not in the snapshot: {}", left_out.join(", "))));
    }
    Ok(plan)
}

pub(super) fn disk(known: &Known<'_>, r: &DiskSnapshotCreate) -> Result<Plan, HostError> {
    let selected = disks::select(known, r.disks.as_deref(), r.exclude_disks.as_deref())?;
    let wanted =
        Wanted { name: r.name.as_ref(), description: r.description.as_ref(), pause_max: r.pause_max };
    taking(known, &selected, Memory::None, None, &wanted)
}

/// Decides how memory is saved; refuses what the domain cannot do.
fn memory_way(known: &Known<'_>, mode: &MemoryMode) -> Result<Memory, HostError> {
    let Some(ability) = &known.facts.memory else { return Ok(Memory::None) };
    let cannot = |why: &str| {
        HostError::new(
            ErrorKind::DomainState,
            format!("the memory of domain {} cannot be saved as asked: {why}", known.facts.name),
        )
        .hint("--memory auto takes the way that works, --memory none leaves memory out")
    };
    match mode {
        MemoryMode::None => Ok(Memory::None),
        MemoryMode::Live => ability.live.as_ref().map(|()| Memory::Live).map_err(|why| cannot(why)),
        MemoryMode::Paused => ability.paused.as_ref().map(|()| Memory::Paused).map_err(|why| cannot(why)),
        // Under Xen the guest pays for a live save with its speed, and memory that changes fast with a long pause all the same: only when it is asked for.
        MemoryMode::Auto if known.facts.driver == DriverKind::Xen => {
            ability.paused.as_ref().map(|()| Memory::Paused).map_err(|why| cannot(why))
        }
        MemoryMode::Auto => match (&ability.live, &ability.paused) {
            (Ok(()), _) => Ok(Memory::Live),
            (_, Ok(())) => Ok(Memory::Paused),
            (_, Err(why)) => Err(cannot(why)),
        },
    }
}

/// The plan that takes one snapshot: of the whole domain when `boot` is there.
fn taking(
    known: &Known<'_>,
    selected: &[Selected<'_>],
    memory: Memory,
    boot: Option<Option<Boot>>,
    wanted: &Wanted<'_>,
) -> Result<Plan, HostError> {
    let vm = boot.is_some();
    let keeping = boot.as_ref().and_then(|b| boot::keeping(b.as_ref()));
    let pausing = must_pause(known, selected.len(), memory)?;
    let tag = disks::tag(if vm { "vm" } else { "disk" }, known.nonce)?;
    let tags = disks::tagged(selected, &tag)?;
    let record = record(known, selected, &tags, memory, boot, wanted)?;
    let expected = expected_pause(known, selected, memory);
    check_pause(known, expected, wanted.pause_max)?;

    let mut paths = sync_paths(known, &tags, memory)?;
    if let Some(StepAct::CopyFiles(copies)) = keeping.as_ref().map(|s| &s.act) {
        paths.extend(copies.files.iter().map(|f| f.to.clone()));
    }
    let steps = keeping.into_iter().chain(taking_steps(known, &tags, memory, pausing, expected)?).collect();
    let mut plan = assemble(known, steps);
    plan.steps.push(step(StepAct::Sync(FileRefs { paths, extra: Default::default() })));
    plan.steps.push(step(StepAct::Commit(Outcome {
        current: vm.then(|| known.operation.clone()),
        diverged: vm.then_some(false),
        ..Outcome::new(vec![record])
    })));
    if let (Some(why), true) =
        (known.facts.memory.as_ref().and_then(|m| m.lacks.as_ref()), memory != Memory::None)
    {
        plan.warnings.push(Line::lossy(why));
    }
    plan.expected_pause = expected;
    plan.space = space(known, selected, memory)?;
    Ok(plan)
}

/// Whether the guest has to be paused for it; refuses states in which nothing can be taken.
pub(super) fn must_pause(known: &Known<'_>, disks: usize, memory: Memory) -> Result<bool, HostError> {
    match known.facts.instance.as_ref().map(|i| i.state) {
        None | Some(RunState::Paused) => Ok(false),
        // A single disk's snapshot is one instant by itself: QEMU serves no request while it takes it.
        Some(RunState::Running) => Ok(disks > 1 || memory != Memory::None),
        Some(state) => Err(unfit(known, state)),
    }
}

/// A state that is neither running nor paused nor stopped.
pub(super) fn unfit(known: &Known<'_>, state: RunState) -> HostError {
    let word = match state {
        RunState::Other(word) => word,
        RunState::Still(word) => {
            return HostError::new(
                ErrorKind::DomainState,
                format!("domain {} is {word}: no snapshot of it can be taken", known.facts.name),
            )
            .hint(
                "revert it to a snapshot that it has (without --snapshot-first), or end it, then ask again",
            );
        }
        _ => "in a state that its hypervisor does not tell",
    };
    HostError::new(
        ErrorKind::DomainState,
        format!("domain {} is {word}: nothing can be done with it now", known.facts.name),
    )
    .hint("wait until it runs, is paused or is gone, then ask again")
}

/// The steps from the memory image's creation to the guest's release.
pub(super) fn taking_steps(
    known: &Known<'_>,
    tags: &[DiskTag],
    memory: Memory,
    pausing: bool,
    expected: Duration,
) -> Result<Vec<Step>, HostError> {
    let mut steps = Vec::new();
    let out = match memory {
        Memory::None => None,
        Memory::Live | Memory::Paused => Some(MemoryOut {
            path: memory_path(known)?,
            ram: known.facts.ram,
            live: memory == Memory::Live,
            extra: Default::default(),
        }),
    };
    if let Some(out) = &out {
        steps.push(step(StepAct::CreateMemoryFile(out.clone())));
    }
    if pausing {
        steps.push(pause(known, expected, memory));
    }
    let disks_create =
        step(StepAct::DisksCreate(DiskTags { disks: tags.to_vec(), extra: Default::default() }));
    if let (DriverKind::Xen, Some(out)) = (&known.facts.driver, &out) {
        // libxl suspends and writes in one go: the disks come after that, and live or not makes no difference here.
        steps.push(step(StepAct::MemoryBegin(out.clone())));
        steps.push(disks_create);
        steps.push(step(StepAct::Release(Extra::default())));
        steps.push(step(StepAct::MemoryComplete(out.clone())));
        return Ok(steps);
    }
    steps.push(disks_create);
    if let Some(out) = &out {
        steps.push(step(StepAct::MemoryBegin(out.clone())));
    }
    if let (Some(out), Memory::Paused) = (&out, memory) {
        steps.push(step(StepAct::MemoryComplete(out.clone())));
    }
    if pausing {
        steps.push(step(StepAct::Release(Extra::default())));
    }
    if let (Some(out), Memory::Live) = (out, memory) {
        steps.push(step(StepAct::MemoryComplete(out)));
    }
    Ok(steps)
}

/// The pause of a running guest.
pub(super) fn pause(known: &Known<'_>, expected: Duration, memory: Memory) -> Step {
    let method = match (&known.facts.driver, memory) {
        (DriverKind::Xen, Memory::None) => PauseMethod::XenPause,
        (DriverKind::Xen, _) => PauseMethod::XenSuspend,
        _ => PauseMethod::Stop,
    };
    let more = match (&method, memory) {
        // The guest is asked to suspend; it runs until it answers. A live save takes the memory several times over.
        (PauseMethod::XenSuspend, Memory::Live) => {
            SUSPEND_ANSWER.saturating_add(writing(known).saturating_mul(20))
        }
        (PauseMethod::XenSuspend, _) => SUSPEND_ANSWER,
        _ => Duration::ZERO,
    };
    let deadline = deadline(known, expected).saturating_add(more);
    step(StepAct::Pause(Pause { deadline, method, extra: Default::default() }))
}

/// How long a guest may take to answer a suspend.
const SUSPEND_ANSWER: Duration = Duration::from_secs(30);

/// How long it takes to write the whole RAM: at 200 MB/s or better.
fn writing(known: &Known<'_>) -> Duration {
    Duration::from_millis(known.facts.ram / 200_000)
}

/// When the guard steps in: far beyond what is expected, since slow storage is no reason to break a snapshot, and soon enough for a guest's own time-outs.
pub(super) fn deadline(known: &Known<'_>, expected: Duration) -> Duration {
    known.limits.pause_grace.saturating_add(expected.saturating_mul(4))
}

/// How long the guest is expected to be paused.
pub(super) fn expected_pause(known: &Known<'_>, selected: &[Selected<'_>], memory: Memory) -> Duration {
    if !matches!(known.facts.instance.as_ref().map(|i| i.state), Some(RunState::Running)) {
        return Duration::ZERO;
    }
    let disks: Vec<&crate::host::DiskFacts> = selected.iter().map(|s| s.facts).collect();
    let disks = provider::expected_pause(&disks);
    match memory {
        Memory::None => disks,
        // Measured on Xen 4.17: the last pages, the devices' state, the disks' transaction and the resume take 0.3-0.9 s whatever the RAM.
        Memory::Live if known.facts.driver == DriverKind::Xen => {
            disks.saturating_add(Duration::from_millis(600))
        }
        // Setting up the write protection and saving the device state; measured 3-5 ms alone, 44-90 ms in the whole order.
        Memory::Live => disks.saturating_add(Duration::from_millis(60)),
        // The whole RAM is written while the guest waits.
        Memory::Paused => disks.saturating_add(writing(known)),
    }
}

fn check_pause(known: &Known<'_>, expected: Duration, asked: Option<Duration>) -> Result<(), HostError> {
    let limit = asked.map_or(known.limits.pause_max, |a| a.min(known.limits.pause_max));
    if expected <= limit {
        return Ok(());
    }
    Err(HostError::new(
        ErrorKind::Limit,
        format!("the guest would be paused for about {expected:.1?}, more than the limit of {limit:.1?}"),
    )
    .hint("fewer disks or snapshots, memory live or left out, or a higher limit (--pause-max, pause_max in the config)"))
}

/// Where the memory image of this operation goes.
fn memory_path(known: &Known<'_>) -> Result<AbsPath, HostError> {
    AbsPath::new(format!("{}/{}/{}.save", known.folder, known.facts.uuid, known.operation.as_str()))
        .map_err(|e| HostError::new(ErrorKind::Internal, format!("memory image: {e}")))
}

pub(super) fn sync_paths(
    known: &Known<'_>,
    tags: &[DiskTag],
    memory: Memory,
) -> Result<Vec<AbsPath>, HostError> {
    let mut paths: Vec<AbsPath> = tags.iter().map(|t| t.path.clone()).collect();
    if memory != Memory::None {
        paths.push(memory_path(known)?);
    }
    Ok(paths)
}

/// What it will take, in bytes; refuses when the memory image would not fit.
fn space(known: &Known<'_>, selected: &[Selected<'_>], memory: Memory) -> Result<u64, HostError> {
    let images = selected.iter().fold(0u64, |sum, s| sum.saturating_add(disks::snapshot_space(s.image)));
    if memory == Memory::None {
        return Ok(images);
    }
    // Device state and the stream's own words come on top of the RAM.
    let image = known.facts.ram.saturating_add(known.facts.ram / 100).saturating_add(32 << 20);
    let needed = image.saturating_add(known.limits.space_left_min);
    if known.facts.memory_free < needed {
        return Err(disks::no_space(
            &format!("memory image in {}", known.folder),
            needed,
            known.facts.memory_free,
        ));
    }
    Ok(images.saturating_add(image))
}

/// The record, but for what is only known at the end (instant, pause, size of the memory image).
pub(super) fn record(
    known: &Known<'_>,
    selected: &[Selected<'_>],
    tags: &[DiskTag],
    memory: Memory,
    boot: Option<Option<Boot>>,
    wanted: &Wanted<'_>,
) -> Result<Snapshot, HostError> {
    if known.snapshots.len() >= known.limits.snapshots_max {
        return Err(HostError::new(
            ErrorKind::Limit,
            format!("domain {} has {} snapshots, the limit", known.facts.name, known.snapshots.len()),
        )
        .hint("delete some, or raise snapshots_max in the config"));
    }
    let tag = match tags.first() {
        Some(t) => t.tag.clone(),
        None => return Err(HostError::new(ErrorKind::Internal, "a snapshot without disks")),
    };
    let part = match boot {
        Some(boot) => SnapshotPart::Vm(vm_part(known, memory, boot)?),
        None => SnapshotPart::Disk(Extra::default()),
    };
    let consistency = match (&known.facts.instance, memory) {
        (None, _) => Consistency::Offline,
        (Some(_), Memory::None) => Consistency::Crash,
        (Some(_), _) => Consistency::Full,
    };
    Ok(Snapshot {
        contract: crate::CONTRACT,
        id: known.operation.clone(),
        name: name(known, wanted.name)?,
        description: wanted.description.cloned(),
        domain: known.facts.uuid,
        domain_name: Line::lossy_max(&known.facts.name, Snapshot::DOMAIN_NAME_MAX),
        parent: known.stored.and_then(|d| d.current.clone()),
        taken_at: known.now,
        pause: Duration::ZERO,
        consistency,
        driver: known.facts.driver.clone(),
        agent: Line::lossy_max(env!("CARGO_PKG_VERSION"), Snapshot::AGENT_MAX),
        disks: disks::contents(selected, &tag)?,
        deleting: false,
        part,
        extra: Default::default(),
    })
}

/// What only a VM snapshot holds; the memory image's size is filled in at the end.
fn vm_part(known: &Known<'_>, memory: Memory, boot: Option<Boot>) -> Result<VmPart, HostError> {
    let image = match (memory, &known.facts.memory) {
        (Memory::None, _) | (_, None) => None,
        (_, Some(ability)) => Some(memory_image(known, ability)?),
    };
    Ok(VmPart { config: known.facts.config.clone(), memory: image, boot, extra: Default::default() })
}

fn memory_image(known: &Known<'_>, ability: &MemoryAbility) -> Result<MemoryImage, HostError> {
    Ok(MemoryImage {
        path: memory_path(known)?,
        size: 0,
        sha256: None,
        ram: ability.ram,
        writer: Line::lossy_max(&ability.writer, MemoryImage::WRITER_MAX),
        extra: Default::default(),
    })
}

/// The snapshot's name: the one asked for if it is free, else the epoch seconds, then `-2`, `-3`.
fn name(known: &Known<'_>, asked: Option<&SnapshotName>) -> Result<SnapshotName, HostError> {
    let taken = |n: &str| known.snapshots.iter().find(|s| s.name.as_str() == n);
    if let Some(asked) = asked {
        return match taken(asked.as_str()) {
            None => Ok(asked.clone()),
            Some(other) => Err(HostError::new(
                ErrorKind::NameExists,
                format!(
                    "domain {} has a snapshot {asked} already, taken {}",
                    known.facts.name, other.taken_at
                ),
            )
            .hint("choose another name, or delete that snapshot first")),
        };
    }
    let seconds = known.now.unix_seconds();
    let mut candidate = seconds.to_string();
    let mut n = 1usize;
    while taken(&candidate).is_some() {
        n += 1;
        candidate = format!("{seconds}-{n}");
    }
    SnapshotName::new(candidate)
        .map_err(|e| HostError::new(ErrorKind::Internal, format!("default name: {e}")))
}
