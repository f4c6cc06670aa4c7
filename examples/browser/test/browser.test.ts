// The page as its visitors meet it: a real browser, files from a plain web host, and a network of two subnets in the
// tab. Certificates are verified by the agent in the page. And the bundles stay small.
import assert from "node:assert/strict";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser, Locator, Page } from "playwright-core";
import { launchChromium } from "../../hello/test/chromium.ts";
import { buildPage, type FileSize, sizeTable } from "../build.ts";
import { servePage } from "../serve.ts";
import { runLong } from "./long-execution.ts";

/** Bytes as a web host sends them. A tenth more and the test fails: look at `build.ts --analyze` for what has come in. */
const GZIP_BUDGET: Readonly<Record<string, number>> = {
  "worker.js": 188_856,
  "main.js": 68_062,
};

/** What the page leaves in its global object, for its console and for this test. */
interface Console {
  readonly network: {
    status(): Promise<{
      time: bigint;
      rootKey: Uint8Array;
      subnets: { id: string; height: number; publicKey: Uint8Array }[];
    }>;
    fetch: typeof fetch;
  };
  readonly agent: { rootKey: Uint8Array };
  agentFor(fetch: unknown, rootKey: Uint8Array): { readState(id: string, fields: unknown): Promise<unknown> };
}

const DAY_MS = 86_400_000;

