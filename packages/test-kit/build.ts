// Packs the test kit for npm: what Vitest, Jest and plain Node load from `node_modules`, where none of them takes
// TypeScript. All of it in one file, as ES module and as CommonJS (Jest's default), and the declarations of the sources.
// Nothing of ours needs it: inside this repository the sources are the package. `node packages/test-kit/build.ts FOLDER`.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, posix, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SOURCE = "packages/test-kit/src";

/** Faster where it is installed and its addon loads; nothing is missing without it. */
const OPTIONAL = ["secp256k1"];
/** Whose types the kit's own mention: a test has it anyway. */
const PEERS = ["@icp-sdk/core"];

export async function buildTestKit(folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await bundle(folder, "esm", "index.mjs");
  await bundle(folder, "cjs", "index.cjs");
  declarations(join(folder, "types"));
  const versions = { ...rootPackage().dependencies };
  const manifest = {
    name: "@atoll/test-kit",
    version: rootPackage().version,
    description: "The Internet Computer in the process of your test",
    license: rootPackage().license,
    type: "module",
    exports: {
      ".": {
        types: `./types/${SOURCE}/index.d.ts`,
        import: "./index.mjs",
        require: "./index.cjs",
      },
    },
    engines: { node: ">=22.12" },
    peerDependencies: Object.fromEntries(PEERS.map((name) => [name, versions[name]])),
    optionalDependencies: Object.fromEntries(OPTIONAL.map((name) => [name, versions[name]])),
  };
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  for (const file of ["LICENSE", "packages/test-kit/README.md"]) {
    writeFileSync(join(folder, file.split("/").at(-1) as string), readFileSync(join(ROOT, file)));
  }
}

async function bundle(folder: string, format: "esm" | "cjs", name: string): Promise<void> {
  // What a module may ask of its own file differs between the two formats.
  const toCommonJs = {
    banner: { js: 'const importMetaUrl = require("node:url").pathToFileURL(__filename).href;' },
    define: { "import.meta.url": "importMetaUrl" },
  };
  const toModule = {
    banner: {
      js: 'import { createRequire as kitRequire } from "node:module"; const require = kitRequire(import.meta.url);',
    },
  };
  await esbuild.build({
    absWorkingDir: ROOT,
    entryPoints: [`${SOURCE}/index.ts`],
    outfile: join(folder, name),
    bundle: true,
    format,
    platform: "node",
    target: "node22",
    external: OPTIONAL,
    legalComments: "eof",
    logLevel: "error",
    // Names of classes and functions are what a failed test shows.
    keepNames: true,
    plugins: [{ name: "late parts", setup: includeLateParts }],
    ...(format === "cjs" ? toCommonJs : toModule),
  });
}

/** What is loaded only when it is needed is part of the file as well: the bundler has to see that `require` loads it. */
function includeLateParts(build: esbuild.PluginBuild): void {
  build.onLoad({ filter: /[\\/]host-node[\\/]src[\\/]crypto-node\.ts$/ }, ({ path }) => {
    const source = readFileSync(path, "utf8");
    const contents = source.replace(/^const require = createRequire\(.*\);$/m, "");
    if (contents === source) throw new Error(`${path} makes its require in another way: the bundle would miss parts`);
    return { contents, loader: "ts" };
  });
}

/** The declarations that the entry's own lead to, with our packages named by where they are. */
function declarations(folder: string): void {
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const config = join(ROOT, "packages", "test-kit", "tsconfig.pack.json");
  const all = `${folder}-all`;
  execFileSync(process.execPath, [tsc, "-p", config, "--outDir", all], { stdio: ["ignore", "inherit", "inherit"] });
  const waiting = [`${SOURCE}/index.d.ts`];
  const done = new Set(waiting);
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    const { text, leadsTo } = withOwnNames(file, readFileSync(join(all, file), "utf8"));
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
    for (const next of leadsTo) {
      if (!done.has(next)) waiting.push(next);
      done.add(next);
    }
  }
  rmSync(all, { recursive: true });
}

/** `file` and what it leads to: paths below the folder of all declarations. */
function withOwnNames(file: string, source: string): { text: string; leadsTo: string[] } {
  const leadsTo: string[] = [];
  const names = /(?<=(?:from|import\() ?)(["'])(@atoll\/|\.{1,2}\/)([\w./-]+)\1/g;
  const text = source.replace(names, (_, quote: string, start: string, rest: string) => {
    const [name, ...sub] = rest.split("/");
    const own = posix.join("packages", name ?? "", "src", `${sub.join("/") || "index"}.js`);
    const target = start === "@atoll/" ? own : posix.join(posix.dirname(file), start + rest).replace(/\.ts$/, ".js");
    leadsTo.push(target.replace(/\.js$/, ".d.ts"));
    const there = posix.relative(posix.dirname(file), target);
    return quote + (there.startsWith(".") ? there : `./${there}`) + quote;
  });
  return { text, leadsTo };
}

interface Manifest {
  readonly version: string;
  readonly license: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

function rootPackage(): Manifest {
  return JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = resolve(process.argv[2] ?? join(ROOT, ".cache", "test-kit"));
  await buildTestKit(folder);
  process.stdout.write(`${folder}\n`);
}
