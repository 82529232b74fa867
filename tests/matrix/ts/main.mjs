// The matrix's harness: each line `UNIT TYPE JSON` of stdin is answered by `ok JSON` (read into the typed value, written
// again) or `no MESSAGE`. Bytes stay bytes: a line need not be UTF-8.

import { readFileSync } from "node:fs";
import * as contract from "./contract/dist/index.js";
import * as libxl from "./libxl/dist/index.js";

const units = { contract: contract.types, libxl: libxl.types };

function answer(line) {
  const unitEnd = line.indexOf(32);
  const typeEnd = line.indexOf(32, unitEnd + 1);
  const unit = line.subarray(0, unitEnd).toString();
  const name = line.subarray(unitEnd + 1, typeEnd).toString();
  const type = units[unit]?.get(name);
  if (type === undefined) {
    return "no unknown type";
  }
  try {
    const json = type.toJson(type.fromJson(line.subarray(typeEnd + 1)));
    // libxl's layout has line ends, all of them between tokens.
    return `ok ${json.replace(/\n */g, "")}`;
  } catch (error) {
    if (error instanceof contract.DecodeError || error instanceof contract.EncodeError ||
        error instanceof libxl.DecodeError || error instanceof libxl.EncodeError) {
      return `no ${error.message.replace(/[\r\n]/g, " ")}`;
    }
    throw error;
  }
}

const input = readFileSync(0);
const out = [];
for (let start = 0; start < input.length; ) {
  const end = input.indexOf(10, start);
  const stop = end === -1 ? input.length : end;
  out.push(`${answer(input.subarray(start, stop))}\n`);
  start = stop + 1;
}
process.stdout.write(out.join(""));
