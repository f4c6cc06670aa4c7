// Intervals of key generation on whole nodes: membership and keys change when and only when they should, failures only delay,
// upgrades stop at a catch-up package. Consensus and chain-key facts, sections 4, 5.9 and 12; with light signatures.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import {
  type CatchUpPackage,
  type ConsensusEvent,
  type DkgSummary,
  type DkgTag,
  type DkgTranscript,
  encodeArtifact,
  genesisCatchUpPackage,
  isSummaryBlock,
} from "@atoll/consensus";
import { sha256 } from "@atoll/crypto/sha";
import { faultyDealing, lightCrypto, lightNodeRecord, lightTranscript } from "@atoll/simulator";
import { DEFAULT_CONSENSUS_SETTINGS, type PrincipalId, type RegistryRecord, toHex } from "@atoll/types";
import { IntervalSubnet, SharedRegistry, syncState, type TestNode } from "./interval-subnet.ts";

const L = 9;
/** Heights of summaries: 0, L + 1, 2(L + 1), ... */
const S = (interval: number): number => interval * (L + 1);
const SUBNET = "5302" as PrincipalId;
const [A, B, C, D, X] = ["aa02", "bb02", "cc02", "dd02", "ee02"] as [
  PrincipalId,
  PrincipalId,
  PrincipalId,
  PrincipalId,
  PrincipalId,
];
const world = { secret: new Uint8Array(32).fill(42), sha256 };
const settings = {
  ...DEFAULT_CONSENSUS_SETTINGS,
  unitDelay: 100_000_000n,
  initialNotaryDelay: 20_000_000n,
  dkgIntervalLength: L,
  dkgDealingsPerBlock: 2,
  backlogDelay: 0n,
  registryStableAge: 0n,
  minimumChainLength: 5,
};

function record(version: number, nodes: readonly PrincipalId[], change: Partial<RegistryRecord> = {}): RegistryRecord {
  return {
    version,
    subnetId: SUBNET,
    nodes: [...nodes].sort().map((id) => lightNodeRecord(world, id)),
    settings,
    protocolVersion: "0.1.0",
    haltAtCupHeight: false,
    isHalted: false,
    ...change,
  };
}

function cryptoOf(id: PrincipalId) {
  let drawn = 0;
  const crypto = lightCrypto(world, id, {
    randomBytes: (length) => sha256(Uint8Array.of(drawn++, length)).slice(0, length),
  });
  const createDealing: typeof crypto.createDealing = (config, keys) =>
    silent.has(id) ? undefined : crypto.createDealing(config, keys);
  return { ...crypto, createDealing };
}

function firstTranscript(tag: DkgTag, receivers: readonly PrincipalId[], threshold: number): DkgTranscript {
  const dkgId = { startHeight: 0, dealerSubnet: SUBNET, tag, target: new Uint8Array(32).fill(1) };
  return lightTranscript(world, { dkgId, receivers, threshold, registryVersion: 1 });
}

/** Nodes that do not deal for the time being. */
const silent = new Set<PrincipalId>();
beforeEach(() => silent.clear());

function startSubnet(nodes: readonly PrincipalId[] = [A, B, C, D], intervalLength = L) {
  const registry = new SharedRegistry();
  const first = record(1, nodes, { settings: { ...settings, dkgIntervalLength: intervalLength } });
  registry.publish(first, 0n);
  const f = Math.floor((nodes.length - 1) / 3);
  const genesis = genesisCatchUpPackage({
    record: first,
    time: 1_700_000_000_000_000_000n,
    low: firstTranscript("low", [...nodes].sort(), f + 1),
    high: firstTranscript("high", [...nodes].sort(), 2 * f + 1),
  });
  const subnet = new IntervalSubnet(SUBNET, registry);
  for (const id of nodes) subnet.start({ id, crypto: cryptoOf(id), genesis });
  return { subnet, registry, genesis };
}

function nodeOf(subnet: IntervalSubnet, id: PrincipalId): TestNode {
  const node = subnet.nodes.get(id);
  assert.ok(node !== undefined, `${id} does not run`);
  return node;
}

function summaryOf(cup: CatchUpPackage): DkgSummary {
  assert.ok(isSummaryBlock(cup.block));
  return cup.block.payload.summary;
}

interface Compared {
  readonly node: TestNode;
  readonly ports: { isRegistryCompared: boolean };
}

function outdated({ events }: TestNode): ConsensusEvent[] {
  return events.filter(({ kind }) => kind === "outdated");
}

