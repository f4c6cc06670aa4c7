// Every system call with arguments that no compiler would emit, in both pointer widths, in updates and in queries: an
// answer or the error of the canister, never one of the server (IC0521 is what an exception of ours would look like).
// Checklist 3.3.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ic0Functions } from "../../../../packages/execution/test/canisters/ic0-functions.ts";
import * as u from "../../../../packages/execution/test/canisters/universal.ts";
import { chance } from "../seeded.ts";
import { startVictim, type Victim, whileServed } from "./victim.ts";
import { deploy, type Outcome, query, update } from "./wire.ts";

const MEMORY_BOUND_MIB = 700;
const NASTY: readonly (number | bigint)[] = [
  0,
  1,
  -1,
  29,
  30,
  65_535,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];

let victim: Victim;
before(async () => {
  victim = await startVictim();
});
after(() => victim?.close(MEMORY_BOUND_MIB));

/** Code that makes the call once; what it returns is dropped. */
function programs(width: 32 | 64, seed: number): u.Code[] {
  const random = chance(seed);
  // The others need a canister that still has cycles.
  const known = new Set(ic0Functions(32).map(({ name }) => name));
  return ic0Functions(width)
    .filter(({ name }) => known.has(name) && name !== "cycles_burn128")
    .flatMap(({ name, params, result }) =>
      Array.from({ length: params.length === 0 ? 1 : 5 }, () => {
        const args = params.map(() => NASTY[random.below(NASTY.length)] as number | bigint);
        const call = u.ic0(name, ...args);
        // A call may be needed before its parts.
        const before = name.startsWith("call_") && name !== "call_new" && random.below(2) === 0;
        const begin = before ? u.callBuild({ callee: u.canisterSelf(), method: "update" }) : u.seq();
        return u.seq(begin, call, result !== null ? u.op("drop") : u.seq());
      }),
    );
}

for (const width of [32, 64] as const) {
  test(`${width} bits`, async () => {
    const id = await deploy(victim.url, u.universalModule({ width }), { cycles: 10n ** 20n });
    const codes = new Map<string, number>();
    const check = (outcome: Outcome): void => {
      const code = outcome.kind === "reply" ? "reply" : outcome.error;
      assert.match(code, /^(reply|IC0406|IC050[2-7]|IC0513|IC052[0-4]|IC053[0-9])$/, JSON.stringify(outcome));
      assert.notEqual(code, "IC0521", JSON.stringify(outcome));
      codes.set(code, (codes.get(code) ?? 0) + 1);
    };
    await whileServed(victim, async () => {
      const all = programs(width, 815 + width);
      for (let at = 0; at < all.length; at += 40) {
        const some = all.slice(at, at + 40);
        const updates = some.map((program) => update(victim.url, id, "update", program));
        const queries = some.map((program) => query(victim.url, id, "query", program));
        for (const outcome of await Promise.all([...updates, ...queries])) check(outcome);
      }
    });
    assert.ok(codes.size >= 4, JSON.stringify([...codes]));
  });
}
