// The certificate of a static web site, worked out at build time: for every file the response hash, all of them in one
// hash tree, and the tree's root hash, which the canister declares as its certified data. The page never changes
// between two installations, so nothing of this has to happen in the canister.
// HTTP gateway protocol, "Response verification" version 2: tree path, expression and hashes.

import { createHash } from "node:crypto";

export interface Asset {
  /** `/` or `/name`; null for the answer to every path that is not listed. */
  readonly path: string | null;
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

export interface CertifiedAsset extends Asset {
  /** CBOR of the path in the tree, as the header `IC-Certificate` carries it. */
  readonly exprPath: Uint8Array;
}

export interface CertifiedSite {
  readonly assets: readonly CertifiedAsset[];
  readonly tree: Uint8Array;
  readonly rootHash: Uint8Array;
}

const EXPRESSION_HEADER = "IC-CertificateExpression";
const SELF_DESCRIBED = [0xd9, 0xd9, 0xf7];

type Branch = Map<string, { readonly label: Uint8Array; readonly child: Branch }>;
type Tree =
  | { readonly kind: "fork"; readonly left: Tree; readonly right: Tree }
  | { readonly kind: "labeled"; readonly label: Uint8Array; readonly child: Tree }
  | { readonly kind: "leaf" };

export function certifySite(assets: readonly Asset[]): CertifiedSite {
  const root: Branch = new Map();
  const certified = assets.map((asset) => certifyAsset(asset, root));
  const tree = treeOf(root);
  return { assets: certified, tree: Uint8Array.from([...SELF_DESCRIBED, ...encodeTree(tree)]), rootHash: hashOf(tree) };
}

/** Adds the expression to the headers and a leaf at [exprPath…, H(expression), "", H(response)] to the tree. */
function certifyAsset(asset: Asset, root: Branch): CertifiedAsset {
  const expression = expressionFor(asset.headers.map(([name]) => name));
  const headers = [...asset.headers, [EXPRESSION_HEADER, expression] as const];
  const segments = ["http_expr", ...(asset.path === null ? ["<*>"] : [asset.path.slice(1), "<$>"])];
  const labels = [...segments.map(utf8), sha256(utf8(expression)), utf8(""), responseHash({ ...asset, headers })];
  let branch = root;
  for (const label of labels) {
    const key = Buffer.from(label).toString("hex");
    const next = branch.get(key) ?? { label, child: new Map() };
    branch.set(key, next);
    branch = next.child;
  }
  const exprPath = Uint8Array.from([...SELF_DESCRIBED, ...head(4, segments.length), ...segments.flatMap(encodeText)]);
  return { ...asset, headers, exprPath };
}

function expressionFor(names: readonly string[]): string {
  const list = names.map((name) => JSON.stringify(name)).join(",");
  return (
    "default_certification(ValidationArgs{certification:Certification{no_request_certification:Empty{}," +
    `response_certification:ResponseCertification{certified_response_headers:ResponseHeaderList{headers:[${list}]}}}})`
  );
}

function responseHash(response: Pick<Asset, "status" | "headers" | "body">): Uint8Array {
  const pairs = response.headers.map(([name, value]) => pairHash(name.toLowerCase(), utf8(value)));
  pairs.push(pairHash(":ic-cert-status", leb128(response.status)));
  return sha256(sha256(...pairs.sort(Buffer.compare)), sha256(response.body));
}

function pairHash(name: string, value: Uint8Array): Buffer {
  return Buffer.concat([sha256(utf8(name)), sha256(value)]);
}

function leb128(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 128) return Uint8Array.from([...bytes, rest]);
    bytes.push((rest & 127) | 128);
  }
}

// --- hash tree: labels in order, forked in the middle ---

function treeOf(branch: Branch): Tree {
  if (branch.size === 0) return { kind: "leaf" };
  const children = [...branch.values()].sort((a, b) => Buffer.compare(a.label, b.label));
  return forked(children.map(({ label, child }) => ({ kind: "labeled", label, child: treeOf(child) })));
}

function forked(trees: readonly Tree[]): Tree {
  const [only] = trees;
  if (trees.length === 1 && only !== undefined) return only;
  const middle = Math.ceil(trees.length / 2);
  return { kind: "fork", left: forked(trees.slice(0, middle)), right: forked(trees.slice(middle)) };
}

function hashOf(tree: Tree): Uint8Array {
  switch (tree.kind) {
    case "leaf":
      return sha256(domain("ic-hashtree-leaf"));
    case "labeled":
      return sha256(domain("ic-hashtree-labeled"), tree.label, hashOf(tree.child));
    case "fork":
      return sha256(domain("ic-hashtree-fork"), hashOf(tree.left), hashOf(tree.right));
  }
}

function domain(name: string): Uint8Array {
  return Uint8Array.from([name.length, ...utf8(name)]);
}

// --- CBOR ---

function encodeTree(tree: Tree): number[] {
  switch (tree.kind) {
    case "leaf":
      return [...head(4, 2), 3, ...head(2, 0)];
    case "labeled":
      return [...head(4, 3), 2, ...head(2, tree.label.length), ...tree.label, ...encodeTree(tree.child)];
    case "fork":
      return [...head(4, 3), 1, ...encodeTree(tree.left), ...encodeTree(tree.right)];
  }
}

function encodeText(text: string): number[] {
  const bytes = utf8(text);
  return [...head(3, bytes.length), ...bytes];
}

/** Major type and a length below 256. */
function head(major: number, length: number): number[] {
  return length < 24 ? [(major << 5) | length] : [(major << 5) | 24, length];
}

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
