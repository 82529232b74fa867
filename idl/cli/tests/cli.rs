//! The command: what it prints where, and its exit codes.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test of a command starts it")]

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn xenidl(args: &[&str]) -> Output {
    xenidl_in(&compiler_tests(), args)
}

fn xenidl_in(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xenidl")).args(args).current_dir(folder).output().unwrap()
}

/// An empty folder of a test's own.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn write(path: PathBuf, text: &str) {
    std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
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

#[test]
fn fmt_writes_what_is_laid_out_otherwise_and_names_it() {
    let folder = folder("fmt");
    let golden = |name: &str| std::fs::read_to_string(compiler_tests().join("fmt").join(name)).unwrap();
    write(folder.join("a.idl"), &golden("layout.idl"));
    write(folder.join("b.idl"), &golden("libxl.result"));
    let out = xenidl_in(&folder, &["fmt", "--check", "a.idl", "b.idl"]);
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(1), "a.idl\n"));
    assert_eq!(std::fs::read_to_string(folder.join("a.idl")).unwrap(), golden("layout.idl"), "only named");
    let out = xenidl_in(&folder, &["fmt", "a.idl", "b.idl"]);
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(0), "a.idl\n"));
    assert_eq!(std::fs::read_to_string(folder.join("a.idl")).unwrap(), golden("layout.result"));
    let out = xenidl_in(&folder, &["fmt", "--check", "a.idl", "b.idl"]);
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(0), ""));
    // One file with an error: none is touched.
    write(folder.join("a.idl"), &golden("layout.idl"));
    write(folder.join("c.idl"), "x = (\n");
    let out = xenidl_in(&folder, &["fmt", "a.idl", "c.idl"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).starts_with("error[E011]"), "{}", text(&out.stderr));
    assert_eq!(std::fs::read_to_string(folder.join("a.idl")).unwrap(), golden("layout.idl"));
}

#[test]
fn fmt_reads_stdin() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_xenidl"))
        .args(["fmt", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"hidden( True )").unwrap();
    assert_eq!(text(&child.wait_with_output().unwrap().stdout), "hidden(True)\n");
}

#[test]
fn breaking_changes_are_exit_4_with_the_report_of_the_golden() {
    let golden = std::fs::read_to_string(compiler_tests().join("evolve/contract.result")).unwrap();
    let (before, now) = ("evolve/contract.before.idl", "evolve/contract.now.idl");
    let out = xenidl(&["check", "--against", before, now]);
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(4), golden.as_str()));
    let out = xenidl(&["check", "--against", now, now]);
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(0), "8 types, 8 before; no changes\n"));
    let out = xenidl(&["check", "--against", before, "--surface", "xenstore", "--brief", now]);
    assert_eq!(out.status.code(), Some(4));
    assert!(text(&out.stdout).ends_with("28 changes, 3 of them breaking\nbreaking: xenstore 3\n"));
    let out = xenidl(&["check", "--against", before, "--surface", "cobol", now]);
    assert_eq!(out.status.code(), Some(2));
    let out = xenidl(&["check", "--against", before, "--format", "json", now]);
    assert_eq!(out.status.code(), Some(4));
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(json["breaking"], 24);
    let change = json["changes"].as_array().unwrap().iter().find(|c| c["place"] == "field `must`").unwrap();
    assert_eq!(change["breaks"][0]["surfaces"], serde_json::json!(["json-read"]));
    assert_eq!(change["at"]["file"], now);
    let out = xenidl(&["check", "--against", before, "--format", "github", "--surface", "xenstore", now]);
    assert_eq!(text(&out.stdout).lines().count(), 3);
    assert!(text(&out.stdout).starts_with("::error file=evolve/contract.now.idl,line="));
}

#[test]
fn against_a_revision_sees_files_that_came_and_went() {
    let folder = folder("git");
    let git = |args: &[&str]| {
        let out = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-C"])
            .arg(&folder)
            .args(args)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    };
    git(&["init", "-q"]);
    std::fs::create_dir(folder.join("idl")).unwrap();
    write(folder.join("idl/a.idl"), "a = Struct(\"a\", [(\"x\", uint8)])\n");
    write(folder.join("idl/gone.idl"), "gone = Struct(\"gone\", [(\"z\", string)])\n");
    git(&["add", "."]);
    git(&["commit", "-qm", "one"]);
    std::fs::remove_file(folder.join("idl/gone.idl")).unwrap();
    write(folder.join("idl/a.idl"), "a = Struct(\"a\", [(\"x\", uint16)])\n");
    write(folder.join("idl/b.idl"), "b = Struct(\"b\", [(\"x\", uint8)])\n");
    let out = xenidl_in(&folder, &["check", "--against", "HEAD", "idl/a.idl", "idl/b.idl"]);
    let said = text(&out.stdout);
    assert_eq!(out.status.code(), Some(4), "{said}{}", text(&out.stderr));
    for what in ["field `x`: was uint8 and is uint16", "gone\n  ! gone", "new types\n  + b\n"] {
        assert!(said.contains(what), "{what}:\n{said}");
    }
    // A part of the folder is a unit of its own.
    let out = xenidl_in(&folder.join("idl"), &["check", "--against", "HEAD", "a.idl"]);
    assert!(!text(&out.stdout).contains("gone"), "{}", text(&out.stdout));
    let out = xenidl_in(&folder, &["check", "--against", "no-such-revision", "idl/a.idl"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).starts_with("xenidl: `no-such-revision` is no file, and no revision"));
}

