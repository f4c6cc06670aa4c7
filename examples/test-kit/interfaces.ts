// The interfaces of the two canisters, as a generator of declarations writes them from their Candid files.
import type { ActorMethod } from "@icp-sdk/core/agent";
import type { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";

export interface Ledger {
  balance: ActorMethod<[Principal], bigint>;
  deposit: ActorMethod<[Principal, bigint], undefined>;
  take: ActorMethod<[Principal, bigint], undefined>;
}

export const ledgerIdl: IDL.InterfaceFactory = ({ IDL }) =>
  IDL.Service({
    balance: IDL.Func([IDL.Principal], [IDL.Nat], ["query"]),
    deposit: IDL.Func([IDL.Principal, IDL.Nat], [], []),
    take: IDL.Func([IDL.Principal, IDL.Nat], [], []),
  });

export interface Shop {
  left: ActorMethod<[], bigint>;
  buy: ActorMethod<[], { sold: null } | { soldOut: null }>;
  updatePrice: ActorMethod<[], bigint>;
}

export const shopIdl: IDL.InterfaceFactory = ({ IDL }) =>
  IDL.Service({
    left: IDL.Func([], [IDL.Nat], ["query"]),
    buy: IDL.Func([], [IDL.Variant({ sold: IDL.Null, soldOut: IDL.Null })], []),
    updatePrice: IDL.Func([], [IDL.Nat], []),
  });

export const shopInit = ({ IDL: idl }: { IDL: typeof IDL }): IDL.Type[] => [idl.Principal];
