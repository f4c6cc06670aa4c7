// Runs in a thread of its own, whose clock is wrong: agents that have to find that out by themselves. Each message
// says how wrong; the answer is what the calls returned, or the message of what went wrong.
import { parentPort } from "node:worker_threads";
import { HttpAgent } from "@icp-sdk/core/agent";
import { IDL } from "@icp-sdk/core/candid";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";

export interface WrongClock {
  readonly url: string;
  readonly canisterId: string;
  /** How far this clock is ahead. */
  readonly aheadMs: number;
  readonly signed: boolean;
}

export interface Outcome {
  readonly update?: bigint;
  readonly query?: bigint;
  readonly timeDiffMs?: number;
  readonly error?: string;
}

let aheadMs = 0;
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...args: [] | [number]) {
    super(args.length === 0 ? RealDate.now() + aheadMs : args[0]);
  }
  static override now(): number {
    return RealDate.now() + aheadMs;
  }
} as DateConstructor;

const numberOf = (reply: Uint8Array): bigint => (IDL.decode([IDL.Nat], reply) as unknown as [bigint])[0];

async function run({ url, canisterId, signed }: WrongClock): Promise<Outcome> {
  const identity = signed ? { identity: Ed25519KeyIdentity.generate() } : {};
  const agent = await HttpAgent.create({ host: url, shouldFetchRootKey: true, ...identity });
  const arg = IDL.encode([], []);
  const update = await agent.update(canisterId, { methodName: "inc", arg });
  const query = await agent.query(canisterId, { methodName: "get", arg });
  if (query.status !== "replied") return { error: query.reject_message };
  return { update: numberOf(update.reply), query: numberOf(query.reply.arg), timeDiffMs: agent.getTimeDiffMsecs() };
}

parentPort?.on("message", (clock: WrongClock) => {
  aheadMs = clock.aheadMs;
  run(clock).then(
    (outcome) => parentPort?.postMessage(outcome),
    (error: unknown) => parentPort?.postMessage({ error: String(error) }),
  );
});
