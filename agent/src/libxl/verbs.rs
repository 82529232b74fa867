//! The verbs: each checks that the domid still is that domain, does one thing, and looks at what Xen says afterwards. Return codes are for the error's text only.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Instant;

use super::protocol::{
    Config, Created, Failure, FailureKind, Resumed, RunState, Status, Suspend, Suspended, Target,
};
use super::toolstack::Toolstack;
use super::{decide, savefile, status};

/// The longest config file that is read, in bytes.
const CONFIG_BYTES_MAX: u64 = 16 << 20;

/// What Xen says of an instance, if it is that domain's.
///
/// # Errors
/// `Gone`, `OtherDomain`.
pub fn state(stack: &impl Toolstack, target: Target) -> Result<Status, Failure> {
    let Target { domid, uuid } = target;
    match stack.look(domid)? {
        None => {
            Err(Failure::new(FailureKind::Gone, format!("domain {uuid} no longer runs as domid {domid}")))
        }
        Some(status) if status.target != target => Err(Failure::new(
            FailureKind::OtherDomain,
            format!("domid {domid} is domain {} now, not {uuid}", status.target.uuid),
        )),
        Some(status) => Ok(status),
    }
}

/// An error with what Xen says of the domain then.
fn seen(stack: &impl Toolstack, target: Target, failure: Failure) -> Failure {
    Failure { status: stack.look(target.domid).ok().flatten().filter(|s| s.target == target), ..failure }
}

fn wrong_state(status: Status, why: &str) -> Failure {
    let words = format!("the domain is {}: {why}", status.state.word().replace('_', " "));
    Failure { status: Some(status), ..Failure::new(FailureKind::WrongState, words) }
}

/// Looks again after an action; an error when the state is not what the action was for. `result` is what libxl said.
fn afterwards(
    stack: &impl Toolstack,
    target: Target,
    result: Result<(), Failure>,
    wanted: impl Fn(&Status) -> bool,
) -> Result<Status, Failure> {
    let status = state(stack, target)?;
    if wanted(&status) {
        return Ok(status);
    }
    let words = format!("libxl reports success, but the domain is {}", status.state.word().replace('_', " "));
    let failure = result.err().unwrap_or_else(|| Failure::new(FailureKind::Libxl, words));
    Err(Failure { status: Some(status), ..failure })
}

/// The domain's config, as it is now.
///
/// # Errors
/// As [`state`], or `Libxl`.
pub fn config(stack: &impl Toolstack, target: Target) -> Result<Config, Failure> {
    state(stack, target)?;
    let text = stack.config(target.domid)?;
    Ok(Config { config: status::one_line(&text)? })
}

/// Pauses: one more in Xen's count.
///
/// # Errors
/// As [`state`]; `WrongState` when the guest does not execute anyway; `Libxl`.
pub fn pause(stack: &impl Toolstack, target: Target) -> Result<Status, Failure> {
    let before = state(stack, target)?;
    if !matches!(before.state, RunState::Running | RunState::Paused) {
        return Err(wrong_state(before, "there is nothing to pause"));
    }
    let result = stack.pause(target.domid);
    if before.paused && result.is_err() {
        // It was paused before, so that the state does not tell whether the count was raised.
        return result.map_err(|f| seen(stack, target, f)).and_then(|()| state(stack, target));
    }
    afterwards(stack, target, result, |s| s.paused)
}

/// Unpauses: one less in Xen's count. It stays paused when others hold it too.
///
/// # Errors
/// As [`state`]; `WrongState` when nobody holds it; `Libxl`.
pub fn unpause(stack: &impl Toolstack, target: Target) -> Result<Status, Failure> {
    let before = state(stack, target)?;
    if !before.paused {
        return Err(wrong_state(before, "nobody has paused it"));
    }
    stack.unpause(target.domid).map_err(|f| seen(stack, target, f))?;
    state(stack, target)
}

/// Resumes from a suspend, also one of a process that was killed. Nothing is done when it is not suspended.
///
/// # Errors
/// As [`state`]; `Libxl` when it is still suspended.
pub fn resume(stack: &impl Toolstack, target: Target) -> Result<Resumed, Failure> {
    let before = state(stack, target)?;
    if before.state != RunState::Suspended {
        return Ok(Resumed { was_suspended: false, status: before });
    }
    let result = stack.resume(target.domid);
    let status = afterwards(stack, target, result, |s| s.state != RunState::Suspended)?;
    Ok(Resumed { was_suspended: true, status })
}

/// Ends it, as a power cut does.
///
/// # Errors
/// As [`state`]; `Libxl` when it is still there.
pub fn destroy(stack: &impl Toolstack, target: Target) -> Result<Target, Failure> {
    state(stack, target)?;
    let result = stack.destroy(target.domid);
    match state(stack, target) {
        Err(gone) if gone.is_gone() => Ok(target),
        Ok(status) => Err(Failure {
            status: Some(status),
            ..result.err().unwrap_or_else(|| {
                Failure::new(FailureKind::Libxl, "libxl reports success, but the domain is still there")
            })
        }),
        Err(other) => Err(other),
    }
}

