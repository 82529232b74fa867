//! The rules of the contract's JSON, one test each.

use std::time::Duration;
use uuid::Uuid;
use xensnap::contract::{
    AgentStatus, Cancel, Disk, Domain, Error, ErrorKind, Line, MemoryMode, OpKind, Operation, OperationState,
    Request, RequestOp, VmSnapshotCreate,
};
use xensnap::wire::{
    self, AbsPath, DecodeError, RawJson, Timestamp, from_str, from_xenstore, to_string, to_xenstore,
};

const CREATE: &str = r#"{"contract":1,"dry_run":false,"op.vm_snapshot_create":{"domain":"web","memory":"auto","disks":["xvda","xvdb"],"keep_boot_files":false}}"#;
const AGENT: &str = r#"{"contract":1,"version":"0.1.0","pid":7,"boot_id":"67e55044-10b1-426f-9247-bb680e5fe0c8","started_at":"2026-11-23T10:20:30.000000000Z","heartbeat_at":"2026-11-23T10:20:40.000000001Z","operations":0,"ignored":0}"#;
const DISK: &str =
    r#"{"vdev":"xvda","path":"/img/a.qcow2","format":"qcow2","read_only":false,"cdrom":false}"#;
const OPERATION: &str = r#"{"contract":1,"id":"op-1","op":"cancel","state":"running","step":1,"steps":2,"created_at":"2026-11-23T10:20:30.000000000Z","dry_run":false}"#;

/// Why the text is no request.
fn refused(text: &str) -> String {
    match from_str::<Request>(text) {
        Ok(request) => format!("taken: {request:?}"),
        Err(e) => e.to_string(),
    }
}

#[test]
fn compact_with_keys_in_idl_order() {
    let request: Request = from_str(CREATE).unwrap();
    assert_eq!(to_string(&request).unwrap(), CREATE);
    let shuffled = " { \"op.vm_snapshot_create\" : {\"disks\":[\"xvda\", \"xvdb\"],\"domain\":\"web\"},\n\"contract\":1 }\t";
    assert_eq!(from_str::<Request>(shuffled).unwrap(), request);
}

#[test]
fn utf8_only() {
    let bytes = CREATE.replace("web", "w\u{1}b").into_bytes();
    let bad: Vec<u8> = bytes.into_iter().map(|b| if b == 1 { 0xff } else { b }).collect();
    let at = CREATE.find("web").unwrap() + 1;
    assert_eq!(wire::from_slice::<Request>(&bad), Err(DecodeError::NotUtf8 { at }));
}

