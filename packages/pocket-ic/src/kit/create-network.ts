// Where a test begins: a network as it asks for, in this thread, with nothing on it. In Node use `createNetwork` of
// @atoll/test-kit, which brings the ports; in a browser give them here.
import type { ClockPort, CryptoPort, LogPort } from "@atoll/types";
import type { TimerPort } from "@atoll/types/http";
import { Network } from "../network.ts";
import type { SubnetSpec } from "../network-subnet.ts";
import { type Moment, momentNs } from "./durations.ts";
import { checkOptions, type FieldsOf } from "./given-options.ts";
import { Session } from "./session.ts";
import { checkSubnet } from "./subnet-options.ts";
import { TestNetwork } from "./test-network.ts";

export interface TestNetworkOptions {
  /** Default: one application subnet. */
  readonly subnets?: readonly SubnetSpec[];
  /** Default: 2021-05-06T19:17:10Z. */
  readonly startTime?: Moment;
  /** Other keys, ids of subnets and randomness for another seed. */
  readonly seed?: Uint8Array;
  /** Keep what every execution did, for message trees and reports; default: true. Costs some percent of the time. */
  readonly trace?: boolean;
  /** Keep every batch, for `TestNetwork.recording`; default: false. */
  readonly record?: boolean;
}

export interface TestNetworkPorts {
  readonly crypto: CryptoPort;
  /** For automatic progress. */
  readonly clock: ClockPort;
  readonly timer: TimerPort;
  readonly log?: LogPort;
  /** Has every network recorded, and is given the recording when the network or a fork of it is closed. */
  readonly keepRecording?: (file: Uint8Array) => void;
}

const OPTIONS: FieldsOf<TestNetworkOptions> = {
  subnets: true,
  startTime: true,
  seed: true,
  trace: true,
  record: true,
};

const silent: LogPort = { log: () => undefined };

/** Throws TypeError for options that there are not, a network without subnets, two of a kind that there is one of. */
export async function createNetwork(options: TestNetworkOptions, ports: TestNetworkPorts): Promise<TestNetwork> {
  checkOptions("createNetwork", options, OPTIONS);
  const { subnets = [{ kind: "application" }], startTime, seed, trace = true, record = false } = options;
  if (!Array.isArray(subnets)) throw new TypeError('`subnets` is a list: [{ kind: "application" }, ...]');
  for (const spec of subnets) checkSubnet(spec);
  const engine = await Network.create(
    {
      subnets,
      trace,
      record: record || ports.keepRecording !== undefined,
      ...(startTime !== undefined && { startTime: momentNs(startTime) }),
      ...(seed !== undefined && { seed }),
    },
    { log: silent, ...ports },
  );
  const session = new Session(engine, ports.crypto);
  session.keepRecording = ports.keepRecording;
  return new TestNetwork(session);
}
