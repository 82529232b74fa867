//! The contract's types: texts, enumerations, structs and their unions.

use super::names::{constant, field as ident, table, ty};
use super::{Out, number, quote, struct_functions, values_table};
use crate::model::{
    Arm, Decl, DeclKind, Enum, Field, Limits, Model, Presence, Struct, Text, Ty, Union, Value,
};
use crate::pattern::Pattern;

/// Since when, until when.
fn lifecycle(since: Option<u32>, deprecated: Option<&str>) -> String {
    let since = since.map(|v| format!("Since contract {v}.")).unwrap_or_default();
    let deprecated = deprecated.map(|d| format!("Deprecated: {d}.")).unwrap_or_default();
    format!("{since} {deprecated}").trim().to_owned()
}

/// The table of a pattern; its name.
fn pattern(c: &mut Out, name: &str, pattern: &Pattern) -> String {
    for (i, part) in pattern.parts.iter().enumerate() {
        let ranges: Vec<String> = part
            .ranges
            .iter()
            .map(|&(a, b)| format!("{{ {:#x}, {:#x} }}", u32::from(a), u32::from(b)))
            .collect();
        c.line(&format!("static const uint32_t {name}_ranges{i}[][2] = {{ {} }};", ranges.join(", ")));
    }
    c.line(&format!("static const xenidl_part {name}_parts[] = {{"));
    for (i, part) in pattern.parts.iter().enumerate() {
        let max = part.max.map_or("UINT32_MAX".into(), |m| m.to_string());
        c.line(&format!("    {{ {}, {name}_ranges{i}, {}, {max} }},", part.ranges.len(), part.min));
    }
    c.line("};");
    c.line(&format!("static const xenidl_pattern {name}_pattern = {{"));
    c.line(&format!("    {}, {}, {name}_parts", quote(&pattern.text), pattern.parts.len()));
    c.line("};");
    format!("&{name}_pattern")
}

/// The table of limits, when there are some; its address.
fn limits(c: &mut Out, name: &str, limits: &Limits) -> Option<String> {
    if *limits == Limits::default() {
        return None;
    }
    let pattern = limits.pattern.as_ref().map_or("NULL".into(), |p| pattern(c, name, p));
    let (min, max) = limits.range.unwrap_or_else(|| {
        let bound = |b: Option<u64>| b.and_then(|b| i64::try_from(b).ok());
        (bound(limits.min).unwrap_or(0), bound(limits.max).unwrap_or(i64::MAX))
    });
    c.line(&format!(
        "static const xenidl_limits {name}_limits = {{ {}, {}, {pattern} }};",
        number(min),
        number(max)
    ));
    Some(format!("&{name}_limits"))
}

pub(super) fn text(model: &Model, h: &mut Out, c: &mut Out, decl: &Decl, text: &Text) {
    let (ty, table) = (ty(model, decl), table(model, decl));
    let length = text.max.map(|max| format!(", at most {max} bytes")).unwrap_or_default();
    h.doc(&[
        &decl.doc,
        &format!("Matches `{}`{length}. A char * wherever it is used.", text.pattern.text.escape_debug()),
        &lifecycle(decl.since, decl.deprecated.as_deref()),
    ]);
    h.line(&format!("int {ty}_check(const char *text, xenidl_error *error);"));
    h.line("");
    let own =
        Limits { min: text.min, max: text.max, pattern: Some(text.pattern.clone()), ..Limits::default() };
    let limits = limits(c, &ty, &own).unwrap_or_default();
    c.line(&format!("static const xenidl_type {table} = {{"));
    c.line(&format!(
        "    .kind = XENIDL_TEXT, .name = {}, .size = sizeof(char *), .limits = {limits}",
        quote(&decl.name)
    ));
    c.line("};");
    c.line("");
    c.line(&format!("int {ty}_check(const char *text, xenidl_error *error)"));
    c.lines(&format!("{{\n    return xenidl_check_text(&{table}, text, error);\n}}"));
    c.line("");
}

