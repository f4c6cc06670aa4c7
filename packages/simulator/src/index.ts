// What other packages and the command line may use of the simulator: many replicas with real state in one process,
// virtual time, one seed.
export * from "./event-log.ts";
export * from "./light-crypto.ts";
export * from "./random.ts";
export * from "./scheduler.ts";
export * from "./sim-clock.ts";
export * from "./sim-disk.ts";
export * from "./sim-network.ts";
