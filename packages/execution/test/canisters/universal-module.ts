// The universal canister's module: a small interpreter around the whole System API, so that a test can say what a
// canister does in each message instead of needing a canister of its own. `canister_init`, `canister_post_upgrade`,
// `canister_update update`, `canister_query query` and `canister_composite_query composite_query` run their argument;
// the other entry points run programs stored before. Generated as text for both widths from the table of ic0.
//
// Memory: 0x100 slots (32 x 8 bytes), 0x200 stored programs (address, length), 0x1000 stack, 0x10000 heap, which only
// grows. When a message ends, the heap falls back to where it was, unless a program asked to keep it (a callback's
// program, a stored program, `keep`).

import { withCustomSection } from "./custom-section.ts";
import { type Ic0Function, type Ic0Type, ic0Functions, REPLICA_EXTRAS } from "./ic0-functions.ts";
import { ic0Opcode, OPCODE_COUNT, OPCODES, type OpcodeName, STORED_PROGRAMS } from "./universal-opcodes.ts";
import { wat } from "./wat.ts";

export interface UniversalOptions {
  readonly width?: 32 | 64;
  readonly heartbeat?: boolean;
  readonly inspectMessage?: boolean;
  readonly onLowWasmMemory?: boolean;
  /** Further entry points that run their argument, by full export name: "canister_update another name". */
  readonly methods?: readonly string[];
  /** Imports beyond the specification (mint_cycles128, cost_http_request_v2). */
  readonly extras?: readonly string[];
  /** Custom sections by full name, e.g. "icp:public candid:service". */
  readonly metadata?: Readonly<Record<string, string>>;
}

const STACK = 0x1000;
const HEAP = 0x10000;

export function universalModule(options: UniversalOptions = {}): Uint8Array {
  const binary: Uint8Array = wat(universalText(options));
  return Object.entries(options.metadata ?? {}).reduce((module, [name, text]) => {
    return withCustomSection(module, name, new TextEncoder().encode(text));
  }, binary);
}

export function universalText(options: UniversalOptions = {}): string {
  const width = options.width ?? 32;
  const functions = [
    ...ic0Functions(width),
    ...REPLICA_EXTRAS.filter(({ name }) => (options.extras ?? []).includes(name)),
  ];
  const memoryType = width === 64 ? "i64 " : "";
  const text = `(module
    ${functions.map(importOf).join("\n    ")}
    (memory $memory (export "memory") ${memoryType}1)
    (table $table (export "table") ${memoryType}1 funcref)
    (elem (table $table) (P.const 0) func $callback)
    (global $sp (mut i64) (i64.const ${STACK}))
    (global $top (mut i64) (i64.const ${HEAP}))
    (global $keep (mut i32) (i32.const 0))
    ${MACHINE}
    ${interpreter(functions)}
    ${entryPoints(options)}
  )`;
  return forWidth(text, width);
}

/** The text is written once: `P` is the pointer type, `to-P`/`from-P` convert from and to the machine's i64. */
function forWidth(text: string, width: 32 | 64): string {
  const pointer = width === 64 ? "i64" : "i32";
  return text
    .replaceAll("(to-P ", width === 64 ? "(block (result i64) " : "(i32.wrap_i64 ")
    .replaceAll("(from-P ", width === 64 ? "(block (result i64) " : "(i64.extend_i32_u ")
    .replaceAll("P.const", `${pointer}.const`)
    .replaceAll("memory.size", width === 64 ? "memory.size" : "i64.extend_i32_u (memory.size)")
    .replaceAll(/\bP\b/g, pointer);
}

function importOf({ name, params, result }: Ic0Function): string {
  const parameters = params.length > 0 ? ` (param ${params.join(" ")})` : "";
  return `(import "ic0" "${name}" (func $ic0_${name}${parameters}${result === null ? "" : ` (result ${result})`}))`;
}

