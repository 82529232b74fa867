//! Every type of the contract against the model it was generated from: random documents go there and back in the
//! same bytes, the JSON Schema agrees with what the reader takes and refuses, sizes are what the compiler says.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod schema;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::LazyLock;
use xenidl::model::{Decl, DeclKind};
use xenidl::sample::{Mode, Sampler};
use xenidl::{Model, Source};
use xensnap::contract::TYPES;
use xensnap::wire::{TypeInfo, XENSTORE_MAX};

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("idl/schema");
    let mut paths: Vec<_> = folder.read_dir().unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "idl"));
    paths.sort();
    let sources: Vec<Source> = paths
        .iter()
        .map(|p| Source::new(p.display().to_string(), std::fs::read_to_string(p).unwrap()))
        .collect();
    xenidl::compile(&sources).unwrap_or_else(|d| panic!("{}", d.render(&sources)))
});

fn types() -> impl Iterator<Item = (&'static Decl, &'static TypeInfo)> {
    assert_eq!(MODEL.decls.len(), TYPES.len());
    MODEL.decls.iter().zip(TYPES)
}

#[test]
fn every_declaration_is_a_type() {
    for (decl, info) in types() {
        assert_eq!(decl.name, info.name);
    }
}

#[test]
fn the_longest_document_is_as_long_as_the_compiler_says() {
    let mut bound = 0;
    for (decl, info) in types() {
        let DeclKind::Struct(s) = &decl.kind else { continue };
        if s.xenstore.is_none() {
            continue;
        }
        let longest = Sampler::new(&MODEL, Mode::Longest, 0).document(decl);
        let max = xenidl::size::decl_max(&MODEL, decl).unwrap();
        assert_eq!(longest.len() as u64, max, "{}: {longest}", decl.name);
        assert!(longest.len() <= XENSTORE_MAX);
        assert_eq!(info.recode(&longest).unwrap(), longest);
        bound += 1;
    }
    assert!(bound >= 4, "the contract binds request, operation, agent and domain");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn documents_go_there_and_back_in_the_same_bytes(seed: u64) {
        for (decl, info) in types() {
            let text = Sampler::new(&MODEL, Mode::Random, seed).document(decl);
            match info.recode(&text) {
                Ok(again) => prop_assert_eq!(again, text, "{}", decl.name),
                Err(e) => prop_assert!(false, "{}: {e}\n{text}", decl.name),
            }
        }
    }

    /// What is wrong with a document is refused, and the error names the place.
    #[test]
    fn wrong_documents_are_refused_with_their_path(seed: u64) {
        for (decl, info) in types() {
            let (text, wrong) = Sampler::new(&MODEL, Mode::Random, seed).refused(decl);
            match info.recode(&text) {
                Ok(_) => prop_assert!(false, "{}: {wrong:?} is taken: {text}", decl.name),
                Err(e) => {
                    let (said, path) = (e.to_string(), wrong.path.clone().unwrap_or_default());
                    let named = path.is_empty() || said.starts_with(&format!("{path}: "));
                    prop_assert!(named, "{}: {wrong:?} but {said}\n{text}", decl.name);
                }
            }
        }
    }

    /// The compiler's sizes hold for every document without unknown fields.
    #[test]
    fn no_document_is_longer_than_the_compiler_says(seed: u64) {
        for (decl, _) in types() {
            let text = Sampler::new(&MODEL, Mode::Known, seed).document(decl);
            if let Ok(max) = xenidl::size::decl_max(&MODEL, decl) {
                prop_assert!(text.len() as u64 <= max, "{}: {} > {max}: {text}", decl.name, text.len());
            }
        }
    }
}

/// A JSON Schema, ready to check with.
struct Checker {
    schemas: boon::Schemas,
    index: boon::SchemaIndex,
}

impl Checker {
    fn new(info: &TypeInfo) -> Self {
        let mut schemas = boon::Schemas::new();
        let mut compiler = boon::Compiler::new();
        let url = format!("mem:///{}.json", info.name);
        compiler.add_resource(&url, info.schema().to_value()).unwrap();
        let index = compiler.compile(&url, &mut schemas).unwrap_or_else(|e| panic!("{}: {e:#}", info.name));
        Self { schemas, index }
    }

    fn accepts(&self, value: &Value) -> bool {
        self.schemas.validate(value, self.index).is_ok()
    }
}

/// Changes one thing somewhere in the document, and says what.
fn change(docs: &mut Sampler<'_>, value: &mut Value) -> String {
    let descend = docs.below(3) > 0;
    match value {
        Value::Object(map) if !map.is_empty() => {
            let key = map.keys().nth(docs.below(map.len())).unwrap().clone();
            if descend {
                return format!("{key}.{}", change(docs, map.get_mut(&key).unwrap()));
            }
            let old = map.remove(&key).unwrap();
            match docs.below(3) {
                0 => format!("{key} removed"),
                1 => {
                    map.insert(key, old);
                    map.insert("nobody_knows_this".into(), json!([]));
                    "field added".into()
                }
                _ => {
                    map.insert(format!("{key}x"), old);
                    format!("{key} renamed {key}x")
                }
            }
        }
        Value::Array(list) if !list.is_empty() && descend => {
            let at = docs.below(list.len());
            format!("[{at}].{}", change(docs, &mut list[at]))
        }
        other => {
            let long = json!("x".repeat(400));
            let values = [
                json!(null),
                json!(1.5),
                json!(-1),
                json!(1u64 << 53),
                json!(70000),
                json!(""),
                json!("UPPER case"),
                json!("/a/../b"),
                json!("2026-11-23T10:20:30Z"),
                json!("67E55044-10b1-426f-9247-bb680e5fe0c8"),
                long,
                json!([]),
                json!([1]),
                Value::Object(Map::new()),
                json!(false),
            ];
            let new = values[docs.below(values.len())].clone();
            let said = format!("{other} replaced by {new}");
            *other = new;
            said
        }
    }
}

#[test]
fn the_json_schema_takes_what_the_reader_takes() {
    let (mut taken, mut refused) = (0, 0);
    for (decl, info) in types() {
        let checker = Checker::new(info);
        for seed in 0..250 {
            let mut docs = Sampler::new(&MODEL, Mode::Random, seed);
            let text = docs.document(decl);
            let mut value: Value = serde_json::from_str(&text).unwrap();
            assert!(checker.accepts(&value), "{}: the schema refuses {text}", decl.name);
            let what = change(&mut docs, &mut value);
            let text = value.to_string();
            let read = info.recode(&text);
            let (reader, schema) = (read.is_ok(), checker.accepts(&value));
            assert_eq!(reader, schema, "{} ({what}): reader {read:?}, schema {schema}: {text}", decl.name);
            if reader {
                taken += 1;
            } else {
                refused += 1;
            }
        }
    }
    assert!(taken > 1000 && refused > 5000, "{taken} taken, {refused} refused: the changes test too little");
}
