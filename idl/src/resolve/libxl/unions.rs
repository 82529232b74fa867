//! Keyed unions: arms that are values of an enumeration, but for the case of their letters.

use super::cexpr::CType;
use super::types::Place;
use super::{Resolver, Type};
use crate::ast::{Call, Expr, ExprKind};
use crate::diag::{Code, Span};
use crate::model::{Arm, DeclKind, EnumValue, Id, Ty, Union};
use crate::options::Options;
use crate::resolve::bad_tuple;

impl<'a> Resolver<'a, '_> {
    pub(super) fn union(&mut self, place: &Place<'a>, call: &'a Call) -> Option<Type> {
        let form = "KeyedUnion(None, enum, \"key\", [(\"arm\", type)])";
        let mut init_val = None;
        let options = Options::from_kwargs(&call.kwargs, self.diags);
        let options = self.prefixed(options, "keyvar_", Some(&mut init_val));
        self.type_options(options, "a KeyedUnion", &[], Some("keyvar_"));
        let [name, key_enum, keyvar, _] = call.args.as_slice() else {
            self.diags
                .add(
                    Code::Argument,
                    call.func.span,
                    "`KeyedUnion` takes a name or None, an enumeration, a key and arms",
                )
                .help(format!("write `{form}`"));
            return None;
        };
        let name = match &self.literal(name)?.kind {
            ExprKind::None => None,
            ExprKind::Str(s) => Some(s.clone()),
            _ => {
                bad_tuple(self.diags, name, "a union's name", form);
                None
            }
        };
        let ExprKind::Str(keyvar) = &self.literal(keyvar)?.kind else {
            bad_tuple(self.diags, keyvar, "a key's name", form);
            return None;
        };
        let enum_span = key_enum.span;
        let key = self.named(key_enum)?;
        let Some(key_id) = self.enum_id(&key.ty) else {
            let what = key.ty.describe(self.model);
            self.diags
                .add(Code::Argument, enum_span, format!("`{what}` is not an enumeration"))
                .help("the second argument of `KeyedUnion` names the enumeration of its arms");
            return None;
        };
        let int = CType { bits: 32, signed: true };
        let initial = init_val.and_then(|e| self.init_val(e, int)).or(key.initial).unwrap_or(0);
        let items = self.list(call, 3, "arms");
        let arms = self.arms(place, key_id, items, call.func.span);
        let initial = i64::try_from(initial).unwrap_or(0);
        let ty = Ty::Union(Union { name, key_enum: key_id, keyvar: keyvar.clone(), initial, arms });
        Some(Type { ty, initial: None })
    }

    fn arms(&mut self, place: &Place<'a>, key_enum: Id, items: &'a [Expr], span: Span) -> Vec<Arm> {
        let values: Vec<EnumValue> =
            self.model.as_enum(key_enum).map(|e| e.values.clone()).unwrap_or_default();
        let mut arms: Vec<Arm> = Vec::new();
        for item in items {
            let parts = match &item.kind {
                ExprKind::Tuple(parts) | ExprKind::List(parts) => parts.as_slice(),
                _ => &[],
            };
            let [name, ty] = parts else {
                bad_tuple(
                    self.diags,
                    item,
                    "an arm",
                    "(\"name\", Struct(None, [ .. ]))` or `(\"name\", None)",
                );
                continue;
            };
            let name_span = name.span;
            let Some(literal) = self.literal(name) else { continue };
            let ExprKind::Str(name) = &literal.kind else {
                bad_tuple(self.diags, name, "an arm's name", "(\"name\", None)");
                continue;
            };
            let Some(value) = values.iter().find(|v| v.name.eq_ignore_ascii_case(name)) else {
                let what = self.model.get(key_enum).name.clone();
                self.diags
                    .add(Code::UnknownArm, name_span, format!("`{name}` is not a value of `{what}`"))
                    .suggest(name, values.iter().map(|v| v.name.as_str()));
                continue;
            };
            if arms.iter().any(|a| a.number == value.number) {
                self.diags.add(Code::DuplicateArm, name_span, format!("arm `{name}` is there already"));
                continue;
            }
            let ty = self.arm_type(place, name, ty);
            arms.push(Arm { name: name.clone(), number: value.number, ty });
        }
        if items.is_empty() {
            self.diags.add(Code::Empty, span, "a union without arms");
        }
        arms
    }

    fn arm_type(&mut self, place: &Place<'a>, arm: &str, expr: &'a Expr) -> Option<Id> {
        let span = expr.span;
        let ty = match &expr.kind {
            ExprKind::None => return None,
            ExprKind::Name(n) if n == "void" => return None,
            ExprKind::Call(call) if call.func.name == "Struct" => self.anonymous(place, arm, call, span)?,
            _ => self.named(expr)?,
        };
        match ty.ty {
            Ty::Named(id) if matches!(self.model.get(id).kind, DeclKind::Struct(_)) => Some(id),
            _ => {
                self.diags
                    .add(Code::Argument, span, "an arm holds a struct or nothing")
                    .help("write `Struct(None, [ .. ])` with this as a field, or None");
                None
            }
        }
    }
}
