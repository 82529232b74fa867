package PACKAGE

import (
	"fmt"
	"math/big"
	"sort"
	"strings"
)

// MAC is the address of a network card.
type MAC [6]byte

func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// KeyValue is a key with a text or none.
type KeyValue struct {
	Key   string
	Value *string
}

// CPUIDPolicyList is what a guest's CPUs say of themselves.
type CPUIDPolicyList struct {
	CPUID []CPUIDLeaf
	MSR   []MSR
}

// CPUIDLeaf is a leaf of CPUID: 32 characters for each register, from bit 31 down: 1, 0, x default, k keep, s as is.
type CPUIDLeaf struct {
	Leaf               uint32
	Subleaf            *uint32
	EAX, EBX, ECX, EDX *string
}

// MSR is a model specific register: 64 characters, from bit 63 down.
type MSR struct {
	Index  uint32
	Policy string
}

const (
	unused = 1<<32 - 1
	bitMax = 1<<31 - 9
)

type cDefbool struct{}

func (cDefbool) read(n *node) (*bool, error) {
	text, err := n.text()
	if err != nil {
		return nil, err
	}
	switch text {
	case "<default>":
		return nil, nil
	case "True", "False":
		return Ptr(text == "True"), nil
	}
	return nil, refuse(`%s is no defbool; it is "True", "False" or "<default>"`, shown(text))
}

func (cDefbool) write(w *writer, value *bool) error {
	switch {
	case value == nil:
		w.text("<default>")
	case *value:
		w.text("True")
	default:
		w.text("False")
	}
	return nil
}

func (cDefbool) isZero(value *bool) bool { return value == nil }

type cUUID struct{ uuidCodec }

func (cUUID) isZero(value UUID) bool { return value == UUID{} }

type cMAC struct{}

func (cMAC) read(n *node) (MAC, error) {
	var mac MAC
	text, err := n.text()
	if err != nil {
		return mac, err
	}
	parts := strings.Split(text, ":")
	if len(text) != 17 || len(parts) != 6 {
		return mac, refuse("%s is no mac; it is six bytes such as 00:16:3e:01:02:03", shown(text))
	}
	for i, part := range parts {
		if len(part) != 2 || !isHex(part[0]) || !isHex(part[1]) {
			return mac, refuse("%s is no mac; it is six bytes such as 00:16:3e:01:02:03", shown(text))
		}
		mac[i] = byte(hexRune([]byte("00" + part)))
	}
	return mac, nil
}

func (cMAC) write(w *writer, value MAC) error {
	w.text(value.String())
	return nil
}

func (cMAC) isZero(value MAC) bool { return value == MAC{} }

// anyInteger is an integer of any size.
type anyInteger struct{}

func (anyInteger) read(n *node) (*big.Int, error) { return n.integer() }

func (anyInteger) write(w *writer, value *big.Int) error {
	w.raw(value.String())
	return nil
}

// integers reads an array of at most so many.
func integers(n *node, most int) ([]*big.Int, error) {
	if n.kind == kindArray && len(n.list) > most {
		if _, err := integers(&node{kind: kindArray, list: n.list[:most]}, most); err != nil {
			return nil, err
		}
		return nil, within(index(most), refuse("one too many: there are %d", most))
	}
	return listCodec[*big.Int]{anyInteger{}, 0, -1}.read(n)
}

type bitCodec struct{}

func (bitCodec) read(n *node) (uint32, error) {
	value, err := n.integer()
	if err != nil {
		return 0, err
	}
	if !value.IsInt64() || value.Int64() < 0 || value.Int64() > bitMax {
		return 0, refuse("%v is no bit; libxl would write beyond its memory", value)
	}
	return uint32(value.Int64()), nil
}

func (bitCodec) write(w *writer, value uint32) error {
	if value > bitMax {
		return cannot("%d is no bit: it is not from 0 to %d", value, bitMax)
	}
	w.raw(fmt.Sprint(value))
	return nil
}

type cBitmap struct{}

func sortedSet(bits []uint32) []uint32 {
	sorted := append([]uint32(nil), bits...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i] < sorted[j] })
	set := sorted[:0]
	for i, bit := range sorted {
		if i == 0 || bit != sorted[i-1] {
			set = append(set, bit)
		}
	}
	return set
}

