// What a snapshot costs, of a canister of 1 GiB against one of 1 MiB: it is taken, the canister writes to ten pages, the
// snapshot is loaded and deleted. One page in sixteen of either heap is in use.
import type { CanisterState } from "@atoll/state";
import { type CanisterId, fromHex, MANAGEMENT_CANISTER, principalToBytes } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { median, ownCpu, type Row, spread } from "./measure.ts";
import { HEAPS, heapCanister } from "./rollback.ts";
import { BenchSubnet } from "./subnet.ts";

const TAKE = IDL.Record({ canister_id: IDL.Principal });
const WITH_ID = IDL.Record({ canister_id: IDL.Principal, snapshot_id: IDL.Vec(IDL.Nat8) });

export async function benchSnapshots({ short }: { readonly short: boolean }): Promise<readonly Row[]> {
  const windows = short ? 2 : 11;
  const cycles = short ? 10 : 100;
  const subnet = await BenchSubnet.create();
  const [large, small] = [await deploy(subnet, HEAPS.large), await deploy(subnet, HEAPS.small)];
  for (const id of [large, small, large, small]) await cycleCost(subnet, id, cycles);
  const ratios: number[] = [];
  const costs: number[] = [];
  for (let window = 0; window < windows; window++) {
    const [onLarge, onSmall] = [await cycleCost(subnet, large, cycles), await cycleCost(subnet, small, cycles)];
    costs.push(onLarge);
    ratios.push(onLarge / onSmall);
  }
  return [
    {
      name: "snapshots",
      what: "a snapshot taken, 10 pages written, the snapshot loaded and deleted, heap 1 GiB",
      baseline: "the same with a heap of 1 MiB",
      ...spread(ratios),
      goal: 3,
      laterGoal: 1.5,
      notes: [`${median(costs).toFixed(0)} us of CPU for the four messages, each in a round of its own`],
    },
  ];
}

async function deploy(subnet: BenchSubnet, bytes: number): Promise<CanisterId> {
  return (await subnet.deploy(1, heapCanister(bytes)))[0] as CanisterId;
}

/** CPU of the four messages, in rounds of their own. */
async function cycleCost(subnet: BenchSubnet, id: CanisterId, count: number): Promise<number> {
  // So that none falls due inside: it would be charged to whichever heap has its turn.
  subnet.executor.durable.checkpoint();
  const canister = subnet.machine.state.canisters.get(id) as CanisterState;
  let cost = 0;
  for (let i = 0; i < count; i++) {
    // A hundred snapshots cost more cycles than a canister begins with.
    canister.cycles = 10n ** 15n;
    const canister_id = Principal.fromUint8Array(principalToBytes(id));
    const snapshot_id = fromHex(canister.snapshotsMade.toString(16).padStart(16, "0") + id);
    const withId = new Uint8Array(IDL.encode([WITH_ID], [{ canister_id, snapshot_id }]));
    const take = new Uint8Array(IDL.encode([TAKE], [{ canister_id }]));
    const messages = [
      subnet.message(MANAGEMENT_CANISTER, "take_canister_snapshot", take, id),
      subnet.message(id, "keep", new Uint8Array()),
      subnet.message(MANAGEMENT_CANISTER, "load_canister_snapshot", withId, id),
      subnet.message(MANAGEMENT_CANISTER, "delete_canister_snapshot", withId, id),
    ];
    const before = ownCpu();
    for (const message of messages) await subnet.call([message]);
    cost += ownCpu() - before;
  }
  return cost / count;
}
