// `atoll genesis`: carries out a step and says what came of it and what comes next. What is made is checked in the step that
// takes it (genesis-steps.ts).
import { join } from "node:path";
import { createNodeCrypto, nodeClock, nodeEntropy, readKeyFile } from "@atoll/host-node";
import { EnvironmentError, principalToText, toHex } from "@atoll/types";
import { makeGenesis, newRegistryKeys, REGISTRY_KEY_FILE } from "./genesis-at-once.ts";
import {
  dealingJson,
  genesisJson,
  proposalHash,
  proposalJson,
  readDealing,
  readGenesis,
  readIdentity,
  readProposal,
  writeJson,
} from "./genesis-files.ts";
import { GENESIS_USAGE, type GenesisCommand, type Sealing } from "./genesis-options.ts";
import {
  assemble,
  dealFor,
  type GenesisPorts,
  newIdentity,
  proposalOf,
  settingsOf,
  whyNotGenesis,
} from "./genesis-steps.ts";
import { CONFIG_FILE, GENESIS_FILE, IDENTITY_FILE, KEY_FILE, readNodeKeys, writeNodeFolder } from "./node-folder.ts";
import { newPassphrase, passphraseFrom, passphraseOf } from "./passphrase.ts";

export async function genesis(command: GenesisCommand): Promise<void> {
  if (command.kind === "help") return say(GENESIS_USAGE);
  const ports = { crypto: await createNodeCrypto(), entropy: nodeEntropy };
  switch (command.kind) {
    case "all":
      return all(command, ports);
    case "identity":
      return identity(command, ports);
    case "propose":
      return propose(command, ports);
    case "deal":
      return deal(command, ports);
    case "assemble":
      return assembled(command, ports);
    case "check":
      return check(command, ports);
  }
}

type Step<K extends GenesisCommand["kind"]> = Extract<GenesisCommand, { kind: K }>;

async function all({ out, hosts, sealing, subnet }: Step<"all">, ports: GenesisPorts): Promise<void> {
  const passphrase = await newSeal(sealing, join(out, KEY_FILE));
  const { record } = makeGenesis({ out, hosts, passphrase, subnet }, ports).record;
  say(`The subnet ${principalToText(record.subnetId)} of ${hosts.length} nodes begins in ${out}:`);
  for (const [i, { address }] of hosts.entries()) say(`  node-${i + 1}  for ${address.host}`);
  say(`On each host: atoll node --config node-1/${CONFIG_FILE}. The operator keeps ${REGISTRY_KEY_FILE}.`);
}

async function identity({ out, host, sealing }: Step<"identity">, ports: GenesisPorts): Promise<void> {
  const passphrase = await newSeal(sealing, join(out, KEY_FILE));
  const { keys, node } = newIdentity(host, ports);
  writeNodeFolder(out, { keys, node, host, passphrase });
  say(`Node ${principalToText(node.nodeId)} is in ${out}. Give ${IDENTITY_FILE} to the operator; all else stays here.`);
}

async function propose(command: Step<"propose">, ports: GenesisPorts): Promise<void> {
  const { identities, registryKeys, out, sealing, subnet } = command;
  const nodes = identities.map(readIdentity);
  const seed = newRegistryKeys(registryKeys, await newSeal(sealing, registryKeys), ports);
  const registryKey = ports.crypto.ed25519PublicKey(seed);
  const facts = { registryKey, time: nodeClock.now(), settings: settingsOf(subnet) };
  const proposal = proposalOf(nodes, facts, ports.crypto);
  writeJson(out, proposalJson(proposal));
  say(
    `Proposal ${toHex(proposalHash(proposal, ports.crypto.sha256))} names ${nodes.length} nodes. Each of them deals for it.`,
  );
}

async function deal(
  { proposal: file, keys: keyFile, out, passphraseFile }: Step<"deal">,
  ports: GenesisPorts,
): Promise<void> {
  const proposal = readProposal(file);
  // What the file says of other nodes' keys is checked before anything is encrypted to them.
  proposalOf(proposal.nodes, proposal, ports.crypto);
  const { keys } = readNodeKeys(keyFile, await passphraseOf(keyFile, sourceOf(passphraseFile)));
  writeJson(out, dealingJson(dealFor(proposal, keys, ports)));
  say(
    `The dealing for proposal ${toHex(proposalHash(proposal, ports.crypto.sha256))} is in ${out}: give it to the operator.`,
  );
}

async function assembled(command: Step<"assemble">, ports: GenesisPorts): Promise<void> {
  const { proposal: file, dealings, registryKeys, out, passphraseFile } = command;
  const proposal = readProposal(file);
  const { secret } = readKeyFile(registryKeys, await passphraseOf(registryKeys, sourceOf(passphraseFile)));
  if (toHex(ports.crypto.ed25519PublicKey(secret)) !== toHex(proposal.registryKey))
    throw new EnvironmentError("BAD_GENESIS", `The keys in ${registryKeys} are not those that the proposal names.`);
  const made = assemble(proposal, dealings.map(readDealing), secret, ports);
  writeJson(out, genesisJson(made));
  const subnet = principalToText(made.record.record.subnetId);
  say(
    `The genesis file of subnet ${subnet} is ${out}: every host puts it beside its configuration, as ${GENESIS_FILE}.`,
  );
}

async function check({ genesis: file, proposal, dealings }: Step<"check">, ports: GenesisPorts): Promise<void> {
  const why = whyNotGenesis(readGenesis(file), readProposal(proposal), dealings.map(readDealing), ports);
  if (why !== undefined) {
    throw new EnvironmentError(
      "BAD_GENESIS",
      `${file} is not what follows from the proposal and the dealings: ${why}.`,
    );
  }
  say(`${file} is what follows from the proposal and the dealings.`);
}

async function newSeal(sealing: Sealing, keyFile: string): Promise<string | undefined> {
  if (sealing === "none") return undefined;
  return sealing === "prompt" ? newPassphrase(keyFile) : passphraseFrom(sealing);
}

function sourceOf(file: string | undefined): { readonly file: string } | undefined {
  return file === undefined ? undefined : { file };
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
