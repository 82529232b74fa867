//! The programs that speak to Xen for us, each call a process of its own: `xensnap-libxl` (the host's libxl), and `xl` where that cannot be had.
//!
//! Their exit codes are not trusted for more than "it said something": what a domain does is read back from Xen. Used by the agent between steps, by the
//! guard and by `release-leftovers`, so nothing here needs an agent.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::time::timeout;
use xensnap::contract::ErrorKind;

use crate::host::{HostError, RunState as Doing};
use crate::libxl::protocol::{
    Answer, Config, Failure, FailureKind, Resumed, RunState, Status, Target, from_line,
};

/// How long an ordinary call may take: a loaded host needs seconds for a process.
pub const CALL_MAX: Duration = Duration::from_secs(30);
/// `xl list -v` shows this code for a domain that has shut down to be suspended (`SHUTDOWN_suspend` in Xen's public/sched.h).
const REASON_SUSPEND: &str = "2";

/// Where the programs are. Kept in pause files, so that whoever releases needs no settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tools {
    /// `xensnap-libxl`.
    pub libxl: PathBuf,
    /// `xl`.
    pub xl: PathBuf,
}

/// What goes wrong with a program.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It cannot be started, or prints nonsense.
    #[error("{program}: {why}")]
    Unusable {
        /// The program.
        program: String,
        /// Why.
        why: String,
    },
    /// It takes too long.
    #[error("{program} has not answered within {} s", .waited.as_secs())]
    TooLong {
        /// The program and what it was to do.
        program: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// It says why not.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl ToolError {
    /// Whether libxl cannot be had on this host: then `xl` has to do.
    pub fn no_libxl(&self) -> bool {
        match self {
            Self::Unusable { .. } => true,
            Self::Failure(f) => matches!(f.kind, FailureKind::NoLibxl | FailureKind::NoXen),
            Self::TooLong { .. } => false,
        }
    }

    /// As an error of the host, about a domain.
    pub fn about(self, domain: &str) -> HostError {
        let kind = match &self {
            Self::Failure(f) => return failed(f, domain),
            Self::Unusable { .. } => ErrorKind::BackendFailed,
            Self::TooLong { .. } => ErrorKind::QmpUnavailable,
        };
        HostError::new(kind, format!("domain {domain}: {self}"))
            .hint("is Xen's toolstack installed and well?")
    }
}

/// A refusal of `xensnap-libxl`, as an error of the host.
pub fn failed(f: &Failure, domain: &str) -> HostError {
    let kind = match f.kind {
        FailureKind::Gone | FailureKind::OtherDomain => return crate::host::link::gone(domain),
        FailureKind::WrongState | FailureKind::GuestTimeout => ErrorKind::DomainState,
        FailureKind::File if f.message.contains("No space left") => ErrorKind::NoSpace,
        _ => ErrorKind::BackendFailed,
    };
    HostError::new(kind, format!("domain {domain}: {}", f.message))
}

/// The state as every driver says it.
pub fn doing(state: RunState) -> Doing {
    match state {
        RunState::Running => Doing::Running,
        RunState::Paused => Doing::Paused,
        RunState::Suspended => Doing::Other("suspended"),
        RunState::PoweredOff | RunState::ShutDown => Doing::Still("shut down"),
        RunState::Rebooting => Doing::Other("rebooting"),
        RunState::Crashed => Doing::Still("crashed"),
        RunState::Watchdog => Doing::Still("stopped by its watchdog"),
        RunState::SoftReset => Doing::Other("in the middle of a soft reset"),
        RunState::Dying => Doing::Other("being ended"),
    }
}

impl Tools {
    /// A one-shot command of `xensnap-libxl`.
    ///
    /// # Errors
    /// See [`ToolError`].
    async fn libxl<T: DeserializeOwned>(
        &self,
        args: &[&str],
        time: Duration,
    ) -> std::result::Result<T, ToolError> {
        let out = run(&self.libxl, args, time).await?;
        let text = String::from_utf8_lossy(&out.stdout);
        let line = text.lines().last().unwrap_or_default();
        match from_line::<Answer<T>>(line) {
            Ok(answer) => Ok(answer.into_result()?),
            Err(_) => {
                Err(ToolError::Unusable { program: self.libxl.display().to_string(), why: words(&out) })
            }
        }
    }

    async fn on<T: DeserializeOwned>(&self, verb: &str, target: Target) -> std::result::Result<T, ToolError> {
        let (domid, uuid) = (target.domid.to_string(), target.uuid.to_string());
        self.libxl(&[verb, &domid, &uuid], CALL_MAX).await
    }

    /// `xl`; returns what it printed.
    ///
    /// # Errors
    /// In its words.
    pub async fn xl(&self, args: &[&str], time: Duration) -> std::result::Result<String, ToolError> {
        let out = run(&self.xl, args, time).await?;
        if out.status.success() {
            return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
        }
        let program = format!("xl {}", args.first().copied().unwrap_or_default());
        Err(ToolError::Unusable { program, why: words(&out) })
    }

    /// What Xen says of an instance; `None` when it is gone, or its domid is another's.
    ///
    /// # Errors
    /// See [`ToolError`].
    pub async fn state(&self, target: Target) -> std::result::Result<Option<Status>, ToolError> {
        match self.on::<Status>("state", target).await {
            Ok(status) => Ok(Some(status)),
            Err(ToolError::Failure(f)) if f.is_gone() => Ok(None),
            Err(e) if e.no_libxl() => self.xl_state(target).await,
            Err(e) => Err(e),
        }
    }

