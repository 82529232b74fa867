//! The language server: an editor talks to it over stdin and stdout (Language Server Protocol 3.17).
//!
//! ```text
//! editor -> wire (frames, JSON) -> Server (owns the open documents) -> unit -> xenidl::{compile, lint, symbols, fmt}
//!        <- answers, diagnostics ________________________________________________/
//! ```
//! One message after another, without state but the open documents: each question reads the files of its unit and compiles
//! them anew, which takes milliseconds.

mod text;
mod unit;
mod wire;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use unit::Unit;
use xenidl::symbols::Kind;

const NOT_INITIALIZED: i64 = -32002;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
const REQUEST_FAILED: i64 = -32803;

/// Why a request has no answer.
struct Refusal {
    code: i64,
    message: String,
}

type Answer = Result<Value, Refusal>;

fn refuse(code: i64, message: impl Into<String>) -> Refusal {
    Refusal { code, message: message.into() }
}

/// Talks until the editor says `exit` or is gone. Returns whether it said `shutdown` before.
pub(crate) fn serve(mut input: impl BufRead, output: impl Write) -> std::io::Result<bool> {
    let mut server = Server { output, open: BTreeMap::new(), initialized: false, shutdown: false };
    while let Some(message) = wire::read(&mut input)? {
        let message = match message {
            Ok(message) => message,
            Err(problem) => {
                server.send(&json!({ "id": null, "error": { "code": -32700, "message": problem } }))?;
                continue;
            }
        };
        let method = at(&message, "/method").as_str().unwrap_or_default().to_owned();
        if method == "exit" {
            break;
        }
        let params = at(&message, "/params");
        match message.get("id").filter(|_| !method.is_empty()) {
            Some(id) => {
                let answer = match server.request(&method, params) {
                    Ok(result) => json!({ "id": id, "result": result }),
                    Err(r) => json!({ "id": id, "error": { "code": r.code, "message": r.message } }),
                };
                server.send(&answer)?;
            }
            None => server.notification(&method, params)?,
        }
    }
    Ok(server.shutdown)
}

struct Server<W> {
    output: W,
    /// The editor's text of what it has open, by URI.
    open: BTreeMap<String, String>,
    initialized: bool,
    shutdown: bool,
}

impl<W: Write> Server<W> {
    fn send(&mut self, message: &Value) -> std::io::Result<()> {
        wire::write(&mut self.output, message)
    }

    fn notification(&mut self, method: &str, params: &Value) -> std::io::Result<()> {
        let document = at(params, "/textDocument");
        let Some(uri) = at(document, "/uri").as_str().map(str::to_owned) else { return Ok(()) };
        match method {
            "textDocument/didOpen" => {
                let text = at(document, "/text").as_str().unwrap_or_default();
                self.open.insert(uri.clone(), text.to_owned());
            }
            // The whole text each time: that is what was asked for.
            "textDocument/didChange" => {
                let changes = at(params, "/contentChanges").as_array().map(Vec::as_slice).unwrap_or_default();
                if let Some(text) = changes.last().and_then(|c| at(c, "/text").as_str()) {
                    self.open.insert(uri.clone(), text.to_owned());
                }
            }
            "textDocument/didSave" => {}
            "textDocument/didClose" => {
                self.open.remove(&uri);
                return self.publish(&uri, &json!([]));
            }
            _ => return Ok(()),
        }
        let unit = Unit::of(&uri, &self.open);
        for (uri, diagnostics) in unit.diagnostics() {
            self.publish(&uri, &diagnostics)?;
        }
        Ok(())
    }

    fn publish(&mut self, uri: &str, diagnostics: &Value) -> std::io::Result<()> {
        let params = json!({ "uri": uri, "diagnostics": diagnostics });
        self.send(&json!({ "method": "textDocument/publishDiagnostics", "params": params }))
    }

    fn request(&mut self, method: &str, params: &Value) -> Answer {
        if method == "initialize" {
            self.initialized = true;
            return Ok(capabilities());
        }
        if !self.initialized {
            return Err(refuse(NOT_INITIALIZED, "`initialize` comes first"));
        }
        if self.shutdown {
            return Err(refuse(INVALID_REQUEST, "nothing is asked after `shutdown`"));
        }
        let uri = at(params, "/textDocument/uri").as_str();
        match (method, uri) {
            ("shutdown", _) => {
                self.shutdown = true;
                Ok(Value::Null)
            }
            (method, Some(uri)) if method.starts_with("textDocument/") => {
                document(method, params, &Unit::of(uri, &self.open))
            }
            _ => Err(refuse(METHOD_NOT_FOUND, format!("`{method}` is not known here"))),
        }
    }
}

