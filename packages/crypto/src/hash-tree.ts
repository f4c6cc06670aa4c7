// What a hash tree says: its root hash, and whether a path is in it (interface specification, "Certificate",
// `reconstruct` and `lookup_path`). A pruned tree can answer "unknown", which is neither present nor absent.
import { compareBytes, flattenForks, type Hash, type HashTree, type Path } from "@atoll/types";
import { concatBytes, DOMAIN } from "./domain.ts";

/** The root hash of a tree, pruned or whole: 32 bytes. */
export function reconstructRoot(tree: HashTree, sha256: Hash): Uint8Array {
  switch (tree.kind) {
    case "empty":
      return sha256(DOMAIN.treeEmpty);
    case "pruned":
      return tree.hash;
    case "leaf":
      return sha256(concatBytes(DOMAIN.treeLeaf, tree.value));
    case "labeled":
      return sha256(concatBytes(DOMAIN.treeLabeled, tree.label, reconstructRoot(tree.child, sha256)));
    case "fork":
      return sha256(
        concatBytes(DOMAIN.treeFork, reconstructRoot(tree.left, sha256), reconstructRoot(tree.right, sha256)),
      );
  }
}

/** `error` means that the path ends inside the tree, where there is no value but more labels. */
export type Lookup =
  | { readonly status: "found"; readonly value: Uint8Array }
  | { readonly status: "absent" | "unknown" | "error" };

export type SubtreeLookup =
  | { readonly status: "found"; readonly tree: HashTree }
  | { readonly status: "absent" | "unknown" };

const ABSENT = { status: "absent" } as const;
const UNKNOWN = { status: "unknown" } as const;

/** The value at `path`. Meaningful only for a well-formed tree. */
export function lookupPath(tree: HashTree, path: Path): Lookup {
  const found = lookupSubtree(tree, path);
  if (found.status !== "found") return found;
  switch (found.tree.kind) {
    case "leaf":
      return { status: "found", value: found.tree.value };
    case "empty":
      return ABSENT;
    case "pruned":
      return UNKNOWN;
    default:
      return { status: "error" };
  }
}

/** The tree below `path`. */
export function lookupSubtree(tree: HashTree, path: Path): SubtreeLookup {
  let node = tree;
  for (const label of path) {
    const next = findLabel(flattenForks(node), label);
    if (next.status !== "found") return next;
    node = next.tree;
  }
  return { status: "found", tree: node };
}

/** Labels directly below a node, with their trees, left to right; pruned ones do not show. */
export function labeledChildren(tree: HashTree): { readonly label: Uint8Array; readonly child: HashTree }[] {
  return flattenForks(tree).filter((node) => node.kind === "labeled");
}

// A label is absent when the two labels around its place are neighbours, with nothing pruned between them.
function findLabel(nodes: readonly HashTree[], label: Uint8Array): SubtreeLookup {
  let pruned = false;
  for (const node of nodes) {
    if (node.kind === "pruned") pruned = true;
    if (node.kind !== "labeled") continue;
    const order = compareBytes(node.label, label);
    if (order === 0) return { status: "found", tree: node.child };
    if (order > 0) return pruned ? UNKNOWN : ABSENT;
    pruned = false;
  }
  return pruned ? UNKNOWN : ABSENT;
}
