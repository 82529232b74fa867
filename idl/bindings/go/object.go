package xensnap

import (
	"encoding/json"
	"strings"
)

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
