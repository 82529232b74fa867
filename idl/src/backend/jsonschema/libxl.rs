//! Schemas of libxl's types, as the dialect that loses nothing reads them: what a libxl on yajl writes, what one on json-c
//! makes of large numbers, and names in letters of either case.

use super::{Members, int, lifecycle, member, reference, text, texts};
use crate::model::{Builtin, Decl, DeclKind, Enum, Field, Model, Number, Presence, Struct, Ty, Union};
use crate::sample::Node;

pub(super) fn schema(model: &Model, decl: &Decl) -> Members {
    let mut schema = Vec::new();
    if !decl.doc.is_empty() {
        schema.push(text("description", &decl.doc));
    }
    match &decl.kind {
        DeclKind::Enum(e) => schema.push(enumeration(e)),
        DeclKind::Struct(s) => structure(model, s, &mut schema),
        DeclKind::Text(_) => {}
    }
    schema
}

fn enumeration(e: &Enum) -> (String, Node) {
    let mut any_of: Vec<Node> = e
        .values
        .iter()
        .map(|v| {
            let mut value = vec![text("const", &v.name)];
            if !v.doc.is_empty() {
                value.push(text("description", &v.doc));
            }
            value.push(int("x-number", v.number));
            Node::Map(value)
        })
        .collect();
    if e.values.iter().any(|v| v.name.contains(|c: char| c.is_ascii_alphabetic())) {
        let names: Vec<String> = e.values.iter().map(|v| any_case(&v.name)).collect();
        any_of.push(Node::Map(vec![
            text("type", "string"),
            text("pattern", &format!("^(?:{})$", names.join("|"))),
            text("description", "the same with letters of either case"),
        ]));
    }
    any_of.push(Node::Map(vec![
        text("type", "integer"),
        int("minimum", i32::MIN),
        int("maximum", i32::MAX),
        text("description", "a number without a name"),
    ]));
    member("anyOf", Node::List(any_of))
}

/// `qcow2` to `[qQ][cC][oO][wW]2`.
fn any_case(name: &str) -> String {
    name.chars().fold(String::new(), |mut out, c| {
        if c.is_ascii_alphabetic() {
            out.push_str(&format!("[{}{}]", c.to_ascii_lowercase(), c.to_ascii_uppercase()));
        } else {
            out.push(c);
        }
        out
    })
}

fn structure(model: &Model, s: &Struct, schema: &mut Members) {
    let (mut properties, mut unions) = (Vec::new(), Vec::new());
    for field in s.fields.iter().filter(|f| !f.constant) {
        if let Ty::Union(u) = &field.ty {
            let mut keys = Vec::new();
            for arm in &u.arms {
                let held = match arm.ty {
                    Some(id) => reference(model.get(id).raw_name()),
                    None => vec![text("type", "object")],
                };
                keys.push(format!("{}.{}", u.keyvar, arm.name));
                properties.push(member(&format!("{}.{}", u.keyvar, arm.name), Node::Map(held)));
            }
            keys.push(u.keyvar.clone());
            properties.push(member(&u.keyvar, Node::Map(keyvar(model, u))));
            unions.push(at_most_one(&keys));
        } else if let Some(of) = of(model, &field.ty) {
            properties.push(member(&field.name, Node::Map(property(field, of))));
        }
    }
    schema.push(text("type", "object"));
    schema.push(member("properties", Node::Map(properties)));
    if !unions.is_empty() {
        schema.push(member("allOf", Node::List(unions)));
    }
}

fn keyvar(model: &Model, u: &Union) -> Members {
    let mut schema = reference(model.get(u.key_enum).raw_name());
    schema.push(text("description", "only where the key has no arm; libxl itself writes nothing then"));
    schema
}

fn at_most_one(keys: &[String]) -> Node {
    let mut one_of: Vec<Node> =
        keys.iter().map(|key| Node::Map(vec![member("required", texts([key.as_str()]))])).collect();
    one_of.push(Node::Map(vec![member("not", Node::Map(vec![member("anyOf", Node::List(one_of.clone()))]))]));
    Node::Map(vec![member("oneOf", Node::List(one_of))])
}

fn property(field: &Field, mut schema: Members) -> Members {
    if !field.doc.is_empty() {
        schema.push(text("description", &field.doc));
    }
    if let Presence::Initial(i) = field.presence
        && matches!(field.ty, Ty::Number(_))
    {
        schema.push(int("default", i));
    }
    schema.extend(lifecycle(field.since, field.deprecated.as_deref()));
    schema
}

