// The beginning of a subnet: a catch-up package that nobody signed, made from a registry record and the two transcripts
// that somebody dealt to its nodes. Every node makes it for itself and gets the same bytes; all later artifacts follow
// from its block and its beacon. A recovery begins in the same way, at a later height with a known state. Section 12.6.
import { EnvironmentError, type Height, type PrincipalId, type RegistryRecord, type Time } from "@atoll/types";
import { payloadHash } from "../artifact-hash.ts";
import type { Block, CatchUpPackage, Hash, Payload } from "../artifacts.ts";
import type { DkgSummary, DkgTag, DkgTranscript } from "../dkg-types.ts";
import { localConfigs } from "./local-configs.ts";

export interface GenesisOptions {
  readonly record: RegistryRecord;
  /** Time of the first block. */
  readonly time: Time;
  readonly low: DkgTranscript;
  readonly high: DkgTranscript;
  /** 0 unless it is a recovery. */
  readonly height?: Height;
  /** Of a recovery: root of the manifest of the state at `height`. At genesis there is none: 32 zeros. */
  readonly stateHash?: Hash;
}

const NO_HASH: Hash = new Uint8Array(32);

/** Throws EnvironmentError("bad-genesis") when record and transcripts do not belong together. */
export function genesisCatchUpPackage(options: GenesisOptions): CatchUpPackage {
  const { record, low, high, height = 0, stateHash = NO_HASH } = options;
  checkTranscript(record, low, "low", height);
  checkTranscript(record, high, "high", height);
  const { protocolVersion } = record;
  const block = genesisBlock(options, genesisSummary(record, low, high, height), height);
  const beacon = {
    kind: "random-beacon" as const,
    protocolVersion,
    height,
    parent: NO_HASH,
    dkgId: low.dkgId,
    signature: new Uint8Array(),
  };
  return {
    kind: "catch-up-package",
    protocolVersion,
    height,
    block,
    beacon,
    stateHash,
    oldestRegistryVersionInUse: record.version,
    signature: new Uint8Array(),
  };
}

/** Whether nobody signed a package: it counts only when it comes from the operator, never from a peer. */
export function isUnsigned(cup: CatchUpPackage): boolean {
  return cup.signature.length === 0;
}

function genesisBlock({ record, time }: GenesisOptions, summary: DkgSummary, height: Height): Block {
  const payload: Payload = { kind: "summary", summary };
  return {
    protocolVersion: record.protocolVersion,
    height,
    parent: NO_HASH,
    payloadHash: payloadHash(payload),
    payload,
    rank: 0,
    context: { registryVersion: record.version, certifiedHeight: height, time },
  };
}

// The first two intervals have the length that the record says: a change needs a summary to be seen in.
function genesisSummary(record: RegistryRecord, low: DkgTranscript, high: DkgTranscript, height: Height): DkgSummary {
  const length = record.settings.dkgIntervalLength;
  return {
    height,
    registryVersion: record.version,
    intervalLength: length,
    nextIntervalLength: length,
    configs: localConfigs({
      subnetId: record.subnetId,
      startHeight: height,
      nodes: memberIds(record),
      registryVersion: record.version,
      high,
    }),
    current: [low, high],
    next: [],
    remote: [],
    attempts: [],
  };
}

/** The nodes of the subnet, sorted. */
export function memberIds(record: RegistryRecord): readonly PrincipalId[] {
  return record.nodes.map(({ nodeId }) => nodeId).sort();
}

function checkTranscript(record: RegistryRecord, transcript: DkgTranscript, tag: DkgTag, height: Height): void {
  if (transcript.dkgId.tag !== tag)
    throw badGenesis(`a transcript of the ${transcript.dkgId.tag} key stands in for ${tag}`);
  const { dealerSubnet, target, startHeight } = transcript.dkgId;
  if (dealerSubnet === record.subnetId && target === undefined && startHeight === height)
    throw badGenesis(`the initial ${tag} key has the id of the one that the subnet makes next`);
  const members = memberIds(record);
  const { receivers } = transcript;
  if (receivers.length !== members.length || receivers.some((node, i) => node !== members[i]))
    throw badGenesis(`the ${tag} key was dealt to other nodes than the registry record names`);
  if (transcript.coefficients.length !== transcript.threshold)
    throw badGenesis(
      `the ${tag} key has ${transcript.coefficients.length} coefficients for a threshold of ${transcript.threshold}`,
    );
}

function badGenesis(what: string): EnvironmentError {
  return new EnvironmentError("bad-genesis", `The subnet cannot begin like this: ${what}.`);
}
