// The proof that comes with a certification that its root hash is that of the state at its height, so that none can be
// used for another height: a hash tree with the one leaf /metadata/height, all else pruned. Section 10.3.
import { equalBytes, reconstructRoot } from "@atoll/crypto";
import { decodeHashTree, type HashTree } from "@atoll/types";
import type { CertificationContent } from "./artifacts.ts";

const encoder = new TextEncoder();
const PATH = [encoder.encode("metadata"), encoder.encode("height")];

/** Undefined when it is right; else what is wrong. There is one right witness for a state: it shows nothing else. */
export function witnessFault(
  { height, rootHash, witness }: Pick<CertificationContent, "height" | "rootHash" | "witness">,
  sha256: (data: Uint8Array) => Uint8Array,
): string | undefined {
  let tree: HashTree;
  try {
    tree = decodeHashTree(witness);
  } catch {
    return "the witness is no hash tree";
  }
  const value = onlyLeaf(tree);
  if (value === undefined) return "the witness shows something else than the height";
  if (!equalBytes(value, leb128(height))) return "the witness shows another height";
  if (!equalBytes(reconstructRoot(tree, sha256), rootHash)) return "the witness has another root";
  return undefined;
}

function onlyLeaf(tree: HashTree): Uint8Array | undefined {
  let node: HashTree | undefined = tree;
  for (const label of PATH) {
    node = withoutPruned(node);
    if (node?.kind !== "labeled" || !equalBytes(node.label, label)) return undefined;
    node = node.child;
  }
  return node?.kind === "leaf" ? node.value : undefined;
}

function withoutPruned(tree: HashTree | undefined): HashTree | undefined {
  let node = tree;
  while (node?.kind === "fork") {
    const shown: readonly HashTree[] = [node.left, node.right].filter(({ kind }) => kind !== "pruned");
    node = shown.length === 1 ? shown[0] : undefined;
  }
  return node;
}

function leb128(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return Uint8Array.from([...bytes, rest]);
}
