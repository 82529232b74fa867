//! The program, the real agent, a real guest: what is asked for happens, and what is refused says why.

use std::process::Output;

use xensnap::contract::{Operation, Plan, Snapshot};
use xensnap::wire;

use crate::rig::dom0::Dom0;
use crate::rig::guest::GuestSpec;
use crate::rig::xenstored::Kind;
use crate::support::Terminal;

/// The output of a command that has to end with this code.
fn with_code(terminal: &mut Terminal, code: i32, arguments: &[&str]) -> (String, String) {
    let Output { status, stdout, stderr } = terminal.run(arguments);
    let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(code), "{arguments:?}: {out}{err}");
    (out, err)
}

fn documents<T: serde::de::DeserializeOwned>(text: &str) -> Vec<T> {
    text.lines().map(|line| wire::from_str(line).unwrap()).collect()
}

#[test]
fn a_day_with_the_command_line() {
    let mut dom0 = Dom0::new(Kind::C);
    let guest = dom0.guest(GuestSpec::counting("web1"));
    let mut terminal = Terminal::new(&dom0.location().dir, Some(&dom0.socket()));
    let t = &mut terminal;

    assert!(with_code(t, 0, &["agent", "status"]).0.starts_with("Agent:"));
    let (plan, _) =
        with_code(t, 0, &["vm-snapshot-create", "web1", "--name", "before", "--dry-run", "--json"]);
    assert_eq!(documents::<Plan>(&plan)[0].domain_name.as_str(), "web1");
    let (plan, _) = with_code(t, 0, &["vm-snapshot-create", "web1", "--name", "before", "--dry-run"]);
    assert!(plan.contains("disks_create") && plan.contains("expected pause of the guest: "), "{plan}");
    assert!(with_code(t, 0, &["vm-snapshot-list", "web1"]).0.lines().count() == 1, "a dry run makes nothing");

    let (out, err) =
        with_code(t, 0, &["vm-snapshot-create", "web1", "--name", "before", "--description", "a \"b\" ä"]);
    assert!(
        out.starts_with("VM snapshot before of web1 taken, guest paused ") && err.is_empty(),
        "{out}{err}"
    );
    let (list, _) = with_code(t, 0, &["vm-snapshot-list", "web1"]);
    assert!(list.lines().nth(1).unwrap().starts_with("*  before  "), "{list}");
    let (shown, _) = with_code(t, 0, &["vm-snapshot-show", "web1", "before", "--json"]);
    assert_eq!(documents::<Snapshot>(&shown)[0].description.as_ref().unwrap().as_str(), "a \"b\" ä");

    let (_, err) = with_code(t, 15, &["vm-snapshot-create", "web1", "--name", "before"]);
    assert!(err.starts_with("error: ") && err.contains("before"), "{err}");
    with_code(t, 12, &["vm-snapshot-create", "nobody"]);
    with_code(t, 16, &["vm-snapshot-create", "web1", "--disks", "vdz"]);
    with_code(t, 20, &["vm-snapshot-create", "web1", "--pause-max", "1ns"]);
    with_code(t, 13, &["vm-snapshot-delete", "web1", "none"]);
    with_code(t, 14, &["operation", "cancel", "none"]);
    with_code(t, 18, &["disk-snapshot-revert", "web1", "before"]);

    let (out, _) = with_code(t, 0, &["disk-snapshot-create", "web1", "--name", "one", "--disks", "vda"]);
    assert!(out.starts_with("disk snapshot one of web1 taken"), "{out}");
    let (id, _) =
        with_code(t, 0, &["vm-snapshot-create", "web1", "--name", "second", "--disks-only", "--no-wait"]);
    let (out, _) = with_code(t, 0, &["operation", "watch", id.trim_end()]);
    assert!(out.starts_with("VM snapshot second of web1 taken"), "{out}");
    let (tree, _) = with_code(t, 0, &["vm-snapshot-tree", "web1"]);
    assert!(tree.contains("o before  ") && tree.contains("* second  ") && tree.contains("o one  "), "{tree}");

    let (out, _) = with_code(t, 0, &["vm-snapshot-revert", "web1", "before"]);
    assert!(out.starts_with("web1 reverted to VM snapshot before, domid "), "{out}");
    let counted = guest.wait_count_since(guest.mark(), std::time::Duration::from_secs(120));
    assert!(counted.ram > 0);

    dom0.kill_agent();
    let (out, _) = with_code(t, 0, &["vm-snapshot-list", "--all"]);
    assert_eq!(out.lines().count(), 3, "{out}");
    dom0.start_agent(&[]);
    let (operations, _) = with_code(t, 0, &["operation", "list", "--json"]);
    let operations = documents::<Operation>(&operations);
    assert!(operations.len() >= 4 && operations.iter().all(|op| op.state.is_end()), "{operations:?}");

    with_code(t, 18, &["domain", "forget", "web1"]);
    for (verb, name) in
        [("vm-snapshot-delete", "second"), ("disk-snapshot-delete", "one"), ("vm-snapshot-delete", "before")]
    {
        let (out, _) = with_code(t, 0, &[verb, "web1", name]);
        assert!(out.ends_with(&format!("snapshot {name} of web1 deleted\n")), "{out}");
    }
    assert!(with_code(t, 0, &["vm-snapshot-list", "web1"]).0.lines().count() == 1);
}
