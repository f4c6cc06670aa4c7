// Candid that means far more than its bytes: in calls to the management canister, from users and from canisters.
// Each is refused (IC0408, or 400 before anything is executed) in little time and memory. Checklist 4.1.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal } from "@icp-sdk/core/principal";
import * as u from "../../../../packages/execution/test/canisters/universal.ts";
import { assertRejected, startVictim, UNIVERSAL, type Victim, whileServed } from "./victim.ts";
import { content, deploy, envelope, MANAGEMENT, type Outcome, post, update } from "./wire.ts";

const MEMORY_BOUND_MIB = 700;
/** For one argument, busy machine included. */
const TIME_MS = 3000;

let victim: Victim;
let caller: Principal;
before(async () => {
  victim = await startVictim();
  caller = await deploy(victim.url, UNIVERSAL);
});
after(() => victim?.close(MEMORY_BOUND_MIB));

function leb(value: number): number[] {
  const low = value % 128;
  return value < 128 ? [low] : [low | 0x80, ...leb(Math.floor(value / 128))];
}

const DIDL = [0x44, 0x49, 0x44, 0x4c];
const NULL = 0x7f;
const [OPT, VEC, RECORD, VARIANT, FUNC, SERVICE] = [0x6e, 0x6d, 0x6c, 0x6b, 0x6a, 0x69];

/** `types` in the table, one argument of the last of them, then its value. */
function message(types: readonly (readonly number[])[], value: readonly number[]): Uint8Array {
  return Uint8Array.from([...DIDL, ...leb(types.length), ...types.flat(), 1, ...leb(types.length - 1), ...value]);
}

/** A record with the canister's id first, so that whoever looks for that finds it, and the bomb beside it. */
function beside(canister: Principal, types: readonly (readonly number[])[], value: readonly number[]): Uint8Array {
  const id = canister.toUint8Array();
  const hash = leb(IDL.Record({ canister_id: IDL.Principal })._fields.map(([name]) => fieldHash(name))[0] as number);
  const bomb = leb(types.length - 1);
  const record = [RECORD, 2, ...hash, 0x68, 0xff, 0xff, 0xff, 0xff, 0x0f, ...bomb];
  return message([...types, record], [1, id.length, ...id, ...value]);
}

function fieldHash(name: string): number {
  let hash = 0;
  for (const byte of new TextEncoder().encode(name)) hash = (Math.imul(hash, 223) + byte) >>> 0;
  return hash;
}

const HUGE = leb(2 ** 40);
const BOMBS: Record<string, { types: number[][]; value: number[] }> = {
  "a trillion nulls": { types: [[VEC, NULL]], value: HUGE },
  "a trillion empty records": {
    types: [
      [RECORD, 0],
      [VEC, 0],
    ],
    value: HUGE,
  },
  "a trillion reserved values": { types: [[VEC, 0x70]], value: HUGE },
  "a million nulls a million times": {
    types: [
      [VEC, NULL],
      [VEC, 0],
    ],
    value: [...leb(1000), ...Array.from({ length: 1000 }, () => leb(1_000_000)).flat()],
  },
  "a blob longer than the message": { types: [[VEC, 0x7b]], value: HUGE },
  "a type that is its own option": { types: [[OPT, 0]], value: new Array<number>(20_000).fill(1) },
  "a type that is its own record": { types: [[RECORD, 1, 0, 0]], value: [] },
  "a type that is a vector of itself": { types: [[VEC, 0]], value: new Array<number>(20_000).fill(1) },
  "a variant in a variant": { types: [[VARIANT, 1, 0, 0]], value: new Array<number>(20_000).fill(0) },
  "a tower of options": {
    types: Array.from({ length: 400 }, (_, i) => [OPT, ...(i === 0 ? [NULL] : leb(i - 1))]),
    value: new Array<number>(400).fill(1),
  },
  "records that double": {
    types: Array.from({ length: 40 }, (_, i) => [
      RECORD,
      2,
      0,
      ...(i === 0 ? [NULL] : leb(i - 1)),
      1,
      ...(i === 0 ? [NULL] : leb(i - 1)),
    ]),
    value: [],
  },
  "a hundred thousand types": { types: Array.from({ length: 100_000 }, () => [OPT, NULL]), value: [0] },
  "a record of fifty thousand fields": {
    types: [[RECORD, ...leb(50_000), ...Array.from({ length: 50_000 }, (_, i) => [...leb(i), NULL]).flat()]],
    value: [],
  },
  "functions of functions": { types: Array.from({ length: 200 }, () => [FUNC, 3, 0, 1, 2, 3, 0, 1, 2, 0]), value: [0] },
  "a service of itself": { types: [[SERVICE, 1, 1, 97, 0]], value: [0] },
  "a number of a million digits": { types: [[OPT, 0x7d]], value: [1, ...new Array<number>(1_000_000).fill(0xff), 0] },
  "text of text": { types: [[VEC, 0x71]], value: [...leb(500_000), ...new Array<number>(500_000).fill(0)] },
};

