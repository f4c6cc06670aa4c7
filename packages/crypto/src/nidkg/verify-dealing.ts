// Everybody's part: whether a dealing gives each receiver the share that its commitments say, from its bytes alone. Section
// 14.2; Groth 2021/339, sections 6.4, 6.5 and 7. The same answer on every node: nothing random is drawn.

import { decodeWire, WireError } from "@atoll/types/wire";
import { equalBytes } from "../domain.ts";
import { chunkingRelations } from "./chunking-proof.ts";
import { type DealingCrypto, readReceivers, statementOf } from "./create-dealing.ts";
import {
  type Dealing,
  type DealingCodecs,
  type DealingTerms,
  dealingCodecs,
  dealingLength,
  G2_BYTES,
  sharesLength,
} from "./dealing.ts";
import { oracle } from "./oracle.ts";
import { allHold } from "./relation.ts";
import { sharingRelations } from "./sharing-proof.ts";

/**
 * `constantTerm`: the dealer's share of the key that is shared anew, as a public key. Never throws because of `content`
 * or `constantTerm`; RangeError for terms that make no sense.
 */
export function verifyDealing(
  terms: DealingTerms,
  content: Uint8Array,
  constantTerm: Uint8Array | undefined,
  crypto: DealingCrypto,
): boolean {
  const { bls, sha256 } = crypto;
  // Cheap checks first: reading the points takes most of the time.
  if (content.length !== dealingLength(terms.receivers.length, terms.threshold)) return false;
  if (constantTerm !== undefined && !equalBytes(content.subarray(0, G2_BYTES), constantTerm)) return false;
  const receivers = readReceivers(terms, crypto);
  const codecs = dealingCodecs(bls, terms.receivers.length, terms.threshold);
  const dealing = readDealing(codecs, content);
  if (receivers === undefined || dealing === undefined) return false;
  const encoded = content.subarray(0, sharesLength(terms.receivers.length, terms.threshold));
  const statement = statementOf(terms, receivers, dealing.shares, encoded, sha256);
  const ports = { bls, sha256, codecs };
  const chunking = chunkingRelations(statement, dealing.chunking, ports);
  if (chunking === undefined) return false;
  const sharing = sharingRelations(statement, dealing.shares.coefficients, dealing.sharing, ports);
  if (sharing === undefined) return false;
  return allHold([...chunking, ...sharing], oracle(sha256, "merge", statement.hash, content), bls, sha256);
}

function readDealing(codecs: DealingCodecs, content: Uint8Array): Dealing | undefined {
  try {
    return decodeWire(codecs.dealing, content);
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}
