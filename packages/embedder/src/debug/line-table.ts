// Which line of which source file an address of a canister's code came from: the line tables that compilers leave in the
// custom section `.debug_line` (DWARF, versions 2 to 5). For people at a terminal only; nothing replicated depends on
// it. The sections are a user's bytes: whatever they are, reading them ends, takes no memory to speak of, and at worst
// finds nothing.

export interface LineSections {
  readonly line: Uint8Array;
  /** `.debug_line_str` and `.debug_str`, for version 5. */
  readonly lineStrings?: Uint8Array | undefined;
  readonly strings?: Uint8Array | undefined;
}

export interface SourcePlace {
  readonly file: string;
  readonly line: number;
}

const MAX_FILES = 100_000;
const MAX_PATH_BYTES = 400;

/**
 * The places of some addresses, which count from the beginning of the code section's content. Reads the table once,
 * or up to where the last one is found.
 */
export function findLines(sections: LineSections, addresses: readonly number[]): ReadonlyMap<number, SourcePlace> {
  const search: Search = { left: new Set(addresses), least: 0, most: 0, found: new Map() };
  bound(search);
  const units = new Bytes(sections.line);
  try {
    while (units.at < units.end && search.left.size > 0) searchUnit(units.part(units.u32()), sections, search);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
  }
  return search.found;
}

interface Search {
  readonly left: Set<number>;
  /** Of the addresses that are left. */
  least: number;
  most: number;
  readonly found: Map<number, SourcePlace>;
}

function bound(search: Search): void {
  search.least = Math.min(...search.left);
  search.most = Math.max(...search.left);
}

function searchUnit(unit: Bytes, sections: LineSections, search: Search): void {
  try {
    const header = readHeader(unit, sections);
    if (header !== undefined) runProgram(unit, header, search);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
  }
}

/** Notes the place of the addresses in [row, end). */
function note(search: Search, header: Header, row: Row, end: number): void {
  if (row.address > search.most || end <= search.least) return;
  for (const address of search.left) {
    if (address < row.address || address >= end) continue;
    search.found.set(address, { file: pathOf(header, row.file), line: row.line });
    search.left.delete(address);
    bound(search);
  }
}

interface Header {
  readonly version: number;
  readonly minimumLength: number;
  readonly lineBase: number;
  readonly lineRange: number;
  /** Of each standard opcode, its operands; index = opcode. */
  readonly operands: Uint8Array;
  readonly directories: readonly string[];
  readonly files: readonly { readonly name: string; readonly directory: number }[];
}

function readHeader(unit: Bytes, sections: LineSections): Header | undefined {
  const version = unit.u16();
  if (version < 2 || version > 5) return undefined;
  if (version === 5) unit.skip(2);
  const program = unit.u32() + unit.at;
  const minimumLength = unit.u8();
  if (version >= 4) unit.skip(1);
  unit.skip(1);
  const lineBase = (unit.u8() << 24) >> 24;
  const lineRange = unit.u8();
  const opcodeBase = unit.u8();
  if (lineRange === 0 || opcodeBase === 0) return undefined;
  const operands = new Uint8Array(opcodeBase);
  for (let opcode = 1; opcode < opcodeBase; opcode++) operands[opcode] = unit.u8();
  const names = version === 5 ? namesOfVersion5(unit, sections) : namesBefore5(unit);
  unit.moveTo(program);
  return { version, minimumLength, lineBase, lineRange, operands, ...names };
}

type Names = Pick<Header, "directories" | "files">;

/** Directory 0 is the one of the compilation, which is not told; files are counted from 1. */
function namesBefore5(unit: Bytes): Names {
  const directories = [""];
  for (let name = unit.text(); name !== ""; name = unit.text()) directories.push(name);
  const files = [{ name: "", directory: 0 }];
  for (let name = unit.text(); name !== ""; name = unit.text()) {
    files.push({ name, directory: unit.uleb() });
    unit.uleb();
    unit.uleb();
  }
  return { directories, files };
}

function namesOfVersion5(unit: Bytes, sections: LineSections): Names {
  const directories = entries(unit, sections).map(({ name }) => name);
  return { directories: directories.map((name, i) => (i === 0 ? "" : name)), files: entries(unit, sections) };
}

const CONTENT = { path: 1, directory: 2 } as const;
const FORM = {
  block: 9,
  data1: 11,
  data2: 5,
  data4: 6,
  data8: 7,
  data16: 30,
  line_strp: 31,
  string: 8,
  strp: 14,
  udata: 15,
};

function entries(unit: Bytes, sections: LineSections): { name: string; directory: number }[] {
  const formats = Array.from({ length: unit.u8() }, () => [unit.uleb(), unit.uleb()] as const);
  const count = unit.uleb();
  // Entries without any content take no bytes: there could be any number of them.
  if (count > MAX_FILES || (formats.length === 0 && count > 0)) throw new Malformed();
  return Array.from({ length: count }, () => {
    const entry = { name: "", directory: 0 };
    for (const [content, form] of formats) {
      const value = formValue(unit, form, sections);
      if (content === CONTENT.path && typeof value === "string") entry.name = value;
      if (content === CONTENT.directory && typeof value === "number") entry.directory = value;
    }
    return entry;
  });
}

