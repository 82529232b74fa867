"""What `tests/bindings` asks of each language's client; main.rs says what it has to print."""

import sys

from xensnap import (
    Cancel,
    Client,
    DiskSnapshotCreate,
    EncodeError,
    NoOperation,
    OperationFailed,
    OperationTimeout,
    Plan,
    Request,
    VmSnapshotCreate,
    VmSnapshotDelete,
    VmSnapshotRevert,
)


def say(*words: object) -> None:
    print(*words, flush=True)


def refused(client: Client, request: "VmSnapshotCreate | VmSnapshotDelete") -> None:
    try:
        client.run(request, timeout=60)
    except OperationFailed as e:
        say(e.operation.state, e.kind, "hint" if e.hint else "no hint")


def talk(client: Client, name: str) -> None:
    say("contract", client.agent_status().contract)
    states = list(client.start(VmSnapshotCreate(domain="web1", name=name)))
    running = [s for s in states[:-1] if s.state == "running"]
    end = states[-1]
    say(end.state, end.snapshot_name, f"{end.step} of {end.steps}", "progress" if running else "no progress")
    disks = client.run(DiskSnapshotCreate(domain="web1", name=name + "-disks", disks=["vda"]), timeout=60)
    say(disks.state, disks.snapshot_name)
    refused(client, VmSnapshotCreate(domain="web1", name=name))
    refused(client, VmSnapshotDelete(domain="nobody", snapshot="x"))
    try:
        client.send(VmSnapshotDelete(domain="no body", snapshot="x"))
    except EncodeError as e:
        say("not sent:", e.path)
    dry = client.run(Request(contract=1, op=VmSnapshotRevert(domain="web1", snapshot=name), dry_run=True), timeout=60)
    assert dry.result
    plan = Plan.from_json(client.read_result(dry.result))
    say("plan of", plan.domain_name, "with steps" if plan.steps else "without steps")
    try:
        client.follow("never-sent")
    except NoOperation as e:
        say("no operation", e.id)
    shown = len(client.operations())
    client.acknowledge(disks.id)
    gone = client.operation(disks.id) is None
    say("acknowledged", shown - len(client.operations()), "yes" if gone else "no")


def outage(client: Client) -> None:
    follow = client.start(Cancel(operation="nothing"))
    say("sent")
    try:
        follow.result(0.2)
    except OperationTimeout:
        say("waiting")
    try:
        follow.result(60)
    except OperationFailed as e:
        say(e.operation.state, e.kind)


with Client() as client:
    if sys.argv[1] == "talk":
        talk(client, sys.argv[2])
    else:
        outage(client)
