//! Tests on types that use every construct of the language: the compiler's own golden, compiled.

/// `idl/tests/ui/everything.idl`, as the Rust back end writes it.
#[expect(
    unreachable_pub,
    dead_code,
    reason = "written for a library's public module; not all of it is used here"
)]
mod everything {
    include!(concat!(env!("CARGO_MANIFEST_DIR"), "/idl/tests/ui/everything.rs.result"));
}

use super::{
    AbsPath, DEPTH_MAX, DOCUMENT_MAX, DecodeError, EncodeError, RawJson, Timestamp, XENSTORE_MAX, from_slice,
    from_str, from_xenstore, to_string, to_xenstore,
};
use everything::{
    Colour, Early, Inner, Late, LatePart, Line, Nothing, OpenPart, Strict, StrictWhat, TSize, Tag,
};
use proptest::prelude::*;
use std::time::Duration;

const STRICT: &str = r#"{"flag":true,"small":0,"mid":7,"large":9007199254740991,"number":-5,"dom":32751,"text":"abc","colour":"dark_blue","type":"ab-1","at":"2026-11-23T10:20:30.123456789Z","for_long":5,"id":"67e55044-10b1-426f-9247-bb680e5fe0c8","path":"/a b/c","ram":0,"list":["red"],"what.type":{}}"#;

fn strict() -> Strict {
    Strict::new_for_tests()
}

impl Strict {
    fn new_for_tests() -> Self {
        from_str(STRICT).unwrap()
    }
}

fn refused(text: &str) -> String {
    from_str::<Strict>(text).unwrap_err().to_string()
}

/// The document with one text replaced, which must be there.
fn with(from: &str, to: &str) -> String {
    assert!(STRICT.contains(from), "{from}");
    STRICT.replace(from, to)
}

