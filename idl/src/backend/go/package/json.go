package PACKAGE

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf16"
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

type kind int

const (
	kindObject kind = iota
	kindArray
	kindString
	kindBool
	kindNull
	kindInteger
	kindDouble
	kindBig
)

func (k kind) String() string {
	return [...]string{
		"an object", "an array", "a string", "a truth value", "null", "an integer",
		"a number with a fraction or exponent", "a number that is too large",
	}[k]
}

// node is a value of a document, with its place in it.
type node struct {
	kind    kind
	raw     []byte
	members []member // of an object
	list    []*node  // of an array
}

type member struct {
	rawKey []byte
	value  *node
}

func (n *node) wrongKind(kinds ...kind) error {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = k.String()
	}
	return refuse("%v where %s belongs", n.kind, strings.Join(words, " or "))
}

func (n *node) expect(k kind) error {
	if n.kind != k {
		return n.wrongKind(k)
	}
	return nil
}

func (n *node) text() (string, error) {
	if err := n.expect(kindString); err != nil {
		return "", err
	}
	return unquote(n.raw)
}

// integer is the value of an integer of any size.
func (n *node) integer() (*big.Int, error) {
	if err := n.expect(kindInteger); err != nil {
		return nil, err
	}
	value, ok := new(big.Int).SetString(string(n.raw), 10)
	if !ok {
		return nil, refuse("%s is no integer", n.raw)
	}
	return value, nil
}

// unquote is the text of a string whose grammar was checked.
func unquote(raw []byte) (string, error) {
	inner := raw[1 : len(raw)-1]
	var out []byte
	for i := 0; i < len(inner); i++ {
		if inner[i] != '\\' {
			out = append(out, inner[i])
			continue
		}
		i++
		switch c := inner[i]; c {
		case 'n':
			out = append(out, '\n')
		case 't':
			out = append(out, '\t')
		case 'r':
			out = append(out, '\r')
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'u':
			r := hexRune(inner[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				var low rune
				if i+6 < len(inner) && inner[i+1] == '\\' && inner[i+2] == 'u' {
					low = hexRune(inner[i+3:])
				}
				if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
					return "", refuse("half of a surrogate pair, which is no text")
				}
				i += 6
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
		}
	}
	return string(out), nil
}

func hexRune(digits []byte) rune {
	value, _ := strconv.ParseUint(string(digits[:4]), 16, 32)
	return rune(value)
}

type parser struct {
	text []byte
	at   int
	dialect
}

// parse goes by JSON's own grammar, and does not recurse: the text is untrusted.
func parse(text []byte, d dialect) (*node, error) {
	if !utf8.Valid(text) {
		return nil, refuse("not UTF-8")
	}
	p := &parser{text: text, dialect: d}
	var open []*node
	var keys [][]byte
	starts := []int{}
	for {
		c := p.space()
		var n *node
		var err error
		if c == '{' || c == '[' {
			n = &node{kind: kindObject}
			if c == '[' {
				n.kind = kindArray
			}
			if p.depthMax > 0 && len(open) >= p.depthMax {
				return nil, refuse("nested deeper than %d", p.depthMax)
			}
			starts = append(starts, p.at)
			p.at++
			if p.space() != closing(n) {
				open = append(open, n)
				if n.kind == kindObject {
					key, err := p.key()
					if err != nil {
						return nil, err
					}
					keys = append(keys, key)
				}
				continue
			}
			p.at++
			n.raw = text[starts[len(starts)-1]:p.at]
			starts = starts[:len(starts)-1]
		} else if n, err = p.scalar(); err != nil {
			return nil, err
		}
		for n != nil {
			if len(open) == 0 {
				if p.space() != 0 || p.at < len(text) {
					return nil, p.fail("the end of the text")
				}
				return n, nil
			}
			around := open[len(open)-1]
			if around.kind == kindObject {
				around.members = append(around.members, member{keys[len(keys)-1], n})
				keys = keys[:len(keys)-1]
			} else {
				around.list = append(around.list, n)
			}
			switch p.space() {
			case ',':
				p.at++
				if around.kind == kindObject {
					key, err := p.key()
					if err != nil {
						return nil, err
					}
					keys = append(keys, key)
				}
				n = nil
			case closing(around):
				p.at++
				open = open[:len(open)-1]
				around.raw = text[starts[len(starts)-1]:p.at]
				starts = starts[:len(starts)-1]
				n = around
			default:
				return nil, p.fail(fmt.Sprintf("`,` or `%c`", closing(around)))
			}
		}
	}
}

func closing(n *node) byte {
	if n.kind == kindObject {
		return '}'
	}
	return ']'
}

func (p *parser) fail(expected string) error {
	found := "the end of the text"
	if p.at < len(p.text) {
		r, _ := utf8.DecodeRune(p.text[p.at:])
		found = strconv.QuoteRune(r)
	}
	return refuse("not JSON: expected %s, found %s at byte %d", expected, found, p.at)
}

// space goes to the next byte that is no white space; 0 at the end.
func (p *parser) space() byte {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; c {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return c
		}
	}
	return 0
}

