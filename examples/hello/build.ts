// Builds the sample: bundles the page, works out its certificates, compiles the canister with all of it inside, and
// leaves the result in `.build/`, from where `sample.ts` reads it. Runs at `npm ci` (script "prepare") and whenever the
// sample is wanted and missing or older than its sources. Alone: `node examples/hello/build.ts`.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import { compileMotoko } from "../../tools/motoko/compile.ts";
import { type Asset, type CertifiedAsset, type CertifiedSite, certifySite } from "./certified-assets.ts";
import { BUILD_FOLDER, readSample, sourcesKey } from "./sample.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));

/** Only certified headers reach the browser, so this list is all there is. */
const COMMON_HEADERS = [
  ["cache-control", "no-cache"],
  [
    "content-security-policy",
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'",
  ],
  ["x-content-type-options", "nosniff"],
  ["referrer-policy", "no-referrer"],
] as const;

const HTML = "text/html; charset=utf-8";
const SVG = "image/svg+xml";

export async function buildSample(): Promise<void> {
  mkdirSync(BUILD_FOLDER, { recursive: true });
  const key = sourcesKey();
  const texts = await pageFiles();
  const site = certifySite(
    texts.map(({ path, status, type, text }): Asset => {
      return { path, status, headers: [["content-type", type], ...COMMON_HEADERS], body: Buffer.from(text) };
    }),
  );
  const files = new Map([[`${BUILD_FOLDER}Assets.mo`, assetsModule(site)]]);
  texts.forEach(({ text }, index) => {
    files.set(`${BUILD_FOLDER}asset-${index}`, text);
  });
  const { wasm, candid } = await compileMotoko({ source: `${HERE}main.mo`, width: 64, options: { files } });
  place("hello.did", candid);
  place("hello.wasm", wasm);
  place("key", key);
}

interface PageFile {
  readonly path: string | null;
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

async function pageFiles(): Promise<PageFile[]> {
  const page = (name: string) => readFileSync(`${HERE}web/${name}`, "utf8");
  const icon = page("favicon.svg");
  return [
    { path: "/", status: 200, type: HTML, text: page("index.html") },
    { path: "/style.css", status: 200, type: "text/css; charset=utf-8", text: page("style.css") },
    { path: "/main.js", status: 200, type: "text/javascript; charset=utf-8", text: await bundle() },
    { path: "/favicon.svg", status: 200, type: SVG, text: icon },
    { path: "/favicon.ico", status: 200, type: SVG, text: icon },
    { path: null, status: 404, type: HTML, text: page("not-found.html") },
  ];
}

async function bundle(): Promise<string> {
  const { outputFiles } = await esbuild.build({
    entryPoints: [`${HERE}web/main.ts`],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    charset: "utf8",
    legalComments: "none",
    write: false,
    logLevel: "error",
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error("the page's script was not bundled: esbuild gave no output");
  return file.text;
}

/** The generated Motoko module. The files' contents are embedded by the compiler, not written as literals. */
function assetsModule({ assets, tree, rootHash }: CertifiedSite): string {
  const record = (asset: CertifiedAsset, index: number): string => {
    const headers = asset.headers.map(([name, value]) => `(${literal(name)}, ${literal(value)})`).join(", ");
    const exprPath = Buffer.from(asset.exprPath).toString("base64");
    const path = literal(asset.path ?? "");
    return `{ path = ${path}; status = ${asset.status}; headers = [${headers}]; exprPath = "${exprPath}"; body = asset${index} }`;
  };
  const listed = assets.flatMap((asset, index) => (asset.path === null ? [] : [record(asset, index)]));
  const unlisted = assets.flatMap((asset, index) => (asset.path === null ? [record(asset, index)] : []));
  return `// Made by build.ts.
${assets.map((_, index) => `import asset${index} "blob:file:asset-${index}";`).join("\n")}
module {
  public type Asset = { path : Text; status : Nat16; headers : [(Text, Text)]; exprPath : Text; body : Blob };
  public let tree : Text = "${Buffer.from(tree).toString("base64")}";
  public let rootHash : Blob = "${Array.from(rootHash, (byte) => `\\${byte.toString(16).padStart(2, "0")}`).join("")}";
  public let all : [Asset] = [
    ${listed.join(",\n    ")}
  ];
  public let notFound : Asset = ${unlisted[0]};
}
`;
}

/** A Motoko text literal: the same escapes as JSON for what occurs in headers. */
function literal(text: string): string {
  return JSON.stringify(text);
}

function place(name: string, content: string | Uint8Array): void {
  const path = `${BUILD_FOLDER}${name}`;
  writeFileSync(`${path}.${process.pid}`, content);
  renameSync(`${path}.${process.pid}`, path);
}

if (process.argv[1] === fileURLToPath(import.meta.url) && readSample() === null) {
  const started = performance.now();
  await buildSample();
  process.stdout.write(`sample canister built in ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
}
