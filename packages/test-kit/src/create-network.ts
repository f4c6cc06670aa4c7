// `createNetwork` as a test in Node calls it: the ports are those of the process. The keys and curves are set up once,
// which takes some tens of milliseconds, and serve all networks of the process.
import { createNodeCrypto, nodeClock } from "@atoll/host-node";
import {
  createNetwork as createNetworkOn,
  type TestNetwork,
  type TestNetworkOptions,
  type TestNetworkPorts,
} from "@atoll/pocket-ic/kit/index";

let ports: Promise<TestNetworkPorts> | undefined;

/** A network with nothing on it. Default: one application subnet. Throws TypeError for a network that cannot be. */
export async function createNetwork(options: TestNetworkOptions = {}): Promise<TestNetwork> {
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
