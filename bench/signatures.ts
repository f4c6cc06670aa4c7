// What a user's Ed25519 signature costs a node that verifies many together, by batch size, and by whether keys were seen before.
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { createNodeCrypto } from "@atoll/host-node";
import { type CryptoPort, invariant, type SignedMessage } from "@atoll/types";
import { ed25519Verification, median, ownCpu, type Row, spread } from "./measure.ts";

/** More than the port keeps, so that going round them always meets new ones. */
const KEYS = 2304;
const SIZES = [16, 64, 256] as const;

export async function benchSignatures({ short }: { readonly short: boolean }): Promise<readonly Row[]> {
  const port = await createNodeCrypto();
  const [windows, milliseconds] = short ? [1, 5] : [9, 150];
  const fresh = signatures(short ? 256 : KEYS);
  const known = fresh.slice(0, 256);
  const repeated = [...signatures(256, 64)];
  const wrong = fresh.slice(0, 16).map((one) => ({ ...one, message: randomBytes(43) }));
  const single = (list: readonly SignedMessage[]) => () => {
    for (const { publicKeyDer, message, signature } of list) port.verify("ed25519", publicKeyDer, message, signature);
    return list.length;
  };
  const parts = {
    ...Object.fromEntries(SIZES.map((size) => [`${size} with known keys`, batches(port, known, size)])),
    ...Object.fromEntries(SIZES.map((size) => [`${size} with new keys`, batches(port, fresh, size)])),
    "64 keys, 256 signatures": batches(port, repeated, 256),
    "one of ours alone": batches(port, known, 1),
    "one wrong signature, refused": single(wrong),
  };
  const taken = Object.entries(parts).map(([name, run]) => ({ name, run, ratios: [] as number[] }));
  // The engine has compiled everything with its best compiler after a few batches.
  for (const { run } of taken) measure(run, milliseconds);
  for (let i = 0; i < windows; i++) {
    for (const { run, ratios } of taken) {
      const before = ed25519Verification(milliseconds);
      const ours = measure(run, milliseconds);
      ratios.push(ours / ((before + ed25519Verification(milliseconds)) / 2));
    }
  }
  const row = taken.find(({ name }) => name === "64 with new keys");
  return [
    {
      name: "signatures",
      what: "one of 64 Ed25519 signatures that are verified together, of 64 users who were not seen before",
      baseline: "one Ed25519 verification",
      ...spread(row?.ratios ?? []),
      goal: 0.45,
      laterGoal: 0.25,
      notes: taken.filter((one) => one !== row).map(({ name, ratios }) => `${name}: ${median(ratios).toFixed(2)}`),
    },
  ];
}

function signatures(count: number, keys = count): SignedMessage[] {
  const pairs = Array.from({ length: keys }, () => generateKeyPairSync("ed25519"));
  return Array.from({ length: count }, (_, i) => {
    const { publicKey, privateKey } = pairs[i % keys] as (typeof pairs)[0];
    const message = new Uint8Array(randomBytes(43));
    const publicKeyDer = new Uint8Array(publicKey.export({ format: "der", type: "spki" }));
    return { publicKeyDer, message, signature: new Uint8Array(sign(null, message, privateKey)) };
  });
}

/** Verifies the next batch each time; says how many signatures it had. */
function batches(port: CryptoPort, list: readonly SignedMessage[], size: number): () => number {
  let at = 0;
  return () => {
    invariant(port.verifyAllEd25519(list.slice(at, at + size)), "a good signature was refused");
    at = at + 2 * size > list.length ? 0 : at + size;
    return size;
  };
}

/** Microseconds of CPU for each signature. */
function measure(run: () => number, milliseconds: number): number {
  const before = ownCpu();
  let count = 0;
  while (ownCpu() - before < milliseconds * 1000) count += run();
  return (ownCpu() - before) / count;
}
