// Random modules as bytes: everything that a canister's code may do, with a bound on how much it does. The same seed
// gives the same program with a 32-bit and with a 64-bit memory (but for what is asked to use all of 64 bits). Most
// choices aim at what rewriting could get wrong: page borders, dead code, values that are used late, several results.
import { FunctionGenerator } from "./function-generator.ts";
import { leb, section, signedLeb } from "./operator-engine.ts";
import { OPERATORS, type Operator, type Type } from "./operators.ts";
import { Random } from "./random.ts";

export interface Shape {
  readonly memory64: boolean;
  readonly floats: boolean;
  readonly vectors: boolean;
  /** Addresses of any 64 bits: then the 32-bit form is another program. */
  readonly allAddresses: boolean;
}

export interface Signature {
  readonly params: readonly Type[];
  readonly results: readonly Type[];
}

const MEMORY_PAGES = 2;
const MAX_MEMORY_PAGES = 5;
/** Function entries and uncounted loops share it: a program ends soon after it is used up. */
const FUEL = 120;
export const TABLE_SIZE = 10;
export const FIRST_ENTRY = 1;
const SEGMENTS: readonly (readonly [active: boolean, length: number])[] = [
  [true, 40],
  [false, 30],
  [false, 5000],
];
export const PASSIVE_SEGMENTS = [1, 2];
/** Imported: time () -> i64, performance_counter (i32) -> i64. */
export const IMPORTS: readonly Signature[] = [
  { params: [], results: ["I"] },
  { params: ["i"], results: ["I"] },
];
const IMPORT_NAMES = ["time", "performance_counter"];
const CODES: Readonly<Record<Type, number>> = { i: 0x7f, I: 0x7e, f: 0x7d, F: 0x7c, v: 0x7b };

export interface GlobalShape {
  readonly type: Type;
  readonly mutable: boolean;
}

/** What function bodies are generated in. */
export class ModuleContext {
  readonly random: Random;
  readonly shape: Shape;
  readonly functions: readonly Signature[];
  /** Global 0 is the fuel. */
  readonly globals: readonly GlobalShape[];
  readonly types: Type[];
  /** What the table holds from FIRST_ENTRY on; one entry before and one after are empty. */
  readonly table: readonly number[];
  private readonly signatures = new Map<string, number>();
  private readonly operatorsByResult = new Map<Type | undefined, readonly Operator[]>();

  constructor(seed: number, shape: Shape) {
    this.random = new Random(seed);
    this.shape = shape;
    this.types = ["i", "I", ...(shape.floats ? (["f", "F"] as const) : []), ...(shape.vectors ? (["v"] as const) : [])];
    const { random } = this;
    const local = Array.from(
      { length: 2 + random.below(5) },
      (): Signature => ({
        params: Array.from({ length: random.below(4) }, () => random.pick(this.types)),
        results: Array.from({ length: random.pick([0, 1, 1, 1, 2, 3]) }, () => random.pick(this.types)),
      }),
    );
    // Some share their type, so that indirect and tail calls find a partner.
    const twin = random.pick(local);
    this.functions = [...IMPORTS, ...local, twin, { params: ["i", "I"], results: ["I"] }];
    this.table = Array.from({ length: TABLE_SIZE - 2 }, () => random.below(this.functions.length));
    this.globals = [
      { type: "i", mutable: true },
      ...this.types.map((type) => ({ type, mutable: true })),
      { type: "I", mutable: false },
    ];
  }

  typeIndex(signature: Signature): number {
    const { params, results } = signature;
    const text = `${params.join("")}:${results.join("")}`;
    const known = this.signatures.get(text);
    if (known !== undefined) return known;
    this.signatures.set(text, this.signatures.size);
    return this.signatures.size - 1;
  }

  /** Operators with such a result whose operands are among the types of this module. */
  operators(result: Type | undefined): readonly Operator[] {
    let found = this.operatorsByResult.get(result);
    if (found === undefined) {
      found = OPERATORS.filter(
        (operator) => operator.result === result && operator.params.every((type) => this.types.includes(type)),
      );
      this.operatorsByResult.set(result, found);
    }
    return found;
  }

  typeSection(): number[] {
    const list = (types: string): number[] => [...leb(types.length), ...[...types].map((type) => CODES[type as Type])];
    const types = [...this.signatures.keys()].map((text) => text.split(":") as [string, string]);
    return [...leb(types.length), ...types.flatMap(([params, results]) => [0x60, ...list(params), ...list(results)])];
  }
}

const name = (text: string): number[] => [...leb(text.length), ...new TextEncoder().encode(text)];
const vector = (items: readonly (readonly number[])[]): number[] => [...leb(items.length), ...items.flat()];

