//! JSON Schema (2020-12) of the generated types, for `schemars`.

use super::Codec;
use super::named::Pattern;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// Puts a text's limits into a schema. Lengths here are of UTF-8 bytes, those of JSON Schema of characters: the
/// schema lets pass what has few characters and many bytes; the reader does not.
pub(super) fn limit_text(schema: &mut Schema, min: u32, max: u32, pattern: Option<&Pattern>) {
    let mut limits = Map::new();
    if min > 0 {
        // One character is at most four bytes.
        limits.insert("minLength".into(), min.div_ceil(4).into());
    }
    if max < u32::MAX {
        limits.insert("maxLength".into(), max.into());
    }
    if let Some(pattern) = pattern {
        limits.insert("pattern".into(), pattern.ecma.into());
    }
    let own = schema.as_object().is_some_and(|o| limits.keys().any(|k| o.contains_key(k)));
    if own {
        schema.insert("allOf".into(), json!([Value::Object(limits)]));
    } else {
        for (key, value) in limits {
            schema.insert(key, value);
        }
    }
}

/// The schema of a named string.
pub(crate) fn text_schema(doc: &str, min: u32, max: u32, pattern: &Pattern) -> Schema {
    let mut schema = json_schema!({ "type": "string", "description": doc });
    limit_text(&mut schema, min, max, Some(pattern));
    schema
}

/// The schema of an enumeration; an open one allows further names.
#[must_use]
pub fn enum_schema(doc: &str, strict: bool, values: &[(&str, &str)]) -> Schema {
    let mut one_of: Vec<Value> =
        values.iter().map(|(name, doc)| json!({ "const": name, "description": doc })).collect();
    if !strict {
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        one_of.push(json!({
            "pattern": "^[a-z][a-z0-9_]{0,63}$",
            "not": { "enum": names },
            "description": "a value that a newer version knows"
        }));
    }
    json_schema!({ "type": "string", "description": doc, "oneOf": one_of })
}

/// Builds the schema of a struct.
pub struct ObjectSchema {
    doc: &'static str,
    strict: bool,
    properties: Map<String, Value>,
    required: Vec<Value>,
    unions: Vec<Value>,
}

impl ObjectSchema {
    /// Begins, with the struct's documentation.
    #[must_use]
    pub fn new(doc: &'static str, strict: bool) -> Self {
        Self { doc, strict, properties: Map::new(), required: Vec::new(), unions: Vec::new() }
    }

    /// A field.
    pub fn field<C: Codec>(
        &mut self,
        g: &mut SchemaGenerator,
        name: &str,
        doc: &str,
        required: bool,
        codec: C,
    ) {
        let mut schema = codec.schema(g);
        schema.insert("description".into(), doc.into());
        self.properties.insert(name.into(), schema.to_value());
        if required {
            self.required.push(name.into());
        }
    }

    /// The default of the field that was added last under this name.
    pub fn default(&mut self, name: &str, value: Value) {
        if let Some(Value::Object(field)) = self.properties.get_mut(name) {
            field.insert("default".into(), value);
        }
    }

    /// An arm of a union: a field of which exactly one of its kind is there.
    pub fn arm<C: Codec>(&mut self, g: &mut SchemaGenerator, key: &str, codec: C) {
        self.properties.insert(key.into(), codec.schema(g).to_value());
    }

    /// The rule that exactly one arm is there; an open union may have one that this version does not know.
    pub fn union(&mut self, keyvar: &str, keys: &[&str]) {
        let mut one_of: Vec<Value> = keys.iter().map(|key| json!({ "required": [key] })).collect();
        if !self.strict {
            let pattern = format!("^{keyvar}\\.");
            one_of.push(json!({
                "not": { "propertyNames": { "anyOf": [{ "enum": keys }, { "not": { "pattern": pattern } }] } }
            }));
        }
        self.unions.push(json!({ "oneOf": one_of }));
    }

    /// The schema.
    #[must_use]
    pub fn finish(self) -> Schema {
        let mut schema = json_schema!({
            "type": "object",
            "description": self.doc,
            "properties": self.properties
        });
        if !self.required.is_empty() {
            schema.insert("required".into(), self.required.into());
        }
        if self.strict {
            schema.insert("additionalProperties".into(), false.into());
        }
        if !self.unions.is_empty() {
            schema.insert("allOf".into(), self.unions.into());
        }
        schema
    }
}
