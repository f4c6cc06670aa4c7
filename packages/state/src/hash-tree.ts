// The subnet's state tree (specification, "The system state tree") as a persistent search tree with cached hashes.
// An update copies the nodes on its path and leaves the old tree intact, so each height's tree stays readable
// while later rounds change theirs, and a root hash costs what changed since the last one.
//
// Shape: labels are ordered bytewise and forks split at the first differing bit (a crit-bit tree), each byte
// preceded by a 1 bit and the end of a label being a 0 bit. The shape depends on the content alone, never on the
// order of insertions; the specification leaves it free.
import type { HashTree, Path, TreeChange } from "@atoll/types";

/** A value, or a map from labels to subtrees. */
export type Subtree = Leaf | Labels;
export interface Leaf {
  readonly kind: "leaf";
  readonly value: Uint8Array;
  hash: Uint8Array | undefined;
}
/** A map of labels; undefined is the empty map. */
export interface Labels {
  readonly kind: "labels";
  readonly root: Node | undefined;
}
type Node = Fork | Labeled;
interface Fork {
  readonly kind: "fork";
  /** Number of the bit at which the labels below differ first. */
  readonly bit: number;
  readonly left: Node;
  readonly right: Node;
  hash: Uint8Array | undefined;
}
interface Labeled {
  readonly kind: "labeled";
  readonly label: Uint8Array;
  readonly child: Subtree;
  hash: Uint8Array | undefined;
}

export type Sha256 = (data: Uint8Array) => Uint8Array;

export const EMPTY_TREE: Labels = { kind: "labels", root: undefined };

/** The tree with all changes applied, in order. */
export function applyChanges(tree: Labels, changes: Iterable<TreeChange>): Labels {
  let result = tree;
  for (const { path, value } of changes) {
    result = value === null ? removePath(result, path, 0) : setPath(result, path, 0, value);
  }
  return result;
}

export function findSubtree(tree: Subtree, path: Path): Subtree | undefined {
  let current: Subtree = tree;
  for (const label of path) {
    if (current.kind === "leaf") return undefined;
    const found = findLabel(current.root, label);
    if (found === undefined) return undefined;
    current = found.child;
  }
  return current;
}

export function rootHash(tree: Labels, sha256: Sha256): Uint8Array {
  return hashSubtree(tree, sha256);
}

/** Everything below each path in clear, absence proven by neighbours, all else pruned. */
export function witness(tree: Labels, paths: readonly Path[], sha256: Sha256): HashTree {
  return witnessSubtree(
    tree,
    paths.map((path) => ({ path, depth: 0 })),
    sha256,
  );
}

function setPath(tree: Subtree | undefined, path: Path, depth: number, value: Uint8Array): Labels {
  const labels = tree?.kind === "labels" ? tree : EMPTY_TREE;
  const label = path[depth] as Uint8Array;
  const old = findLabel(labels.root, label);
  const child: Subtree =
    depth === path.length - 1 ? { kind: "leaf", value, hash: undefined } : setPath(old?.child, path, depth + 1, value);
  const node: Labeled = { kind: "labeled", label, child, hash: undefined };
  return { kind: "labels", root: labels.root === undefined ? node : insert(labels.root, node) };
}

function removePath(labels: Labels, path: Path, depth: number): Labels {
  const label = path[depth] as Uint8Array;
  const old = findLabel(labels.root, label);
  if (labels.root === undefined || old === undefined) return labels;
  if (depth < path.length - 1) {
    if (old.child.kind === "leaf") return labels;
    const child = removePath(old.child, path, depth + 1);
    if (child === old.child) return labels;
    if (child.root !== undefined) {
      return { kind: "labels", root: insert(labels.root, { kind: "labeled", label, child, hash: undefined }) };
    }
  }
  return { kind: "labels", root: without(labels.root, label) };
}

/** Puts `node` in, replacing the node with the same label. */
function insert(root: Node, node: Labeled): Node {
  const bit = firstDifferentBit(closest(root, node.label).label, node.label);
  return insertAt(root, node, bit);
}

function insertAt(root: Node, node: Labeled, bit: number | undefined): Node {
  if (root.kind === "fork" && (bit === undefined || root.bit < bit)) {
    return bitAt(node.label, root.bit)
      ? { kind: "fork", bit: root.bit, left: root.left, right: insertAt(root.right, node, bit), hash: undefined }
      : { kind: "fork", bit: root.bit, left: insertAt(root.left, node, bit), right: root.right, hash: undefined };
  }
  if (bit === undefined) return node;
  return bitAt(node.label, bit)
    ? { kind: "fork", bit, left: root, right: node, hash: undefined }
    : { kind: "fork", bit, left: node, right: root, hash: undefined };
}

function without(root: Node, label: Uint8Array): Node | undefined {
  if (root.kind === "labeled") return undefined;
  const goRight = bitAt(label, root.bit);
  const rest = without(goRight ? root.right : root.left, label);
  if (rest === undefined) return goRight ? root.left : root.right;
  return goRight
    ? { kind: "fork", bit: root.bit, left: root.left, right: rest, hash: undefined }
    : { kind: "fork", bit: root.bit, left: rest, right: root.right, hash: undefined };
}

function closest(root: Node, label: Uint8Array): Labeled {
  let node = root;
  while (node.kind === "fork") node = bitAt(label, node.bit) ? node.right : node.left;
  return node;
}

function findLabel(root: Node | undefined, label: Uint8Array): Labeled | undefined {
  if (root === undefined) return undefined;
  const node = closest(root, label);
  return firstDifferentBit(node.label, label) === undefined ? node : undefined;
}

