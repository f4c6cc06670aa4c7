// A counter canister as the page uses it: made and installed through the management canister, called through an agent
// that verifies each certificate against the network's root key.
import { Actor, type Certificate, HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import { Principal } from "@icp-sdk/core/principal";

/** Any host will do: the agent's fetch ends in the Worker. */
const HOST = "http://network.localhost";

/** What a call gives, and the certificate that says so; queries have none. */
type Certified<T> = Promise<{ readonly result: T; readonly certificate?: Certificate }>;

export interface Counter {
  increment(): Certified<bigint>;
  incrementOther(other: Principal): Certified<bigint>;
  get(): Certified<bigint>;
}

const counterInterface: IDL.InterfaceFactory = () =>
  IDL.Service({
    increment: IDL.Func([], [IDL.Nat]),
    incrementOther: IDL.Func([IDL.Principal], [IDL.Nat]),
    get: IDL.Func([], [IDL.Nat], ["query"]),
  });

const CreateArgument = IDL.Record({ amount: IDL.Opt(IDL.Nat) });
const CreateResult = IDL.Record({ canister_id: IDL.Principal });
const InstallArgument = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null }),
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});

/** An unmodified agent; only its `fetch` leads elsewhere. */
export function agentFor(fetch: typeof globalThis.fetch, rootKey: Uint8Array): HttpAgent {
  return HttpAgent.createSync({ host: HOST, fetch, rootKey, identity: Ed25519KeyIdentity.generate() });
}

/** `place`: a canister id that the subnet hosts. */
export async function installCounter(agent: HttpAgent, place: string, module: Uint8Array): Promise<Principal> {
  const management = Principal.managementCanister();
  const created = await agent.update(management, {
    methodName: "provisional_create_canister_with_cycles",
    arg: IDL.encode([CreateArgument], [{ amount: [10n ** 13n] }]),
    effectiveCanisterId: Principal.fromText(place),
  });
  const [{ canister_id: id }] = IDL.decode([CreateResult], created.reply) as unknown as [{ canister_id: Principal }];
  const install = { mode: { install: null }, canister_id: id, wasm_module: module, arg: IDL.encode([], []) };
  await agent.update(management, {
    methodName: "install_code",
    arg: IDL.encode([InstallArgument], [install]),
    effectiveCanisterId: id,
  });
  return id;
}

export function counterActor(agent: HttpAgent, canisterId: Principal): Counter {
  return Actor.createActorWithExtendedDetails(counterInterface, { agent, canisterId }) as unknown as Counter;
}
