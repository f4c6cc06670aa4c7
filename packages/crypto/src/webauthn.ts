// Signatures by web authentication (interface specification, "Web Authentication"): the authenticator signs its own
// data and the hash of a JSON text, in which the bytes that we wanted signed stand as the "challenge".
import { type CryptoPort, type SignatureAlgorithm, toHex, tryDecodeCbor } from "@atoll/types";
import { ecdsaSignatureFromDer } from "./der.ts";
import { concatBytes, equalBytes } from "./domain.ts";

interface WebAuthnSignature {
  readonly authenticatorData: Uint8Array;
  readonly clientDataJson: Uint8Array;
  readonly signature: Uint8Array;
}

/** Undefined when `signature` (CBOR) is a good one over `message`; else what is wrong. */
export function verifyWebAuthn(
  algorithm: SignatureAlgorithm,
  publicKeyDer: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
  crypto: CryptoPort,
): string | undefined {
  const parsed = parseSignature(signature);
  if (typeof parsed === "string") return parsed;
  // ECDSA comes as DER here and only here; RSA and Ed25519 come as they are.
  const raw = algorithm === "p256" ? ecdsaSignatureFromDer(parsed.signature) : parsed.signature;
  if (raw === undefined) return `Failed to parse EcdsaP256 signature: ${toHex(parsed.signature)}`;
  const challenge = readChallenge(parsed.clientDataJson);
  if (typeof challenge === "string") return `WebAuthn envelope creation failed: ${challenge}`;
  const signed = concatBytes(parsed.authenticatorData, crypto.sha256(parsed.clientDataJson));
  if (!crypto.verify(algorithm, publicKeyDer, signed, raw)) {
    return `Verifying signature failed. signature: ${toHex(raw)}; public_key: ${toHex(publicKeyDer)}.`;
  }
  if (equalBytes(challenge, message)) return undefined;
  return `Challenge in webauthn is ${toHex(challenge)} while it is expected to be ${toHex(message)}`;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function parseSignature(bytes: Uint8Array): WebAuthnSignature | string {
  const decoded = tryDecodeCbor(bytes, { maxDepth: 4 });
  if (!decoded.ok) return `Signature CBOR parsing failed with: ${decoded.error}`;
  if (!(decoded.value instanceof Map)) return "Signature CBOR parsing failed with: not a map";
  const authenticatorData = decoded.value.get("authenticator_data");
  const json = decoded.value.get("client_data_json");
  const signature = decoded.value.get("signature");
  // The specification has text here; the replica takes bytes as well.
  const clientDataJson = typeof json === "string" ? encoder.encode(json) : json;
  if (
    !(
      authenticatorData instanceof Uint8Array &&
      clientDataJson instanceof Uint8Array &&
      signature instanceof Uint8Array
    )
  ) {
    return "Signature CBOR parsing failed with: missing field";
  }
  return { authenticatorData, clientDataJson, signature };
}

function readChallenge(clientDataJson: Uint8Array): Uint8Array | string {
  let data: unknown;
  try {
    data = JSON.parse(decoder.decode(clientDataJson));
  } catch {
    return "ClientDataJSON parsing failed with: not JSON";
  }
  const { type, challenge, origin } = (data ?? {}) as Record<string, unknown>;
  if (typeof type !== "string" || typeof challenge !== "string" || typeof origin !== "string") {
    return "ClientDataJSON parsing failed with: type, challenge and origin must be there";
  }
  return decodeBase64Url(challenge) ?? "Challenge base64url parsing failed";
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** Base64url without padding (RFC 4648, section 5); undefined unless it is the one encoding of some bytes. */
function decodeBase64Url(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4));
  let at = 0;
  let bits = 0;
  let value = 0;
  for (const char of text) {
    const digit = ALPHABET.indexOf(char);
    if (digit < 0) return undefined;
    value = ((value << 6) | digit) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = value >> bits;
  }
  return bits < 6 && (value & ((1 << bits) - 1)) === 0 ? bytes : undefined;
}
