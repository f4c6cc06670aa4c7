// What one case of the Motoko compiler's `test/run-drun` consists of: an actor with its calls in comments (`x.mo`), or
// a script over several actors (`x.drun` beside the folder `x`). Reads the headers that decide with which flags the
// compiler runs, under which form of persistence the case means anything, and where its expected output lies.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

export type Persistence = "enhanced" | "classical";

export interface TestCase {
  readonly name: string;
  /** The lines of the script; a module is named by the path of its source, relative to the suite's folder. */
  readonly script: readonly string[];
  readonly modules: ReadonlyMap<string, ModuleRequest>;
  readonly subnetType: "system" | "application";
  /** What the suite expects, as it is kept there. */
  readonly expected: string;
}

type Collector = "copying" | "compacting" | "generational" | "incremental";

export interface ModuleRequest {
  /** Path of the source on disk, or of a module that is there already compiled. */
  readonly source: string;
  /** The text to compile in place of the file's. */
  readonly text: string;
  readonly persistence: Persistence;
  readonly gc: Collector | null;
  readonly forceGc: boolean;
  readonly environment: Readonly<Record<string, string>>;
  /** Flags of the headers that the npm package's compiler has, with their arguments, */
  readonly flags: readonly string[];
  /** and those that it does not have. */
  readonly missingFlags: readonly string[];
}

/** A case that the suite itself would not run here, and why. */
export interface NotRun {
  readonly name: string;
  readonly reason: string;
}

export function readCase(folder: string, name: string, persistence: Persistence): TestCase | NotRun {
  const text = readFileSync(join(folder, name), "utf8");
  const isScript = name.endsWith(".drun");
  const expectedPath = join(
    folder,
    "ok",
    isScript ? `${name.slice(0, -5)}.drun.ok` : `${name.slice(0, -3)}.drun-run.ok`,
  );
  const reason = whyNot(text, isScript, persistence);
  if (reason !== undefined) return { name, reason };
  if (!existsSync(expectedPath)) return { name, reason: "the suite expects no run of it" };
  const expected = readFileSync(expectedPath, "utf8");
  return isScript
    ? scriptCase(folder, { name, text, expected, persistence })
    : actorCase(folder, { name, text, expected, persistence });
}

function whyNot(text: string, isScript: boolean, persistence: Persistence): string | undefined {
  const has = (header: string): boolean => text.includes(`${isScript ? "# " : "//"}${header}`);
  if (isScript && /# *SKIP drun/.test(text)) return "the suite skips it";
  if (!isScript && /^\/\/SKIP (comp|drun-run)$/m.test(text)) return "the suite skips it";
  if (has("ENHANCED-ORTHOGONAL-PERSISTENCE-ONLY") && persistence === "classical") return "enhanced persistence only";
  if (has("CLASSICAL-PERSISTENCE-ONLY") && persistence === "enhanced") return "classical persistence only";
  // The suite's runs with this collector are runs with classical persistence.
  if (has("INCREMENTAL-GC-ONLY") && persistence === "enhanced") return "classical persistence only";
  return undefined;
}

interface CaseText {
  readonly name: string;
  readonly text: string;
  readonly expected: string;
  readonly persistence: Persistence;
}

/** `a.go(); //OR-CALL ingress go …` is a call by the interpreter; compiled, the comment is the call. */
function actorCase(folder: string, { name, text, expected, persistence }: CaseText): TestCase {
  const mangled = text.replace(/^.*\/\/OR-CALL/gm, "//CALL");
  const script = [`install $ID ${name} 0x`];
  for (const line of mangled.split("\n")) {
    const call = /^\/\/CALL (ingress|query) (.*)/.exec(line);
    if (call !== null) script.push(`${call[1]} $ID ${call[2]}`);
    if (line.startsWith("//CALL upgrade")) script.push(`upgrade $ID ${name} 0x`);
  }
  const request = moduleRequest(join(folder, name), { text: mangled, persistence, script: text });
  const forceGc = !text.includes("//MOC-NO-FORCE-GC");
  const modules = new Map([[name, { ...request, forceGc }]]);
  return { name, script, modules, subnetType: "system", expected };
}

function scriptCase(folder: string, { name, text, expected, persistence }: CaseText): TestCase {
  const modules = new Map<string, ModuleRequest>();
  for (const [path] of text.matchAll(/[^\s]+\.(?:mo|wasm)(?![^\s])/g)) {
    const source = join(folder, path);
    const isCompiled = path.endsWith(".wasm");
    const request = { text: isCompiled ? "" : readFileSync(source, "utf8"), persistence, script: text };
    modules.set(path, moduleRequest(source, request));
  }
  const subnetType = text.includes("# APPLICATION-SUBNET") ? "application" : "system";
  return { name, script: text.split("\n"), modules, subnetType, expected };
}

interface RequestText {
  readonly text: string;
  readonly persistence: Persistence;
  /** Where the case's own headers stand. */
  readonly script: string;
}

function moduleRequest(source: string, { text, persistence, script }: RequestText): ModuleRequest {
  const flags = headerValues(text, "MOC-FLAG").flatMap((line) => line.trim().split(/\s+/));
  const variables = headerValues(text, "MOC-ENV").map((line) => line.trim().split("=") as [string, string]);
  const request = { source, text, forceGc: false, environment: Object.fromEntries(variables) };
  const known: string[] = [];
  const missingFlags: string[] = [];
  let own = persistence;
  let gc: Collector | null = /INCREMENTAL-GC-ONLY/.test(script) ? "incremental" : null;
  for (const [index, flag] of flags.entries()) {
    const collector = /^--(copying|compacting|generational|incremental)-gc$/.exec(flag)?.[1];
    if (flag.endsWith("-enhanced-orthogonal-persistence")) own = "enhanced";
    else if (flag === "--legacy-persistence") own = "classical";
    else if (collector !== undefined) gc = collector as Collector;
    else if (FLAGS_WITHOUT_ARGUMENT.has(flag)) known.push(flag);
    else if (FLAGS_WITH_ARGUMENT.has(flag)) known.push(flag, flags[index + 1] ?? "");
    else if (!FLAGS_WITH_ARGUMENT.has(flags[index - 1] ?? "")) missingFlags.push(flag);
  }
  if (own === "enhanced") gc = null;
  return { ...request, persistence: own, gc, flags: known, missingFlags };
}

/** What the npm package's compiler takes as it stands. */
const FLAGS_WITH_ARGUMENT = new Set(["-A", "-W", "-E", "--implicit-package"]);
const FLAGS_WITHOUT_ARGUMENT = new Set([
  ...["--hide-warnings", "--legacy-actors", "--default-persistent-actors", "--require-persistent-actors"],
  ...["--ai-errors", "--all-libs"],
]);

function headerValues(text: string, header: string): string[] {
  return [...text.matchAll(new RegExp(`//${header} ?(.*)$`, "gm"))].map((match) => match[1] ?? "");
}
