// Random programs that trap in many ways, each deep in calls that an optimising compiler would like to inline: what a
// backtrace must show the same of, however far the engine has optimised.

export interface TrappingProgram {
  readonly text: string;
  /** Arguments of 1 to so many bytes trap, if their place is ever reached. */
  readonly sites: number;
}

const TRAPS = [
  "(unreachable)",
  "(drop (i32.load (ADDR.const -4)))",
  "(call $trap (ADDR.const 0) (ADDR.const 0))",
  "(local.set 2 (i32.div_u (i32.const 7) (i32.sub (local.get 0) (local.get 0))))",
  "(local.set 2 (i32.rem_s (i32.const 7) (i32.sub (local.get 1) (local.get 1))))",
  "(memory.fill (ADDR.const 65535) (i32.const 0) (ADDR.const 9))",
  "(call_indirect (type $t) (local.get 0) (i32.const 1) (i32.const 63))",
  "(call_indirect (type $t) (local.get 0) (i32.const 1) (i32.const 640))",
  "(drop (call_indirect (param f32) (result f32) (f32.const 0) (i32.const 0)))",
  "(i64.store (ADDR.const 65530) (i64.const 1))",
  "(drop (i32.trunc_f64_s (f64.const 1e300)))",
  "(call $stable (i64.const 0) (i64.const 0) (i64.const 1))",
];

export function trappingProgram(seed: number): TrappingProgram {
  const random = numbers(seed);
  const address = random(2) === 0 ? "i32" : "i64";
  const functions = 6 + random(14);
  let sites = 0;
  const site = (): string => {
    const trap = (TRAPS[random(TRAPS.length)] as string).replaceAll("ADDR", address);
    return `(if (i32.eq (local.get 0) (i32.const ${++sites})) (then ${trap}))`;
  };
  const statement = (index: number, depth: number): string => {
    const callee = index + 1 + random(Math.max(1, functions - index - 1));
    const inner = (): string => (depth < 2 ? statement(index, depth + 1) : "(nop)");
    const kind = callee < functions ? random(10) : 9;
    if (kind < 3) return `(call $f${callee} (local.get 0) (i32.add (local.get 1) (i32.const ${random(5)})))`;
    if (kind < 5) return `(call_indirect (type $t) (local.get 0) (local.get 1) (i32.const ${callee}))`;
    if (kind === 5) return `(drop (call $g${callee} (local.get 0) (i64.extend_i32_u (local.get 1))))`;
    if (kind === 6)
      return `(if (i32.and (local.get 1) (i32.const ${1 << random(3)})) (then ${inner()}) (else ${inner()}))`;
    if (kind === 7) {
      return `(block $x (block $y (br_table $x $y (i32.and (local.get 1) (i32.const 1)))) (loop $l ${inner()}
        (local.set 2 (i32.add (local.get 2) (i32.const 1))) (br_if $l (i32.lt_u (local.get 2) (i32.const 2)))))`;
    }
    if (kind === 8) return `(i32.store (${address}.const 16) (i32.add (i32.load (${address}.const 16)) (local.get 0)))`;
    return site();
  };
  const bodies = Array.from({ length: functions }, (_, index) => {
    const statements = Array.from(
      { length: 1 + random(4) },
      () => `${statement(index, 0)} ${random(3) === 0 ? site() : ""}`,
    );
    return `(func $f${index} (param i32 i32) (local i32) ${statements.join(" ")})
      (func $g${index} (param i32 i64) (result i64) (call $f${index} (local.get 0) (i32.wrap_i64 (local.get 1)))
        (i64.div_u (local.get 1) (i64.extend_i32_u (i32.sub (i32.const 1000) (local.get 0)))))`;
  });
  return { sites, text: assembled(address, functions, bodies.join(" ")) };
}

/** Without an argument it calls the functions many times and does not trap. */
function assembled(address: "i32" | "i64", functions: number, bodies: string): string {
  const elements = Array.from({ length: functions }, (_, index) => `$f${index}`).join(" ");
  const size = address === "i64" ? "(i32.wrap_i64 (call $size))" : "(call $size)";
  return `(module
    (import "ic0" "trap" (func $trap (param ${address} ${address})))
    (import "ic0" "msg_arg_data_size" (func $size (result ${address})))
    (import "ic0" "stable64_write" (func $stable (param i64 i64 i64)))
    (memory ${address === "i64" ? "i64 " : ""}1) (type $t (func (param i32 i32)))
    (table 64 funcref) (elem (i32.const 0) ${elements}) ${bodies}
    (func $go (export "canister_update go") (local $i i32)
      (if ${size} (then (call $f0 ${size} (i32.const 3)))
        (else (loop $l (call $f0 (i32.const 0) (local.get $i)) (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $l (i32.lt_u (local.get $i) (i32.const 2000))))))))`;
}

/** Numbers below a bound, the same for the same seed. */
function numbers(seed: number): (bound: number) => number {
  let state = (seed * 7919 + 1) >>> 0;
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}
