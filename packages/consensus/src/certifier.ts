// Certification: each node that holds a share of the subnet's key signs the root hash of every state it has computed; enough
// shares make the certification that clients and other subnets believe. It is said of a height that a node has not
// executed too, and compared once it has. Section 10.3.
import { equalBytes } from "@atoll/crypto";
import { type Height, toHex } from "@atoll/types";
import type { ArtifactId, Certification, CertificationContent } from "./artifacts.ts";
import { combineThenVerify, type ShareEntry } from "./combine-then-verify.ts";
import { isSameDkg } from "./dkg/dkg-keys.ts";
import { activeTranscript } from "./dkg/registry-version.ts";
import type { DkgTranscript } from "./dkg-types.ts";
import { catchUpPackage } from "./finalized-chain.ts";
import { witnessFault } from "./height-witness.ts";
import type { Change } from "./pool.ts";
import { minimumChainLength } from "./pool-bounds.ts";
import { drop } from "./purger.ts";
import type { Role, RoleContext } from "./role-context.ts";
import { certificationBytes } from "./signed-bytes.ts";

/** Heights above the last executed one of which certifications are taken. */
export const CERTIFICATION_REACH = 20;

const WHOLE = ["certification"] as const;
const SHARE = ["certification-share"] as const;
const KINDS = [...WHOLE, ...SHARE] as const;

/** One instance per node: it remembers what it has told the state. */
export function certifier(): Role {
  const told = new Set<Height>();
  return (context) => {
    // A node that has computed another state signs nothing more of it.
    if (!deliver(context, told)) return [];
    for (const act of ACTS) {
      const changes = act(context);
      if (changes.length > 0) return changes;
    }
    return NONE;
  };
}

const ACTS = [signShares, purge, takeCertifications, aggregate];
const NONE: readonly never[] = [];

/** Heights whose certification is of use here. */
export function heightsToCertify({ state }: Pick<RoleContext, "state">): {
  readonly from: Height;
  readonly to: Height;
} {
  return { from: state.certifiedHeight() + 1, to: state.executedHeight() + CERTIFICATION_REACH };
}

/** False: this node's state is not the subnet's. */
function deliver(context: RoleContext, told: Set<Height>): boolean {
  const { state, pool } = context;
  for (const height of told) if (height <= state.certifiedHeight()) told.delete(height);
  const { from, to } = heightsToCertify(context);
  for (const height of pool.validated.heights("certification", from, to)) {
    const certification = pool.validated.at("certification", height)[0]?.artifact;
    if (certification === undefined) continue;
    const own = state.rootHash(height);
    if (own !== undefined && !equalBytes(own, certification.rootHash)) {
      state.diverged(height, "the subnet certified another root hash");
      return false;
    }
    // What is executed already is told until the state has taken it over.
    if (told.has(height) && own === undefined) continue;
    told.add(height);
    state.certified(certification);
  }
  return true;
}

function signShares(context: RoleContext): Change[] {
  const { state, pool, self, crypto, protocolVersion, note } = context;
  const changes: Change[] = [];
  for (const { height, rootHash, witness } of state.toCertify()) {
    if (pool.validated.at("certification", height).length > 0) continue;
    if (pool.validated.at("certification-share", height).some(({ artifact }) => artifact.signer === self)) continue;
    const transcript = activeTranscript(pool, "high", height);
    if (!transcript?.receivers.includes(self)) continue;
    const { dkgId } = transcript;
    const signature = crypto.signThreshold(dkgId, certificationBytes(rootHash));
    if (signature === undefined) continue;
    const content = { protocolVersion, height, rootHash, witness };
    changes.push({
      kind: "add",
      artifact: { kind: "certification-share", ...content, dkgId, signer: self, signature },
    });
    note({ kind: "signed", what: "certification-share", height, hash: toHex(rootHash) });
  }
  return changes;
}

// Old ones are kept for slow peers as long as blocks are; what is certified needs no shares.
function purge(context: RoleContext): readonly Change[] {
  const { pool, state } = context;
  const old = Math.max(0, catchUpPackage(pool).height - minimumChainLength(context));
  const certified = Math.max(old, state.certifiedHeight() + 1);
  return [
    ...drop(pool, "validated", old, WHOLE),
    ...drop(pool, "validated", certified, SHARE),
    ...drop(pool, "unvalidated", certified, KINDS),
  ];
}

/** Checks certifications that peers sent; where there is one, what else peers sent for its height is of no use. */
function takeCertifications(context: RoleContext): Change[] {
  const { pool } = context;
  const { from, to } = heightsToCertify(context);
  const changes: Change[] = [];
  for (const height of pool.unvalidated.heights("certification", from, to)) {
    if (pool.validated.at("certification", height).length > 0) continue;
    const transcript = activeTranscript(pool, "high", height);
    const entries = transcript === undefined ? [] : pool.unvalidated.at("certification", height);
    for (const { id, artifact } of entries) {
      const fault = certificationFault(context, transcript as DkgTranscript, artifact);
      changes.push(fault === undefined ? { kind: "move", id } : { kind: "invalid", id, why: fault });
      if (fault !== undefined) continue;
      noteCertified(context, artifact);
      break;
    }
  }
  return changes.length > 0 ? changes : superseded(context, from, to);
}

