package PACKAGE

import (
	"fmt"
	"math/big"
	"strings"
)

// libxl's JSON without its losses: the layout of libxl built on yajl, every value whole. It reads what either libxl writes
// (yajl up to Xen 4.20, json-c from 4.21 on) and what that lost of 32-bit numbers, and refuses what libxl would drop
// without a word.
var lossless = dialect{indented: true}

// cCodec also knows what a struct leaves out.
type cCodec[T any] interface {
	codec[T]
	isZero(value T) bool
}

type cBool struct{ boolCodec }

func (cBool) isZero(value bool) bool { return !value }

type integer interface {
	~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int8 | ~int16 | ~int32 | ~int64
}

// number is a number of C.
type number[T integer] struct{ bits uint }

func (c number[T]) isSigned() bool { return ^T(0) < 0 }

func (c number[T]) bounds() (least, most *big.Int) {
	one := big.NewInt(1)
	if c.isSigned() {
		half := new(big.Int).Lsh(one, c.bits-1)
		return new(big.Int).Neg(half), new(big.Int).Sub(half, one)
	}
	return new(big.Int), new(big.Int).Sub(new(big.Int).Lsh(one, c.bits), one)
}

func (c number[T]) read(n *node) (T, error) {
	value, err := n.integer()
	if err != nil {
		return 0, err
	}
	if value.Sign() < 0 && !c.isSigned() {
		c.wholeAgain(value)
	}
	least, most := c.bounds()
	if value.Cmp(least) < 0 || value.Cmp(most) > 0 {
		return 0, refuse("%v is not from %v to %v", value, least, most)
	}
	if c.isSigned() {
		return T(value.Int64()), nil
	}
	return T(value.Uint64()), nil
}

// wholeAgain repairs an unsigned number of which libxl wrote a negative one: json-c's casts 32 bits to int, yajl's prints
// some 64-bit numbers as signed. Between the two only what no int can be is certain.
func (c number[T]) wholeAgain(value *big.Int) {
	isInt := value.IsInt64() && value.Int64() >= -1<<31
	if c.bits == 32 && isInt || c.bits == 64 && !isInt && value.IsInt64() {
		value.Add(value, new(big.Int).Lsh(big.NewInt(1), c.bits))
	}
}

func (c number[T]) write(w *writer, value T) error {
	w.raw(fmt.Sprint(value))
	return nil
}

func (c number[T]) isZero(value T) bool { return value == 0 }

type cText struct{}

func (cText) read(n *node) (*string, error) {
	if n.kind == kindNull {
		return nil, nil
	}
	if n.kind != kindString {
		return nil, n.wrongKind(kindString, kindNull)
	}
	text, err := n.text()
	return &text, err
}

func (cText) write(w *writer, value *string) error {
	if value == nil {
		w.raw("null")
	} else {
		w.text(*value)
	}
	return nil
}

func (cText) isZero(value *string) bool { return value == nil }

type cString struct{}

func (cString) read(n *node) (string, error) { return n.text() }

func (cString) write(w *writer, value string) error {
	w.text(value)
	return nil
}

func (cString) isZero(string) bool { return false }

type cList[T any] struct{ listCodec[T] }

func cListOf[T any](of codec[T]) cList[T] { return cList[T]{listCodec[T]{of, 0, -1}} }

func (cList[T]) isZero(value []T) bool { return len(value) == 0 }

// cEnum is an enumeration of C: a number, with or without a name.
type cEnum[T ~int32] struct {
	name   string
	values []T
	names  []string
}

func (c cEnum[T]) nameOf(value T) (string, bool) {
	for i, v := range c.values {
		if v == value {
			return c.names[i], true
		}
	}
	return "", false
}

func (c cEnum[T]) parse(name string) (T, error) {
	for i, n := range c.names {
		// Of ASCII, as C has it.
		if len(n) == len(name) && strings.EqualFold(n, name) {
			return c.values[i], nil
		}
	}
	return 0, refuse("%s is no %s%s", shown(name), c.name, suggestion(name, c.names))
}

func (c cEnum[T]) String(value T) string {
	if name, ok := c.nameOf(value); ok {
		return name
	}
	return fmt.Sprint(int32(value))
}

