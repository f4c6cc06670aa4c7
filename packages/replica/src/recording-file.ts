// A recording as a file. Eight bytes that say what it is, four for the version of the format; then records: length,
// CRC-32, CRC-32 of these two, and an entry as `encodeState` writes it. The last record says how many there are. A file
// that was written at once has to have it, so that one that ends too early is found out; one that grows with its network
// may end anywhere, because the process may. All numbers are 32 bits, big-endian.
import { crc32, decodeState, EnvironmentError, encodeState, principalToText } from "@atoll/types";
import type { RecordingEntry } from "./recording.ts";

/** Raised whenever an older program could not make sense of it. */
export const RECORDING_VERSION = 2;

const [WHOLE, GROWING] = ["ATOLLREC", "ATOLLLOG"].map((text) => new TextEncoder().encode(text)) as [
  Uint8Array,
  Uint8Array,
];
const START_BYTES = WHOLE.length + 4;
const HEAD_BYTES = 12;

interface End {
  readonly kind: "end";
  readonly entries: number;
}

type Crc32 = (bytes: Uint8Array) => number;

/** What a recording is read from. */
export interface RecordingSource {
  readonly size: number;
  /** Never past the end. */
  read(at: number, length: number): Uint8Array;
}

/** The first bytes of a file that grows. */
export function growingStart(): Uint8Array {
  return startBytes(GROWING);
}

/** A record: its parts, one behind the other. */
export function encodeRecord(entry: RecordingEntry | End, crc: Crc32 = crc32): [Uint8Array, Uint8Array] {
  const payload = encodeState(entry);
  const head = new Uint8Array(HEAD_BYTES);
  const view = new DataView(head.buffer);
  view.setUint32(0, payload.length);
  view.setUint32(4, crc(payload));
  view.setUint32(8, crc(head.subarray(0, 8)));
  return [head, payload];
}

export function encodeRecording(entries: Iterable<RecordingEntry>): Uint8Array {
  const parts: Uint8Array[] = [startBytes(WHOLE)];
  let count = 0;
  for (const entry of entries) {
    parts.push(...encodeRecord(entry));
    count++;
  }
  parts.push(...encodeRecord({ kind: "end", entries: count }));
  const file = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}

/** A file whose every byte was checked; entries are read and decoded one by one. */
export interface RecordingFile {
  /** Number of entries. */
  readonly entries: number;
  /** The last of them. */
  readonly last: RecordingEntry | undefined;
  /** Where it ends. */
  readonly endAt: number;
  /** The last record is there: whoever wrote the file came to an end with it. */
  readonly isEnded: boolean;
  /** Bytes at the end that are not a whole record. */
  readonly tornBytes: number;
  read(): Generator<RecordingEntry>;
}

/** Throws EnvironmentError when this is no recording or a damaged one. `crc`: a faster one than ours, if there is. */
export function openRecording(file: Uint8Array | RecordingSource, crc: Crc32 = crc32): RecordingFile {
  const source = file instanceof Uint8Array ? sourceOf(file) : file;
  const mayEndAnywhere = checkStart(source);
  let [entries, at, before] = [0, START_BYTES, START_BYTES];
  let [last, lastButOne]: (Uint8Array | undefined)[] = [];
  while (at < source.size) {
    const record = recordAt(source, at, crc);
    if (record === "torn") break;
    if (record === "damaged") throw damaged(entries, at, last);
    [lastButOne, last, before] = [last, record, at];
    at += HEAD_BYTES + record.length;
    entries++;
  }
  const tornBytes = source.size - at;
  let entry = last && decodeEntry(last, entries - 1);
  const isEnded = entry?.kind === "end" && tornBytes === 0;
  if (!isEnded && !mayEndAnywhere) throw endsEarly(entries);
  if (entry?.kind === "end") {
    entries--;
    if (!isEnded || entry.entries !== entries) throw damaged(entries, before, undefined);
    at = before;
    entry = lastButOne && decodeEntry(lastButOne, entries - 1);
    if (entry?.kind === "end") throw damaged(entries, before, undefined);
  }
  return {
    entries,
    last: entry,
    endAt: at,
    isEnded,
    tornBytes,
    *read() {
      let next = START_BYTES;
      for (let number = 0; number < entries; number++) {
        const record = recordAt(source, next, () => 0, { isChecked: true });
        if (!(record instanceof Uint8Array)) throw damaged(number, next, undefined);
        const entry = decodeEntry(record, number);
        if (entry.kind === "end") throw damaged(number, next, undefined);
        yield entry;
        next += HEAD_BYTES + record.length;
      }
    },
  };
}

