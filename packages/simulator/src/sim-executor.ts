// Execution that takes virtual time: the real executor of a node does its work at once, and the node gets the result later. A
// node that crashed meanwhile never gets it. Nodes that lie may execute something else, or nothing.
import type { ExecutedRound, Executor } from "@atoll/replica";
import type { Batch } from "@atoll/types";
import type { Execution } from "./node-core.ts";
import type { Random } from "./random.ts";
import { MS, type Scheduler } from "./scheduler.ts";

const QUERY_NS = MS;

export function simExecutor(
  executor: Executor,
  options: Execution,
  { scheduler, random }: { scheduler: Scheduler; random: Random },
): Executor {
  const never = new Promise<never>(() => undefined);
  // Whoever is gone waits for nothing: what comes back goes nowhere.
  const later = async <T>(delayNs: number, work: () => Promise<T>): Promise<T> => {
    const begun = work();
    try {
      const result = await scheduler.later(delayNs, begun);
      return options.isAlive() ? result : never;
    } catch (error) {
      options.onWorked();
      if (options.isAlive()) throw error;
      return never;
    }
  };
  const takes = (batch: Batch): Promise<ExecutedRound> => {
    options.onBatch(batch);
    const wrong = { ...batch, ingress: [], randomness: random.bytes(32), time: batch.time + 1n };
    return later(options.delayNs(), () => executor.execute(options.isCorrupt(batch.height) ? wrong : batch));
  };
  const installs: Executor["installState"] = async (height) => {
    const whole = await later(options.delayNs(), () => executor.installState(height));
    if (whole !== undefined) options.onInstalled(height);
    return whole;
  };
  // What an executor can do beyond is no matter of time; a proxy keeps it whole.
  return new Proxy(executor, {
    set: (target, name, value) => Reflect.set(target, name, value, target),
    get(target, name) {
      if (name === "execute") return options.lies === "no-execution" ? () => never : takes;
      if (name === "query")
        return (...args: Parameters<Executor["query"]>) => later(QUERY_NS, () => target.query(...args));
      if (name === "filter")
        return (...args: Parameters<Executor["filter"]>) => later(QUERY_NS, () => target.filter(...args));
      if (name === "installState") return installs;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