const MACHINE = `
    (func $push (param $n i64)
      (i64.store (to-P (global.get $sp)) (local.get $n))
      (global.set $sp (i64.add (global.get $sp) (i64.const 8)))
      (if (i64.gt_u (global.get $sp) (i64.const ${HEAP})) (then (unreachable))))
    (func $pop (result i64)
      (global.set $sp (i64.sub (global.get $sp) (i64.const 8)))
      (if (i64.lt_u (global.get $sp) (i64.const ${STACK})) (then (unreachable)))
      (i64.load (to-P (global.get $sp))))
    (func $alloc (param $length i64) (result i64)
      (local $address i64) (local $missing i64)
      (local.set $address (global.get $top))
      (global.set $top (i64.and (i64.add (i64.add (local.get $address) (local.get $length)) (i64.const 7)) (i64.const -8)))
      (local.set $missing (i64.sub
        (i64.shr_u (i64.add (global.get $top) (i64.const 65535)) (i64.const 16))
        (memory.size)))
      (if (i64.gt_s (local.get $missing) (i64.const 0)) (then
        (if (i64.lt_s (call $grow (local.get $missing)) (i64.const 0)) (then (unreachable)))))
      (local.get $address))
    (func $grow (param $pages i64) (result i64)
      (local $previous i64)
      (local.set $previous (from-P (memory.grow (to-P (local.get $pages)))))
      (if (i64.eq (local.get $previous) (i64.const 0xffffffff)) (then (return (i64.const -1))))
      (local.get $previous))
    (func $recurse (param $n i64) (result i64)
      (i64.add (i64.const 1) (call $recurse (i64.add (local.get $n) (i64.const 1)))))
    (func $begin (result i64)
      (global.set $sp (i64.const ${STACK}))
      (global.set $keep (i32.const 0))
      (global.get $top))
    (func $finish (param $top i64)
      (if (i32.eqz (global.get $keep)) (then (global.set $top (local.get $top)))))
    (func $run_argument
      (local $top i64) (local $length i64) (local $program i64)
      (local.set $top (call $begin))
      (local.set $length (from-P (call $ic0_msg_arg_data_size)))
      (local.set $program (call $alloc (local.get $length)))
      (call $ic0_msg_arg_data_copy (to-P (local.get $program)) (P.const 0) (to-P (local.get $length)))
      (call $run (local.get $program) (local.get $length))
      (call $finish (local.get $top)))
    (func $run_stored (param $which i64)
      (local $top i64) (local $record i64)
      (local.set $top (call $begin))
      (local.set $record (i64.add (i64.const 0x200) (i64.shl (local.get $which) (i64.const 4))))
      (call $run
        (i64.load (to-P (local.get $record)))
        (i64.load offset=8 (to-P (local.get $record))))
      (call $finish (local.get $top)))
    (func $callback (param $env P)
      (local $top i64)
      (local.set $top (call $begin))
      (call $run (i64.load (local.get $env)) (i64.load offset=8 (local.get $env)))
      (call $finish (local.get $top)))`;

const BINARY = (operator: string) => `(local.set $b (call $pop)) (local.set $a (call $pop))
        (call $push ${operator})`;

