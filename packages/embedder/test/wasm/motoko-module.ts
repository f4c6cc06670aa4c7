// A canister by the Motoko compiler, whose default output has 64-bit memory and table.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

export function motokoModule(source: string, memory64: boolean): Uint8Array {
  const motoko = require("motoko");
  motoko.loadPackage(require("motoko/packages/latest/core.json"));
  motoko.compiler.gcFlags(memory64 ? "enhancedOP" : "classicOP");
  motoko.write("Main.mo", source);
  return new Uint8Array(motoko.wasm("Main.mo", "ic").wasm);
}

export const COUNTER = `
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Float "mo:core/Float";
persistent actor {
  var total = 0;
  let seen = Map.empty<Nat, Text>();
  public func work() : async () {
    var i = 0;
    while (i < 200) {
      total += i;
      Map.add(seen, Nat.compare, total % 97, Nat.toText(total) # Float.toText(Float.sqrt(Float.fromInt(i) - 100)));
      i += 1;
    };
  };
  public query func get() : async Nat { total };
}`;
