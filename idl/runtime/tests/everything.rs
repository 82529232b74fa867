//! The generated types of `idl/tests/ui/libxl_everything.idl` (which has every construct of libxl's files) in every
//! dialect: what is written, what is read, what is refused in which words, and what hostile text does.

/// The golden that the compiler's tests hold fresh.
#[expect(dead_code, unreachable_pub, reason = "the module of a test, which uses part of it")]
mod types {
    include!("../../tests/ui/libxl_everything.rs.result");
}

use types::{EventType, Everything, EverythingU, EverythingV, Kind, Rebound};
use xenidl_runtime::{
    CpuidLeaf, CpuidPolicyList, Defbool, Dialect, Hwcap, Json as _, KeyValueList, Listed, Listing, Mac,
    MsVmGenid, Msr, Uuid,
};

const LIBXL: [Dialect; 2] = [Dialect::LibxlYajl, Dialect::LibxlJsonC];

fn full() -> Everything {
    Everything {
        flag: false,
        default: Defbool::True,
        domid: u32::MAX,
        devid: 0,
        null: Uuid([0x0f; 16]),
        mac: Mac([0, 0x16, 0x3e, 1, 2, 255]),
        r#return: [9, 3, 3].into_iter().collect(),
        cpuid: CpuidPolicyList {
            cpuid: vec![CpuidLeaf {
                leaf: 7,
                subleaf: Some(0),
                registers: [Some("x".repeat(32)), None, None, Some("1".repeat(32))],
            }],
            msr: vec![Msr { index: 266, policy: "0".repeat(64) }],
        },
        list: vec!["a/b".into(), String::new()],
        map: KeyValueList(vec![("k".into(), Some("\"\\\n\u{1f}\u{7f}é".into())), ("none".into(), None)]),
        caps: Hwcap([1, 2, 3, 4, 5, 0, 0, 0]),
        genid: MsVmGenid([1; 16]),
        text: Some(String::new()),
        int: i32::MIN,
        u32: 0x8000_0000,
        u64: 1 << 63,
        size: 5,
        memkb: 0,
        memkb_zero: u64::MAX,
        for_user: u64::MAX,
        small: 3,
        number: 0,
        kind: Kind::Other(77),
        kind_none: Kind::N128,
        event: EventType::DiskEject,
        lists: vec![[0].into_iter().collect(), Default::default()],
        kinds: vec![Kind::N9pfs, Kind::None],
        strings: vec![None, Some("x".into())],
        u: EverythingU::Other(Kind::N128),
        ..Everything::default()
    }
}

#[test]
fn a_new_value_is_what_libxls_init_leaves() {
    let new = Everything::default();
    assert_eq!((new.flag, new.devid, new.int, new.u32), (true, -1, -1, u32::MAX));
    assert_eq!((new.memkb, new.small, new.number, new.kind), (u64::MAX, -2, 113, Kind::Invalid));
    assert_eq!((new.kind_none, new.event), (Kind::None, EventType::Other(0)));
    assert_eq!((&new.u, &new.v), (&EverythingU::None, &EverythingV::Other(EventType::Other(0))));
    assert_eq!(new.arch_arm.nr_spis, u32::MAX);
}

#[test]
fn what_is_as_it_begins_is_left_out() {
    let new = Everything::default();
    let yajl = "{\n    \"caps\": [\n        0,\n        0,\n        0,\n        0\n    ],\n    \"arch_arm\": {\n\n    },\n    \
                \"type.none\": {\n\n    }\n}\n";
    let jsonc = "{\n  \"caps\":[\n    0,\n    0,\n    0,\n    0\n  ],\n  \"arch_arm\":{\n  },\n  \"type.none\":{\n  }\n}";
    assert_eq!(new.to_json(Dialect::LibxlYajl).unwrap(), yajl);
    assert_eq!(new.to_json(Dialect::LibxlJsonC).unwrap(), jsonc);
    assert_eq!(new.to_json(Dialect::Lossless).unwrap(), yajl);
}

