// Tests of the packages that `xenidl build --lang typescript` makes of the compiler's own inputs, which use every construct:
// idl/tests/ui/everything.idl (CONTRACT, a folder) and idl/tests/ui/libxl_everything.idl (LIBXL). Run by `check`.

import assert from "node:assert/strict";
import { test } from "node:test";

const contract = await import(`${process.env.CONTRACT}/dist/index.js`);
const libxl = await import(`${process.env.LIBXL}/dist/index.js`);
const { DecodeError, Early, EncodeError, Inner, Late, Line, OpenPart, RawJson, Strict, TSize, Tag } = contract;
const { Everything, Kind, Rebound } = libxl;

const STRICT =
  '{"flag":true,"small":0,"mid":7,"large":9007199254740991,"number":-5,"dom":32751,"text":"abc","colour":"dark_blue","type":"ab-1",' +
  '"at":"2026-11-23T10:20:30.123456789Z","for_long":5,"id":"67e55044-10b1-426f-9247-bb680e5fe0c8","path":"/a b/c","ram":0,"list":["red"],' +
  '"what.type":{}}';

const replaced = (from, to) => {
  assert.ok(STRICT.includes(from), from);
  return STRICT.replace(from, to);
};
const refused = (type, text, start, error = DecodeError) =>
  assert.throws(
    () => type.fromJson(text),
    (e) => {
      assert.ok(e instanceof error, String(e));
      assert.ok(e.message.startsWith(start), `${text}\n${e.message}\n${start}`);
      return true;
    },
  );

test("every construct is read and written in the same bytes", () => {
  const value = Strict.fromJson(STRICT);
  assert.equal(Strict.toJson(value), STRICT);
  assert.equal(Strict.toXenstore(Strict.fromXenstore(Buffer.from(STRICT))), STRICT);
  assert.deepEqual(value.what, { kind: "type" });
  assert.equal(value.forLong, 5);
  assert.ok(!("self" in value) && !("extra" in value));
  assert.equal(contract.strictPath(3, "x"), "/local/domain/3/t/x");
  assert.deepEqual(Strict.xenstore.path, "/local/domain/$DOMID/t/$ID");
  assert.ok(Strict.xenstore.sizeMax <= 2048);
});

test("defaults may be absent, are always written, and are made by create", () => {
  let text = STRICT;
  for (const part of ['"flag":true,', '"mid":7,', '"text":"abc",', '"colour":"dark_blue",', '"for_long":5,']) {
    assert.ok(text.includes(part));
    text = text.replace(part, "");
  }
  assert.equal(Strict.toJson(Strict.fromJson(text)), STRICT);
  assert.equal(Inner.toJson(Inner.create({})), '{"mode":"none"}');
  assert.equal(Inner.toJson(Inner.create({ flag: true, mode: "red" })), '{"flag":true,"mode":"red"}');
  assert.equal(contract.Nothing.toJson({}), "{}");
});

