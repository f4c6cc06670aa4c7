// An identity whose signatures a canister makes, as identity providers on the network do: the hash of the message
// goes into a tree, the root of the tree into the canister's certified data, and the signature is the certificate
// and the tree. Everything by the client library's public functions. Interface specification, "Canister signatures".
import {
  Cbor,
  type DerEncodedPublicKey,
  type HttpAgent,
  type PublicKey,
  reconstruct,
  type Signature,
  SignIdentity,
  wrapDER,
} from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import { sha256 } from "@noble/hashes/sha2.js";
import { query, update } from "./network.ts";

/** SEQUENCE { OBJECT IDENTIFIER 1.3.6.1.4.1.56387.1.2 } */
const CANISTER_SIGNATURE_OID = Uint8Array.of(0x30, 12, 6, 10, 0x2b, 6, 1, 4, 1, 0x83, 0xb8, 0x43, 1, 2);
const BLOB = IDL.Vec(IDL.Nat8);

export class CanisterIdentity extends SignIdentity {
  readonly #agent: HttpAgent;
  readonly #signer: Principal;
  readonly #seed: Uint8Array;

  /** `signer` runs the Motoko canister `certified`. */
  constructor(agent: HttpAgent, signer: Principal, seed: Uint8Array) {
    super();
    this.#agent = agent;
    this.#signer = signer;
    this.#seed = seed;
  }

  getPublicKey(): PublicKey {
    const id = this.#signer.toUint8Array();
    const der = wrapDER(Uint8Array.of(id.length, ...id, ...this.#seed), CANISTER_SIGNATURE_OID);
    return { toDer: () => der as DerEncodedPublicKey };
  }

  async sign(message: Uint8Array): Promise<Signature> {
    const leaf = [3, new Uint8Array()];
    const tree = [2, new TextEncoder().encode("sig"), [2, sha256(this.#seed), [2, sha256(message), leaf]]];
    const root = await reconstruct(tree as never);
    await update(this.#agent, this.#signer, "set", [[BLOB], [root]]);
    const answer = IDL.Record({ data: BLOB, certificate: IDL.Opt(BLOB) });
    const { certificate } = await query<{ certificate: [Uint8Array] }>(this.#agent, this.#signer, "get", undefined, [
      answer,
    ]);
    return Cbor.encode({ certificate: Uint8Array.from(certificate[0]), tree }) as unknown as Signature;
  }
}
