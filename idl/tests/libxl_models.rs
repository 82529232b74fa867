//! The types of real versions of libxl: what the compiler makes of the text that `render` prints from a model is the
//! model again, and it is found by another way: each statement of the model is flattened to lines, and so is our model.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that starts a command"
)]

use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use xenidl::model::{Builtin, Decl, DeclKind, Field, Model, Presence, Ty};
use xenidl::{Source, backend, compile};

/// Values of the constants, worked out by hand.
const CONSTANTS: &[(&str, i128)] = &[
    ("LIBXL_MEMKB_DEFAULT", u64::MAX as i128),
    ("LIBXL_INVALID_GFN", u64::MAX as i128),
    ("LIBXL_MAX_GRANT_DEFAULT", u32::MAX as i128),
    ("LIBXL_NR_SPIS_DEFAULT", u32::MAX as i128),
    ("LIBXL_ALTP2M_COUNT_DEFAULT", u32::MAX as i128),
    ("~0U", u32::MAX as i128),
    ("LIBXL_TIMER_MODE_DEFAULT", -1),
    ("LIBXL_DOMAIN_TYPE_INVALID", -1),
    ("LIBXL_RDM_RESERVE_POLICY_INVALID", -1),
    ("LIBXL_SHUTDOWN_REASON_UNKNOWN", -1),
    ("LIBXL_ACTION_ON_SHUTDOWN_DESTROY", 1),
    ("LIBXL_VGA_INTERFACE_TYPE_CIRRUS", 1),
    ("LIBXL_VGA_INTERFACE_TYPE_UNKNOWN", 0),
    ("LIBXL_HDTYPE_IDE", 1),
    ("1", 1),
    ("-1", -1),
];

fn shared() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = std::env::var_os("XENSNAP_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let folder = folder.join("libxl-idl");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: models of libxl's types: no {}", folder.display());
    None
}

/// The models' names and statements.
fn models(folder: &Path) -> Vec<(PathBuf, Json)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "json"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
        .into_iter()
        .map(|p| {
            let json = serde_json::from_str(&std::fs::read_to_string(&p).unwrap()).unwrap();
            (p, json)
        })
        .collect()
}

fn render(folder: &Path, model: &Path) -> Source {
    let out = Command::new("python3").arg(folder.join("render")).arg(model).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Source::new(model.file_name().unwrap().to_str().unwrap(), String::from_utf8(out.stdout).unwrap())
}

/// One line for each fact of a statement's value.
struct Flat<'a> {
    types: BTreeMap<&'a str, &'a Json>,
    lines: Vec<String>,
}

fn option<'a>(call: &'a Json, name: &str) -> Option<&'a Json> {
    call["kwargs"].as_array()?.iter().find(|kv| kv[0] == name).map(|kv| &kv[1])
}

/// A constant, as the field's type holds it.
fn number(text: &str, ty: &str) -> i128 {
    // LIBXL_DOMAIN_SCHED_PARAM_WEIGHT_DEFAULT and the like: all not set.
    let known = CONSTANTS.iter().find(|(n, _)| *n == text).map(|(_, v)| *v);
    let value = known.unwrap_or(if text.contains("_SCHED_PARAM_") { -1 } else { 0 });
    match ty {
        "integer" => i128::from(value as i32),
        _ => value,
    }
}

impl<'a> Flat<'a> {
    fn name(v: &'a Json) -> String {
        let name = v["args"][0].as_str().unwrap();
        format!("libxl_{name}")
    }

    /// A type as a field names it, and what it begins as.
    fn ty(&mut self, v: &'a Json, within: &str, part: &str) -> (String, i128) {
        if let Some(name) = v["name"].as_str() {
            let Some(def) = self.types.get(name) else { return (name.to_owned(), 0) };
            let initial = option(def, "init_val").and_then(Json::as_str).map_or(0, |t| number(t, "integer"));
            return match def["call"].as_str().unwrap() {
                "UInt" => (
                    name.to_owned(),
                    option(def, "init_val").and_then(Json::as_str).map_or(0, |t| number(t, "uint64")),
                ),
                "Builtin" => match def["args"][0].as_str().unwrap() {
                    "domid" | "devid" => (name.to_owned(), initial),
                    "ev_link" => ("libxl_ev_link".to_owned(), 0),
                    other => (other.to_owned(), 0),
                },
                _ => (Self::name(def), initial),
            };
        }
        match v["call"].as_str().unwrap() {
            "Array" => {
                let (elem, _) = self.ty(&v["args"][0], within, part);
                (format!("[{elem}; {}]", v["args"][1].as_str().unwrap()), 0)
            }
            "Struct" => {
                let name = format!("{within}_{part}");
                self.fields(&name, &v["args"][1]);
                (name, 0)
            }
            "KeyedUnion" => {
                let (key, of_key) = self.ty(&v["args"][1], within, part);
                let mut text = format!("union {key} {}", v["args"][2].as_str().unwrap());
                let own = option(v, "keyvar_init_val").and_then(Json::as_str).map(|t| number(t, "integer"));
                text += &format!(" = {}", own.unwrap_or(of_key));
                for arm in v["args"][3].as_array().unwrap() {
                    let (name, ty) = (arm["tuple"][0].as_str().unwrap(), &arm["tuple"][1]);
                    let ty = if ty.is_null() { "-".into() } else { self.ty(ty, within, name).0 };
                    text += &format!(" {name}:{ty}");
                }
                (text, 0)
            }
            other => panic!("{other}"),
        }
    }

