"""The matrix' protocol: each line `UNIT TYPE JSON` is answered by `ok JSON` (read into the typed value and written again) or by
`no MESSAGE`."""

import sys

import libxl
import xensnap

UNITS = {"contract": xensnap.TYPES, "libxl": libxl.TYPES}
ERRORS = (xensnap.DecodeError, xensnap.EncodeError, libxl.DecodeError, libxl.EncodeError)


def answer(line: str) -> str:
    unit, name, text = (line.split(" ", 2) + ["", ""])[:3]
    codec = UNITS.get(unit, {}).get(name)
    if codec is None:
        return "no unknown type"
    try:
        # The layout of libxl's JSON ends lines; no string holds one.
        return "ok " + codec.dumps(codec.loads(text)).replace("\n", "")
    except ERRORS as e:
        return "no " + str(e).replace("\n", " ")


if __name__ == "__main__":
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(answer(line.decode("utf-8", "surrogateescape").rstrip("\n")).encode("utf-8", "replace") + b"\n")
        sys.stdout.buffer.flush()
