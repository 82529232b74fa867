//! Constant expressions of C, as `init_val` holds them: `~0ULL`, `~(uint32_t)0`, `-1`, `(2048 * 1024)`, names.
//!
//! The arithmetic is C's on a 64-bit Linux: types, integer promotion, wrapping of unsigned values.

use std::cell::Cell;

/// Brackets and names within names, beyond which an expression is refused.
const DEPTH_MAX: u32 = 32;
/// Operands, those behind names included: names that double at each step would never end.
const STEPS_MAX: u32 = 10_000;

/// An integer type of C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CType {
    pub(super) bits: u8,
    pub(super) signed: bool,
}

const INT: CType = CType { bits: 32, signed: true };
const TYPES: &[(&str, CType)] = &[
    ("uint8_t", CType { bits: 8, signed: false }),
    ("uint16_t", CType { bits: 16, signed: false }),
    ("uint32_t", CType { bits: 32, signed: false }),
    ("uint64_t", CType { bits: 64, signed: false }),
    ("int8_t", CType { bits: 8, signed: true }),
    ("int16_t", CType { bits: 16, signed: true }),
    ("int32_t", INT),
    ("int64_t", CType { bits: 64, signed: true }),
    ("int", INT),
    ("unsigned", CType { bits: 32, signed: false }),
    ("long", CType { bits: 64, signed: true }),
    ("size_t", CType { bits: 64, signed: false }),
];
const LIMITS: &[(&str, Value)] = &[
    ("INT_MAX", Value { value: i32::MAX as i128, ty: INT }),
    ("INT_MIN", Value { value: i32::MIN as i128, ty: INT }),
    ("UINT_MAX", Value { value: u32::MAX as i128, ty: CType { bits: 32, signed: false } }),
    ("UINT8_MAX", Value { value: 0xff, ty: INT }),
    ("UINT16_MAX", Value { value: 0xffff, ty: INT }),
    ("UINT32_MAX", Value { value: u32::MAX as i128, ty: CType { bits: 32, signed: false } }),
    ("UINT64_MAX", Value { value: u64::MAX as i128, ty: CType { bits: 64, signed: false } }),
    ("ULLONG_MAX", Value { value: u64::MAX as i128, ty: CType { bits: 64, signed: false } }),
    ("INT64_MAX", Value { value: i64::MAX as i128, ty: CType { bits: 64, signed: true } }),
    ("true", Value { value: 1, ty: INT }),
    ("false", Value { value: 0, ty: INT }),
];

/// A value with its type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub(super) value: i128,
    pub(super) ty: CType,
}

impl Value {
    pub(super) fn int(value: i64) -> Self {
        let ty = if i32::try_from(value).is_ok() { INT } else { CType { bits: 64, signed: true } };
        Self { value: i128::from(value), ty }
    }

    /// Converted to a type, as an assignment does.
    pub(super) fn to(self, ty: CType) -> Self {
        let modulus = 1i128 << ty.bits;
        let low = self.value.rem_euclid(modulus);
        let value = if ty.signed && low >= modulus / 2 { low - modulus } else { low };
        Self { value, ty }
    }

    fn promoted(self) -> Self {
        if self.ty.bits < 32 { self.to(INT) } else { self }
    }
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// A name that nobody defined.
    Name(String),
    /// Anything else, in words.
    Form(String),
}

/// What a name stands for: an integer, or a further expression.
pub(super) enum Named<'a> {
    Int(i64),
    Text(&'a str),
}

/// Works out an expression; `names` tells what stands behind a name.
pub(super) fn eval<'a>(text: &str, names: &dyn Fn(&str) -> Option<Named<'a>>) -> Result<Value, Failure> {
    whole(text, names, 0, &Cell::new(STEPS_MAX))
}

fn whole<'a>(
    text: &str,
    names: &dyn Fn(&str) -> Option<Named<'a>>,
    depth: u32,
    steps: &Cell<u32>,
) -> Result<Value, Failure> {
    let mut parser = Parser { rest: text, names, depth, steps };
    let value = parser.binary(0)?;
    match parser.peek() {
        None => Ok(value),
        Some(c) => Err(Failure::Form(format!("`{c}` is one too many"))),
    }
}

struct Parser<'t, 'n, 'a> {
    rest: &'t str,
    names: &'n dyn Fn(&str) -> Option<Named<'a>>,
    depth: u32,
    steps: &'n Cell<u32>,
}

