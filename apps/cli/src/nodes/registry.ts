// `atoll registry`: what a subnet's operator says of its nodes and settings, as the next signed record. The newest one comes
// from a running node, is changed, signed, and handed to nodes, which check it and pass it on.
import { checkNodeRecord, decodeSignedRecord, encodeSignedRecord, signRegistryRecord } from "@atoll/consensus";
import { createNodeCrypto, readKeyFile } from "@atoll/host-node";
import {
  type CryptoPort,
  EnvironmentError,
  type NodeRecord,
  principalToText,
  type RegistryRecord,
  toHex,
} from "@atoll/types";
import { readIdentity } from "./genesis-files.ts";
import { REGISTRY_PATH } from "./operator-api.ts";
import { passphraseOf } from "./passphrase.ts";
import { REGISTRY_USAGE, type RegistryChange, type RegistryCommand } from "./registry-options.ts";

export async function registry(command: RegistryCommand): Promise<void> {
  if (command.kind === "help") return say(REGISTRY_USAGE);
  const newest = await newestRecord(command.nodes);
  if (command.kind === "show") return say(JSON.stringify(shown(newest), undefined, 2));
  const { registryKeys, passphraseFile, nodes, change } = command;
  const source = passphraseFile === undefined ? undefined : { file: passphraseFile };
  const { secret } = readKeyFile(registryKeys, await passphraseOf(registryKeys, source));
  const crypto = await createNodeCrypto();
  const next = changed(newest, change, crypto);
  const body = encodeSignedRecord(signRegistryRecord(crypto, secret, next));
  let taken = 0;
  const refusals: string[] = [];
  for (const url of nodes) {
    const answer = await ask(url, { method: "POST", headers: { "content-type": BYTES }, body: new Uint8Array(body) });
    if (typeof answer !== "string" && answer.status === 200) taken++;
    else refusals.push(typeof answer === "string" ? answer : `${url}: ${await answer.text()}`);
  }
  for (const refusal of refusals) process.stderr.write(`atoll: ${refusal}\n`);
  if (taken === 0) throw new EnvironmentError("REGISTRY", `No node has taken registry version ${next.version}.`);
  say(`Registry version ${next.version} was taken by ${taken} of ${nodes.length} nodes, which pass it on.`);
}

const BYTES = "application/octet-stream";
const TIMEOUT_MS = 10_000;

/** Of those that the nodes know. */
async function newestRecord(urls: readonly string[]): Promise<RegistryRecord> {
  const records: RegistryRecord[] = [];
  const failures: string[] = [];
  for (const url of urls) {
    const answer = await ask(url, { method: "GET" });
    if (typeof answer === "string") failures.push(answer);
    else if (answer.status !== 200) failures.push(`${url}: ${await answer.text()}`);
    else records.push(decodeSignedRecord(new Uint8Array(await answer.arrayBuffer())).record);
  }
  const newest = records.sort((a, b) => b.version - a.version)[0];
  if (newest === undefined)
    throw new EnvironmentError("REGISTRY", `No node told its registry record (${failures[0]}).`);
  return newest;
}

async function ask(url: string, init: RequestInit): Promise<Response | string> {
  try {
    return await fetch(new URL(REGISTRY_PATH, url), { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    const { cause, message } = error as Error;
    return `${url} does not answer (${cause instanceof Error ? cause.message : message})`;
  }
}

/** The next record. Throws EnvironmentError for what no node would take. */
function changed(record: RegistryRecord, change: RegistryChange, crypto: CryptoPort): RegistryRecord {
  const { unitDelayMs, notaryDelayMs, dkgInterval, protocolVersion, halt } = change;
  const ns = (milliseconds: number) => BigInt(milliseconds) * 1_000_000n;
  return {
    ...record,
    version: record.version + 1,
    nodes: changedNodes(record.nodes, change, crypto),
    settings: {
      ...record.settings,
      ...(unitDelayMs !== undefined && { unitDelay: ns(unitDelayMs) }),
      ...(notaryDelayMs !== undefined && { initialNotaryDelay: ns(notaryDelayMs) }),
      ...(dkgInterval !== undefined && { dkgIntervalLength: dkgInterval }),
    },
    ...(protocolVersion !== undefined && { protocolVersion }),
    ...(halt !== undefined && { haltAtCupHeight: halt === "at-cup", isHalted: halt === "at-once" }),
  };
}

function changedNodes(nodes: readonly NodeRecord[], change: RegistryChange, crypto: CryptoPort): NodeRecord[] {
  const byId = new Map(nodes.map((node) => [node.nodeId, node]));
  for (const id of change.remove) {
    if (!byId.delete(id)) throw refused(`${principalToText(id)} is no node of the subnet`);
  }
  for (const file of change.add) {
    const node = readIdentity(file);
    const fault = byId.has(node.nodeId) ? "it is a node of the subnet already" : checkNodeRecord(node, crypto);
    if (fault !== undefined) throw refused(`${principalToText(node.nodeId)}: ${fault}`);
    byId.set(node.nodeId, node);
  }
  if (byId.size === 0) throw refused("no node would be left");
  return [...byId.values()].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
}

function refused(why: string): EnvironmentError {
  return new EnvironmentError("REGISTRY", `The registry cannot be changed like this: ${why}.`);
}

/** For people and programs: bytes in hex, durations in ms. */
function shown({ settings, nodes, ...record }: RegistryRecord): object {
  const durations = Object.entries(settings).map(([name, value]) =>
    typeof value === "bigint" ? [`${name}Ms`, Number(value / 1_000_000n)] : [name, value],
  );
  return {
    ...record,
    unassigned: undefined,
    subnetId: principalToText(record.subnetId),
    settings: Object.fromEntries(durations),
    nodes: nodes.map(({ nodeId, address, httpAddress, signingKey }) => ({
      nodeId: principalToText(nodeId),
      address,
      httpAddress,
      signingKey: toHex(signingKey),
    })),
  };
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