/// The one exhaustive match over types; `None` for what is not in JSON.
fn of(model: &Model, ty: &Ty) -> Option<Members> {
    Some(match ty {
        Ty::Bool => vec![text("type", "boolean")],
        Ty::Number(n) => number(n),
        Ty::Builtin(Builtin::Private(_)) => return None,
        Ty::Builtin(Builtin::Text) => vec![member("type", texts(["string", "null"]))],
        Ty::Builtin(b) => reference(b.name()),
        Ty::Named(id) => reference(model.get(*id).raw_name()),
        Ty::Array { elem, .. } => {
            vec![text("type", "array"), member("items", Node::Map(of(model, elem)?))]
        }
        // A union's keys are its struct's; the contract's types are not libxl's.
        Ty::Union(_)
        | Ty::Int { .. }
        | Ty::Domid
        | Ty::Str
        | Ty::Timestamp
        | Ty::Duration
        | Ty::Uuid
        | Ty::Path
        | Ty::Bytes
        | Ty::Json => return None,
    })
}

fn integer(min: i128, max: i128) -> Members {
    vec![text("type", "integer"), int("minimum", min), int("maximum", max)]
}

/// A number, and what libxl makes of one that it casts.
fn number(n: &Number) -> Members {
    let most = (1i128 << n.bits) - 1;
    match (n.bits, n.signed) {
        (bits, true) => integer(-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        (32, false) => integer(i128::from(i32::MIN), most),
        (64, false) => {
            let cast = integer(i128::from(i64::MIN), i128::from(i32::MIN) - 1);
            vec![member("anyOf", Node::List(vec![Node::Map(integer(0, most)), Node::Map(cast)]))]
        }
        (_, false) => integer(0, most),
    }
}

/// The builtin types that one of these refers to.
pub(super) fn builtins(decls: &[&Decl]) -> Members {
    fn builtin(ty: &Ty) -> Option<&Builtin> {
        match ty {
            Ty::Builtin(b) => Some(b),
            Ty::Array { elem, .. } => builtin(elem),
            _ => None,
        }
    }
    let used: Vec<&Builtin> = decls
        .iter()
        .filter_map(|d| match &d.kind {
            DeclKind::Struct(s) => Some(s.fields.iter().filter(|f| !f.constant)),
            DeclKind::Enum(_) | DeclKind::Text(_) => None,
        })
        .flatten()
        .filter_map(|f| builtin(&f.ty))
        .collect();
    Builtin::NAMED
        .iter()
        .filter(|(_, b)| used.contains(&b))
        .map(|(name, b)| member(name, Node::Map(of_builtin(b))))
        .collect()
}

fn array(items: Members, min: Option<u32>, max: Option<u32>) -> Members {
    let mut schema = vec![text("type", "array"), member("items", Node::Map(items))];
    schema.extend(min.map(|m| int("minItems", m)));
    schema.extend(max.map(|m| int("maxItems", m)));
    schema
}

fn pattern(pattern: &str) -> Members {
    vec![text("type", "string"), text("pattern", pattern)]
}

fn of_builtin(b: &Builtin) -> Members {
    match b {
        Builtin::Defbool => vec![member("enum", texts(["True", "False", "<default>"]))],
        Builtin::Uuid => {
            pattern("^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$")
        }
        Builtin::Mac => pattern("^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$"),
        Builtin::Bitmap => array(integer(0, i128::from(i32::MAX) - 8), None, None),
        Builtin::StringList => array(vec![text("type", "string")], None, None),
        Builtin::KeyValueList => {
            let value = Node::Map(vec![member("type", texts(["string", "null"]))]);
            vec![text("type", "object"), member("additionalProperties", value)]
        }
        Builtin::Hwcap => array(vec![text("type", "integer")], Some(4), Some(8)),
        Builtin::MsVmGenid => array(integer(0, 255), Some(16), Some(16)),
        Builtin::CpuidPolicyList => cpuid(),
        Builtin::Text | Builtin::Private(_) => Vec::new(),
    }
}

fn cpuid() -> Members {
    // Lengths are of bytes there, of characters here: one is at most four bytes.
    let bits = |n: u32| Node::Map(vec![text("type", "string"), int("minLength", n / 4), int("maxLength", n)]);
    let word = || Node::Map(vec![text("type", "integer")]);
    let mut leaf = vec![member("leaf", word()), member("subleaf", word())];
    leaf.extend(["eax", "ebx", "ecx", "edx"].map(|name| member(name, bits(32))));
    let leaf = vec![text("type", "object"), member("properties", Node::Map(leaf))];
    let msr = vec![
        text("type", "object"),
        member("properties", Node::Map(vec![member("index", word()), member("policy", bits(64))])),
        member("required", texts(["index", "policy"])),
    ];
    let leaves = Node::Map(array(leaf, None, None));
    let both = vec![
        text("type", "object"),
        member(
            "properties",
            Node::Map(vec![
                member("cpuid", leaves.clone()),
                member("msr", Node::Map(array(msr, None, None))),
            ]),
        ),
        member("required", texts(["cpuid", "msr"])),
    ];
    vec![member("anyOf", Node::List(vec![Node::Map(both), leaves]))]
}
