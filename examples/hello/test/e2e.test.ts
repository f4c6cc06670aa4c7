// The sample as its visitors meet it: the network in a process of its own, a real browser in front of it. The page
// loads from the canister, counts, takes an entry, and everything is still there after the network was killed and
// after it was stopped in order. Pictures of the page go to the folder for temporary files.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { launchChromium } from "./chromium.ts";

const ATOLL = fileURLToPath(new URL("../../../bin/atoll", import.meta.url));
const READY_TIMEOUT_MS = 60_000;
const MARKUP = `<img src=x onerror="document.title='taken'"><b>bold</b> & "quotes"`;

interface Network {
  readonly process: ChildProcess;
  /** As the terminal shows it. */
  readonly pageUrl: URL;
}

describe("the sample in a browser", () => {
  const folder = mkdtempSync(join(tmpdir(), "atoll-hello-"));
  const pictures = join(tmpdir(), "atoll-hello-pictures");
  const problems: string[] = [];
  let network: Network;
  let browser: Browser;
  let page: Page;

  before(async () => {
    [network, browser] = await Promise.all([start(folder, "0"), launchChromium()]);
    const context = await browser.newContext({ viewport: { width: 1280, height: 1000 }, colorScheme: "light" });
    page = await context.newPage();
    page.setDefaultTimeout(15_000);
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") problems.push(message.text());
    });
    page.on("pageerror", (error) => problems.push(error.message));
  });

  after(async () => {
    await browser?.close();
    if (network !== undefined) await end(network, "SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });

  test("the page comes out of the canister and talks to it", async () => {
    const answer = await page.goto(network.pageUrl.href);
    assert.equal(answer?.status(), 200);
    assert.match(answer?.headers()["ic-certificate"] ?? "", /^certificate=:/);
    await hasText("#counter", "0");
    await page.waitForSelector("#no-entries:not([hidden])");
    assert.equal(await page.locator("#verified").isVisible(), false);
  });

  test("counting up is verified by a certificate", async () => {
    await page.click("#increment");
    await hasText("#counter", "1");
    assert.equal(await page.locator("#verified").isVisible(), true);
    for (let i = 0; i < 9; i++) await page.click("#increment");
    await hasText("#counter", "10");
  });

  test("an entry stays text, whatever it contains", async () => {
    await sign("Ada <script>", MARKUP);
    assert.equal(await page.locator("#entries .message").first().textContent(), MARKUP);
    assert.equal(await page.locator("#entries .name").first().textContent(), "Ada <script>");
    assert.equal(await page.locator("#entries img, #entries b, #entries script").count(), 0);
    assert.equal(await page.title(), "Hello from a canister");
    assert.equal(await page.locator("#no-entries").isVisible(), false);
  });

  test("what the canister refuses is said in words", async () => {
    await page.fill("#name", " ");
    await page.fill("#message", "from nobody");
    await page.click("#sign");
    await hasText("#problem", "Please tell your name.");
    await page.fill("#message", "");
    await page.click("#increment");
    await page.waitForSelector("#problem", { state: "hidden" });
    await hasText("#counter", "11");
  });

  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    test(`everything is still there after ${signal}`, async () => {
      assert.deepEqual(problems, []);
      await restart(signal);
      await page.reload();
      await hasText("#counter", signal === "SIGKILL" ? "11" : "12");
      await hasText("#entries li:last-child .message", MARKUP);
      await page.click("#increment");
      await hasText("#counter", signal === "SIGKILL" ? "12" : "13");
      await sign("Grace", `after ${signal}`);
      assert.deepEqual(problems, []);
    });
  }

  test("a page left open goes on after a restart by itself", async () => {
    const { port } = network.pageUrl;
    await end(network, "SIGTERM");
    await page.click("#increment");
    await hasText("#problem", "The network does not answer. This page keeps trying.");
    await page.screenshot({ path: join(pictures, "no-network.png") });
    network = await start(folder, port);
    await page.click("#increment");
    await hasText("#counter", "14");
    await page.waitForSelector("#problem", { state: "hidden" });
  });

  test("it has no element wider than the window, in light, dark and on a phone", async () => {
    await sign(
      "A name with a very long word: Donaudampfschifffahrtsgesellschaft",
      `Two lines\nand ${"long".repeat(60)}`,
    );
    for (const [name, colorScheme, width, height] of [
      ["light", "light", 1280, 1000],
      ["dark", "dark", 1280, 1000],
      ["narrow-light", "light", 360, 780],
      ["narrow-dark", "dark", 360, 780],
    ] as const) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height });
      const overflow = await page.evaluate<number>("document.documentElement.scrollWidth - window.innerWidth");
      assert.ok(overflow <= 0, `${name}: ${overflow} pixels too wide`);
      await page.screenshot({ path: join(pictures, `hello-${name}.png`), fullPage: true });
    }
    process.stdout.write(`# pictures of the page: ${pictures}\n`);
  });

  test("an address that the canister does not have", async () => {
    const answer = await page.goto(new URL("/nowhere", network.pageUrl).href);
    assert.equal(answer?.status(), 404);
    await hasText("h1", "No such page");
    await page.screenshot({ path: join(pictures, "not-found.png") });
  });

  async function hasText(selector: string, expected: string): Promise<void> {
    const element = page.locator(selector);
    const end = Date.now() + 15_000;
    for (;;) {
      const text = (await element.count()) > 0 ? await element.first().textContent() : undefined;
      if (text === expected) return;
      if (Date.now() > end) assert.equal(text, expected, selector);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  async function sign(name: string, message: string): Promise<void> {
    const before = await page.locator("#entries li").count();
    await page.fill("#name", name);
    await page.fill("#message", message);
    await page.click("#sign");
    await page.locator("#entries li").nth(before).waitFor();
  }

  /** What the page says in the console while nobody answers it is no fault of the page. */
  async function restart(signal: NodeJS.Signals): Promise<void> {
    const { port } = network.pageUrl;
    const { pageUrl } = network;
    await end(network, signal);
    network = await start(folder, port);
    assert.equal(network.pageUrl.href, pageUrl.href);
    problems.length = 0;
  }
});

async function start(folder: string, port: string): Promise<Network> {
  const child = spawn(ATOLL, ["start", "--port", port, "--state-dir", folder], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const shown = Promise.withResolvers<URL>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      const url = /sample page +(\S+)\s/.exec(output)?.[1];
      if (url !== undefined) shown.resolve(new URL(url));
    });
  }
  child.on("exit", (code, signal) => shown.reject(new Error(`atoll ended (${code ?? signal}): ${output}`)));
  const timer = setTimeout(() => shown.reject(new Error(`atoll was not ready in time: ${output}`)), READY_TIMEOUT_MS);
  process.once("exit", () => child.kill("SIGKILL"));
  try {
    return { process: child, pageUrl: await shown.promise };
  } finally {
    clearTimeout(timer);
  }
}

async function end({ process: child }: Network, signal: NodeJS.Signals): Promise<void> {
  const ended = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
  child.kill(signal);
  await ended;
}