/** The module; it exports `f`, (i32, i64) -> i64. */
export function generate(seed: number, shape: Shape): Uint8Array<ArrayBuffer> {
  const context = new ModuleContext(seed, shape);
  const { random, functions, globals } = context;
  const bodies = functions.slice(IMPORTS.length).map((signature) => new FunctionGenerator(context, signature).body());
  const start = random.oneIn(6) ? bodies.push(startBody(context)) - 1 + IMPORTS.length : undefined;
  const signatures = start === undefined ? functions : [...functions, { params: [], results: [] }];
  const types = signatures.map((signature) => leb(context.typeIndex(signature)));
  const imports = IMPORT_NAMES.map((text, i) => [...name("ic0"), ...name(text), 0, ...(types[i] as number[])]);
  const pages = [shape.memory64 ? 5 : 1, MEMORY_PAGES, MAX_MEMORY_PAGES];
  const exported = functions.length - 1;
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, context.typeSection()),
    ...section(2, vector(imports)),
    ...section(3, vector(types.slice(IMPORTS.length))),
    ...section(4, [1, 0x70, 0, TABLE_SIZE]),
    ...section(5, [1, ...pages]),
    ...section(6, vector(globals.map((global, i) => globalEntry(context, global, i)))),
    ...section(7, vector([[...name("f"), 0, ...leb(exported)]])),
    ...(start === undefined ? [] : section(8, leb(start))),
    ...section(9, elements(context)),
    ...section(12, leb(SEGMENTS.length)),
    ...section(10, vector(bodies.map((body) => [...leb(body.length), ...body]))),
    ...section(11, vector(SEGMENTS.map((segment) => dataSegment(context, segment)))),
  ]);
}

function startBody(context: ModuleContext): number[] {
  return new FunctionGenerator(context, { params: [], results: [] }).body();
}

function globalEntry({ random }: ModuleContext, { type, mutable }: GlobalShape, index: number): number[] {
  const head = [CODES[type], mutable ? 1 : 0];
  const initial = index === 0 ? [0x41, ...signedLeb(BigInt(FUEL))] : constantOf(type, random);
  return [...head, ...initial, 0x0b];
}

function elements({ table, functions }: ModuleContext): number[] {
  const active = table.map(leb);
  const all = functions.map((_, index) => leb(index));
  // The second, passive one declares every function for ref.func.
  return vector([
    [0, 0x41, FIRST_ENTRY, 0x0b, ...vector(active)],
    [1, 0, ...vector(all)],
  ]);
}

function dataSegment({ random, shape }: ModuleContext, [active, length]: readonly [boolean, number]): number[] {
  const head = active ? [0, shape.memory64 ? 0x42 : 0x41, ...signedLeb(4080n), 0x0b] : [1];
  return [...head, ...leb(length), ...Array.from({ length }, () => random.below(256))];
}

const FLOATS32 = [0x7fc00000, 0x7fa00001, 0xffc12345, 0x3fc00000, 0x7f800000, 0xff800000, 0x80000000, 0, 0x4f000000, 1];
const FLOATS64 = [
  0x7ff8000000000000n,
  0xfff8000000000000n,
  0x7ff4000000000001n,
  0x4000000000000000n,
  0xfff0000000000000n,
].concat([0x7ff0000000000000n, 0x8000000000000000n, 0n, 0x3fe5555555555555n, 0x43e0000000000000n, 0x41f0000000000000n]);

/** A constant expression of the type: often a special value, any NaN among them. */
export function constantOf(type: Type, random: Random): number[] {
  const bytes = (value: bigint, count: number): number[] =>
    Array.from({ length: count }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
  const any = random.bits();
  switch (type) {
    case "i":
      return [0x41, ...signedLeb(random.oneIn(2) ? BigInt(random.below(300) - 100) : BigInt.asIntN(32, any))];
    case "I":
      return [0x42, ...signedLeb(random.oneIn(2) ? BigInt(random.below(300) - 100) : BigInt.asIntN(64, any))];
    case "f":
      return [0x43, ...bytes(random.oneIn(5) ? any : BigInt(random.pick(FLOATS32)), 4)];
    case "F":
      return [0x44, ...bytes(random.oneIn(5) ? any : random.pick(FLOATS64), 8)];
    default:
      return [0xfd, 12, ...bytes(vectorBits(random, any), 16)];
  }
}

function vectorBits(random: Random, any: bigint): bigint {
  const half = (): bigint =>
    random.oneIn(2) ? random.pick(FLOATS64) : (BigInt(random.pick(FLOATS32)) << 32n) | BigInt(random.pick(FLOATS32));
  return random.oneIn(4) ? any * any : (half() << 64n) | half();
}