/** Runs until a catch-up package of that height is everywhere, and gives it. */
function packageAt(subnet: IntervalSubnet, height: number, which = [...subnet.nodes.keys()]): CatchUpPackage {
  subnet.runUntil(
    () => which.every((id) => nodeOf(subnet, id).consensus.catchUpPackage().height >= height),
    () => `the catch-up package of height ${height}`,
  );
  const cup = nodeOf(subnet, which[0] as PrincipalId).consensus.catchUpPackage();
  assert.equal(cup.height, height);
  return cup;
}

function keyOf(transcripts: readonly DkgTranscript[], tag: DkgTag): DkgTranscript | undefined {
  return transcripts.find(({ dkgId }) => dkgId.tag === tag);
}

const publicKey = (transcript: DkgTranscript | undefined) => toHex(transcript?.coefficients[0] ?? new Uint8Array());

describe("intervals", () => {
  test("each interval makes a fresh low key and shares the subnet's key anew, and each makes a catch-up package", () => {
    const { subnet, genesis } = startSubnet();
    const first = summaryOf(genesis);
    const [s1, s2, s3] = [1, 2, 3].map((i) => summaryOf(packageAt(subnet, S(i)))) as [
      DkgSummary,
      DkgSummary,
      DkgSummary,
    ];
    assert.deepEqual(s1.current, first.current);
    assert.deepEqual(
      s1.next.map(({ dkgId }) => [dkgId.tag, dkgId.startHeight]),
      [
        ["low", 0],
        ["high", 0],
      ],
    );
    assert.deepEqual(s2.current, s1.next);
    assert.deepEqual(s3.current, s2.next);
    const highs = [s1, s2, s3].map(({ current }) => publicKey(keyOf(current, "high")));
    assert.deepEqual(new Set(highs), new Set([publicKey(keyOf(first.current, "high"))]));
    const lows = [s1, s2, s3].map(({ current }) => publicKey(keyOf(current, "low")));
    assert.equal(new Set(lows).size, 3);
    assert.deepEqual(keyOf(s2.next, "low")?.dealings.map(({ dealerIndex }) => dealerIndex).length, 2);
    assert.equal(keyOf(s2.next, "high")?.dealings.length, 3);
  });

  test("in a long interval the work on keys is spread, so that the rounds go on beside it", () => {
    const { subnet } = startSubnet([A, B, C, D], 99);
    const times: bigint[] = [];
    const { consensus, events } = nodeOf(subnet, A);
    while (consensus.catchUpPackage().height < 100) {
      subnet.tick();
      const dealt = events.filter((event) => event.kind === "dkg" && event.what.startsWith("dealt for")).length;
      while (times.length < dealt) times.push(subnet.now.monotonic);
    }
    assert.equal(summaryOf(consensus.catchUpPackage()).next.length, 2, "it is done before the interval ends");
    const pauses = times.slice(1).map((time, i) => time - (times[i] as bigint));
    assert.ok(pauses.length > 0 && pauses.every((pause) => pause >= 300_000_000n), String(pauses));
  });

  test("certifications and catch-up packages verify under the one key of the subnet and are the same everywhere", () => {
    const { subnet, genesis } = startSubnet();
    const key = keyOf(summaryOf(genesis).current, "high")?.coefficients[0] as Uint8Array;
    packageAt(subnet, S(3));
    for (const { crypto, state, consensus } of subnet.nodes.values()) {
      assert.equal(state.divergedAt, undefined);
      for (let height = 1; height <= S(3); height++) {
        const certification = state.signatures.get(height);
        assert.ok(certification !== undefined, `height ${height} is not certified`);
        const message = Uint8Array.of(13, ...new TextEncoder().encode("ic-state-root"), ...certification.rootHash);
        assert.ok(crypto.verifyThreshold(key, message, certification.signature));
        assert.deepEqual(certification, nodeOf(subnet, A).state.signatures.get(height));
      }
      assert.deepEqual(consensus.catchUpPackage(), nodeOf(subnet, A).consensus.catchUpPackage());
    }
  });

  test("a node that is added notarizes from the second summary on, and signs with shares from the third", () => {
    const { subnet, registry, genesis } = startSubnet();
    subnet.runTo(3);
    registry.publish(record(2, [A, B, C, D, X]), subnet.now.monotonic);
    subnet.start({ id: X, crypto: cryptoOf(X), genesis });
    const s1 = summaryOf(packageAt(subnet, S(1)));
    assert.deepEqual(
      s1.configs.map(({ receivers }) => receivers.includes(X)),
      [true, true],
    );
    assert.deepEqual(
      keyOf(
        s1.configs.map((c) => ({ ...c, coefficients: [], dealings: [] })),
        "low",
      )?.registryVersion,
      2,
    );
    assert.deepEqual(s1.configs.find(({ dkgId }) => dkgId.tag === "high")?.registryVersion, 2);
    const s2 = summaryOf(packageAt(subnet, S(2)));
    const s3 = summaryOf(packageAt(subnet, S(3)));
    assert.deepEqual(
      [s1, s2, s3].map(({ registryVersion }) => registryVersion),
      [1, 2, 2],
    );
    assert.deepEqual(
      [s1, s2, s3].map((s) => keyOf(s.current, "high")?.receivers.includes(X)),
      [false, false, true],
    );
    assert.equal(keyOf(s2.next, "high")?.receivers.includes(X), true);
    packageAt(subnet, S(4));
    const signed = (what: string) =>
      nodeOf(subnet, X).events.flatMap((event) =>
        event.kind === "signed" && event.what === what ? [event.height] : [],
      );
    const first = (what: string) => Math.min(...signed(what));
    // Five nodes have a notarization committee of four: X may sit out a round, but not all of an interval.
    assert.ok(first("notarization-share") >= S(2) && first("notarization-share") < S(3));
    assert.equal(first("random-beacon-share"), S(3));
    assert.equal(first("random-tape-share"), S(3));
    assert.equal(first("certification-share"), S(3));
    assert.equal(first("catch-up-package-share"), S(3));
  });

  test("a node that is removed signs for the last time in the interval before the third summary, and its shares go to nobody", () => {
    const { subnet, registry } = startSubnet([A, B, C, D, X]);
    subnet.runTo(3);
    registry.publish(record(2, [A, B, C, D]), subnet.now.monotonic);
    packageAt(subnet, S(4));
    const signed = (what: string) =>
      nodeOf(subnet, X).events.flatMap((event) =>
        event.kind === "signed" && event.what === what ? [event.height] : [],
      );
    const last = (what: string) => Math.max(...signed(what));
    assert.ok(last("notarization-share") < S(2) && last("notarization-share") >= S(1));
    assert.equal(last("random-beacon-share"), S(3) - 1);
    assert.equal(last("certification-share"), S(3) - 1);
    const s3 = summaryOf(nodeOf(subnet, A).consensus.catchUpPackage());
    assert.equal(keyOf(s3.current, "high")?.receivers.includes(X), false);
  });
});

