//! Tokens to a syntax tree. After an error it goes on with the next element of the list, or the next statement
//! (which begins at the margin), so that one run tells of many errors.

use crate::ast::{Call, Expr, ExprKind, File, Ident, Stmt};
use crate::diag::{Code, Diagnostics, Source, Span};
use crate::lex::{Tok, Token, lex};

/// Parses a source.
#[must_use]
pub fn parse(file: usize, source: &Source, diags: &mut Diagnostics) -> File {
    let (tokens, comments) = lex(file, source, diags);
    let mut parser = Parser { tokens, at: 0, diags, depth: 0, unclosed_at: None };
    let mut stmts = Vec::new();
    while parser.peek() != &Tok::End {
        match parser.statement() {
            Ok(stmt) => stmts.push(stmt),
            Err(Stop) => parser.skip_to_statement(),
        }
    }
    File { file, stmts, comments }
}

/// An error that was reported: go on at the next place where that makes sense.
struct Stop;
type Res<T> = Result<T, Stop>;

/// Nesting beyond which an expression is refused: ours needs 8.
const DEPTH_MAX: usize = 64;
const NOT_OURS: &[&str] = &[
    "def", "class", "import", "from", "for", "while", "if", "else", "elif", "lambda", "return", "with",
    "try", "and", "or", "not", "in", "is", "del", "global", "assert", "raise", "pass", "yield", "async",
    "await",
];

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    diags: &'a mut Diagnostics,
    depth: usize,
    /// The token before which brackets were found open: those around them are not told of again.
    unclosed_at: Option<usize>,
}

