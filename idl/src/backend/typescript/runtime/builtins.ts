// libxl's builtin types, and what they and the others are written with: layout, numbers, text, sets, CPUID.

import { DecodeError, EncodeError, Reader, quote, shown, utf8Length, within } from "./json.js";

/** How a value is read and written. */
export interface Codec<T> {
  /** Reads the value at the reader's place. */
  read(reader: Reader): T;
  /** Its text; `indent` stands before a line of it. */
  write(value: T, indent: string): string;
  /** What a new one is. */
  initial(): T;
  /** Whether libxl leaves it out of a struct. */
  isZero(value: T): boolean;
  /** Whether two are one value, where `===` does not tell. */
  same?(a: T, b: T): boolean;
}

/** A leaf of CPUID. A register is 32 characters, from bit 31 down: `1`, `0`, `x` default, `k` keep, `s` as is. */
export interface CpuidLeaf {
  leaf: number;
  subleaf?: number | undefined;
  eax?: string | undefined;
  ebx?: string | undefined;
  ecx?: string | undefined;
  edx?: string | undefined;
}

/** A model specific register: 64 characters, from bit 63 down. */
export interface Msr {
  index: number;
  policy: string;
}

/** What a guest's CPUs say of themselves. */
export interface CpuidPolicyList {
  cpuid: CpuidLeaf[];
  msr: Msr[];
}

/** Keys with a text or none, in order; a key may be there twice. */
export type KeyValueList = [key: string, value: string | null][];

// --- layout

function container(open: string, close: string, members: readonly string[], indent: string): string {
  return `${open}\n${members.map((member) => `${indent}    ${member}`).join(",\n")}\n${indent}${close}`;
}

export function object(members: readonly (readonly [key: string, text: string])[], indent: string): string {
  return container("{", "}", members.map(([key, text]) => `${quote(key, true)}: ${text}`), indent);
}

export const inner = (indent: string): string => `${indent}    `;

export function expect(reader: Reader, ...kinds: [string, ...string[]]): void {
  if (!kinds.includes(reader.kind())) {
    throw reader.wrong(kinds.join(" or "));
  }
}

// --- numbers

/** An integer's text. */
export function integer(reader: Reader): bigint {
  expect(reader, "a number");
  const text = reader.number();
  if (!/^-?[0-9]+$/.test(text)) {
    throw new DecodeError(`${shown(text)}, a number with a fraction or exponent, where an integer belongs`);
  }
  if (text.length > 39) {
    throw new DecodeError(`${shown(text)} is too large`);
  }
  return BigInt(text);
}

/** libxl on json-c casts 32 bits to `int`, on yajl it prints some 64-bit numbers as signed; it refuses to read that. */
function wholeAgain(value: bigint, bits: number, signed: boolean): bigint {
  const inInt = value >= -(1n << 31n);
  if (signed || value >= 0n || (bits === 32 ? !inInt : bits !== 64 || inInt || value < -(1n << 63n))) {
    return value;
  }
  return value + (1n << BigInt(bits));
}

function whole(bits: number, signed: boolean): Codec<bigint> {
  const min = signed ? -(1n << BigInt(bits - 1)) : 0n;
  const max = (1n << BigInt(signed ? bits - 1 : bits)) - 1n;
  return {
    read(reader) {
      const value = wholeAgain(integer(reader), bits, signed);
      if (value < min || value > max) {
        throw new DecodeError(`${value} is not from ${min} to ${max}`);
      }
      return value;
    },
    write(value) {
      if (typeof value !== "bigint" || value < min || value > max) {
        throw new EncodeError(`${String(value)} is no bigint from ${min} to ${max}`);
      }
      return value.toString();
    },
    initial: () => 0n,
    isZero: (value) => value === 0n,
  };
}

/** A number of at most 32 bits. */
function number(bits: number, signed: boolean): Codec<number> {
  const codec = whole(bits, signed);
  return {
    read: (reader) => Number(codec.read(reader)),
    write(value, indent) {
      if (!Number.isInteger(value)) {
        throw new EncodeError(`${String(value)} is no integer`);
      }
      return codec.write(BigInt(value), indent);
    },
    initial: () => 0,
    isZero: (value) => value === 0,
  };
}

