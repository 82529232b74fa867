//! Fields: their types, options, defaults; unions; the xenstore binding.

use super::collect::BUILTINS;
use super::{Entry, Raw, Resolver};
use crate::ast::{Call, Expr, ExprKind};
use crate::diag::{Code, Span};
use crate::model::{Arm, Binding, DeclKind, Field, Id, Limits, Presence, Ty, Union, Value};
use crate::options::Options;

const FIELD_OPTIONS: &[&str] =
    &["optional", "default", "range", "min", "max", "pattern", "since", "deprecated"];

impl<'a> Resolver<'a> {
    pub(super) fn field(&mut self, raw: &Raw<'a>, item: &'a Expr) -> Option<Field> {
        let form = "(\"name\", type, {\"optional\": True})";
        let ExprKind::Tuple(parts) = &item.kind else {
            self.bad_tuple(item, "a field", form);
            return None;
        };
        let (name, name_span, ty, options) = match parts.as_slice() {
            [Expr { kind: ExprKind::Str(n), span }, ty] => (n, *span, ty, None),
            [Expr { kind: ExprKind::Str(n), span }, ty, options] => (n, *span, ty, Some(options)),
            _ => {
                self.diags
                    .add(Code::Argument, item.span, "a field is a name, a type and, where needed, options")
                    .help(format!("write `{form}`"));
                return None;
            }
        };
        self.check_name(name, name_span);
        let doc = self.doc(raw, item.span, &format!("field `{name}`"));
        let mut options = Options::from_dict(options, self.diags);
        let Some(ty) = self.ty(ty) else {
            options.ignore(FIELD_OPTIONS);
            options.finish("a field", FIELD_OPTIONS, self.diags);
            return None;
        };
        let limits = self.limits(&ty, &mut options, item.span);
        let presence = self.presence(&ty, &limits, &mut options);
        let (since, deprecated) = self.since(&mut options);
        let what = format!("a field of type {}", ty.describe(&self.model));
        options.finish(&what, FIELD_OPTIONS, self.diags);
        Some(Field {
            name: name.clone(),
            doc,
            ty,
            presence,
            limits,
            constant: false,
            since,
            deprecated,
            span: name_span,
        })
    }

    fn ty(&mut self, expr: &'a Expr) -> Option<Ty> {
        match &expr.kind {
            ExprKind::Name(name) => self.named(name, expr.span),
            ExprKind::Call(call) => match call.func.name.as_str() {
                "Array" => self.array(call),
                "KeyedUnion" => self.union(call),
                "UInt" | "Struct" | "Enumeration" | "String" => {
                    self.diags
                        .add(Code::Argument, expr.span, format!("a `{}` inside a field", call.func.name))
                        .help("declare it with a name of its own, and use the name here");
                    None
                }
                other => {
                    self.diags
                        .add(
                            Code::UnknownConstructor,
                            call.func.span,
                            format!("no constructor is called `{other}`"),
                        )
                        .suggest(other, ["Array", "KeyedUnion"]);
                    None
                }
            },
            ExprKind::Error => None,
            _ => {
                self.diags
                    .add(Code::Argument, expr.span, format!("a type is a name, not {}", expr.describe()))
                    .help("write the type's name without quotes");
                None
            }
        }
    }

    fn named(&mut self, name: &str, span: Span) -> Option<Ty> {
        if let Some((_, ty)) = BUILTINS.iter().find(|(n, _)| *n == name) {
            return Some(ty.clone());
        }
        match self.names.get(name) {
            Some((Entry::Decl(id), _)) => Some(Ty::Named(*id)),
            Some((Entry::Alias(ty), _)) => Some(ty.clone()),
            None => {
                let known = BUILTINS.iter().map(|(n, _)| *n).chain(self.names.keys().map(String::as_str));
                self.diags
                    .add(Code::UnknownName, span, format!("no type is called `{name}`"))
                    .suggest(name, known);
                None
            }
        }
    }

