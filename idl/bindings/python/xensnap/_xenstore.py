"""A connection to xenstored, by its own protocol (xen/include/public/io/xs_wire.h).

A thread reads all that the daemon sends, since a client that does not would hold up others: replies go to who waits for
them, events only set a flag. When the daemon dies every call fails with `Disconnected`; the next one connects anew and
sets every watch again. A daemon that comes back has forgotten everything.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import threading
import time
from typing import Callable, Dict, List, Optional, Tuple, TypeVar

__all__ = ["Connection", "Disconnected", "Refused", "Watch", "XenstoreError"]

R = TypeVar("R")

_HEADER = struct.Struct("=4I")
_PAYLOAD_MAX = 4096
_REPLY_MAX = 16 << 20
_DIRECTORY, _READ, _GET_PERMS, _WATCH, _UNWATCH, _START, _END = 1, 2, 3, 4, 5, 6, 7
_WRITE, _MKDIR, _RM, _SET_PERMS, _EVENT, _ERROR, _DIRECTORY_PART = 11, 12, 13, 14, 15, 16, 22
_VERBS = {
    _DIRECTORY: "list", _READ: "read", _GET_PERMS: "get permissions of", _WATCH: "watch", _UNWATCH: "unwatch",
    _START: "begin", _END: "end", _WRITE: "write", _MKDIR: "make", _RM: "remove", _SET_PERMS: "set permissions of",
    _DIRECTORY_PART: "list",
}  # fmt: skip


class XenstoreError(OSError):
    """xenstore cannot be reached or refuses."""


class Disconnected(XenstoreError):
    """The connection was lost, or cannot be made. Whether a request that was on its way was carried out is not known."""


class Refused(XenstoreError):
    """The daemon answered with an errno: ``errno_name``."""

    def __init__(self, verb: str, path: str, errno_name: str) -> None:
        super().__init__(f"xenstore: {verb} {path}: {errno_name}")
        self.errno_name = errno_name


class Watch:
    """A path that is watched. `wait` returns when something may have changed; equal events are one."""

    def __init__(self, connection: Connection, path: str, token: str) -> None:
        self._connection, self.path, self._token = connection, path, token
        self._event = threading.Event()

    def wait(self, timeout: Optional[float]) -> bool:
        """Waits for an event; false after `timeout` seconds without one."""
        happened = self._event.wait(timeout)
        self._event.clear()
        return happened

    def close(self) -> None:
        """Ends it."""
        self._connection._unwatch(self)


def default_path() -> str:
    """Where the daemon listens: ``$XENSTORED_PATH``, as for Xen's own tools, or the usual places."""
    path = os.environ.get("XENSTORED_PATH")
    if path:
        return path
    for path in ("/run/xenstored/socket", "/var/run/xenstored/socket", "/dev/xen/xenbus", "/proc/xen/xenbus"):
        if os.path.exists(path):
            return path
    return "/run/xenstored/socket"


