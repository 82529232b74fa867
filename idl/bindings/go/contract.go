package xensnap

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// DocumentMax is how many bytes a document has at most.
	DocumentMax = 1 << 20
	// XenstoreMax is how many bytes a value in xenstore has at most.
	XenstoreMax = 2048
)

// The contract's JSON: compact and strict, equal values give equal bytes.
var contract = dialect{depthMax: 16, sizeMax: DocumentMax, halves: true}

// Extra is the fields that a newer version wrote, in order: kept, and written again after the known ones.
type Extra []ExtraField

// ExtraField is a field that a newer version wrote.
type ExtraField struct {
	Name  string
	Value json.RawMessage
}

// Get is the value of a field, if it is there.
func (e Extra) Get(name string) (json.RawMessage, bool) {
	for _, f := range e {
		if f.Name == name {
			return f.Value, true
		}
	}
	return nil, false
}

// UnknownArm is an arm of a union that a newer version knows: kept and written again.
type UnknownArm struct {
	// Arm is its name.
	Arm string
	// Value is what it holds.
	Value json.RawMessage
}

// isName says whether a text has the form of an enumeration's value.
func isName(text string) bool {
	if len(text) == 0 || len(text) > 64 || text[0] < 'a' || text[0] > 'z' {
		return false
	}
	for i := 0; i < len(text); i++ {
		if c := text[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_') {
			return false
		}
	}
	return true
}

type boolCodec struct{}

func (boolCodec) read(n *node) (bool, error) {
	return string(n.raw) == "true", n.expect(kindBool)
}

func (boolCodec) write(w *writer, value bool) error {
	if value {
		w.raw("true")
	} else {
		w.raw("false")
	}
	return nil
}

// intCodec is an integer from least to most.
type intCodec[T ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int8 | ~int16 | ~int32 | ~int64] struct{ least, most int64 }

func (c intCodec[T]) read(n *node) (T, error) {
	value, err := n.integer()
	if err != nil {
		return 0, err
	}
	if string(n.raw) == "-0" || !value.IsInt64() || value.Int64() < c.least || value.Int64() > c.most {
		return 0, refuse("%s is not from %d to %d", shown(string(n.raw)), c.least, c.most)
	}
	return T(value.Int64()), nil
}

func (c intCodec[T]) write(w *writer, value T) error {
	exact := new(big.Int)
	if value < 0 {
		exact.SetInt64(int64(value))
	} else {
		exact.SetUint64(uint64(value))
	}
	if !exact.IsInt64() || exact.Int64() < c.least || exact.Int64() > c.most {
		return cannot("%v is not from %d to %d", exact, c.least, c.most)
	}
	w.raw(exact.String())
	return nil
}

// pattern is a sequence of parts, each of which takes as many characters as it can: none shares one with what follows.
type pattern struct {
	text  string // as in the IDL
	parts []part
}

type part struct {
	ranges      []rune // first and last of each
	least, most int    // most < 0: no limit
}

func (p part) contains(r rune) bool {
	for i := 0; i+1 < len(p.ranges); i += 2 {
		if p.ranges[i] <= r && r <= p.ranges[i+1] {
			return true
		}
	}
	return false
}

