// What ties the committed Rust fixture to the sources it was built from.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const SOURCES = ["Cargo.toml", "Cargo.lock", "src/lib.rs"];

export interface FixtureLock {
  readonly rustc: string;
  readonly sources: string;
  readonly wasm: string;
  readonly candid: string;
}

export function readLock(): FixtureLock {
  return JSON.parse(readFileSync(new URL("fixture.lock.json", import.meta.url), "utf8")) as FixtureLock;
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export function sourcesHash(): string {
  const text = SOURCES.map((file) => readFileSync(new URL(file, import.meta.url), "utf8").replaceAll("\r\n", "\n"));
  return sha256(JSON.stringify(text));
}
