// A certified slice with fewer messages: those before and after are taken out of its tree, and their hashes remain, so
// that the same signature is good for it. One slice that was fetched serves blocks that need its middle, because others
// took its beginning, or that have room for a part of it only. Consensus and chain-key, 16.4.
import { reconstructRoot } from "@atoll/crypto";
import {
  type Certificate,
  type CryptoPort,
  compareBytes,
  encodeCertificate,
  type HashTree,
  type Path,
  type PrincipalId,
  type StreamSlice,
} from "@atoll/types";
import { messagesPath } from "./certified-slice.ts";

export interface WholeSlice {
  readonly certificate: Certificate;
  readonly slice: StreamSlice;
}

/** Of a message beside itself, at most: label, heads, forks and the hash of what is beside it. */
const MESSAGE_FRAME_BYTES = 100;

export interface CutLimits {
  /** Index of the first message to show; at most the end of the slice. */
  readonly from: number;
  readonly messages: number;
  readonly bytes: number;
}

/** As many messages from `from` on as the limits let; undefined when not even the header has room. */
export function cutSlice(
  { certificate, slice }: WholeSlice,
  own: PrincipalId,
  { from, messages, bytes }: CutLimits,
  sha256: CryptoPort["sha256"],
): { readonly certified: Uint8Array; readonly messages: number } | undefined {
  const end = slice.firstIndex + slice.messages.length;
  let count = Math.max(0, Math.min(end - from, messages));
  for (;;) {
    const to = from + count;
    const isShown = (label: Uint8Array): boolean => {
      const index = Number(new DataView(label.buffer, label.byteOffset, 8).getBigUint64(0));
      return index >= from && index < to;
    };
    const tree = mapAt(certificate.tree, messagesPath(own), (shown) => prune(shown, isShown, sha256));
    const certified = encodeCertificate({ ...certificate, tree });
    if (certified.length <= bytes) return { certified, messages: count };
    if (count === 0) return undefined;
    // In proportion, and always fewer.
    const fitting = Math.floor((count * Math.max(0, bytes - MESSAGE_FRAME_BYTES)) / certified.length);
    count = Math.min(count - 1, fitting);
  }
}

/** The tree with what is below `path`, if that is in it, replaced. */
function mapAt(tree: HashTree, path: Path, change: (tree: HashTree) => HashTree): HashTree {
  const [label, ...rest] = path;
  if (label === undefined) return change(tree);
  if (tree.kind === "fork") {
    return { kind: "fork", left: mapAt(tree.left, path, change), right: mapAt(tree.right, path, change) };
  }
  if (tree.kind !== "labeled" || compareBytes(tree.label, label) !== 0) return tree;
  return { ...tree, child: mapAt(tree.child, rest, change) };
}

/** Puts hashes in the place of the labels of this level that are not shown. */
function prune(tree: HashTree, isShown: (label: Uint8Array) => boolean, sha256: CryptoPort["sha256"]): HashTree {
  if (tree.kind === "labeled") return isShown(tree.label) ? tree : hashed(tree, sha256);
  if (tree.kind !== "fork") return tree;
  const left = prune(tree.left, isShown, sha256);
  const right = prune(tree.right, isShown, sha256);
  const pruned: HashTree = { kind: "fork", left, right };
  return left.kind === "pruned" && right.kind === "pruned" ? hashed(pruned, sha256) : pruned;
}

function hashed(tree: HashTree, sha256: CryptoPort["sha256"]): HashTree {
  return { kind: "pruned", hash: reconstructRoot(tree, sha256) };
}