describe("what goes wrong in an interval only delays", () => {
  test("silent dealers: the old keys go on, nobody stops, and the change comes an interval later", () => {
    const { subnet, registry, genesis } = startSubnet();
    for (const id of [A, B]) silent.add(id);
    // Without the dealings of two of four, the subnet's key cannot be shared anew; a fresh key needs two only.
    registry.publish(record(2, [A, B, C, D, X]), subnet.now.monotonic);
    subnet.start({ id: X, crypto: cryptoOf(X), genesis });
    const s1 = summaryOf(packageAt(subnet, S(1)));
    assert.deepEqual(
      s1.next.map(({ dkgId }) => dkgId.tag),
      ["low"],
    );
    assert.equal(s1.configs.find(({ dkgId }) => dkgId.tag === "high")?.resharing?.dkgId.startHeight, 0);
    const s2 = summaryOf(packageAt(subnet, S(2)));
    assert.deepEqual(keyOf(s2.current, "high"), keyOf(summaryOf(genesis).current, "high"));
    assert.deepEqual(keyOf(s2.current, "low")?.dkgId.startHeight, 0);
    silent.clear();
    const s3 = summaryOf(packageAt(subnet, S(3)));
    assert.equal(keyOf(s3.next, "high")?.receivers.includes(X), true);
    const s4 = summaryOf(packageAt(subnet, S(4)));
    assert.equal(keyOf(s4.current, "high")?.receivers.includes(X), true);
    assert.equal(publicKey(keyOf(s4.current, "high")), publicKey(keyOf(summaryOf(genesis).current, "high")));
    packageAt(subnet, S(5));
  });

  test("a summary without any new key is legal, and its operators are told when it happens again", () => {
    const { subnet } = startSubnet();
    for (const id of [A, B, C, D]) silent.add(id);
    const s1 = summaryOf(packageAt(subnet, S(1)));
    assert.deepEqual(s1.next, []);
    packageAt(subnet, S(3));
    for (const { events } of subnet.nodes.values())
      assert.ok(events.some((event) => event.kind === "alarm" && /keys/.test(event.what)));
    silent.clear();
    const s5 = summaryOf(packageAt(subnet, S(5)));
    assert.equal(
      s5.current.every(({ dkgId }) => dkgId.startHeight >= S(3)),
      true,
    );
  });

  test("execution that falls several intervals behind catches up, with the keys and members of each height", () => {
    const { subnet, registry, genesis } = startSubnet();
    registry.publish(record(2, [A, B, C, X]), subnet.now.monotonic);
    subnet.start({ id: X, crypto: cryptoOf(X), genesis });
    subnet.runTo(4);
    for (const { state } of subnet.nodes.values()) state.isPaused = true;
    subnet.runUntil(
      () => nodeOf(subnet, A).consensus.status().finalizedHeight > S(5),
      () => "a chain of five intervals",
    );
    assert.equal(nodeOf(subnet, A).consensus.catchUpPackage().height, 0);
    for (const { state } of subnet.nodes.values()) state.isPaused = false;
    packageAt(subnet, S(6));
    for (let height = 1; height <= S(6); height++) assert.ok(nodeOf(subnet, B).state.signatures.has(height));
  });

  test("a wrong dealing is refused and blamed, and the key is made without it", () => {
    const { subnet } = startSubnet();
    const wrong = {
      ...nodeOf(subnet, A).crypto,
      createDealing: (...args: Parameters<TestNode["crypto"]["createDealing"]>) => {
        const content = nodeOf(subnet, B).crypto.createDealing(...args);
        return content && faultyDealing(content);
      },
    };
    const { genesis } = startSubnet();
    subnet.stop(A);
    subnet.start({ id: A, crypto: wrong, genesis });
    const s1 = summaryOf(packageAt(subnet, S(1)));
    assert.deepEqual(
      s1.next.map(({ dkgId }) => dkgId.tag),
      ["low", "high"],
    );
    for (const { dealings } of s1.next) assert.ok(dealings.every(({ dealerIndex }) => dealerIndex !== 0));
    assert.ok(
      nodeOf(subnet, B).events.some(
        (event) => event.kind === "invalid" && event.peer === A && event.what === "dkg-dealing",
      ),
    );
    assert.ok(!nodeOf(subnet, B).events.some((event) => event.kind === "invalid" && event.peer !== A));
  });
});

