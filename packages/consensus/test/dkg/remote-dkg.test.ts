// Keys for subnets that do not exist yet: dealt by running nodes to nodes that do not run, told to whoever asked, tried again
// and given up. Consensus and chain-key facts, sections 12.2 and 15; with light signatures.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type DkgTag,
  decodeInitialDkgReply,
  dkgTranscript,
  genesisCatchUpPackage,
  genesisForSubnet,
  initialDkgResponses,
  isSummaryBlock,
  type RemoteDkgRequest,
  type RemoteDkgResult,
  subnetIdOf,
} from "@atoll/consensus";
import { sha256 } from "@atoll/crypto/sha";
import { lightCrypto, lightNodeRecord, lightTranscript } from "@atoll/simulator";
import {
  type CborInput,
  DEFAULT_CONSENSUS_SETTINGS,
  decodeCbor,
  EnvironmentError,
  encodeCbor,
  type Height,
  type PrincipalId,
  principalToBytes,
  type RegistryRecord,
  toHex,
} from "@atoll/types";
import { decodeWire, encodeWire } from "@atoll/types/wire";
import { IDL } from "@icp-sdk/core/candid";
import { IntervalSubnet, SharedRegistry } from "./interval-subnet.ts";

const L = 9;
const S = (interval: number): number => interval * (L + 1);
const ROOT = "5302" as PrincipalId;
const MEMBERS = ["aa02", "bb02", "cc02", "dd02"] as PrincipalId[];
const OFFLINE = ["e102", "e202", "e302", "e402", "e502", "e602", "e702"] as PrincipalId[];
const world = { secret: new Uint8Array(32).fill(7), sha256 };
const target = (fill: number) => new Uint8Array(32).fill(fill);

function record(
  subnetId: PrincipalId,
  nodes: readonly PrincipalId[],
  unassigned: readonly PrincipalId[],
): RegistryRecord {
  return {
    version: 1,
    subnetId,
    nodes: nodes.map((id) => lightNodeRecord(world, id)),
    unassigned: unassigned.map((id) => lightNodeRecord(world, id)),
    settings: {
      ...DEFAULT_CONSENSUS_SETTINGS,
      unitDelay: 100_000_000n,
      initialNotaryDelay: 20_000_000n,
      dkgIntervalLength: L,
      dkgDealingsPerBlock: 2,
      backlogDelay: 0n,
      registryStableAge: 0n,
    },
    protocolVersion: "0.1.0",
    haltAtCupHeight: false,
    isHalted: false,
  };
}

/** Keys of other subnets that nobody deals for. */
const silent = new Set<DkgTag>();

function cryptoOf(id: PrincipalId) {
  let drawn = 0;
  const crypto = lightCrypto(world, id, {
    randomBytes: (length) => sha256(Uint8Array.of(drawn & 255, drawn++ >> 8, length)).slice(0, length),
  });
  const createDealing: typeof crypto.createDealing = (config, keys) =>
    silent.has(config.dkgId.tag) && config.dkgId.target !== undefined ? undefined : crypto.createDealing(config, keys);
  return { ...crypto, createDealing };
}

function startRoot(asked: ReadonlyMap<Height, RemoteDkgRequest>): IntervalSubnet {
  silent.clear();
  const registry = new SharedRegistry();
  const first = record(ROOT, MEMBERS, OFFLINE);
  registry.publish(first, 0n);
  const dealt = (tag: DkgTag, threshold: number) =>
    lightTranscript(world, {
      dkgId: { startHeight: 0, dealerSubnet: ROOT, tag, target: target(99) },
      receivers: MEMBERS,
      threshold,
      registryVersion: 1,
    });
  const genesis = genesisCatchUpPackage({
    record: first,
    time: 1_700_000_000_000_000_000n,
    low: dealt("low", 2),
    high: dealt("high", 3),
  });
  const subnet = new IntervalSubnet(ROOT, registry);
  for (const id of MEMBERS) subnet.start({ id, crypto: cryptoOf(id), genesis }).state.asked = asked;
  return subnet;
}

/** What the first node was told, by the height of the batch; all nodes must have been told the same. */
function told(subnet: IntervalSubnet): readonly { readonly height: Height; readonly result: RemoteDkgResult }[] {
  const [first, ...others] = [...subnet.nodes.values()].map(({ state }) => state);
  assert.ok(first !== undefined);
  for (const { results } of others)
    for (const [i, entry] of results.entries()) if (i < first.results.length) assert.deepEqual(entry, first.results[i]);
  return first.results;
}

function runUntilTold(
  subnet: IntervalSubnet,
  count: number,
): readonly { readonly height: Height; readonly result: RemoteDkgResult }[] {
  subnet.runUntil(
    () => told(subnet).length >= count,
    () => `${count} results of remote key generations`,
  );
  return told(subnet);
}

