// Histories that one object explains, and such that none does.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type CounterCall,
  counter,
  findCounterFault,
  findUnexplained,
  type Operation,
  type RegisterCall,
  register,
} from "../src/checkers/linearizability.ts";
import { seededRandom } from "../src/random.ts";

type Register = Operation<RegisterCall, number>;
type Counter = Operation<CounterCall, number>;

let client = 0;
const write = (value: number, called: number, returned?: number, answer?: number): Register => ({
  client: client++,
  call: { kind: "write", value },
  called,
  returned,
  answer,
});
const read = (answer: number, called: number, returned: number): Register => ({
  client: client++,
  call: { kind: "read" },
  called,
  returned,
  answer,
});
const explains = (history: readonly Register[]): boolean => findUnexplained(history, register) === undefined;

test("one after the other", () => {
  assert.ok(explains([write(1, 0, 1, 0), read(1, 2, 3), write(2, 4, 5, 1), read(2, 6, 7)]));
  assert.ok(!explains([write(1, 0, 1, 0), read(0, 2, 3)]), "a read that does not see a finished write");
  assert.ok(!explains([read(1, 0, 1), write(1, 2, 3, 0)]), "a read that sees the future");
});

test("at the same time, any order will do, but one for all", () => {
  assert.ok(explains([write(1, 0, 10, 0), read(0, 1, 2), read(1, 3, 4)]));
  assert.ok(!explains([write(1, 0, 10, 0), read(1, 1, 2), read(0, 3, 4)]), "the write took effect and then did not");
  assert.ok(explains([write(1, 0, 10, 2), write(2, 0, 10, 0), read(1, 11, 12)]));
  assert.ok(!explains([write(1, 0, 10, 2), write(2, 0, 10, 0), read(2, 11, 12)]));
});

test("a write that was never answered happened later or never", () => {
  assert.ok(explains([write(1, 0), read(0, 1, 2), read(0, 3, 4), read(1, 5, 6)]));
  assert.ok(explains([write(1, 0), read(0, 100, 200)]));
  assert.ok(!explains([write(1, 0), read(1, 1, 2), read(0, 3, 4)]));
});

test("what is not explained is the shortest part of the history", () => {
  const history = [write(1, 0, 1, 0), read(0, 2, 3), write(5, 4, 5, 1), read(5, 6, 7)];
  assert.equal(findUnexplained(history, register)?.length, 2);
});

test("histories of a real register and counter are explained, and such with one changed answer are not", () => {
  for (let seed = 0; seed < 40; seed++) {
    const { registers, counters } = randomHistories(seed);
    assert.equal(findUnexplained(registers, register), undefined, `seed ${seed}`);
    assert.equal(findUnexplained(counters, counter), undefined, `seed ${seed}`);
    assert.equal(findCounterFault(counters), undefined, `seed ${seed}`);
    const wrong = counters.map((each, i) => (i === 20 ? { ...each, answer: (each.answer ?? 0) + 40 } : each));
    assert.notEqual(findUnexplained(wrong, counter), undefined, `seed ${seed}`);
    assert.notEqual(findCounterFault(wrong), undefined, `seed ${seed}`);
  }
});

test("the fast check of counters agrees with the search", () => {
  const random = seededRandom("agree");
  let faults = 0;
  for (let i = 0; i < 400; i++) {
    const history: Counter[] = [];
    for (let k = 0; k < 5; k++) {
      const called = random.below(12);
      const returned = random.chance(0.8) ? called + 1 + random.below(6) : undefined;
      const answer = returned === undefined ? undefined : random.below(4);
      history.push({ client: k, call: random.chance(0.7) ? "increment" : "read", called, returned, answer });
    }
    const slow = findUnexplained(history, counter) !== undefined;
    // The fast check does not look for values that nobody was answered with: it never accuses wrongly.
    if (findCounterFault(history) !== undefined) {
      faults++;
      assert.ok(slow, JSON.stringify(history));
    }
  }
  assert.ok(faults > 50);
});

function randomHistories(seed: number): { registers: Register[]; counters: Counter[] } {
  const random = seededRandom(`history ${seed}`);
  const [registers, counters]: [Register[], Counter[]] = [[], []];
  let [value, count] = [0, 0];
  for (let i = 0; i < 40; i++) {
    const effect = 10 * i;
    const called = effect - random.below(30);
    const returned = effect + 1 + random.below(30);
    if (random.chance(0.5)) {
      registers.push(write(i, called, returned, value));
      value = i;
    } else registers.push(read(value, called, returned));
    const call = random.chance(0.7) ? "increment" : "read";
    if (call === "increment") count++;
    counters.push({ client: i, call, called, returned, answer: count });
  }
  return { registers, counters };
}
