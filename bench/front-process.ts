// The processes around the benchmark of the front: one with nodes that hold their answers back until the next of their
// rounds, as a node does that certifies, and one with the front of a network and the server that it stands behind.
import { startHttpServer } from "@atoll/host-node";
import type { HttpHandler } from "@atoll/types/http";
import { createFront } from "../apps/cli/src/nodes/front.ts";
import { createFrontDoor } from "../apps/cli/src/nodes/front-door.ts";
import { LINK_PROTOCOL } from "../apps/cli/src/nodes/front-link.ts";
import { HEIGHT_HEADER } from "../apps/cli/src/nodes/node-heights.ts";

const NODES = 4;
const ROUND_MS = 100;
/** About what the certificate of a counter's update takes. */
const ANSWER = Buffer.alloc(1_000, "certificate ");
const log = { log: () => undefined };
const anyPort = { host: "127.0.0.1", port: 0 } as const;

export interface Role {
  /** Undefined: be the nodes, and tell where they are. Else: be the front of these, and tell the port. */
  readonly nodes?: readonly string[];
}

async function startNode(): Promise<string> {
  let height = 0;
  const waiting: (() => void)[] = [];
  setInterval(() => {
    height++;
    for (const answer of waiting.splice(0)) answer();
  }, ROUND_MS);
  const apiHandler: HttpHandler = async ({ target }) => {
    if (target.endsWith("/call")) await new Promise<void>((resolve) => waiting.push(resolve));
    const headers = { "content-type": "application/cbor", "access-control-allow-origin": "*" };
    return { status: 200, headers: { ...headers, [HEIGHT_HEADER]: String(height) }, body: ANSWER };
  };
  const upgrade = { protocol: LINK_PROTOCOL, take: createFrontDoor(apiHandler, log).take };
  return (await startHttpServer({ ...anyPort, apiHandler, upgrade })).url;
}

async function startFront(urls: readonly string[]): Promise<number> {
  const front = createFront(urls.length, log);
  for (const [place, url] of urls.entries()) front.setNode(place, url);
  return (await startHttpServer({ ...anyPort, apiHandler: front.api })).port;
}

process.once("message", async ({ nodes }: Role) => {
  process.send?.(nodes ? await startFront(nodes) : await Promise.all(Array.from({ length: NODES }, startNode)));
});
process.once("disconnect", () => process.exit(0));
