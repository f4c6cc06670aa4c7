// Two subnets of four nodes each: their canisters call each other, and an unmodified agent believes the answers of both
// under the root key of the one; also while of each subnet one node is down, and one gives others altered slices or none.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { headerPath } from "@atoll/replica";
import { decodeStreamHeader, principalToBytes } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { canister } from "../../../execution/test/canisters/build.ts";
import { deploy, update } from "../network.ts";
import { ManyNodes } from "./many-nodes.ts";

let root: ManyNodes;
let other: ManyNodes;
/** What becomes of the slices that a node gives. */
const liars = new Map<string, (slice: Uint8Array) => Uint8Array | undefined>();
let lies = 0;
const canisters: Principal[] = [];

before(async () => {
  const subnets = await ManyNodes.startNetwork([4, 4], (node, slice) => {
    const lie = liars.get(node);
    if (lie === undefined) return slice;
    lies++;
    return lie(slice);
  });
  [root, other] = subnets as [ManyNodes, ManyNodes];
  const { wasm } = await canister("calls", { width: 32 });
  const deployed = subnets.map(async (subnet) => {
    const agent = await subnet.node(0).agent();
    await within("the subnet answers", async () => (await agent.status()).replica_health_status === "healthy");
    return deploy(agent, wasm, undefined, Principal.fromUint8Array(principalToBytes(subnet.range[0])));
  });
  canisters.push(...(await Promise.all(deployed)));
});
after(async () => {
  await Promise.all([root?.stop(), other?.stop()]);
});

async function within(what: string, isSo: () => boolean | Promise<boolean>, seconds = 60): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!(await isSo())) {
    if (Date.now() > end) assert.fail(`${what}: not within ${seconds} s; ${root.problems.join()}`);
    await setTimeout(20);
  }
}

/** The canister of one subnet calls the other one, or another id there, through a node of its own subnet. */
async function call(from: ManyNodes, method: string, callee?: Principal): Promise<unknown> {
  const place = from === root ? 0 : 1;
  const [own, peer] = [canisters[place], canisters[1 - place]] as [Principal, Principal];
  const values = [callee ?? peer, method, new Uint8Array(IDL.encode([IDL.Text], ["so be it"]))];
  const result = IDL.Variant({ ok: IDL.Vec(IDL.Nat8), err: IDL.Tuple(IDL.Text, IDL.Text) });
  const types = [IDL.Principal, IDL.Text, IDL.Vec(IDL.Nat8)];
  return update(await from.node(0).agent(), own, "call", [types, values], [result]);
}

const echoed = { ok: new Uint8Array(IDL.encode([IDL.Text], ["so be it"])) };

/** Messages in the streams of both subnets to each other. */
function messagesLeft(): number {
  return [root, other].reduce((sum, subnet) => {
    const target = subnet === root ? other : root;
    const header = subnet.node(0).replica.backend.certifiedState()?.lookup(headerPath(target.subnetId));
    const { begin, end } = decodeStreamHeader(header ?? assert.fail("there is a stream"));
    return sum + end - begin;
  }, 0);
}

describe("two subnets of four nodes", { concurrency: false }, () => {
  test("canisters of both call each other, and one root key is good for all answers", async () => {
    assert.notEqual(root.subnetId, other.subnetId);
    assert.deepEqual(root.rootKey, other.rootKey);
    const nobody = Principal.fromUint8Array(principalToBytes(other.range[1]));
    const [one, two, rejected, missed, code] = await Promise.all([
      call(root, "echo"),
      call(other, "echo"),
      call(root, "fail"),
      call(root, "echo", nobody),
      update(await root.node(0).agent(), canisters[0] as Principal, "codeOf", [[IDL.Principal], [nobody]], [IDL.Text]),
    ]);
    assert.deepEqual([one, two], [echoed, echoed]);
    assert.deepEqual(rejected, { err: ["#canister_reject", "so be it"] });
    assert.match(JSON.stringify(missed), /not found/);
    assert.equal(code, "#destination_invalid");
  });

  test("nodes that alter slices, or give none, or are down hold nothing up", async () => {
    for (const subnet of [root, other]) {
      liars.set(subnet.ids[2] as string, (slice) => slice.with(slice.length - 1, (slice.at(-1) as number) ^ 1));
      subnet.node(3).kill();
    }
    liars.set(root.ids[1] as string, () => undefined);
    assert.deepEqual(await Promise.all([call(root, "echo"), call(other, "echo")]), [echoed, echoed]);
    await within("lies are told", () => lies > 1);
  });

  test("messages that have arrived are dropped from the streams", async () => {
    await within("nothing is left", () => messagesLeft() === 0);
  });

  test("nobody complained of anything but those slices", () => {
    const problems = [...root.problems, ...other.problems];
    assert.deepEqual(
      problems.filter((problem) => !/could not be had/.test(problem)),
      [],
    );
  });
});
