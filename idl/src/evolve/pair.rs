//! Which type of now is which of before: by name; else, when both names are gone and new, by use in one field, or because
//! they say the same.

use crate::dump;
use crate::model::{Decl, DeclKind, Id, Model, Ty};
use std::collections::BTreeMap;

/// The pairs.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    now_of: BTreeMap<Id, Id>,
    before_of: BTreeMap<Id, Id>,
}

impl Pairs {
    pub(super) fn new(before: &Model, now: &Model) -> Self {
        let mut pairs = Self::default();
        for (i, decl) in now.decls.iter().enumerate() {
            if let Some(old) = before.decls.iter().position(|d| d.name == decl.name) {
                pairs.join(Id(old), Id(i));
            }
        }
        pairs.by_use(before, now);
        pairs.by_content(before, now);
        pairs
    }

    /// The type of now for one of before.
    pub(super) fn now(&self, before: Id) -> Option<Id> {
        self.now_of.get(&before).copied()
    }

    /// The type of before for one of now.
    pub(super) fn before(&self, now: Id) -> Option<Id> {
        self.before_of.get(&now).copied()
    }

    fn join(&mut self, before: Id, now: Id) {
        if !self.now_of.contains_key(&before) && !self.before_of.contains_key(&now) {
            self.now_of.insert(before, now);
            self.before_of.insert(now, before);
        }
    }

    /// A field that is still there and is of another type name, both of one kind: one type, renamed. What a pair's
    /// fields say can make new pairs.
    fn by_use(&mut self, before: &Model, now: &Model) {
        let mut todo: Vec<(Id, Id)> = self.now_of.iter().map(|(a, b)| (*a, *b)).collect();
        while let Some((old, new)) = todo.pop() {
            let (DeclKind::Struct(o), DeclKind::Struct(n)) = (&before.get(old).kind, &now.get(new).kind)
            else {
                continue;
            };
            let mut uses = Vec::new();
            for field in &n.fields {
                if let Some(was) = o.fields.iter().find(|f| f.name == field.name) {
                    used(&was.ty, &field.ty, &mut uses);
                }
            }
            for (a, b) in uses {
                let free = !self.now_of.contains_key(&a) && !self.before_of.contains_key(&b);
                if free && same_kind(before.get(a), now.get(b)) {
                    self.join(a, b);
                    todo.push((a, b));
                }
            }
        }
    }

    fn by_content(&mut self, before: &Model, now: &Model) {
        let gone: Vec<Id> =
            (0..before.decls.len()).map(Id).filter(|id| !self.now_of.contains_key(id)).collect();
        for old in gone {
            let content = content(before, old);
            let new = (0..now.decls.len()).map(Id).find(|id| {
                !self.before_of.contains_key(id)
                    && same_kind(before.get(old), now.get(*id))
                    && self::content(now, *id) == content
            });
            if let Some(new) = new {
                self.join(old, new);
            }
        }
    }
}

fn same_kind(a: &Decl, b: &Decl) -> bool {
    std::mem::discriminant(&a.kind) == std::mem::discriminant(&b.kind)
}

/// The named types that stand in one place of a field.
fn used(before: &Ty, now: &Ty, uses: &mut Vec<(Id, Id)>) {
    match (before, now) {
        (Ty::Named(a), Ty::Named(b)) => uses.push((*a, *b)),
        (Ty::Array { elem: a, .. }, Ty::Array { elem: b, .. }) => used(a, b, uses),
        (Ty::Union(a), Ty::Union(b)) => {
            uses.push((a.key_enum, b.key_enum));
            for arm in &b.arms {
                let was = a.arms.iter().find(|w| w.name.eq_ignore_ascii_case(&arm.name));
                if let (Some(Some(x)), Some(y)) = (was.map(|w| w.ty), arm.ty) {
                    uses.push((x, y));
                }
            }
        }
        _ => {}
    }
}

/// What a type says, but for its name and documentation.
fn content(model: &Model, id: Id) -> String {
    let mut decl = model.get(id).clone();
    decl.name.clear();
    decl.doc.clear();
    match &mut decl.kind {
        DeclKind::Struct(s) => s.fields.iter_mut().for_each(|f| f.doc.clear()),
        DeclKind::Enum(e) => {
            e.c_prefix.clear();
            e.values.iter_mut().for_each(|v| v.doc.clear());
        }
        DeclKind::Text(_) => {}
    }
    dump::decl(model, &decl)
}
