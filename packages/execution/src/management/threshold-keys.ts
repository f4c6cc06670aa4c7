// Keys that a subnet holds together: ECDSA, Schnorr, vetKD. This version has none. What is asked is checked all the
// same, as the replica does: the argument, whether there could be such a key, the fee; only then it says that it
// cannot. Specification, "IC method ecdsa_public_key" and those after it; checklist 4.7.
import { ErrorCode, MAX_DERIVATION_PATH, principalToText, type UserError, userError } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { type Decoded, decodeArgument, type Opt, tooManyElements, undecodable } from "./candid-argument.ts";
import { feeError } from "./http-request.ts";
import { failed } from "./managed-canister.ts";
import type { ManagementCall, ManagementMethod } from "./method.ts";
import { unavailable } from "./not-available.ts";

const Blob = IDL.Vec(IDL.Nat8);
const Path = IDL.Vec(Blob);
const Caller = IDL.Opt(IDL.Principal);
const keyId = (curve: "curve" | "algorithm", names: readonly string[]): IDL.Type =>
  IDL.Record({ [curve]: IDL.Variant(Object.fromEntries(names.map((name) => [name, IDL.Null]))), name: IDL.Text });
const EcdsaKey = keyId("curve", ["secp256k1"]);
const SchnorrKey = keyId("algorithm", ["bip340secp256k1", "ed25519"]);
const VetkdKey = keyId("curve", ["bls12_381_g2"]);
const Aux = IDL.Opt(IDL.Variant({ bip341: IDL.Record({ merkle_root_hash: Blob }) }));

/** All fields that one of the six methods has. */
export interface KeyArg {
  readonly key_id: { readonly name: string } & Readonly<Record<string, unknown>>;
  readonly derivation_path?: readonly Uint8Array[];
  readonly message_hash?: Uint8Array;
  readonly aux?: Opt<{ readonly bip341: { readonly merkle_root_hash: Uint8Array } }>;
  readonly transport_public_key?: Uint8Array;
}

interface KeyMethod {
  readonly name: string;
  readonly takes: IDL.Type;
  /** Signing and deriving cost cycles, and their argument may not be empty. */
  readonly charged?: { readonly whenEmpty: string };
}

const SIGNING = { whenEmpty: "An empty message cannot be signed" };

export const ecdsaKeys = methods([
  { name: "ecdsa_public_key", takes: record({ canister_id: Caller, derivation_path: Path, key_id: EcdsaKey }) },
  {
    name: "sign_with_ecdsa",
    takes: record({ message_hash: Blob, derivation_path: Path, key_id: EcdsaKey }),
    charged: SIGNING,
  },
]);

export const schnorrKeys = methods([
  { name: "schnorr_public_key", takes: record({ canister_id: Caller, derivation_path: Path, key_id: SchnorrKey }) },
  {
    name: "sign_with_schnorr",
    takes: record({ message: Blob, derivation_path: Path, key_id: SchnorrKey, aux: Aux }),
    charged: SIGNING,
  },
]);

export const vetkdKeys = methods([
  { name: "vetkd_public_key", takes: record({ canister_id: Caller, context: Blob, key_id: VetkdKey }) },
  {
    name: "vetkd_derive_key",
    takes: record({ input: Blob, context: Blob, transport_public_key: Blob, key_id: VetkdKey }),
    charged: { whenEmpty: "Message payload empty" },
  },
]);

function record(fields: Record<string, IDL.Type>): IDL.Type {
  return IDL.Record(fields);
}

function methods(all: readonly KeyMethod[]): Record<string, ManagementMethod> {
  return Object.fromEntries(
    all.map((each) => [
      each.name,
      { open: "canisters", takes: each.takes, run: (call: ManagementCall) => failed(refusal(call, each)) },
    ]),
  );
}

function refusal(call: ManagementCall, { name, takes, charged }: KeyMethod): UserError {
  if (charged !== undefined && call.arg.length === 0) return rejected(charged.whenEmpty);
  const decoded = decodeKeyArg(takes, call.arg);
  if (!decoded.ok) return decoded.error;
  const arg = decoded.value;
  const fee = call.round.fees.signature(arg.key_id.name);
  if (fee === undefined) {
    const subnet = principalToText(call.round.state.config.subnetId);
    return rejected(`Subnet ${subnet} does not hold threshold key ${keyText(arg.key_id)}.`);
  }
  const wrong = checkAux(arg) ?? checkTransportKey(arg);
  if (wrong !== undefined) return wrong;
  return charged !== undefined && call.payment < fee ? feeError(name, call.payment, fee) : unavailable(name);
}

function decodeKeyArg(type: IDL.Type, bytes: Uint8Array): Decoded<KeyArg> {
  const decoded = decodeArgument<KeyArg>(type, bytes);
  if (!decoded.ok) return decoded;
  const { derivation_path: path = [], message_hash: hash, transport_public_key: transport } = decoded.value;
  if (path.length > MAX_DERIVATION_PATH) return tooManyElements(MAX_DERIVATION_PATH);
  if (hash !== undefined && hash.length !== 32) return undecodable("message_hash must have 32 bytes");
  if (transport !== undefined && transport.length !== 48) return undecodable("transport_public_key must have 48 bytes");
  return decoded;
}

const SPELLED: Readonly<Record<string, string>> = {
  secp256k1: "ecdsa:Secp256k1",
  bip340secp256k1: "schnorr:Bip340Secp256k1",
  ed25519: "schnorr:Ed25519",
  bls12_381_g2: "vetkd:Bls12_381_G2",
};

export function keyText(id: KeyArg["key_id"]): string {
  return `${SPELLED[kindOf(id)]}:${id.name}`;
}

function kindOf({ curve, algorithm }: KeyArg["key_id"]): string {
  return Object.keys((curve ?? algorithm) as object)[0] ?? "";
}

function checkAux({ aux, key_id }: KeyArg): UserError | undefined {
  const [given] = aux ?? [];
  if (given === undefined) return undefined;
  if (kindOf(key_id) !== "bip340secp256k1") return rejected("Schnorr algorithm Ed25519 does not support aux input");
  const { length } = given.bip341.merkle_root_hash;
  return length === 0 || length === 32 ? undefined : rejected("Invalid aux field for Bip340Secp256k1");
}

/** A compressed point of G1: the first bit says compressed, and only the point at infinity has the second one set. */
function checkTransportKey({ transport_public_key: key }: KeyArg): UserError | undefined {
  if (key === undefined || ((key[0] as number) & 0x80) !== 0) return undefined;
  return rejected("The provided transport public key is invalid.");
}

function rejected(sentence: string): UserError {
  return userError(ErrorCode.CanisterRejectedMessage, sentence);
}