    fn array(&mut self, call: &'a Call) -> Option<Ty> {
        Options::from_kwargs(&call.kwargs, self.diags).finish("an Array", &[], self.diags);
        let [elem, Expr { kind: ExprKind::Str(len), span }] = call.args.as_slice() else {
            self.diags
                .add(
                    Code::Argument,
                    call.func.span,
                    "`Array` takes the type of its elements and the name of its length",
                )
                .help("write `Array(type, \"num_things\")`");
            return None;
        };
        self.check_name(len, *span);
        let elem_span = elem.span;
        let elem = self.ty(elem)?;
        if matches!(elem, Ty::Array { .. } | Ty::Union(_)) {
            self.diags
                .add(Code::Argument, elem_span, "an array of arrays or of unions")
                .help("put the inner one into a struct of its own");
            return None;
        }
        Some(Ty::Array { elem: Box::new(elem), len: len.clone() })
    }

    fn union(&mut self, call: &'a Call) -> Option<Ty> {
        Options::from_kwargs(&call.kwargs, self.diags).finish("a KeyedUnion", &[], self.diags);
        let form = "KeyedUnion(None, enum, \"key\", [(\"arm\", type)])";
        let [name, key_enum, Expr { kind: ExprKind::Str(keyvar), span: keyvar_span }, arms] =
            call.args.as_slice()
        else {
            self.diags
                .add(
                    Code::Argument,
                    call.func.span,
                    "`KeyedUnion` takes a name or None, an enumeration, a key and arms",
                )
                .help(format!("write `{form}`"));
            return None;
        };
        self.check_name(keyvar, *keyvar_span);
        let union_name = match &name.kind {
            ExprKind::None => None,
            ExprKind::Str(s) => {
                self.check_name(s, name.span);
                Some(s.clone())
            }
            _ => {
                self.bad_tuple(name, "a union's name", form);
                None
            }
        };
        let enum_span = key_enum.span;
        let key_id = match self.ty(key_enum)? {
            Ty::Named(id) if self.model.as_enum(id).is_some_and(|e| !e.values.is_empty()) => id,
            Ty::Named(id) if self.model.as_enum(id).is_some() => return None, // reported: the enum itself is wrong
            other => {
                let what = other.describe(&self.model);
                self.diags
                    .add(Code::Argument, enum_span, format!("`{what}` is not an enumeration"))
                    .help("the second argument of `KeyedUnion` names the enumeration of its arms");
                return None;
            }
        };
        let ExprKind::List(items) = &arms.kind else {
            self.bad_tuple(arms, "the arms of a union", form);
            return None;
        };
        let arms = self.arms(key_id, items, arms.span);
        Some(Ty::Union(Union {
            name: union_name,
            key_enum: key_id,
            keyvar: keyvar.clone(),
            initial: 0,
            arms,
        }))
    }

    fn arms(&mut self, key_enum: Id, items: &'a [Expr], span: Span) -> Vec<Arm> {
        let numbers: Vec<(String, i64)> = self
            .model
            .as_enum(key_enum)
            .map(|e| e.values.iter().map(|v| (v.name.clone(), v.number)).collect())
            .unwrap_or_default();
        let values: Vec<String> = numbers.iter().map(|(name, _)| name.clone()).collect();
        let mut arms: Vec<Arm> = Vec::new();
        for item in items {
            let parts = match &item.kind {
                ExprKind::Tuple(parts) => parts.as_slice(),
                _ => &[],
            };
            let [Expr { kind: ExprKind::Str(name), span: name_span }, ty] = parts else {
                self.bad_tuple(item, "an arm", "(\"name\", type)` or `(\"name\", None)");
                continue;
            };
            if !values.contains(name) {
                let what = self.model.get(key_enum).name.clone();
                self.diags
                    .add(Code::UnknownArm, *name_span, format!("`{name}` is not a value of `{what}`"))
                    .suggest(name, values.iter().map(String::as_str));
                continue;
            }
            if arms.iter().any(|a| a.name == *name) {
                self.diags.add(Code::DuplicateArm, *name_span, format!("arm `{name}` is there already"));
                continue;
            }
            let ty_span = ty.span;
            let ty = match &ty.kind {
                ExprKind::None => None,
                _ => match self.ty(ty) {
                    Some(Ty::Named(id)) if self.is_struct(id) => Some(id),
                    Some(_) => {
                        self.diags
                            .add(Code::Argument, ty_span, "an arm holds a struct or nothing")
                            .help("declare a struct with this as a field, or write None");
                        None
                    }
                    None => None,
                },
            };
            let number = numbers.iter().find(|(n, _)| n == name).map_or(0, |(_, number)| *number);
            arms.push(Arm { name: name.clone(), number, ty });
        }
        for missing in values.iter().filter(|v| !items.is_empty() && !arms.iter().any(|a| a.name == **v)) {
            self.diags
                .add(Code::MissingArm, span, format!("no arm for value `{missing}`"))
                .help(format!("add `(\"{missing}\", None)`"));
        }
        if items.is_empty() {
            self.diags.add(Code::Empty, span, "a union without arms");
        }
        arms
    }

