// The folder of one node's files: its keys, who it is to others, and its configuration. Its state lies elsewhere and may be
// lost; these may not.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type NodeKeys, nodeKeysCodec } from "@atoll/consensus";
import { type KeyFile, readKeyFile, writeKeyFile } from "@atoll/host-node";
import { EnvironmentError, type NodeRecord, principalToText } from "@atoll/types";
import { decodeWire, encodeWire } from "@atoll/types/wire";
import { identityJson, writeJson } from "./genesis-files.ts";
import type { HostOptions } from "./genesis-options.ts";
import { isLoopback } from "./node-config.ts";

export const KEY_FILE = "node-keys.json";
export const CONFIG_FILE = "node.json";
export const GENESIS_FILE = "genesis.json";
export const IDENTITY_FILE = "identity.json";

export interface NewNode {
  readonly keys: NodeKeys;
  readonly node: NodeRecord;
  readonly host: HostOptions;
  readonly passphrase: string | undefined;
}

/** Makes the folder, the user's alone. Throws EnvironmentError when there are keys in it already. */
export function writeNodeFolder(path: string, { keys, node, host, passphrase }: NewNode): void {
  makePrivateFolder(path);
  writeKeyFile(join(path, KEY_FILE), nodeKeyFile(keys, node), passphrase);
  writeJson(join(path, IDENTITY_FILE), identityJson(node));
  writeJson(join(path, CONFIG_FILE), configJson(host));
}

export function makePrivateFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new EnvironmentError("FOLDER", `The folder ${path} cannot be made (${code}).`, { cause: error });
  }
}

/** `text` of the id and the keys; throws EnvironmentError as `readKeyFile` does. */
export function readNodeKeys(path: string, passphrase: string | undefined): { name: string; keys: NodeKeys } {
  const { name, secret } = readKeyFile(path, passphrase);
  try {
    return { name, keys: decodeWire(nodeKeysCodec, secret) };
  } catch {
    throw new EnvironmentError("KEYS_CORRUPT", `The key file ${path} holds no keys of a node.`);
  }
}

function nodeKeyFile(keys: NodeKeys, node: NodeRecord): KeyFile {
  return { name: `node ${principalToText(node.nodeId)}`, secret: encodeWire(nodeKeysCodec, keys) };
}

function configJson({ address, http, listen, dataDir }: HostOptions): Record<string, unknown> {
  const httpHost = listen ?? http.host;
  return {
    ...(dataDir !== undefined && { dataDir }),
    keyFile: KEY_FILE,
    genesisFile: GENESIS_FILE,
    p2p: { host: listen ?? address.host, port: address.port },
    http: { host: httpHost, port: http.port },
    // Where clients of other machines come in, the operator does not.
    ...(!isLoopback(httpHost) && { operator: { host: "127.0.0.1", port: OPERATOR_PORT } }),
  };
}

const OPERATOR_PORT = 9100;
