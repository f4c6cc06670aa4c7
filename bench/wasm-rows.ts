// The two lines of the table about rewritten Wasm, from the measurements of wasm.ts.
import type { Row } from "./measure.ts";
import { benchWasm } from "./wasm.ts";

export async function wasmRows({ short }: { readonly short: boolean }): Promise<readonly Row[]> {
  const result = await benchWasm({ short });
  const ratios = Object.entries(result.ratios);
  const values = ratios.map(([, ratio]) => ratio);
  return [
    {
      name: "wasm",
      what: `rewritten Wasm, geometric mean of the CPU time of ${ratios.length} kernels`,
      baseline: "the same Wasm in the same engine, not rewritten",
      value: result.geometricMean,
      low: Math.min(...values),
      high: Math.max(...values),
      goal: 1.6,
      laterGoal: 1.35,
      notes: [ratios.map(([name, ratio]) => `${name} ${ratio.toFixed(2)}`).join(", ")],
    },
    {
      name: "rewriter",
      what: "rewriter, MB of module per second of CPU",
      baseline: "",
      value: result.rewriterMBps,
      unit: "MB/s",
      goal: 25,
      laterGoal: 40,
      isRate: true,
      notes: [
        `validation before it ${result.validationMBps.toFixed(0)} MB/s; rewritten size / original ${result.growth.toFixed(2)}`,
      ],
    },
  ];
}