func (cBitmap) read(n *node) ([]uint32, error) {
	bits, err := listCodec[uint32]{bitCodec{}, 0, -1}.read(n)
	return sortedSet(bits), err
}

func (cBitmap) write(w *writer, value []uint32) error {
	return listCodec[uint32]{bitCodec{}, 0, -1}.write(w, sortedSet(value))
}

func (cBitmap) isZero(value []uint32) bool { return len(value) == 0 }

// word cuts an integer to 32 bits, as json-c did.
func word(value *big.Int) uint32 {
	return uint32(new(big.Int).And(value, big.NewInt(1<<32-1)).Uint64())
}

type cHwcap struct{}

func (cHwcap) read(n *node) ([8]uint32, error) {
	var caps [8]uint32
	words, err := integers(n, len(caps))
	if err != nil {
		return caps, err
	}
	if len(words) < 4 {
		return caps, refuse("%d words of capabilities; there are four", len(words))
	}
	for i, value := range words {
		caps[i] = word(value)
	}
	return caps, nil
}

func (cHwcap) write(w *writer, value [8]uint32) error {
	count := 4
	if [4]uint32{value[4], value[5], value[6], value[7]} != [4]uint32{} {
		count = 8
	}
	return listCodec[uint32]{number[uint32]{32}, 0, -1}.write(w, value[:count])
}

func (cHwcap) isZero([8]uint32) bool { return false }

type cGenid struct{}

func (cGenid) read(n *node) ([16]byte, error) {
	var id [16]byte
	numbers, err := integers(n, len(id))
	if err != nil {
		return id, err
	}
	if len(numbers) < len(id) {
		return id, refuse("%d bytes of a generation id, which has 16", len(numbers))
	}
	for i, value := range numbers {
		if !value.IsInt64() || value.Int64() < 0 || value.Int64() > 255 {
			return id, refuse("%v is no byte", value)
		}
		id[i] = byte(value.Int64())
	}
	return id, nil
}

func (cGenid) write(w *writer, value [16]byte) error {
	return listCodec[uint8]{number[uint8]{8}, 0, -1}.write(w, value[:])
}

func (cGenid) isZero(value [16]byte) bool { return value == [16]byte{} }

type cKeyValues struct{}

func (cKeyValues) read(n *node) ([]KeyValue, error) {
	if err := n.expect(kindObject); err != nil {
		return nil, err
	}
	pairs := make([]KeyValue, 0, len(n.members))
	for _, m := range n.members {
		key, err := unquote(m.rawKey)
		if err != nil {
			return nil, err
		}
		value, err := cText{}.read(m.value)
		if err != nil {
			return nil, within(key, err)
		}
		pairs = append(pairs, KeyValue{key, value})
	}
	return pairs, nil
}

func (cKeyValues) write(w *writer, value []KeyValue) error {
	w.open('{')
	for _, pair := range value {
		w.key(pair.Key)
		_ = cText{}.write(w, pair.Value)
	}
	w.close('}')
	return nil
}

func (cKeyValues) isZero(value []KeyValue) bool { return len(value) == 0 }

// objectOf goes through the known members of an object, each of which may be there once.
func objectOf(n *node, keys map[string]func(*node) error) error {
	if err := n.expect(kindObject); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, m := range n.members {
		key, err := unquote(m.rawKey)
		if err != nil {
			return err
		}
		read, known := keys[key]
		if !known {
			continue
		}
		if seen[key] {
			return refuse("%s is there twice", shown(key))
		}
		seen[key] = true
		if err := read(m.value); err != nil {
			return within(key, err)
		}
	}
	return nil
}

// bits is a text of so many characters.
func bits(n *node, count int) (string, error) {
	text, err := n.text()
	if err == nil && len(text) != count {
		return "", refuse("%s is not %d characters", shown(text), count)
	}
	return text, err
}

func wordAt(at *uint32) func(*node) error {
	return func(n *node) error {
		value, err := n.integer()
		if err == nil {
			*at = word(value)
		}
		return err
	}
}

type leafCodec struct{}

