// Serves the built page on this machine: a web host as plain as there is. The page needs nothing of it but files: no
// special headers, no cross-origin isolation. `node examples/browser/serve.ts [port]` builds first.
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { BUILD_FOLDER, buildPage, sizeTable } from "./build.ts";

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
  gz: "application/gzip",
};

/** Listens on loopback; `port` 0 takes any that is free. */
export async function servePage(port: number): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer((request, response) => {
    const [path = ""] = (request.url ?? "").split("?", 1);
    const name = path === "/" ? "index.html" : path.slice(1);
    const type = /^[\w-]+(?:\.\w+)+$/.test(name) ? TYPES[name.slice(name.lastIndexOf(".") + 1)] : undefined;
    const found = type === undefined ? Promise.reject(new Error(name)) : readFile(`${BUILD_FOLDER}${name}`);
    found.then(
      (content) => response.writeHead(200, { "content-type": type, "cache-control": "no-cache" }).end(content),
      () => response.writeHead(404, { "content-type": "text/plain" }).end("There is nothing here.\n"),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, server };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { sizes } = await buildPage();
  const port = Number(process.argv[2] ?? 8100);
  try {
    const { url } = await servePage(port);
    process.stdout.write(`${sizeTable(sizes)}\n\nA network in a tab: ${url}\n`);
  } catch (error) {
    process.stderr.write(
      `Port ${port} cannot be used (${(error as Error).message}); name another one as the argument.\n`,
    );
    process.exitCode = 1;
  }
}