export const int8 = number(8, true);
export const int16 = number(16, true);
export const int32 = number(32, true);
export const int64 = whole(64, true);
export const uint8 = number(8, false);
export const uint16 = number(16, false);
export const uint32 = number(32, false);
export const uint64 = whole(64, false);

export const bool: Codec<boolean> = {
  read(reader) {
    expect(reader, "a truth value");
    return reader.boolean();
  },
  write(value) {
    if (typeof value !== "boolean") {
      throw new EncodeError("no truth value");
    }
    return value ? "true" : "false";
  },
  initial: () => false,
  isZero: (value) => !value,
};

// --- builtins

function readString(reader: Reader): string {
  expect(reader, "a string");
  return reader.string();
}

function isString(value: unknown): asserts value is string {
  if (typeof value !== "string") {
    throw new EncodeError("no string");
  }
}

/** Text or none. Left out of a struct when there is none, null in an array. */
export const text: Codec<string | undefined> = {
  read(reader) {
    expect(reader, "a string", "null");
    if (reader.kind() === "null") {
      reader.null();
      return undefined;
    }
    return reader.string();
  },
  write(value) {
    if (value === undefined) {
      return "null";
    }
    isString(value);
    return quote(value, true);
  },
  initial: () => undefined,
  isZero: (value) => value === undefined,
};

/** A text in an array, where none is null. */
export const textOrNull: Codec<string | null> = {
  read: (reader) => text.read(reader) ?? null,
  write: (value, indent) => text.write(value ?? undefined, indent),
  initial: () => null,
  isZero: (value) => value === null,
};

/** True, false, or left to libxl. */
export const defbool: Codec<boolean | undefined> = {
  read(reader) {
    const name = readString(reader);
    switch (name) {
      case "True":
        return true;
      case "False":
        return false;
      case "<default>":
        return undefined;
      default:
        throw new DecodeError(`${shown(name)} is no defbool; it is "True", "False" or "<default>"`);
    }
  },
  write(value) {
    if (value !== undefined && typeof value !== "boolean") {
      throw new EncodeError("no truth value");
    }
    return value === undefined ? '"<default>"' : value ? '"True"' : '"False"';
  },
  initial: () => undefined,
  isZero: (value) => value === undefined,
};

function hexText(what: string, form: RegExp, zero: string): Codec<string> {
  return {
    read(reader) {
      const value = readString(reader);
      if (!form.test(value)) {
        throw new DecodeError(`${shown(value)} is no ${what}`);
      }
      return value.toLowerCase();
    },
    write(value) {
      if (typeof value !== "string" || !form.test(value)) {
        throw new EncodeError(`${shown(String(value))} is no ${what}`);
      }
      return `"${value.toLowerCase()}"`;
    },
    initial: () => zero,
    isZero: (value) => value === zero,
  };
}

/** A UUID; nil when there is none. */
export const uuid = hexText(
  "uuid",
  /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i,
  "00000000-0000-0000-0000-000000000000",
);

/** The address of a network card, such as `00:16:3e:01:02:03`; zeros when there is none. */
export const mac = hexText("mac", /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i, "00:00:00:00:00:00");

export function readArray<T>(reader: Reader, element: (index: number) => T): T[] {
  expect(reader, "an array");
  const out: T[] = [];
  reader.elements((index) => out.push(element(index)));
  return out;
}

function listOf(value: unknown): asserts value is unknown[] {
  if (!Array.isArray(value)) {
    throw new EncodeError("no array");
  }
}

export function writeArray<T>(value: readonly T[], indent: string, element: (value: T) => string): string {
  listOf(value);
  const members = value.map((part, index) => within(index, () => element(part)));
  return container("[", "]", members, indent);
}

/** libxl counts bits in an `int`, and rounds that up to whole bytes. */
const BIT_MAX = 0x7ffffff7;

