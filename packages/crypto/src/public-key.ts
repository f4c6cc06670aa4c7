// Public keys of users (interface specification, "Signatures"): always a DER SubjectPublicKeyInfo, whose algorithm
// says how signatures by it look. Keys are compared and hashed as bytes, so only the one canonical encoding counts.
import {
  type CanisterId,
  type CborMap,
  MAX_PRINCIPAL_BYTES,
  principalFromBytes,
  type SignatureAlgorithm,
  toHex,
  tryDecodeCbor,
} from "@atoll/types";
import { readPublicKeyInfo, readTwoIntegers, writePublicKeyInfo, writeTwoIntegers } from "./der.ts";
import { concatBytes } from "./domain.ts";

export type PublicKey =
  /** Signs the bytes themselves. Plain RSA may sign delegations only. */
  | { readonly kind: "plain"; readonly algorithm: SignatureAlgorithm; readonly der: Uint8Array }
  /** A COSE key behind web authentication. `der` is the key in its usual SubjectPublicKeyInfo. */
  | { readonly kind: "webauthn"; readonly algorithm: SignatureAlgorithm; readonly der: Uint8Array }
  /** A canister "signs" by putting the message into its certified data. */
  | { readonly kind: "canister"; readonly canisterId: CanisterId; readonly seed: Uint8Array };

export type PublicKeyResult =
  | { readonly ok: true; readonly key: PublicKey }
  | { readonly ok: false; readonly error: string };

/** Contents of AlgorithmIdentifier: an object identifier and, for some, parameters. */
const ED25519 = Uint8Array.of(0x06, 0x03, 0x2b, 0x65, 0x70);
const EC = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256 = Uint8Array.of(...EC, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07);
const SECP256K1 = Uint8Array.of(...EC, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a);
const RSA = Uint8Array.of(0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00);
const DFINITY = [0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xb8, 0x43, 0x01];
const COSE = Uint8Array.of(...DFINITY, 0x01);
const CANISTER_SIGNATURE = Uint8Array.of(...DFINITY, 0x02);

const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 8192;
/** Above this a public exponent only costs time. */
const MAX_RSA_EXPONENT_BYTES = 4;

/** Parses the DER of any supported key. Whether a curve point lies on its curve is found out when it verifies. */
export function parsePublicKey(der: Uint8Array): PublicKeyResult {
  const info = readPublicKeyInfo(der);
  if (info === undefined) return malformed("Unspecified", der, "Error in DER encoding");
  const { algorithm, key } = info;
  switch (toHex(algorithm)) {
    case HEX_ED25519:
      return key.length === 32 ? plain("ed25519", der) : malformed("Ed25519", der, "a key has 32 bytes");
    case HEX_P256:
      return isUncompressed(key) ? plain("p256", der) : malformed("EcdsaP256", der, "not an uncompressed point");
    case HEX_SECP256K1:
      if (isUncompressed(key)) return plain("secp256k1", der);
      return malformed("EcdsaSecp256k1", der, "not an uncompressed point");
    case HEX_RSA: {
      const error = checkRsaKey(key);
      return error === undefined ? plain("rsa-pkcs1-sha256", der) : malformed("RsaSha256", der, error);
    }
    case HEX_COSE:
      return parseCoseKey(key);
    case HEX_CANISTER_SIGNATURE:
      return parseCanisterKey(key);
    default:
      return malformed("Unspecified", der, "Unsupported or unparsable public key");
  }
}

const HEX_ED25519 = toHex(ED25519);
const HEX_P256 = toHex(P256);
const HEX_SECP256K1 = toHex(SECP256K1);
const HEX_RSA = toHex(RSA);
const HEX_COSE = toHex(COSE);
const HEX_CANISTER_SIGNATURE = toHex(CANISTER_SIGNATURE);

/** DER of a raw Ed25519 key (32 bytes): 44 bytes. */
export function ed25519KeyToDer(key: Uint8Array): Uint8Array {
  if (key.length !== 32) throw new RangeError("an Ed25519 public key has 32 bytes");
  return writePublicKeyInfo(ED25519, key);
}

/** DER of an uncompressed curve point (65 bytes). */
export function ecdsaKeyToDer(algorithm: "p256" | "secp256k1", point: Uint8Array): Uint8Array {
  if (!isUncompressed(point)) throw new RangeError("not an uncompressed curve point");
  return writePublicKeyInfo(algorithm === "p256" ? P256 : SECP256K1, point);
}

/** DER of a key for which `canisterId` signs; `seed` tells the canister which of its users it is. */
export function canisterKeyToDer(canisterId: Uint8Array, seed: Uint8Array): Uint8Array {
  return writePublicKeyInfo(CANISTER_SIGNATURE, concatBytes(Uint8Array.of(canisterId.length), canisterId, seed));
}

/** DER around a COSE key (RFC 8152), as web authentication hands it out. */
export function coseKeyToDer(cose: Uint8Array): Uint8Array {
  return writePublicKeyInfo(COSE, cose);
}

