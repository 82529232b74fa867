package xensnap

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// DecodeError says that a document cannot be read.
type DecodeError struct {
	// Path says where it is wrong: disks[1].format; empty for the whole.
	Path string
	// Problem says what is wrong there.
	Problem string
}

func (e *DecodeError) Error() string { return located(e.Path, e.Problem) }

// EncodeError says that a value cannot be written.
type EncodeError struct {
	// Path says where it is wrong: disks[1].format; empty for the whole.
	Path string
	// Problem says what is wrong there.
	Problem string
}

func (e *EncodeError) Error() string { return located(e.Path, e.Problem) }

func located(path, problem string) string {
	if path == "" {
		return problem
	}
	return path + ": " + problem
}

func refuse(format string, args ...any) error {
	return &DecodeError{Problem: fmt.Sprintf(format, args...)}
}

func cannot(format string, args ...any) error {
	return &EncodeError{Problem: fmt.Sprintf(format, args...)}
}

// within puts a key or an index in front of an error's path.
func within(key string, err error) error {
	join := func(inner string) string {
		if inner == "" || inner[0] == '[' {
			return key + inner
		}
		return key + "." + inner
	}
	switch e := err.(type) {
	case *DecodeError:
		return &DecodeError{join(e.Path), e.Problem}
	case *EncodeError:
		return &EncodeError{join(e.Path), e.Problem}
	}
	return err
}

// Ptr is a pointer to a value: for fields that may be absent.
func Ptr[T any](value T) *T { return &value }

// TypeInfo is a type of the table Types, for programs that go by names.
type TypeInfo struct {
	// Name is its name in the IDL.
	Name string
	// Recode reads a document and writes it again.
	Recode func(data []byte) ([]byte, error)
}

func infoOf[T any](name string, c codec[T], d dialect) TypeInfo {
	return TypeInfo{name, func(data []byte) ([]byte, error) {
		value, err := loads(c, data, d)
		if err != nil {
			return nil, err
		}
		return dumps(c, value, d)
	}}
}

// codec reads and writes values of one type.
type codec[T any] interface {
	read(n *node) (T, error)
	write(w *writer, value T) error
}

// dialect is a form of JSON.
type dialect struct {
	depthMax int  // 0: as deep as it likes
	sizeMax  int  // 0: as large as it likes
	halves   bool // half a surrogate pair is let be in what is not looked at
	indented bool
}

func loads[T any](c codec[T], data []byte, d dialect) (T, error) {
	var none T
	if d.sizeMax > 0 && len(data) > d.sizeMax {
		return none, refuse("%d bytes; at most %d", len(data), d.sizeMax)
	}
	n, err := parse(data, d)
	if err != nil {
		return none, err
	}
	return c.read(n)
}

func dumps[T any](c codec[T], value T, d dialect) ([]byte, error) {
	w := &writer{indented: d.indented, first: true}
	if err := c.write(w, value); err != nil {
		return nil, err
	}
	if d.indented {
		w.out = append(w.out, '\n')
	}
	if d.sizeMax > 0 && len(w.out) > d.sizeMax {
		return nil, cannot("%d bytes; at most %d", len(w.out), d.sizeMax)
	}
	if !utf8.Valid(w.out) {
		return nil, cannot("text that is not UTF-8")
	}
	if d.depthMax > 0 && w.deepest > d.depthMax {
		return nil, cannot("nested deeper than %d", d.depthMax)
	}
	return w.out, nil
}

// writer is the text so far.
type writer struct {
	out            []byte
	indented       bool
	first          bool
	depth, deepest int
}

func (w *writer) open(bracket byte) {
	w.out = append(w.out, bracket)
	if w.indented {
		w.out = append(w.out, '\n')
	}
	w.depth++
	if w.depth > w.deepest {
		w.deepest = w.depth
	}
	w.first = true
}

func (w *writer) close(bracket byte) {
	w.depth--
	if w.indented {
		w.out = append(w.out, '\n')
		w.indent()
	}
	w.out = append(w.out, bracket)
	w.first = false
}

func (w *writer) indent() {
	for i := 0; w.indented && i < w.depth; i++ {
		w.out = append(w.out, "    "...)
	}
}

