// The canister that these tests load, and the calls to it through the official agent.
import { fileURLToPath } from "node:url";
import { createNodeCrypto } from "@atoll/host-node";
import { Actor, type ActorSubclass, HttpAgent, type Identity } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";
import { compileMotoko } from "../../../tools/motoko/compile.ts";
import type { Ready } from "./process.ts";

export interface Recorder {
  record(client: bigint, number: bigint): Promise<bigint>;
  relay(peer: Principal, client: bigint, number: bigint): Promise<bigint>;
  countsOf(client: bigint): Promise<Uint8Array>;
  totalCount(): Promise<bigint>;
  balance(): Promise<bigint>;
  fill(words: bigint): Promise<bigint>;
  checksum(): Promise<bigint>;
}

const recorder: IDL.InterfaceFactory = () =>
  IDL.Service({
    record: IDL.Func([IDL.Nat, IDL.Nat], [IDL.Nat], []),
    relay: IDL.Func([IDL.Principal, IDL.Nat, IDL.Nat], [IDL.Nat], []),
    countsOf: IDL.Func([IDL.Nat], [IDL.Vec(IDL.Nat8)], ["query"]),
    totalCount: IDL.Func([], [IDL.Nat], ["query"]),
    balance: IDL.Func([], [IDL.Nat], ["query"]),
    fill: IDL.Func([IDL.Nat], [IDL.Nat], []),
    checksum: IDL.Func([], [IDL.Nat], ["query"]),
  });

/** The module: Motoko, 64 bits. A function, because the first compilation takes a while. */
export async function recorderWasm(): Promise<Uint8Array> {
  const source = fileURLToPath(new URL("canisters/recorder.mo", import.meta.url));
  return (await compileMotoko({ source, width: 64 })).wasm;
}

/** An identity that is the same in every run. */
export function identity(number: number): Identity {
  return Ed25519KeyIdentity.generate(new Uint8Array(32).fill(number + 1));
}

/** An agent that trusts the given root key and no other, and that never repeats a request by itself. */
export function agentOf(
  { gatewayUrl, rootKey }: Pick<Ready, "gatewayUrl" | "rootKey">,
  options: { readonly identity?: Identity; readonly fetch?: typeof fetch } = {},
): HttpAgent {
  return HttpAgent.createSync({ host: gatewayUrl, rootKey, retryTimes: 0, identity: identity(0), ...options });
}

/** `blsVerify` replaces the agent's own check of certificates, for a load that shall not wait for it. */
export function recorderActor(agent: HttpAgent, canisterId: Principal, blsVerify?: BlsVerify): ActorSubclass<Recorder> {
  return Actor.createActor<Recorder>(recorder, {
    agent,
    canisterId,
    ...(blsVerify === undefined ? {} : { blsVerify }),
  });
}

export type BlsVerify = (publicKey: Uint8Array, signature: Uint8Array, message: Uint8Array) => Promise<boolean>;

/** The same check five times faster, with WebAssembly instead of JavaScript, and once for all answers of a round. */
export async function fastBlsVerify(): Promise<BlsVerify> {
  const { bls } = await createNodeCrypto();
  const known = new Map<string, boolean>();
  return async (publicKey, signature, message) => {
    const key = Buffer.concat([publicKey, signature, message]).toString("latin1");
    const isValid = known.get(key) ?? bls.verify(publicKey, message, signature);
    known.set(key, isValid);
    return isValid;
  };
}

const management: IDL.InterfaceFactory = () =>
  IDL.Service({
    provisional_create_canister_with_cycles: IDL.Func(
      [IDL.Record({ amount: IDL.Opt(IDL.Nat) })],
      [IDL.Record({ canister_id: IDL.Principal })],
      [],
    ),
    install_code: IDL.Func(
      [
        IDL.Record({
          mode: IDL.Variant({ install: IDL.Null }),
          canister_id: IDL.Principal,
          wasm_module: IDL.Vec(IDL.Nat8),
          arg: IDL.Vec(IDL.Nat8),
        }),
      ],
      [],
      [],
    ),
  });

interface Management {
  provisional_create_canister_with_cycles(arg: { amount: [] }): Promise<{ canister_id: Principal }>;
  install_code(arg: object): Promise<void>;
}

/** `beside`: any id that the subnet hosts on which the canister shall be; default: where new ones go. */
export async function deploy(
  agent: HttpAgent,
  wasm: Uint8Array,
  beside: Principal = Principal.managementCanister(),
): Promise<Principal> {
  const calls = (effectiveCanisterId: Principal) =>
    Actor.createActor<Management>(management, {
      agent,
      canisterId: Principal.managementCanister(),
      callTransform: () => ({ effectiveCanisterId }),
    });
  const creation = calls(beside);
  const { canister_id: id } = await creation.provisional_create_canister_with_cycles({ amount: [] });
  await calls(id).install_code({
    mode: { install: null },
    canister_id: id,
    wasm_module: wasm,
    arg: IDL.encode([], []),
  });
  return id;
}
