// Somebody between a client and the network who changes a word in answers: what signatures must show.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ManInTheMiddle {
  readonly url: string;
  close(): Promise<void>;
}

/** Passes everything on to `target`, and puts `after` in the place of `before` in answers. Port 0 takes any. */
export async function startManInTheMiddle(
  target: string,
  [before, after]: readonly [before: string, after: string],
  port = 0,
): Promise<ManInTheMiddle> {
  if (before.length !== after.length) throw new RangeError("another length would break every encoding");
  const pass = async (request: IncomingMessage, response: ServerResponse) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const { "content-type": type } = request.headers;
    const answer = await fetch(new URL(request.url ?? "/", target), {
      method: request.method ?? "GET",
      headers: type === undefined ? {} : { "content-type": type },
      ...(parts.length > 0 && { body: Buffer.concat(parts) }),
    });
    const body = Buffer.from(await answer.arrayBuffer());
    for (let at = body.indexOf(before); at >= 0; at = body.indexOf(before, at + 1)) body.write(after, at);
    response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "" });
    response.end(body);
  };
  const server = createServer((request, response) => {
    pass(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
