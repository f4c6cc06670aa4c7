// The light signatures of consensus: tags made with a secret that all nodes of one simulated world share and none of
// them reads. They keep what the protocol counts on: only the holder of a key makes its signature, a combined one needs
// enough right shares and is unique per message, only receivers of a transcript sign for it, shares of two transcripts do
// not combine, and a resharing keeps the key. Section 22, "Crypto backends".
import type { ConsensusCrypto, DkgConfig, DkgId, DkgTranscript, KeysOf } from "@atoll/consensus";
import { dkgId as dkgIdCodec, dkgTranscript } from "@atoll/consensus";
import type { EntropyPort, NodeRecord, PrincipalId } from "@atoll/types";
import { principalToBytes, toHex } from "@atoll/types";
import { encodeWire, list, principal, WireWriter } from "@atoll/types/wire";
import { Sponge } from "./sponge.ts";

/** What all nodes of one simulation have in common. A node in it, a faulty one too, only gets a `ConsensusCrypto`. */
export interface LightWorld {
  readonly secret: Uint8Array;
  sha256(data: Uint8Array): Uint8Array;
}

const TAG_BYTES = 32;
const KEY_BYTES = 96;
/** Of a combined signature: clients look at the length before anything else. */
const SIGNATURE_BYTES = 48;

/** The registry's record of a node in this world. */
export function lightNodeRecord(world: LightWorld, nodeId: PrincipalId, address = ""): NodeRecord {
  const id = principalToBytes(nodeId);
  const key = (purpose: string, length: number) => wide(world, length, purpose, id);
  return {
    nodeId,
    signingKey: key("signing key", 32),
    committeeKey: key("committee key", 96),
    committeeKeyProof: key("committee proof", 48),
    dealingKey: key("dealing key", 48),
    dealingKeyProof: key("dealing proof", 48),
    address,
    httpAddress: "",
  };
}

/** What one node signs and checks with. `entropy` makes its dealings differ from one to the next. */
export function lightCrypto(world: LightWorld, nodeId: PrincipalId, entropy: EntropyPort): ConsensusCrypto {
  const own = lightNodeRecord(world, nodeId);
  const loaded = new Map<string, { readonly transcript: DkgTranscript; readonly index: number }>();
  return {
    sha256: world.sha256,
    signBasic: (message) => tag(world, "basic", own.signingKey, message),
    verifyBasic: (node, message, signature) => isWide(world, TAG_BYTES, signature, "basic", node.signingKey, message),
    signMulti: (message) => tag(world, "multi", own.committeeKey, message),
    combineMulti: sum,
    verifyMulti(signers, message, signature) {
      const expected = sum(signers.map((node) => tag(world, "multi", node.committeeKey, message)));
      return expected !== undefined && isSame(signature, expected);
    },
    loadTranscript(transcript) {
      const index = transcript.receivers.indexOf(nodeId);
      if (index < 0 || !isGenuine(world, transcript)) return false;
      loaded.set(dkgKey(transcript.dkgId), { transcript, index });
      return true;
    },
    retainTranscripts(dkgIds) {
      const kept = new Set(dkgIds.map(dkgKey));
      for (const key of loaded.keys()) if (!kept.has(key)) loaded.delete(key);
    },
    signThreshold(dkgId, message) {
      const held = loaded.get(dkgKey(dkgId));
      return held && thresholdShare(world, held.transcript, held.index, nameOf(world, message));
    },
    verifyThresholdShare: (transcript, index, message, signature) =>
      index < transcript.receivers.length &&
      isThresholdShare(world, transcript, { index, signature }, nameOf(world, message)),
    combineThreshold: (transcript, shares) => combine(world, transcript, shares),
    // Nothing is cheaper together here.
    expectThreshold: () => {},
    verifyThreshold: (publicKey, message, signature) =>
      isWide(world, SIGNATURE_BYTES, signature, "threshold", publicKey, nameOf(world, message)),
    createDealing(config, keys) {
      if (config.resharing !== undefined && !loaded.has(dkgKey(config.resharing.dkgId))) return undefined;
      if (!config.dealers.includes(nodeId) || !hasKeys(config, keys)) return undefined;
      return dealing(world, config, nodeId, entropy.randomBytes(TAG_BYTES));
    },
    verifyDealing: (config, keys, dealer, content) =>
      hasKeys(config, keys) && isDealing(world, config, dealer, content),
    createTranscript: (config, dealings) => transcriptOf(world, config, dealings),
  };
}

