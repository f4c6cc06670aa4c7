// A whole network in the process of a test: real state, real Wasm, real certificates, storage in memory, and the
// HTTP interface as a `fetch` that unmodified clients can use.

import { createNodeCrypto, nodeClock, nodeEntropy, sha256 } from "@atoll/host-node";
import { createHttpHandler, InlineExecutor, makeSecrets, Replica, soloReplicaOptions, toFetch } from "@atoll/replica";
import { MemoryStorage, type SubnetConfig } from "@atoll/state";
import type { CryptoPort, LogPort, StoragePort } from "@atoll/types";
import type { HttpHandler } from "@atoll/types/http";
import { Actor, type ActorSubclass, HttpAgent, type Identity } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import type { NodeSecrets } from "../src/genesis.ts";

const silent: LogPort = { log: () => undefined };

export interface TestNetwork {
  readonly replica: Replica;
  readonly executor: InlineExecutor;
  readonly api: HttpHandler;
  readonly fetch: typeof globalThis.fetch;
  readonly rootKey: Uint8Array;
  readonly storage: StoragePort;
  readonly secrets: NodeSecrets;
  agent(identity?: Identity): Promise<HttpAgent>;
  stop(): Promise<void>;
}

let crypto: Promise<CryptoPort> | undefined;

/** Starts a network, or goes on with one that lived in `storage`. */
export async function startNetwork(
  previous: {
    storage?: StoragePort;
    secrets?: NodeSecrets;
    /** What differs from a network as a node makes it. */
    config?: Partial<SubnetConfig>;
    queryStatsEpoch?: number;
  } = {},
): Promise<TestNetwork> {
  crypto ??= createNodeCrypto();
  const cryptoPort = await crypto;
  const storage = previous.storage ?? new MemoryStorage();
  const secrets = previous.secrets ?? makeSecrets(nodeEntropy, cryptoPort);
  const solo = soloReplicaOptions(secrets, cryptoPort);
  const { queryStatsEpoch } = previous;
  const options = {
    ...solo,
    config: { ...solo.config, ...previous.config },
    ...(queryStatsEpoch !== undefined && { queryStatsEpoch }),
  };
  const { config, rootKey } = options;
  const executor = new InlineExecutor({ config, rootKey }, { storage, crypto: { sha256 }, log: silent });
  const replica = new Replica(
    options,
    { clock: nodeClock, entropy: nodeEntropy, crypto: cryptoPort, log: silent },
    executor,
  );
  const api = createHttpHandler(replica.backend, {
    timer: {
      after: (ms, callback) => {
        const handle = setTimeout(callback, ms);
        return () => clearTimeout(handle);
      },
    },
    log: {
      log: (level, message, fields) =>
        level === "error" && process.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
    },
  });
  await replica.start();
  const stop = keepStepping(replica);
  await replica.firstCertified;
  const answer = toFetch(api);
  const fetch = ((input: Request | URL | string, init?: RequestInit) =>
    answer(new Request(input, init))) as typeof globalThis.fetch;
  return {
    replica,
    executor,
    api,
    fetch,
    rootKey,
    storage,
    secrets,
    agent: (identity) =>
      HttpAgent.create({
        host: "http://localhost:8000",
        fetch,
        shouldFetchRootKey: true,
        ...(identity && { identity }),
      }),
    stop: async () => {
      await stop();
      await replica.stop();
    },
  };
}

function keepStepping(replica: Replica): () => Promise<void> {
  let isStopping = false;
  let hasWork = false;
  let wake: (() => void) | undefined;
  replica.onWork = () => {
    hasWork = true;
    wake?.();
  };
  const loop = (async () => {
    while (!isStopping) {
      hasWork = false;
      const next = await replica.step(nodeClock.now());
      const wait = Number((next - nodeClock.now()) / 1_000_000n);
      await new Promise<void>((resolve) => {
        const handle = setTimeout(resolve, Math.max(0, wait));
        wake = () => {
          clearTimeout(handle);
          resolve();
        };
        // It may have come after the step had said when to call again.
        if (hasWork || isStopping) wake();
      });
    }
  })();
  return async () => {
    isStopping = true;
    wake?.();
    await loop;
  };
}

