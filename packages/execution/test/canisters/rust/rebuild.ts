// Builds the Rust canister beside this file and renews its fixture: `node rebuild.ts`. It is not part of the tests,
// because few machines have a Rust compiler for wasm32; the tests use the fixture and check fixture.lock.json, which
// ties it to its sources. Where the compiler has no standard library for wasm32-unknown-unknown (Debian's `rustc-web`
// with `rust-web-src`, say), cargo builds that library too, from the compiler's own sources.
// Environment: RUSTC (default rustc), CARGO (default cargo), WASM_LD (a wasm linker, default rust-lld).

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { withCustomSection } from "../custom-section.ts";
import { sha256, sourcesHash } from "./lock.ts";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));
const TARGET = "wasm32-unknown-unknown";

const rustc = process.env.RUSTC ?? "rustc";
const target = mkdtempSync(join(tmpdir(), "rust-canister-"));

build();
const module = readFileSync(join(target, TARGET, "release/rust_counter.wasm"));
const candid = candidOf(module);
const wasm = withCustomSection(module, "icp:public candid:service", new TextEncoder().encode(candid));
writeFileSync(join(FOLDER, "fixture.wasm"), wasm);
writeFileSync(join(FOLDER, "fixture.did"), candid);
const lock = { rustc: rustcVersion(), sources: sourcesHash(), wasm: sha256(wasm), candid: sha256(candid) };
writeFileSync(join(FOLDER, "fixture.lock.json"), `${JSON.stringify(lock, null, 2)}\n`);
rmSync(target, { recursive: true });
process.stdout.write(`fixture.wasm: ${wasm.length} bytes, ${lock.wasm}\n`);

function build(): void {
  const library = run(rustc, ["--print", "target-libdir", "--target", TARGET]).trim();
  const standard = existsSync(library) ? [] : ["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"];
  execFileSync(process.env.CARGO ?? "cargo", ["build", "--locked", "--release", "--target", TARGET, ...standard], {
    cwd: FOLDER,
    stdio: "inherit",
    env: {
      ...process.env,
      RUSTC: rustc,
      RUSTC_BOOTSTRAP: "1",
      CARGO_TARGET_DIR: target,
      CARGO_ENCODED_RUSTFLAGS: neutralPaths().join("\u001f"),
      CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: process.env.WASM_LD ?? "rust-lld",
    },
  });
}

/** Panic messages name source files: without the folders of the machine that built them. */
function neutralPaths(): string[] {
  const registry = join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "registry/src");
  const crates = existsSync(registry) ? readdirSync(registry).map((index) => join(registry, index)) : [];
  const library = join(run(rustc, ["--print", "sysroot"]).trim(), "lib/rustlib/src/rust");
  return [
    ...crates.map((folder) => `--remap-path-prefix=${folder}=/crates`),
    `--remap-path-prefix=${library}=/rust`,
    `--remap-path-prefix=${FOLDER}=/canister/`,
  ];
}

function rustcVersion(): string {
  return run(rustc, ["--version"]).trim();
}

function run(command: string, args: readonly string[]): string {
  return execFileSync(command, args, { encoding: "utf8" });
}

/** `export_candid!` leaves the interface as a C string behind the export `get_candid_pointer`. */
function candidOf(bytes: Uint8Array): string {
  const compiled = new WebAssembly.Module(new Uint8Array(bytes));
  const imports: Record<string, Record<string, () => number>> = {};
  for (const { module, name } of WebAssembly.Module.imports(compiled)) {
    imports[module] = { ...imports[module], [name]: () => 0 };
  }
  const { exports } = new WebAssembly.Instance(compiled, imports);
  const pointer = (exports.get_candid_pointer as () => number)();
  const memory = new Uint8Array((exports.memory as WebAssembly.Memory).buffer);
  return new TextDecoder().decode(memory.subarray(pointer, memory.indexOf(0, pointer)));
}
