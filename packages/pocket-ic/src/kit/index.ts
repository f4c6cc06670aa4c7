// The test kit: what people write tests of canisters against. `createNetwork` is where a test begins, `TestNetwork` and
// `TestCanister` are what it holds.
export type { CallFigures, CallReport } from "./call-report.ts";
export type { AnyService, TestActor } from "./candid-interface.ts";
export type { LogLine } from "./canister-logs.ts";
export { CanisterReject } from "./canister-reject.ts";
export type { CanisterStatus } from "./canister-status.ts";
export { createNetwork, type TestNetworkOptions, type TestNetworkPorts } from "./create-network.ts";
export type { Duration, Moment } from "./durations.ts";
export {
  type Budget,
  ExpectationError,
  type Expected,
  type ExpectedReject,
  expectBudget,
  expectReject,
  expectReply,
} from "./expectations.ts";
export type { Faults, TrapOptions } from "./faults.ts";
export type { HeldMessage, Hold, HoldOptions } from "./held-messages.ts";
export type { FlightMessage } from "./messages-in-flight.ts";
export type { PrincipalLike, TestIdentity } from "./principals.ts";
export type { CanisterSettings, SettingsChange } from "./settings.ts";
export type { CallState, SubmittedCall } from "./submitted-call.ts";
export type { Snapshot, TestCanister, UpgradeOptions } from "./test-canister.ts";
export type { CreateOptions, InstallOptions, RawCall, SubnetView, TestNetwork } from "./test-network.ts";
export type { OutcallHandler, TestOutcall, WebAnswer, WebFailure } from "./test-outcalls.ts";
