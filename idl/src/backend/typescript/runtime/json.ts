// The text of a document: a place in it and what may stand there (Reader), and how strings are written. `JSON.parse`
// serves neither: it rounds integers beyond 2^53, takes the last of two equal keys, and forgets how a value was written.
//
//   text -> Reader (white space, numbers, strings) -> the codec of each field -> value
//   value -> the codec of each field -> text

// Part of every JavaScript platform, but of no library that a TypeScript without DOM knows.
declare class TextDecoder {
  constructor(label: "utf-8", options: { fatal: boolean; ignoreBOM: boolean });
  decode(bytes: Uint8Array): string;
}

/** What is wrong with a document or value, and where: `disks[1].format: ..`. */
export class FormatError extends Error {
  /** The path to it: `disks[1].format`; empty for the document itself. */
  path = "";

  /** What is wrong, without the path. */
  readonly problem: string;

  constructor(problem: string) {
    super(problem);
    this.problem = problem;
  }

  /** Puts the error into the value of a key, or into an element of a list. */
  within(part: string | number): this {
    const here = typeof part === "number" ? `[${part}]` : part;
    this.path = this.path === "" || this.path.startsWith("[") ? here + this.path : `${here}.${this.path}`;
    this.message = `${this.path}: ${this.problem}`;
    return this;
  }
}

/** A document that cannot be read. */
export class DecodeError extends FormatError {
  override readonly name = "DecodeError";
}

/** A value that cannot be written. */
export class EncodeError extends FormatError {
  override readonly name = "EncodeError";
}

/** Does something within the value of a key or within an element, so that an error says so. */
export function within<T>(part: string | number, what: () => T): T {
  try {
    return what();
  } catch (error) {
    throw error instanceof FormatError ? error.within(part) : error;
  }
}

/** JSON that is kept as it came: someone else's, or a newer version's. */
export class RawJson {
  /** The text, valid JSON, byte for byte. */
  readonly text: string;

  /** Takes a JSON text. Throws a {@link DecodeError} when it is none. */
  constructor(text: string) {
    const reader = new Reader(documentText(text));
    reader.skip(false);
    reader.end();
    this.text = text.trim();
  }

  /** Writes a value as JSON. */
  static of(value: unknown): RawJson {
    const text = JSON.stringify(value) as string | undefined;
    if (text === undefined) {
      throw new EncodeError("a value that JSON has no form for");
    }
    return new RawJson(text);
  }

  /** The value, as `JSON.parse` has it. */
  parse(): unknown {
    return JSON.parse(this.text);
  }

  /** For `JSON.stringify`: the value. */
  toJSON(): unknown {
    return this.parse();
  }
}

/** What a JSON value is. */
export type Kind = "an object" | "an array" | "a string" | "a truth value" | "null" | "a number";

const HALF_OF_A_PAIR = /\p{Surrogate}/u;
const SPACE = /[ \t\n\r]*/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const HEX = /[0-9a-fA-F]{4}/y;
const SIMPLE_ESCAPES = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

/** Whether a text is one in every encoding: no half of a surrogate pair. */
export function isText(text: string): boolean {
  return !HALF_OF_A_PAIR.test(text);
}

/** How many bytes a text has in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x800 && (unit < 0xd800 || unit > 0xdfff)) {
      bytes += 2;
    } else if (unit >= 0x80) {
      bytes += 1; // half of a pair: two of them are four bytes
    }
  }
  return bytes;
}

/** The text of a document that came as bytes or as text. */
export function documentText(document: string | Uint8Array): string {
  if (typeof document === "string") {
    if (!isText(document)) {
      throw new DecodeError("half of a surrogate pair, which is no text");
    }
    return document;
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(document);
  } catch {
    throw new DecodeError("not UTF-8");
  }
}

/** A place in a document. */
export class Reader {
  #at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** What stands at the place. */
  kind(): Kind {
    this.#space();
    switch (this.#text[this.#at]) {
      case "{":
        return "an object";
      case "[":
        return "an array";
      case '"':
        return "a string";
      case "t":
      case "f":
        return "a truth value";
      case "n":
        return "null";
      default:
        return "a number";
    }
  }

