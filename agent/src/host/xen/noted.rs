//! `xensnapd noted ANSWER [--config FILE --image FILE] PROGRAM ARGUMENT..`: runs a program to its end and writes down its exit code, for an agent that may have
//! been restarted meanwhile; that looks for the answer with [`answered`]. With an image, the program reads that from its standard input, with another config in its head.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::host::files;
use crate::host::process::{self, Process};
use crate::libxl::savefile;

/// What to run.
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
pub struct Noted {
    /// The file that takes the exit code.
    pub answer: PathBuf,
    /// A config for the head of the image.
    #[arg(long, requires = "image")]
    pub config: Option<PathBuf>,
    /// A save file of Xen, for the program's standard input.
    #[arg(long, requires = "config")]
    pub image: Option<PathBuf>,
    /// The program and its arguments.
    #[arg(trailing_var_arg = true, required = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

impl Noted {
    /// The command line that does it.
    pub fn command(&self, exe: &Path) -> Vec<String> {
        let text = |path: &Path| path.display().to_string();
        let mut line = vec![text(exe), "noted".into(), text(&self.answer)];
        for (flag, path) in [("--config", &self.config), ("--image", &self.image)] {
            line.extend(path.iter().flat_map(|path| [flag.into(), text(path)]));
        }
        line.push("--".into());
        line.extend(self.command.iter().cloned());
        line
    }
}

/// How long no process of it may be seen before it counts as ended.
const ABSENT_MAX: Duration = Duration::from_secs(3);
/// How often is looked for the answer, and among all processes for who is to write it: the second takes a slow host much of its time.
const POLL: Duration = Duration::from_millis(32);
const SEARCH: Duration = Duration::from_millis(500);

/// Waits until whatever was told to write this answer (`known`, or who shows it among its arguments) has done so; false when it has ended without, or time is up.
pub async fn answered(answer: &Path, known: Option<Process>, until: Instant) -> bool {
    let (mut writer, mut seen) = (known.or_else(|| writer(answer)), Instant::now());
    while !answer.exists() {
        let now = Instant::now();
        match writer {
            Some(process) if process.alive() => seen = now,
            _ if now - seen > ABSENT_MAX || now >= until => return answer.exists(),
            _ => writer = self::writer(answer),
        }
        if now >= until {
            return answer.exists();
        }
        sleep(if writer.is_some() { POLL } else { SEARCH }).await;
    }
    true
}

/// Whether what is to write this answer is there, and has not done so.
pub fn goes_on(answer: &Path, known: Option<Process>) -> bool {
    known.filter(|p| p.alive()).or_else(|| writer(answer)).is_some() && !answer.exists()
}

fn writer(answer: &Path) -> Option<Process> {
    let named = answer.display().to_string();
    process::all().into_iter().find(|p| p.args().contains(&named))
}

/// Runs it.
pub fn main(noted: &Noted) -> ExitCode {
    let code = match run(noted) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("error: {e}");
            127
        }
    };
    match files::write_private(&noted.answer, format!("{code}\n").as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {}: {e}", noted.answer.display());
            ExitCode::FAILURE
        }
    }
}

fn run(noted: &Noted) -> io::Result<i32> {
    let [program, args @ ..] = noted.command.as_slice() else { return Err(io::Error::other("no program")) };
    #[expect(clippy::disallowed_methods, reason = "the host is where processes are started")]
    let mut command = Command::new(program);
    command.args(args).env("PATH", super::tools::PATH);
    let (Some(config), Some(path)) = (&noted.config, &noted.image) else {
        return Ok(code(command.stdin(Stdio::null()).status()?));
    };
    let (head, mut stream) = open(config, path)?;
    let mut child = command.stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends before it has read all says itself why.
        let _ = stdin.write_all(&head).and_then(|()| io::copy(&mut stream, &mut stdin));
    }
    Ok(code(child.wait()?))
}

/// The head with that config, and the image's stream.
fn open(config: &Path, path: &Path) -> io::Result<(Vec<u8>, File)> {
    let head = savefile::head(&std::fs::read_to_string(config)?).map_err(io::Error::other)?;
    let mut file = File::open(path)?;
    savefile::read(&mut file).map_err(io::Error::other)?;
    Ok((head, file))
}

fn code(status: std::process::ExitStatus) -> i32 {
    status.code().unwrap_or(126) // ended by a signal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_the_stream_under_another_head_and_its_code_is_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let write = |name: &str, bytes: &[u8]| File::create(path(name)).unwrap().write_all(bytes).unwrap();
        write("image", &[savefile::head("{\"old\":1}").unwrap(), b"the stream".to_vec()].concat());
        write("config", b"{\"new\":true}");
        let script = format!("cat > {}; exit 3", path("read").display());
        let noted = Noted {
            answer: path("answer"),
            config: Some(path("config")),
            image: Some(path("image")),
            command: ["/bin/sh", "-c", &script].map(str::to_owned).into(),
        };
        assert_eq!(main(&noted), ExitCode::SUCCESS);
        assert_eq!(std::fs::read_to_string(path("answer")).unwrap(), "3\n");
        let read = std::fs::read(path("read")).unwrap();
        assert_eq!(read, [savefile::head("{\"new\":true}").unwrap(), b"the stream".to_vec()].concat());
    }
}
