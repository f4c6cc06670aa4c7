// Rules of the protocol, each taken out of the code by one replacement of text: the simulator has to notice. A replacement that
// no longer applies is a failure too, so that the list lives with the code. `seed`: one that is known to notice; when it no
// longer does, others are tried.

export interface Mutation {
  readonly name: string;
  readonly kind: "safety" | "liveness";
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  readonly seed?: string;
  /** Tried at every change of the code too. */
  readonly isInShortTest?: boolean;
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
    kind: "safety",
    file: `${CONSENSUS}/notary.ts`,
    find: ".filter(({ block }) => block.rank === rank)",
    replace: ".filter(() => true)",
    members: 7,
    options: ["--stress", "adversary,link"],
  },
  {
    name: "a notary signs at a height that has a notarization",
    kind: "safety",
    file: `${CONSENSUS}/notary.ts`,
    find: "const height = notarizedHeight(pool) + 1;",
    replace: "const height = Math.max(1, notarizedHeight(pool));",
  },
  {
    name: "a finalizer does not look at what else it has signed",
    kind: "safety",
    file: `${CONSENSUS}/finalizer.ts`,
    find: "if (others.length > 0) return undefined;",
    replace: "",
    isInShortTest: true,
  },
  {
    name: "shares are sent before they are on the disk",
    kind: "safety",
    file: `${CONSENSUS}/open-consensus.ts`,
    find: "isVote: this.#isOwnVote(entry.artifact)",
    replace: "isVote: false",
    isInShortTest: true,
  },
  {
    name: "any number of signers makes a notarization or a finalization",
    kind: "safety",
    file: `${CONSENSUS}/validator.ts`,
    find: "if (!isSorted || signers.length < membership.threshold)",
    replace: "if (!isSorted)",
    options: ["--lies", "forged-aggregates", "--stress", "adversary"],
  },
  {
    name: "one signature of a quorum may be missing",
    kind: "safety",
    file: `${CONSENSUS}/thresholds.ts`,
    find: "return committeeSize(nodes) - faultsTolerated(nodes);",
    replace: "return committeeSize(nodes) - faultsTolerated(nodes) - 1;",
  },
  {
    name: "one signature more than a quorum is waited for",
    kind: "liveness",
    file: `${CONSENSUS}/thresholds.ts`,
    find: "return committeeSize(nodes) - faultsTolerated(nodes);",
    replace: "return committeeSize(nodes) - faultsTolerated(nodes) + 1;",
  },
  {
    name: "a beacon need not follow the one before it",
    kind: "safety",
    file: `${CONSENSUS}/random-beacon-maker.ts`,
    find: "parent: beaconHash(parent)",
    replace: "parent: new Uint8Array(32)",
  },
  {
    name: "a certification with any witness and signature counts",
    kind: "safety",
    file: `${CONSENSUS}/certifier.ts`,
    find: "if (publicKey !== undefined && crypto.verifyThreshold(publicKey, message, certification.signature)) return undefined;",
    replace: "if (publicKey !== undefined && message.length > 0) return undefined;",
    options: ["--lies", "forged-aggregates"],
  },
  {
    name: "a catch-up package need not be signed",
    kind: "safety",
    file: `${CONSENSUS}/catch-up-package-validator.ts`,
    find: "if (key !== undefined && crypto.verifyThreshold(key, catchUpBytes(cup, blockHash(block)), cup.signature))",
    replace: "if (key !== undefined && catchUpBytes(cup, blockHash(block)).length > 0)",
    seconds: 12,
    options: ["--lies", "forged-package"],
  },
  {
    name: "batches are delivered without the random tape",
    kind: "safety",
    file: `${CONSENSUS}/batch-delivery.ts`,
    find: "randomness: tapeHash(tape),",
    replace: "randomness: context.crypto.sha256(context.crypto.signBasic(tapeHash(tape))),",
  },
  {
    name: "batches are delivered before they are final",
    kind: "safety",
    file: `${CONSENSUS}/random-tape-maker.ts`,
    find: "finalizedHeight(pool) + 1",
    replace: "finalizedHeight(pool) + 3",
  },
  {
    name: "a block is not taken because a quorum has notarized it",
    kind: "liveness",
    file: `${CONSENSUS}/validator-proposal.ts`,
    find: "if (byNotarization.length > 0) return byNotarization;",
    replace: "",
  },
  {
    name: "nobody proves that a maker has signed two blocks",
    kind: "safety",
    file: `${CONSENSUS}/validator-proposal.ts`,
    find: "if (proof !== undefined) {",
    replace: "if (proof !== undefined && height < 0) {",
    options: ["--lies", "equivocate,equivocate-openly"],
  },
  {
    name: "a block of a time to come is taken, and one of the past",
    kind: "safety",
    file: `${CONSENSUS}/validator-proposal.ts`,
    find: "if (time <= before.time || registryVersion",
    replace: "if (registryVersion",
    options: ["--lies", "wrong-time"],
  },
  {
    name: "a maker that was proved to have signed two blocks still counts",
    kind: "safety",
    file: `${CONSENSUS}/equivocation.ts`,
    find: 'return pool.validated.at("equivocation-proof", height).some(({ artifact }) => artifact.signer === maker);',
    replace: 'return pool.validated.at("equivocation-proof", height).length < 0 && maker.length > 0;',
    options: ["--lies", "equivocate,equivocate-openly"],
  },
  {
    name: "nothing is purged",
    kind: "safety",
    file: `${CONSENSUS}/purger.ts`,
    find: 'return drop(context.pool, "validated", purgeHeight(context), OWN_CHAIN);',
    replace: 'return purgeHeight(context) < 0 ? drop(context.pool, "validated", 0, OWN_CHAIN) : [];',
  },
];
