//! The agent's program. With no command it is the agent; the commands are its helpers and the backstop that systemd calls.

use std::process::ExitCode;

use clap::Parser;
use xensnapd::flags::{Args, Command};
use xensnapd::{host, log, serve};

fn main() -> ExitCode {
    let args = Args::parse();
    let config = match args.configuration() {
        Ok(config) => config,
        Err(e) => {
            log::error("the configuration cannot be used", &e);
            return ExitCode::from(2);
        }
    };
    match args.command {
        Some(Command::Guard { run_dir, socket }) => host::guard::main(&run_dir, &socket),
        Some(Command::Detach { command }) => host::detached::main(&command),
        Some(Command::Ready { socket }) => host::xen::ready::main(&socket),
        Some(Command::Noted(noted)) => host::xen::noted::main(&noted),
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
