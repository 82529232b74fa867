//! First pass: which names there are, and what file state (`namespace`, `profile`) each was declared under.

use super::{Entry, Raw, Resolver};
use crate::ast::{Call, Expr, ExprKind, File, Ident, Stmt};
use crate::diag::{Code, Span};
use crate::model::{Decl, DeclKind, Enum, Id, Struct, Text, Ty};
use crate::options::Options;
use crate::pattern::Pattern;

/// What can stand at the top of a file.
const CONSTRUCTORS: &[&str] = &["Struct", "Enumeration", "String", "UInt"];
/// What can stand in a field only.
const IN_FIELDS: &[&str] = &["Array", "KeyedUnion"];
const SETTINGS: &[&str] = &["namespace", "profile"];
/// Types that need no declaration.
pub(super) const BUILTINS: &[(&str, Ty)] = &[
    ("bool", Ty::Bool),
    ("uint8", Ty::Int { bits: 8, signed: false }),
    ("uint16", Ty::Int { bits: 16, signed: false }),
    ("uint32", Ty::Int { bits: 32, signed: false }),
    ("uint64", Ty::Int { bits: 64, signed: false }),
    ("integer", Ty::Int { bits: 64, signed: true }),
    ("string", Ty::Str),
    ("timestamp", Ty::Timestamp),
    ("duration", Ty::Duration),
    ("uuid", Ty::Uuid),
    ("path", Ty::Path),
    ("bytes", Ty::Bytes),
    ("json", Ty::Json),
    ("domid", Ty::Domid),
];

#[derive(Default)]
struct State {
    namespace: String,
}

/// What stands there until the next pass.
fn placeholder(constructor: &str) -> DeclKind {
    match constructor {
        "Enumeration" => DeclKind::Enum(Enum::default()),
        "String" => {
            let pattern = Pattern { text: String::new(), parts: Vec::new() };
            DeclKind::Text(Text { pattern, min: None, max: None })
        }
        _ => DeclKind::Struct(Struct::default()),
    }
}

