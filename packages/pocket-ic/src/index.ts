// A network of many subnets in one thread, on its own time: the engine below the test kit and the PocketIC server.
// `Network` is where to start reading; `createNetwork` is where a test starts.
export type { CanisterCall, MessageId } from "./calls.ts";
export * from "./kit/index.ts";
export * from "./network.ts";
export type { NetworkSubnet, SubnetSpec } from "./network-subnet.ts";
export type { SubnetKind } from "./subnet-kinds.ts";
