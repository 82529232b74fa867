//! A conversation with the language server, as an editor has it: frames over stdin and stdout.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test of a command starts it"
)]

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

struct Editor {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    id: u64,
    /// What the server published, in order.
    published: Vec<(String, Value)>,
}

impl Editor {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_xenidl"))
            .arg("lsp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout, id: 0, published: Vec::new() }
    }

    fn send(&mut self, mut message: Value) {
        message["jsonrpc"] = "2.0".into();
        let body = message.to_string();
        write!(
            self.stdin,
            "Content-Length: {}\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        self.stdin.flush().unwrap();
    }

    fn receive(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "the server is gone");
            match line.trim_end().split_once(": ") {
                Some(("Content-Length", n)) => length = n.parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.stdout.read_exact(&mut body).unwrap();
        let message: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(message["jsonrpc"], "2.0");
        message
    }

    fn notify(&mut self, method: &str, params: Value) {
        self.send(json!({ "method": method, "params": params }));
    }

    /// Asks and waits for the answer; what is published meanwhile is kept.
    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.id += 1;
        let id = self.id;
        self.send(json!({ "id": id, "method": method, "params": params }));
        loop {
            let message = self.receive();
            if message["id"] == id {
                return message;
            }
            assert_eq!(message["method"], "textDocument/publishDiagnostics");
            let params = &message["params"];
            self.published.push((params["uri"].as_str().unwrap().to_owned(), params["diagnostics"].clone()));
        }
    }

    fn result(&mut self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params);
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    fn open(&mut self, uri: &str, text: &str) {
        let document = json!({ "uri": uri, "languageId": "idl", "version": 1, "text": text });
        self.notify("textDocument/didOpen", json!({ "textDocument": document }));
    }

    fn change(&mut self, uri: &str, text: &str) {
        let document = json!({ "uri": uri, "version": 2 });
        self.notify(
            "textDocument/didChange",
            json!({ "textDocument": document, "contentChanges": [{ "text": text }] }),
        );
    }

    /// The last that was published of a document.
    fn diagnostics(&mut self, uri: &str) -> Value {
        // An answer comes after all that came before its question.
        self.result("textDocument/documentSymbol", json!({ "textDocument": { "uri": uri } }));
        self.published.iter().rev().find(|(u, _)| u == uri).map(|(_, d)| d.clone()).unwrap_or_default()
    }

    fn initialize(&mut self) {
        let result =
            self.result("initialize", json!({ "processId": null, "rootUri": null, "capabilities": {} }));
        for what in
            ["hoverProvider", "definitionProvider", "referencesProvider", "documentFormattingProvider"]
        {
            assert_eq!(result["capabilities"][what], true, "{what}");
        }
        assert_eq!(result["capabilities"]["renameProvider"]["prepareProvider"], true);
        self.notify("initialized", json!({}));
    }

