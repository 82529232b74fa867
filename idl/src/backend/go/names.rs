//! Names of the language as Go names, and what becomes the same.

use crate::diag::{Code, Diagnostics, Span};
use crate::model::{Arm, Decl, DeclKind, Field, Model, Struct, Ty, Union, Unknown};
use std::collections::BTreeMap;

/// Words that Go writes in capitals.
const INITIALISMS: &[&str] = &[
    "acpi", "cpu", "cpuid", "id", "io", "ip", "json", "mac", "msr", "os", "pci", "qmp", "ram", "sha256",
    "uri", "url", "usb", "uuid", "vcpu", "vm",
];
/// What the package has already.
const TAKEN: &[&str] = &[
    "CPUIDLeaf",
    "CPUIDPolicyList",
    "Client",
    "Connect",
    "Connection",
    "Contract",
    "DecodeError",
    "DefaultPath",
    "Dial",
    "DocumentMax",
    "EncodeError",
    "Extra",
    "ExtraField",
    "Follow",
    "HeartbeatMax",
    "KeyValue",
    "MAC",
    "MSR",
    "NewClient",
    "OperationError",
    "ParseUUID",
    "Ptr",
    "RefusedError",
    "RequestFor",
    "TypeInfo",
    "Types",
    "UUID",
    "UnknownArm",
    "XenstoreMax",
];

/// `vm_part` to `VMPart`.
pub(super) fn camel(name: &str) -> String {
    let mut out = String::new();
    for word in name.split('_') {
        if INITIALISMS.contains(&word) {
            out.push_str(&word.to_uppercase());
            continue;
        }
        let mut chars = word.chars();
        if let Some(c) = chars.next() {
            // Two numbers that meet stay apart.
            if c.is_ascii_digit() && out.ends_with(|c: char| c.is_ascii_digit()) {
                out.push('_');
            }
            out.extend(c.to_uppercase());
        }
        out.push_str(chars.as_str());
    }
    out
}

/// The name of a declaration's type.
pub(super) fn type_name(decl: &Decl) -> String {
    camel(decl.raw_name())
}

/// The name of a value of an enumeration.
pub(super) fn constant(decl: &Decl, value: &str) -> String {
    format!("{}{}", type_name(decl), camel(&value.to_lowercase()))
}

/// The name of a union's interface.
pub(super) fn union(decl: &Decl, field: &Field, union: &Union) -> String {
    match &union.name {
        Some(name) => camel(name),
        None => camel(&format!("{}_{}", decl.raw_name(), field.name)),
    }
}

/// The type of an arm: its struct, or one of the arm's own where it holds nothing or shares its struct.
pub(super) fn arm(model: &Model, decl: &Decl, field: &Field, u: &Union, arm: &Arm) -> String {
    match arm.ty {
        Some(id) if !shared(u, arm) => type_name(model.get(id)),
        _ => format!("{}{}", union(decl, field, u), camel(&arm.name.to_lowercase())),
    }
}

/// Whether another arm of the union holds the same struct.
pub(super) fn shared(u: &Union, arm: &Arm) -> bool {
    u.arms.iter().filter(|a| a.ty == arm.ty).count() > 1
}

/// Reports names that Go cannot tell apart.
pub(super) fn check(model: &Model, diags: &mut Diagnostics) {
    let mut names = Names::default();
    for decl in &model.decls {
        names.add(type_name(decl), &decl.name, decl.span, diags);
    }
    for decl in &model.decls {
        match &decl.kind {
            DeclKind::Struct(s) => structure(model, decl, s, &mut names, diags),
            DeclKind::Enum(e) => {
                for value in &e.values {
                    let name = format!("{}.{}", decl.name, value.name);
                    names.add(constant(decl, &value.name), &name, decl.span, diags);
                }
            }
            DeclKind::Text(_) => {}
        }
    }
}

fn structure(model: &Model, decl: &Decl, s: &Struct, names: &mut Names, diags: &mut Diagnostics) {
    let mut fields = Names { seen: BTreeMap::new(), inner: true };
    for f in &s.fields {
        fields.add(camel(&f.name), &f.name, f.span, diags);
        let Ty::Union(u) = &f.ty else { continue };
        names.add(union(decl, f, u), &format!("{}.{}", decl.name, f.name), f.span, diags);
        for a in u.arms.iter().filter(|a| a.ty.is_none() || shared(u, a)) {
            names.add(arm(model, decl, f, u, a), &format!("{}.{}", f.name, a.name), f.span, diags);
        }
        if s.unknown == Unknown::Ignored {
            let other = format!("{}Other", union(decl, f, u));
            names.add(other, &format!("{}.{}", decl.name, f.name), f.span, diags);
        }
    }
}

#[derive(Default)]
struct Names {
    seen: BTreeMap<String, String>,
    /// Of a struct, not of the package.
    inner: bool,
}

impl Names {
    fn add(&mut self, go: String, name: &str, span: Span, diags: &mut Diagnostics) {
        if !self.inner && TAKEN.contains(&go.as_str()) {
            let what = format!("`{name}` would be `{go}` in Go, which has one already");
            diags.add(Code::Collision, span, what).help("give it another name");
        } else if let Some(other) = self.seen.get(&go) {
            let what = format!("`{name}` and `{other}` are both `{go}` in Go");
            diags.add(Code::Collision, span, what).help("give one another name");
        } else {
            self.seen.insert(go, name.to_owned());
        }
    }
}