/// Opens the file that the memory goes to. It must be ours alone: a guest's whole memory is written there.
fn open_target(path: &Path) -> Result<File, Failure> {
    let refuse =
        |why: &str| Failure::new(FailureKind::File, format!("{} cannot be written: {why}", path.display()));
    let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file =
        OpenOptions::new().write(true).custom_flags(flags).open(path).map_err(|e| refuse(&e.to_string()))?;
    let meta = file.metadata().map_err(|e| refuse(&e.to_string()))?;
    if !meta.is_file() || meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & 0o077 != 0 {
        return Err(refuse("it must be a regular file of ours that nobody else may open (0600)"));
    }
    if meta.len() != 0 {
        return Err(refuse("it is not empty; a new file is wanted"));
    }
    Ok(file)
}

/// Suspends and writes the file that `xl restore` reads; see [`Suspend`].
///
/// # Errors
/// As [`state`]; `WrongState`, `File`, `GuestTimeout`, `Libxl`. The failure's status says whether the guest is suspended now.
pub fn suspend(stack: &impl Toolstack, request: &Suspend) -> Result<Suspended, Failure> {
    let target = request.target;
    let before = state(stack, target)?;
    if before.state == RunState::Paused {
        return Err(wrong_state(
            before,
            "a paused guest cannot answer the request to suspend; unpause it first",
        ));
    }
    if before.state != RunState::Running {
        return Err(wrong_state(before, "only a running guest can be saved"));
    }
    let info = stack.info();
    if request.live && !(info.shadow || before.hvm && info.hap) {
        let lacks = if before.hvm { "hap and shadow" } else { "shadow" };
        return Err(Failure {
            status: Some(before),
            ..Failure::new(
                FailureKind::WrongState,
                format!(
                    "Xen cannot follow what this guest writes while it is saved live (virt_caps lacks {lacks}): save it paused"
                ),
            )
        });
    }
    let head = savefile::head(&stack.config(target.domid)?)?;
    let mut file = open_target(&request.file)?;
    let lost = |e: std::io::Error| {
        Failure::new(FailureKind::File, format!("{} cannot be written: {e}", request.file.display()))
    };
    file.write_all(&head).map_err(lost)?;
    let begun = Instant::now();
    stack.suspend(target.domid, &file, request.live).map_err(|f| seen(stack, target, f))?;
    let suspend_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let status = afterwards(stack, target, Ok(()), |s| s.state == RunState::Suspended)?;
    let bytes = file.metadata().map_err(lost)?.len();
    if bytes <= head.len() as u64 {
        let words = format!("libxl reports success, but {} holds no memory", request.file.display());
        return Err(Failure { status: Some(status), ..Failure::new(FailureKind::Libxl, words) });
    }
    Ok(Suspended { bytes, suspend_ms, status })
}

/// Reads a config file for [`create`].
///
/// # Errors
/// `File`, `BadRequest`.
pub fn read_config(path: &Path) -> Result<String, Failure> {
    use std::io::Read;
    let failed =
        |kind, why: &str| Failure::new(kind, format!("{} cannot be used as a config: {why}", path.display()));
    let file = File::open(path).map_err(|e| failed(FailureKind::File, &e.to_string()))?;
    let mut text = String::new();
    file.take(CONFIG_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|e| failed(FailureKind::File, &e.to_string()))?;
    let line = status::one_line(&text).map_err(|e| failed(FailureKind::BadRequest, &e.message))?;
    for field in ["name", "uuid"] {
        if decide::c_info(line.as_str(), field).is_none() {
            let why = format!(
                "it has no c_info.{field}; wanted is a libxl_domain_config as JSON (the `config` of `xl list -l`)"
            );
            return Err(failed(FailureKind::BadRequest, &why));
        }
    }
    Ok(text)
}

/// Makes a domain of a config and lets it run, unless `paused`.
///
/// # Errors
/// `WrongState` when one of that name is there; `Libxl`. Nothing is left after an error of the creation itself.
pub fn create(stack: &impl Toolstack, config: &str, paused: bool) -> Result<Created, Failure> {
    let field = |name| decide::c_info(config, name).unwrap_or_default();
    let (name, uuid) = (field("name"), field("uuid"));
    if let Some(domid) = stack.named(&name)? {
        return Err(Failure::new(
            FailureKind::WrongState,
            format!("a domain named {name} is there already (domid {domid})"),
        ));
    }
    let domid = stack.create(config)?;
    let made = |failure: Failure| Failure {
        message: format!("domain {domid} was made, but {}", failure.message),
        ..failure
    };
    if !paused {
        stack.unpause(domid).map_err(made)?;
    }
    let gone = || {
        Failure::new(FailureKind::Gone, format!("domain {name} was made as domid {domid} and ended at once"))
    };
    let status = stack.look(domid)?.ok_or_else(gone)?;
    if !status.target.uuid.to_string().eq_ignore_ascii_case(&uuid) {
        let words = format!("domid {domid} was to be domain {uuid}, and is {}", status.target.uuid);
        return Err(Failure { status: Some(status), ..Failure::new(FailureKind::Libxl, words) });
    }
    Ok(Created { status, name, monitor: None })
}

#[cfg(test)]
#[path = "verbs_tests.rs"]
mod tests;
