package PACKAGE

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

// field is a field or a union of a struct.
type field[S any] struct {
	// Its keys in JSON; a union has one for each arm.
	keys []string
	// What begins the keys of a union.
	prefix   string
	required bool
	read     func(v *S, key string, n *node) error
	write    func(w *writer, v *S, known func(string) bool) error
}

func writeKey[T any](w *writer, key string, c codec[T], value T) error {
	w.key(key)
	if err := c.write(w, value); err != nil {
		return within(key, err)
	}
	return nil
}

func required[S, T any](key string, at func(*S) *T, c codec[T]) field[S] {
	return field[S]{
		keys:     []string{key},
		required: true,
		read: func(v *S, _ string, n *node) (err error) {
			*at(v), err = c.read(n)
			return err
		},
		write: func(w *writer, v *S, _ func(string) bool) error { return writeKey(w, key, c, *at(v)) },
	}
}

// withDefault is a field that is always written and may be absent when read: it stays as it begins then.
func withDefault[S, T any](key string, at func(*S) *T, c codec[T]) field[S] {
	f := required(key, at, c)
	f.required = false
	return f
}

// optional is a field that is left out when it is nil.
func optional[S, T any](key string, at func(*S) **T, c codec[T]) field[S] {
	return field[S]{
		keys: []string{key},
		read: func(v *S, _ string, n *node) error {
			value, err := c.read(n)
			*at(v) = &value
			return err
		},
		write: func(w *writer, v *S, _ func(string) bool) error {
			if value := *at(v); value != nil {
				return writeKey(w, key, c, *value)
			}
			return nil
		},
	}
}

// optionalList is a list that is left out when it is nil.
func optionalList[S any, T ~[]E, E any](key string, at func(*S) *T, c codec[T]) field[S] {
	f := withDefault(key, at, c)
	always := f.write
	f.write = func(w *writer, v *S, known func(string) bool) error {
		if *at(v) == nil {
			return nil
		}
		return always(w, v, known)
	}
	return f
}

// arm is an arm of the union U.
type arm[U any] struct {
	name  string
	read  func(n *node) (U, error)
	write func(w *writer, key string, value U) (bool, error)
}

// armOf is the arm that holds a P: the union's interface is implemented by *P.
func armOf[U, P any](name string, c codec[P]) arm[U] {
	return arm[U]{
		name: name,
		read: func(n *node) (U, error) {
			value, err := c.read(n)
			held, _ := any(&value).(U)
			return held, err
		},
		write: func(w *writer, key string, value U) (bool, error) {
			held, ok := any(value).(*P)
			if !ok || held == nil {
				return false, nil
			}
			return true, writeKey(w, key, c, *held)
		},
	}
}

// union is one key of its object for each arm.
func union[S, U any](keyvar string, name string, at func(*S) *U, arms ...arm[U]) field[S] {
	prefix := keyvar + "."
	byKey := map[string]arm[U]{}
	f := field[S]{prefix: prefix, required: true}
	for _, a := range arms {
		byKey[prefix+a.name] = a
		f.keys = append(f.keys, prefix+a.name)
	}
	f.read = func(v *S, key string, n *node) (err error) {
		a, ok := byKey[key]
		if !ok {
			held, _ := any(&UnknownArm{key[len(prefix):], append(json.RawMessage(nil), n.raw...)}).(U)
			*at(v) = held
			return nil
		}
		*at(v), err = a.read(n)
		return err
	}
	f.write = func(w *writer, v *S, known func(string) bool) error {
		value := *at(v)
		if u, ok := any(value).(*UnknownArm); ok && u != nil {
			key := prefix + u.Arm
			if known(key) || !isName(u.Arm) {
				return cannot("%s cannot be an unknown arm", shown(key))
			}
			return writeKey[json.RawMessage](w, key, rawCodec{}, u.Value)
		}
		for _, a := range arms {
			if written, err := a.write(w, prefix+a.name, value); written || err != nil {
				return err
			}
		}
		return within(name, cannot("no arm of it is set"))
	}
	return f
}

