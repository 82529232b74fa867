// The contract's JSON: compact, keys in order, integers within +-(2^53-1), one form for every value. Types are tables
// of codecs; strict ones refuse what they do not know, open ones keep it and write it again.

import {
  DecodeError,
  EncodeError,
  FormatError,
  RawJson,
  Reader,
  documentText,
  quote,
  shown,
  suggestion,
  utf8Length,
  within,
} from "./json.js";

export { DecodeError, EncodeError, RawJson };

/** Most bytes of a document. */
const DOCUMENT_MAX = 1 << 20;
/** Most bytes of a value in xenstore. */
const XENSTORE_MAX = 2048;
/** Deepest nesting of objects and arrays. */
const DEPTH_MAX = 16;

/** A value of an open enumeration that this version does not know; the known ones still complete in an editor. */
export type UnknownValue = string & Record<never, never>;

/** Fields that a newer version wrote: kept, and written again after the known ones. */
export type Extra = ReadonlyMap<string, RawJson>;

/** How a value is read and written. */
export interface Codec<T> {
  /** Reads the value at the reader's place. */
  read(reader: Reader): T;
  /** Its text. */
  write(value: T): string;
}

/** A type that has a name. */
export interface Type<T> extends Codec<T> {
  /** Its name in the IDL. */
  readonly typeName: string;
  /** Reads a document of at most 1 MiB. Throws a {@link DecodeError} that names the path. */
  fromJson(document: string | Uint8Array): T;
  /** Writes a document of at most 1 MiB. Throws an {@link EncodeError} when a value is outside its limits. */
  toJson(value: T): string;
}

/** A struct; `D` are the fields that have a default. */
export interface Struct<T, D extends keyof T = never> extends Type<T> {
  /** Where in xenstore it stands, when it does. */
  readonly xenstore: Xenstore | undefined;
  /** A value: fields that are left out get their default. */
  create(fields: Omit<T, D> & Partial<Pick<T, D>>): T;
  /** Reads a xenstore value: at most 2048 bytes. */
  fromXenstore(value: string | Uint8Array): T;
  /** Writes a xenstore value: at most 2048 bytes. */
  toXenstore(value: T): string;
}

/** A place in xenstore. */
export interface Xenstore {
  /** The path, with `$NAME` for parts that vary. */
  readonly path: string;
  /** Who writes it, as in Xen's xenstore-paths: `n` not the domain, `w` the domain. */
  readonly access: string;
  /** Most bytes of a value, without what a newer version may have added. */
  readonly sizeMax: number;
}

/** An enumeration. */
export interface Enumeration<T extends string> extends Type<T> {
  /** Every value that this version knows, in order. */
  readonly values: readonly T[];
  /** The number of a value; none for one that is not known. */
  number(value: T): number | undefined;
}

/** A string with a pattern. */
export interface Text extends Type<string> {
  /** What the whole text matches. */
  readonly pattern: RegExp;
  /** Whether a text is one. */
  accepts(text: string): boolean;
}

// --- documents

function decode<T>(codec: Codec<T>, document: string | Uint8Array, max: number): T {
  const size = typeof document === "string" ? utf8Length(document) : document.length;
  if (size > max) {
    throw new DecodeError(`${size} bytes; at most ${max}`);
  }
  const text = documentText(document);
  if (depth(text) > DEPTH_MAX) {
    throw new DecodeError(`nested deeper than ${DEPTH_MAX}`);
  }
  const reader = new Reader(text);
  const value = codec.read(reader);
  reader.end();
  return value;
}

function encode<T>(codec: Codec<T>, value: T, max: number): string {
  const text = codec.write(value);
  const size = utf8Length(text);
  if (size > max) {
    throw new EncodeError(`${size} bytes; at most ${max}`);
  }
  if (depth(text) > DEPTH_MAX) {
    throw new EncodeError(`nested deeper than ${DEPTH_MAX}`);
  }
  return text;
}

