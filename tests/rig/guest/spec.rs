//! What a guest is made of, as the contract's `qemu_config`, and the command line that comes of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// The repository's root.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Makes the guest's kernel and initramfs, when they are not there.
pub(super) fn build() {
    let status = Command::new(root().join("tests/rig/guest/build")).status();
    assert!(status.expect("tests/rig/guest/build").success(), "no guest (above); run tests/setup");
}

/// Which QEMU: memory snapshots differ between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QemuVersion {
    /// What the machine has installed (`tests/setup`: 10.0, of bookworm-backports).
    Installed,
    /// Debian 12's 7.2, unpacked into the cache.
    V7_2,
}

impl QemuVersion {
    /// The program that a config names.
    pub(crate) fn binary(self) -> PathBuf {
        match self {
            Self::Installed => PathBuf::from("/usr/bin/qemu-system-x86_64"),
            Self::V7_2 => root().join("tests/rig/guest/qemu72"),
        }
    }

    /// Those that are here, both after `tests/setup`. A test over all of them prints what it skips.
    pub(crate) fn available() -> Vec<Self> {
        let unpacked = root().join(".cache/qemu72/root/usr/bin/qemu-system-x86_64");
        let mut found = Vec::new();
        for (version, path) in [(Self::Installed, Self::Installed.binary()), (Self::V7_2, unpacked)] {
            if path.exists() {
                found.push(version);
            } else {
                println!("skipped: QEMU {version:?} ({} is missing; run tests/setup)", path.display());
            }
        }
        found
    }
}

/// How a disk's image is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskKind {
    Qcow2,
    /// qcow2 with its data in another file: no internal snapshot is possible.
    Qcow2DataFile,
    Raw,
}

#[derive(Clone, Debug)]
pub(crate) struct DiskSpec {
    pub(crate) vdev: String,
    pub(crate) size_mb: u32,
    pub(crate) kind: DiskKind,
    pub(crate) read_only: bool,
    pub(crate) cdrom: bool,
    /// An image elsewhere, made when missing; `None`: `VDEV.qcow2` (or `.raw`) in the guest's folder.
    pub(crate) image: Option<PathBuf>,
}

impl DiskSpec {
    /// A writable qcow2 of 64 MiB.
    pub(crate) fn qcow2(vdev: &str) -> Self {
        let (vdev, kind) = (vdev.to_owned(), DiskKind::Qcow2);
        Self { vdev, size_mb: 64, kind, read_only: false, cdrom: false, image: None }
    }

    fn format(&self) -> &'static str {
        if self.kind == DiskKind::Raw { "raw" } else { "qcow2" }
    }

    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        self.image.clone().unwrap_or_else(|| dir.join(format!("{}.{}", self.vdev, self.format())))
    }

    /// Makes the image, unless it is there: a guest that is started again finds its disks.
    pub(super) fn create(&self, dir: &Path) {
        let path = self.path(dir);
        if path.exists() {
            return;
        }
        let mut command = Command::new("qemu-img");
        command.args(["create", "-q", "-f", self.format()]);
        if self.kind == DiskKind::Qcow2DataFile {
            command.args(["-o", &format!("data_file={}.data", path.display())]);
        }
        let status = command.arg(&path).arg(format!("{}M", self.size_mb)).status();
        assert!(status.expect("qemu-img: run tests/setup").success(), "qemu-img create {}", path.display());
    }
}

#[derive(Clone, Debug)]
pub(crate) struct GuestSpec {
    pub(crate) name: String,
    pub(crate) uuid: String,
    pub(crate) mem_mb: u32,
    pub(crate) disks: Vec<DiskSpec>,
    /// How much of the RAM carries the pattern that is verified all the time.
    pub(crate) fill_mb: u32,
    pub(crate) qemu: QemuVersion,
    /// More for the kernel's command line: see the head of `init.c`.
    pub(crate) cmdline: String,
    /// `false`: no kernel and paused for ever; real disks and QMP, nothing else.
    pub(crate) kernel: bool,
    /// Whether `Guest::spy` and `Guest::heartbeat` are there to watch it.
    pub(crate) watched: bool,
}

