// Reads a valid module into plain lists of instructions, for the interpreter. Trusts its input: it is given what the
// engine has accepted.
import { OPERATORS, type Operator, STRUCTURE, type Type } from "./operators.ts";

export interface FunctionType {
  readonly params: readonly Type[];
  readonly results: readonly Type[];
}

export interface Instruction {
  readonly name: string;
  /** Set for operators that compute or access memory. */
  readonly operator: Operator | undefined;
  /** Index, label, constant's bits or static offset. */
  readonly value: number | bigint;
  readonly lanes: readonly number[];
  readonly labels: readonly number[];
  readonly type: FunctionType;
  /** Where the block of a `block`, `loop`, `if` ends, and where its `else` is: indexes of instructions. */
  end: number;
  otherwise: number;
}

export interface Code {
  readonly locals: readonly Type[];
  readonly instructions: readonly Instruction[];
}

export interface Decoded {
  readonly types: readonly FunctionType[];
  readonly imports: readonly { readonly name: string; readonly type: number }[];
  readonly functions: readonly number[];
  readonly memory: { readonly initial: number; readonly maximum: number; readonly is64: boolean } | undefined;
  readonly tableSize: number;
  readonly globals: readonly { readonly type: Type; readonly mutable: boolean; readonly initial: number | bigint }[];
  readonly exports: ReadonlyMap<string, number>;
  readonly start: number | undefined;
  readonly elements: readonly { readonly offset: number | undefined; readonly functions: readonly number[] }[];
  readonly code: readonly Code[];
  readonly data: readonly { readonly offset: number | undefined; readonly bytes: Uint8Array }[];
}

const VALUE_TYPES: Readonly<Record<number, Type>> = { 127: "i", 126: "I", 125: "f", 124: "F", 123: "v" };
const BY_OPCODE = new Map(OPERATORS.map((operator) => [operator.opcode, operator]));
const NO_TYPE: FunctionType = { params: [], results: [] };
/** A reference is none of the numeric types; nothing here looks at the type of one. */
const REFERENCE: Type = "i";

class Input {
  readonly bytes: Uint8Array;
  at: number;
  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }
  byte(): number {
    return this.bytes[this.at++] as number;
  }
  u(): number {
    return Number(this.big());
  }
  big(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }
  signed(): bigint {
    const start = this.at;
    const value = this.big();
    return BigInt.asIntN(7 * (this.at - start), value);
  }
  take(length: number): Uint8Array {
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
  name(): string {
    return new TextDecoder().decode(this.take(this.u()));
  }
  list<T>(read: () => T): T[] {
    return Array.from({ length: this.u() }, read);
  }
  type(): Type {
    return VALUE_TYPES[this.byte()] ?? REFERENCE;
  }
}

export function decode(bytes: Uint8Array): Decoded {
  const input = new Input(bytes, 8);
  const sections = new Map<number, Input>();
  while (input.at < bytes.length) {
    const id = input.byte();
    const length = input.u();
    const content = input.take(length);
    if (id !== 0) sections.set(id, new Input(content));
  }
  const read = <T>(id: number, item: (from: Input) => T): T[] => {
    const from = sections.get(id);
    return from === undefined ? [] : from.list(() => item(from));
  };
  const types = read(1, (from): FunctionType => {
    from.byte();
    return { params: from.list(() => from.type()), results: from.list(() => from.type()) };
  });
  const imports = read(2, (from) => {
    from.name();
    const name = from.name();
    from.byte();
    return { name, type: from.u() };
  });
  const globals = read(6, (from) => {
    const type = from.type();
    const mutable = from.byte() === 1;
    return { type, mutable, initial: constant(from) };
  });
  const exports = read(7, (from): [string, number] => [from.name(), from.byte() === 0 ? from.u() : -1 - from.u()]);
  return {
    types,
    imports,
    functions: [...imports.map(({ type }) => type), ...read(3, (from) => from.u())],
    memory: read(5, limits).map(({ initial, maximum, is64 }) => ({ initial, maximum, is64 }))[0],
    tableSize:
      read(4, (from) => {
        from.byte();
        return limits(from).initial;
      })[0] ?? 0,
    globals,
    exports: new Map(exports),
    start: sections.get(8)?.u(),
    elements: read(9, element),
    code: read(10, (from) => functionBody(new Input(from.take(from.u())), types)),
    data: read(11, (from) => {
      const offset = from.u() === 0 ? Number(constant(from)) : undefined;
      return { offset, bytes: from.take(from.u()) };
    }),
  };
}