  /** The error for something else than what belongs there. */
  wrong(expected: string): DecodeError {
    const kind = this.kind();
    if (kind === "a number") {
      return new DecodeError(`${this.number()} where ${expected} belongs`);
    }
    return new DecodeError(`${kind} where ${expected} belongs`);
  }

  /** Takes the text of a number. */
  number(): string {
    const text = this.#match(NUMBER);
    if (text === "") {
      throw this.#unexpected("a value");
    }
    return text;
  }

  /** Takes a truth value. */
  boolean(): boolean {
    if (this.#text.startsWith("true", this.#at)) {
      this.#at += 4;
      return true;
    }
    this.#word("false");
    return false;
  }

  /** Takes null. */
  null(): void {
    this.#word("null");
  }

  /** Takes a string, which is at the place. */
  string(): string {
    const start = this.#at;
    this.#at += 1;
    let out = this.#match(PLAIN);
    for (;;) {
      const char = this.#text[this.#at];
      if (char === '"') {
        this.#at += 1;
        return out;
      }
      if (char === undefined) {
        this.#at = start;
        throw this.#problem("a string without an end");
      }
      if (char !== "\\") {
        throw this.#problem("a control character in a string");
      }
      out += this.#escape(true) + this.#match(PLAIN);
    }
  }

  /** Reads an object, member by member. */
  members(member: (key: string) => void): void {
    this.#at += 1;
    for (let first = true; this.#next(first, "}"); first = false) {
      member(this.#key());
    }
  }

  /** Reads an array, element by element. */
  elements(element: (index: number) => void): void {
    this.#at += 1;
    for (let index = 0; this.#next(index === 0, "]"); index++) {
      within(index, () => element(index));
    }
  }

  /** Skips a value of any depth; `strict`: its strings must be text. */
  skip(strict: boolean): void {
    const around: ("}" | "]")[] = [];
    for (;;) {
      const kind = this.kind();
      let first = false;
      if (kind === "an object" || kind === "an array") {
        this.#at += 1;
        around.push(kind === "an object" ? "}" : "]");
        first = true;
      } else {
        this.#scalar(kind, strict);
      }
      for (;;) {
        const close = around[around.length - 1];
        if (close === undefined) {
          return;
        }
        if (this.#next(first, close)) {
          if (close === "}") {
            this.#expectKey();
            this.#scalar("a string", strict);
            this.#colon();
          }
          break;
        }
        around.pop();
        first = false;
      }
    }
  }

  /** Takes a value as it is written. */
  raw(): string {
    this.#space();
    const start = this.#at;
    this.skip(false);
    return this.#text.slice(start, this.#at);
  }

  /** Checks that nothing follows. */
  end(): void {
    this.#space();
    if (this.#at < this.#text.length) {
      throw this.#unexpected("the end of the text");
    }
  }

  #scalar(kind: Kind, strict: boolean): void {
    switch (kind) {
      case "a string":
        if (strict) {
          this.string();
        } else {
          this.#skipString();
        }
        break;
      case "a truth value":
        this.boolean();
        break;
      case "null":
        this.null();
        break;
      default:
        this.number();
    }
  }

