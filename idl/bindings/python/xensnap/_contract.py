"""The contract's dialect of JSON: compact and strict, equal values give equal bytes.

Requests (strict types) refuse what they do not know and name the nearest known word; records and replies (open types) keep
unknown fields and values and write them again, after the known ones. Limits are checked both ways.
"""

from __future__ import annotations

import datetime
import re
import time
from dataclasses import dataclass
from enum import Enum
from typing import Any, Dict, Generic, List, Optional, Sequence, Tuple, Type, TypeVar, Union
from uuid import UUID

from ._json import Codec, DecodeError, EncodeError, Kind, Node, Pairs, RawJson, Struct
from ._json import compact, parse, shown, suggestion, whole_text

__all__ = ["DOCUMENT_MAX", "XENSTORE_MAX", "Enumeration", "OpenEnumeration", "Timestamp", "UnknownArm"]

DOCUMENT_MAX = 1 << 20
"""Most bytes of a document."""
XENSTORE_MAX = 2048
"""Most bytes of a value in xenstore."""
_DEPTH_MAX = 16

T = TypeVar("T")
S = TypeVar("S", bound=Struct)
E = TypeVar("E", bound="Enumeration")

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Enumeration(str, Enum):
    """One of several words. ``number`` is its number in C and in exit codes."""

    number: Optional[int]

    def __new__(cls, value: str, number: Optional[int] = None) -> Enumeration:
        self = str.__new__(cls, value)
        self._value_ = value
        self.number = number
        return self

    def __str__(self) -> str:
        return str.__str__(self)

    def __hash__(self) -> int:
        return str.__hash__(self)


class OpenEnumeration(Enumeration):
    """One of several words, or one that a newer version knows: that is kept and written again."""

    @classmethod
    def _missing_(cls, value: object) -> Optional[OpenEnumeration]:
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            return None
        self = str.__new__(cls, value)
        self._name_ = value
        self._value_ = value
        self.number = None
        return self

    @property
    def is_known(self) -> bool:
        """Whether this version knows it."""
        return self.number is not None


@dataclass
class UnknownArm:
    """An arm of a union that a newer version knows: kept and written again."""

    arm: str
    """Its name."""
    value: RawJson
    """What it holds."""


_TIMESTAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{9})Z", re.ASCII)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_NANOS = 1_000_000_000
_FIRST = -62_135_596_800 * _NANOS
_END = 253_402_300_800 * _NANOS


