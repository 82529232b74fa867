//! Any text through lexer, parser and resolver of both profiles, and what they take through every back end: no panic, no
//! hang. What is reported can be shown, and points into the text. U+001E stands between the files of a unit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xenidl::{Source, backend, compile, dump, size};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let sources: Vec<Source> =
        text.split('\u{1e}').enumerate().map(|(i, t)| Source::new(format!("{i}.idl"), t)).collect();
    let model = match compile(&sources) {
        Ok(model) => model,
        Err(errors) => {
            assert!(!errors.render(&sources).is_empty());
            return;
        }
    };
    let shown = dump::dump(&model);
    // The same text is the same model.
    assert_eq!(compile(&sources).map(|m| dump::dump(&m)).ok().as_deref(), Some(shown.as_str()));
    for decl in &model.decls {
        let _ = size::decl_max(&model, decl);
    }
    for backend in backend::all() {
        if let Err(errors) = backend.generate(&model) {
            assert!(!errors.render(&sources).is_empty(), "{}", backend.lang());
        }
    }
});