    fn is_struct(&self, id: Id) -> bool {
        matches!(&self.model.get(id).kind, DeclKind::Struct(_))
    }

    fn limits(&mut self, ty: &Ty, options: &mut Options<'a>, span: Span) -> Limits {
        let mut limits = Limits::default();
        if let Some((least, most)) = ty.int_range()
            && let Some(((a, b), at)) = options.range("range", self.diags)
        {
            if a > b {
                self.diags.add(Code::Contradiction, at, format!("no integer is from {a} to {b}"));
            } else if a < least || b > most {
                self.diags
                    .add(Code::OptionValue, at, "the range goes beyond the type")
                    .help(format!("{} is from {least} to {most}", ty.describe(&self.model)));
            }
            limits.range = Some((a, b));
        }
        let mut inherited = None;
        let measured = match ty {
            Ty::Str | Ty::Path | Ty::Array { .. } | Ty::Json => true,
            Ty::Named(id) => match &self.model.get(*id).kind {
                DeclKind::Text(t) => {
                    inherited = t.max;
                    true
                }
                _ => false,
            },
            _ => false,
        };
        if measured {
            (limits.min, limits.max) = (options.len("min", self.diags), options.len("max", self.diags));
            if let (Some(max), Some(own)) = (limits.max, inherited)
                && max > own
            {
                self.diags
                    .add(
                        Code::Contradiction,
                        span,
                        format!("`max` is {max}, but the type ends at {own} bytes"),
                    )
                    .help("a field narrows its type; leave `max` out or lower it");
            }
        }
        let mut least = 0;
        if matches!(ty, Ty::Str | Ty::Path)
            && let Some((text, at)) = options.str("pattern", self.diags)
        {
            limits.pattern = self.pattern(text, at);
            least = limits.pattern.as_ref().map_or(0, crate::pattern::Pattern::bytes_min);
        }
        let most = limits.pattern.as_ref().and_then(crate::pattern::Pattern::bytes_max);
        self.length_limits(limits.min, limits.max, least, most, span);
        limits
    }

    fn presence(&mut self, ty: &Ty, limits: &Limits, options: &mut Options<'a>) -> Presence {
        if matches!(ty, Ty::Union(_)) {
            return Presence::Required;
        }
        let optional = options.bool("optional", self.diags).unwrap_or(false);
        let Some((value, span)) = options.take("default") else {
            return if optional { Presence::Optional } else { Presence::Required };
        };
        if optional {
            self.diags
                .add(Code::OptionMisplaced, span, "`optional` and `default` together")
                .help("a field with a default may be absent when it is read; drop `optional`");
        }
        match self.default(ty, limits, value) {
            Some(value) => Presence::Default(value),
            None => Presence::Required,
        }
    }

