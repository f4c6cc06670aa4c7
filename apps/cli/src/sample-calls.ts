// Two calls to the management canister from inside the process: create and install. They take the way of every
// other message, from the ingress pool to the certificate.

import { nodeClock, nodeEntropy } from "@atoll/host-node";
import type { Replica } from "@atoll/replica";
import {
  ANONYMOUS,
  type CanisterId,
  EnvironmentError,
  fromHex,
  MANAGEMENT_CANISTER,
  principalFromBytes,
  principalToBytes,
  toHex,
} from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";

export interface CanisterCalls {
  create(): Promise<CanisterId>;
  install(id: CanisterId, wasm: Uint8Array, arg: Uint8Array): Promise<void>;
}

export function canisterCalls(replica: Replica): CanisterCalls {
  return {
    async create() {
      const arg = IDL.encode([IDL.Record({ amount: IDL.Opt(IDL.Nat) })], [{ amount: [] }]);
      const reply = await call(replica, "provisional_create_canister_with_cycles", arg, MANAGEMENT_CANISTER);
      const [{ canister_id }] = IDL.decode([IDL.Record({ canister_id: IDL.Principal })], reply) as unknown as [
        { canister_id: Principal },
      ];
      return principalFromBytes(canister_id.toUint8Array());
    },
    async install(id, wasm, arg) {
      const type = IDL.Record({
        mode: IDL.Variant({ install: IDL.Null }),
        canister_id: IDL.Principal,
        wasm_module: IDL.Vec(IDL.Nat8),
        arg: IDL.Vec(IDL.Nat8),
      });
      const value = {
        mode: { install: null },
        canister_id: Principal.fromUint8Array(principalToBytes(id)),
        wasm_module: wasm,
        arg,
      };
      await call(replica, "install_code", IDL.encode([type], [value]), id);
    },
  };
}

const text = new TextEncoder();

async function call(
  replica: Replica,
  methodName: string,
  arg: Uint8Array,
  effectiveCanisterId: CanisterId,
): Promise<Uint8Array> {
  const requestId = toHex(nodeEntropy.randomBytes(32));
  replica.backend.submitIngress({
    requestId,
    sender: ANONYMOUS,
    receiver: MANAGEMENT_CANISTER,
    effectiveCanisterId,
    methodName,
    arg,
    expiry: nodeClock.now() + 240_000_000_000n,
    byteSize: arg.length,
  });
  const state = await replica.backend.awaitCompletion(requestId).completed;
  const path = [text.encode("request_status"), fromHex(requestId)];
  const reply = state.lookup([...path, text.encode("reply")]);
  if (reply !== undefined) return reply;
  const why = new TextDecoder().decode(state.lookup([...path, text.encode("reject_message")]));
  throw new EnvironmentError("SAMPLE", `The sample could not be deployed (${why}); start with --no-sample.`);
}
