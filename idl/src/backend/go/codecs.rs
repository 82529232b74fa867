//! `codecs.go`: how each type is read and written, as tables that the run time goes by.

use super::names::{arm, camel, constant, shared, type_name, union};
use super::types::{field_type, go_type, has_defaults, held, value};
use super::{head, imports, quote};
use crate::backend::common::is_libxls;
use crate::model::{
    Builtin, Decl, DeclKind, Enum, Field, INT_MAX, Limits, Model, Presence, Struct, Ty, Union, Unknown, Value,
};
use crate::pattern::Pattern;

pub(super) fn file(model: &Model, package: &str) -> String {
    let mut body = String::new();
    for decl in &model.decls {
        let name = type_name(decl);
        match &decl.kind {
            DeclKind::Text(text) => {
                let limits =
                    Limits { min: text.min, max: text.max, pattern: Some(text.pattern.clone()), range: None };
                body.push_str(&format!("var rule{name} = {}\n\n", rule(&decl.name, &limits, None)));
            }
            DeclKind::Enum(e) => enumeration(&mut body, decl, e),
            DeclKind::Struct(s) => structure(&mut body, model, decl, s),
        }
    }
    body.push_str(
        "// Types is every type by its name in the IDL, in order, for programs that go by names.\n",
    );
    body.push_str("var Types = []TypeInfo{\n");
    for decl in model.decls.iter().filter(|d| !(d.anonymous && is_libxls(d))) {
        let name = type_name(decl);
        let codec = match &decl.kind {
            DeclKind::Text(_) => format!("textCodec[{name}]{{rule{name}}}"),
            DeclKind::Enum(_) | DeclKind::Struct(_) => format!("codec{name}"),
        };
        let dialect = if is_libxls(decl) { "lossless" } else { "contract" };
        body.push_str(&format!("\tinfoOf[{name}]({}, {codec}, {dialect}),\n", quote(decl.raw_name())));
    }
    body.push_str("}\n");
    format!("{}package {package}\n\n{}{body}", head(model), imports(&body))
}

fn enumeration(out: &mut String, decl: &Decl, e: &Enum) {
    let name = type_name(decl);
    let values: Vec<String> = e.values.iter().map(|v| constant(decl, &v.name)).collect();
    let values = format!("[]{name}{{{}}}", values.join(", "));
    let label = quote(decl.raw_name());
    if e.unknown == Unknown::Ignored {
        let names: Vec<String> = e.values.iter().map(|v| quote(&v.name)).collect();
        out.push_str(&format!("var codec{name} = cEnum[{name}]{{\n\t{label},\n\t{values},\n"));
        out.push_str(&format!("\t[]string{{{}}},\n}}\n\n", names.join(", ")));
        return;
    }
    let open = e.unknown == Unknown::Kept;
    out.push_str(&format!("var codec{name} = enumCodec[{name}]{{{label}, {values}, {open}, \"\"}}\n\n"));
}

fn structure(out: &mut String, model: &Model, decl: &Decl, s: &Struct) {
    let name = type_name(decl);
    let libxl = s.unknown == Unknown::Ignored;
    let fresh = if has_defaults(model, s) { format!("New{name}") } else { format!("zero[{name}]") };
    let made = match s.unknown {
        Unknown::Ignored => format!("cStructOf({fresh}"),
        Unknown::Refused => format!("structOf({fresh}, nil"),
        Unknown::Kept => format!("structOf({fresh}, func(v *{name}) *Extra {{ return &v.Extra }}"),
    };
    let fields: Vec<String> =
        s.fields.iter().filter(|f| held(f)).map(|f| field(model, decl, s, f, libxl)).collect();
    out.push_str(&format!("var codec{name} = {made}"));
    if fields.is_empty() {
        out.push_str(")\n\n");
    } else {
        out.push_str(",\n");
        for line in fields {
            out.push_str(&format!("\t{line},\n"));
        }
        out.push_str(")\n\n");
    }
    let dialect = if libxl { "lossless" } else { "contract" };
    out.push_str("// MarshalJSON writes the document; json.Marshal would lay it out anew.\n");
    out.push_str(&format!(
        "func (v {name}) MarshalJSON() ([]byte, error) {{\n\treturn dumps[{name}](codec{name}, v, {dialect})\n}}\n\n"
    ));
    out.push_str("// UnmarshalJSON reads a document; a *DecodeError names the path to what is wrong.\n");
    out.push_str(&format!("func (v *{name}) UnmarshalJSON(data []byte) (err error) {{\n"));
    out.push_str(&format!("\t*v, err = loads[{name}](codec{name}, data, {dialect})\n\treturn err\n}}\n\n"));
}