#[test]
fn a_lock_is_written_and_compared_with() {
    let folder = folder("lock");
    write(folder.join("a.idl"), "a = Struct(\"a\", [(\"x\", uint8)])\n");
    let out = xenidl_in(&folder, &["lock", "a.idl"]);
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(0), "schema.lock\n"));
    write(folder.join("a.idl"), "# Documented.\na = Struct( 'a', [('x', uint8)] )\n");
    assert_eq!(xenidl_in(&folder, &["lock", "--check", "a.idl"]).status.code(), Some(0));
    write(folder.join("a.idl"), "a = Struct(\"a\", [(\"y\", uint8)])\n");
    let out = xenidl_in(&folder, &["lock", "--check", "a.idl"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stdout).contains("! field `x`: gone"), "{}", text(&out.stdout));
    assert!(text(&out.stdout).ends_with("when this is meant: xenidl lock a.idl\n"));
    assert_eq!(xenidl_in(&folder, &["check", "--against", "schema.lock", "a.idl"]).status.code(), Some(4));
    xenidl_in(&folder, &["lock", "a.idl"]);
    assert_eq!(xenidl_in(&folder, &["lock", "--check", "a.idl"]).status.code(), Some(0));
}

#[test]
fn errors_for_machines_go_to_stdout() {
    let file = "fail/unknown_option.idl";
    let out = xenidl(&["check", "--format", "json", file]);
    assert_eq!((out.status.code(), text(&out.stderr)), (Some(1), ""));
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let first = &json["diagnostics"][0];
    assert_eq!((first["code"].as_str(), first["file"].as_str()), (Some("E032"), Some(file)));
    assert_eq!(first["severity"], "error");
    assert!(first["line"].as_u64() > Some(1) && first["help"].as_str().unwrap().contains("did you mean"));
    let out = xenidl(&["check", "--format=github", file]);
    assert_eq!(out.status.code(), Some(1));
    let line = text(&out.stdout).lines().next().unwrap();
    assert!(line.starts_with(&format!("::error file={file},line={}", first["line"])), "{line}");
    assert!(line.contains(",title=E032::") && line.contains("%0Adid you mean"), "{line}");
    let out = xenidl(&["check", "--format", "json", "ui/everything.idl"]);
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(json, serde_json::json!({ "types": 10, "diagnostics": [] }));
}

#[test]
fn lint_is_exit_1_when_it_finds_anything() {
    let golden = std::fs::read_to_string(compiler_tests().join("lint/libxl.result")).unwrap();
    let out = xenidl(&["lint", "lint/libxl.idl"]);
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(text(&out.stdout), format!("{}4 warnings\n", golden.replace("--> ", "--> lint/")));
    let out = xenidl(&["lint", "--allow", "L003,l004", "--allow", "L010", "lint/libxl.idl"]);
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(0), ""));
    assert_eq!(xenidl(&["lint", "--allow", "L999", "lint/libxl.idl"]).status.code(), Some(2));
    let out = xenidl(&["lint", "--format", "github", "lint/libxl.idl"]);
    assert!(text(&out.stdout).starts_with("::warning file=lint/libxl.idl,line=5,"), "{}", text(&out.stdout));
}

#[test]
fn codes_are_listed_and_explained() {
    let out = xenidl(&["codes"]);
    assert!(text(&out.stdout).contains("E012  ") && text(&out.stdout).contains("L003  "));
    let out = xenidl(&["explain", "e012"]);
    assert_eq!(out.status.code(), Some(0));
    assert!(text(&out.stdout).starts_with("E012: A positional argument follows a keyword argument.\n\n"));
    assert!(
        text(&out.stdout).contains("\nWrong:\n\n    disk = ")
            && text(&out.stdout).contains("\nRight:\n\n    disk = ")
    );
    assert_eq!(xenidl(&["explain", "E999"]).status.code(), Some(2));
}

#[test]
fn watch_checks_again_when_a_file_changes() {
    let folder = folder("watch");
    let file = folder.join("a.idl");
    write(file.clone(), "a = Struct(\"a\", [])\n");
    let mut child = Command::new(env!("CARGO_BIN_EXE_xenidl"))
        .args(["watch", "a.idl"])
        .current_dir(&folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    // All up to the line that ends a report.
    let mut report = move || -> String {
        let lines: Vec<String> = lines.by_ref().map(|l| l.unwrap()).take_while(|l| l != "---").collect();
        lines.join("\n")
    };
    assert_eq!(report(), "1 types, no errors");
    write(file.clone(), "a = Struct(\"a\", [],\n");
    // The moment between emptying and writing can be seen as well.
    let mut next = || (0..3).map(|_| report()).find(|r| !r.starts_with("0 types")).unwrap();
    assert!(next().starts_with("error[E011]"));
    write(file, "a = Struct(\"a\", [])\nb = Struct(\"b\", [])\n");
    assert_eq!(next(), "2 types, no errors");
    child.kill().unwrap();
    child.wait().unwrap();
}
