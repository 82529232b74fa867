"""libxl's builtin types: what they hold, and their JSON, which libxl's own functions read and write."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple, TypeVar, Union
from uuid import UUID

from ._json import Codec, DecodeError, EncodeError, Kind, Node, Pairs
from ._json import parse, shown, whole_text

T = TypeVar("T")

KeyValueList = List[Tuple[str, Optional[str]]]
"""Keys with a text or none, in order; a key may be there twice."""

_UNUSED = 0xFFFFFFFF
_BIT_MAX = (1 << 31) - 9
_WORD = 1 << 32


@dataclass
class CpuidLeaf:
    """A leaf of CPUID: 32 characters for each register, from bit 31 down: ``1``, ``0``, ``x`` default, ``k`` keep, ``s`` as is."""

    leaf: int
    subleaf: Optional[int] = None
    eax: Optional[str] = None
    ebx: Optional[str] = None
    ecx: Optional[str] = None
    edx: Optional[str] = None


@dataclass
class Msr:
    """A model specific register: 64 characters, from bit 63 down."""

    index: int
    policy: str


@dataclass
class CpuidPolicyList:
    """What a guest's CPUs say of themselves."""

    cpuid: List[CpuidLeaf] = field(default_factory=list)
    msr: List[Msr] = field(default_factory=list)


_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _quote(text: str) -> str:
    """As yajl does: hexadecimal digits in upper case."""
    escaped = re.sub(r'[\x00-\x1f"\\]', lambda m: _SHORT.get(m.group()) or f"\\u{ord(m.group()):04X}", text)
    return f'"{escaped}"'


def _indented(tree: Any, depth: int, out: List[str]) -> None:
    if isinstance(tree, (Pairs, list)):
        is_object = isinstance(tree, Pairs)
        out.append("{\n" if is_object else "[\n")
        inner = "    " * (depth + 1)
        for index, member in enumerate(tree):
            out.append((",\n" if index else "") + inner)
            if is_object:
                out.append(_quote(member[0]) + ": ")
            _indented(member[1] if is_object else member, depth + 1, out)
        out.append("\n" + "    " * depth + ("}" if is_object else "]"))
    elif isinstance(tree, str):
        out.append(_quote(tree))
    elif tree is None or tree is True or tree is False:
        out.append({None: "null", True: "true", False: "false"}[tree])
    else:
        out.append(str(int(tree)))


class LibxlCodec(Codec[T]):
    """A codec of this dialect."""

    zero: Any = None
    """What a value begins as, where its field says nothing else."""

    def loads(self, text: Union[str, bytes]) -> T:
        """Reads a document. Raises `DecodeError`."""
        return self.read(parse(text, halves=False))

    def dumps(self, value: T) -> str:
        """Writes a document. Raises `EncodeError`."""
        out: List[str] = []
        _indented(self.write(value), 0, out)
        text = "".join(out) + "\n"
        try:
            text.encode()
        except UnicodeEncodeError:
            raise EncodeError("half of a surrogate pair, which is no text") from None
        return text

    def leaves_out(self, value: T, initial: Any) -> bool:
        """Whether a struct leaves the value out: it is as it begins."""
        return bool(value == initial)


class _Bool(LibxlCodec[bool]):
    zero = False

    def read(self, node: Node) -> bool:
        value: bool = node.expect(Kind.BOOL)
        return value

    def write(self, value: bool) -> bool:
        return bool(value)


