// The keys of a network of several subnets, and how far each subnet has come, in one file of the state folder that is
// written whole or not at all. Such a folder has it instead of the keys of a network that is one subnet (secrets.ts);
// what kind of network a folder holds never changes, and no subnet is ever taken out of it.
import { nodeEntropy, type StateFolder } from "@atoll/host-node";
import { drawKeys } from "@atoll/pocket-ic/subnet-config";
import { SUBNET_KINDS, type SubnetKind } from "@atoll/pocket-ic/subnet-kinds";
import { MANIFEST_FILE } from "@atoll/state/store/checkpoint-manifest";
import { decodeState, EnvironmentError, encodeState } from "@atoll/types";
import { MAX_SUBNETS } from "./options.ts";
import { hasSoloSecrets, isBegun, lost, noteBegun, SUBNET, wantSample } from "./secrets.ts";

export interface SubnetSecrets {
  /** Of its folder. */
  readonly name: string;
  readonly kind: SubnetKind;
  /** How many ranges of ids the network had given out before. */
  readonly place: number;
  /** Scalar of the subnet's key, 32 bytes. */
  readonly secret: Uint8Array;
  /** Ed25519 seed of its node, 32 bytes. */
  readonly node: Uint8Array;
  /** From then on its state must be there. */
  readonly hasBegun: boolean;
}

export interface NetworkSecrets {
  /** In the order in which they came; the first is the root subnet. */
  readonly subnets: readonly SubnetSecrets[];
  /** All of them or none; durable when it returns. */
  add(kinds: readonly SubnetKind[]): void;
  /** The state of these is there from now on. */
  noteBegun(names: readonly string[]): void;
}

const KEYS = "network";

/**
 * The network that the folder holds, with the subnets that are wanted and not in it yet. Undefined: it holds one that is
 * a single subnet, or is to get one. Throws EnvironmentError when a part is missing.
 */
export function readOrMakeNetwork(
  folder: StateFolder,
  { subnets: wanted, sample }: { subnets: readonly SubnetKind[]; sample: boolean },
): NetworkSecrets | undefined {
  const saved = folder.readSecret(KEYS);
  if (saved === undefined) {
    const withState = folder.subnets().filter((name) => hasState(folder, name));
    if (withState.some((name) => name !== SUBNET)) throw lost(folder, `secret-${KEYS}`);
    const isSolo = hasSoloSecrets(folder) || withState.length > 0;
    if (wanted.length === 0) return undefined;
    if (isSolo) throw notExtended(folder);
    if (isBegun(folder)) throw lost(folder, `secret-${KEYS}`);
  }
  const secrets = networkSecrets(folder, saved === undefined ? [] : (decodeState(saved) as readonly SubnetSecrets[]));
  requireStates(folder, secrets.subnets);
  if (saved === undefined && sample) wantSample(folder);
  // The root subnet is the first one, and always there.
  const missing: SubnetKind[] = ["nns", ...wanted.filter((kind) => kind !== "nns")];
  for (const { kind } of secrets.subnets) if (missing.includes(kind)) missing.splice(missing.indexOf(kind), 1);
  if (secrets.subnets.length + missing.length > MAX_SUBNETS) throw tooMany();
  if (missing.length > 0) secrets.add(missing);
  // Programs that know only networks of one subnet take this for a sign that there is one to lose.
  noteBegun(folder);
  return secrets;
}

function networkSecrets(folder: StateFolder, before: readonly SubnetSecrets[]): NetworkSecrets {
  let subnets = before;
  const save = (next: readonly SubnetSecrets[]): void => {
    folder.writeSecret(KEYS, encodeState(next));
    subnets = next;
  };
  return {
    get subnets() {
      return subnets;
    },
    add(kinds) {
      const next = [...subnets];
      for (const kind of kinds) {
        const { secret, nodeSecrets } = drawKeys(1, nodeEntropy);
        const number = next.filter((subnet) => subnet.kind === kind).length + 1;
        // Of a kind with a place on the public network there is one.
        const name = SUBNET_KINDS[kind].named === undefined ? `${kind}-${number}` : kind;
        const [node = new Uint8Array()] = nodeSecrets;
        next.push({ name, kind, place: next.length, secret, node, hasBegun: false });
      }
      save(next);
    },
    noteBegun(names) {
      const isNew = subnets.some(({ name, hasBegun }) => !hasBegun && names.includes(name));
      if (isNew) save(subnets.map((subnet) => (names.includes(subnet.name) ? { ...subnet, hasBegun: true } : subnet)));
    },
  };
}

function requireStates(folder: StateFolder, subnets: readonly SubnetSecrets[]): void {
  for (const { name, hasBegun } of subnets) {
    if (hasBegun && !hasState(folder, name)) throw lost(folder, `subnet-${name}/${MANIFEST_FILE}`);
  }
  const stray = folder
    .subnets()
    .find((name) => hasState(folder, name) && !subnets.some((known) => known.name === name));
  if (stray === undefined) return;
  throw new EnvironmentError(
    "STATE_CORRUPT",
    `The state folder ${folder.path} holds subnet-${stray}, and its file secret-${KEYS} has no keys for it. Nothing was ` +
      "changed; restore a copy of the whole state folder, or start again with --clean, which deletes the state of this " +
      "network.",
  );
}

function hasState(folder: StateFolder, name: string): boolean {
  return folder.subnets().includes(name) && folder.storage(name).size(MANIFEST_FILE) !== undefined;
}

function tooMany(): EnvironmentError {
  const most = `A local network has at most ${MAX_SUBNETS} subnets, the NNS and those that it has already included.`;
  return new EnvironmentError("USAGE", `${most} Nothing was changed; ask for fewer.`);
}

function notExtended(folder: StateFolder): EnvironmentError {
  return new EnvironmentError(
    "STATE_ONE_SUBNET",
    `The state folder ${folder.path} holds a network of one subnet that hosts all canister ids, which cannot get others ` +
      "beside it. Nothing was changed; choose another state folder for the network with --subnet, or start without it.",
  );
}
