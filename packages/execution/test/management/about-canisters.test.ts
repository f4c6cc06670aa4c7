// What canisters may ask about canisters and the subnet: canister_info with the history, canister_metadata,
// subnet_info, node_metrics_history, rename_canister. Specification, methods of these names; checklist 4.1, 4.4.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { observeBlockmaker } from "@atoll/execution/node-metrics";
import type { CanisterState } from "@atoll/state";
import { canisterIdFromIndex, fromHex, type PrincipalId, principalFromText, toHex } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { type MethodName, methods } from "./interface.ts";
import {
  ALICE,
  BOB,
  call,
  callAsCanister,
  ids,
  NO_SETTINGS,
  newCanisterOf,
  newSubnet,
  principal,
  SUBNET,
  sha256,
  type TestSubnet,
  takeResponses,
} from "./subnet.ts";

/** The decoded answer to a canister, or the text of the reject. */
// biome-ignore lint/suspicious/noExplicitAny: results have the shape that the specification gives them.
function ask(subnet: TestSubnet, canister: CanisterState, method: MethodName, arg: unknown): any {
  callAsCanister(subnet, canister, method, arg);
  const [response] = takeResponses(canister);
  assert.ok(response !== undefined);
  if (response.payload.kind === "reject") return response.payload.message;
  return IDL.decode([...methods[method].result], response.payload.data)[0];
}

describe("canister_info", () => {
  const info = (subnet: TestSubnet, asker: CanisterState, about: CanisterState, changes: bigint[] = []) =>
    ask(subnet, asker, "canister_info", { ...ids(about), num_requested_changes: changes });

  test("any canister learns controllers, module and the latest changes of any other", () => {
    const subnet = newSubnet();
    const [asker, other] = [newCanisterOf(subnet, ALICE), newCanisterOf(subnet, BOB)];
    const update = { ...ids(other), settings: { ...NO_SETTINGS, controllers: [[principal(ALICE)]] } };
    call(subnet, BOB, "update_settings", { ...update, sender_canister_version: [] });
    call(subnet, ALICE, "uninstall_code", { ...ids(other), sender_canister_version: [] });
    const none = info(subnet, asker, other);
    assert.deepEqual(none, {
      total_num_changes: 3n,
      recent_changes: [],
      module_hash: [],
      controllers: [principal(ALICE)],
    });
    const timestamp_nanos = subnet.state.time;
    const by = (id: PrincipalId) => ({ from_user: { user_id: principal(id) } });
    const all = [
      {
        ...{ timestamp_nanos, canister_version: 0n, origin: by(BOB) },
        details: { creation: { controllers: [principal(BOB)], environment_variables_hash: [] } },
      },
      {
        ...{ timestamp_nanos, canister_version: 1n, origin: by(BOB) },
        details: { controllers_change: { controllers: [principal(ALICE)] } },
      },
      { ...{ timestamp_nanos, canister_version: 2n, origin: by(ALICE) }, details: { code_uninstall: null } },
    ];
    assert.deepEqual(info(subnet, asker, other, [2n]).recent_changes, all.slice(1));
    assert.deepEqual(info(subnet, asker, other, [2n ** 64n - 1n]).recent_changes, all);
  });

  test("shows each kind of change, and canisters as their origin", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    const origin = { kind: "canister", canisterId: canister.id, canisterVersion: 7 } as const;
    const time = subnet.state.time;
    const snapshot = { snapshotId: "0102", canisterVersion: 3, takenAt: 9n } as const;
    canister.history = {
      total: 40,
      entries: [
        { kind: "code_deployment", mode: "upgrade", moduleHash: "ab".repeat(32) } as const,
        { kind: "load_snapshot", ...snapshot, source: "metadata_upload" } as const,
        { kind: "load_snapshot", ...snapshot, source: "taken_from_canister", fromCanisterId: canister.id } as const,
      ].map((change, i) => ({ time, canisterVersion: i, origin, change })),
    };
    const seen = info(subnet, canister, canister, [20n]);
    assert.equal(seen.total_num_changes, 40n);
    assert.deepEqual(seen.recent_changes[0].origin, {
      from_canister: { canister_id: principal(canister.id), canister_version: [7n] },
    });
    const loaded = { snapshot_id: Uint8Array.of(1, 2), canister_version: 3n, taken_at_timestamp: 9n };
    assert.deepEqual(
      seen.recent_changes.map((change: { details: object }) => change.details),
      [
        { code_deployment: { mode: { upgrade: null }, module_hash: fromHex("ab".repeat(32)) } },
        { load_snapshot: { ...loaded, from_canister_id: [], source: { metadata_upload: null } } },
        {
          load_snapshot: {
            ...loaded,
            from_canister_id: [principal(canister.id)],
            source: { taken_from_canister: null },
          },
        },
      ],
    );
  });

  test("the creation has the hash of the environment variables, if there were any given", () => {
    const subnet = newSubnet();
    const hashOf = (variables: { name: string; value: string }[]) => {
      const canister = newCanisterOf(subnet, ALICE, { environment_variables: [variables] });
      return info(subnet, canister, canister, [1n]).recent_changes[0].details.creation.environment_variables_hash;
    };
    const text = (value: string) => toHex(sha256(new TextEncoder().encode(value)));
    const pairs = [text("b") + text("2"), text("ä") + text("")].sort();
    const expected = sha256(fromHex(pairs.join("")));
    const variables = [
      { name: "ä", value: "" },
      { name: "b", value: "2" },
    ];
    assert.deepEqual(hashOf(variables), [expected]);
    assert.deepEqual(hashOf(variables.toReversed()), [expected]);
    assert.deepEqual(hashOf([]), [sha256(new Uint8Array())]);
  });

  test("of nobody", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    const nobody = { id: canisterIdFromIndex(0x70n) } as CanisterState;
    assert.match(info(subnet, canister, nobody), /^Canister \S+ not found/);
  });
});

