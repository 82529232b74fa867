//! The contract's types: texts, enumerations, structs and their unions, on the support module `contract`.

use super::names::{constructor, ident, module, union};
use super::{Out, attribute, end_signature, json_functions, json_signature, lifecycle, quote};
use crate::backend::common::is_libxls;
use crate::model::{
    Arm, Decl, DeclKind, Enum, Field, Limits, Model, Presence, Struct, Text, Ty, Union, Value,
};
use crate::pattern::Pattern;

fn paragraphs<'a>(doc: &'a str, more: &'a [String]) -> Vec<&'a str> {
    std::iter::once(doc).chain(more.iter().map(String::as_str)).collect()
}

pub(super) fn text(mli: &mut Out, ml: &mut Out, decl: &Decl, text: &Text) {
    let name = module(decl);
    let length = text.max.map(|max| format!(", at most {max} bytes")).unwrap_or_default();
    let mut more = vec![format!("Matches `{}`{length}.", text.pattern.text.escape_debug())];
    more.extend(lifecycle(decl.since, decl.deprecated.as_deref()));
    mli.doc(&paragraphs(&decl.doc, &more));
    mli.line(&format!("module {name} : sig"));
    mli.within(2, |mli| {
        mli.line("include Contract.TEXT");
        json_signature(mli);
    });
    end_signature(mli, decl);
    ml.line(&format!("module {name} = struct"));
    ml.within(2, |ml| {
        ml.line("include Contract.Text (struct");
        ml.line(&format!("  let name = {}", quote(&decl.name)));
        ml.line(&format!("  let min = {}", text.min.unwrap_or(0)));
        ml.line(&format!("  let max = {}", text.max.map_or("max_int".into(), |m| m.to_string())));
        ml.line(&format!("  let pattern = {}", pattern(&text.pattern)));
        ml.line("end)");
        ml.line("");
        ml.line("let codec = Contract.text of_string to_string");
        json_functions(ml, "Contract");
    });
    ml.line("end");
    ml.line("");
}

fn pattern(pattern: &Pattern) -> String {
    let parts: Vec<String> = pattern
        .parts
        .iter()
        .map(|part| {
            let ranges: Vec<String> = part
                .ranges
                .iter()
                .map(|&(a, b)| format!("(0x{:02x}, 0x{:02x})", u32::from(a), u32::from(b)))
                .collect();
            let most = part.max.map_or("max_int".into(), |m| m.to_string());
            let ranges = ranges.join("; ");
            format!("{{ Contract.ranges = [ {ranges} ]; least = {}; most = {most} }}", part.min)
        })
        .collect();
    format!("{{ Contract.text = {}; parts = [ {} ] }}", quote(&pattern.text), parts.join("; "))
}

pub(super) fn enumeration(mli: &mut Out, ml: &mut Out, decl: &Decl, e: &Enum) {
    let name = module(decl);
    let strict = e.dir.is_strict();
    mli.doc(&paragraphs(&decl.doc, &lifecycle(decl.since, decl.deprecated.as_deref())));
    mli.line(&format!("module {name} : sig"));
    mli.within(2, |mli| {
        mli.line("type t =");
        for value in &e.values {
            mli.line(&format!("  | {}", constructor(&value.name)));
            mli.within(6, |mli| mli.doc(&[&value.doc]));
        }
        if !strict {
            mli.line("  | Unknown of string");
            mli.within(6, |mli| mli.doc(&["A value that a newer version knows: kept and written again."]));
        }
        mli.line("");
        mli.doc(&["Every value that this version knows, in order."]);
        mli.line("val all : t list");
        mli.line("");
        mli.doc(&["Its name, as JSON holds it."]);
        mli.line("val to_string : t -> string");
        mli.line("");
        mli.doc(&["The known value of a name."]);
        mli.line("val of_string : string -> t option");
        mli.line("");
        let (doc, ty) =
            if strict { ("Its number.", "int") } else { ("Its number, of one that is known.", "int option") };
        mli.doc(&[doc]);
        mli.line(&format!("val to_int : t -> {ty}"));
        json_signature(mli);
    });
    end_signature(mli, decl);
    ml.line(&format!("module {name} = struct"));
    ml.within(2, |ml| {
        ml.line("type t =");
        for value in &e.values {
            ml.line(&format!("  | {}", constructor(&value.name)));
        }
        if !strict {
            ml.line("  | Unknown of string");
        }
        ml.line("");
        let pairs: Vec<String> =
            e.values.iter().map(|v| format!("({}, {})", quote(&v.name), constructor(&v.name))).collect();
        ml.line(&format!("let values = [ {} ]", pairs.join("; ")));
        ml.line("let all = List.map snd values");
        ml.line("let of_string name = List.assoc_opt name values");
        ml.line("");
        ml.line("let to_string = function");
        for value in &e.values {
            ml.line(&format!("  | {} -> {}", constructor(&value.name), quote(&value.name)));
        }
        if !strict {
            ml.line("  | Unknown name -> name");
        }
        ml.line("");
        ml.line("let to_int = function");
        for value in &e.values {
            let number =
                if strict { format!("({})", value.number) } else { format!("Some ({})", value.number) };
            ml.line(&format!("  | {} -> {number}", constructor(&value.name)));
        }
        if !strict {
            ml.line("  | Unknown _ -> None");
        }
        ml.line("");
        let unknown = if strict { "" } else { " ~unknown:(fun name -> Unknown name)" };
        ml.line(&format!("let codec = Contract.enum {} values{unknown} to_string", quote(&decl.name)));
        json_functions(ml, "Contract");
    });
    ml.line("end");
    ml.line("");
}

