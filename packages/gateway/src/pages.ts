// What the gateway says in its own words: error pages and its front page, as HTML for browsers and as text for
// everyone else. Names and messages in them come from strangers and are escaped without exception.
import type { HttpRequest, WebResponse } from "@atoll/types/http";

export interface Problem {
  readonly status: number;
  /** A few words. */
  readonly title: string;
  /** What happened and what can be done about it. */
  readonly detail: string;
  /** The canister's or the replica's own words. */
  readonly cause?: string;
}

export interface FrontPage {
  readonly name: string;
  /** Shown as links: label and address. */
  readonly links: readonly (readonly [string, string])[];
}

const MAX_CAUSE = 4_000;

export function problemPage(problem: Problem, request: HttpRequest): WebResponse {
  const cause = problem.cause === undefined ? undefined : printable(problem.cause.slice(0, MAX_CAUSE));
  if (!wantsHtml(request)) {
    return page(
      problem.status,
      "text/plain",
      `${problem.title}\n\n${problem.detail}\n${cause ? `\n${cause}\n` : ""}`,
      request,
    );
  }
  const quoted = cause === undefined ? "" : `<pre>${escapeHtml(cause)}</pre>`;
  const body = `<p class="status">${problem.status}</p><h1>${escapeHtml(problem.title)}</h1><p>${escapeHtml(problem.detail)}</p>${quoted}`;
  return page(problem.status, "text/html", document(problem.title, body), request);
}

export function frontPage(front: FrontPage, request: HttpRequest): WebResponse {
  const api = [
    "GET /api/v2/status",
    "POST /api/v4/canister/<canister id>/call",
    "POST /api/v3/canister/<canister id>/query",
    "POST /api/v3/canister/<canister id>/read_state",
    "POST /api/v4/subnet/<subnet id>/call",
    "POST /api/v3/subnet/<subnet id>/query",
    "POST /api/v3/subnet/<subnet id>/read_state",
  ];
  const intro = "This is an Internet Computer network. Canisters that serve web pages are at";
  const { host, address } = exampleAddress(request);
  if (!wantsHtml(request)) {
    const links = front.links.map(([label, url]) => `${label}: ${url}`);
    return page(
      200,
      "text/plain",
      [front.name, "", `${intro} ${address}`, "", ...links, ...api, ""].join("\n"),
      request,
    );
  }
  const links = front.links.map(
    ([label, url]) => `<li><a href="${escapeHtml(safeUrl(url))}">${escapeHtml(label)}</a></li>`,
  );
  const paths = api.map((line) => `<li><code>${escapeHtml(line)}</code></li>`);
  const body =
    `<h1>${escapeHtml(front.name)}</h1><p>${intro} <code>${escapeHtml(address)}</code>.</p>` +
    `${links.length > 0 ? `<ul>${links.join("")}</ul>` : ""}<h2>Interface</h2>` +
    `<p>Clients connect to <code>http://${escapeHtml(host)}</code>:</p><ul>${paths.join("")}</ul>`;
  return page(200, "text/html", document(front.name, body), request);
}

function exampleAddress(request: HttpRequest): { host: string; address: string } {
  const host = (request.headers.get("host") ?? "localhost").slice(0, 200);
  const port = /:(\d+)$/.exec(host)?.[1];
  return { host, address: `http://<canister id>.localhost${port === undefined ? "" : `:${port}`}/` };
}

function safeUrl(url: string): string {
  return /^(?:https?:\/\/|\/)/.test(url) ? url : "#";
}

export function wantsHtml(request: HttpRequest): boolean {
  return /\btext\/html\b/i.test(request.headers.get("accept") ?? "");
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => ENTITIES[char] as string);
}

/** Without characters that steer a terminal. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out.
  return text.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, "\ufffd");
}

const STYLE = `:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:42rem;margin:12vh auto;padding:0 1.5rem}
h1{font-size:1.6rem;line-height:1.2;margin:.2em 0}h2{font-size:1.1rem;margin-top:2em}.status{color:#888;margin:0;font-variant-numeric:tabular-nums}
pre,code{font:.9em ui-monospace,monospace}pre{white-space:pre-wrap;overflow-wrap:anywhere;border-left:3px solid #8885;padding-left:1em}a{color:inherit}`;

function document(title: string, body: string): string {
  return (
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title>` +
    `<meta name="viewport" content="width=device-width,initial-scale=1"><style>${STYLE}</style></head><body>${body}</body></html>\n`
  );
}

const encoder = new TextEncoder();

function page(status: number, type: string, text: string, request: HttpRequest): WebResponse {
  const body = encoder.encode(text);
  const headers: [string, string][] = [
    ["content-type", `${type}; charset=utf-8`],
    ["content-length", String(body.length)],
    ["cache-control", "no-store"],
    ["content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"],
    ["x-content-type-options", "nosniff"],
  ];
  return { status, headers, body: request.method === "HEAD" ? new Uint8Array(0) : body };
}
