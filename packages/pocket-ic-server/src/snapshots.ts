// Snapshots of canisters in a folder: download and upload, in the files that PocketIC's clients and the command line
// icp know (metadata.json, wasm_module.bin, wasm_memory.bin, stable_memory.bin, wasm_chunk_store/<hash>.bin). Made with
// the calls of the management canister that everybody has. Interface specification, "Canister snapshots".
import fs from "node:fs/promises";
import { join } from "node:path";
import { SnapshotMetadataRecord } from "@atoll/execution/management/snapshot-candid";
import type { Network } from "@atoll/pocket-ic";
import { type CanisterId, MANAGEMENT_CANISTER, type PrincipalId, principalToText, toHex } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { done, type Outcome, Refusal } from "./answers.ts";
import { requireCanister } from "./canister-facts.ts";
import { type Json, readJson, writeJson } from "./json.ts";
import * as shape from "./shapes.ts";
import { bytesToBase64 } from "./topology.ts";

const principalRecord = shape.record({ principal_id: shape.principal });
const canisterRecord = shape.record({ canister_id: shape.principal });
const snapshotRecord = shape.record({ snapshot_id: shape.bytes });

export const downloadArguments = shape.record({
  sender: principalRecord,
  canister_id: canisterRecord,
  snapshot_id: shape.bytes,
  snapshot_dir: shape.text,
});
export const uploadArguments = shape.record({
  sender: principalRecord,
  canister_id: canisterRecord,
  replace_snapshot: shape.optional(snapshotRecord),
  snapshot_dir: shape.text,
});

/** What fits into one answer of the management canister. */
const SLICE_BYTES = 2_000_000n;
/** What fits into one message to it. */
const CHUNK_BYTES = 1_900_000;
const FILES = { wasm_module: "wasm_module.bin", wasm_memory: "wasm_memory.bin", stable_memory: "stable_memory.bin" };
type Part = keyof typeof FILES;
const PARTS = Object.keys(FILES) as Part[];

const Blob = IDL.Vec(IDL.Nat8);
const Slice = IDL.Record({ offset: IDL.Nat64, size: IDL.Nat64 });
const Offset = IDL.Record({ offset: IDL.Nat64 });
const Hash = IDL.Record({ hash: Blob });
const snapshot = { canister_id: IDL.Principal, snapshot_id: Blob };
const ReadMetadata = IDL.Record(snapshot);
const ReadData = IDL.Record({
  ...snapshot,
  kind: IDL.Variant({ wasm_module: Slice, wasm_memory: Slice, stable_memory: Slice, wasm_chunk: Hash }),
});
const {
  source: _,
  taken_at_timestamp: __,
  canister_version: ___,
  wasm_chunk_store: ____,
  ...uploaded
} = fieldsOf(SnapshotMetadataRecord);
const UploadMetadata = IDL.Record({ canister_id: IDL.Principal, replace_snapshot: IDL.Opt(Blob), ...uploaded });
const UploadData = IDL.Record({
  ...snapshot,
  kind: IDL.Variant({ wasm_module: Offset, wasm_memory: Offset, stable_memory: Offset, wasm_chunk: IDL.Null }),
  chunk: Blob,
});

interface Metadata extends Record<string, unknown> {
  readonly wasm_module_size: bigint;
  readonly wasm_memory_size: bigint;
  readonly stable_memory_size: bigint;
  readonly wasm_chunk_store: readonly { readonly hash: Uint8Array }[];
}

export async function downloadSnapshot(
  network: Network,
  input: ReturnType<typeof downloadArguments>,
): Promise<Outcome> {
  const { canister, call } = openManagement(network, input);
  await requireEmptyFolder(input.snapshot_dir);
  const id = { canister_id: canister, snapshot_id: input.snapshot_id };
  const metadata = (await call(
    "read_canister_snapshot_metadata",
    ReadMetadata,
    id,
    SnapshotMetadataRecord,
  )) as Metadata;
  const read = async (kind: object): Promise<Uint8Array> => {
    const answer = await call("read_canister_snapshot_data", ReadData, { ...id, kind }, IDL.Record({ chunk: Blob }));
    return (answer as { chunk: Uint8Array }).chunk;
  };
  await write(input.snapshot_dir, "metadata.json", new TextEncoder().encode(writeJson(metadataJson(metadata))));
  for (const part of PARTS) {
    const size = metadata[`${part}_size`];
    if (part === "stable_memory" && size === 0n) continue;
    await write(input.snapshot_dir, FILES[part], new Uint8Array());
    for (let offset = 0n; offset < size; offset += SLICE_BYTES) {
      const length = size - offset < SLICE_BYTES ? size - offset : SLICE_BYTES;
      await write(input.snapshot_dir, FILES[part], await read({ [part]: { offset, size: length } }), "a");
    }
  }
  if (metadata.wasm_chunk_store.length > 0) await inFolder(fs.mkdir(join(input.snapshot_dir, "wasm_chunk_store")));
  for (const { hash } of metadata.wasm_chunk_store) {
    await write(
      input.snapshot_dir,
      join("wasm_chunk_store", `${toHex(hash)}.bin`),
      await read({ wasm_chunk: { hash } }),
    );
  }
  return done();
}

