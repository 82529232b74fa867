//! Where the host finds and keeps things.

use std::path::{Path, PathBuf};

/// What the host is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where memory images go: `/var/lib/xen/snapshots`.
    pub state_dir: PathBuf,
    /// What a reboot may take away: pauses, the guard's socket, configs and logs of started domains. A short path: sockets live below it.
    pub run_dir: PathBuf,
    /// This program, for the processes that outlive it (`guard`, `detach`).
    pub exe: PathBuf,
    /// qemu-img, by name or path.
    pub qemu_img: PathBuf,
    /// Whether systemd runs this host, so that what must outlive the agent goes into units of its own.
    pub systemd: bool,
}

impl Settings {
    /// The usual places.
    ///
    /// # Errors
    /// When this program's own path is not known.
    pub fn usual() -> std::io::Result<Self> {
        Ok(Self {
            state_dir: "/var/lib/xen/snapshots".into(),
            run_dir: "/run/xensnap".into(),
            exe: std::env::current_exe()?,
            qemu_img: "qemu-img".into(),
            // sd_booted(3): this folder exists only when systemd is the init of this boot.
            systemd: Path::new("/run/systemd/system").is_dir(),
        })
    }

    /// Where pauses are kept while they last.
    pub fn pauses(&self) -> PathBuf {
        super::pause::folder(&self.run_dir)
    }

    /// Where configs, marks and logs of started domains are.
    pub fn started(&self) -> PathBuf {
        self.run_dir.join("started")
    }
}