func (p *parser) key() ([]byte, error) {
	if p.space() != '"' {
		return nil, p.fail("a key")
	}
	key, err := p.quoted()
	if err != nil {
		return nil, err
	}
	if p.space() != ':' {
		return nil, p.fail("`:` after a key")
	}
	p.at++
	return key, nil
}

// quoted takes a string with its quotes.
func (p *parser) quoted() ([]byte, error) {
	start := p.at
	for p.at++; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			raw := p.text[start:p.at]
			if !p.halves {
				if _, err := unquote(raw); err != nil {
					return nil, err
				}
			}
			return raw, nil
		case c < 0x20:
			return nil, p.fail("no control character in a string")
		case c == '\\':
			p.at++
			if p.at >= len(p.text) {
				return nil, p.fail("the end of a string")
			}
			if p.text[p.at] == 'u' {
				for i := 0; i < 4; i++ {
					p.at++
					if p.at >= len(p.text) || !isHex(p.text[p.at]) {
						return nil, p.fail("four hexadecimal digits")
					}
				}
			} else if !strings.ContainsRune(`"\/bfnrt`, rune(p.text[p.at])) {
				return nil, p.fail("an escape that JSON has")
			}
		}
	}
	return nil, p.fail("the end of a string")
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func (p *parser) digits() int {
	start := p.at
	for p.at < len(p.text) && '0' <= p.text[p.at] && p.text[p.at] <= '9' {
		p.at++
	}
	return p.at - start
}

func (p *parser) scalar() (*node, error) {
	start := p.at
	rest := p.text[start:]
	switch {
	case len(rest) > 0 && rest[0] == '"':
		raw, err := p.quoted()
		return &node{kind: kindString, raw: raw}, err
	case strings.HasPrefix(string(rest[:min(len(rest), 5)]), "true"):
		p.at += 4
		return &node{kind: kindBool, raw: rest[:4]}, nil
	case strings.HasPrefix(string(rest[:min(len(rest), 5)]), "false"):
		p.at += 5
		return &node{kind: kindBool, raw: rest[:5]}, nil
	case strings.HasPrefix(string(rest[:min(len(rest), 5)]), "null"):
		p.at += 4
		return &node{kind: kindNull, raw: rest[:4]}, nil
	}
	if len(rest) > 0 && rest[0] == '-' {
		p.at++
	}
	zero := p.at < len(p.text) && p.text[p.at] == '0'
	if zero {
		p.at++
	} else if p.digits() == 0 {
		p.at = start
		return nil, p.fail("a value")
	}
	whole := p.at
	if p.at < len(p.text) && p.text[p.at] == '.' {
		p.at++
		if p.digits() == 0 {
			return nil, p.fail("a digit")
		}
	}
	if p.at < len(p.text) && (p.text[p.at] == 'e' || p.text[p.at] == 'E') {
		p.at++
		if p.at < len(p.text) && (p.text[p.at] == '+' || p.text[p.at] == '-') {
			p.at++
		}
		if p.digits() == 0 {
			return nil, p.fail("a digit")
		}
	}
	n := &node{kind: kindInteger, raw: p.text[start:p.at]}
	if p.at > whole {
		n.kind = kindDouble
	} else if len(n.raw) > 38 {
		value, _ := new(big.Int).SetString(string(n.raw[:min(len(n.raw), 41)]), 10)
		if len(n.raw) > 41 || value.CmpAbs(integerMax) >= 0 {
			n.kind = kindBig
		}
	}
	return n, nil
}

// integerMax is larger than anything that a type holds.
var integerMax = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 127), big.NewInt(1))

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
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