/// What a struct is made of, for both of its texts.
struct Cx<'a> {
    model: &'a Model,
    s: &'a Struct,
    open: bool,
}

pub(super) fn structure(model: &Model, mli: &mut Out, ml: &mut Out, decl: &Decl, s: &Struct) {
    let cx = Cx { model, s, open: !s.dir.is_strict() };
    let name = module(decl);
    let mut more = Vec::new();
    if let Some(b) = &s.xenstore {
        more.push(format!("In xenstore: `{}` `[{}]`.", b.path, b.access));
    }
    more.extend(lifecycle(decl.since, decl.deprecated.as_deref()));
    mli.doc(&paragraphs(&decl.doc, &more));
    mli.line(&format!("module {name} : sig"));
    ml.line(&format!("module {name} = struct"));
    mli.within(2, |mli| {
        ml.within(2, |ml| {
            for field in &s.fields {
                if let Ty::Union(u) = &field.ty {
                    cx.union(mli, ml, field, u);
                }
            }
            cx.record(mli, true);
            cx.record(ml, false);
            cx.make(mli, ml);
            cx.constants(mli, ml);
            json_signature(mli);
            cx.codec(ml);
            json_functions(ml, "Contract");
        });
    });
    end_signature(mli, decl);
    ml.line("end");
    ml.line("");
}

