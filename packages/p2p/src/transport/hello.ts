// The first frame on a connection, and its echo: which of the two connections of a pair it is, and of which pair. The
// dialling side says it when it knows whom it has reached; the other side repeats it when it knows who has come and both
// connections are there. Before that neither looks at anything else.

export type Lane = "control" | "bulk";
export const LANES: readonly Lane[] = ["control", "bulk"];

export interface Hello {
  readonly lane: Lane;
  /** Drawn for each pair, in hex. */
  readonly token: string;
}

/** Application-layer protocol: other versions do not get through the handshake. */
export const PROTOCOL = "atoll/1";
export const TOKEN_BYTES = 16;
export const HELLO_BYTES: number = 1 + TOKEN_BYTES;

export function encodeHello({ lane, token }: Hello): Uint8Array {
  return Uint8Array.of(LANES.indexOf(lane), ...Buffer.from(token, "hex"));
}

/** Undefined: it is none. */
export function decodeHello(frame: Uint8Array): Hello | undefined {
  const lane = frame.length === HELLO_BYTES ? LANES[frame[0] as number] : undefined;
  return lane === undefined ? undefined : { lane, token: Buffer.from(frame.subarray(1)).toString("hex") };
}
