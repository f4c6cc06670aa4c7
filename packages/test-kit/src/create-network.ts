// `createNetwork` as a test in Node calls it: the ports are those of the process. The keys and curves are set up once,
// which takes some tens of milliseconds, and serve all networks of the process.
import { createNodeCrypto, keepRecording, nodeClock, requireRecordingsFolder } from "@atoll/host-node";
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
 * EnvironmentError when this Node is too old. Where the environment has ATOLL_RECORDINGS=DIR, each network leaves its
 * recording in that folder when it is closed.
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
    ...recordings(process.env.ATOLL_RECORDINGS),
  };
}

function recordings(folder: string | undefined): Pick<TestNetworkPorts, "keepRecording"> {
  if (folder === undefined || folder === "") return {};
  requireRecordingsFolder(folder);
  let closed = 0;
  return {
    keepRecording(file) {
      // Test files of one run are processes of their own.
      const time = new Date().toISOString().replaceAll(":", "-").replace(".", "-");
      keepRecording(folder, `${time}-${process.pid}-${++closed}`, file);
    },
  };
}

/** One sentence when canisters cannot run on that version of Node. */
export function lackOfNode(version: string): string | undefined {
  if (Number.parseInt(version, 10) >= LEAST_NODE) return undefined;
  return `The test kit needs Node ${LEAST_NODE} or newer, and 24 for canisters with 64-bit memories; this is Node ${version}.`;
}
