// Random programs in the text format: integers, floats with many NaN, vectors, all structured control, calls, loads
// and stores anywhere in three pages. They end because loops count down, and trap now and then. From a seed.

export interface Shape {
  readonly memory64: boolean;
  readonly vectors: boolean;
}

const TYPES = ["i32", "i64", "f32", "f64"] as const;
type Type = (typeof TYPES)[number] | "v128";

/** Three functions; `f` (export) takes two i32 and gives an i64; imports time and performance_counter. */
export function randomProgram(seed: number, shape: Shape): string {
  return new Generator(seed, shape).module();
}

class Generator {
  private state: number;
  private readonly shape: Shape;
  private readonly types: readonly Type[];
  private callable = 0;
  private labels: { name: string; result: Type | undefined; loop: boolean }[] = [];
  private counter = 0;
  private loops = 0;

  constructor(seed: number, shape: Shape) {
    this.state = seed | 1;
    this.shape = shape;
    this.types = shape.vectors ? [...TYPES, "v128"] : TYPES;
  }

  private below(limit: number): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) % limit;
  }

  private pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  module(): string {
    const functions = [0, 1, 2].map((index) => {
      this.callable = index;
      return this.function(index);
    });
    return `(module
      (import "ic0" "time" (func $time (result i64)))
      (import "ic0" "performance_counter" (func $performance (param i32) (result i64)))
      (memory ${this.shape.memory64 ? "i64 " : ""}3 3)
      (table 3 funcref) (elem (i32.const 0) func $f0 $f1 $f2)
      (global $gi32 (mut i32) (i32.const 5)) (global $gi64 (mut i64) (i64.const 6))
      (global $gf32 (mut f32) (f32.const 7)) (global $gf64 (mut f64) (f64.const nan:0x4000000000001))
      ${functions.join("\n")}
      (func (export "f") (param i32 i32) (result i64)
        (i64.add (call $f2 (local.get 0) (f64.const -0.5)) (call $f1 (local.get 1) (f64.const nan:0x8000000000123)))))`;
  }

  private function(index: number): string {
    this.labels = [];
    this.counter = 0;
    this.loops = 0;
    const body = this.statements(5, 4);
    const result = this.expression("i64", 3);
    const locals = this.types.flatMap((type) => [0, 1].map((n) => `(local $${type}${n} ${type})`)).join(" ");
    const counters = Array.from({ length: this.loops }, (_, n) => `(local $n${n} i32)`).join(" ");
    return `(func $f${index} (param $p i32) (param $q f64) (result i64) ${locals} ${counters} ${body} ${result})`;
  }

  private statements(count: number, depth: number): string {
    return Array.from({ length: 1 + this.below(count) }, () => this.statement(depth)).join("\n");
  }

  private statement(depth: number): string {
    const type = this.pick(this.types);
    const value = (): string => this.expression(type, depth);
    switch (this.below(depth > 0 ? 11 : 4)) {
      case 0:
      case 1:
        return `(local.set $${type}${this.below(2)} ${value()})`;
      case 2:
        return this.store(type, depth);
      case 3:
        return type === "v128" ? `(drop ${value()})` : `(global.set $g${type} ${value()})`;
      case 4:
        return `(if ${this.expression("i32", depth - 1)} (then ${this.statements(3, depth - 1)}) ${this.below(2) ? `(else ${this.statements(3, depth - 1)})` : ""})`;
      case 5:
        return this.labelled("block", undefined, () => this.statements(4, depth - 1));
      case 6:
        return this.loop(depth);
      case 7:
        return this.branch(depth);
      case 8:
        return `(drop ${value()})`;
      case 9:
        return this.below(6) === 0 ? `(return ${this.expression("i64", depth - 1)})` : this.branchTable(depth);
      default:
        return this.below(30) === 0 ? "(unreachable)" : `(drop (call $performance (i32.const 0)))`;
    }
  }

  private labelled(kind: string, result: Type | undefined, body: () => string): string {
    const name = `$l${this.counter++}`;
    this.labels.push({ name, result, loop: kind === "loop" });
    const text = `(${kind} ${name} ${result ? `(result ${result})` : ""} ${body()})`;
    this.labels.pop();
    return text;
  }

  private loop(depth: number): string {
    const n = `$n${this.loops++}`;
    return `(local.set ${n} (i32.const ${1 + this.below(5)}))${this.labelled("loop", undefined, () => {
      const again = this.labels[this.labels.length - 1]?.name;
      return `${this.statements(4, depth - 1)}
        (br_if ${again} (i32.gt_s (local.tee ${n} (i32.sub (local.get ${n}) (i32.const 1))) (i32.const 0)))`;
    })}`;
  }

  /** Only forward, so that all loops end. */
  private branch(depth: number): string {
    const targets = this.labels.filter(({ loop, result }) => !loop && result === undefined);
    if (targets.length === 0) return "(nop)";
    const name = this.pick(targets).name;
    return this.below(4) === 0 ? `(br ${name})` : `(br_if ${name} ${this.expression("i32", depth - 1)})`;
  }

  private branchTable(depth: number): string {
    const targets = this.labels.filter(({ loop, result }) => !loop && result === undefined);
    if (targets.length === 0) return "(nop)";
    const names = Array.from({ length: 1 + this.below(3) }, () => this.pick(targets).name).join(" ");
    return `(if ${this.expression("i32", 1)} (then (br_table ${names} ${this.expression("i32", depth - 1)})))`;
  }

  private address(depth: number): string {
    const wide = this.shape.memory64;
    const p = wide ? "i64" : "i32";
    const far = this.below(60) === 0 ? 200_000 : 4095 * (1 + this.below(40));
    const choices = [
      `(${p}.and ${this.expression(p, depth - 1)} (${p}.const ${far}))`,
      `(${p}.const ${this.below(far)})`,
      wide
        ? `(i64.and (local.get $i64${this.below(2)}) (i64.const 8191))`
        : `(i32.and (local.get $p) (i32.const 8191))`,
      `(local.tee $${p}0 (${p}.and ${this.expression(p, depth - 1)} (${p}.const 16383)))`,
    ];
    return this.pick(choices);
  }

  private offset(): string {
    return this.pick(["", "", "offset=4", "offset=4090", "offset=70000"]);
  }

  private store(type: Type, depth: number): string {
    const operators: Record<Type, string[]> = {
      i32: ["i32.store", "i32.store8", "i32.store16"],
      i64: ["i64.store", "i64.store8", "i64.store16", "i64.store32"],
      f32: ["f32.store"],
      f64: ["f64.store"],
      v128: ["v128.store", "v128.store32_lane"],
    };
    const operator = this.pick(operators[type]);
    const lane = operator.endsWith("lane") ? "1" : "";
    return `(${operator} ${this.offset()} ${lane} ${this.address(depth)} ${this.expression(type, depth)})`;
  }

  private expression(type: Type, depth: number): string {
    if (depth <= 0) return this.leaf(type);
    switch (this.below(9)) {
      case 0:
        return this.leaf(type);
      case 1:
        return `(local.tee $${type}${this.below(2)} ${this.expression(type, depth - 1)})`;
      case 2:
        return `(select ${type === "v128" ? "(result v128)" : ""} ${this.expression(type, depth - 1)} ${this.expression(type, depth - 1)} ${this.expression("i32", depth - 1)})`;
      case 3:
        return `(if (result ${type}) ${this.expression("i32", depth - 1)} (then ${this.expression(type, depth - 1)}) (else ${this.expression(type, depth - 1)}))`;
      case 4:
        return this.labelled("block", type, () => this.expression(type, depth - 1));
      default:
        return this.operation(type, depth - 1);
    }
  }

  private leaf(type: Type): string {
    if (this.below(2) === 0) return `(local.get $${type}${this.below(2)})`;
    switch (type) {
      case "i32":
        return this.pick(["(local.get $p)", `(i32.const ${this.below(100_000)})`, "(global.get $gi32)"]);
      case "i64":
        return this.pick([`(i64.const ${this.below(100_000) - 5000})`, "(global.get $gi64)", "(call $time)"]);
      case "f32":
        return this.pick([
          "(f32.const nan)",
          "(f32.const -nan:0x200001)",
          "(f32.const 1.5)",
          "(f32.const inf)",
          "(global.get $gf32)",
        ]);
      case "f64":
        return this.pick([
          "(local.get $q)",
          "(f64.const -nan)",
          "(f64.const 2)",
          "(f64.const -inf)",
          "(global.get $gf64)",
          "(f64.const 0)",
        ]);
      default:
        return "(v128.const i32x4 0x7fc00001 0xffc00000 1065353216 0)";
    }
  }

  private operation(type: Type, depth: number): string {
    const e = (of: Type): string => this.expression(of, depth);
    const binary = (operator: string, of: Type = type): string => `(${operator} ${e(of)} ${e(of)})`;
    if (this.below(8) === 0) return this.load(type, depth);
    switch (type) {
      case "i32":
        return this.pick([
          () => binary(`i32.${this.pick(["add", "mul", "xor", "shl", "div_u", "rem_s", "lt_s", "rotl"])}`),
          () => `(i32.wrap_i64 ${e("i64")})`,
          () => `(i32.reinterpret_f32 ${e("f32")})`,
          () => binary(`f64.${this.pick(["lt", "eq", "ne"])}`, "f64"),
          () => `(i32.trunc_sat_f32_s ${e("f32")})`,
        ])();
      case "i64":
        return this.pick([
          () => binary(`i64.${this.pick(["add", "sub", "and", "or", "shr_u"])}`),
          () => `(i64.extend_i32_s ${e("i32")})`,
          () => `(i64.reinterpret_f64 ${e("f64")})`,
          () => this.call(depth),
        ])();
      case "f32":
      case "f64":
        return this.float(type, depth);
      default:
        return this.vector(depth);
    }
  }

  private float(type: "f32" | "f64", depth: number): string {
    const e = (of: Type): string => this.expression(of, depth);
    return this.pick([
      () => `(${type}.${this.pick(["add", "sub", "mul", "div", "min", "max", "copysign"])} ${e(type)} ${e(type)})`,
      () => `(${type}.${this.pick(["sqrt", "neg", "abs", "ceil", "nearest", "trunc"])} ${e(type)})`,
      () => (type === "f32" ? `(f32.demote_f64 ${e("f64")})` : `(f64.promote_f32 ${e("f32")})`),
      () => (type === "f32" ? `(f32.reinterpret_i32 ${e("i32")})` : `(f64.convert_i32_u ${e("i32")})`),
      () => (this.shape.vectors ? `(${type}x${type === "f32" ? 4 : 2}.extract_lane 1 ${e("v128")})` : e(type)),
    ])();
  }

  private vector(depth: number): string {
    const e = (of: Type): string => this.expression(of, depth);
    const lanes = this.pick(["f32x4", "f64x2"]);
    return this.pick([
      () => `(${lanes}.${this.pick(["add", "mul", "div", "min", "max", "pmin", "eq"])} ${e("v128")} ${e("v128")})`,
      () => `(${lanes}.${this.pick(["sqrt", "neg", "abs", "floor"])} ${e("v128")})`,
      () => `(f32x4.splat ${e("f32")})`,
      () => `(f64x2.replace_lane 1 ${e("v128")} ${e("f64")})`,
      () => `(i32x4.add ${e("v128")} ${e("v128")})`,
      () => `(f32x4.demote_f64x2_zero ${e("v128")})`,
      () => `(v128.bitselect ${e("v128")} ${e("v128")} ${e("v128")})`,
    ])();
  }

  private load(type: Type, depth: number): string {
    return `(${type}.load ${this.offset()} ${this.address(depth)})`;
  }

  /** Only functions before this one, so that recursion ends. */
  private call(depth: number): string {
    if (this.callable === 0) return "(call $performance (i32.const 1))";
    const values = `${this.expression("i32", depth)} ${this.expression("f64", depth)}`;
    const target = this.below(this.callable);
    if (this.below(2) === 0) return `(call $f${target} ${values})`;
    return `(call_indirect (param i32 f64) (result i64) ${values} (i32.const ${target}))`;
  }
}
