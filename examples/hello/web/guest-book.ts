// The guest book's list. What visitors wrote reaches the page as text only, never as markup.

import type { Entry } from "./canister.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

/** Entries newest first; those that are there already stay as they are. */
export function showEntries(list: HTMLElement, entries: readonly Entry[]): void {
  for (const entry of entries) {
    const key = entry.id.toString();
    const items = [...list.children].filter((item) => item instanceof HTMLElement);
    if (items.some((item) => item.dataset.id === key)) continue;
    const older = items.find((item) => BigInt(item.dataset.id ?? "0") < entry.id);
    list.insertBefore(itemFor(entry), older ?? null);
  }
  showTimes(list);
}

export function showTimes(list: HTMLElement): void {
  for (const element of list.querySelectorAll("time")) element.textContent = age(Date.parse(element.dateTime));
}

export function oldestId(list: HTMLElement): bigint | null {
  const last = list.lastElementChild;
  return last instanceof HTMLElement ? BigInt(last.dataset.id ?? "0") : null;
}

function itemFor(entry: Entry): HTMLElement {
  const item = document.createElement("li");
  item.dataset.id = entry.id.toString();
  const head = document.createElement("div");
  head.className = "head";
  const time = document.createElement("time");
  const date = new Date(Number(entry.time / 1_000_000n));
  time.dateTime = date.toISOString();
  time.title = date.toLocaleString();
  head.append(text("span", "name", entry.name), time);
  item.append(head, text("p", "message", entry.message));
  return item;
}

function text(tag: string, className: string, content: string): HTMLElement {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = content;
  return element;
}

function age(time: number): string {
  const passed = Date.now() - time;
  if (passed < MINUTE) return relative.format(0, "second");
  if (passed < HOUR) return relative.format(-Math.floor(passed / MINUTE), "minute");
  if (passed < DAY) return relative.format(-Math.floor(passed / HOUR), "hour");
  return relative.format(-Math.floor(passed / DAY), "day");
}
