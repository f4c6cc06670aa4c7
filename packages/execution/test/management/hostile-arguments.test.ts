// Every method, on every channel, with arguments that were made to hurt: none may crash, take long or be answered with
// anything but a clear error. Bytes at random, types that never end, vectors of billions, and right arguments with
// bits flipped (a seed is printed by its number in the test's name).
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { executeManagementCall } from "@atoll/execution/management/index";
import { managementMethods } from "@atoll/execution/management/methods";
import { resolveDestination } from "@atoll/execution/management/route-request";
import type { CanisterState } from "@atoll/state";
import { MANAGEMENT_CANISTER, type UserError } from "@atoll/types";
import { sampleArgs } from "./sample-args.ts";
import {
  ALICE,
  filter,
  newCanisterOf,
  newSubnet,
  queryRaw,
  sendRaw,
  type TestSubnet,
  takeResponses,
} from "./subnet.ts";

const DIDL = [0x44, 0x49, 0x44, 0x4c];
const MANY = [0xff, 0xff, 0xff, 0xff, 0x0f];
const bytes = (...parts: (number | number[])[]): Uint8Array => Uint8Array.from(parts.flat());
const VEC = 0x6d;
const OPT = 0x6e;
const RECORD = 0x6c;
const NULL = 0x7f;

const hostile: readonly [string, Uint8Array][] = [
  ["nothing", bytes()],
  ["a wrong magic", bytes(0x44, 0x49, 0x44, 0x4d, 0, 0)],
  ["the magic alone", bytes(DIDL)],
  ["a type table of billions", bytes(DIDL, MANY)],
  ["billions of arguments", bytes(DIDL, 0, MANY)],
  ["a vector of billions of nulls", bytes(DIDL, 1, VEC, NULL, 1, 0, MANY)],
  [
    "vectors of vectors of nothing",
    bytes(
      DIDL,
      2,
      VEC,
      1,
      VEC,
      NULL,
      1,
      0,
      200,
      Array(200)
        .fill([...MANY])
        .flat(),
    ),
  ],
  ["a record that contains itself", bytes(DIDL, 1, RECORD, 1, 0, 0, 1, 0)],
  ["an opt of itself, a thousand deep", bytes(DIDL, 1, OPT, 0, 1, 0, Array(1000).fill(1), 0)],
  [
    "a thousand nested types",
    bytes(DIDL, 0xe8, 7, Array.from({ length: 1000 }, (_, i) => [OPT, ...leb(i + 1)]).flat()),
  ],
  ["a record of billions of fields", bytes(DIDL, 1, RECORD, MANY)],
  ["a number without an end", bytes(DIDL, 0, 1, 0x7d, Array(100_000).fill(0x80))],
  ["a text of billions", bytes(DIDL, 0, 1, 0x71, MANY)],
  ["a type that is not in the table", bytes(DIDL, 1, VEC, 9, 1, 0)],
  ["a principal of 200 bytes", bytes(DIDL, 0, 1, 0x68, 1, 0xc8, 1, Array(200).fill(1))],
  ["two megabytes of zeros", new Uint8Array(2 * 1024 * 1024)],
];

function leb(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, value >> 7];
}

const names = [...Object.keys(managementMethods), "list_canisters", "no_such_method"];

interface Answers {
  readonly byFilter: UserError | undefined;
  readonly byQuery: UserError | undefined;
}

/** Sends `arg` on all channels; gives what users hear. */
function sendEverywhere(subnet: TestSubnet, canister: CanisterState, name: string, arg: Uint8Array): Answers {
  const byFilter = filter(subnet, ALICE, name, arg);
  sendRaw(subnet, ALICE, name, arg);
  const request = {
    ...({ kind: "request", sender: canister.id, receiver: MANAGEMENT_CANISTER, callbackId: 1, payment: 5n } as const),
    ...{ methodName: name, arg, deadlineSeconds: 0, senderVersion: canister.version },
  };
  if (typeof resolveDestination(subnet.round, request) === "string") {
    executeManagementCall(subnet.round, { kind: "canister", request }, name, arg);
    takeResponses(canister);
  }
  const queried = queryRaw(subnet, ALICE, name, arg);
  return { byFilter, byQuery: queried.kind === "rejected" ? queried.error : undefined };
}

describe("arguments that were made to hurt", () => {
  for (const [what, arg] of hostile) {
    test(what, () => {
      const subnet = newSubnet({ subnetAdmins: [ALICE] });
      const canister = newCanisterOf(subnet, ALICE);
      for (const name of names) {
        const { byFilter, byQuery } = sendEverywhere(subnet, canister, name, arg);
        // The creating methods are read when they are executed; closed and unknown ones are not read at all.
        const isRead = !["create_canister", "provisional_create_canister_with_cycles"].includes(name);
        if (isRead) assert.ok([408, 406, 536].includes(byFilter?.code ?? 0), `${name}: ${byFilter?.message}`);
        assert.ok([408, 536].includes(byQuery?.code ?? 0), `${name}: ${byQuery?.message}`);
      }
      assert.equal(subnet.state.canisters.size, 1);
      assert.equal(canister.version, 0);
    });
  }
});

/** Numbers that look like chance and are the same in each run. */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe("right arguments with bits flipped, bytes cut off or put in", () => {
  for (let seed = 1; seed <= 6; seed++) {
    test(`seed ${seed}`, () => {
      const next = chance(seed);
      const subnet = newSubnet({ subnetAdmins: [ALICE] });
      let canister = newCanisterOf(subnet, ALICE);
      for (const name of names) {
        const arg = sampleArgs(canister.id).get(name);
        if (arg === undefined) continue;
        const damaged = damage(arg, next);
        sendEverywhere(subnet, canister, name, damaged);
        // It may have been a right argument all the same.
        if (!subnet.state.canisters.has(canister.id)) canister = newCanisterOf(subnet, ALICE);
      }
    });
  }
});

function damage(arg: Uint8Array, next: () => number): Uint8Array {
  const at = Math.floor(next() * arg.length);
  const kind = Math.floor(next() * 4);
  if (kind === 0) return arg.slice(0, at);
  if (kind === 1) return Uint8Array.from([...arg.slice(0, at), Math.floor(next() * 256), ...arg.slice(at)]);
  const copy = arg.slice();
  for (let flips = 0; flips < (kind === 2 ? 1 : 8); flips++) {
    const place = Math.floor(next() * copy.length);
    copy[place] = (copy[place] as number) ^ (1 << Math.floor(next() * 8));
  }
  return copy;
}
