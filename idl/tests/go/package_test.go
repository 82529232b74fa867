// Package tests uses the generated packages t (everything.idl), libxl (libxl_everything.idl) and xensnap (the contract), as a
// user has them. idl/tests/go.rs makes them, and runs this.
package tests

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"libxl"
	"t"
	"xensnap"
)

const create = `{"contract":1,"dry_run":false,"op.vm_snapshot_create":{"domain":"web","name":"before-upgrade","memory":"none",` +
	`"keep_boot_files":false}}`

func equal(t *testing.T, found, expected any) {
	t.Helper()
	if !reflect.DeepEqual(found, expected) {
		t.Errorf("found    %#v\nexpected %#v", found, expected)
	}
}

func said(err error) string {
	if err == nil {
		return "taken"
	}
	return err.Error()
}

func TestARequestIsMadeInAFewWords(t *testing.T) {
	request := xensnap.RequestFor(&xensnap.VMSnapshotCreate{
		Domain: "web",
		Name:   xensnap.Ptr[xensnap.SnapshotName]("before-upgrade"),
		Memory: xensnap.MemoryModeNone,
	})
	text, err := request.MarshalJSON()
	equal(t, string(text)+said(err), create+"taken")
	var again xensnap.Request
	equal(t, said(again.UnmarshalJSON([]byte(create))), "taken")
	equal(t, &again, request)
	equal(t, said(json.Unmarshal([]byte(create), &again)), "taken")
	equal(t, xensnap.RequestPath("a"), "/tool/xensnap/request/a")
}

func TestAnUnsetWordIsItsDefault(t *testing.T) {
	text, err := xensnap.VMSnapshotCreate{Domain: "web"}.MarshalJSON()
	equal(t, string(text)+said(err), `{"domain":"web","memory":"auto","keep_boot_files":false}taken`)
	var read xensnap.VMSnapshotCreate
	equal(t, said(read.UnmarshalJSON([]byte(`{"domain":"web"}`))), "taken")
	equal(t, read.Memory, xensnap.MemoryModeAuto)
}

func TestErrorsNameThePathAndWhatWasMeant(t *testing.T) {
	for _, c := range [][3]string{
		{`"domain"`, `"domian"`, `op.vm_snapshot_create: unknown field "domian"; did you mean "domain"?`},
		{"none", "nome", `op.vm_snapshot_create.memory: "nome" is no memory_mode; did you mean "none"?`},
		{":1,", ":2,", `contract: "2" is not from 1 to 1`},
		{`"contract":1,`, "", "missing field `contract`"},
		{`{"contract"`, `{"contract":1,"contract"`, `duplicate key "contract"`},
		{"}}", "}", "not JSON: expected `,` or `}`, found the end of the text at byte 134"},
	} {
		var request xensnap.Request
		err := request.UnmarshalJSON([]byte(strings.Replace(create, c[0], c[1], 1)))
		equal(t, said(err), c[2])
		var decode *xensnap.DecodeError
		equal(t, errors.As(err, &decode), true)
	}
}

func TestAValueOutsideItsLimitsIsNotWritten(t *testing.T) {
	for _, c := range []struct {
		value   json.Marshaler
		message string
	}{
		{xensnap.Cancel{Operation: "a b"}, "operation: \"a b\" is not a operation_id: it must match `[A-Za-z0-9_-]{1,64}`"},
		{xensnap.VMSnapshotCreate{Domain: "w", Disks: []xensnap.Vdev{"xvda", "XVDB"}},
			"disks[1]: \"XVDB\" is not a vdev: it must match `[a-z][a-z0-9]{1,15}`"},
		{xensnap.VMSnapshotCreate{Domain: "w", Disks: []xensnap.Vdev{}}, "disks: 0 elements, not 1 to 24"},
		{xensnap.VMSnapshotCreate{Domain: "w", PauseMax: xensnap.Ptr(-time.Second)}, "pause_max: -1000000000 is not from 0 to 9007199254740991"},
		{xensnap.VMSnapshotCreate{Domain: "w", Memory: "some"}, `memory: "some" is no memory_mode`},
		{xensnap.Cancel{Operation: "\xff"}, `operation: "\xff" is not a operation_id: it is not UTF-8`},
		{xensnap.Request{Contract: 1}, "op: no arm of it is set"},
	} {
		_, err := c.value.MarshalJSON()
		equal(t, said(err), c.message)
	}
}

