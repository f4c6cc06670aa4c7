// The page: a counter and a guest book, both kept by the canister this page came from.

import { type Connection, connect } from "./canister.ts";
import { oldestId, showEntries, showTimes } from "./guest-book.ts";
import { problemText } from "./problem.ts";

const PAGE_SIZE = 20n;
const REFRESH_MS = 5_000;
const MAX_MESSAGE = 500;
const ANONYMOUS = "2vxsx-fae";

const counter = element("counter", HTMLOutputElement);
const increment = element("increment", HTMLButtonElement);
const sign = element("sign", HTMLButtonElement);
const form = element("guest-book", HTMLFormElement);
const nameField = element("name", HTMLInputElement);
const messageField = element("message", HTMLTextAreaElement);
const entries = element("entries", HTMLOListElement);
const older = element("older", HTMLButtonElement);

connect(window.location).then(start, showProblem);

function start(connection: Connection): void {
  const { hello } = connection;
  element("canister-id").textContent = connection.canisterId;
  element("root-key").textContent = fingerprint(connection.rootKey);
  element("principal").textContent =
    connection.principal === ANONYMOUS ? `${ANONYMOUS} (anonymous)` : connection.principal;

  increment.addEventListener("click", () => {
    void attempt(async () => showCount(await timed(() => hello.increment())));
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    sign.disabled = true;
    void attempt(async () => {
      const answer = await timed(() => hello.sign(nameField.value, messageField.value));
      if ("err" in answer) throw new Error(answer.err);
      messageField.value = "";
      showLetters();
      showEntries(entries, [answer.ok]);
      element("no-entries").hidden = true;
    }).finally(() => {
      sign.disabled = false;
    });
  });

  older.addEventListener("click", () => {
    void attempt(async () => {
      const oldest = oldestId(entries);
      const page = await hello.entries(oldest === null ? [] : [oldest], PAGE_SIZE);
      showEntries(entries, page);
      older.hidden = page.length < Number(PAGE_SIZE);
    });
  });

  messageField.addEventListener("input", showLetters);
  showLetters();
  increment.disabled = false;
  sign.disabled = false;
  void attempt(() => refresh(connection, true));
  setInterval(() => {
    if (document.visibilityState === "visible") void attempt(() => refresh(connection, false));
  }, REFRESH_MS);
}

/** Queries: what other visitors did in the meantime. */
async function refresh({ hello }: Connection, first: boolean): Promise<void> {
  const [count, page] = await Promise.all([hello.counter(), hello.entries([], PAGE_SIZE)]);
  showCount(count);
  showEntries(entries, page);
  showTimes(entries);
  element("no-entries").hidden = entries.childElementCount > 0;
  if (first) older.hidden = page.length < Number(PAGE_SIZE);
}

let shown = -1n;

/** Answers may overtake each other; the counter only goes up. */
function showCount(count: bigint): void {
  if (count <= shown) return;
  const changed = shown >= 0n;
  shown = count;
  counter.value = count.toLocaleString("en").replaceAll(",", "\u202f");
  if (!changed) return;
  counter.classList.remove("changed");
  void counter.offsetWidth; // restarts the animation
  counter.classList.add("changed");
}

/** An update: the agent answers only after it has verified the certificate, so reaching the end is the proof. */
async function timed<T>(update: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const answer = await update();
  element("round-trip").textContent = `${Math.round(performance.now() - started)} ms round trip`;
  element("verified", HTMLElement).hidden = false;
  return answer;
}

async function attempt(work: () => Promise<void>): Promise<void> {
  try {
    await work();
    element("problem").hidden = true;
  } catch (error) {
    showProblem(error);
  }
}

function showProblem(error: unknown): void {
  const problem = element("problem");
  problem.textContent = problemText(error);
  problem.hidden = false;
}

function showLetters(): void {
  const { length } = [...messageField.value];
  element("letters").textContent = `${length} / ${MAX_MESSAGE}`;
}

/** The end of the key, which is where two keys differ (the beginning only names the kind of key). */
function fingerprint(key: Uint8Array): string {
  const hex = Array.from(key.slice(-8), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `…${hex}`;
}

function element<T extends HTMLElement>(id: string, type?: new () => T): T {
  const found = document.getElementById(id);
  if (found === null || (type !== undefined && !(found instanceof type))) throw new Error(`no element #${id}`);
  return found as T;
}