/// Binary operators, loosest first.
const OPERATORS: &[&[&str]] = &[&["|"], &["^"], &["&"], &["<<", ">>"], &["+", "-"], &["*", "/", "%"]];

impl Parser<'_, '_, '_> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn eat(&mut self, token: &str) -> bool {
        self.peek();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> &str {
        self.peek();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        word
    }

    fn binary(&mut self, level: usize) -> Result<Value, Failure> {
        let Some(operators) = OPERATORS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        loop {
            let Some(op) = operators.iter().find(|op| self.eat(op)) else { return Ok(left) };
            let right = self.binary(level + 1)?;
            left = apply(op, left, right)?;
        }
    }

    fn unary(&mut self) -> Result<Value, Failure> {
        self.depth += 1;
        self.steps.set(self.steps.get().saturating_sub(1));
        if self.depth > DEPTH_MAX || self.steps.get() == 0 {
            return Err(Failure::Form("it nests too deep, or a name stands for itself".into()));
        }
        let value = self.unary_inner();
        self.depth -= 1;
        value
    }

    fn unary_inner(&mut self) -> Result<Value, Failure> {
        match self.peek() {
            Some('~') => {
                self.eat("~");
                let v = self.unary()?.promoted();
                Ok(Value { value: !v.value, ..v }.to(v.ty))
            }
            Some('-') => {
                self.eat("-");
                let v = self.unary()?.promoted();
                Ok(Value { value: -v.value, ..v }.to(v.ty))
            }
            Some('+') => {
                self.eat("+");
                Ok(self.unary()?.promoted())
            }
            Some('(') => {
                self.eat("(");
                if let Some(ty) = self.cast() {
                    return Ok(self.unary()?.to(ty));
                }
                let v = self.binary(0)?;
                if !self.eat(")") {
                    return Err(Failure::Form("`)` is missing".into()));
                }
                Ok(v)
            }
            Some('0'..='9') => literal(self.word()),
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                let name = self.word().to_owned();
                self.named(&name)
            }
            Some(c) => Err(Failure::Form(format!("`{c}` is not part of a constant"))),
            None => Err(Failure::Form("it ends too early".into())),
        }
    }

    /// `uint32_t)` after an opening bracket.
    fn cast(&mut self) -> Option<CType> {
        let before = self.rest;
        let word = self.word().to_owned();
        let mut ty = TYPES.iter().find(|(n, _)| *n == word).map(|(_, t)| *t);
        while ty.is_some() && !self.eat(")") {
            // `unsigned long long`, `unsigned int`
            let signed = word != "unsigned";
            ty = match self.word() {
                "long" => Some(CType { bits: 64, signed }),
                "int" => ty,
                _ => None,
            };
        }
        if ty.is_none() {
            self.rest = before;
        }
        ty
    }

    fn named(&self, name: &str) -> Result<Value, Failure> {
        match (self.names)(name) {
            Some(Named::Int(i)) => Ok(Value::int(i)),
            Some(Named::Text(text)) => whole(text, self.names, self.depth, self.steps),
            None => match LIMITS.iter().find(|(n, _)| *n == name) {
                Some((_, value)) => Ok(*value),
                None => Err(Failure::Name(name.to_owned())),
            },
        }
    }
}

fn apply(op: &str, left: Value, right: Value) -> Result<Value, Failure> {
    let (left, right) = (left.promoted(), right.promoted());
    let shift = op == "<<" || op == ">>";
    let ty = if shift { left.ty } else { common(left.ty, right.ty) };
    let (a, b) = (left.to(ty).value, if shift { right.value } else { right.to(ty).value });
    if shift && !(0..i128::from(ty.bits)).contains(&b) {
        return Err(Failure::Form(format!("a shift by {b}")));
    }
    let value = match op {
        "|" => a | b,
        "^" => a ^ b,
        "&" => a & b,
        "<<" => a << b,
        ">>" => a >> b,
        "+" => a + b,
        "-" => a - b,
        "*" => a.wrapping_mul(b),
        _ if b == 0 => return Err(Failure::Form("a division by 0".into())),
        "/" => a / b,
        _ => a % b,
    };
    Ok(Value { value, ty }.to(ty))
}