test("environment variables are in the order of their names' bytes", () => {
  const subnet = newSubnet();
  // UTF-16 puts the surrogates of the second before the first.
  const names = ["\u{ffff}", "\u{10000}", "a"];
  const variables = names.map((name) => ({ name, value: "" }));
  const canister = newCanisterOf(subnet, ALICE, { environment_variables: [variables] });
  assert.deepEqual(
    canister.settings.environmentVariables.map(({ name }) => name),
    ["a", "\u{ffff}", "\u{10000}"],
  );
});

describe("canister_metadata", () => {
  const withModule = (subnet: TestSubnet, owner: PrincipalId): CanisterState => {
    const canister = newCanisterOf(subnet, owner);
    const metadata = [
      { name: "open", isPublic: true, content: Uint8Array.of(1, 2) },
      { name: "closed", isPublic: false, content: Uint8Array.of(3) },
    ];
    const bytes = new Uint8Array();
    const hash = "ee".repeat(32);
    const stored = {
      hash,
      uploaded: bytes,
      prepared: bytes,
      description: {},
      summary: { hasHeartbeat: false, metadata },
    };
    subnet.state.modules.use(stored, canister.id);
    canister.execution = { moduleHash: hash } as CanisterState["execution"];
    return canister;
  };
  const metadata = (subnet: TestSubnet, asker: CanisterState, about: CanisterState, name: string) =>
    ask(subnet, asker, "canister_metadata", { ...ids(about), name });

  test("public sections are for all canisters, private ones for controllers", () => {
    const subnet = newSubnet();
    const [stranger, controller] = [newCanisterOf(subnet, BOB), newCanisterOf(subnet, BOB)];
    const canister = withModule(subnet, ALICE);
    canister.settings.controllers = [controller.id];
    assert.deepEqual(metadata(subnet, stranger, canister, "open"), { value: Uint8Array.of(1, 2) });
    assert.deepEqual(metadata(subnet, controller, canister, "closed"), { value: Uint8Array.of(3) });
    for (const [asker, name] of [
      [stranger, "closed"],
      [stranger, "none"],
      [controller, "none"],
    ] as const) {
      const text = metadata(subnet, asker, canister, name);
      assert.match(text, new RegExp(`^The canister \\S+ has no metadata section with the name ${name}\\.`));
    }
    const empty = metadata(subnet, controller, stranger, "open");
    assert.match(empty, /^The canister \S+ has no Wasm module and hence no metadata is available\./);
  });
});

test("subnet_info is about the subnet itself", () => {
  const subnet = newSubnet();
  const canister = newCanisterOf(subnet, ALICE);
  const info = ask(subnet, canister, "subnet_info", { subnet_id: principal(SUBNET) });
  assert.deepEqual(info, { replica_version: "0.1.0", registry_version: 1n });
  const other = ask(subnet, canister, "subnet_info", { subnet_id: principal(BOB) });
  assert.match(other, /^Provided target subnet ID \S+ does not match current subnet ID \S+\.$/);
});

