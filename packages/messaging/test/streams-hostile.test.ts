// A subnet whose slices are certified and follow each other, and say whatever it likes: answers to calls that it never
// got, messages in the names of others, cycles that nobody sent, rejects of what it has executed. It may harm those who
// trust it; it halts nobody, and a node that starts again agrees with itself. Consensus and chain-key, 16.5.
import { test } from "node:test";
import {
  type CanisterId,
  canisterIdFromIndex,
  MANAGEMENT_CANISTER,
  type PrincipalId,
  RejectCode,
  type RejectReason,
  type StreamMessage,
  type StreamSlice,
} from "@atoll/types";
import fc from "fast-check";
import * as u from "../../execution/test/canisters/universal.ts";
import { methods } from "../../execution/test/management/interface.ts";
import * as s from "../../execution/test/semantics/machine.ts";
import { newNetwork, restart, type Subnet, step } from "./subnets.ts";

const idOn = (index: number, number = 0): CanisterId =>
  canisterIdFromIndex(BigInt(index + 1) * 0x1000n + BigInt(number));
const [A, B, LIAR] = [idOn(0), idOn(1), idOn(2)];
/** The last but one is on no subnet; others are on one, and are no canisters. */
const IDS = [A, B, LIAR, idOn(0, 9), idOn(2, 9), idOn(9), MANAGEMENT_CANISTER];
const MOST = (1n << 128n) - 1n;
const METHODS = ["update", "query", "", "\0", ...Object.keys(methods)];
const ARGS = [
  ...[
    u.reply(),
    u.trap("no"),
    Uint8Array.of(1),
    Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0),
    new Uint8Array(2 ** 21 + 9),
  ],
  ...[A, B, idOn(0, 9)].map((id) => s.candid("canister_status", s.onCanister(id))),
];
const REASONS: readonly RejectReason[] = ["canister_migrating", "canister_not_found", "queue_full", "unknown"];

class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * limit);
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

function calls(chance: Chance): u.Code {
  const some = Array.from({ length: chance.below(4) }, () =>
    u.call({
      ...{ callee: s.idBytes(chance.of([LIAR, LIAR, B])), method: "update", arg: u.bytes(u.reply()) },
      ...{ onReply: chance.of([u.seq(), u.trap("no")]), onReject: u.seq(), cycles: BigInt(chance.below(100)) },
      ...(chance.below(2) === 0 ? {} : { timeoutSeconds: 1 + chance.below(5) }),
    }),
  );
  return u.seq(...some, u.reply());
}

function lie(chance: Chance, { m }: Subnet, ids: readonly PrincipalId[]): StreamMessage {
  const now = Number(m.machine.state.time / 1_000_000_000n);
  const deadlineSeconds = chance.of([0, 0, 1, now - 1, now, now + 3, 2 ** 32 - 1]);
  const amount = (): bigint => chance.of([0n, 7n, 10n ** 12n, MOST]);
  const from = (): PrincipalId => chance.of([LIAR, LIAR, ...ids]);
  switch (chance.below(5)) {
    case 0:
      return { kind: "refund", receiver: chance.of(ids), cycles: amount() };
    case 1:
    case 2: {
      const open = [...s.canisterOf(m, A).callbacks.keys(), 1_000_000];
      const reply = { kind: "reply", data: new Uint8Array(chance.below(3_000)) } as const;
      const code = chance.of(Object.values(RejectCode));
      const reject = { kind: "reject", code, message: "x".repeat(chance.below(20_000)) } as const;
      return {
        ...({ kind: "response", originator: chance.of([A, ...ids]), respondent: from() } as const),
        ...{ callbackId: chance.of(open), refund: amount(), deadlineSeconds, payload: chance.of([reply, reject]) },
      };
    }
    default:
      return {
        ...({ kind: "request", sender: from(), receiver: chance.of([A, ...ids]), deadlineSeconds } as const),
        ...{
          callbackId: chance.of([0, 1, Number.MAX_SAFE_INTEGER]),
          payment: amount(),
          senderVersion: chance.below(9),
        },
        ...{ methodName: chance.of(METHODS), arg: chance.of(ARGS) },
      };
  }
}

/** All that a header is checked for holds: it follows the last one, and is about what is there. */
function sliceOf(chance: Chance, subnet: Subnet, liar: Subnet, ids: readonly PrincipalId[]): StreamSlice {
  const own = subnet.m.machine.state.streams.get(liar.record.subnetId);
  const { begin, signalsEnd: firstIndex } = own ?? { begin: 0, signalsEnd: 0 };
  const messages = Array.from({ length: chance.below(8) }, () => lie(chance, subnet, ids));
  const signalsEnd = begin + chance.below((own?.messages.length ?? 0) + 1);
  const indices = Array.from({ length: signalsEnd - begin }, (_, i) => begin + i);
  const rejectSignals = indices
    .filter(() => chance.below(3) === 0)
    .map((index) => ({ index, reason: chance.of(REASONS) }));
  const header = { begin: firstIndex, end: firstIndex + messages.length, signalsEnd, rejectSignals, flags: 0 };
  return { from: liar.record.subnetId, header, firstIndex, messages };
}

function scenario(seed: number): void {
  const chance = new Chance(seed);
  const types = ["system", "application", "application"] as const;
  const settings = { controllers: [[s.ALICE, A, B, LIAR].map(s.principal)] };
  const resources = { bestEffortMessageMemory: chance.of([100, 10_000]), guaranteedMessageMemory: 20_000_000 };
  const network = newNetwork(chance.of([types, types.toReversed()]), (m) => s.newUniversal(m, { settings }), {
    resources,
  });
  const [a, b, liar] = network.subnets as [Subnet, Subnet, Subnet];
  const ids = [...IDS, ...network.subnets.map(({ record }) => record.subnetId)];
  for (let i = 0; i < 25; i++) {
    step(network, a, [s.message(a.m, A, "update", calls(chance))], {
      slices: [sliceOf(chance, a, liar, ids)],
      seconds: chance.of([1, 1, 5, 310]),
      ...(chance.below(5) === 0 ? { isCheckpoint: true } : {}),
      ...(chance.below(6) === 0 ? { maxExecutions: chance.below(3) } : {}),
    });
    if (chance.below(4) === 0) step(network, b);
    if (chance.below(9) === 0) restart(a);
  }
}

test("a subnet that lies halts nobody", () => {
  const numRuns = Number(process.env.RUNS ?? 8);
  const property = fc.property(fc.noShrink(fc.integer({ min: 0, max: 2 ** 31 })), scenario);
  fc.assert(property, { numRuns, seed: Number(process.env.SEED ?? 20_261_121) });
});