impl<'a> Resolver<'a> {
    /// The declarations in order; `Model::decls` gets an empty one for each, under the same index.
    pub(super) fn collect(&mut self, files: &[&'a File]) -> Vec<Raw<'a>> {
        let mut raws = Vec::new();
        for file in files {
            let mut state = State::default();
            for stmt in &file.stmts {
                self.statement(file, stmt, &mut state, &mut raws);
            }
        }
        raws
    }

    fn statement(&mut self, file: &'a File, stmt: &'a Stmt, state: &mut State, raws: &mut Vec<Raw<'a>>) {
        let ExprKind::Call(call) = &stmt.value.kind else {
            if !matches!(stmt.value.kind, ExprKind::Error) {
                self.diags
                    .add(
                        Code::Argument,
                        stmt.value.span,
                        format!("a declaration is a call, not {}", stmt.value.describe()),
                    )
                    .help("write `name = Struct(\"name\", [ .. ])`");
            }
            return;
        };
        let func = call.func.name.as_str();
        match &stmt.target {
            // Read before anything else.
            None if func == "profile" => {}
            None if SETTINGS.contains(&func) => self.setting(call, state),
            None if CONSTRUCTORS.contains(&func) => {
                self.diags
                    .add(Code::Argument, call.func.span, "a type without a name")
                    .help(format!("write `name = {func}( .. )`"));
            }
            Some(target) if CONSTRUCTORS.contains(&func) => {
                self.declaration(file, target, call, stmt.value.span, state, raws);
            }
            Some(_) if IN_FIELDS.contains(&func) => {
                self.diags
                    .add(Code::Argument, call.func.span, format!("`{func}` is the type of a field"))
                    .help("write it into the field that has it");
            }
            target => {
                let known: Vec<&str> = if target.is_some() { CONSTRUCTORS } else { SETTINGS }.to_vec();
                let what = if target.is_some() { "constructor" } else { "setting" };
                self.diags
                    .add(Code::UnknownConstructor, call.func.span, format!("no {what} is called `{func}`"))
                    .suggest(func, known);
            }
        }
    }

    fn setting(&mut self, call: &Call, state: &mut State) {
        let text = match call.args.as_slice() {
            [Expr { kind: ExprKind::Str(s), span }] if call.kwargs.is_empty() => Some(s.as_str()),
            _ => None,
        };
        let Some(text) = text else {
            self.diags
                .add(Code::Argument, call.func.span, format!("`{}` takes one string", call.func.name))
                .help(format!("write `{}(\"..\")`", call.func.name));
            return;
        };
        text.clone_into(&mut state.namespace);
        if self.model.namespace.is_empty() && call.func.name == "namespace" {
            text.clone_into(&mut self.model.namespace);
        }
    }

    fn declaration(
        &mut self,
        file: &'a File,
        target: &Ident,
        call: &'a Call,
        span: Span,
        state: &State,
        raws: &mut Vec<Raw<'a>>,
    ) {
        let raw = Raw { name: target.name.clone(), call, span: target.span.to(span), file };
        if let Some((_, old)) = self.names.get(&target.name) {
            let place = super::super::other_place(self.sources, *old);
            let d = self.diags.add(
                Code::DefinedTwice,
                target.span,
                format!("`{}` is defined twice", target.name),
            );
            if let Some(place) = place {
                d.help(place);
            }
            return;
        }
        if BUILTINS.iter().any(|(n, _)| *n == target.name) {
            self.diags
                .add(Code::DefinedTwice, target.span, format!("`{}` is a builtin type", target.name))
                .help("choose another name");
            return;
        }
        self.check_name(&target.name, target.span);
        let doc = self.doc(&raw, target.span, &format!("`{}`", target.name));
        if call.func.name == "UInt" {
            let alias = self.uint(call);
            self.names.insert(target.name.clone(), (Entry::Alias(alias), target.span));
            return;
        }
        self.type_name(target, call, state);
        let id = Id(raws.len());
        self.names.insert(target.name.clone(), (Entry::Decl(id), target.span));
        self.model.decls.push(Decl {
            doc,
            kind: placeholder(&call.func.name),
            ..Decl::new(&target.name, target.span)
        });
        raws.push(raw);
    }

    /// The type's name in the call must be the variable's, with or without the namespace.
    fn type_name(&mut self, target: &Ident, call: &Call, state: &State) {
        match call.args.first() {
            Some(Expr { kind: ExprKind::Str(name), span }) => {
                if *name != target.name && format!("{}{name}", state.namespace) != target.name {
                    self.diags
                        .add(Code::NameMismatch, *span, format!("`{}` is called `{name}` here", target.name))
                        .help(format!("write \"{}\"", target.name));
                }
            }
            other => {
                let span = other.map_or(call.func.span, |e| e.span);
                self.diags
                    .add(
                        Code::Argument,
                        span,
                        format!("the first argument of `{}` is its name", call.func.name),
                    )
                    .help(format!("write `{}(\"{}\", ..)`", call.func.name, target.name));
            }
        }
    }

    fn uint(&mut self, call: &Call) -> Ty {
        Options::from_kwargs(&call.kwargs, self.diags).finish("a UInt", &[], self.diags);
        match call.args.as_slice() {
            [Expr { kind: ExprKind::Int(bits @ (8 | 16 | 32 | 64)), .. }] => {
                Ty::Int { bits: u8::try_from(*bits).unwrap_or(64), signed: false }
            }
            args => {
                let span = args.first().map_or(call.func.span, |e| e.span);
                self.diags
                    .add(Code::Argument, span, "`UInt` takes its width in bits")
                    .help("write `UInt(8)`, 16, 32 or 64");
                Ty::Int { bits: 64, signed: false }
            }
        }
    }
}