describe("node_metrics_history", () => {
  const DAY = 86_400_000_000_000n;
  const MIDNIGHT = 20_000n * DAY;
  const [ONE, TWO] = ["11", "22"].map((byte) => byte.repeat(28).concat("02") as PrincipalId) as [
    PrincipalId,
    PrincipalId,
  ];
  const history = (subnet: TestSubnet, canister: CanisterState, start: bigint) =>
    ask(subnet, canister, "node_metrics_history", {
      subnet_id: principal(SUBNET),
      start_at_timestamp_nanos: start,
    });
  const block = ({ state }: TestSubnet, time: bigint, proposer: PrincipalId, failed: PrincipalId[] = []) => {
    state.time = time;
    observeBlockmaker(state, { proposer, failed });
  };

  test("has a sample for each day that is over, taken at its last block", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    block(subnet, MIDNIGHT + 1n, ONE);
    block(subnet, MIDNIGHT + DAY - 1n, TWO, [ONE]);
    assert.deepEqual(history(subnet, canister, 0n), []);
    block(subnet, MIDNIGHT + DAY, ONE);
    block(subnet, MIDNIGHT + 2n * DAY, ONE);
    const entry = (node: PrincipalId, proposed: bigint, failures: bigint) => ({
      ...{ node_id: principal(node), num_blocks_proposed_total: proposed, num_block_failures_total: failures },
    });
    const days = [
      { timestamp_nanos: MIDNIGHT + DAY - 1n, node_metrics: [entry(ONE, 1n, 1n), entry(TWO, 1n, 0n)] },
      // The second node did nothing that day.
      { timestamp_nanos: MIDNIGHT + DAY, node_metrics: [entry(ONE, 2n, 1n)] },
    ];
    assert.deepEqual(history(subnet, canister, 0n), days);
    assert.deepEqual(history(subnet, canister, MIDNIGHT + DAY), days.slice(1));
    // Whoever was forgotten begins again.
    block(subnet, MIDNIGHT + 2n * DAY + 1n, ONE, [TWO]);
    block(subnet, MIDNIGHT + 3n * DAY, ONE);
    const third = history(subnet, canister, MIDNIGHT + 2n * DAY)[0].node_metrics;
    assert.deepEqual(third, [entry(ONE, 4n, 1n), entry(TWO, 0n, 1n)]);
  });

  test("keeps sixty days", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    for (let day = 0n; day < 70n; day++) block(subnet, MIDNIGHT + day * DAY, ONE);
    const seen = history(subnet, canister, 0n);
    assert.equal(seen.length, 60);
    assert.equal(seen.at(-1).timestamp_nanos, MIDNIGHT + 68n * DAY);
    assert.equal(seen.at(-1).node_metrics[0].num_blocks_proposed_total, 69n);
  });

  test("is about the subnet itself", () => {
    const subnet = newSubnet();
    const canister = newCanisterOf(subnet, ALICE);
    const arg = { subnet_id: principal(BOB), start_at_timestamp_nanos: 0n };
    assert.match(ask(subnet, canister, "node_metrics_history", arg), /^Provided target subnet ID/);
  });
});

describe("rename_canister", () => {
  const rename = (subnet: TestSubnet, sender: CanisterState, target: CanisterState) =>
    ask(subnet, sender, "rename_canister", {
      ...ids(target),
      rename_to: { ...ids(target), version: 0n, total_num_changes: 0n },
      requested_by: principal(ALICE),
      sender_canister_version: BigInt(sender.version),
    });

  test("is for the root subnet's migration canister, for which it is not available yet", () => {
    const topology = { version: 1, rootSubnetId: BOB, subnets: [] };
    const elsewhere = newSubnet({ topology });
    const [one, two] = [newCanisterOf(elsewhere, ALICE), newCanisterOf(elsewhere, ALICE)];
    assert.match(rename(elsewhere, one, two), /^rename_canister is called by \S+\. It can only be called by NNS\.$/);
    const subnet = newSubnet({ canisterRanges: [[canisterIdFromIndex(0n), canisterIdFromIndex(0xffn)]] });
    const migration = principalFromText("sbzkb-zqaaa-aaaaa-aaaiq-cai") as PrincipalId;
    const specified_id = [principal(migration)];
    call(subnet, ALICE, "provisional_create_canister_with_cycles", {
      ...{ amount: [], settings: [], sender_canister_version: [], specified_id },
    });
    const sender = subnet.state.canisters.get(migration) as CanisterState;
    const target = newCanisterOf(subnet, ALICE, { controllers: [[principal(migration)]] });
    assert.equal(rename(subnet, sender, target), "rename_canister is not available in this version of Atoll");
  });
});
