// The socket in front of the HTTP interface and the gateway: node:http, no framework. A request to the interface is
// handed on as plain data; everything that makes a server safe to expose (bounds on bodies, headers, time and
// connections) is here and nowhere else. Interface specification, "HTTPS interface"; limits as the replica's.
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { EnvironmentError, type LogPort, MAX_HTTP_BODY_BYTES } from "@atoll/types";
import type { HttpHandler, WebHandler } from "@atoll/types/http";
import { declaredLength, type ExchangeContext, sendText, serve } from "./http-exchange.ts";

export interface HttpServerLimits {
  readonly maxBodyBytes: number;
  readonly maxHeaderBytes: number;
  readonly maxConnections: number;
  /** From the first byte of a request until its headers are complete; then 408. */
  readonly headersTimeoutMs: number;
  /** Until the whole request is there; then 408. */
  readonly receiveTimeoutMs: number;
  /** Until the answer begins; then 504. */
  readonly answerTimeoutMs: number;
  /** How long a client may take nothing of a streamed answer before it is cut off. */
  readonly stallTimeoutMs: number;
  /** How long a connection may be idle. Longer than clients keep theirs, or they would race with the close. */
  readonly keepAliveTimeoutMs: number;
  /** How long `close` waits for running requests. */
  readonly closeTimeoutMs: number;
}

export const HTTP_SERVER_LIMITS: HttpServerLimits = {
  maxBodyBytes: MAX_HTTP_BODY_BYTES,
  maxHeaderBytes: 32 * 1024,
  maxConnections: 4_096,
  headersTimeoutMs: 30_000,
  receiveTimeoutMs: 300_000,
  answerTimeoutMs: 300_000,
  stallTimeoutMs: 60_000,
  keepAliveTimeoutMs: 75_000,
  closeTimeoutMs: 5_000,
};

export interface HttpServerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** The HTTP interface: serves what `isApiTarget` is true for, on any host name. */
  readonly apiHandler: HttpHandler;
  /** Everything else. Without it there is only the interface. */
  readonly gatewayHandler?: WebHandler;
  /** Requests to upgrade to this protocol get the connection: `received` came with the request. Closing it is theirs. */
  readonly upgrade?: { readonly protocol: string; take(socket: Socket, received: Uint8Array): void };
  /** PEM of a certificate chain and its key: TLS instead of plain text. */
  readonly tls?: { readonly cert: Uint8Array; readonly key: Uint8Array };
  readonly limits?: Partial<HttpServerLimits>;
  readonly log?: LogPort;
}

export interface HttpServer {
  readonly url: string;
  readonly port: number;
  /** Takes no new requests, ends idle connections, lets running requests finish within the bound. */
  close(): Promise<void>;
}

/** Listens, or throws EnvironmentError: ADDRESS_IN_USE, ADDRESS_NOT_PERMITTED, ADDRESS_NOT_AVAILABLE, TLS_UNUSABLE. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const limits = { ...HTTP_SERVER_LIMITS, ...options.limits };
  const { apiHandler, gatewayHandler, log } = options;
  const context: ExchangeContext = {
    apiHandler,
    ...(gatewayHandler && { gatewayHandler }),
    ...(log && { log }),
    limits,
    closing: false,
  };
  const server = makeServer(limits, options, (request, response) => serve(context, request, response));
  server.maxConnections = limits.maxConnections;
  // The net below all other bounds: a connection on which nothing at all moves.
  server.timeout = limits.answerTimeoutMs + limits.stallTimeoutMs;
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
    if (declaredLength(request) <= limits.maxBodyBytes) response.writeContinue();
    serve(context, request, response);
  });
  server.on("checkExpectation", (_request, response: ServerResponse) =>
    sendText(context, response, 417, "Expectation failed."),
  );
  server.on("upgrade", (_request, socket: Socket, received: Uint8Array) => {
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${options.upgrade?.protocol}\r\n\r\n`,
    );
    options.upgrade?.take(socket, received);
  });
  await listen(server, options.host, options.port);
  const { port } = server.address() as AddressInfo;
  const name = options.host.includes(":") ? `[${options.host}]` : options.host;
  const scheme = options.tls === undefined ? "http" : "https";
  return { url: `${scheme}://${name}:${port}`, port, close: () => close(context, limits, server) };
}

function makeServer(limits: HttpServerLimits, { tls, upgrade }: HttpServerOptions, listener: RequestListener): Server {
  const bounds = {
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.receiveTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.min(limits.headersTimeoutMs, 5_000),
    noDelay: true,
    // Whoever asks for another protocol, as some clients do of every server, is answered as if it had not.
    shouldUpgradeCallback: ({ headers }: IncomingMessage) =>
      headers.upgrade !== undefined && headers.upgrade === upgrade?.protocol,
  };
  if (tls === undefined) return createServer(bounds, listener);
  try {
    const options = { ...bounds, cert: Buffer.from(tls.cert), key: Buffer.from(tls.key) };
    // Loaded for those who ask for it: it is the larger half of a start.
    return process.getBuiltinModule("node:https").createServer(options, listener);
  } catch (error) {
    throw new EnvironmentError(
      "TLS_UNUSABLE",
      `The certificate and the key cannot be used: ${(error as Error).message}. Give PEM files that belong together.`,
      { cause: error },
    );
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => reject(listenError(error, host, port));
    server.once("error", failed);
    server.listen({ host, port }, () => {
      server.off("error", failed);
      resolve();
    });
  });
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): unknown {
  switch (error.code) {
    case "EADDRINUSE":
      return new EnvironmentError(
        "ADDRESS_IN_USE",
        `Port ${port} on ${host} is already in use; stop the program that uses it or choose another port.`,
        { cause: error },
      );
    case "EACCES":
    case "EPERM":
      return new EnvironmentError(
        "ADDRESS_NOT_PERMITTED",
        `Port ${port} on ${host} needs more rights than this program has; choose a port above 1023.`,
        { cause: error },
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EINVAL":
      return new EnvironmentError(
        "ADDRESS_NOT_AVAILABLE",
        `${host} is not an address of this machine; choose another host, such as 127.0.0.1.`,
        { cause: error },
      );
    default:
      return error;
  }
}

function close(context: ExchangeContext, limits: HttpServerLimits, server: Server): Promise<void> {
  context.closing = true;
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), limits.closeTimeoutMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
