// Calls to the management canister as any client makes them, through the official agent, which verifies every answer: for
// a network whose nodes are other processes.
import { type CanisterId, principalFromBytes, principalToBytes } from "@atoll/types";
import { Actor, type ActorMethod, CanisterStatus, HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import type { CanisterCalls } from "../sample-calls.ts";

const Creation = IDL.Record({ amount: IDL.Opt(IDL.Nat) });
const Created = IDL.Record({ canister_id: IDL.Principal });
const Installation = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null }),
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});
const management: IDL.InterfaceFactory = () =>
  IDL.Service({
    provisional_create_canister_with_cycles: IDL.Func([Creation], [Created], []),
    install_code: IDL.Func([Installation], [], []),
  });

interface Management {
  readonly provisional_create_canister_with_cycles: ActorMethod<[{ amount: [] }], { canister_id: Principal }>;
  readonly install_code: ActorMethod<[object], undefined>;
}

export function remoteCalls(
  url: string,
  rootKey: Uint8Array,
  /** An id of the subnet that gets canisters, where there are several. */
  near = Principal.managementCanister(),
): CanisterCalls & { exists(id: CanisterId): Promise<boolean> } {
  const agent = HttpAgent.createSync({ host: url, rootKey: new Uint8Array(rootKey) });
  const canisterId = Principal.managementCanister();
  const calls = (effectiveCanisterId: Principal): Management =>
    Actor.createActor<Management>(management, { agent, canisterId, callTransform: () => ({ effectiveCanisterId }) });
  return {
    async create() {
      const { canister_id: id } = await calls(near).provisional_create_canister_with_cycles({ amount: [] });
      return principalFromBytes(id.toUint8Array());
    },
    async install(id, wasm, arg) {
      const canister = Principal.fromUint8Array(principalToBytes(id));
      await calls(canister).install_code({ mode: { install: null }, canister_id: canister, wasm_module: wasm, arg });
    },
    async exists(id) {
      const canister = Principal.fromUint8Array(principalToBytes(id));
      const status = await CanisterStatus.request({ agent, canisterId: canister, paths: ["controllers"] });
      return Array.isArray(status.get("controllers"));
    },
  };
}