/** Deepest nesting of brackets outside of strings. */
function depth(text: string): number {
  let [here, deepest] = [0, 0];
  for (let i = 0; i < text.length; i++) {
    switch (text[i]) {
      case "{":
      case "[":
        here += 1;
        deepest = Math.max(deepest, here);
        break;
      case "}":
      case "]":
        here = Math.max(here - 1, 0);
        break;
      case '"':
        for (i++; i < text.length && text[i] !== '"'; i++) {
          if (text[i] === "\\") {
            i++;
          }
        }
        break;
      default:
    }
  }
  return deepest;
}

function named<T>(typeName: string, codec: Codec<T>): Type<T> {
  return {
    typeName,
    read: (reader) => codec.read(reader),
    write: (value) => codec.write(value),
    fromJson: (document) => decode(codec, document, DOCUMENT_MAX),
    toJson: (value) => encode(codec, value, DOCUMENT_MAX),
  };
}

// --- scalars

/** Reads a string, and lets `check` say what is wrong with it. */
function string(expected: string, check: (text: string) => string | undefined): Codec<string> {
  return {
    read(reader) {
      if (reader.kind() !== "a string") {
        throw reader.wrong(expected);
      }
      const text = reader.string();
      const wrong = check(text);
      if (wrong !== undefined) {
        throw new DecodeError(wrong);
      }
      return text;
    },
    write(value) {
      const wrong = typeof value === "string" ? check(value) : `no text where ${expected} belongs`;
      if (wrong !== undefined) {
        throw new EncodeError(wrong);
      }
      return quote(value, false);
    },
  };
}

/** A truth value. */
export const bool: Codec<boolean> = {
  read(reader) {
    if (reader.kind() !== "a truth value") {
      throw reader.wrong("a truth value");
    }
    return reader.boolean();
  },
  write(value) {
    if (typeof value !== "boolean") {
      throw new EncodeError("no truth value");
    }
    return value ? "true" : "false";
  },
};

/** An integer from `min` to `max`. */
export function int(min: number, max: number): Codec<number> {
  const expected = `an integer from ${min} to ${max}`;
  return {
    read(reader) {
      if (reader.kind() !== "a number") {
        throw reader.wrong(expected);
      }
      const text = reader.number();
      // `-0` is a fraction to most readers of JSON.
      if (!/^-?[0-9]+$/.test(text) || text === "-0") {
        throw new DecodeError(`${shown(text)} where ${expected} belongs`);
      }
      const value = Number(text);
      if (value < min || value > max) {
        throw new DecodeError(`${text.slice(0, 40)} is not from ${min} to ${max}`);
      }
      return value;
    },
    write(value) {
      if (!Number.isSafeInteger(value) || value < min || value > max) {
        throw new EncodeError(`${String(value)} is not ${expected}`);
      }
      return String(value === 0 ? 0 : value);
    },
  };
}

/** Fewest and most bytes, and what the whole text matches. */
export interface Limits {
  readonly min?: number;
  readonly max?: number;
  readonly pattern?: RegExp;
}

function limit(text: string, limits: Limits): string | undefined {
  const { min = 0, max = Infinity, pattern } = limits;
  const size = utf8Length(text);
  if (size < min) {
    return `${size} bytes, at least ${min}`;
  }
  if (size > max) {
    return `${size} bytes, at most ${max}`;
  }
  return pattern === undefined || pattern.test(text) ? undefined : `${shown(text)} does not match ${pattern.source}`;
}

/** A text within limits, or one that a field narrows. */
export function text(limits: Limits = {}, of: Codec<string> = string("a string", () => undefined)): Codec<string> {
  return {
    read(reader) {
      const value = of.read(reader);
      const wrong = limit(value, limits);
      if (wrong !== undefined) {
        throw new DecodeError(wrong);
      }
      return value;
    },
    write(value) {
      const out = of.write(value);
      const wrong = limit(value, limits);
      if (wrong !== undefined) {
        throw new EncodeError(wrong);
      }
      return out;
    },
  };
}

