// libxl's JSON, without loss: laid out as libxl on yajl lays it out, with every value whole; reads what libxl writes on
// yajl and on json-c, and refuses what libxl drops without a word. A field is left out while it is as it begins.

import { type Codec, expect, inner, integer, object, readArray, writeArray } from "./builtins.js";
import { DecodeError, EncodeError, Reader, documentText, quote, shown, suggestion, within } from "./json.js";

export * from "./builtins.js";
export { DecodeError, EncodeError };

/** A type that has a name. */
export interface Type<T> extends Codec<T> {
  /** Its name in the IDL, without the namespace. */
  readonly typeName: string;
  /** Reads a document, of libxl or of this library. Throws a {@link DecodeError} that names the path. */
  fromJson(document: string | Uint8Array): T;
  /** Writes a document. Throws an {@link EncodeError} for a value that the type in C does not have. */
  toJson(value: T): string;
}

/** A struct. */
export interface Struct<T> extends Type<T> {
  /** A value: fields that are left out are as libxl's `_init` leaves them. */
  create(fields?: Partial<T>): T;
}

/** An enumeration: a name, or the number of a value that has none. */
export interface Enumeration<T extends string | number> extends Type<T> {
  /** The names of its values, in order. */
  readonly values: readonly Exclude<T, number>[];
  /** The number of a value in C. */
  number(value: T): number;
  /** The value of a number in C: its name where it has one. */
  fromNumber(number: number): T;
}

// --- types

function named<T, C extends Codec<T>>(typeName: string, codec: C): C & Type<T> {
  return {
    ...codec,
    typeName,
    fromJson(document: string | Uint8Array): T {
      const reader = new Reader(documentText(document));
      const value = codec.read(reader);
      reader.end();
      return value;
    },
    toJson: (value: T): string => `${codec.write(value, "")}\n`,
  };
}

/** An enumeration: the names and numbers of its values, and the number of a new one. */
export function enumeration<T extends string | number>(
  typeName: string,
  values: readonly (readonly [name: Exclude<T, number>, number: number])[],
  initial = 0,
): Enumeration<T> {
  type Name = Exclude<T, number>;
  const numbers = new Map<string, number>(values as readonly (readonly [string, number])[]);
  const names = new Map<number, Name>(values.map(([name, number]) => [number, name]));
  const fromNumber = (number: number): T => (names.get(number) ?? number) as T;
  const toNumber = (value: T): number => {
    const number = typeof value === "number" ? value : numbers.get(value);
    if (number === undefined || !Number.isInteger(number) || number !== (number | 0)) {
      throw new EncodeError(`${shown(String(value))} is no ${typeName}${suggestion(String(value), numbers.keys())}`);
    }
    return number;
  };
  const codec: Codec<T> = {
    read(reader) {
      expect(reader, "a string", "a number");
      if (reader.kind() === "a number") {
        const number = integer(reader);
        if (number !== BigInt.asIntN(32, number)) {
          throw new DecodeError(`${number} is no number of C's int`);
        }
        return fromNumber(Number(number));
      }
      const name = reader.string();
      const lower = name.replace(/[A-Z]/g, (c) => c.toLowerCase());
      if (!numbers.has(lower)) {
        throw new DecodeError(`${shown(name)} is no ${typeName}${suggestion(name, numbers.keys())}`);
      }
      return lower as T;
    },
    write(value) {
      const number = toNumber(value);
      const name = names.get(number);
      return name === undefined ? String(number) : quote(name as string, true);
    },
    initial: () => fromNumber(initial),
    isZero: (value) => toNumber(value) === 0,
    same: (a, b) => toNumber(a) === toNumber(b),
  };
  return {
    ...named<T, Codec<T>>(typeName, codec),
    values: values.map(([name]) => name),
    number: toNumber,
    fromNumber,
  };
}

/** A list. */
export function list<T>(of: Codec<T>): Codec<T[]> {
  return {
    read: (reader) => readArray(reader, () => of.read(reader)),
    write: (value, indent) => writeArray(value, indent, (element) => of.write(element, inner(indent))),
    initial: () => [],
    isZero: (value) => value.length === 0,
  };
}

/** What a struct does with one property, which may be several keys. */
export interface Field<T> {
  /** The keys that it takes. */
  readonly keys: readonly string[];
  /** Reads the value of one of its keys. */
  read(reader: Reader, key: string): T;
  /** The member that it writes, unless it is left out. */
  write(value: T, indent: string): readonly [key: string, text: string] | undefined;
  /** What it begins as. */
  initial(): T;
}