describe("settings and versions", () => {
  test("another interval length is in force an interval after the summary that has seen it", () => {
    const { subnet, registry } = startSubnet();
    registry.publish(
      record(2, [A, B, C, D], { settings: { ...settings, dkgIntervalLength: 4 } }),
      subnet.now.monotonic,
    );
    const s1 = summaryOf(packageAt(subnet, S(1)));
    assert.deepEqual([s1.intervalLength, s1.nextIntervalLength], [9, 4]);
    const s2 = summaryOf(packageAt(subnet, S(2)));
    assert.deepEqual([s2.intervalLength, s2.nextIntervalLength], [4, 4]);
    const s3 = summaryOf(packageAt(subnet, S(2) + 5));
    assert.equal(s3.height, S(2) + 5);
  });

  for (const change of [{ protocolVersion: "0.2.0" }, { haltAtCupHeight: true }])
    test(`a subnet stops exactly at a catch-up package (${Object.keys(change)[0]})`, () => {
      const { subnet, registry } = startSubnet();
      registry.publish(record(2, [A, B, C, D], change), subnet.now.monotonic);
      packageAt(subnet, S(2));
      subnet.runUntil(
        () => [...subnet.nodes.values()].every(({ consensus }) => consensus.status().isHalted),
        () => "a halt",
      );
      const heights = [...subnet.nodes.values()].map(({ consensus }) => consensus.status().finalizedHeight);
      for (let i = 0; i < 500; i++) subnet.tick();
      for (const { state, consensus, events } of subnet.nodes.values()) {
        assert.equal(state.top.height, S(2), "the last batch is that of the summary");
        assert.equal(consensus.catchUpPackage().height, S(2));
        assert.equal(consensus.catchUpPackage().protocolVersion, "0.1.0");
        assert.equal(consensus.status().awaitedVersion, change.protocolVersion);
        const said = events.flatMap((event) => (event.kind === "halted" ? [event.version] : []));
        assert.deepEqual(said, [change.protocolVersion]);
        assert.ok(Math.abs(consensus.status().finalizedHeight - Math.max(...heights)) <= 1);
      }
    });

  test("the next version goes on from the package of the version before, with the same key", () => {
    const { subnet, registry, genesis } = startSubnet();
    registry.publish(record(2, [A, B, C, D], { protocolVersion: "0.2.0" }), subnet.now.monotonic);
    const cup = packageAt(subnet, S(2));
    for (const [id, { crypto, state }] of [...subnet.nodes]) {
      subnet.stop(id);
      subnet.start({ id, crypto, state, genesis: cup, protocolVersion: "0.2.0" });
    }
    const later = packageAt(subnet, S(4));
    assert.equal(later.protocolVersion, "0.2.0");
    assert.equal(
      publicKey(keyOf(summaryOf(later).current, "high")),
      publicKey(keyOf(summaryOf(genesis).current, "high")),
    );
    assert.equal(nodeOf(subnet, A).state.delivered.length, S(4) + (nodeOf(subnet, A).state.top.height - S(4)));
  });

  test("a node of the version before is told which one it needs, and by nothing but the subnet's key", () => {
    const { subnet, registry, genesis } = startSubnet();
    subnet.stop(D);
    registry.publish(record(2, [A, B, C, D], { protocolVersion: "0.2.0" }), subnet.now.monotonic);
    const before = packageAt(subnet, S(2));
    for (const [id, { crypto, state }] of [...subnet.nodes]) {
      subnet.stop(id);
      subnet.start({ id, crypto, state, genesis: before, protocolVersion: "0.2.0" });
    }
    const cup = packageAt(subnet, S(4));
    const late = subnet.start({ id: D, crypto: cryptoOf(D), genesis });
    const offer = (to: TestNode, change: Partial<CatchUpPackage>) => {
      const answer = to.consensus.receive(A, encodeArtifact({ ...cup, ...change }), subnet.now);
      to.consensus.step(subnet.now);
      return answer;
    };
    const { signature, stateHash, beacon } = cup;
    for (const hostile of [
      { signature: signature.with(0, (signature[0] as number) ^ 1) },
      { signature: new Uint8Array() },
      { stateHash: stateHash.with(0, (stateHash[0] as number) ^ 1) },
      { protocolVersion: "0.3.0" },
      { height: S(5) },
      { height: S(5), beacon: { ...beacon, height: S(5) } },
      { ...genesis, protocolVersion: "0.2.0", height: S(5) },
    ])
      assert.equal(offer(late, hostile), "invalid");
    assert.deepEqual(outdated(late), []);
    const here = nodeOf(subnet, B);
    for (const behind of [before, { ...cup, protocolVersion: "0.3.0" }]) assert.equal(offer(here, behind), "taken");
    assert.deepEqual(outdated(here), []);
    for (let i = 0; i < 3; i++) assert.equal(offer(late, {}), "taken");
    assert.deepEqual(outdated(late), [{ kind: "outdated", height: S(4), version: "0.2.0" }]);
  });

  test("a node of the next version waits for the subnet, unless that is not on its way there", () => {
    const { subnet, registry, genesis } = startSubnet();
    subnet.stop(D);
    registry.publish(record(2, [A, B, C, D], { protocolVersion: "0.2.0" }), subnet.now.monotonic);
    const cup = packageAt(subnet, S(1));
    const early = subnet.start({ id: D, crypto: cryptoOf(D), genesis, protocolVersion: "0.2.0" });
    assert.equal(early.consensus.receive(A, encodeArtifact(cup), subnet.now), "taken");
    early.consensus.step(subnet.now);
    assert.deepEqual(outdated(early), []);
    registry.publish(record(3, [A, B, C, D]), subnet.now.monotonic);
    early.consensus.step(subnet.now);
    assert.deepEqual(outdated(early), [{ kind: "outdated", height: S(1), version: "0.1.0" }]);
  });

  test("it is not told that it is behind before its peers have shown what they know of the registry", () => {
    const { subnet, registry, genesis } = startSubnet();
    subnet.stop(D);
    const cup = packageAt(subnet, S(1));
    const [early, behind] = [false, false].map((isRegistryCompared) => {
      const ports = { isRegistryCompared };
      const node = subnet.start({ id: D, crypto: cryptoOf(D), genesis, protocolVersion: "0.2.0", ports });
      assert.equal(node.consensus.receive(A, encodeArtifact(cup), subnet.now), "taken");
      node.consensus.step(subnet.now);
      assert.deepEqual(outdated(node), []);
      return { node, ports };
    }) as [Compared, Compared];
    behind.ports.isRegistryCompared = true;
    behind.node.consensus.step(subnet.now);
    assert.deepEqual(outdated(behind.node), [{ kind: "outdated", height: S(1), version: "0.1.0" }]);
    registry.publish(record(2, [A, B, C, D], { protocolVersion: "0.2.0" }), subnet.now.monotonic);
    early.ports.isRegistryCompared = true;
    early.node.consensus.step(subnet.now);
    assert.deepEqual(outdated(early.node), [], "the record came later than the package");
  });

  test("isHalted in the newest version stops everybody at once, and its end lets them go on", () => {
    const { subnet, registry } = startSubnet();
    subnet.runTo(4);
    registry.publish(record(2, [A, B, C, D], { isHalted: true }), subnet.now.monotonic);
    const stopped = [...subnet.nodes.values()].map(({ consensus }) => consensus.status().notarizedHeight);
    for (let i = 0; i < 300; i++) subnet.tick();
    assert.deepEqual(
      [...subnet.nodes.values()].map(({ consensus }) => consensus.status().notarizedHeight),
      stopped,
    );
    registry.publish(record(3, [A, B, C, D]), subnet.now.monotonic);
    subnet.runTo(12);
  });
});

