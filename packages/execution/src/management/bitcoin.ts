// The Bitcoin methods: deprecated in the management canister, which on the public network hands them on to the Bitcoin
// canisters. There are none here, and so the calls are checked and refused. Specification, "The IC Bitcoin API".
import { ErrorCode, MAX_BITCOIN_CONFIRMATIONS, type UserError, userError } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { decodeArgument, type Opt } from "./candid-argument.ts";
import { failed } from "./managed-canister.ts";
import type { ManagementMethod } from "./method.ts";

const Blob = IDL.Vec(IDL.Nat8);
// regtest is not in the specification; the replica has it, for development.
const network = IDL.Variant({ mainnet: IDL.Null, testnet: IDL.Null, regtest: IDL.Null });

const NO_BITCOIN = userError(ErrorCode.CanisterRejectedMessage, "No bitcoin canisters available.");

function bitcoinMethod<T>(
  fields: Record<string, IDL.Type>,
  check: (arg: T) => UserError | undefined,
): ManagementMethod {
  const takes = IDL.Record({ network, ...fields });
  return {
    open: "canisters",
    takes,
    run: ({ arg }) => {
      const decoded = decodeArgument<T>(takes, arg);
      return decoded.ok ? failed(check(decoded.value) ?? NO_BITCOIN) : decoded;
    },
  };
}

export const bitcoinGetBalance = bitcoinMethod<{ readonly min_confirmations: Opt<number> }>(
  { address: IDL.Text, min_confirmations: IDL.Opt(IDL.Nat32) },
  ({ min_confirmations }) => checkConfirmations(min_confirmations[0]),
);

type UtxosFilter = { readonly min_confirmations: number } | { readonly page: Uint8Array };
export const bitcoinGetUtxos = bitcoinMethod<{ readonly filter: Opt<UtxosFilter> }>(
  { address: IDL.Text, filter: IDL.Opt(IDL.Variant({ min_confirmations: IDL.Nat32, page: Blob })) },
  ({ filter: [filter] }) =>
    checkConfirmations(filter !== undefined && "min_confirmations" in filter ? filter.min_confirmations : undefined),
);

export const bitcoinGetBlockHeaders = bitcoinMethod<{
  readonly start_height: number;
  readonly end_height: Opt<number>;
}>({ start_height: IDL.Nat32, end_height: IDL.Opt(IDL.Nat32) }, ({ start_height: start, end_height: [end] }) => {
  if (end === undefined || start <= end) return undefined;
  const sentence = `The requested start height is larger than the requested end height. start height: ${start}, end height: ${end}`;
  return userError(ErrorCode.CanisterRejectedMessage, sentence);
});

export const bitcoinGetFeePercentiles = bitcoinMethod({}, () => undefined);

export const bitcoinSendTransaction = bitcoinMethod({ transaction: Blob }, () => undefined);

function checkConfirmations(asked: number | undefined): UserError | undefined {
  if (asked === undefined || asked <= MAX_BITCOIN_CONFIRMATIONS) return undefined;
  const sentence = `The requested min_confirmations is too large. Given: ${asked}, max supported: ${MAX_BITCOIN_CONFIRMATIONS}`;
  return userError(ErrorCode.CanisterRejectedMessage, sentence);
}
