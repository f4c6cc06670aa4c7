// The body of POST /instances: which subnets, and how the instance shall behave. Read, checked against the rules of the
// official server, and turned into what the engine takes; what is left out is refused in one sentence.
import type { SubnetKind, SubnetSpec } from "@atoll/pocket-ic";
import type { PrincipalId, Time } from "@atoll/types";
import { notSupported, Refusal } from "./answers.ts";
import type { Json } from "./json.ts";
import * as shape from "./shapes.ts";

export interface HttpsConfig {
  readonly certPath: string;
  readonly keyPath: string;
}

export interface GatewayOptions {
  readonly ipAddr: string | undefined;
  readonly port: number | undefined;
  readonly domains: readonly string[] | undefined;
  readonly https: HttpsConfig | undefined;
  readonly domainFile: string | undefined;
}

export interface InstanceOptions {
  readonly subnets: readonly SubnetSpec[];
  readonly stateDir: string | undefined;
  readonly startTime: Time | undefined;
  /** Automatic progress from the start. */
  readonly progress: { readonly delayMs: number } | undefined;
  readonly gateway: GatewayOptions | undefined;
}

interface StateConfig {
  readonly kind: "New" | "FromPath" | "FromBlobStore";
  readonly from?: string | Uint8Array;
}

interface RawSubnet {
  readonly state_config: StateConfig;
  readonly instruction_config: "production" | "benchmarking";
  readonly subnet_admins: readonly { readonly principal_id: PrincipalId }[] | undefined;
  readonly cost_schedule: "normal" | "free" | undefined;
}

/** The earliest time that an instance can begin at, and the one that it begins at when nobody says. */
export const FIRST_TIME: Time = 1_620_328_630_000_000_000n;
const LAST_TIME: Time = 0xffff_ffff_ffff_ffffn;
const MAX_SUBNETS = 256;

export const httpsConfig = shape.record({ cert_path: shape.text, key_path: shape.text });
export const gatewayFields = {
  ip_addr: shape.optional(shape.text),
  port: shape.optional(shape.port),
  domains: shape.optional(shape.list(shape.text)),
  https_config: shape.optional(httpsConfig),
  domain_custom_provider_local_file: shape.optional(shape.text),
};

export const progressConfig = shape.record({ artificial_delay_ms: shape.optional(shape.u64) });

const subnet: shape.Shape<RawSubnet> = shape.record({
  state_config: shape.variant<StateConfig>({
    New: shape.unit({ kind: "New" }),
    FromPath: (value, at) => ({ kind: "FromPath", from: shape.text(value, at) }),
    FromBlobStore: (value, at) => ({ kind: "FromBlobStore", from: shape.bytes(value, at) }),
  }),
  instruction_config: shape.variant<"production" | "benchmarking">({
    Production: shape.unit("production"),
    Benchmarking: shape.unit("benchmarking"),
  }),
  subnet_admins: shape.optional(shape.list(shape.record({ principal_id: shape.principal }))),
  cost_schedule: shape.optional(
    shape.variant<"normal" | "free">({ Normal: shape.unit("normal"), Free: shape.unit("free") }),
  ),
});

const NAMED = ["nns", "sns", "ii", "fiduciary", "bitcoin", "test_threshold_keys"] as const;
const NUMBERED = ["system", "application", "cloud_engine", "verified_application"] as const;

const one = shape.optional(subnet);
const many = shape.list(subnet);
const subnetSet = shape.record({
  nns: one,
  sns: one,
  ii: one,
  fiduciary: one,
  bitcoin: one,
  test_threshold_keys: one,
  system: many,
  application: many,
  cloud_engine: shape.optional(many),
  verified_application: many,
});

const flag = shape.optional(
  shape.variant<boolean>({ Enabled: shape.unit(true), Disabled: shape.unit<boolean>(false) }),
);
const FEATURES = [
  ...["registry", "cycles_minting", "icp_token", "cycles_token", "nns_governance", "sns"],
  ...["ii", "nns_ui", "bitcoin", "dogecoin", "canister_migration"],
];

