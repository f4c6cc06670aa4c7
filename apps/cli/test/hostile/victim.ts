// The server under attack, and the other user: somebody with the official agent who must be served all the while.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { HttpAgent } from "@icp-sdk/core/agent";
import type { Principal } from "@icp-sdk/core/principal";
import {
  add,
  getSlot,
  int,
  le64,
  reply,
  seq,
  setSlot,
  universalModule,
} from "../../../../packages/execution/test/canisters/universal.ts";
import { type Network, startNetwork, temporaryFolder } from "../process.ts";
import { deploy, type Outcome, query, update } from "./wire.ts";

const MIB = 1024 * 1024;

export interface Victim {
  readonly network: Network;
  readonly url: string;
  /** A canister that counts, with a counter at 0. */
  readonly counter: Principal;
  /** Most memory that the process ever held, in MiB. */
  peakMib(): number;
  /** Asserts that the process lives, holds less than `maxMib` and still counts; and does after SIGKILL and restart. */
  close(maxMib: number): Promise<void>;
}

export const UNIVERSAL = universalModule();
const INCREMENT = seq(setSlot(0, add(getSlot(0), int(1))), reply(le64(getSlot(0))));
const READ = reply(le64(getSlot(0)));

export async function startVictim(): Promise<Victim> {
  const network = await startNetwork({ stateDir: temporaryFolder() });
  const url = network.gatewayUrl;
  const counter = await deploy(url, UNIVERSAL);
  const peakMib = (): number => statusField(network.pid, "VmHWM") / MIB;
  return {
    network,
    url,
    counter,
    peakMib,
    async close(maxMib) {
      try {
        const before = await count(url, counter);
        assert.equal(await increment(url, counter), before + 1n, "updates still count");
        const peak = peakMib();
        assert.ok(peak < maxMib, `the server held ${Math.round(peak)} MiB, the bound is ${maxMib}`);
        assert.doesNotMatch(network.output().stderr, /atoll: error|internal|TypeError|InvariantViolation/i);
        await assertSurvivesKill(network, counter, before + 1n);
      } finally {
        // A test that failed must not wait for a server that goes on.
        await network.kill("SIGKILL");
      }
    },
  };
}

/** What was logged and not in a checkpoint is executed again: nothing hostile in it may stop that. */
async function assertSurvivesKill(network: Network, counter: Principal, expected: bigint): Promise<void> {
  await network.kill("SIGKILL");
  const again = await startNetwork({ stateDir: network.stateDir, timeoutMs: 90_000 });
  assert.equal(await count(again.gatewayUrl, counter), expected, "the final state is the right one");
  const { code, stderr } = await again.kill("SIGTERM");
  assert.equal(code, 0, stderr);
}

/** Bytes of a field of /proc/PID/status. */
function statusField(pid: number, name: string): number {
  const [, kib] = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) * 1024;
}

export async function increment(url: string, counter: Principal): Promise<bigint> {
  return number(await update(url, counter, "update", INCREMENT));
}

export async function count(url: string, counter: Principal): Promise<bigint> {
  return number(await query(url, counter, "query", READ));
}

function number(outcome: Outcome): bigint {
  assert.equal(outcome.kind, "reply");
  return new DataView(outcome.data.buffer, outcome.data.byteOffset).getBigUint64(0, true);
}

export function assertRejected(outcome: Outcome, error: string, message: RegExp): void {
  assert.ok(outcome.kind === "reject", "expected a rejection, got a reply");
  assert.equal(outcome.error, error, outcome.message);
  assert.equal(outcome.code, Number(error.charAt(3)));
  assert.match(outcome.message, message);
}

/** How long the other user waited at most for each kind of request, in ms. */
export interface Waits {
  query: number;
  status: number;
  readState: number;
  rounds: number;
}

/** Another user asks, one request after the other, while `attack` lasts. */
export async function whileServed<T>({ network, url, counter }: Victim, attack: () => Promise<T>): Promise<[T, Waits]> {
  const agent = HttpAgent.createSync({ host: url, rootKey: network.rootKey, retryTimes: 0 });
  const waits: Waits = { query: 0, status: 0, readState: 0, rounds: 0 };
  let isOver = false;
  const attacked = attack().finally(() => {
    isOver = true;
  });
  attacked.catch(() => undefined);
  const timed = async (kind: "query" | "status" | "readState", ask: () => Promise<unknown>): Promise<void> => {
    const start = performance.now();
    await ask();
    waits[kind] = Math.max(waits[kind], performance.now() - start);
  };
  while (!isOver) {
    await timed("status", () => agent.status());
    await timed("query", () => agent.query(counter, { methodName: "query", arg: READ }));
    await timed("readState", () =>
      agent.readState({ canisterId: counter }, { paths: [[new TextEncoder().encode("time")]] }),
    );
    waits.rounds++;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return [await attacked, waits];
}