fn field(model: &Model, decl: &Decl, s: &Struct, f: &Field, libxl: bool) -> String {
    let (name, key) = (type_name(decl), quote(&f.name));
    let at = |ty: &str| format!("func(v *{name}) *{ty} {{ return &v.{} }}", camel(&f.name));
    let ty = field_type(model, decl, f);
    if let Ty::Union(u) = &f.ty {
        return arms(model, decl, f, u, s.unknown, &at(&ty));
    }
    if libxl {
        let codec = libxls(model, &f.ty);
        let Presence::Initial(i) = f.presence else { return String::new() };
        return match &f.ty {
            Ty::Number(_) if i != 0 => format!("fieldFrom[{name}, {ty}]({key}, {}, {codec}, {i})", at(&ty)),
            Ty::Bool if i != 0 => format!("fieldFrom[{name}, {ty}]({key}, {}, {codec}, true)", at(&ty)),
            Ty::Named(id) if i != 0 && model.as_enum(*id).is_some() => {
                let initial = value(model.get(*id), model.as_enum(*id), i);
                format!("fieldFrom[{name}, {ty}]({key}, {}, {codec}, {initial})", at(&ty))
            }
            _ => format!("fieldAt[{name}, {ty}]({key}, {}, {codec})", at(&ty)),
        };
    }
    let inner = go_type(model, &f.ty);
    let codec = contract(model, &f.ty, &f.limits);
    match &f.presence {
        Presence::Optional => match &f.ty {
            Ty::Array { elem, .. } => {
                let elem = go_type(model, elem);
                format!("optionalList[{name}, {inner}, {elem}]({key}, {}, {codec})", at(&inner))
            }
            Ty::Json => format!("optionalList[{name}, {inner}, byte]({key}, {}, {codec})", at(&inner)),
            _ => format!("optional[{name}, {inner}]({key}, {}, {codec})", at(&format!("*{inner}"))),
        },
        Presence::Default(Value::Enum(default)) => {
            let unset = match &f.ty {
                Ty::Named(id) => format!(".or({})", constant(model.get(*id), default)),
                _ => String::new(),
            };
            format!("withDefault[{name}, {inner}]({key}, {}, {codec}{unset})", at(&inner))
        }
        Presence::Default(_) => format!("withDefault[{name}, {inner}]({key}, {}, {codec})", at(&inner)),
        Presence::Required | Presence::Initial(_) => {
            format!("required[{name}, {inner}]({key}, {}, {codec})", at(&inner))
        }
    }
}

fn arms(model: &Model, decl: &Decl, f: &Field, u: &Union, unknown: Unknown, at: &str) -> String {
    let (name, of) = (type_name(decl), union(decl, f, u));
    let libxl = unknown == Unknown::Ignored;
    let keyvar = quote(&u.keyvar);
    let mut out = if libxl {
        let key = model.get(u.key_enum);
        let kind = type_name(key);
        let initial = value(key, model.as_enum(u.key_enum), u.initial.into());
        let other = format!("func(k {kind}) {of} {{ return &{of}Other{{k}} }}");
        format!("unionAt[{name}, {of}, {kind}]({keyvar}, {at}, codec{kind}, {other}, {initial},\n")
    } else {
        format!("union[{name}, {of}]({keyvar}, {}, {at},\n", quote(&f.name))
    };
    for a in &u.arms {
        let arm = arm(model, decl, f, u, a);
        let codec = match a.ty.map(|id| type_name(model.get(id))) {
            Some(held) if shared(u, a) => {
                format!("sameAs[{arm}, {held}]{{codec{held}, func(v *{arm}) *{held} {{ return &v.{held} }}}}")
            }
            Some(held) => format!("codec{held}"),
            None => match unknown {
                Unknown::Ignored => format!("cStructOf(zero[{arm}])"),
                Unknown::Refused => format!("structOf(zero[{arm}], nil)"),
                Unknown::Kept => {
                    format!("structOf(zero[{arm}], func(v *{arm}) *Extra {{ return &v.Extra }})")
                }
            },
        };
        out.push_str(&format!("\t\tarmOf[{of}, {arm}]({}, {codec}),\n", quote(&a.name)));
    }
    out.push_str("\t)");
    out
}

/// The rule of a text.
fn rule(name: &str, limits: &Limits, of: Option<&str>) -> String {
    let mut out = format!("&textRule{{name: {}", quote(name));
    if let Some(min) = limits.min {
        out.push_str(&format!(", least: {min}"));
    }
    match limits.max {
        Some(max) => out.push_str(&format!(", most: {max}")),
        None => out.push_str(", most: -1"),
    }
    if let Some(p) = &limits.pattern {
        out.push_str(&format!(", pattern: {}", pattern(p)));
    }
    if let Some(of) = of {
        out.push_str(&format!(", of: {of}"));
    }
    out.push('}');
    out
}

