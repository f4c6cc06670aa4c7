// The tree of a message as text: each call on a line with its decoded argument and answer, below it what its canister
// said, where it failed, and whom it called; over all subnets. It is what a failed call shows.
//   front.callEcho(principal back, "hello") -> ("hello")   [23_105 instructions, 1_590_020 cycles]
//   └─ back.echo("hello") -> ("hello")   [9_871 instructions, 590_001 cycles]
import type { MessageNode, TreeExecution } from "@atoll/replica";
import { type CanisterId, errorCodeText, type PrincipalId, principalToText, RejectCode } from "@atoll/types";
import { blobText, type CandidNames, candidText, grouped } from "./candid-text.ts";

export interface TreeNames extends CandidNames {
  /** How the canister is called; default: its id. */
  canister(id: CanisterId): string | undefined;
  /** How the subnet is called; undefined where there is only one. */
  subnet(id: PrincipalId): string | undefined;
}

/** Lines; what is below is counted. */
const MAX_LINES = 200;
const MAX_SENTENCE = 400;
const MAX_LOG_LINES = 20;

export function messageTreeText(root: MessageNode, names: TreeNames): string {
  const lines: string[] = [];
  let left = 0;
  // Depth first without a stack of calls: a tree may be as deep as canisters make it.
  const waiting: { node: MessageNode; head: string; rest: string }[] = [{ node: root, head: "", rest: "" }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (lines.length >= MAX_LINES) {
      left++;
      continue;
    }
    const { node, head, rest } = next;
    lines.push(`${head}${nodeText(node, names)}`);
    const bar = node.children.length > 0 ? "│    " : "     ";
    for (const line of details(node)) lines.push(`${rest}${bar}${line}`);
    const last = node.children.length - 1;
    for (let i = last; i >= 0; i--) {
      const child = node.children[i] as MessageNode;
      waiting.push({
        node: child,
        head: `${rest}${i === last ? "└─ " : "├─ "}`,
        rest: rest + (i === last ? "   " : "│  "),
      });
    }
  }
  if (left > 0) lines.push(`... and ${left} further messages`);
  return lines.join("\n");
}

function nodeText(node: MessageNode, names: TreeNames): string {
  const canister = names.canister(node.canister) ?? principalToText(node.canister);
  const sent = node.cycles > 0n ? ` with ${grouped(node.cycles)} cycles` : "";
  const refund = node.cycles > 0n && node.refund ? `, ${grouped(node.refund)} cycles back` : "";
  const place = node.subnet && names.subnet(node.subnet);
  const figures = [
    `${grouped(node.instructions)} instructions`,
    `${grouped(node.cyclesConsumed)} cycles`,
    ...(place === undefined ? [] : [`${place}, height ${node.height}`]),
  ];
  const call = `${canister}.${node.methodName}${argumentText(node.arg, names)}${sent}`;
  return `${call} -> ${outcome(node, names)}${refund}   [${figures.join(", ")}]`;
}

function argumentText(arg: Uint8Array, names: TreeNames): string {
  const text = candidText(arg, names);
  return text.startsWith("(") ? text : `(${text})`;
}

function outcome({ answer, notExecuted, hasExpired, executions, subnet }: MessageNode, names: TreeNames): string {
  const never = notExecuted === undefined ? "" : ` (never executed: ${cut(notExecuted)})`;
  if (answer?.kind === "reply") return candidText(answer.data, names);
  if (answer !== undefined) {
    const [name] = Object.entries(RejectCode).find(([, code]) => code === answer.code) ?? ["rejected"];
    return `✗ ${name}${hasExpired ? " (its deadline passed)" : ""}: ${cut(answer.message)}${never}`;
  }
  if (notExecuted !== undefined) return `✗ never executed: ${cut(notExecuted)}`;
  if (executions.length > 0) return "no answer yet";
  return subnet === undefined ? "not arrived yet" : "not executed yet";
}

/** What its canister printed, and where it failed. */
function details({ executions }: MessageNode): string[] {
  return executions.flatMap((execution) => [...logText(execution), ...failureText(execution)]);
}

/** The last line of the log of an execution that failed is why and where. */
const TRAP = /^\[TRAP\]: /;
const decoder = new TextDecoder();

function logText({ log }: TreeExecution): string[] {
  const said = log.filter((text) => !TRAP.test(decoder.decode(text)));
  const lines = said
    .slice(0, MAX_LOG_LINES)
    .map((text) => `says ${blobText(text, MAX_SENTENCE).replace(/^blob /, "")}`);
  return said.length > MAX_LOG_LINES ? [...lines, `says ${said.length - MAX_LOG_LINES} further lines`] : lines;
}

function failureText({ error, methodName, log }: TreeExecution): string[] {
  if (error === undefined) return [];
  const trapped = log.map((text) => decoder.decode(text)).find((text) => TRAP.test(text));
  const [, places] = trapped?.split("\nCanister Backtrace:\n") ?? [];
  const stack = places === undefined ? "" : ` (in ${places.trim().split("\n").join(" < ")})`;
  return [`✗ ${methodName} failed: ${errorCodeText(error.code)}: ${cut(error.message)}${cut(stack)}`];
}

function cut(text: string): string {
  const [line = ""] = text.split("\n");
  return line.length > MAX_SENTENCE ? `${line.slice(0, MAX_SENTENCE)}…` : line;
}
