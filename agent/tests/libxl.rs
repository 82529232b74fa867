//! `xensnap-libxl` as a program, where there is no Xen: every command says so, in JSON and by its exit code, and touches nothing. What it does with Xen is tried on the
//! lab: `tests/lab/scenarios/libxl.sh`.

#![expect(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use xensnapd::libxl::protocol::{Answer, Created, FailureKind, Hello, Info, from_line};

const UUID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e109";

fn program(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xensnap-libxl")).args(args).stdin(Stdio::null()).output().unwrap()
}

/// True, and says so, where Xen runs: then these tests would act on real domains.
fn on_xen() -> bool {
    let xen = std::fs::read_to_string("/sys/hypervisor/type").is_ok_and(|t| t.trim() == "xen");
    if xen {
        println!("skipped: xensnap-libxl without Xen: this machine runs Xen");
    }
    xen
}

fn refused(output: &Output) -> (Option<i32>, FailureKind, String) {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(text.matches('\n').count(), 1, "one line: {text}");
    let failure = from_line::<Answer<Info>>(&text).unwrap().into_result().unwrap_err();
    (output.status.code(), failure.kind, failure.message)
}

#[test]
fn without_xen_every_command_says_so() {
    if on_xen() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.save");
    std::fs::File::create(&file).unwrap().set_permissions(PermissionsExt::from_mode(0o600)).unwrap();
    let (run, file) = (dir.path().to_str().unwrap(), file.to_str().unwrap());
    let commands: &[&[&str]] = &[
        &["info"],
        &["state", "5", UUID],
        &["config", "5", UUID],
        &["pause", "5", UUID],
        &["unpause", "5", UUID],
        &["resume", "5", UUID],
        &["suspend", "5", UUID, file],
        &["--run", run, "watch", "5", UUID],
        &["--library", "/usr/lib/libxenlight.so.4.99", "info"],
    ];
    for command in commands {
        let (code, kind, message) = refused(&program(command));
        assert_eq!((code, kind), (Some(5), FailureKind::NoXen), "{command:?}");
        assert!(message.contains("dom0"), "{command:?}: {message}");
    }
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["a.save"], "nothing is made");
    assert_eq!(std::fs::metadata(file).unwrap().len(), 0);
}

#[test]
fn a_command_line_that_makes_no_sense_is_exit_code_2() {
    for command in [&[][..], &["state", "5"], &["state", "x", UUID], &["state", "5", "x"], &["fly"]] {
        assert_eq!(program(command).status.code(), Some(2), "{command:?}");
    }
}

#[test]
fn create_reads_its_config_first_and_answers_where_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let (config, answer) = (dir.path().join("c.json"), dir.path().join("answer"));
    let texts = [
        ("{", FailureKind::BadRequest, "EOF"),
        ("{\"domid\": 4, \"config\": {}}", FailureKind::BadRequest, "c_info.name"),
        ("{\"c_info\": {\"name\": \"a\"}}", FailureKind::BadRequest, "c_info.uuid"),
    ];
    for (text, wanted, words) in texts {
        std::fs::File::create(&config).unwrap().write_all(text.as_bytes()).unwrap();
        let output = program(&["create", config.to_str().unwrap(), "--answer", answer.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(output.stdout.is_empty(), "the answer is in the file alone");
        let told = std::fs::read_to_string(&answer).unwrap();
        let failure = from_line::<Answer<Created>>(&told).unwrap().into_result().unwrap_err();
        assert_eq!(failure.kind, wanted, "{text}");
        assert!(failure.message.contains(words), "{failure}");
    }
    let (code, kind, _) = refused(&program(&["create", "/nowhere/c.json"]));
    assert_eq!((code, kind), (Some(1), FailureKind::File));
}

fn connected(socket: &Path) -> UnixStream {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return stream,
            Err(e) if Instant::now() > until => panic!("{e}"),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

#[test]
fn serve_tells_its_one_client_why_it_cannot_and_leaves_no_socket() {
    if on_xen() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let mut serving =
        Command::new(env!("CARGO_BIN_EXE_xensnap-libxl")).arg("serve").arg(&socket).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(connected(&socket)).read_line(&mut line).unwrap();
    let failure = from_line::<Answer<Hello>>(&line).unwrap().into_result().unwrap_err();
    assert_eq!(failure.kind, FailureKind::NoXen);
    assert_eq!(serving.wait().unwrap().code(), Some(5));
    assert!(!socket.exists());

    std::fs::File::create(&socket).unwrap();
    let (code, kind, message) = refused(&program(&["serve", socket.to_str().unwrap()]));
    assert_eq!((code, kind), (Some(1), FailureKind::File), "{message}");
    assert!(socket.exists(), "what is in the way is left there");
}
