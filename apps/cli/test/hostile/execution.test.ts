// Canisters that do their worst: endless loops and recursion, memory to the limit, storms of calls, logs and traps.
// Limits: checklist 3.4, 3.5, 6.2 and 6.4; instruction costs, sections 5 and 6.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Principal } from "@icp-sdk/core/principal";
import * as u from "../../../../packages/execution/test/canisters/universal.ts";
import { wat } from "../../../../packages/execution/test/canisters/wat.ts";
import { assertRejected, count, increment, startVictim, UNIVERSAL, type Victim, whileServed } from "./victim.ts";
import { deploy, type Outcome, query, update } from "./wire.ts";

/** Peak of the whole server, with its three threads, whatever these canisters do. */
const MEMORY_BOUND_MIB = 2500;

let victim: Victim;
let attacker: Principal;
let url: string;
before(async () => {
  victim = await startVictim();
  url = victim.url;
  attacker = await deploy(url, UNIVERSAL, { cycles: 10n ** 24n });
});
after(() => victim.close(MEMORY_BOUND_MIB));

const attack = (program: Uint8Array): Promise<Outcome> => update(url, attacker, "update", program);

test("an endless loop ends at the limit, and others are served meanwhile", async () => {
  const [outcome, waits] = await whileServed(victim, () => attack(u.spinForever()));
  assertRejected(outcome, "IC0522", /exceeded the limit of 40000000000 instructions/);
  console.log(waits);
  assert.ok(waits.rounds > 5);
});
