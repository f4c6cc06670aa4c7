// A test as somebody might write it, without a word about where it runs: two subnets, calls between them, time, a fork.
// Tells what it saw, balances to the last cycle, so that two hosts can be compared.
import type { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { createNetwork, type TestNetworkPorts } from "../../src/kit/index.ts";

interface Calls {
  callEcho(other: Principal, text: string): Promise<string>;
  sendCycles(other: Principal, amount: bigint, accept: bigint): Promise<[bigint, bigint]>;
}

const callsIdl: IDL.InterfaceFactory = ({ IDL }) =>
  IDL.Service({
    callEcho: IDL.Func([IDL.Principal, IDL.Text], [IDL.Text], []),
    sendCycles: IDL.Func([IDL.Principal, IDL.Nat, IDL.Nat], [IDL.Nat, IDL.Nat], []),
  });

interface Timers {
  after(seconds: bigint, text: string): Promise<bigint>;
  get(): Promise<{ fired: string[] }>;
}

const timersIdl: IDL.InterfaceFactory = ({ IDL }) =>
  IDL.Service({
    after: IDL.Func([IDL.Nat, IDL.Text], [IDL.Nat], []),
    get: IDL.Func([], [IDL.Record({ fired: IDL.Vec(IDL.Text) })], ["query"]),
  });

export interface Modules {
  readonly calls: Uint8Array;
  readonly timers: Uint8Array;
}

export async function scenario(ports: TestNetworkPorts, modules: Modules): Promise<string[]> {
  const seen: string[] = [];
  const seed = new Uint8Array(32).fill(3);
  const network = await createNetwork({ subnets: [{ kind: "application" }, { kind: "application" }], seed }, ports);
  const [one, two] = network.subnets;
  if (one === undefined || two === undefined) throw new Error("two subnets were asked for");
  const front = await network.install<Calls>({ wasm: modules.calls, candid: callsIdl, subnet: one });
  const back = await network.install<Calls>({ wasm: modules.calls, candid: callsIdl, subnet: two });
  seen.push(await front.actor.callEcho(back.id, "across"));
  seen.push(String(await front.actor.sendCycles(back.id, 5_000n, 2_000n)));
  const clock = await network.install<Timers>({ wasm: modules.timers, candid: timersIdl, subnet: two });
  await clock.actor.after(60n, "an hour has sixty minutes");
  const fork = await network.fork();
  network.advance({ hours: 1 });
  await network.tick(3);
  seen.push(...(await clock.actor.get()).fired);
  seen.push(`${front.cycles()} ${back.cycles()} ${network.time} ${fork.time}`);
  await fork.close();
  await network.close();
  return seen;
}
