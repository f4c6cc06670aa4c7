// What other packages and the command line may use of the simulator: many replicas with real state in one process,
// virtual time, one seed.
export { BEHAVIOURS, type Behaviour } from "./behaviours.ts";
export * from "./counting-core.ts";
export type { FaultKind } from "./faults.ts";
export * from "./light-crypto.ts";
export * from "./minimise.ts";
export type { MakeCore } from "./node-core.ts";
export * from "./run-plan.ts";
export * from "./scheduler.ts";
export { type RunFailure, type RunOptions, type RunResult, runPlan, type SimHost } from "./sim-run.ts";
export { wholeCores } from "./whole-core.ts";