/** A set of small numbers, ascending. */
export const bitmap: Codec<number[]> = {
  read(reader) {
    const bits = readArray(reader, () => {
      const bit = integer(reader);
      if (bit < 0n || bit > BIT_MAX) {
        throw new DecodeError(`${bit} is no bit; libxl would write beyond its memory`);
      }
      return Number(bit);
    });
    return [...new Set(bits)].sort((a, b) => a - b);
  },
  write(value, indent) {
    listOf(value);
    const bits = [...new Set(value)].sort((a, b) => a - b);
    return writeArray(bits, indent, (bit) => {
      if (!Number.isInteger(bit) || bit < 0 || bit > BIT_MAX) {
        throw new EncodeError(`${String(bit)} is no bit`);
      }
      return String(bit);
    });
  },
  initial: () => [],
  isZero: (value) => value.length === 0,
};

/** Texts. */
export const stringList: Codec<string[]> = {
  read: (reader) => readArray(reader, () => readString(reader)),
  write: (value, indent) =>
    writeArray(value, indent, (part) => {
      isString(part);
      return quote(part, true);
    }),
  initial: () => [],
  isZero: (value) => value.length === 0,
};

/** Keys with a text or none. */
export const keyValueList: Codec<KeyValueList> = {
  read(reader) {
    expect(reader, "an object");
    const out: KeyValueList = [];
    reader.members((key) => within(key, () => out.push([key, textOrNull.read(reader)])));
    return out;
  },
  write(value, indent) {
    listOf(value);
    return object(value.map(([key, part]) => [key, textOrNull.write(part, indent)]), indent);
  },
  initial: () => [],
  isZero: (value) => value.length === 0,
};

function numbers(reader: Reader, most: number): bigint[] {
  return readArray(reader, (index) => {
    if (index >= most) {
      throw new DecodeError(`one too many: there are ${most}`);
    }
    return integer(reader);
  });
}

/** Eight words of CPU capabilities, of which libxl's JSON holds four. */
export const hwcap: Codec<number[]> = {
  read(reader) {
    const words = numbers(reader, 8);
    if (words.length < 4) {
      throw new DecodeError(`${words.length} words of capabilities; there are four`);
    }
    return Array.from({ length: 8 }, (_, i) => Number(BigInt.asUintN(32, words[i] ?? 0n)));
  },
  write(value, indent) {
    listOf(value);
    if (value.length !== 8) {
      throw new EncodeError(`${value.length} words of capabilities; there are eight`);
    }
    const all = value.slice(4).some((word) => word !== 0);
    return writeArray(all ? value : value.slice(0, 4), indent, (word) => uint32.write(word, indent));
  },
  initial: () => [0, 0, 0, 0, 0, 0, 0, 0],
  isZero: () => false,
};

/** The generation id that a Windows guest sees: 16 bytes. */
export const msVmGenid: Codec<number[]> = {
  read(reader) {
    const bytes = numbers(reader, 16);
    if (bytes.length < 16) {
      throw new DecodeError(`${bytes.length} bytes of a generation id, which has 16`);
    }
    const wrong = bytes.find((byte) => byte < 0n || byte > 255n);
    if (wrong !== undefined) {
      throw new DecodeError(`${wrong} is no byte`);
    }
    return bytes.map(Number);
  },
  write(value, indent) {
    listOf(value);
    if (value.length !== 16) {
      throw new EncodeError(`${value.length} bytes of a generation id, which has 16`);
    }
    return writeArray(value, indent, (byte) => uint8.write(byte, indent));
  },
  initial: () => Array.from({ length: 16 }, () => 0),
  isZero: (value) => value.every((byte) => byte === 0),
};

// --- CPUID

/** What C ends a list with. */
const UNUSED = 0xffffffff;
const REGISTERS = ["eax", "ebx", "ecx", "edx"] as const;

/** The members of an object that has these keys; others are skipped. */
function record(reader: Reader, keys: readonly string[], member: (key: string) => void): void {
  expect(reader, "an object");
  const seen = new Set<string>();
  reader.members((key) => {
    if (!keys.includes(key)) {
      reader.skip(true);
      return;
    }
    if (seen.has(key)) {
      throw new DecodeError(`"${key}" is there twice`);
    }
    seen.add(key);
    within(key, () => member(key));
  });
}

