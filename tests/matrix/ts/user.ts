// What a user of the package writes: it compiles under --strict, and what must not compile does not.

import { DecodeError, Operation, Request, RequestOp, VmSnapshotCreate, XensnapError, requestPath, types } from "xensnap";

declare const console: { log(text: string): void };

const op: RequestOp = {
  kind: "vm_snapshot_create",
  value: VmSnapshotCreate.create({ domain: "web", name: "before", disks: ["xvda"] }),
};
const request = Request.create({ contract: 1, op });
const text = Request.toXenstore(request);
const expected =
  '{"contract":1,"dry_run":false,"op.vm_snapshot_create":{"domain":"web","name":"before","memory":"auto","disks":["xvda"],"keep_boot_files":false}}';
if (text !== expected || requestPath("x1") !== "/tool/xensnap/request/x1" || types.get("request")?.typeName !== "request") {
  throw new Error(text);
}

// Arms narrow; a value that a newer version knows is a string.
function describe(op: RequestOp): string {
  switch (op.kind) {
    case "vm_snapshot_create":
      return op.value.memory === "none" ? "without memory" : op.value.domain;
    case "cancel":
      return op.value.operation;
    default:
      return op.kind;
  }
}
const error: XensnapError = { kind: "no_domain", message: describe(op) };
const later: XensnapError = { kind: "from_a_newer_version", message: "" };

// @ts-expect-error: `memory` has four values
VmSnapshotCreate.create({ domain: "web", memory: "some" });
// @ts-expect-error: `domain` must be there
VmSnapshotCreate.create({});
// @ts-expect-error: no such arm
const wrong: RequestOp = { kind: "vm_snapshot_creat" };

try {
  Operation.fromJson('{"contract":1,"state":7}');
  throw new Error("not refused");
} catch (e) {
  if (!(e instanceof DecodeError) || e.path !== "state") {
    throw e;
  }
}
console.log(`user: ${error.message} ${later.kind} ${wrong.kind}`);