  /** A string of which only the form counts. */
  #skipString(): void {
    this.#at += 1;
    for (;;) {
      this.#match(PLAIN);
      const char = this.#text[this.#at];
      if (char === '"') {
        this.#at += 1;
        return;
      }
      if (char !== "\\") {
        throw this.#problem(char === undefined ? "a string without an end" : "a control character in a string");
      }
      this.#escape(false);
    }
  }

  #escape(strict: boolean): string {
    const start = this.#at;
    const simple = SIMPLE_ESCAPES.get(this.#text[this.#at + 1] ?? "");
    if (simple !== undefined) {
      this.#at += 2;
      return simple;
    }
    const unit = this.#unit();
    if (!strict || unit < 0xd800 || unit > 0xdfff) {
      return String.fromCharCode(unit);
    }
    if (unit < 0xdc00 && this.#text.startsWith("\\u", this.#at)) {
      const low = this.#unit();
      if (low >= 0xdc00 && low <= 0xdfff) {
        return String.fromCharCode(unit, low);
      }
    }
    this.#at = start;
    throw this.#problem("half of a surrogate pair, which is no text");
  }

  /** One `\uXXXX`. */
  #unit(): number {
    if (this.#text[this.#at + 1] !== "u") {
      throw this.#problem("an escape that JSON does not have");
    }
    this.#at += 2;
    const digits = this.#match(HEX);
    if (digits === "") {
      throw this.#problem("`\\u` takes four hexadecimal digits");
    }
    return parseInt(digits, 16);
  }

  #key(): string {
    this.#expectKey();
    const key = this.string();
    this.#colon();
    return key;
  }

  #expectKey(): void {
    this.#space();
    if (this.#text[this.#at] !== '"') {
      throw this.#unexpected("a key");
    }
  }

  #colon(): void {
    this.#space();
    if (this.#text[this.#at] !== ":") {
      throw this.#unexpected("`:` after a key");
    }
    this.#at += 1;
  }

  /** Goes to the next member of a container; false at its end, which is taken. */
  #next(first: boolean, close: "}" | "]"): boolean {
    this.#space();
    const char = this.#text[this.#at];
    if (char === close) {
      this.#at += 1;
      return false;
    }
    if (first) {
      return true;
    }
    if (char !== ",") {
      throw this.#unexpected(`\`,\` or \`${close}\``);
    }
    this.#at += 1;
    this.#space();
    if (this.#text[this.#at] === close) {
      throw this.#unexpected("another member");
    }
    return true;
  }

  #word(word: string): void {
    if (!this.#text.startsWith(word, this.#at)) {
      throw this.#unexpected("a value");
    }
    this.#at += word.length;
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  #space(): void {
    this.#match(SPACE);
  }

  #unexpected(expected: string): DecodeError {
    const char = this.#text[this.#at];
    const found = char === undefined ? "the end of the text" : `\`${char}\``;
    return this.#problem(`expected ${expected}, found ${found}`);
  }

  #problem(problem: string): DecodeError {
    return new DecodeError(`${problem} (at character ${this.#at})`);
  }
}

const SHORT_ESCAPES = new Map([
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\b", "\\b"],
  ["\f", "\\f"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

/** A string of JSON; `upper`: control characters in upper-case hex, as yajl writes them. */
export function quote(text: string, upper: boolean): string {
  if (!isText(text)) {
    throw new EncodeError("half of a surrogate pair, which is no text");
  }
  const escaped = text.replace(/["\\\u0000-\u001f]/g, (char) => {
    const hex = char.charCodeAt(0).toString(16).padStart(4, "0");
    return SHORT_ESCAPES.get(char) ?? `\\u${upper ? hex.toUpperCase() : hex}`;
  });
  return `"${escaped}"`;
}

/** Text as a message shows it: quoted, and not too long. */
export function shown(text: string): string {
  const cut = [...text.slice(0, 80)].slice(0, 40).join("");
  return JSON.stringify(cut.length < text.length ? `${cut}..` : cut);
}

/** `; did you mean "qcow2"?` when a name is near enough to be meant. */
export function suggestion(word: string, names: Iterable<string>): string {
  if (word.length > 64) {
    return "";
  }
  let best = Math.min(Math.max(Math.floor(word.length / 3), 1), 3);
  let nearest: string | undefined;
  for (const name of names) {
    const edits = distance(word.toLowerCase(), name.toLowerCase());
    if (edits < best || (edits === best && nearest === undefined)) {
      [best, nearest] = [edits, name];
    }
  }
  return nearest === undefined ? "" : `; did you mean ${JSON.stringify(nearest)}?`;
}

/** Edits (insert, delete, replace, swap of neighbours) between two words. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  const at = (row: number[], i: number): number => row[i] ?? Infinity;
  for (let i = 0; i < a.length; i++) {
    const row = [i + 1];
    for (let j = 0; j < b.length; j++) {
      let best = Math.min(at(last, j) + (a[i] === b[j] ? 0 : 1), at(last, j + 1) + 1, at(row, j) + 1);
      if (i > 0 && j > 0 && a[i - 1] === b[j] && a[i] === b[j - 1]) {
        best = Math.min(best, at(before, j - 1) + 1);
      }
      row.push(best);
    }
    [before, last] = [last, row];
  }
  return at(last, b.length);
}
