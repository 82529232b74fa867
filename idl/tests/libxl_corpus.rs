//! What real libxls wrote and read, through the Rust that is generated for their types: `tests/libxl/corpus` for each
//! corpus in the shared reference data, and what `xl list -l` printed.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test that starts commands")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Model of the types, corpus, dialect.
const CORPORA: &[(&str, &str, &str)] = &[
    ("libxl-types-4.17.json", "xen-4.17.7-yajl.fuzz.jsonl.gz", "yajl"),
    ("libxl-types-4.17.json", "xen-4.17.7-yajl.fuzz.jsonl.gz", "lossless"),
    ("libxl-types-4.17.json", "quirks.jsonl", "4.17.7-yajl"),
    ("libxl-types-4.22.json", "xen-4.23-unstable-jsonc.fuzz.jsonl.gz", "jsonc"),
    ("libxl-types-4.22.json", "xen-4.23-unstable-jsonc.fuzz.jsonl.gz", "lossless"),
    ("libxl-types-4.22.json", "quirks.jsonl", "4.23-yajl"),
    ("libxl-types-4.22.json", "quirks.jsonl", "4.23-jsonc"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("XENSNAP_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    if folder.join("libxl-json").is_dir() && folder.join("libxl-idl").is_dir() {
        return Some(folder);
    }
    println!("skipped: corpora of libxl's JSON: no {}", folder.join("libxl-json").display());
    None
}

fn tmp(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn idl(shared: &Path, model: &str) -> PathBuf {
    let folder = shared.join("libxl-idl");
    let out = Command::new("python3").arg(folder.join("render")).arg(folder.join(model)).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let path = tmp(&format!("{model}.idl"));
    std::fs::File::create(&path).unwrap().write_all(&out.stdout).unwrap();
    path
}

/// Runs the command on a corpus. Returns what it says of the first libxl.
fn corpus(idl: &Path, corpus: &Path, dialect: &str) -> String {
    let out =
        Command::new(root().join("tests/libxl/corpus")).arg(idl).arg(corpus).arg(dialect).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{}\n{said}{}", corpus.display(), String::from_utf8_lossy(&out.stderr));
    said.lines().next().unwrap().to_owned()
}

/// One test, because the generated Rust is compiled once for all corpora of a version.
#[test]
fn every_document_gives_what_libxl_gave() {
    let Some(shared) = shared() else { return };
    for (model, name, dialect) in CORPORA {
        let idl = idl(&shared, model);
        let said = corpus(&idl, &shared.join("libxl-json").join(name), dialect);
        println!("{name}: {said}");
        let cases: usize =
            said.split(": ").nth(1).and_then(|s| s.split(' ').next()).and_then(|n| n.parse().ok()).unwrap();
        assert!(cases > 100, "{said}");
    }
    what_xl_list_l_printed_is_written_back_as_it_was(&shared);
}

fn what_xl_list_l_printed_is_written_back_as_it_was(shared: &Path) {
    let idl = idl(shared, "libxl-types-4.17.json");
    let printed = std::fs::read_to_string(shared.join("libxl-json/xen-4.17.7-yajl/xl_list_l.json")).unwrap();
    let row = serde_json::json!({"type": "xl list -l", "input": printed, "rc": "0", "output": printed});
    let rows = tmp("xl_list_l.jsonl");
    writeln!(std::fs::File::create(&rows).unwrap(), "{row}").unwrap();
    for dialect in ["yajl", "lossless"] {
        let said = corpus(&idl, &rows, dialect);
        assert!(said.contains(": 1 cases, 1 equal"), "{said}");
    }
}
