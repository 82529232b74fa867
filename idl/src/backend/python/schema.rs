//! `_schema.py`: how each type is read and written, as tables that the run time goes by.

use super::names::{arm, attr, class, codec, shared};
use super::types::held;
use super::{Dialects, quote, regex};
use crate::backend::common::{after_their_parts, is_libxls};
use crate::backend::header;
use crate::model::{
    Builtin, Decl, DeclKind, Field, INT_MAX, Limits, Model, Presence, Struct, Ty, Union, Unknown,
};

pub(super) fn module(model: &Model, dialects: &Dialects) -> String {
    let mut out = format!(
        "# {}\n\"\"\"How the types are read and written.\"\"\"\n\nfrom __future__ import annotations\n\n\
         from typing import Any, Dict\n\nfrom . import types as _types\n",
        header(model)
    );
    for (is_there, name) in [(dialects.contract, "contract"), (dialects.libxl, "libxl")] {
        if is_there {
            out.push_str(&format!("from . import _{name} as _{}\n", &name[..1]));
        }
    }
    out.push_str("from ._json import Codec\n");
    let mut table = String::from("\nTYPES: Dict[str, Codec[Any]] = {\n");
    for decl in after_their_parts(model) {
        let name = codec(decl);
        out.push('\n');
        match &decl.kind {
            DeclKind::Text(text) => {
                let mut limits = Limits { min: text.min, max: text.max, ..Limits::default() };
                limits.pattern = Some(text.pattern.clone());
                out.push_str(&format!("{name} = _c.Text({})\n", text_args(&decl.name, &limits, None)));
            }
            DeclKind::Enum(e) => {
                let of = if e.unknown == Unknown::Ignored { "_l.Numbers" } else { "_c.Names" };
                out.push_str(&format!("{name} = {of}(_types.{}, {})\n", class(decl), quote(decl.raw_name())));
            }
            DeclKind::Struct(s) => structure(&mut out, model, decl, s),
        }
    }
    for decl in model.decls.iter().filter(|d| !(d.anonymous && is_libxls(d))) {
        table.push_str(&format!("    {}: {},\n", quote(decl.raw_name()), codec(decl)));
    }
    out.push_str(&table);
    out.push_str("}\n\"\"\"Every type by its name in the IDL, for tools that go by names: `TYPES[name].loads(text)`.\"\"\"\n");
    out
}

/// The name of an arm's codec.
fn arm_codec(model: &Model, decl: &Decl, field: &Field, u: &Union, index: usize) -> String {
    let Some(a) = u.arms.get(index) else { return String::new() };
    match a.ty {
        Some(id) if !shared(u, a) => codec(model.get(id)),
        _ => format!("_{}", arm(model, decl, field, u, a)),
    }
}

fn structure(out: &mut String, model: &Model, decl: &Decl, s: &Struct) {
    let libxl = s.unknown == Unknown::Ignored;
    let module = if libxl { "_l" } else { "_c" };
    let strict = match s.unknown {
        Unknown::Refused => ", strict=True",
        Unknown::Kept => ", strict=False",
        Unknown::Ignored => "",
    };
    // Classes that only arms have.
    for f in &s.fields {
        let Ty::Union(u) = &f.ty else { continue };
        for (i, a) in u.arms.iter().enumerate().filter(|(_, a)| a.ty.is_none() || shared(u, a)) {
            let (var, of) = (arm_codec(model, decl, f, u, i), arm(model, decl, f, u, a));
            let members = match a.ty {
                Some(id) => format!(", {}.members", codec(model.get(id))),
                None => String::new(),
            };
            out.push_str(&format!(
                "{var} = {module}.Shape(_types.{of}, {}{members}{strict})\n",
                quote(&a.name)
            ));
        }
    }
    let head = format!("{} = {module}.Shape(_types.{}, {}", codec(decl), class(decl), quote(decl.raw_name()));
    let fields: Vec<&Field> = s.fields.iter().filter(|f| held(f)).collect();
    if fields.is_empty() {
        out.push_str(&format!("{head}{strict})\n"));
        return;
    }
    out.push_str(&format!("{head}, [\n"));
    for f in fields {
        let key = quote(&f.name);
        let name = attr(&f.name);
        let attr = if name == f.name { String::new() } else { format!(", attr={}", quote(&name)) };
        let line = match (&f.ty, &f.presence) {
            (Ty::Union(u), _) => arms(model, decl, f, u, libxl),
            (ty, Presence::Required) => format!("_c.Member({key}, {}{attr})", contract(model, ty, &f.limits)),
            (ty, Presence::Optional) => {
                format!("_c.Member({key}, {}{attr}, optional=True)", contract(model, ty, &f.limits))
            }
            (ty, Presence::Default(_)) => {
                format!("_c.Member({key}, {}{attr}, required=False)", contract(model, ty, &f.limits))
            }
            (ty, Presence::Initial(i)) => {
                let initial = match (ty, i) {
                    (Ty::Bool, 1..) => ", initial=True".into(),
                    (_, 0) => String::new(),
                    (_, i) => format!(", initial={i}"),
                };
                format!("_l.Field({key}, {}{attr}{initial})", libxls(model, ty))
            }
        };
        out.push_str(&format!("    {line},\n"));
    }
    out.push_str(&format!("]{strict})\n"));
}