function bitAt(label: Uint8Array, bit: number): boolean {
  const index = Math.floor(bit / 9);
  if (index >= label.length) return false;
  const rest = bit % 9;
  return rest === 0 || (((label[index] as number) >> (8 - rest)) & 1) === 1;
}

function firstDifferentBit(a: Uint8Array, b: Uint8Array): number | undefined {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) ^ (b[i] as number);
    if (difference !== 0) return i * 9 + 1 + (Math.clz32(difference) - 24);
  }
  return a.length === b.length ? undefined : length * 9;
}

const encoder = new TextEncoder();
function separator(name: string): Uint8Array {
  return Uint8Array.from([name.length, ...encoder.encode(name)]);
}
const EMPTY = separator("ic-hashtree-empty");
const FORK = separator("ic-hashtree-fork");
const LABELED = separator("ic-hashtree-labeled");
const LEAF = separator("ic-hashtree-leaf");

/** What is hashed is mostly short: a buffer of its own for each takes longer than to hash it. */
const scratch = new Uint8Array(512);

function hashParts(sha256: Sha256, a: Uint8Array, b: Uint8Array, c?: Uint8Array): Uint8Array {
  const length = a.length + b.length + (c?.length ?? 0);
  const data = length <= scratch.length ? scratch.subarray(0, length) : new Uint8Array(length);
  data.set(a, 0);
  data.set(b, a.length);
  if (c !== undefined) data.set(c, a.length + b.length);
  return sha256(data);
}

function hashSubtree(tree: Subtree, sha256: Sha256): Uint8Array {
  if (tree.kind === "leaf") {
    tree.hash ??= hashParts(sha256, LEAF, tree.value);
    return tree.hash;
  }
  return tree.root === undefined ? sha256(EMPTY) : hashNode(tree.root, sha256);
}

function hashNode(node: Node, sha256: Sha256): Uint8Array {
  node.hash ??=
    node.kind === "fork"
      ? hashParts(sha256, FORK, hashNode(node.left, sha256), hashNode(node.right, sha256))
      : hashParts(sha256, LABELED, node.label, hashSubtree(node.child, sha256));
  return node.hash;
}

interface Wanted {
  readonly path: Path;
  readonly depth: number;
}

function witnessSubtree(tree: Subtree, wanted: readonly Wanted[], sha256: Sha256): HashTree {
  if (wanted.some(({ path, depth }) => depth === path.length)) return reveal(tree);
  // A path that goes on below a leaf: the leaf itself proves that there is nothing.
  if (tree.kind === "leaf") return reveal(tree);
  if (tree.root === undefined) return { kind: "empty" };
  const shown = new Map<Labeled, Wanted[]>();
  for (const { path, depth } of wanted) {
    const label = path[depth] as Uint8Array;
    const found = findLabel(tree.root, label);
    if (found !== undefined) {
      const list = shown.get(found) ?? [];
      list.push({ path, depth: depth + 1 });
      shown.set(found, list);
    } else {
      for (const neighbour of neighbours(tree.root, label)) {
        if (!shown.has(neighbour)) shown.set(neighbour, []);
      }
    }
  }
  return witnessNode(tree.root, [...shown.keys()], shown, sha256);
}

function witnessNode(
  node: Node,
  keys: readonly Labeled[],
  shown: ReadonlyMap<Labeled, readonly Wanted[]>,
  sha256: Sha256,
): HashTree {
  if (keys.length === 0) return { kind: "pruned", hash: hashNode(node, sha256) };
  if (node.kind === "labeled") {
    const wanted = shown.get(node) ?? [];
    const child: HashTree =
      wanted.length === 0
        ? { kind: "pruned", hash: hashSubtree(node.child, sha256) }
        : witnessSubtree(node.child, wanted, sha256);
    return { kind: "labeled", label: node.label, child };
  }
  const right = keys.filter((key) => bitAt(key.label, node.bit));
  const left = keys.filter((key) => !bitAt(key.label, node.bit));
  return {
    kind: "fork",
    left: witnessNode(node.left, left, shown, sha256),
    right: witnessNode(node.right, right, shown, sha256),
  };
}

/** The labels just below and just above `label`, which is not in the map itself. */
function neighbours(root: Node, label: Uint8Array): Labeled[] {
  const bit = firstDifferentBit(closest(root, label).label, label) as number;
  let below: Node | undefined;
  let above: Node | undefined;
  let node = root;
  while (node.kind === "fork" && node.bit < bit) {
    if (bitAt(label, node.bit)) {
      below = node.left;
      node = node.right;
    } else {
      above = node.right;
      node = node.left;
    }
  }
  if (bitAt(label, bit)) below = node;
  else above = node;
  const found: Labeled[] = [];
  if (below !== undefined) found.push(edge(below, "right"));
  if (above !== undefined) found.push(edge(above, "left"));
  return found;
}

function edge(root: Node, side: "left" | "right"): Labeled {
  let node = root;
  while (node.kind === "fork") node = node[side];
  return node;
}

function reveal(tree: Subtree): HashTree {
  if (tree.kind === "leaf") return { kind: "leaf", value: tree.value };
  return tree.root === undefined ? { kind: "empty" } : revealNode(tree.root);
}

function revealNode(node: Node): HashTree {
  return node.kind === "fork"
    ? { kind: "fork", left: revealNode(node.left), right: revealNode(node.right) }
    : { kind: "labeled", label: node.label, child: reveal(node.child) };
}