func TestUnknownValuesAndFieldsAreKept(t *testing.T) {
	const text = `{"kind":"not_yet","message":"m","zz":1.50,"aa":{"b":[ ],"a":"\u0041"}}`
	var e xensnap.Error
	equal(t, said(e.UnmarshalJSON([]byte(text))), "taken")
	_, known := e.Kind.Number()
	equal(t, known, false)
	raw, there := e.Extra.Get("zz")
	equal(t, string(raw)+fmt.Sprint(there), "1.50true")
	again, _ := e.MarshalJSON()
	equal(t, string(again), text)
	e.Extra = append(e.Extra, xensnap.ExtraField{Name: "kind", Value: json.RawMessage("1")})
	_, err := e.MarshalJSON()
	equal(t, said(err), `unknown field "kind" has a known name`)
	number, known := xensnap.ErrorKindNoDomain.Number()
	equal(t, []any{number, known}, []any{2, true})
}

func TestArmsOfUnionsAreTypes(test *testing.T) {
	late := t.Late{Size: &t.LatePartType{}}
	text, err := late.MarshalJSON()
	equal(test, string(text)+said(err), `{"ids":[],"size.type":{}}taken`)
	var newer t.Late
	equal(test, said(newer.UnmarshalJSON([]byte(`{"ids":[],"size.huge":[1, 2]}`))), "taken")
	unknown, _ := newer.Size.(*t.UnknownArm)
	equal(test, unknown, &t.UnknownArm{Arm: "huge", Value: json.RawMessage("[1, 2]")})
	text, _ = newer.MarshalJSON()
	equal(test, string(text), `{"ids":[],"size.huge":[1, 2]}`)
	unknown.Arm = "small"
	_, err = newer.MarshalJSON()
	equal(test, said(err), `"size.small" cannot be an unknown arm`)
}

func TestANewValueHasItsDefaults(test *testing.T) {
	strict := t.NewStrict()
	equal(test, []any{strict.Flag, strict.Mid, strict.Text, strict.Colour}, []any{true, uint16(7), "abc", t.ColourDarkBlue})
	everything := libxl.NewEverything()
	equal(test, []any{everything.Flag, everything.Devid, everything.U32, everything.Kind},
		[]any{true, int32(-1), uint32(1<<32 - 1), libxl.KindInvalid})
	equal(test, everything.V, &libxl.EverythingVOther{Key: 0})
	equal(test, everything.ArchArm.NrSpis, uint32(1<<32-1))
}

func TestInstantsAreExact(t *testing.T) {
	const status = `{"contract":1,"version":"0","pid":7,"boot_id":"67e55044-10b1-426f-9247-bb680e5fe0c8","started_at":"TIME",` +
		`"heartbeat_at":"2026-11-23T10:20:40.000000001Z","operations":0,"ignored":0}`
	for text, good := range map[string]bool{
		"2026-11-23T10:20:30.123456789Z": true, "0001-01-01T00:00:00.000000000Z": true, "9999-12-31T23:59:59.999999999Z": true,
		"2026-11-23T10:20:30Z": false, "2026-02-30T00:00:00.000000000Z": false, "2026-11-23T10:20:60.000000000Z": false,
		"0000-01-01T00:00:00.000000000Z": false, "2026-11-23T10:20:30.123456789+00:00": false, "2026-11-23T1:20:30.123456789Z": false,
		"2026-11-23T10:20:30,123456789Z": false,
	} {
		var read xensnap.AgentStatus
		document := strings.Replace(status, "TIME", text, 1)
		if err := read.UnmarshalJSON([]byte(document)); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
		if good {
			again, err := read.MarshalJSON()
			equal(t, string(again)+said(err), document+"taken")
		}
	}
}

func TestDocumentsAreBounded(t *testing.T) {
	var e xensnap.Error
	equal(t, said(e.UnmarshalJSON([]byte(create+strings.Repeat(" ", 1<<20)))), "1048711 bytes; at most 1048576")
	deep := `{"kind":"limit","message":"m","zz":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + "}"
	equal(t, said(e.UnmarshalJSON([]byte(deep))), "nested deeper than 16")
	e = xensnap.Error{Kind: "limit", Extra: xensnap.Extra{{Name: "zz", Value: json.RawMessage(deep[35 : len(deep)-1])}}}
	_, err := e.MarshalJSON()
	equal(t, said(err), "nested deeper than 16")
	var everything libxl.Everything
	million := `{"x":` + strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000) + "}"
	equal(t, said(everything.UnmarshalJSON([]byte(million))), "taken")
}

func TestEveryEscapeHasOneForm(t *testing.T) {
	short := map[rune]string{'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`}
	for code := rune(1); code < 0x2100; code++ {
		escaped, ok := short[code]
		if !ok {
			escaped = string(code)
			if code < 0x20 {
				escaped = fmt.Sprintf(`\u%04x`, code)
			}
		}
		const head, tail = `{"vdev":"xvda","path":"/`, `","format":"raw","read_only":false,"cdrom":false}`
		var disk xensnap.Disk
		equal(t, said(disk.UnmarshalJSON([]byte(head+fmt.Sprintf(`\u%04X`, code)+tail))), "taken")
		equal(t, disk.Path, "/"+string(code))
		text, err := disk.MarshalJSON()
		equal(t, string(text)+said(err), head+escaped+tail+"taken")
	}
}