function bits(value: unknown, count: number): string {
  isString(value);
  if (utf8Length(value) !== count) {
    throw new EncodeError(`${shown(value)} is not ${count} bits`);
  }
  return quote(value, true);
}

function readBits(reader: Reader, count: number): string {
  const value = readString(reader);
  if (utf8Length(value) !== count) {
    throw new DecodeError(`${shown(value)} is not ${count} bits`);
  }
  return value;
}

const word = (reader: Reader): number => Number(BigInt.asUintN(32, integer(reader)));

function readLeaf(reader: Reader): CpuidLeaf {
  const leaf: CpuidLeaf = { leaf: UNUSED };
  record(reader, ["leaf", "subleaf", ...REGISTERS], (key) => {
    if (key === "leaf") {
      leaf.leaf = word(reader);
    } else if (key === "subleaf") {
      const subleaf = word(reader);
      if (subleaf !== UNUSED) {
        leaf.subleaf = subleaf;
      }
    } else {
      leaf[key as (typeof REGISTERS)[number]] = readBits(reader, 32);
    }
  });
  return leaf;
}

function readMsr(reader: Reader): Msr {
  const msr: Partial<Msr> = {};
  record(reader, ["index", "policy"], (key) => {
    if (key === "index") {
      msr.index = word(reader);
    } else {
      msr.policy = readBits(reader, 64);
    }
  });
  const { index, policy } = msr;
  if (index === undefined || policy === undefined) {
    throw new DecodeError(`an MSR without its ${index === undefined ? "index" : "policy"}`);
  }
  return { index, policy };
}

function writeLeaf(leaf: CpuidLeaf, indent: string): string {
  const members: [string, string][] = [["leaf", within("leaf", () => uint32.write(leaf.leaf, indent))]];
  const { subleaf } = leaf;
  if (subleaf !== undefined) {
    members.push(["subleaf", within("subleaf", () => uint32.write(subleaf, indent))]);
  }
  for (const name of REGISTERS) {
    const register = leaf[name];
    if (register !== undefined) {
      members.push([name, within(name, () => bits(register, 32))]);
    }
  }
  return object(members, indent);
}

/** What a guest's CPUs say of themselves. */
export const cpuidPolicyList: Codec<CpuidPolicyList> = {
  read(reader) {
    const leaves = (): CpuidLeaf[] => {
      const all = readArray(reader, () => readLeaf(reader));
      const end = all.findIndex((leaf) => leaf.leaf === UNUSED);
      return end === -1 ? all : all.slice(0, end);
    };
    // Up to Xen 4.17: the leaves alone.
    expect(reader, "an object", "an array");
    if (reader.kind() === "an array") {
      return { cpuid: leaves(), msr: [] };
    }
    let cpuid: CpuidLeaf[] | undefined;
    let msr: Msr[] | undefined;
    record(reader, ["cpuid", "msr"], (key) => {
      if (key === "cpuid") {
        cpuid = leaves();
      } else {
        msr = readArray(reader, () => readMsr(reader));
      }
    });
    if (cpuid === undefined || msr === undefined) {
      throw new DecodeError(`CPUID policies without "${cpuid === undefined ? "cpuid" : "msr"}"`);
    }
    return { cpuid, msr };
  },
  write(value, indent) {
    const one = inner(indent);
    const two = inner(one);
    const cpuid = within("cpuid", () => writeArray(value.cpuid, one, (leaf) => writeLeaf(leaf, two)));
    const msr = within("msr", () =>
      writeArray(value.msr, one, ({ index, policy }) =>
        object(
          [
            ["index", uint32.write(index, two)],
            ["policy", bits(policy, 64)],
          ],
          two,
        ),
      ),
    );
    return object(
      [
        ["cpuid", cpuid],
        ["msr", msr],
      ],
      indent,
    );
  },
  initial: () => ({ cpuid: [], msr: [] }),
  isZero: (value) => value.cpuid.length === 0 && value.msr.length === 0,
};