// structCodec is a struct of the contract.
type structCodec[S any] struct {
	fields []field[S]
	byKey  map[string]int
	names  []string
	// Where it keeps what it does not know; nil: that is refused.
	extra func(*S) *Extra
	// A new one, with its defaults.
	fresh func() S
}

func structOf[S any](fresh func() S, extra func(*S) *Extra, fields ...field[S]) *structCodec[S] {
	c := &structCodec[S]{fields: fields, byKey: map[string]int{}, extra: extra, fresh: fresh}
	for i, f := range fields {
		for _, key := range f.keys {
			c.byKey[key] = i
			c.names = append(c.names, key)
		}
	}
	return c
}

func zero[S any]() (none S) { return none }

func (c *structCodec[S]) known(key string) bool {
	_, known := c.byKey[key]
	return known
}

func (c *structCodec[S]) read(n *node) (S, error) {
	v := c.fresh()
	if err := n.expect(kindObject); err != nil {
		return v, err
	}
	seen := make([]bool, len(c.fields))
	for _, m := range n.members {
		key, err := unquote(m.rawKey)
		if err != nil {
			return v, err
		}
		at, known := c.byKey[key]
		if !known {
			at, known, err = c.unknown(&v, key, m.value)
			if err != nil {
				return v, err
			}
			if !known {
				continue
			}
		}
		if seen[at] {
			return v, twice(c.fields[at].prefix, key)
		}
		seen[at] = true
		if err := c.fields[at].read(&v, key, m.value); err != nil {
			return v, within(key, err)
		}
	}
	for i, f := range c.fields {
		if f.required && !seen[i] {
			if len(f.keys) == 1 && f.prefix == "" {
				return v, refuse("missing field `%s`", f.keys[0])
			}
			return v, refuse("missing field: one of `%s`", strings.Join(f.keys, "`, `"))
		}
	}
	return v, nil
}

func twice(prefix, key string) error {
	if prefix != "" {
		return refuse("%s is a second key of `%s`: only one can be there", shown(key), strings.TrimSuffix(prefix, "."))
	}
	return refuse("duplicate key %s", shown(key))
}

// unknown keeps a field that is not known; an arm that is not known belongs to the field whose number is returned.
func (c *structCodec[S]) unknown(v *S, key string, n *node) (int, bool, error) {
	if c.extra == nil {
		return 0, false, refuse("unknown field %s%s", shown(key), suggestion(key, c.names))
	}
	for i, f := range c.fields {
		if f.prefix != "" && strings.HasPrefix(key, f.prefix) {
			if !isName(key[len(f.prefix):]) {
				return 0, false, refuse("%s is not a key of `%s`", shown(key), strings.TrimSuffix(f.prefix, "."))
			}
			return i, true, nil
		}
	}
	extra := c.extra(v)
	if _, there := extra.Get(key); there {
		return 0, false, refuse("duplicate key %s", shown(key))
	}
	*extra = append(*extra, ExtraField{key, append(json.RawMessage(nil), n.raw...)})
	return 0, false, nil
}

func (c *structCodec[S]) write(w *writer, v S) error {
	w.open('{')
	for _, f := range c.fields {
		if err := f.write(w, &v, c.known); err != nil {
			return err
		}
	}
	if c.extra != nil {
		for _, f := range *c.extra(&v) {
			if c.known(f.Name) {
				return cannot("unknown field %s has a known name", shown(f.Name))
			}
			if err := writeKey[json.RawMessage](w, f.Name, rawCodec{}, f.Value); err != nil {
				return err
			}
		}
	}
	w.close('}')
	return nil
}

// sameAs is the codec of an arm that shares its struct with another: W embeds the struct.
type sameAs[W, S any] struct {
	of codec[S]
	at func(*W) *S
}

func (c sameAs[W, S]) read(n *node) (W, error) {
	var outer W
	inner, err := c.of.read(n)
	*c.at(&outer) = inner
	return outer, err
}

func (c sameAs[W, S]) write(w *writer, value W) error { return c.of.write(w, *c.at(&value)) }
