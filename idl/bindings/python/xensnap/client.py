"""Sends a request to the agent of this host and follows its operation to the end.

    from xensnap import Client, Request, VmSnapshotCreate

    with Client() as client:
        for operation in client.start(VmSnapshotCreate(domain="web", name="before-upgrade")):
            print(operation.state, operation.step, "of", operation.steps)

The state is the agent's, on its disk: a program that dies can follow its operation again by its id. Following survives
the restart of xenstored and of the agent.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
import uuid
from types import TracebackType
from typing import Iterator, List, Optional, Type, Union

from . import _schema
from ._contract import XENSTORE_MAX, Timestamp
from ._json import DecodeError, EncodeError
from ._xenstore import Connection, Disconnected, Watch
from .types import (
    AgentStatus,
    Cancel,
    DomainStatus,
    Error,
    ErrorKind,
    Operation,
    OperationState,
    Request,
    RequestOp,
    ResultFile,
)

__all__ = [
    "CONTRACT",
    "HEARTBEAT_MAX",
    "Client",
    "ClientError",
    "Follow",
    "NoAgent",
    "NoOperation",
    "NotEnded",
    "NotUnderstood",
    "OperationFailed",
    "OperationTimeout",
    "StaleAgent",
    "WrongResult",
]

CONTRACT = 1
"""The version of the contract that this library speaks."""
HEARTBEAT_MAX = 30.0
"""Seconds. An agent whose heartbeat is older has stopped or hangs."""

_RESULT_MAX = 1 << 20
_AGENT = AgentStatus.XENSTORE_PATH
_REQUESTS = Request.XENSTORE_FOLDER
_OPERATIONS = Operation.XENSTORE_FOLDER
_ENDS = (OperationState.DONE, OperationState.FAILED, OperationState.CANCELLED, OperationState.REFUSED)


class ClientError(Exception):
    """What can go wrong between a program and the agent."""


class NoAgent(ClientError):
    """No agent has shown itself."""

    def __init__(self) -> None:
        super().__init__("no agent runs on this host; start xensnapd")


class StaleAgent(ClientError):
    """The agent has stopped or hangs. ``age``: seconds since its last heartbeat."""

    def __init__(self, age: float) -> None:
        super().__init__(f"the agent has not been heard of for {age:.0f} s; restart xensnapd")
        self.age = age


class NoOperation(ClientError):
    """No such operation: never sent, acknowledged, or ended too long ago."""

    def __init__(self, id: str) -> None:
        super().__init__(
            f"there is no operation {id}; it was never sent, or ended and was forgotten (its snapshot is listed all the same)"
        )
        self.id = id


class NotEnded(ClientError):
    """The operation cannot be acknowledged yet."""

    def __init__(self, id: str) -> None:
        super().__init__(f"the operation {id} has not ended; cancel it, or wait")
        self.id = id


class OperationTimeout(ClientError):
    """The operation goes on; only the waiting has ended. ``last``: what was last seen of it."""

    def __init__(self, id: str, after: float, last: Optional[Operation]) -> None:
        super().__init__(f"the operation {id} has not ended within {after:.0f} s; it goes on: follow it, or cancel it")
        self.id, self.after, self.last = id, after, last


class OperationFailed(ClientError):
    """The operation ended, but not as asked: failed, cancelled or refused.

    ``operation`` is its end; ``kind`` says what went wrong, ``hint`` what to do about it.
    """

    def __init__(self, operation: Operation) -> None:
        error = operation.error
        message = error.message if error else f"the operation {operation.id} was {operation.state}"
        super().__init__(f"{message}; {error.hint}" if error and error.hint else message)
        self.operation = operation

    @property
    def error(self) -> Optional[Error]:
        """What the agent says of it."""
        return self.operation.error

    @property
    def kind(self) -> Optional[ErrorKind]:
        """What kind of error it was: programs decide by this alone."""
        return self.operation.error.kind if self.operation.error else None

    @property
    def hint(self) -> Optional[str]:
        """What to do about it, when something can be said."""
        return self.operation.error.hint if self.operation.error else None


class NotUnderstood(ClientError):
    """What xenstore holds is not what the contract says."""

    def __init__(self, path: str, problem: DecodeError) -> None:
        super().__init__(f"{path} in xenstore is not understood ({problem}); is the agent newer than this program?")


class WrongResult(ClientError):
    """The file that holds an operation's result is not the one that the operation names."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"the result {path} is not what the operation says: {problem}")


