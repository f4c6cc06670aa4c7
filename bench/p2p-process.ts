// The other side of the p2p benchmark, in a process of its own: a node that answers each group of artifacts with one of
// its own and each question with so many bytes, and a bare TCP server that does as much without any protocol.
import { randomBytes } from "node:crypto";
import { type AddressInfo, createServer } from "node:net";
import { toHex } from "@atoll/types";
import { nodeCertificate } from "../packages/p2p/src/transport/node-certificate.ts";
import {
  ANSWER_BYTES,
  ARTIFACT_BYTES,
  CHILD,
  GROUP,
  type Introduction,
  PARENT,
  Publisher,
  startBenchNode,
} from "./p2p-node.ts";

process.once("message", async ({ key, port }: Introduction) => {
  const seed = new Uint8Array(randomBytes(32));
  const answer = new Uint8Array(randomBytes(ANSWER_BYTES));
  let received = 0;
  const node = await startBenchNode(CHILD, seed, {
    receive() {
      if (++received % GROUP === 0) publisher.next();
      return "taken";
    },
    serve: () => answer,
  });
  const publisher = new Publisher(node.gossip, 2);
  node.meet(PARENT, key, port);
  const tcpPort = await serveTcp(answer);
  const introduction: Introduction = { key: toHex(nodeCertificate(seed).publicKey), port: node.port, tcpPort };
  process.send?.(introduction);
});

process.once("disconnect", () => process.exit(0));

/** A group of bytes is sent back; a single byte asks for the long answer. */
function serveTcp(answer: Uint8Array): Promise<number> {
  const server = createServer({ noDelay: true }, (socket) => {
    let waiting = 0;
    socket.on("data", (bytes) => {
      if (waiting === 0 && bytes.length === 1) {
        socket.write(answer);
        return;
      }
      for (waiting += bytes.length; waiting >= GROUP * ARTIFACT_BYTES; waiting -= GROUP * ARTIFACT_BYTES) {
        socket.write(new Uint8Array(GROUP * ARTIFACT_BYTES));
      }
    });
    socket.on("error", () => undefined);
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}
