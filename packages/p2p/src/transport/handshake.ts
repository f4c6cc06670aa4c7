// Connections on which both sides have shown the key they are known by: TLS 1.3 with a certificate from either side. The
// key in the other side's certificate is looked at before anything that it sends is read. Section 21.1.
import { createServer as createTcpServer, type Server, type Socket } from "node:net";
import { connect, createServer as createTlsServer, type TLSSocket } from "node:tls";
import { toHex } from "@atoll/types";
import { PROTOCOL } from "./hello.ts";
import type { TlsLimits } from "./limits.ts";
import { certifiedKey, type NodeCertificate } from "./node-certificate.ts";
import type { PeerAddress } from "./peer-address.ts";
import type { Strangers } from "./strangers.ts";

export interface ListenerHandler {
  /** `key`: hex of the Ed25519 key that the other side has shown to have. `leave` to be called when it is known whose it is. */
  onSocket(socket: TLSSocket, key: string, leave: () => void): void;
  onRefused(address: string, why: string): void;
}

/** Nobody's certificate is signed by somebody else: whose key it is, is looked at afterwards. */
function tlsOptions({ key, certificate }: NodeCertificate) {
  return {
    key,
    cert: certificate,
    minVersion: "TLSv1.3",
    sigalgs: "ed25519",
    ALPNProtocols: [PROTOCOL],
    rejectUnauthorized: false,
  } as const;
}

/** Not listening yet. */
export function createListener(
  certificate: NodeCertificate,
  strangers: Strangers,
  { handshakeMs }: TlsLimits,
  handler: ListenerHandler,
): Server {
  const tls = createTlsServer({ ...tlsOptions(certificate), requestCert: true, handshakeTimeout: handshakeMs });
  // The TLS socket does not tell which connection it is on, but both have the same ends.
  const ends = new Map<string, () => void>();
  const tcp = createTcpServer({ noDelay: true }, (socket) => {
    const address = socket.remoteAddress ?? "";
    const leave = strangers.enter(address);
    if (leave === undefined) {
      socket.destroy();
      return;
    }
    const end = endOf(socket);
    ends.set(end, leave);
    socket.on("close", () => {
      leave();
      if (ends.get(end) === leave) ends.delete(end);
    });
    // Errors before the handshake is over come here as well as to the TLS server.
    socket.on("error", () => undefined);
    tls.emit("connection", socket);
  });
  tls.on("tlsClientError", (error, socket) => {
    handler.onRefused(socket.remoteAddress ?? "", error.message);
    socket.destroy();
  });
  tls.on("secureConnection", (socket) => {
    const key = shownKey(socket);
    const leave = ends.get(endOf(socket));
    if (leave !== undefined) socket.on("close", leave);
    if (key !== undefined && leave !== undefined) {
      handler.onSocket(socket, key, leave);
      return;
    }
    handler.onRefused(socket.remoteAddress ?? "", "it has no key to be known by");
    socket.on("error", () => undefined);
    socket.destroy();
  });
  return tcp;
}

function endOf(socket: Socket | TLSSocket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}

/** Hex of the other side's key, which the handshake has proved it to have. */
function shownKey(socket: TLSSocket): string | undefined {
  if (socket.alpnProtocol !== PROTOCOL || socket.getProtocol() !== "TLSv1.3") return undefined;
  const shown = socket.getPeerX509Certificate();
  const key = shown === undefined ? undefined : certifiedKey(shown);
  return key === undefined ? undefined : toHex(key);
}

/** A connection to whoever has the key at the address; `done` is called once. The socket must be destroyed to give up before. */
export function dial(
  certificate: NodeCertificate,
  { host, port }: PeerAddress,
  key: string,
  done: (outcome: TLSSocket | string) => void,
): TLSSocket {
  let isDone = false;
  const finish = (outcome: TLSSocket | string) => {
    if (isDone) return;
    isDone = true;
    if (typeof outcome === "string") socket.destroy();
    done(outcome);
  };
  const socket = connect({ ...tlsOptions(certificate), host, port });
  socket.setNoDelay(true);
  socket.on("error", (error) => finish(error.message));
  socket.on("close", () => finish("closed during the handshake"));
  socket.on("secureConnect", () => {
    const shown = shownKey(socket);
    finish(shown === key ? socket : "another node answers there");
  });
  return socket;
}
