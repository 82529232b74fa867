//! Fields: their types, options and first values; arrays.

use super::cexpr::CType;
use super::options::FIELD_OPTIONS;
use super::types::Place;
use super::{Resolver, Type, Val};
use crate::ast::{Call, Expr, ExprKind};
use crate::diag::{Code, Span};
use crate::model::{Builtin, Field, Limits, Presence, Ty};
use crate::options::Options;
use crate::resolve::bad_tuple;
use std::collections::BTreeSet;

impl<'a> Resolver<'a, '_> {
    pub(super) fn field(&mut self, place: &Place<'a>, item: &'a Expr) -> Option<Field> {
        let form = "(\"name\", type, {\"init_val\": \"1\"})";
        let parts = match &self.literal(item)?.kind {
            ExprKind::Tuple(parts) | ExprKind::List(parts) => parts.as_slice(),
            _ => &[],
        };
        let (name, ty_expr, options) = match parts {
            [name, ty] => (name, ty, None),
            [name, ty, options] => (name, ty, Some(options)),
            [] => {
                bad_tuple(self.diags, item, "a field", form);
                return None;
            }
            _ => {
                self.diags
                    .add(Code::Argument, item.span, "a field is a name, a type and, where needed, options")
                    .help(format!("write `{form}`"));
                return None;
            }
        };
        let span = name.span;
        let name = self.field_name(name, "a field")?;
        let options = match options {
            Some(o) => self.literal(o),
            None => None,
        };
        let mut options = Options::from_dict(options, self.diags);
        let ty = self.field_type(place, name, ty_expr);
        let (initial, constant, deprecated) = self.field_options(place, ty.as_ref(), &mut options);
        let what = match &ty {
            Some(t) => format!("a field of type {}", t.ty.describe(self.model)),
            None => "a field".to_owned(),
        };
        options.finish_all_known(&what, FIELD_OPTIONS, self.diags);
        let ty = ty?;
        Some(Field {
            name: name.to_owned(),
            doc: self.doc(place.file, item.span),
            presence: Presence::Initial(initial.or(ty.initial).unwrap_or(0)),
            ty: ty.ty,
            limits: Limits::default(),
            constant,
            since: None,
            deprecated,
            span,
        })
    }

    fn field_name(&mut self, expr: &'a Expr, what: &str) -> Option<&'a str> {
        let literal = self.literal(expr)?;
        let ExprKind::Str(name) = &literal.kind else {
            bad_tuple(self.diags, expr, what, "(\"name\", ..)");
            return None;
        };
        let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !good {
            self.bad_name(
                name,
                expr.span,
                "a name of C is letters, digits and `_`, and begins with no digit",
            );
            return None;
        }
        Some(name)
    }

    /// `init_val`, `const` and `deprecated_by`; `enumname` names the value of C for an arm, which is known here.
    fn field_options(
        &mut self,
        place: &Place<'a>,
        ty: Option<&Type>,
        options: &mut Options<'a>,
    ) -> (Option<i128>, bool, Option<String>) {
        let initial = options.take("init_val").and_then(|(value, at)| {
            let ty = ty?;
            let c_type = self.c_type(&ty.ty);
            if c_type.is_none() {
                let what = ty.ty.describe(self.model);
                self.diags
                    .add(Code::OptionMisplaced, at, format!("a field of type {what} has no `init_val`"))
                    .help("numbers and enumerations have one; everything else begins empty");
            }
            self.init_val(value, c_type?)
        });
        let constant = self.flag(options, "const").unwrap_or(false);
        self.text(options, "enumname");
        let deprecated = self.text(options, "deprecated_by").map(|(by, at)| {
            if !place.outer.contains(&by) {
                self.diags
                    .add(Code::OptionValue, at, format!("no field around it is called `{by}`"))
                    .suggest(by, place.outer.iter().copied());
            }
            format!("use `{by}`")
        });
        (initial, constant, deprecated)
    }

    /// What C holds a value in, when that is a number.
    fn c_type(&self, ty: &Ty) -> Option<CType> {
        match ty {
            Ty::Number(n) => Some(CType { bits: n.bits, signed: n.signed }),
            Ty::Bool => Some(CType { bits: 8, signed: false }),
            _ => self.enum_id(ty).map(|_| CType { bits: 32, signed: true }),
        }
    }

    fn field_type(&mut self, place: &Place<'a>, field: &str, expr: &'a Expr) -> Option<Type> {
        match &expr.kind {
            ExprKind::Call(call) => match call.func.name.as_str() {
                "KeyedUnion" => self.union(place, call),
                "Array" => self.array(call, Some(place)),
                "Struct" => self.anonymous(place, field, call, expr.span),
                "Enumeration" => {
                    self.diags
                        .add(Code::Argument, expr.span, "an `Enumeration` inside a field")
                        .help("declare it with a variable of its own, and use that here");
                    None
                }
                _ => self.constructor(place.file, None, call, expr.span),
            },
            _ => self.named(expr),
        }
    }

    /// A type by the name of its variable.
    pub(super) fn named(&mut self, expr: &'a Expr) -> Option<Type> {
        match &expr.kind {
            ExprKind::Error => None,
            ExprKind::Name(name) => match self.variable(name, expr.span)? {
                Val::Type(ty) => Some(ty),
                Val::Error => None,
                Val::Literal(_) => {
                    self.diags.add(Code::Argument, expr.span, format!("`{name}` is a value, not a type"));
                    None
                }
            },
            _ => {
                self.diags
                    .add(Code::Argument, expr.span, format!("a type is a name, not {}", expr.describe()))
                    .help("write the name of its variable, without quotes");
                None
            }
        }
    }

    /// `Struct(None, [..])` in a field or an arm. It is called after them.
    pub(super) fn anonymous(
        &mut self,
        place: &Place<'a>,
        part: &str,
        call: &'a Call,
        span: Span,
    ) -> Option<Type> {
        match call.args.first().map(|a| &a.kind) {
            Some(ExprKind::None) => {}
            other => {
                let at = call.args.first().map_or(call.func.span, |a| a.span);
                let d = self.diags.add(Code::Argument, at, "a struct inside a field has no name");
                match other {
                    Some(ExprKind::Str(_)) => d.help(
                        "write None, or declare it with a variable of its own: Xen's compiler makes no code for it here",
                    ),
                    _ => d.help("write `Struct(None, [ .. ])`"),
                };
                return None;
            }
        }
        let within = Place {
            file: place.file,
            name: format!("{}_{part}", place.name),
            namespace: place.namespace.clone(),
            outer: place.outer.clone(),
        };
        self.structure(place.file, call, None, call.func.span, span, Some(&within))
    }

    pub(super) fn array(&mut self, call: &'a Call, place: Option<&Place<'a>>) -> Option<Type> {
        let options = Options::from_kwargs(&call.kwargs, self.diags);
        let options = self.prefixed(options, "lenvar_", None);
        self.type_options(options, "an Array", &[], Some("lenvar_"));
        let [elem, len] = call.args.as_slice() else {
            self.diags
                .add(
                    Code::Argument,
                    call.func.span,
                    "`Array` takes the type of its elements and the name of its length",
                )
                .help("write `Array(type, \"num_things\")`");
            return None;
        };
        let len = self.field_name(len, "the name of a length")?.to_owned();
        let elem_span = elem.span;
        let elem = match (&elem.kind, place) {
            (ExprKind::Call(c), Some(place)) if c.func.name == "Struct" => {
                self.anonymous(place, &format!("{len}_element"), c, elem_span)?
            }
            (ExprKind::Call(c), Some(place))
                if matches!(c.func.name.as_str(), "UInt" | "Number" | "Builtin") =>
            {
                self.constructor(place.file, None, c, elem_span)?
            }
            (ExprKind::Call(c), _) => {
                self.diags
                    .add(Code::Argument, elem_span, format!("an array of `{}`", c.func.name))
                    .help("put the inner one into a struct of its own");
                return None;
            }
            _ => self.named(elem)?,
        };
        if matches!(elem.ty, Ty::Builtin(Builtin::Private(_))) {
            self.diags.add(
                Code::Argument,
                elem_span,
                "an array of a private type, which has no form in JSON",
            );
            return None;
        }
        Some(Type { ty: Ty::Array { elem: Box::new(elem.ty), len }, initial: None })
    }

    /// Takes `keyvar_init_val`, `lenvar_const` and their like. Returns the others.
    pub(super) fn prefixed(
        &mut self,
        mut options: Options<'a>,
        prefix: &str,
        mut init_val: Option<&mut Option<&'a Expr>>,
    ) -> Options<'a> {
        if let Some((value, _)) = options.take(&format!("{prefix}init_val")) {
            match &mut init_val {
                Some(slot) => **slot = Some(value),
                None => _ = self.init_val(value, CType { bits: 32, signed: true }),
            }
        }
        self.flag(&mut options, &format!("{prefix}const"));
        self.text(&mut options, &format!("{prefix}enumname"));
        self.text(&mut options, &format!("{prefix}deprecated_by"));
        options
    }

    /// The members of a struct in C: fields, lengths of arrays and keys of unions have names of their own.
    pub(super) fn check_fields(&mut self, whole: &str, fields: &[Field]) {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut taken: Vec<(Code, Span, String)> = Vec::new();
        for field in fields {
            if !seen.insert(&field.name) {
                taken.push((
                    Code::DuplicateField,
                    field.span,
                    format!("`{whole}` has a field `{}` already", field.name),
                ));
            }
        }
        for field in fields {
            let (code, name, what) = match &field.ty {
                Ty::Array { len, .. } => (Code::DuplicateField, len, "array's length"),
                Ty::Union(u) => (Code::KeyTaken, &u.keyvar, "union's key"),
                _ => continue,
            };
            if !seen.insert(name) {
                taken.push((
                    code,
                    field.span,
                    format!("the {what} `{name}` collides with another member of `{whole}`"),
                ));
            }
        }
        for (code, span, message) in taken {
            self.diags
                .add(code, span, message)
                .help("Xen's own compiler lets this pass; give one of them another name");
        }
    }
}
