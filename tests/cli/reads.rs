//! Reads: the store alone, no agent, no xenstore.

use crate::fixture::{Fixture, OTHER_TWIN, TWIN, WEB};
use crate::support::Terminal;
use xensnap::contract::{Domain, JournalEntry, Operation, Snapshot};
use xensnap::wire;

#[test]
fn lists() {
    let fixture = Fixture::new();
    let mut terminal = Terminal::new(fixture.dir(), None);
    terminal.run(&["vm-snapshot-list", "web"]);
    terminal.run(&["vm-snapshot-list", &WEB.to_string()]);
    terminal.run(&["vm-snapshot-list", "--all"]);
    terminal.run(&["disk-snapshot-list", "web"]);
    terminal.run(&["disk-snapshot-list", "--all"]);
    terminal.run(&["disk-snapshot-list", &TWIN.to_string()]);
    terminal.run(&["domain", "list"]);
    terminal.golden("lists");
}

#[test]
fn shows() {
    let fixture = Fixture::new();
    let mut terminal = Terminal::new(fixture.dir(), None);
    terminal.redact(fixture.root().to_str().unwrap(), "ROOT");
    terminal.run(&["vm-snapshot-show", "web", "try-b"]);
    terminal.run(&["vm-snapshot-show", "web", "base-id"]);
    terminal.run(&["disk-snapshot-show", "web", "disks"]);
    terminal.run(&["vm-snapshot-tree", "web"]);
    terminal.run(&["vm-snapshot-tree", &TWIN.to_string()]);
    terminal.golden("shows");
}

#[test]
fn operations_from_the_journal() {
    let fixture = Fixture::new();
    let mut terminal = Terminal::new(fixture.dir(), None);
    terminal.run(&["operation", "list"]);
    terminal.run(&["operation", "list", "--ended", "2"]);
    terminal.run(&["operation", "show", "try-b-id"]);
    terminal.run(&["operation", "show", "open-id"]);
    terminal.run(&["operation", "show", "failed-id"]);
    terminal.run(&["operation", "watch", "try-b-id"]);
    terminal.run(&["operation", "watch", "failed-id"]);
    terminal.golden("operations-from-the-journal");
}

#[test]
fn what_is_not_there() {
    let fixture = Fixture::new();
    let mut terminal = Terminal::new(fixture.dir(), None);
    terminal.run(&["vm-snapshot-list", "nobody"]);
    terminal.run(&["vm-snapshot-list", "7"]);
    terminal.run(&["vm-snapshot-list", "twin"]);
    terminal.run(&["vm-snapshot-list", "99999999-9999-4999-8999-999999999999"]);
    terminal.run(&["vm-snapshot-show", "web", "none"]);
    terminal.run(&["vm-snapshot-show", "web", "disks"]);
    terminal.run(&["disk-snapshot-show", "web", "base"]);
    terminal.run(&["vm-snapshot-tree", "nobody"]);
    terminal.run(&["operation", "show", "none"]);
    terminal.golden("what-is-not-there");
}

#[test]
fn no_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::new(folder.path(), None);
    terminal.run(&["vm-snapshot-list", "web"]);
    terminal.run(&["domain", "list"]);
    terminal.run(&["store", "check"]);
    terminal.run(&["store", "export"]);
    terminal.run(&["operation", "list"]);
    terminal.golden("no-store");
}

#[test]
fn a_store_that_is_no_database() {
    let folder = tempfile::tempdir().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a damaged file")]
    std::fs::write(
        folder.path().join("xensnap.db"),
        "not a database, and long enough to be looked at".repeat(100),
    )
    .unwrap();
    let mut terminal = Terminal::new(folder.path(), None);
    terminal.run(&["vm-snapshot-list", "web"]);
    terminal.golden("a-store-that-is-no-database");
}

/// Each line of a command's output, decoded.
fn documents<T: serde::de::DeserializeOwned + serde::Serialize>(
    terminal: &mut Terminal,
    arguments: &[&str],
) -> Vec<T> {
    let output = terminal.run(arguments);
    assert!(output.status.success(), "{arguments:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let decoded = |line: &str| {
        let document: T = wire::from_str(line).unwrap();
        assert_eq!(wire::to_string(&document).unwrap(), line, "the contract's own bytes");
        document
    };
    text.lines().map(decoded).collect()
}

