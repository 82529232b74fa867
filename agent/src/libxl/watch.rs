//! A domain's monitor where xl's own has ended: what `create_domain` of xl does after the creation (`tools/xl/xl_vmcontrol.c`), for one domain.
//!
//! ```text
//!   another process of ours watches --> end        xl's monitor watches: stand by; it stays --> end
//!                                                                           it ends
//!                                                                             v
//!        +--------------------------------------------------> look: what does Xen say? <------------+
//!        |                                                          |                               |
//!        |     gone, dying, another domain's --> end                +-- lives, suspended -> wait for an event, or LOOK_EVERY
//!        |                                                          +-- has ended: decide(state, config)
//!        |      core dump? -> keep | destroy --> end
//!        +----- restart (destroy, make anew) | rename, make anew | soft reset:    the domid is followed
//! ```
//!
//! An event is only a reason to look: a state that was missed (a guest that ended while it was being resumed) is seen at the next look. A suspend is waited out, as xl
//! does from 4.20 on: somebody saves the domain, and then either destroys or resumes it. A rename changes nothing, as for xl. The monitor ends with the instance, so
//! an instance that somebody else makes of the same domain (`xl restore`, `xl create`) is theirs, under its own domid.

use std::path::Path;
use std::time::Duration;

use uuid::Uuid;
use xensnap::wire::Timestamp;

use super::decide::{Actions, Decision, Deed, c_info, decide, removable};
use super::lock::{self, WatchLock};
use super::protocol::{Failure, FailureKind, RunState, Target, WatchEnd, Watched};
use super::toolstack::{Event, Toolstack};
use super::words::say;

/// How long nothing may be heard before the monitor looks by itself.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How long xl's monitor may take to end after a suspend. The next look comes after `STAND_BY_STEP`.
const STAND_BY: Duration = Duration::from_secs(60);
const STAND_BY_STEP: Duration = Duration::from_millis(500);

/// xl's pause between the end of an instance and the next: "If this sleep is not there then domain re-creation fails sometimes."
const BEFORE_RESTART: Duration = Duration::from_secs(2);
const RESTARTS_MAX: u32 = 3;

/// Where core dumps go: xl's `XEN_DUMP_DIR`.
const DUMP_DIR: &str = "/var/lib/xen/dump";

/// A monitor at work.
pub struct Monitor<'a, T> {
    stack: &'a T,
    target: Target,
    config: String,
    actions: Actions,
    lock: WatchLock,
}

/// Becomes the domain's monitor and stays it until the end. `xls` finds xl's own monitor of a domid.
///
/// # Errors
/// When libxl cannot be used, or a restart failed; the log says what was done until then.
pub fn watch<T: Toolstack>(
    stack: &T,
    target: Target,
    run: &Path,
    xls: impl Fn(u32) -> Option<u32>,
) -> Result<Watched, Failure> {
    let end = |end| Ok(Watched { end, domid: target.domid });
    let Some(lock) = lock::take(run, target.uuid, target.domid)? else {
        say(&format!("domid {}: another process watches it already", target.domid));
        return end(WatchEnd::AlreadyWatched);
    };
    if xl_stays(stack, target.domid, xls) {
        return end(WatchEnd::XlWatches);
    }
    let config = match stack.config(target.domid) {
        Ok(config) => config,
        Err(_) if stack.look(target.domid)?.is_none_or(|s| s.target != target) => return end(WatchEnd::Gone),
        Err(e) => return Err(e),
    };
    Monitor::new(stack, target, config, lock).run()
}

/// Whether xl's monitor watches the domain and goes on to. Where a suspend ends it, it is given time to.
fn xl_stays(stack: &impl Toolstack, domid: u32, xls: impl Fn(u32) -> Option<u32>) -> bool {
    let steps = STAND_BY.as_millis() / STAND_BY_STEP.as_millis();
    for step in 0..=steps {
        match xls(domid) {
            None => return false,
            Some(pid) if step == steps || !stack.info().xl_monitor_ends => {
                say(&format!("domid {domid}: xl's monitor watches it (process {pid})"));
                return true;
            }
            Some(_) => stack.sleep(STAND_BY_STEP),
        }
    }
    false
}

impl<'a, T: Toolstack> Monitor<'a, T> {
    /// A monitor of an instance with this config, as it is known now.
    pub fn new(stack: &'a T, target: Target, config: String, lock: WatchLock) -> Self {
        let actions = Actions::of(&config).unwrap_or_default();
        Self { stack, target, config, actions, lock }
    }

    /// Watches until the domain needs no monitor any more.
    ///
    /// # Errors
    /// As [`watch`].
    pub fn run(mut self) -> Result<Watched, Failure> {
        let name = c_info(&self.config, "name").unwrap_or_default();
        loop {
            say(&format!(
                "waiting for domain {name} (domid {}) to end [pid {}]",
                self.target.domid,
                std::process::id()
            ));
            if let Some(end) = self.instance()? {
                say(&format!("domid {}: {end:?}: the monitor ends", self.target.domid));
                return Ok(Watched { end, domid: self.target.domid });
            }
        }
    }