#[test]
fn duplicate_keys_are_errors() {
    assert_eq!(refused(&CREATE.replacen("1,", "1,\"contract\":1,", 1)), "duplicate key `contract`");
    assert_eq!(
        refused(&CREATE.replace(r#""domain":"web","#, r#""domain":"web","domain":"db","#)),
        "op.vm_snapshot_create: duplicate key `domain`"
    );
    // The same key behind an escape, and an unknown key of an open type.
    assert_eq!(refused(&CREATE.replacen("1,", "1,\"\\u0063ontract\":1,", 1)), "duplicate key `contract`");
    let open = DISK.replace('{', r#"{"new":1,"new":1,"#);
    assert_eq!(from_str::<Disk>(&open).unwrap_err().to_string(), "duplicate key `new`");
}

#[test]
fn depth_and_size_are_bounded() {
    let deep = DISK.replace('{', &format!("{{\"new\":{}{},", "[".repeat(16), "]".repeat(16)));
    assert_eq!(from_str::<Disk>(&deep), Err(DecodeError::TooDeep));
    let long = format!("{CREATE}{}", " ".repeat(2048));
    let too_large = DecodeError::TooLarge { size: long.len(), max: 2048 };
    assert_eq!(from_xenstore::<Request>(long.as_bytes()), Err(too_large));
    assert!(from_str::<Request>(&long).is_ok());
    let huge = format!("{CREATE}{}", " ".repeat(1 << 20));
    assert!(matches!(from_str::<Request>(&huge), Err(DecodeError::TooLarge { .. })));
}

#[test]
fn required_fields_are_always_written_and_optional_ones_left_out_only_when_absent() {
    let status: AgentStatus = from_str(AGENT).unwrap();
    assert_eq!((status.operations, &status.trouble), (0, &None));
    assert_eq!(to_string(&status).unwrap(), AGENT);
    // Domid 0, which libxl's JSON loses; no pause at all; an empty text.
    let mut operation: Operation = from_str(OPERATION).unwrap();
    operation.domid = Some(0);
    operation.pause = Some(Duration::ZERO);
    operation.error = Some(Error::new(ErrorKind::Internal, Line::lossy("")));
    let text = to_string(&operation).unwrap();
    let tail = r#""pause":0,"domid":0,"dry_run":false,"error":{"kind":"internal","message":""}}"#;
    assert!(text.ends_with(tail), "{text}");
    assert_eq!(from_str::<Operation>(&text).unwrap(), operation);
    // A list of one at least may be absent, but not empty.
    let message = "op.vm_snapshot_create.disks: 0 elements, at least 1";
    assert_eq!(refused(&CREATE.replace(r#"["xvda","xvdb"]"#, "[]")), message);
}

#[test]
fn null_is_not_absent() {
    assert_eq!(
        refused(&CREATE.replace(r#"["xvda","xvdb"]"#, "null")),
        "op.vm_snapshot_create.disks: invalid type: null, expected a list of 1 to 24 elements"
    );
}

#[test]
fn missing_fields_are_named() {
    assert_eq!(refused("{}"), "missing field `contract`");
    assert!(refused(r#"{"contract":1}"#).starts_with("missing field: one of `op.vm_snapshot_create`, `op."));
    assert_eq!(refused(r#"{"contract":1,"op.cancel":{}}"#), "op.cancel: missing field `operation`");
}

#[test]
fn integers_stay_within_2_to_the_53_and_have_no_fraction() {
    let with = |n: &str| AGENT.replace("\"ignored\":0", &format!("\"ignored\":{n}"));
    let read = |n: &str| from_str::<AgentStatus>(&with(n));
    assert_eq!(to_string(&read("9007199254740991").unwrap()).unwrap(), with("9007199254740991"));
    let bad = [
        "9007199254740992",
        "18446744073709551616",
        "-1",
        "1.0",
        "1e3",
        "-0",
        "\"1\"",
        "true",
        "null",
        "NaN",
        "01",
    ];
    for bad in bad {
        assert!(read(bad).is_err(), "{bad}");
    }
    let mut status: AgentStatus = from_str(AGENT).unwrap();
    status.ignored = 1 << 53;
    let message = "ignored: 9007199254740992 is not from 0 to 9007199254740991";
    assert_eq!(to_string(&status).unwrap_err().to_string(), message);
}

/// What the contract says of each character, written out.
#[test]
fn there_is_one_form_of_escapes() {
    // No path holds U+0000.
    for code in (1..0x80).chain([0xe9, 0x2028, 0xfffd, 0x1_f4be]) {
        let c = char::from_u32(code).unwrap();
        let escaped = match c {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\u{8}' => "\\b".to_owned(),
            '\u{c}' => "\\f".to_owned(),
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            c if code < 0x20 => format!("\\u{:04x}", c as u32),
            c => c.to_string(),
        };
        let path = AbsPath::new(format!("/{c}")).unwrap();
        assert_eq!(to_string(&path).unwrap(), format!("\"/{escaped}\""), "U+{code:04X}");
        // Every other form that JSON allows is read.
        let other: String = c.encode_utf16(&mut [0; 2]).iter().map(|u| format!("\\u{u:04X}")).collect();
        assert_eq!(from_str::<AbsPath>(&format!("\"\\/{other}\"")).unwrap(), path);
    }
}

#[test]
fn timestamps_and_durations_have_one_form() {
    let time = |t: &str| from_str::<AgentStatus>(&AGENT.replace("2026-11-23T10:20:30.000000000Z", t));
    let instant = Timestamp::from_unix_nanos(1_795_429_230_000_000_000).unwrap();
    assert_eq!(time("2026-11-23T10:20:30.000000000Z").unwrap().started_at, instant);
    for bad in
        ["2026-11-23T10:20:30Z", "2026-11-23T10:20:30.000000000+00:00", "2026-11-23T10:20:60.000000000Z"]
    {
        assert!(time(bad).is_err(), "{bad}");
    }
    let pause =
        |p: &str| from_str::<Request>(&CREATE.replace("\"auto\",", &format!("\"auto\",\"pause_max\":{p},")));
    let RequestOp::VmSnapshotCreate(create) = pause("1500000000").unwrap().op else {
        unreachable!("it is a create")
    };
    assert_eq!(create.pause_max, Some(Duration::from_millis(1500)));
    for bad in ["\"1s\"", "1.5", "-1"] {
        assert!(pause(bad).is_err(), "{bad}");
    }
}

#[test]
fn uuids_and_paths_have_one_form() {
    let uuid = |u: &str| from_str::<AgentStatus>(&AGENT.replace("67e55044-10b1-426f-9247-bb680e5fe0c8", u));
    let bad = [
        "67E55044-10b1-426f-9247-bb680e5fe0c8",
        "67e5504410b1426f9247bb680e5fe0c8",
        "{67e55044-10b1-426f-9247-bb680e5fe0c8}",
        "",
    ];
    for bad in bad {
        assert!(uuid(bad).is_err(), "{bad}");
    }
    assert_eq!(uuid("00000000-0000-0000-0000-000000000000").unwrap().boot_id, Uuid::nil());
    let path = |p: &str| from_str::<Disk>(&DISK.replace("/img/a.qcow2", p));
    for bad in ["img/a", "", "/img/../etc/passwd", "/img/..", "/img/\\u0000"] {
        assert!(path(bad).is_err(), "{bad}");
    }
    assert!(path("/img/..a/\\u00e9").is_ok());
}

#[test]
fn a_union_is_one_key() {
    let cancel = r#"{"contract":1,"dry_run":false,"op.cancel":{"operation":"x"}}"#;
    let request: Request = from_str(cancel).unwrap();
    assert_eq!(request.op, RequestOp::Cancel(Cancel { operation: "x".parse().unwrap() }));
    assert_eq!(request.op.kind(), OpKind::Cancel);
    assert_eq!(to_string(&request).unwrap(), cancel);
    let two = CREATE.replacen("1,", r#"1,"op.cancel":{"operation":"x"},"#, 1);
    assert_eq!(refused(&two), "`op.vm_snapshot_create` is a second key of `op`: only one can be there");
}

#[test]
fn requests_are_strict_and_errors_name_path_and_nearest_name() {
    let cases = [
        ("\"domain\"", "\"domian\"", "op.vm_snapshot_create: unknown field `domian`; did you mean `domain`?"),
        (
            "auto",
            "atuo",
            "op.vm_snapshot_create.memory: unknown value `atuo` of memory_mode; did you mean `auto`?",
        ),
        ("_create", "_crate", "unknown field `op.vm_snapshot_crate`; did you mean `op.vm_snapshot_create`?"),
        (
            "\"xvdb\"",
            "3",
            "op.vm_snapshot_create.disks[1]: invalid type: integer `3`, expected a string (vdev)",
        ),
        (
            "xvdb",
            "XVDB",
            "op.vm_snapshot_create.disks[1]: `XVDB` is not a vdev: `X` cannot be character 1; it must match `[a-z][a-z0-9]{1,15}`",
        ),
        (":1,", ":2,", "contract: 2 is not from 1 to 1"),
    ];
    for (from, to, message) in cases {
        assert!(CREATE.contains(from), "{from}");
        assert_eq!(refused(&CREATE.replacen(from, to, 1)), message);
    }
}

#[test]
fn what_is_not_json_is_told_by_line_and_column() {
    assert_eq!(refused("[]"), "invalid type: sequence, expected an object (request)");
    assert_eq!(refused("{\"contract\":1,}"), "not JSON: trailing comma at line 1, column 15");
    assert_eq!(refused(&format!("{CREATE}\n{{")), "not JSON: trailing characters at line 2, column 1");
    assert_eq!(refused(""), "not JSON: EOF while parsing a value at line 1, column 0");
    let unclosed = CREATE.trim_end_matches('}');
    assert_eq!(
        refused(unclosed),
        format!("not JSON: EOF while parsing an object at line 1, column {}", unclosed.len())
    );
}

/// What a hostile request holds does not come back in full.
#[test]
fn errors_are_short_whatever_the_request() {
    for text in [
        format!(r#"{{"{}":1}}"#, "k".repeat(1500)),
        CREATE.replace("web", &"\\u0001".repeat(300)),
        CREATE.replace("\"web\"", &"1".repeat(300)),
        CREATE.replace("auto", &"x".repeat(1500)),
        CREATE.replace("xvdb", &"\u{e9}".repeat(700)),
        CREATE.replace(":1,", &format!(":\"{}\",", "y".repeat(1500))),
    ] {
        let message = refused(&text);
        assert!(!message.starts_with("taken"), "{message}");
        assert!(message.len() < 700, "{} bytes: {message}", message.len());
        assert!(!message.contains('\u{1}'));
    }
}

#[test]
fn records_keep_what_they_do_not_know() {
    let text = AGENT.replace('}', r#","zeta":{"a":[1,2]},"alpha":null}"#);
    let status: AgentStatus = from_str(&text).unwrap();
    assert_eq!(status.extra.get("alpha").map(RawJson::as_str), Some("null"));
    assert_eq!(to_string(&status).unwrap(), text);
    let newer = OPERATION.replace("running", "sleeping").replace("\"cancel\"", "\"vm_migrate\"");
    let operation: Operation = from_str(&newer).unwrap();
    assert_eq!(operation.state, OperationState::Unknown("sleeping".into()));
    assert_eq!(operation.op.as_ref().and_then(OpKind::number), None);
    assert_eq!(to_string(&operation).unwrap(), newer);
    // A wrong type stays an error, in records too.
    assert!(from_str::<AgentStatus>(&AGENT.replace("\"pid\":7", "\"pid\":\"7\"")).is_err());
}

/// What one type does not know may be a key of another: moved there, it would make a duplicate.
#[test]
fn unknown_fields_cannot_become_known_ones() {
    let disk: Disk = from_str(&DISK.replace('{', r#"{"pid":1,"#)).unwrap();
    let mut status: AgentStatus = from_str(AGENT).unwrap();
    status.extra = disk.extra;
    assert_eq!(to_string(&status).unwrap_err().to_string(), "unknown field `pid` has a known name");
}

#[test]
fn the_json_of_others_is_kept_byte_for_byte() {
    let config = "{ \"name\" : \"web\",\n    \"b_info\": {\"max_memkb\": 1.0e3} }";
    let text = format!(
        r#"{{"contract":1,"uuid":"67e55044-10b1-426f-9247-bb680e5fe0c8","name":"web","driver":"qemu","config":{config},"disks":[],"last_seen":"2026-11-23T10:20:30.000000000Z","diverged":false}}"#
    );
    let domain: Domain = from_str(&text).unwrap();
    assert_eq!(domain.config.as_str(), config);
    assert_eq!(to_string(&domain).unwrap(), text);
}

#[test]
fn a_request_is_made_in_a_few_words() {
    let create = VmSnapshotCreate {
        memory: MemoryMode::None,
        name: Some("before-upgrade".parse().unwrap()),
        ..VmSnapshotCreate::new("web".parse().unwrap())
    };
    let request = Request::new(1, RequestOp::VmSnapshotCreate(create));
    let text = to_xenstore(&request).unwrap();
    let expected = r#"{"contract":1,"dry_run":false,"op.vm_snapshot_create":{"domain":"web","name":"before-upgrade","memory":"none","keep_boot_files":false}}"#;
    assert_eq!(text, expected);
    assert_eq!(from_xenstore::<Request>(text.as_bytes()).unwrap(), request);
    assert_eq!(Request::xenstore_path("op-1"), "/tool/xensnap/request/op-1");
    assert_eq!(Request::XENSTORE_FOLDER, "/tool/xensnap/request");
}
