// GET /instances/<id>/_/dashboard: what an instance consists of, for a person to read. One page without scripts: subnets,
// their canisters, balances, modules, memories, as of the last round.
import type { Network } from "@atoll/pocket-ic";
import { principalToText } from "@atoll/types";
import { balanceOf, stateOf } from "./canister-facts.ts";
import { KIND_NAMES } from "./topology.ts";

const MAX_CANISTERS = 1_000;

export function dashboardPage(network: Network): string {
  const time = new Date(Number(network.time / 1_000_000n)).toISOString();
  const sections = [...network.subnets.values()].map((subnet) => {
    const { canisters, height } = stateOf(subnet);
    const shown = [...canisters.values()].slice(0, MAX_CANISTERS);
    const rows = shown.map((canister) => {
      const { execution, status, settings } = canister;
      const stable = execution === undefined ? 0 : execution.stable.bytes;
      return row([
        principalToText(canister.id),
        status.kind,
        balanceOf({ subnet, canister }).toLocaleString("en"),
        execution?.moduleHash.slice(0, 16) ?? "none",
        `${(execution?.heap.bytes ?? 0) / 1024} KiB`,
        `${stable / 1024} KiB`,
        settings.controllers.map(principalToText).join(" "),
      ]);
    });
    const more = canisters.size > shown.length ? `<p>and ${canisters.size - shown.length} more</p>` : "";
    return `<h2>${KIND_NAMES[subnet.kind]} subnet</h2>
<p><code>${principalToText(subnet.id)}</code>, height ${height}, ${subnet.config.nodes.length} nodes, ${canisters.size} canisters</p>
${rows.length === 0 ? "" : `<table>${HEAD}${rows.join("\n")}</table>`}${more}`;
  });
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Instance</title>
<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem}td,th{padding:.2rem .8rem .2rem 0;text-align:left}code{font-size:.95em}</style>
</head>
<body>
<h1>Instance</h1>
<p>Its time is ${time}; automatic progress is ${network.isProgressing ? "on" : "off"}.</p>
${sections.join("\n")}
</body>
</html>
`;
}

const HEAD = row(["canister", "status", "cycles", "module", "heap", "stable memory", "controllers"]).replaceAll(
  "td>",
  "th>",
);

function row(cells: readonly string[]): string {
  return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
}
