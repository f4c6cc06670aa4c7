// The test of the checkers: each rule of the list is taken out of a copy of the code, and some seed must notice within so many.
// `--only TEXT`: mutations whose name has it; `--known`: only those with a seed that is known to notice, and only that seed.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { MUTATIONS, type Mutation } from "./mutations.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface Noticed {
  readonly mutation: Mutation;
  /** Undefined: no seed noticed. */
  readonly seed: string | undefined;
  readonly by: string;
  /** Seeds that were run. */
  readonly tried: number;
}

/** `seeds`: how many are tried besides the one that is known. Throws when a mutation no longer applies. */
export function noticeMutations(
  mutations: readonly Mutation[],
  seeds: number,
  tell: (noticed: Noticed) => void,
): Noticed[] {
  const copy = copyOfTree();
  try {
    return mutations.map((mutation) => {
      const noticed = notice(copy, mutation, seeds);
      tell(noticed);
      return noticed;
    });
  } finally {
    rmSync(copy, { recursive: true });
  }
}

/** The text of the file without the rule. */
export function mutated(mutation: Mutation): string {
  const { file, name, also } = mutation;
  let text = readFileSync(join(ROOT, file), "utf8");
  for (const { find, replace } of also === undefined ? [mutation] : [mutation, also]) {
    const parts = text.split(find);
    if (parts.length !== 2) throw new Error(`"${name}" does not apply: ${file} has its text ${parts.length - 1} times`);
    text = parts.join(replace);
  }
  return text;
}

function notice(copy: string, mutation: Mutation, seeds: number): Noticed {
  writeFileSync(join(copy, mutation.file), mutated(mutation));
  try {
    const tried = Array.from({ length: seeds }, (_, i) => `${i}`).filter((seed) => seed !== mutation.seed);
    const known = mutation.seed === undefined ? undefined : failureOf(copy, [mutation.seed], mutation);
    const found = known ?? failureOf(copy, tried, mutation);
    if (found === undefined) return { mutation, seed: undefined, by: "", tried: seeds };
    // With the rule in its place the same run goes well, or it proves nothing.
    cpSync(join(ROOT, mutation.file), join(copy, mutation.file));
    const without = failureOf(copy, [found.seed], mutation);
    if (without !== undefined) throw new Error(`seed ${found.seed} fails without "${mutation.name}": ${without.by}`);
    return { mutation, ...found, tried: known === undefined ? tried.indexOf(found.seed) + 1 : 1 };
  } finally {
    cpSync(join(ROOT, mutation.file), join(copy, mutation.file));
  }
}

/** What a run of the copy says is wrong; undefined: all go well. */
function failureOf(
  copy: string,
  seeds: readonly string[],
  mutation: Mutation,
): { seed: string; by: string } | undefined {
  if (seeds.length === 0) return undefined;
  const options = ["--seed", seeds.join(","), "--fleet", mutation.fleet ?? "counting", "--light", "--no-minimise"];
  const shape = [
    "--members",
    `${mutation.members ?? 4}`,
    "--seconds",
    `${mutation.seconds ?? 8}`,
    ...(mutation.options ?? []),
  ];
  const run = spawnSync(process.execPath, ["tools/simulation/main.ts", ...options, ...shape], {
    cwd: copy,
    encoding: "utf8",
    timeout: 1_200_000,
  });
  if (run.status === 0) return undefined;
  const by = /^ {2}[\d.]+ s: (.*)$/m.exec(run.stdout)?.[1];
  const seed = /^FAILED {2}seed (\S+)/m.exec(run.stdout)?.[1];
  if (by === undefined || seed === undefined)
    throw new Error(`the run of the copy ended without a result:\n${run.stdout}${run.stderr}`);
  return { seed, by };
}

function copyOfTree(): string {
  const copy = mkdtempSync(join(tmpdir(), "atoll-mutations-"));
  const links = join(copy, "node_modules");
  mkdirSync(join(links, "@atoll"), { recursive: true });
  for (const name of readdirSync(join(ROOT, "node_modules"))) {
    if (name !== "@atoll") symlinkSync(join(ROOT, "node_modules", name), join(links, name));
  }
  for (const name of readdirSync(join(ROOT, "packages"))) {
    for (const part of ["src", "package.json"])
      cpSync(join(ROOT, "packages", name, part), join(copy, "packages", name, part), { recursive: true });
    symlinkSync(join(copy, "packages", name), join(links, "@atoll", name));
  }
  for (const part of ["package.json", "tools/simulation", "packages/execution/test/canisters/wat.ts"])
    cpSync(join(ROOT, part), join(copy, part), { recursive: true });
  return copy;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      only: { type: "string", default: "" },
      seeds: { type: "string", default: "30" },
      known: { type: "boolean", default: false },
    },
  });
  const chosen = MUTATIONS.filter(
    ({ name, seed }) => name.includes(values.only) && (!values.known || seed !== undefined),
  );
  const results = noticeMutations(chosen, values.known ? 0 : Number(values.seeds), (noticed) =>
    console.log(lineOf(noticed)),
  );
  const missed = results.filter(({ seed }) => seed === undefined);
  console.log(`\n${results.length - missed.length} of ${results.length} noticed`);
  for (const { mutation } of missed) console.log(`nobody noticed: ${mutation.name}`);
  process.exitCode = missed.length === 0 ? 0 : 1;
}

/** Of a table: what, how, and after how many seeds by what. */
function lineOf({ mutation, seed, by, tried }: Noticed): string {
  const { section, kind, name } = mutation;
  const found = seed === undefined ? "NOT NOTICED" : `seed ${seed}`;
  const columns = [section.padEnd(5), kind.padEnd(8), name.padEnd(66), `${tried}`.padStart(3), found.padEnd(11), by];
  return columns.join("  ").slice(0, 170).trimEnd();
}
