// The checkers read what the nodes themselves wrote: lines of JSON with the hash of each block that a node holds final and
// the root of each state that it holds certified. Whatever happened to the nodes, they must never contradict each other,
// nor themselves over a restart.
import assert from "node:assert/strict";

export interface LogLine {
  readonly time: string;
  readonly level: string;
  readonly message: string;
  readonly height?: number;
  readonly hash?: string;
  readonly what?: string;
}

/** Lines that are none of the log are an error of a start, which other checks show. */
export function parseLog(text: string): LogLine[] {
  return text.split("\n").flatMap((line) => {
    if (!line.startsWith("{")) return [];
    try {
      return [JSON.parse(line) as LogLine];
    } catch {
      return [];
    }
  });
}

/** What is to be the same wherever it is said. */
const AGREED = ["finalized", "certified", "beacon", "tape", "catch-up package"] as const;
type Agreed = (typeof AGREED)[number];

export interface Agreement {
  /** Highest height of each, of any node. */
  readonly heights: Readonly<Record<Agreed, number>>;
}

/** Throws when two nodes, or one at two times, say different things of a height. */
export function checkAgreement(logs: readonly (readonly LogLine[])[]): Agreement {
  const heights = { finalized: 0, certified: 0, beacon: 0, tape: 0, "catch-up package": 0 };
  const said = new Map<string, { readonly hash: string; readonly node: number }>();
  for (const [node, lines] of logs.entries()) {
    for (const { message, height, hash } of lines) {
      const what = AGREED.find((each) => each === message);
      if (what === undefined || height === undefined || hash === undefined) continue;
      const key = `${what} ${height}`;
      const before = said.get(key);
      assert.ok(
        before === undefined || before.hash === hash,
        `${key}: node ${(before?.node ?? 0) + 1} says ${before?.hash}, node ${node + 1} says ${hash}`,
      );
      said.set(key, { hash, node });
      heights[what] = Math.max(heights[what], height);
    }
  }
  return { heights };
}

/** A node signs one block for finalization at a height, and notarizes none of lower rank after one of higher. */
export function checkSigned(lines: readonly LogLine[]): void {
  const finalized = new Map<number, string>();
  for (const { message, what, height = 0, hash = "" } of lines) {
    if (message !== "signed" || what !== "finalization-share") continue;
    const before = finalized.get(height);
    assert.ok(before === undefined || before === hash, `two finalization shares at height ${height}`);
    finalized.set(height, hash);
  }
}

export function alarms(lines: readonly LogLine[]): string[] {
  return lines.filter(({ level }) => level === "error").map(({ message }) => message);
}