const instance = shape.record({
  subnet_config_set: subnetSet,
  http_gateway_config: shape.optional(shape.record(gatewayFields)),
  state_dir: shape.optional(shape.text),
  icp_config: shape.optional(
    shape.record({
      beta_features: flag,
      function_name_length_limits: flag,
      canister_execution_rate_limiting: flag,
    }),
  ),
  log_level: shape.optional(shape.text),
  bitcoind_addr: shape.optional(shape.list(shape.text)),
  dogecoind_addr: shape.optional(shape.list(shape.text)),
  icp_features: shape.optional(
    shape.record<Record<string, unknown>>(
      Object.fromEntries(FEATURES.map((name) => [name, shape.optional(shape.anything)])),
    ),
  ),
  incomplete_state: flag,
  initial_time: shape.optional(
    shape.variant<{ time: Time } | { progress: { delayMs: number } }>({
      Timestamp: (value, at) => ({
        time: shape.record({ nanos_since_epoch: shape.u64 })(value, at).nanos_since_epoch,
      }),
      AutoProgress: (value, at) => ({ progress: { delayMs: progressDelay(progressConfig(value, at)) } }),
    }),
  ),
  mainnet_nns_subnet_id: shape.optional(shape.flag),
  disable_ingress_validation: shape.optional(shape.flag),
});

type RawInstance = ReturnType<typeof instance>;

/** `isReopened`: the state folder says which subnets there are. Throws a Refusal. */
export function readCreation(body: Json, isReopened: (stateDir: string) => boolean): InstanceOptions {
  const raw = instance(body, "");
  const isNew = raw.state_dir === undefined || !isReopened(raw.state_dir);
  const subnets = subnetsOf(raw);
  if (isNew) checkSubnets(raw, subnets);
  refuseLeftOut(raw, subnets);
  if (raw.log_level !== undefined && !LOG_LEVELS.test(raw.log_level)) {
    throw new Refusal(400, `Failed to parse log level: ${raw.log_level.slice(0, 40)}`);
  }
  const initial = raw.initial_time;
  const startTime = initial !== undefined && "time" in initial ? initial.time : undefined;
  if (startTime !== undefined && (startTime < FIRST_TIME || startTime > LAST_TIME / 2n)) {
    throw new Refusal(
      400,
      `The initial timestamp (unix timestamp in nanoseconds) must be no earlier than ${FIRST_TIME} (provided ${startTime}).`,
    );
  }
  return {
    subnets: subnets.map(([kind, spec]) => specOf(kind, spec, raw.mainnet_nns_subnet_id === true)),
    stateDir: raw.state_dir,
    startTime,
    progress: initial !== undefined && "progress" in initial ? initial.progress : undefined,
    gateway: raw.http_gateway_config && gatewayOptions(raw.http_gateway_config),
  };
}

export function gatewayOptions(raw: {
  readonly ip_addr: string | undefined;
  readonly port: number | undefined;
  readonly domains: readonly string[] | undefined;
  readonly https_config: ReturnType<typeof httpsConfig> | undefined;
  readonly domain_custom_provider_local_file: string | undefined;
}): GatewayOptions {
  const { https_config: https } = raw;
  return {
    ipAddr: raw.ip_addr,
    port: raw.port,
    domains: raw.domains,
    https: https && { certPath: https.cert_path, keyPath: https.key_path },
    domainFile: raw.domain_custom_provider_local_file,
  };
}

const LONGEST_DELAY_MS = 86_400_000n;

export function progressDelay({ artificial_delay_ms: delay = 0n }: ReturnType<typeof progressConfig>): number {
  return Number(delay < LONGEST_DELAY_MS ? delay : LONGEST_DELAY_MS);
}

