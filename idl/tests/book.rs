//! The page that teaches the language: each example compiles, or is wrong for the reason that the sentence before it names.

use std::collections::BTreeSet;
use std::path::Path;
use xenidl::{Code, Source, backend, compile, fmt};

/// The examples, each with the paragraph before it.
fn examples(page: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let (mut paragraph, mut example) = (String::new(), String::new());
    for line in page.lines().chain([".", ""]) {
        match line.strip_prefix("    ") {
            Some(code) => example.push_str(&format!("{code}\n")),
            None if line.is_empty() && !example.is_empty() => example.push('\n'),
            None if line.is_empty() => {}
            None => {
                if !example.is_empty() {
                    found.push((std::mem::take(&mut paragraph), format!("{}\n", example.trim_end())));
                    example.clear();
                } else if line.starts_with('#') {
                    paragraph.clear();
                }
                paragraph.push_str(line);
                paragraph.push('\n');
            }
        }
    }
    found
}

#[test]
fn every_example_is_what_the_page_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("book/language.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (mut right, mut wrong) = (0, 0);
    for (before, example) in examples(&page) {
        if example.starts_with("xenidl ") {
            continue; // a command
        }
        let sources = [Source::new("example", &example)];
        let found: BTreeSet<&str> = match compile(&sources) {
            Err(d) => d.iter().map(|d| d.code.as_str()).collect(),
            Ok(model) => {
                backend::all().iter().for_each(|b| assert!(b.generate(&model).is_ok(), "{example}"));
                BTreeSet::new()
            }
        };
        // `(E045):` ends the paragraph before an example that is wrong.
        let named =
            before.trim_end().strip_suffix("):").and_then(|t| t.rsplit_once('(')).map(|(_, code)| code);
        let named = named.filter(|n| Code::ALL.iter().any(|c| c.as_str() == *n));
        assert_eq!(found, named.into_iter().collect(), "{before}\n{example}");
        assert_eq!(fmt::format(&Source::new("example", &example)).ok(), Some(example.clone()), "the layout");
        if named.is_some() { wrong += 1 } else { right += 1 }
    }
    assert!(right >= 7 && wrong >= 7, "{right} right, {wrong} wrong");
    // Ten minutes at 200 words a minute.
    let words = page.split_whitespace().count();
    assert!(words < 2000, "{words} words");
}
