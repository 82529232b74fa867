//! For the tests of the host: the agent's helper processes, and an agent that pauses a guest and then neither ends nor goes on.
//!
//! `guard RUN_DIR SOCKET`, `detach LOG PROGRAM ARG..`, `ready SOCKET`: as `xensnapd` does.
//! `hold RUN_DIR STATE_DIR CONFIG OPERATION DEADLINE_MS`: pauses the domain of that config, prints `paused`, and sleeps.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use xensnap::contract::{Pause, PauseMethod};
use xensnapd::host::nodes::Nodes;
use xensnapd::host::real::RealHost;
use xensnapd::host::settings::Settings;
use xensnapd::host::xen::{noted, ready};
use xensnapd::host::{Host, Result, detached, guard};

/// xenstore with one domain in it.
#[derive(Debug)]
struct One(String);

impl Nodes for One {
    async fn list(&self, path: &str) -> Result<Vec<String>> {
        Ok(if path == "/libxl" { vec!["1".into()] } else { Vec::new() })
    }

    async fn read(&self, path: &str) -> Result<Option<String>> {
        Ok((path == "/libxl/1/xensnap/qemu_config").then(|| self.0.clone()))
    }

    async fn write(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }

    async fn remove(&self, _: &str) -> Result<()> {
        Ok(())
    }
}

async fn hold(args: &[String]) -> Option<()> {
    let [run_dir, state_dir, config, operation, ms] = args else { return None };
    let settings = Settings {
        state_dir: PathBuf::from(state_dir),
        run_dir: PathBuf::from(run_dir),
        systemd: false,
        ..Settings::usual().ok()?
    };
    let host = RealHost::start(Arc::new(One(config.clone())), settings)
        .await
        .inspect_err(|e| eprintln!("{e}"))
        .ok()?;
    let instance = host.instances().await.ok()?.into_iter().next()?;
    let deadline = Duration::from_millis(ms.parse().ok()?);
    let pause = Pause { deadline, method: PauseMethod::Stop, extra: Default::default() };
    host.pause(&operation.parse().ok()?, &instance, &pause).await.inspect_err(|e| eprintln!("{e}")).ok()?;
    println!("paused");
    std::future::pending().await
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["guard", run_dir, socket] => guard::main(Path::new(run_dir), Path::new(socket)),
        ["detach", rest @ ..] => detached::main(&rest.iter().map(OsString::from).collect::<Vec<_>>()),
        ["ready", socket] => ready::main(Path::new(socket)),
        ["noted", answer, rest @ ..] => noted::main(&noted::Noted {
            answer: answer.into(),
            config: None,
            image: None,
            command: rest.iter().skip_while(|a| **a == "--").map(|a| (*a).to_owned()).collect(),
        }),
        ["hold", ..] => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let held = runtime.ok().and_then(|rt| rt.block_on(hold(args.get(1..).unwrap_or_default())));
            if held.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        _ => ExitCode::FAILURE,
    }
}
