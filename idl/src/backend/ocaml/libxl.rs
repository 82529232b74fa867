//! libxl's types: records that begin as libxl's `_init` leaves them, enumerations that keep a number without a name, on
//! the support module `lossless`.

use super::names::{constructor, ident, module, union};
use super::{Out, attribute, end_signature, json_functions, json_signature, quote};
use crate::model::{Builtin, Decl, Enum, Field, Id, Model, Presence, Struct, Ty, Union};

/// A type, its codec, and what a value of it begins as; `None` for what is not in JSON.
struct Typed {
    ty: String,
    codec: String,
    initial: String,
    /// Written whatever it is.
    always: bool,
}

fn typed(model: &Model, field: &Field, ty: &Ty) -> Option<Typed> {
    let initial = match field.presence {
        Presence::Initial(i) => i,
        _ => 0,
    };
    let of = |ty: &str, codec: &str, initial: &str| Typed {
        ty: ty.into(),
        codec: format!("Lossless.{codec}"),
        initial: initial.into(),
        always: false,
    };
    let own = |module: &str, codec: &str, zero: &str| of(&format!("Lossless.{module}.t"), codec, zero);
    Some(match ty {
        Ty::Bool => of("bool", "bool", if initial == 0 { "false" } else { "true" }),
        Ty::Number(n) if n.bits == 64 => {
            // The bits are the same; OCaml has no unsigned literal.
            let bits = i64::try_from(initial).unwrap_or_else(|_| (initial as u128 as u64).cast_signed());
            let (ty, codec) = if n.signed { ("int64", "int64") } else { ("Lossless.uint64", "uint64") };
            of(ty, codec, &format!("({bits}L)"))
        }
        Ty::Number(n) => Typed {
            codec: format!("(Lossless.int ~bits:{} ~signed:{})", n.bits, n.signed),
            ..of("int", "", &format!("({initial})"))
        },
        Ty::Builtin(b) => match b {
            Builtin::Text => of("string option", "string", "None"),
            Builtin::Defbool => of("bool option", "defbool", "None"),
            Builtin::StringList => of("string list", "string_list", "[]"),
            Builtin::KeyValueList => own("Key_value_list", "key_value_list", "[]"),
            Builtin::Uuid => own("Uuid", "uuid", "Lossless.Uuid.nil"),
            Builtin::Mac => own("Mac", "mac", "Lossless.Mac.zero"),
            Builtin::Bitmap => own("Bitmap", "bitmap", "Lossless.Bitmap.empty"),
            Builtin::MsVmGenid => own("Ms_vm_genid", "ms_vm_genid", "Lossless.Ms_vm_genid.zero"),
            Builtin::CpuidPolicyList => {
                own("Cpuid_policy_list", "cpuid_policy_list", "Lossless.Cpuid_policy_list.empty")
            }
            Builtin::Hwcap => Typed { always: true, ..own("Hwcap", "hwcap", "Lossless.Hwcap.zero") },
            Builtin::Private(_) => return None,
        },
        Ty::Named(id) => {
            let name = module(model.get(*id));
            let (value, always) = match model.as_enum(*id) {
                Some(_) => (enum_value(model, *id, initial), false),
                None => (format!("{name}.default"), true),
            };
            Typed { ty: format!("{name}.t"), codec: format!("{name}.codec"), initial: value, always }
        }
        Ty::Array { elem, .. } => {
            let elem = typed(model, field, elem)?;
            Typed {
                ty: format!("{} list", elem.ty),
                codec: format!("(Lossless.array {})", elem.codec),
                initial: "[]".into(),
                always: false,
            }
        }
        Ty::Union(u) => {
            let name = union(model, field, u);
            let of = format!("{name}.t");
            let initial = match u.arms.iter().find(|a| a.number == u.initial) {
                Some(arm) => match arm.ty {
                    Some(id) => {
                        format!("{name}.{} {}.default", constructor(&arm.name), module(model.get(id)))
                    }
                    None => format!("{name}.{}", constructor(&arm.name)),
                },
                None => format!("{name}.Other {}", enum_value(model, u.key_enum, i128::from(u.initial))),
            };
            Typed { ty: of, codec: String::new(), initial, always: false }
        }
        // The contract's types are not libxl's.
        Ty::Int { .. }
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

/// The value of an enumeration by its number.
fn enum_value(model: &Model, id: Id, number: i128) -> String {
    let name = module(model.get(id));
    let values = model.as_enum(id).map(|e| e.values.as_slice()).unwrap_or_default();
    match values.iter().find(|v| i128::from(v.number) == number) {
        Some(value) => format!("{name}.{}", constructor(&value.name)),
        None => format!("({name}.Other ({number}))"),
    }
}

pub(super) fn enumeration(mli: &mut Out, ml: &mut Out, decl: &Decl, e: &Enum) {
    let name = module(decl);
    mli.doc(&[if decl.doc.is_empty() { decl.name.as_str() } else { decl.doc.as_str() }]);
    mli.line(&format!("module {name} : sig"));
    mli.within(2, |mli| {
        mli.line("type t =");
        for value in &e.values {
            mli.line(&format!("  | {}", constructor(&value.name)));
            mli.within(6, |mli| mli.doc(&[&value.doc]));
        }
        mli.line("  | Other of int");
        mli.within(6, |mli| mli.doc(&["A number that has no name here."]));
        mli.line("");
        mli.doc(&["Every value that has a name, in order."]);
        mli.line("val all : t list");
        mli.line("");
        mli.doc(&["Its name in JSON; that of one without a name is its number."]);
        mli.line("val to_string : t -> string");
        mli.line("");
        mli.doc(&["The value of a name, whatever its case."]);
        mli.line("val of_string : string -> t option");
        mli.line("");
        mli.doc(&["Its number in C."]);
        mli.line("val to_int : t -> int");
        mli.line("");
        mli.doc(&["The value of a number, known or not."]);
        mli.line("val of_int : int -> t");
        json_signature(mli);
    });
    end_signature(mli, decl);
    ml.line(&format!("module {name} = struct"));
    ml.within(2, |ml| {
        ml.line("type t =");
        for value in &e.values {
            ml.line(&format!("  | {}", constructor(&value.name)));
        }
        ml.line("  | Other of int");
        ml.line("");
        let pairs: Vec<String> = e
            .values
            .iter()
            .map(|v| format!("({}, {})", quote(&v.name.to_ascii_lowercase()), v.number))
            .collect();
        ml.line(&format!("let values = [ {} ]", pairs.join("; ")));
        ml.line("");
        ml.line("let to_int = function");
        for value in &e.values {
            ml.line(&format!("  | {} -> {}", constructor(&value.name), value.number));
        }
        ml.line("  | Other number -> number");
        ml.line("");
        ml.line("let of_int = function");
        for value in &e.values {
            ml.line(&format!("  | {} -> {}", value.number, constructor(&value.name)));
        }
        ml.line("  | number -> Other number");
        ml.line("");
        ml.line("let all = List.map (fun (_, number) -> of_int number) values");
        ml.line("let of_string name = Option.map of_int (Lossless.number_of values name)");
        ml.line("");
        ml.line("let to_string = function");
        for value in &e.values {
            let name = quote(&value.name.to_ascii_lowercase());
            ml.line(&format!("  | {} -> {name}", constructor(&value.name)));
        }
        ml.line("  | Other number -> string_of_int number");
        ml.line("");
        ml.line(&format!("let codec = Lossless.enum {} values of_int to_int", quote(decl.raw_name())));
        json_functions(ml, "Lossless");
    });
    ml.line("end");
    ml.line("");
}

pub(super) fn structure(model: &Model, mli: &mut Out, ml: &mut Out, decl: &Decl, s: &Struct) {
    // What values hold: not what is libxl's own.
    let fields: Vec<(&Field, Typed)> = s
        .fields
        .iter()
        .filter(|f| !f.constant)
        .filter_map(|f| typed(model, f, &f.ty).map(|t| (f, t)))
        .collect();
    let name = module(decl);
    mli.doc(&[if decl.doc.is_empty() { decl.name.as_str() } else { decl.doc.as_str() }]);
    mli.line(&format!("module {name} : sig"));
    ml.line(&format!("module {name} = struct"));
    mli.within(2, |mli| {
        ml.within(2, |ml| {
            for (field, _) in &fields {
                if let Ty::Union(u) = &field.ty {
                    union_module(model, mli, ml, decl, field, u);
                }
            }
            record(mli, &fields, true);
            record(ml, &fields, false);
            mli.doc(&["As libxl's `_init` leaves it."]);
            mli.line("val default : t");
            json_signature(mli);
            initial(ml, &fields);
            codec(model, ml, &fields);
            json_functions(ml, "Lossless");
        });
    });
    end_signature(mli, decl);
    ml.line("end");
    ml.line("");
}

fn record(out: &mut Out, fields: &[(&Field, Typed)], docs: bool) {
    if fields.is_empty() {
        out.line("type t = unit");
        out.line("");
        return;
    }
    out.line("type t = {");
    for (field, typed) in fields {
        let deprecated = field.deprecated.as_deref().filter(|_| docs);
        out.line(&format!("  {} : {};{}", ident(&field.name), typed.ty, attribute("@", deprecated)));
        if docs {
            let begins = match (&field.ty, &field.presence) {
                (Ty::Number(_), Presence::Initial(i)) if *i != 0 => format!("Begins as {i}."),
                _ => String::new(),
            };
            let deprecated = deprecated.map(|d| format!("@deprecated {d}")).unwrap_or_default();
            out.within(6, |out| out.doc(&[&field.doc, &begins, &deprecated]));
        }
    }
    out.line("}");
    out.line("");
}

fn initial(ml: &mut Out, fields: &[(&Field, Typed)]) {
    if fields.is_empty() {
        ml.line("let default : t = ()");
    } else {
        ml.line("let default : t =");
        ml.line("  {");
        for (field, typed) in fields {
            ml.line(&format!("    {} = {};", ident(&field.name), typed.initial));
        }
        ml.line("  }");
    }
    ml.line("");
}

fn union_module(model: &Model, mli: &mut Out, ml: &mut Out, decl: &Decl, field: &Field, u: &Union) {
    let name = union(model, field, u);
    let kind = module(model.get(u.key_enum));
    mli.doc(&[
        &format!("What `{}` stands for in a `{}`.", u.keyvar, decl.name),
        &format!("One key of its object: `{}.ARM`.", u.keyvar),
    ]);
    mli.line(&format!("module {name} : sig"));
    ml.line(&format!("module {name} = struct"));
    mli.within(2, |mli| {
        ml.within(2, |ml| {
            let mut both = |line: &str| {
                mli.line(line);
                ml.line(line);
            };
            both("type t =");
            for arm in &u.arms {
                match arm.ty {
                    Some(id) => {
                        both(&format!("  | {} of {}.t", constructor(&arm.name), module(model.get(id))));
                    }
                    None => both(&format!("  | {}", constructor(&arm.name))),
                }
            }
            both(&format!("  | Other of {kind}.t"));
            let doc = format!("A `{}` that has no arm: libxl writes nothing of it.", u.keyvar);
            mli.within(6, |mli| mli.doc(&[&doc]));
            mli.line("");
            mli.doc(&[&format!("The value of `{}`.", u.keyvar)]);
            mli.line(&format!("val kind : t -> {kind}.t"));
            ml.line("");
            ml.line("let kind = function");
            for arm in &u.arms {
                let holds = if arm.ty.is_some() { " _" } else { "" };
                let value = enum_value(model, u.key_enum, i128::from(arm.number));
                ml.line(&format!("  | {}{holds} -> {value}", constructor(&arm.name)));
            }
            ml.line("  | Other key -> key");
        });
    });
    mli.line("end");
    mli.line("");
    ml.line("end");
    ml.line("");
}

fn codec(model: &Model, ml: &mut Out, fields: &[(&Field, Typed)]) {
    let mut known = Vec::new();
    for (field, _) in fields {
        match &field.ty {
            Ty::Union(u) => {
                known.extend(u.arms.iter().map(|a| quote(&format!("{}.{}", u.keyvar, a.name))));
                known.push(quote(&u.keyvar));
            }
            _ => known.push(quote(&field.name)),
        }
    }
    ml.line("let codec : t Codec.t =");
    ml.line(&format!("  let known = [ {} ] in", known.join("; ")));
    if fields.is_empty() {
        ml.line("  Lossless.obj ~known ~read:(fun _ -> ()) ~write:(fun _ () -> ())");
        ml.line("");
        return;
    }
    ml.within(2, |ml| {
        ml.line("let read o' : t =");
        ml.line("  {");
        for (field, typed) in fields {
            let (name, key) = (ident(&field.name), quote(&field.name));
            match &field.ty {
                Ty::Union(u) => read_union(model, ml, field, u),
                _ => ml.line(&format!(
                    "    {name} = Lossless.field o' {key} {} ~initial:default.{name};",
                    typed.codec
                )),
            }
        }
        ml.line("  }");
        ml.line("in");
        ml.line("let write w' (v' : t) =");
        for (i, (field, typed)) in fields.iter().enumerate() {
            let end = if i + 1 == fields.len() { "" } else { ";" };
            let (name, key) = (ident(&field.name), quote(&field.name));
            match &field.ty {
                Ty::Union(u) => write_union(model, ml, field, u, end),
                _ if typed.always => {
                    ml.line(&format!("  Lossless.put_always w' {key} {} v'.{name}{end}", typed.codec));
                }
                _ => ml.line(&format!(
                    "  Lossless.put w' {key} {} ~initial:default.{name} v'.{name}{end}",
                    typed.codec
                )),
            }
        }
        ml.line("in");
        ml.line("Lossless.obj ~known ~read ~write");
    });
    ml.line("");
}

fn read_union(model: &Model, ml: &mut Out, field: &Field, u: &Union) {
    let (ty, name) = (union(model, field, u), ident(&field.name));
    ml.line(&format!("    {name} ="));
    ml.line("      Lossless.union o'");
    ml.line("        [");
    for arm in &u.arms {
        let key = quote(&format!("{}.{}", u.keyvar, arm.name));
        let value = constructor(&arm.name);
        ml.line(&match arm.ty {
            Some(id) => {
                let held = module(model.get(id));
                format!("          Lossless.arm {key} {held}.codec (fun v -> {ty}.{value} v);")
            }
            None => format!("          Lossless.arm {key} Lossless.empty (fun () -> {ty}.{value});"),
        });
    }
    let kind = module(model.get(u.key_enum));
    ml.line(&format!(
        "          Lossless.arm {} {kind}.codec (fun key -> {ty}.Other key);",
        quote(&u.keyvar)
    ));
    ml.line("        ]");
    ml.line(&format!("        ~initial:default.{name};"));
}

fn write_union(model: &Model, ml: &mut Out, field: &Field, u: &Union, end: &str) {
    let ty = union(model, field, u);
    ml.line(&format!("  (match v'.{} with", ident(&field.name)));
    for arm in &u.arms {
        let key = quote(&format!("{}.{}", u.keyvar, arm.name));
        let value = constructor(&arm.name);
        ml.line(&match arm.ty {
            Some(id) => {
                let held = module(model.get(id));
                format!("   | {ty}.{value} v -> Lossless.put_always w' {key} {held}.codec v")
            }
            None => format!("   | {ty}.{value} -> Lossless.put_always w' {key} Lossless.empty ()"),
        });
    }
    let kind = module(model.get(u.key_enum));
    let initial = enum_value(model, u.key_enum, i128::from(u.initial));
    ml.line(&format!(
        "   | {ty}.Other key -> Lossless.put w' {} {kind}.codec ~initial:{initial} key){end}",
        quote(&u.keyvar)
    ));
}
