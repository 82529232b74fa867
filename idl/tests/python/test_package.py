"""The generated packages `t` (everything.idl), `libxl` (libxl_everything.idl) and `xensnap` (the contract), as a user has them.

`idl/tests/python.rs` makes them, and runs this with all three in PYTHONPATH."""

import pickle
import unittest
from uuid import UUID

import libxl
import t
import xensnap
from xensnap import _contract, _json


class Contract(unittest.TestCase):
    CREATE = (
        '{"contract":1,"dry_run":false,"op.vm_snapshot_create":{"domain":"web","name":"before-upgrade","memory":"none",'
        '"keep_boot_files":false}}'
    )

    def refused(self, text, of=xensnap.Request):
        with self.assertRaises(xensnap.DecodeError) as caught:
            of.from_json(text)
        return str(caught.exception)

    def test_a_request_is_made_in_a_few_words(self):
        create = xensnap.VmSnapshotCreate(domain="web", name="before-upgrade", memory=xensnap.MemoryMode.NONE)
        request = xensnap.Request(contract=1, op=create)
        self.assertEqual(request.to_json(), self.CREATE)
        self.assertEqual(xensnap.Request.from_json(self.CREATE), request)
        self.assertEqual(xensnap.Request.from_json(self.CREATE.encode()), request)
        self.assertEqual(xensnap.Request.xenstore_path("a"), "/tool/xensnap/request/a")

    def test_errors_name_the_path_and_what_was_meant(self):
        for old, new, message in [
            ('"domain"', '"domian"', 'op.vm_snapshot_create: unknown field "domian"; did you mean "domain"?'),
            ("none", "nome", 'op.vm_snapshot_create.memory: "nome" is no memory_mode; did you mean "none"?'),
            (":1,", ":2,", "contract: 2 is not from 1 to 1"),
            ('"contract":1,', "", "missing field `contract`"),
            ('{"contract"', '{"contract":1,"contract"', 'duplicate key "contract"'),
        ]:
            self.assertEqual(self.refused(self.CREATE.replace(old, new, 1)), message)

    def test_a_value_outside_its_limits_is_not_written(self):
        for request, message in [
            (xensnap.Cancel(operation="a b"), 'operation: "a b" is not a operation_id: it must match `[\\-0-9A-Z_a-z]{1,64}`'),
            (xensnap.VmSnapshotCreate(domain="w", disks=["xvda", "XVDB"]), 'disks[1]: "XVDB" is not a vdev: it must match `[a-z][0-9a-z]{1,15}`'),
            (xensnap.VmSnapshotCreate(domain="w", disks=[]), "disks: 0 elements, at least 1"),
            (xensnap.VmSnapshotCreate(domain="w", pause_max=-1), "pause_max: -1 is not from 0 to 9007199254740991"),
            (xensnap.VmSnapshotCreate(domain="w", description="\ud800"), "half of a surrogate pair, which is no text"),
            (xensnap.VmSnapshotCreate(domain=7), "domain: 7 is no text"),
        ]:
            with self.assertRaises(xensnap.EncodeError) as caught:
                request.to_json()
            self.assertEqual(str(caught.exception), message)

    def test_unknown_values_and_fields_are_kept(self):
        text = '{"kind":"not_yet","message":"m","zz":1.50,"aa":{"b":[ ],"a":"\\u0041"}}'
        error = xensnap.Error.from_json(text)
        self.assertFalse(error.kind.is_known)
        self.assertIsNone(error.kind.number)
        self.assertEqual(error.kind, xensnap.ErrorKind("not_yet"))
        self.assertEqual((list(error.extra), error.extra["zz"].value), (["zz", "aa"], 1.5))
        self.assertEqual(error.to_json(), text)
        error.extra["kind"] = xensnap.RawJson("1")
        self.assertRaises(xensnap.EncodeError, error.to_json)
        self.assertRaises(ValueError, xensnap.ErrorKind, "Not yet")
        self.assertRaises(ValueError, xensnap.MemoryMode, "not_yet")

    def test_known_values_are_words_and_numbers(self):
        kind = xensnap.ErrorKind("no_domain")
        self.assertIs(kind, xensnap.ErrorKind.NO_DOMAIN)
        self.assertEqual((kind.number, str(kind), f"{kind}", kind == "no_domain"), (2, "no_domain", "no_domain", True))
        self.assertEqual({"no_domain": 1}[kind], 1)
        self.assertIs(pickle.loads(pickle.dumps(kind)), kind)

    def test_arms_of_unions_are_classes(self):
        late = t.Late(ids=[], size=t.LatePartType())
        self.assertEqual(late.to_json(), '{"ids":[],"size.type":{}}')
        self.assertEqual(t.Late.from_json(late.to_json()), late)
        newer = t.Late.from_json('{"ids":[],"size.huge":[1, 2]}')
        self.assertEqual(newer.size, t.UnknownArm("huge", t.RawJson("[1, 2]")))
        self.assertEqual(newer.to_json(), '{"ids":[],"size.huge":[1, 2]}')
        newer.size = t.UnknownArm("small", t.RawJson("1"))
        self.assertRaises(t.EncodeError, newer.to_json)

    def test_instants_are_exact(self):
        text = "2026-11-23T10:20:30.123456789Z"
        instant = xensnap.Timestamp.parse(text)
        self.assertEqual((str(instant), instant.unix_nanos), (text, 1_795_429_230_123_456_789))
        self.assertEqual(instant.to_datetime().microsecond, 123456)
        self.assertEqual(str(xensnap.Timestamp.from_datetime(instant.to_datetime())), "2026-11-23T10:20:30.123456000Z")
        for text in ["0001-01-01T00:00:00.000000000Z", "9999-12-31T23:59:59.999999999Z"]:
            self.assertEqual(str(xensnap.Timestamp.parse(text)), text)
        for bad in ["2026-11-23T10:20:30Z", "2026-02-30T00:00:00.000000000Z", "2026-11-23T10:20:60.000000000Z", "0000-01-01T00:00:00.000000000Z"]:
            self.assertRaises(ValueError, xensnap.Timestamp.parse, bad)

    def test_documents_are_bounded(self):
        self.assertRegex(self.refused(self.CREATE + " " * (1 << 20)), "bytes; at most 1048576")
        deep = '{"kind":"limit","message":"m","zz":' + "[" * 16 + "]" * 16 + "}"
        self.assertEqual(self.refused(deep, xensnap.Error), "nested deeper than 16")
        self.assertRaises(xensnap.DecodeError, _contract.RAW.loads, "[" * 1_000_000)

    def test_every_escape_has_one_form(self):
        for code in [*range(1, 0x80), 0xE9, 0x2028, 0xFFFD, 0x1F4BE]:
            c = chr(code)
            short = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
            escaped = short.get(c) or (f"\\u{code:04x}" if code < 0x20 else c)
            self.assertEqual(_contract.PATH.dumps("/" + c), f'"/{escaped}"')
            units = c.encode("utf-16-be")
            other = "".join(f"\\u{units[i] << 8 | units[i + 1]:04X}" for i in range(0, len(units), 2))
            self.assertEqual(_contract.PATH.loads(f'"\\/{other}"'), "/" + c)


