//! Names: where they are defined and used, what is shown of them, and that renaming changes nothing but the name.
#![expect(clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::path::Path;
use xenidl::diag::Span;
use xenidl::symbols::Index;
use xenidl::{Source, compile, dump};

const LIBXL: &str = "\
namespace(\"libxl_\")
libxl_defbool = Builtin(\"defbool\")
# Formats of disks.
libxl_disk_format = Enumeration(\"disk_format\", [
    (0, \"UNKNOWN\"),
    # As it is.
    (1, \"RAW\"),
    ])
also = libxl_disk_format
# A disk.
libxl_disk = Struct(\"disk\", [
    # Where it is.
    (\"path\", string),
    (\"format\", also, {\"init_val\": \"LIBXL_DISK_FORMAT_RAW\"}),
    (\"u\", KeyedUnion(None, libxl_disk_format, \"type\", [
        (\"raw\", Struct(None, [(\"file\", string, {\"deprecated_by\": \"path\"})])),
        ], keyvar_init_val=\"LIBXL_DISK_FORMAT_RAW\")),
    ])
libxl_domain = Struct(\"domain\", [(\"disks\", Array(libxl_disk, \"num_disks\"))])
";

fn sources() -> Vec<Source> {
    vec![Source::new("libxl.idl", LIBXL)]
}

/// The offset of the nth occurrence of a text, from 0.
fn find(source: &Source, text: &str, nth: usize) -> usize {
    source.text.match_indices(text).nth(nth).unwrap_or_else(|| panic!("no {text} {nth}")).0
}

fn apply(sources: &[Source], edits: &[(Span, String)]) -> Vec<Source> {
    let mut texts: Vec<String> = sources.iter().map(|s| s.text.clone()).collect();
    for (span, new) in edits.iter().rev() {
        texts[span.file].replace_range(span.start..span.end, new);
    }
    sources.iter().zip(texts).map(|(s, t)| Source::new(&s.name, t)).collect()
}

fn lines(sources: &[Source], spans: &[Span]) -> Vec<usize> {
    spans.iter().map(|s| sources[s.file].line_col(s.start).0).collect()
}

#[test]
fn definitions_and_uses_are_found() {
    let unit = sources();
    let index = Index::new(&unit);
    let at = |text, nth| lines(&unit, &index.places(0, find(&unit[0], text, nth) + 1));
    assert_eq!(at("libxl_disk_format", 1), [4, 9, 15], "the variable, from a use");
    assert_eq!(at("disk_format", 1), [4, 9, 15], "from its name in quotes");
    assert_eq!(at("RAW", 0), [7, 14, 16, 17], "a value: constants and an arm");
    assert_eq!(at("raw", 0), [7, 14, 16, 17], "from the arm");
    assert_eq!(at("path", 1), [13, 16], "deprecated_by");
    assert_eq!(at("libxl_disk,", 0), [11, 19]);
    assert!(index.at(0, find(&unit[0], "Struct", 0)).is_none());
}

#[test]
fn renaming_keeps_the_model_but_for_the_name() {
    let unit = sources();
    let index = Index::new(&unit);
    let before = dump::dump(&compile(&unit).unwrap());
    for (place, nth, new, model) in [
        ("libxl_disk_format", 0, "libxl_disk_kind", ("disk_format", "disk_kind")),
        ("\"disk_format\"", 0, "disk_kind", ("disk_format", "disk_kind")),
        ("RAW", 0, "PLAIN", ("raw", "plain")),
        ("raw\"", 0, "plain", ("raw", "plain")),
        ("libxl_disk =", 0, "libxl_drive", ("libxl_disk\"", "libxl_drive\"")),
    ] {
        let edits = index.rename(0, find(&unit[0], place, nth) + 1, new).unwrap();
        let after = apply(&unit, &edits);
        let now = compile(&after).unwrap_or_else(|d| panic!("{place}: {}", d.render(&after)));
        let (old, new) = model;
        let case = |text: String| text.to_lowercase();
        let expected = case(before.clone()).replace(old, new);
        // A type without a name is called after where it stands.
        let expected = if new.starts_with("libxl_drive") {
            expected.replace("libxl_disk_raw", "libxl_drive_raw")
        } else {
            expected
        };
        assert_eq!(case(dump::dump(&now)), expected, "{place}");
    }
    let field = index.rename(0, find(&unit[0], "path", 0) + 1, "file_name").unwrap();
    assert_eq!(lines(&unit, &field.iter().map(|e| e.0).collect::<Vec<_>>()), [13, 16]);
    assert!(compile(&apply(&unit, &field)).is_ok());
}

#[test]
fn names_that_cannot_be_are_refused() {
    let unit = sources();
    let index = Index::new(&unit);
    let rename = |text, new| index.rename(0, find(&unit[0], text, 0) + 1, new).unwrap_err();
    assert!(rename("libxl_disk_format", "libxl_disk").contains("line 11"));
    assert!(rename("path", "1st").contains("no name"));
    assert!(rename("path", "format").contains("there already"));
    assert!(rename("Struct", "x").contains("nothing here"));
    assert!(rename("LIBXL_DISK_FORMAT_RAW", "x").contains("the value itself"));
}

/// Each type of our contract can be renamed, and nothing else changes.
#[test]
fn every_type_of_the_contract_can_be_renamed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "idl"));
    paths.sort();
    let unit: Vec<Source> = paths
        .iter()
        .map(|p| Source::new(p.display().to_string(), std::fs::read_to_string(p).unwrap()))
        .collect();
    let before = compile(&unit).unwrap();
    let index = Index::new(&unit);
    for decl in &before.decls {
        let edits = index.rename(decl.span.file, decl.span.start, "renamed_by_test").unwrap();
        let after = apply(&unit, &edits);
        let now = compile(&after).unwrap_or_else(|d| panic!("{}: {}", decl.name, d.render(&after)));
        assert!(now.find("renamed_by_test").is_some() && now.find(&decl.name).is_none());
        assert_eq!(now.decls.len(), before.decls.len());
    }
}

#[test]
fn hover_tells_what_is_known() {
    let unit = sources();
    let index = Index::new(&unit);
    let model = compile(&unit).unwrap();
    let hover = |text, nth| index.hover(0, find(&unit[0], text, nth) + 1, Some(&model)).unwrap().0;
    assert_eq!(
        hover("libxl_disk,", 0),
        "```idl\nlibxl_disk = Struct(\"disk\", [ ..\n```\n\nA disk.\n\nUsed in one place.\n"
    );
    assert_eq!(
        hover("raw", 0),
        "```idl\n(1, \"RAW\")\n```\n\nAs it is.\n\nIn `libxl_disk_format`. In C: `LIBXL_DISK_FORMAT_RAW`. In JSON: `\"raw\"`.\n"
    );
    assert!(hover("disks\"", 0).contains("`libxl_disk`: A disk."));
    assert!(hover("KeyedUnion", 0).starts_with("`KeyedUnion`: "));
    assert!(hover("init_val", 0).contains("JSON leaves it out"));
    assert!(index.hover(0, find(&unit[0], "Formats", 0), Some(&model)).is_none(), "a comment");
    // With an error in the files, what the text tells is still there.
    assert!(index.hover(0, find(&unit[0], "libxl_disk,", 0), None).unwrap().0.contains("A disk."));
}

/// Offsets anywhere, in files that are whole or cut off: nothing panics.
#[test]
fn any_place_of_any_text_can_be_asked_about() {
    for cut in (0..LIBXL.len()).step_by(7) {
        let unit = [Source::new("cut", &LIBXL[..cut])];
        let index = Index::new(&unit);
        for at in (0..=cut).step_by(11) {
            drop(index.hover(0, at, None));
            drop(index.rename(0, at, "other"));
            assert!(index.places(0, at).iter().all(|s| s.end <= cut));
        }
    }
}
