// The charge for storage and compute: paid late, it is to the unit what it would have been if paid each time.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type CanisterState, newCanister } from "../src/canister-state.ts";
import { settleCharges } from "../src/cycles-account.ts";
import { newSubnetState, type SubnetState, touch } from "../src/subnet-state.ts";
import { ALICE, CONFIG, emptyState, idAt, TIME } from "./full-state.ts";

const SECOND = 1_000_000_000n;

function withCanister(state: SubnetState, cycles: bigint, reserved: bigint): CanisterState {
  const canister = newCanister(idAt(1), [ALICE], cycles, TIME);
  canister.reservedCycles = reserved;
  canister.idleBurn = { memory: 86_401n, messageMemory: 86_399n, compute: 864_000_000n };
  state.canisters.set(canister.id, canister);
  return canister;
}

describe("charges for storage and compute", () => {
  test("come out the same whether a canister is touched after each of them or once after all", () => {
    const step = fc.bigInt({ min: 10n * SECOND, max: 40n * SECOND });
    const property = fc.property(
      fc.array(step, { minLength: 1, maxLength: 12 }),
      fc.nat(1_000_000),
      (steps, reserved) => {
        const [often, once] = [0, 1].map(() => emptyState()) as [SubnetState, SubnetState];
        const [one, other] = [often, once].map((state) => withCanister(state, 10n ** 12n, BigInt(reserved)));
        let time = TIME;
        for (const passed of steps) {
          time += passed;
          for (const state of [often, once]) state.charges.push(time);
          touch(often, one as CanisterState);
        }
        touch(once, other as CanisterState);
        assert.deepEqual(other, one);
        assert.equal(one?.chargedAt, time);
        assert.deepEqual(once.metrics, often.metrics);
      },
    );
    fc.assert(property, { numRuns: 100, seed: 7 });
  });

  test("round down each time, resource by resource, and lose what is less than a second", () => {
    const state = emptyState();
    const canister = withCanister(state, 10n ** 12n, 0n);
    // 86,401 a day is one for each second and nothing for the rest; 86,399 a day is nine in ten seconds.
    state.charges.push(TIME + 10n * SECOND + 999_999_999n, TIME + 21n * SECOND);
    assert.ok(settleCharges(state, canister));
    assert.equal(canister.consumed.memory, 10n + 9n + 10n + 9n);
    assert.equal(canister.consumed.computeAllocation, 2n * 100_000n);
    assert.equal(canister.cycles, 10n ** 12n - 38n - 200_000n);
    assert.equal(state.metrics.consumedCycles, 200_038n);
  });

  test("are paid out of the reserved cycles first", () => {
    const state = emptyState();
    const canister = withCanister(state, 1_000_000n, 50_000n);
    state.charges.push(TIME + 10n * SECOND);
    assert.ok(settleCharges(state, canister));
    assert.deepEqual([canister.reservedCycles, canister.cycles], [0n, 1_000_000n - 50_019n]);
  });

  test("are not paid when there is too little", () => {
    const state = emptyState();
    const canister = withCanister(state, 99_000n, 1_000n);
    state.charges.push(TIME + 10n * SECOND);
    assert.equal(settleCharges(state, canister), false);
    assert.deepEqual([canister.reservedCycles, canister.cycles], [1_000n, 99_000n]);
    assert.equal(canister.chargedAt, TIME, "it still owes them");
  });

  test("are only counted where nothing costs anything", () => {
    const state = newSubnetState({ ...CONFIG, costSchedule: "free" }, emptyState().modules, emptyState().pages);
    const canister = withCanister(state, 5n, 0n);
    state.charges.push(TIME + 10n * SECOND);
    assert.ok(settleCharges(state, canister));
    assert.deepEqual([canister.cycles, canister.consumed.computeAllocation], [5n, 100_000n]);
  });

  test("do not concern a canister that is younger than they are", () => {
    const state = emptyState();
    state.charges.push(TIME - 20n * SECOND, TIME);
    const canister = withCanister(state, 5n, 0n);
    assert.ok(settleCharges(state, canister));
    assert.equal(canister.cycles, 5n);
  });
});
