// The crypto port of Node: OpenSSL where it is fast, libsecp256k1 for its curve, mcl for pairings, WebAssembly of our own for
// many Ed25519 signatures at once; what cannot be loaded on this machine is replaced by plain JavaScript, with the same
// answer for every input.
// Heavy parts load when they are first needed, except mcl, whose start is the one asynchronous step.
import {
  createPrivateKey,
  createPublicKey,
  hash as hashOnce,
  type KeyObject,
  sign,
  verify as verifyOnce,
} from "node:crypto";
import { createRequire } from "node:module";
import { parsePublicKey, rawPublicKey } from "@atoll/crypto";
import { Ed25519Verifier, type RawSignature } from "@atoll/crypto/ed25519/verifier";
import type { BlsPort, CryptoPort, SignatureAlgorithm, SignedMessage } from "@atoll/types";
import type * as Mcl from "mcl-wasm";
import { createMclBls } from "./mcl-bls.ts";

const require = createRequire(import.meta.url);

/** Key objects kept, by their DER: importing a key costs as much as a tenth of a verification. */
const KEPT_KEYS = 4096;

export async function createNodeCrypto(): Promise<CryptoPort> {
  const bls = await createBls();
  const publicKeys = new Map<string, KeyObject>();
  const privateKeys = new Map<string, KeyObject>();
  return {
    sha256,
    sha224,
    verify(algorithm, publicKeyDer, message, signature) {
      if (algorithm === "secp256k1") return verifySecp256k1(publicKeyDer, message, signature);
      const key = kept(publicKeys, publicKeyDer, () => importPublicKey(algorithm, publicKeyDer));
      if (key === undefined) return false;
      if (verifyWithOpenSsl(algorithm, key, message, signature)) return true;
      // OpenSSL refuses some that the rule takes, and takes none that the rule refuses.
      return algorithm === "ed25519" && verifyAllEd25519([{ publicKeyDer, message, signature }]);
    },
    verifyAllEd25519,
    signEd25519: (seed, message) => plainBytes(sign(null, message, importSeed(privateKeys, seed))),
    // As a JWK it costs two thirds of what a public key object and its DER do; a network of tests has dozens of nodes.
    ed25519PublicKey: (seed) =>
      plainBytes(Buffer.from(importSeed(privateKeys, seed).export({ format: "jwk" }).x as string, "base64url")),
    bls,
  };
}

// A one-byte string is made much faster than a Buffer, and small inputs are what we hash most.
export function sha256(data: Uint8Array): Uint8Array {
  return fromLatin1(hashOnce("sha256", data, "latin1"), 32);
}

function sha224(data: Uint8Array): Uint8Array {
  return fromLatin1(hashOnce("sha224", data, "latin1"), 28);
}

function fromLatin1(text: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// A Buffer would go on behaving like one wherever it ends up.
function plainBytes(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer);
}

function kept<T>(keys: Map<string, T>, bytes: Uint8Array, make: () => T | undefined): T | undefined {
  const name = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  const known = keys.get(name);
  if (known !== undefined) return known;
  const made = make();
  if (made === undefined) return undefined;
  if (keys.size >= KEPT_KEYS) keys.clear();
  keys.set(name, made);
  return made;
}

function importPublicKey(algorithm: SignatureAlgorithm, der: Uint8Array): KeyObject | undefined {
  const parsed = parsePublicKey(der);
  if (!parsed.ok || parsed.key.kind !== "plain" || parsed.key.algorithm !== algorithm) return undefined;
  try {
    return createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
  } catch {
    return undefined;
  }
}

const OPENSSL_TYPES: Partial<Record<string, SignatureAlgorithm>> = {
  ed25519: "ed25519",
  ec: "p256",
  rsa: "rsa-pkcs1-sha256",
};

function verifyWithOpenSsl(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  // The key was kept under its DER, maybe for another algorithm.
  if (OPENSSL_TYPES[key.asymmetricKeyType as string] !== algorithm) return false;
  try {
    if (algorithm === "rsa-pkcs1-sha256") return verifyOnce("sha256", message, key, signature);
    if (signature.length !== 64) return false;
    if (algorithm === "ed25519") return verifyOnce(null, message, key, signature);
    return verifyOnce("sha256", message, { key, dsaEncoding: "ieee-p1363" }, signature);
  } catch {
    return false;
  }
}

let ed25519Verifier: Ed25519Verifier | undefined;

function verifyAllEd25519(signed: readonly SignedMessage[]): boolean {
  const signatures: RawSignature[] = [];
  for (const { publicKeyDer, message, signature } of signed) {
    const publicKey = rawEd25519Key(publicKeyDer);
    if (publicKey === undefined) return false;
    signatures.push({ publicKey, message, signature });
  }
  ed25519Verifier ??= new Ed25519Verifier((data) => fromLatin1(hashOnce("sha512", data, "latin1"), 64));
  return ed25519Verifier.verifyAll(signatures);
}

function rawEd25519Key(der: Uint8Array): Uint8Array | undefined {
  const parsed = parsePublicKey(der);
  if (!parsed.ok || parsed.key.kind !== "plain" || parsed.key.algorithm !== "ed25519") return undefined;
  return rawPublicKey(der);
}

/** PKCS #8 before an Ed25519 seed (RFC 8410, section 7). */
const SEED_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

function importSeed(privateKeys: Map<string, KeyObject>, seed: Uint8Array): KeyObject {
  if (seed.length !== 32) throw new RangeError("an Ed25519 seed has 32 bytes");
  const make = () => createPrivateKey({ key: Buffer.concat([SEED_PREFIX, seed]), format: "der", type: "pkcs8" });
  return kept(privateKeys, seed, make) as KeyObject;
}

type Verifier = (publicKeyDer: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;

let secp256k1Verifier: Verifier | undefined;

function verifySecp256k1(publicKeyDer: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  secp256k1Verifier ??= nativeSecp256k1() ?? universalSecp256k1();
  return secp256k1Verifier(publicKeyDer, message, signature);
}

/** The part of the package `secp256k1` that is used. */
interface Secp256k1 {
  ecdsaVerify(signature: Uint8Array, messageHash: Uint8Array, publicKey: Uint8Array): boolean;
}

// The package's main entry would silently fall back to slow JavaScript; its native half alone fails where it must.
// libsecp256k1 refuses a high s by itself, as the replica does.
function nativeSecp256k1(): Verifier | undefined {
  let addon: Secp256k1;
  try {
    addon = require("secp256k1/bindings.js");
  } catch {
    return undefined;
  }
  return (publicKeyDer, message, signature) => {
    const parsed = parsePublicKey(publicKeyDer);
    if (!parsed.ok || parsed.key.kind !== "plain" || parsed.key.algorithm !== "secp256k1") return false;
    if (signature.length !== 64) return false;
    try {
      return addon.ecdsaVerify(signature, sha256(message), rawPublicKey(publicKeyDer) as Uint8Array);
    } catch {
      return false;
    }
  };
}

function universalSecp256k1(): Verifier {
  const { universalVerify } = universal();
  return (publicKeyDer, message, signature) => universalVerify("secp256k1", publicKeyDer, message, signature);
}

function universal(): typeof import("@atoll/crypto/universal-port") {
  return require("@atoll/crypto/universal-port");
}

async function createBls(): Promise<BlsPort> {
  try {
    return await createMclBls(require("mcl-wasm") as typeof Mcl);
  } catch {
    return universal().createUniversalCrypto().bls;
  }
}