export async function uploadSnapshot(network: Network, input: ReturnType<typeof uploadArguments>): Promise<Outcome> {
  const { canister, call } = openManagement(network, input);
  const folder = input.snapshot_dir;
  const metadata = readMetadata(await inFolder(fs.readFile(join(folder, "metadata.json"), "utf8")));
  const begun = (await call(
    "upload_canister_snapshot_metadata",
    UploadMetadata,
    {
      ...metadata,
      canister_id: canister,
      replace_snapshot: input.replace_snapshot ? [input.replace_snapshot.snapshot_id] : [],
    },
    IDL.Record({ snapshot_id: Blob }),
  )) as { snapshot_id: Uint8Array };
  const upload = (kind: object, chunk: Uint8Array): Promise<unknown> =>
    call("upload_canister_snapshot_data", UploadData, { canister_id: canister, ...begun, kind, chunk });
  for (const part of PARTS) {
    if (metadata[`${part}_size`] === 0n) continue;
    const file = await inFolder(fs.open(join(folder, FILES[part])));
    try {
      const chunk = new Uint8Array(CHUNK_BYTES);
      for (let offset = 0; ; ) {
        const { bytesRead } = await inFolder(file.read(chunk, 0, CHUNK_BYTES, offset));
        if (bytesRead === 0) break;
        await upload({ [part]: { offset: BigInt(offset) } }, chunk.slice(0, bytesRead));
        offset += bytesRead;
      }
    } finally {
      await file.close();
    }
  }
  for (const { hash } of metadata.wasm_chunk_store) {
    const name = join(folder, "wasm_chunk_store", `${toHex(Uint8Array.from(hash))}.bin`);
    await upload({ wasm_chunk: null }, new Uint8Array(await inFolder(fs.readFile(name))));
  }
  return done({ snapshot_id: bytesToBase64(Uint8Array.from(begun.snapshot_id)) });
}

type Call = (method: string, type: IDL.Type, arg: unknown, answer?: IDL.Type) => Promise<unknown>;

function openManagement(
  network: Network,
  input: {
    readonly sender: { readonly principal_id: PrincipalId };
    readonly canister_id: { readonly canister_id: CanisterId };
  },
): { readonly canister: Principal; readonly call: Call } {
  const id = input.canister_id.canister_id;
  requireCanister(network, id);
  const call: Call = async (methodName, type, arg, answer) => {
    const submission = await network.submit({
      sender: input.sender.principal_id,
      receiver: MANAGEMENT_CANISTER,
      methodName,
      arg: new Uint8Array(IDL.encode([type], [arg])),
      effective: id,
    });
    if (!submission.ok) throw failed(submission.error.message);
    const status = await network.awaitMessage(submission.message);
    if (status?.state === "rejected") throw failed(status.error.message);
    if (status?.state !== "replied") throw failed(`${methodName} was not answered in time.`);
    return answer && IDL.decode([answer], new Uint8Array(status.reply))[0];
  };
  return { canister: Principal.fromText(principalToText(id)), call };
}

function failed(why: string): Refusal {
  return new Refusal(400, `CanisterSnapshotError(${JSON.stringify(why)})`);
}

/** A wait for the file system, whose failures are the client's: it named the folder. */
async function inFolder<T>(operation: Promise<T>): Promise<T> {
  try {
    return await operation;
  } catch (error) {
    throw failed((error as Error).message);
  }
}

async function write(folder: string, name: string, bytes: Uint8Array, flag: "w" | "a" = "w"): Promise<void> {
  await inFolder(fs.writeFile(join(folder, name), bytes, { flag }));
}

async function requireEmptyFolder(folder: string): Promise<void> {
  const names = await fs.readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new Refusal(400, `InvalidCanisterSnapshotDirectory(${JSON.stringify(error.message)})`);
  });
  if (names === undefined) await inFolder(fs.mkdir(folder, { recursive: true }));
  else if (names.length > 0) {
    throw new Refusal(
      400,
      `InvalidCanisterSnapshotDirectory(${JSON.stringify(`The directory ${folder} is not empty.`)})`,
    );
  }
}

/** Bytes as lists of numbers, an absent value as null, a variant by its tag: as the reference server writes it. */
function metadataJson(value: unknown): Json {
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(metadataJson);
  if (typeof value !== "object" || value === null) return value as Json;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => {
      const isOptional = name === "global_timer" || name === "on_low_wasm_memory_hook_status";
      if (isOptional) return [name, variantJson((each as unknown[])[0])];
      return [name, metadataJson(each)];
    }),
  );
}

function variantJson(value: unknown): Json {
  const [tag, inner] = Object.entries((value ?? {}) as object)[0] ?? [];
  if (tag === undefined) return null;
  return inner === null || inner === undefined ? tag : { [tag]: inner as Json };
}

const byteList = shape.list(shape.integer(255n));
const metadataShape = shape.record({
  wasm_module_size: shape.u64,
  globals: shape.list(shape.anything),
  wasm_memory_size: shape.u64,
  stable_memory_size: shape.u64,
  certified_data: byteList,
  global_timer: shape.optional(shape.anything),
  on_low_wasm_memory_hook_status: shape.optional(shape.text),
  wasm_chunk_store: shape.list(shape.record({ hash: byteList })),
});

function readMetadata(text: string): Metadata {
  try {
    const raw = metadataShape(readJson(text), "metadata.json");
    const timer =
      raw.global_timer === undefined
        ? []
        : [typeof raw.global_timer === "string" ? { [raw.global_timer]: null } : raw.global_timer];
    const hook = raw.on_low_wasm_memory_hook_status;
    return {
      ...raw,
      certified_data: raw.certified_data.map(Number),
      wasm_chunk_store: raw.wasm_chunk_store.map(({ hash }) => ({ hash: Uint8Array.from(hash, Number) })),
      global_timer: timer,
      on_low_wasm_memory_hook_status: hook === undefined ? [] : [{ [hook]: null }],
    };
  } catch (error) {
    throw failed(`metadata.json cannot be read: ${(error as Error).message}`);
  }
}

function fieldsOf(record: IDL.RecordClass): Record<string, IDL.Type> {
  return Object.fromEntries(record._fields);
}