/** A string with a pattern and a name. */
export function pattern(typeName: string, limits: Limits & { readonly pattern: RegExp }): Text {
  const codec = string(typeName, (value) => {
    const wrong = limit(value, limits);
    return wrong === undefined ? undefined : `${shown(value)} is not a ${typeName}: ${wrong}`;
  });
  return {
    ...named(typeName, codec),
    pattern: limits.pattern,
    accepts: (value) => limit(value, limits) === undefined,
  };
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A UUID: lower-case, dashed. */
export const uuid: Codec<string> = string("a uuid", (value) =>
  UUID.test(value) ? undefined : `${shown(value)} is not a uuid: lower-case hex digits with dashes, as 8-4-4-4-12`,
);

/** An absolute path without `..`. */
export const path: Codec<string> = string("a path", (value) => {
  if (!value.startsWith("/")) {
    return `${shown(value)} is not a path: it must be absolute`;
  }
  if (value.split("/").includes("..")) {
    return `${shown(value)} is not a path: it must not hold \`..\``;
  }
  return value.includes("\0") ? `${shown(value)} is not a path: it must not hold NUL` : undefined;
});

const TIMESTAMP = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.\d{9}Z$/;

function isTimestamp(text: string): boolean {
  const parts = TIMESTAMP.exec(text)?.slice(1).map(Number);
  if (parts === undefined) {
    return false;
  }
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts;
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
  return year >= 1 && day >= 1 && day <= days && hour < 24 && minute < 60 && second < 60;
}

/** An instant: RFC 3339, UTC, nine digits, as text, since a `Date` would cut it to milliseconds. */
export const timestamp: Codec<string> = string("a timestamp", (value) =>
  isTimestamp(value) ? undefined : `${shown(value)} is not a timestamp such as 2026-11-23T10:20:30.123456789Z`,
);

/** A date as the contract writes it. */
export function toTimestamp(date: Date): string {
  const value = date.toISOString().replace("Z", "000000Z");
  if (!isTimestamp(value)) {
    throw new EncodeError(`${shown(value)} is not of the years 1 to 9999`);
  }
  return value;
}

/** The date of a timestamp, to the millisecond. */
export function fromTimestamp(value: string): Date {
  if (!isTimestamp(value)) {
    throw new DecodeError(`${shown(value)} is not a timestamp`);
  }
  return new Date(value.replace(/\d{6}Z$/, "Z"));
}

/** JSON of someone else, kept as it is. */
export function json(limits: Limits = {}): Codec<RawJson> {
  const check = <E extends FormatError>(value: RawJson, error: new (problem: string) => E): void => {
    const wrong = limit(value.text, limits);
    if (wrong !== undefined) {
      throw new error(wrong);
    }
  };
  return {
    read(reader) {
      const value = new RawJson(reader.raw());
      check(value, DecodeError);
      return value;
    },
    write(value) {
      if (!(value instanceof RawJson)) {
        throw new EncodeError("no RawJson");
      }
      check(value, EncodeError);
      return value.text;
    },
  };
}

/** A list of `min` to `max` elements. */
export function list<T>(of: Codec<T>, min = 0, max = Infinity): Codec<T[]> {
  return {
    read(reader) {
      if (reader.kind() !== "an array") {
        throw reader.wrong("a list");
      }
      const out: T[] = [];
      reader.elements(() => {
        const element = of.read(reader);
        if (out.length <= max) {
          out.push(element);
        }
      });
      if (out.length < min) {
        throw new DecodeError(`${out.length} elements, at least ${min}`);
      }
      if (out.length > max) {
        throw new DecodeError(`more than ${max} elements`);
      }
      return out;
    },
    write(value) {
      if (!Array.isArray(value) || value.length < min || value.length > max) {
        throw new EncodeError(`no list of ${min} to ${max} elements`);
      }
      return `[${value.map((element, index) => within(index, () => of.write(element))).join(",")}]`;
    },
  };
}

// --- enumerations

const NAME = /^[a-z][a-z0-9_]{0,63}$/;

function unknownName(what: string, name: string, names: Iterable<string>): string {
  return `unknown ${what} ${shown(name)}${suggestion(name, names)}`;
}

/** An enumeration: names and numbers. An open one keeps a name that it does not know. */
export function enumeration<T extends string>(
  typeName: string,
  direction: "strict" | "open",
  values: readonly (readonly [T, number])[],
): Enumeration<T> {
  const numbers = new Map<string, number>(values);
  const names = values.map(([name]) => name);
  const codec = string(typeName, (name) =>
    numbers.has(name) || (direction === "open" && NAME.test(name))
      ? undefined
      : unknownName(`value of ${typeName}`, name, names),
  );
  return {
    ...named(typeName, codec as Codec<T>),
    values: names,
    number: (value) => numbers.get(value),
  };
}

// --- structs

/** What a struct does with one property, which may be several keys. */
export interface Field<T> {
  /** The keys that it takes. */
  readonly keys: readonly string[];
  /** Takes a key of an open union that this version does not know. */
  takes?(key: string): boolean;
  /** Reads the value of one of its keys. */
  read(reader: Reader, key: string): T;
  /** Its value when no key was there. */
  absent(): T | undefined;
  /** The members that it writes: key and text. */
  write(value: T): [key: string, text: string] | undefined;
}

function plain<T>(key: string, codec: Codec<T>, absent: () => T | undefined, optional: boolean): Field<T> {
  return {
    keys: [key],
    read: (reader) => codec.read(reader),
    absent,
    write: (value) =>
      optional && value === undefined ? undefined : [key, within(key, () => codec.write(value))],
  };
}

/** A field that must be there. */
export function required<T>(key: string, codec: Codec<T>): Field<T> {
  const absent = (): never => {
    throw new DecodeError(`missing field "${key}"`);
  };
  return plain(key, codec, absent, false);
}

/** A field that is left out when it is absent. */
export function optional<T>(key: string, codec: Codec<T>): Field<T> {
  return plain(key, codec, () => undefined, true);
}

/** A field that has a default: it may be absent when read, and is always written. */
export function defaulted<T>(key: string, codec: Codec<T>, value: T): Field<T> {
  return plain(key, codec, () => value, false);
}

interface AnyArm {
  kind: string;
  value?: unknown;
  extra?: Extra | undefined;
  arm?: string;
}

/** A union: exactly one key, `KEYVAR.ARM`. An arm without a codec holds nothing. */
export function union<T extends { kind: string }>(
  keyvar: string,
  direction: "strict" | "open",
  arms: { readonly [arm: string]: Codec<unknown> | undefined },
): Field<T> {
  const open = direction === "open";
  const prefix = `${keyvar}.`;
  const codecs = new Map(Object.entries(arms));
  const keys = [...codecs.keys()].map((arm) => prefix + arm);
  const nothing = new Fields<{ extra?: Extra }>("{}", direction, []);
  const takes = (key: string): boolean => {
    if (key.startsWith(prefix) && !NAME.test(key.slice(prefix.length))) {
      throw new DecodeError(`${shown(key)} is not a key of "${keyvar}"`);
    }
    return key.startsWith(prefix);
  };
  return {
    keys,
    ...(open && { takes }),
    read(reader, key) {
      const arm = key.slice(prefix.length);
      const codec = codecs.get(arm);
      let read: AnyArm;
      if (codec !== undefined) {
        read = { kind: arm, value: codec.read(reader) };
      } else if (codecs.has(arm)) {
        read = { kind: arm, ...nothing.read(reader) };
      } else {
        read = { kind: "unknown", arm, value: new RawJson(reader.raw()) };
      }
      return read as unknown as T;
    },
    absent() {
      throw new DecodeError(`missing field: one of ${keys.map((key) => `"${key}"`).join(", ")}`);
    },
    write(value) {
      const union = value as AnyArm | undefined;
      if (typeof union !== "object" || union === null) {
        throw new EncodeError(`no arm of "${keyvar}"`);
      }
      const { kind, arm = "" } = union;
      if (codecs.has(kind)) {
        const codec = codecs.get(kind) ?? nothing;
        const held = codec === nothing ? { extra: union.extra } : union.value;
        return [prefix + kind, within(prefix + kind, () => (codec as Codec<unknown>).write(held))];
      }
      if (open && kind === "unknown" && NAME.test(arm) && !codecs.has(arm) && union.value instanceof RawJson) {
        return [prefix + arm, union.value.text];
      }
      throw new EncodeError(unknownName(`arm of "${keyvar}"`, kind, codecs.keys()));
    },
  };
}

/** The members of an object. */
class Fields<T extends { extra?: Extra | undefined }> implements Codec<T> {
  readonly #typeName: string;
  readonly #open: boolean;
  readonly #fields: readonly (readonly [property: string, field: Field<unknown>])[];
  readonly #byKey = new Map<string, readonly [property: string, field: Field<unknown>]>();

  constructor(typeName: string, direction: "strict" | "open", fields: readonly [string, Field<unknown>][]) {
    this.#typeName = typeName;
    this.#open = direction === "open";
    this.#fields = fields;
    for (const entry of fields) {
      for (const key of entry[1].keys) {
        this.#byKey.set(key, entry);
      }
    }
  }

  read(reader: Reader): T {
    if (reader.kind() !== "an object") {
      throw reader.wrong(`an object (${this.#typeName})`);
    }
    const values = new Map<string, unknown>();
    const extra = new Map<string, RawJson>();
    reader.members((key) => {
      const entry = this.#byKey.get(key) ?? this.#fields.find(([, field]) => field.takes?.(key) === true);
      if (entry === undefined) {
        this.#keep(extra, key, reader);
        return;
      }
      const [property, field] = entry;
      if (values.has(property)) {
        const second = field.keys.length > 1 || field.takes !== undefined;
        throw new DecodeError(second ? `${shown(key)} is a second arm of its union` : `duplicate key "${key}"`);
      }
      values.set(property, within(key, () => field.read(reader, key)));
    });
    const out: Record<string, unknown> = {};
    for (const [property, field] of this.#fields) {
      const value = values.has(property) ? values.get(property) : field.absent();
      if (value !== undefined) {
        out[property] = value;
      }
    }
    if (extra.size > 0) {
      out["extra"] = extra;
    }
    return out as T;
  }

  #keep(extra: Map<string, RawJson>, key: string, reader: Reader): void {
    if (!this.#open) {
      throw new DecodeError(unknownName("field", key, this.#byKey.keys()));
    }
    if (extra.has(key)) {
      throw new DecodeError(`duplicate key ${shown(key)}`);
    }
    extra.set(key, within(key, () => new RawJson(reader.raw())));
  }

  write(value: T): string {
    if (typeof value !== "object" || value === null) {
      throw new EncodeError(`no ${this.#typeName}`);
    }
    const members: string[] = [];
    for (const [property, field] of this.#fields) {
      const member = field.write((value as Record<string, unknown>)[property]);
      if (member !== undefined) {
        members.push(`"${member[0]}":${member[1]}`);
      }
    }
    for (const [key, raw] of value.extra ?? []) {
      if (!this.#open || this.#byKey.has(key)) {
        throw new EncodeError(`unknown field ${shown(key)} has a known name, or no place in a strict type`);
      }
      members.push(`${quote(key, false)}:${raw.text}`);
    }
    return `{${members.join(",")}}`;
  }

  defaults(): Record<string, unknown> {
    const out: Record<string, unknown> = {};
    for (const [property, field] of this.#fields) {
      try {
        const value = field.absent();
        if (value !== undefined) {
          out[property] = value;
        }
      } catch {
        // Required: it has none.
      }
    }
    return out;
  }
}

/** The fields of a struct, in order: a property of the type to its keys. */
export type FieldsOf<T> = { readonly [K in Exclude<keyof T, "extra">]-?: Field<T[K]> };

/** A struct. */
export function struct<T extends object, D extends keyof T = never>(
  typeName: string,
  direction: "strict" | "open",
  fields: FieldsOf<T>,
  xenstore?: Xenstore,
): Struct<T, D> {
  const codec = new Fields(typeName, direction, Object.entries(fields) as [string, Field<unknown>][]) as Fields<T>;
  return {
    ...named<T>(typeName, codec),
    xenstore,
    create: (given) => ({ ...codec.defaults(), ...given }) as unknown as T,
    fromXenstore: (value) => decode(codec, value, XENSTORE_MAX),
    toXenstore: (value) => encode(codec, value, XENSTORE_MAX),
  };
}
