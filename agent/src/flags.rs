//! The agent's command line: one declarative table. The man page and the package's documents are made from it too.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{Config, ConfigError};

/// Carries out snapshot requests written into xenstore.
#[derive(Debug, Parser)]
#[command(name = "xensnapd", version, about)]
pub struct Args {
    /// The configuration file. Default: /etc/xensnap/xensnapd.toml, which may be missing.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Instead of `store` in the configuration.
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Instead of `run` in the configuration.
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// Instead of `installed` in the configuration.
    #[arg(long, value_name = "FILE")]
    pub installed: Option<PathBuf>,
    /// Instead of `xenstore` in the configuration.
    #[arg(long, value_name = "SOCKET")]
    pub xenstore: Option<PathBuf>,
    /// A helper of the agent, or nothing for the agent itself.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What else the program is.
#[derive(Debug, Subcommand)]
pub enum Command {
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
    /// Waits for a program to run. Started by the agent.
    #[command(hide = true)]
    Ready {
        /// The socket over which it comes.
        socket: PathBuf,
    },
    /// Runs a program to its end and writes down how it ended. Started by the agent.
    #[command(hide = true)]
    Noted(crate::host::xen::noted::Noted),
    /// Releases every guest that an agent has left paused. For the unit's ExecStopPost.
    ReleaseLeftovers,
}

impl Args {
    /// The configuration: its file, then what the command line says instead.
    ///
    /// # Errors
    /// When the file cannot be read or is not understood.
    pub fn configuration(&self) -> Result<Config, ConfigError> {
        let path = self.config.clone().unwrap_or_else(|| "/etc/xensnap/xensnapd.toml".into());
        let mut config = Config::read(&path, self.config.is_none())?;
        if let Some(store) = &self.store {
            config.store.clone_from(store);
        }
        if let Some(run) = &self.run {
            config.run.clone_from(run);
        }
        if let Some(installed) = &self.installed {
            config.installed.clone_from(installed);
        }
        if self.xenstore.is_some() {
            config.xenstore.clone_from(&self.xenstore);
        }
        Ok(config)
    }
}

/// The table itself, for those who document it.
#[must_use]
pub fn command() -> clap::Command {
    Args::command()
}