@dataclass(frozen=True, order=True)
class Timestamp:
    """An instant in UTC, to the nanosecond, of the years 1 to 9999."""

    unix_nanos: int
    """Nanoseconds since 1970."""

    def __post_init__(self) -> None:
        if not _FIRST <= self.unix_nanos < _END:
            raise ValueError("a timestamp outside of the years 1 to 9999")

    @classmethod
    def now(cls) -> Timestamp:
        """The present instant."""
        return cls(time.time_ns())

    @classmethod
    def parse(cls, text: str) -> Timestamp:
        """From RFC 3339 in UTC with nine digits: ``2026-11-23T10:20:30.123456789Z``."""
        match = _TIMESTAMP.fullmatch(text)
        try:
            if not match:
                raise ValueError
            *parts, nanos = map(int, match.groups())
            whole = datetime.datetime(*parts, tzinfo=datetime.timezone.utc)  # type: ignore[misc, arg-type]
        except ValueError:
            raise ValueError(
                f"{shown(text)} is not a timestamp: RFC 3339 in UTC with nine digits, as 2026-11-23T10:20:30.123456789Z"
            ) from None
        since = whole - _EPOCH
        return cls((since.days * 86_400 + since.seconds) * _NANOS + nanos)

    @classmethod
    def from_datetime(cls, instant: datetime.datetime) -> Timestamp:
        """From a datetime with a time zone."""
        since = instant - _EPOCH
        return cls((since.days * 86_400 + since.seconds) * _NANOS + since.microseconds * 1000)

    def to_datetime(self) -> datetime.datetime:
        """As a datetime in UTC, whose microseconds cut the last three digits."""
        return _EPOCH + datetime.timedelta(microseconds=self.unix_nanos // 1000)

    def __str__(self) -> str:
        seconds, nanos = divmod(self.unix_nanos, _NANOS)
        whole = _EPOCH + datetime.timedelta(seconds=seconds)
        # Not strftime: its %Y has no leading zeros everywhere.
        return (
            f"{whole.year:04}-{whole.month:02}-{whole.day:02}T{whole.hour:02}:{whole.minute:02}:{whole.second:02}"
            f".{nanos:09}Z"
        )


class ContractCodec(Codec[T]):
    """A codec of this dialect."""

    def loads(self, text: Union[str, bytes], size_max: int = DOCUMENT_MAX) -> T:
        """Reads a document of at most so many bytes. Raises `DecodeError`."""
        size = len(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
        if size > size_max:
            raise DecodeError(f"{size} bytes; at most {size_max}")
        return self.read(parse(text, _DEPTH_MAX))

    def dumps(self, value: T, size_max: int = DOCUMENT_MAX) -> str:
        """Writes a document of at most so many bytes. Raises `EncodeError`."""
        text = compact(self.write(value))
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise EncodeError("half of a surrogate pair, which is no text") from None
        if size > size_max:
            raise EncodeError(f"{size} bytes; at most {size_max}")
        try:
            parse(text, _DEPTH_MAX)
        except DecodeError as e:
            raise EncodeError(e.problem) from None
        return text


class _Bool(ContractCodec[bool]):
    def read(self, node: Node) -> bool:
        value: bool = node.expect(Kind.BOOL)
        return value

    def write(self, value: bool) -> bool:
        if value is True or value is False:
            return value
        raise EncodeError(f"{value!r} is no truth value")


class Int(ContractCodec[int]):
    """An integer from ``least`` to ``most``."""

    def __init__(self, least: int, most: int) -> None:
        self.least, self.most = least, most

    def _fault(self, value: int) -> Optional[str]:
        if self.least <= value <= self.most:
            return None
        return f"{value} is not from {self.least} to {self.most}"

    def read(self, node: Node) -> int:
        value: int = node.expect(Kind.INTEGER)
        fault = "-0 is no integer here" if node.raw == "-0" else self._fault(value)
        if fault:
            raise DecodeError(fault)
        return value

    def write(self, value: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise EncodeError(f"{value!r} is no integer")
        fault = self._fault(value)
        if fault:
            raise EncodeError(fault)
        return value


class Text(ContractCodec[str]):
    """Text of ``least`` to ``most`` bytes of UTF-8 that matches a pattern as a whole; beside what it narrows."""

    def __init__(
        self, name: str, least: int = 0, most: Optional[int] = None, pattern: str = "", of: Optional[Text] = None
    ) -> None:
        self.name, self.least, self.most, self.of = name, least, most, of
        self.pattern = re.compile(pattern) if pattern else None

    def check(self, text: str) -> Optional[str]:
        """What is wrong with a text; None when it is one."""
        fault = self.of.check(text) if self.of else None
        if fault:
            return fault
        size = len(text.encode("utf-8", "surrogatepass"))
        if size < self.least:
            return f"{shown(text)} is not a {self.name}: {size} bytes, at least {self.least}"
        if self.most is not None and size > self.most:
            return f"{shown(text)} is not a {self.name}: {size} bytes, at most {self.most}"
        if self.pattern and not self.pattern.fullmatch(text):
            return f"{shown(text)} is not a {self.name}: it must match `{self.pattern.pattern}`"
        return None

    def read(self, node: Node) -> str:
        text = node.string()
        fault = self.check(text)
        if fault:
            raise DecodeError(fault)
        return text

    def write(self, value: str) -> str:
        if not isinstance(value, str):
            raise EncodeError(f"{value!r} is no text")
        fault = self.check(value)
        if fault:
            raise EncodeError(fault)
        return value


class _Path(Text):
    def check(self, text: str) -> Optional[str]:
        if not text.startswith("/"):
            return f"{shown(text)} is not a path: it must be absolute"
        if ".." in text.split("/"):
            return f"{shown(text)} is not a path: it must not hold `..`"
        if "\0" in text:
            return f"{shown(text)} is not a path: it must not hold NUL"
        return None


class Raw(ContractCodec[RawJson]):
    """JSON of someone else."""

    def __init__(self, limits: Optional[Text] = None) -> None:
        self.limits = limits

    def read(self, node: Node) -> RawJson:
        fault = self.limits.check(node.raw) if self.limits else None
        if fault:
            raise DecodeError(fault)
        return RawJson(node.raw)

    def write(self, value: RawJson) -> RawJson:
        try:
            node = parse(value)
        except (DecodeError, TypeError) as e:
            raise EncodeError(f"no JSON: {e}") from None
        fault = self.limits.check(value) if self.limits else None
        if fault:
            raise EncodeError(fault)
        return RawJson(node.raw)


class _Timestamp(ContractCodec[Timestamp]):
    def read(self, node: Node) -> Timestamp:
        text = node.string()
        try:
            return Timestamp.parse(text)
        except ValueError as e:
            raise DecodeError(str(e)) from None

    def write(self, value: Timestamp) -> str:
        if not isinstance(value, Timestamp):
            raise EncodeError(f"{value!r} is no timestamp")
        return str(value)


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class _Uuid(ContractCodec[UUID]):
    def read(self, node: Node) -> UUID:
        text = node.string()
        if not _UUID.fullmatch(text):
            raise DecodeError(f"{shown(text)} is not a uuid: 32 lower-case hex digits with dashes, as 8-4-4-4-12")
        return UUID(text)

    def write(self, value: UUID) -> str:
        if not isinstance(value, UUID):
            raise EncodeError(f"{value!r} is no uuid.UUID")
        return str(value)


BOOL = _Bool()
STRING = Text("string")
PATH = _Path("path")
RAW = Raw()
TIMESTAMP = _Timestamp()
UUID_TEXT = _Uuid()


class Names(ContractCodec[E]):
    """An enumeration."""

    def __init__(self, of: Type[E], name: str) -> None:
        self.of, self.name = of, name

    def read(self, node: Node) -> E:
        text = node.string()
        try:
            return self.of(text)
        except ValueError:
            near = suggestion(text, [v.value for v in self.of])
            raise DecodeError(f"{shown(text)} is no {self.name}{near}") from None

    def write(self, value: E) -> str:
        if not isinstance(value, self.of):
            raise EncodeError(f"{value!r} is no {self.of.__name__}")
        return str(value.value)


class ListOf(ContractCodec[List[T]]):
    """A list of ``least`` to ``most`` elements."""

    def __init__(self, of: Codec[T], least: int = 0, most: Optional[int] = None) -> None:
        self.of, self.least, self.most = of, least, most

    def _fault(self, count: int) -> Optional[str]:
        if count < self.least:
            return f"{count} elements, at least {self.least}"
        if self.most is not None and count > self.most:
            return f"{count} elements, at most {self.most}"
        return None

    def read(self, node: Node) -> List[T]:
        values = []
        elements: List[Node] = node.expect(Kind.ARRAY)
        for index, element in enumerate(elements):
            try:
                values.append(self.of.read(element))
            except DecodeError as e:
                e.within_index(index)
                raise
        fault = self._fault(len(values))
        if fault:
            raise DecodeError(fault)
        return values

    def write(self, value: List[T]) -> List[Any]:
        if not isinstance(value, (list, tuple)):
            raise EncodeError(f"{value!r} is no list")
        fault = self._fault(len(value))
        if fault:
            raise EncodeError(fault)
        tree = []
        for index, element in enumerate(value):
            try:
                tree.append(self.of.write(element))
            except EncodeError as e:
                e.within_index(index)
                raise
        return tree


class Member:
    """A field: its key, its codec, the attribute that holds it."""

    def __init__(self, key: str, codec: Codec[Any], attr: str = "", *, required: bool = True, optional: bool = False) -> None:
        self.key, self.codec, self.attr = key, codec, attr or key
        self.required, self.optional = required and not optional, optional

    @property
    def keys(self) -> Dict[str, Tuple[Union[Member, Arms], Codec[Any]]]:
        """Its keys in JSON, each with what reads it."""
        return {self.key: (self, self.codec)}

    def write(self, value: Any, pairs: Pairs, known: Dict[str, Any]) -> None:
        """Adds its key, if it is there."""
        if value is None and self.optional:
            return
        pairs.append((self.key, _written(self.codec, value, self.key)))


class Arms:
    """A union: one key of its object, ``"op.cancel"``. Each arm has a class of its own."""

    required = True

    def __init__(self, keyvar: str, arms: Sequence[Tuple[str, Shape[Any]]], attr: str) -> None:
        self.key, self.attr = keyvar, attr
        self.prefix = keyvar + "."
        self.arms = {self.prefix + name: shape for name, shape in arms}
        self.of = {shape.of: (key, shape) for key, shape in self.arms.items()}

    @property
    def keys(self) -> Dict[str, Tuple[Union[Member, Arms], Codec[Any]]]:
        """Its keys in JSON, each with what reads it."""
        return {key: (self, shape) for key, shape in self.arms.items()}

    def write(self, value: Any, pairs: Pairs, known: Dict[str, Any]) -> None:
        """Adds the key of its arm."""
        if isinstance(value, UnknownArm):
            key = self.prefix + value.arm
            if key in known or not _NAME.fullmatch(value.arm):
                raise EncodeError(f"{shown(key)} cannot be an unknown arm")
            pairs.append((key, _written(RAW, value.value, key)))
            return
        if type(value) not in self.of:
            raise EncodeError(f"{type(value).__name__} is no arm of it", self.attr)
        key, shape = self.of[type(value)]
        pairs.append((key, _written(shape, value, key)))


def _written(codec: Codec[Any], value: Any, key: str) -> Any:
    try:
        return codec.write(value)
    except EncodeError as e:
        e.within(key)
        raise


class Shape(ContractCodec[S], Generic[S]):
    """A struct."""

    def __init__(self, of: Type[S], name: str, members: Sequence[Union[Member, Arms]] = (), *, strict: bool) -> None:
        self.of, self.name, self.members, self.strict = of, name, members, strict
        self.keys: Dict[str, Tuple[Union[Member, Arms], Codec[Any]]] = {}
        for member in members:
            self.keys.update(member.keys)
        self.unions = [m for m in members if isinstance(m, Arms)]
        of._codec = self

    def read(self, node: Node) -> S:
        found: Dict[str, Any] = {}
        extra: Dict[str, RawJson] = {}
        pairs: List[Tuple[str, Node]] = node.expect(Kind.OBJECT)
        for key, value in pairs:
            whole_text(key)
            known = self.keys.get(key)
            if known is None:
                self._unknown(key, value, found, extra)
                continue
            member, codec = known
            if member.attr in found:
                raise DecodeError(_twice(member, key))
            try:
                found[member.attr] = codec.read(value)
            except DecodeError as e:
                e.within(key)
                raise
        for member in self.members:
            if member.required and member.attr not in found:
                raise DecodeError(f"missing field{': one of' if len(member.keys) > 1 else ''} `{'`, `'.join(member.keys)}`")
        if not self.strict:
            found["extra"] = extra
        return self.of(**found)

    def _unknown(self, key: str, value: Node, found: Dict[str, Any], extra: Dict[str, RawJson]) -> None:
        if self.strict:
            raise DecodeError(f"unknown field {shown(key)}{suggestion(key, self.keys)}")
        for union in self.unions:
            if key.startswith(union.prefix):
                arm = key[len(union.prefix) :]
                if not _NAME.fullmatch(arm):
                    raise DecodeError(f"{shown(key)} is not a key of `{union.key}`")
                if union.attr in found:
                    raise DecodeError(_twice(union, key))
                found[union.attr] = UnknownArm(arm, RawJson(value.raw))
                return
        if key in extra:
            raise DecodeError(f"duplicate key {shown(key)}")
        extra[key] = RawJson(value.raw)

    def write(self, value: S) -> Pairs:
        if not isinstance(value, self.of):
            raise EncodeError(f"{type(value).__name__} is no {self.of.__name__}")
        pairs = Pairs()
        for member in self.members:
            member.write(getattr(value, member.attr), pairs, self.keys)
        if not self.strict:
            extra: Dict[str, RawJson] = getattr(value, "extra")
            for key, raw in extra.items():
                if key in self.keys:
                    raise EncodeError(f"unknown field {shown(key)} has a known name")
                pairs.append((key, _written(RAW, raw, key)))
        return pairs


def _twice(member: Union[Member, Arms], key: str) -> str:
    if isinstance(member, Arms):
        return f"{shown(key)} is a second key of `{member.key}`: only one can be there"
    return f"duplicate key {shown(key)}"