const METHODS = [
  "install_code",
  "update_settings",
  "canister_status",
  "upload_chunk",
  "install_chunked_code",
  "provisional_create_canister_with_cycles",
];

const send = (method: string, arg: Uint8Array) => {
  const fields = content("call", { canister_id: new Uint8Array(), method_name: method, arg });
  return post(`${victim.url}/api/v4/canister/${victim.counter}/call`, envelope(fields));
};

async function timed<T>(work: Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work;
  assert.ok(performance.now() - start < TIME_MS, `took ${Math.round(performance.now() - start)} ms`);
  return result;
}

describe("from users", () => {
  for (const [name, { types, value }] of Object.entries(BOMBS)) {
    test(name, async () => {
      const [, waits] = await whileServed(victim, async () => {
        for (const method of METHODS) {
          const arg = message(types, value);
          const outcome = await timed(update(victim.url, MANAGEMENT, method, arg, { effective: victim.counter }));
          assertRejected(outcome, "IC0408", /(Error decoding candid|Failed to decode payload)/);
          // With the id in front the call is routed, and refused by the filter at the latest, or accepted as a call
          // that has too much in it; never an error of the server.
          const { status } = await timed(send(method, beside(victim.counter, types, value)));
          assert.ok(status === 200 || status === 400, String(status));
        }
      });
      assert.ok(waits.status < TIME_MS && waits.query < TIME_MS);
    });
  }

  test("bytes that are no Candid", async () => {
    for (const bytes of [
      [],
      [0],
      DIDL,
      [...DIDL, 0],
      [...DIDL, 0xff],
      [...DIDL, 1],
      [...DIDL, 0, 1, 0x68],
      [...DIDL, 0, 0, 1, 2, 3],
    ]) {
      const outcome = await update(victim.url, MANAGEMENT, "install_code", Uint8Array.from(bytes), {
        effective: victim.counter,
      });
      assertRejected(outcome, "IC0408", /decod/);
    }
  });
});

test("from canisters: an error for the caller, nothing for others", async () => {
  const call = (method: string, arg: Uint8Array): Promise<Outcome> => {
    const program = u.call({ callee: u.bytes(""), method, arg: u.bytes(arg), onReject: u.reply(u.rejectMessage()) });
    return timed(update(victim.url, caller, "update", program));
  };
  for (const { types, value } of Object.values(BOMBS)) {
    for (const method of ["create_canister", "raw_rand", "deposit_cycles", "install_code"]) {
      const outcome = await call(method, message(types, value));
      assert.ok(outcome.kind === "reply");
      const refusal = /^(IC0(408|512|301|403): |Unable to route management canister request)/;
      if (method !== "raw_rand") assert.match(new TextDecoder().decode(outcome.data), refusal);
    }
  }
});
