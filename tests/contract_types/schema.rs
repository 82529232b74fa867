//! The back end of JSON Schema against what schemars makes of the generated Rust types.

use crate::types;
use serde_json::{Map, Value};
use xenidl::Backend as _;
use xenidl::backend::common::camel;
use xenidl::backend::jsonschema::JsonSchema;

/// What both must say: without annotations of the back end's own, types by one name, `true` as `{}`.
fn plain(value: &Value, of_names: bool) -> Value {
    match value {
        Value::Bool(true) if !of_names => Value::Object(Map::new()),
        Value::Array(list) => list.iter().map(|v| plain_member("", v)).collect(),
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, _)| {
                let annotation = matches!(key.as_str(), "$schema" | "$defs" | "title" | "deprecated");
                of_names || !(annotation || key.starts_with("x-"))
            });
            kept.map(|(key, v)| (key.clone(), if of_names { plain(v, false) } else { plain_member(key, v) }))
                .collect()
        }
        other => other.clone(),
    }
}

fn plain_member(key: &str, value: &Value) -> Value {
    match (key, value) {
        ("$ref", Value::String(to)) => camel(to.trim_start_matches("#/$defs/")).into(),
        ("properties", names) => plain(names, true),
        ("items", schema) => plain(schema, false),
        (_, Value::Bool(_)) => value.clone(),
        (_, other) => plain(other, false),
    }
}

#[test]
fn the_back_end_and_schemars_say_the_same_of_every_type() {
    let files = JsonSchema.generate(&crate::MODEL).unwrap();
    let (_, all) = files.iter().find(|(name, _)| *name == "xensnap.all.schema.json").unwrap();
    let all: Value = serde_json::from_str(all).unwrap();
    let mut compared = 0;
    for (decl, info) in types() {
        let (ours, theirs) =
            (plain(&all["$defs"][&decl.name], false), plain(&info.schema().to_value(), false));
        assert_eq!(ours, theirs, "{}", decl.name);
        compared += 1;
    }
    assert!(compared > 40);
}
