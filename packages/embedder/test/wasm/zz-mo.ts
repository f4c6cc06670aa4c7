import mo from "motoko";
import core from "motoko/packages/latest/core.json" with { type: "json" };
import { writeFileSync } from "node:fs";
import { validateModule, instrument } from "../../src/wasm/index.ts";
mo.loadPackage(core as any);
mo.write("Main.mo", `import Map "mo:core/Map"; import Nat "mo:core/Nat"; persistent actor { var n = 0; let m = Map.empty<Nat, Text>();
 public func inc(k : Nat) : async Nat { n += k; Map.add(m, Nat.compare, n, debug_show n); n }; public query func get() : async Nat { n }; system func heartbeat() : async () {};
 public func sha(rounds : Nat) : async Nat { var a : Nat32 = 1; var i = 0; while (i < rounds) { a := (a *% 1664525 +% 1013904223) ^ (a >> 3); i += 1; }; ignore a; i } }`);
for (const flags of [[], ["--legacy-persistence"]]) {
  try { if (flags.length) mo.compiler.gcFlags("classicOP");
  
  const r = mo.wasm("Main.mo", "ic");
  const bytes = new Uint8Array(r.wasm);
  writeFileSync(`/tmp/w/mo${flags.length}.wasm`, bytes);
  const v = validateModule(bytes);
  console.log(bytes.length, v.ok ? [v.info.memory64, v.info.methods, v.info.table, v.info.entryPoints, v.info.customSections.map(c=>c.name+":"+c.visibility), v.info.mutableGlobals.length, v.info.compiledOperators] : v);
  if (v.ok) { const t=performance.now(); const out = instrument(bytes, v.info); console.log(performance.now()-t, out.wasm.length, WebAssembly.validate(out.wasm));
   if (!WebAssembly.validate(out.wasm)) { try { new WebAssembly.Module(out.wasm) } catch (e) { console.log(String(e)); } }
   for (let i=0;i<12;i++){ const t=performance.now(); instrument(bytes, v.info); const d=performance.now()-t; const t2=performance.now(); validateModule(bytes); const d2=performance.now()-t2; console.log((bytes.length/1e3/d).toFixed(1), "MB/s", (bytes.length/1e3/d2).toFixed(1)); }
  }
  } catch (e) { console.log(e) }
}