class Number(LibxlCodec[int]):
    """A number of C."""

    zero = 0

    def __init__(self, bits: int, *, signed: bool) -> None:
        self.bits, self.signed = bits, signed
        self.least, self.most = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)

    def _fault(self, value: int) -> Optional[str]:
        return None if self.least <= value <= self.most else f"{value} is not from {self.least} to {self.most}"

    def read(self, node: Node) -> int:
        value: int = node.expect(Kind.INTEGER)
        if value < 0 and not self.signed:
            value = self._whole_again(value)
        fault = self._fault(value)
        if fault:
            raise DecodeError(fault)
        return value

    def _whole_again(self, value: int) -> int:
        """An unsigned number of which libxl wrote a negative one: json-c's casts 32 bits to int, yajl's prints some 64-bit
        numbers as signed. Between the two only what no int can be is certain."""
        is_int = -(1 << 31) <= value
        if self.bits == 32 and is_int:
            return value % _WORD
        if self.bits == 64 and not is_int and -(1 << 63) <= value:
            return value % (1 << 64)
        return value

    def write(self, value: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise EncodeError(f"{value!r} is no integer")
        fault = self._fault(value)
        if fault:
            raise EncodeError(fault)
        return value


class _Text(LibxlCodec[Optional[str]]):
    def read(self, node: Node) -> Optional[str]:
        if node.kind is Kind.NULL:
            return None
        if node.kind is not Kind.STRING:
            node.wrong_kind(Kind.STRING, Kind.NULL)
        return node.string()

    def write(self, value: Optional[str]) -> Optional[str]:
        if value is not None and not isinstance(value, str):
            raise EncodeError(f"{value!r} is no text")
        return value


class ListOf(LibxlCodec[List[T]]):
    """An array."""

    zero: Any = []

    def __init__(self, of: Codec[T]) -> None:
        self.of = of

    def read(self, node: Node) -> List[T]:
        return [_element(self.of, element, index) for index, element in enumerate(node.expect(Kind.ARRAY))]

    def write(self, value: List[T]) -> List[Any]:
        tree = []
        for index, element in enumerate(value):
            try:
                tree.append(self.of.write(element))
            except EncodeError as e:
                e.within_index(index)
                raise
        return tree


def _element(codec: Codec[T], node: Node, index: int) -> T:
    try:
        return codec.read(node)
    except DecodeError as e:
        e.within_index(index)
        raise


class _String(LibxlCodec[str]):
    def read(self, node: Node) -> str:
        return node.string()

    def write(self, value: str) -> str:
        if not isinstance(value, str):
            raise EncodeError(f"{value!r} is no text")
        return value


_DEFBOOL: Dict[str, Optional[bool]] = {"<default>": None, "True": True, "False": False}


class _Defbool(LibxlCodec[Optional[bool]]):
    def read(self, node: Node) -> Optional[bool]:
        text = node.string()
        if text not in _DEFBOOL:
            raise DecodeError(f'{shown(text)} is no defbool; it is "True", "False" or "<default>"')
        return _DEFBOOL[text]

    def write(self, value: Optional[bool]) -> str:
        return "<default>" if value is None else str(bool(value))


_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


class _Uuid(LibxlCodec[UUID]):
    zero = UUID(int=0)

    def read(self, node: Node) -> UUID:
        text = node.string()
        if not _UUID.fullmatch(text):
            raise DecodeError(f"{shown(text)} is no uuid")
        return UUID(text)

    def write(self, value: UUID) -> str:
        return str(value)


_MAC = re.compile(r"[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}")


class _Mac(LibxlCodec[str]):
    zero = "00:00:00:00:00:00"

    def read(self, node: Node) -> str:
        text = node.string()
        if not _MAC.fullmatch(text):
            raise DecodeError(f"{shown(text)} is no mac; it is six bytes such as 00:16:3e:01:02:03")
        return text.lower()

    def write(self, value: str) -> str:
        if not isinstance(value, str) or not _MAC.fullmatch(value):
            raise EncodeError(f"{value!r} is no mac; it is six bytes such as 00:16:3e:01:02:03")
        return value.lower()


class _Integers(LibxlCodec[List[int]]):
    """An array of numbers."""

    zero: Any = []
    name, least, most = "list", 0, _BIT_MAX

    def _checked(self, value: int) -> int:
        raise NotImplementedError

    def read(self, node: Node) -> List[int]:
        values = []
        for index, element in enumerate(node.expect(Kind.ARRAY)):
            try:
                if index >= self.most:
                    raise DecodeError(f"one too many: there are {self.most}")
                values.append(self._checked(element.expect(Kind.INTEGER)))
            except DecodeError as e:
                e.within_index(index)
                raise
        if len(values) < self.least:
            raise DecodeError(f"{len(values)} numbers of a {self.name}; there are {self.least}")
        return values


class _Bitmap(_Integers):
    name = "bitmap"

    def _checked(self, value: int) -> int:
        if not 0 <= value <= _BIT_MAX:
            raise DecodeError(f"{value} is no bit; libxl would write beyond its memory")
        return value

    def read(self, node: Node) -> List[int]:
        return sorted(set(super().read(node)))

    def write(self, value: List[int]) -> List[int]:
        bits = sorted(set(value))
        if bits and not (0 <= bits[0] and bits[-1] <= _BIT_MAX):
            raise EncodeError(f"a bit that is not from 0 to {_BIT_MAX}")
        return bits


class _Hwcap(_Integers):
    name, least, most = "hwcap", 4, 8

    def _checked(self, value: int) -> int:
        return value % _WORD

    def read(self, node: Node) -> List[int]:
        return (super().read(node) + [0] * 8)[:8]

    def write(self, value: List[int]) -> List[int]:
        if len(value) != 8 or not all(0 <= word < _WORD for word in value):
            raise EncodeError("a hwcap that is not eight words of 32 bits")
        return list(value) if any(value[4:]) else list(value[:4])

    def leaves_out(self, value: List[int], initial: Any) -> bool:
        return False


class _Genid(LibxlCodec[bytes]):
    zero = bytes(16)

    def read(self, node: Node) -> bytes:
        values = []
        for index, element in enumerate(node.expect(Kind.ARRAY)):
            value: int = _element(_ANY_INTEGER, element, index)
            if index >= 16:
                raise DecodeError("one too many: there are 16", f"[{index}]")
            values.append(value)
        if len(values) < 16:
            raise DecodeError(f"{len(values)} bytes of a generation id, which has 16")
        for value in values:
            if not 0 <= value < 256:
                raise DecodeError(f"{value} is no byte")
        return bytes(values)

    def write(self, value: bytes) -> List[int]:
        if len(value) != 16:
            raise EncodeError(f"{len(value)} bytes of a generation id, which has 16")
        return list(value)


class _KeyValueList(LibxlCodec[KeyValueList]):
    zero: Any = []

    def read(self, node: Node) -> KeyValueList:
        pairs: KeyValueList = []
        for key, value in node.expect(Kind.OBJECT):
            try:
                pairs.append((whole_text(key), TEXT.read(value)))
            except DecodeError as e:
                e.within(key)
                raise
        return pairs

    def write(self, value: KeyValueList) -> Pairs:
        return Pairs((key, TEXT.write(text)) for key, text in value)


class _AnyInteger(LibxlCodec[int]):
    def read(self, node: Node) -> int:
        value: int = node.expect(Kind.INTEGER)
        return value


class _Word(LibxlCodec[int]):
    """32 bits; and what json-c made of them."""

    def read(self, node: Node) -> int:
        value: int = node.expect(Kind.INTEGER)
        return value % _WORD

    def write(self, value: int) -> int:
        return _U32.write(value)


class _Bits(LibxlCodec[str]):
    """Characters, one for each bit."""

    def __init__(self, count: int) -> None:
        self.count = count

    def read(self, node: Node) -> str:
        text = node.string()
        if len(text.encode()) != self.count:
            raise DecodeError(f"{shown(text)} is not {self.count} characters")
        return text

    def write(self, value: str) -> str:
        if len(value.encode("utf-8", "surrogatepass")) != self.count:
            raise EncodeError(f"{value!r} is not {self.count} characters")
        return value


def _members(node: Node, codecs: Dict[str, Codec[Any]]) -> Dict[str, Any]:
    """The known keys of an object."""
    found: Dict[str, Any] = {}
    for key, value in node.expect(Kind.OBJECT):
        codec = codecs.get(whole_text(key))
        if codec is None:
            continue
        if key in found:
            raise DecodeError(f"{shown(key)} is there twice")
        try:
            found[key] = codec.read(value)
        except DecodeError as e:
            e.within(key)
            raise
    return found


class _Leaf(LibxlCodec[CpuidLeaf]):
    def read(self, node: Node) -> CpuidLeaf:
        found = {"leaf": _UNUSED, **_members(node, _LEAF)}
        if found.get("subleaf") == _UNUSED:
            found["subleaf"] = None
        return CpuidLeaf(**found)

    def write(self, value: CpuidLeaf) -> Pairs:
        parts = ((key, codec, getattr(value, key)) for key, codec in _LEAF.items())
        return Pairs((key, codec.write(part)) for key, codec, part in parts if part is not None)


class _Msr(LibxlCodec[Msr]):
    def read(self, node: Node) -> Msr:
        found = _members(node, _MSR)
        for key in _MSR:
            if key not in found:
                raise DecodeError(f"an MSR without its {key}")
        return Msr(**found)

    def write(self, value: Msr) -> Pairs:
        return Pairs((key, codec.write(getattr(value, key))) for key, codec in _MSR.items())


class _Cpuid(LibxlCodec[CpuidPolicyList]):
    zero = CpuidPolicyList()

    def read(self, node: Node) -> CpuidPolicyList:
        if node.kind is Kind.ARRAY:  # up to Xen 4.17: the leaves alone
            value = CpuidPolicyList(_LEAVES.read(node))
        else:
            found = _members(node, {"cpuid": _LEAVES, "msr": _MSRS})
            for key in ("cpuid", "msr"):
                if key not in found:
                    raise DecodeError(f"CPUID policies without {key}")
            value = CpuidPolicyList(**found)
        # In C the list ends at the first of these.
        for index, leaf in enumerate(value.cpuid):
            if leaf.leaf == _UNUSED:
                del value.cpuid[index:]
                break
        return value

    def write(self, value: CpuidPolicyList) -> Pairs:
        return Pairs([("cpuid", _LEAVES.write(value.cpuid)), ("msr", _MSRS.write(value.msr))])


BOOL = _Bool()
TEXT = _Text()
DEFBOOL = _Defbool()
UUID_TEXT = _Uuid()
MAC = _Mac()
BITMAP = _Bitmap()
STRING_LIST = ListOf(_String())
KEY_VALUE_LIST = _KeyValueList()
HWCAP = _Hwcap()
MS_VM_GENID = _Genid()
CPUID_POLICY_LIST = _Cpuid()

_ANY_INTEGER = _AnyInteger()
_U32 = Number(32, signed=False)
_LEAF: Dict[str, Codec[Any]] = {"leaf": _Word(), "subleaf": _Word(), **{r: _Bits(32) for r in ("eax", "ebx", "ecx", "edx")}}
_MSR: Dict[str, Codec[Any]] = {"index": _Word(), "policy": _Bits(64)}
_LEAVES = ListOf(_Leaf())
_MSRS = ListOf(_Msr())
