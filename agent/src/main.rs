//! The agent's program. With no command it is the agent; the commands are its helpers and the backstop that systemd calls.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xensnapd::config::Config;
use xensnapd::{host, log, serve};

/// Carries out snapshot requests written into xenstore.
#[derive(Debug, Parser)]
#[command(name = "xensnapd", version, about)]
struct Args {
    /// The configuration file. Default: /etc/xensnap/xensnapd.toml, which may be missing.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Instead of `store` in the configuration.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Instead of `run` in the configuration.
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Instead of `installed` in the configuration.
    #[arg(long, value_name = "FILE")]
    installed: Option<PathBuf>,
    /// Instead of `xenstore` in the configuration.
    #[arg(long, value_name = "SOCKET")]
    xenstore: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The guard: releases paused guests when the agent dies or hangs. Started by the agent.
    #[command(hide = true)]
    Guard {
        /// The agent's folder of run-time files.
        run_dir: PathBuf,
        /// The socket to serve.
        socket: PathBuf,
    },
    /// Starts a program that outlives the agent. Started by the agent.
    #[command(hide = true)]
    Detach {
        /// The program and its arguments.
        #[arg(trailing_var_arg = true, required = true, allow_hyphen_values = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Releases every guest that an agent has left paused. For the unit's ExecStopPost.
    ReleaseLeftovers,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let config = match read(&args) {
        Ok(config) => config,
        Err(e) => {
            log::error("the configuration cannot be used", &e);
            return ExitCode::from(2);
        }
    };
    match args.command {
        Some(Command::Guard { run_dir, socket }) => host::guard::main(&run_dir, &socket),
        Some(Command::Detach { command }) => host::detached::main(&command),
        Some(Command::ReleaseLeftovers) => host::guard::release_all(&config.run),
        None => match serve::serve(&config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                log::error("cannot serve", &e);
                ExitCode::FAILURE
            }
        },
    }
}

fn read(args: &Args) -> Result<Config, xensnapd::config::ConfigError> {
    let path = args.config.clone().unwrap_or_else(|| "/etc/xensnap/xensnapd.toml".into());
    let mut config = Config::read(&path, args.config.is_none())?;
    if let Some(store) = &args.store {
        config.store.clone_from(store);
    }
    if let Some(run) = &args.run {
        config.run.clone_from(run);
    }
    if let Some(installed) = &args.installed {
        config.installed.clone_from(installed);
    }
    if args.xenstore.is_some() {
        config.xenstore.clone_from(&args.xenstore);
    }
    Ok(config)
}