fn pattern(p: &Pattern) -> String {
    let rune = |c: char| match c {
        '\'' | '\\' => format!("'\\{c}'"),
        c if c.is_ascii_graphic() || c == ' ' => format!("'{c}'"),
        c => format!("{:#x}", c as u32),
    };
    let parts: Vec<String> = p
        .parts
        .iter()
        .map(|part| {
            let ranges: Vec<String> =
                part.ranges.iter().map(|(a, b)| format!("{}, {}", rune(*a), rune(*b))).collect();
            let most = part.max.map_or("-1".to_owned(), |m| m.to_string());
            format!("{{[]rune{{{}}}, {}, {most}}}", ranges.join(", "), part.min)
        })
        .collect();
    format!("&pattern{{{}, []part{{{}}}}}", quote(&p.text), parts.join(", "))
}

/// The codec of a type of the contract.
fn contract(model: &Model, ty: &Ty, limits: &Limits) -> String {
    let text = |name: &str, whole: &str| {
        if *limits == Limits::default() { whole.to_owned() } else { rule(name, limits, Some(whole)) }
    };
    match ty {
        Ty::Bool => "boolCodec{}".into(),
        Ty::Int { .. } | Ty::Domid | Ty::Duration | Ty::Bytes | Ty::Number(_) => {
            let (least, most) = limits.range.or(ty.int_range()).unwrap_or((-INT_MAX, INT_MAX));
            format!("intCodec[{}]{{{least}, {most}}}", go_type(model, ty))
        }
        Ty::Str => format!("textCodec[string]{{{}}}", text("string", "stringRule")),
        Ty::Path => format!("textCodec[string]{{{}}}", text("path", "pathRule")),
        Ty::Json if *limits == Limits::default() => "rawCodec{}".into(),
        Ty::Json => format!("rawCodec{{{}}}", rule("json", limits, None)),
        Ty::Timestamp => "timeCodec{}".into(),
        Ty::Uuid => "uuidCodec{}".into(),
        Ty::Named(id) => {
            let decl = model.get(*id);
            let name = type_name(decl);
            match decl.kind {
                DeclKind::Text(_) => {
                    format!("textCodec[{name}]{{{}}}", text(&decl.name, &format!("rule{name}")))
                }
                DeclKind::Enum(_) | DeclKind::Struct(_) => format!("codec{name}"),
            }
        }
        Ty::Array { elem, .. } => {
            let of = go_type(model, elem);
            let codec = contract(model, elem, &Limits::default());
            let most = limits.max.map_or("-1".to_owned(), |m| m.to_string());
            format!("listOf[{of}]({codec}, {}, {most})", limits.min.unwrap_or(0))
        }
        // A union is written by its struct; libxl's types are not the contract's.
        Ty::Union(_) | Ty::Builtin(_) => "rawCodec{}".into(),
    }
}

/// The codec of a type of libxl's.
fn libxls(model: &Model, ty: &Ty) -> String {
    match ty {
        Ty::Bool => "cBool{}".into(),
        Ty::Number(n) => format!("number[{}]{{{}}}", go_type(model, ty), n.bits),
        Ty::Builtin(b) => match b {
            Builtin::Text => "cText{}",
            Builtin::Defbool => "cDefbool{}",
            Builtin::Uuid => "cUUID{uuidCodec{anyCase: true}}",
            Builtin::Mac => "cMAC{}",
            Builtin::Bitmap => "cBitmap{}",
            Builtin::CpuidPolicyList => "cCPUID{}",
            Builtin::StringList => "cListOf[string](cString{})",
            Builtin::KeyValueList => "cKeyValues{}",
            Builtin::Hwcap => "cHwcap{}",
            Builtin::MsVmGenid => "cGenid{}",
            Builtin::Private(_) => "",
        }
        .into(),
        Ty::Named(id) => format!("codec{}", type_name(model.get(*id))),
        Ty::Array { elem, .. } => format!("cListOf[{}]({})", go_type(model, elem), libxls(model, elem)),
        // A union is written by its struct; the contract's types are not libxl's.
        Ty::Union(_)
        | Ty::Int { .. }
        | Ty::Domid
        | Ty::Str
        | Ty::Timestamp
        | Ty::Duration
        | Ty::Uuid
        | Ty::Path
        | Ty::Bytes
        | Ty::Json => String::new(),
    }
}