const management = IDL.Service({
  provisional_create_canister_with_cycles: IDL.Func(
    [IDL.Record({ amount: IDL.Opt(IDL.Nat), specified_id: IDL.Opt(IDL.Principal) })],
    [IDL.Record({ canister_id: IDL.Principal })],
    [],
  ),
  install_code: IDL.Func(
    [
      IDL.Record({
        mode: IDL.Variant({
          install: IDL.Null,
          reinstall: IDL.Null,
          upgrade: IDL.Opt(
            IDL.Record({
              skip_pre_upgrade: IDL.Opt(IDL.Bool),
              wasm_memory_persistence: IDL.Opt(IDL.Variant({ keep: IDL.Null, replace: IDL.Null })),
            }),
          ),
        }),
        canister_id: IDL.Principal,
        wasm_module: IDL.Vec(IDL.Nat8),
        arg: IDL.Vec(IDL.Nat8),
      }),
    ],
    [],
    [],
  ),
});

type Management = ActorSubclass<{
  provisional_create_canister_with_cycles(arg: unknown): Promise<{ canister_id: Principal }>;
  install_code(arg: unknown): Promise<void>;
}>;

export type InstallMode =
  | { install: null }
  | { reinstall: null }
  | {
      upgrade:
        | []
        | [{ skip_pre_upgrade: [] | [boolean]; wasm_memory_persistence: [] | [{ keep: null } | { replace: null }] }];
    };

/** The management canister as a client of it would call it, through the agent. */
export function managementActor(agent: HttpAgent, effectiveCanisterId: Principal): Management {
  return Actor.createActor(() => management, {
    agent,
    canisterId: Principal.managementCanister(),
    callTransform: () => ({ effectiveCanisterId }),
  });
}

/** `near`: an id of the subnet that shall have it, where there are several. */
export async function createCanister(
  agent: HttpAgent,
  amount?: bigint,
  near = Principal.managementCanister(),
): Promise<Principal> {
  const actor = managementActor(agent, near);
  const arg = { amount: amount === undefined ? [] : [amount], specified_id: [] };
  return (await actor.provisional_create_canister_with_cycles(arg)).canister_id;
}

export async function installCode(
  agent: HttpAgent,
  id: Principal,
  wasm: Uint8Array,
  options: { mode?: InstallMode; arg?: Uint8Array } = {},
): Promise<void> {
  await managementActor(agent, id).install_code({
    mode: options.mode ?? { install: null },
    canister_id: id,
    wasm_module: wasm,
    arg: options.arg ?? IDL.encode([], []),
  });
}

export async function deploy(
  agent: HttpAgent,
  wasm: Uint8Array,
  arg?: Uint8Array,
  near?: Principal,
): Promise<Principal> {
  const id = await createCanister(agent, undefined, near);
  await installCode(agent, id, wasm, arg === undefined ? {} : { arg });
  return id;
}

type Types = readonly IDL.Type[];

/** An update by the agent's defaults; arguments and results as Candid types and values. */
export async function update<T = unknown>(
  agent: HttpAgent,
  canisterId: Principal,
  method: string,
  [types, values]: readonly [Types, readonly unknown[]] = [[], []],
  results: Types = [],
): Promise<T> {
  return callMethod<T>(agent, canisterId, method, [types, values], results, []);
}

export async function query<T = unknown>(
  agent: HttpAgent,
  canisterId: Principal,
  method: string,
  [types, values]: readonly [Types, readonly unknown[]] = [[], []],
  results: Types = [],
): Promise<T> {
  return callMethod<T>(agent, canisterId, method, [types, values], results, ["query"]);
}

async function callMethod<T>(
  agent: HttpAgent,
  canisterId: Principal,
  method: string,
  [types, values]: readonly [Types, readonly unknown[]],
  results: Types,
  annotations: string[],
): Promise<T> {
  const service = IDL.Service({ [method]: IDL.Func([...types] as never, [...results] as never, annotations) });
  const actor = Actor.createActor<Record<string, (...args: unknown[]) => Promise<T>>>(() => service, {
    agent,
    canisterId,
  });
  return (actor[method] as (...args: unknown[]) => Promise<T>)(...values);
}

/** Waits until `test` holds: for timers and heartbeats, which nobody answers. */
export async function until(test: () => Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await test())) {
    if (Date.now() > end) throw new Error(`not true after ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