pub(super) fn enumeration(model: &Model, h: &mut Out, c: &mut Out, decl: &Decl, e: &Enum) {
    let (ty, table) = (ty(model, decl), table(model, decl));
    let open = !e.dir.is_strict();
    let name = if open { format!("{ty}_value") } else { ty.clone() };
    h.doc(&[&decl.doc, &lifecycle(decl.since, decl.deprecated.as_deref())]);
    h.line(&format!("typedef enum {name} {{"));
    h.indent = 4;
    for value in &e.values {
        h.doc(&[&value.doc]);
        h.line(&format!("{} = {},", constant(model, decl, e, &value.name), value.number));
    }
    if open {
        h.doc(&["A value that a newer version knows: kept and written again."]);
        h.line(&format!("{} = XENIDL_UNKNOWN", constant(model, decl, e, "unknown")));
    }
    h.indent = 0;
    h.line(&format!("}} {name};"));
    h.line("");
    if open {
        h.line(&format!("typedef struct {ty} {{"));
        h.line(&format!("    {name} value;"));
        h.line(
            "    char unknown[XENIDL_NAME_SIZE]; /* its name, of a value that this version does not know */",
        );
        h.line(&format!("}} {ty};"));
        h.line("");
        h.line(&format!("const char *{ty}_to_string(const {ty} *p);"));
        h.line(&format!("int {ty}_from_string(const char *s, {ty} *p);"));
    } else {
        h.doc(&["NULL for a number that has no name; -1 for a name that is none."]);
        h.line(&format!("const char *{ty}_to_string({ty} value);"));
        h.line(&format!("int {ty}_from_string(const char *s, {ty} *value);"));
    }
    h.line("");
    let n = values_table(c, &ty, e.values.iter().map(|v| (v.name.clone(), v.number)));
    let kind = if open { "XENIDL_OPEN_ENUM" } else { "XENIDL_ENUM" };
    c.line(&format!("static const xenidl_type {table} = {{"));
    c.line(&format!(
        "    .kind = {kind}, .name = {}, .size = sizeof({ty}), .num = {n}, .values = {ty}_values",
        quote(&decl.name)
    ));
    c.line("};");
    c.line("");
    if open {
        c.line(&format!("const char *{ty}_to_string(const {ty} *p)"));
        c.lines(&format!("{{\n    return xenidl_open_name(&{table}, p);\n}}\n"));
        c.line("");
        c.line(&format!("int {ty}_from_string(const char *s, {ty} *p)"));
        c.lines(&format!("{{\n    return xenidl_open_from(&{table}, s, p);\n}}"));
    } else {
        enum_functions(c, &ty, &table);
    }
    c.line("");
}

/// `_to_string` and `_from_string` of an enumeration that is a number.
pub(super) fn enum_functions(c: &mut Out, ty: &str, table: &str) {
    c.line(&format!("const char *{ty}_to_string({ty} value)"));
    c.lines(&format!("{{\n    return xenidl_value_name(&{table}, (int)value);\n}}\n"));
    c.line("");
    c.line(&format!("int {ty}_from_string(const char *s, {ty} *value)"));
    c.lines("{\n    int number;\n");
    c.line("");
    c.line(&format!("    if (xenidl_value_number(&{table}, s, &number) < 0)"));
    c.lines(&format!("        return -1;\n    *value = ({ty})number;\n    return 0;\n}}"));
}

struct Cx<'a> {
    model: &'a Model,
    ty: String,
    open: bool,
}

pub(super) fn structure(model: &Model, h: &mut Out, c: &mut Out, decl: &Decl, s: &Struct) {
    let cx = Cx { model, ty: ty(model, decl), open: !s.dir.is_strict() };
    let bound = s.xenstore.as_ref().map(|b| format!("In xenstore: `{}` `[{}]`.", b.path, b.access));
    h.doc(&[&decl.doc, &bound.unwrap_or_default(), &lifecycle(decl.since, decl.deprecated.as_deref())]);
    h.line(&format!("typedef struct {} {{", cx.ty));
    h.indent = 4;
    for field in &s.fields {
        cx.member(h, field);
    }
    if cx.open {
        h.line("xenidl_extra extra;");
    } else if s.fields.is_empty() {
        h.line("char none; /* C has no empty struct */");
    }
    h.indent = 0;
    h.line(&format!("}} {};", cx.ty));
    h.line("");
    cx.constants(h, s);
    cx.table(c, decl, s);
    struct_functions(h, c, &cx.ty, &table(model, decl), decl);
}

