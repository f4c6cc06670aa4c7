// Web authentication without a browser: a key in software behind `navigator.credentials`, so that the client
// library's own WebAuthnIdentity can be used as it is. COSE keys are written byte by byte as authenticators do
// (RFC 9053), signatures are what each kind of authenticator gives: DER for P-256, raw for RSA and Ed25519.
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { WebAuthnIdentity } from "@icp-sdk/core/identity";

export type CoseAlgorithm = "P-256" | "RSA" | "Ed25519";

interface Authenticator {
  readonly cose: Uint8Array;
  sign(data: Uint8Array): Uint8Array;
}

const keys = new Map<string, Authenticator>();

/** A new identity whose key `navigator.credentials.get` knows by its raw id. */
export function webAuthnIdentity(algorithm: CoseAlgorithm): WebAuthnIdentity {
  Object.defineProperty(navigator, "credentials", { value: { get: getCredential }, configurable: true });
  const authenticator = newAuthenticator(algorithm);
  const rawId = Buffer.from(`credential ${keys.size}`);
  keys.set(rawId.toString("hex"), authenticator);
  return new WebAuthnIdentity(rawId, authenticator.cose, undefined);
}

interface CredentialRequest {
  readonly publicKey: { readonly challenge: Uint8Array; readonly allowCredentials: readonly { id: Uint8Array }[] };
}

async function getCredential({ publicKey: { challenge, allowCredentials } }: CredentialRequest) {
  const key = keys.get(Buffer.from(allowCredentials[0]?.id ?? []).toString("hex"));
  if (key === undefined) throw new Error("no such credential");
  const clientDataJSON = Buffer.from(
    JSON.stringify({
      type: "webauthn.get",
      challenge: Buffer.from(challenge).toString("base64url"),
      origin: "http://localhost:8000",
      crossOrigin: false,
    }),
  );
  // Hash of the relying party's id, flags (user present, user verified), signature counter.
  const authenticatorData = Buffer.concat([hash(Buffer.from("localhost")), Buffer.of(5, 0, 0, 0, 1)]);
  const signature = key.sign(Buffer.concat([authenticatorData, hash(clientDataJSON)]));
  const response = {
    clientDataJSON: bufferOf(clientDataJSON),
    authenticatorData: bufferOf(authenticatorData),
    signature: bufferOf(signature),
  };
  return { authenticatorAttachment: "platform", response };
}

function newAuthenticator(algorithm: CoseAlgorithm): Authenticator {
  switch (algorithm) {
    case "P-256": {
      const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      // {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y}
      const cose = join(
        [0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32],
        part(publicKey, "x"),
        [0x22, 0x58, 32],
        part(publicKey, "y"),
      );
      return { cose, sign: (data) => sign("sha256", data, privateKey) };
    }
    case "RSA": {
      const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
      // {1: 3 (RSA), 3: -257 (RS256), -1: n, -2: e}
      const cose = join(
        [0xa4, 1, 3, 3, 0x39, 1, 0, 0x20, 0x59, 1, 0],
        part(publicKey, "n"),
        [0x21, 0x43],
        part(publicKey, "e"),
      );
      return { cose, sign: (data) => sign("sha256", data, privateKey) };
    }
    case "Ed25519": {
      const { privateKey, publicKey } = generateKeyPairSync("ed25519");
      // {1: 1 (OKP), 3: -8 (EdDSA), -1: 6 (Ed25519), -2: x}
      return {
        cose: join([0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 32], part(publicKey, "x")),
        sign: (data) => sign(null, data, privateKey),
      };
    }
  }
}

function part(key: KeyObject, name: "x" | "y" | "n" | "e"): Uint8Array {
  return Buffer.from(key.export({ format: "jwk" })[name] as string, "base64url");
}

function join(...parts: (Uint8Array | readonly number[])[]): Uint8Array {
  return new Uint8Array(parts.flatMap((bytes) => [...bytes]));
}

function hash(data: Uint8Array): Buffer {
  return createHash("sha256").update(data).digest();
}

/** Browsers give buffers, not views. */
function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
