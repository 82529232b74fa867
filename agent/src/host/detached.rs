//! Processes that outlive the agent: a guard, a domain's QEMU. Restarting the agent never takes them away.
//!
//! ```text
//!   with systemd:  systemd-run --collect (a unit, and so a cgroup, of its own)  -> CMD
//!   without:       xensnapd detach LOG CMD: a session of its own; ends at once, and CMD belongs to init
//! ```

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{ExitCode, Stdio};

use xensnap::contract::ErrorKind;

use super::settings::Settings;
use super::{HostError, Result};

/// Starts a command so that it outlives this process. What it says goes to the end of the log.
///
/// # Errors
/// When it cannot be started. Whether it then lives on is the caller's to see.
pub async fn start(settings: &Settings, unit: &str, log: &Path, command: &[String]) -> Result<()> {
    let (program, args) = if settings.systemd {
        let mut args: Vec<String> = ["--quiet", "--collect", "--service-type=exec"].map(String::from).into();
        args.push(format!("--unit={unit}"));
        // KillMode: what the command starts (helpers of a QEMU) goes with it. LimitNOFILE as QEMU wants it, not as the agent has it.
        for property in ["StandardInput=null", "KillMode=control-group", "LimitNOFILE=65536"] {
            args.push(format!("--property={property}"));
        }
        for stream in ["StandardOutput", "StandardError"] {
            args.push(format!("--property={stream}=append:{}", log.display()));
        }
        ("systemd-run".into(), [args, vec!["--".into()], command.to_vec()].concat())
    } else {
        let head = vec!["detach".into(), log.display().to_string()];
        (settings.exe.clone(), [head, command.to_vec()].concat())
    };
    #[expect(clippy::disallowed_methods, reason = "the host is where processes are started")]
    let mut starter = tokio::process::Command::new(&program);
    starter.args(args).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let failed =
        |words: String| HostError::new(ErrorKind::BackendFailed, format!("cannot start {unit}: {words}"));
    let done = starter.output().await.map_err(|e| failed(format!("{}: {e}", program.display())))?;
    if done.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&done.stderr);
    Err(failed(words.lines().last().map_or_else(|| done.status.to_string(), str::to_owned)))
}

/// `xensnapd detach LOG PROGRAM ARGUMENT..`: starts the program in a session of its own, and ends.
pub fn main(args: &[OsString]) -> ExitCode {
    match detach(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn detach(args: &[OsString]) -> std::io::Result<()> {
    let [log, program, rest @ ..] = args else {
        return Err(std::io::Error::other("usage: xensnapd detach LOG PROGRAM ARGUMENT.."));
    };
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
    // It fails only for the leader of a process group, which a process just started is not.
    rustix::process::setsid()?;
    #[expect(clippy::disallowed_methods, reason = "the host is where processes are started")]
    let mut command = std::process::Command::new(program);
    command.args(rest).current_dir("/").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let started = command.spawn(); // never waited for: it outlives us, and init waits for it
    started.map(drop).map_err(|e| std::io::Error::other(format!("{}: {e}", Path::new(program).display())))
}