func full() libxl.Everything {
	value := libxl.NewEverything()
	value.Flag = false
	value.Default = libxl.Ptr(true)
	value.Null[15] = 1
	value.MAC = libxl.MAC{0, 0x16, 0x3e, 1, 2, 3}
	value.Return = []uint32{3, 9}
	value.CPUID = libxl.CPUIDPolicyList{
		CPUID: []libxl.CPUIDLeaf{{Leaf: 1, EAX: libxl.Ptr(strings.Repeat("x", 32))}},
		MSR:   []libxl.MSR{{Index: 0x10a, Policy: strings.Repeat("0", 64)}},
	}
	value.List = []string{"a", ""}
	value.Map = []libxl.KeyValue{{Key: "k", Value: libxl.Ptr("v")}, {Key: "none"}}
	value.Caps = [8]uint32{1, 2, 3, 4, 5}
	value.Genid[0] = 7
	value.Text = libxl.Ptr("\x1f/\u00e9")
	value.U64 = 1 << 63
	value.Kind = 77
	value.Kinds = []libxl.Kind{libxl.Kind9pfs, -7}
	value.Strings = []*string{nil, libxl.Ptr("x")}
	value.Lists = [][]uint32{{0}, nil}
	value.U = &libxl.Everything9pfs{Path: libxl.Ptr("/p"), Vga: libxl.Everything9pfsVga{RAM: 5}}
	value.V = &libxl.EverythingDiskEject{}
	return value
}

func TestEveryKindOfValueComesBack(t *testing.T) {
	value := full()
	text, err := value.MarshalJSON()
	equal(t, said(err), "taken")
	var again libxl.Everything
	equal(t, said(again.UnmarshalJSON(text)), "taken")
	equal(t, again, value)
	equal(t, strings.Contains(string(text), "\"text\": \"\\u001F/\u00e9\""), true)
	value.U = &libxl.EverythingUOther{Key: libxl.Kind128}
	text, _ = value.MarshalJSON()
	equal(t, strings.Contains(string(text), "\"type\": \"128\""), true)
	equal(t, []string{libxl.Kind9pfs.String(), libxl.Kind(77).String()}, []string{"9pfs", "77"})
	kind, err := libxl.ParseKind("9PFS")
	equal(t, []any{kind, err}, []any{libxl.Kind9pfs, nil})
}

func TestWhatIsWrongIsRefused(t *testing.T) {
	for text, message := range map[string]string{
		`{"kinds":["none","9pfss"]}`:        `kinds[1]: "9pfss" is no kind; did you mean "9pfs"?`,
		`{"type.9pfs":{"vga":{"ram":-1}}}`:  "type.9pfs.vga.ram: -1 is not from 0 to 18446744073709551615",
		`{"small":128}`:                     "small: 128 is not from -128 to 127",
		`{"map":{"a":[]}}`:                  "map.a: an array where a string or null belongs",
		`{"text":"a","text":"b"}`:           `"text" is there twice`,
		`{"text":5}`:                        "text: an integer where a string or null belongs",
		`{"type.9pfs":{},"type.none":{}}`:   `"type.9pfs" and "type.none" are two arms of one union; libxl aborts on that`,
		`{"x":"\ud800"}`:                    "half of a surrogate pair, which is no text",
		`{"cpuid":{"cpuid":[{"eax":"x"}]}}`: `cpuid.cpuid[0].eax: "x" is not 32 characters`,
	} {
		var value libxl.Everything
		equal(t, said(value.UnmarshalJSON([]byte(text))), message)
	}
}

func TestNoPrefixAndNoChangedByteMakesAnythingButAnError(t *testing.T) {
	whole, _ := full().MarshalJSON()
	for _, c := range []struct {
		text string
		new  func() interface {
			json.Marshaler
			json.Unmarshaler
		}
	}{
		{create, func() interface {
			json.Marshaler
			json.Unmarshaler
		} {
			return &xensnap.Request{}
		}},
		{string(whole), func() interface {
			json.Marshaler
			json.Unmarshaler
		} {
			return &libxl.Everything{}
		}},
	} {
		read := 0
		for at := range c.text {
			for _, changed := range []string{"", "0", "\"", "}", ",", "x", "\x80"} {
				text := c.text[:at]
				if changed != "" {
					text += changed + c.text[at+1:]
				}
				value, again := c.new(), c.new()
				if value.UnmarshalJSON([]byte(text)) != nil {
					continue
				}
				read++
				written, err := value.MarshalJSON()
				if err != nil || again.UnmarshalJSON(written) != nil || !reflect.DeepEqual(value, again) {
					t.Fatalf("%s: %v", text, err)
				}
			}
		}
		if read < 50 {
			t.Errorf("only %d were read", read)
		}
	}
}
