//! The command line: help, exit codes, what is not valid.

use std::path::Path;

use crate::support::Terminal;

#[test]
fn help() {
    let mut terminal = Terminal::new(Path::new("/nowhere"), None);
    terminal.run(&["--help"]);
    terminal.run(&["help", "vm-snapshot-create"]);
    terminal.run(&["help", "vm-snapshot-revert"]);
    terminal.run(&["help", "disk-snapshot-revert"]);
    terminal.run(&["operation", "--help"]);
    terminal.run(&["store", "--help"]);
    terminal.run(&["exit-codes"]);
    terminal.run(&["help", "exit-codes"]);
    terminal.golden("help");
}

#[test]
fn not_valid() {
    let mut terminal = Terminal::new(Path::new("/nowhere"), None);
    let long = "n".repeat(65);
    let text = "ä".repeat(101);
    for arguments in [
        &["vm-snapshot-crate", "web"][..],
        &["vm-snapshot-create"],
        &["vm-snapshot-create", "two words"],
        &["vm-snapshot-create", "dömäin"],
        &["vm-snapshot-create", "web", "--name", ""],
        &["vm-snapshot-create", "web", "--name", "a/b"],
        &["vm-snapshot-create", "web", "--name", ".hidden"],
        &["vm-snapshot-create", "web", "--name", &long],
        &["vm-snapshot-create", "web", "--description", "two\nlines"],
        &["vm-snapshot-create", "web", "--description", &text],
        &["vm-snapshot-create", "web", "--disks", "vda,,vdb"],
        &["vm-snapshot-create", "web", "--disks", "vda", "--exclude-disks", "vdb"],
        &["vm-snapshot-create", "web", "--memory", "some"],
        &["vm-snapshot-create", "web", "--memory", "live", "--disks-only"],
        &["vm-snapshot-create", "web", "--pause-max", "100"],
        &["vm-snapshot-create", "web", "--no-wait", "--timeout", "5s"],
        &["vm-snapshot-revert", "web", "base", "--paused", "--running"],
        &["vm-snapshot-list"],
        &["vm-snapshot-list", "web", "--all"],
        &["operation", "show", "a/b"],
        &["domain", "adopt", "web", "other"],
    ] {
        let output = terminal.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
    terminal.golden("not-valid");
}