impl Cx<'_> {
    fn ty(&self, field: &Field, ty: &Ty) -> String {
        match ty {
            Ty::Bool => "bool".into(),
            Ty::Int { .. } | Ty::Domid | Ty::Bytes | Ty::Duration => "int".into(),
            Ty::Str => "string".into(),
            Ty::Timestamp => "Contract.Timestamp.t".into(),
            Ty::Uuid => "Contract.Uuid.t".into(),
            Ty::Path => "Contract.Path.t".into(),
            Ty::Json => "Json.Raw.t".into(),
            Ty::Named(id) => format!("{}.t", module(self.model.get(*id))),
            Ty::Array { elem, .. } => format!("{} list", self.ty(field, elem)),
            Ty::Union(u) => format!("{}.t", union(self.model, field, u)),
            // Libxl's types are made by `libxl`; the contract cannot name them.
            Ty::Number(_) | Ty::Builtin(_) => "Json.Raw.t".into(),
        }
    }

    fn codec_of(&self, ty: &Ty, limits: &Limits) -> String {
        let limited = |show: &str, codec: String| {
            if *limits == Limits::default() {
                return codec;
            }
            let pattern =
                limits.pattern.as_ref().map(|p| format!(" ~pattern:{}", pattern(p))).unwrap_or_default();
            format!("(Contract.limited{}{pattern} {show} {codec})", bounds(limits))
        };
        match ty {
            Ty::Bool => "Contract.bool".into(),
            Ty::Int { .. } | Ty::Domid | Ty::Bytes | Ty::Duration => {
                let (least, most) = limits.range.or(ty.int_range()).unwrap_or((0, crate::model::INT_MAX));
                format!("(Contract.int ({least}) {most})")
            }
            Ty::Str => limited("Fun.id", "Contract.string".into()),
            Ty::Path => limited("Contract.Path.to_string", "Contract.path".into()),
            Ty::Json | Ty::Number(_) | Ty::Builtin(_) => limited("Json.Raw.to_string", "Contract.raw".into()),
            Ty::Timestamp => "Contract.timestamp".into(),
            Ty::Uuid => "Contract.uuid".into(),
            Ty::Named(id) => {
                let decl = self.model.get(*id);
                let name = module(decl);
                match &decl.kind {
                    DeclKind::Text(_) => limited(&format!("{name}.to_string"), format!("{name}.codec")),
                    DeclKind::Struct(_) | DeclKind::Enum(_) => format!("{name}.codec"),
                }
            }
            Ty::Array { elem, .. } => {
                format!("(Contract.array{} {})", bounds(limits), self.codec_of(elem, &Limits::default()))
            }
            Ty::Union(_) => String::new(),
        }
    }

    fn union(&self, mli: &mut Out, ml: &mut Out, field: &Field, u: &Union) {
        let name = union(self.model, field, u);
        let kind = module(self.model.get(u.key_enum));
        mli.doc(&[&field.doc, &format!("Exactly one key of its object: `{}.ARM`.", u.keyvar)]);
        mli.line(&format!("module {name} : sig"));
        ml.line(&format!("module {name} = struct"));
        mli.within(2, |mli| {
            ml.within(2, |ml| {
                mli.line("type t =");
                ml.line("type t =");
                for arm in &u.arms {
                    let line = match self.arm_type(arm) {
                        Some(ty) => format!("  | {} of {ty}", constructor(&arm.name)),
                        None => format!("  | {}", constructor(&arm.name)),
                    };
                    mli.line(&line);
                    ml.line(&line);
                    mli.within(6, |mli| mli.doc(&[&self.arm_doc(u, arm)]));
                }
                if self.open {
                    let line = "  | Unknown of { arm : string; value : Json.Raw.t }";
                    mli.line(line);
                    ml.line(line);
                    let doc = "An arm that a newer version knows: kept and written again.";
                    mli.within(6, |mli| mli.doc(&[doc]));
                }
                mli.line("");
                mli.doc(&["Which arm it is."]);
                mli.line(&format!("val kind : t -> {kind}.t"));
                ml.line("");
                ml.line(&format!("let kind : t -> {kind}.t = function"));
                for arm in &u.arms {
                    let holds = if self.arm_type(arm).is_some() { " _" } else { "" };
                    ml.line(&format!("  | {0}{holds} -> {0}", constructor(&arm.name)));
                }
                if self.open {
                    ml.line("  | Unknown { arm; _ } -> Unknown arm");
                }
            });
        });
        mli.line("end");
        mli.line("");
        ml.line("end");
        ml.line("");
    }

    fn arm_type(&self, arm: &Arm) -> Option<String> {
        match (arm.ty, self.open) {
            (Some(id), _) => Some(format!("{}.t", module(self.model.get(id)))),
            (None, true) => Some("Contract.extra".into()),
            (None, false) => None,
        }
    }

    fn arm_doc(&self, u: &Union, arm: &Arm) -> String {
        match arm.ty {
            Some(id) => self.model.get(id).doc.clone(),
            None => self
                .model
                .as_enum(u.key_enum)
                .and_then(|e| e.values.iter().find(|v| v.name == arm.name))
                .map(|v| v.doc.clone())
                .unwrap_or_default(),
        }
    }

    fn record(&self, out: &mut Out, docs: bool) {
        if self.s.fields.is_empty() && !self.open {
            out.line("type t = unit");
            out.line("");
            return;
        }
        out.line("type t = {");
        for field in &self.s.fields {
            let ty = self.ty(field, &field.ty);
            let optional = if field.presence == Presence::Optional { " option" } else { "" };
            let deprecated = if docs { attribute("@", field.deprecated.as_deref()) } else { String::new() };
            out.line(&format!("  {} : {ty}{optional};{deprecated}", ident(&field.name)));
            if docs {
                let limits = limits_doc(field);
                let life = lifecycle(field.since, field.deprecated.as_deref());
                let doc =
                    if limits.is_empty() { field.doc.clone() } else { format!("{} {limits}", field.doc) };
                out.within(6, |out| out.doc(&paragraphs(&doc, &life)));
            }
        }
        if self.open {
            out.line("  extra : Contract.extra;");
            if docs {
                out.within(6, |out| out.doc(&["Fields that a newer version wrote: kept and written again."]));
            }
        }
        out.line("}");
        out.line("");
    }

    /// `make`: what is required, labelled; what is not, optional.
    fn make(&self, mli: &mut Out, ml: &mut Out) {
        let (mut types, mut params, mut names) = (Vec::new(), Vec::new(), Vec::new());
        let ordered = |required: bool| {
            self.s.fields.iter().filter(move |f| (f.presence == Presence::Required) == required)
        };
        for field in ordered(false).chain(ordered(true)) {
            let (name, ty) = (ident(&field.name), self.ty(field, &field.ty));
            match (&field.presence, self.default(field)) {
                (Presence::Optional, _) => {
                    types.push(format!("?{name}:{ty}"));
                    params.push(format!("?{name}"));
                }
                (_, Some(default)) => {
                    types.push(format!("?{name}:{ty}"));
                    params.push(format!("?({name} = {default})"));
                }
                (_, None) => {
                    types.push(format!("{name}:{ty}"));
                    params.push(format!("~{name}"));
                }
            }
            names.push(name);
        }
        if self.open {
            types.push("?extra:Contract.extra".into());
            params.push("?(extra = [])".into());
            names.push("extra".into());
        }
        types.extend(["unit".into(), "t".into()]);
        params.push("()".into());
        let value = if names.is_empty() { "()".into() } else { format!("{{ {} }}", names.join("; ")) };
        mli.line(&format!("val make : {}", types.join(" -> ")));
        ml.line(&format!("let make {} : t = {value}", params.join(" ")));
        ml.line("");
    }

    fn default(&self, field: &Field) -> Option<String> {
        let Presence::Default(value) = &field.presence else { return None };
        Some(match value {
            Value::Bool(b) => b.to_string(),
            Value::Int(i) => format!("({i})"),
            Value::Str(s) => quote(s),
            Value::Enum(name) => match &field.ty {
                Ty::Named(id) => format!("{}.{}", module(self.model.get(*id)), constructor(name)),
                _ => String::new(),
            },
        })
    }

    /// Limits and the xenstore path, for those who must keep to them.
    fn constants(&self, mli: &mut Out, ml: &mut Out) {
        for field in self.s.fields.iter().filter(|f| f.limits.max.is_some()) {
            let unit = if matches!(field.ty, Ty::Array { .. }) { "elements" } else { "bytes" };
            mli.line("");
            mli.doc(&[&format!("Most {unit} of `{}`.", field.name)]);
            mli.line(&format!("val {}_max : int", field.name));
            ml.line(&format!("let {}_max = {}", field.name, field.limits.max.unwrap_or(0)));
        }
        let Some(binding) = &self.s.xenstore else { return };
        let mut format = binding.path.clone();
        for param in &binding.params {
            format = format.replace(&format!("${}", param.to_uppercase()), "%s");
        }
        mli.line("");
        if binding.params.is_empty() {
            mli.doc(&["Its path in xenstore."]);
            mli.line("val xenstore_path : string");
            ml.line(&format!("let xenstore_path = {}", quote(&binding.path)));
            return;
        }
        let names: Vec<String> = binding.params.iter().map(|p| ident(p)).collect();
        let types: Vec<String> = names.iter().map(|p| format!("{p}:string -> ")).collect();
        let params: Vec<String> = names.iter().map(|p| format!("~{p}")).collect();
        mli.doc(&["The path in xenstore of one of them."]);
        mli.line(&format!("val xenstore_path : {}string", types.concat()));
        let (params, names) = (params.join(" "), names.join(" "));
        ml.line(&format!("let xenstore_path {params} = Printf.sprintf {} {names}", quote(&format)));
        if let Some((folder, last)) = binding.path.rsplit_once('/')
            && last.starts_with('$')
            && binding.params.len() == 1
        {
            mli.line("");
            mli.doc(&["The folder of these paths."]);
            mli.line("val xenstore_folder : string");
            ml.line(&format!("let xenstore_folder = {}", quote(folder)));
        }
    }

    fn codec(&self, ml: &mut Out) {
        let mut known = Vec::new();
        for field in &self.s.fields {
            match &field.ty {
                Ty::Union(u) => known.extend(u.arms.iter().map(|a| arm_key(u, a))),
                _ => known.push(quote(&field.name)),
            }
        }
        ml.line(&format!("let known = [ {} ]", known.join("; ")));
        ml.line("");
        // Names of the IDL have no prime: these hide no field.
        ml.line("let codec : t Codec.t =");
        ml.within(2, |ml| {
            ml.line("let read o' : t =");
            ml.within(2, |ml| self.read(ml));
            ml.line("in");
            let nothing = self.s.fields.is_empty() && !self.open;
            ml.line(if nothing { "let write _ () = () in" } else { "let write w' (v' : t) =" });
            if !nothing {
                ml.within(2, |ml| self.write(ml));
                ml.line("in");
            }
            ml.line("Contract.obj ~known ~read ~write");
        });
        ml.line("");
    }

    fn read(&self, ml: &mut Out) {
        let mut names = Vec::new();
        // First, so that a mistyped key is named, not the one that is missing for it.
        if !self.open {
            ml.line("Contract.no_extra o';");
        }
        for field in &self.s.fields {
            let (name, key) = (ident(&field.name), quote(&field.name));
            let codec = self.codec_of(&field.ty, &field.limits);
            match (&field.ty, &field.presence, self.default(field)) {
                (Ty::Union(u), _, _) => self.read_union(ml, field, u),
                (_, Presence::Optional, _) => {
                    ml.line(&format!("let {name} = Contract.optional o' {key} {codec} in"));
                }
                (_, _, Some(default)) => {
                    ml.line(&format!("let {name} = Contract.default o' {key} {codec} {default} in"));
                }
                (_, _, None) => ml.line(&format!("let {name} = Contract.required o' {key} {codec} in")),
            }
            names.push(name);
        }
        if self.open {
            ml.line("let extra = Contract.extra o' in");
            names.push("extra".into());
        }
        ml.line(&if names.is_empty() { "()".into() } else { format!("{{ {} }}", names.join("; ")) });
    }

    fn read_union(&self, ml: &mut Out, field: &Field, u: &Union) {
        let ty = union(self.model, field, u);
        let unknown = if self.open {
            format!(" ~unknown:(fun arm value -> {ty}.Unknown {{ arm; value }})")
        } else {
            String::new()
        };
        ml.line(&format!("let {} =", ident(&field.name)));
        ml.line(&format!("  Contract.union o' {}{unknown}", quote(&u.keyvar)));
        ml.line("    [");
        for arm in &u.arms {
            let wrap = match self.arm_type(arm) {
                Some(_) => format!("(fun v -> {ty}.{} v)", constructor(&arm.name)),
                None => format!("(fun () -> {ty}.{})", constructor(&arm.name)),
            };
            ml.line(&format!("      Contract.arm {} {} {wrap};", arm_key(u, arm), self.arm_codec(arm)));
        }
        ml.line("    ]");
        ml.line("in");
    }

    fn arm_codec(&self, arm: &Arm) -> String {
        match (arm.ty, self.open) {
            (Some(id), _) => {
                debug_assert!(!is_libxls(self.model.get(id)));
                format!("{}.codec", module(self.model.get(id)))
            }
            (None, true) => "Contract.extras".into(),
            (None, false) => "Contract.empty".into(),
        }
    }

    fn write(&self, ml: &mut Out) {
        let last = self.s.fields.len();
        for (i, field) in self.s.fields.iter().enumerate() {
            let end = if i + 1 == last && !self.open { "" } else { ";" };
            let (name, key) = (ident(&field.name), quote(&field.name));
            let codec = self.codec_of(&field.ty, &field.limits);
            match (&field.ty, &field.presence) {
                (Ty::Union(u), _) => self.write_union(ml, field, u, end),
                (_, Presence::Optional) => {
                    ml.line(&format!("Contract.put_option w' {key} {codec} v'.{name}{end}"));
                }
                _ => ml.line(&format!("Contract.put w' {key} {codec} v'.{name}{end}")),
            }
        }
        if self.open {
            ml.line("Contract.put_extra w' ~known v'.extra");
        }
    }

    fn write_union(&self, ml: &mut Out, field: &Field, u: &Union, end: &str) {
        ml.line(&format!("(match v'.{} with", ident(&field.name)));
        let ty = union(self.model, field, u);
        for arm in &u.arms {
            let (name, key, codec) = (constructor(&arm.name), arm_key(u, arm), self.arm_codec(arm));
            ml.line(&match self.arm_type(arm) {
                Some(_) => format!(" | {ty}.{name} v -> Contract.put w' {key} {codec} v"),
                None => format!(" | {ty}.{name} -> Contract.put w' {key} {codec} ()"),
            });
        }
        if self.open {
            let keyvar = quote(&u.keyvar);
            ml.line(&format!(
                " | {ty}.Unknown {{ arm; value }} -> Contract.put_unknown_arm w' {keyvar} ~known arm value"
            ));
        }
        ml.line(&format!(" ){end}"));
    }
}

fn arm_key(u: &Union, arm: &Arm) -> String {
    quote(&format!("{}.{}", u.keyvar, arm.name))
}

fn bounds(limits: &Limits) -> String {
    let bound = |name: &str, value: Option<u64>| value.map(|v| format!(" ~{name}:{v}")).unwrap_or_default();
    bound("min", limits.min) + &bound("max", limits.max)
}

/// Default and limits: one sentence each.
fn limits_doc(field: &Field) -> String {
    let mut said = Vec::new();
    let limits = &field.limits;
    match &field.presence {
        Presence::Default(Value::Bool(b)) => said.push(format!("Default: `{b}`.")),
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