fn common(a: CType, b: CType) -> CType {
    match a.bits.cmp(&b.bits) {
        std::cmp::Ordering::Greater => a,
        std::cmp::Ordering::Less => b,
        std::cmp::Ordering::Equal => CType { bits: a.bits, signed: a.signed && b.signed },
    }
}

/// `0x1fULL`: the first type of C's list that holds it.
fn literal(word: &str) -> Result<Value, Failure> {
    let wrong = || Failure::Form(format!("`{word}` is not an integer of C"));
    let end = word.trim_end_matches(['u', 'U', 'l', 'L']);
    let suffix = word.strip_prefix(end).unwrap_or("").to_ascii_lowercase();
    let unsigned = suffix.contains('u');
    let long = suffix.contains('l');
    if suffix.matches('u').count() > 1 || suffix.matches('l').count() > 2 {
        return Err(wrong());
    }
    let (digits, radix) = match (end.strip_prefix("0x").or_else(|| end.strip_prefix("0X")), end) {
        (Some(hex), _) => (hex, 16),
        (None, "0") => ("0", 10),
        (None, octal) if octal.starts_with('0') => (octal, 8),
        (None, decimal) => (decimal, 10),
    };
    let value = u64::from_str_radix(digits, radix).map(i128::from).map_err(|_| wrong())?;
    let types = [
        (INT, !unsigned && !long),
        (CType { bits: 32, signed: false }, !long && (unsigned || radix != 10)),
        (CType { bits: 64, signed: true }, !unsigned),
        (CType { bits: 64, signed: false }, true),
    ];
    let fits = |ty: CType| value < 1i128 << (ty.bits - u8::from(ty.signed));
    let ty = types.iter().find(|(ty, allowed)| *allowed && fits(*ty)).map(|(ty, _)| *ty).ok_or_else(wrong)?;
    Ok(Value { value, ty })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<Value, Failure> {
        eval(text, &|name| match name {
            "SELF" => Some(Named::Text("SELF + 1")),
            "SEVEN" => Some(Named::Int(7)),
            "A" => Some(Named::Text("B+B+B+B+B+B+B+B")),
            "B" => Some(Named::Text("C+C+C+C+C+C+C+C")),
            "C" => Some(Named::Text("D+D+D+D+D+D+D+D")),
            "D" => Some(Named::Text("E+E+E+E+E+E+E+E")),
            "E" => Some(Named::Text("F+F+F+F+F+F+F+F")),
            "F" => Some(Named::Text("SEVEN+SEVEN+SEVEN+SEVEN")),
            "ALL" => Some(Named::Text("~(uint32_t)0")),
            _ => None,
        })
    }

    #[test]
    fn values_are_those_of_a_c_compiler() {
        // The right column was printed by gcc.
        for (text, value) in [
            ("~0ULL", 18_446_744_073_709_551_615_i128),
            ("~0U", 4_294_967_295),
            ("~(uint32_t)0", 4_294_967_295),
            ("~(uint64_t)0", 18_446_744_073_709_551_615),
            ("(~(uint8_t)0)", -1),
            ("-1", -1),
            ("-1U", 4_294_967_295),
            ("(2048 * 1024)", 2_097_152),
            ("1 << 4 | 3", 19),
            ("0x10 + 010", 24),
            ("0xffffffff", 4_294_967_295),
            ("-0xffffffff", 1),
            ("2147483647 + 1U", 2_147_483_648),
            ("(unsigned long long)-1", 18_446_744_073_709_551_615),
            ("(uint8_t)300", 44),
            ("UINT64_MAX", 18_446_744_073_709_551_615),
            ("SEVEN - ALL", 8),
            (" - - 5 % 3", 2),
        ] {
            assert_eq!(run(text).map(|v| v.value), Ok(value), "{text}");
        }
    }

    #[test]
    fn an_int_holds_all_ones_as_minus_one() {
        assert_eq!(run("ALL").unwrap().to(INT).value, -1);
    }

    #[test]
    fn what_is_no_constant_is_told() {
        assert_eq!(run("FOO").unwrap_err(), Failure::Name("FOO".into()));
        for text in ["", "1 +", "(1", "1 2", "0x", "09", "1.5", "\"x\"", "1/0", "1<<99", "SELF", "1uu", "A"] {
            assert!(matches!(run(text), Err(Failure::Form(_))), "{text}");
        }
        assert!(run(&"(".repeat(10_000)).is_err());
        assert!(run(&"~".repeat(10_000)).is_err());
    }
}
