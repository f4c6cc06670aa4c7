// The text format in which Prometheus reads metrics (exposition format 0.0.4): a line for each value, below what it is.
// Written by hand: it is a page long, and nothing of it is on the way of a message.

export interface Metric {
  /** In the base unit, which ends the name; totals end in `_total`. */
  readonly name: string;
  readonly kind: "counter" | "gauge";
  readonly help: string;
  readonly values: readonly MetricValue[];
}

export interface MetricValue {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

export const PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export function prometheusText(metrics: readonly Metric[]): string {
  return metrics
    .flatMap(({ name, kind, help, values }) => [
      `# HELP ${name} ${escaped(help)}`,
      `# TYPE ${name} ${kind}`,
      ...values.map(({ labels = {}, value }) => `${name}${labelText(labels)} ${value}`),
    ])
    .map((line) => `${line}\n`)
    .join("");
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
