//! Each language's client, as `xenidl` makes it, against a real xenstored, the real agent and a real guest.
//!
//! ```text
//! schema/*.idl -> back end -> package -> LANG's program (talk, outage) --request--> xenstored --> agent --> guest
//! ```
//! All programs print the same words. A language whose tools are not here is skipped, and that is printed.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test: helpers outside of #[test] functions too"
)]

#[path = "../rig/mod.rs"]
mod rig;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rig::dom0::Dom0;
use rig::guest::GuestSpec;
use rig::xenstored::Kind;
use tempfile::TempDir;
use xenidl::{Source, backend};

/// What `talk NAME` prints.
const TALK: &str = "\
contract 1
done NAME 8 of 8 progress
done NAME-disks
refused name_exists hint
refused no_domain hint
not sent: op.vm_snapshot_delete.domain
plan of web1 with steps
no operation never-sent
acknowledged 1 yes
";

/// Languages whose package has a client.
const LANGS: &[&str] = &["python", "go", "ocaml"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The package of the contract.
fn package(lang: &str, folder: &Path) {
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(root().join("idl/schema")).unwrap().map(|e| e.unwrap().path()).collect();
    names.retain(|p| p.extension().is_some_and(|e| e == "idl"));
    names.sort();
    let sources: Vec<Source> = names
        .iter()
        .map(|p| Source::new(p.display().to_string(), std::fs::read_to_string(p).unwrap()))
        .collect();
    let model = xenidl::compile(&sources).unwrap_or_else(|d| panic!("{}", d.render(&sources)));
    let backends = backend::all();
    let made =
        backends.iter().find(|b| b.lang() == lang).expect("a back end of that language").generate(&model);
    for (name, text) in made.unwrap_or_else(|d| panic!("{}", d.render(&sources))).iter() {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
    }
}

/// The program's command line, and the folder that it lies in; `None` where the language's tools are not here.
fn program(lang: &str) -> Option<(Command, TempDir)> {
    let kept = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let folder = kept.path();
    package(lang, folder);
    let here = root().join("tests/bindings").join(lang);
    let out = Command::new(here.join("build")).arg(folder).output().expect("tests/bindings/LANG/build");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    if out.status.code() == Some(3) {
        println!("skipped: client of {lang}: {}", said.trim());
        return None;
    }
    assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
    Some((Command::new(folder.join("client")), kept))
}

fn talk(kind: Kind) {
    let mut dom0 = Dom0::new(kind);
    let _guest = dom0.guest(GuestSpec::counting("web1"));
    for lang in LANGS {
        let Some((mut program, _folder)) = program(lang) else { continue };
        let out = program.args(["talk", lang]).env("XENSTORED_PATH", dom0.socket()).output().unwrap();
        let err = String::from_utf8_lossy(&out.stderr);
        assert_eq!(String::from_utf8_lossy(&out.stdout), TALK.replace("NAME", lang), "{lang}: {err}");
        assert!(out.status.success(), "{lang}: {err}");
    }
}

#[test]
fn every_client_talks_to_the_agent_over_c_xenstored() {
    talk(Kind::C);
}

#[test]
fn every_client_talks_to_the_agent_over_oxenstored() {
    talk(Kind::Ox);
}

/// The agent is away when the request is sent; xenstored dies, and the request with it: the client sends it again.
#[test]
fn a_request_survives_the_death_of_xenstored() {
    for lang in LANGS {
        let mut dom0 = Dom0::new(Kind::Ox);
        let Some((mut program, _folder)) = program(lang) else { continue };
        dom0.kill_agent();
        let mut child = program
            .arg("outage")
            .env("XENSTORED_PATH", dom0.socket())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        for expected in ["sent\n", "waiting\n"] {
            line.clear();
            out.read_line(&mut line).unwrap();
            assert_eq!(line, expected, "{lang}");
        }
        dom0.daemon.restart();
        dom0.start_agent(&[]);
        line.clear();
        out.read_to_string(&mut line).unwrap();
        assert_eq!(line, "refused no_operation\n", "{lang}");
        assert!(child.wait().unwrap().success(), "{lang}");
    }
}