/** What each instruction does. $pc is behind the opcode; $a, $b, $c, $d are free. */
const MEANING: Readonly<Record<OpcodeName, string>> = {
  end: "(return)",
  pushInt: `(call $push (i64.load (to-P (local.get $pc))))
        (local.set $pc (i64.add (local.get $pc) (i64.const 8)))`,
  pushBytes: `(local.set $a (i64.load32_u (to-P (local.get $pc))))
        (call $push (i64.add (local.get $pc) (i64.const 4)))
        (call $push (local.get $a))
        (local.set $pc (i64.add (i64.add (local.get $pc) (i64.const 4)) (local.get $a)))`,
  drop: "(drop (call $pop))",
  dup: "(local.set $a (call $pop)) (call $push (local.get $a)) (call $push (local.get $a))",
  dup2: `(local.set $b (call $pop)) (local.set $a (call $pop))
        (call $push (local.get $a)) (call $push (local.get $b))
        (call $push (local.get $a)) (call $push (local.get $b))`,
  swap: `(local.set $b (call $pop)) (local.set $a (call $pop))
        (call $push (local.get $b)) (call $push (local.get $a))`,
  add: BINARY("(i64.add (local.get $a) (local.get $b))"),
  sub: BINARY("(i64.sub (local.get $a) (local.get $b))"),
  mul: BINARY("(i64.mul (local.get $a) (local.get $b))"),
  div: BINARY("(i64.div_u (local.get $a) (local.get $b))"),
  and: BINARY("(i64.and (local.get $a) (local.get $b))"),
  equal: BINARY("(i64.extend_i32_u (i64.eq (local.get $a) (local.get $b)))"),
  less: BINARY("(i64.extend_i32_u (i64.lt_u (local.get $a) (local.get $b)))"),
  jump: `(local.set $a (i64.load32_s (to-P (local.get $pc))))
        (local.set $pc (i64.add (i64.add (local.get $pc) (i64.const 4)) (local.get $a)))`,
  jumpIfZero: `(local.set $a (i64.load32_s (to-P (local.get $pc))))
        (local.set $pc (i64.add (local.get $pc) (i64.const 4)))
        (if (i64.eqz (call $pop)) (then (local.set $pc (i64.add (local.get $pc) (local.get $a)))))`,
  getSlot: `(call $push (i64.load offset=0x100 (to-P (i64.shl (i64.load8_u (to-P (local.get $pc))) (i64.const 3)))))
        (local.set $pc (i64.add (local.get $pc) (i64.const 1)))`,
  setSlot: `(i64.store offset=0x100
          (to-P (i64.shl (i64.load8_u (to-P (local.get $pc))) (i64.const 3)))
          (call $pop))
        (local.set $pc (i64.add (local.get $pc) (i64.const 1)))`,
  alloc: "(call $push (call $alloc (call $pop)))",
  concat: `(local.set $d (call $pop)) (local.set $c (call $pop)) (local.set $b (call $pop)) (local.set $a (call $pop))
        (local.set $e (call $alloc (i64.add (local.get $b) (local.get $d))))
        (memory.copy (to-P (local.get $e)) (to-P (local.get $a)) (to-P (local.get $b)))
        (memory.copy (to-P (i64.add (local.get $e) (local.get $b))) (to-P (local.get $c)) (to-P (local.get $d)))
        (call $push (local.get $e)) (call $push (i64.add (local.get $b) (local.get $d)))`,
  load8: "(call $push (i64.load8_u (to-P (call $pop))))",
  store8: "(local.set $b (call $pop)) (i64.store8 (to-P (call $pop)) (local.get $b))",
  load64: "(call $push (i64.load (to-P (call $pop))))",
  store64: "(local.set $b (call $pop)) (i64.store (to-P (call $pop)) (local.get $b))",
  fill: `(local.set $c (call $pop)) (local.set $b (call $pop))
        (memory.fill (to-P (call $pop)) (i32.wrap_i64 (local.get $b)) (to-P (local.get $c)))`,
  copy: `(local.set $c (call $pop)) (local.set $b (call $pop))
        (memory.copy (to-P (call $pop)) (to-P (local.get $b)) (to-P (local.get $c)))`,
  memoryGrow: "(call $push (call $grow (call $pop)))",
  memorySize: "(call $push (memory.size))",
  run: "(local.set $b (call $pop)) (local.set $a (call $pop)) (call $run (local.get $a) (local.get $b))",
  closure: `(global.set $keep (i32.const 1))
        (local.set $c (call $alloc (i64.const 16)))
        (i64.store offset=8 (to-P (local.get $c)) (call $pop))
        (i64.store (to-P (local.get $c)) (call $pop))
        (call $push (local.get $c))`,
  callbackFunction: "(call $push (i64.const 0))",
  storeProgram: `(global.set $keep (i32.const 1))
        (local.set $c (i64.add (i64.const 0x200) (i64.shl (i64.load8_u (to-P (local.get $pc))) (i64.const 4))))
        (i64.store offset=8 (to-P (local.get $c)) (call $pop))
        (i64.store (to-P (local.get $c)) (call $pop))
        (local.set $pc (i64.add (local.get $pc) (i64.const 1)))`,
  keep: "(global.set $keep (i32.const 1))",
  unreachable: "(unreachable)",
  spin: `(local.set $a (call $pop))
        (block $done (loop $turn
          (br_if $done (i64.eqz (local.get $a)))
          (local.set $a (i64.sub (local.get $a) (i64.const 1)))
          (br $turn)))`,
  recurseForever: "(call $push (call $recurse (i64.const 0)))",
};

