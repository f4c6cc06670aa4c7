// Builds the page into `.build/`, a folder that any web host can serve: bundles the page's script and its Worker, and
// compiles the canister. Prints how large each file is. With `--analyze`, what is in the bundles.
// Alone: `node examples/browser/build.ts`.
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import { compileMotoko } from "../../tools/motoko/compile.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
export const BUILD_FOLDER: string = fileURLToPath(new URL(".build/", import.meta.url));

const HELLO = `${HERE}../hello/web/`;

/** Files of the page that are not built; its look is that of the other example. */
const COPIED = [`${HERE}web/index.html`, `${HERE}web/page.css`, `${HELLO}style.css`, `${HELLO}favicon.svg`];

/** In bytes: as it is, and as a web host may send it. */
export interface FileSize {
  readonly file: string;
  readonly raw: number;
  readonly gzip: number;
  readonly brotli: number;
}

export interface Built {
  readonly sizes: readonly FileSize[];
  /** What is in the bundles, in esbuild's words. */
  readonly analysis: string;
}

export async function buildPage(): Promise<Built> {
  mkdirSync(BUILD_FOLDER, { recursive: true });
  const [bundles, { wasm }] = await Promise.all([
    bundle(),
    // 32 bits: more browsers run it, and it needs no more.
    compileMotoko({ source: `${HERE}counter.mo`, width: 32 }),
  ]);
  const files = new Map<string, Uint8Array>(bundles.files);
  // Canisters are installed as they are or packed; not every web host packs by itself.
  files.set("counter.wasm.gz", gzipSync(wasm, { level: 9 }));
  for (const [name, content] of files) writeFileSync(`${BUILD_FOLDER}${name}`, content);
  for (const path of COPIED) copyFileSync(path, `${BUILD_FOLDER}${path.slice(path.lastIndexOf("/") + 1)}`);
  return { sizes: [...files].map(([file, content]) => sizeOf(file, content)), analysis: bundles.analysis };
}

async function bundle(): Promise<{ files: [string, Uint8Array][]; analysis: string }> {
  const { outputFiles, metafile } = await esbuild.build({
    entryPoints: [`${HERE}web/main.ts`, `${HERE}web/worker.ts`],
    outdir: BUILD_FOLDER,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2023",
    platform: "browser",
    charset: "utf8",
    legalComments: "none",
    metafile: true,
    write: false,
    logLevel: "error",
  });
  const files = outputFiles.map(({ path, contents }): [string, Uint8Array] => [
    path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1),
    contents,
  ]);
  return { files, analysis: await esbuild.analyzeMetafile(metafile) };
}

function sizeOf(file: string, content: Uint8Array): FileSize {
  const gzip = gzipSync(content, { level: 9 }).length;
  return { file, raw: content.length, gzip, brotli: brotliCompressSync(content).length };
}

export function sizeTable(sizes: readonly FileSize[]): string {
  const row = (cells: readonly (string | number)[]): string =>
    cells.map((cell, i) => (i === 0 ? String(cell).padEnd(16) : String(cell).padStart(9))).join("");
  return [row(["bytes", "raw", "gzip", "brotli"]), ...sizes.map((each) => row(Object.values(each)))].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { sizes, analysis } = await buildPage();
  process.stdout.write(`${process.argv.includes("--analyze") ? analysis : ""}${sizeTable(sizes)}\n`);
}
