// Who a test speaks as and of. Anything that names a principal is taken: a `Principal`, its text, an identity or a
// canister of the kit. Named identities are drawn from their names, so that "alice" is the same principal in every
// test and every run. Interface specification, "Principals".
import { ed25519KeyToDer, selfAuthenticatingId } from "@atoll/crypto";
import {
  type CryptoPort,
  type PrincipalId,
  principalFromBytes,
  principalFromText,
  principalToBytes,
} from "@atoll/types";
import { Principal } from "@icp-sdk/core/principal";

/** A principal, its text form, or what has one: an identity, a canister. */
export type PrincipalLike = Principal | string | { readonly principal: Principal } | { getPrincipal(): Principal };

/** A user of a test. `Ed25519KeyIdentity.generate(identity.seed)` of @icp-sdk/core signs as the same principal. */
export interface TestIdentity {
  readonly name: string;
  readonly principal: Principal;
  /** 32 bytes: the Ed25519 secret key. */
  readonly seed: Uint8Array;
}

/** Throws TypeError for text that is not a principal. */
export function idOf(who: PrincipalLike): PrincipalId {
  if (typeof who === "string") {
    const id = principalFromText(who);
    if (id === undefined) {
      const text = JSON.stringify(who);
      throw new TypeError(`${text} is not the text of a principal; a user of that name is network.identity(${text})`);
    }
    return id;
  }
  if ("getPrincipal" in who) return principalFromBytes(who.getPrincipal().toUint8Array());
  if ("principal" in who) return principalFromBytes(who.principal.toUint8Array());
  return principalFromBytes(who.toUint8Array());
}

export function toPrincipal(id: PrincipalId): Principal {
  return Principal.fromUint8Array(principalToBytes(id));
}

const encoder = new TextEncoder();

/** The same for the same name, on every machine. */
export function namedIdentity(name: string, crypto: CryptoPort): TestIdentity {
  const seed = crypto.sha256(encoder.encode(`identity of a test: ${name}`));
  const key = ed25519KeyToDer(crypto.ed25519PublicKey(seed));
  return { name, seed, principal: toPrincipal(selfAuthenticatingId(key, crypto.sha224)) };
}
