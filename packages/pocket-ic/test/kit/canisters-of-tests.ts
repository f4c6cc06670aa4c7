// The canisters that the kit's tests talk to, with the interfaces that a generator would write for them.
import type { ActorMethod } from "@icp-sdk/core/agent";
import type { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { canister, type MotokoCanister } from "../../../execution/test/canisters/build.ts";

type Factory = IDL.InterfaceFactory;

export async function motoko(name: MotokoCanister): Promise<Uint8Array> {
  return (await canister(name)).wasm;
}

export interface Counter {
  inc: ActorMethod<[], bigint>;
  add: ActorMethod<[bigint], bigint>;
  get: ActorMethod<[], bigint>;
  trapAfterChange: ActorMethod<[], undefined>;
  trapInCallback: ActorMethod<[], undefined>;
  nothing: ActorMethod<[], undefined>;
  whoami: ActorMethod<[], Principal>;
}

export const counterIdl: Factory = ({ IDL }) =>
  IDL.Service({
    inc: IDL.Func([], [IDL.Nat], []),
    add: IDL.Func([IDL.Nat], [IDL.Nat], []),
    get: IDL.Func([], [IDL.Nat], ["query"]),
    trapAfterChange: IDL.Func([], [], []),
    trapInCallback: IDL.Func([], [], []),
    nothing: IDL.Func([], [], []),
    whoami: IDL.Func([], [IDL.Principal], []),
  });

type Called = { ok: Uint8Array } | { err: [string, string] };

export interface Calls {
  echo: ActorMethod<[string], string>;
  callEcho: ActorMethod<[Principal, string], string>;
  call: ActorMethod<[Principal, string, Uint8Array], Called>;
  callAndPassOn: ActorMethod<[Principal, string, Uint8Array], Uint8Array>;
  sendCycles: ActorMethod<[Principal, bigint, bigint], [bigint, bigint]>;
  callWithTimeout: ActorMethod<[Principal, number], [] | [bigint]>;
}

export const callsIdl: Factory = ({ IDL }) => {
  const Blob = IDL.Vec(IDL.Nat8);
  return IDL.Service({
    echo: IDL.Func([IDL.Text], [IDL.Text], []),
    callEcho: IDL.Func([IDL.Principal, IDL.Text], [IDL.Text], []),
    call: IDL.Func(
      [IDL.Principal, IDL.Text, Blob],
      [IDL.Variant({ ok: Blob, err: IDL.Tuple(IDL.Text, IDL.Text) })],
      [],
    ),
    callAndPassOn: IDL.Func([IDL.Principal, IDL.Text, Blob], [Blob], []),
    sendCycles: IDL.Func([IDL.Principal, IDL.Nat, IDL.Nat], [IDL.Nat, IDL.Nat], []),
    callWithTimeout: IDL.Func([IDL.Principal, IDL.Nat32], [IDL.Opt(IDL.Nat)], []),
  });
};

export interface Timers {
  after: ActorMethod<[bigint, string], bigint>;
  every: ActorMethod<[bigint], undefined>;
  get: ActorMethod<[], { fired: string[]; recurring: bigint }>;
  now: ActorMethod<[], bigint>;
}

export const timersIdl: Factory = ({ IDL }) =>
  IDL.Service({
    after: IDL.Func([IDL.Nat, IDL.Text], [IDL.Nat], []),
    every: IDL.Func([IDL.Nat], [], []),
    get: IDL.Func([], [IDL.Record({ fired: IDL.Vec(IDL.Text), recurring: IDL.Nat })], ["query"]),
    now: IDL.Func([], [IDL.Nat], ["query"]),
  });

export interface Greeter {
  greet: ActorMethod<[string], string>;
}

export const greeterIdl: Factory = ({ IDL }) => IDL.Service({ greet: IDL.Func([IDL.Text], [IDL.Text], ["query"]) });

export const greeterInit = ({ IDL: idl }: { IDL: typeof IDL }): IDL.Type[] => [
  idl.Record({ greeting: idl.Text, times: idl.Nat }),
];

export interface Outcalls {
  fetch: ActorMethod<[string, string, [] | [bigint]], string>;
  latestAnswer: ActorMethod<[], string>;
}

export const outcallsIdl: Factory = ({ IDL }) =>
  IDL.Service({
    fetch: IDL.Func([IDL.Text, IDL.Text, IDL.Opt(IDL.Nat64)], [IDL.Text], []),
    latestAnswer: IDL.Func([], [IDL.Text], ["query"]),
  });