/** The key's own bytes inside a plain key: 32 (Ed25519), 65 (curve point), or a DER sequence (RSA). */
export function rawPublicKey(der: Uint8Array): Uint8Array | undefined {
  return readPublicKeyInfo(der)?.key;
}

function plain(algorithm: SignatureAlgorithm, der: Uint8Array): PublicKeyResult {
  return { ok: true, key: { kind: "plain", algorithm, der } };
}

function malformed(algorithm: string, key: Uint8Array, error: string): PublicKeyResult {
  return { ok: false, error: `Malformed ${algorithm} public key: ${toHex(key)}, error: ${error}` };
}

function isUncompressed(point: Uint8Array): boolean {
  return point.length === 65 && point[0] === 4;
}

function checkRsaKey(der: Uint8Array): string | undefined {
  const integers = readTwoIntegers(der);
  if (integers === undefined) return "not a sequence of modulus and exponent";
  const [modulus, exponent] = integers;
  if (((exponent.at(-1) as number) & 1) === 0 || exponent.length > MAX_RSA_EXPONENT_BYTES) {
    return "RSA public exponent is invalid";
  }
  if (exponent.length === 1 && (exponent[0] as number) < 3) return "RSA public exponent is invalid";
  if (((modulus.at(-1) as number) & 1) === 0) return "RSA public modulus is invalid";
  const bits = 8 * modulus.length - Math.clz32(modulus[0] as number) + 24;
  if (bits < MIN_RSA_BITS) return "RSA public key too small to accept";
  return bits > MAX_RSA_BITS ? "RSA public key too large to accept" : undefined;
}

function parseCanisterKey(key: Uint8Array): PublicKeyResult {
  const length = key[0];
  if (length === undefined || length > MAX_PRINCIPAL_BYTES || key.length < 1 + length) {
    return malformed("IcCanisterSignature", key, "invalid canister id");
  }
  const canisterId = principalFromBytes(key.subarray(1, 1 + length));
  return { ok: true, key: { kind: "canister", canisterId, seed: key.slice(1 + length) } };
}

/** Labels of COSE keys (RFC 8152, sections 7.1 and 13) and the three kinds of keys among them that are accepted. */
const KTY = 1;
const ALG = 3;
const KEY_OPS = 4;

function parseCoseKey(cose: Uint8Array): PublicKeyResult {
  const decoded = tryDecodeCbor(cose, { maxDepth: 4 });
  if (!decoded.ok || !(decoded.value instanceof Map)) return coseError("Unspecified", cose);
  const map = decoded.value;
  if (!map.has(KTY) || !map.has(ALG)) return coseError("Unspecified", cose);
  const keyOps = map.get(KEY_OPS);
  if (keyOps !== undefined && keyOps !== "verify") return unsupportedCose();
  const kty = map.get(KTY);
  const alg = map.get(ALG);
  if (kty === 2 && alg === -7) return parseCoseP256(map, cose);
  if (kty === 3 && alg === -257) return parseCoseRsa(map, cose);
  if (kty === 1 && alg === -8) return parseCoseEd25519(map, cose);
  return unsupportedCose();
}

function parseCoseP256(map: CborMap, cose: Uint8Array): PublicKeyResult {
  if (map.get(-1) !== 1) return unsupportedCose();
  const x = map.get(-2);
  const y = map.get(-3);
  if (!(x instanceof Uint8Array && y instanceof Uint8Array && x.length === 32 && y.length === 32)) {
    return coseError("EcdsaP256", cose);
  }
  return webauthn("p256", ecdsaKeyToDer("p256", concatBytes(Uint8Array.of(4), x, y)));
}

function parseCoseRsa(map: CborMap, cose: Uint8Array): PublicKeyResult {
  const modulus = map.get(-1);
  const exponent = map.get(-2);
  if (!(modulus instanceof Uint8Array && exponent instanceof Uint8Array)) return coseError("RsaSha256", cose);
  if (modulus.length === 0 || exponent.length === 0) return coseError("RsaSha256", cose);
  const key = writeTwoIntegers(modulus, exponent);
  return checkRsaKey(key) === undefined
    ? webauthn("rsa-pkcs1-sha256", writePublicKeyInfo(RSA, key))
    : coseError("RsaSha256", cose);
}

// Allowed since version 0.62 of the interface specification.
function parseCoseEd25519(map: CborMap, cose: Uint8Array): PublicKeyResult {
  if (map.get(-1) !== 6) return unsupportedCose();
  const x = map.get(-2);
  if (!(x instanceof Uint8Array && x.length === 32)) return coseError("Ed25519", cose);
  return webauthn("ed25519", ed25519KeyToDer(x));
}

function webauthn(algorithm: SignatureAlgorithm, der: Uint8Array): PublicKeyResult {
  return { ok: true, key: { kind: "webauthn", algorithm, der } };
}

function coseError(algorithm: string, cose: Uint8Array): PublicKeyResult {
  return malformed(algorithm, cose, "Failed to parse COSE public key");
}

function unsupportedCose(): PublicKeyResult {
  return { ok: false, error: "Algorithm Unspecified not supported: Algorithm not supported in COSE parser" };
}