const LOG_LEVELS = /^(crit(ical)?|erro(r)?|warn(ing)?|info|debg|debug|trce|trace)$/i;

function subnetsOf({ subnet_config_set: set }: RawInstance): [SubnetKind, RawSubnet][] {
  const named = NAMED.flatMap((name) => (set[name] === undefined ? [] : [[name, set[name]] as const]));
  const numbered = NUMBERED.flatMap((name) => (set[name] ?? []).map((spec) => [name, spec] as const));
  return [...named, ...numbered].map(([name, spec]) => [name.replaceAll("_", "-") as SubnetKind, spec]);
}

function checkSubnets({ icp_features: features }: RawInstance, subnets: readonly [SubnetKind, RawSubnet][]): void {
  const invalid = (why: string): Refusal => new Refusal(400, `Subnet config failed to validate: ${why}`);
  const ownRules = new Set<SubnetKind>(["application", "cloud-engine"]);
  const rented = "can only be specified for subnet of kind `Application` or `CloudEngine`";
  for (const [kind, { subnet_admins: admins, cost_schedule: schedule = "normal" }] of subnets) {
    if (admins !== undefined && !ownRules.has(kind)) throw invalid(`Subnet admins ${rented}`);
    if (schedule === "free" && !ownRules.has(kind)) throw invalid(`Non-default cost schedule ${rented}`);
    if (admins !== undefined && schedule !== "free") {
      throw invalid("Subnet admins can only be specified for subnet with cost schedule of kind `Free`");
    }
    if (kind === "cloud-engine" && schedule !== "free") {
      throw invalid("Every subnet of kind `CloudEngine` must have cost schedule of kind `Free`");
    }
  }
  const addsSubnets = Object.values(features ?? {}).some((feature) => feature !== undefined);
  if (subnets.length === 0 && !addsSubnets) throw invalid("ExtendedSubnetConfigSet must contain at least one subnet");
  if (subnets.length > MAX_SUBNETS) throw invalid(`an instance has at most ${MAX_SUBNETS} subnets`);
}

function refuseLeftOut(raw: RawInstance, subnets: readonly [SubnetKind, RawSubnet][]): void {
  const kinds = new Set(subnets.map(([, { state_config }]) => state_config.kind));
  if (kinds.has("FromBlobStore")) throw notSupported("a subnet's state from the blob store (FromBlobStore).");
  if (kinds.has("FromPath")) {
    throw notSupported("a subnet's state in the replica's own files (FromPath); use state_dir to keep an instance.");
  }
  const feature = Object.entries(raw.icp_features ?? {}).find(([, value]) => value !== undefined);
  if (feature !== undefined) throw notSupported(`the ICP feature ${feature[0]}; system canisters are not built in.`);
  for (const name of ["bitcoind_addr", "dogecoind_addr"] as const) {
    if ((raw[name]?.length ?? 0) > 0) throw notSupported(`${name}; there is no connection to other blockchains.`);
  }
  const config = raw.icp_config;
  if (config?.beta_features === true) throw notSupported("beta_features; there are none.");
  if (config?.function_name_length_limits === false) throw notSupported("function_name_length_limits: Disabled.");
  if (config?.canister_execution_rate_limiting === true) {
    throw notSupported("canister_execution_rate_limiting: Enabled; no rates are limited here.");
  }
  if (raw.disable_ingress_validation === true) {
    throw notSupported("disable_ingress_validation; signatures and expiry of requests to /api are always checked.");
  }
}

function specOf(kind: SubnetKind, raw: RawSubnet, hasPublicId: boolean): SubnetSpec {
  return {
    kind,
    instructions: raw.instruction_config,
    costSchedule: raw.cost_schedule ?? "normal",
    ...(raw.subnet_admins && { subnetAdmins: raw.subnet_admins.map(({ principal_id }) => principal_id) }),
    ...(kind === "nns" && hasPublicId && { publicId: true }),
  };
}
