//! `qemu-img`, for images that no process has open. The only place that starts it.
//!
//! It reads images that a guest had in its hands: so the format is always given, never probed; the backing file is not opened; memory, processor time and time
//! are limited. Who calls a verb that writes has proved that nobody has the image open (Xen's QEMU takes no lock that qemu-img would notice).

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use tokio::process::Command;
use xensnap::contract::ErrorKind;

use super::HostError;
use super::image::ImageHead;

/// Address space it may take. An image's tables are read in pieces; 256 MiB are seen in use.
const MEMORY_BYTES_MAX: u64 = 2 << 30;
/// Processor time it may take, in seconds: a snapshot of a 400 GiB image took 16.
const CPU_S_MAX: u64 = 600;
/// Time it may take.
const TIME_MAX: Duration = Duration::from_secs(1200);
/// Open files it may have.
const FILES_MAX: u64 = 64;

/// What to do with a snapshot inside an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Take it.
    Create,
    /// Delete it.
    Delete,
    /// Put the image's content back to it.
    Apply,
}

impl Verb {
    fn option(self) -> &'static str {
        match self {
            Self::Create => "-c",
            Self::Delete => "-d",
            Self::Apply => "-a",
        }
    }
}

/// What goes wrong with qemu-img.
#[derive(Debug, thiserror::Error)]
pub enum QemuImgError {
    /// It cannot be started.
    #[error("cannot start {}", program.display())]
    NotStarted {
        /// The program.
        program: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// It failed.
    #[error("qemu-img failed on {}: {words}", image.display())]
    Failed {
        /// The image.
        image: PathBuf,
        /// Its words, the first line.
        words: String,
    },
    /// It took too long and was ended.
    #[error("qemu-img took longer than {} s on {}, and was ended", TIME_MAX.as_secs(), .0.display())]
    TooLong(PathBuf),
    /// It printed what is not JSON.
    #[error("qemu-img's output on {} cannot be read", image.display())]
    Unreadable {
        /// The image.
        image: PathBuf,
        /// Where the reader stopped.
        source: serde_json::Error,
    },
}

impl From<QemuImgError> for HostError {
    fn from(e: QemuImgError) -> Self {
        let mut message = e.to_string();
        if let Some(source) = std::error::Error::source(&e) {
            message = format!("{message}: {source}");
        }
        match e {
            QemuImgError::NotStarted { .. } => Self::new(ErrorKind::BackendFailed, message)
                .hint("install qemu-utils, or name the program in the agent's options"),
            QemuImgError::Failed { .. } if message.contains("No space left on device") => {
                Self::new(ErrorKind::NoSpace, message).hint("make space on the image's file system")
            }
            _ => Self::new(ErrorKind::BackendFailed, message),
        }
    }
}

/// The program.
#[derive(Clone, Debug)]
pub struct QemuImg {
    program: PathBuf,
}

impl QemuImg {
    /// With the program of this name or path.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }

    /// Looks at an image; also one that is in use (without waiting for a lock, and so perhaps in the middle of a change).
    ///
    /// # Errors
    /// When qemu-img fails.
    pub async fn info(&self, image: &Path, format: &str) -> Result<ImageHead, QemuImgError> {
        let out = self.run(image, &["info", "-U", "--output=json", &name(image, format)]).await?;
        let unreadable = |source| QemuImgError::Unreadable { image: image.into(), source };
        serde_json::from_slice::<Value>(&out).map(|info| ImageHead::read(&info)).map_err(unreadable)
    }

    /// Carries out a verb on the snapshot of this tag. qemu-img takes a tag for an id first: the tag must not be a number, and ours never are.
    ///
    /// # Errors
    /// When qemu-img fails.
    pub async fn snapshot(
        &self,
        verb: Verb,
        image: &Path,
        format: &str,
        tag: &str,
    ) -> Result<(), QemuImgError> {
        self.run(image, &["snapshot", "-q", verb.option(), tag, &name(image, format)]).await.map(drop)
    }

    async fn run(&self, image: &Path, args: &[&str]) -> Result<Vec<u8>, QemuImgError> {
        #[expect(clippy::disallowed_methods, reason = "the host is where processes are started")]
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let not_started = |source| QemuImgError::NotStarted { program: self.program.clone(), source };
        let child = command.spawn().map_err(not_started)?;
        if let Some(pid) = child.id().and_then(|p| i32::try_from(p).ok()).and_then(Pid::from_raw) {
            for (resource, max) in
                [(Resource::As, MEMORY_BYTES_MAX), (Resource::Cpu, CPU_S_MAX), (Resource::Nofile, FILES_MAX)]
            {
                // It can only fail when the process has ended already: it is not waited for yet, so the id is its own.
                let _ = prlimit(Some(pid), resource, Rlimit { current: Some(max), maximum: Some(max) });
            }
        }
        let Ok(done) = tokio::time::timeout(TIME_MAX, child.wait_with_output()).await else {
            return Err(QemuImgError::TooLong(image.into())); // dropped, and so killed
        };
        let out = done.map_err(not_started)?;
        if out.status.success() {
            return Ok(out.stdout);
        }
        let words = String::from_utf8_lossy(&out.stderr);
        let first = words.lines().next().unwrap_or_default().trim_start_matches("qemu-img: ");
        let words = if first.is_empty() { out.status.to_string() } else { first.to_owned() };
        Err(QemuImgError::Failed { image: image.into(), words })
    }
}

/// The image as qemu-img is to open it: this format, this file, no backing file. In this form no character of a path means anything.
fn name(image: &Path, format: &str) -> String {
    let mut options =
        json!({"driver": format, "file": {"driver": "file", "filename": image.to_string_lossy()}});
    if let (true, Some(map)) = (format == "qcow2", options.as_object_mut()) {
        map.insert("backing".into(), Value::Null);
    }
    format!("json:{options}")
}