    fn fields(&mut self, name: &str, fields: &'a Json) {
        for field in fields.as_array().unwrap() {
            let parts = &field["tuple"];
            let (field, (ty, of_type)) =
                (parts[0].as_str().unwrap(), self.ty(&parts[1], name, parts[0].as_str().unwrap()));
            let options: BTreeMap<&str, &Json> = parts[2]["dict"]
                .as_array()
                .map(|d| d.iter().map(|kv| (kv[0].as_str().unwrap(), &kv[1])).collect())
                .unwrap_or_default();
            let own = options.get("init_val").map(|t| number(t.as_str().unwrap(), &ty));
            let constant = options.contains_key("const");
            let by = options.get("deprecated_by").map_or("-", |b| b.as_str().unwrap());
            self.lines
                .push(format!("{name}.{field}: {ty} = {} const {constant} by {by}", own.unwrap_or(of_type)));
        }
    }
}

fn flatten_json(model: &Json) -> Vec<String> {
    let statements = model.as_array().unwrap();
    let types = statements
        .iter()
        .filter_map(|s| Some((s["assign"].as_str()?, &s["value"])))
        .collect::<BTreeMap<&str, &Json>>();
    let mut flat = Flat { types, lines: Vec::new() };
    for value in statements.iter().filter_map(|s| s["assign"].as_str().map(|_| &s["value"])) {
        match value["call"].as_str().unwrap() {
            "Enumeration" => {
                let name = Flat::name(value);
                for v in value["args"][1].as_array().unwrap() {
                    let (number, text) = (v["tuple"][0].as_i64().unwrap(), v["tuple"][1].as_str().unwrap());
                    flat.lines.push(format!("{name} {number} {}", text.to_lowercase()));
                }
            }
            "Struct" => {
                let name = Flat::name(value);
                let dir = option(value, "dir").map_or("DIR_BOTH", |d| d["name"].as_str().unwrap());
                flat.lines.push(format!("{name} {dir}"));
                flat.fields(&name, &value["args"][1]);
            }
            _ => {}
        }
    }
    flat.lines.sort();
    flat.lines
}

fn ty(model: &Model, ty: &Ty) -> String {
    match ty {
        Ty::Array { elem, len } => format!("[{}; {len}]", self::ty(model, elem)),
        Ty::Union(u) => {
            let mut text = format!("union {} {} = {}", model.get(u.key_enum).name, u.keyvar, u.initial);
            for arm in &u.arms {
                let held = arm.ty.map_or("-", |id| model.get(id).name.as_str());
                text += &format!(" {}:{held}", arm.name);
            }
            text
        }
        Ty::Builtin(Builtin::Private(name)) => name.clone(),
        other => other.describe(model),
    }
}

fn line(model: &Model, decl: &Decl, field: &Field) -> String {
    let Presence::Initial(initial) = field.presence else { panic!("{field:?}") };
    let by = field.deprecated.as_deref().map_or("-", |d| d.trim_start_matches("use `").trim_end_matches('`'));
    format!(
        "{}.{}: {} = {initial} const {} by {by}",
        decl.name,
        field.name,
        ty(model, &field.ty),
        field.constant
    )
}

fn flatten(model: &Model) -> Vec<String> {
    let mut lines = Vec::new();
    for decl in &model.decls {
        match &decl.kind {
            DeclKind::Struct(s) => {
                if !decl.anonymous {
                    lines.push(format!("{} {}", decl.name, s.dir.as_str()));
                }
                lines.extend(s.fields.iter().map(|f| line(model, decl, f)));
            }
            DeclKind::Enum(e) => {
                lines.extend(e.values.iter().map(|v| format!("{} {} {}", decl.name, v.number, v.name)));
            }
            DeclKind::Text(_) => panic!("{}", decl.name),
        }
    }
    lines.sort();
    lines
}

#[test]
fn the_types_of_every_version_are_those_of_its_model() {
    let Some(folder) = shared() else { return };
    for (path, json) in models(&folder) {
        let source = render(&folder, &path);
        let sources = std::slice::from_ref(&source);
        let model = compile(sources).unwrap_or_else(|d| panic!("{}", d.render(sources)));
        let (expected, found) = (flatten_json(&json), flatten(&model));
        let missing: Vec<&String> = expected.iter().filter(|l| !found.contains(l)).collect();
        let surplus: Vec<&String> = found.iter().filter(|l| !expected.contains(l)).collect();
        assert!(missing.is_empty() && surplus.is_empty(), "{}\n{missing:#?}\n{surplus:#?}", path.display());
        assert!(expected.len() > 400);
        for backend in backend::all() {
            backend.generate(&model).unwrap_or_else(|d| panic!("{}", d.render(sources)));
        }
    }
}
