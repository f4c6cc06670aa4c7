// The certificate by which a node is known to its peers on TLS connections: self-signed X.509 (RFC 5280) with the node's
// own Ed25519 key (RFC 8410). Nobody looks at anything in it but the key, which must be the one that the registry has;
// all else is the same for every node and every start. Section 21.1.
import { createPrivateKey, createPublicKey, type KeyObject, sign, type X509Certificate } from "node:crypto";
import { ed25519KeyToDer, writeElement } from "@atoll/crypto";

export interface NodeCertificate {
  /** PEM, as node:tls takes them. */
  readonly key: string;
  readonly certificate: string;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** `seed`: the node's Ed25519 seed, 32 bytes. */
export function nodeCertificate(seed: Uint8Array): NodeCertificate {
  if (seed.length !== 32) throw new RangeError("an Ed25519 seed has 32 bytes");
  const privateKey = createPrivateKey({
    key: Buffer.concat([PKCS8_ED25519, seed]),
    format: "der",
    type: "pkcs8",
  });
  const publicKey = rawKey(createPublicKey(privateKey));
  const content = certificateContent(publicKey);
  const signature = sign(null, content, privateKey);
  const der = sequence(content, ALGORITHM, writeElement(BIT_STRING, [0, ...signature]));
  const base64 = Buffer.from(der).toString("base64").replace(/.{64}/g, "$&\n");
  return {
    key: privateKey.export({ format: "pem", type: "pkcs8" }) as string,
    certificate: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    publicKey,
  };
}

/** The Ed25519 key in a certificate, 32 bytes; undefined: it has another kind of key. */
export function certifiedKey(certificate: X509Certificate): Uint8Array | undefined {
  try {
    const key = certificate.publicKey;
    return key.asymmetricKeyType === "ed25519" ? rawKey(key) : undefined;
  } catch {
    return undefined;
  }
}

function rawKey(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ format: "der", type: "spki" }).subarray(-32));
}

const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OBJECT_IDENTIFIER = 0x06;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const SEQUENCE = 0x30;
const SET = 0x31;
const VERSION = 0xa0;

/** A PrivateKeyInfo up to the seed. */
const PKCS8_ED25519 = Buffer.from("302e020100300506032b657004220420", "hex");
/** 1.3.101.112 */
const ALGORITHM = sequence(writeElement(OBJECT_IDENTIFIER, [0x2b, 0x65, 0x70]));
/** 2.5.4.3 */
const COMMON_NAME = writeElement(OBJECT_IDENTIFIER, [0x55, 0x04, 0x03]);

function certificateContent(publicKey: Uint8Array): Uint8Array {
  const name = sequence(writeElement(SET, sequence(COMMON_NAME, text(UTF8_STRING, "atoll node"))));
  // The registry says how long a key is good; RFC 5280, 4.1.2.5, has this end for certificates that say nothing of it.
  const validity = sequence(text(UTC_TIME, "200101000000Z"), text(GENERALIZED_TIME, "99991231235959Z"));
  const version3 = writeElement(VERSION, writeElement(INTEGER, [2]));
  const serial = writeElement(INTEGER, [1]);
  return sequence(version3, serial, ALGORITHM, name, validity, name, ed25519KeyToDer(publicKey));
}

function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return writeElement(SEQUENCE, Buffer.concat(parts));
}

function text(tag: number, content: string): Uint8Array {
  return writeElement(tag, Buffer.from(content, "latin1"));
}
