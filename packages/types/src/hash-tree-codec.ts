// Hash trees and certificates as bytes (interface specification, "Encoding of certificates"): CBOR arrays that begin
// with the kind of the node, [0] empty, [1, left, right] fork, [2, label, subtree] labeled, [3, value] leaf,
// [4, hash] pruned. Certificates and trees come from canisters and other subnets: everything is bounded.
import { CborError, type CborMap, type CborValue, decodeCbor } from "./cbor.ts";
import { CborWriter, MAJOR, TAG_SELF_DESCRIBED } from "./cbor-writer.ts";
import type { Certificate, HashTree } from "./hash-tree.ts";
import { compareBytes } from "./request-id.ts";

/** Nodes below each other in a tree, as the replica allows. */
export const MAX_HASH_TREE_DEPTH = 128;

export function encodeHashTree(tree: HashTree): Uint8Array {
  const writer = new CborWriter();
  writer.head(MAJOR.tag, TAG_SELF_DESCRIBED);
  writeTree(writer, tree);
  return writer.take();
}

/** Throws CborError when the bytes are no hash tree; labels may be in any order, see `isWellFormed`. */
export function decodeHashTree(bytes: Uint8Array): HashTree {
  return hashTreeFromCbor(decodeCbor(bytes, { maxDepth: MAX_HASH_TREE_DEPTH + 1 }));
}

export function encodeCertificate(certificate: Certificate): Uint8Array {
  const { tree, signature, delegation } = certificate;
  const writer = new CborWriter();
  writer.head(MAJOR.tag, TAG_SELF_DESCRIBED);
  writer.head(MAJOR.map, delegation === undefined ? 2 : 3);
  writer.text("tree");
  writeTree(writer, tree);
  writer.text("signature");
  writer.bytes(signature);
  if (delegation !== undefined) {
    writer.text("delegation");
    writer.head(MAJOR.map, 2);
    writer.text("subnet_id");
    writer.bytes(delegation.subnetId);
    writer.text("certificate");
    writer.bytes(delegation.certificate);
  }
  return writer.take();
}

/** Throws CborError when the bytes are no certificate. Says nothing about its signature. */
export function decodeCertificate(bytes: Uint8Array): Certificate {
  const map = decodeCbor(bytes, { maxDepth: MAX_HASH_TREE_DEPTH + 2 });
  if (!(map instanceof Map)) throw new CborError("certificate that is not a map", 0);
  const tree = hashTreeFromCbor(map.get("tree") ?? null);
  const signature = bytesField(map, "signature");
  const delegation = map.get("delegation") ?? null;
  if (delegation === null) return { tree, signature };
  if (!(delegation instanceof Map)) throw new CborError("delegation that is not a map", 0);
  return {
    tree,
    signature,
    delegation: {
      subnetId: bytesField(delegation, "subnet_id"),
      certificate: bytesField(delegation, "certificate"),
    },
  };
}

/** The tree inside a decoded CBOR value. Throws CborError. */
export function hashTreeFromCbor(value: CborValue, depth: number = MAX_HASH_TREE_DEPTH): HashTree {
  if (!Array.isArray(value)) throw new CborError("hash tree node that is not an array", 0);
  if (depth === 0) throw new CborError("hash tree too deep", 0);
  const [kind, first, second] = value;
  if (typeof kind !== "number" || value.length !== NODE_LENGTHS[kind]) throw new CborError("unknown hash tree node", 0);
  switch (kind) {
    case 0:
      return { kind: "empty" };
    case 1: {
      const left = hashTreeFromCbor(first as CborValue, depth - 1);
      return { kind: "fork", left, right: hashTreeFromCbor(second as CborValue, depth - 1) };
    }
    case 2: {
      if (!(first instanceof Uint8Array)) throw new CborError("hash tree label that is not a byte string", 0);
      return { kind: "labeled", label: first, child: hashTreeFromCbor(second as CborValue, depth - 1) };
    }
    case 3:
      if (!(first instanceof Uint8Array)) throw new CborError("hash tree leaf that is not a byte string", 0);
      return { kind: "leaf", value: first };
    default:
      if (!(first instanceof Uint8Array) || first.length !== 32) {
        throw new CborError("pruned hash that is not 32 bytes", 0);
      }
      return { kind: "pruned", hash: first };
  }
}

/**
 * The specification's `well_formed`: a node has either one leaf or labeled children, and their labels grow strictly
 * from left to right. What a tree says may only be looked up when this holds.
 */
export function isWellFormed(tree: HashTree): boolean {
  if (tree.kind === "leaf" || tree.kind === "empty" || tree.kind === "pruned") return true;
  let previous: Uint8Array | undefined;
  for (const node of flattenForks(tree)) {
    if (node.kind === "pruned" || node.kind === "empty") continue;
    if (node.kind === "leaf") return false;
    if (previous !== undefined && compareBytes(previous, node.label) >= 0) return false;
    previous = node.label;
    if (!isWellFormed(node.child)) return false;
  }
  return true;
}

/** The nodes of one level, from left to right: what remains when forks are taken away. */
export function flattenForks(tree: HashTree): Exclude<HashTree, { kind: "fork" }>[] {
  const nodes: Exclude<HashTree, { kind: "fork" }>[] = [];
  const open: HashTree[] = [tree];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (node.kind === "fork") open.push(node.right, node.left);
    else nodes.push(node);
  }
  return nodes;
}

const KIND_NUMBERS = { empty: 0, fork: 1, labeled: 2, leaf: 3, pruned: 4 } as const;
const NODE_LENGTHS: readonly (number | undefined)[] = [1, 3, 3, 2, 2];

function bytesField(map: CborMap, name: string): Uint8Array {
  const value = map.get(name);
  if (!(value instanceof Uint8Array)) throw new CborError(`missing byte string ${name}`, 0);
  return value;
}

function writeTree(writer: CborWriter, tree: HashTree): void {
  const kind = KIND_NUMBERS[tree.kind];
  writer.head(MAJOR.array, NODE_LENGTHS[kind] as number);
  writer.integer(kind);
  if (tree.kind === "fork") {
    writeTree(writer, tree.left);
    writeTree(writer, tree.right);
  } else if (tree.kind === "labeled") {
    writer.bytes(tree.label);
    writeTree(writer, tree.child);
  } else if (tree.kind === "leaf") writer.bytes(tree.value);
  else if (tree.kind === "pruned") writer.bytes(tree.hash);
}
