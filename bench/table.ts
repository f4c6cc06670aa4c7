// The table that `npm run bench` prints.
import type { Row } from "./measure.ts";

export function formatTable(rows: readonly Row[], short: boolean): string {
  const head = ["", "measured", "windows", "to reach", "later", ""];
  const cells = rows.map((row) => [
    row.name,
    figure(row, row.value),
    row.low === undefined || row.high === undefined ? "" : `${figure(row, row.low)} - ${figure(row, row.high)}`,
    figure(row, row.goal),
    figure(row, row.laterGoal),
    verdict(row),
  ]);
  const widths = head.map((_, i) => Math.max(...[head, ...cells].map((line) => (line[i] as string).length)));
  const lines = [head, ...cells].map((line) =>
    line
      .map((cell, i) => cell.padEnd(widths[i] as number))
      .join("  ")
      .trimEnd(),
  );
  const notes = rows.flatMap((row) => [
    `${row.name}: ${row.what}`,
    ...(row.baseline === "" ? [] : [`  baseline: ${row.baseline}`]),
    ...row.notes.map((note) => `  ${note}`),
  ]);
  const warning = short ? ["Short run: it proves that everything runs, its figures mean little.", ""] : [];
  return [...warning, ...lines, "", ...notes].join("\n");
}

function figure(row: Row, value: number): string {
  const digits = row.isRate === true ? 0 : 2;
  return `${value.toFixed(digits)}${row.unit === undefined ? "" : ` ${row.unit}`}`;
}

function verdict(row: Row): string {
  const reaches = (goal: number) => (row.isRate === true ? row.value >= goal : row.value <= goal);
  if (reaches(row.laterGoal)) return "better than later";
  return reaches(row.goal) ? "reached" : "NOT reached";
}
