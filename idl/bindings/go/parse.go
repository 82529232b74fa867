package xensnap

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

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
