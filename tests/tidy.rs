//! What the house asks of its files, as tests: their size, who may use whom, what must not be in them.
#![expect(clippy::unwrap_used, reason = "a test: helpers outside of #[test] functions too")]

use std::fs;
use std::path::{Path, PathBuf};

/// The most lines of a source file.
const LINES_MAX: usize = 620;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder that git would take.
fn files(below: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![root().join(below)];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !matches!(name.as_str(), "target" | ".git" | ".cache") {
                todo.push(path);
            } else if path.is_file() && name != ".git" {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn rust(below: &str) -> Vec<PathBuf> {
    let found: Vec<PathBuf> =
        files(below).into_iter().filter(|p| p.extension().is_some_and(|e| e == "rs")).collect();
    assert!(!found.is_empty(), "no Rust below {below}");
    found
}

fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

#[test]
fn source_files_stay_small_and_begin_with_what_they_are() {
    let mut bad = Vec::new();
    for path in ["src", "idl/src", "idl/cli/src", "idl/runtime/src", "store/src", "agent/src", "cli/src"]
        .into_iter()
        .flat_map(rust)
    {
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().count();
        if lines > LINES_MAX {
            bad.push(format!(
                "{}: {lines} lines, at most {LINES_MAX}: make it a module of several",
                short(&path)
            ));
        }
        if !text.starts_with("//!") {
            bad.push(format!("{}: begin with `//!`: what it is for", short(&path)));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

/// Package, what it must not depend on.
const LAYERS: &[(&str, &[&str])] = &[
    ("idl/Cargo.toml", &["xensnap", "xensnap-store", "xensnapd", "xensnap-cli", "tokio", "serde"]),
    ("idl/cli/Cargo.toml", &["xensnap", "xensnap-store", "xensnapd", "xensnap-cli", "tokio"]),
    (
        "idl/runtime/Cargo.toml",
        &["xensnap", "xensnap-store", "xensnapd", "xensnap-cli", "xenidl", "tokio", "serde"],
    ),
    ("store/Cargo.toml", &["xensnapd", "xensnap-cli", "xenstore-rs", "tokio", "xenidl"]),
    ("agent/Cargo.toml", &["xensnap-cli", "xenidl"]),
    ("cli/Cargo.toml", &["xensnapd", "xenidl", "rusqlite"]),
    ("Cargo.toml", &["xensnap-store", "xensnapd", "xensnap-cli", "rusqlite", "clap"]),
];

#[test]
fn packages_use_only_what_is_below_them() {
    for (manifest, forbidden) in LAYERS {
        let text = fs::read_to_string(root().join(manifest)).unwrap();
        let dependencies = text.split("\n[dependencies]").nth(1).unwrap_or("").split("\n[").next().unwrap();
        for line in dependencies.lines() {
            let name = line.split(['.', ' ', '=']).next().unwrap();
            assert!(!forbidden.contains(&name), "{manifest} must not depend on {name}");
        }
    }
}

/// A word, and the only folders whose sources may have it.
const DOORS: &[(&str, &[&str])] = &[
    ("process::Command", &["agent/src/host/"]),
    ("UnixStream", &["src/xenstore/", "agent/src/host/", "agent/src/libxl/"]),
    ("rusqlite", &["store/src/"]),
    ("SystemTime::now", &["src/wire/"]),
];

#[test]
fn the_world_is_touched_through_its_doors_only() {
    for path in ["src", "store/src", "agent/src", "cli/src"].into_iter().flat_map(rust) {
        let name = short(&path);
        let text = fs::read_to_string(&path).unwrap();
        for (word, doors) in DOORS {
            let used = text.lines().any(|l| l.contains(word) && !l.trim_start().starts_with("//"));
            assert!(
                !used || doors.iter().any(|d| name.starts_with(d)),
                "{name} uses {word}; only {doors:?} may"
            );
        }
    }
}

#[test]
fn no_file_knows_this_machine() {
    // Put together here, so that this file does not hold them.
    let words = [
        ["/wo", "rk/"].concat(),
        ["deb.deb", "ian.org"].concat(),
        ["static.crates", ".io"].concat(),
        ["pypi", ".org"].concat(),
    ];
    for path in files(".") {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if path.ends_with("Cargo.lock") {
            continue;
        }
        for word in &words {
            assert!(!text.contains(word.as_str()), "{} names {word}", short(&path));
        }
    }
}

#[test]
fn suppressed_lints_say_why() {
    for path in ["src", "idl/src", "idl/cli/src", "idl/runtime/src", "store/src", "agent/src", "cli/src"]
        .into_iter()
        .flat_map(rust)
    {
        let text = fs::read_to_string(&path).unwrap();
        let allows = text
            .lines()
            .filter(|l| !l.contains('"'))
            .any(|l| l.trim_start().starts_with("#[allow") || l.trim_start().starts_with("#![allow"));
        assert!(!allows, "{}: use #[expect(lint, reason = \"..\")]", short(&path));
    }
}