    fn leave(mut self) {
        assert_eq!(self.result("shutdown", Value::Null), Value::Null);
        assert_eq!(self.ask("textDocument/hover", json!({}))["error"]["code"], -32600);
        self.notify("exit", Value::Null);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

const A: &str = "profile(\"contract\")\n\n# A disk \u{1f4be} of a domain.\ndisk = Struct(\"disk\", [\n    # Which.\n    (\"name\", vdev),\n    # How.\n    (\"mode\", mode, {\"default\": \"live\"}),\n    ])\n";
const B: &str = "profile(\"contract\")\n\n# A name.\nvdev = String(\"vdev\", pattern=\"[a-z]{1,8}\")\n\n# Modes.\nmode = Enumeration(\"mode\", [\n    # While it runs.\n    (1, \"live\"),\n    ])\n";

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn write(path: &Path, text: &str) -> String {
    std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
    format!("file://{}", path.display().to_string().replace(' ', "%20"))
}

fn at(uri: &str, line: u32, character: u32) -> Value {
    json!({ "textDocument": { "uri": uri }, "position": { "line": line, "character": character } })
}

#[test]
fn an_editor_at_work_on_two_files_of_a_contract() {
    // A space in the path comes as %20.
    let folder = folder("lsp two files");
    let (a, b) = (write(&folder.join("a.idl"), A), write(&folder.join("b.idl"), B));
    write(&folder.join("other.idl"), "other = Struct(\"other\", [])\n"); // another profile: not of this unit
    let mut editor = Editor::start();
    assert_eq!(editor.ask("textDocument/hover", at(&a, 0, 0))["error"]["code"], -32002, "before initialize");
    editor.initialize();

    // The other file is read from the disk.
    editor.open(&a, A);
    assert_eq!(editor.diagnostics(&a), json!([]));

    // A mistake: a place in UTF-16, a code, a suggestion.
    let wrong = A.replace("vdev)", "vdef)").replace("A disk", "A disk,");
    editor.change(&a, &wrong);
    let found = editor.diagnostics(&a);
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
    assert_eq!((&found[0]["code"], &found[0]["severity"]), (&json!("E020"), &json!(1)));
    assert_eq!(
        found[0]["range"],
        json!({ "start": { "line": 5, "character": 13 }, "end": { "line": 5, "character": 17 } })
    );
    assert!(found[0]["message"].as_str().unwrap().contains("did you mean `vdev`?"), "{found}");
    // Names work while there are errors.
    assert!(editor.result("textDocument/hover", at(&a, 3, 1)).to_string().contains("A disk,"));
    editor.change(&a, A);
    assert_eq!(editor.diagnostics(&a), json!([]), "mended");

    // What is under the cursor: a type of the other file, with what only the model knows; a word of the language.
    let hover = editor.result("textDocument/hover", at(&a, 5, 14));
    let text = hover["contents"]["value"].as_str().unwrap();
    assert!(
        text.contains("vdev = String(\"vdev\"")
            && text.contains("A name.")
            && text.contains("At most 8 bytes."),
        "{text}"
    );
    assert_eq!(hover["range"]["start"], json!({ "line": 5, "character": 13 }));
    assert!(
        editor.result("textDocument/hover", at(&a, 7, 24)).to_string().contains("may be absent when read")
    );
    assert_eq!(
        editor.result("textDocument/hover", at(&a, 2, 12)),
        Value::Null,
        "a comment, past a character of two units"
    );

    // Definitions and uses, across files.
    let definition = editor.result("textDocument/definition", at(&a, 5, 14));
    assert_eq!((&definition["uri"], &definition["range"]["start"]["line"]), (&json!(b), &json!(3)));
    let definition = editor.result("textDocument/definition", at(&a, 7, 35));
    assert_eq!(
        (&definition["uri"], &definition["range"]["start"]["line"]),
        (&json!(b), &json!(8)),
        "a default's value"
    );
    let places = editor.result("textDocument/references", at(&b, 3, 1));
    assert_eq!(places.as_array().unwrap().len(), 2, "{places}");

    // Renaming: of the variable, its name in quotes, and its use in the other file; applied, all is still right.
    let prepared = editor.result("textDocument/prepareRename", at(&a, 5, 14));
    assert_eq!(prepared["placeholder"], "vdev");
    let mut question = at(&a, 5, 14);
    question["newName"] = "device".into();
    let edits = editor.result("textDocument/rename", question.clone())["changes"].clone();
    assert_eq!((edits[&a].as_array().unwrap().len(), edits[&b].as_array().unwrap().len()), (1, 2), "{edits}");
    question["newName"] = "mode".into();
    let refused = editor.ask("textDocument/rename", question);
    assert!(refused["error"]["message"].as_str().unwrap().contains("there already"), "{refused}");
    editor.open(&b, &apply(B, &edits[&b]));
    editor.change(&a, &apply(A, &edits[&a]));
    assert_eq!((editor.diagnostics(&a), editor.diagnostics(&b)), (json!([]), json!([])));

    // What is open counts before the disk, for the other file too.
    editor.change(&b, &B.replace("live", "alive"));
    let found = editor.diagnostics(&a);
    assert!(found.to_string().contains("E020") && found.to_string().contains("E071"), "{found}");
    editor.leave();
}

/// Applies edits of lines without characters above U+FFFF.
fn apply(text: &str, edits: &Value) -> String {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let mut edits: Vec<&Value> = edits.as_array().unwrap().iter().collect();
    let place = |e: &Value, end: &str| {
        let p = &e["range"][end];
        (p["line"].as_u64().unwrap() as usize, p["character"].as_u64().unwrap() as usize)
    };
    edits.sort_by_key(|e| std::cmp::Reverse(place(e, "start")));
    for edit in edits {
        let ((line, from), (_, to)) = (place(edit, "start"), place(edit, "end"));
        lines[line].replace_range(from..to, edit["newText"].as_str().unwrap());
    }
    lines.join("\n")
}

#[test]
fn libxls_files_stand_alone_and_lints_are_warnings() {
    let mut editor = Editor::start();
    editor.initialize();
    // Not on any disk.
    let uri = "untitled:Untitled-1";
    editor.open(
        uri,
        "kind = Enumeration( 'kind', [(1, \"A\")])\ninfo = Struct(\"info\", [(\"kind\", kind)])\n",
    );
    let found = editor.diagnostics(uri);
    assert_eq!((&found[0]["code"], &found[0]["severity"]), (&json!("L004"), &json!(2)), "{found}");
    let edits =
        editor.result("textDocument/formatting", json!({ "textDocument": { "uri": uri }, "options": {} }));
    assert!(
        edits[0]["newText"].as_str().unwrap().starts_with("kind = Enumeration(\"kind\", [(1, \"A\")])\n"),
        "{edits}"
    );
    let symbols = editor.result("textDocument/documentSymbol", json!({ "textDocument": { "uri": uri } }));
    assert_eq!((&symbols[0]["name"], &symbols[0]["children"][0]["name"]), (&json!("kind"), &json!("A")));
    let names = editor.result("textDocument/completion", at(uri, 1, 33)).to_string();
    assert!(
        names.contains("\"kind\"") && names.contains("\"size_t\"") && !names.contains("timestamp"),
        "{names}"
    );
    editor.notify("textDocument/didClose", json!({ "textDocument": { "uri": uri } }));
    let gone = editor.ask("textDocument/hover", at(uri, 0, 0));
    assert_eq!(gone["error"]["code"], -32602, "{gone}");
    assert_eq!(editor.published.last().unwrap().1, json!([]), "closed: nothing is wrong any more");
    assert_eq!(editor.ask("workspace/symbol", json!({ "query": "" }))["error"]["code"], -32601);
    // Not JSON: told of, and the conversation goes on.
    write!(editor.stdin, "Content-Length: 3\r\n\r\n{{{{{{").unwrap();
    assert_eq!(editor.receive()["error"]["code"], -32700);
    editor.leave();
}

#[test]
fn an_editor_that_leaves_without_a_word_is_exit_1() {
    let mut editor = Editor::start();
    editor.initialize();
    drop(editor.stdin);
    assert_eq!(editor.child.wait().unwrap().code(), Some(1));
}
