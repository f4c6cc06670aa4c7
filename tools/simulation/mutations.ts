// Rules of the protocol, each taken out of the code by one replacement of text: the simulator has to notice. A replacement that
// no longer applies is a failure too, so that the list lives with the code. `seed`: one that is known to notice; when it no
// longer does, others are tried.

export interface Mutation {
  readonly name: string;
  /** Of the facts that the code is built after. */
  readonly section: string;
  readonly kind: "safety" | "liveness";
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** In the same file: what would hold up the rule by chance. */
  readonly also?: { readonly find: string; readonly replace: string };
  readonly seed?: string;
  /** Tried at every change of the code too. */
  readonly isInShortTest?: boolean;
  /** Default: counting. */
  readonly fleet?: "whole";
  /** Of the runs; default: 4 nodes, 8 s. */
  readonly members?: number;
  readonly seconds?: number;
  /** Further options of the runs. */
  readonly options?: readonly string[];
}

const CONSENSUS = "packages/consensus/src";

export const MUTATIONS: readonly Mutation[] = [
  {
    name: "a notary signs whatever rank it has not signed yet",
    section: "5.4",
    kind: "safety",
    file: `${CONSENSUS}/notary.ts`,
    find: ".filter(({ block }) => block.rank === rank)",
    replace: ".filter(() => true)",
    members: 7,
    options: ["--stress", "adversary,link"],
  },
  {
    name: "a notary signs at a height that has a notarization",
    section: "5.4",
    kind: "safety",
    file: `${CONSENSUS}/notary.ts`,
    find: "const height = notarizedHeight(pool) + 1;",
    replace: "const height = Math.max(1, notarizedHeight(pool));",
  },
  {
    name: "a finalizer does not look at what else it has signed",
    section: "5.5",
    kind: "safety",
    file: `${CONSENSUS}/finalizer.ts`,
    find: "if (others.length > 0) return undefined;",
    replace: "",
    isInShortTest: true,
    options: ["--stress", "adversary"],
  },
  {
    name: "shares are sent before they are on the disk",
    section: "5.5",
    kind: "safety",
    file: `${CONSENSUS}/open-consensus.ts`,
    find: "isVote: this.#isOwnVote(entry.artifact)",
    replace: "isVote: false",
    isInShortTest: true,
  },
  {
    name: "any number of signers makes a notarization or a finalization",
    section: "6.3",
    kind: "safety",
    file: `${CONSENSUS}/validator.ts`,
    find: "if (!isSorted || signers.length < membership.threshold)",
    replace: "if (!isSorted)",
    options: ["--lies", "forged-aggregates", "--stress", "adversary"],
  },
  {
    name: "one signature of a quorum may be missing",
    section: "1",
    kind: "safety",
    file: `${CONSENSUS}/thresholds.ts`,
    find: "return committeeSize(nodes) - faultsTolerated(nodes);",
    replace: "return committeeSize(nodes) - faultsTolerated(nodes) - 1;",
  },
  {
    name: "one signature more than a quorum is waited for",
    section: "1",
    kind: "liveness",
    file: `${CONSENSUS}/thresholds.ts`,
    find: "return committeeSize(nodes) - faultsTolerated(nodes);",
    replace: "return committeeSize(nodes) - faultsTolerated(nodes) + 1;",
  },
  {
    name: "a beacon need not follow the one before it",
    section: "5.7",
    kind: "safety",
    file: `${CONSENSUS}/random-beacon-maker.ts`,
    find: "parent: beaconHash(parent, crypto.sha256)",
    replace: "parent: new Uint8Array(32)",
  },
  {
    name: "a certification with any witness and signature counts",
    section: "10.3",
    kind: "safety",
    file: `${CONSENSUS}/certifier.ts`,
    find: "if (publicKey !== undefined && crypto.verifyThreshold(publicKey, message, certification.signature)) return undefined;",
    replace: "if (publicKey !== undefined && message.length > 0) return undefined;",
    options: ["--lies", "forged-aggregates"],
  },
  {
    name: "a catch-up package need not be signed",
    section: "6.4",
    kind: "safety",
    file: `${CONSENSUS}/catch-up-package-validator.ts`,
    find: "if (key !== undefined && crypto.verifyThreshold(key, catchUpBytes(cup, blockHash(block)), cup.signature))",
    replace: "if (key !== undefined && catchUpBytes(cup, blockHash(block)).length > 0)",
    seconds: 12,
    options: ["--lies", "forged-package"],
  },
  {
    name: "batches are delivered without the random tape",
    section: "9",
    kind: "safety",
    file: `${CONSENSUS}/batch-delivery.ts`,
    find: "randomness: tapeHash(tape, context.crypto.sha256),",
    replace: "randomness: context.crypto.sha256(context.crypto.signBasic(tapeHash(tape))),",
  },
  {
    name: "batches are delivered before they are final",
    section: "5.8",
    kind: "safety",
    file: `${CONSENSUS}/random-tape-maker.ts`,
    find: "finalizedHeight(pool) + 1",
    replace: "finalizedHeight(pool) + 3",
  },
  {
    name: "a block is not taken because a quorum has notarized it",
    section: "6.2",
    kind: "liveness",
    file: `${CONSENSUS}/validator-proposal.ts`,
    find: "if (byNotarization.length > 0) return byNotarization;",
    replace: "",
  },
  {
    name: "nobody proves that a maker has signed two blocks",
    section: "5.3",
    kind: "safety",
    file: `${CONSENSUS}/validator-proposal.ts`,
    find: "if (proof !== undefined) {",
    replace: "if (proof !== undefined && height < 0) {",
    options: ["--lies", "equivocate,equivocate-openly"],
  },
  {
    name: "a block of a time to come is taken, and one of the past",
    section: "6.2",
    kind: "safety",
    file: `${CONSENSUS}/validator-proposal.ts`,
    find: "if (time <= before.time || registryVersion",
    replace: "if (registryVersion",
    options: ["--lies", "wrong-time"],
  },
  {
    name: "a maker that was proved to have signed two blocks still counts",
    section: "5.3",
    kind: "safety",
    file: `${CONSENSUS}/equivocation.ts`,
    find: 'return pool.validated.at("equivocation-proof", height).some(({ artifact }) => artifact.signer === maker);',
    replace: 'return pool.validated.at("equivocation-proof", height).length < 0 && maker.length > 0;',
    options: ["--lies", "equivocate,equivocate-openly"],
  },
  {
    name: "nothing is purged",
    section: "7",
    kind: "safety",
    file: `${CONSENSUS}/purger.ts`,
    find: 'return drop(context.pool, "validated", purgeHeight(context), OWN_CHAIN);',
    replace: 'return purgeHeight(context) < 0 ? drop(context.pool, "validated", 0, OWN_CHAIN) : [];',
  },
  {
    name: "the threshold of the beacon is one share less",
    section: "1",
    kind: "safety",
    file: `${CONSENSUS}/thresholds.ts`,
    find: "return faultsTolerated(nodes) + 1;",
    replace: "return Math.max(1, faultsTolerated(nodes));",
    members: 7,
  },
  {
    name: "any node is a maker of any block",
    section: "4",
    kind: "safety",
    file: `${CONSENSUS}/membership.ts`,
    find: 'order("block-maker-ranking", faultsTolerated(ids.length) + 1)',
    replace: 'order("block-maker-ranking", ids.length)',
    options: ["--stress", "crash,stall"],
  },
  {
    name: "a maker proposes again and again",
    section: "5.2",
    kind: "safety",
    file: `${CONSENSUS}/block-maker.ts`,
    find: "signer === self || (block.rank < rank",
    replace: "(block.rank < rank",
  },
  {
    name: "beacons are drawn as soon as they can be",
    section: "5.7",
    kind: "safety",
    file: `${CONSENSUS}/random-beacon-maker.ts`,
    find: "if (beaconHeight(pool) > notarizedHeight(pool)) return [];",
    replace: "",
    also: { find: "return height <= notarizedHeight(pool);", replace: "return height <= notarizedHeight(pool) + 9;" },
  },
  {
    name: "the signature of a block's maker is not looked at",
    section: "6.2",
    kind: "safety",
    file: `${CONSENSUS}/validator-proposal.ts`,
    find: "if (!crypto.verifyBasic(node, blockMetadataBytes(metadata), signature))",
    replace:
      "if (blockMetadataBytes(metadata).length === 0 && !crypto.verifyBasic(node, payloadHash(block.payload), signature))",
    options: ["--lies", "forged-blocks"],
  },
  {
    name: "a block may have another content than its hash says",
    section: "6.2",
    kind: "safety",
    file: `${CONSENSUS}/validator-proposal.ts`,
    find: "if (!equalBytes(payloadHash(block.payload, crypto.sha256), block.payloadHash))",
    replace: "if (payloadHash(block.payload, crypto.sha256).length !== block.payloadHash.length)",
    options: ["--lies", "other-payload"],
  },
  {
    name: "a call may be in two blocks",
    section: "8.3",
    kind: "safety",
    file: "packages/replica/src/consensus/ingress-section.ts",
    find: 'if (past.hasIngress(requestId)) return "it is in a block before";\n  if (facts.hasIngress(requestId)) return "it has been executed";',
    replace: "",
    fleet: "whole",
    options: ["--lies", "replay-batch"],
  },
  {
    name: "a maker may take any rank",
    section: "6.2",
    kind: "safety",
    file: `${CONSENSUS}/validator-proposal.ts`,
    find: "if (node === undefined || blockMakers[block.rank] !== signer)",
    replace: "if (node === undefined || blockMakers.length === 0)",
    options: ["--lies", "every-rank"],
  },
  {
    name: "whoever has another state than was certified goes on",
    section: "10.3",
    kind: "safety",
    file: "packages/replica/src/consensus/consensus-replica.ts",
    find: "#diverged(height: Height, why: string): void {\n    if (this.#ended !== undefined) return;",
    replace: "#diverged(height: Height, why: string): void {\n    if (this.#ended !== undefined || height > 0) return;",
    fleet: "whole",
    options: ["--lies", "corrupt-state"],
  },
  {
    name: "a key that was not made in time leaves none",
    section: "12.2",
    kind: "liveness",
    file: `${CONSENSUS}/dkg/summary.ts`,
    find: "transcriptOf(next, tag) ?? transcriptOf(current, tag) ?? []",
    replace: "transcriptOf(next, tag) ?? []",
    options: ["--stress", "no-dealings"],
  },
  {
    name: "nodes are those of the summary's own registry version",
    section: "12.2",
    kind: "safety",
    file: `${CONSENSUS}/dkg/summary.ts`,
    find: "registryVersion: chain.summary.context.registryVersion,",
    replace: "registryVersion,",
    seconds: 12,
  },
  {
    name: "another length of intervals is in force at once",
    section: "12.1",
    kind: "safety",
    file: `${CONSENSUS}/dkg/summary.ts`,
    find: "intervalLength: previous.nextIntervalLength,",
    replace: "intervalLength: record.settings.dkgIntervalLength,",
    seconds: 12,
  },
  {
    name: "the subnet's key is made anew and not shared anew",
    section: "12.2",
    kind: "safety",
    file: `${CONSENSUS}/dkg/local-configs.ts`,
    find: "resharing: high,",
    replace: "resharing: undefined,",
  },
  {
    name: "in force is what the newest package says, and no summary after it",
    section: "4",
    kind: "liveness",
    file: `${CONSENSUS}/dkg/registry-version.ts`,
    find: "for (const block of finalizedSummaries(pool)) {",
    replace: "for (const block of finalizedSummaries(pool).slice(0, 1)) {",
    options: ["--backlog"],
  },
  {
    name: "a call is taken in and forgotten",
    section: "21.5",
    kind: "safety",
    file: "packages/replica/src/consensus/shared-ingress-pool.ts",
    find: 'if (!this.#add(ingress, undefined)) return "pool-full";',
    replace:
      'if (this.#entries.size > 0) return "accepted";\n    if (!this.#add(ingress, undefined)) return "pool-full";',
    fleet: "whole",
  },
  {
    name: "a call in a block need not be signed by its sender",
    section: "8.3",
    kind: "safety",
    file: "packages/replica/src/consensus/ingress-authenticator.ts",
    find: 'if (!result.ok) return { kind: "invalid", why: result.error };\n    return { kind: "authentic"',
    replace:
      'if (!result.ok && time < 0n) return { kind: "invalid", why: result.error };\n    return { kind: "authentic"',
    fleet: "whole",
    options: ["--lies", "unchecked-ingress"],
  },
  {
    name: "nobody asks others for new versions of the registry",
    section: "4",
    kind: "liveness",
    file: "packages/replica/src/consensus/registry-exchange.ts",
    find: "this.#isAsking || this.#ask() ?",
    replace: "this.#isAsking ?",
  },
];
