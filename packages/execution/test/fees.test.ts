// The fee schedule against the figures of the documentation: those of 13 nodes, scaled by the number of nodes with one
// integer division for each component.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FeeSchedule } from "../src/fees.ts";

type Config = ConstructorParameters<typeof FeeSchedule>[0];
const schedule = (config: Partial<Config> = {}): FeeSchedule => {
  return new FeeSchedule({ feeNodes: 13, type: "application", provisional: false, ...config });
};
const BILLION = 1_000_000_000;
const GIB = 1024 ** 3;
const NO_ALLOCATION = { memoryAllocation: 0n, computeAllocation: 0 };

describe("thirteen nodes", () => {
  const fees = schedule();

  test("execute for a base and a price for each instruction, twice that in 64 bits", () => {
    assert.equal(fees.execution(0, false), 5_000_000n);
    assert.equal(fees.execution(40 * BILLION, false), 40_005_000_000n);
    assert.equal(fees.execution(40 * BILLION, true), 80_005_000_000n);
    assert.equal(fees.unusedExecution(7, true), 14n);
    assert.equal(fees.managementInstructions(200_000_000), 200_000_000n);
  });

  test("take messages, calls and canisters", () => {
    assert.equal(fees.ingress(100), 1_200_000n + 200_000n);
    const { request, prepaidResponse, prepaidExecution } = fees.call(6, 94, false);
    assert.deepEqual([request, prepaidResponse, prepaidExecution], [360_000n, 2_097_152_000n, 40_005_000_000n]);
    assert.equal(fees.responseBytes(5), 5_000n);
    assert.equal(fees.canisterCreation(), 500_000_000_000n);
    assert.equal(fees.httpRequest(1000n, 2000n), (3_000_000n + 60_000n * 13n + 400_000n + 1_600_000n) * 13n);
    assert.equal(fees.signature("key_1"), 10_000_000_000n);
    assert.equal(fees.signature("key_2"), undefined);
  });

  test("keep memory, messages and shares of compute", () => {
    const { memory, messageMemory, compute } = fees.idleBurn(GIB, { ...NO_ALLOCATION, computeAllocation: 3 }, GIB / 2);
    assert.deepEqual([memory, messageMemory, compute], [127_000n * 86_400n, 63_500n * 86_400n, 30_000_000n * 86_400n]);
    const allocated = { ...NO_ALLOCATION, memoryAllocation: BigInt(2 * GIB) };
    assert.equal(fees.idleBurnPerDay(GIB, allocated, 0), 254_000n * 86_400n, "what was promised is paid for");
  });

  test("freeze what has less than it costs for so long, less what is reserved", () => {
    const settings = { ...NO_ALLOCATION, freezingThreshold: 1000n } as never;
    assert.equal(fees.freezingThreshold({ settings, reservedCycles: 0n }, GIB, 0), 127_000_000n);
    assert.equal(fees.freezingThreshold({ settings, reservedCycles: 27_000_000n }, GIB, 0), 100_000_000n);
    assert.equal(fees.freezingThreshold({ settings, reservedCycles: 10n ** 12n }, GIB, 0), 0n);
  });

  test("reserve for longer the fuller they are, for half of what ten years cost at most", () => {
    const [threshold, capacity] = [750 * GIB, 2048 * GIB];
    assert.equal(fees.storageReservation(0, threshold, threshold, capacity), 0n);
    const all = fees.storageReservation(threshold, capacity - threshold, threshold, capacity);
    assert.equal(all, 127_000n * 1298n * 150_000_000n);
    const half = fees.storageReservation(threshold, 649 * GIB, threshold, capacity);
    assert.equal(half, 127_000n * 649n * 75_000_000n);
    const rest = fees.storageReservation(threshold + 649 * GIB, 649 * GIB, threshold, capacity);
    assert.equal(half + rest, all);
    assert.equal(fees.storageReservation(0, GIB, capacity, capacity), 0n);
  });
});

test("34 nodes cost 34/13, each component rounded down by itself", () => {
  const fees = schedule({ feeNodes: 34 });
  assert.equal(fees.execution(1, false), (5_000_001n * 34n) / 13n);
  assert.equal(fees.ingress(7), (1_200_000n * 34n) / 13n + ((2_000n * 34n) / 13n) * 7n);
  assert.equal(fees.signature("key_1"), 26_153_846_153n);
  assert.equal(fees.call(0, 1, false).request, (260_000n * 34n) / 13n + (1_000n * 34n) / 13n);
  assert.equal(fees.canisterCreation(), 1_307_692_307_692n);
  const one = schedule({ feeNodes: 1 });
  assert.equal(one.unusedExecution(12, false), 0n);
});

test("system subnets charge for signatures alone, and a free schedule for nothing", () => {
  const costs = (fees: FeeSchedule): bigint[] => [
    fees.execution(BILLION, true),
    fees.ingress(100),
    fees.call(10, 10, false).prepaidExecution,
    fees.canisterCreation(),
    fees.httpRequest(1n, 1n),
    fees.idleBurnPerDay(GIB, { ...NO_ALLOCATION, computeAllocation: 5 }, GIB),
    fees.storageReservation(0, GIB, 0, 2 * GIB),
  ];
  const system = schedule({ type: "system" });
  const free = schedule({ costSchedule: "free" });
  for (const fees of [system, free]) assert.deepEqual(costs(fees), costs(fees).fill(0n));
  assert.equal(system.signature("key_1"), 10_000_000_000n);
  assert.equal(free.signature("key_1"), 0n);
  assert.deepEqual(costs(free.nominal), costs(schedule()), "what it would have cost");
});
