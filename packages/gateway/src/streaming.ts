// Bodies that do not fit into one answer. A canister hands out the rest either by a callback that takes a token and
// gives a piece and the next token, or as byte ranges (status 206) that are asked for one after the other. Pieces are
// fetched as fast as the client takes them, and only so many: a canister can hand out tokens for ever.
// HTTP gateway specification, "Response body streaming".
import type { StreamingCallback, StreamingPart } from "./http-candid.ts";

export const MAX_STREAM_PARTS = 2_000;

/** Ends a stream that cannot be completed: the connection is cut, so that the client knows. */
export class StreamBroken extends Error {
  override name = "StreamBroken";
}

/** Calls the callback; undefined when that did not work. */
export type NextPart = (callback: StreamingCallback) => Promise<StreamingPart | undefined>;

export async function* streamByCallback(
  first: Uint8Array,
  callback: StreamingCallback,
  nextPart: NextPart,
  maxParts = MAX_STREAM_PARTS,
): AsyncGenerator<Uint8Array, void, void> {
  if (first.length > 0) yield first;
  let current = callback;
  for (let parts = 0; ; parts++) {
    if (parts === maxParts) throw new StreamBroken(`more than ${maxParts} pieces`);
    const part = await nextPart(current);
    if (part === undefined) throw new StreamBroken("the callback did not answer");
    if (part.body.length > 0) yield part.body;
    if (part.nextArg === undefined) return;
    current = { ...callback, arg: part.nextArg };
  }
}

export interface ContentRange {
  readonly start: number;
  /** Of the last byte. */
  readonly end: number;
  readonly total: number;
}

/** `bytes 0-99/1000`; undefined for anything else, also when the length is unknown. */
export function parseContentRange(value: string | undefined): ContentRange | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(value?.trim() ?? "");
  if (match === null) return undefined;
  const [start, end, total] = match.slice(1).map(Number) as [number, number, number];
  return start <= end && end < total ? { start, end, total } : undefined;
}

/** Asks for the bytes from `start` on; undefined when the answer is no range of the same content. */
export type NextRange = (start: number) => Promise<{ range: ContentRange; body: Uint8Array } | undefined>;

export async function* streamByRanges(
  first: Uint8Array,
  total: number,
  nextRange: NextRange,
  maxParts = MAX_STREAM_PARTS,
): AsyncGenerator<Uint8Array, void, void> {
  yield first;
  let at = first.length;
  for (let parts = 0; at < total; parts++) {
    if (parts === maxParts) throw new StreamBroken(`more than ${maxParts} pieces`);
    const next = await nextRange(at);
    if (next === undefined || next.range.start !== at || next.range.total !== total) {
      throw new StreamBroken("a piece did not follow the one before");
    }
    if (next.body.length !== next.range.end - next.range.start + 1)
      throw new StreamBroken("a piece had another length");
    yield next.body;
    at += next.body.length;
  }
}
