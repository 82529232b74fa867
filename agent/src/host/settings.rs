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
    /// `xensnap-libxl`, by name or path.
    pub libxl: PathBuf,
    /// `xl`, by name or path.
    pub xl: PathBuf,
    /// Whether systemd runs this host, so that what must outlive the agent goes into units of its own.
    pub systemd: bool,
}

/// Where a program of Xen's is: services have short search paths.
fn found(program: &str) -> PathBuf {
    let places = super::xen::tools::PATH.split(':').map(|folder| Path::new(folder).join(program));
    places.into_iter().find(|p| p.exists()).unwrap_or_else(|| program.into())
}

/// xl of the Xen that runs. Debian's own is a script that finds it, a process more each time.
fn xl() -> PathBuf {
    let version = |part: &str| std::fs::read_to_string(format!("/sys/hypervisor/version/{part}")).ok();
    let of_this = version("major").zip(version("minor"));
    let of_this =
        of_this.map(|(a, b)| PathBuf::from(format!("/usr/lib/xen-{}.{}/bin/xl", a.trim(), b.trim())));
    of_this.filter(|path| path.exists()).unwrap_or_else(|| found("xl"))
}

/// Where pauses are kept while they last, below that folder of run-time files.
pub fn pauses(run_dir: &Path) -> PathBuf {
    run_dir.join("pause")
}

impl Settings {
    /// The usual places.
    ///
    /// # Errors
    /// When this program's own path is not known.
    pub fn usual() -> std::io::Result<Self> {
        let exe = std::env::current_exe()?;
        // Beside it where it was built, else where the package puts it.
        let places = [exe.with_file_name("xensnap-libxl"), "/usr/libexec/xensnap/xensnap-libxl".into()];
        Ok(Self {
            state_dir: "/var/lib/xen/snapshots".into(),
            run_dir: "/run/xensnap".into(),
            libxl: places.into_iter().find(|p| p.exists()).unwrap_or_else(|| "xensnap-libxl".into()),
            xl: xl(),
            exe,
            qemu_img: "qemu-img".into(),
            // sd_booted(3): this folder exists only when systemd is the init of this boot.
            systemd: Path::new("/run/systemd/system").is_dir(),
        })
    }

    /// Where pauses are kept while they last.
    pub fn pauses(&self) -> PathBuf {
        pauses(&self.run_dir)
    }
}