/// A member of a message, null when it is not there.
fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn capabilities() -> Value {
    json!({
        "capabilities": {
            "positionEncoding": "utf-16",
            "textDocumentSync": { "openClose": true, "change": 1, "save": true },
            "hoverProvider": true,
            "definitionProvider": true,
            "referencesProvider": true,
            "documentHighlightProvider": true,
            "documentSymbolProvider": true,
            "documentFormattingProvider": true,
            "completionProvider": {},
            "renameProvider": { "prepareProvider": true },
        },
        "serverInfo": { "name": "xenidl", "version": env!("CARGO_PKG_VERSION") },
    })
}

/// A question about a document.
fn document(method: &str, params: &Value, unit: &Unit) -> Answer {
    match method {
        "textDocument/documentSymbol" => return Ok(outline(unit)),
        "textDocument/formatting" => return Ok(unit.formatted()),
        _ => {}
    }
    let offset = unit.offset(at(params, "/position"));
    let offset =
        offset.ok_or_else(|| refuse(INVALID_PARAMS, "there is no such document, or no position is given"));
    let index = unit.index();
    let here = unit.asked;
    match method {
        "textDocument/hover" => Ok(index.hover(here, offset?, unit.model().as_ref()).map_or(Value::Null, |(text, span)| {
            json!({ "contents": { "kind": "markdown", "value": text }, "range": unit.range(span) })
        })),
        "textDocument/definition" => {
            let found = index.at(here, offset?).map(|(symbol, _)| unit.location(symbol.span));
            Ok(found.unwrap_or(Value::Null))
        }
        "textDocument/references" => {
            let own = at(params, "/context/includeDeclaration").as_bool().unwrap_or(true);
            let places = index.places(here, offset?);
            let places = places.iter().skip(usize::from(!own));
            Ok(places.map(|s| unit.location(*s)).collect())
        }
        "textDocument/documentHighlight" => {
            let places = index.places(here, offset?);
            Ok(places.iter().filter(|s| s.file == here).map(|s| json!({ "range": unit.range(*s) })).collect())
        }
        "textDocument/completion" => Ok(index
            .type_names(here)
            .into_iter()
            .map(|name| json!({ "label": name, "kind": 7 })) // Class
            .collect()),
        "textDocument/prepareRename" => {
            let (symbol, span) =
                index.at(here, offset?).ok_or_else(|| refuse(REQUEST_FAILED, "nothing here has a name of its own"))?;
            let _ = symbol;
            Ok(json!({ "range": unit.range(span), "placeholder": unit.text(span) }))
        }
        "textDocument/rename" => {
            let name = at(params, "/newName").as_str().unwrap_or_default();
            let edits = index.rename(here, offset?, name).map_err(|why| refuse(REQUEST_FAILED, why))?;
            let mut changes: BTreeMap<String, Vec<Value>> = BTreeMap::new();
            for (span, text) in edits {
                let edit = json!({ "range": unit.range(span), "newText": text });
                changes.entry(unit.uri(span.file)).or_default().push(edit);
            }
            Ok(json!({ "changes": changes }))
        }
        _ => Err(refuse(METHOD_NOT_FOUND, format!("`{method}` is not known here"))),
    }
}

/// The symbols of a document, members below what they are within.
fn outline(unit: &Unit) -> Value {
    let index = unit.index();
    let here = || index.symbols.iter().filter(|s| s.span.file == unit.asked);
    let show = |s: &xenidl::symbols::Symbol, children: Vec<Value>| {
        let kind = match s.kind {
            Kind::Variable => 23, // Struct
            Kind::Field => 8,
            Kind::Value => 22, // EnumMember
        };
        json!({
            "name": s.name,
            "kind": kind,
            "range": unit.range(s.whole),
            "selectionRange": unit.range(s.span),
            "children": children,
        })
    };
    here()
        .filter(|s| s.kind == Kind::Variable)
        .map(|s| {
            let within = |m: &&xenidl::symbols::Symbol| {
                m.kind != Kind::Variable
                    && m.within == s.name
                    && s.whole.start <= m.span.start
                    && m.span.end <= s.whole.end
            };
            show(s, here().filter(within).map(|m| show(m, Vec::new())).collect())
        })
        .collect()
}