test("limits hold when reading, and the error names the path", () => {
  const cases = [
    ['"mid":7', '"mid":4', "mid: 4 is not from 5 to 500"],
    ['"small":0', '"small":256', "small: 256 is not from 0 to 255"],
    ['"small":0', '"small":-1', "small: -1 is not from 0 to 255"],
    ['"small":0', '"small":1.0', 'small: "1.0" where an integer from 0 to 255 belongs'],
    ['"small":0', '"small":1e1', 'small: "1e1"'],
    ['"small":0', '"small":-0', 'small: "-0"'],
    ['"small":0', '"small":"0"', "small: a string where an integer from 0 to 255 belongs"],
    ['"small":0', '"small":00', "expected `,` or `}`"],
    ["9007199254740991", "9007199254740992", "large: 9007199254740992 is not from 0 to 9007199254740991"],
    ["32751", "32752", "dom: 32752 is not from 0 to 32751"],
    ['"text":"abc"', '"text":""', "text: 0 bytes, at least 1"],
    ['"text":"abc"', '"text":"abcdefghij"', "text: 10 bytes, at most 9"],
    ['"text":"abc"', '"text":"a1"', 'text: "a1" does not match'],
    ['"text":"abc"', '"text":"ab\\n"', 'text: "ab\\n" does not match'],
    ['"ab-1"', '"ab-"', 'type: "ab-" is not a tag'],
    ['"list":["red"]', '"list":[]', "list: 0 elements, at least 1"],
    ['["red"]', '["red","red","red","red"]', "list: more than 3 elements"],
    ['["red"]', '["red","rde"]', 'list[1]: unknown value of colour "rde"; did you mean "red"?'],
    ['"/a b/c"', '"/aaaaaaaaaaaaaaaaaaaa"', "path: 21 bytes, at most 20"],
    ['"/a b/c"', '"/a/../b"', 'path: "/a/../b" is not a path'],
    ['"/a b/c"', '"a"', 'path: "a" is not a path'],
    ['"2026-11-23T10', '"2026-02-29T10', "at: "],
    ['30.123456789Z"', '60.123456789Z"', "at: "],
    ['"67e5', '"67E5', "id: "],
    ['"for_long":5', '"for_long":1000000001', "for_long: 1000000001 is not from 0 to 1000000000"],
    ['"small":0', '"smal":0', 'unknown field "smal"; did you mean "small"?'],
    ['"small":0,', "", 'missing field "small"'],
    ['"small":0', '"small":0,"small":0', 'duplicate key "small"'],
    ['"what.type":{}', '"what.type":{"a":1}', 'what.type: unknown field "a"'],
    ['"what.type":{}', '"what.small":{"mod":"red"}', 'what.small: unknown field "mod"; did you mean "mode"?'],
    ['"what.type":{}', '"what.type":{},"what.small":{}', '"what.small" is a second arm'],
    ['"what.type":{}', '"what.huge":{}', 'unknown field "what.huge"'],
    [',"what.type":{}', "", 'missing field: one of "what.small", "what.type"'],
    ['"flag":true', '"flag":null', "flag: null where a truth value belongs"],
    ['{}}', "{}} x", "expected the end of the text"],
    ['{}}', "{},}", "expected another member"],
  ];
  for (const [from, to, message] of cases) {
    refused(Strict, replaced(from, to), message);
  }
});

test("limits hold when writing", () => {
  const cases = [
    [(s) => (s.mid = 501), "mid: 501 is not an integer from 5 to 500"],
    [(s) => (s.mid = 5.5), "mid: 5.5 is not"],
    [(s) => (s.large = 2 ** 53), "large: 9007199254740992 is not"],
    [(s) => (s.text = "Abc"), 'text: "Abc" does not match'],
    [(s) => (s.line = "0123456789a"), "line: 11 bytes, at most 10"],
    [(s) => (s.list = []), "list: no list of 1 to 3 elements"],
    [(s) => (s.list = ["blue"]), "list[0]: unknown value of colour"],
    [(s) => (s.raw = new RawJson("[1,2,3,4,5,6,7,8,9,10]")), "raw: 22 bytes, at most 20"],
    [(s) => (s.what = { kind: "tpye" }), 'unknown arm of "what" "tpye"; did you mean "type"?'],
    [(s) => (s.what = { kind: "small", value: { mode: "blue" } }), "what.small.mode: unknown value"],
    [(s) => (s.extra = new Map([["new", new RawJson("1")]])), 'unknown field "new"'],
    [(s) => delete s.flag, "flag: no truth value"],
  ];
  for (const [spoil, message] of cases) {
    const value = Strict.fromJson(STRICT);
    spoil(value);
    assert.throws(
      () => Strict.toJson(value),
      (e) => e instanceof EncodeError && (e.message.startsWith(message) || assert.fail(`${e.message}\n${message}`)),
    );
  }
});

