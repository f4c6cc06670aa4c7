// What the suite's own runner takes out of an output before it compares: texts that differ from machine to machine
// and version to version. Both sides go through it; the expected side has been through it already, mostly.

const REPLACED: readonly (readonly [RegExp, string])[] = [
  // biome-ignore lint/suspicious/noControlCharactersInRegex: canisters may print them
  [/\x00/g, ""],
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours of a terminal
  [/\x1b\[[0-9;]*[a-zA-Z]/g, ""],
  [/wasm:0x[a-f0-9]*:/g, "wasm:0x___:"],
  [/prelude:[^:]*:/g, "prelude:___:"],
  [/prim:[^:]*:/g, "prim:___:"],
  [/Ignore Diff:.*/gi, "Ignore Diff: (ignored)"],
  [/Motoko compiler (?:[^ ]* )?\(source .*\)/gi, "Motoko compiler (source XXX)"],
  [/Motoko \(source .*\)/gi, "Motoko (source XXX)"],
  // Where the sources lay when they were compiled.
  [/[^\s'"@(]*\/([\w.-]+\.mo)(?:\.mangled)?(?=:\d)/g, "$1"],
];

const DROPPED =
  /^Raised by|^Raised at|^Re-raised at|^Re-Raised at|^Called from|^ +at |note: using the|PocketIC|^ic_trap$/;

/** The suite's runner has its server leave backtraces out; they stand before the full stop. */
const BACKTRACE = /\nCanister Backtrace:\n(?:[^\n]+\n)*?(?=\.)/g;

export function withoutBacktraces(text: string): string {
  return text.replace(BACKTRACE, "");
}

/** What comes after one of these depends on how much memory there was. */
const LAST = /RTS error: Cannot (?:grow|allocate) memory/;

function normalize(output: string): string[] {
  const lines: string[] = [];
  for (const line of withoutBacktraces(output).replace(/\n+$/, "").split("\n")) {
    const replaced = REPLACED.reduce((text, [pattern, by]) => text.replace(pattern, by), line);
    if (!DROPPED.test(replaced)) lines.push(replaced);
    if (LAST.test(replaced)) break;
  }
  return lines;
}

export interface Difference {
  /** Lines as in `diff -u`: " " both, "-" expected, "+" ours. */
  readonly lines: readonly string[];
}

/** undefined: the same. */
export function compare(expected: string, ours: string): Difference | undefined {
  const left = normalize(expected);
  const right = normalize(ours);
  if (left.join("\n") === right.join("\n")) return undefined;
  return { lines: around(merge(left, right)) };
}

/** A shortest edit script over at most some thousand lines: a table of common subsequences, after equal ends are off. */
function merge(left: readonly string[], right: readonly string[]): string[] {
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start++;
  let end = 0;
  const most = Math.min(left.length, right.length) - start;
  while (end < most && left[left.length - 1 - end] === right[right.length - 1 - end]) end++;
  const kept = (lines: readonly string[]): string[] => lines.map((line) => ` ${line}`);
  const middle = editScript(left.slice(start, left.length - end), right.slice(start, right.length - end));
  return [...kept(left.slice(0, start)), ...middle, ...kept(left.slice(left.length - end))];
}

const MAX_TABLE = 4_000_000;

function editScript(left: readonly string[], right: readonly string[]): string[] {
  const removed = left.map((line) => `-${line}`);
  const added = right.map((line) => `+${line}`);
  const width = right.length + 1;
  if ((left.length + 1) * width > MAX_TABLE) return [...removed, ...added];
  const common = new Uint32Array((left.length + 1) * width);
  const at = (i: number, j: number): number => common[i * width + j] ?? 0;
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      common[i * width + j] = left[i] === right[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const script: string[] = [];
  let i = 0;
  let j = 0;
  while (i < left.length && j < right.length) {
    if (left[i] === right[j]) {
      script.push(` ${left[i]}`);
      i++;
      j++;
    } else if (at(i + 1, j) >= at(i, j + 1)) script.push(removed[i++] as string);
    else script.push(added[j++] as string);
  }
  return [...script, ...removed.slice(i), ...added.slice(j)];
}

/** The changes with two lines around each. */
function around(lines: readonly string[]): string[] {
  const isNear = (index: number): boolean =>
    lines.slice(Math.max(0, index - 2), index + 3).some((line) => line[0] !== " ");
  const shown: string[] = [];
  for (const [index, line] of lines.entries()) {
    if (isNear(index)) shown.push(line);
    else if (shown.length > 0 && shown[shown.length - 1] !== "...") shown.push("...");
  }
  return shown;
}
