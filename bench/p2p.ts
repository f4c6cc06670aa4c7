// What it costs to bring small artifacts from one node to another and back, and long answers one way: gossip over TLS
// between two processes, against the same bytes through a bare TCP connection. CPU of both processes is counted.
import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { toHex } from "@atoll/types";
import { nodeCertificate } from "../packages/p2p/src/transport/node-certificate.ts";
import { cpuOf, median, ownCpu, type Row, spread } from "./measure.ts";
import {
  ANSWER_BYTES,
  ARTIFACT_BYTES,
  type BenchNode,
  CHILD,
  GROUP,
  type Introduction,
  PARENT,
  Publisher,
  startBenchNode,
} from "./p2p-node.ts";

/** One window: CPU of both processes and time of the wall, in microseconds, per unit of work. */
interface Cost {
  readonly cpu: number;
  readonly wall: number;
}

export async function benchP2p({ short }: { readonly short: boolean }): Promise<readonly Row[]> {
  const windows = short ? 2 : 7;
  const milliseconds = short ? 150 : 2000;
  const sides = await start();
  const { child } = sides;
  try {
    for (const work of [sides.groups, sides.tcpGroups, sides.answer, sides.tcpAnswer]) await measure(child, work, 300);
    const pairs: { groups: Cost; tcpGroups: Cost; answer: Cost; tcpAnswer: Cost }[] = [];
    for (let window = 0; window < windows; window++) {
      pairs.push({
        groups: await measure(child, sides.groups, milliseconds),
        tcpGroups: await measure(child, sides.tcpGroups, milliseconds),
        answer: await measure(child, sides.answer, milliseconds),
        tcpAnswer: await measure(child, sides.tcpAnswer, milliseconds),
      });
    }
    const perSecond = (kind: "groups" | "tcpGroups") => median(pairs.map((pair) => (2e6 * GROUP) / pair[kind].wall));
    const megabytes = (kind: "answer" | "tcpAnswer") => median(pairs.map((pair) => ANSWER_BYTES / pair[kind].wall));
    const cpu = median(pairs.map(({ groups }) => groups.cpu / (2 * GROUP)));
    const ratio = median(pairs.map(({ answer, tcpAnswer }) => answer.cpu / tcpAnswer.cpu));
    return [
      {
        name: "p2p",
        what: `CPU of both nodes for an artifact of ${ARTIFACT_BYTES} bytes, ${GROUP} published at a time, over TLS`,
        baseline: "the same bytes through a bare TCP connection, a group in one write",
        ...spread(pairs.map(({ groups, tcpGroups }) => groups.cpu / tcpGroups.cpu)),
        goal: 25,
        laterGoal: 10,
        notes: [
          `${cpu.toFixed(1)} us of CPU; ${perSecond("groups").toFixed(0)} artifacts a second to and fro ` +
            `(TCP: ${perSecond("tcpGroups").toFixed(0)})`,
          `answers of 8 MiB: ${megabytes("answer").toFixed(0)} MB/s (TCP: ${megabytes("tcpAnswer").toFixed(0)}), ` +
            `CPU ${ratio.toFixed(2)} times that of TCP`,
        ],
      },
    ];
  } finally {
    await sides.end();
  }
}

/** Does the work again and again for so long. */
async function measure(child: ChildProcess, work: () => Promise<void>, milliseconds: number): Promise<Cost> {
  const pid = child.pid as number;
  const cpuBefore = ownCpu() + cpuOf(pid);
  const before = performance.now();
  let count = 0;
  while (performance.now() - before < milliseconds) {
    await work();
    count++;
  }
  const wall = (performance.now() - before) * 1000;
  return { cpu: Math.max(1, ownCpu() + cpuOf(pid) - cpuBefore) / count, wall: wall / count };
}

interface Sides {
  readonly child: ChildProcess;
  /** A group there and one back. */
  readonly groups: () => Promise<void>;
  readonly tcpGroups: () => Promise<void>;
  readonly answer: () => Promise<void>;
  readonly tcpAnswer: () => Promise<void>;
  readonly end: () => Promise<void>;
}

async function start(): Promise<Sides> {
  const seed = new Uint8Array(randomBytes(32));
  let received = 0;
  let whenGroup: (() => void) | undefined;
  const node = await startBenchNode(PARENT, seed, {
    receive() {
      if (++received % GROUP === 0) whenGroup?.();
      return "taken";
    },
    serve: () => undefined,
  });
  const child = fork(fileURLToPath(new URL("p2p-process.ts", import.meta.url)));
  const introduction: Introduction = { key: toHex(nodeCertificate(seed).publicKey), port: node.port, tcpPort: 0 };
  child.send(introduction);
  const [other] = (await once(child, "message")) as [Introduction];
  node.meet(CHILD, other.key, other.port);
  await connected(node);
  const socket = connect({ port: other.tcpPort, noDelay: true });
  await once(socket, "connect");
  const publisher = new Publisher(node.gossip, 1);
  return {
    child,
    groups: () =>
      new Promise((resolve) => {
        whenGroup = resolve;
        publisher.next();
      }),
    tcpGroups: () => roundTrip(socket, new Uint8Array(GROUP * ARTIFACT_BYTES), GROUP * ARTIFACT_BYTES),
    async answer() {
      await node.gossip.request(CHILD, Uint8Array.of(1));
    },
    tcpAnswer: () => roundTrip(socket, Uint8Array.of(1), ANSWER_BYTES),
    async end() {
      socket.destroy();
      await node.close();
      child.disconnect();
    },
  };
}

async function connected({ gossip }: BenchNode): Promise<void> {
  while (gossip.peers().length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
}

function roundTrip(socket: Socket, bytes: Uint8Array, expected: number): Promise<void> {
  return new Promise((resolve) => {
    let missing = expected;
    const onData = (chunk: Uint8Array) => {
      missing -= chunk.length;
      if (missing > 0) return;
      socket.off("data", onData);
      resolve();
    };
    socket.on("data", onData);
    socket.write(bytes);
  });
}
