// The canister as the page sees it: its id from the address, an agent that verifies every certificate against the
// network's root key, and the Candid interface of `main.mo`.

import { Actor, HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";

export interface Entry {
  readonly id: bigint;
  readonly name: string;
  readonly message: string;
  /** Nanoseconds since 1970. */
  readonly time: bigint;
}

export interface Hello {
  counter(): Promise<bigint>;
  increment(): Promise<bigint>;
  entries(before: [] | [bigint], limit: bigint): Promise<Entry[]>;
  sign(name: string, message: string): Promise<{ ok: Entry } | { err: string }>;
}

export interface Connection {
  readonly hello: Hello;
  readonly canisterId: string;
  readonly rootKey: Uint8Array;
  readonly principal: string;
}

const Entry = IDL.Record({ id: IDL.Nat, name: IDL.Text, message: IDL.Text, time: IDL.Int });

const interfaceFactory: IDL.InterfaceFactory = () =>
  IDL.Service({
    counter: IDL.Func([], [IDL.Nat], ["query"]),
    increment: IDL.Func([], [IDL.Nat], []),
    entries: IDL.Func([IDL.Opt(IDL.Nat), IDL.Nat], [IDL.Vec(Entry)], ["query"]),
    sign: IDL.Func([IDL.Text, IDL.Text], [IDL.Variant({ ok: Entry, err: IDL.Text })], []),
  });

/** `http://<canister id>.localhost:8000/`, or any address with `?canisterId=<canister id>`. */
export function canisterIdFrom(location: Location): string {
  const asked = new URLSearchParams(location.search).get("canisterId") ?? location.hostname.split(".")[0] ?? "";
  return Principal.fromText(asked).toText();
}

export async function connect(location: Location): Promise<Connection> {
  const canisterId = canisterIdFrom(location);
  const agent = await HttpAgent.create({ host: location.origin, shouldFetchRootKey: true });
  const hello = Actor.createActor<Hello>(interfaceFactory, { agent, canisterId });
  const principal = await agent.getPrincipal();
  return { hello, canisterId, rootKey: agent.rootKey ?? new Uint8Array(), principal: principal.toText() };
}