test("open types keep what they do not know, in order", () => {
  const text = '{"late":{"ids":[],"size.huge":{"n": 1.50},"z":null,"a":[ ]},"new":"\\u0001"}';
  const value = Early.fromJson(text);
  assert.equal(Early.toJson(value), text);
  assert.equal(value.late.size.kind, "unknown");
  assert.equal(value.late.size.arm, "huge");
  assert.equal(value.late.size.value.text, '{"n": 1.50}');
  assert.deepEqual([...value.late.extra.keys()], ["z", "a"]);
  const arm = '{"ids":[],"size.type":{"grown":1}}';
  assert.equal(Late.toJson(Late.fromJson(arm)), arm);
  assert.equal(
    Late.toJson(Late.fromJson('{"b":1,"size.type":{},"ids":[],"a":2,"__proto__":{"x":1}}')),
    '{"ids":[],"size.type":{},"b":1,"a":2,"__proto__":{"x":1}}',
  );
  refused(Late, '{"ids":[],"size.type":{},"a":1,"a":2}', 'duplicate key "a"');
  refused(Late, '{"ids":[],"size.":{}}', '"size." is not a key of "size"');
  refused(TSize, '"No"', "unknown value of t_size");
  refused(TSize, `"${"a".repeat(65)}"`, "unknown value");
  assert.equal(TSize.toJson(TSize.fromJson('"huge"')), '"huge"');
  assert.equal(TSize.number("huge"), undefined);
  for (const unknown of ["type", "", "Huge", "a.b", "\u{e9}"]) {
    const size = { kind: "unknown", arm: unknown, value: new RawJson("{}") };
    assert.throws(() => Late.toJson({ ids: [], size }), EncodeError);
  }
  assert.throws(
    () => Late.toJson({ ids: [], size: { kind: "type" }, extra: new Map([["ids", new RawJson("1")]]) }),
    EncodeError,
  );
});

test("JSON of someone else is kept byte for byte", () => {
  const text = '{"raw":{ "a" : [1.0,\n2e3, -0] , "a":"\\u00e9\\/\\ud800" }}';
  assert.equal(OpenPart.toJson(OpenPart.fromJson(text)), text.replace("{ ", "{ "));
  assert.equal(RawJson.of([1, 2]).text, "[1,2]");
  assert.throws(() => new RawJson("[1,]"), DecodeError);
  assert.equal(JSON.stringify({ a: new RawJson(" [1 ]") }), '{"a":[1]}');
});

test("documents are bounded", () => {
  const nest = (n) => `{"raw":${"[".repeat(n)}${"]".repeat(n)}}`;
  assert.ok(OpenPart.fromJson(nest(15)));
  refused(OpenPart, nest(16), "nested deeper than 16");
  assert.ok(OpenPart.fromJson(`{"raw":"\\"${"[".repeat(50)}"}`));
  const raw = new RawJson("[".repeat(16) + "]".repeat(16));
  assert.throws(() => OpenPart.toJson({ raw }), EncodeError);
  const long = (n) => `{"raw":"${"x".repeat(n - 10)}"}`;
  assert.ok(OpenPart.fromJson(long(1 << 20)));
  refused(OpenPart, long((1 << 20) + 1), "1048577 bytes; at most 1048576");
  assert.ok(OpenPart.fromXenstore(long(2048)));
  assert.throws(() => OpenPart.fromXenstore(long(2049)), DecodeError);
  assert.throws(() => OpenPart.toXenstore(OpenPart.fromJson(long(2049))), EncodeError);
  refused(OpenPart, Buffer.from('{"raw":"\xff"}', "latin1"), "not UTF-8");
  refused(OpenPart, '{"raw":"\ud800"}', "half of a surrogate pair");
  refused(OpenPart, "\ufeff{}", "expected a value");
});