class Libxl(unittest.TestCase):
    def test_a_new_value_is_what_libxls_init_leaves(self):
        new = libxl.Everything()
        self.assertEqual((new.flag, new.devid, new.u32, new.kind), (True, -1, 0xFFFFFFFF, libxl.Kind.INVALID))
        self.assertEqual((new.u, new.v), (libxl.EverythingUNone(), libxl.NoArm(libxl.EventType(0))))
        self.assertEqual(new.arch_arm.nr_spis, 0xFFFFFFFF)

    def test_numbers_without_a_name_are_kept(self):
        kind = libxl.Kind(77)
        self.assertEqual((int(kind), str(kind), kind.is_known, kind == libxl.Kind(77)), (77, "77", False, True))
        self.assertIs(libxl.Kind.named("9PFS"), libxl.Kind.N9PFS)
        self.assertRaises(ValueError, libxl.Kind.named, "9pf")
        value = libxl.Everything(kind=kind, u=libxl.NoArm(libxl.Kind.N128))
        self.assertEqual(libxl.Everything.from_json(value.to_json()), value)
        self.assertIn('"type": "128"', value.to_json())

    def test_every_kind_of_value_comes_back(self):
        value = libxl.Everything(
            flag=False,
            default=True,
            null=UUID(int=1),
            mac="00:16:3e:01:02:03",
            return_=[3, 9],
            cpuid=libxl.CpuidPolicyList([libxl.CpuidLeaf(1, eax="x" * 32)], [libxl.Msr(0x10A, "0" * 64)]),
            list=["a", ""],
            map=[("k", "v"), ("none", None)],
            caps=[1, 2, 3, 4, 5, 0, 0, 0],
            genid=bytes(range(16)),
            text="\x1f/\u00e9",
            u64=1 << 63,
            kinds=[libxl.Kind.N9PFS, libxl.Kind(-7)],
            strings=[None, "x"],
            lists=[[0], []],
            u=libxl.Everything9pfs(path="/p", vga=libxl.Everything9pfsVga(ram=5)),
            v=libxl.EverythingDiskEject(),
        )
        text = value.to_json()
        self.assertEqual(libxl.Everything.from_json(text), value)
        self.assertIn('"text": "\\u001F/\u00e9"', text)
        self.assertTrue(text.endswith("}\n"))

    def test_what_is_wrong_is_refused(self):
        for text, message in [
            ('{"kinds":["none","9pfss"]}', 'kinds[1]: "9pfss" is no kind; did you mean "9pfs"?'),
            ('{"type.9pfs":{"vga":{"ram":-1}}}', "type.9pfs.vga.ram: -1 is not from 0 to 18446744073709551615"),
            ('{"small":128}', "small: 128 is not from -128 to 127"),
            ('{"map":{"a":[]}}', "map.a: an array where a string or null belongs"),
            ('{"text":"a","text":"b"}', '"text" is there twice'),
            ('{"text":5}', "text: an integer where a string or null belongs"),
            ('{"type.9pfs":{},"type.none":{}}', '"type.9pfs" and "type.none" are two arms of one union; libxl aborts on that'),
            ('{"x":"\\ud800"}', "half of a surrogate pair, which is no text"),
        ]:
            with self.assertRaises(libxl.DecodeError) as caught:
                libxl.Everything.from_json(text)
            self.assertEqual(str(caught.exception), message)

    def test_depth_costs_no_stack(self):
        text = '{"x":' + "[" * 100_000 + "]" * 100_000 + "}"
        self.assertEqual(libxl.Everything.from_json(text), libxl.Everything())


class Every(unittest.TestCase):
    def test_no_prefix_and_no_changed_byte_makes_anything_but_an_error(self):
        value = libxl.Everything(text="a", kinds=[libxl.Kind.NONE], map=[("a", None)], u=libxl.Everything9pfs(path="\n"))
        for of, text in [(xensnap.Request, Contract.CREATE), (libxl.Everything, value.to_json())]:
            errors = (_json.DecodeError, type(of._codec).__mro__ and libxl.DecodeError)
            read = 0
            for at in range(len(text)):
                for changed in [text[:at], *(text[:at] + c + text[at + 1 :] for c in '0"},x')]:
                    try:
                        again = of.from_json(changed)
                    except errors:
                        continue
                    read += 1
                    self.assertEqual(of.from_json(again.to_json()), again)
            self.assertGreater(read, 50)


if __name__ == "__main__":
    unittest.main()