impl Cx<'_> {
    fn c_type(&self, ty_: &Ty) -> String {
        match ty_ {
            Ty::Bool => "bool ".into(),
            Ty::Int { bits, signed } => format!("{}int{bits}_t ", if *signed { "" } else { "u" }),
            Ty::Domid => "uint32_t ".into(),
            Ty::Bytes | Ty::Duration => "uint64_t ".into(),
            Ty::Timestamp => "xenidl_timestamp ".into(),
            Ty::Uuid => "xenidl_uuid ".into(),
            Ty::Named(id) => match &self.model.get(*id).kind {
                DeclKind::Text(_) => "char *".into(),
                DeclKind::Struct(_) | DeclKind::Enum(_) => ty(self.model, self.model.get(*id)) + " ",
            },
            // The contract cannot name libxl's.
            Ty::Str | Ty::Path | Ty::Json | Ty::Number(_) | Ty::Builtin(_) => "char *".into(),
            Ty::Array { elem, .. } => self.c_type(elem) + "*",
            Ty::Union(_) => String::new(),
        }
    }

    fn type_table(&self, ty: &Ty) -> String {
        let name = match ty {
            Ty::Bool => "xenidl_bool".into(),
            Ty::Int { bits, signed } => format!("xenidl_{}int{bits}", if *signed { "" } else { "u" }),
            Ty::Domid => "xenidl_domid".into(),
            Ty::Bytes | Ty::Duration => "xenidl_uint64".into(),
            Ty::Timestamp => "xenidl_timestamp_type".into(),
            Ty::Uuid => "xenidl_uuid_type".into(),
            Ty::Str => "xenidl_string".into(),
            Ty::Path => "xenidl_path".into(),
            Ty::Json | Ty::Number(_) | Ty::Builtin(_) => "xenidl_raw".into(),
            Ty::Named(id) => table(self.model, self.model.get(*id)),
            Ty::Array { elem, .. } => return self.type_table(elem),
            Ty::Union(_) => String::new(),
        };
        format!("&{name}")
    }

    /// Whether an optional one is a pointer: to a text, or to a struct.
    fn is_text(&self, ty: &Ty) -> bool {
        match ty {
            Ty::Named(id) => matches!(self.model.get(*id).kind, DeclKind::Text(_)),
            Ty::Str | Ty::Path | Ty::Json | Ty::Number(_) | Ty::Builtin(_) => true,
            _ => false,
        }
    }

    fn is_struct(&self, ty: &Ty) -> bool {
        matches!(ty, Ty::Named(id) if matches!(self.model.get(*id).kind, DeclKind::Struct(_)))
    }

    /// Whether its absence needs a `has_` of its own.
    fn needs_has(&self, field: &Field) -> bool {
        field.presence == Presence::Optional && !self.is_text(&field.ty) && !self.is_struct(&field.ty)
    }

    fn member(&self, h: &mut Out, field: &Field) {
        let name = ident(&field.name);
        let absent = match field.presence {
            Presence::Optional if !self.needs_has(field) => "May be NULL.",
            _ => "",
        };
        let doc = format!("{} {} {absent}", field.doc, limits_doc(field));
        h.doc(&[doc.trim(), &lifecycle(field.since, field.deprecated.as_deref())]);
        let old = match &field.deprecated {
            Some(d) => format!(" XENIDL_DEPRECATED({})", quote(d)),
            None => String::new(),
        };
        if self.needs_has(field) {
            h.line(&format!("bool has_{};", field.name));
        }
        match &field.ty {
            Ty::Union(u) => self.union_member(h, field, u),
            Ty::Array { len, .. } => {
                h.line(&format!("int {};", ident(len)));
                h.line(&format!("{}{name}{old};", self.c_type(&field.ty)));
            }
            _ if field.presence == Presence::Optional && self.is_struct(&field.ty) => {
                h.line(&format!("{}*{name}{old};", self.c_type(&field.ty)));
            }
            _ => h.line(&format!("{}{name}{old};", self.c_type(&field.ty))),
        }
    }

    fn union_member(&self, h: &mut Out, field: &Field, u: &Union) {
        let key = self.model.get(u.key_enum);
        let open_key = self.model.as_enum(u.key_enum).is_some_and(|e| !e.dir.is_strict());
        let key = ty(self.model, key) + if open_key { "_value" } else { "" };
        h.line("struct {");
        h.line(&format!("    {key} kind;"));
        h.line("    union {");
        let before = h.text.len();
        for arm in &u.arms {
            let member = match (arm.ty, self.open) {
                (Some(id), _) => format!("{} {}", ty(self.model, self.model.get(id)), ident(&arm.name)),
                (None, true) => format!("xenidl_extra {}", ident(&arm.name)),
                (None, false) => continue,
            };
            h.line(&format!("        {member};"));
        }
        if self.open {
            h.line("        xenidl_unknown_arm unknown;");
        }
        if h.text.len() == before {
            h.line("        char none;");
        }
        h.line("    } u;");
        h.line(&format!("}} {};", ident(&field.name)));
    }

    /// Limits and the xenstore path, for those who must keep to them.
    fn constants(&self, h: &mut Out, s: &Struct) {
        let upper = self.ty.to_uppercase();
        let mut some = false;
        for field in s.fields.iter().filter(|f| f.limits.max.is_some()) {
            let name = field.name.to_uppercase();
            h.line(&format!("#define {upper}_{name}_MAX {}", field.limits.max.unwrap_or(0)));
            some = true;
        }
        if let Some(b) = &s.xenstore {
            let mut format = b.path.clone();
            for param in &b.params {
                format = format.replace(&format!("${}", param.to_uppercase()), "%s");
            }
            h.line(&format!("/* {} */", b.path));
            h.line(&format!("#define {upper}_PATH {}", quote(&format).replace("\\?", "?")));
            some = true;
        }
        if some {
            h.line("");
        }
    }

    fn table(&self, c: &mut Out, decl: &Decl, s: &Struct) {
        let ty_ = &self.ty;
        let mut rows = Vec::new();
        for field in &s.fields {
            let limits = limits(c, &format!("{ty_}_{}", field.name), &field.limits);
            rows.push(match &field.ty {
                Ty::Union(u) => self.union_table(c, field, u),
                _ => self.field_row(field, limits),
            });
        }
        if !rows.is_empty() {
            c.line(&format!("static const xenidl_field {ty_}_fields[] = {{"));
            for row in &rows {
                c.line(&format!("    {{ {row} }},"));
            }
            c.line("};");
        }
        c.line(&format!("static const xenidl_type {} = {{", table(self.model, decl)));
        c.line(&format!("    .kind = XENIDL_STRUCT, .name = {}, .size = sizeof({ty_}),", quote(&decl.name)));
        if !rows.is_empty() {
            c.line(&format!("    .num = {}, .fields = {ty_}_fields,", rows.len()));
        }
        if self.open {
            c.line(&format!("    .open = true, .extra = offsetof({ty_}, extra),"));
        }
        c.line("};");
        c.line("");
    }

    fn field_row(&self, field: &Field, limits: Option<String>) -> String {
        let ty_ = &self.ty;
        let name = ident(&field.name);
        let mut row = format!(
            ".name = {}, .type = {}, .offset = offsetof({ty_}, {name})",
            quote(&field.name),
            self.type_table(&field.ty)
        );
        let at =
            |name: Option<String>| name.map_or("XENIDL_NOWHERE".into(), |n| format!("offsetof({ty_}, {n})"));
        let has = self.needs_has(field).then(|| format!("has_{}", field.name));
        let count = match &field.ty {
            Ty::Array { len, .. } => Some(ident(len)),
            _ => None,
        };
        row += &format!(", .has = {}, .count = {}", at(has), at(count));
        row += match &field.presence {
            Presence::Optional if self.is_struct(&field.ty) => {
                ", .presence = XENIDL_OPTIONAL, .pointer = true"
            }
            Presence::Optional => ", .presence = XENIDL_OPTIONAL",
            Presence::Default(_) => ", .presence = XENIDL_DEFAULT",
            Presence::Required | Presence::Initial(_) => ", .presence = XENIDL_REQUIRED",
        };
        if let Presence::Default(value) = &field.presence {
            row += &match value {
                Value::Bool(b) => format!(", .initial = {}", i32::from(*b)),
                Value::Int(i) => format!(", .initial = {}", number(*i)),
                Value::Str(s) => format!(", .initial_text = {}", quote(s)),
                Value::Enum(name) => format!(", .initial = {}", self.enum_number(&field.ty, name)),
            };
        }
        if let Some(limits) = limits {
            row += &format!(", .limits = {limits}");
        }
        row
    }

    fn enum_number(&self, ty: &Ty, name: &str) -> i64 {
        let Ty::Named(id) = ty else { return 0 };
        let values = self.model.as_enum(*id).map(|e| e.values.as_slice()).unwrap_or_default();
        values.iter().find(|v| v.name == name).map_or(0, |v| v.number)
    }

    fn arm_table(&self, arm: &Arm) -> String {
        match (arm.ty, self.open) {
            (Some(id), _) => table(self.model, self.model.get(id)),
            (None, true) => "xenidl_extra_type".into(),
            (None, false) => "xenidl_nothing".into(),
        }
    }

    fn union_table(&self, c: &mut Out, field: &Field, u: &Union) -> String {
        let (ty_, name) = (&self.ty, ident(&field.name));
        let union = format!("{ty_}_{}", field.name);
        c.line(&format!("static const xenidl_arm {union}_arms[] = {{"));
        for arm in &u.arms {
            let key = quote(&format!("{}.{}", u.keyvar, arm.name));
            c.line(&format!("    {{ {key}, {}, &{} }},", arm.number, self.arm_table(arm)));
        }
        c.line("};");
        c.line(&format!("static const xenidl_union {union}_union = {{"));
        c.line(&format!(
            "    .keyvar = {}, .open = {}, .kind = offsetof({ty_}, {name}.kind),",
            quote(&u.keyvar),
            self.open
        ));
        c.line(&format!("    .alone = XENIDL_NOWHERE, .num_arms = {}, .arms = {union}_arms", u.arms.len()));
        c.line("};");
        c.line(&format!(
            "static const xenidl_type {union}_union_type = {{ .kind = XENIDL_UNION, .name = {}, .u = &{union}_union }};",
            quote(&field.name)
        ));
        format!(
            ".name = {}, .type = &{union}_union_type, .offset = offsetof({ty_}, {name}.u), .has = XENIDL_NOWHERE, .count = XENIDL_NOWHERE, .presence = XENIDL_REQUIRED",
            quote(&field.name)
        )
    }
}

