//! What changed between two versions: goldens (`evolve/NAME.before.idl`, `NAME.now.idl` -> `NAME.result`, `BLESS=1` rewrites
//! them), the lock of our contract, and libxl's own history.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test; it starts the shared renderer"
)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use xenidl::evolve::{Report, Surface, compare};
use xenidl::{Model, Source, compile_undocumented, dump, lock};

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str, ends: &str) -> Vec<Source> {
    let mut paths: Vec<PathBuf> = fs::read_dir(here().join(folder))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.to_str().unwrap().ends_with(ends))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
        .iter()
        .map(|p| Source::new(p.file_name().unwrap().to_str().unwrap(), fs::read_to_string(p).unwrap()))
        .collect()
}

fn model(sources: &[Source]) -> Model {
    compile_undocumented(sources).unwrap_or_else(|d| panic!("{}", d.render(sources)))
}

fn one(source: &Source) -> Model {
    model(std::slice::from_ref(source))
}

#[test]
fn reports_are_those_of_the_goldens() {
    for now in sources("tests/evolve", ".now.idl") {
        let name = now.name.strip_suffix(".now.idl").unwrap();
        let before = sources("tests/evolve", &format!("{name}.before.idl")).remove(0);
        let text = compare(&one(&before), &one(&now)).text(Surface::ALL, false);
        let golden = here().join("tests/evolve").join(format!("{name}.result"));
        if std::env::var_os("BLESS").is_some() {
            fs::File::create(&golden).unwrap().write_all(text.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&golden).unwrap(), text, "BLESS=1 rewrites {}", golden.display());
    }
}

#[test]
fn nothing_changed_is_said_of_equal_models() {
    for source in [sources("tests/ui", ".idl"), sources("tests/evolve", ".idl")].concat() {
        let report = compare(&one(&source), &one(&source));
        assert_eq!(report.changes, [], "{}", source.name);
        assert!(report.text(Surface::ALL, false).ends_with("no changes\n"));
    }
}

#[test]
fn surfaces_are_counted_apart() {
    let [before, now] =
        ["before", "now"].map(|w| one(&sources("tests/evolve", &format!("contract.{w}.idl"))[0]));
    let report = compare(&before, &now);
    assert_eq!(report.breaking(&[Surface::Xenstore]), 3, "path, access, and what is gone");
    let only = report.text(&[Surface::Xenstore], true);
    assert!(only.contains("/tool/t/asked/$ID") && !only.contains("json-read"), "{only}");
    assert!(report.breaking(Surface::ALL) > report.breaking(&[Surface::JsonRead]));
}

/// The contract is not released: breaking is allowed, but it must be seen.
#[test]
fn the_contract_is_the_one_that_is_locked() {
    let ours = sources("schema", ".idl");
    let path = here().join("schema/schema.lock");
    let locked = Source::new("schema.lock", fs::read_to_string(&path).unwrap());
    let now = lock::lock(&ours).unwrap_or_else(|d| panic!("{}", d.render(&ours)));
    assert!(
        locked.text == now,
        "the contract changed:\n{}when this is meant: cargo run -p xenidl-cli -- lock idl/schema/*.idl",
        compare(&one(&locked), &model(&ours)).text(Surface::ALL, false)
    );
}

/// The declarations without their documentation.
fn bare(mut model: Model) -> Vec<String> {
    for decl in &mut model.decls {
        decl.doc.clear();
        match &mut decl.kind {
            xenidl::model::DeclKind::Struct(s) => s.fields.iter_mut().for_each(|f| f.doc.clear()),
            xenidl::model::DeclKind::Enum(e) => e.values.iter_mut().for_each(|v| v.doc.clear()),
            xenidl::model::DeclKind::Text(_) => {}
        }
    }
    // A declaration is not where it was.
    let text = dump::dump(&model);
    let mut decls: Vec<String> =
        text.trim_end_matches("\n]\n").split("\n{").map(|d| d.trim_end_matches(',').to_owned()).collect();
    decls.sort();
    decls
}