/** A dealing that looks like one and is none: some receiver would get a wrong share. */
export function faultyDealing(content: Uint8Array): Uint8Array {
  const changed = content.slice();
  const last = changed.length - 1;
  changed[last] = (changed[last] ?? 0) ^ 1;
  return changed;
}

/** A key that was dealt before the simulation begins, in the form of one that its receivers made among themselves. */
export function lightTranscript(
  world: LightWorld,
  options: Pick<DkgConfig, "dkgId" | "receivers" | "threshold" | "registryVersion">,
): DkgTranscript {
  const dealers = options.receivers;
  const config = { ...options, dealers, collectionThreshold: 1, resharing: undefined };
  const dealer = dealers[0] as PrincipalId;
  const content = dealing(world, config, dealer, tag(world, "first dealing", dkgBytes(options.dkgId)));
  return transcriptOf(world, config, [{ dealer, content }]) as DkgTranscript;
}

// Multi-signatures: the tags of all signers, added up bit by bit. Two wrong ones can cancel each other out, as in BLS.
function sum(signatures: readonly Uint8Array[]): Uint8Array | undefined {
  const total = new Uint8Array(TAG_BYTES);
  for (const signature of signatures) {
    if (signature.length !== TAG_BYTES) return undefined;
    for (let i = 0; i < TAG_BYTES; i++) total[i] = (total[i] as number) ^ (signature[i] as number);
  }
  return signatures.length === 0 ? undefined : total;
}

// A threshold share names its message by hash, because combining does not see the message: hash, then tag.
function thresholdShare(world: LightWorld, transcript: DkgTranscript, index: number, messageHash: Uint8Array) {
  absorbShare(world, transcript, index, messageHash);
  return join(messageHash, scratch.squeeze(TAG_BYTES));
}

function isThresholdShare(
  world: LightWorld,
  transcript: DkgTranscript,
  { index, signature }: { readonly index: number; readonly signature: Uint8Array },
  messageHash: Uint8Array,
): boolean {
  if (signature.length !== 2 * TAG_BYTES) return false;
  for (let i = 0; i < TAG_BYTES; i++) if (signature[i] !== messageHash[i]) return false;
  absorbShare(world, transcript, index, messageHash);
  return scratch.isAt(signature, TAG_BYTES);
}

const indexBytes = new Uint8Array(1);

function absorbShare(world: LightWorld, transcript: DkgTranscript, index: number, messageHash: Uint8Array): void {
  const { shares } = beginningsOf(world);
  let known = shares.get(transcript);
  if (known === undefined) {
    known = new Sponge();
    known.begin(beginning(world, "share"));
    known.absorb(fingerprint(world, transcript));
    shares.set(transcript, known);
  }
  scratch.begin(known);
  indexBytes[0] = index;
  scratch.absorb(indexBytes);
  scratch.absorb(messageHash);
}

function nameOf(world: LightWorld, message: Uint8Array): Uint8Array {
  return tag(world, "message", message);
}

function thresholdSignature(world: LightWorld, publicKey: Uint8Array, messageHash: Uint8Array): Uint8Array {
  return wide(world, SIGNATURE_BYTES, "threshold", publicKey, messageHash);
}

