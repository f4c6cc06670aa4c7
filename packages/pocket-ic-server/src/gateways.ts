// HTTP gateways of a server: a socket of its own for each, with the web gateway in front of an instance or of a replica
// somewhere else. What clients call live mode.
import fs from "node:fs";
import { createGateway } from "@atoll/gateway";
import { type HttpServer, nodeClock, nodeEntropy, startHttpServer } from "@atoll/host-node";
import type { CryptoPort } from "@atoll/types";
import { EnvironmentError } from "@atoll/types/errors";
import type { HttpHandler, TimerPort } from "@atoll/types/http";
import { Refusal } from "./answers.ts";
import { type GatewayOptions, gatewayFields, gatewayOptions, type HttpsConfig } from "./creation.ts";
import { hostsOfFile } from "./host-file.ts";
import type { Json } from "./json.ts";
import type { Lifetime } from "./lifetime.ts";
import { forwardTo } from "./replica-proxy.ts";
import * as shape from "./shapes.ts";

export type ForwardTo = { readonly instance: number } | { readonly replica: string };

interface Gateway {
  readonly id: number;
  readonly options: GatewayOptions;
  readonly forwardTo: ForwardTo;
  readonly server: HttpServer;
}

export interface GatewayPorts {
  readonly crypto: CryptoPort;
  readonly timer: TimerPort;
  readonly lifetime: Lifetime;
  /** The HTTP interface of an instance, and its pages below /_/. Throws a Refusal. */
  readonly instance: (id: number) => HttpHandler;
}

const creation = shape.record({
  ...gatewayFields,
  forward_to: shape.variant<ForwardTo>({
    Replica: (value, at) => ({ replica: shape.text(value, at) }),
    PocketIcInstance: (value, at) => ({ instance: Number(shape.integer(0xffff_ffffn)(value, at)) }),
  }),
});

export class Gateways {
  readonly #ports: GatewayPorts;
  /** Undefined: stopped. */
  readonly #all: (Gateway | undefined)[] = [];

  constructor(ports: GatewayPorts) {
    this.#ports = ports;
  }

  /** `POST /http_gateway`. Throws a Refusal. */
  async create(body: Json): Promise<{ instance_id: number; port: number }> {
    const raw = creation(body, "");
    return this.open(gatewayOptions(raw), raw.forward_to);
  }

  /** Throws a Refusal. */
  async open(options: GatewayOptions, target: ForwardTo): Promise<{ instance_id: number; port: number }> {
    const { crypto, timer, lifetime } = this.#ports;
    const api = "instance" in target ? this.#ports.instance(target.instance) : forwardTo(target.replica);
    const gateway = createGateway({
      api,
      crypto,
      timer,
      clock: nodeClock,
      entropy: nodeEntropy,
      hostSuffixes: options.domains ?? ["localhost"],
      ...(options.domainFile !== undefined && { resolveHost: hostsOfFile(options.domainFile) }),
    });
    const server = await listen({
      host: options.ipAddr ?? "127.0.0.1",
      port: options.port ?? 0,
      apiHandler: (request) => counted(lifetime, () => api(request)),
      gatewayHandler: (request) => counted(lifetime, () => gateway(request)),
      ...(options.https && { tls: readTls(options.https) }),
    });
    const id = this.#all.length;
    this.#all.push({ id, options, forwardTo: target, server });
    return { instance_id: id, port: server.port };
  }

  /** Throws a Refusal when a gateway could not listen there: before anything else is made for it. */
  async requirePlace({ ipAddr, port }: GatewayOptions): Promise<void> {
    const place = { host: ipAddr ?? "127.0.0.1", port: port ?? 0 };
    const probe = await listen({ ...place, apiHandler: () => Promise.reject(new TypeError("only a probe")) });
    await probe.close();
  }

  list(): Json {
    return this.#all.flatMap((gateway) => (gateway === undefined ? [] : [describe(gateway)]));
  }

  /** What never was or is stopped already is stopped. */
  async stop(id: number): Promise<void> {
    const gateway = this.#all[id];
    this.#all[id] &&= undefined;
    await gateway?.server.close();
  }

  /** Stops those in front of one instance, or all. */
  async stopAll(instance?: number): Promise<void> {
    const chosen = this.#all.filter((each) => {
      if (each === undefined || instance === undefined) return true;
      return "instance" in each.forwardTo && each.forwardTo.instance === instance;
    });
    await Promise.all(chosen.map((each) => each && this.stop(each.id)));
  }
}

function describe({ id, options, forwardTo, server }: Gateway): Json {
  return {
    instance_id: id,
    port: server.port,
    forward_to: "instance" in forwardTo ? { PocketIcInstance: forwardTo.instance } : { Replica: forwardTo.replica },
    domains: options.domains ?? null,
    https_config: options.https ? { cert_path: options.https.certPath, key_path: options.https.keyPath } : null,
  };
}

async function counted<T>(lifetime: Lifetime, serve: () => Promise<T>): Promise<T> {
  const end = lifetime.begin();
  try {
    return await serve();
  } finally {
    end();
  }
}

function bindFailure({ host, port }: { readonly host: string; readonly port: number }): string {
  return `Failed to bind to address ${host}:${port}`;
}

async function listen(options: Parameters<typeof startHttpServer>[0]): Promise<HttpServer> {
  try {
    return await startHttpServer(options);
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    const what = error.code === "TLS_UNUSABLE" ? "TLS config could not be created" : bindFailure(options);
    throw new Refusal(400, `${what}: ${error.message}`);
  }
}

function readTls({ certPath, keyPath }: HttpsConfig): { cert: Uint8Array; key: Uint8Array } {
  try {
    return { cert: fs.readFileSync(certPath), key: fs.readFileSync(keyPath) };
  } catch (error) {
    throw new Refusal(400, `TLS config could not be created: ${(error as Error).message}`);
  }
}
