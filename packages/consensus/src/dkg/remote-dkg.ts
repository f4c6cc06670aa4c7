// Keys for subnets that do not exist yet: existing nodes deal to nodes that need not even run. A request waits in the
// replicated state; its keys are made within an interval, one request at a time, tried again in later intervals, and given
// up in the end; who asked is told the outcome either way. Sections 12.2 and 15.
import { type Height, type PrincipalId, type RegistryPort, toHex } from "@atoll/types";
import { MAX_DKG_CONFIGS } from "../bounds.ts";
import type { ConsensusCrypto } from "../consensus-crypto.ts";
import type { DkgConfig, DkgSummary, DkgTag, DkgTranscript, RemoteDkgResult } from "../dkg-types.ts";
import type { RemoteDkgRequest } from "../ports.ts";
import { dkgKey, generationKey, nodeRecord } from "./dkg-keys.ts";
import { memberIds } from "./genesis.ts";
import type { IntervalChain } from "./interval-chain.ts";
import { freshConfig } from "./local-configs.ts";
import { transcriptOnChain } from "./transcripts.ts";

/** Intervals in which the keys of one request are tried. */
export const MAX_REMOTE_DKG_ATTEMPTS = 5;
/** Requests that are worked on in one interval. */
const MAX_REMOTE_DKGS_PER_INTERVAL = 1;
const TAGS: readonly DkgTag[] = ["low", "high"];

/** What is said to who asked when the keys could not be made in any of the intervals. */
const GIVEN_UP = "Attempts to run this DKG repeatedly failed";

export interface RemoteDkgOptions {
  readonly crypto: ConsensusCrypto;
  readonly registry: RegistryPort;
  readonly subnetId: PrincipalId;
  /** Of the summary that is being made, and the version of the registry that its block names. */
  readonly height: Height;
  readonly registryVersion: number;
  /** The interval that ends. */
  readonly chain: IntervalChain;
  /** Those that wait in the certified state that the block names, in the order in which they came. */
  readonly requests: readonly RemoteDkgRequest[];
}

export type RemoteDkgs = Pick<DkgSummary, "configs" | "remote" | "attempts">;

/** What a summary says of other subnets' keys. Undefined: a version of the registry is not known here yet. */
export function remoteDkgs(options: RemoteDkgOptions): RemoteDkgs | undefined {
  const previous = options.chain.summary.payload.summary;
  const done = completedTargets(options.chain);
  const remote: RemoteDkgResult[] = [];
  const waiting: { readonly target: Uint8Array; readonly configs: readonly DkgConfig[] }[] = [];
  const attempts: { target: Uint8Array; count: number }[] = [];
  for (const request of options.requests) {
    const { target, registryVersion } = request;
    if (registryVersion > options.registryVersion || done.has(toHex(target))) continue;
    if (remote.length + TAGS.length > MAX_DKG_CONFIGS) break;
    const configs = remoteConfigs(options, request);
    if (configs === undefined) return undefined;
    const before = previous.attempts.find((entry) => toHex(entry.target) === toHex(target));
    if (before !== undefined) attempts.push({ ...before });
    if (typeof configs === "string") {
      remote.push(...failures(options, request, TAGS, configs));
      continue;
    }
    const { results, open } = outcome(options, configs);
    remote.push(...results);
    if (open.length === 0) continue;
    if ((before?.count ?? 0) < MAX_REMOTE_DKG_ATTEMPTS) waiting.push({ target, configs: open });
    else remote.push(...open.map(({ dkgId }) => ({ dkgId, transcript: undefined, failure: GIVEN_UP })));
  }
  const chosen = waiting.slice(0, MAX_REMOTE_DKGS_PER_INTERVAL);
  for (const { target } of chosen) countAttempt(attempts, target);
  return { configs: chosen.flatMap(({ configs }) => configs), remote, attempts: attempts.slice(0, MAX_DKG_CONFIGS) };
}

/**
 * Keys whose dealings are complete before the interval ends, so that nobody waits for its end: both keys of one request, or
 * nothing. `requests`: as they wait in the certified state that the block names.
 */
