// In which kinds of execution a system call may be made: the "Contexts" column of the specification's list of
// imports (checklist 3.3), as bit sets.

export const Mode = {
  start: 1 << 0,
  init: 1 << 1,
  preUpgrade: 1 << 2,
  update: 1 << 3,
  replicatedQuery: 1 << 4,
  query: 1 << 5,
  transform: 1 << 6,
  compositeQuery: 1 << 7,
  reply: 1 << 8,
  reject: 1 << 9,
  compositeReply: 1 << 10,
  compositeReject: 1 << 11,
  cleanup: 1 << 12,
  compositeCleanup: 1 << 13,
  inspect: 1 << 14,
  task: 1 << 15,
} as const;
/** One kind of execution. post_upgrade counts as init. */
export type Mode = (typeof Mode)[keyof typeof Mode];
/** A union of modes. */
export type Modes = number;

export const EVERY: Modes = (1 << 16) - 1;
export const ALL_BUT_START: Modes = EVERY & ~Mode.start;
export const REPLYING: Modes =
  Mode.update |
  Mode.replicatedQuery |
  Mode.query |
  Mode.transform |
  Mode.compositeQuery |
  Mode.reply |
  Mode.reject |
  Mode.compositeReply |
  Mode.compositeReject;
export const CALLING: Modes =
  Mode.update | Mode.compositeQuery | Mode.reply | Mode.reject | Mode.compositeReply | Mode.compositeReject | Mode.task;
export const ARGUMENT: Modes =
  Mode.init |
  Mode.update |
  Mode.replicatedQuery |
  Mode.query |
  Mode.transform |
  Mode.compositeQuery |
  Mode.reply |
  Mode.compositeReply |
  Mode.inspect;
export const REJECTED: Modes = Mode.reject | Mode.compositeReject;
export const CALLBACKS: Modes = Mode.reply | Mode.compositeReply | REJECTED;

const NAMES: Record<number, string> = {
  [Mode.start]: "start",
  [Mode.init]: "init",
  [Mode.preUpgrade]: "pre upgrade",
  [Mode.update]: "update",
  [Mode.replicatedQuery]: "replicated query",
  [Mode.query]: "non replicated query",
  [Mode.transform]: "non replicated query",
  [Mode.compositeQuery]: "composite query",
  [Mode.reply]: "reply callback",
  [Mode.reject]: "reject callback",
  [Mode.compositeReply]: "composite reply callback",
  [Mode.compositeReject]: "composite reject callback",
  [Mode.cleanup]: "cleanup",
  [Mode.compositeCleanup]: "composite cleanup",
  [Mode.inspect]: "inspect message",
  [Mode.task]: "system task",
};

/** System tasks share a mode and are told apart in messages. */
export type TaskName = "heartbeat" | "global timer" | "on low Wasm memory";

export function modeName(mode: Mode, task: TaskName | undefined): string {
  return task ?? NAMES[mode] ?? "unknown";
}
