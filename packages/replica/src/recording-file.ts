// A recording as a file. Eight bytes that say what it is, four for the version of the format; then records: length,
// CRC-32, and an entry as `encodeState` writes it. The last record says how many there are, so that a file that ends too
// early is found out. All numbers are 32 bits, big-endian.
import { crc32, decodeState, EnvironmentError, encodeState } from "@atoll/types";
import type { RecordingEntry } from "./recording.ts";

/** Raised whenever an older program could not make sense of it. */
export const RECORDING_VERSION = 1;

const MAGIC = new TextEncoder().encode("ATOLLREC");
const START_BYTES = MAGIC.length + 4;
const HEAD_BYTES = 8;

interface End {
  readonly kind: "end";
  readonly entries: number;
}

type Crc32 = (bytes: Uint8Array) => number;

export function encodeRecording(entries: Iterable<RecordingEntry>): Uint8Array {
  const start = new Uint8Array(START_BYTES);
  start.set(MAGIC);
  new DataView(start.buffer).setUint32(MAGIC.length, RECORDING_VERSION);
  const parts: Uint8Array[] = [start];
  let count = 0;
  const put = (entry: RecordingEntry | End): void => {
    const payload = encodeState(entry);
    const head = new Uint8Array(HEAD_BYTES);
    new DataView(head.buffer).setUint32(0, payload.length);
    new DataView(head.buffer).setUint32(4, crc32(payload));
    parts.push(head, payload);
  };
  for (const entry of entries) {
    put(entry);
    count++;
  }
  put({ kind: "end", entries: count });
  const file = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}

/** A file whose every byte was checked; entries are decoded one by one. */
export interface RecordingFile {
  /** Number of entries. */
  readonly entries: number;
  read(): Generator<RecordingEntry>;
}

/** Throws EnvironmentError when the bytes are not a whole recording. `crc`: a faster one than ours, if there is. */
export function openRecording(file: Uint8Array, crc: Crc32 = crc32): RecordingFile {
  checkStart(file);
  const places: { readonly at: number; readonly end: number }[] = [];
  for (let at = START_BYTES; at < file.length; ) {
    const payload = payloadAt(file, at);
    if (payload === undefined) throw endsEarly(places.length);
    if (crc(payload.bytes) !== payload.crc) throw damaged(places.length, at);
    places.push({ at: at + HEAD_BYTES, end: at + HEAD_BYTES + payload.bytes.length });
    at += HEAD_BYTES + payload.bytes.length;
  }
  const last = places.pop();
  const end = last && decodeEntry(file.subarray(last.at, last.end), places.length);
  if (end?.kind !== "end") throw endsEarly(places.length + (last === undefined ? 0 : 1));
  if (end.entries !== places.length) throw damaged(places.length, START_BYTES);
  return {
    entries: places.length,
    *read() {
      for (const [number, { at, end }] of places.entries()) {
        const entry = decodeEntry(file.subarray(at, end), number);
        if (entry.kind === "end") throw damaged(number, at);
        yield entry;
      }
    },
  };
}

function checkStart(file: Uint8Array): void {
  if (MAGIC.some((byte, i) => file[i] !== byte)) {
    throw new EnvironmentError("RECORDING", "This is not a recording: it does not begin as a recording does.");
  }
  if (file.length < START_BYTES) throw endsEarly(0);
  const version = viewOf(file).getUint32(MAGIC.length);
  if (version !== RECORDING_VERSION) {
    throw new EnvironmentError(
      "RECORDING",
      `This recording has version ${version} of the format, and this program reads version ${RECORDING_VERSION}: ` +
        "use the program that it was made with.",
    );
  }
}

function payloadAt(file: Uint8Array, at: number): { readonly bytes: Uint8Array; readonly crc: number } | undefined {
  if (at + HEAD_BYTES > file.length) return undefined;
  const length = viewOf(file).getUint32(at);
  const start = at + HEAD_BYTES;
  if (start + length > file.length) return undefined;
  return { bytes: file.subarray(start, start + length), crc: viewOf(file).getUint32(at + 4) };
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

function damaged(entries: number, at: number): EnvironmentError {
  return new EnvironmentError(
    "RECORDING",
    `The recording is damaged: entry ${entries}, at byte ${at}, is not what was written; get another copy of it.`,
  );
}
