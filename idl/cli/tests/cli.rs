//! The command: what it prints where, and its exit codes.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test of a command starts it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn xenidl(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xenidl")).args(args).current_dir(compiler_tests()).output().unwrap()
}

/// The compiler's own inputs and goldens.
fn compiler_tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn good_files_are_counted() {
    let out = xenidl(&["check", "ui/everything.idl"]);
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(text(&out.stdout), "10 types, no errors\n");
}

#[test]
fn errors_go_to_stderr_and_exit_1_for_every_verb() {
    let expected = std::fs::read_to_string(compiler_tests().join("fail/unknown_option.result"))
        .unwrap()
        .replace("--> ", "--> fail/");
    let file = "fail/unknown_option.idl";
    for args in
        [&["check", file][..], &["dump", file], &["build", "--lang", "rust", "--out", "/nonexistent", file]]
    {
        let out = xenidl(args);
        assert_eq!((out.status.code(), text(&out.stdout)), (Some(1), ""), "{args:?}");
        assert_eq!(text(&out.stderr), expected);
    }
}

#[test]
fn build_writes_what_the_golden_holds() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("build");
    let out = xenidl(&["build", "--lang", "rust", "--out", folder.to_str().unwrap(), "ui/everything.idl"]);
    assert_eq!(out.status.code(), Some(0));
    let file = folder.join("contract.rs");
    assert_eq!(text(&out.stdout), format!("{}\n", file.display()));
    let golden = compiler_tests().join("ui/everything.rs.result");
    assert_eq!(std::fs::read_to_string(file).unwrap(), std::fs::read_to_string(golden).unwrap());
}

#[test]
fn samples_are_the_same_for_a_seed_and_say_what_is_wrong() {
    let sample = |more: &[&str]| {
        let out = xenidl(
            &[&["sample", "--lines", "--type", "everything"], more, &["ui/libxl_everything.idl"]].concat(),
        );
        assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
        text(&out.stdout).to_owned()
    };
    let three = sample(&["--count", "3", "--seed", "5"]);
    assert_eq!(three, sample(&["--count", "3", "--seed", "5"]));
    assert_ne!(three, sample(&["--count", "3", "--seed", "6"]));
    assert_eq!(three.lines().filter(|l| l.starts_with("everything {")).count(), 3);
    let wrong = sample(&["--refused", "--seed", "2"]);
    assert!(wrong.starts_with("# everything: "), "{wrong}");
    assert_eq!(wrong.lines().count(), 2);
    assert_eq!(xenidl(&["sample", "--type", "nobody", "ui/everything.idl"]).status.code(), Some(2));
}

#[test]
fn wrong_use_is_2_and_unreadable_files_are_3() {
    for args in [&[][..], &["check"], &["chek", "x"], &["build", "ui/everything.idl"]] {
        let out = xenidl(args);
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        assert!(text(&out.stderr).contains("Usage: xenidl"), "{args:?}");
    }
    let out = xenidl(&["build", "--lang", "cobol", "--out", "x", "ui/everything.idl"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).starts_with("xenidl: no back end for `cobol`; there is: "));
    let out = xenidl(&["check", "absent.idl"]);
    assert_eq!(out.status.code(), Some(3));
    assert!(text(&out.stderr).starts_with("xenidl: cannot read absent.idl: "));
}