func (leafCodec) read(n *node) (CPUIDLeaf, error) {
	leaf := CPUIDLeaf{Leaf: unused}
	subleaf := uint32(unused)
	register := func(at **string) func(*node) error {
		return func(n *node) error {
			text, err := bits(n, 32)
			*at = &text
			return err
		}
	}
	err := objectOf(n, map[string]func(*node) error{
		"leaf":    wordAt(&leaf.Leaf),
		"subleaf": wordAt(&subleaf),
		"eax":     register(&leaf.EAX),
		"ebx":     register(&leaf.EBX),
		"ecx":     register(&leaf.ECX),
		"edx":     register(&leaf.EDX),
	})
	if subleaf != unused {
		leaf.Subleaf = &subleaf
	}
	return leaf, err
}

func (leafCodec) write(w *writer, leaf CPUIDLeaf) error {
	w.open('{')
	w.key("leaf")
	w.raw(fmt.Sprint(leaf.Leaf))
	if leaf.Subleaf != nil {
		w.key("subleaf")
		w.raw(fmt.Sprint(*leaf.Subleaf))
	}
	registers := []struct {
		name string
		text *string
	}{{"eax", leaf.EAX}, {"ebx", leaf.EBX}, {"ecx", leaf.ECX}, {"edx", leaf.EDX}}
	for _, r := range registers {
		if r.text == nil {
			continue
		}
		if len(*r.text) != 32 {
			return within(r.name, cannot("%s is not 32 characters", shown(*r.text)))
		}
		w.key(r.name)
		w.text(*r.text)
	}
	w.close('}')
	return nil
}

type msrCodec struct{}

func (msrCodec) read(n *node) (MSR, error) {
	var msr MSR
	var index, policy bool
	err := objectOf(n, map[string]func(*node) error{
		"index": func(n *node) error {
			index = true
			return wordAt(&msr.Index)(n)
		},
		"policy": func(n *node) (err error) {
			policy = true
			msr.Policy, err = bits(n, 64)
			return err
		},
	})
	if err == nil && !(index && policy) {
		return msr, refuse("an MSR without its index or policy")
	}
	return msr, err
}

func (msrCodec) write(w *writer, msr MSR) error {
	if len(msr.Policy) != 64 {
		return within("policy", cannot("%s is not 64 characters", shown(msr.Policy)))
	}
	w.open('{')
	w.key("index")
	w.raw(fmt.Sprint(msr.Index))
	w.key("policy")
	w.text(msr.Policy)
	w.close('}')
	return nil
}

type cCPUID struct{}

func (cCPUID) read(n *node) (CPUIDPolicyList, error) {
	var list CPUIDPolicyList
	leaves, msrs := listCodec[CPUIDLeaf]{leafCodec{}, 0, -1}, listCodec[MSR]{msrCodec{}, 0, -1}
	var err error
	if n.kind == kindArray { // up to Xen 4.17: the leaves alone
		list.CPUID, err = leaves.read(n)
	} else {
		var cpuid, msr bool
		err = objectOf(n, map[string]func(*node) error{
			"cpuid": func(n *node) (err error) {
				cpuid = true
				list.CPUID, err = leaves.read(n)
				return err
			},
			"msr": func(n *node) (err error) {
				msr = true
				list.MSR, err = msrs.read(n)
				return err
			},
		})
		if err == nil && !(cpuid && msr) {
			return list, refuse("CPUID policies without cpuid or msr")
		}
	}
	// In C the list ends at the first of these.
	for i, leaf := range list.CPUID {
		if leaf.Leaf == unused {
			list.CPUID = list.CPUID[:i]
			break
		}
	}
	return list, err
}

func (cCPUID) write(w *writer, list CPUIDPolicyList) error {
	w.open('{')
	if err := writeKey[[]CPUIDLeaf](w, "cpuid", listCodec[CPUIDLeaf]{leafCodec{}, 0, -1}, list.CPUID); err != nil {
		return err
	}
	if err := writeKey[[]MSR](w, "msr", listCodec[MSR]{msrCodec{}, 0, -1}, list.MSR); err != nil {
		return err
	}
	w.close('}')
	return nil
}

func (cCPUID) isZero(list CPUIDPolicyList) bool { return len(list.CPUID) == 0 && len(list.MSR) == 0 }