    async fn xl_state(&self, target: Target) -> std::result::Result<Option<Status>, ToolError> {
        match self.xl(&["list", "-v", &target.domid.to_string()], CALL_MAX).await {
            Ok(text) => Ok(text.lines().last().and_then(|line| listed(line, target))),
            Err(ToolError::Unusable { why, .. }) if why.contains("does not exist") => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The domain's config, in libxl's JSON.
    ///
    /// # Errors
    /// See [`ToolError`].
    pub async fn config(&self, target: Target) -> std::result::Result<String, ToolError> {
        match self.on::<Config>("config", target).await {
            Ok(found) => Ok(found.config.as_str().to_owned()),
            Err(e) if e.no_libxl() => {
                let text = self.xl(&["list", "-l", &target.domid.to_string()], CALL_MAX).await?;
                let all: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
                match all.pointer("/0/config") {
                    Some(config) => Ok(config.to_string()),
                    None => {
                        Err(ToolError::Unusable { program: "xl list".into(), why: "no config in it".into() })
                    }
                }
            }
            Err(e) => Err(e),
        }
    }

    /// Pauses it: one more on Xen's count.
    ///
    /// # Errors
    /// See [`ToolError`].
    pub async fn pause(&self, target: Target) -> std::result::Result<(), ToolError> {
        match self.on::<Status>("pause", target).await {
            Err(e) if e.no_libxl() => {
                self.xl(&["pause", &target.domid.to_string()], CALL_MAX).await.map(drop)
            }
            other => other.map(drop),
        }
    }

    /// Takes one from Xen's count of pauses.
    ///
    /// # Errors
    /// See [`ToolError`].
    pub async fn unpause(&self, target: Target) -> std::result::Result<(), ToolError> {
        match self.on::<Status>("unpause", target).await {
            Err(e) if e.no_libxl() => {
                self.xl(&["unpause", &target.domid.to_string()], CALL_MAX).await.map(drop)
            }
            other => other.map(drop),
        }
    }

    /// Resumes it from a suspend; not an error when it is not suspended.
    ///
    /// # Errors
    /// See [`ToolError`]. `xl` can do it from 4.20 on only.
    pub async fn resume(&self, target: Target) -> std::result::Result<(), ToolError> {
        match self.on::<Resumed>("resume", target).await {
            Err(e) if e.no_libxl() => {
                self.xl(&["resume", &target.domid.to_string()], CALL_MAX).await.map(drop)
            }
            other => other.map(drop),
        }
    }
}

/// A line of `xl list -v`: name, domid, MiB, processors, flags, seconds, UUID, reason code of a shutdown, label. A name has no blanks.
fn listed(line: &str, target: Target) -> Option<Status> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, domid, mib, _, flags, seconds, uuid, rest @ ..] = fields.as_slice() else { return None };
    if domid.parse() != Ok(target.domid) || uuid.parse() != Ok(target.uuid) {
        return None;
    }
    let has = |flag| flags.contains(flag);
    let state = match rest.first().copied() {
        _ if has('d') => RunState::Dying,
        _ if has('c') => RunState::Crashed,
        Some(REASON_SUSPEND) if has('s') => RunState::Suspended,
        _ if has('s') => RunState::ShutDown,
        _ if has('p') => RunState::Paused,
        _ => RunState::Running,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of processor time")]
    let cpu_time_ns = (seconds.parse::<f64>().unwrap_or(0.0) * 1e9) as u64;
    Some(Status {
        target,
        state,
        paused: has('p'),
        hvm: false,
        memory_kib: mib.parse::<u64>().unwrap_or(0).saturating_mul(1024),
        cpu_time_ns,
    })
}

/// Runs a program to its end. Its environment is ours to choose: it works on what a guest may have had in its hands.
async fn run(
    program: &std::path::Path,
    args: &[&str],
    time: Duration,
) -> std::result::Result<Output, ToolError> {
    #[expect(clippy::disallowed_methods, reason = "the host is where processes are started")]
    let mut command = Command::new(program);
    command.args(args).current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("PATH", PATH).env("LC_ALL", "C").env_remove("NOTIFY_SOCKET").kill_on_drop(true);
    let shown = || format!("{} {}", program.display(), args.first().copied().unwrap_or_default());
    match timeout(time, command.output()).await {
        Ok(Ok(out)) => Ok(out),
        Ok(Err(e)) => Err(ToolError::Unusable { program: shown(), why: e.to_string() }),
        Err(_) => Err(ToolError::TooLong { program: shown(), waited: time }),
    }
}

/// Where programs are looked for: `xl` is among those of the administrator.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The last thing that a program said on standard error, else how it ended.
fn words(out: &Output) -> String {
    let text = String::from_utf8_lossy(&out.stderr);
    text.lines().rfind(|l| !l.trim().is_empty()).map_or_else(|| out.status.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xl_s_list_tells_a_suspended_guest_from_one_shut_down() {
        let target = Target { domid: 7, uuid: uuid::Uuid::from_u128(0x11) };
        let line = |flags: &str, reason: &str| {
            format!("web   7   128  1  {flags}   12.5 {} {reason}  -", target.uuid)
        };
        for (flags, reason, state) in [
            ("-b----", "-", RunState::Running),
            ("r-----", "-", RunState::Running),
            ("--p---", "-", RunState::Paused),
            ("---ss-", "2", RunState::Suspended),
            ("---s--", "0", RunState::ShutDown),
            ("---sc-", "3", RunState::Crashed),
            ("--psd-", "0", RunState::Dying),
        ] {
            let status = listed(&line(flags, reason), target).unwrap();
            assert_eq!((status.state, status.memory_kib), (state, 128 << 10), "{flags}");
        }
        assert_eq!(listed(&line("r-----", "-"), Target { domid: 8, ..target }), None);
        let other = Target { uuid: uuid::Uuid::from_u128(0x12), ..target };
        assert_eq!(listed(&line("r-----", "-"), other), None, "its domid is another domain's now");
    }
}