function limits(from: Input): { initial: number; maximum: number; is64: boolean } {
  const flags = from.byte();
  const initial = from.u();
  const is64 = (flags & 4) !== 0;
  const cap = is64 ? 98_304 : 65_536;
  return { initial, maximum: (flags & 1) === 0 ? cap : Math.min(cap, from.u()), is64 };
}

function element(from: Input): { offset: number | undefined; functions: number[] } {
  const kind = from.u();
  const offset = kind === 0 ? Number(constant(from)) : undefined;
  if (kind !== 0) from.byte();
  return { offset, functions: from.list(() => from.u()) };
}

/** A constant expression: only constants themselves are used. */
function constant(from: Input): number | bigint {
  const { value } = instruction(from, []);
  from.byte();
  return value;
}

function functionBody(from: Input, types: readonly FunctionType[]): Code {
  const locals = from
    .list(() => {
      const count = from.u();
      const type = from.type();
      return new Array<Type>(count).fill(type);
    })
    .flat();
  const instructions: Instruction[] = [];
  const open: Instruction[] = [];
  while (from.at < from.bytes.length) {
    const next = instruction(from, types);
    const index = instructions.push(next) - 1;
    if (/^(block|loop|if)$/.test(next.name)) open.push(next);
    const inner = open[open.length - 1];
    if (next.name === "else" && inner !== undefined) {
      inner.otherwise = index;
      // Who runs into the `else` goes on at the end of the block, which is not known yet: see below.
    }
    if (next.name === "end" && inner !== undefined) {
      open.pop();
      inner.end = index;
      if (inner.otherwise >= 0) (instructions[inner.otherwise] as Instruction).end = index;
    }
  }
  return { locals, instructions };
}

type Fields = Partial<Pick<Instruction, "value" | "lanes" | "labels" | "type">>;

function instruction(from: Input, types: readonly FunctionType[]): Instruction {
  const first = from.byte();
  const opcode = first < 0xfc ? first : (first << 8) | from.u();
  const operator = BY_OPCODE.get(opcode);
  const name = operator?.name ?? STRUCTURE[opcode];
  if (name === undefined) throw new Error(`unknown operator ${opcode.toString(16)}`);
  const fields = operator === undefined ? immediates(name, from, types) : memoryAndLanes(operator, from);
  return { name, operator, value: 0, lanes: [], labels: [], type: NO_TYPE, end: -1, otherwise: -1, ...fields };
}

function memoryAndLanes({ immediate }: Operator, from: Input): Fields {
  let value = 0n;
  if (immediate === "memory" || immediate === "memoryLane") {
    from.u();
    value = from.big();
  }
  const lanes = immediate === "lanes" ? 16 : immediate === "lane" || immediate === "memoryLane" ? 1 : 0;
  return { value, lanes: [...from.take(lanes)] };
}

function immediates(name: string, from: Input, types: readonly FunctionType[]): Fields {
  switch (name) {
    case "block":
    case "loop":
    case "if":
      return { type: blockType(from, types) };
    case "br_table":
      return { labels: [...from.list(() => from.u()), from.u()] };
    case "call_indirect":
    case "return_call_indirect": {
      const type = types[from.u()] as FunctionType;
      from.u();
      return { type };
    }
    case "i32.const":
      return { value: Number(from.signed()) };
    case "i64.const":
      return { value: from.signed() };
    case "f32.const":
      return { value: Number(BigInt.asIntN(32, little(from.take(4)))) };
    case "f64.const":
      return { value: BigInt.asIntN(64, little(from.take(8))) };
    case "v128.const":
      return { value: little(from.take(16)) };
    case "select_typed":
      from.list(() => from.byte());
      return {};
    case "memory.copy":
      from.take(2);
      return {};
    case "memory.init": {
      const value = from.u();
      from.byte();
      return { value };
    }
    case "memory.size":
    case "memory.grow":
    case "memory.fill":
    case "ref.null":
      from.byte();
      return {};
    default:
      return /^(br|br_if|call|return_call|ref\.func|data\.drop|elem\.drop|(local|global|table)\..*)$/.test(name)
        ? { value: from.u() }
        : {};
  }
}

function little(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] as number);
  return value;
}

function blockType(from: Input, types: readonly FunctionType[]): FunctionType {
  const byte = from.bytes[from.at] as number;
  if (byte === 0x40 || (byte & 0xc0) === 0x40) {
    from.byte();
    return byte === 0x40 ? NO_TYPE : { params: [], results: [VALUE_TYPES[byte] ?? REFERENCE] };
  }
  return types[from.u()] as FunctionType;
}
