// A wire between two nodes that can be cut or stop carrying: what a test puts in a node's address.
import { type AddressInfo, createServer, connect as dial, type Socket } from "node:net";

export interface Wire {
  readonly port: number;
  /** Connections that went through it so far. */
  connections: number;
  /** Nothing is carried any more, in either direction, and nobody is told. */
  stall(isStalled: boolean): void;
  /** Ends what is open. */
  cut(): void;
  close(): Promise<void>;
}

export async function createWire(to: number): Promise<Wire> {
  const sockets = new Set<Socket>();
  let isStalled = false;
  const server = createServer((near) => {
    const far = dial(to, "127.0.0.1");
    wire.connections++;
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      if (isStalled) socket.pause();
      socket.on("data", (bytes) => {
        if (!other.write(bytes)) socket.pause();
      });
      socket.on("drain", () => {
        if (!isStalled) other.resume();
      });
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const wire: Wire = {
    port: (server.address() as AddressInfo).port,
    connections: 0,
    stall(is) {
      isStalled = is;
      for (const socket of sockets) {
        if (is) socket.pause();
        else socket.resume();
      }
    },
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    close() {
      wire.cut();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return wire;
}
