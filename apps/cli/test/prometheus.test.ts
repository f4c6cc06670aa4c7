// Metrics as Prometheus reads them; the expected text follows the description of its exposition format.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createNodeMetrics } from "../src/nodes/node-metrics.ts";
import { prometheusText } from "../src/nodes/prometheus.ts";

test("a metric has a help line, a type line and a line for each value", () => {
  const text = prometheusText([
    { name: "a_height", kind: "gauge", help: "How high.", values: [{ value: 7 }] },
    {
      name: "b_bytes_total",
      kind: "counter",
      help: 'Quotes " stay, a \\ and\nan end of line do not.',
      values: [
        { labels: { peer: "x", way: "in" }, value: 1.5 },
        { labels: { peer: 'a "quoted" \\ one\n' }, value: 0 },
      ],
    },
  ]);
  assert.equal(
    text,
    [
      "# HELP a_height How high.",
      "# TYPE a_height gauge",
      "a_height 7",
      '# HELP b_bytes_total Quotes " stay, a \\\\ and\\nan end of line do not.',
      "# TYPE b_bytes_total counter",
      'b_bytes_total{peer="x",way="in"} 1.5',
      'b_bytes_total{peer="a \\"quoted\\" \\\\ one\\n"} 0',
      "",
    ].join("\n"),
  );
});

test("nothing to measure is an empty text", () => {
  assert.equal(prometheusText([]), "");
});

test("a node that waits for another version of the protocol shows which one, and no other node shows any", () => {
  const heights = { notarizedHeight: 9, finalizedHeight: 9, beaconHeight: 9, catchUpHeight: 8, executedHeight: 8 };
  const rest = { certifiedHeight: 8, registryVersion: 2, isHalted: true, fetching: undefined, waitingIngress: 0 };
  const shown = (awaitedVersion: string | undefined) => {
    const metrics = createNodeMetrics().metrics({
      status: { ...heights, ...rest, hasDiverged: false, awaitedVersion },
      health: "healthy",
      peers: new Map(),
      gossip: { active: 0, offeredSlots: 0, offeredIds: 0 },
      registryVersion: 2,
      checkpointHeight: 8,
    });
    return prometheusText(metrics)
      .split("\n")
      .filter((line) => line.startsWith("atoll_awaited_version"));
  };
  assert.deepEqual(shown("atoll-2"), ['atoll_awaited_version{version="atoll-2"} 1']);
  assert.deepEqual(shown(undefined), []);
});
