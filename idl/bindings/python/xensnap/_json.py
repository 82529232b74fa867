"""JSON as both dialects read and write it, and what every type of this package has in common.

A document is parsed into nodes that know their kind and their place, so that JSON of others can be kept byte for byte;
a codec makes a value of a node, and of a value a tree, which is printed. The text is untrusted: parsing does not recurse.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, ClassVar, Generic, Iterable, List, NoReturn, Optional, Tuple, Type, TypeVar, Union

from json import loads as _loads
from json.encoder import encode_basestring as quote

__all__ = ["DecodeError", "EncodeError", "RawJson"]

T = TypeVar("T")
S = TypeVar("S", bound="Struct")


class _Located(ValueError):
    """What is wrong, and the path to it."""

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(problem, path)
        self.problem = problem
        self.path = path

    def within(self, key: str) -> None:
        """Says that it is inside the value of a key."""
        inner = self.path if self.path.startswith("[") or not self.path else "." + self.path
        self.path = key + inner

    def within_index(self, index: int) -> None:
        """Says that it is inside an element of an array."""
        self.within(f"[{index}]")

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}" if self.path else self.problem


class DecodeError(_Located):
    """A document that cannot be read. ``path`` says where (``disks[1].format``), ``problem`` what is wrong there."""


class EncodeError(_Located):
    """A value that cannot be written. ``path`` says where, ``problem`` what is wrong there."""


class RawJson(str):
    """A JSON text, kept byte for byte. ``RawJson.of(value)`` makes one, ``.value`` is what it holds."""

    __slots__ = ()

    @classmethod
    def of(cls, value: Any) -> RawJson:
        """The text of a plain value: dict, list, str, int, bool or None."""
        from json import dumps

        return cls(dumps(value, ensure_ascii=False, separators=(",", ":")))

    @property
    def value(self) -> Any:
        """What the text holds."""
        return _loads(self)


class Pairs(List[Tuple[str, Any]]):
    """An object that is to be written: keys in order."""


class Kind(Enum):
    """What a node is."""

    OBJECT = "an object"
    ARRAY = "an array"
    STRING = "a string"
    BOOL = "a truth value"
    NULL = "null"
    INTEGER = "an integer"
    DOUBLE = "a number with a fraction or exponent"
    BIG = "a number that is too large"


class Node:
    """A value of a document. ``value``: members of an object, nodes of an array, else the plain value."""

    __slots__ = ("kind", "value", "text", "start", "end")

    def __init__(self, kind: Kind, value: Any, text: str, start: int, end: int) -> None:
        self.kind, self.value, self.text, self.start, self.end = kind, value, text, start, end

    @property
    def raw(self) -> str:
        """Its text."""
        return self.text[self.start : self.end]

    def wrong_kind(self, *kinds: Kind) -> NoReturn:
        """Refuses it: one of these belongs here."""
        raise DecodeError(f"{self.kind.value} where {' or '.join(k.value for k in kinds)} belongs")

    def expect(self, kind: Kind) -> Any:
        """Its value, when it is of this kind."""
        if self.kind is not kind:
            self.wrong_kind(kind)
        return self.value

    def string(self) -> str:
        """Its text, when it is a string."""
        text: str = self.expect(Kind.STRING)
        return whole_text(text)


_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"([^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*)"')
_ESCAPE = re.compile(r"\\(?:u(....)|(.))")
_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))((?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)")
_WORD = re.compile(r"true|false|null")
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"true": (Kind.BOOL, True), "false": (Kind.BOOL, False), "null": (Kind.NULL, None)}
# An integer of more digits is larger than anything that a type holds.
_DIGITS_MAX = 40
_BIG = (1 << 127) - 1


def whole_text(text: str) -> str:
    """Text that is no half of a surrogate pair."""
    if _HALF_PAIR.search(text):
        raise DecodeError("half of a surrogate pair, which is no text")
    return text


def _unescape(match: "re.Match[str]") -> str:
    code, short = match.groups()
    return chr(int(code, 16)) if code else _SHORT.get(short, short)


class _Parser:
    def __init__(self, text: str, depth_max: Optional[int], halves: bool) -> None:
        self.text = text
        self.at = 0
        self.depth_max = depth_max
        self.halves = halves

    def fail(self, expected: str) -> NoReturn:
        found = f"`{self.text[self.at]}`" if self.at < len(self.text) else "the end of the text"
        raise DecodeError(f"not JSON: expected {expected}, found {found} at character {self.at}")

    def space(self) -> str:
        """The next character that is no white space; empty at the end."""
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.text[self.at : self.at + 1]

    def string(self) -> str:
        match = _STRING.match(self.text, self.at)
        if not match:
            self.fail("a string with its end and no control character or unknown escape in it")
        self.at = match.end()
        text = match.group(1)
        if "\\" not in text:
            return text
        text = _ESCAPE.sub(_unescape, text)
        if _HALF_PAIR.search(text):
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        return text if self.halves else whole_text(text)

    def key(self) -> str:
        if self.space() != '"':
            self.fail("a key")
        key = self.string()
        if self.space() != ":":
            self.fail("`:` after a key")
        self.at += 1
        return key

    def scalar(self) -> Node:
        start = self.at
        if self.text.startswith('"', start):
            text = self.string()
            return Node(Kind.STRING, text, self.text, start, self.at)
        word = _WORD.match(self.text, start)
        if word:
            self.at = word.end()
            kind, value = _WORDS[word.group()]
            return Node(kind, value, self.text, start, self.at)
        number = _NUMBER.match(self.text, start)
        if not number:
            self.fail("a value")
        self.at = number.end()
        if number.group(2):
            return Node(Kind.DOUBLE, None, self.text, start, self.at)
        digits = number.group(1)
        if len(digits) > _DIGITS_MAX or abs(int(digits)) >= _BIG:
            return Node(Kind.BIG, None, self.text, start, self.at)
        return Node(Kind.INTEGER, int(digits), self.text, start, self.at)

    def document(self) -> Node:
        open_: List[Node] = []
        keys: List[str] = []
        while True:
            first = self.space()
            if first in ("{", "["):
                node = Node(Kind.OBJECT if first == "{" else Kind.ARRAY, [], self.text, self.at, self.at)
                if self.depth_max is not None and len(open_) >= self.depth_max:
                    raise DecodeError(f"nested deeper than {self.depth_max}")
                self.at += 1
                if self.space() != ("}" if first == "{" else "]"):
                    open_.append(node)
                    if first == "{":
                        keys.append(self.key())
                    continue
                self.at += 1
                node.end = self.at
            else:
                node = self.scalar()
            while True:
                if not open_:
                    if self.space():
                        self.fail("the end of the text")
                    return node
                around = open_[-1]
                is_object = around.kind is Kind.OBJECT
                around.value.append((keys.pop(), node) if is_object else node)
                after = self.space()
                if after == ",":
                    self.at += 1
                    if is_object:
                        keys.append(self.key())
                    break
                close = "}" if is_object else "]"
                if after != close:
                    self.fail(f"`,` or `{close}`")
                self.at += 1
                node = open_.pop()
                node.end = self.at


def parse(text: Union[str, bytes], depth_max: Optional[int] = None, *, halves: bool = True) -> Node:
    """Parses a document, by JSON's own grammar. `halves`: half a surrogate pair is left in strings for `whole_text`."""
    if not isinstance(text, str):
        try:
            text = bytes(text).decode("utf-8")
        except UnicodeDecodeError as e:
            raise DecodeError(f"not UTF-8: byte {e.start} begins no character") from None
    return _Parser(text, depth_max, halves).document()