    /// Watches one instance; `None` when the domain goes on as another.
    fn instance(&mut self) -> Result<Option<WatchEnd>, Failure> {
        let domid = self.target.domid;
        self.stack.watch(domid, &removable(&self.config))?;
        let mut shown = None;
        let Decision { core_dump, deed } = loop {
            let Some(status) = self.stack.look(domid)? else { return Ok(Some(WatchEnd::Gone)) };
            if status.target != self.target {
                return Ok(Some(WatchEnd::OtherDomain));
            }
            let decision = decide(status.state, &self.actions);
            if shown.replace(status.state).is_some_and(|s| s != status.state) || decision.deed != Deed::Wait {
                say(&format!("domid {domid} is {}", status.state.word()));
            }
            match decision.deed {
                Deed::Wait => self.wait(status.state)?,
                Deed::End => return Ok(Some(WatchEnd::Gone)),
                _ => break decision,
            }
        };
        say(&format!("domid {domid}: {deed:?}{}", if core_dump { " after a core dump" } else { "" }));
        if core_dump {
            self.dump();
        }
        match deed {
            Deed::Wait | Deed::End | Deed::Keep => Ok(Some(WatchEnd::Handled)),
            Deed::Destroy => self.destroy().map(|()| Some(WatchEnd::Handled)),
            Deed::Restart => {
                self.reload();
                self.destroy()?;
                self.begin_anew()
            }
            Deed::RenameAndRestart => {
                self.reload();
                let suffix = suffix(Timestamp::now());
                self.stack.preserve(domid, &self.config, &suffix, Uuid::new_v4())?;
                say(&format!("domid {domid} is kept, its name with {suffix} now"));
                self.begin_anew()
            }
            Deed::SoftReset => {
                self.reload();
                let reset =
                    self.stack.soft_reset(domid, &self.config).and_then(|()| self.stack.unpause(domid));
                if let Err(failure) = reset {
                    self.destroy()?; // as xl does: half a domain is of no use
                    return Err(failure);
                }
                Ok(None)
            }
        }
    }

    fn wait(&self, state: RunState) -> Result<(), Failure> {
        match self.stack.wait(LOOK_EVERY)? {
            None => {}
            Some(Event::Other) => self.stack.watch_on()?,
            Some(Event::Ejected(disk)) => {
                // As xl does it: the guest has opened the drive, so what the config says (nothing, then) is inserted.
                say(&format!("domid {}: a disk was ejected while {}", self.target.domid, state.word()));
                if let Err(e) = self.stack.insert(self.target.domid, &disk) {
                    say(&format!("domid {}: {e}", self.target.domid));
                }
            }
        }
        Ok(())
    }

    /// Takes the config as it is now (disks that were attached since, a new name), for the next instance.
    fn reload(&mut self) {
        match self.stack.config(self.target.domid) {
            Ok(config) => self.config = config,
            Err(e) => say(&format!("the config as it was is used again: {e}")),
        }
        self.actions = Actions::of(&self.config).unwrap_or_default();
    }

    fn dump(&self) {
        // A name is the toolstack's, but a path it must not be.
        let name = c_info(&self.config, "name").unwrap_or_default().replace('/', "_");
        let file = format!("{DUMP_DIR}/{name}");
        say(&format!("dumping the memory of domid {} to {file}", self.target.domid));
        if let Err(e) = self.stack.core_dump(self.target.domid, &file) {
            say(&e.to_string()); // no point crying over spilled milk, says xl
        }
    }

    fn destroy(&self) -> Result<(), Failure> {
        let result = self.stack.destroy(self.target.domid);
        match self.stack.look(self.target.domid)? {
            Some(status) if status.target == self.target && status.state != RunState::Dying => {
                let words = format!("domid {} could not be destroyed", self.target.domid);
                Err(result.err().unwrap_or_else(|| Failure::new(FailureKind::Libxl, words)))
            }
            _ => Ok(()),
        }
    }

    /// Makes the next instance, unless somebody else has made one meanwhile.
    fn begin_anew(&mut self) -> Result<Option<WatchEnd>, Failure> {
        let name = c_info(&self.config, "name").unwrap_or_default();
        let mut tried = 0;
        let domid = loop {
            self.stack.sleep(BEFORE_RESTART);
            if let Some(other) = self.stack.named(&name)? {
                say(&format!("{name} runs as domid {other} already, by somebody else"));
                return Ok(Some(WatchEnd::Replaced));
            }
            tried += 1;
            match self.stack.create(&self.config) {
                Ok(domid) => break domid,
                Err(e) if tried == RESTARTS_MAX => return Err(e),
                Err(e) => say(&format!("{name} could not be restarted, trying again: {e}")),
            }
        };
        self.target.domid = domid;
        if let Err(e) = self.lock.note(domid) {
            say(&format!("the lock does not tell the new domid: {e}"));
        }
        self.stack.unpause(domid)?;
        Ok(None)
    }
}

/// What is put behind the name of an instance that is kept: `-20261123T1931Z`, as xl does.
fn suffix(now: Timestamp) -> String {
    let text = now.to_string(); // 2026-11-23T19:31:02.123456789Z
    let digits: String = text.chars().take(16).filter(|c| !matches!(c, '-' | ':')).collect();
    format!("-{digits}Z")
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