/// Default and limits: one sentence each.
fn limits_doc(field: &Field) -> String {
    let mut said = Vec::new();
    let limits = &field.limits;
    match &field.presence {
        Presence::Default(Value::Bool(b)) => said.push(format!("Default: {b}.")),
        Presence::Default(Value::Int(i)) => said.push(format!("Default: {i}.")),
        Presence::Default(Value::Str(s) | Value::Enum(s)) => said.push(format!("Default: `{s}`.")),
        Presence::Required | Presence::Optional | Presence::Initial(_) => {}
    }
    match limits.range {
        Some((a, b)) if a == b => said.push(format!("Always {a}.")),
        Some((a, b)) => said.push(format!("From {a} to {b}.")),
        None => {}
    }
    if field.ty == Ty::Duration {
        said.push("In nanoseconds.".into());
    }
    let unit = if matches!(field.ty, Ty::Array { .. }) { "elements" } else { "bytes" };
    match (limits.min, limits.max) {
        (Some(min), Some(max)) => said.push(format!("From {min} to {max} {unit}.")),
        (None, Some(max)) => said.push(format!("At most {max} {unit}.")),
        (Some(min), None) => said.push(format!("At least {min} {unit}.")),
        (None, None) => {}
    }
    if let Some(p) = &limits.pattern {
        said.push(format!("Matches `{}`.", p.text.escape_debug()));
    }
    said.join(" ")
}
