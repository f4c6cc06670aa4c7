// The driver of a network in a browser's Worker: does what the page asks for, and serves the network's HTTP interface
// over messages. One Worker, one network.
import { lackOf } from "@atoll/embedder";
import { type CanisterRange, EnvironmentError, type LogPort, principalToText } from "@atoll/types";
import { Network } from "../network.ts";
import type { NetworkSubnet } from "../network-subnet.ts";
import { browserPorts } from "./browser-ports.ts";
import type {
  Answer,
  Argument,
  LogEvent,
  MessageEnd,
  NetworkStatus,
  OpenOptions,
  OperationName,
  PlainRequest,
  PlainResponse,
  Question,
  Result,
} from "./protocol.ts";

type Table = { readonly [K in OperationName]: (argument: Argument<K>) => Promise<Result<K>> };

/** Answers what comes in at `end` for as long as the Worker lives. */
export function serveNetwork(end: MessageEnd): void {
  const tell = (message: Answer | LogEvent): void => end.postMessage(message);
  const operations = operationsOf({ log: (level, message) => tell({ event: "log", level, message }) });
  end.addEventListener("message", ({ data }) => {
    const { id, operation, argument } = data as Question;
    answer(operations, operation, argument).then(
      (value) => tell({ id, ok: true, value }),
      (error) => tell({ id, ok: false, message: error instanceof Error ? error.message : String(error) }),
    );
  });
}

async function answer<K extends OperationName>(operations: Table, name: K, argument: Argument<K>): Promise<Result<K>> {
  if (!Object.hasOwn(operations, name)) throw new TypeError(`a network in a Worker has no operation "${name}"`);
  return operations[name](argument);
}

function operationsOf(log: LogPort): Table {
  const served: Served = { network: undefined };
  const status = async (change: (network: Network) => unknown): Promise<NetworkStatus> => {
    await change(networkOf(served));
    return statusOf(networkOf(served));
  };
  return {
    open: async (options) => statusOf(await open(served, options, log)),
    status: () => status(() => undefined),
    addSubnet: (spec) => status((network) => network.addSubnet(spec)),
    tick: (rounds) =>
      status(async (network) => {
        for (let i = 0; i < rounds; i++) await network.tick();
      }),
    setTime: (time) => status((network) => network.setTime(time)),
    startProgress: (options) => status((network) => network.startProgress(options)),
    stopProgress: () => status((network) => network.stopProgress()),
    call: async (call) => {
      const network = networkOf(served);
      const submission = await network.submit(call);
      if (!submission.ok) return { state: "rejected", error: submission.error };
      const outcome = await network.awaitMessage(submission.message);
      return outcome?.state === "replied" ? { ...outcome, reply: outcome.reply.slice() } : outcome;
    },
    query: async (call) => {
      const result = await networkOf(served).query(call);
      return result.kind === "replied" ? { ...result, reply: result.reply.slice() } : result;
    },
    http: (request) => http(networkOf(served), request),
    close: () => close(served),
  };
}

/** The one network of a Worker. */
interface Served {
  network: Network | undefined;
}

function networkOf({ network }: Served): Network {
  if (network === undefined) throw new TypeError("no network is open in this Worker: open one first");
  return network;
}

async function open(served: Served, options: OpenOptions, log: LogPort): Promise<Network> {
  if (served.network !== undefined) throw new TypeError("this Worker has a network already: one Worker, one network");
  const lack = lackOf(["severalMemories"]);
  if (lack !== undefined) throw new EnvironmentError("ENGINE", lack);
  const ports = browserPorts(log);
  served.network = await Network.create({ startTime: ports.clock.now(), ...options }, ports);
  return served.network;
}

async function close(served: Served): Promise<undefined> {
  await networkOf(served).close();
  served.network = undefined;
  return undefined;
}

async function http(network: Network, { method, target, headers, body }: PlainRequest): Promise<PlainResponse> {
  const fields = new Map(headers);
  const response = await network.api({
    method,
    target,
    headers: { get: (name) => fields.get(name), entries: () => headers },
    body,
  });
  // What is copied to the page is the whole of the buffer below.
  return { ...response, body: response.body.slice() };
}

function statusOf(network: Network): NetworkStatus {
  return { time: network.time, rootKey: network.rootKey, subnets: [...network.subnets.values()].map(subnetStatus) };
}

function subnetStatus({ id, kind, config, executor }: NetworkSubnet): NetworkStatus["subnets"][number] {
  const { state } = executor.durable.machine;
  const [first, last] = (config.allocationRanges ?? config.canisterRanges)[0] as CanisterRange;
  return {
    id: principalToText(id),
    kind,
    publicKey: config.publicKey,
    height: state.height,
    nodes: config.nodes.length,
    canisters: state.canisters.size,
    range: [principalToText(first), principalToText(last)],
  };
}