function startBytes(magic: Uint8Array): Uint8Array {
  const start = new Uint8Array(START_BYTES);
  start.set(magic);
  new DataView(start.buffer).setUint32(magic.length, RECORDING_VERSION);
  return start;
}

function sourceOf(file: Uint8Array): RecordingSource {
  return { size: file.length, read: (at, length) => file.subarray(at, at + length) };
}

/** Whether it is a file that grows. */
function checkStart(source: RecordingSource): boolean {
  const start = source.read(0, Math.min(START_BYTES, source.size));
  const begins = (magic: Uint8Array) => magic.every((byte, i) => start[i] === byte);
  if (!begins(WHOLE) && !begins(GROWING)) {
    throw new EnvironmentError("RECORDING", "This is not a recording: it does not begin as a recording does.");
  }
  if (start.length < START_BYTES) throw endsEarly(0);
  const version = viewOf(start).getUint32(WHOLE.length);
  if (version !== RECORDING_VERSION) {
    throw new EnvironmentError(
      "RECORDING",
      `This recording has version ${version} of the format, and this program reads version ${RECORDING_VERSION}: ` +
        "use the program that it was made with.",
    );
  }
  return begins(GROWING);
}

/** Torn: the file ends before the record does. */
function recordAt(
  source: RecordingSource,
  at: number,
  crc: Crc32,
  { isChecked } = { isChecked: false },
): Uint8Array | "torn" | "damaged" {
  const start = at + HEAD_BYTES;
  if (start > source.size) return "torn";
  const head = source.read(at, HEAD_BYTES);
  const view = viewOf(head);
  if (!isChecked && crc(head.subarray(0, 8)) !== view.getUint32(8)) return "damaged";
  const length = view.getUint32(0);
  if (start + length > source.size) return "torn";
  const payload = source.read(start, length);
  return isChecked || crc(payload) === view.getUint32(4) ? payload : "damaged";
}

function viewOf({ buffer, byteOffset, length }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, length);
}

const KINDS = ["genesis", "batch", "fork", "end"];

function decodeEntry(bytes: Uint8Array, number: number): RecordingEntry | End {
  let entry: unknown;
  try {
    entry = decodeState(bytes);
  } catch (error) {
    throw new EnvironmentError("RECORDING", `Entry ${number} of the recording cannot be read.`, { cause: error });
  }
  const kind = typeof entry === "object" && entry !== null && "kind" in entry ? entry.kind : undefined;
  if (!KINDS.includes(kind as string)) {
    throw new EnvironmentError("RECORDING", `Entry ${number} of the recording is of no kind that is known.`);
  }
  return entry as RecordingEntry | End;
}

function endsEarly(entries: number): EnvironmentError {
  return new EnvironmentError(
    "RECORDING",
    `The recording ends too early: after ${entries} whole entries something is missing; get the whole file.`,
  );
}

/** `before`: the entry before it, which is good. */
function damaged(number: number, at: number, before: Uint8Array | undefined): EnvironmentError {
  const entry = before && decodeEntry(before, number - 1);
  const place = entry?.kind === "batch" ? ` (behind ${placeOf(entry)})` : "";
  return new EnvironmentError(
    "RECORDING",
    `The recording is damaged: entry ${number}, at byte ${at}${place}, is not what was written; get another copy of it.`,
  );
}

/** Of an entry whose content nobody has checked yet. */
function placeOf({ subnet, batch }: Extract<RecordingEntry, { kind: "batch" }>): string {
  const name = /^([0-9a-f]{2})+$/.test(subnet) ? principalToText(subnet) : "?";
  return `height ${Number(batch?.height)} of subnet ${name}`;
}
