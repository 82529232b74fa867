//! The languages: their packages and harnesses, made; their answers, asked for.

use crate::judge::flat;
use crate::root;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use xenidl::{Backend, Model, backend};

/// Back ends that make no code, and so cannot read.
const NO_CODE: &[&str] = &["json-schema", "jsonschema", "docs", "markdown", "html", "template"];

/// What a language's harness and its build are run with: the first of them that is not there is the reason to skip it.
const TOOLS: &[(&str, &[&str])] = &[
    ("python", &["python3"]),
    ("go", &["go"]),
    ("ocaml", &["ocamlfind"]),
    ("c", &["gcc"]),
    ("typescript", &["node", "tsc"]),
];

/// Seconds that a harness may take for one set of documents.
const ANSWER_MAX: &str = "300";

/// A language with its harness.
pub(crate) struct Language {
    pub(crate) name: String,
    harness: PathBuf,
}

/// What a harness said to a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Read, and written so.
    Ok(String),
    /// Refused, with this message.
    No(String),
    /// Nothing: it ended before, or said something else.
    None(String),
}

/// Every language whose harness can be built here, Rust first. What is skipped is printed with its reason.
pub(crate) fn languages(folder: &Path, contract: &Model, libxl: &Model) -> Vec<Language> {
    let wanted = std::env::var("XENSNAP_MATRIX_LANGS").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split_whitespace().collect();
    let mut langs = Vec::new();
    for backend in backend::all() {
        let lang = backend.lang();
        let build = root().join("tests/matrix").join(short(lang)).join("build");
        if NO_CODE.contains(&lang) || !(wanted.is_empty() || wanted.contains(&lang)) {
            continue;
        }
        if !build.is_file() {
            println!("skipped: matrix of {lang}: it has no tests/matrix/{}/build", short(lang));
            continue;
        }
        match make(&folder.join(lang), &*backend, contract, libxl) {
            Ok(language) => langs.push(language),
            Err(why) => println!("skipped: matrix of {lang}: {why}"),
        }
    }
    assert!(
        langs.first().is_some_and(|l| l.name == "rust"),
        "Rust, which the others are compared with, is first"
    );
    langs
}

/// The folder of its harness.
fn short(lang: &str) -> &str {
    if lang == "typescript" { "ts" } else { lang }
}

/// Packages into `contract` and `libxl` below the folder, the harness into `out`.
fn make(folder: &Path, backend: &dyn Backend, contract: &Model, libxl: &Model) -> Result<Language, String> {
    let lang = backend.lang();
    let tools = TOOLS.iter().find(|(l, _)| *l == lang).map_or(&[][..], |(_, tools)| tools);
    if let Some(tool) = tools.iter().find(|tool| !found(tool)) {
        return Err(format!("no {tool} (tests/setup installs it)"));
    }
    let _ = std::fs::remove_dir_all(folder);
    let (ours, theirs, out) = (folder.join("contract"), folder.join("libxl"), folder.join("out"));
    for (model, folder) in [(contract, &ours), (libxl, &theirs)] {
        let files = backend.generate(model).unwrap_or_else(|d| panic!("{lang}: {d:?}"));
        for (name, text) in files.iter() {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
        }
    }
    std::fs::create_dir_all(&out).unwrap();
    let began = Instant::now();
    let built = Command::new(root().join("tests/matrix").join(short(lang)).join("build"))
        .args([&out, &ours, &theirs])
        .current_dir(root())
        .env("PATH", path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stdout);
    if built.status.code() == Some(3) {
        return Err(said.lines().last().unwrap_or("it cannot be built here").to_owned());
    }
    let err = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "tests/matrix/{lang}/build failed:\n{said}{err}");
    println!("{lang}: harness built in {:.0} s", began.elapsed().as_secs_f32());
    Ok(Language { name: lang.to_owned(), harness: out.join("harness") })
}

/// Where npm's programs are, then what everybody uses.
fn path() -> String {
    let npm = root().join(".cache/npm/node_modules/.bin");
    format!("{}:{}", npm.display(), std::env::var("PATH").unwrap_or_default())
}

fn found(tool: &str) -> bool {
    path().split(':').any(|folder| Path::new(folder).join(tool).exists())
}

impl Language {
    /// The answers to lines, one each.
    pub(crate) fn ask(&self, lines: &[String]) -> Vec<Answer> {
        let mut child = Command::new("timeout")
            .arg(ANSWER_MAX)
            .arg(&self.harness)
            .env("PATH", path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut answers: Vec<Answer> = std::thread::scope(|scope| {
            scope.spawn(move || {
                // One that ends early is found by its missing answers.
                for line in lines {
                    if stdin.write_all(line.as_bytes()).and_then(|()| stdin.write_all(b"\n")).is_err() {
                        break;
                    }
                }
            });
            let said = BufReader::new(stdout).split(b'\n').map(|line| answer(&line.unwrap()));
            said.zip(lines).map(|(answer, line)| flat_answer(answer, line)).collect()
        });
        let status = child.wait().unwrap();
        let missing = Answer::None(format!("no answer; the harness ended with {status}"));
        answers.resize(lines.len(), missing);
        answers
    }
}

fn flat_answer(answer: Answer, line: &str) -> Answer {
    match answer {
        Answer::Ok(text) => Answer::Ok(flat(line, &text)),
        other => other,
    }
}

fn answer(line: &[u8]) -> Answer {
    let Ok(line) = std::str::from_utf8(line) else {
        return Answer::None("an answer that is not UTF-8".into());
    };
    match (line.strip_prefix("ok "), line.strip_prefix("no")) {
        (Some(text), _) => Answer::Ok(text.to_owned()),
        (_, Some(message)) => Answer::No(message.trim_start().to_owned()),
        _ => Answer::None(format!("neither ok nor no: {line}")),
    }
}
