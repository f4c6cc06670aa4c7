// The page: opens a network of two subnets in a Worker, installs a counter on each, calls them through an agent, and
// tells of each call which subnet signed the answer. In the console, `network` and `agent` are there to play with.
import { type NetworkInWorker, openNetwork } from "@atoll/pocket-ic/worker/network-in-worker";
import type { NetworkStatus } from "@atoll/pocket-ic/worker/protocol";
import type { HttpAgent } from "@icp-sdk/core/agent";
import { Principal } from "@icp-sdk/core/principal";
import { agentFor, type Counter, counterActor, installCounter } from "./counter.ts";
import { element, type SubnetCard, showLine, showProblem, subnetCard } from "./screen.ts";

const REFRESH_MS = 250;
const DAY_NS = 86_400_000_000_000n;
const MODULE = "counter.wasm.gz";

interface Place {
  readonly id: string;
  readonly card: SubnetCard;
  /** A canister id that the subnet hosts. */
  readonly range: string;
  counter: { readonly id: Principal; readonly actor: Counter } | undefined;
}

const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });

start().catch(showProblem);

async function start(): Promise<void> {
  const started = performance.now();
  const subnets = [{ kind: "application" }, { kind: "application" }] as const;
  const network = await openNetwork(worker, { subnets });
  network.onLog = (_, message) => showLine({ text: message, isFailure: true });
  const status = await network.startProgress();
  showLine({ text: "Two subnets began to run in this tab.", tookMs: performance.now() - started });
  const agent = agentFor(network.fetch, status.rootKey);
  element("root-key").textContent = `…${hex(status.rootKey.slice(-8))}`;
  element("principal").textContent = (await agent.getPrincipal()).toText();
  const places = status.subnets.map(({ id, range: [first] }, i): Place => {
    const other = status.subnets[1 - i]?.id ?? "";
    return { id, card: subnetCard(`Subnet ${i + 1}`, id, other), range: first, counter: undefined };
  });
  connectButtons(network, agent, places);
  Object.assign(globalThis, { network, agent, agentFor });
  await watch(network, places);
}

function connectButtons(network: NetworkInWorker, agent: HttpAgent, places: readonly Place[]): void {
  const install = element("install", HTMLButtonElement);
  install.disabled = false;
  install.addEventListener("click", () => {
    install.disabled = true;
    void attempt(async () => {
      await installCounters(agent, places);
      install.hidden = true;
    });
  });
  const day = element("day", HTMLButtonElement);
  day.disabled = false;
  day.addEventListener("click", () => {
    void attempt(async () => {
      const { time } = await network.status();
      await network.setTime(time + DAY_NS);
      await network.tick();
      // Agents go by the clock of the machine until they ask the network.
      const [{ range } = { range: "" }] = places;
      await agent.syncTime({ canisterId: Principal.fromText(range) });
      showLine({ text: "A day went by in no time." });
    });
  });
  places.forEach((place, i) => {
    const other = places[1 - i] as Place;
    place.card.increment.addEventListener("click", () => {
      void attempt(() => count(place, place, (actor) => actor.increment(), "counted up"));
    });
    place.card.across.addEventListener("click", () => {
      void attempt(async () => {
        const { id } = other.counter ?? {};
        if (id !== undefined)
          await count(place, other, (actor) => actor.incrementOther(id), "had the other one count up");
      });
    });
  });
}

async function installCounters(agent: HttpAgent, places: readonly Place[]): Promise<void> {
  const module = new Uint8Array(await (await fetch(MODULE)).arrayBuffer());
  for (const place of places) {
    const started = performance.now();
    const id = await installCounter(agent, place.range, module);
    place.counter = { id, actor: counterActor(agent, id) };
    place.card.installed(id.toText());
    showLine({ text: `Canister ${id.toText()} was installed.`, tookMs: performance.now() - started });
  }
  for (const { card } of places) card.enable();
}

/** The agent answers only after it has verified the certificate, so reaching the end is the proof. */
async function count(
  asked: Place,
  counting: Place,
  call: (actor: Counter) => ReturnType<Counter["increment"]>,
  did: string,
): Promise<void> {
  if (asked.counter === undefined) return;
  const started = performance.now();
  const { result, certificate } = await call(asked.counter.actor);
  const tookMs = performance.now() - started;
  counting.card.showCount(result);
  const signer = certificate?.cert.delegation?.subnet_id;
  const by = signer === undefined ? "the root subnet" : Principal.fromUint8Array(signer).toText().slice(0, 11);
  showLine({ text: `${asked.card.name} ${did}: ${result}. Verified, signed by ${by}.`, tookMs });
}

async function attempt(work: () => Promise<void>): Promise<void> {
  try {
    await work();
    element("problem").hidden = true;
  } catch (error) {
    showProblem(error);
  }
}

/** Shows times and heights for as long as the page is there. */
async function watch(network: NetworkInWorker, places: readonly Place[]): Promise<void> {
  for (;;) {
    if (document.visibilityState === "visible") showStatus(await network.status(), places);
    await new Promise((resolve) => setTimeout(resolve, REFRESH_MS));
  }
}

function showStatus({ time, subnets }: NetworkStatus, places: readonly Place[]): void {
  const date = new Date(Number(time / 1_000_000n));
  element("time").textContent = date.toLocaleString(undefined, { dateStyle: "long", timeStyle: "medium" });
  element("time").setAttribute("datetime", date.toISOString());
  subnets.forEach(({ height }, i) => {
    places[i]?.card.showHeight(height);
  });
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
