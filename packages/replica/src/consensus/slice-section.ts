// The slices of other subnets' streams in a payload: at most one of each, going on exactly where the certified state and
// the blocks since then have left off. Section 16.5.
import { type CryptoPort, type PrincipalId, principalToText } from "@atoll/types";
import { cutSlice } from "../xnet/cut-slice.ts";
import { sliceExpectations, type TakenSlice } from "../xnet/expectations.ts";
import { verifySlice } from "../xnet/verify-slice.ts";
import type { CarriedSlice } from "./payload-codec.ts";
import { invalid, type PayloadContext, type SectionVerdict, VALID } from "./payload-section.ts";
import type { SlicePool, SourceExpectations } from "./slice-pool.ts";

export interface SliceSectionPorts {
  readonly own: PrincipalId;
  readonly crypto: Pick<CryptoPort, "sha256" | "bls">;
}

/** Of a slice beside its bytes: the id of its subnet and two lengths. */
const ENTRY_BYTES = 40;

type StreamContext = Pick<PayloadContext, "facts" | "topology"> & {
  readonly context: Pick<PayloadContext["context"], "certifiedHeight">;
};

/** How the stream of `source` goes on; undefined: the topology does not know that subnet. */
export function expectationsOf(
  { facts, topology, context }: StreamContext,
  own: PrincipalId,
  source: PrincipalId,
  past: readonly TakenSlice[],
): SourceExpectations | undefined {
  const [ours, record] = [own, source].map((id) => topology?.subnets.find(({ subnetId }) => subnetId === id));
  if (ours === undefined || record === undefined || source === own) return undefined;
  const types = { own: ours.type, source: record.type, ownIsRoot: topology?.rootSubnetId === own };
  const position = facts.streamAt(source, context.certifiedHeight);
  return { record, expected: sliceExpectations(types, position, past) };
}

/** Slices of at most `maxBytes` together, beginning with another subnet at each height. */
export function buildSlices(
  context: PayloadContext,
  pool: SlicePool,
  maxBytes: number,
  { own, crypto }: SliceSectionPorts,
): CarriedSlice[] {
  const sources = pool.ready();
  const first = context.height % Math.max(1, sources.length);
  const carried: CarriedSlice[] = [];
  let room = maxBytes;
  for (const source of [...sources.slice(first), ...sources.slice(0, first)]) {
    const how = expectationsOf(context, own, source, context.past.slices(source));
    const held = how && pool.from(source, how.expected);
    if (how === undefined || held === undefined) continue;
    const { messageIndex, messageLimit, signalIndex } = how.expected;
    const limits = { from: messageIndex, messages: messageLimit, bytes: room - ENTRY_BYTES };
    const cut = cutSlice(held, own, limits, crypto.sha256);
    // Without messages or signals there is nothing new in it.
    if (cut === undefined || (cut.messages === 0 && held.slice.header.signalsEnd <= signalIndex)) continue;
    carried.push({ source, certified: cut.certified });
    pool.takenUpTo(source, messageIndex + cut.messages, held.slice.header.signalsEnd);
    room -= cut.certified.length + ENTRY_BYTES;
  }
  return carried.sort((a, b) => (a.source < b.source ? -1 : 1));
}

export function validateSlices(
  context: PayloadContext,
  slices: readonly CarriedSlice[],
  pool: SlicePool,
  { own, crypto }: SliceSectionPorts,
): SectionVerdict {
  for (const { source, certified } of slices) {
    const how = expectationsOf(context, own, source, context.past.slices(source));
    const from = (): string => `the slice from subnet ${principalToText(source)}`;
    if (source === own) return invalid("a subnet takes no slices from itself");
    if (how === undefined) return invalid(`${from()} is from a subnet that there is not`);
    const check = { source: how.record, own, expected: how.expected, crypto, cache: pool.signatures };
    const result = verifySlice(certified, check);
    if (!result.ok) return invalid(`${from()}: ${result.reason}`);
    const { header, messages } = result.slice;
    pool.takenUpTo(source, how.expected.messageIndex + messages.length, header.signalsEnd);
  }
  return VALID;
}
