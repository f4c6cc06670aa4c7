// Compiles counter.mo, deploys it to the network at the address given, and counts.

import { fileURLToPath } from "node:url";
import { Actor, HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { compileMotoko } from "../../tools/motoko/compile.ts";

const host = process.argv[2] ?? "http://127.0.0.1:8000";
const agent = await HttpAgent.create({ host, shouldFetchRootKey: true, identity: Ed25519KeyIdentity.generate() });
const aaaaaAa = Principal.managementCanister();

// A canister is made by the management canister; cycles are free on a development network. Of several subnets the one
// makes it that hosts the effective canister id: the network tells one where new canisters may go.
const { default_effective_canister_id: place } = await (await fetch(`${host}/_/topology`)).json();
const created = await agent.update(aaaaaAa, {
  methodName: "provisional_create_canister_with_cycles",
  arg: IDL.encode([IDL.Record({})], [{}]),
  effectiveCanisterId: Principal.fromUint8Array(Buffer.from(place.canister_id, "base64")),
});
const [{ canister_id: canisterId }] = IDL.decode([IDL.Record({ canister_id: IDL.Principal })], created.reply) as never;

const Install = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null }),
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});
const { wasm } = await compileMotoko({ source: fileURLToPath(new URL("counter.mo", import.meta.url)), width: 64 });
const install = { mode: { install: null }, canister_id: canisterId, wasm_module: wasm, arg: IDL.encode([], []) };
await agent.update(aaaaaAa, {
  methodName: "install_code",
  arg: IDL.encode([Install], [install]),
  effectiveCanisterId: canisterId,
});

// From here on it is like any canister on the Internet Computer.
const counter = Actor.createActor<{ increment(): Promise<bigint>; get(): Promise<bigint> }>(
  () => IDL.Service({ increment: IDL.Func([], [IDL.Nat]), get: IDL.Func([], [IDL.Nat], ["query"]) }),
  { agent, canisterId },
);
await counter.increment();
await counter.increment();
console.log(`${canisterId} has counted to ${await counter.get()}`);
