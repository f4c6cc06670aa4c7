// A client that costs as little as possible: requests are bytes made beforehand, sent over a fixed number of kept
// connections, the next one as soon as the answer to the last one is there. It reads no more of an answer than its
// status and its length, but hands out every answer that was asked for.
import { connect, type Socket } from "node:net";

/** The answer to the request at `index`. */
export interface Sample {
  readonly index: number;
  readonly body: Uint8Array;
}

interface LoadResult {
  readonly samples: readonly Sample[];
  /** Wall time, in seconds. */
  readonly seconds: number;
  /** Answers of status 202: taken, but not done in the time for which a server waits. */
  readonly late: number;
}

export interface Load {
  /** Sends all requests and keeps every `sampleEvery`th answer; rejects when a connection breaks, or a status is not 200. */
  run(requests: readonly Uint8Array[], sampleEvery?: number): Promise<LoadResult>;
  close(): void;
}

/** `mayBeLate`: status 202, for updates that the server took, counts as well; whoever allows it looks what became of them. */
export async function openLoad(port: number, connections: number, { mayBeLate = false } = {}): Promise<Load> {
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)));
  return {
    async run(requests, sampleEvery = requests.length) {
      const samples: Sample[] = [];
      const start = performance.now();
      let next = 0;
      let late = 0;
      const take = (): number | undefined => (next < requests.length ? next++ : undefined);
      const lanes = sockets.map((socket) =>
        lane(socket, requests, take, (index, body, status) => {
          if (status === "202" && mayBeLate) late++;
          else if (status !== "200") throw new Error(`status ${status}: ${body.toString("utf8").slice(0, 300)}`);
          if (index % sampleEvery === 0) samples.push({ index, body: new Uint8Array(body) });
        }),
      );
      await Promise.all(lanes);
      return { samples, seconds: (performance.now() - start) / 1000, late };
    },
    close() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** A POST with a CBOR body, as it goes over the wire. */
export function postBytes(port: number, path: string, body: Uint8Array): Uint8Array {
  const head =
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/cbor\r\n` +
    `content-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, "latin1"), body]);
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => resolve(socket));
    socket.once("error", reject);
  });
}

/** One connection's share of the requests. */
function lane(
  socket: Socket,
  requests: readonly Uint8Array[],
  take: () => number | undefined,
  onAnswer: (index: number, body: Buffer, status: string) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let index = take();
    let received: Buffer = Buffer.alloc(0);
    const end = (error?: Error): void => {
      socket.off("data", onData).off("close", onClose);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onClose = (): void => end(new Error("the server closed a connection"));
    const onData = (chunk: Buffer): void => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      const body = wholeBody(received);
      if (body === undefined) return;
      const status = received.toString("latin1", 9, 12);
      try {
        onAnswer(index as number, body, status);
      } catch (error) {
        end(error as Error);
        return;
      }
      received = Buffer.alloc(0);
      index = take();
      if (index === undefined) end();
      else socket.write(requests[index] as Uint8Array);
    };
    if (index === undefined) {
      resolve();
      return;
    }
    socket.on("data", onData).on("close", onClose);
    socket.write(requests[index] as Uint8Array);
  });
}

const LENGTH = "content-length: ";

function wholeBody(received: Buffer): Buffer | undefined {
  const headEnd = received.indexOf("\r\n\r\n", 0, "latin1");
  if (headEnd < 0) return undefined;
  const head = received.toString("latin1", 0, headEnd).toLowerCase();
  const at = head.indexOf(LENGTH);
  if (at < 0) throw new Error("an answer without a content-length");
  const length = Number.parseInt(head.slice(at + LENGTH.length), 10);
  const body = received.subarray(headEnd + 4);
  return body.length < length ? undefined : body.subarray(0, length);
}