impl GuestSpec {
    /// A guest of 128 MiB that counts on two qcow2 disks, under a new UUID.
    pub(crate) fn counting(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            uuid: fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap().trim().to_owned(),
            mem_mb: 128,
            disks: vec![DiskSpec::qcow2("vda"), DiskSpec::qcow2("vdb")],
            fill_mb: 16,
            qemu: QemuVersion::Installed,
            cmdline: String::new(),
            kernel: true,
            watched: false,
        }
    }

    /// A QEMU that stays paused before its first instruction: what twenty domains on two cores can be.
    pub(crate) fn idle(name: &str) -> Self {
        Self { mem_mb: 16, fill_mb: 0, kernel: false, ..Self::counting(name) }
    }

    /// With this QEMU.
    pub(crate) fn on(mut self, qemu: QemuVersion) -> Self {
        self.qemu = qemu;
        self
    }

    /// With `Guest::spy` and `Guest::heartbeat`.
    pub(crate) fn watched(mut self) -> Self {
        self.watched = true;
        self
    }

    fn args(&self, dir: &Path) -> Vec<String> {
        let at = |name: &str| dir.join(name).display().to_string();
        let cached = |name: &str| root().join(".cache/guest").join(name).display().to_string();
        let mut args: Vec<String> =
            ["-machine", "pc,accel=tcg", "-nodefaults", "-no-user-config", "-no-reboot", "-m"]
                .map(str::to_owned)
                .into();
        args.push(self.mem_mb.to_string());
        if self.kernel {
            let words = format!(
                "console=ttyS0 quiet panic=1 no_timer_check fill_mb={} {}",
                self.fill_mb, self.cmdline
            );
            let beat = if self.watched { " heartbeat=1" } else { "" };
            args.extend(["-kernel".into(), cached("vmlinuz"), "-initrd".into(), cached("initrd.img")]);
            args.extend(["-append".into(), words.trim_end().to_owned() + beat]);
        }
        // append=on: the QEMU that a revert starts goes on with the log, and does not empty it.
        args.extend(["-chardev".into(), format!("file,id=s0,path={},append=on", at("serial.log"))]);
        args.extend(["-serial".into(), "chardev:s0".into()]);
        if self.watched {
            args.extend(["-qmp".into(), format!("unix:{},server=on,wait=off", at("spy"))]);
            args.extend([
                "-chardev".into(),
                format!("socket,id=beat,path={},server=on,wait=off", at("heartbeat")),
            ]);
            args.extend(["-device".into(), "isa-debugcon,iobase=0xe9,chardev=beat".into()]);
        }
        args
    }

    /// The `qemu_config` that the registration names.
    pub(super) fn config(&self, dir: &Path) -> Value {
        let disks: Vec<Value> = self
            .disks
            .iter()
            .map(|disk| {
                json!({"vdev": disk.vdev, "path": disk.path(dir), "format": disk.format(),
                    "read_only": disk.read_only, "cdrom": disk.cdrom})
            })
            .collect();
        json!({"contract": 1, "name": self.name, "uuid": self.uuid, "binary": self.qemu.binary(), "args": self.args(dir),
            "disks": disks, "qmp": dir.join("qmp"), "pidfile": dir.join("pid"), "memory": u64::from(self.mem_mb) << 20})
    }

    /// The command line of the first start. The driver's own must come to the same devices in the same order (PCI slots go by it), or no memory
    /// image could be read back: a revert shows it.
    pub(super) fn command(&self, dir: &Path) -> Vec<String> {
        let plain = |path: PathBuf| path.display().to_string().replace(',', ",,");
        let mut line = vec![self.qemu.binary().display().to_string()];
        line.extend(["-name".into(), self.name.replace(',', ",,"), "-uuid".into(), self.uuid.clone()]);
        line.extend(self.args(dir));
        for disk in &self.disks {
            let (vdev, format, path) = (&disk.vdev, disk.format(), plain(disk.path(dir)));
            let mode = if disk.read_only || disk.cdrom { "on" } else { "off" };
            line.extend([
                "-blockdev".into(),
                format!("driver=file,node-name={vdev}-file,read-only={mode},filename={path}"),
                "-blockdev".into(),
                format!("driver={format},node-name={vdev}-{format},read-only={mode},file={vdev}-file"),
                "-device".into(),
                format!("virtio-blk-pci,drive={vdev}-{format},serial={vdev}"),
            ]);
        }
        line.extend(["-qmp".into(), format!("unix:{},server=on,wait=off", plain(dir.join("qmp")))]);
        line.extend(["-pidfile".into(), dir.join("pid").display().to_string()]);
        line.extend(["-display".into(), "none".into()]);
        if !self.kernel {
            line.push("-S".into());
        }
        line
    }
}
