// What the root subnet says of this node's subnet, for the certificates of this one: fetched from any node of the root
// subnet as a client would, believed only under the root key, and fetched anew every minute. Until there is one the
// node answers that it waits for it. Interface specification, "Delegation"; consensus and chain-key, section 15.
import { lookupPath, lookupSubtree, verifyCertificate } from "@atoll/crypto";
import type { DelegationSource, DelegationStyle, SliceAnswer } from "@atoll/replica";
import {
  type CryptoPort,
  compareBytes,
  decodeCertificate,
  type HashTree,
  type LogPort,
  type Path,
  type PrincipalId,
  principalToBytes,
  principalToText,
} from "@atoll/types";
import { decodeCbor, encodeCbor } from "@atoll/types/cbor";
import type { NodeQuestion } from "./stream-api.ts";

export interface RootDelegation {
  readonly source: DelegationSource;
  stop(): void;
}

export interface RootDelegationOptions {
  readonly rootKey: Uint8Array;
  readonly rootSubnetId: PrincipalId;
  readonly subnetId: PrincipalId;
  /** DER of this subnet's key. */
  readonly publicKey: Uint8Array;
  readonly crypto: Pick<CryptoPort, "sha256" | "bls">;
  readonly log: LogPort;
  /** Asks a node of the root subnet; rejects when none answers. */
  readonly ask: (question: NodeQuestion) => Promise<SliceAnswer>;
  /** Of the machine, in ms. */
  readonly now: () => number;
}

const REFRESH_MS = 60_000;
const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 15_000;
const EXPIRY_MS = 120_000;
const STYLES: readonly DelegationStyle[] = ["none", "flat", "sharded"];
const encoder = new TextEncoder();
const [SUBNET, KEY, TYPE, RANGES] = ["subnet", "public_key", "type", "canister_ranges"].map((label) =>
  encoder.encode(label),
) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];

export function keepDelegation(options: RootDelegationOptions): RootDelegation {
  const { subnetId, log } = options;
  const id = principalToBytes(subnetId);
  const ranges: Readonly<Record<DelegationStyle, readonly Path[]>> = {
    none: [],
    flat: [[SUBNET, id, RANGES]],
    sharded: [[RANGES, id]],
  };
  let kept: ReadonlyMap<DelegationStyle, { subnetId: Uint8Array; certificate: Uint8Array }> = new Map();
  let timer: NodeJS.Timeout | undefined;
  let failures = 0;
  let isStopped = false;
  const refresh = async (): Promise<void> => {
    let wait = REFRESH_MS;
    try {
      const shown = STYLES.map(async (style) => {
        const paths = [[SUBNET, id, KEY], [SUBNET, id, TYPE], ...ranges[style]];
        return [style, { subnetId: id, certificate: await fetchCertificate(options, paths) }] as const;
      });
      kept = new Map(await Promise.all(shown));
      failures = 0;
    } catch (error) {
      wait = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures++, 10));
      const level = failures === 8 ? "warning" : "debug";
      log.log(level, `The root subnet's delegation could not be had: ${(error as Error).message}.`);
    }
    if (!isStopped) timer = setTimeout(refresh, wait);
  };
  void refresh();
  return {
    source: (style) => kept.get(style),
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}

/** A certificate of the root subnet that shows these paths and this subnet's key. Throws when it is none. */
async function fetchCertificate(options: RootDelegationOptions, paths: readonly Path[]): Promise<Uint8Array> {
  const { rootSubnetId, ask, now } = options;
  const content = {
    ...{ request_type: "read_state", sender: Uint8Array.of(4), paths },
    ingress_expiry: BigInt(now() + EXPIRY_MS) * 1_000_000n,
  };
  const answer = await ask({
    target: `/api/v2/subnet/${principalToText(rootSubnetId)}/read_state`,
    body: new Uint8Array(encodeCbor({ content })),
  });
  try {
    const bytes = certificateIn(answer.bytes);
    checkCertificate(options, paths, bytes);
    return bytes;
  } catch (error) {
    // The next attempt is at another node.
    answer.refuse();
    throw error;
  }
}

function checkCertificate(options: RootDelegationOptions, paths: readonly Path[], bytes: Uint8Array): void {
  const { rootKey, subnetId, publicKey, crypto } = options;
  const certificate = decodeCertificate(bytes);
  if (certificate.delegation !== undefined) throw new Error("it is not by the root subnet itself");
  const result = verifyCertificate(certificate, { crypto, rootKey });
  if (!result.ok) throw new Error(result.error);
  const key = lookupPath(certificate.tree, [SUBNET, principalToBytes(subnetId), KEY]);
  if (key.status !== "found" || compareBytes(key.value, publicKey) !== 0)
    throw new Error("it is for another key than that of this subnet");
  // With less in it its signature is as good, but clients would refuse what it stands for.
  if (paths.some((path) => isLeftOut(certificate.tree, path))) throw new Error("it leaves out what was asked for");
}

/** What is shown to be absent is not left out. */
function isLeftOut(tree: HashTree, path: Path): boolean {
  const found = lookupSubtree(tree, path);
  return found.status === "unknown" || (found.status === "found" && isPruned(found.tree));
}

function isPruned(tree: HashTree): boolean {
  if (tree.kind === "fork") return isPruned(tree.left) || isPruned(tree.right);
  return tree.kind === "labeled" ? isPruned(tree.child) : tree.kind === "pruned";
}

function certificateIn(answer: Uint8Array): Uint8Array {
  const decoded = decodeCbor(answer);
  const certificate = decoded instanceof Map ? decoded.get("certificate") : undefined;
  if (!(certificate instanceof Uint8Array)) throw new Error("the answer has no certificate");
  return certificate;
}