class Client:
    """Sends requests to this host's agent. Threads may share it.

    ``connection``: a `Connection`, or the path of xenstored's socket; left out: where Xen's own tools find it. Raises
    `XenstoreError` when it cannot be reached.
    """

    def __init__(self, connection: Union[Connection, str, None] = None, heartbeat_max: float = HEARTBEAT_MAX) -> None:
        self.connection = connection if isinstance(connection, Connection) else Connection(connection)
        self.heartbeat_max = heartbeat_max

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection. Operations go on."""
        self.connection.close()

    def agent_status(self) -> AgentStatus:
        """The agent's status, if it lives; its ``trouble`` says whether it can do anything.

        Raises `NoAgent`, `StaleAgent`.
        """
        value = self.connection.read(_AGENT)
        if value is None:
            raise NoAgent
        try:
            status = _schema.agent_status.loads(value, XENSTORE_MAX)
        except DecodeError as e:
            raise NotUnderstood(_AGENT, e) from e
        age = (Timestamp.now().unix_nanos - status.heartbeat_at.unix_nanos) / 1e9
        if age > self.heartbeat_max:
            raise StaleAgent(age)
        return status

    def send(self, request: Union[Request, RequestOp], id: Optional[str] = None) -> str:
        """Writes a request, whether an agent lives or not: it takes it when it does. The result is the operation's id.

        The same request again under the same id is no second operation. `run` and `start` also see to it that a request
        is not lost when xenstored dies before the agent has read it. Raises `EncodeError` when it is not one.
        """
        id = id or str(uuid.uuid4())
        self._put(id, _encoded(id, request))
        return id

    def start(self, request: Union[Request, RequestOp], id: Optional[str] = None) -> Follow:
        """Sends a request and follows its operation. Raises `NoAgent`, `StaleAgent`: nothing was sent."""
        id = id or str(uuid.uuid4())
        value = _encoded(id, request)
        self.agent_status()
        watch = self.connection.watch(Operation.xenstore_path(id))
        generation = self.connection.generation
        self._put(id, value)
        return Follow(self, id, watch, value, generation)

    def follow(self, id: str) -> Follow:
        """Follows an operation that was sent before, by this program or another. Raises `NoOperation`."""
        watch = self.connection.watch(Operation.xenstore_path(id))
        request = Request.xenstore_path(id)
        # The agent removes the request after it wrote the operation, so one of the two is always there.
        if self.operation(id) is None and self.connection.read(request) is None and self.operation(id) is None:
            watch.close()
            raise NoOperation(id)
        return Follow(self, id, watch, None, self.connection.generation)

    def run(self, request: Union[Request, RequestOp], timeout: Optional[float] = None, id: Optional[str] = None) -> Operation:
        """Sends a request and waits until it is done.

        Raises `OperationFailed` when it ends otherwise, and `OperationTimeout` after `timeout` seconds: it goes on then.
        """
        with self.start(request, id) as follow:
            return follow.result(timeout)

    def cancel(self, id: str) -> str:
        """Asks the agent to cancel an operation. The result is the id of the cancel, which is an operation of its own."""
        return self.send(Cancel(operation=id))

    def operation(self, id: str) -> Optional[Operation]:
        """An operation as it stands now; None when xenstore shows none."""
        path = Operation.xenstore_path(id)
        value = self.connection.read(path)
        return None if value is None else _operation(path, value)

    def operations(self) -> List[Operation]:
        """All operations that xenstore shows."""
        found = (self.operation(id) for id in self.connection.directory(_OPERATIONS))
        return [operation for operation in found if operation]

    def domain_status(self, uuid: uuid.UUID) -> Optional[DomainStatus]:
        """What xenstore shows of a domain that has snapshots."""
        path = DomainStatus.xenstore_path(uuid)
        value = self.connection.read(path)
        if value is None:
            return None
        try:
            return _schema.domain_status.loads(value, XENSTORE_MAX)
        except DecodeError as e:
            raise NotUnderstood(path, e) from e

    def acknowledge(self, id: str) -> None:
        """Says that the end of an operation has been seen: xenstore shows it no longer. Raises `NotEnded`."""
        operation = self.operation(id)
        if operation and operation.state not in _ENDS:
            raise NotEnded(id)
        if operation:
            self.connection.remove(Operation.xenstore_path(id))

    def read_result(self, named: ResultFile) -> bytes:
        """The result of an operation that is too large for xenstore (a plan, a long error); its size and sum are checked.

        Raises OSError and `WrongResult`.
        """
        if named.size > _RESULT_MAX:
            raise WrongResult(named.path, "it is larger than any result")
        # Looked at before it is opened: opening a FIFO would wait for ever.
        if not stat.S_ISREG(os.lstat(named.path).st_mode):
            raise WrongResult(named.path, "it is no regular file")
        with open(named.path, "rb") as file:
            data = file.read(named.size + 1)
        if len(data) != named.size:
            raise WrongResult(named.path, "its size is another")
        if hashlib.sha256(data).hexdigest() != named.sha256:
            raise WrongResult(named.path, "its SHA-256 is another")
        return data

    def _put(self, id: str, value: bytes) -> None:
        """Writes a request for dom0 only: a new node has its folder's permissions."""
        for attempt in range(3):
            try:
                if self.connection.permissions(_REQUESTS) != ["n0"]:
                    self.connection.make_private(_REQUESTS)
                return self.connection.write(Request.xenstore_path(id), value)
            except Disconnected:
                # Written or not: the same bytes under the same id do no harm.
                if attempt == 2:
                    raise
                time.sleep(0.2)


