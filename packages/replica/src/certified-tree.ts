// The state tree of the latest certified height, kept where certificates are handed out. It is fed with the changes
// of each round; its root hash is what the subnet signs. Each height is an immutable object, so an answer that is
// being built is never disturbed by the next round.
import { applyChanges, EMPTY_TREE, findSubtree, type Labels, rootHash, type Sha256, witness } from "@atoll/state";
import { encodeCertificate, type HashTree, type Height, type Path, type Time, type TreeChange } from "@atoll/types";
import type { CertifiedState, DelegationStyle } from "./backend.ts";

/** A tree that is not signed yet. */
export interface TreeAtHeight {
  readonly height: Height;
  readonly time: Time;
  readonly tree: Labels;
}

export const NO_STATE: TreeAtHeight = { height: 0, time: 0n, tree: EMPTY_TREE };

export function nextTree(
  previous: TreeAtHeight,
  round: { readonly height: Height; readonly time: Time; readonly treeChanges: readonly TreeChange[] },
): TreeAtHeight {
  return { height: round.height, time: round.time, tree: applyChanges(previous.tree, round.treeChanges) };
}

const encoder = new TextEncoder();
const TIME = encoder.encode("time");
/** Where the state tree has its own height, as LEB128. */
const HEIGHT: Path = [encoder.encode("metadata"), encoder.encode("height")];

/** What goes with a share of a certification: it shows the height, and nothing else, under the root hash. */
export function heightWitness({ tree }: TreeAtHeight, sha256: Sha256): HashTree {
  return witness(tree, [HEIGHT], sha256);
}

/** A delegation for each style, for subnets other than the root subnet. */
export type DelegationSource = (
  style: DelegationStyle,
) => { subnetId: Uint8Array; certificate: Uint8Array } | undefined;

/** `sign` gives the subnet's signature on a root hash; it is asked when somebody wants a certificate, and once. */
export function certifiedState(
  { height, time, tree }: TreeAtHeight,
  sign: (root: Uint8Array) => Uint8Array,
  delegation: DelegationSource,
  sha256: Sha256,
): CertifiedState {
  let signature: Uint8Array | undefined;
  const signed = (paths: readonly Path[]) => {
    signature ??= sign(rootHash(tree, sha256));
    return { tree: witness(tree, [[TIME], ...paths], sha256), signature };
  };
  return {
    height,
    time,
    certificate(paths: readonly Path[], style: DelegationStyle): Uint8Array {
      const delegated = delegation(style);
      return encodeCertificate({ ...signed(paths), ...(delegated === undefined ? {} : { delegation: delegated }) });
    },
    undelegated: (paths: readonly Path[]) => encodeCertificate(signed(paths)),
    lookup(path: Path): Uint8Array | undefined {
      const found = findSubtree(tree, path);
      return found?.kind === "leaf" ? found.value : undefined;
    },
    has: (path: Path) => findSubtree(tree, path) !== undefined,
  };
}
