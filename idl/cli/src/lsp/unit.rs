//! The files that a document is compiled with: of profile `contract` all such files of its folder, else itself alone. What
//! the editor has open counts before what is on disk.

use super::text;
use crate::unit::folder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use xenidl::diag::Span;
use xenidl::lint::{Rule, lint};
use xenidl::symbols::Index;
use xenidl::{Model, Source, backend, compile, fmt, says_contract};

/// The unit of one document.
pub(super) struct Unit {
    uris: Vec<String>,
    sources: Vec<Source>,
    /// Which of them was asked about.
    pub(super) asked: usize,
}

impl Unit {
    /// The unit of a document.
    pub(super) fn of(uri: &str, open: &BTreeMap<String, String>) -> Self {
        let own = text::path(uri);
        let read = || own.as_ref().and_then(|p| std::fs::read_to_string(p).ok());
        let source = |uri: &str, text: String| {
            let name = text::path(uri).map_or(uri.to_owned(), |p| p.display().to_string());
            Source::new(name, text)
        };
        let mut unit = Unit { uris: Vec::new(), sources: Vec::new(), asked: 0 };
        let Some(text) = open.get(uri).cloned().or_else(read) else { return unit };
        let asked = source(uri, text);
        let beside = own.as_ref().and_then(|p| p.parent()).filter(|_| says_contract(&asked));
        for name in beside.and_then(|p| folder(p).ok()).unwrap_or_default() {
            let path = std::path::PathBuf::from(&name);
            if Some(&path) == own.as_ref() {
                continue;
            }
            let opened = open.iter().find(|(u, _)| text::path(u).as_ref() == Some(&path));
            let other = match opened {
                Some((u, text)) => Some((u.clone(), text.clone())),
                None => std::fs::read_to_string(&path).ok().map(|text| (text::uri(&path), text)),
            };
            if let Some((u, text)) = other {
                let other = source(&u, text);
                if says_contract(&other) {
                    unit.uris.push(u);
                    unit.sources.push(other);
                }
            }
        }
        unit.asked = unit.sources.iter().position(|s| s.name > asked.name).unwrap_or(unit.sources.len());
        unit.uris.insert(unit.asked, uri.to_owned());
        unit.sources.insert(unit.asked, asked);
        unit
    }

    /// The names in it.
    pub(super) fn index(&self) -> Index<'_> {
        Index::new(&self.sources)
    }

    /// Its model, when it has no errors.
    pub(super) fn model(&self) -> Option<Model> {
        compile(&self.sources).ok()
    }

    /// The byte of a position in the document asked about.
    pub(super) fn offset(&self, position: &Value) -> Option<usize> {
        text::offset(&self.sources.get(self.asked)?.text, position)
    }

    /// The URI of one of its files.
    pub(super) fn uri(&self, file: usize) -> String {
        self.uris.get(file).cloned().unwrap_or_default()
    }

    /// What stands at a place.
    pub(super) fn text(&self, span: Span) -> &str {
        self.sources.get(span.file).and_then(|s| s.text.get(span.start..span.end)).unwrap_or_default()
    }

    /// A place within its file.
    pub(super) fn range(&self, span: Span) -> Value {
        let text = self.sources.get(span.file).map_or("", |s| s.text.as_str());
        json!({ "start": text::position(text, span.start), "end": text::position(text, span.end) })
    }

    /// A place.
    pub(super) fn location(&self, span: Span) -> Value {
        json!({ "uri": self.uri(span.file), "range": self.range(span) })
    }

    /// One edit that lays the document out; nothing where its form is wrong.
    pub(super) fn formatted(&self) -> Value {
        let Some(source) = self.sources.get(self.asked) else { return Value::Null };
        let Ok(text) = fmt::format(source) else { return Value::Null };
        if text == source.text {
            return json!([]);
        }
        let whole = Span { file: self.asked, start: 0, end: source.text.len() };
        json!([{ "range": self.range(whole), "newText": text }])
    }

    /// What is wrong with each file, or could be better; of each file, so that what is mended goes away.
    pub(super) fn diagnostics(&self) -> Vec<(String, Value)> {
        let mut by_file: Vec<Vec<Value>> = self.sources.iter().map(|_| Vec::new()).collect();
        let mut add = |span: Span, severity: u8, code: &str, message: String| {
            let range = self.range(span);
            if let Some(list) = by_file.get_mut(span.file) {
                list.push(json!({
                    "range": range,
                    "severity": severity,
                    "code": code,
                    "source": "xenidl",
                    "message": message,
                }));
            }
        };
        let errors = compile(&self.sources)
            .and_then(|m| backend::all().iter().try_for_each(|b| b.generate(&m).map(drop)))
            .err();
        match errors {
            Some(errors) => {
                for d in errors.iter() {
                    let more = d.notes.iter().chain(&d.help).map(|l| format!("\n{l}")).collect::<String>();
                    add(d.span, 1, d.code.as_str(), format!("{}{more}", d.message));
                }
            }
            None => {
                for f in lint(&self.sources).unwrap_or_default() {
                    // The layout is the editor's own command, and no matter for a line.
                    if f.rule != Rule::Layout {
                        add(f.span, 2, f.rule.as_str(), format!("{}\n{}", f.message, f.help));
                    }
                }
            }
        }
        self.uris.iter().cloned().zip(by_file.into_iter().map(Value::from)).collect()
    }
}
