// What other packages and the command line may use of the simulator: many replicas with real state in one process,
// virtual time, one seed.
export * from "./light-crypto.ts";