test("strings have one form", () => {
  const all = Array.from({ length: 0x90 }, (_, i) => String.fromCharCode(i)).join("") + "/\u{1f4be}\u2028";
  const text = contract.types.get("early") && Early.toJson({ late: { ids: [], size: { kind: "type" } }, extra: new Map([[all, new RawJson("1")]]) });
  const key = text.slice(text.indexOf("}},") + 2);
  assert.ok(text.includes("\\u0000\\u0001") && text.includes("\\b\\t\\n\\u000b\\f\\r\\u000e") && text.includes("\\u001f !\\\""), key);
  assert.deepEqual([...Early.fromJson(text).extra.keys()], [all]);
});

test("timestamps", () => {
  assert.equal(contract.toTimestamp(new Date(1795429230123)), "2026-11-23T10:20:30.123000000Z");
  assert.equal(contract.fromTimestamp("2026-11-23T10:20:30.123456789Z").getTime(), 1795429230123);
  assert.throws(() => contract.toTimestamp(new Date(-1e14)), EncodeError);
  assert.ok(Tag.accepts("ab-1") && !Tag.accepts("ab-") && Line.accepts("\u{1f4be}") && !Line.accepts("a\n"));
});

// --- libxl's types

const squeeze = (text) => text.replace(/\s/g, "");

test("a new value is what libxl's _init leaves, and is left out", () => {
  const value = Everything.create();
  assert.deepEqual(
    [value.flag, value.devid, value.int, value.u32, value.memkb, value.small, value.number, value.kind],
    [true, -1, -1, 0xffffffff, 0xffffffffffffffffn, -2, 113, "invalid"],
  );
  assert.deepEqual([value.kindNone, value.event, value.u, value.v], ["none", 0, { kind: "none" }, { kind: "other", key: 0 }]);
  assert.equal(value.archArm.nrSpis, 0xffffffff);
  assert.equal(
    Everything.toJson(value),
    '{\n    "caps": [\n        0,\n        0,\n        0,\n        0\n    ],\n    "arch_arm": {\n\n    },\n    "type.none": {\n\n    }\n}\n',
  );
  assert.deepEqual(Everything.fromJson(Everything.toJson(value)), value);
});

test("every value is whole", () => {
  const full = Everything.create({
    flag: false,
    default: true,
    domid: 0xffffffff,
    devid: 0,
    null: "0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0f",
    mac: "00:16:3e:01:02:ff",
    return: [3, 9],
    cpuid: { cpuid: [{ leaf: 7, subleaf: 0, eax: "x".repeat(32), edx: "1".repeat(32) }], msr: [{ index: 266, policy: "0".repeat(64) }] },
    list: ["a/b", ""],
    map: [["k", '"\\\n\u{1f}\u{7f}é'], ["none", null]],
    caps: [1, 2, 3, 4, 5, 0, 0, 0],
    genid: Array(16).fill(1),
    text: "",
    int: -0x80000000,
    u32: 0x80000000,
    u64: 1n << 63n,
    size: 5n,
    memkb: 0n,
    memkbZero: 0xffffffffffffffffn,
    forUser: 0xffffffffffffffffn,
    small: 3,
    number: 0,
    kind: 77,
    kindNone: "128",
    event: "disk_eject",
    lists: [[0], []],
    kinds: ["9pfs", "none"],
    strings: [null, "x"],
    u: { kind: "other", key: "128" },
  });
  const text = Everything.toJson(full);
  const flat = squeeze(text);
  for (const part of [
    '"u32":2147483648', '"u64":9223372036854775808', '"for_user":18446744073709551615', '"a/b"', "\\u001F\u{7f}é", '"none":null',
    '"return":[3,9]', '"caps":[1,2,3,4,5,0,0,0]', '"kind":77', '"kinds":["9pfs","none"]', '"strings":[null,"x"]', '"lists":[[0],[]]',
    '"type":"128"',
  ]) {
    assert.ok(flat.includes(part), `${part}\n${text}`);
  }
  assert.deepEqual(Everything.fromJson(text), full);
  const cut = Everything.fromJson('{"u32": -2147483648, "u64": 18446744073709551615, "for_user": -9223372036854775808}');
  assert.deepEqual([cut.u32, cut.u64, cut.forUser], [0x80000000, 0xffffffffffffffffn, 1n << 63n]);
  assert.equal(Everything.fromJson('{"kind":"9PfS"}').kind, "9pfs");
  assert.equal(Kind.fromNumber(2), "128");
  assert.equal(Kind.number("default"), 3);
  // A number that has a name is that value.
  assert.equal(squeeze(Rebound.toJson({ new: true })), '{"new":true}');
  assert.ok(!Everything.toJson(Everything.create({ kindNone: 0 })).includes("kind_none"));
});