class Follow:
    """The states of one operation, up to its end: an iterator. States may be skipped, the end is not.

    Raises `NoAgent` or `StaleAgent` when the agent has been away for too long (go on iterating to go on waiting), and
    `NoOperation` when somebody else acknowledged it.
    """

    def __init__(self, client: Client, id: str, watch: Watch, sent: Optional[bytes], generation: int) -> None:
        self.id = id
        """The operation's id."""
        self.last: Optional[Operation] = None
        """What was last seen of it."""
        self._client, self._watch, self._sent = client, watch, sent
        # On which connection it was sent, and seen last: a daemon that came back has forgotten both.
        self._sent_on, self._seen_on = generation, 0
        self._seen: Optional[bytes] = None
        self._look = True
        self._alive = time.monotonic()

    def __enter__(self) -> Follow:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the watch. The operation goes on."""
        self._watch.close()

    @property
    def ended(self) -> bool:
        """Whether the end has been seen."""
        return self.last is not None and self.last.state in _ENDS

    def __iter__(self) -> Iterator[Operation]:
        return self

    def __next__(self) -> Operation:
        operation = self.wait(None)
        if operation is None:
            raise StopIteration
        return operation

    def wait(self, timeout: Optional[float]) -> Optional[Operation]:
        """The next state; None after the end. Raises `OperationTimeout` after `timeout` seconds without one."""
        if self.ended:
            self.close()
            return None
        limit = None if timeout is None else time.monotonic() + timeout
        while True:
            if self._look:
                try:
                    operation = self._read()
                except Disconnected:
                    operation = None
                    time.sleep(0.1)
                    self._check_away()
                if operation:
                    return operation
            pause = self._client.heartbeat_max / 3
            if limit is not None:
                left = limit - time.monotonic()
                if left <= 0:
                    raise OperationTimeout(self.id, timeout or 0.0, self.last)
                pause = min(pause, left)
            if self._look:
                continue  # the daemon is away
            if self._watch.wait(pause):
                self._look = True
            elif limit is None or time.monotonic() < limit:
                self._check_agent()

    def result(self, timeout: Optional[float] = None) -> Operation:
        """Waits until the operation is done. Raises `OperationFailed` when it ends otherwise, and `OperationTimeout`."""
        limit = None if timeout is None else time.monotonic() + timeout
        while not self.ended:
            try:
                self.wait(None if limit is None else max(limit - time.monotonic(), 0.0))
            except OperationTimeout:
                raise OperationTimeout(self.id, timeout or 0.0, self.last) from None
        if self.last is None:
            raise NoOperation(self.id)
        if self.last.state != OperationState.DONE:
            raise OperationFailed(self.last)
        return self.last

    def _read(self) -> Optional[Operation]:
        """The operation, if it is another than last time."""
        connection = self._client.connection
        path = Operation.xenstore_path(self.id)
        generation = connection.generation
        value = connection.read(path)
        if connection.generation != generation:
            return None  # read from an empty store, maybe: look again
        self._look = False
        if value is None:
            self._missing(generation)
            return None
        self._alive = time.monotonic()
        self._seen_on = generation
        if value == self._seen:
            return None
        self.last = _operation(path, value)
        self._seen = value
        return self.last

    def _missing(self, generation: int) -> None:
        """There is no operation in xenstore."""
        if self._seen is not None and self._seen_on == generation:
            raise NoOperation(self.id)
        # Not yet; or xenstored died and the agent has not shown it again; or the request died with xenstored before the
        # agent read it. If so it is sent again: the same bytes under the same id are the same operation.
        if self._sent is not None and self._sent_on != generation:
            if self._client.connection.read(Request.xenstore_path(self.id)) is None:
                self._client._put(self.id, self._sent)
            self._sent_on = generation

    def _check_agent(self) -> None:
        try:
            self._client.agent_status()
            self._alive = time.monotonic()
        except (NoAgent, StaleAgent):
            # It may be restarting.
            if time.monotonic() - self._alive > self._client.heartbeat_max:
                raise
        except Disconnected:
            self._look = True

    def _check_away(self) -> None:
        if time.monotonic() - self._alive > self._client.heartbeat_max:
            raise Disconnected("xenstore: the daemon has been away for too long")


def _encoded(id: str, request: Union[Request, RequestOp]) -> bytes:
    """The bytes of a request; a bare operation becomes one."""
    problem = _schema.operation_id.check(id)
    if problem:
        raise EncodeError(problem)
    if not isinstance(request, Request):
        request = Request(contract=CONTRACT, op=request)
    return _schema.request.dumps(request, XENSTORE_MAX).encode()


def _operation(path: str, value: bytes) -> Operation:
    try:
        return _schema.operation.loads(value, XENSTORE_MAX)
    except DecodeError as e:
        raise NotUnderstood(path, e) from e