/** One loop, one br_table: block $op<n> ends where instruction n begins. */
function interpreter(functions: readonly Ic0Function[]): string {
  const bodies = new Map<number, string>();
  for (const [name, code] of Object.entries(OPCODES)) bodies.set(code, MEANING[name as OpcodeName]);
  for (const candidate of functions) bodies.set(ic0Opcode(candidate.name), callOf(candidate));
  const codes = [...bodies.keys()].sort((a, b) => a - b);
  const targets = Array.from({ length: OPCODE_COUNT }, (_, code) => (bodies.has(code) ? `$op${code}` : "$unknown"));
  const dispatch = `(br_table ${targets.join(" ")} $unknown (i32.wrap_i64 (local.get $a)))`;
  const nested = codes.reduce((inner, code) => {
    return `(block $op${code} ${inner})\n        ${bodies.get(code)}\n        (br $next)`;
  }, `(block $unknown ${dispatch}) (unreachable)`);
  return `
    (func $run (param $program i64) (param $length i64)
      (local $pc i64) (local $end i64)
      (local $a i64) (local $b i64) (local $c i64) (local $d i64)
      (local $e i64) (local $f i64) (local $g i64) (local $h i64)
      (local.set $pc (local.get $program))
      (local.set $end (i64.add (local.get $program) (local.get $length)))
      (loop $next
        (if (i64.ge_u (local.get $pc) (local.get $end)) (then (return)))
        (local.set $a (i64.load8_u (to-P (local.get $pc))))
        (local.set $pc (i64.add (local.get $pc) (i64.const 1)))
        ${nested}))`;
}

const PARAMETER_LOCALS = ["$a", "$b", "$c", "$d", "$e", "$f", "$g", "$h"];
const FROM_I64: Readonly<Record<Ic0Type, string>> = { P: "(to-P ", i32: "(i32.wrap_i64 ", i64: "(block (result i64) " };
const TO_I64: Readonly<Record<Ic0Type, string>> = {
  P: "(from-P ",
  i32: "(i64.extend_i32_s ",
  i64: "(block (result i64) ",
};

function callOf({ name, params, result }: Ic0Function): string {
  const pops = params.map((_, index) => `(local.set ${PARAMETER_LOCALS[index]} (call $pop))`).reverse();
  const args = params.map((type, index) => `${FROM_I64[type]}(local.get ${PARAMETER_LOCALS[index]}))`);
  const call = `(call $ic0_${name} ${args.join(" ")})`;
  return [...pops, result === null ? call : `(call $push ${TO_I64[result]}${call}))`].join(" ");
}

function entryPoints(options: UniversalOptions): string {
  const running = [
    "canister_init",
    "canister_post_upgrade",
    "canister_update update",
    "canister_query query",
    "canister_composite_query composite_query",
    ...(options.methods ?? []),
  ];
  const stored: [string, number, boolean][] = [
    ["canister_pre_upgrade", STORED_PROGRAMS.preUpgrade, true],
    ["canister_global_timer", STORED_PROGRAMS.globalTimer, true],
    ["canister_query transform", STORED_PROGRAMS.transform, true],
    ["canister_heartbeat", STORED_PROGRAMS.heartbeat, options.heartbeat ?? false],
    ["canister_inspect_message", STORED_PROGRAMS.inspectMessage, options.inspectMessage ?? false],
    ["canister_on_low_wasm_memory", STORED_PROGRAMS.onLowWasmMemory, options.onLowWasmMemory ?? false],
  ];
  return [
    ...running.map((name) => `(export ${JSON.stringify(name)} (func $run_argument))`),
    ...stored
      .filter(([, , wanted]) => wanted)
      .map(([name, which]) => `(func (export "${name}") (call $run_stored (i64.const ${which})))`),
  ].join("\n    ");
}
