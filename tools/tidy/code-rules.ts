// Rules for what a source file may say: imports that only point down, hosts that a package kind may count on, sizes.
// The tsconfig of each host kind already hides the other hosts' types; these rules also catch what the ES library
// itself brings (the clock, chance, the machine's language), which would let two replicas differ.
import { isBuiltin } from "node:module";
import { type Host, type Layer, layers, mayAwait, thirdParties } from "./layers.ts";
import { type Found, type Syntax, syntaxOf } from "./syntax.ts";
import { folderOf, isCode, isTest, type SourceFile, type Violation } from "./tree.ts";

const maxFileLines = 600;
export const maxFunctionLines = 70;

const timers = ["setTimeout", "setInterval", "setImmediate", "clearTimeout", "clearInterval"];
const machine = ["process", "Buffer", "globalThis", "require", "__dirname", "__filename", "navigator"];
const clocks = ["Date", "Temporal", "performance", "Math.random"];
const locale = ["Intl", ".localeCompare", ".toLocaleString", ".toLocaleLowerCase", ".toLocaleUpperCase"];
const effects = new Set([...timers, ...machine, ...clocks, ...locale, "console", "eval"]);
/** A driver has the clock and the timers; but a browser has nothing of Node. */
const bannedNames: Readonly<Record<Host, ReadonlySet<string>>> = {
  deterministic: effects,
  universal: effects,
  browser: new Set(["process", "Buffer", "require", "__dirname", "__filename", "setImmediate", "eval"]),
  node: new Set(),
};

export function checkCode(files: readonly SourceFile[]): Violation[] {
  return files.filter((file) => isCode(file.path)).flatMap((file) => checkFile(file));
}

function checkFile(file: SourceFile): Violation[] {
  const syntax = syntaxOf(file);
  const layer = layerOf(file.path);
  const source = isTest(file.path) || layer === undefined ? undefined : { ...layer, host: hostOf(file.path, layer) };
  return [
    ...checkEndings(file, syntax),
    ...checkSizes(file, syntax),
    ...(source === undefined ? [] : checkImports(file, syntax, source)),
    ...(source === undefined ? [] : checkHost(file, syntax, source.host)),
  ];
}

function layerOf(path: string): Layer | undefined {
  const folder = folderOf(path);
  return [...layers.values()].find((layer) => layer.folder === folder);
}

function hostOf(path: string, { host, hosts = {} }: Layer): Host {
  const folder = Object.keys(hosts).find((each) => path.startsWith(`${each}/`));
  return folder === undefined ? host : (hosts[folder] as Host);
}

function checkEndings(file: SourceFile, { imports }: Syntax): Violation[] {
  return imports
    .filter(({ name }) => name.startsWith(".") && !/\.(ts|json)$/.test(name))
    .map((found) => violation(file, found, "import-ending", `"${found.name}" must end with .ts`));
}

function checkSizes(file: SourceFile, { functions }: Syntax): Violation[] {
  const lines = file.text.trimEnd().split("\n").length;
  const long = isTest(file.path) ? [] : functions.filter((each) => each.lines > maxFunctionLines);
  return [
    ...(lines > maxFileLines
      ? [violation(file, { name: "", line: 1 }, "file-size", `has ${lines} lines, ${maxFileLines} are allowed`)]
      : []),
    ...long.map((found) =>
      violation(
        file,
        found,
        "function-size",
        `${found.name} has ${found.lines} lines, ${maxFunctionLines} are allowed`,
      ),
    ),
  ];
}

function checkImports(file: SourceFile, { imports }: Syntax, layer: Layer): Violation[] {
  return imports.flatMap((found) => {
    const reason = whyNotImport(file.path, found.name, layer);
    return reason === undefined ? [] : [violation(file, found, "layers", reason)];
  });
}

function whyNotImport(path: string, name: string, layer: Layer): string | undefined {
  if (name.startsWith(".")) {
    const target = new URL(name, `file:///${path}`).pathname.slice(1);
    return folderOf(target) === layer.folder
      ? undefined
      : `"${name}" leaves ${layer.folder}: import the package by name`;
  }
  // The package's own file by another name: package.json says which, for each kind of host.
  if (name.startsWith("#")) return undefined;
  if (isBuiltin(name)) return layer.host === "node" ? undefined : `"${name}" is for Node hosts only`;
  const own = /^@atoll\/([^/]+)/.exec(name)?.[1];
  if (own !== undefined) {
    return layer.mayImport.includes(own) ? undefined : `${layer.folder} may not import @atoll/${own}`;
  }
  const allowed = thirdParties[layer.host];
  const package_ = packageOf(name);
  return allowed === "any" || allowed.includes(package_)
    ? undefined
    : `a ${layer.host} package may not import ${package_}`;
}

function packageOf(name: string): string {
  return name
    .split("/")
    .slice(0, name.startsWith("@") ? 2 : 1)
    .join("/");
}

function checkHost(file: SourceFile, { names, waits }: Syntax, host: Host): Violation[] {
  const banned = names
    .filter(({ name }) => bannedNames[host].has(name) || bannedNames[host].has(name.replace(/^[^.]+(?=\.)/, "")))
    .map((found) => violation(file, found, "host", `${found.name} is not for a ${host} package: take it from a port`));
  if (host !== "deterministic" || mayAwait.has(file.path)) return banned;
  return [...banned, ...waits.map((found) => violation(file, found, "await", "a round never waits"))];
}

function violation(file: SourceFile, found: Found, rule: string, message: string): Violation {
  return { path: file.path, line: found.line, rule, message };
}

/** The packages, ours and other people's, that each of our packages' sources import. */
export function importedPackages(files: readonly SourceFile[]): Map<string, Set<string>> {
  const imported = new Map<string, Set<string>>();
  for (const file of files) {
    const folder = folderOf(file.path);
    if (folder === undefined || !isCode(file.path) || isTest(file.path)) continue;
    const names = imported.get(folder) ?? new Set();
    for (const { name } of syntaxOf(file).imports) {
      if (!/^[.#]/.test(name) && !isBuiltin(name)) names.add(packageOf(name));
    }
    imported.set(folder, names);
  }
  return imported;
}
