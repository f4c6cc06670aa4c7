// Whether what clients saw could have come from one object that does one thing at a time: each operation takes effect at some
// moment between its call and its answer. One without an answer took effect at any later time, or never. The search is that
// of Wing and Gong, with the configurations remembered that lead nowhere (Lowe). Section 24, invariant 7; issue 5, point 5.

/** What one client asked of one object, and when; `returned` undefined: it was never told. */
export interface Operation<Call, Answer> {
  readonly client: number;
  readonly call: Call;
  readonly called: number;
  readonly answer: Answer | undefined;
  readonly returned: number | undefined;
}

export interface SequentialObject<State extends string | number, Call, Answer> {
  readonly initial: State;
  /** The state after the call and what it answers. */
  apply(state: State, call: Call): { readonly state: State; readonly answer: Answer };
}

/** Undefined: there is an order. Otherwise the operations that no order explains: the shortest prefix that fails. */
export function findUnexplained<State extends string | number, Call, Answer>(
  history: readonly Operation<Call, Answer>[],
  object: SequentialObject<State, Call, Answer>,
): readonly Operation<Call, Answer>[] | undefined {
  const sorted = [...history].sort((a, b) => a.called - b.called);
  if (isLinearizable(sorted, object)) return undefined;
  const returns = sorted.flatMap(({ returned }) => returned ?? []).sort((a, b) => a - b);
  for (const time of returns) {
    const prefix = sorted
      .filter(({ called }) => called <= time)
      .map((each) =>
        (each.returned ?? time + 1) <= time ? each : { ...each, answer: undefined, returned: undefined },
      );
    if (!isLinearizable(prefix, object)) return prefix;
  }
  return sorted;
}

function isLinearizable<State extends string | number, Call, Answer>(
  sorted: readonly Operation<Call, Answer>[],
  object: SequentialObject<State, Call, Answer>,
): boolean {
  // Everything before `first` is done; of what comes after, `done` names the operations that are.
  const seen = new Set<string>();
  const stack: { first: number; done: readonly number[]; state: State }[] = [
    { first: 0, done: [], state: object.initial },
  ];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { first, done, state } = advance(sorted, top);
    if (!sorted.some((each, i) => i >= first && each.returned !== undefined && !done.includes(i))) return true;
    const key = `${first}:${done.join(",")}:${state}`;
    if (seen.has(key)) continue;
    seen.add(key);
    let horizon = Number.POSITIVE_INFINITY;
    const next: typeof stack = [];
    for (let i = first; i < sorted.length; i++) {
      const operation = sorted[i] as Operation<Call, Answer>;
      if (operation.called > horizon) break;
      if (done.includes(i)) continue;
      horizon = Math.min(horizon, operation.returned ?? Number.POSITIVE_INFINITY);
      const applied = object.apply(state, operation.call);
      if (operation.returned !== undefined && applied.answer !== operation.answer) continue;
      next.push({ first, done: [...done, i].sort((a, b) => a - b), state: applied.state });
    }
    // What was called first is tried first: most often that is the order.
    stack.push(...next.reverse());
  }
  return false;
}

function advance<Node extends { first: number; done: readonly number[] }>(
  sorted: readonly unknown[],
  node: Node,
): Node {
  let { first } = node;
  let { done } = node;
  while (first < sorted.length && done[0] === first) {
    done = done.slice(1);
    first++;
  }
  return { ...node, first, done };
}

export type RegisterCall = { readonly kind: "write"; readonly value: number } | { readonly kind: "read" };

/** A write answers the value before it. */
export const register: SequentialObject<number, RegisterCall, number> = {
  initial: 0,
  apply: (state, call) => ({ state: call.kind === "write" ? call.value : state, answer: state }),
};

export type CounterCall = "increment" | "read";

/** An increment answers the value after it. */
export const counter: SequentialObject<number, CounterCall, number> = {
  initial: 0,
  apply: (state, call) => (call === "read" ? { state, answer: state } : { state: state + 1, answer: state + 1 }),
};

/** The same for a counter of any length of history: its answers already say the order. Undefined: nothing is wrong. */
export function findCounterFault(history: readonly Operation<CounterCall, number>[]): string | undefined {
  const answered = history.filter((each) => each.returned !== undefined);
  const increments = answered.filter(({ call }) => call === "increment");
  const values = new Set(increments.map(({ answer }) => answer));
  if (values.size !== increments.length) return "two increments were answered with one value";
  const asked = history.filter(({ call }) => call === "increment").length;
  // In the order of their effect: increments before reads of the same value, and those in the order of their calls.
  const order = [...answered].sort(
    (a, b) =>
      (a.answer ?? 0) - (b.answer ?? 0) || Number(a.call === "read") - Number(b.call === "read") || a.called - b.called,
  );
  let latestCall = Number.NEGATIVE_INFINITY;
  for (const operation of order) {
    const value = operation.answer ?? 0;
    if (value > asked || value < 0) return `${value} was answered after at most ${asked} increments`;
    if ((operation.returned ?? 0) < latestCall)
      return `${operation.call} by client ${operation.client} answered ${value}, before which a later one took effect`;
    latestCall = Math.max(latestCall, operation.called);
  }
  return findLostIncrement(history, order);
}

/** Of the increments that were called before a value was answered, there must have been as many as the value says. */
function findLostIncrement(
  history: readonly Operation<CounterCall, number>[],
  order: readonly Operation<CounterCall, number>[],
): string | undefined {
  for (const operation of order) {
    const value = operation.answer ?? 0;
    const called = history.filter(
      (each) => each.call === "increment" && each.called < (operation.returned ?? 0),
    ).length;
    if (value > called) return `${operation.call} answered ${value} when only ${called} increments had been called`;
  }
  return undefined;
}
