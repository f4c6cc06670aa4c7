// Who may call which method of the management canister, and how: every method, every kind of caller, every channel,
// on a subnet with and without admins. Written from the specification's method descriptions (0.66) and the replica's
// tests; the texts are the replica's, by which clients recognise a refusal.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { submitManagementCall } from "@atoll/execution";
import { managementMethods } from "@atoll/execution/management/methods";
import type { CanisterState } from "@atoll/state";
import { type CanisterId, MANAGEMENT_CANISTER, type PrincipalId, principalToText, type UserError } from "@atoll/types";
import { sampleArgs } from "./sample-args.ts";
import {
  ALICE,
  BOB,
  filter,
  newCanisterOf,
  newSubnet,
  queryRaw,
  sendRaw,
  type TestSubnet,
  takeResponses,
} from "./subnet.ts";

const ADMIN = "ad".repeat(28).concat("02") as PrincipalId;
const VIEWER = "71".repeat(28).concat("02") as PrincipalId;
const ANONYMOUS = "04" as PrincipalId;
const users = { anonymous: ANONYMOUS, stranger: BOB, controller: ALICE, viewer: VIEWER, admin: ADMIN };
type User = keyof typeof users;
type Canister = "other" | "itself" | "controlling";
const canisters: readonly Canister[] = ["other", "itself", "controlling"];

/** "ok": the method itself decides what to answer. */
type Expected = "ok" | readonly [code: number, text: string];
interface Case {
  readonly method: string;
  readonly hasAdmins: boolean;
  readonly caller: string;
  readonly target: CanisterId;
}
type Rule<Caller> = (caller: Caller, facts: Case) => Expected;

const notController = ({ target }: Case): Expected => [
  512,
  `Only the controllers of the canister ${principalToText(target)} can control it.`,
];
const notAdministrator = (facts: Case): Expected =>
  facts.hasAdmins
    ? [
        541,
        `Only the controllers of the canister ${principalToText(facts.target)} or subnet admins can perform certain`,
      ]
    : notController(facts);
const notAdmin: Expected = [410, "Only the subnet admins can perform certain actions."];
const onlyCanisters = ({ method }: Case): Expected => [406, `Only canisters can call ic00 method ${method}`];

const ingress: Record<string, Rule<User>> = {
  controllers: (user, { method, target }) =>
    user === "controller"
      ? "ok"
      : [512, `Only controllers of canister ${principalToText(target)} can call ic00 method ${method}`],
  administrators: (user, facts) =>
    user === "controller" || (user === "admin" && facts.hasAdmins) ? "ok" : notAdministrator(facts),
  statusViewers: (user, facts) => (user === "viewer" ? "ok" : (ingress.administrators as Rule<User>)(user, facts)),
  snapshotViewers: (user, { method, caller }) =>
    user === "controller" || user === "viewer" ? "ok" : [406, `Caller ${caller} is not allowed to call ${method}`],
  creation: (user, facts) => (facts.hasAdmins ? (user === "admin" ? "ok" : notAdmin) : onlyCanisters(facts)),
  closed: (_, { method }) => [406, `ic00 method ${method} can not be called via ingress messages`],
  canisters: (_, facts) => onlyCanisters(facts),
  everybody: () => "ok",
  unknown: (_, { method }) => [536, `ic00 interface does not expose method ${method}`],
};

const calls: Record<string, Rule<Canister>> = {
  everybody: () => "ok",
  controllers: (who, facts) => (who === "controlling" ? "ok" : notController(facts)),
  controllersAndItself: (who, facts) => (who === "other" ? notController(facts) : "ok"),
  administrators: (who, facts) => (who === "controlling" ? "ok" : notAdministrator(facts)),
  administratorsAndItself: (who, facts) => (who === "other" ? notAdministrator(facts) : "ok"),
  deletion: (who, facts) =>
    who === "itself"
      ? [512, `Canister ${principalToText(facts.target)} cannot delete itself.`]
      : (calls.administrators as Rule<Canister>)(who, facts),
  snapshotViewers: (who, { method, caller }) =>
    who === "controlling" ? "ok" : [406, `Caller ${caller} is not allowed to call ${method}`],
  migration: (who, facts) =>
    who === "controlling" ? [406, "The caller is not authorized to call this method."] : notController(facts),
  registry: (_, { method, caller }) => [504, `${method} is called by ${caller}. It can only be called by NNS.`],
  queriesOnly: () => [406, "fetch_canister_logs API is only accessible to end users in non-replicated mode"],
  unknown: (_, { method }) => [536, `IC0536: Management canister has no method '${method}'`],
};