#[test]
fn every_construct_is_read_and_written_in_the_same_bytes() {
    let value = strict();
    assert_eq!(to_string(&value).unwrap(), STRICT);
    assert_eq!(value.r#type, "ab-1");
    assert_eq!(value.self_, None);
    assert_eq!(value.for_long, Duration::from_nanos(5));
    assert_eq!(value.what, StrictWhat::Type);
    assert_eq!(value.what.kind(), TSize::Type);
    assert_eq!(Strict::xenstore_path(3, "x"), "/local/domain/3/t/x");
}

#[test]
fn defaults_may_be_absent_and_are_always_written() {
    let text = with(r#""flag":true,"#, "").replace(r#""mid":7,"#, "").replace(r#""text":"abc","#, "");
    let text = text.replace(r#""colour":"dark_blue","#, "").replace(r#""for_long":5,"#, "");
    assert_eq!(to_string(&from_str::<Strict>(&text).unwrap()).unwrap(), STRICT);
    assert_eq!(to_string(&Inner::default()).unwrap(), r#"{"mode":"none"}"#);
    assert_eq!(to_string(&Nothing::default()).unwrap(), "{}");
}

#[test]
fn limits_hold_when_reading() {
    let cases = [
        (r#""mid":7"#, r#""mid":4"#, "mid: 4 is not from 5 to 500"),
        (r#""small":0"#, r#""small":256"#, "small: 256 is not from 0 to 255"),
        (r#""small":0"#, r#""small":-1"#, "small: -1 is not from 0 to 255"),
        (
            r#""small":0"#,
            r#""small":1.0"#,
            "small: invalid type: floating point `1.0`, expected an integer from 0 to 255",
        ),
        (
            r#""small":0"#,
            r#""small":1e1"#,
            "small: invalid type: floating point `10.0`, expected an integer from 0 to 255",
        ),
        ("9007199254740991", "9007199254740992", "large: 9007199254740992 is not from 0 to 9007199254740991"),
        ("32751", "32752", "dom: 32752 is not from 0 to 32751"),
        (r#""text":"abc""#, r#""text":"""#, "text: 0 bytes, at least 1"),
        (r#""text":"abc""#, r#""text":"abcdefghij""#, "text: 10 bytes, at most 9"),
        (r#""text":"abc""#, r#""text":"a1""#, "text: `1` cannot be character 2; it must match `[a-z]*`"),
        (
            r#""ab-1""#,
            r#""ab-""#,
            "type: `ab-` is not a tag: it ends too early; it must match `[a-z]{1,8}-[0-9]+`",
        ),
        (r#""list":["red"]"#, r#""list":[]"#, "list: 0 elements, at least 1"),
        (r#"["red"]"#, r#"["red","red","red","red"]"#, "list: more than 3 elements"),
        (r#"["red"]"#, r#"["red","rde"]"#, "list[1]: unknown value `rde` of colour; did you mean `red`?"),
        (r#""/a b/c""#, r#""/aaaaaaaaaaaaaaaaaaaa""#, "path: 21 bytes, at most 20"),
        (r#""for_long":5"#, r#""for_long":1000000001"#, "for_long: 1000000001 is not from 0 to 1000000000"),
    ];
    for (from, to, message) in cases {
        assert_eq!(refused(&with(from, to)), message);
    }
}

#[test]
fn limits_hold_when_writing() {
    type Break = fn(&mut Strict);
    let cases: [(Break, &str); 8] = [
        (|s| s.mid = 501, "mid: 501 is not from 5 to 500"),
        (|s| s.large = 1 << 53, "large: 9007199254740992 is not from 0 to 9007199254740991"),
        (|s| s.large = u64::MAX, "large: an integer beyond 9007199254740991"),
        (|s| s.text = "Abc".into(), "text: `A` cannot be character 1; it must match `[a-z]*`"),
        (|s| s.line = Some(Line::lossy("0123456789a")), "line: 11 bytes, at most 10"),
        (|s| s.list.clear(), "list: 0 elements, not 1 to 3"),
        (|s| s.for_long = Duration::MAX, "for_long: an integer beyond 1000000000"),
        (|s| s.raw = Some(RawJson::new("[1,2,3,4,5,6,7,8,9,10]").unwrap()), "raw: 22 bytes, at most 20"),
    ];
    for (spoil, message) in cases {
        let mut value = strict();
        spoil(&mut value);
        assert_eq!(to_string(&value).unwrap_err().to_string(), message);
    }
}

#[test]
fn open_types_keep_what_they_do_not_know_in_order() {
    let text = r#"{"late":{"ids":[],"size.huge":{"n": 1.50},"z":null,"a":[ ]},"new":"\u0001"}"#;
    let value: Early = from_str(text).unwrap();
    assert_eq!(to_string(&value).unwrap(), text);
    assert!(matches!(&value.late.size, LatePart::Unknown { arm, .. } if &**arm == "huge"));
    assert_eq!(value.late.size.kind(), TSize::Unknown("huge".into()));
    let empty_arm = r#"{"ids":[],"size.type":{"grown":1}}"#;
    assert_eq!(to_string(&from_str::<Late>(empty_arm).unwrap()).unwrap(), empty_arm);
    // Unknown fields are written after the known ones, whatever their place was.
    let mixed = r#"{"b":1,"size.type":{},"ids":[],"a":2}"#;
    assert_eq!(
        to_string(&from_str::<Late>(mixed).unwrap()).unwrap(),
        r#"{"ids":[],"size.type":{},"b":1,"a":2}"#
    );
}

#[test]
fn what_is_unknown_cannot_have_a_known_name_or_no_name() {
    let unknown = |arm: &str| LatePart::Unknown { arm: arm.into(), value: RawJson::new("{}").unwrap() };
    for arm in ["type", "", "Huge", "a.b", "\u{e9}"] {
        assert!(
            matches!(to_string(&Late::new(vec![], unknown(arm))), Err(EncodeError::Value { .. })),
            "{arm}"
        );
    }
    for name in ["small", "", "no good"] {
        assert!(to_string(&TSize::Unknown(name.into())).is_err(), "{name}");
    }
    assert!(from_str::<TSize>(r#""No""#).is_err());
    assert!(from_str::<TSize>(&format!("\"{}\"", "a".repeat(65))).is_err());
    assert!(from_str::<Late>(r#"{"ids":[],"size.":{}}"#).is_err());
}

#[test]
fn raw_json_is_kept_byte_for_byte() {
    let text = "{\"raw\":{ \"a\" : [1.0,\n2e3, -0] , \"a\":\"\\u00e9\\/\" }}";
    let value: OpenPart = from_str(text).unwrap();
    assert_eq!(to_string(&value).unwrap(), text);
    assert_eq!(RawJson::from_value(&[1, 2]).unwrap().parse::<Vec<u8>>().unwrap(), [1, 2]);
}

#[test]
fn documents_are_bounded() {
    let nest = |n: usize| format!("{{\"raw\":{}{}}}", "[".repeat(n), "]".repeat(n));
    assert!(from_str::<OpenPart>(&nest(DEPTH_MAX - 1)).is_ok());
    assert_eq!(from_str::<OpenPart>(&nest(DEPTH_MAX)), Err(DecodeError::TooDeep));
    // Brackets in strings do not nest; an escaped quote does not end a string.
    assert!(from_str::<OpenPart>(&format!("{{\"raw\":\"\\\"{}\"}}", "[".repeat(50))).is_ok());
    let deep =
        OpenPart { raw: RawJson::new("[".repeat(16) + &"]".repeat(16)).unwrap(), extra: super::Extra::new() };
    assert_eq!(to_string(&deep), Err(EncodeError::TooDeep));

    let long = |n: usize| format!("{{\"raw\":\"{}\"}}", "x".repeat(n - 10));
    assert_eq!(long(DOCUMENT_MAX).len(), DOCUMENT_MAX);
    assert!(from_str::<OpenPart>(&long(DOCUMENT_MAX)).is_ok());
    let too_large = DecodeError::TooLarge { size: DOCUMENT_MAX + 1, max: DOCUMENT_MAX };
    assert_eq!(from_str::<OpenPart>(&long(DOCUMENT_MAX + 1)), Err(too_large));
    let at_limit: OpenPart = from_xenstore(long(XENSTORE_MAX).as_bytes()).unwrap();
    assert!(from_xenstore::<OpenPart>(long(XENSTORE_MAX + 1).as_bytes()).is_err());
    assert!(to_xenstore(&at_limit).is_ok());
    let over: OpenPart = from_str(&long(XENSTORE_MAX + 1)).unwrap();
    assert_eq!(to_xenstore(&over), Err(EncodeError::TooLarge { size: XENSTORE_MAX + 1, max: XENSTORE_MAX }));
    assert_eq!(from_slice::<OpenPart>(b"{\"raw\":\"\xff\"}"), Err(DecodeError::NotUtf8 { at: 8 }));
}

#[test]
fn named_strings_can_be_cut_and_cleaned() {
    assert_eq!(Line::lossy("a\tb\n\u{7f}c"), "a b  c");
    let long = "\u{e9}".repeat(80);
    assert_eq!(Line::lossy(&long).as_str().len(), 100);
    assert_eq!(Line::lossy_max(&long, 9).as_str().len(), 8);
    assert!(Line::new(Line::lossy(&long).as_str()).is_ok());
    assert_eq!(Tag::new("ab-1").unwrap().to_string(), "ab-1");
    assert_eq!(
        "rde".parse::<Colour>().unwrap_err().to_string(),
        "`rde` is not a colour: did you mean `red`?"
    );
}

#[test]
fn paths_are_absolute_and_plain() {
    for good in ["/", "/a", "/a/..b", "/a/b..", "/a//b", "/\u{e9} \n"] {
        assert_eq!(AbsPath::new(good).unwrap().as_str(), good);
    }
    for bad in ["", "a", "./a", "/..", "/a/..", "/../a", "/a/../b", "/a\0"] {
        assert!(AbsPath::new(bad).is_err(), "{bad:?}");
    }
    assert_eq!(AbsPath::new("/a/").unwrap().join("b").unwrap().as_str(), "/a/b");
    assert!(AbsPath::new("/a").unwrap().join("../b").is_err());
}

#[test]
fn timestamps_have_one_form() {
    for good in
        ["1970-01-01T00:00:00.000000000Z", "0001-01-01T00:00:00.000000000Z", "2024-02-29T23:59:59.999999999Z"]
    {
        assert_eq!(good.parse::<Timestamp>().unwrap().to_string(), good);
    }
    for bad in [
        "2026-11-23T10:20:30Z",
        "2026-11-23T10:20:30.12345678Z",
        "2026-11-23T10:20:30.1234567890Z",
        "2026-11-23T10:20:30.123456789+00:00",
        "2026-11-23 10:20:30.123456789Z",
        "2026-11-23t10:20:30.123456789z",
        "2023-02-29T00:00:00.000000000Z",
        "1900-02-29T00:00:00.000000000Z",
        "2026-13-01T00:00:00.000000000Z",
        "2026-00-01T00:00:00.000000000Z",
        "2026-01-00T00:00:00.000000000Z",
        "2026-01-01T24:00:00.000000000Z",
        "2026-12-31T23:59:60.000000000Z",
        "0000-01-01T00:00:00.000000000Z",
        "+026-01-01T00:00:00.000000000Z",
    ] {
        assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
    }
    assert_eq!("2026-11-23T10:20:30.123456789Z".parse::<Timestamp>().unwrap().unix_seconds(), 1_795_429_230);
    assert!(Timestamp::now() > Timestamp::UNIX_EPOCH);
    let later = Timestamp::UNIX_EPOCH.checked_add(Duration::new(3, 7)).unwrap();
    assert_eq!(later.since(Timestamp::UNIX_EPOCH), Duration::new(3, 7));
    assert_eq!(Timestamp::UNIX_EPOCH.since(later), Duration::ZERO);
    assert_eq!(Timestamp::UNIX_EPOCH.checked_sub(Duration::MAX), None);
}

proptest! {
    #[test]
    fn timestamps_go_there_and_back_and_keep_their_order(
        a in -62_135_596_800_000_000_000_i128..253_402_300_800_000_000_000,
        b in -62_135_596_800_000_000_000_i128..253_402_300_800_000_000_000,
    ) {
        let (x, y) = (Timestamp::from_unix_nanos(a).unwrap(), Timestamp::from_unix_nanos(b).unwrap());
        prop_assert_eq!(x.unix_nanos(), a);
        prop_assert_eq!(x.to_string().parse::<Timestamp>().unwrap(), x);
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        prop_assert_eq!(x.to_string().cmp(&y.to_string()), a.cmp(&b));
    }

    /// Whatever the text, reading ends in a value or an error, and a value is written in one form.
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        if let Ok(value) = from_str::<Early>(&text) {
            prop_assert!(to_string(&value).is_ok());
        }
        prop_assert!(from_str::<Strict>(&text).is_err());
        let lossy = Line::lossy(&text);
        prop_assert_eq!(Line::new(lossy.as_str()).unwrap(), lossy);
    }
}