function superseded({ pool }: RoleContext, from: Height, to: Height): Change[] {
  const changes: Change[] = [];
  for (const kind of KINDS)
    for (const height of pool.unvalidated.heights(kind, from, to))
      if (pool.validated.at("certification", height).length > 0)
        for (const { id } of pool.unvalidated.at(kind, height))
          changes.push({ kind: "remove", section: "unvalidated", id });
  return changes;
}

function certificationFault(
  { crypto, protocolVersion }: RoleContext,
  { coefficients }: DkgTranscript,
  certification: Certification,
): string | undefined {
  if (certification.protocolVersion !== protocolVersion) return "another version of the protocol";
  const fault = witnessFault(certification, crypto.sha256);
  if (fault !== undefined) return fault;
  const message = certificationBytes(certification.rootHash);
  const publicKey = coefficients[0];
  if (publicKey !== undefined && crypto.verifyThreshold(publicKey, message, certification.signature)) return undefined;
  return "the signature of the certification is wrong";
}

function aggregate(context: RoleContext): Change[] {
  const { pool } = context;
  const { from, to } = heightsToCertify(context);
  const own = pool.validated.heights("certification-share", from, to);
  const others = pool.unvalidated.heights("certification-share", from, to);
  const heights = others.length === 0 ? own : new Set([...own, ...others]);
  const changes: Change[] = [];
  for (const height of heights) {
    const transcript = activeTranscript(pool, "high", height);
    if (transcript === undefined || pool.validated.at("certification", height).length > 0) continue;
    const made = pool.validated.at("certification-share", height).length;
    if (made + pool.unvalidated.at("certification-share", height).length < transcript.threshold) continue;
    changes.push(...strangers(context, transcript, height));
    for (const group of groups(context, transcript, height)) changes.push(...combined(context, transcript, group));
  }
  return changes;
}

/** Shares that can be part of no certification. */
function strangers({ pool, protocolVersion }: RoleContext, transcript: DkgTranscript, height: Height): Change[] {
  return pool.unvalidated.at("certification-share", height).flatMap(({ id, artifact }): Change[] => {
    const { signer, dkgId } = artifact;
    const fits = transcript.receivers.includes(signer) && isSameDkg(dkgId, transcript.dkgId);
    if (fits && artifact.protocolVersion === protocolVersion) return [];
    return [{ kind: "invalid", id, why: "a share of a key that does not certify this height" }];
  });
}

interface Group {
  readonly content: CertificationContent;
  readonly shares: ShareEntry[];
}

/** Shares on the same root hash with the same witness, where they are enough. */
function groups(
  { pool, protocolVersion }: RoleContext,
  { receivers, threshold, dkgId }: DkgTranscript,
  height: Height,
): Group[] {
  const found: Group[] = [];
  for (const section of ["validated", "unvalidated"] as const)
    for (const entry of pool[section].at("certification-share", height)) {
      const { artifact } = entry;
      if (!receivers.includes(artifact.signer) || !isSameDkg(artifact.dkgId, dkgId)) continue;
      if (artifact.protocolVersion !== protocolVersion) continue;
      let group = found.find(({ content }) => isSameContent(content, artifact));
      if (group === undefined) {
        group = { content: artifact, shares: [] };
        found.push(group);
      }
      const { signer, signature } = artifact;
      group.shares.push({ id: entry.id, signer, signature, isChecked: section === "validated" });
    }
  return found.filter(({ shares }) => shares.length >= threshold);
}

function isSameContent(a: CertificationContent, b: CertificationContent): boolean {
  return equalBytes(a.rootHash, b.rootHash) && equalBytes(a.witness, b.witness);
}

function combined(context: RoleContext, transcript: DkgTranscript, { content, shares }: Group): Change[] {
  const { crypto } = context;
  const invalid = (id: ArtifactId, why: string): Change => ({ kind: "invalid", id, why });
  // What this node signs, or has checked, has the right witness.
  const fault = shares.some(({ isChecked }) => isChecked) ? undefined : witnessFault(content, crypto.sha256);
  if (fault !== undefined) return shares.map(({ id }) => invalid(id, fault));
  const { protocolVersion, height, rootHash, witness } = content;
  const { signature, right, wrong } = combineThenVerify(crypto, transcript, certificationBytes(rootHash), shares);
  const changes: Change[] = wrong.map((id) => invalid(id, "the share of a certification is wrong"));
  for (const id of right) changes.push({ kind: "move", id });
  if (signature === undefined) return changes;
  const certification = { kind: "certification" as const, protocolVersion, height, rootHash, witness, signature };
  noteCertified(context, certification);
  return [...changes, { kind: "add", artifact: certification }];
}

function noteCertified({ note }: RoleContext, { height, rootHash }: Certification): void {
  note({ kind: "certified", height, hash: toHex(rootHash) });
}