export function earlyRemoteDkgs(
  crypto: ConsensusCrypto,
  chain: IntervalChain,
  requests: readonly RemoteDkgRequest[],
): readonly RemoteDkgResult[] {
  for (const { target } of requests) {
    const configs = chain.summary.payload.summary.configs.filter(
      ({ dkgId }) => dkgId.target !== undefined && toHex(dkgId.target) === toHex(target),
    );
    const isComplete = configs.every(
      ({ dkgId, collectionThreshold }) =>
        !chain.completed.has(dkgKey(dkgId)) && (chain.dealings.get(dkgKey(dkgId))?.length ?? 0) >= collectionThreshold,
    );
    if (configs.length === TAGS.length && isComplete)
      return configs.map((config) => resultOf(config, transcriptOnChain(crypto, chain, config)));
  }
  return [];
}

/** The results that can be told to who asked: all keys of a target, or that one of them cannot be made. */
export function completeRemoteDkgs(results: readonly RemoteDkgResult[]): readonly RemoteDkgResult[] {
  const complete = new Set<string>();
  for (const { dkgId } of results) {
    const ofTarget = results.filter((other) => targetOf(other) === targetOf({ dkgId }));
    if (ofTarget.length === TAGS.length || ofTarget.some(({ transcript }) => transcript === undefined))
      complete.add(targetOf({ dkgId }));
  }
  return results.filter((result) => complete.has(targetOf(result)));
}

/** Text: why there can be none. Undefined: not known yet. */
function remoteConfigs(
  { registry, subnetId, height, registryVersion }: RemoteDkgOptions,
  request: RemoteDkgRequest,
): readonly DkgConfig[] | string | undefined {
  const asked = registry.record(request.registryVersion);
  const now = registry.record(registryVersion);
  if (asked === undefined || now === undefined) return undefined;
  const receivers = [...new Set(request.receivers)].sort();
  if (receivers.length === 0) return "there are no nodes to deal to";
  const unknown = receivers.filter((node) => nodeRecord(asked, node) === undefined);
  if (unknown.length > 0) return `${unknown.length} of the nodes are not in version ${asked.version} of the registry`;
  return TAGS.map((tag) =>
    freshConfig(
      { startHeight: height, dealerSubnet: subnetId, tag, target: request.target },
      memberIds(now),
      receivers,
      asked.version,
    ),
  );
}

// A key that was made in an earlier interval waits in the summaries until the other one is there too.
function outcome(
  { crypto, chain }: RemoteDkgOptions,
  configs: readonly DkgConfig[],
): { readonly results: readonly RemoteDkgResult[]; readonly open: readonly DkgConfig[] } {
  const { configs: tried, remote: earlier } = chain.summary.payload.summary;
  const results: RemoteDkgResult[] = [];
  const open: DkgConfig[] = [];
  for (const config of configs) {
    const wanted = generationKey(config.dkgId);
    const carried = earlier.find(({ dkgId }) => generationKey(dkgId) === wanted);
    const attempt = tried.find(({ dkgId }) => generationKey(dkgId) === wanted);
    const transcript = attempt && transcriptOnChain(crypto, chain, attempt);
    if (carried !== undefined) results.push(carried);
    else if (attempt !== undefined && transcript !== undefined) results.push(resultOf(attempt, transcript));
    else open.push(config);
  }
  return { results, open };
}

function resultOf({ dkgId }: DkgConfig, transcript: DkgTranscript | undefined): RemoteDkgResult {
  return { dkgId, transcript, failure: transcript === undefined ? "The dealings do not fit together" : "" };
}

function failures(
  { subnetId, height }: RemoteDkgOptions,
  { target }: RemoteDkgRequest,
  tags: readonly DkgTag[],
  why: string,
): RemoteDkgResult[] {
  return tags.map((tag) => ({
    dkgId: { startHeight: height, dealerSubnet: subnetId, tag, target },
    transcript: undefined,
    failure: why,
  }));
}

function completedTargets({ summary, completed }: IntervalChain): ReadonlySet<string> {
  const ids = summary.payload.summary.configs.map(({ dkgId }) => dkgId);
  return new Set(ids.filter((id) => completed.has(dkgKey(id))).map((dkgId) => targetOf({ dkgId })));
}

function targetOf({ dkgId }: Pick<RemoteDkgResult, "dkgId">): string {
  return dkgId.target === undefined ? "" : toHex(dkgId.target);
}

function countAttempt(attempts: { target: Uint8Array; count: number }[], target: Uint8Array): void {
  const known = attempts.find((entry) => toHex(entry.target) === toHex(target));
  if (known === undefined) attempts.push({ target, count: 1 });
  else known.count++;
}