class _Link:
    """One connection, until it breaks."""

    def __init__(self, path: str, deadline: float) -> None:
        self._socket: Optional[socket.socket] = None
        self._fd = -1
        if stat.S_ISCHR(os.stat(path).st_mode):
            self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            return
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        while True:
            try:
                return self._socket.connect(path)
            except OSError as e:
                # The daemon's backlog is 1.
                if not isinstance(e, BlockingIOError) or time.monotonic() > deadline:
                    self._socket.close()
                    raise
            time.sleep(0.005)

    def send(self, data: bytes) -> None:
        if self._socket:
            self._socket.sendall(data)
            return
        while data:
            data = data[os.write(self._fd, data) :]

    def receive(self) -> bytes:
        return self._socket.recv(1 << 16) if self._socket else os.read(self._fd, 1 << 12)

    def close(self) -> None:
        """Also wakes who receives. A device's reader stays until the next message."""
        if self._socket:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self._socket.close()
        elif self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Connection:
    """A connection to xenstored. Threads may share it."""

    def __init__(self, path: Optional[str] = None, timeout: float = 10.0) -> None:
        self.path = path or default_path()
        self.timeout = timeout
        self.generation = 0
        self._lock = threading.Condition()
        self._connecting = threading.Lock()
        self._sending = threading.Lock()
        self._link: Optional[_Link] = None
        self._closed = False
        self._next = 1
        self._replies: Dict[int, Optional[Tuple[int, bytes]]] = {}
        self._watches: Dict[str, Watch] = {}
        self._connected()

    def close(self) -> None:
        """Ends it, and what waits for it."""
        self._closed = True
        with self._lock:
            link = self._link
        if link:
            self._lost(link)

    def _connected(self) -> _Link:
        """The connection; made anew when it was lost, with every watch set again."""
        with self._connecting:
            with self._lock:
                if self._link:
                    return self._link
            if self._closed:
                raise XenstoreError("xenstore: the connection was closed")
            try:
                link = _Link(self.path, time.monotonic() + self.timeout)
            except OSError as e:
                raise Disconnected(
                    f"xenstore: cannot connect to {self.path}: {e.strerror or e}; is xenstored running, and is this dom0's root?"
                ) from e
            with self._lock:
                self._link = link
                self.generation += 1
                watches = list(self._watches.values())
            threading.Thread(target=self._read_all, args=(link,), name="xenstore", daemon=True).start()
            for watch in watches:
                self._ask(link, _WATCH, watch.path, _words(watch.path, watch._token), 0)
            return link

    def _lost(self, link: _Link) -> None:
        with self._lock:
            if self._link is link:
                self._link = None
                self._replies.clear()
                for watch in self._watches.values():
                    watch._event.set()
                self._lock.notify_all()
        link.close()

    def _read_all(self, link: _Link) -> None:
        data = b""
        while True:
            try:
                more = link.receive()
            except OSError:
                more = b""
            if not more:
                return self._lost(link)
            data += more
            while len(data) >= _HEADER.size:
                kind, request, _, size = _HEADER.unpack_from(data)
                if size > _REPLY_MAX:
                    return self._lost(link)
                end = _HEADER.size + size
                if len(data) < end:
                    break
                self._received(link, kind, request, data[_HEADER.size : end])
                data = data[end:]

    def _received(self, link: _Link, kind: int, request: int, payload: bytes) -> None:
        with self._lock:
            if kind == _EVENT:
                token = payload.split(b"\0")[1:2]
                watch = self._watches.get(token[0].decode("ascii", "replace")) if token else None
                if watch:
                    watch._event.set()
            elif self._link is link and request in self._replies:
                self._replies[request] = (kind, payload)
                self._lock.notify_all()

    def _ask(self, link: _Link, kind: int, what: str, payload: bytes, transaction: int) -> bytes:
        if len(payload) > _PAYLOAD_MAX:
            raise XenstoreError(f"xenstore: {what}: a request of {len(payload)} bytes is too large (at most {_PAYLOAD_MAX})")
        limit = time.monotonic() + self.timeout
        with self._lock:
            request = self._next
            self._next = self._next % 0xFFFFFFFF + 1
            self._replies[request] = None
        sent = self._send(link, _HEADER.pack(kind, request, transaction, len(payload)) + payload)
        with self._lock:
            while sent and self._link is link and self._replies.get(request) is None:
                if not self._lock.wait(limit - time.monotonic()):
                    self._replies.pop(request, None)
                    raise XenstoreError(f"xenstore: {_VERBS[kind]} {what}: no answer within {self.timeout:.0f} s")
            reply = self._replies.pop(request, None)
        if reply is None:
            self._lost(link)
            raise Disconnected("xenstore: the connection to the daemon was lost; ask again")
        if reply[0] == _ERROR:
            raise Refused(_VERBS[kind], what, reply[1].rstrip(b"\0").decode("ascii", "replace"))
        return reply[1]

    def _send(self, link: _Link, data: bytes) -> bool:
        # Not under the other lock: the reader needs that to go on reading.
        with self._sending:
            try:
                link.send(data)
            except OSError:
                return False
        return True

    def _request(self, kind: int, path: str, payload: bytes, transaction: int = 0) -> bytes:
        return self._ask(self._connected(), kind, path, payload, transaction)

    def read(self, path: str) -> Optional[bytes]:
        """A node's value; None where there is no node."""
        try:
            return self._request(_READ, path, _words(path))
        except Refused as e:
            if e.errno_name == "ENOENT":
                return None
            raise

    def write(self, path: str, value: bytes) -> None:
        """Writes a node, and makes those above it that are not there."""
        self._request(_WRITE, path, _words(path) + value)

    def remove(self, path: str) -> None:
        """Removes a node and all below it; one that is not there is fine."""
        try:
            self._request(_RM, path, _words(path))
        except Refused as e:
            if e.errno_name != "ENOENT":
                raise

    def directory(self, path: str) -> List[str]:
        """The names below a node; none where there is no node."""
        try:
            payload = self._request(_DIRECTORY, path, _words(path))
        except Refused as e:
            if e.errno_name == "ENOENT":
                return []
            if e.errno_name == "E2BIG":  # C xenstored, whose replies hold 4096 bytes
                return self._large_directory(path)
            raise
        return payload.rstrip(b"\0").decode().split("\0") if payload else []

    def _large_directory(self, path: str) -> List[str]:
        while True:
            names: List[str] = []
            offset, generation = 0, None
            while True:
                payload = self._request(_DIRECTORY_PART, path, _words(path, str(offset)))
                now, _, part = payload.partition(b"\0")
                if generation not in (None, now):
                    break  # it changed: again from its start
                generation = now
                # A further NUL ends the whole.
                whole = part.endswith(b"\0\0") or part == b"\0"
                names += [name.decode() for name in part.split(b"\0") if name]
                offset += len(part) - (1 if whole else 0)
                if whole:
                    return names

    def permissions(self, path: str) -> Optional[List[str]]:
        """A node's permissions, the owner first (``n0``); None where there is no node."""
        try:
            return self._request(_GET_PERMS, path, _words(path)).rstrip(b"\0").decode().split("\0")
        except Refused as e:
            if e.errno_name == "ENOENT":
                return None
            raise

    def make_private(self, path: str) -> None:
        """Makes a node that only dom0 may look at, in one step."""

        def attempt() -> bool:
            link = self._connected()
            transaction = int(self._ask(link, _START, "a transaction", b"\0", 0).rstrip(b"\0"))
            try:
                self._ask(link, _MKDIR, path, _words(path), transaction)
                self._ask(link, _SET_PERMS, path, _words(path, "n0"), transaction)
            except Refused:
                self._ask(link, _END, "a transaction", _words("F"), transaction)
                raise
            try:
                self._ask(link, _END, "a transaction", _words("T"), transaction)
            except Refused as e:
                if e.errno_name == "EAGAIN":
                    return False
                raise
            return True

        for _ in range(20):
            if attempt():
                return
        raise Refused("make", path, "EAGAIN")

    def watch(self, path: str) -> Watch:
        """Watches a path and all below it. The first event comes at once."""
        with self._lock:
            token = f"{id(self):x}-{self._next}-{len(self._watches)}"
            watch = Watch(self, path, token)
        link = self._connected()
        with self._lock:
            self._watches[token] = watch
        try:
            self._ask(link, _WATCH, path, _words(path, token), 0)
        except BaseException:
            with self._lock:
                self._watches.pop(token, None)
            raise
        return watch

    def _unwatch(self, watch: Watch) -> None:
        with self._lock:
            known = self._watches.pop(watch._token, None)
            link = self._link
        if known and link:
            try:
                self._ask(link, _UNWATCH, watch.path, _words(watch.path, watch._token), 0)
            except XenstoreError:
                pass


def _words(*parts: str) -> bytes:
    """Each part with a NUL behind it."""
    return b"".join(part.encode() + b"\0" for part in parts)
