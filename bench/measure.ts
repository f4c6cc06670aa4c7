// What every benchmark here has in common: figures are CPU time, taken in several windows that alternate with windows
// of the baseline, and what is printed is the median of the windows' ratios with their spread. So neither the speed of
// the machine nor other work on it matters much.
import { execFileSync } from "node:child_process";
import { generateKeyPairSync, randomBytes, sign, verify } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";

/** One line of the table. */
export interface Row {
  readonly name: string;
  readonly what: string;
  readonly baseline: string;
  /** A ratio to the baseline, or a plain figure with its unit. */
  readonly value: number;
  readonly unit?: string;
  /** Lowest and highest window. */
  readonly low?: number;
  readonly high?: number;
  /** The figure to reach, and the one after that; for a rate more is better. */
  readonly goal: number;
  readonly laterGoal: number;
  readonly isRate?: boolean;
  /** For information: lines below the table. */
  readonly notes: readonly string[];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** Median and spread of ratios, as fields of a row. */
export function spread(values: readonly number[]): Pick<Row, "value" | "low" | "high"> {
  return { value: median(values), low: Math.min(...values), high: Math.max(...values) };
}

/** CPU of this process so far, all threads, in microseconds. */
export function ownCpu(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** CPU of another process so far, all of its threads, in microseconds. */
export function cpuOf(pid: number): number {
  if (process.platform === "linux") {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The command's name may contain anything; after its ")" come the fields from the third on.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * TICK_MICROSECONDS;
  }
  if (process.platform === "win32") throw new Error("CPU time of another process cannot be read on Windows");
  const text = execFileSync("ps", ["-o", "time=", "-p", String(pid)], { encoding: "utf8" }).trim();
  return text.split(/[:-]/).reduce((sum, part) => sum * 60 + Number(part), 0) * 1e6;
}

/** Linux counts in hundredths of a second, whatever the kernel's own tick is. */
const TICK_MICROSECONDS = 10_000;

/** CPU by thread, in microseconds: shows where a server spends its time. Linux only, else empty. */
export function cpuByThread(pid: number): Map<string, number> {
  const sums = new Map<string, number>();
  if (process.platform !== "linux") return sums;
  const folder = `/proc/${pid}/task`;
  let workers = 0;
  // The main thread has the number of the process; workers are numbered in the order in which they were started.
  for (const task of readdirSync(folder).sort((a, b) => Number(a) - Number(b))) {
    const name = readFileSync(`${folder}/${task}/comm`, "utf8").trim();
    const label = task === String(pid) ? "main" : name === "WorkerThread" ? `worker ${++workers}` : "engine";
    const [nanoseconds] = readFileSync(`${folder}/${task}/schedstat`, "latin1").split(" ");
    sums.set(label, (sums.get(label) ?? 0) + Number(nanoseconds) / 1000);
  }
  return sums;
}

/** Microseconds of CPU that one Ed25519 verification takes in this process now: node:crypto, imported key, 43 bytes. */
export function ed25519Verification(milliseconds: number): number {
  const { publicKey, message, signature } = sample;
  const before = ownCpu();
  let count = 0;
  while (ownCpu() - before < milliseconds * 1000) {
    for (let i = 0; i < 50; i++) {
      if (!verify(null, message, publicKey, signature)) throw new Error("a good signature was refused");
    }
    count += 50;
  }
  return (ownCpu() - before) / count;
}

const sample = (() => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const message = randomBytes(43);
  return { publicKey, message, signature: sign(null, message, privateKey) };
})();