fn locks_whole(unit: &[Source]) {
    let text = lock::lock(unit).unwrap_or_else(|d| panic!("{}", d.render(unit)));
    let locked = one(&Source::new("lock", &text));
    assert_eq!(bare(locked), bare(model(unit)), "{}", unit[0].name);
    let again = Source::new("again", &text);
    if unit.len() == 1 {
        assert_eq!(lock::lock(&[again]).ok(), Some(text));
    }
}

/// A lock loses nothing but documentation and layout.
#[test]
fn a_lock_holds_the_whole_model() {
    locks_whole(&sources("schema", ".idl"));
    for source in sources("tests/ui", ".idl") {
        locks_whole(&[source]);
    }
    // Two files of libxl's: each begins with its own state.
    let a = Source::new("a", "namespace(\"a_\")\nhidden(True)\na_x = Struct(\"x\", [(\"n\", uint8)])\n");
    let b = Source::new("b", "y = Struct(\"y\", [(\"n\", a_x)])\n");
    locks_whole(&[a, b]);
}

#[test]
fn a_lock_is_the_same_whatever_the_layout_files_and_documentation() {
    let head = "profile(\"contract\")\nnamespace(\"t_\")\n";
    let a = "# One.\na = Struct(\"a\", [\n# B.\n(\"b\", uint8),\n# C.\n('c', string, {'max': 0x10}),])\n";
    let b = "# Two.\nb = Struct(\"t_b\", [\n    # Other.\n    (\"x\", bool),\n    ])\n";
    let b = b.replace("b = Struct(\"t_b\"", "t_b = Struct(\"b\"");
    let two = [Source::new("a", format!("{head}{a}")), Source::new("b", format!("{head}{b}"))];
    let other = a.replace("# One.", "# Uno.").replace("0x10", "16").replace(",])", "])");
    let one = [Source::new("all", format!("{head}{b}{other}"))];
    assert_eq!(lock::lock(&two).unwrap(), lock::lock(&one).unwrap());
}

fn libxl(folder: &Path, version: &str) -> Model {
    let model = folder.join(format!("libxl-types-{version}.json"));
    let out = std::process::Command::new("python3").arg(folder.join("render")).arg(model).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let source = Source::new(version, String::from_utf8(out.stdout).unwrap());
    locks_whole(std::slice::from_ref(&source));
    one(&source)
}

/// What Xen's own history is known to have done.
#[test]
fn libxls_history_is_told_as_it_was() {
    let shared =
        std::env::var_os("XENSNAP_SHARED").map_or_else(|| here().join("../../shared"), PathBuf::from);
    let folder = shared.join("libxl-idl");
    if !folder.is_dir() {
        println!("skipped: libxl's history: no {}", folder.display());
        return;
    }
    let [old, mid, new] = ["4.5", "4.17", "4.22"].map(|v| libxl(&folder, v));
    let found = |report: &Report, ty: &str, place: &str| {
        let change = report.changes.iter().find(|c| c.ty == ty && c.place == place);
        let change = change.unwrap_or_else(|| panic!("{ty} {place}:\n{}", report.text(Surface::ALL, false)));
        (change.what.clone(), change.breaks_any(&[Surface::JsonRead]), change.breaks_any(&[Surface::C]))
    };
    let report = compare(&old, &mid);
    // 4.10: PVH became a type of domain.
    assert_eq!(found(&report, "libxl_domain_create_info", "field `pvh`"), ("gone".into(), true, true));
    assert_eq!(found(&report, "libxl_domain_type", "value `pvh`"), ("new".into(), false, false));
    // 4.7: a VGA adapter is unknown at first, and was cirrus.
    let kind = found(&report, "libxl_vga_interface_info", "field `kind`");
    assert!(kind.0.contains("`unknown`") && kind.0.contains("`cirrus`") && kind.1, "{kind:?}");
    let report = compare(&mid, &new);
    assert_eq!(report.breaking(&[Surface::JsonRead]), 0, "{}", report.text(Surface::ALL, true));
    assert_eq!(report.breaking(Surface::LANGUAGES), 0);
    assert_eq!(found(&report, "libxl_tee_type", "value `ffa`"), ("new".into(), false, false));
    // And back: what 4.22 has and 4.17 has not is gone.
    assert!(compare(&new, &mid).breaking(&[Surface::JsonRead]) > 20);
}
