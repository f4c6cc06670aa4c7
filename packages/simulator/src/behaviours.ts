// The ways in which a node can lie, by name: those of section 24.1 and of the public replica's malicious flags, each by itself
// or several together. What each of them does is in liar.ts.
import type { Random } from "./random.ts";

/** Name and what it is; of our own naming where there is no flag of the public replica. */
export const BEHAVIOURS = {
  silent: "publishes nothing and answers nothing",
  equivocate: "proposes two blocks, each to a part of the nodes",
  "equivocate-openly": "proposes two blocks to everybody",
  "forged-blocks": "proposes blocks in the name of others",
  "wrong-summary": "begins intervals with other keys, nodes or lengths than were agreed",
  "other-payload": "proposes a block with one content to some and with another one to the others",
  "every-rank": "proposes its block at each rank, whatever its own is",
  "empty-blocks": "proposes blocks without content",
  "wrong-time": "proposes blocks of the far future, or not above their parents",
  "replay-batch": "proposes once more what was in an earlier block",
  "garbage-batch": "proposes blocks whose content is not what it should be",
  "unchecked-ingress": "proposes blocks with calls that no client has signed",
  "notarize-all": "signs every block for notarization at once",
  "finalize-all": "signs every block as final",
  "withhold-blocks": "makes no blocks",
  "withhold-notary-shares": "signs no block",
  "withhold-beacon": "signs no random beacon",
  "withhold-tape": "signs no random tape",
  "withhold-certification": "signs no state",
  "withhold-catch-up": "signs no catch-up package",
  "withhold-dealings": "deals no keys",
  "invalid-shares": "publishes shares that are none",
  "foreign-shares": "publishes shares under the id of another key",
  "early-tape": "signs random tapes of heights to come",
  "wrong-root": "signs another state than it has",
  "wrong-state-hash": "signs catch-up packages of another state",
  "bad-dealings": "deals wrong shares",
  "forged-aggregates": "publishes notarizations, finalizations and certifications that too few have signed",
  "forged-package": "publishes catch-up packages of its own making, unsigned or with a signature that is none",
  late: "publishes everything later",
  selective: "publishes to a part of the nodes",
  "drop-requests": "answers no request",
  "alter-answers": "answers requests with something else",
  "late-answers": "answers requests late, or when nobody waits any more",
  "alter-received": "takes what it asked for as something else",
  "slow-sync": "asks others for what it lacks only after a while",
  "slow-reader": "stands still most of the time while others send to it",
  "no-execution": "executes nothing",
  "slow-execution": "takes long to execute",
  "corrupt-state": "executes something else now and then, and goes on from there",
  flood: "publishes many artifacts that are none",
} as const;

export type Behaviour = keyof typeof BEHAVIOURS;

export function drawBehaviours(random: Random): readonly Behaviour[] {
  const all = Object.keys(BEHAVIOURS) as Behaviour[];
  return random.sample(all, random.between(1, 4)).sort();
}
