// `createNetwork` as a test in Node calls it: the ports are those of the process. The keys and curves are set up once,
// which takes some tens of milliseconds, and serve all networks of the process.
import { createNodeCrypto, nodeClock } from "@atoll/host-node";
import {
  createNetwork as createNetworkOn,
  type TestNetwork,
  type TestNetworkOptions,
  type TestNetworkPorts,
} from "@atoll/pocket-ic/kit/index";
import { EnvironmentError } from "@atoll/types";

/** Older ones lack several memories in a module, which every canister here has. */
const LEAST_NODE = 22;

let ports: Promise<TestNetworkPorts> | undefined;

/**
 * A network with nothing on it. Default: one application subnet. Throws TypeError for a network that cannot be,
 * EnvironmentError when this Node is too old.
 */
export async function createNetwork(options: TestNetworkOptions = {}): Promise<TestNetwork> {
  const lack = lackOfNode(process.versions.node);
  if (lack !== undefined) throw new EnvironmentError("OLD_NODE", lack);
  ports ??= nodePorts();
  return createNetworkOn(options, await ports);
}

async function nodePorts(): Promise<TestNetworkPorts> {
  return {
    crypto: await createNodeCrypto(),
    clock: nodeClock,
    timer: {
      after: (milliseconds, callback) => {
        const handle = setTimeout(callback, milliseconds);
        return () => clearTimeout(handle);
      },
    },
  };
}

/** One sentence when canisters cannot run on that version of Node. */
export function lackOfNode(version: string): string | undefined {
  if (Number.parseInt(version, 10) >= LEAST_NODE) return undefined;
  return `The test kit needs Node ${LEAST_NODE} or newer, and 24 for canisters with 64-bit memories; this is Node ${version}.`;
}
