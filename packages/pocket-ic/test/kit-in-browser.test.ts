// The test kit runs in a browser's Worker as it does in Node: the same scenario with the same seed sees the same.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createNodeCrypto, nodeClock } from "@atoll/host-node";
import * as esbuild from "esbuild";
import { launchChromium } from "../../../examples/hello/test/chromium.ts";
import { scenario } from "./browser/scenario.ts";
import { motoko } from "./kit/canisters-of-tests.ts";

const WORKER = fileURLToPath(new URL("browser/worker.ts", import.meta.url));
/** Answered by the test itself: nothing leaves the browser. */
const PAGE = "http://kit.test/";

test("a test of the kit sees the same in a browser as in Node", async () => {
  const modules = { calls: await motoko("calls"), timers: await motoko("timers") };
  const timer = { after: () => () => undefined };
  const inNode = await scenario({ crypto: await createNodeCrypto(), clock: nodeClock, timer }, modules);
  assert.deepEqual(inNode.slice(0, 3), ["across", "2000,3000", "an hour has sixty minutes"]);
  assert.deepEqual(await inBrowser(modules), { seen: inNode });
});

async function inBrowser(modules: { calls: Uint8Array; timers: Uint8Array }): Promise<unknown> {
  const { outputFiles } = await esbuild.build({
    entryPoints: [WORKER],
    bundle: true,
    format: "esm",
    target: "es2023",
    platform: "browser",
    write: false,
    logLevel: "error",
  });
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    const files = new Map<string, string | Buffer>([
      ["", "<!doctype html><title>A page of a test</title>"],
      ["worker.js", outputFiles[0]?.text ?? ""],
      ...Object.entries(modules).map(([name, wasm]): [string, Buffer] => [name, Buffer.from(wasm)]),
    ]);
    await page.route(`${PAGE}**`, (route) => {
      const name = route.request().url().slice(PAGE.length);
      const contentType = name === "" ? "text/html" : name.endsWith(".js") ? "text/javascript" : "application/wasm";
      return route.fulfill({ body: files.get(name) ?? "", contentType });
    });
    await page.goto(PAGE);
    return await page.evaluate(RUN);
  } finally {
    await browser.close();
  }
}

/** As text: this file is compiled without a browser's types. */
const RUN = `(async () => {
  const module = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
  const modules = { calls: await module("calls"), timers: await module("timers") };
  const worker = new Worker("worker.js", { type: "module" });
  const answered = new Promise((resolve, reject) => {
    worker.addEventListener("message", ({ data }) => resolve(data));
    worker.addEventListener("error", ({ message }) => reject(new Error(message)));
  });
  worker.postMessage(modules);
  return answered;
})()`;
