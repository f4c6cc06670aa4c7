// Builds hash trees and certificates for the tests, in a shape of its own (forks in the middle), so that the code
// under test meets trees that no replica of ours made.
import { encodeCertificate, encodeLeb128, type HashTree } from "@atoll/types";
import { signStateRoot } from "../src/certificate.ts";
import { reconstructRoot } from "../src/hash-tree.ts";
import { subnetKeyToDer } from "../src/subnet-key.ts";
import { createUniversalCrypto } from "../src/universal-port.ts";

export const crypto = createUniversalCrypto();
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

type Label = string | Uint8Array;
/** A leaf's path and value. */
export type Entry = readonly [readonly Label[], Uint8Array];

const toBytes = (label: Label): Uint8Array => (typeof label === "string" ? bytes(label) : label);

export function treeOf(entries: readonly Entry[]): HashTree {
  const [first] = entries;
  if (first === undefined) return { kind: "empty" };
  if (first[0].length === 0) return { kind: "leaf", value: first[1] };
  const groups = new Map<string, Entry[]>();
  for (const [path, value] of entries) {
    const name = Buffer.from(toBytes(path[0] as Label)).toString("hex");
    groups.set(name, [...(groups.get(name) ?? []), [path.slice(1), value]]);
  }
  const names = [...groups.keys()].sort();
  return forks(
    names.map((name) => ({
      kind: "labeled",
      label: new Uint8Array(Buffer.from(name, "hex")),
      child: treeOf(groups.get(name) as Entry[]),
    })),
  );
}

function forks(nodes: HashTree[]): HashTree {
  if (nodes.length === 1) return nodes[0] as HashTree;
  const middle = nodes.length >> 1;
  return { kind: "fork", left: forks(nodes.slice(0, middle)), right: forks(nodes.slice(middle)) };
}

const secretOf = (n: number): Uint8Array => new Uint8Array(32).fill(n);
export const keyOf = (n: number): Uint8Array => subnetKeyToDer(crypto.bls.publicKey(secretOf(n)));

export interface Delegated {
  readonly subnetId: Uint8Array;
  readonly certificate: Uint8Array;
}

/** A certificate over `entries` and `/time`, signed by the subnet whose secret is `secretOf(signer)`. */
export function certify(signer: number, entries: readonly Entry[], delegation?: Delegated, time = 1n): Uint8Array {
  const tree = treeOf([[["time"], encodeLeb128(time)], ...entries]);
  const signature = signStateRoot(reconstructRoot(tree, crypto.sha256), secretOf(signer), crypto.bls);
  return encodeCertificate({ tree, signature, ...(delegation && { delegation }) });
}
