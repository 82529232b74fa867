"""libxl's JSON without its losses: the layout of libxl built on yajl, every value whole.

Reads what either libxl writes (yajl up to Xen 4.20, json-c from 4.21 on) and what that lost of 32-bit numbers; refuses
what libxl would drop without a word. A field is left out while it is as it begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Dict, Generic, List, Optional, Sequence, Tuple, Type, TypeVar, Union

from ._json import Codec, DecodeError, EncodeError, Kind, Node, Pairs, Struct
from ._json import shown, suggestion, whole_text
from ._libxl_builtin import (
    BITMAP,
    BOOL,
    CPUID_POLICY_LIST,
    DEFBOOL,
    HWCAP,
    KEY_VALUE_LIST,
    MAC,
    MS_VM_GENID,
    STRING_LIST,
    TEXT,
    UUID_TEXT,
    CpuidLeaf,
    CpuidPolicyList,
    KeyValueList,
    LibxlCodec,
    ListOf,
    Msr,
    Number,
)

__all__ = [
    "BITMAP",
    "BOOL",
    "CPUID_POLICY_LIST",
    "DEFBOOL",
    "HWCAP",
    "KEY_VALUE_LIST",
    "MAC",
    "MS_VM_GENID",
    "STRING_LIST",
    "TEXT",
    "UUID_TEXT",
    "Arms",
    "CEnumeration",
    "CpuidLeaf",
    "CpuidPolicyList",
    "Field",
    "KeyValueList",
    "ListOf",
    "Msr",
    "NoArm",
    "Number",
    "Numbers",
    "Shape",
]

S = TypeVar("S", bound=Struct)
E = TypeVar("E", bound="CEnumeration")


class CEnumeration(int, Enum):
    """An enumeration of C: a number that has a name here, or one that has none (``is_known`` is false then)."""

    text: Optional[str]

    def __new__(cls, number: int, text: Optional[str] = None) -> CEnumeration:
        self = int.__new__(cls, number)
        self._value_ = number
        self.text = text
        return self

    @classmethod
    def _missing_(cls, value: object) -> Optional[CEnumeration]:
        if isinstance(value, bool) or not isinstance(value, int) or not -(1 << 31) <= value < 1 << 31:
            return None
        self = int.__new__(cls, value)
        self._name_ = f"OTHER_{value}".replace("-", "MINUS_")
        self._value_ = value
        self.text = None
        return self

    @classmethod
    def named(cls: Type[E], name: str) -> E:
        """The value of a name in JSON; case makes no difference."""
        for value in cls:
            if value.text == name.lower() and name.isascii():
                return value
        raise ValueError(f"{shown(name)} is no {cls.__name__}{suggestion(name, [v.text or '' for v in cls])}")

    @property
    def is_known(self) -> bool:
        """Whether the number has a name."""
        return self.text is not None

    def __str__(self) -> str:
        return self.text if self.text is not None else str(int(self))

    def __hash__(self) -> int:
        return int.__hash__(self)


@dataclass
class NoArm(Generic[E]):
    """The key of a union that has no arm for it."""

    key: E


class Numbers(LibxlCodec[E]):
    """An enumeration."""

    zero = 0

    def __init__(self, of: Type[E], name: str) -> None:
        self.of, self.name = of, name
        self.known = {value.text: value for value in of}

    def read(self, node: Node) -> E:
        if node.kind is Kind.INTEGER:
            try:
                return self.of(node.value)
            except ValueError:
                raise DecodeError(f"{node.value} is no number of C's int") from None
        if node.kind is not Kind.STRING:
            node.wrong_kind(Kind.STRING, Kind.INTEGER)
        text = node.string()
        value = self.known.get(text.lower()) if text.isascii() else None
        if value is None:
            raise DecodeError(f"{shown(text)} is no {self.name}{suggestion(text, [v.text or '' for v in self.of])}")
        return value

    def write(self, value: E) -> Union[str, int]:
        if not isinstance(value, self.of):
            raise EncodeError(f"{value!r} is no {self.of.__name__}")
        return value.text if value.text is not None else int(value)


class Field:
    """A field: its key, its codec, the attribute that holds it, and what it begins as."""

    def __init__(self, key: str, codec: LibxlCodec[Any], attr: str = "", initial: Any = None) -> None:
        self.key, self.codec, self.attr = key, codec, attr or key
        self.initial = codec.zero if initial is None else initial

    @property
    def keys(self) -> Dict[str, LibxlCodec[Any]]:
        """Its keys in JSON, each with what reads it."""
        return {self.key: self.codec}

    def write(self, value: Any, pairs: Pairs) -> None:
        """Adds its key, unless it is as it begins."""
        if not self.codec.leaves_out(value, self.initial):
            pairs.append((self.key, _written(self.codec, value, self.key)))


class Arms:
    """A union: one key of its object, ``"type.hvm"``. Each arm has a class of its own."""

    def __init__(
        self, keyvar: str, key: Numbers[Any], arms: Sequence[Tuple[str, Shape[Any]]], attr: str, initial: int
    ) -> None:
        self.keyvar, self.key, self.attr, self.initial = keyvar, key, attr, initial
        self.arms: Dict[str, Shape[Any]] = {f"{keyvar}.{name}": shape for name, shape in arms}
        self.of = {shape.of: (name, shape) for name, shape in self.arms.items()}

    @property
    def keys(self) -> Dict[str, LibxlCodec[Any]]:
        """Its keys in JSON, each with what reads it."""
        return {**self.arms, self.keyvar: _KeyOf(self.key)}

    def write(self, value: Any, pairs: Pairs) -> None:
        """Adds the key of its arm, or the key alone where it has none."""
        if isinstance(value, NoArm):
            if value.key != self.initial:
                pairs.append((self.keyvar, _written(self.key, value.key, self.keyvar)))
            return
        if type(value) not in self.of:
            raise EncodeError(f"{type(value).__name__} is no arm of it", self.attr)
        name, shape = self.of[type(value)]
        pairs.append((name, _written(shape, value, name)))


class _KeyOf(LibxlCodec["NoArm[Any]"]):
    """The key of a union, which stands alone where it has no arm."""

    def __init__(self, key: Numbers[Any]) -> None:
        self.key = key

    def read(self, node: Node) -> NoArm[Any]:
        return NoArm(self.key.read(node))


def _written(codec: Codec[Any], value: Any, key: str) -> Any:
    try:
        return codec.write(value)
    except EncodeError as e:
        e.within(key)
        raise


class Shape(LibxlCodec[S], Generic[S]):
    """A struct: always written."""

    def __init__(self, of: Type[S], name: str, members: Sequence[Union[Field, Arms]] = ()) -> None:
        self.of, self.name, self.members = of, name, members
        self.keys: Dict[str, Tuple[Union[Field, Arms], LibxlCodec[Any]]] = {}
        for member in members:
            self.keys.update({key: (member, codec) for key, codec in member.keys.items()})
        of._codec = self

    def leaves_out(self, value: S, initial: Any) -> bool:
        return False

    def read(self, node: Node) -> S:
        found: Dict[str, Any] = {}
        seen: Dict[str, str] = {}
        for key, value in node.expect(Kind.OBJECT):
            known = self.keys.get(whole_text(key))
            if known is None:
                continue
            member, codec = known
            if seen.get(member.attr) == key:
                raise DecodeError(f"{shown(key)} is there twice")
            if member.attr in seen:
                raise DecodeError(f"{shown(seen[member.attr])} and {shown(key)} are two arms of one union; libxl aborts on that")
            try:
                found[member.attr] = codec.read(value)
            except DecodeError as e:
                e.within(key)
                raise
            seen[member.attr] = key
        return self.of(**found)

    def write(self, value: S) -> Pairs:
        if not isinstance(value, self.of):
            raise EncodeError(f"{type(value).__name__} is no {self.of.__name__}")
        pairs = Pairs()
        for member in self.members:
            member.write(getattr(value, member.attr), pairs)
        return pairs
