//! What the tests share: the program run as a user runs it, and transcripts compared whole.
//!
//! A transcript is what a terminal would show: each command, its output, its error output (lines marked `2|`), its exit code when it is not 0. It is compared
//! with `tests/cli/golden/NAME.txt`; `BLESS=1` writes that file instead.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The program, built beside the test's own executable.
pub(crate) fn program() -> PathBuf {
    let mut dir = std::env::current_exe().unwrap();
    dir.pop();
    if dir.ends_with("deps") {
        dir.pop();
    }
    let program = dir.join("xensnap");
    assert!(program.is_file(), "{} is missing: cargo build -p xensnap-cli", program.display());
    program
}

/// A terminal session: runs commands, keeps the transcript.
pub(crate) struct Terminal {
    arguments: Vec<String>,
    pub(crate) config: PathBuf,
    redactions: Vec<(String, String)>,
    ids: bool,
    text: String,
}

impl Terminal {
    /// For a store and, if there is one, a xenstored. Without one xenstore cannot be reached.
    pub(crate) fn new(store: &Path, xenstore: Option<&Path>) -> Self {
        let nowhere = store.join("no-xenstored");
        let socket = xenstore.unwrap_or(&nowhere);
        let arguments = ["--store", store.to_str().unwrap(), "--xenstore", socket.to_str().unwrap()];
        Self {
            arguments: arguments.map(str::to_owned).to_vec(),
            config: PathBuf::from("/dev/null"),
            redactions: vec![
                (socket.to_str().unwrap().to_owned(), "SOCKET".to_owned()),
                (store.to_str().unwrap().to_owned(), "STORE".to_owned()),
            ],
            ids: false,
            text: String::new(),
        }
    }

    /// Shows `word` wherever `volatile` stands.
    pub(crate) fn redact(&mut self, volatile: impl Into<String>, word: &str) {
        self.redactions.push((volatile.into(), word.to_owned()));
    }

    /// The command, ready to be run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        #[expect(clippy::disallowed_methods, reason = "the program under test")]
        let mut command = Command::new(program());
        command.args(&self.arguments).arg("--config").arg(&self.config).args(arguments);
        command.env_clear().stdin(Stdio::null());
        command
    }

    /// Runs a command into the transcript.
    pub(crate) fn run(&mut self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        self.record(arguments, &output);
        output
    }

    /// Starts a command that is recorded later.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Puts a command and what it printed into the transcript.
    pub(crate) fn record(&mut self, arguments: &[&str], output: &Output) {
        let _ = writeln!(self.text, "$ xensnap {}", shown(arguments));
        self.text.push_str(&String::from_utf8(output.stdout.clone()).unwrap());
        for line in String::from_utf8(output.stderr.clone()).unwrap().lines() {
            let _ = writeln!(self.text, "2| {line}");
        }
        match output.status.code() {
            Some(0) => {}
            Some(code) => drop(writeln!(self.text, "[exit {code}]")),
            None => drop(writeln!(self.text, "[{}]", output.status)),
        }
        self.text.push('\n');
    }

    /// Shows `ID` for every random UUID.
    pub(crate) fn redact_ids(&mut self) {
        self.ids = true;
    }

    /// Compares the transcript with its golden.
    pub(crate) fn golden(self, name: &str) {
        let mut found = if self.ids { without_ids(&self.text) } else { self.text };
        for (volatile, word) in &self.redactions {
            found = found.replace(volatile, word);
        }
        compare(name, &found);
    }
}

/// Compares a text with its golden.
pub(crate) fn compare(name: &str, found: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli/golden").join(format!("{name}.txt"));
    if std::env::var_os("BLESS").is_some() {
        #[expect(clippy::disallowed_methods, reason = "a golden is no data of ours")]
        std::fs::write(&path, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{name}: found\n{found}\nexpected ({}; BLESS=1 rewrites it)\n{expected}",
        path.display()
    );
}

/// The text with `ID` for every random UUID: those of the fixture have one digit all over.
fn without_ids(text: &str) -> String {
    const LENGTH: usize = 36;
    let (mut shown, mut at) = (String::new(), 0);
    while at < text.len() {
        let candidate = text.get(at..at + LENGTH).filter(|piece| piece.contains('-'));
        let is_random = |uuid: &uuid::Uuid| {
            uuid.as_bytes()[0] != uuid.as_bytes()[1] || uuid.as_bytes()[1] != uuid.as_bytes()[2]
        };
        if candidate.and_then(|piece| uuid::Uuid::try_parse(piece).ok()).is_some_and(|uuid| is_random(&uuid))
        {
            shown.push_str("ID");
            at += LENGTH;
        } else {
            let next = text[at..].chars().next().unwrap();
            shown.push(next);
            at += next.len_utf8();
        }
    }
    shown
}

/// Arguments as they would be typed.
fn shown(arguments: &[&str]) -> String {
    let quoted = |argument: &&str| {
        let plain = argument.chars().all(|c| c.is_ascii_alphanumeric() || "-_./,=+:".contains(c));
        if plain && !argument.is_empty() { (*argument).to_owned() } else { format!("'{argument}'") }
    };
    arguments.iter().map(quoted).collect::<Vec<_>>().join(" ")
}
