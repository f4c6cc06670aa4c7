// The role of a dealer: for each key that the newest final summary asks for, one dealing, signed and sent to all. A node that
// still lacks its share of a key that is to be shared anew deals as soon as it has it. Section 12.3.
import type { Artifact } from "../artifacts.ts";
import type { DkgConfig, DkgSummary } from "../dkg-types.ts";
import type { Change } from "../pool.ts";
import type { Role, RoleContext } from "../role-context.ts";
import { dealingBytes } from "../signed-bytes.ts";
import { dkgKey, keysOf } from "./dkg-keys.ts";
import type { Pace } from "./pace.ts";
import { latestFinalizedSummary } from "./registry-version.ts";

/** How long to wait for a share or a version of the registry before asking again. In ns. */
const RETRY = 1_000_000_000n;

/** One instance per node: it remembers the summary that asks nothing more of it. */
export function dkgDealer(pace: Pace): Role {
  let done: DkgSummary | undefined;
  return (context) => {
    const { now, pool } = context;
    const { summary } = latestFinalizedSummary(pool).payload;
    if (summary === done) return [];
    const due = summary.configs.filter((config) => isDue(context, config));
    if (due.length === 0) done = summary;
    if (due.length === 0 || !pace.allows(context)) return [];
    for (const config of due) {
      const change = deal(context, config);
      if (change === undefined) continue;
      pace.note(context);
      return [change];
    }
    context.wakeAt({ wall: now.wall + RETRY, monotonic: now.monotonic + RETRY });
    return [];
  };
}

function isDue({ pool, self }: RoleContext, { dkgId, dealers }: DkgConfig): boolean {
  if (!dealers.includes(self)) return false;
  const key = dkgKey(dkgId);
  return !pool.validated
    .at("dkg-dealing", dkgId.startHeight)
    .some(({ artifact }) => artifact.dealer === self && dkgKey(artifact.dkgId) === key);
}

function deal({ crypto, registry, self, note }: RoleContext, config: DkgConfig): Change | undefined {
  const keys = keysOf(registry, config);
  const content = keys && crypto.createDealing(config, keys);
  if (content === undefined) return undefined;
  const { dkgId } = config;
  const message = { dkgId, dealer: self, content, signature: new Uint8Array() };
  const artifact: Artifact = { kind: "dkg-dealing", ...message, signature: crypto.signBasic(dealingBytes(message)) };
  note({ kind: "dkg", height: dkgId.startHeight, what: `dealt for the ${dkgId.tag} key` });
  return { kind: "add", artifact };
}
