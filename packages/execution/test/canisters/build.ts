// The test canisters by name, compiled on first use and kept afterwards. Sources lie beside this file: motoko/*.mo in
// both widths (64: enhanced orthogonal persistence, 32: classical), assemblyscript/*.as and the Rust fixture in 32 bits.
// Canisters in text and programs for the universal canister: see wat.ts and universal.ts.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compileMotoko, type MotokoOptions, type Width } from "../../../../tools/motoko/compile.ts";
import { compileAssemblyScript } from "./assemblyscript.ts";

export const MOTOKO_CANISTERS = [
  "calls",
  "certified",
  "counter",
  "global-timer",
  "heartbeat",
  "http",
  "init-arg",
  "inspect",
  "memory",
  "outcalls",
  "randomness",
  "stable-incompatible",
  "stable-v1",
  "stable-v2",
  "stable-v3",
  "timers",
] as const;

export type MotokoCanister = (typeof MOTOKO_CANISTERS)[number];
export type CanisterName = MotokoCanister | "rust-counter" | "assemblyscript-counter";

export interface TestCanister {
  readonly wasm: Uint8Array;
  /** Empty where a canister has no Candid interface. */
  readonly candid: string;
}

export interface CanisterOptions {
  /** Default 64 for Motoko; the others exist in 32 bits only. */
  readonly width?: Width;
  readonly motoko?: MotokoOptions;
}

export function canister(name: CanisterName, options: CanisterOptions = {}): Promise<TestCanister> {
  if (name === "rust-counter") return Promise.resolve(rustCounter());
  if (name === "assemblyscript-counter") return assemblyScriptCounter();
  return compileMotoko({
    source: fileURLToPath(new URL(`motoko/${name}.mo`, import.meta.url)),
    width: options.width ?? 64,
    ...(options.motoko === undefined ? {} : { options: options.motoko }),
  });
}

function rustCounter(): TestCanister {
  return {
    wasm: new Uint8Array(readFileSync(new URL("rust/fixture.wasm", import.meta.url))),
    candid: readFileSync(new URL("rust/fixture.did", import.meta.url), "utf8"),
  };
}

let compiledCounter: Promise<TestCanister> | null = null;

function assemblyScriptCounter(): Promise<TestCanister> {
  compiledCounter ??= compileAssemblyScript(new URL("assemblyscript/counter.as", import.meta.url)).then((wasm) => {
    return { wasm, candid: "" };
  });
  return compiledCounter;
}