// member goes to the next member of an object or array.
func (w *writer) member() {
	if !w.first {
		w.out = append(w.out, ',')
		if w.indented {
			w.out = append(w.out, '\n')
		}
	}
	w.first = false
	w.indent()
}

func (w *writer) key(key string) {
	w.member()
	w.text(key)
	w.out = append(w.out, ':')
	if w.indented {
		w.out = append(w.out, ' ')
	}
}

func (w *writer) raw(text string) { w.out = append(w.out, text...) }

// document appends a JSON text of somebody else's, which must be valid.
func (w *writer) document(raw json.RawMessage) error {
	n, err := parse(raw, dialect{halves: true})
	if err != nil {
		return cannot("no JSON: %v", err)
	}
	w.deepest = max(w.deepest, w.depth+depthOf(n))
	w.out = append(w.out, n.raw...)
	return nil
}

func max(a, b int) int {
	if a > b {
		return a
	}
	return b
}

// depthOf goes by brackets: the node may nest deeper than a stack.
func depthOf(n *node) int {
	depth, deepest, quoted := 0, 0, false
	for i := 0; i < len(n.raw); i++ {
		switch c := n.raw[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '{' || c == '['):
			depth++
			deepest = max(deepest, depth)
		case !quoted && (c == '}' || c == ']'):
			depth--
		}
	}
	return deepest
}

func (w *writer) text(text string) {
	const lower, upper = "0123456789abcdef", "0123456789ABCDEF"
	hex := lower
	if w.indented {
		hex = upper
	}
	w.out = append(w.out, '"')
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			w.out = append(w.out, '\\', c)
		case c >= 0x20:
			w.out = append(w.out, c)
		case c == '\n':
			w.out = append(w.out, `\n`...)
		case c == '\r':
			w.out = append(w.out, `\r`...)
		case c == '\t':
			w.out = append(w.out, `\t`...)
		case c == '\b':
			w.out = append(w.out, `\b`...)
		case c == '\f':
			w.out = append(w.out, `\f`...)
		default:
			w.out = append(w.out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	w.out = append(w.out, '"')
}

// shown is text as a message shows it: quoted, cut.
func shown(text string) string {
	if len(text) > 40 {
		text = strings.ToValidUTF8(text[:40], "") + ".."
	}
	return strconv.Quote(text)
}

// suggestion is a name that is near enough to be meant.
func suggestion(word string, names []string) string {
	if len(word) > 64 {
		return ""
	}
	best, near := 1+max(1, min(3, utf8.RuneCountInString(word)/3)), ""
	for _, name := range names {
		if d := distance(strings.ToLower(word), strings.ToLower(name)); d < best {
			best, near = d, name
		}
	}
	if near == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", near)
}

// distance is how many edits (insert, delete, replace, swap of neighbours) are between two words.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	var before []int
	last := make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := range x {
		row := append(make([]int, 0, len(y)+1), i+1)
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			best := min(last[j]+cost, min(last[j+1], row[j])+1)
			if i > 0 && j > 0 && x[i-1] == y[j] && x[i] == y[j-1] {
				best = min(best, before[j-1]+1)
			}
			row = append(row, best)
		}
		before, last = last, row
	}
	return last[len(y)]
}

// uuidForm is where a UUID has its dashes.
func parseUUID(text string, anyCase bool) (UUID, bool) {
	var id UUID
	if len(text) != 36 {
		return id, false
	}
	digits := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return id, false
			}
			continue
		}
		if !isHex(c) || !anyCase && c >= 'A' && c <= 'F' {
			return id, false
		}
		value, _ := strconv.ParseUint(string(c), 16, 8)
		id[digits/2] = id[digits/2]<<4 | byte(value)
		digits++
	}
	return id, true
}

// UUID is a UUID.
type UUID [16]byte

// ParseUUID reads a UUID, lower-case and dashed.
func ParseUUID(text string) (UUID, error) {
	id, ok := parseUUID(text, false)
	if !ok {
		return id, fmt.Errorf("%s is not a uuid: 32 lower-case hex digits with dashes, as 8-4-4-4-12", shown(text))
	}
	return id, nil
}

func (id UUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[0:4], id[4:6], id[6:8], id[8:10], id[10:16])
}