function formValue(unit: Bytes, form: number, sections: LineSections): string | number | undefined {
  if (form === FORM.string) return unit.text();
  if (form === FORM.line_strp) return textAt(sections.lineStrings, unit.u32());
  if (form === FORM.strp) return textAt(sections.strings, unit.u32());
  if (form === FORM.udata) return unit.uleb();
  if (form === FORM.data1) return unit.u8();
  if (form === FORM.data2) return unit.u16();
  if (form === FORM.data4) return unit.u32();
  if (form === FORM.data8) return void unit.skip(8);
  if (form === FORM.data16) return void unit.skip(16);
  if (form === FORM.block) return void unit.skip(unit.uleb());
  throw new Malformed();
}

function textAt(section: Uint8Array | undefined, offset: number): string {
  if (section === undefined || offset >= section.length) return "";
  const bytes = new Bytes(section);
  bytes.moveTo(offset);
  return bytes.text();
}

interface Row {
  address: number;
  file: number;
  line: number;
}

const STANDARD = { copy: 1, advancePc: 2, advanceLine: 3, setFile: 4, constAddPc: 8, fixedAdvancePc: 9 } as const;
const EXTENDED = { endSequence: 1, setAddress: 2 } as const;

/** A row is in force up to the next one of its sequence. Each step reads at least a byte. */
function runProgram(unit: Bytes, header: Header, search: Search): void {
  const { lineBase, lineRange, minimumLength, operands } = header;
  let row: Row = { address: 0, file: 1, line: 1 };
  let last: Row | undefined;
  const advance = (steps: number): void => {
    row.address += steps * minimumLength;
  };
  const emit = (): void => {
    // What begins at 0 is of functions that were left out.
    if (last !== undefined && last.address !== 0) note(search, header, last, row.address);
    last = { ...row };
  };
  while (unit.at < unit.end && search.left.size > 0) {
    const opcode = unit.u8();
    if (opcode >= operands.length) {
      const special = opcode - operands.length;
      advance(Math.floor(special / lineRange));
      row.line += lineBase + (special % lineRange);
      emit();
    } else if (opcode === 0) {
      const extended = unit.part(unit.uleb());
      const kind = extended.u8();
      if (kind === EXTENDED.setAddress) row.address = extended.end - extended.at >= 4 ? extended.u32() : 0;
      if (kind !== EXTENDED.endSequence) continue;
      emit();
      row = { address: 0, file: 1, line: 1 };
      last = undefined;
    } else if (opcode === STANDARD.copy) emit();
    else if (opcode === STANDARD.advancePc) advance(unit.uleb());
    else if (opcode === STANDARD.advanceLine) row.line += unit.sleb();
    else if (opcode === STANDARD.setFile) row.file = unit.uleb();
    else if (opcode === STANDARD.constAddPc) advance(Math.floor((255 - operands.length) / lineRange));
    else if (opcode === STANDARD.fixedAdvancePc) row.address += unit.u16();
    else for (let i = 0; i < (operands[opcode] as number); i++) unit.uleb();
  }
}

function pathOf({ directories, files }: Header, index: number): string {
  const file = files[index];
  if (file === undefined || file.name === "") return "?";
  const directory = directories[file.directory] ?? "";
  return directory === "" || file.name.startsWith("/") ? file.name : `${directory}/${file.name}`;
}

class Malformed extends Error {}

/** No number takes more than ten bytes. */
const MAX_SCALE = 2 ** 63;

/** Reads within its own bounds, forward only but for `moveTo`. */
class Bytes {
  readonly #bytes: Uint8Array;
  at: number;
  readonly end: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.at = at;
    this.end = end;
  }

  part(length: number): Bytes {
    const start = this.at;
    this.skip(length);
    return new Bytes(this.#bytes, start, this.at);
  }

  skip(length: number): void {
    if (!(length <= this.end - this.at)) throw new Malformed();
    this.at += length;
  }

  moveTo(at: number): void {
    if (!(at <= this.end)) throw new Malformed();
    this.at = at;
  }

  u8(): number {
    if (this.at >= this.end) throw new Malformed();
    return this.#bytes[this.at++] as number;
  }

  u16(): number {
    return this.u8() | (this.u8() << 8);
  }

  u32(): number {
    return this.u16() + this.u16() * 65_536;
  }

  /** Numbers beyond 2^53 are merely large. */
  uleb(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.u8();
      value += (byte & 127) * scale;
      scale *= 128;
      if (byte < 128) return value;
      if (scale > MAX_SCALE) throw new Malformed();
    }
  }

  sleb(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.u8();
      value += (byte & 127) * scale;
      scale *= 128;
      if (byte < 128) return byte & 64 ? value - scale : value;
      if (scale > MAX_SCALE) throw new Malformed();
    }
  }

  /** Up to a zero byte, which is read too. */
  text(): string {
    const start = this.at;
    while (this.u8() !== 0);
    const end = Math.min(this.at - 1, start + MAX_PATH_BYTES);
    return new TextDecoder().decode(this.#bytes.subarray(start, end));
  }
}
