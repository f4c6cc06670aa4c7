// Ports for the nodes of a network on this machine: the same as last time where they are still free, so that a node keeps
// its address, and others where another program has taken them meanwhile.
import { createServer } from "node:net";
import { EnvironmentError } from "@atoll/types";

const HOST = "127.0.0.1";

/** As many different free ports as `wanted` has; those that it names where they are free. 0: any. */
export async function freePorts(wanted: readonly number[]): Promise<number[]> {
  // All are held until all are known, so that none is found twice.
  const servers = wanted.map(() => createServer());
  try {
    const ports: number[] = [];
    for (const [i, server] of servers.entries()) ports.push(await takePort(server, wanted[i] ?? 0));
    return ports;
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

async function takePort(server: ReturnType<typeof createServer>, port: number): Promise<number> {
  const taken = await listen(server, port);
  if (taken !== undefined) return taken;
  const other = port === 0 ? undefined : await listen(server, 0);
  if (other === undefined) throw new EnvironmentError("NO_PORTS", "This machine has no free ports for the nodes.");
  return other;
}

/** Undefined: it is in use. */
function listen(server: ReturnType<typeof createServer>, port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const failed = (): void => resolve(undefined);
    server.once("error", failed);
    server.listen(port, HOST, () => {
      server.off("error", failed);
      const address = server.address();
      resolve(typeof address === "object" ? address?.port : undefined);
    });
  });
}