describe("a network in a tab", () => {
  const pictures = join(tmpdir(), "atoll-browser-pictures");
  const problems: string[] = [];
  let sizes: readonly FileSize[];
  let server: Server;
  let browser: Browser;
  let page: Page;

  before(async () => {
    const [built, started] = await Promise.all([buildPage(), launchChromium()]);
    sizes = built.sizes;
    browser = started;
    const served = await servePage(0);
    server = served.server;
    const context = await browser.newContext({ viewport: { width: 1180, height: 1000 }, colorScheme: "light" });
    page = await context.newPage();
    page.setDefaultTimeout(15_000);
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") problems.push(message.text());
    });
    page.on("pageerror", (error) => problems.push(error.message));
    await page.goto(served.url);
  });

  after(async () => {
    await browser?.close();
    server?.close();
  });

  test("two subnets run in the Worker, on a page like any other", async () => {
    await page.waitForSelector("#install:not([disabled])");
    assert.equal(await page.evaluate("crossOriginIsolated"), false);
    const { subnets } = await page.evaluate(() => (globalThis as unknown as Console).network.status());
    assert.equal(new Set(subnets.map(({ id }) => id)).size, 2);
    assert.deepEqual(
      await page.locator(".subnet .id").allTextContents(),
      subnets.map(({ id }) => id),
    );
    for (const [i, { height }] of subnets.entries()) {
      await until(async () => Number(await page.locator(".height output").nth(i).textContent()) > height);
    }
  });

  test("a counter on each counts, and each answer is signed by its own subnet", async () => {
    await page.click("#install");
    await page.waitForSelector(".increment:not([disabled])");
    const ids = (await page.locator(".subnet .id").allTextContents()).map((id) => id.slice(0, 11));
    for (const [i, times] of [3, 1].entries()) {
      for (let n = 1; n <= times; n++) {
        await page.locator(".increment").nth(i).click();
        await hasText(page.locator(".count").nth(i), String(n));
      }
    }
    const log = await page.locator("#log li").allTextContents();
    // The first subnet is the root: it needs nobody to vouch for it.
    assert.equal(
      log.filter((line) => line.includes("Subnet 1 counted up") && /by the root subnet/.test(line)).length,
      3,
    );
    assert.equal(log.filter((line) => line.includes(`counted up: 1. Verified, signed by ${ids[1]}`)).length, 1);
  });

  test("a message to the other subnet goes over a certified stream, there and back", async () => {
    await page.locator(".across").nth(0).click();
    await hasText(page.locator(".count").nth(1), "2");
    await page.locator(".across").nth(1).click();
    await hasText(page.locator(".count").nth(0), "4");
  });

  test("an agent with another root key believes nothing", async () => {
    const canister = (await page.locator(".canister").first().textContent())?.split(" ")[1] ?? "";
    const [own, other] = await page.evaluate(async (id) => {
      const { network, agent, agentFor } = globalThis as unknown as Console;
      const wrongKey = agent.rootKey.slice();
      // The key of another subnet is a point of the curve too.
      const [, second] = (await network.status()).subnets;
      wrongKey.set(second?.publicKey.slice(-96) ?? [], wrongKey.length - 96);
      const paths = [[new TextEncoder().encode("time")]];
      const ask = (key: Uint8Array) => agentFor(network.fetch, key).readState(id, { paths });
      return Promise.all(
        [agent.rootKey, wrongKey].map((key) =>
          ask(key).then(
            () => "believed",
            (error) => String(error),
          ),
        ),
      );
    }, canister);
    assert.equal(own, "believed");
    assert.match(other ?? "", /Invalid signature|Signature verification failed/);
  });

  test("a day goes by at once", async () => {
    const before = await networkTime();
    await page.click("#day");
    await hasText(page.locator("#log li span").first(), "A day went by in no time.");
    const passedMs = Number(((await networkTime()) - before) / 1_000_000n);
    assert.ok(passedMs >= DAY_MS && passedMs < DAY_MS + 60_000, `${passedMs} ms`);
    await page.locator(".increment").nth(0).click();
    await hasText(page.locator(".count").nth(0), "5");
    await page.screenshot({ path: join(pictures, "network.png"), fullPage: true });
    await page.emulateMedia({ colorScheme: "dark" });
    await page.setViewportSize({ width: 400, height: 900 });
    await page.screenshot({ path: join(pictures, "network-narrow.png"), fullPage: true });
    assert.equal(await page.locator("#problem").isVisible(), false);
    assert.deepEqual(problems, []);
  });

  test("a long execution ends alike whether the browser can suspend it or not", async () => {
    const suspended = await runLong(page);
    const other = await page.context().newPage();
    await other.route("**/worker.js", async (route) => {
      const response = await route.fetch();
      const body = `delete WebAssembly.Suspending; delete WebAssembly.promising;${await response.text()}`;
      await route.fulfill({ response, body });
    });
    await other.goto(page.url());
    await other.waitForSelector("#install:not([disabled])");
    const inOneGo = await runLong(other);
    assert.deepEqual(inOneGo, suspended);
    assert.ok(suspended.rounds > 2, `${suspended.rounds} rounds`);
    assert.ok(suspended.instructions > 500_000_000n, `${suspended.instructions} instructions`);
    await other.close();
  });

  test("a Worker that does not load is said on the page", async () => {
    const other = await page.context().newPage();
    await other.route("**/worker.js", (route) => route.fulfill({ status: 404 }));
    await other.goto(page.url());
    await hasText(other.locator("#problem"), "The Worker of the network has failed: its script could not be loaded.");
    await other.close();
  });

  test("the bundles are as small as they were", () => {
    process.stdout.write(`${sizeTable(sizes)}\n`);
    for (const [file, budget] of Object.entries(GZIP_BUDGET)) {
      const size = sizes.find((each) => each.file === file);
      assert.ok(
        size !== undefined && size.gzip <= budget * 1.1,
        `${file}: ${size?.gzip} bytes, ${budget} were planned`,
      );
    }
  });

  function networkTime(): Promise<bigint> {
    return page.evaluate(async () => (await (globalThis as unknown as Console).network.status()).time);
  }
});

async function hasText(locator: Locator, text: string): Promise<void> {
  await until(
    async () => (await locator.textContent()) === text,
    async () => `${await locator.textContent()}, not ${text}`,
  );
}

async function until(isSo: () => Promise<boolean>, why = async () => "in vain"): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await isSo())) {
    if (Date.now() > deadline) assert.fail(`waited ${await why()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