fn arms(model: &Model, decl: &Decl, f: &Field, u: &Union, libxl: bool) -> String {
    let mut arms = String::new();
    for (i, a) in u.arms.iter().enumerate() {
        arms.push_str(&format!("        ({}, {}),\n", quote(&a.name), arm_codec(model, decl, f, u, i)));
    }
    let attr = quote(&attr(&f.name));
    if libxl {
        let key = codec(model.get(u.key_enum));
        return format!(
            "_l.Arms({}, {key}, [\n{arms}    ], attr={attr}, initial={})",
            quote(&u.keyvar),
            u.initial
        );
    }
    format!("_c.Arms({}, [\n{arms}    ], attr={attr})", quote(&u.keyvar))
}

fn text_args(name: &str, limits: &Limits, of: Option<&str>) -> String {
    let mut out = quote(name);
    if let Some(min) = limits.min {
        out.push_str(&format!(", least={min}"));
    }
    if let Some(max) = limits.max {
        out.push_str(&format!(", most={max}"));
    }
    if let Some(pattern) = &limits.pattern {
        out.push_str(&format!(", pattern={}", regex(pattern)));
    }
    if let Some(of) = of {
        out.push_str(&format!(", of={of}"));
    }
    out
}

/// The codec of a type of the contract.
fn contract(model: &Model, ty: &Ty, limits: &Limits) -> String {
    let int = || {
        let (least, most) = limits.range.or(ty.int_range()).unwrap_or((-INT_MAX, INT_MAX));
        format!("_c.Int({least}, {most})")
    };
    let text = |name: &str, of: &str, whole: &str| {
        if *limits == Limits::default() {
            whole.to_owned()
        } else {
            format!("_c.Text({})", text_args(name, limits, (!of.is_empty()).then_some(of)))
        }
    };
    match ty {
        Ty::Bool => "_c.BOOL".into(),
        Ty::Int { .. } | Ty::Domid | Ty::Duration | Ty::Bytes | Ty::Number(_) => int(),
        Ty::Str => text("string", "", "_c.STRING"),
        Ty::Path => text("path", "_c.PATH", "_c.PATH"),
        Ty::Json => match text("json", "", "") {
            limited if limited.is_empty() => "_c.RAW".into(),
            limited => format!("_c.Raw({limited})"),
        },
        Ty::Timestamp => "_c.TIMESTAMP".into(),
        Ty::Uuid => "_c.UUID_TEXT".into(),
        Ty::Named(id) => {
            let decl = model.get(*id);
            match decl.kind {
                DeclKind::Text(_) => text(&decl.name, &codec(decl), &codec(decl)),
                DeclKind::Enum(_) | DeclKind::Struct(_) => codec(decl),
            }
        }
        Ty::Array { elem, .. } => {
            let mut args = contract(model, elem, &Limits::default());
            if let Some(min) = limits.min {
                args.push_str(&format!(", least={min}"));
            }
            if let Some(max) = limits.max {
                args.push_str(&format!(", most={max}"));
            }
            format!("_c.ListOf({args})")
        }
        // A union is written by its struct; libxl's types are not the contract's.
        Ty::Union(_) | Ty::Builtin(_) => "_c.RAW".into(),
    }
}

/// The codec of a type of libxl's.
fn libxls(model: &Model, ty: &Ty) -> String {
    match ty {
        Ty::Bool => "_l.BOOL".into(),
        Ty::Number(n) => {
            format!("_l.Number({}, signed={})", n.bits, if n.signed { "True" } else { "False" })
        }
        Ty::Builtin(b) => match b {
            Builtin::Text => "_l.TEXT",
            Builtin::Defbool => "_l.DEFBOOL",
            Builtin::Uuid => "_l.UUID_TEXT",
            Builtin::Mac => "_l.MAC",
            Builtin::Bitmap => "_l.BITMAP",
            Builtin::CpuidPolicyList => "_l.CPUID_POLICY_LIST",
            Builtin::StringList => "_l.STRING_LIST",
            Builtin::KeyValueList => "_l.KEY_VALUE_LIST",
            Builtin::Hwcap => "_l.HWCAP",
            Builtin::MsVmGenid => "_l.MS_VM_GENID",
            Builtin::Private(_) => "",
        }
        .into(),
        Ty::Named(id) => codec(model.get(*id)),
        Ty::Array { elem, .. } => format!("_l.ListOf({})", libxls(model, elem)),
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
