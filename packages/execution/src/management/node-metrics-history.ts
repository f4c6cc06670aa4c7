// node_metrics_history: how many blocks each node made or missed, a sample a day (../node-metrics.ts).
// Specification, "IC method node_metrics_history".
import type { MethodResult } from "./answer.ts";
import { candidPrincipal, decodeArgument, encodeReply } from "./candid-argument.ts";
import { NodeMetricsHistory, type NodeMetricsHistoryArg, NodeMetricsHistoryArgRecord } from "./candid-types.ts";
import { failed } from "./managed-canister.ts";
import { otherSubnet } from "./management-errors.ts";
import type { ManagementCall } from "./method.ts";

export function nodeMetricsHistory({ round, arg }: ManagementCall): MethodResult {
  const decoded = decodeArgument<NodeMetricsHistoryArg>(NodeMetricsHistoryArgRecord, arg);
  if (!decoded.ok) return decoded;
  const { config, blockmakers } = round.state;
  const { subnet_id: asked, start_at_timestamp_nanos: start } = decoded.value;
  if (asked !== config.subnetId) return failed(otherSubnet(asked, config.subnetId));
  // The day that goes on is told when it is over.
  const days = blockmakers
    .slice(0, -1)
    .filter(({ time }) => time >= start)
    .map(({ time, nodes }) => ({
      timestamp_nanos: time,
      node_metrics: [...nodes]
        .sort(([one], [other]) => (one < other ? -1 : 1))
        .map(([id, { proposed, failed: missed }]) => ({
          node_id: candidPrincipal(id),
          num_blocks_proposed_total: BigInt(proposed),
          num_block_failures_total: BigInt(missed),
        })),
    }));
  return { ok: true, reply: encodeReply(NodeMetricsHistory, days) };
}