class Codec(Generic[T]):
    """Reads and writes values of one type."""

    def read(self, node: Node) -> T:
        """The value of a node."""
        raise NotImplementedError

    def write(self, value: T) -> Any:
        """The tree of a value: None, bool, int, str, list, `Pairs`, `RawJson`."""
        raise NotImplementedError

    def loads(self, text: Union[str, bytes]) -> T:
        """Reads a document. Raises `DecodeError`."""
        raise NotImplementedError

    def dumps(self, value: T) -> str:
        """Writes a document. Raises `EncodeError`."""
        raise NotImplementedError


class Struct:
    """What every struct can do."""

    _codec: ClassVar[Codec[Any]]

    @classmethod
    def from_json(cls: Type[S], text: Union[str, bytes]) -> S:
        """Reads a document. Raises `DecodeError`, which names the path to what is wrong."""
        value: S = cls._codec.loads(text)
        return value

    def to_json(self) -> str:
        """Writes a document. Raises `EncodeError`, which names the path to what is wrong."""
        return self._codec.dumps(self)


def compact(tree: Any) -> str:
    """The text of a tree without white space."""
    if isinstance(tree, RawJson):
        return str(tree)
    if isinstance(tree, str):
        return quote(tree)
    if tree is None or tree is True or tree is False:
        return {None: "null", True: "true", False: "false"}[tree]
    if isinstance(tree, Pairs):
        return "{" + ",".join(quote(k) + ":" + compact(v) for k, v in tree) + "}"
    if isinstance(tree, list):
        return "[" + ",".join(map(compact, tree)) + "]"
    return str(int(tree))


def shown(text: str) -> str:
    """Text as a message shows it: quoted, cut."""
    cut = text if len(text) <= 40 else text[:40] + ".."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in quote(cut))


def suggestion(word: str, names: Iterable[str]) -> str:
    """``; did you mean "qcow2"?`` when a name is near enough to be meant."""
    if len(word) > 64:
        return ""
    limit = min(max(len(word) // 3, 1), 3)
    near = sorted((d, n) for d, n in ((_distance(word.lower(), n.lower()), n) for n in names) if d <= limit)
    return f'; did you mean "{near[0][1]}"?' if near else ""


def _distance(a: str, b: str) -> int:
    """Edits (insert, delete, replace, swap of neighbours) between two words."""
    before: List[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a):
        row = [i + 1]
        for j, y in enumerate(b):
            best = min(last[j] + (x != y), last[j + 1] + 1, row[j] + 1)
            if i and j and a[i - 1] == y and b[j - 1] == x:
                best = min(best, before[j - 1] + 1)
            row.append(best)
        before, last = last, row
    return last[-1]