const queries: Record<string, Rule<User>> = {
  statusViewers: ingress.statusViewers as Rule<User>,
  administrators: ingress.administrators as Rule<User>,
  logViewers: (user, { caller }) =>
    user === "controller" || user === "viewer"
      ? "ok"
      : [406, `Caller ${caller} is not allowed to access canister logs`],
  admins: (user, { hasAdmins }) =>
    hasAdmins
      ? user === "admin"
        ? "ok"
        : notAdmin
      : [406, "list_canisters is only available on subnets with subnet admins"],
  unknown: (_, { method }) => [536, `Query method ${method} not found.`],
};

/** Method: by ingress messages, by canisters, in queries. */
const table: Record<string, readonly [keyof typeof ingress, keyof typeof calls, (keyof typeof queries)?]> = {
  create_canister: ["creation", "everybody"],
  update_settings: ["controllers", "controllers"],
  install_code: ["controllers", "controllers"],
  install_chunked_code: ["controllers", "controllers"],
  upload_chunk: ["controllers", "controllersAndItself"],
  stored_chunks: ["controllers", "controllersAndItself"],
  clear_chunk_store: ["controllers", "controllersAndItself"],
  uninstall_code: ["administrators", "administrators"],
  start_canister: ["administrators", "administrators"],
  stop_canister: ["administrators", "administrators"],
  delete_canister: ["administrators", "deletion"],
  canister_status: ["statusViewers", "administratorsAndItself", "statusViewers"],
  canister_metrics: ["administrators", "administrators", "administrators"],
  canister_info: ["canisters", "everybody"],
  canister_metadata: ["canisters", "everybody"],
  rename_canister: ["canisters", "migration"],
  deposit_cycles: ["closed", "everybody"],
  raw_rand: ["closed", "everybody"],
  http_request: ["closed", "everybody"],
  ecdsa_public_key: ["closed", "everybody"],
  sign_with_ecdsa: ["closed", "everybody"],
  schnorr_public_key: ["closed", "everybody"],
  sign_with_schnorr: ["closed", "everybody"],
  vetkd_public_key: ["closed", "everybody"],
  vetkd_derive_key: ["closed", "everybody"],
  bitcoin_get_balance: ["closed", "everybody"],
  bitcoin_get_utxos: ["closed", "everybody"],
  bitcoin_get_current_fee_percentiles: ["closed", "everybody"],
  bitcoin_get_block_headers: ["closed", "everybody"],
  bitcoin_send_transaction: ["closed", "everybody"],
  node_metrics_history: ["closed", "everybody"],
  subnet_info: ["closed", "everybody"],
  setup_initial_dkg: ["closed", "registry"],
  fetch_canister_logs: ["closed", "queriesOnly", "logViewers"],
  list_canisters: ["unknown", "unknown", "admins"],
  provisional_create_canister_with_cycles: ["everybody", "everybody"],
  provisional_top_up_canister: ["everybody", "everybody"],
  take_canister_snapshot: ["controllers", "controllers"],
  load_canister_snapshot: ["controllers", "controllers"],
  delete_canister_snapshot: ["controllers", "controllers"],
  upload_canister_snapshot_metadata: ["controllers", "controllers"],
  upload_canister_snapshot_data: ["controllers", "controllers"],
  list_canister_snapshots: ["snapshotViewers", "snapshotViewers"],
  read_canister_snapshot_metadata: ["snapshotViewers", "snapshotViewers"],
  read_canister_snapshot_data: ["snapshotViewers", "snapshotViewers"],
};

interface Stage {
  readonly subnet: TestSubnet;
  readonly target: CanisterState;
  readonly caller: Readonly<Record<Canister, CanisterState>>;
  readonly args: ReadonlyMap<string, Uint8Array>;
}

function stage(hasAdmins: boolean): Stage {
  const subnet = newSubnet(hasAdmins ? { subnetAdmins: [ADMIN] } : {});
  const [target, other, controlling] = [ALICE, BOB, BOB].map((owner) => newCanisterOf(subnet, owner)) as [
    CanisterState,
    CanisterState,
    CanisterState,
  ];
  const viewers = { kind: "allowed_viewers", viewers: [VIEWER] } as const;
  target.settings = {
    ...target.settings,
    controllers: [ALICE, controlling.id].sort(),
    logVisibility: viewers,
    statusVisibility: viewers,
    snapshotVisibility: viewers,
  };
  return { subnet, target, caller: { other, itself: target, controlling }, args: sampleArgs(target.id) };
}

const ACCESS_CODES = [512, 541, 410];

