// Who made the blocks: counted with each batch, kept as one sample a day (UTC) for sixty days.
// Specification, "IC method node_metrics_history": nodes whose figures did not change in a day are left out of it.
import type { BlockmakerDay, SubnetState } from "@atoll/state";
import type { Batch, PrincipalId, Time } from "@atoll/types";

const DAY_NS = 86_400_000_000_000n;
const MAX_DAYS = 60;

export function observeBlockmaker(state: SubnetState, blockmaker: NonNullable<Batch["blockmaker"]>): void {
  const { blockmakers } = state;
  let running = blockmakers.at(-1);
  if (running === undefined || dayOf(running.time) < dayOf(state.time)) {
    running = { time: state.time, nodes: nodesOfNextDay(running, blockmakers.at(-2)) };
    blockmakers.push(running);
    if (blockmakers.length > MAX_DAYS + 1) blockmakers.shift();
  }
  running.time = state.time;
  countOf(running, blockmaker.proposer).proposed++;
  for (const node of blockmaker.failed) countOf(running, node).failed++;
}

function dayOf(time: Time): bigint {
  return time / DAY_NS;
}

/** The figures go on, but for nodes that did nothing on the day that is over: they are not in its sample either. */
function nodesOfNextDay(last: BlockmakerDay | undefined, before: BlockmakerDay | undefined): BlockmakerDay["nodes"] {
  const nodes: BlockmakerDay["nodes"] = new Map();
  for (const [id, counts] of [...(last?.nodes ?? [])]) {
    const earlier = before?.nodes.get(id);
    if (earlier?.proposed === counts.proposed && earlier.failed === counts.failed) last?.nodes.delete(id);
    else nodes.set(id, { ...counts });
  }
  return nodes;
}

function countOf(day: BlockmakerDay, id: PrincipalId): { proposed: number; failed: number } {
  const known = day.nodes.get(id);
  if (known !== undefined) return known;
  const counts = { proposed: 0, failed: 0 };
  day.nodes.set(id, counts);
  return counts;
}
