// Certification: each node that holds a share of the subnet's key signs the root hash of every state it has computed; enough
// shares make the certification that clients and other subnets believe. It is said of a height that a node has not
// executed too, and compared once it has. Section 10.3.
import { equalBytes } from "@atoll/crypto";
import { type Height, toHex } from "@atoll/types";
import type { ArtifactId, Certification, CertificationContent, CertificationShare } from "./artifacts.ts";
import { combineThenVerify } from "./combine-then-verify.ts";
import { isSameDkg } from "./dkg/dkg-keys.ts";
import { activeTranscript } from "./dkg/registry-version.ts";
import type { DkgTranscript } from "./dkg-types.ts";
import { catchUpPackage } from "./finalized-chain.ts";
import { witnessFault } from "./height-witness.ts";
import type { Change, Entry } from "./pool.ts";
import { minimumChainLength } from "./pool-bounds.ts";
import type { Role, RoleContext } from "./role-context.ts";
import { certificationBytes } from "./signed-bytes.ts";

/** Heights above the last executed one of which certifications are taken. */
export const CERTIFICATION_REACH = 20;

const KINDS = ["certification", "certification-share"] as const;

/** One instance per node: it remembers what it has told the state. */
export function certifier(): Role {
  const told = new Set<Height>();
  return (context) => {
    // A node that has computed another state signs nothing more of it.
    if (!deliver(context, told)) return [];
    for (const act of [signShares, purge, takeCertifications, aggregate]) {
      const changes = act(context);
      if (changes.length > 0) return changes;
    }
    return [];
  };
}

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
function purge(context: RoleContext): Change[] {
  const { pool, state } = context;
  const certified = state.certifiedHeight();
  const old = Math.max(0, catchUpPackage(pool).height - minimumChainLength(context));
  const changes: Change[] = [];
  const drop = (section: "validated" | "unvalidated", below: Height, kinds: readonly (typeof KINDS)[number][]) => {
    const due = kinds.filter((kind) => (pool[section].range(kind)?.min ?? below) < below);
    if (due.length > 0) changes.push({ kind: "purge", section, below, kinds: due });
  };
  drop("validated", old, ["certification"]);
  drop("validated", Math.max(old, certified + 1), ["certification-share"]);
  drop("unvalidated", Math.max(old, certified + 1), KINDS);
  return changes;
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
  const heights = new Set([
    ...pool.validated.heights("certification-share", from, to),
    ...pool.unvalidated.heights("certification-share", from, to),
  ]);
  const changes: Change[] = [];
  for (const height of heights) {
    const transcript = activeTranscript(pool, "high", height);
    if (transcript === undefined || pool.validated.at("certification", height).length > 0) continue;
    const own = pool.validated.at("certification-share", height).length;
    if (own + pool.unvalidated.at("certification-share", height).length < transcript.threshold) continue;
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
  readonly shares: { readonly entry: Entry<CertificationShare>; readonly isChecked: boolean }[];
}

/** Shares on the same root hash with the same witness, where they are enough. */
function groups(
  { pool, protocolVersion }: RoleContext,
  { receivers, threshold, dkgId }: DkgTranscript,
  height: Height,
): Group[] {
  const byContent = new Map<string, Group>();
  for (const section of ["validated", "unvalidated"] as const)
    for (const entry of pool[section].at("certification-share", height)) {
      const { artifact } = entry;
      if (!receivers.includes(artifact.signer) || !isSameDkg(artifact.dkgId, dkgId)) continue;
      if (artifact.protocolVersion !== protocolVersion) continue;
      const name = `${toHex(artifact.rootHash)}/${toHex(artifact.witness)}`;
      const group = byContent.get(name) ?? { content: artifact, shares: [] };
      byContent.set(name, group);
      group.shares.push({ entry, isChecked: section === "validated" });
    }
  return [...byContent.values()].filter(({ shares }) => shares.length >= threshold);
}

function combined(context: RoleContext, transcript: DkgTranscript, { content, shares }: Group): Change[] {
  const { crypto } = context;
  const invalid = (id: ArtifactId, why: string): Change => ({ kind: "invalid", id, why });
  const fault = witnessFault(content, crypto.sha256);
  if (fault !== undefined)
    return shares.filter(({ isChecked }) => !isChecked).map(({ entry }) => invalid(entry.id, fault));
  const { protocolVersion, height, rootHash, witness } = content;
  const { signature, right, wrong } = combineThenVerify(
    crypto,
    transcript,
    certificationBytes(rootHash),
    shares.map(({ entry, isChecked }) => ({ ...entry.artifact, id: entry.id, isChecked })),
  );
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