func (c cEnum[T]) read(n *node) (T, error) {
	switch n.kind {
	case kindInteger:
		value, err := number[int32]{32}.read(n)
		return T(value), err
	case kindString:
		text, err := n.text()
		if err != nil {
			return 0, err
		}
		return c.parse(text)
	}
	return 0, n.wrongKind(kindString, kindInteger)
}

func (c cEnum[T]) write(w *writer, value T) error {
	if name, ok := c.nameOf(value); ok {
		w.text(name)
	} else {
		w.raw(fmt.Sprint(int32(value)))
	}
	return nil
}

func (c cEnum[T]) isZero(value T) bool { return value == 0 }

// cField is a field or a union of a struct of C.
type cField[S any] struct {
	keys  []string
	read  func(v *S, key string, n *node) error
	write func(w *writer, v *S) error
}

func at[S, T any](key string, at func(*S) *T, c codec[T], isLeftOut func(T) bool) cField[S] {
	return cField[S]{
		keys: []string{key},
		read: func(v *S, _ string, n *node) (err error) {
			*at(v), err = c.read(n)
			return err
		},
		write: func(w *writer, v *S) error {
			if value := *at(v); !isLeftOut(value) {
				return writeKey(w, key, c, value)
			}
			return nil
		},
	}
}

// fieldAt is a field that begins as nothing, and is left out while it is that.
func fieldAt[S, T any](key string, get func(*S) *T, c cCodec[T]) cField[S] {
	return at[S, T](key, get, c, c.isZero)
}

// fieldFrom is a field that begins as something else.
func fieldFrom[S any, T comparable](key string, get func(*S) *T, c cCodec[T], initial T) cField[S] {
	return at[S, T](key, get, c, func(value T) bool { return value == initial })
}

// unionAt is one key of its object, "type.hvm". A key that has no arm stands alone: other makes what holds it, whose method key
// gives it back.
func unionAt[S, U any, K ~int32](keyvar string, get func(*S) *U, key cEnum[K], other func(K) U, initial K,
	arms ...arm[U]) cField[S] {
	f := cField[S]{keys: []string{keyvar}}
	byKey := map[string]arm[U]{}
	for _, a := range arms {
		f.keys = append(f.keys, keyvar+"."+a.name)
		byKey[keyvar+"."+a.name] = a
	}
	f.read = func(v *S, name string, n *node) (err error) {
		if a, ok := byKey[name]; ok {
			*get(v), err = a.read(n)
			return err
		}
		value, err := key.read(n)
		*get(v) = other(value)
		return err
	}
	f.write = func(w *writer, v *S) error {
		value := *get(v)
		if none, ok := any(value).(interface{ key() K }); ok {
			if none.key() == initial {
				return nil
			}
			return writeKey[K](w, keyvar, key, none.key())
		}
		for _, a := range arms {
			if written, err := a.write(w, keyvar+"."+a.name, value); written || err != nil {
				return err
			}
		}
		return within(keyvar, cannot("no arm of it is set"))
	}
	return f
}

// cStruct is a struct of C: always written.
type cStruct[S any] struct {
	fields []cField[S]
	byKey  map[string]int
	fresh  func() S
}

func cStructOf[S any](fresh func() S, fields ...cField[S]) *cStruct[S] {
	c := &cStruct[S]{fields, map[string]int{}, fresh}
	for i, f := range fields {
		for _, key := range f.keys {
			c.byKey[key] = i
		}
	}
	return c
}

func (c *cStruct[S]) isZero(S) bool { return false }

func (c *cStruct[S]) read(n *node) (S, error) {
	v := c.fresh()
	if err := n.expect(kindObject); err != nil {
		return v, err
	}
	seen := make([]string, len(c.fields))
	for _, m := range n.members {
		key, err := unquote(m.rawKey)
		if err != nil {
			return v, err
		}
		at, known := c.byKey[key]
		if !known {
			continue
		}
		if before := seen[at]; before == key {
			return v, refuse("%s is there twice", shown(key))
		} else if before != "" {
			return v, refuse("%s and %s are two arms of one union; libxl aborts on that", shown(before), shown(key))
		}
		seen[at] = key
		if err := c.fields[at].read(&v, key, m.value); err != nil {
			return v, within(key, err)
		}
	}
	return v, nil
}

func (c *cStruct[S]) write(w *writer, v S) error {
	w.open('{')
	for _, f := range c.fields {
		if err := f.write(w, &v); err != nil {
			return err
		}
	}
	w.close('}')
	return nil
}
