// The kinds of subnets that a network can be asked for, and what a kind means: its type, its number of nodes, the
// canister ids it hosts. Subnets with a name of their own host the ids that they have on the public network, and have
// its subnet ids, so that canisters can be put where they are there. Contract of PocketIC's topology.
import {
  type CanisterId,
  type CanisterRange,
  canisterIdFromIndex,
  isInRange,
  type PrincipalId,
  principalFromText,
  type SubnetType,
} from "@atoll/types";

export type SubnetKind =
  | "nns"
  | "sns"
  | "ii"
  | "fiduciary"
  | "bitcoin"
  | "system"
  | "application"
  | "verified-application"
  | "cloud-engine"
  | "test-threshold-keys";

interface KindFacts {
  /** In PocketIC's descriptions of networks. */
  readonly label: string;
  readonly type: SubnetType;
  readonly nodes: number;
  /** Ids on the public network, as texts; a subnet of such a kind is the only one of its kind. */
  readonly named?: { readonly subnetId: string; readonly ranges: readonly (readonly [string, string])[] };
}

export const SUBNET_KINDS: Readonly<Record<SubnetKind, KindFacts>> = {
  nns: {
    label: "NNS",
    type: "system",
    nodes: 40,
    named: {
      subnetId: "tdb26-jop6k-aogll-7ltgs-eruif-6kk7m-qpktf-gdiqx-mxtrf-vb5e6-eqe",
      ranges: [
        ["rwlgt-iiaaa-aaaaa-aaaaa-cai", "renrk-eyaaa-aaaaa-aaada-cai"],
        ["qoctq-giaaa-aaaaa-aaaea-cai", "n5n4y-3aaaa-aaaaa-p777q-cai"],
      ],
    },
  },
  sns: {
    label: "SNS",
    type: "application",
    nodes: 34,
    named: {
      subnetId: "x33ed-h457x-bsgyx-oqxqf-6pzwv-wkhzr-rm2j3-npodi-purzm-n66cg-gae",
      ranges: [["ybpmr-kqaaa-aaaaq-aaaaa-cai", "ekjw2-zyaaa-aaaaq-p777q-cai"]],
    },
  },
  ii: {
    label: "II",
    type: "system",
    nodes: 34,
    named: {
      subnetId: "uzr34-akd3s-xrdag-3ql62-ocgoh-ld2ao-tamcv-54e7j-krwgb-2gm4z-oqe",
      ranges: [
        ["rdmx6-jaaaa-aaaaa-aaadq-cai", "rdmx6-jaaaa-aaaaa-aaadq-cai"],
        ["uc7f6-kaaaa-aaaaq-qaaaa-cai", "ijz7v-ziaaa-aaaaq-7777q-cai"],
      ],
    },
  },
  fiduciary: {
    label: "Fiduciary",
    type: "application",
    nodes: 34,
    named: {
      subnetId: "pzp6e-ekpqk-3c5x7-2h6so-njoeq-mt45d-h3h6c-q3mxf-vpeq5-fk5o7-yae",
      ranges: [["mf7xa-laaaa-aaaar-qaaaa-cai", "qoznl-yiaaa-aaaar-7777q-cai"]],
    },
  },
  bitcoin: {
    label: "Bitcoin",
    type: "system",
    nodes: 13,
    named: {
      subnetId: "w4rem-dv5e3-widiz-wbpea-kbttk-mnzfm-tzrc7-svcj3-kbxyb-zamch-hqe",
      ranges: [["g3wsl-eqaaa-aaaan-aaaaa-cai", "2qqia-xyaaa-aaaan-p777q-cai"]],
    },
  },
  system: { label: "System", type: "system", nodes: 13 },
  application: { label: "Application", type: "application", nodes: 13 },
  "verified-application": { label: "VerifiedApplication", type: "verified_application", nodes: 13 },
  "cloud-engine": { label: "CloudEngine", type: "cloud_engine", nodes: 13 },
  "test-threshold-keys": { label: "TestThresholdKeys", type: "application", nodes: 13 },
};

const TAKES_NEW: readonly SubnetKind[] = ["application", "cloud-engine", "verified-application", "system"];

/** The subnet that takes new canisters when nobody says which; undefined: there is none. */
export function defaultSubnetOf<T extends { readonly kind: SubnetKind }>(subnets: Iterable<T>): T | undefined {
  const all = [...subnets];
  for (const kind of TAKES_NEW) {
    const found = all.find((subnet) => subnet.kind === kind);
    if (found !== undefined) return found;
  }
  return all[0];
}

const IDS_PER_RANGE = 1n << 20n;
const LAST_RANGE = 0xffff_ffff_ffff_ffffn / IDS_PER_RANGE;

/** The subnet id of the kind on the public network. */
export function publicSubnetId(kind: SubnetKind): PrincipalId | undefined {
  const text = SUBNET_KINDS[kind].named?.subnetId;
  return text === undefined ? undefined : parse(text);
}

/** Ids of the kind on the public network; none where the kind has no place of its own there. */
export function publicRanges(kind: SubnetKind): readonly CanisterRange[] {
  return (SUBNET_KINDS[kind].named?.ranges ?? []).map(([first, last]) => [parse(first), parse(last)]);
}

/** The kind of subnet that hosts `id` on the public network; undefined: any that is not named. */
export function kindOfPublicId(id: CanisterId): SubnetKind | undefined {
  const kinds = Object.keys(SUBNET_KINDS) as SubnetKind[];
  return kinds.find((kind) => publicRanges(kind).some((range) => isInRange(range, id)));
}

/** The `number`-th range of ids that is nobody's on the public network, from the top of all ids downwards. */
export function freshRange(number: number): CanisterRange {
  const first = (LAST_RANGE - 1n - BigInt(number)) * IDS_PER_RANGE;
  return [canisterIdFromIndex(first), canisterIdFromIndex(first + IDS_PER_RANGE - 1n)];
}

function parse(text: string): PrincipalId {
  const id = principalFromText(text);
  if (id === undefined) throw new TypeError(`${text} is not a principal`);
  return id;
}