/** A canister gets the reject code, the first digit of what a user gets. */
type Refusal = Pick<UserError, "message"> & { readonly code: number };

function check(error: Refusal | undefined, expected: Expected, label: string): void {
  if (expected === "ok") {
    const isRefused =
      error !== undefined && (ACCESS_CODES.includes(error.code) || /can(not)? be called|^Only /.test(error.message));
    assert.ok(!isRefused, `${label}: ${error?.message}`);
    return;
  }
  const [code, text] = expected;
  assert.ok(error !== undefined, `${label} was not refused`);
  assert.equal(error.code, error.code < 10 ? Math.floor(code / 100) : code, `${label}: ${error.message}`);
  assert.ok(error.message.startsWith(text), `${label}: ${error.message}`);
}

for (const hasAdmins of [false, true]) {
  describe(hasAdmins ? "on a subnet with admins" : "on a subnet without admins", () => {
    for (const [method, [byIngress, byCall, inQuery]] of Object.entries(table)) {
      const facts = (target: CanisterId, caller: string): Case => ({ method, hasAdmins, caller, target });

      test(`${method} by ingress messages: ${byIngress}`, () => {
        let current = stage(hasAdmins);
        for (const [user, sender] of Object.entries(users) as [User, PrincipalId][]) {
          const { subnet, target, args } = current;
          const arg = args.get(method) as Uint8Array;
          const expected = (ingress[byIngress] as Rule<User>)(user, facts(target.id, principalToText(sender)));
          check(filter(subnet, sender, method, arg), expected, `${method} by ${user}, filter`);
          // What the filter lets pass the method does not refuse for who it is; what it refuses has no effect.
          const status = sendRaw(subnet, sender, method, arg)();
          const error = status.state === "rejected" ? status.error : undefined;
          if (expected === "ok") {
            check(error, "ok", `${method} by ${user}`);
            current = stage(hasAdmins);
          } else assert.ok(error !== undefined, `${method} by ${user} was executed`);
        }
      });

      test(`${method} by canisters: ${byCall}`, () => {
        for (const who of canisters) {
          const { subnet, target, caller, args } = stage(hasAdmins);
          const sender = caller[who];
          const arg = args.get(method) as Uint8Array;
          const expected = (calls[byCall] as Rule<Canister>)(who, facts(target.id, principalToText(sender.id)));
          check(answerTo(subnet, sender, method, arg), expected, `${method} by ${who}`);
        }
      });

      test(`${method} in queries: ${inQuery ?? "unknown"}`, () => {
        const { subnet, target, args } = stage(hasAdmins);
        for (const [user, sender] of Object.entries(users) as [User, PrincipalId][]) {
          const rule = queries[inQuery ?? "unknown"] as Rule<User>;
          const expected = rule(user, facts(target.id, principalToText(sender)));
          const result = queryRaw(subnet, sender, method, args.get(method) as Uint8Array);
          check(result.kind === "rejected" ? result.error : undefined, expected, `${method} by ${user}`);
          if (expected === "ok") assert.equal(result.kind, "replied");
        }
      });
    }
  });
}

/** The error that a canister gets, or undefined: a reply, or none yet. */
function answerTo(subnet: TestSubnet, sender: CanisterState, method: string, arg: Uint8Array): Refusal | undefined {
  const request = {
    ...({
      kind: "request",
      sender: sender.id,
      receiver: MANAGEMENT_CANISTER,
      callbackId: 1,
      payment: 10n ** 15n,
    } as const),
    ...{ methodName: method, arg, deadlineSeconds: 0, senderVersion: sender.version },
  };
  submitManagementCall(subnet.round, { kind: "canister", request }, method, arg);
  const [response] = takeResponses(sender);
  if (response === undefined || response.payload.kind === "reply") return undefined;
  assert.equal(response.refund, 10n ** 15n, "a refused call gives all its cycles back");
  return response.payload;
}

test("the table has every method", () => {
  const known = Object.keys(table).filter((name) => name !== "list_canisters");
  assert.deepEqual(known.sort(), Object.keys(managementMethods).sort());
});

test("nobody can call what is on a property of every object", () => {
  const { subnet, target } = stage(false);
  for (const name of ["constructor", "toString", "__proto__", ""]) {
    assert.equal(filter(subnet, ALICE, name, new Uint8Array())?.code, 536);
    const result = queryRaw(subnet, ALICE, name, new Uint8Array());
    assert.ok(result.kind === "rejected" && result.error.code === 536);
    assert.equal(answerTo(subnet, target, name, new Uint8Array())?.code, 5);
  }
});
