// Hash trees as clients receive them (specification, "Certificate" and "Encoding of certificates").
// This is the wire form only; the tree that a subnet keeps and updates is in the package `state`.

export type HashTree =
  | { readonly kind: "empty" }
  | { readonly kind: "fork"; readonly left: HashTree; readonly right: HashTree }
  | { readonly kind: "labeled"; readonly label: Uint8Array; readonly child: HashTree }
  | { readonly kind: "leaf"; readonly value: Uint8Array }
  | { readonly kind: "pruned"; readonly hash: Uint8Array };

/** A path in the tree: one label per step. */
export type Path = readonly Uint8Array[];

/** One change to the tree of a subnet: the leaf at `path` gets `value`; null removes it and all below it. */
export interface TreeChange {
  readonly path: Path;
  readonly value: Uint8Array | null;
}

/** A certificate: a pruned tree and the subnet's signature on its root; a delegation unless the root subnet signed. */
export interface Certificate {
  readonly tree: HashTree;
  readonly signature: Uint8Array;
  readonly delegation?: { readonly subnetId: Uint8Array; readonly certificate: Uint8Array };
}
