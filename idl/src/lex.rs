//! Text to tokens. Goes on after an error, so that one run tells of many.

use crate::diag::{Code, Diagnostics, Source, Span};
use std::collections::BTreeMap;

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tok {
    /// A name or keyword.
    Name(String),
    /// A string, escapes resolved.
    Str(String),
    /// An integer.
    Int(i64),
    /// One of `( ) [ ] { } , = :`.
    Sym(char),
    /// The end of the file.
    End,
}

impl Tok {
    /// What it is, for messages.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Tok::Name(n) => format!("`{n}`"),
            Tok::Str(_) => "a string".into(),
            Tok::Int(i) => format!("the integer {i}"),
            Tok::Sym(c) => format!("`{c}`"),
            Tok::End => "the end of the file".into(),
        }
    }
}

/// A token with its place.
#[derive(Clone, Debug)]
pub struct Token {
    /// What it is.
    pub tok: Tok,
    /// Where it stands.
    pub span: Span,
    /// Its line, from 1.
    pub line: usize,
    /// Whether it is the first of its line.
    pub first: bool,
    /// Whether it stands at the very start of its line: there a statement begins.
    pub margin: bool,
}

/// The tokens (the last is [`Tok::End`]) and the lines that hold a comment only.
#[must_use]
pub fn lex(file: usize, source: &Source, diags: &mut Diagnostics) -> (Vec<Token>, BTreeMap<usize, String>) {
    let mut lexer = Lexer { file, text: &source.text, at: 0, diags };
    let mut tokens = Vec::new();
    let mut comments = BTreeMap::new();
    let (mut line, mut first, mut line_start) = (1, true, 0);
    while let Some(c) = lexer.peek() {
        let start = lexer.at;
        match c {
            '\n' => {
                lexer.bump();
                line += 1;
                first = true;
                line_start = lexer.at;
            }
            ' ' | '\t' | '\r' => lexer.bump(),
            '#' => {
                let text = lexer.take_while(|c| c != '\n');
                if first {
                    let text = text.trim_start_matches('#').trim_end();
                    comments.insert(line, text.strip_prefix(' ').unwrap_or(text).to_owned());
                }
            }
            _ => {
                if let Some(tok) = lexer.token(c) {
                    let span = lexer.span(start);
                    tokens.push(Token { tok, span, line, first, margin: start == line_start });
                }
                first = false;
            }
        }
    }
    let end = lexer.at;
    tokens.push(Token {
        tok: Tok::End,
        span: Span { file, start: end, end },
        line,
        first: true,
        margin: true,
    });
    (tokens, comments)
}

struct Lexer<'a> {
    file: usize,
    text: &'a str,
    at: usize,
    diags: &'a mut Diagnostics,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn span(&self, start: usize) -> Span {
        Span { file: self.file, start, end: self.at }
    }

    fn take_while(&mut self, ok: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let len = rest.find(|c| !ok(c)).unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or("")
    }

    fn token(&mut self, c: char) -> Option<Tok> {
        let start = self.at;
        match c {
            '(' | ')' | '[' | ']' | '{' | '}' | ',' | '=' | ':' => {
                self.bump();
                Some(Tok::Sym(c))
            }
            '"' | '\'' => self.string(c),
            '0'..='9' => self.integer(),
            '-' if self.rest().chars().nth(1).is_some_and(|c| c.is_ascii_digit()) => self.integer(),
            c if c.is_alphabetic() || c == '_' => {
                let name = self.take_while(|c| c.is_alphanumeric() || c == '_');
                Some(Tok::Name(name.to_owned()))
            }
            _ => {
                self.bump();
                let d = self.diags.add(
                    Code::Character,
                    self.span(start),
                    format!("unexpected character `{}`", c.escape_debug()),
                );
                if c == '\u{feff}' {
                    d.help("save the file without a byte order mark");
                }
                if "+-*/%<>!&|^~@.;".contains(c) {
                    d.help("the language has literals, names and calls only: write the value itself");
                }
                None
            }
        }
    }

    fn integer(&mut self) -> Option<Tok> {
        let start = self.at;
        if self.peek() == Some('-') {
            self.bump();
        }
        let text = self.take_while(|c| c.is_alphanumeric() || c == '_' || c == '.');
        let span = self.span(start);
        let negative = self.text.get(start..).is_some_and(|t| t.starts_with('-'));
        let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) => (hex, 16),
            None => (text, 10),
        };
        let octal = radix == 10 && digits.len() > 1 && digits.starts_with('0');
        let value = if digits.starts_with(['+', '-']) || octal {
            None
        } else {
            i128::from_str_radix(digits, radix).ok()
        };
        match value.map(|v| if negative { -v } else { v }).map(i64::try_from) {
            Some(Ok(v)) => Some(Tok::Int(v)),
            Some(Err(_)) => {
                self.diags.add(Code::Integer, span, "integer too large").help("integers are within 64 bits");
                Some(Tok::Int(0))
            }
            None => {
                self.diags
                    .add(Code::Integer, span, format!("`{text}` is not an integer"))
                    .help("decimal (`12`, `-3`) or hexadecimal (`0x1f`)");
                Some(Tok::Int(0))
            }
        }
    }

    fn string(&mut self, quote: char) -> Option<Tok> {
        let start = self.at;
        self.bump();
        let mut out = String::new();
        loop {
            match self.peek() {
                None | Some('\n') => {
                    self.diags
                        .add(Code::UnterminatedString, self.span(start), "string without an end")
                        .help(format!("close it with `{quote}` on the same line"));
                    return Some(Tok::Str(out));
                }
                Some('\\') => self.escape(&mut out),
                Some(c) => {
                    self.bump();
                    if c == quote {
                        return Some(Tok::Str(out));
                    }
                    out.push(c);
                }
            }
        }
    }

    fn escape(&mut self, out: &mut String) {
        let start = self.at;
        self.bump();
        let Some(c) = self.peek() else { return };
        if c == '\n' {
            return; // the string's own error follows
        }
        self.bump();
        let simple = match c {
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            '\\' | '\'' | '"' => Some(c),
            'x' => self.hex(2),
            'u' => self.hex(4),
            _ => None,
        };
        match simple {
            Some(c) => out.push(c),
            None => {
                self.diags
                    .add(Code::Escape, self.span(start), format!("`\\{}` is not an escape", c.escape_debug()))
                    .help("escapes are \\n \\r \\t \\\\ \\' \\\" \\xHH \\uHHHH; for a backslash itself write \\\\");
            }
        }
    }

    fn hex(&mut self, digits: usize) -> Option<char> {
        let text = self.rest().get(..digits)?;
        if !text.chars().all(|c| c.is_ascii_hexdigit()) {
            return None;
        }
        self.at += digits;
        u32::from_str_radix(text, 16).ok().and_then(char::from_u32)
    }
}
