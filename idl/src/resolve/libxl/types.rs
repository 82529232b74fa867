//! Constructors: structs, enumerations, numbers and builtins; and the values of `init_val`.

use super::cexpr::{CType, Failure, Named, Value, eval};
use super::options::TypeOptions;
use super::{Constant, Resolver, Type, Val};
use crate::ast::{Call, Expr, ExprKind, File, Ident};
use crate::diag::{Code, Span};
use crate::model::{Builtin, Decl, DeclKind, Enum, EnumValue, Id, Number, Struct, Ty, Unknown};
use crate::options::Options;
use crate::resolve::bad_tuple;

/// What can stand on the right of `name =`.
pub(super) const CONSTRUCTORS: &[&str] =
    &["Struct", "Enumeration", "Builtin", "UInt", "Number", "Array", "KeyedUnion"];
/// What the language has, but no type of libxl's that has JSON.
const WITHOUT_JSON: &[&str] = &["Type", "Aggregate", "Union"];

/// Where a struct stands: its name, and the names of the fields around it.
pub(super) struct Place<'a> {
    pub(super) file: &'a File,
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) outer: Vec<&'a str>,
}

impl<'a> Resolver<'a, '_> {
    /// The value of a variable's constructor.
    pub(super) fn constructor(
        &mut self,
        file: &'a File,
        target: Option<&'a Ident>,
        call: &'a Call,
        span: Span,
    ) -> Option<Type> {
        let at = target.map_or(call.func.span, |t| t.span);
        match call.func.name.as_str() {
            "Struct" => self.named_struct(file, call, at, span),
            "Enumeration" => self.enumeration(file, call, at, span),
            "Builtin" => self.builtin(call, target),
            "UInt" | "Number" => self.number(call, target),
            "Array" | "KeyedUnion" if target.is_some() => {
                self.diags
                    .add(
                        Code::Argument,
                        call.func.span,
                        format!("`{}` is the type of a field", call.func.name),
                    )
                    .help("write it into the field that has it");
                None
            }
            "Array" => self.array(call, None),
            other => {
                let d = if WITHOUT_JSON.contains(&other) {
                    self.diags.add(Code::Argument, call.func.span, format!("a `{other}` has no form in JSON"))
                } else {
                    self.diags.add(
                        Code::UnknownConstructor,
                        call.func.span,
                        format!("no constructor is called `{other}`"),
                    )
                };
                d.suggest(other, CONSTRUCTORS.iter().copied());
                None
            }
        }
    }

    /// The first argument: the type's name. `Ok(None)` for None.
    fn type_name(&mut self, call: &'a Call) -> Option<Option<(&'a str, Span)>> {
        let Some(first) = call.args.first() else {
            self.name_missing(call, call.func.span);
            return None;
        };
        let literal = self.literal(first)?;
        match &literal.kind {
            ExprKind::Str(s) => {
                let good = s.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                    && !s.starts_with(|c: char| c.is_ascii_digit());
                if !good || s.is_empty() {
                    self.bad_name(
                        s,
                        first.span,
                        "a name of C is letters, digits and `_`, and begins with no digit",
                    );
                    return None;
                }
                Some(Some((s, first.span)))
            }
            ExprKind::None => Some(None),
            _ => {
                self.name_missing(call, first.span);
                None
            }
        }
    }

    fn name_missing(&mut self, call: &Call, span: Span) {
        let func = &call.func.name;
        self.diags
            .add(Code::Argument, span, format!("the first argument of `{func}` is its name"))
            .help(format!("write `{func}(\"name\", ..)`"));
    }

    pub(super) fn bad_name(&mut self, name: &str, span: Span, help: &str) {
        self.diags.add(Code::BadName, span, format!("`{}` is not a name", name.escape_debug())).help(help);
    }

    fn named_struct(&mut self, file: &'a File, call: &'a Call, at: Span, span: Span) -> Option<Type> {
        let Some(name) = self.type_name(call)? else {
            self.diags
                .add(Code::Argument, at, "a struct with a variable has a name")
                .help("`Struct(None, ..)` is the type of a field or an arm; write the name for None");
            return None;
        };
        self.structure(file, call, Some(name.0), at, span, None)
    }

    /// A struct: `name` is None for one that stands in a field or an arm.
    pub(super) fn structure(
        &mut self,
        file: &'a File,
        call: &'a Call,
        name: Option<&str>,
        at: Span,
        span: Span,
        within: Option<&Place<'a>>,
    ) -> Option<Type> {
        let options = Options::from_kwargs(&call.kwargs, self.diags);
        let o = self.type_options(options, "a Struct", &[], None);
        let (namespace, whole) = match (name, within) {
            (Some(name), _) => (o.namespace.clone(), format!("{}{name}", o.namespace)),
            (None, Some(place)) => (place.namespace.clone(), place.name.clone()),
            (None, None) => return None,
        };
        let decl = Decl {
            namespace: namespace.clone(),
            hidden: o.hidden,
            anonymous: name.is_none(),
            doc: self.doc(file, at),
            c_options: o.c.clone(),
            ..Decl::new(&whole, at)
        };
        let id = self.declare(decl);
        if o.init_val.is_some() {
            self.diags
                .add(Code::OptionMisplaced, span, "a struct has no `init_val`")
                .help("give its fields one");
        }
        let items = self.list(call, 1, "fields");
        let mut outer = within.map(|p| p.outer.clone()).unwrap_or_default();
        outer.extend(items.iter().filter_map(|item| match &item.kind {
            ExprKind::Tuple(parts) | ExprKind::List(parts) => match parts.first().map(|p| &p.kind) {
                Some(ExprKind::Str(s)) => Some(s.as_str()),
                _ => None,
            },
            _ => None,
        }));
        let place = Place { file, name: whole.clone(), namespace, outer };
        let mut fields = Vec::new();
        for item in items {
            if let Some(field) = self.field(&place, item) {
                fields.push(field);
            }
        }
        self.check_fields(&whole, &fields);
        if let Some(decl) = self.model.decls.get_mut(id.0) {
            decl.kind =
                DeclKind::Struct(Struct { dir: o.dir, unknown: Unknown::Ignored, fields, xenstore: None });
        }
        Some(Type {
            ty: if o.private { Ty::Builtin(Builtin::Private(whole)) } else { Ty::Named(id) },
            initial: None,
        })
    }

    /// A positional argument that is a list.
    pub(super) fn list(&mut self, call: &'a Call, index: usize, what: &str) -> &'a [Expr] {
        if let Some(extra) = call.args.get(index + 1) {
            self.diags
                .add(
                    Code::Argument,
                    extra.span,
                    format!("`{}` takes {} positional arguments", call.func.name, index + 1),
                )
                .help("options are keyword arguments: `dir=DIR_OUT`");
        }
        let Some(arg) = call.args.get(index) else {
            self.diags
                .add(Code::Argument, call.func.span, format!("`{}` needs a list of {what}", call.func.name))
                .help("write them in `[` `]`");
            return &[];
        };
        match self.literal(arg).map(|e| &e.kind) {
            Some(ExprKind::List(items) | ExprKind::Tuple(items)) => items,
            None => &[],
            Some(_) => {
                self.diags
                    .add(Code::Argument, arg.span, format!("{what} are a list, not {}", arg.describe()))
                    .help("write them in `[` `]`");
                &[]
            }
        }
    }

    fn enumeration(&mut self, file: &'a File, call: &'a Call, at: Span, span: Span) -> Option<Type> {
        let Some((name, _)) = self.type_name(call)? else {
            self.name_missing(call, call.func.span);
            return None;
        };
        let mut options = Options::from_kwargs(&call.kwargs, self.diags);
        let value_namespace = options.take("value_namespace");
        let o = self.type_options(options, "an Enumeration", &["value_namespace"], None);
        let mut prefix = o.namespace.clone();
        if let Some((value, _)) = value_namespace
            && let Some(value) = self.literal(value)
        {
            match &value.kind {
                ExprKind::Str(s) => prefix.clone_from(s),
                ExprKind::None => prefix.clear(),
                _ => self.wrong_value("value_namespace", "a string or None", value),
            }
        }
        let c_prefix = format!("{prefix}{name}_").to_uppercase();
        let whole = format!("{}{name}", o.namespace);
        let items = self.list(call, 1, "values");
        let values = self.values(file, items, &whole);
        if values.is_empty() && call.args.len() == 2 && items.is_empty() {
            self.diags.add(Code::Empty, span, format!("enumeration `{whole}` has no value"));
        }
        for value in &values {
            let constant = format!("{c_prefix}{}", value.name.to_uppercase());
            self.enum_constants.insert(constant, value.number);
        }
        let int = CType { bits: 32, signed: true };
        let initial = o.init_val.and_then(|e| self.init_val(e, int));
        let decl = Decl {
            namespace: o.namespace.clone(),
            hidden: o.hidden,
            doc: self.doc(file, at),
            kind: DeclKind::Enum(Enum {
                dir: o.dir,
                unknown: Unknown::Ignored,
                c_prefix,
                initial: initial.and_then(|i| i64::try_from(i).ok()),
                values,
            }),
            c_options: o.c.clone(),
            ..Decl::new(&whole, at)
        };
        let id = self.declare(decl);
        Some(Type {
            ty: if o.private { Ty::Builtin(Builtin::Private(whole)) } else { Ty::Named(id) },
            initial,
        })
    }

    fn values(&mut self, file: &'a File, items: &'a [Expr], whole: &str) -> Vec<EnumValue> {
        let mut values: Vec<EnumValue> = Vec::new();
        for item in items {
            let form = "(1, \"name\")";
            let parts = match &item.kind {
                ExprKind::Tuple(parts) | ExprKind::List(parts) => parts.as_slice(),
                _ => &[],
            };
            let [number, name] = parts else {
                bad_tuple(self.diags, item, "a value", form);
                continue;
            };
            let (Some(n), Some(s)) = (self.literal(number), self.literal(name)) else { continue };
            let (ExprKind::Int(number), ExprKind::Str(written)) = (&n.kind, &s.kind) else {
                bad_tuple(self.diags, item, "a value", form);
                continue;
            };
            if written.is_empty() || !written.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                self.bad_name(written, name.span, "a value's name is letters, digits and `_`");
                continue;
            }
            if i32::try_from(*number).is_err() {
                self.diags
                    .add(
                        Code::OptionValue,
                        parts.first().map_or(item.span, |p| p.span),
                        format!("{number} is no int"),
                    )
                    .help("the numbers of an enumeration are C's int: 32 bits");
            }
            let lower = written.to_ascii_lowercase();
            if let Some(old) = values.iter().find(|v| v.name == lower || v.number == *number) {
                let what = if old.name == lower { format!("`{written}`") } else { number.to_string() };
                self.diags
                    .add(Code::DuplicateValue, item.span, format!("{what} is a value of `{whole}` already"))
                    .help(format!(
                        "the earlier one is ({}, \"{}\"); case makes no difference",
                        old.number, old.name
                    ));
            }
            values.push(EnumValue { name: lower, number: *number, doc: self.doc(file, item.span) });
        }
        values
    }

    fn builtin(&mut self, call: &'a Call, target: Option<&Ident>) -> Option<Type> {
        let name = self.type_name(call)?;
        if let Some(extra) = call.args.get(1) {
            self.diags.add(Code::Argument, extra.span, "`Builtin` takes one positional argument, its name");
        }
        let mut options = Options::from_kwargs(&call.kwargs, self.diags);
        let signed = self.flag(&mut options, "signed").unwrap_or(false);
        let o = self.type_options(options, "a Builtin", &["signed"], None);
        let Some((name, span)) = name else {
            self.name_missing(call, call.func.span);
            return None;
        };
        if o.private {
            let whole = format!("{}{name}", o.namespace);
            return Some(Type { ty: Ty::Builtin(Builtin::Private(whole)), initial: None });
        }
        if let "domid" | "devid" = name {
            let signed = signed || name == "devid";
            return Some(self.sized(32, signed, target.map_or(name, |t| &t.name), &o));
        }
        let Some((_, found)) = Builtin::NAMED.iter().find(|(n, _)| *n == name) else {
            let known: Vec<&str> =
                Builtin::NAMED.iter().map(|(n, _)| *n).chain(["domid", "devid", "ev_link"]).collect();
            let d = self.diags.add(Code::Builtin, span, format!("no builtin type is called `{name}`"));
            if crate::diag::nearest(name, known.iter().copied()).is_some() {
                d.suggest(name, known);
            } else {
                d.help(
                    "its JSON is in libxl's C, so it must be known here; one without JSON is `private=True`",
                );
            }
            return None;
        };
        if o.init_val.is_some() {
            self.diags
                .add(Code::OptionMisplaced, call.func.span, format!("a {name} has no `init_val`"))
                .help("it begins empty");
        }
        Some(Type { ty: Ty::Builtin(found.clone()), initial: None })
    }

    fn number(&mut self, call: &'a Call, target: Option<&Ident>) -> Option<Type> {
        let mut options = Options::from_kwargs(&call.kwargs, self.diags);
        let signed = self.flag(&mut options, "signed").unwrap_or(false);
        let what = if call.func.name == "UInt" { "a UInt" } else { "a Number" };
        let o = self.type_options(options, what, &["signed"], None);
        let arg = match call.args.as_slice() {
            [arg] => self.literal(arg)?,
            args => {
                let span = args.get(1).map_or(call.func.span, |e| e.span);
                self.diags
                    .add(Code::Argument, span, format!("`{}` takes one positional argument", call.func.name))
                    .help("write `UInt(64)`, or `Number(\"int\", signed=True)`");
                return None;
            }
        };
        let (bits, signed) = match (&arg.kind, call.func.name.as_str()) {
            (ExprKind::Int(bits @ (8 | 16 | 32 | 64)), "UInt") => (u8::try_from(*bits).unwrap_or(64), signed),
            (ExprKind::Str(s), "Number") if s == "int" => (32, true),
            (ExprKind::Str(s), "Number") if s == "unsigned int" || s == "unsigned" => (32, false),
            (ExprKind::Str(s), "Number") if s == "size_t" => (64, false),
            _ => {
                let help = if call.func.name == "UInt" {
                    "write `UInt(8)`, 16, 32 or 64"
                } else {
                    "it can be: int, unsigned int, size_t"
                };
                self.diags
                    .add(
                        Code::Argument,
                        arg.span,
                        format!("`{}` cannot be {}", call.func.name, arg.describe()),
                    )
                    .help(help);
                return None;
            }
        };
        let name =
            target.map_or_else(|| format!("{}int{bits}", if signed { "" } else { "u" }), |t| t.name.clone());
        Some(self.sized(bits, signed, &name, &o))
    }

    fn sized(&mut self, bits: u8, signed: bool, name: &str, o: &TypeOptions<'a>) -> Type {
        // What the JSON of a number looks like hangs on the function that writes it.
        let full = o.c("json_gen_fn") == Some("libxl__uint64_gen_json")
            || o.c("jsonc_json_gen_fn") == Some("libxl__uint64_gen_jso");
        let initial = o.init_val.and_then(|e| self.init_val(e, CType { bits, signed }));
        Type { ty: Ty::Number(Number { name: name.to_owned(), bits, signed, full }), initial }
    }

    /// An `init_val` as a value of its type: a C expression in a string, or an integer.
    pub(super) fn init_val(&mut self, expr: &'a Expr, ty: CType) -> Option<i128> {
        let literal = self.literal(expr)?;
        let text = match &literal.kind {
            ExprKind::Int(i) => return Some(Value::int(*i).to(ty).value),
            ExprKind::Str(s) => s,
            ExprKind::None => return None,
            _ => {
                self.wrong_value("init_val", "a C expression in a string", literal);
                return None;
            }
        };
        let result = eval(text, &|name| {
            if let Some(var) = self.vars.get(name) {
                return match &var.val {
                    Val::Literal(Expr { kind: ExprKind::Int(i), .. }) => Some(Named::Int(*i)),
                    Val::Literal(Expr { kind: ExprKind::Str(s), .. }) => Some(Named::Text(s.as_str())),
                    _ => None,
                };
            }
            if let Some(number) = self.enum_constants.get(name) {
                return Some(Named::Int(*number));
            }
            match self.prelude.get(name)? {
                Constant::Int(i) => Some(Named::Int(*i)),
                Constant::Text(s) => Some(Named::Text(s.as_str())),
            }
        });
        match result {
            Ok(value) => Some(value.to(ty).value),
            Err(Failure::Name(name)) => {
                let mut known: Vec<String> =
                    self.enum_constants.keys().chain(self.prelude.keys()).cloned().collect();
                known.extend(
                    self.vars
                        .iter()
                        .filter(|(_, v)| matches!(v.val, Val::Literal(_)))
                        .map(|(n, _)| n.clone()),
                );
                let d = self.diags.add(Code::Constant, expr.span, format!("no constant is called `{name}`"));
                match crate::diag::nearest(&name, known.iter().map(String::as_str)) {
                    Some(near) => d.help(format!("did you mean `{near}`?")),
                    None => d.help(format!(
                        "define it in a prelude: `{name} = \"~0ULL\"`, and give that file first"
                    )),
                };
                None
            }
            Err(Failure::Form(why)) => {
                self.diags.add(
                    Code::Constant,
                    expr.span,
                    format!("`{text}` is not a constant expression of C: {why}"),
                );
                None
            }
        }
    }

    /// The id of an enumeration, by a type.
    pub(super) fn enum_id(&self, ty: &Ty) -> Option<Id> {
        match ty {
            Ty::Named(id) if self.model.as_enum(*id).is_some() => Some(*id),
            _ => None,
        }
    }
}