/** A field; `initial`: what it begins as, where that is not what its type begins as. */
export function field<T>(key: string, codec: Codec<T>, initial?: T): Field<T> {
  const begins = initial === undefined ? (): T => codec.initial() : (): T => initial;
  return {
    keys: [key],
    read: (reader) => codec.read(reader),
    write(value, indent) {
      return within(key, () => {
        const leftOut = initial === undefined ? codec.isZero(value) : codec.same?.(value, initial) ?? value === initial;
        return leftOut ? undefined : [key, codec.write(value, indent)];
      });
    },
    initial: begins,
  };
}

interface AnyArm {
  kind: string;
  value?: unknown;
  key?: string | number;
}

/** A keyed union: one key, `KEYVAR.ARM`; or the key itself, when there is no arm for it. An arm without a codec is empty. */
export function union<T extends { kind: string }>(
  keyvar: string,
  keys: Enumeration<string | number>,
  arms: readonly (readonly [name: string, codec: Codec<unknown> | undefined])[],
  initial: string | number,
): Field<T> {
  const codecs = new Map(arms);
  const begins = (): AnyArm => {
    if (typeof initial === "number" || !codecs.has(initial)) {
      return { kind: "other", key: initial };
    }
    const codec = codecs.get(initial);
    return codec === undefined ? { kind: initial } : { kind: initial, value: codec.initial() };
  };
  return {
    keys: [...arms.map(([name]) => `${keyvar}.${name}`), keyvar],
    read(reader, key) {
      let read: AnyArm;
      if (key === keyvar) {
        read = { kind: "other", key: keys.read(reader) };
      } else {
        const kind = key.slice(keyvar.length + 1);
        const codec = codecs.get(kind);
        expect(reader, "an object");
        if (codec === undefined) {
          reader.skip(true);
          read = { kind };
        } else {
          read = { kind, value: codec.read(reader) };
        }
      }
      return read as unknown as T;
    },
    write(value, indent) {
      const union = value as AnyArm | undefined;
      const { kind } = union ?? { kind: "" };
      if (codecs.has(kind)) {
        const key = `${keyvar}.${kind}`;
        const codec = codecs.get(kind);
        return [key, within(key, () => (codec === undefined ? object([], indent) : codec.write(union?.value, indent)))];
      }
      const key = union?.key;
      if (kind !== "other" || key === undefined) {
        throw new EncodeError(`${shown(String(kind))} is no arm of "${keyvar}"${suggestion(String(kind), codecs.keys())}`);
      }
      return within(keyvar, () =>
        keys.number(key) === keys.number(initial) ? undefined : [keyvar, keys.write(key, indent)],
      );
    },
    initial: () => begins() as unknown as T,
  };
}

/** The fields of a struct, in order: a property of the type to its keys. */
export type FieldsOf<T> = { readonly [K in keyof T]-?: Field<T[K]> };

/** A struct. */
export function struct<T extends object>(typeName: string, fields: FieldsOf<T>): Struct<T> {
  const entries = Object.entries(fields) as [property: string, field: Field<unknown>][];
  const byKey = new Map(entries.flatMap((entry) => entry[1].keys.map((key) => [key, entry] as const)));
  const create = (given: Partial<T> = {}): T => {
    const out: Record<string, unknown> = {};
    for (const [property, field] of entries) {
      const value = field.initial();
      if (value !== undefined) {
        out[property] = value;
      }
    }
    return { ...out, ...given } as T;
  };
  const codec: Codec<T> = {
    read(reader) {
      expect(reader, "an object");
      const out = create() as Record<string, unknown>;
      const seen = new Map<string, string>();
      reader.members((key) => {
        const entry = byKey.get(key);
        if (entry === undefined) {
          reader.skip(true);
          return;
        }
        const [property, field] = entry;
        const before = seen.get(property);
        if (before !== undefined) {
          const two = before === key ? "is there twice" : `beside "${before}", the same union's; libxl aborts on that`;
          throw new DecodeError(`"${key}" ${two}`);
        }
        seen.set(property, key);
        const value = within(key, () => field.read(reader, key));
        if (value === undefined) {
          delete out[property];
        } else {
          out[property] = value;
        }
      });
      return out as T;
    },
    write(value, indent) {
      if (typeof value !== "object" || value === null) {
        throw new EncodeError(`no ${typeName}`);
      }
      const members: (readonly [string, string])[] = [];
      for (const [property, field] of entries) {
        const member = field.write((value as Record<string, unknown>)[property], inner(indent));
        if (member !== undefined) {
          members.push(member);
        }
      }
      return object(members, indent);
    },
    initial: create,
    isZero: () => false,
  };
  return { ...named<T, Codec<T>>(typeName, codec), create };
}