/** As with BLS, wrong shares give something that is no signature, and what is no share at all gives nothing. */
function combine(
  world: LightWorld,
  transcript: DkgTranscript,
  shares: readonly { readonly index: number; readonly signature: Uint8Array }[],
): Uint8Array | undefined {
  const chosen = [...new Map(shares.map((share) => [share.index, share])).values()].slice(0, transcript.threshold);
  const first = chosen[0];
  if (first === undefined || chosen.length < transcript.threshold) return undefined;
  if (chosen.some(({ signature }) => signature.length !== 2 * TAG_BYTES)) return undefined;
  const messageHash = first.signature.subarray(0, TAG_BYTES);
  const isRight = (share: { index: number; signature: Uint8Array }) =>
    share.index < transcript.receivers.length && isThresholdShare(world, transcript, share, messageHash);
  return isGenuine(world, transcript) && chosen.every(isRight)
    ? thresholdSignature(world, transcript.coefficients[0] as Uint8Array, messageHash)
    : wide(world, SIGNATURE_BYTES, "wrong", ...chosen.map(({ signature }) => signature));
}

// A dealing: 32 bytes that make it differ from others, a tag over all that it depends on, and one over what of that can be
// seen in a transcript too: who makes up a transcript does not know it.
function dealing(world: LightWorld, config: DkgConfig, dealer: PrincipalId, nonce: Uint8Array): Uint8Array {
  const writer = new WireWriter();
  list(principal, config.dealers.length).write(writer, config.dealers);
  principal.write(writer, dealer);
  const reshared = config.resharing === undefined ? new Uint8Array() : fingerprint(world, config.resharing);
  const first = join(
    nonce,
    tag(world, "dealing", shape(config, config.collectionThreshold), writer.take(), reshared, nonce),
  );
  const key = config.resharing?.coefficients[0];
  return join(first, tag(world, "dealt", shape(config, config.collectionThreshold), key ?? new Uint8Array(), first));
}

function isDealing(world: LightWorld, config: DkgConfig, dealer: PrincipalId, content: Uint8Array): boolean {
  if (!config.dealers.includes(dealer)) return false;
  return isSame(content, dealing(world, config, dealer, content.subarray(0, TAG_BYTES)));
}

type Shape = Pick<DkgConfig, "dkgId" | "receivers" | "threshold" | "registryVersion">;

function shape({ dkgId, receivers, threshold, registryVersion }: Shape, dealings: number): Uint8Array {
  const writer = new WireWriter();
  dkgIdCodec.write(writer, dkgId);
  list(principal, receivers.length).write(writer, receivers);
  for (const number of [threshold, registryVersion, dealings]) writer.uint(number);
  return writer.take();
}

function hasKeys(config: DkgConfig, keys: KeysOf): boolean {
  return [...config.dealers, ...config.receivers].every((node) => keys(node) !== undefined);
}

function transcriptOf(
  world: LightWorld,
  config: DkgConfig,
  dealings: readonly { readonly dealer: PrincipalId; readonly content: Uint8Array }[],
): DkgTranscript | undefined {
  if (dealings.length !== config.collectionThreshold) return undefined;
  if (!dealings.every(({ dealer, content }) => isDealing(world, config, dealer, content))) return undefined;
  const dealers = config.resharing?.receivers ?? config.dealers;
  const contents = dealings.map(({ content }) => content);
  const key = config.resharing?.coefficients[0];
  return {
    dkgId: config.dkgId,
    receivers: config.receivers,
    threshold: config.threshold,
    registryVersion: config.registryVersion,
    coefficients: coefficients(world, config, contents, key),
    dealings: dealings.map(({ dealer, content }) => ({ dealerIndex: dealers.indexOf(dealer), content })),
  };
}

/** The public key, and as many more as a polynomial of that threshold has; they follow from the dealings. */
function coefficients(world: LightWorld, of: Shape, contents: readonly Uint8Array[], key: Uint8Array | undefined) {
  const all = Array.from({ length: of.threshold }, (_, i) =>
    wide(world, KEY_BYTES, `coefficient ${i}`, shape(of, contents.length), ...contents),
  );
  return key === undefined ? all : [key, ...all.slice(1)];
}