    fn default(&mut self, ty: &Ty, limits: &Limits, value: &Expr) -> Option<Value> {
        let kinds = "defaults are for bool, integers, string and enumerations; else make the field optional";
        let mut help = "change the default or the limits".to_owned();
        let problem = match (ty, &value.kind) {
            (Ty::Bool, ExprKind::Bool(b)) => return Some(Value::Bool(*b)),
            (Ty::Str, ExprKind::Str(s)) => {
                let len = s.len() as u64;
                let good = limits.pattern.as_ref().is_none_or(|p| p.matches(s))
                    && limits.max.is_none_or(|m| len <= m)
                    && limits.min.is_none_or(|m| len >= m);
                if good {
                    return Some(Value::Str(s.clone()));
                }
                "the default breaks the field's own limits".to_owned()
            }
            (ty, ExprKind::Int(i)) if ty.int_range().is_some() => {
                let (a, b) = limits.range.or(ty.int_range()).unwrap_or((0, 0));
                if (a..=b).contains(i) {
                    return Some(Value::Int(*i));
                }
                format!("the default is not from {a} to {b}")
            }
            (Ty::Named(id), ExprKind::Str(s)) if self.model.as_enum(*id).is_some() => {
                let decl = self.model.get(*id);
                let names: Vec<String> = self
                    .model
                    .as_enum(*id)
                    .map(|e| e.values.iter().map(|v| v.name.clone()).collect())
                    .unwrap_or_default();
                if names.is_empty() || names.contains(s) {
                    return Some(Value::Enum(s.clone()));
                }
                self.diags
                    .add(Code::Default, value.span, format!("`{s}` is not a value of `{}`", decl.name))
                    .suggest(s, names.iter().map(String::as_str));
                return None;
            }
            (_, ExprKind::Error) => return None,
            _ => {
                kinds.clone_into(&mut help);
                format!("the default of a {} cannot be {}", ty.describe(&self.model), value.describe())
            }
        };
        self.diags.add(Code::Default, value.span, problem).help(help);
        None
    }

    /// Names and keys of a struct must differ.
    pub(super) fn check_keys(&mut self, name: &str, fields: &[Field]) {
        for (i, field) in fields.iter().enumerate() {
            let earlier = fields.get(..i).unwrap_or(&[]);
            if earlier.iter().any(|f| f.name == field.name) {
                self.diags
                    .add(
                        Code::DuplicateField,
                        field.span,
                        format!("`{name}` has a field `{}` already", field.name),
                    )
                    .help("Xen's own compiler lets this pass; one of them is never seen");
            }
            if let Ty::Union(u) = &field.ty
                && let Some(other) = fields.iter().find(|f| {
                    f.name != field.name
                        && (f.name == u.keyvar || matches!(&f.ty, Ty::Union(o) if o.keyvar == u.keyvar))
                })
            {
                self.diags.add(
                    Code::KeyTaken,
                    field.span,
                    format!("the union's key `{}` collides with field `{}`", u.keyvar, other.name),
                );
            }
        }
    }

    pub(super) fn binding(&mut self, options: &mut Options<'a>) -> Option<Binding> {
        let access = options.str("access", self.diags);
        let Some((path, span)) = options.str("xenstore", self.diags) else {
            if let Some((_, span)) = access {
                self.diags
                    .add(Code::OptionMisplaced, span, "`access` without `xenstore`")
                    .help("`access` says who may write the xenstore path");
            }
            return None;
        };
        let mut params = Vec::new();
        let mut problem = None;
        let Some(rest) = path.strip_prefix('/') else {
            self.diags
                .add(Code::XenstorePath, span, "a xenstore path here is absolute")
                .help("begin it with `/`");
            return None;
        };
        for part in rest.split('/') {
            let body = part.strip_prefix('$').unwrap_or(part);
            if body.is_empty() {
                problem = Some("an empty part".to_owned());
            } else if part.starts_with('$') {
                if !body.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
                    problem = Some(format!("`{part}` is not a variable: `$NAME` in capitals"));
                } else if params.contains(&body.to_lowercase()) {
                    problem = Some(format!("`{part}` is there twice"));
                }
                params.push(body.to_lowercase());
            } else if !body.chars().all(|c| c.is_ascii_alphanumeric() || "-_@".contains(c)) {
                problem = Some(format!("`{part}`: xenstore allows letters, digits, `-`, `_` and `@`"));
            }
        }
        if let Some(problem) = problem {
            self.diags.add(Code::XenstorePath, span, format!("xenstore path: {problem}"));
        }
        let access = match access {
            Some((a @ ("n" | "w"), _)) => a.to_owned(),
            Some((other, at)) => {
                self.diags
                    .add(Code::XenstorePath, at, format!("no access is called `{other}`"))
                    .help("`n`: not written by the domain; `w`: written by it (xenstore-paths.pandoc)");
                return None;
            }
            None => {
                self.diags
                    .add(Code::XenstorePath, span, "a xenstore path without `access`")
                    .help("add `access=\"n\"` (not written by the domain) or `access=\"w\"`");
                return None;
            }
        };
        Some(Binding { path: path.to_owned(), params, access, span })
    }
}
