//! `xensnap-libxl`: uses the host's libxl on behalf of the agent, in a process of its own. What it takes and answers: `xensnapd::libxl::protocol`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use uuid::Uuid;
use xensnapd::libxl::context::Libxl;
use xensnapd::libxl::protocol::{Answer, Created, Failure, FailureKind, Suspend, Target, Watched, to_line};
use xensnapd::libxl::watch::Monitor;
use xensnapd::libxl::words::say;
use xensnapd::libxl::{lock, serve, verbs, watch, xl_monitor};

/// How often, and after which time each, a new domain's monitor asks for its lock.
const LOCK_TRIES: u32 = 20;
const LOCK_STEP: Duration = Duration::from_millis(500);

/// Uses the host's libxl: looks at, pauses, suspends, resumes, creates and watches domains.
///
/// Prints one line of JSON: {"ok": ..} or {"error": {"kind", "message", ..}}. Exit code: 0 done, 1 failed, 2 makes no sense, 3 another domain or none has that
/// domid, 4 the domain's state does not allow it, 5 no Xen or no usable libxl here.
#[derive(Debug, Parser)]
#[command(name = "xensnap-libxl", version)]
struct Arguments {
    /// The libxl to load, rather than the one that belongs to the running hypervisor.
    #[arg(long, value_name = "FILE")]
    library: Option<PathBuf>,
    /// The agent's folder of run-time files.
    #[arg(long, value_name = "DIR", default_value = "/run/xensnap")]
    run: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What libxl and which Xen there are.
    Info,
    /// What Xen says of a domain.
    State(Of),
    /// A domain's config as it is now.
    Config(Of),
    /// Pauses a domain: one more in Xen's count of pauses.
    Pause(Of),
    /// Takes one from Xen's count of pauses.
    Unpause(Of),
    /// Resumes a suspended domain, also one whose save was killed.
    Resume(Of),
    /// Suspends a domain and writes the file that `xl restore` reads. It stays suspended.
    Suspend {
        #[command(flatten)]
        of: Of,
        /// An empty file of ours, 0600.
        file: PathBuf,
        /// The guest runs on meanwhile, up to the last part.
        #[arg(long)]
        live: bool,
    },
    /// Makes a domain of a config, and goes on as its monitor.
    Create {
        /// A libxl_domain_config as JSON.
        config: PathBuf,
        /// Leaves it paused.
        #[arg(long)]
        paused: bool,
        /// Puts the answer into this file, whole or not at all, rather than to standard output.
        #[arg(long, value_name = "FILE")]
        answer: Option<PathBuf>,
        /// Ends after the creation.
        #[arg(long)]
        no_watch: bool,
    },
    /// Watches a domain as xl's monitor does, where that has ended: acts when the guest ends, by the domain's on_poweroff, on_reboot, on_crash, ..
    Watch(Of),
    /// Serves one client: a request a line, an answer a line.
    Serve {
        /// The socket to make.
        socket: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Of {
    /// Its domid.
    domid: u32,
    /// Its UUID: another domain under that domid is left alone.
    uuid: Uuid,
}

impl Of {
    fn target(&self) -> Target {
        Target { domid: self.domid, uuid: self.uuid }
    }
}

fn main() -> ExitCode {
    let Arguments { library, run, command } = Arguments::parse();
    let open = || Libxl::open(library.as_deref());
    match command {
        Command::Info => answer(open().map(|xl| xensnapd::libxl::toolstack::Toolstack::info(&xl).clone())),
        Command::State(of) => answer(open().and_then(|xl| verbs::state(&xl, of.target()))),
        Command::Config(of) => answer(open().and_then(|xl| verbs::config(&xl, of.target()))),
        Command::Pause(of) => answer(open().and_then(|xl| verbs::pause(&xl, of.target()))),
        Command::Unpause(of) => answer(open().and_then(|xl| verbs::unpause(&xl, of.target()))),
        Command::Resume(of) => answer(open().and_then(|xl| verbs::resume(&xl, of.target()))),
        Command::Suspend { of, file, live } => {
            let request = Suspend { target: of.target(), file, live };
            answer(open().and_then(|xl| verbs::suspend(&xl, &request)))
        }
        Command::Watch(of) => {
            alone();
            answer(open().and_then(|xl| watch::watch(&xl, of.target(), &run, xls)))
        }
        Command::Create { config, paused, answer: to, no_watch } => {
            alone();
            create(open, &run, &config, paused, to.as_deref(), no_watch)
        }
        Command::Serve { socket } => {
            alone();
            serve_one(open, &socket)
        }
    }
}

/// xl's own monitor of a domid.
fn xls(domid: u32) -> Option<u32> {
    xl_monitor::find(Path::new("/proc"), domid)
}

/// A process group of its own, so that it can be ended with what libxl has started, and nobody else's signals reach it.
fn alone() {
    let own = rustix::process::getpid();
    if rustix::process::getpgrp() != own && rustix::process::setsid().is_err() {
        say("this process stays in its process group");
    }
}

fn create(
    open: impl Fn() -> Result<Libxl, Failure>,
    run: &Path,
    config: &Path,
    paused: bool,
    to: Option<&Path>,
    no_watch: bool,
) -> ExitCode {
    let tell = |created: Result<Created, Failure>| match to {
        None => answer(created),
        Some(file) => answer_into(file, created),
    };
    let text = match verbs::read_config(config) {
        Ok(text) => text,
        Err(failure) => return tell(Err(failure)),
    };
    let xl = match open() {
        Ok(xl) => xl,
        Err(failure) => return tell(Err(failure)),
    };
    let mut created = match verbs::create(&xl, &text, paused) {
        Ok(created) => created,
        Err(failure) => return tell(Err(failure)),
    };
    if no_watch {
        return tell(Ok(created));
    }
    let target = created.status.target;
    let mut lock = lock::take(run, target.uuid, target.domid);
    for _ in 0..LOCK_TRIES {
        if !matches!(lock, Ok(None)) {
            break;
        }
        std::thread::sleep(LOCK_STEP); // the monitor of an earlier instance that has not yet seen its end
        lock = lock::take(run, target.uuid, target.domid);
    }
    let lock = match lock {
        Ok(Some(lock)) => lock,
        Ok(None) => {
            say("another process holds this domain's lock: the new instance has no monitor");
            return tell(Ok(created));
        }
        Err(failure) => {
            say(&format!("the new instance has no monitor: {failure}"));
            return tell(Ok(created));
        }
    };
    created.monitor = Some(std::process::id());
    let told = tell(Ok(created));
    if told != ExitCode::SUCCESS {
        return told;
    }
    match Monitor::new(&xl, target, text, lock).run() {
        Ok(Watched { end, domid }) => {
            say(&format!("domid {domid}: {end:?}"));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            say(&failure.message);
            ExitCode::from(failure.kind.exit_code())
        }
    }
}

fn serve_one(open: impl Fn() -> Result<Libxl, Failure>, socket: &Path) -> ExitCode {
    let client = match serve::accept(socket) {
        Ok(client) => client,
        Err(failure) => return answer::<()>(Err(failure)),
    };
    match open() {
        Ok(xl) => {
            serve::serve(xl, &open, &client);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let code = failure.kind.exit_code();
            serve::refuse(&client, failure);
            ExitCode::from(code)
        }
    }
}

/// Prints the answer.
fn answer<T: Serialize>(result: Result<T, Failure>) -> ExitCode {
    let (line, code) = line(result);
    match std::io::stdout().write_all(line.as_bytes()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Puts the answer into a file: whole or not at all. It need not survive a power cut.
fn answer_into<T: Serialize>(file: &Path, result: Result<T, Failure>) -> ExitCode {
    let (line, code) = line(result);
    let new = file.with_extension("new");
    let write = || -> std::io::Result<()> {
        std::fs::File::create(&new)?.write_all(line.as_bytes())?;
        std::fs::rename(&new, file)
    };
    match write() {
        Ok(()) => code,
        Err(e) => {
            say(&format!(
                "the answer cannot be put into {}: {e}; it is: {}",
                file.display(),
                line.trim_end()
            ));
            ExitCode::FAILURE
        }
    }
}

fn line<T: Serialize>(result: Result<T, Failure>) -> (String, ExitCode) {
    let code = result.as_ref().err().map_or(0, |f| f.kind.exit_code());
    match to_line(&Answer::from(result)) {
        Ok(line) => (line, ExitCode::from(code)),
        Err(e) => {
            let failure = Failure::new(FailureKind::Libxl, format!("the answer cannot be written: {e}"));
            (to_line(&Answer::<()>::Error(failure)).unwrap_or_default(), ExitCode::FAILURE)
        }
    }
}