const request = (fill: number, receivers: readonly PrincipalId[] = OFFLINE): RemoteDkgRequest => ({
  target: target(fill),
  receivers,
  registryVersion: 1,
});

/** What whoever asked for these keys is told. */
function replyTo(results: readonly RemoteDkgResult[]): Uint8Array {
  const [response, ...more] = initialDkgResponses(results);
  assert.ok(response?.result.kind === "reply" && more.length === 0);
  return response.result.data;
}

test("a new subnet begins with keys that others dealt to its nodes while they were off, and its key is the dealt one", () => {
  const root = startRoot(new Map([[3, request(1)]]));
  const results = runUntilTold(root, 2);
  const [low, high] = results.map(({ result }) => result.transcript);
  assert.ok(low !== undefined && high !== undefined);
  assert.deepEqual([low.threshold, high.threshold], [3, 5]);
  assert.deepEqual(high.receivers, OFFLINE);
  // The summary at S(1) begins it, a data block of the same interval answers it.
  assert.ok(results.every(({ height }) => height > S(1) && height < S(2)));

  const subnetId = subnetIdOf(high);
  const first = record(subnetId, OFFLINE, []);
  const reply = replyTo(results.map(({ result }) => result));
  const genesis = genesisForSubnet({ record: first, time: 1_700_000_100_000_000_000n, reply });
  const registry = new SharedRegistry();
  registry.publish(first, 0n);
  const subnet = new IntervalSubnet(subnetId, registry);
  for (const id of OFFLINE) subnet.start({ id, crypto: cryptoOf(id), genesis });
  subnet.runUntil(
    () => [...subnet.nodes.values()].every(({ consensus }) => consensus.catchUpPackage().height >= S(2)),
    () => "its second catch-up package",
  );
  const key = high.coefficients[0] as Uint8Array;
  for (const { state, crypto, consensus } of subnet.nodes.values()) {
    const certification = state.signatures.get(S(2));
    assert.ok(certification !== undefined);
    const message = Uint8Array.of(13, ...new TextEncoder().encode("ic-state-root"), ...certification.rootHash);
    assert.ok(crypto.verifyThreshold(key, message, certification.signature));
    const { block } = consensus.catchUpPackage();
    assert.ok(isSummaryBlock(block));
    const current = block.payload.summary.current.find(({ dkgId }) => dkgId.tag === "high");
    assert.equal(toHex(current?.coefficients[0] as Uint8Array), toHex(key));
    assert.equal(current?.dkgId.target, undefined);
  }
});

test("who asked gets both transcripts, the new subnet's id and its key, or why there are none", () => {
  const root = startRoot(new Map([[3, request(1)]]));
  const results = runUntilTold(root, 2).map(({ result }) => result);
  const [response, ...more] = initialDkgResponses(results);
  assert.ok(response?.result.kind === "reply" && more.length === 0);
  assert.deepEqual(response.target, target(1));
  const [blob] = IDL.decode([IDL.Vec(IDL.Nat8)], response.result.data) as unknown as [Uint8Array];
  const [low, high, subnetId, key] = decodeCbor(blob) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  assert.deepEqual(
    [low, high].map((encoded) => decodeWire(dkgTranscript, encoded)),
    results.map(({ transcript }) => transcript),
  );
  assert.equal(toHex(subnetId), subnetIdOf(decodeWire(dkgTranscript, high)));
  assert.deepEqual(key.subarray(-96), decodeWire(dkgTranscript, high).coefficients[0]);
  const given = results.map((result) => ({ ...result, transcript: undefined, failure: "no " }));
  assert.deepEqual(initialDkgResponses(given), [
    { target: target(1), result: { kind: "reject", code: 4, message: "no no " } },
  ]);
});

test("one request is worked on in an interval, in the order in which they came, and this subnet's own keys are made too", () => {
  const root = startRoot(
    new Map([
      [2, request(2)],
      [3, request(1, OFFLINE.slice(0, 4))],
    ]),
  );
  const results = runUntilTold(root, 4);
  assert.deepEqual(
    results.map(({ result }) => toHex(result.dkgId.target as Uint8Array).slice(0, 2)),
    ["02", "02", "01", "01"],
  );
  assert.ok(results.slice(0, 2).every(({ height }) => height < S(2)));
  assert.ok(results.slice(2).every(({ height }) => height > S(2) && height < S(3)));
  root.runTo(S(4) + 1);
  const { block } = root.nodes.get(MEMBERS[0] as PrincipalId)?.consensus.catchUpPackage() ?? {};
  assert.ok(block?.payload.kind === "summary");
  assert.ok(block.payload.summary.current.every(({ dkgId }) => dkgId.startHeight === block.height - 2 * (L + 1)));
  assert.equal(told(root).length, 4, "nobody was told twice");
});

