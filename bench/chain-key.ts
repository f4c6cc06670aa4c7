// What chain-key cryptography costs a node: a threshold signature as it is made in every round (shares combined, then verified
// once), and a dealing of key generation made, verified by everybody and opened by a receiver, for subnets of 4 and 13.
import {
  createChainKeyCrypto,
  createNodeKeys,
  type DkgConfig,
  type DkgTranscript,
  highThreshold,
  lowThreshold,
  type NodeKeys,
  nodePublicKeys,
} from "@atoll/consensus";
import { createNodeCrypto } from "@atoll/host-node";
import { type CryptoPort, invariant, type NodeRecord, type PrincipalId } from "@atoll/types";
import { ed25519Verification, median, ownCpu, type Row, spread } from "./measure.ts";

const entropy = { randomBytes: (length: number) => crypto.getRandomValues(new Uint8Array(length)) };

interface Subnet {
  readonly keys: readonly NodeKeys[];
  readonly config: DkgConfig;
  readonly recordOf: (id: PrincipalId) => NodeRecord | undefined;
}

export async function benchChainKey({ short }: { readonly short: boolean }): Promise<readonly Row[]> {
  const port = await createNodeCrypto();
  const windows = short ? 1 : 5;
  const rows: Row[] = [];
  const signatures = [4, 13].map((nodes) => signatureRounds(makeSubnet(nodes, port), port));
  const [four, thirteen] = signatures as [() => number, () => number];
  const samples = Array.from({ length: windows }, () => ({
    ed25519: ed25519Verification(short ? 5 : 200),
    bls: blsVerification(port, short ? 5 : 100),
    four: average(four, short ? 3 : 40),
    thirteen: average(thirteen, short ? 3 : 20),
  }));
  const ed25519 = median(samples.map((sample) => sample.ed25519));
  const bls = median(samples.map((sample) => sample.bls));
  rows.push({
    name: "chain-key",
    what: "a signature of 3 of 4 nodes: the shares of others combined, the result verified",
    baseline: "one Ed25519 verification",
    ...spread(samples.map((sample) => sample.four / sample.ed25519)),
    goal: 60,
    laterGoal: 40,
    notes: [
      `of 9 of 13 nodes: ${median(samples.map((sample) => sample.thirteen / sample.ed25519)).toFixed(0)} verifications`,
      `Ed25519: ${(1e6 / ed25519).toFixed(0)} verifications a second; BLS: ${(1e6 / bls).toFixed(0)}`,
    ],
  });
  rows.push(dealingRow("dealing-4", makeSubnet(4, port), port, windows, bls, { goal: 60, laterGoal: 30 }));
  rows.push(dealingRow("dealing-13", makeSubnet(13, port), port, windows, bls, { goal: 100, laterGoal: 50 }));
  return rows;
}

function makeSubnet(nodes: number, port: CryptoPort): Subnet {
  const members = Array.from({ length: nodes }, () => {
    const keys = createNodeKeys(entropy);
    return { keys, record: { ...nodePublicKeys(keys, port), address: "", httpAddress: "" } };
  }).sort((a, b) => (a.record.nodeId < b.record.nodeId ? -1 : 1));
  const ids = members.map(({ record }) => record.nodeId);
  const config: DkgConfig = {
    dkgId: { startHeight: 0, dealerSubnet: ids[0] as PrincipalId, tag: "high", target: undefined },
    dealers: ids,
    receivers: ids,
    threshold: highThreshold(nodes),
    collectionThreshold: lowThreshold(nodes),
    registryVersion: 1,
    resharing: undefined,
  };
  const records = new Map(members.map(({ record }) => [record.nodeId, record]));
  return { keys: members.map(({ keys }) => keys), config, recordOf: (id) => records.get(id) };
}

/** Combines and verifies a signature on a new message each time; says what of that is CPU. */
function signatureRounds({ keys, config, recordOf }: Subnet, port: CryptoPort): () => number {
  const nodes = keys.map((own) => createChainKeyCrypto(own, { crypto: port, entropy }));
  const [first] = nodes as [(typeof nodes)[0]];
  const dealings = nodes.slice(0, config.collectionThreshold).map((node, i) => {
    return { dealer: config.dealers[i] as PrincipalId, content: node.createDealing(config, recordOf) as Uint8Array };
  });
  const transcript = first.createTranscript(config, dealings) as DkgTranscript;
  const signers = nodes.slice(0, config.threshold);
  for (const node of signers) invariant(node.loadTranscript(transcript), "a share is missing");
  return () => {
    const message = entropy.randomBytes(64);
    const shares = signers.map((node, index) => {
      return { index, signature: node.signThreshold(config.dkgId, message) as Uint8Array };
    });
    const began = ownCpu();
    const signature = first.combineThreshold(transcript, shares) as Uint8Array;
    const isGood = first.verifyThreshold(transcript.coefficients[0] as Uint8Array, message, signature);
    const taken = ownCpu() - began;
    invariant(isGood, "a good signature was refused");
    return taken;
  };
}

function dealingRow(
  name: string,
  subnet: Subnet,
  port: CryptoPort,
  windows: number,
  bls: number,
  goals: Pick<Row, "goal" | "laterGoal">,
): Row {
  const samples = Array.from({ length: windows }, () => dealingOnce(subnet, port));
  const milliseconds = (part: keyof (typeof samples)[0]) =>
    `${part} ${(median(samples.map((sample) => sample[part])) / 1000).toFixed(0)} ms`;
  return {
    name,
    what: `a dealing for ${subnet.keys.length} nodes: made, verified, opened by one receiver`,
    baseline: "one BLS verification",
    ...spread(samples.map((sample) => (sample.create + sample.verify + sample.load) / bls)),
    ...goals,
    notes: [`${milliseconds("create")}, ${milliseconds("verify")}, ${milliseconds("load")}`],
  };
}

/** By other nodes than made it, so that nothing is known yet: microseconds of CPU. */
function dealingOnce({ keys, config, recordOf }: Subnet, port: CryptoPort) {
  const [dealer, receiver] = keys.map((own) => createChainKeyCrypto(own, { crypto: port, entropy }));
  invariant(dealer !== undefined && receiver !== undefined, "too few nodes");
  const [id] = config.dealers as [PrincipalId];
  const began = ownCpu();
  const content = dealer.createDealing(config, recordOf) as Uint8Array;
  const created = ownCpu();
  invariant(receiver.verifyDealing(config, recordOf, id, content), "a good dealing was refused");
  const verified = ownCpu();
  const one = { ...config, collectionThreshold: 1 };
  const transcript = receiver.createTranscript(one, [{ dealer: id, content }]) as DkgTranscript;
  const combined = ownCpu();
  invariant(receiver.loadTranscript(transcript), "a share is missing");
  return { create: created - began, verify: verified - created, load: ownCpu() - combined };
}

/** Microseconds of CPU of one verification, each of another message. */
export function blsVerification({ bls }: CryptoPort, count: number): number {
  const secret = new Uint8Array(32).fill(7);
  const publicKey = bls.publicKey(secret);
  return average(() => {
    // So long that what signing hashed is not kept: most that is verified was not signed here.
    const message = entropy.randomBytes(1000);
    const signature = bls.sign(secret, message);
    const began = ownCpu();
    invariant(bls.verify(publicKey, message, signature), "a good signature was refused");
    return ownCpu() - began;
  }, count);
}

function average(run: () => number, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += run();
  return sum / count;
}
