//! The program by itself. That there is a test here also makes a build of all tests build the program, which `tests/cli` of the root package runs.
#![expect(clippy::unwrap_used, reason = "a test")]

/// What the program prints.
fn printed(arguments: &[&str]) -> String {
    #[expect(clippy::disallowed_methods, reason = "the program under test")]
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_xensnap")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_version_is_that_of_the_workspace() {
    assert_eq!(printed(&["--version"]), format!("xensnap {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_readme_has_the_table_of_exit_codes() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let table = printed(&["exit-codes"]);
    assert!(table.lines().count() > 20, "{table}");
    for line in table.lines().skip(1) {
        let mut words = line.split_whitespace();
        let (code, name) = (words.next().unwrap(), words.next().unwrap());
        let meaning = words.collect::<Vec<_>>().join(" ");
        let row = format!("| {code} | `{name}` | {meaning} |");
        assert!(readme.contains(&row), "cli/README.md lacks: {row}");
    }
}