#[test]
fn json_is_documents_of_the_contract_one_a_line() {
    let fixture = Fixture::new();
    let mut terminal = Terminal::new(fixture.dir(), None);
    let names =
        |all: &[Snapshot]| all.iter().map(|snapshot| snapshot.name.to_string()).collect::<Vec<_>>().join(" ");
    let terminal = &mut terminal;
    assert_eq!(
        names(&documents(terminal, &["--json", "vm-snapshot-list", "web"])),
        "base upgraded try-a try-b"
    );
    assert_eq!(
        names(&documents(terminal, &["vm-snapshot-list", "--all", "--json"])),
        "base upgraded try-a try-b +odd._-name"
    );
    assert_eq!(names(&documents(terminal, &["disk-snapshot-list", "web", "--json"])), "disks");
    assert_eq!(names(&documents(terminal, &["disk-snapshot-list", "--all", "--json"])), "disks");
    assert_eq!(names(&documents(terminal, &["disk-snapshot-list", &OTHER_TWIN.to_string(), "--json"])), "");
    assert_eq!(names(&documents(terminal, &["vm-snapshot-show", "web", "try-a", "--json"])), "try-a");
    assert_eq!(names(&documents(terminal, &["disk-snapshot-show", "web", "disks", "--json"])), "disks");
    assert_eq!(
        names(&documents(terminal, &["vm-snapshot-tree", "web", "--json"])),
        "base upgraded try-a try-b disks"
    );
    assert_eq!(documents::<Domain>(terminal, &["domain", "list", "--json"]).len(), 4);
    assert_eq!(documents::<Operation>(terminal, &["operation", "list", "--json"]).len(), 8);
    assert_eq!(documents::<Operation>(terminal, &["operation", "show", "open-id", "--json"]).len(), 1);
}

/// A terminal whose program finds the store's mark and lock too.
fn terminal_with_config(fixture: &Fixture) -> Terminal {
    let config = fixture.root().join("xensnapd.toml");
    let places =
        format!("run = {:?}\ninstalled = {:?}\nsnapshots_max = 7\n", fixture.at.run, fixture.at.mark);
    #[expect(clippy::disallowed_methods, reason = "a configuration file")]
    std::fs::write(&config, places).unwrap();
    let mut terminal = Terminal::new(fixture.dir(), None);
    terminal.config = config;
    terminal.redact(store_id(fixture), "STORE-ID");
    terminal.redact(fixture.root().to_str().unwrap(), "ROOT");
    terminal
}

#[test]
fn check_export_and_rebuild() {
    let fixture = Fixture::new();
    let mut terminal = terminal_with_config(&fixture);
    terminal.run(&["store", "check"]);
    terminal.run(&["store", "check", "--json"]);
    std::fs::remove_file(fixture.root().join("vdb.qcow2")).unwrap();
    terminal.run(&["store", "check"]);
    terminal.run(&["store", "check", "--json"]);
    let exported = fixture.root().join("export");
    terminal.run(&["store", "export", "--to", exported.to_str().unwrap()]);
    let printed = terminal.command(&["store", "export"]).output().unwrap();
    assert_eq!(std::fs::read(&exported).unwrap(), printed.stdout, "the file and the output are the same");
    assert_eq!(kinds(&printed.stdout), [("domain", 4), ("snapshot", 6), ("journal_entry", 8)]);
    terminal.run(&["store", "export", "--to", fixture.root().join("none/export").to_str().unwrap()]);
    terminal.run(&["store", "rebuild"]);
    terminal.run(&["vm-snapshot-tree", "web"]);
    terminal.run(&["store", "rebuild", "--json"]);
    terminal.golden("check-export-and-rebuild");
}

#[test]
fn a_configuration_that_is_not_understood() {
    let fixture = Fixture::new();
    let mut terminal = terminal_with_config(&fixture);
    terminal.config = fixture.root().join("none.toml");
    terminal.run(&["domain", "list"]);
    terminal.config = fixture.root().join("bad.toml");
    #[expect(clippy::disallowed_methods, reason = "a configuration file")]
    std::fs::write(&terminal.config, "store = 7\n").unwrap();
    terminal.run(&["domain", "list"]);
    terminal.golden("a-configuration-that-is-not-understood");
}

fn store_id(fixture: &Fixture) -> String {
    xensnap_store::Reader::open(&fixture.at).unwrap().store_id().unwrap().to_string()
}

/// How many lines of each kind an export has; each decodes as what it says it is.
fn kinds(export: &[u8]) -> [(&'static str, usize); 3] {
    let mut counts = [("domain", 0), ("snapshot", 0), ("journal_entry", 0)];
    for line in std::str::from_utf8(export).unwrap().lines() {
        let line = line.strip_prefix("{\"").and_then(|line| line.strip_suffix('}')).unwrap();
        let (kind, json) = line.split_once("\":").unwrap();
        match kind {
            "domain" => drop(wire::from_str::<Domain>(json).unwrap()),
            "snapshot" => drop(wire::from_str::<Snapshot>(json).unwrap()),
            _ => drop(wire::from_str::<JournalEntry>(json).unwrap()),
        }
        counts.iter_mut().find(|(name, _)| *name == kind).unwrap().1 += 1;
    }
    counts
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let fixture = Fixture::new();
    let terminal = Terminal::new(fixture.dir(), None);
    let mut child = terminal.start(&["vm-snapshot-list", "--all", "--json"]);
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}