describe("starting late", () => {
  test("a node with an empty disk begins at the newest package, takes over its state and signs again", () => {
    const { subnet, genesis } = startSubnet();
    subnet.runTo(4);
    subnet.stop(D);
    packageAt(subnet, S(2));
    subnet.start({ id: D, crypto: cryptoOf(D), genesis });
    subnet.runUntil(
      () => syncState(subnet, nodeOf(subnet, D)),
      () => "a state that is fetched",
    );
    assert.ok(nodeOf(subnet, D).state.top.height >= S(2));
    packageAt(subnet, S(4));
    const { state, events } = nodeOf(subnet, D);
    assert.deepEqual(state.top.height - (state.delivered[0]?.height ?? 0) + 1, state.delivered.length);
    assert.ok(
      events.some(
        (event) => event.kind === "signed" && event.what === "catch-up-package-share" && event.height === S(4),
      ),
    );
    assert.equal(state.divergedAt, undefined);
  });

  test("a package that a peer invents, or that nobody signed, is not taken", () => {
    const { subnet, genesis } = startSubnet();
    const cup = packageAt(subnet, S(1));
    const { consensus } = nodeOf(subnet, B);
    const offered = (change: Partial<CatchUpPackage>) =>
      consensus.receive(A, encodeArtifact({ ...cup, height: S(2), ...change }), subnet.now);
    offered({});
    offered({ stateHash: new Uint8Array(32) });
    assert.equal(consensus.receive(A, encodeArtifact({ ...genesis, height: S(2) }), subnet.now), "invalid");
    for (let i = 0; i < 3; i++) subnet.tick();
    assert.equal(consensus.catchUpPackage().height, S(1));
    const blamed = nodeOf(subnet, B).events.filter((event) => event.kind === "invalid" && event.peer === A);
    assert.equal(blamed.length, 2);
  });

  test("the hash of a state is signed in the step after it is there, whatever else comes in", () => {
    const { subnet } = startSubnet();
    for (const { state } of subnet.nodes.values()) state.isHashing = true;
    subnet.runTo(S(1) + 5);
    const { state, consensus } = nodeOf(subnet, A);
    const shares = (): number =>
      consensus.step(subnet.now).published.filter(({ artifact }) => artifact.kind === "catch-up-package-share").length;
    for (let i = 0; i < 5; i++) assert.equal(shares(), 0);
    state.isHashing = false;
    const [known] = nodeOf(subnet, B).published.values();
    assert.equal(consensus.receive(B, known?.bytes ?? new Uint8Array(), subnet.now), "taken");
    assert.equal(shares(), 1);
  });

  test("a node whose state is another one than the subnet's says so and signs nothing of it", () => {
    const { subnet } = startSubnet();
    subnet.runTo(3);
    nodeOf(subnet, C).state.corrupt();
    packageAt(subnet, S(1), [A, B, D]);
    const { state, events } = nodeOf(subnet, C);
    assert.ok(state.divergedAt !== undefined && state.divergedAt <= S(1));
    assert.ok(!events.some((event) => event.kind === "certified" && event.height > (state.divergedAt ?? 0) + 20));
    for (const id of [A, B, D]) assert.equal(nodeOf(subnet, id).state.divergedAt, undefined);
  });
});