/// One line: what lies between containers says nothing here.
fn squeeze(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn each_dialect_writes_in_its_own_way() {
    let full = full();
    let text = |d| squeeze(&full.to_json(d).unwrap());
    let (yajl, jsonc, lossless) =
        (text(Dialect::LibxlYajl), text(Dialect::LibxlJsonC), text(Dialect::Lossless));
    for (yajl_has, jsonc_has, lossless_has) in [
        ("\"flag\":false", "\"flag\":false", "\"flag\":false"),
        ("\"domid\":4294967295", "\"domid\":4294967295", "\"domid\":4294967295"),
        ("\"u32\":2147483648", "\"u32\":-2147483648", "\"u32\":2147483648"),
        ("\"u64\":9223372036854775808", "\"u64\":9223372036854775808", "\"u64\":9223372036854775808"),
        ("\"for_user\":-1", "\"for_user\":-1", "\"for_user\":18446744073709551615"),
        ("\"a/b\"", "\"a\\/b\"", "\"a/b\""),
        ("\\u001F\u{7f}é", "\\u001f\u{7f}é", "\\u001F\u{7f}é"),
        ("\"none\":null", "\"none\":null", "\"none\":null"),
        ("\"return\":[3,9]", "\"return\":[3,9]", "\"return\":[3,9]"),
        ("\"caps\":[1,2,3,4]", "\"caps\":[1,2,3,4]", "\"caps\":[1,2,3,4,5,0,0,0]"),
        ("\"kind\":null", "\"kind\":null", "\"kind\":77"),
        ("\"kinds\":[\"9pfs\",\"none\"]", "\"kinds\":[\"9pfs\",\"none\"]", "\"kinds\":[\"9pfs\",\"none\"]"),
        ("\"strings\":[null,\"x\"]", "\"strings\":[null,\"x\"]", "\"strings\":[null,\"x\"]"),
        ("\"lists\":[[0],[]]", "\"lists\":[[0],[]]", "\"lists\":[[0],[]]"),
    ] {
        assert!(yajl.contains(yajl_has), "{yajl_has}\n{yajl}");
        assert!(jsonc.contains(jsonc_has), "{jsonc_has}\n{jsonc}");
        assert!(lossless.contains(lossless_has), "{lossless_has}\n{lossless}");
    }
    // libxl forgets the key of a union that has no arm for it.
    assert!(!yajl.contains("\"type") && !jsonc.contains("\"type") && lossless.contains("\"type\":\"128\""));
}

#[test]
fn lossless_loses_nothing() {
    let full = full();
    let text = full.to_json(Dialect::Lossless).unwrap();
    assert_eq!(Everything::from_json(&text, Dialect::Lossless).unwrap(), full);
    // What json-c made of 0x8000_0000, which libxl refuses to read.
    let cut = r#"{"u32": -2147483648, "u64": 18446744073709551615, "for_user": -9223372036854775808}"#;
    let value = Everything::from_json(cut, Dialect::Lossless).unwrap();
    assert_eq!((value.u32, value.u64, value.for_user), (0x8000_0000, u64::MAX, 1 << 63));
    for d in LIBXL {
        assert!(Everything::from_json(cut, d).is_err());
    }
}

#[test]
fn the_contract_leaves_out_only_what_is_absent() {
    let small = Rebound { new: false };
    assert_eq!(small.to_json(Dialect::Contract).unwrap(), r#"{"new":false}"#);
    let new = Everything { caps: Hwcap([1; 8]), ..Everything::default() };
    let text = new.to_json(Dialect::Contract).unwrap();
    assert!(text.starts_with("{\"domid\":0,\"null\":\"00000000-0000-0000-0000-000000000000\""), "{text}");
    assert_eq!(Everything::from_json(&text, Dialect::Contract).unwrap(), new);
    let e = full().to_json(Dialect::Contract).unwrap_err();
    assert_eq!(e.to_string(), "u64: 9223372036854775808 is beyond 2^53-1, which the contract cannot hold");
    let e =
        Everything { kind: Kind::Other(9), ..Everything::default() }.to_json(Dialect::Contract).unwrap_err();
    assert_eq!(e.to_string(), "kind: 9 is no kind, and the contract has no name for it");
}

#[test]
fn errors_name_the_path_and_what_was_meant() {
    for (text, dialect, message) in [
        (
            r#"{"kinds":["none","9pfss"]}"#,
            Dialect::LibxlYajl,
            r#"kinds[1]: "9pfss" is no kind; did you mean "9pfs"?"#,
        ),
        (
            r#"{"arch_arm":{"gic":"retrun"}}"#,
            Dialect::LibxlJsonC,
            r#"arch_arm.gic: "retrun" is no kind; did you mean "return"?"#,
        ),
        (
            r#"{"type.9pfs":{"vga":{"ram":-1}}}"#,
            Dialect::LibxlYajl,
            "type.9pfs.vga.ram: -1 is not from 0 to 18446744073709551615",
        ),
        (r#"{"small":128}"#, Dialect::LibxlYajl, "small: 128 is not from -128 to 127"),
        (
            r#"{"type.9pfs":{},"type.none":{}}"#,
            Dialect::LibxlYajl,
            r#""type.9pfs" and "type.none" are two arms of one union; libxl aborts on that"#,
        ),
        (
            r#"{"return":[-1]}"#,
            Dialect::LibxlYajl,
            "return[0]: -1 is no bit; libxl would write beyond its memory",
        ),
        (r#"{"map":{"a":[]}}"#, Dialect::LibxlYajl, "map.a: an array where a string or null belongs"),
        (
            r#"{"mac":"x"}"#,
            Dialect::LibxlYajl,
            r#"mac: "x" is no mac; it is six bytes such as 00:16:3e:01:02:03"#,
        ),
        (
            r#"{"mac":" 1:-1:+3:aa:bb:cc:"}"#,
            Dialect::Lossless,
            r#"mac: " 1:-1:+3:aa:bb:cc:" is no mac; libxl would read 01:ff:03:aa:bb:cc"#,
        ),
        (
            r#"{"default":"true"}"#,
            Dialect::LibxlYajl,
            r#"default: "true" is no defbool; it is "True", "False" or "<default>""#,
        ),
        (
            r#"{"cpuid":{"cpuid":[{"leaf":1,"eax":"x"}],"msr":[]}}"#,
            Dialect::LibxlYajl,
            r#"cpuid.cpuid[0].eax: "x" is no register: it has 32 characters; libxl would read beyond it"#,
        ),
        (r#"{"text":5}"#, Dialect::Lossless, "text: an integer where a string or null belongs"),
        (
            r#"{"u32":1e3}"#,
            Dialect::Lossless,
            "u32: a number with a fraction or exponent where an integer belongs",
        ),
        (r#"{"text":"a","text":"b"}"#, Dialect::Lossless, r#""text" is there twice"#),
        (r#"{"txet":"a"}"#, Dialect::Contract, r#"no field is called "txet"; did you mean "text"?"#),
        (
            r#"{"kind":"Default"}"#,
            Dialect::Contract,
            r#"kind: "Default" is no kind: names are in lower case"#,
        ),
        (r#"{"text":"a"} x"#, Dialect::Contract, "expected the end of the text, found `x` (at byte 13)"),
        (r#"{"text":"a" "b"}"#, Dialect::LibxlYajl, "expected `,` or `}`, found `\"` (at byte 12)"),
        (r#"{"text":"\q"}"#, Dialect::LibxlYajl, "text: an escape that JSON does not have (at byte 9)"),
        ("", Dialect::LibxlYajl, "expected a value, found the end of the text (at byte 0)"),
    ] {
        let e = Everything::from_json(text, dialect).unwrap_err();
        assert_eq!(e.to_string(), message, "{text}");
    }
    assert_eq!(
        "rteurn".parse::<Kind>().unwrap_err().to_string(),
        "\"rteurn\" is no kind; did you mean \"return\"?"
    );
}

/// What each libxl makes of a text: the field `text`, or a refusal.
#[test]
fn texts_at_the_edge_are_read_as_by_each_libxl() {
    let yes = |t: &str| Some(t.to_owned());
    for (text, yajl, jsonc) in [
        (r#"{"text":"a"} x"#, yes("a"), yes("a")),
        (r#"{"text":"a"} /x"#, yes("a"), None),
        (r#"{"text":"a","text":"b"}"#, yes("a"), yes("b")),
        (r#"{"text":"a","text":5}"#, yes("a"), yes("-")),
        (r#"{"text":5,"text":"b"}"#, yes("-"), yes("b")),
        (r#"{"u32":-1,"text":"a","u32":1}"#, None, yes("a")),
        (r#"{"kinds":["x"],"text":"a","kinds":[]}"#, None, yes("a")),
        (r#"{"text":"a",}"#, None, yes("a")),
        (r#"{"text":"a"/**/}//"#, None, yes("a")),
        ("{'text':'a\"\t'}", None, yes("a\"\t")),
        (r#"{"text":"a\u0000b"}"#, yes("a"), yes("a")),
        (r#"{"text\u0000b":"a"}"#, yes("a"), yes("a")),
        ("{\"text\":\"a\"}\0{", yes("a"), yes("a")),
        (r#"{"text":"\ud800bc"}"#, yes("?bc"), yes("\u{fffd}bc")),
        (r#"{"text":"\ud800\-"}"#, None, None),
        (r#"{"text":"\ud800\n"}"#, yes("?\n"), yes("\u{fffd}\n")),
        (r#"{"text":"\udc00"}"#, None, yes("\u{fffd}")),
        (r#"{"text":"\ud83d\ude00"}"#, yes("😀"), yes("😀")),
        (r#"{"text":NULL}"#, None, yes("-")),
        ("null", yes("-"), None),
        ("[]", yes("-"), yes("-")),
        ("5 x", yes("-"), yes("-")),
        (r#"{"text":"a","x":-}"#, None, None),
        (r#"{"text":"a","x":01}"#, None, yes("a")),
        (r#"{"text":"a","x":1.5.5}"#, None, None),
        (r#"{"text":"a","x":[NaN,-Infinity,1.,2e+,-0.5]}"#, None, yes("a")),
        ("\u{b}{}", yes("-"), None),
        ("{\"text\":\"\u{e9}\"}", yes("\u{e9}"), yes("\u{e9}")),
    ] {
        for (dialect, expected) in LIBXL.into_iter().zip([yajl, jsonc]) {
            let found = Everything::from_json(text, dialect);
            let found = found.map(|v| v.text.unwrap_or("-".into()));
            assert_eq!(found.as_ref().ok(), expected.as_ref(), "{text} in {dialect}: {found:?}");
        }
    }
    for d in Dialect::ALL {
        assert!(Everything::from_json(b"{\"text\":\"\xff\"}", *d).is_err());
    }
}

#[test]
fn json_c_nests_31_deep_and_yajl_at_will() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    for (n, jsonc) in [(31, true), (32, true), (33, false), (1_000_000, false)] {
        assert_eq!(Everything::from_json(nested(n), Dialect::LibxlJsonC).is_ok(), jsonc, "{n}");
        assert!(Everything::from_json(nested(n), Dialect::LibxlYajl).is_ok(), "{n}");
    }
    let inside = format!("{{\"x\":{}}}", nested(1_000_000));
    assert!(Everything::from_json(&inside, Dialect::Lossless).is_ok());
    assert!(Everything::from_json(&inside, Dialect::Contract).is_err());
}

/// If any of these took quadratic time or room for each element, this test would not end.
#[test]
fn hostile_text_costs_no_more_than_its_size() {
    const N: usize = 100_000;
    let zeros = format!("[{}0]", "0,".repeat(N));
    let texts = [
        format!("{{\"config\":{zeros}}}"),
        format!("{{\"kinds\":{}}}", zeros.replace('0', "\"none\"")),
        format!("{{\"return\":{zeros}}}"),
        "{\"return\":[2147483646]}".to_owned(),
        format!("{{\"map\":{{{}\"z\":null}}}}", (0..N).map(|i| format!("\"{i}\":null,")).collect::<String>()),
        format!("{{\"map\":{{{}\"z\":null}}}}", "\"a\":null,".repeat(N)),
        format!("{{{}\"z\":0}}", "\"u32\":-1,".repeat(N)),
        format!("{{{}\"z\":0}}", "\"type.none\":5,".repeat(N)),
        format!("{{\"u64\":{}}}", "9".repeat(N)),
        format!("{{\"text\":\"{}\"}}", "\\u0041".repeat(N)),
        format!("{{\"text\":{}}}", "[".repeat(N)),
        "/*".repeat(N),
        format!("{{\"for_user\":9223372036854775807,\"lists\":[{}[]]}}", "[9223372036854775807],".repeat(N)),
    ];
    for text in &texts {
        for d in Dialect::ALL {
            let _ = Everything::from_json(text, *d);
        }
    }
    // A struct of its own for each `0`.
    type Many = Listing<Everything>;
    let e = Many::from_json(&zeros, Dialect::LibxlYajl).unwrap_err();
    assert_eq!(e.problem(), "more elements than a document of this size may hold");
    assert_eq!(Many::from_json("[0,{},[]]", Dialect::LibxlYajl).unwrap().0.len(), 3);
}

/// Every prefix of a document, and every document with one byte changed: no panic; and what is read is written and
/// read again as the same.
#[test]
fn what_is_read_can_be_written_and_read_again() {
    let text = full().to_json(Dialect::Lossless).unwrap();
    let bytes = text.as_bytes();
    let mut read = 0;
    for at in 0..bytes.len() {
        for replacement in [None, Some(b'0'), Some(b'"'), Some(b'}'), Some(b','), Some(b'x'), Some(0x80)] {
            let mut broken = bytes.to_vec();
            match replacement {
                None => broken.truncate(at),
                Some(b) => _ = broken.splice(at..=at, [b]),
            }
            for d in Dialect::ALL {
                let Ok(value) = Everything::from_json(&broken, *d) else { continue };
                read += 1;
                let Ok(text) = value.to_json(Dialect::Lossless) else { panic!("{value:?}") };
                assert_eq!(Everything::from_json(&text, Dialect::Lossless).unwrap(), value);
            }
        }
    }
    assert!(read > 1000, "{read}");
}

#[test]
fn a_listing_of_xl_is_written_back_as_it_was() {
    let listing = Listing(vec![
        Listed { domid: Some(0), config: Rebound { new: true } },
        Listed { domid: None, config: Rebound::default() },
    ]);
    let yajl = "[\n    {\n        \"domid\": 0,\n        \"config\": {\n            \"new\": true\n        }\n    },\n    {\n        \
                \"domid\": null,\n        \"config\": {\n\n        }\n    }\n]\n\n";
    let jsonc = "[\n  {\n    \"domid\":0,\n    \"config\":{\n      \"new\":true\n    }\n  },\n  {\n    \"domid\":null,\n    \
                 \"config\":{\n    }\n  }\n]\n";
    for (dialect, text) in LIBXL.into_iter().zip([yajl, jsonc]) {
        assert_eq!(listing.to_output(dialect).unwrap(), text);
        assert_eq!(Listing::from_json(text, dialect).unwrap(), listing);
    }
}

#[test]
fn dialects_go_by_names() {
    for (name, dialect) in [
        ("yajl", Dialect::LibxlYajl),
        ("LibxlYajl", Dialect::LibxlYajl),
        ("json-c", Dialect::LibxlJsonC),
        ("LibxlJsonC", Dialect::LibxlJsonC),
        ("Lossless", Dialect::Lossless),
        ("contract", Dialect::Contract),
    ] {
        assert_eq!(Dialect::from_name(name), Some(dialect));
    }
    assert_eq!(Dialect::from_name("bson"), None);
}