const genuine = new WeakMap<DkgTranscript, boolean>();

function isGenuine(world: LightWorld, transcript: DkgTranscript): boolean {
  let known = genuine.get(transcript);
  if (known === undefined) {
    known = [undefined, transcript.coefficients[0]].some((key) => fits(world, transcript, key));
    genuine.set(transcript, known);
  }
  return known;
}

/** Whether the transcript comes from its dealings, which have shared `key` anew or made one. */
function fits(world: LightWorld, transcript: DkgTranscript, key: Uint8Array | undefined): boolean {
  const contents = transcript.dealings.map(({ content }) => content);
  const whole = shape(transcript, contents.length);
  const isDealt = (content: Uint8Array) => {
    const first = content.subarray(0, 2 * TAG_BYTES);
    return isSame(content, join(first, tag(world, "dealt", whole, key ?? new Uint8Array(), first)));
  };
  const expected = coefficients(world, transcript, contents, key);
  return (
    contents.length > 0 &&
    contents.every(isDealt) &&
    expected.length === transcript.coefficients.length &&
    expected.every((each, i) => isSame(each, transcript.coefficients[i] as Uint8Array))
  );
}

const fingerprints = new WeakMap<DkgTranscript, Uint8Array>();

function fingerprint(world: LightWorld, transcript: DkgTranscript): Uint8Array {
  let known = fingerprints.get(transcript);
  if (known === undefined) {
    known = world.sha256(encodeWire(dkgTranscript, transcript));
    fingerprints.set(transcript, known);
  }
  return known;
}

function dkgBytes(id: DkgId): Uint8Array {
  return encodeWire(dkgIdCodec, id);
}

function dkgKey(id: DkgId): string {
  return `${id.startHeight}/${id.dealerSubnet}/${id.tag}/${id.target === undefined ? "" : toHex(id.target)}`;
}

function tag(world: LightWorld, purpose: string, ...parts: readonly Uint8Array[]): Uint8Array {
  return wide(world, TAG_BYTES, purpose, ...parts);
}

/** Sponges that go on from there again and again. */
interface Beginnings {
  /** What has taken in the secret and the purpose. */
  readonly purposes: Map<string, Sponge>;
  /** The transcript of a share too. */
  readonly shares: WeakMap<DkgTranscript, Sponge>;
}

const beginnings = new WeakMap<LightWorld, Beginnings>();

function beginningsOf(world: LightWorld): Beginnings {
  let known = beginnings.get(world);
  if (known === undefined) {
    known = { purposes: new Map(), shares: new WeakMap() };
    beginnings.set(world, known);
  }
  return known;
}

function beginning(world: LightWorld, purpose: string): Sponge {
  const { purposes } = beginningsOf(world);
  let known = purposes.get(purpose);
  if (known === undefined) {
    known = new Sponge();
    known.absorb(world.secret);
    known.absorb(new TextEncoder().encode(purpose));
    purposes.set(purpose, known);
  }
  return known;
}

const scratch = new Sponge();

/** `length` bytes. */
function wide(world: LightWorld, length: number, purpose: string, ...parts: readonly Uint8Array[]): Uint8Array {
  scratch.begin(beginning(world, purpose));
  for (const part of parts) scratch.absorb(part);
  return scratch.squeeze(length);
}

/** Whether that is what `wide` makes. */
function isWide(
  world: LightWorld,
  length: number,
  bytes: Uint8Array,
  purpose: string,
  ...parts: readonly Uint8Array[]
): boolean {
  if (bytes.length !== length) return false;
  scratch.begin(beginning(world, purpose));
  for (const part of parts) scratch.absorb(part);
  return scratch.isAt(bytes, 0);
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
