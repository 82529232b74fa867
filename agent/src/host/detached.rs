//! Processes that outlive the agent: a guard, a domain's QEMU. Restarting the agent never takes them away.
//!
//! ```text
//!   with systemd:  systemd-run --collect (a unit, and so a cgroup, of its own)  -> CMD
//!   without:       xensnapd detach LOG CMD: a session of its own; ends at once, and CMD belongs to init
//! ```

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::{Instant, sleep};
use xensnap::contract::ErrorKind;

use super::settings::Settings;
use super::{HostError, Result, files};

/// Starts a command so that it outlives this process. What it says goes to the end of the log.
///
/// # Errors
/// When it cannot be started. Whether it then lives on is the caller's to see.
pub async fn start(settings: &Settings, unit: &str, log: &Path, command: &[String]) -> Result<()> {
    started(unit, log, starter(settings, unit, log, command, "control-group")).await
}

/// The same for a command that leaves children behind which must go on after it: a domain's QEMU, its monitor.
///
/// # Errors
/// As [`start`].
pub async fn start_parent(settings: &Settings, unit: &str, log: &Path, command: &[String]) -> Result<()> {
    started(unit, log, starter(settings, unit, log, command, "process")).await
}

/// Starts a command that serves at a socket, and connects to it.
///
/// # Errors
/// When it cannot be started, or does not listen within this time.
pub async fn start_server(
    settings: &Settings,
    unit: &str,
    log: &Path,
    command: &[String],
    (socket, time): (&Path, Duration),
) -> Result<UnixStream> {
    start(settings, unit, log, command).await?;
    connected(unit, log, (socket, time)).await
}

/// Connects to a server that was started just now.
///
/// # Errors
/// When it does not listen within this time.
pub async fn connected(unit: &str, log: &Path, (socket, time): (&Path, Duration)) -> Result<UnixStream> {
    let until = Instant::now() + time;
    loop {
        match UnixStream::connect(socket).await {
            Ok(stream) => return Ok(stream),
            Err(_) if Instant::now() < until => sleep(Duration::from_millis(5)).await,
            Err(e) => {
                let message = format!("{unit} does not come up: {e}");
                return Err(
                    HostError::new(ErrorKind::Internal, message).hint(format!("see {}", log.display()))
                );
            }
        }
    }
}

async fn started(unit: &str, log: &Path, (program, args): (PathBuf, Vec<OsString>)) -> Result<()> {
    if let Some(folder) = log.parent() {
        files::private_folder(folder).map_err(|e| files::failed("cannot make the folder", folder, &e))?;
    }
    #[expect(clippy::disallowed_methods, reason = "the host is where processes are started")]
    let mut starter = tokio::process::Command::new(&program);
    starter
        .args(args)
        .env_remove("NOTIFY_SOCKET")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let failed =
        |words: String| HostError::new(ErrorKind::BackendFailed, format!("cannot start {unit}: {words}"));
    let done = starter.output().await.map_err(|e| failed(format!("{}: {e}", program.display())))?;
    if done.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&done.stderr);
    let error = failed(words.lines().last().map_or_else(|| done.status.to_string(), str::to_owned));
    // systemd-run says only that the unit failed; why is in its journal.
    Err(if program.ends_with("systemd-run") {
        error.hint(format!("see journalctl -u {unit}"))
    } else {
        error
    })
}

/// The program that starts it, and its arguments.
fn starter(
    settings: &Settings,
    unit: &str,
    log: &Path,
    command: &[String],
    kills: &str,
) -> (PathBuf, Vec<OsString>) {
    let mut line: Vec<OsString> = Vec::new();
    if settings.systemd {
        line.extend(["--quiet", "--collect", "--service-type=exec"].map(OsString::from));
        line.push(format!("--unit={unit}").into());
        // KillMode: what the command starts goes with it. LimitNOFILE as a QEMU wants it, not as the agent has it.
        line.extend(
            ["StandardInput=null", &format!("KillMode={kills}"), "LimitNOFILE=65536"]
                .map(|p| format!("--property={p}").into()),
        );
        line.extend(
            ["Output", "Error"].map(|s| format!("--property=Standard{s}=append:{}", log.display()).into()),
        );
        line.push("--".into());
        // systemd.service(5): `$` begins a variable in a command line, `$$` is a plain one.
        line.extend(command.iter().map(|word| word.replace('$', "$$").into()));
        ("systemd-run".into(), line)
    } else {
        line.extend(["detach".into(), log.as_os_str().to_owned()]);
        line.extend(command.iter().map(OsString::from));
        (settings.exe.clone(), line)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_systemd_it_becomes_a_unit_of_its_own() {
        let usual = Settings::usual().unwrap();
        let settings = Settings { systemd: true, ..usual.clone() };
        let command = ["/usr/bin/qemu".to_owned(), "-name".into(), "a$b ${HOME}".into()];
        let (program, line) =
            starter(&settings, "xensnap-domain-1", Path::new("/run/xensnap/x.log"), &command, "process");
        let line: Vec<&str> = line.iter().map(|w| w.to_str().unwrap()).collect();
        assert_eq!(program, Path::new("systemd-run"));
        assert!(
            line.contains(&"--unit=xensnap-domain-1")
                && line.contains(&"--property=StandardError=append:/run/xensnap/x.log")
        );
        assert_eq!(line[line.len() - 4..], ["--", "/usr/bin/qemu", "-name", "a$$b $${HOME}"]);
        let (program, plain) =
            starter(&Settings { systemd: false, ..usual.clone() }, "u", Path::new("/l"), &command, "process");
        assert_eq!(program, usual.exe);
        assert_eq!(plain, ["detach", "/l", "/usr/bin/qemu", "-name", "a$b ${HOME}"]);
    }
}