impl Parser<'_> {
    fn token(&self) -> &Token {
        // `End` is the last token and `bump` never goes past it.
        #[expect(clippy::indexing_slicing, reason = "bump stops at the last token")]
        &self.tokens[self.at]
    }

    fn peek(&self) -> &Tok {
        &self.token().tok
    }

    fn peek2(&self) -> &Tok {
        self.tokens.get(self.at + 1).map_or(&Tok::End, |t| &t.tok)
    }

    fn span(&self) -> Span {
        self.token().span
    }

    fn bump(&mut self) -> Token {
        let token = self.token().clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn eat(&mut self, sym: char) -> bool {
        let hit = self.peek() == &Tok::Sym(sym);
        if hit {
            self.bump();
        }
        hit
    }

    /// Whether a new statement begins here, brackets open or not.
    fn at_statement(&self) -> bool {
        let token = self.token();
        match &token.tok {
            Tok::End => true,
            Tok::Name(_) => token.margin && matches!(self.peek2(), Tok::Sym('=' | '(')),
            _ => false,
        }
    }

    fn skip_to_statement(&mut self) {
        loop {
            if self.at_statement() {
                return;
            }
            self.bump();
        }
    }

    fn expected<T>(&mut self, what: &str) -> Res<T> {
        let (span, found) = (self.span(), self.peek().describe());
        self.diags.add(Code::Expected, span, format!("expected {what}, found {found}"));
        Err(Stop)
    }

    fn not_ours(&mut self) -> Res<()> {
        if let Tok::Name(n) = self.peek()
            && NOT_OURS.contains(&n.as_str())
        {
            let (span, message) = (self.span(), format!("`{n}` is Python that the language does not have"));
            self.diags
                .add(Code::NotLiteral, span, message)
                .help("a file holds assignments and calls of literals only; it is never executed");
            self.bump();
            return Err(Stop);
        }
        Ok(())
    }

    fn statement(&mut self) -> Res<Stmt> {
        self.not_ours()?;
        let Tok::Name(name) = self.peek().clone() else {
            let stop = self.expected("a statement (`name = ...`, or a call)");
            self.bump();
            return stop;
        };
        let ident = Ident { name, span: self.bump().span };
        let stmt = if self.eat('=') {
            Stmt { target: Some(ident), value: self.expr()? }
        } else if self.peek() == &Tok::Sym('(') {
            Stmt { target: None, value: self.call(ident)? }
        } else {
            return self.expected("`=` or `(` after a name");
        };
        if !self.token().first {
            self.not_ours()?;
            return self.expected("the end of the statement");
        }
        Ok(stmt)
    }

    fn expr(&mut self) -> Res<Expr> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let span = self.span();
            self.diags.add(Code::Expected, span, "brackets nest too deep");
            return Err(Stop);
        }
        let result = self.expr_inner();
        self.depth -= 1;
        result
    }

    fn expr_inner(&mut self) -> Res<Expr> {
        self.not_ours()?;
        let start = self.span();
        let kind = match self.peek().clone() {
            Tok::Str(s) => {
                self.bump();
                ExprKind::Str(s)
            }
            Tok::Int(i) => {
                self.bump();
                ExprKind::Int(i)
            }
            Tok::Name(name) => {
                let ident = Ident { name, span: self.bump().span };
                if self.peek() == &Tok::Sym('(') && !self.token().first {
                    return self.call(ident);
                }
                match ident.name.as_str() {
                    "None" => ExprKind::None,
                    "True" => ExprKind::Bool(true),
                    "False" => ExprKind::Bool(false),
                    _ => ExprKind::Name(ident.name),
                }
            }
            Tok::Sym('[') => {
                let (items, end, _) = self.items('[', ']', Self::expr)?;
                return Ok(Expr { kind: ExprKind::List(items), span: start.to(end) });
            }
            Tok::Sym('(') => {
                let (mut items, end, comma) = self.items('(', ')', Self::expr)?;
                let span = start.to(end);
                // `(x)` is x in Python; only `(x,)` is a tuple of one.
                if items.len() == 1
                    && !comma
                    && let Some(only) = items.pop()
                {
                    return Ok(Expr { span, ..only });
                }
                return Ok(Expr { kind: ExprKind::Tuple(items), span });
            }
            Tok::Sym('{') => {
                let (items, end, _) = self.items('{', '}', |p| {
                    let key = p.expr()?;
                    if !p.eat(':') {
                        return p.expected("`:` after a key");
                    }
                    Ok((key, p.expr()?))
                })?;
                return Ok(Expr { kind: ExprKind::Dict(items), span: start.to(end) });
            }
            _ => return self.expected("a value"),
        };
        Ok(Expr { kind, span: start })
    }

    fn call(&mut self, func: Ident) -> Res<Expr> {
        let start = func.span;
        let (mut args, mut kwargs) = (Vec::new(), Vec::new());
        let (items, end, _) = self.items('(', ')', |p| {
            if let (Tok::Name(name), Tok::Sym('=')) = (p.peek().clone(), p.peek2()) {
                let ident = Ident { name, span: p.bump().span };
                p.bump();
                return Ok((Some(ident), p.expr()?));
            }
            Ok((None, p.expr()?))
        })?;
        for (name, value) in items {
            match name {
                Some(name) => kwargs.push((name, value)),
                None if kwargs.is_empty() => args.push(value),
                None => {
                    self.diags
                        .add(
                            Code::PositionalAfterKeyword,
                            value.span,
                            "positional argument after a keyword argument",
                        )
                        .help("positional arguments come first");
                }
            }
        }
        Ok(Expr { kind: ExprKind::Call(Call { func, args, kwargs }), span: start.to(end) })
    }

    /// `open item, item, close`: the items, the place of the close, and whether a comma ended the last item.
    fn items<T>(
        &mut self,
        open: char,
        close: char,
        item: impl Fn(&mut Self) -> Res<T>,
    ) -> Res<(Vec<T>, Span, bool)> {
        let opened = self.bump();
        debug_assert_eq!(opened.tok, Tok::Sym(open));
        let mut items = Vec::new();
        let mut comma = false;
        loop {
            if self.peek() == &Tok::Sym(close) {
                return Ok((items, self.bump().span, comma));
            }
            if self.at_statement() {
                return Ok(self.unclosed(&opened, open, close, items));
            }
            let depth = self.depth;
            match item(self) {
                Ok(value) => items.push(value),
                Err(Stop) => {
                    self.depth = depth;
                    self.skip_to_item(close)?;
                }
            }
            comma = self.eat(',');
            if !comma && self.peek() != &Tok::Sym(close) {
                if self.at_statement() {
                    return Ok(self.unclosed(&opened, open, close, items));
                }
                if let Tok::Sym(wrong @ (')' | ']' | '}')) = *self.peek() {
                    let span = self.span();
                    self.diags
                        .add(Code::Unclosed, span, format!("`{wrong}` closes a bracket opened with `{open}`"))
                        .help(format!("write `{close}`"));
                    return Err(Stop);
                }
                let (span, found) = (self.span(), self.peek().describe());
                self.diags
                    .add(Code::Expected, span, format!("expected `,` or `{close}`, found {found}"))
                    .help("is a comma missing before it?");
                // Take it as if the comma were there, unless that makes no headway.
                if matches!(self.peek(), Tok::Sym('=' | ':')) {
                    self.skip_to_item(close)?;
                    self.eat(',');
                }
            }
        }
    }

    /// Takes the bracket as closed before the statement that begins here.
    fn unclosed<T>(
        &mut self,
        opened: &Token,
        open: char,
        close: char,
        items: Vec<T>,
    ) -> (Vec<T>, Span, bool) {
        if self.unclosed_at != Some(self.at) {
            self.unclosed_at = Some(self.at);
            self.diags
                .add(Code::Unclosed, opened.span, format!("`{open}` is not closed"))
                .help(format!("a `{close}` is missing before the next statement"));
        }
        (items, opened.span, true)
    }

    /// Skips to the comma or bracket that ends this item.
    fn skip_to_item(&mut self, close: char) -> Res<()> {
        let mut depth = 0usize;
        loop {
            if self.at_statement() {
                return Ok(());
            }
            match self.peek() {
                Tok::Sym(',') if depth == 0 => return Ok(()),
                Tok::Sym(c) if depth == 0 && *c == close => return Ok(()),
                Tok::Sym('(' | '[' | '{') => depth += 1,
                Tok::Sym(')' | ']' | '}') => match depth.checked_sub(1) {
                    Some(d) => depth = d,
                    None => return Err(Stop),
                },
                _ => {}
            }
            self.bump();
        }
    }
}