test("what is refused, and where", () => {
  for (const [text, message] of [
    ['{"kinds":["none","9pfss"]}', 'kinds[1]: "9pfss" is no kind; did you mean "9pfs"?'],
    ['{"arch_arm":{"gic":"retrun"}}', 'arch_arm.gic: "retrun" is no kind; did you mean "return"?'],
    ['{"type.9pfs":{"vga":{"ram":-1}}}', "type.9pfs.vga.ram: -1 is not from 0 to 18446744073709551615"],
    ['{"small":128}', "small: 128 is not from -128 to 127"],
    ['{"type.9pfs":{},"type.none":{}}', '"type.none" beside "type.9pfs"'],
    ['{"type.9pfs":{},"type":"none"}', '"type" beside "type.9pfs"'],
    ['{"return":[-1]}', "return[0]: -1 is no bit"],
    ['{"return":[2147483640]}', "return[0]: 2147483640 is no bit"],
    ['{"map":{"a":[]}}', "map.a: an array where a string or null belongs"],
    ['{"mac":" 1:-1:+3:aa:bb:cc:"}', "mac: "],
    ['{"default":"true"}', 'default: "true" is no defbool'],
    ['{"cpuid":{"cpuid":[{"leaf":1,"eax":"x"}],"msr":[]}}', 'cpuid.cpuid[0].eax: "x" is not 32 bits'],
    ['{"cpuid":{"cpuid":[]}}', 'cpuid: CPUID policies without "msr"'],
    ['{"text":5}', "text: 5 where a string or null belongs"],
    ['{"u32":1e3}', 'u32: "1e3", a number with a fraction or exponent'],
    ['{"text":"a","text":"b"}', '"text" is there twice'],
    ['{"x":"\\ud800"}', "half of a surrogate pair"],
    ['{"kind":2147483648}', "kind: 2147483648 is no number of C's int"],
    ['{"genid":[1]}', "genid: 1 bytes of a generation id"],
    ['{"caps":[1,2,3]}', "caps: 3 words of capabilities"],
    ["[]", "an array where an object belongs"],
    ["{} x", "expected the end of the text"],
    ["", "expected a value"],
  ]) {
    refused(Everything, text, message, libxl.DecodeError);
  }
  assert.ok(Everything.fromJson(`{"x":${"[".repeat(1e6)}${"]".repeat(1e6)}}`));
  for (const [wrong, message] of [
    [{ u32: -1 }, "u32: -1 is no bigint"], [{ u32: 1.5 }, "u32: 1.5 is no integer"], [{ u64: 5 }, "u64: 5 is no bigint"],
    [{ kind: "nine" }, 'kind: "nine" is no kind'], [{ mac: "x" }, "mac: "], [{ return: [-1] }, "return[0]: -1 is no bit"],
    [{ u: { kind: "9pf" } }, '"9pf" is no arm of "type"; did you mean "9pfs"?'], [{ text: 5 }, "text: no string"],
  ]) {
    assert.throws(
      () => Everything.toJson(Everything.create(wrong)),
      (e) => e instanceof libxl.EncodeError && (e.message.startsWith(message) || assert.fail(e.message)),
    );
  }
});