// printable is text whose control characters are escaped.
func printable(text string) string {
	var out strings.Builder
	for _, r := range text {
		if r < 0x20 || r == 0x7f {
			fmt.Fprintf(&out, `\x%02x`, r)
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}

func (p *pattern) matches(text string) bool {
	rest := []rune(text)
	for _, part := range p.parts {
		n := 0
		for n < len(rest) && (part.most < 0 || n < part.most) && part.contains(rest[n]) {
			n++
		}
		if n < part.least {
			return false
		}
		rest = rest[n:]
	}
	return len(rest) == 0
}

// textRule is what a text has to be.
type textRule struct {
	name        string
	least, most int // bytes; most < 0: no limit
	pattern     *pattern
	isPath      bool
	of          *textRule // what this one narrows
}

func (r *textRule) fault(text string) string {
	if r.of != nil {
		if fault := r.of.fault(text); fault != "" {
			return fault
		}
	}
	no := shown(text) + " is not a " + r.name + ": "
	switch {
	case !utf8.ValidString(text):
		return no + "it is not UTF-8"
	case len(text) < r.least:
		return no + "at least " + fmt.Sprint(r.least) + " bytes"
	case r.most >= 0 && len(text) > r.most:
		return no + "at most " + fmt.Sprint(r.most) + " bytes"
	case r.pattern != nil && !r.pattern.matches(text):
		return no + "it must match `" + printable(r.pattern.text) + "`"
	case r.isPath && !strings.HasPrefix(text, "/"):
		return no + "it must be absolute"
	case r.isPath && strings.Contains(text+"/", "/../"):
		return no + "it must not hold `..`"
	case r.isPath && strings.Contains(text, "\x00"):
		return no + "it must not hold NUL"
	}
	return ""
}

var (
	stringRule = &textRule{name: "string", most: -1}
	pathRule   = &textRule{name: "path", most: -1, isPath: true}
)

type textCodec[T ~string] struct{ rule *textRule }

func (c textCodec[T]) read(n *node) (T, error) {
	text, err := n.text()
	if err != nil {
		return "", err
	}
	if fault := c.rule.fault(text); fault != "" {
		return "", refuse("%s", fault)
	}
	return T(text), nil
}

func (c textCodec[T]) write(w *writer, value T) error {
	if fault := c.rule.fault(string(value)); fault != "" {
		return cannot("%s", fault)
	}
	w.text(string(value))
	return nil
}

// rawCodec is JSON of somebody else, with limits of its text or none.
type rawCodec struct{ rule *textRule }

func (c rawCodec) read(n *node) (json.RawMessage, error) {
	if c.rule != nil {
		if fault := c.rule.fault(string(n.raw)); fault != "" {
			return nil, refuse("%s", fault)
		}
	}
	return append(json.RawMessage(nil), n.raw...), nil
}

func (c rawCodec) write(w *writer, value json.RawMessage) error {
	if c.rule != nil {
		if fault := c.rule.fault(string(value)); fault != "" {
			return cannot("%s", fault)
		}
	}
	return w.document(value)
}

const timestampForm = "2006-01-02T15:04:05.000000000Z"

type timeCodec struct{}

func (timeCodec) read(n *node) (time.Time, error) {
	text, err := n.text()
	if err != nil {
		return time.Time{}, err
	}
	value, err := time.Parse(timestampForm, text)
	if err != nil || value.Format(timestampForm) != text || value.Year() < 1 {
		return time.Time{}, refuse(
			"%s is not a timestamp: RFC 3339 in UTC with nine digits, as 2026-11-23T10:20:30.123456789Z", shown(text))
	}
	return value, nil
}

func (timeCodec) write(w *writer, value time.Time) error {
	value = value.UTC()
	if value.Year() < 1 || value.Year() > 9999 {
		return cannot("a timestamp outside of the years 1 to 9999")
	}
	w.text(value.Format(timestampForm))
	return nil
}

type uuidCodec struct{ anyCase bool }

func (c uuidCodec) read(n *node) (UUID, error) {
	text, err := n.text()
	if err != nil {
		return UUID{}, err
	}
	id, ok := parseUUID(text, c.anyCase)
	if !ok {
		return id, refuse("%s is not a uuid: 32 hex digits with dashes, as 8-4-4-4-12", shown(text))
	}
	return id, nil
}

func (uuidCodec) write(w *writer, value UUID) error {
	w.text(value.String())
	return nil
}

// enumCodec is one of several words; an open one keeps those that a newer version knows.
type enumCodec[T ~string] struct {
	name   string
	values []T
	open   bool
	unset  T // what the empty text stands for, if anything
}

func (c enumCodec[T]) known(value T) bool {
	for _, v := range c.values {
		if v == value {
			return true
		}
	}
	return c.open && isName(string(value))
}

func (c enumCodec[T]) read(n *node) (T, error) {
	text, err := n.text()
	if err != nil {
		return "", err
	}
	if !c.known(T(text)) {
		names := make([]string, len(c.values))
		for i, v := range c.values {
			names[i] = string(v)
		}
		return "", refuse("%s is no %s%s", shown(text), c.name, suggestion(text, names))
	}
	return T(text), nil
}

func (c enumCodec[T]) write(w *writer, value T) error {
	if value == "" {
		value = c.unset
	}
	if !c.known(value) {
		return cannot("%s is no %s", shown(string(value)), c.name)
	}
	w.text(string(value))
	return nil
}

// or is the codec of a field with a default, which the empty text stands for.
func (c enumCodec[T]) or(unset T) enumCodec[T] {
	c.unset = unset
	return c
}

// listCodec is a list of least to most elements; most < 0: no limit.
type listCodec[T any] struct {
	of          codec[T]
	least, most int
}

func listOf[T any](of codec[T], least, most int) codec[[]T] { return listCodec[T]{of, least, most} }

func (c listCodec[T]) read(n *node) ([]T, error) {
	if err := n.expect(kindArray); err != nil {
		return nil, err
	}
	list := make([]T, 0, len(n.list))
	for i, element := range n.list {
		value, err := c.of.read(element)
		if err != nil {
			return nil, within(index(i), err)
		}
		list = append(list, value)
	}
	if c.isOutside(len(list)) {
		return nil, refuse("%d elements, not %d to %d", len(list), c.least, c.most)
	}
	return list, nil
}

func (c listCodec[T]) isOutside(count int) bool {
	return count < c.least || c.most >= 0 && count > c.most
}

func index(i int) string { return fmt.Sprintf("[%d]", i) }

func (c listCodec[T]) write(w *writer, value []T) error {
	if c.isOutside(len(value)) {
		return cannot("%d elements, not %d to %d", len(value), c.least, c.most)
	}
	w.open('[')
	for i, element := range value {
		w.member()
		if err := c.of.write(w, element); err != nil {
			return within(index(i), err)
		}
	}
	w.close(']')
	return nil
}
