"""validate.py XENIDL FILE..: builds the JSON Schemas of a unit and checks them on documents made from its model."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

from jsonschema import Draft202012Validator

COUNT = "25"
# What is refused and JSON Schema has no words for: the text itself, lengths in bytes, the calendar, the form of a number.
UNSAYABLE = re.compile(
    r"is there twice|string that is none|no JSON|not UTF-8|nested|too (deep|large|long)|bytes|calendar|\b\d+\.0\b|1e\d|-0\b|surrogate|can be no arm"
    r"|not such a text|not an instant|is not CPUID policies",
    re.IGNORECASE,
)


def run(*args):
    return subprocess.run(args, check=True, stdout=subprocess.PIPE).stdout.decode("utf-8", "surrogateescape")


def samples(xenidl, files, *flags):
    said = None
    for line in run(xenidl, "sample", "--lines", "--count", COUNT, "--seed", "11", *flags, *files).split("\n"):
        if line.startswith("# "):
            said = line[2:]
        elif line:
            name, _, text = line.partition(" ")
            yield name, text, said


def main():
    xenidl, *files = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        run(xenidl, "build", "--lang", "jsonschema", "--out", folder, *files)
        schemas = {p.name: json.loads(p.read_text("utf-8")) for p in pathlib.Path(folder).iterdir()}
    (everything,) = [s for name, s in schemas.items() if name.endswith(".all.schema.json")]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    checkers = {}
    for name in everything["$defs"]:
        root = {"$defs": everything["$defs"], "$ref": f"#/$defs/{name}"}
        checkers[name] = [Draft202012Validator(root)]
        if f"{name}.schema.json" in schemas:
            checkers[name].append(Draft202012Validator(schemas[f"{name}.schema.json"]))
    valid = refused = passed = 0
    for name, text, _ in samples(xenidl, files):
        for checker in checkers[name]:
            wrong = next(checker.iter_errors(json.loads(text)), None)
            if wrong is not None:
                sys.exit(f"{name}: a schema refuses {text[:400]}\n{wrong.message[:400]} at {list(wrong.absolute_path)}")
        valid += 1
    unsaid = {}
    for name, text, said in samples(xenidl, files, "--refused"):
        try:
            value = json.loads(text)
        except ValueError:
            continue
        answers = {checker.is_valid(value) for checker in checkers[name]}
        if answers == {False}:
            refused += 1
        elif answers == {True} and UNSAYABLE.search(said):
            passed += 1
            unsaid[UNSAYABLE.search(said)[0]] = unsaid.get(UNSAYABLE.search(said)[0], 0) + 1
        else:
            sys.exit(f"{said}: taken by a schema: {answers} {text[:600]}")
    if not (valid and refused and refused > 4 * passed):
        sys.exit(f"{valid} valid, {refused} refused, {passed} not sayable: this tests too little")
    print(f"{pathlib.Path(files[-1]).name}: {len(schemas)} schemas, {valid} documents valid, {refused} refused, {passed} refused by the decoders only {unsaid}")


main()
