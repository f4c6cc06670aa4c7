// Node's way to get behind all promises that are settled: immediates come after every microtask.
import type { Settle } from "../src/scheduler.ts";

export const settle: Settle = () => new Promise((resolve) => setImmediate(resolve));
