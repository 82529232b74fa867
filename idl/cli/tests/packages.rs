//! What the back ends make is checked by the tools of its own language: tests/matrix/LANG/check. What is skipped is printed.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test starts scripts")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn check(lang: &str, env: &[(&str, &str)]) {
    let npm = root().join(".cache/npm/node_modules/.bin");
    let path = format!("{}:{}", npm.display(), std::env::var("PATH").unwrap_or_default());
    let out = Command::new(root().join("tests/matrix").join(lang).join("check"))
        .arg(env!("CARGO_BIN_EXE_xenidl"))
        .env("PATH", path)
        .envs(env.iter().copied())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    println!("{said}");
    assert!(out.status.success(), "{said}");
}

#[test]
fn typescript_compiles_under_strict_flags_and_does_what_it_says() {
    check("ts", &[]);
}

#[test]
fn ocaml_compiles_with_every_warning_an_error_and_does_what_it_says() {
    check("ocaml", &[]);
}

#[test]
fn c_compiles_with_every_warning_an_error_and_does_what_it_says_under_sanitizers() {
    check("c", &[]);
}

/// Xen's own types too, where the shared models of them are.
#[test]
fn json_schemas_take_what_the_decoders_take() {
    let shared = std::env::var("XENSNAP_SHARED").unwrap_or_else(|_| "../shared".into());
    let models = root().join(shared).join("libxl-idl");
    let mut idl = String::new();
    if models.join("render").is_file() {
        let out = Command::new("python3")
            .arg(models.join("render"))
            .arg(models.join("libxl-types-4.22.json"))
            .output()
            .unwrap();
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libxl-4.22.idl");
        std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), &out.stdout).unwrap();
        idl = path.display().to_string();
    } else {
        println!("skipped: schemas of Xen 4.22's types: no {}", models.display());
    }
    check("jsonschema", &[("LIBXL_IDL", &idl)]);
}
