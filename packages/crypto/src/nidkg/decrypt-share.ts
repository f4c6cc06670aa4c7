// A receiver's part: its share out of a dealing that everybody has checked. C_j - x * R_j is the chunk times the generator.
// Section 14.2: without forward secrecy, so that no pairings are needed, and whoever gets the key later can do the same.
import type { BlsPort } from "@atoll/types";
import { modulo, scalarFromBytes } from "../scalar-field.ts";
import { joinChunks } from "./create-dealing.ts";
import { readDealingPart } from "./dealing.ts";
import type { ChunkSearch, SearchBudget } from "./discrete-log.ts";

export interface ReceiverOf {
  readonly receivers: number;
  readonly threshold: number;
  /** Place among the receivers. */
  readonly index: number;
}

/** Undefined: no such dealing, or its dealer cheated and the chunks are not found within the budget. */
export function decryptShare(
  content: Uint8Array,
  { receivers, threshold, index }: ReceiverOf,
  dealingSecret: Uint8Array,
  bls: BlsPort,
  search: ChunkSearch,
  budget: SearchBudget,
): bigint | undefined {
  const part = readDealingPart(bls, content, receivers, threshold, index);
  const secret = scalarFromBytes(dealingSecret);
  if (part === undefined || secret === undefined) return undefined;
  const chunks: bigint[] = [];
  for (const [j, randomizer] of part.randomizers.entries()) {
    const cipher = part.ciphertext[j];
    if (cipher === undefined) return undefined;
    const chunk = search.find(bls.g1.sum([cipher, randomizer], [1n, modulo(-secret)]), receivers, budget);
    if (chunk === undefined) return undefined;
    chunks.push(chunk);
  }
  return joinChunks(chunks);
}