test("keys that cannot be made are tried in five intervals, then whoever asked is told", () => {
  const root = startRoot(new Map([[3, request(1)]]));
  for (const tag of ["low", "high"] as const) silent.add(tag);
  root.runTo(S(6) - 1);
  assert.deepEqual(told(root), []);
  const results = runUntilTold(root, 2);
  assert.deepEqual(
    results.map(({ height }) => height),
    [S(6), S(6)],
  );
  for (const { result } of results) {
    assert.equal(result.transcript, undefined);
    assert.match(result.failure, /repeatedly failed/);
  }
  const [response] = initialDkgResponses(results.map(({ result }) => result));
  assert.ok(response?.result.kind === "reject" && /repeatedly failed/.test(response.result.message));
});

test("a request that fails in one interval is answered in the next", () => {
  const root = startRoot(new Map([[3, request(1)]]));
  for (const tag of ["low", "high"] as const) silent.add(tag);
  root.runTo(S(2) + 1);
  silent.clear();
  const results = runUntilTold(root, 2);
  assert.ok(results.every(({ height, result }) => height > S(2) && height <= S(3) && result.transcript !== undefined));
});

test("one of the two keys waits for the other one, which may take more intervals", () => {
  const root = startRoot(new Map([[3, request(1)]]));
  silent.add("high");
  root.runTo(S(3) - 1);
  assert.deepEqual(told(root), []);
  silent.clear();
  const results = runUntilTold(root, 2);
  assert.deepEqual(
    results.map(({ height, result }) => [result.dkgId.tag, result.dkgId.startHeight, height]),
    [
      ["low", S(1), S(4)],
      ["high", S(3), S(4)],
    ],
  );
  assert.ok(results.every(({ result }) => result.transcript !== undefined));
});

test("nodes that the registry does not know cannot be dealt to", () => {
  const root = startRoot(new Map([[3, request(1, [...OFFLINE, "f902" as PrincipalId])]]));
  const results = runUntilTold(root, 2);
  assert.deepEqual(
    results.map(({ height }) => height),
    [S(1), S(1)],
  );
  for (const { result } of results) assert.match(result.failure, /not in version 1 of the registry/);
});

test("a subnet cannot begin with keys of other nodes, or under another name than its key's", () => {
  const root = startRoot(new Map([[3, request(1)]]));
  const results = runUntilTold(root, 2).map(({ result }) => result);
  const high = results.find(({ dkgId }) => dkgId.tag === "high")?.transcript;
  assert.ok(high !== undefined);
  const bad = (first: RegistryRecord) =>
    assert.throws(
      () => genesisForSubnet({ record: first, time: 1n, reply: replyTo(results) }),
      (error) => error instanceof EnvironmentError && error.code === "bad-genesis",
    );
  bad(record(ROOT, OFFLINE, []));
  bad(record(subnetIdOf(high), OFFLINE.slice(1), []));
});

test("bytes that are no keys of one subnet are refused", () => {
  const root = startRoot(
    new Map([
      [2, request(2)],
      [3, request(1)],
    ]),
  );
  const results = runUntilTold(root, 4).map(({ result }) => result);
  const { low, high, subnetId, publicKey } = decodeInitialDkgReply(replyTo(results.slice(0, 2))) ?? assert.fail();
  const another = decodeInitialDkgReply(replyTo(results.slice(2))) ?? assert.fail();
  const parts: CborInput[] = [
    encodeWire(dkgTranscript, low),
    encodeWire(dkgTranscript, high),
    principalToBytes(subnetId),
    publicKey,
  ];
  const blob = (content: Uint8Array) => new Uint8Array(IDL.encode([IDL.Vec(IDL.Nat8)], [content]));
  const whole = blob(encodeCbor(parts));
  assert.equal(decodeInitialDkgReply(whole)?.subnetId, subnetId);
  const [lowBytes, highBytes] = [another.low, another.high].map((transcript) => encodeWire(dkgTranscript, transcript));
  for (const [place, part] of [
    [0, lowBytes],
    [0, parts[1]],
    [0, 7],
    [1, highBytes],
    [1, parts[0]],
    [1, encodeWire(dkgTranscript, { ...high, coefficients: [] })],
    [1, encodeWire(dkgTranscript, { ...high, coefficients: [new Uint8Array(7)] })],
    [2, principalToBytes(another.subnetId)],
    [2, "id"],
    [3, another.publicKey],
    [3, null],
  ] as const)
    assert.equal(decodeInitialDkgReply(blob(encodeCbor(parts.with(place, part as CborInput)))), undefined);
  for (const bytes of [
    new Uint8Array(),
    encodeCbor(parts),
    blob(encodeCbor(parts.slice(0, 3))),
    blob(encodeCbor({})),
    blob(Uint8Array.of(0x9b, 255, 255, 255, 255, 255, 255, 255, 255)),
    Uint8Array.of(...whole, 0),
    ...[1, 8, 9, 11, 20, 500, whole.length - 1].map((length) => whole.subarray(0, length)),
  ])
    assert.equal(decodeInitialDkgReply(bytes), undefined);
});
